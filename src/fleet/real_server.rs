//! `real_server`: its options first, wherever they stand, then its checkers.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use super::checker::Common;
use super::effective::Setting;
use super::forwarding::{Family, Method};
use super::lower::Lowering;
use super::model::{RealServer, Service};
use super::settings::Settings;
use super::virtual_server::{Draft, WEIGHT_MAX};
use crate::conf::blocks::{BlockKind, CHECKERS_READ};
use crate::conf::{Code, Diagnostic, Directive, Span};
use crate::id::RealServerId;

/// What a checker needs to know of its real server.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) id: RealServerId,
    /// Address and effective port, 0 where nothing gives one; `None` where it could not be read.
    pub(super) address: Option<SocketAddr>,
    pub(super) header: Span,
    /// Those of the virtual server included.
    pub(super) settings: Settings,
    /// `delay_loop` of the virtual server.
    pub(super) service_delay_loop: Duration,
    /// Of the real server, else of the virtual server.
    pub(super) virtualhost: Setting<Option<Arc<str>>>,
}

impl Lowering<'_> {
    /// Takes a `real_server` block.
    pub(super) fn real_server(&mut self, directive: Directive<'_>, vs: &mut Draft) {
        let header = directive.header();
        let written = if directive.is_doubtful() { None } else { self.server_address(directive) };
        let mut settings = Settings::default();
        let mut weight = vs.weight;
        let mut inhibit_on_failure = vs.inhibit_on_failure;
        let mut method = vs.method;
        let mut has_method = vs.has_method;
        let is_checker = |block: &[u8]| block.ends_with(b"_CHECK") || block.ends_with(b"_GET");
        for child in directive.children() {
            let keyword = self.reader.bytes(child.keyword());
            has_method |= keyword == b"lvs_method";
            if is_checker(keyword) || self.value(child, BlockKind::RealServer) {
                continue;
            }
            match keyword {
                b"weight" => {
                    if let Some(number) = self.reader.number(child, 0..=WEIGHT_MAX) {
                        weight = number as u32;
                    }
                }
                b"inhibit_on_failure" => {
                    inhibit_on_failure = self.reader.boolean(child).unwrap_or(inhibit_on_failure);
                }
                b"lvs_method" => method = self.method(child).or(method),
                _ => drop(settings.read(&mut self.reader, child, 1)),
            }
        }
        if !has_method {
            vs.without_method.get_or_insert(header);
        }
        if let Some(address) = written {
            self.check_family(address.ip(), header, method, vs);
        }
        let address = written.map(|address| match address.port() {
            0 => SocketAddr::new(address.ip(), vs.port()),
            _ => address,
        });
        if let Some(written) = written {
            self.check_port(written, header, method, vs);
        }
        let server = Server {
            id: RealServerId(self.fleet.real_servers.len() as u32),
            address,
            header,
            settings: settings.over(&vs.settings),
            service_delay_loop: vs.settings.delay_loop(),
            virtualhost: Setting::default(),
        };
        vs.headers.push(header);
        self.fleet.real_servers.push(RealServer {
            virtual_server: vs.id,
            address: address.unwrap_or(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0)),
            weight,
            inhibit_on_failure,
            line: directive.line(),
        });
        for child in directive.children() {
            let keyword = self.reader.bytes(child.keyword());
            match keyword {
                b"DNS_CHECK" | b"TCP_CHECK" => self.checker(child, &server),
                b"MISC_CHECK" if self.options.no_scripts => self.skip(child),
                b"MISC_CHECK" => self.script(child, &server),
                _ if CHECKERS_READ.iter().any(|known| known.as_bytes() == keyword) => {
                    drop(self.check(child, &mut Common::default(), &server));
                    self.skip(child)
                }
                _ if is_checker(keyword) && !child.is_doubtful() => {
                    self.unknown(child, BlockKind::RealServer);
                }
                _ => {}
            }
        }
    }

    fn server_address(&mut self, directive: Directive<'_>) -> Option<SocketAddr> {
        let first = self.reader.argument(directive, "an address")?;
        let address = self.reader.address(first);
        let port = self.reader.optional_port(directive.arguments().get(1));
        self.reader.ignored_after(directive, 2);
        Some(SocketAddr::new(address?, port?))
    }

    /// A real server has the family of its virtual server, unless a tunnel leads to it.
    fn check_family(
        &mut self,
        address: IpAddr,
        header: Span,
        method: Option<Method>,
        vs: &mut Draft,
    ) {
        if method == Some(Method::Tun) {
            return;
        }
        let family = Family::of(address);
        match vs.family {
            None => vs.family = Some((family, header)),
            Some((known, _)) if known == family => {}
            Some((known, says)) => self.reader.report(
                Diagnostic::new(
                    Code::FamilyMismatch,
                    format!("{family} real server in an {known} virtual server"),
                )
                .at(header, format!("this is {family}"))
                .also(says, format!("this says {known}"))
                .help("only servers with `lvs_method TUN` may differ"),
            ),
        }
    }

    /// Without NAT a packet keeps its port, so keepalived sets the server's port to the service's.
    fn check_port(
        &mut self,
        written: SocketAddr,
        header: Span,
        method: Option<Method>,
        vs: &mut Draft,
    ) {
        let port = match vs.service {
            Some(Service::Address(address)) => address.port(),
            Some(Service::Fwmark(_)) => 0,
            _ => return,
        };
        let is_translated = matches!(method, None | Some(Method::Nat));
        if is_translated || written.port() == 0 || written.port() == port {
            return;
        }
        // A service by mark has no port of its own to differ from.
        if matches!(vs.service, Some(Service::Address(_))) {
            let message = format!("without NAT port {} cannot be reached", written.port());
            self.reader.report(
                Diagnostic::new(Code::PortNotTranslated, message)
                    .at(header, format!("keepalived takes port {port}"))
                    .also(vs.header, "the port of the virtual server"),
            );
        }
        vs.ports.push((vs.headers.len() as u32, port));
    }
}
