//! `virtual_server`: its options first, wherever they stand, then its real servers, then what needs all
//! of them.

use std::net::SocketAddr;

use super::effective::{self, Family, Level, Setting, SorryServer};
use super::group::GroupUse;
use super::lower::Lowering;
use super::model::{Protocol, Service, VirtualServer};
use super::settings::{Settings, keep};
use crate::conf::blocks::BlockKind;
use crate::conf::diagnostic::Section;
use crate::conf::{Class, Code, Diagnostic, Directive, Span};
use crate::id::VirtualServerId;

/// Seconds: 31 days.
const PERSISTENCE_TIMEOUT_MAX: u64 = 2_678_400;

/// Of a bare `persistence_timeout`, and of a service without a port.
pub(super) const PERSISTENCE_TIMEOUT_DEFAULT: u32 = 360;

/// Real servers have a weight below 2^31.
pub(super) const WEIGHT_MAX: u64 = i32::MAX as u64;

/// A virtual server while its block is read.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) id: VirtualServerId,
    /// `None` where the header could not be read.
    pub(super) service: Option<Service>,
    pub(super) header: Span,
    /// What decides the family of the real servers, once something does.
    pub(super) family: Option<(Family, Span)>,
    pub(super) settings: Settings,
    /// Whether `lvs_method` is written, well or badly.
    pub(super) has_method: bool,
    /// First real server for which nothing gives a method.
    pub(super) without_method: Option<Span>,
    pub(super) protocol: Option<(Protocol, Span)>,
    /// Whether `protocol` is written, well or badly.
    pub(super) has_protocol: bool,
    /// Whether one thing was said already of ports that a service by mark has no use for.
    pub(super) has_cleared_port: bool,
    /// Ports of real servers that are reached without NAT, in the service of a group: the first two that
    /// differ, with the first place of each.
    pub(super) untranslated: Vec<(u16, Span)>,
    pub(super) has_scheduler: bool,
    pub(super) is_persistent: bool,
    pub(super) ops: Option<Span>,
    pub(super) quorum: Option<(u32, Span)>,
    pub(super) hysteresis: Option<(u32, Span)>,
    /// `sorry_server`, with the port that is written, 0 for none; `_inhibit` and `_lvs_method`; as far as
    /// they are read.
    pub(super) sorry_server: Option<(SocketAddr, Span)>,
    /// Whether `sorry_server` is written, well or badly.
    pub(super) has_sorry_server: bool,
    pub(super) sorry_inhibit: bool,
    pub(super) sorry_method: Option<effective::ForwardingMethod>,
    /// All that is known of it.
    pub(super) model: effective::VirtualServer,
    /// Its real servers, in the order of `headers`, where they are asked for; `None` for one that
    /// keepalived drops.
    pub(super) servers: Vec<Option<effective::RealServer>>,
    /// Headers of its real servers, in the order of `Fleet::real_servers`.
    pub(super) headers: Vec<Span>,
    /// Their ports as they are written, 0 for none.
    pub(super) written_ports: Vec<u16>,
    /// Real servers whose port keepalived replaces, and by what; positions among `headers`.
    pub(super) ports: Vec<(u32, u16)>,
    /// A block was probably meant to be a real server, so that what they weigh together says nothing.
    pub(super) has_lost_server: bool,
}

impl Draft {
    pub(super) fn new(
        id: VirtualServerId,
        service: Option<Service>,
        family: Option<(Family, Span)>,
        header: Span,
    ) -> Draft {
        Draft {
            id,
            model: effective::VirtualServer::new(
                header,
                service.clone().unwrap_or(Service::Fwmark(0)),
            ),
            servers: Vec::new(),
            service,
            header,
            family,
            settings: Settings::default(),
            has_method: false,
            without_method: None,
            protocol: None,
            has_protocol: false,
            has_cleared_port: false,
            untranslated: Vec::new(),
            has_scheduler: false,
            is_persistent: false,
            ops: None,
            quorum: None,
            hysteresis: None,
            sorry_server: None,
            has_sorry_server: false,
            sorry_inhibit: false,
            sorry_method: None,
            headers: Vec::new(),
            written_ports: Vec::new(),
            ports: Vec::new(),
            has_lost_server: false,
        }
    }

