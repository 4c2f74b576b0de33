//! Whom a checker contacts, and from where.

use std::net::{IpAddr, SocketAddr};

use super::checker::Common;
use super::effective::{Check, Family, Network, Setting};
use super::lower::Lowering;
use super::real_server::Server;
use super::settings::optional;
use crate::conf::{Class, Code, Diagnostic, Directive};

impl Lowering<'_> {
    /// Target and connection options; `None` where they contradict each other, which is reported.
    pub(super) fn network(
        &mut self,
        directive: Directive<'_>,
        common: &Common,
        address: SocketAddr,
        server: &Server,
        check: &Check,
    ) -> Option<Network> {
        let connect_ip = common.connect_ip.unwrap_or(Setting::default_of(address.ip()));
        let connect_port = common.connect_port.unwrap_or(Setting::default_of(address.port()));
        let target = SocketAddr::new(connect_ip.value, connect_port.value);
        let target_span = connect_ip.origin.span().unwrap_or(server.header);
        let mut is_right = true;
        if target.port() == 0 && !matches!(check, Check::Ping(_)) {
            is_right = false;
            let message = match &server.group {
                Some(name) => format!(
                    "neither checker nor real server says which port to check, and those of group \
                     `{name}` are not taken"
                ),
                None => "nothing says which port to check".to_owned(),
            };
            self.reader.report(
                Diagnostic::new(Code::NoPort, message)
                    .at(directive.keyword(), "this checker needs a port")
                    .also(server.header, "no port here")
                    .help("give the real server a port, or the checker a `connect_port`"),
            );
        }
        if let Some(bindto) = common.bindto
            && bindto.value.is_ipv4() != target.is_ipv4()
        {
            is_right = false;
            let (source, family) = (Family::of(bindto.value), Family::of(target.ip()));
            let span = bindto.origin.span().unwrap_or(directive.keyword());
            self.reader.report(
                Diagnostic::new(
                    Code::FamilyMismatch,
                    format!("{source} `bindto` for an {family} target"),
                )
                // keepalived's SMTP_CHECK compares it with a `connect_ip` only.
                .class(match (check, connect_ip.origin.is_written()) {
                    (Check::Smtp(_), false) => Class::Silent,
                    _ => Class::General,
                })
                .at(span, format!("this is {source}"))
                .also(target_span, format!("this is {family}")),
            );
        }
        if let IpAddr::V6(target) = target.ip()
            && target.is_unicast_link_local()
            && common.bind_if.is_none()
        {
            is_right = false;
            self.reader.report(
                Diagnostic::new(
                    Code::LinkLocal,
                    format!("link-local target {target} needs an interface"),
                )
                .at(directive.keyword(), "this checker has no `bind_if`")
                .also(target_span, "the target"),
            );
        }
        if let (Some(bind_port), None) = (common.bind_port, common.bindto)
            && let Some(span) = bind_port.origin.span()
        {
            self.reader.report(
                Diagnostic::new(Code::NoEffect, "`bind_port` has no effect without `bindto`")
                    .at(span, ""),
            );
        }
        let bind_if = match common.bind_if {
            Some(name) => {
                let text = self.reader.utf8(name.value)?;
                let text = self.intern_interface(text);
                name.map(|_| Some(text))
            }
            None => Setting::default(),
        };
        let bind_port = common.bindto.and(common.bind_port);
        let network = Network {
            target,
            connect_ip,
            connect_port,
            bindto: optional(common.bindto),
            bind_port: optional(bind_port),
            bind_if,
            fwmark: common.fwmark,
            connect_timeout: common.settings.over(&server.settings).connect_timeout(),
        };
        is_right.then_some(network)
    }
}
