//! What a virtual server needs all of its block for: duplicates, defaults that keepalived fills in, quorum.

use std::net::SocketAddr;

use super::effective::{Family, ForwardingMethod, Level, Origin, Setting};
use super::lower::Lowering;
use super::model::{Protocol, RealServer, Service};
use super::virtual_server::{Draft, PERSISTENCE_TIMEOUT_DEFAULT};
use crate::conf::{Class, Code, Diagnostic, Span};
use crate::id::RealServerId;

impl Lowering<'_> {
    /// Removes the later ones of equal real servers, with their checkers. keepalived compares the ports that
    /// are written, before it fills in or replaces any.
    pub(super) fn remove_duplicates(&mut self, first_server: usize, vs: &mut Draft) {
        let servers = &self.fleet.real_servers[first_server..];
        let mut order: Vec<u32> = (0..servers.len() as u32).collect();
        // An address that could not be read is nobody's duplicate, but then nothing is probed anyway.
        let written = |place: u32| {
            let place = place as usize;
            (servers[place].address.ip(), vs.written_ports[place])
        };
        order.sort_unstable_by_key(|place| (written(*place), *place));
        let mut duplicates = Vec::new();
        let mut first = 0;
        for next in 1..order.len() {
            let (one, other) = (order[first] as usize, order[next] as usize);
            if written(order[first]) == written(order[next]) {
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
            if let Some(Some(server)) = vs.servers.get_mut(*place as usize) {
                server.address.set_port(*port);
            }
        }
        for (later, _) in &duplicates {
            if let Some(server) = vs.servers.get_mut(*later) {
                *server = None;
            }
        }
        if !duplicates.is_empty() {
            let is_kept = |place: usize| {
                duplicates.binary_search_by_key(&place, |(later, _)| *later).is_err()
            };
            let (mut headers, mut ports) = (0.., 0..);
            vs.headers.retain(|_| headers.next().is_none_or(is_kept));
            vs.written_ports.retain(|_| ports.next().is_none_or(is_kept));
            self.drop_servers(first_server, &duplicates);
        }
        self.check_destinations(first_server, vs);
    }

    /// Warns of real servers that are one destination of IPVS once their ports are what keepalived makes of
    /// them: with other ports written it takes both.
    fn check_destinations(&mut self, first_server: usize, vs: &Draft) {
        let servers = &self.fleet.real_servers[first_server..];
        let mut order: Vec<usize> = (0..servers.len()).collect();
        order.sort_unstable_by_key(|place| (servers[*place].address, *place));
        let mut found = Vec::new();
        for same in order.chunk_by(|one, other| servers[*one].address == servers[*other].address) {
            let [first, later @ ..] = same else { continue };
            if !servers[*first].address.ip().is_unspecified() {
                found.extend(later.iter().map(|later| (*later, *first)));
            }
        }
        found.sort_unstable();
        for (later, earlier) in found {
            let label = self.fleet.real_server_label(RealServerId((first_server + later) as u32));
            self.reader.report(
                Diagnostic::new(
                    Code::SameDestination,
                    format!("real server {label} is one destination with another one"),
                )
                .at(vs.headers[later], format!("this is {label} as well"))
                .also(vs.headers[earlier], "the first one"),
            );
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
        // Those of this block are the last, so that others need not be looked at again.
        let mut places = moved.iter();
        let kept = self.fleet.real_servers.split_off(first_server);
        let is_kept = |_: &RealServer| places.next().is_some_and(Option::is_some);
        self.fleet.real_servers.extend(kept.into_iter().filter(is_kept));
        let first = self
            .fleet
            .checkers
            .partition_point(|checker| checker.real_server.index() < first_server);
        for mut checker in self.fleet.checkers.split_off(first) {
            if let Some(index) = moved[checker.real_server.index() - first_server] {
                checker.real_server = RealServerId(index);
                self.fleet.checkers.push(checker);
            }
        }
    }

    /// A sorry server takes the place of the real servers, so it is of their family and on their port. Gives
    /// a port that is of no use if keepalived takes the group of the service.
    pub(super) fn check_sorry_server(
        &mut self,
        first_server: usize,
        vs: &mut Draft,
    ) -> Option<(u16, Span)> {
        let (address, span) = vs.sorry_server?;
        let method = vs.sorry_method();
        let family = Family::of(address.ip());
        if let Some((known, says)) = vs.family
            && known != family
            && !matches!(method, ForwardingMethod::Tun(_))
        {
            vs.sorry_server = None;
            self.reader.report(
                Diagnostic::new(
                    Code::FamilyMismatch,
                    format!("{family} sorry server in an {known} virtual server"),
                )
                .at(span, format!("this is {family}"))
                .also(says, format!("this says {known}")),
            );
            return None;
        }
        self.check_sorry_inhibit(first_server, address, span, vs);
        if method == ForwardingMethod::Nat || address.port() == 0 {
            return None;
        }
        match vs.service {
            Some(Service::Group(_)) => return Some((address.port(), span)),
            Some(Service::Address(service)) => {
                let port = service.port();
                if port != 0 && address.port() != port {
                    let message = format!("without NAT port {} cannot be reached", address.port());
                    self.reader.report(
                        Diagnostic::new(Code::PortNotTranslated, message)
                            .at(span, format!("keepalived takes port {port}"))
                            .also(vs.header, "the port of the virtual server"),
                    );
                }
            }
            Some(Service::Fwmark(_)) => {
                self.reader.report(sorry_port_not_translated(address.port(), span));
            }
            None => {}
        }
        None
    }

    /// A sorry server that is one of the real servers is inhibited as that is. Whether it is one, keepalived
    /// decides by the ports as they are written: none is another than that of the service.
    fn check_sorry_inhibit(
        &mut self,
        first_server: usize,
        address: SocketAddr,
        span: Span,
        vs: &mut Draft,
    ) {
        let servers = &self.fleet.real_servers[first_server..];
        let same = servers.iter().zip(&vs.written_ports).position(|(server, port)| {
            (server.address.ip(), *port) == (address.ip(), address.port())
        });
        let Some(place) = same else { return };
        let inhibits = servers[place].inhibit_on_failure;
        if inhibits == vs.sorry_inhibit {
            return;
        }
        vs.sorry_inhibit = inhibits;
        let then = match inhibits {
            true => "keepalived inhibits it here as well",
            false => "keepalived does not inhibit it here either",
        };
        let mut found = Diagnostic::new(
            Code::SorryInhibit,
            "the sorry server is a real server that is inhibited otherwise",
        )
        .at(span, then);
        if let Some(header) = vs.headers.get(place) {
            found = found.also(*header, "the real server decides");
        }
        self.reader.report(found);
    }

    /// Warns of what keepalived fills in or takes back.
    pub(super) fn check_service(&mut self, vs: &mut Draft) {
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
            vs.model.persistence_timeout = Setting {
                value: Some(PERSISTENCE_TIMEOUT_DEFAULT),
                origin: Origin::Adjusted(Level::VirtualServer, vs.header),
            };
        }
        if let (Some(_), None) =
            (&vs.model.persistence_granularity.value, vs.model.persistence_timeout.value)
        {
            let origin = vs.model.persistence_granularity.origin;
            let span = origin.span().unwrap_or(vs.header);
            vs.model.persistence_timeout = Setting {
                value: Some(PERSISTENCE_TIMEOUT_DEFAULT),
                origin: Origin::Adjusted(Level::VirtualServer, span),
            };
        }
        if let Some(ops) = vs.ops {
            let is_mark = matches!(vs.service, Some(Service::Fwmark(_)));
            let is_udp = matches!(vs.protocol, None | Some((Protocol::Udp, _)));
            if !is_mark && !is_udp {
                self.reader.report(
                    Diagnostic::new(Code::NoEffect, "`ops` needs `protocol UDP` or a mark")
                        .class(Class::General)
                        .at(ops, ""),
                );
                vs.model.ops = Setting::default();
            }
        }
    }

    pub(super) fn protocol(&mut self, vs: &mut Draft) -> Option<Protocol> {
        let protocol = self.effective_protocol(vs);
        vs.model.protocol = match vs.protocol {
            Some((written, span)) if protocol == Some(written) => {
                Setting::written(protocol, Level::VirtualServer, span)
            }
            _ => Setting::default_of(protocol),
        };
        protocol
    }

    fn effective_protocol(&mut self, vs: &Draft) -> Option<Protocol> {
        match (&vs.service, vs.protocol) {
            (Some(Service::Fwmark(_)), Some((_, span))) => {
                self.reader.report(
                    Diagnostic::new(Code::NoEffect, "a service by mark has no protocol")
                        .class(Class::General)
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
    pub(super) fn quorum(&mut self, first_server: usize, vs: &mut Draft) -> (u32, u32) {
        let servers: &[RealServer] = &self.fleet.real_servers[first_server..];
        let sum: u64 = servers.iter().map(|server| u64::from(server.weight)).sum();
        // With all weights 0 keepalived makes the quorum 0 and the hysteresis wraps; a quorum of 1 that
        // is never reached says what was meant.
        let quorum_max = u32::try_from(sum).unwrap_or(u32::MAX).max(1);
        let mut quorum = vs.quorum.map_or(1, |(quorum, _)| quorum);
        if sum > u64::from(u32::MAX) {
            let wrapped = sum as u32;
            // Only of a quorum that is more than what it has then keepalived says anything.
            let class = if wrapped < quorum { Class::General } else { Class::Silent };
            let message = format!("all real servers weigh {sum}, which is more than 32 bits hold");
            self.reader.report(
                Diagnostic::new(Code::WeightsWrap, message)
                    .class(class)
                    .at(vs.header, format!("keepalived takes {wrapped} for their weight")),
            );
        }
        if sum == 0 && !servers.is_empty() {
            let found = Diagnostic::new(Code::QuorumTooLarge, "no real server has a weight")
                .at(
                    vs.header,
                    "the quorum is never reached: it is down from the start, and stays down",
                )
                .help("give at least one real server a weight");
            self.reader.report(match vs.quorum {
                Some((_, span)) => found.also(span, "more than all of them weigh"),
                None => found,
            });
        }
        if let Some((written, span)) = vs.quorum
            && written > quorum_max
        {
            quorum = quorum_max;
            if sum > 0 && !vs.has_lost_server {
                self.reader.report(
                    Diagnostic::new(
                        Code::QuorumTooLarge,
                        format!("quorum {written} is more than all real servers weigh"),
                    )
                    .at(span, format!("reduced to {quorum}")),
                );
            }
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
        vs.model.quorum = settled(quorum, vs.quorum);
        vs.model.hysteresis = settled(hysteresis, vs.hysteresis);
        (quorum, hysteresis)
    }
}

/// A port of a sorry server that no packet is sent to.
pub(super) fn sorry_port_not_translated(port: u16, span: Span) -> Diagnostic {
    let message = format!("without NAT port {port} cannot be reached");
    Diagnostic::new(Code::PortNotTranslated, message)
        .at(span, "keepalived ignores the port where the service is a group or a mark")
}

/// What counts, and whether that is what was written.
fn settled(value: u32, written: Option<(u32, Span)>) -> Setting<u32> {
    let origin = match written {
        None => Origin::Default,
        Some((written, span)) if written == value => Origin::Written(Level::VirtualServer, span),
        Some((_, span)) => Origin::Adjusted(Level::VirtualServer, span),
    };
    Setting { value, origin }
}
