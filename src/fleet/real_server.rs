//! `real_server`: its options first, wherever they stand, then its checkers.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use super::effective::{self, Family, ForwardingMethod, Level, Setting};
use super::keywords::shape;
use super::lower::Lowering;
use super::model::{RealServer, Service};
use super::settings::Settings;
use super::value::Reader;
use super::virtual_server::{Draft, WEIGHT_MAX};
use crate::conf::blocks::BlockKind;
use crate::conf::{Class, Code, Diagnostic, Directive, Span};
use crate::id::RealServerId;

/// What a checker needs to know of its real server.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) id: RealServerId,
    /// Address and effective port, 0 where nothing gives one; `None` where it could not be read.
    pub(super) address: Option<SocketAddr>,
    pub(super) header: Span,
    /// The group that its service names.
    pub(super) group: Option<Arc<str>>,
    /// Those of the virtual server included.
    pub(super) settings: Settings,
    /// `delay_loop` of the virtual server.
    pub(super) service_delay_loop: Setting<Duration>,
    /// `virtualhost`, of the virtual server where it has none of its own.
    pub(super) virtualhost: Setting<Option<Arc<str>>>,
    /// Its checkers, where they are asked for.
    pub(super) checkers: Option<Vec<effective::Checker>>,
    /// A checker could not be read, which was reported.
    pub(super) is_doubtful: bool,
}

