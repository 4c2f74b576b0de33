//! `virtual_server`: its options first, wherever they stand, then its real servers, then what needs all
//! of them.

use std::net::SocketAddr;

use super::forwarding::{Family, Method};
use super::group::GroupUse;
use super::lower::Lowering;
use super::model::{Protocol, Service, VirtualServer};
use super::settings::{Settings, keep};
use crate::conf::blocks::BlockKind;
use crate::conf::{Code, Diagnostic, Directive, Span};
use crate::id::VirtualServerId;

/// Seconds: 31 days.
const PERSISTENCE_TIMEOUT_MAX: u64 = 2_678_400;

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
    pub(super) weight: u32,
    pub(super) inhibit_on_failure: bool,
    pub(super) method: Option<Method>,
    /// Whether `lvs_method` is written, well or badly.
    pub(super) has_method: bool,
    /// First real server for which nothing gives a method.
    pub(super) without_method: Option<Span>,
    pub(super) protocol: Option<(Protocol, Span)>,
    /// Whether `protocol` is written, well or badly.
    pub(super) has_protocol: bool,
    pub(super) scheduler: Option<&'static str>,
    pub(super) has_scheduler: bool,
    pub(super) is_persistent: bool,
    pub(super) ops: Option<Span>,
    pub(super) quorum: Option<(u32, Span)>,
    pub(super) hysteresis: Option<(u32, Span)>,
    pub(super) sorry_server: bool,
    /// Headers of its real servers, in the order of `Fleet::real_servers`.
    pub(super) headers: Vec<Span>,
    /// Real servers whose port keepalived replaces, and by what; positions among `headers`.
    pub(super) ports: Vec<(u32, u16)>,
}

