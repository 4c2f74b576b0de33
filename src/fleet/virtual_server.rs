//! `virtual_server`: its options first, wherever they stand, then its real servers, then what needs all
//! of them.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::group::GroupUse;
use super::lower::Lowering;
use super::model::{Protocol, RealServer, Service, VirtualServer};
use super::settings::{Settings, keep};
use crate::conf::blocks::BlockKind;
use crate::conf::{Code, Diagnostic, Directive, Span};
use crate::id::{RealServerId, VirtualServerId};

const SCHEDULERS: &[&str] = &[
    "dh", "fo", "lblc", "lblcr", "lc", "mh", "nq", "ovf", "rr", "sed", "sh", "twos", "wlc", "wrr",
];

/// Seconds: 31 days.
const PERSISTENCE_TIMEOUT_MAX: u64 = 2_678_400;

/// Real servers have a weight below 2^31.
pub(super) const WEIGHT_MAX: u64 = i32::MAX as u64;

/// IPv4 or IPv6.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum Family {
    V4,
    V6,
}

impl Family {
    pub(super) fn of(address: IpAddr) -> Family {
        if address.is_ipv4() { Family::V4 } else { Family::V6 }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Family::V4 => "IPv4",
            Family::V6 => "IPv6",
        })
    }
}

/// `lvs_method`.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum Method {
    Nat,
    Dr,
    Tun,
}

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
    protocol: Option<(Protocol, Span)>,
    /// Whether `protocol` is written, well or badly.
    has_protocol: bool,
    scheduler: Option<&'static str>,
    has_scheduler: bool,
    is_persistent: bool,
    ops: Option<Span>,
    quorum: Option<(u32, Span)>,
    hysteresis: Option<(u32, Span)>,
    sorry_server: bool,
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

    fn ip_family(&mut self, child: Directive<'_>, vs: &mut Draft) {
        let Some(span) = self.reader.argument(child, "`inet` or `inet6`") else { return };
        self.reader.ignored_after(child, 1);
        let family = match self.reader.choice(span, &["inet", "inet6"]) {
            Some("inet") => Family::V4,
            Some(_) => Family::V6,
            None => return,
        };
        match vs.family {
            Some((known, says)) if known != family => self.reader.report(
                Diagnostic::new(Code::FamilyMismatch, format!("the virtual server is {known}"))
                    .at(child.header(), format!("this says {family}"))
                    .also(says, format!("this says {known}")),
            ),
            Some(_) => {}
            None => vs.family = Some((family, child.header())),
        }
    }

    /// `NAT`, `DR` or `TUN [type ipip|gue port N|gre] [nocsum|csum|remcsum]`.
    pub(super) fn method(&mut self, child: Directive<'_>) -> Option<Method> {
        let span = self.reader.argument(child, "`NAT`, `DR` or `TUN`")?;
        let method = match self.reader.choice(span, &["NAT", "DR", "TUN"])? {
            "NAT" => Method::Nat,
            "DR" => Method::Dr,
            _ => Method::Tun,
        };
        if method != Method::Tun {
            self.reader.ignored_after(child, 1);
            return Some(method);
        }
        let mut kind = "ipip";
        let mut has_port = false;
        let mut words = child.arguments()[1..].iter();
        while let Some(word) = words.next() {
            let known = &["type", "port", "nocsum", "csum", "remcsum"];
            let problem = match self.reader.choice(*word, known) {
                Some("type") => match words.next() {
                    Some(word) => {
                        kind = self.reader.choice(*word, &["ipip", "gue", "gre"]).unwrap_or(kind);
                        None
                    }
                    None => Some("`type` needs `ipip`, `gue` or `gre`"),
                },
                Some("port") => match words.next() {
                    Some(word) => {
                        self.reader.port(*word);
                        has_port = true;
                        None
                    }
                    None => Some("`port` needs a number"),
                },
                Some("csum") if kind == "ipip" => Some("`csum` does not go with `ipip`"),
                Some("remcsum") if kind == "gre" => Some("`remcsum` does not go with `gre`"),
                _ => None,
            };
            if let Some(problem) = problem {
                self.reader.report(Diagnostic::new(Code::BadChoice, problem).at(*word, ""));
            }
        }
        if kind == "gue" && !has_port {
            self.reader.report(
                Diagnostic::new(Code::MissingArgument, "`gue` needs a `port`")
                    .at(child.header(), ""),
            );
        }
        Some(method)
    }

    fn scheduler(&mut self, child: Directive<'_>, vs: &mut Draft) {
        let Some(span) = self.reader.argument(child, "a scheduler") else { return };
        self.reader.ignored_after(child, 1);
        let word = self.reader.bytes(span);
        vs.scheduler = SCHEDULERS.iter().copied().find(|known| known.as_bytes() == word);
        if vs.scheduler.is_none() {
            let text = self.reader.text(span);
            let mut found = Diagnostic::new(
                Code::UnknownScheduler,
                format!("`{text}` is no scheduler that keepalived documents"),
            )
            .at(span, "");
            if let Some(nearest) = super::keywords::nearest(&text, SCHEDULERS.iter().copied()) {
                found = found.help(format!("did you mean `{nearest}`?"));
            }
            self.reader.report(found);
        }
    }

    fn scheduler_flag(&mut self, child: Directive<'_>, scheduler: &str, vs: &Draft) {
        self.reader.ignored_after(child, 0);
        if vs.scheduler != Some(scheduler) {
            let message = format!("this has no effect before `lvs_sched {scheduler}`");
            self.no_effect(child, &message);
        }
    }

    fn granularity(&mut self, child: Directive<'_>) {
        let Some(span) = self.reader.argument(child, "a mask") else { return };
        self.reader.ignored_after(child, 1);
        if self.reader.text(span).parse::<Ipv4Addr>().is_err() {
            self.reader.number_at(span, 1..=128);
        }
    }

    /// Removes the later ones of equal real servers, with their checkers.
    fn remove_duplicates(&mut self, first_server: usize, vs: &Draft) {
        let servers = &self.fleet.real_servers[first_server..];
        let mut order: Vec<u32> = (0..servers.len() as u32).collect();
        // An address that could not be read is nobody's duplicate, but then nothing is probed anyway.
        order.sort_unstable_by_key(|place| (servers[*place as usize].address, *place));
        let mut duplicates = Vec::new();
        let mut first = 0;
        for next in 1..order.len() {
            let (one, other) = (order[first] as usize, order[next] as usize);
            if servers[one].address == servers[other].address {
                if !servers[one].address.ip().is_unspecified() {
                    duplicates.push((other, one));
                }
            } else {
                first = next;
            }
        }
        duplicates.sort_unstable();
        for (later, earlier) in &duplicates {
            let label = RealServerId((first_server + later) as u32);
            let message =
                format!("real server {} is listed twice", self.fleet.real_server_label(label));
            self.reader.report(
                Diagnostic::new(Code::DuplicateRealServer, message)
                    .at(vs.headers[*later], "this one is ignored")
                    .also(vs.headers[*earlier], "first defined here"),
            );
        }
        for (place, port) in &vs.ports {
            self.fleet.real_servers[first_server + *place as usize].address.set_port(*port);
        }
        if !duplicates.is_empty() {
            self.drop_servers(first_server, &duplicates);
        }
    }

    fn drop_servers(&mut self, first_server: usize, duplicates: &[(usize, usize)]) {
        // New position of each real server of this block; `None` for one that goes.
        let servers = self.fleet.real_servers.len() - first_server;
        let mut moved: Vec<Option<u32>> = Vec::with_capacity(servers);
        let mut gone = duplicates.iter().map(|(later, _)| *later).peekable();
        let mut next = first_server as u32;
        for place in 0..servers {
            if gone.next_if_eq(&place).is_some() {
                moved.push(None);
            } else {
                moved.push(Some(next));
                next += 1;
            }
        }
        let mut place = 0;
        self.fleet.real_servers.retain(|_| {
            place += 1;
            place <= first_server || moved[place - 1 - first_server].is_some()
        });
        self.fleet.checkers.retain_mut(|checker| {
            let Some(place) = checker.real_server.index().checked_sub(first_server) else {
                return true;
            };
            match moved[place] {
                Some(index) => {
                    checker.real_server = RealServerId(index);
                    true
                }
                None => false,
            }
        });
    }

    /// Warns of what keepalived fills in or takes back.
    fn check_service(&mut self, vs: &Draft) {
        if vs.service.is_none() {
            return;
        }
        if !vs.has_scheduler {
            self.reader.report(
                Diagnostic::new(Code::NoScheduler, "virtual server without `lvs_sched`")
                    .at(vs.header, "keepalived takes `wlc`"),
            );
        }
        if let Some(server) = vs.without_method {
            self.reader.report(
                Diagnostic::new(
                    Code::NoMethod,
                    "real server without `lvs_method`, here or around it",
                )
                .at(server, "keepalived takes `NAT`"),
            );
        }
        if let Some(Service::Address(address)) = vs.service
            && address.port() == 0
            && !vs.is_persistent
        {
            self.reader.report(
                Diagnostic::new(
                    Code::NotPersistent,
                    "virtual server without a port or persistence",
                )
                .at(vs.header, "keepalived sets `persistence_timeout 360`"),
            );
        }
        if let Some(ops) = vs.ops {
            let is_mark = matches!(vs.service, Some(Service::Fwmark(_)));
            let is_udp = matches!(vs.protocol, None | Some((Protocol::Udp, _)));
            if !is_mark && !is_udp {
                self.reader.report(
                    Diagnostic::new(Code::NoEffect, "`ops` needs `protocol UDP` or a mark")
                        .at(ops, ""),
                );
            }
        }
    }

    fn protocol(&mut self, vs: &Draft) -> Option<Protocol> {
        match (&vs.service, vs.protocol) {
            (Some(Service::Fwmark(_)), Some((_, span))) => {
                self.reader.report(
                    Diagnostic::new(Code::NoEffect, "a service by mark has no protocol")
                        .at(span, "keepalived ignores it"),
                );
                None
            }
            (Some(Service::Address(_)), None) if !vs.has_protocol => {
                self.no_protocol(vs.header);
                Some(Protocol::Udp)
            }
            (_, protocol) => protocol.map(|(protocol, _)| protocol),
        }
    }

    /// Warns of a service without `protocol`.
    pub(super) fn no_protocol(&mut self, span: Span) {
        self.reader.report(
            Diagnostic::new(Code::NoProtocol, "virtual server without `protocol`")
                .at(span, "keepalived takes `UDP`"),
        );
    }

    /// Quorum and hysteresis as the weights allow them.
    fn quorum(&mut self, first_server: usize, vs: &Draft) -> (u32, u32) {
        let servers: &[RealServer] = &self.fleet.real_servers[first_server..];
        let sum: u64 = servers.iter().map(|server| u64::from(server.weight)).sum();
        // With all weights 0 keepalived makes the quorum 0 and the hysteresis wraps; a quorum of 1 that
        // is never reached says what was meant.
        let quorum_max = u32::try_from(sum).unwrap_or(u32::MAX).max(1);
        let mut quorum = vs.quorum.map_or(1, |(quorum, _)| quorum);
        if let Some((written, span)) = vs.quorum
            && written > quorum_max
        {
            quorum = quorum_max;
            self.reader.report(
                Diagnostic::new(
                    Code::QuorumTooLarge,
                    format!("quorum {written} is more than all real servers weigh"),
                )
                .at(span, format!("reduced to {quorum}")),
            );
        }
        let mut hysteresis = vs.hysteresis.map_or(0, |(hysteresis, _)| hysteresis);
        if let Some((written, span)) = vs.hysteresis
            && written >= quorum
            && written > 0
        {
            hysteresis = quorum - 1;
            self.reader.report(
                Diagnostic::new(
                    Code::HysteresisTooLarge,
                    format!("hysteresis {written} is not below the quorum of {quorum}"),
                )
                .at(span, format!("reduced to {hysteresis}")),
            );
        }
        (quorum, hysteresis)
    }
}