impl Lowering<'_> {
    /// Takes a `real_server` block.
    pub(super) fn real_server(&mut self, directive: Directive<'_>, vs: &mut Draft) {
        const LEVEL: Level = Level::RealServer;
        let header = directive.header();
        let written = if directive.is_doubtful() { None } else { self.server_address(directive) };
        let mut settings = Settings::default();
        let mut model = effective::RealServer::new(header, &vs.model);
        let mut has_method = vs.has_method;
        let mut is_doubtful = false;
        for child in directive.children() {
            is_doubtful |= child.is_doubtful();
            let keyword = self.reader.bytes(child.keyword());
            has_method |= keyword == b"lvs_method";
            if is_checker(keyword) {
                continue;
            }
            // What is not known may be a misspelled checker.
            is_doubtful |= shape(BlockKind::RealServer, keyword).is_none();
            if self.value(child, BlockKind::RealServer) {
                self.look_inside(child, BlockKind::RealServer);
                continue;
            }
            let header = child.header();
            let reader = &mut self.reader;
            match keyword {
                b"weight" => {
                    if let Some(weight) = reader.number(child, 0..=WEIGHT_MAX) {
                        model.weight = Setting::written(weight as u32, LEVEL, header);
                    } else if is_empty(reader, child) {
                        // As keepalived takes it, so that what follows from it is said.
                        model.weight = Setting::written(0, LEVEL, header);
                    }
                }
                b"inhibit_on_failure" => {
                    if let Some(is_on) = reader.boolean(child) {
                        model.inhibit_on_failure = Setting::written(is_on, LEVEL, header);
                    }
                }
                b"lvs_method" => {
                    if let Some(method) = self.method(child) {
                        model.method = Setting::written(method, LEVEL, header);
                    }
                }
                b"uthreshold" | b"lthreshold" => {
                    if let Some(limit) = reader.number(child, 0..=u64::from(u32::MAX)) {
                        let limit = Setting::written(limit as u32, LEVEL, header);
                        match keyword {
                            b"uthreshold" => model.thresholds.upper = limit,
                            _ => model.thresholds.lower = limit,
                        }
                    }
                }
                b"notify_up" => self.notify(child, LEVEL, &mut model.notify_up),
                b"notify_down" => self.notify(child, LEVEL, &mut model.notify_down),
                b"smtp_alert" => {
                    if let Some(is_on) = reader.boolean(child) {
                        model.smtp_alert = Setting::written(is_on, LEVEL, header);
                    }
                }
                b"virtualhost" => self.name(child, LEVEL, &mut model.virtualhost),
                b"snmp_name" => self.snmp_name(child, LEVEL, &mut model.snmp_name),
                _ => drop(settings.read(reader, child, LEVEL)),
            }
        }
        let method = model.method.value;
        if !has_method {
            vs.without_method.get_or_insert(header);
        }
        let is_of_family =
            written.is_none_or(|address| self.check_family(address.ip(), header, method, vs));
        let address = written.map(|address| match address.port() {
            0 => SocketAddr::new(address.ip(), vs.port()),
            _ => address,
        });
        if let Some(written) = written {
            self.check_port(written, header, method, vs);
        }
        let mut server = Server {
            id: RealServerId(self.fleet.real_servers.len() as u32),
            address,
            header,
            group: match &vs.service {
                Some(Service::Group(name)) => Some(Arc::clone(name)),
                _ => None,
            },
            settings: settings.over(&vs.settings),
            service_delay_loop: vs.settings.delay_loop(),
            virtualhost: match model.virtualhost.value {
                Some(_) => model.virtualhost.clone(),
                None => vs.model.virtualhost.clone(),
            },
            checkers: self.effective.is_some().then(Vec::new),
            is_doubtful,
        };
        vs.headers.push(header);
        vs.written_ports.push(written.map_or(0, |written| written.port()));
        self.fleet.real_servers.push(RealServer {
            virtual_server: vs.id,
            address: address.unwrap_or(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0)),
            weight: model.weight.value,
            inhibit_on_failure: model.inhibit_on_failure.value,
            line: directive.line(),
        });
        for child in directive.children() {
            let keyword = self.reader.bytes(child.keyword());
            if is_checker(keyword) {
                self.checker(child, &mut server);
            }
        }
        if let Some(checkers) = server.checkers {
            let address = address.filter(|_| is_of_family);
            vs.servers.push(address.map(|address| {
                model.address = address;
                model.written_port = written.map_or(0, |written| written.port());
                let settings = &server.settings;
                model.alpha = settings.alpha();
                model.delay_loop = settings.delay_loop();
                model.delay_before_retry = settings.delay_before_retry();
                model.retry = settings.retry();
                model.warmup = settings.warmup();
                model.connect_timeout = settings.connect_timeout();
                model.checkers = checkers;
                model.is_doubtful = server.is_doubtful;
                model
            }));
        }
    }

    fn server_address(&mut self, directive: Directive<'_>) -> Option<SocketAddr> {
        let first = self.reader.argument(directive, "an address")?;
        let address = self.reader.address(first);
        let port = self.reader.optional_port(directive.arguments().get(1), Class::Silent);
        self.reader.ignored_after(directive, 2);
        Some(SocketAddr::new(address?, port?))
    }

    /// Whether a real server has the family of its virtual server, as it must unless a tunnel leads to it.
    fn check_family(
        &mut self,
        address: IpAddr,
        header: Span,
        method: ForwardingMethod,
        vs: &mut Draft,
    ) -> bool {
        if matches!(method, ForwardingMethod::Tun(_)) {
            return true;
        }
        let family = Family::of(address);
        match vs.family {
            None => {
                vs.family = Some((family, header));
                true
            }
            Some((known, _)) if known == family => true,
            Some((known, says)) => {
                self.reader.report(
                    Diagnostic::new(
                        Code::FamilyMismatch,
                        format!("{family} real server in an {known} virtual server"),
                    )
                    .at(header, format!("this is {family}"))
                    .also(says, format!("this says {known}"))
                    .help("only servers with `lvs_method TUN` may differ"),
                );
                false
            }
        }
    }

    /// Without NAT a packet keeps its port, so keepalived sets the server's port to the service's.
    fn check_port(
        &mut self,
        written: SocketAddr,
        header: Span,
        method: ForwardingMethod,
        vs: &mut Draft,
    ) {
        let port = match vs.service {
            Some(Service::Address(address)) => address.port(),
            Some(Service::Fwmark(_)) => 0,
            Some(Service::Group(_)) => {
                return self.note_untranslated(written.port(), header, method, vs);
            }
            None => return,
        };
        let is_translated = method == ForwardingMethod::Nat;
        if is_translated || written.port() == 0 || written.port() == port {
            return;
        }
        if matches!(vs.service, Some(Service::Fwmark(_))) {
            if !std::mem::replace(&mut vs.has_cleared_port, true) {
                let message =
                    format!("without NAT a service by mark has no use for port {}", written.port());
                self.reader.report(
                    Diagnostic::new(Code::PortNotTranslated, message)
                        .at(header, "keepalived clears the port"),
                );
            }
        } else {
            let message = format!("without NAT port {} cannot be reached", written.port());
            self.reader.report(
                Diagnostic::new(Code::PortNotTranslated, message)
                    .at(header, format!("keepalived takes port {port}"))
                    .also(vs.header, "the port of the virtual server"),
            );
        }
        vs.ports.push((vs.headers.len() as u32, port));
    }

    /// Which ports a group has is known only when all groups are.
    fn note_untranslated(
        &mut self,
        port: u16,
        header: Span,
        method: ForwardingMethod,
        vs: &mut Draft,
    ) {
        if vs.untranslated.len() == UNTRANSLATED_KEPT {
            return;
        }
        let is_known = vs.untranslated.iter().any(|(known, _)| *known == port);
        if method != ForwardingMethod::Nat && port != 0 && !is_known {
            vs.untranslated.push((port, header));
        }
    }
}

/// Different ports that are kept to be compared with those of a group: where any is not the port of all of its
/// members, one of the first two is not, as those are not equal.
const UNTRANSLATED_KEPT: usize = 2;

/// Whether the value is nothing between two quotes.
fn is_empty(reader: &Reader<'_>, child: Directive<'_>) -> bool {
    child.arguments().first().is_some_and(|span| reader.bytes(*span).is_empty())
}

/// Whether a keyword looks like that of a checker, known or not.
fn is_checker(keyword: &[u8]) -> bool {
    keyword.ends_with(b"_CHECK") || keyword.ends_with(b"_GET")
}