    /// The port of the service; 0 where it has none.
    pub(super) fn port(&self) -> u16 {
        match self.service {
            Some(Service::Address(address)) => address.port(),
            _ => 0,
        }
    }

    /// How the sorry server is reached.
    pub(super) fn sorry_method(&self) -> effective::ForwardingMethod {
        self.sorry_method.unwrap_or(self.model.method.value)
    }
}

impl Lowering<'_> {
    /// Takes a `virtual_server` block.
    pub(super) fn virtual_server(&mut self, directive: Directive<'_>) {
        let service = if directive.is_doubtful() { None } else { self.service(directive) };
        let family = match &service {
            Some(Service::Address(address)) => Some((Family::of(address.ip()), directive.header())),
            _ => None,
        };
        let id = VirtualServerId(self.fleet.virtual_servers.len() as u32);
        let mut vs = Draft::new(id, service, family, directive.header());
        let is_server = |reader: &super::value::Reader<'_>, child: &Directive<'_>| {
            reader.bytes(child.keyword()) == b"real_server"
        };
        let mut servers = 0u32;
        for child in directive.children() {
            if is_server(&self.reader, &child) {
                servers += 1;
                continue;
            }
            // A misspelled one is reported, and its default is nobody's wish.
            match self.meant(child, BlockKind::VirtualServer) {
                b"protocol" => vs.has_protocol = true,
                b"lvs_method" | b"lb_kind" => vs.has_method = true,
                b"lvs_sched" | b"lb_algo" => vs.has_scheduler = true,
                b"persistence_timeout" | b"persistence_granularity" => vs.is_persistent = true,
                _ => {}
            }
            if !self.value(child, BlockKind::VirtualServer) {
                self.option(child, &mut vs);
            } else if child.block().is_some() {
                let meant = self.block_meant(child, BlockKind::VirtualServer);
                vs.has_lost_server |= meant == Some("real_server");
                self.look_inside(child, BlockKind::VirtualServer);
            }
        }
        let first_server = self.fleet.real_servers.len();
        for child in directive.children() {
            if is_server(&self.reader, &child) {
                self.real_server(child, &mut vs);
            }
        }
        let held = self.held.mark();
        self.hold(&mut vs, |all, vs| all.remove_duplicates(first_server, vs));
        let is_kept = self.fleet.real_servers.len() > first_server;
        if servers == 0 && vs.service.is_some() {
            // Whether keepalived looks for real servers of one with a group is known when the group is.
            if !matches!(vs.service, Some(Service::Group(_))) {
                self.no_real_server(vs.header, Class::General);
            }
        }
        let group = match &vs.service {
            Some(Service::Group(name)) => Some((name.clone(), directive.arguments()[1])),
            _ => None,
        };
        let sorry_port = match is_kept {
            true => self.check_sorry_server(first_server, &mut vs),
            false => None,
        };
        let group_use = group.map(|(name, span)| GroupUse {
            name,
            span,
            virtual_server: is_kept.then_some(vs.id),
            without_servers: (servers == 0).then_some(vs.header),
            effective: None,
            family: vs.family,
            has_protocol: vs.has_protocol,
            protocol: vs.protocol.map(|(_, span)| span),
            untranslated: std::mem::take(&mut vs.untranslated),
            sorry_port,
            is_persistent: vs.is_persistent,
            held: Section::default(),
        });
        let mut effective = None;
        if is_kept {
            let (mut quorum, mut hysteresis) = (1, 0);
            self.hold(&mut vs, |all, vs| {
                all.check_service(vs);
                (quorum, hysteresis) = all.quorum(first_server, vs);
            });
            let protocol = self.protocol(&mut vs);
            effective = self.keep_effective(&mut vs);
            let service = vs.service.unwrap_or(Service::Fwmark(0));
            let line = directive.line();
            self.fleet.virtual_servers.push(VirtualServer {
                service,
                protocol,
                quorum,
                hysteresis,
                line,
            });
        }
        let held = self.held.since(held);
        self.group_uses.extend(group_use.map(|used| GroupUse { effective, held, ..used }));
    }

    /// Does something, and keeps what is to be said of it among what is held, if it is of the service of a group:
    /// keepalived looks at such a service as a whole only once it has found and taken its group. Of another
    /// one it is said at once.
    fn hold(&mut self, vs: &mut Draft, work: impl FnOnce(&mut Self, &mut Draft)) {
        if !matches!(vs.service, Some(Service::Group(_))) {
            return work(self, vs);
        }
        std::mem::swap(&mut self.reader.diagnostics, &mut self.held);
        work(self, vs);
        std::mem::swap(&mut self.reader.diagnostics, &mut self.held);
    }

    /// Warns of a virtual server without real servers.
    pub(super) fn no_real_server(&mut self, header: Span, class: Class) {
        self.reader.report(
            Diagnostic::new(Code::NoRealServer, "virtual server without a real server")
                .class(class)
                .at(header, "keepalived ignores it"),
        );
    }

    /// Keeps all that is known of a virtual server, where somebody asks for it. Gives its place.
    fn keep_effective(&mut self, vs: &mut Draft) -> Option<usize> {
        let servers = std::mem::take(&mut vs.servers);
        let effective = self.effective.as_mut()?;
        vs.service.as_ref()?;
        let mut model = vs.model.clone();
        let settings = &vs.settings;
        model.delay_loop = settings.delay_loop();
        model.delay_before_retry = settings.delay_before_retry();
        model.retry = settings.retry();
        model.warmup = settings.warmup();
        model.connect_timeout = settings.connect_timeout();
        model.alpha = settings.alpha();
        model.family = vs.family.map(|(family, _)| family);
        model.real_servers = servers.into_iter().flatten().collect();
        if let Some((mut address, span)) = vs.sorry_server {
            let method = vs.sorry_method();
            let is_translated = method == effective::ForwardingMethod::Nat && address.port() != 0;
            if !is_translated && vs.port() != 0 {
                address.set_port(vs.port());
            }
            let sorry_server = SorryServer { address, inhibit: vs.sorry_inhibit, method };
            model.sorry_server = Setting::written(Some(sorry_server), Level::VirtualServer, span);
        }
        if model.real_servers.is_empty() {
            return None;
        }
        effective.virtual_servers.push(model);
        Some(effective.virtual_servers.len() - 1)
    }

    fn option(&mut self, child: Directive<'_>, vs: &mut Draft) {
        const LEVEL: Level = Level::VirtualServer;
        let reader = &mut self.reader;
        let header = child.header();
        match reader.bytes(child.keyword()) {
            // A flag here, unlike in the blocks inside.
            b"alpha" => {
                vs.settings.alpha = Some(Setting::written(true, LEVEL, header));
                reader.ignored_after(child, 0);
            }
            b"inhibit_on_failure" => {
                vs.model.inhibit_on_failure = Setting::written(true, LEVEL, header);
                reader.ignored_after(child, 0);
            }
            b"omega" => {
                vs.model.omega = Setting::written(true, LEVEL, header);
                reader.ignored_after(child, 0);
            }
            b"weight" => {
                if let Some(weight) = reader.number(child, 1..=WEIGHT_MAX) {
                    vs.model.weight = Setting::written(weight as u32, LEVEL, header);
                }
            }
            b"quorum" => {
                let quorum = reader.number(child, 1..=u64::from(u32::MAX));
                keep(&mut vs.quorum, quorum.map(|quorum| (quorum as u32, header)));
            }
            b"hysteresis" => {
                let hysteresis = reader.number(child, 0..=u64::from(u32::MAX));
                keep(&mut vs.hysteresis, hysteresis.map(|hysteresis| (hysteresis as u32, header)));
            }
            b"quorum_up" => self.notify(child, LEVEL, &mut vs.model.quorum_up),
            b"quorum_down" => self.notify(child, LEVEL, &mut vs.model.quorum_down),
            b"protocol" => {
                let protocol = self.read_protocol(child);
                keep(&mut vs.protocol, protocol.map(|protocol| (protocol, header)));
            }
            b"ip_family" => self.ip_family(child, vs),
            b"lvs_method" | b"lb_kind" => {
                if let Some(method) = self.method(child) {
                    vs.model.method = Setting::written(method, LEVEL, header);
                }
            }
            b"lvs_sched" | b"lb_algo" => self.scheduler(child, vs),
            b"sh-port" | b"sh-fallback" | b"hashed" => self.scheduler_flag(child, "sh", vs),
            b"mh-port" | b"mh-fallback" => self.scheduler_flag(child, "mh", vs),
            b"flag-1" | b"flag-2" | b"flag-3" => self.any_scheduler_flag(child, vs),
            b"ops" => {
                vs.ops = Some(header);
                vs.model.ops = Setting::written(true, LEVEL, header);
                reader.ignored_after(child, 0);
            }
            b"ha_suspend" => {
                reader.ignored_after(child, 0);
                if matches!(vs.service, Some(Service::Fwmark(_))) {
                    self.no_effect(child, "`ha_suspend` needs a service with an address");
                } else {
                    vs.model.ha_suspend = Setting::written(true, LEVEL, header);
                }
            }
            b"persistence_timeout" => {
                let seconds = match child.arguments() {
                    [] => Some(u64::from(PERSISTENCE_TIMEOUT_DEFAULT)),
                    _ => reader.number(child, 1..=PERSISTENCE_TIMEOUT_MAX),
                };
                if let Some(seconds) = seconds {
                    vs.model.persistence_timeout =
                        Setting::written(Some(seconds as u32), LEVEL, header);
                }
            }
            b"persistence_granularity" => self.granularity(child, vs),
            b"persistence_engine" => {
                if let Some(span) = reader.argument(child, "a name") {
                    reader.ignored_after(child, 1);
                    if span.len > 16 {
                        self.no_effect(child, "keepalived cuts the name to 16 bytes");
                    }
                    if let Some(name) = self.reader.utf8(span) {
                        vs.model.persistence_engine =
                            Setting::written(Some(name.into()), LEVEL, header);
                    }
                }
            }
            b"smtp_alert" => {
                if let Some(is_on) = reader.boolean(child) {
                    vs.model.smtp_alert = Setting::written(is_on, LEVEL, header);
                }
            }
            b"virtualhost" => self.name(child, LEVEL, &mut vs.model.virtualhost),
            b"snmp_name" => self.snmp_name(child, LEVEL, &mut vs.model.snmp_name),
            b"sorry_server" => {
                if let Some(first) = reader.argument(child, "an address") {
                    let address = reader.address(first);
                    let port = reader.optional_port(child.arguments().get(1), Class::Silent);
                    reader.ignored_after(child, 2);
                    if let (Some(address), Some(port)) = (address, port) {
                        vs.sorry_server = Some((SocketAddr::new(address, port), header));
                        // Those before it were of another one.
                        vs.sorry_inhibit = false;
                        vs.sorry_method = None;
                    }
                    vs.has_sorry_server = true;
                }
            }
            b"sorry_server_inhibit" | b"sorry_server_lvs_method" => {
                if !vs.has_sorry_server {
                    self.no_effect(child, "this has no effect before a `sorry_server`");
                }
                if self.reader.bytes(child.keyword()) == b"sorry_server_lvs_method" {
                    // Without a sorry server keepalived does not look for the word.
                    let missing = match vs.sorry_server.is_some() {
                        true => Class::Parameter,
                        false => Class::General,
                    };
                    vs.sorry_method = self.method_as(child, missing).or(vs.sorry_method);
                } else {
                    self.reader.ignored_after(child, 0);
                    vs.sorry_inhibit |= vs.has_sorry_server;
                }
            }
            _ => drop(vs.settings.read(reader, child, LEVEL)),
        }
    }

    /// Warns of a keyword that keepalived reports and then does without.
    pub(super) fn no_effect(&mut self, child: Directive<'_>, message: &str) {
        let found = Diagnostic::new(Code::NoEffect, message).class(Class::General);
        self.reader.report(found.at(child.header(), ""));
    }

    fn read_protocol(&mut self, child: Directive<'_>) -> Option<Protocol> {
        let span = self.reader.argument(child, "`TCP`, `UDP` or `SCTP`")?;
        self.reader.ignored_after(child, 1);
        match self.reader.bytes(span).to_ascii_uppercase().as_slice() {
            b"TCP" => Some(Protocol::Tcp),
            b"UDP" => Some(Protocol::Udp),
            b"SCTP" => Some(Protocol::Sctp),
            _ => {
                self.reader.choice(span, &["TCP", "UDP", "SCTP"]);
                None
            }
        }
    }
}