impl Draft {
    /// The port of the service; 0 where it has none.
    pub(super) fn port(&self) -> u16 {
        match self.service {
            Some(Service::Address(address)) => address.port(),
            _ => 0,
        }
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
        let mut vs = Draft {
            id: VirtualServerId(self.fleet.virtual_servers.len() as u32),
            service,
            header: directive.header(),
            family,
            settings: Settings::default(),
            weight: 1,
            inhibit_on_failure: false,
            method: None,
            has_method: false,
            without_method: None,
            protocol: None,
            has_protocol: false,
            scheduler: None,
            has_scheduler: false,
            is_persistent: false,
            ops: None,
            quorum: None,
            hysteresis: None,
            sorry_server: false,
            headers: Vec::new(),
            ports: Vec::new(),
        };
        let is_server = |reader: &super::value::Reader<'_>, child: &Directive<'_>| {
            reader.bytes(child.keyword()) == b"real_server"
        };
        let mut servers = 0u32;
        for child in directive.children() {
            if is_server(&self.reader, &child) {
                servers += 1;
                continue;
            }
            match self.reader.bytes(child.keyword()) {
                b"protocol" => vs.has_protocol = true,
                b"lvs_method" | b"lb_kind" => vs.has_method = true,
                b"lvs_sched" | b"lb_algo" => vs.has_scheduler = true,
                b"persistence_timeout" | b"persistence_granularity" => vs.is_persistent = true,
                _ => {}
            }
            if !self.value(child, BlockKind::VirtualServer) {
                self.option(child, &mut vs);
            }
        }
        let first_server = self.fleet.real_servers.len();
        for child in directive.children() {
            if is_server(&self.reader, &child) {
                self.real_server(child, &mut vs);
            }
        }
        self.remove_duplicates(first_server, &vs);
        let is_kept = self.fleet.real_servers.len() > first_server;
        if servers == 0 && vs.service.is_some() {
            self.reader.report(
                Diagnostic::new(Code::NoRealServer, "virtual server without a real server")
                    .at(vs.header, "keepalived ignores it"),
            );
        }
        if let Some(Service::Group(name)) = &vs.service {
            self.group_uses.push(GroupUse {
                name: name.clone(),
                span: directive.arguments()[1],
                virtual_server: is_kept.then_some(vs.id),
                family: vs.family,
                has_protocol: vs.has_protocol,
            });
        }
        if is_kept {
            self.check_service(&vs);
            let (quorum, hysteresis) = self.quorum(first_server, &vs);
            let protocol = self.protocol(&vs);
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
    }

    /// `ADDR [PORT]`, `fwmark N` or `group NAME`.
    fn service(&mut self, directive: Directive<'_>) -> Option<Service> {
        let first = self.reader.argument(directive, "an address, `fwmark N` or `group NAME`")?;
        let kind = self.reader.bytes(first);
        if matches!(kind, b"fwmark" | b"group") {
            let Some(second) = directive.arguments().get(1).copied() else {
                let message = format!("`{}` needs a value", self.reader.text(first));
                self.reader.report(
                    Diagnostic::new(Code::MissingArgument, message).at(first, "nothing follows"),
                );
                return None;
            };
            self.reader.ignored_after(directive, 2);
            if kind == b"group" {
                return Some(Service::Group(self.reader.utf8(second)?.into()));
            }
            let mark = self.reader.number_at(second, 0..=u64::from(u32::MAX))?;
            return Some(Service::Fwmark(mark as u32));
        }
        let address = self.reader.address(first);
        let port = self.reader.optional_port(directive.arguments().get(1));
        self.reader.ignored_after(directive, 2);
        Some(Service::Address(SocketAddr::new(address?, port?)))
    }

    fn option(&mut self, child: Directive<'_>, vs: &mut Draft) {
        let reader = &mut self.reader;
        let header = child.header();
        match reader.bytes(child.keyword()) {
            // A flag here, unlike in the blocks inside.
            b"alpha" => {
                vs.settings.alpha = Some(true);
                reader.ignored_after(child, 0);
            }
            b"inhibit_on_failure" => {
                vs.inhibit_on_failure = true;
                reader.ignored_after(child, 0);
            }
            b"weight" => {
                if let Some(weight) = reader.number(child, 1..=WEIGHT_MAX) {
                    vs.weight = weight as u32;
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
            b"protocol" => {
                let protocol = self.read_protocol(child);
                keep(&mut vs.protocol, protocol.map(|protocol| (protocol, header)));
            }
            b"ip_family" => self.ip_family(child, vs),
            b"lvs_method" | b"lb_kind" => {
                let method = self.method(child);
                keep(&mut vs.method, method);
            }
            b"lvs_sched" | b"lb_algo" => self.scheduler(child, vs),
            b"sh-port" | b"sh-fallback" => self.scheduler_flag(child, "sh", vs),
            b"mh-port" | b"mh-fallback" => self.scheduler_flag(child, "mh", vs),
            b"hashed" => self.no_effect(child, "keepalived reports `hashed` and ignores it"),
            b"ops" => {
                vs.ops = Some(header);
                reader.ignored_after(child, 0);
            }
            b"ha_suspend" => {
                reader.ignored_after(child, 0);
                if matches!(vs.service, Some(Service::Fwmark(_))) {
                    self.no_effect(child, "`ha_suspend` needs a service with an address");
                }
            }
            b"persistence_timeout" => {
                if !child.arguments().is_empty() {
                    reader.number(child, 1..=PERSISTENCE_TIMEOUT_MAX);
                }
            }
            b"persistence_granularity" => self.granularity(child),
            b"persistence_engine" => {
                if let Some(span) = reader.argument(child, "a name") {
                    reader.ignored_after(child, 1);
                    if span.len > 16 {
                        self.no_effect(child, "keepalived cuts the name to 16 bytes");
                    }
                }
            }
            b"sorry_server" => {
                vs.sorry_server = true;
                if let Some(address) = reader.argument(child, "an address") {
                    reader.address(address);
                    reader.optional_port(child.arguments().get(1));
                    reader.ignored_after(child, 2);
                }
            }
            b"sorry_server_inhibit" | b"sorry_server_lvs_method" => {
                if reader.bytes(child.keyword()) == b"sorry_server_lvs_method" {
                    self.method(child);
                } else {
                    reader.ignored_after(child, 0);
                }
                if !vs.sorry_server {
                    self.no_effect(child, "this has no effect before a `sorry_server`");
                }
            }
            _ => drop(vs.settings.read(reader, child, 1)),
        }
    }

    /// Warns of a keyword that keepalived reports and then does without.
    pub(super) fn no_effect(&mut self, child: Directive<'_>, message: &str) {
        self.reader.report(Diagnostic::new(Code::NoEffect, message).at(child.header(), ""));
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
