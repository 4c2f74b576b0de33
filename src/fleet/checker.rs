//! A checker: what all types share.

use std::net::{IpAddr, SocketAddr};

use super::effective::{self, Check, Level, Network, Setting, TcpCheck};
use super::lower::Lowering;
use super::model::{Checker, DnsSpec, ProbeSpec, TcpSpec};
use super::real_server::Server;
use super::settings::{Defaults, Settings, keep};
use crate::conf::blocks::{BlockKind, CHECKERS_READ};
use crate::conf::{Class, Directive, Severity, Span};
use crate::id::SpecId;

const TCP_DEFAULTS: Defaults = Defaults { retry: 1, delay_before_retry: Some(1_000_000) };
const MISC_DEFAULTS: Defaults = Defaults { retry: 0, delay_before_retry: Some(1_000_000) };
const HTTP_DEFAULTS: Defaults = Defaults { retry: 1, delay_before_retry: Some(3_000_000) };
const DNS_DEFAULTS: Defaults = Defaults { retry: 3, delay_before_retry: None };

/// What checkers of all types share, while the block of one is read.
#[derive(Debug, Default)]
pub(super) struct Common {
    pub(super) settings: Settings,
    pub(super) connect_ip: Option<Setting<IpAddr>>,
    pub(super) connect_port: Option<Setting<u16>>,
    pub(super) bindto: Option<Setting<IpAddr>>,
    pub(super) bind_port: Option<Setting<u16>>,
    /// The name as it is written.
    pub(super) bind_if: Option<Setting<Span>>,
    pub(super) fwmark: Setting<u32>,
    pub(super) log_all_failures: Setting<bool>,
    /// Something could not be read without which nothing can be checked, so nothing more is said about it.
    pub(super) is_doubtful: bool,
}

const LEVEL: Level = Level::Checker;

impl Lowering<'_> {
    /// Takes a checker of any type.
    pub(super) fn checker(&mut self, directive: Directive<'_>, server: &mut Server) {
        self.checker_called(self.reader.bytes(directive.keyword()), directive, server);
    }

    /// The same with its keyword, which may be another than the one that is written.
    pub(super) fn checker_called(
        &mut self,
        keyword: &[u8],
        directive: Directive<'_>,
        server: &mut Server,
    ) {
        let errors = self.reader.diagnostics.count(Severity::Error);
        let mut common = Common::default();
        let mut script = None;
        let (check, defaults) = match keyword {
            b"TCP_CHECK" => (self.tcp_check(directive, &mut common), Some(TCP_DEFAULTS)),
            b"DNS_CHECK" => (self.dns_check(directive, &mut common), Some(DNS_DEFAULTS)),
            b"MISC_CHECK" => {
                script = self.misc_check(directive, &mut common, server);
                let check = script.as_ref().map(|(check, _)| Check::Misc(check.clone()));
                (check, Some(MISC_DEFAULTS))
            }
            _ if CHECKERS_READ.iter().any(|known| known.as_bytes() == keyword) => {
                let defaults = match keyword {
                    b"FILE_CHECK" | b"BFD_CHECK" => None,
                    b"HTTP_GET" | b"SSL_GET" => Some(HTTP_DEFAULTS),
                    _ => Some(TCP_DEFAULTS),
                };
                self.skip(directive);
                (self.check(keyword, directive, &mut common, server), defaults)
            }
            _ => {
                if !directive.is_doubtful() {
                    self.unknown(directive, BlockKind::RealServer);
                }
                self.look_inside(directive, BlockKind::RealServer);
                server.is_doubtful = true;
                return;
            }
        };
        let has_errors = errors < self.reader.diagnostics.count(Severity::Error);
        server.is_doubtful |= has_errors;
        let (Some(address), Some(check), false) = (server.address, check, common.is_doubtful)
        else {
            return;
        };
        let network = if check.has_network() {
            let Some(network) = self.network(directive, &common, address, server, &check) else {
                server.is_doubtful = true;
                return;
            };
            Some(network)
        } else {
            None
        };
        let settings = common.settings.over(&server.settings);
        match (script, defaults) {
            (Some((_, key)), Some(_)) if !self.options.no_scripts => {
                let (key, first) = *key;
                let spec = self.intern_script(key, first);
                self.probe(directive, server, address, spec, &settings, MISC_DEFAULTS);
            }
            (None, Some(defaults)) => {
                if let Some(spec) = self.probe_spec(&check, network.as_ref()) {
                    let target = network.as_ref().map_or(address, |network| network.target);
                    let spec = self.intern_spec(spec);
                    self.probe(directive, server, target, spec, &settings, defaults);
                }
            }
            (Some(_), _) => self.skip(directive),
            (None, None) => {}
        }
        if let Some(checkers) = &mut server.checkers {
            checkers.push(effective::Checker {
                header: directive.keyword(),
                timers: defaults.map(|defaults| settings.timers(defaults)),
                // What a file says is known at once.
                alpha: match check {
                    Check::File(_) => Setting::default(),
                    _ => settings.alpha(),
                },
                log_all_failures: common.log_all_failures,
                network,
                check,
            });
        }
    }

    /// Adds a checker that is probed.
    fn probe(
        &mut self,
        directive: Directive<'_>,
        server: &Server,
        target: SocketAddr,
        spec: SpecId,
        settings: &Settings,
        defaults: Defaults,
    ) {
        let timing = self.intern_timing(settings.timing(defaults));
        let line = directive.line();
        self.fleet.checkers.push(Checker { real_server: server.id, target, spec, timing, line });
    }

    /// How to probe; `None` for what is not probed yet.
    fn probe_spec(&self, check: &Check, network: Option<&Network>) -> Option<ProbeSpec> {
        let connection = network?.connection();
        match check {
            Check::Tcp(_) => {
                Some(ProbeSpec::Tcp(TcpSpec { connection, handshake: self.options.handshake }))
            }
            Check::Dns(check) => Some(ProbeSpec::Dns(DnsSpec {
                connection,
                name: check.name.value.clone(),
                record_type: check.record_type.value,
                require: self.options.dns_require,
            })),
            _ => None,
        }
    }

    fn tcp_check(&mut self, directive: Directive<'_>, common: &mut Common) -> Option<Check> {
        self.begin_checker(directive);
        for child in directive.children() {
            common.is_doubtful |= child.is_doubtful();
            if !self.value(child, BlockKind::TcpCheck) {
                self.common_option(child, common);
            }
        }
        Some(Check::Tcp(TcpCheck {}))
    }

    /// Nothing stands between the keyword of a checker and its block.
    pub(super) fn begin_checker(&mut self, directive: Directive<'_>) {
        if !directive.is_doubtful() {
            self.reader.ignored_after(directive, 0);
        }
    }

    /// Takes a keyword that checkers of several types share.
    pub(super) fn common_option(&mut self, child: Directive<'_>, common: &mut Common) {
        let header = child.header();
        let keyword = self.reader.bytes(child.keyword());
        match keyword {
            b"connect_ip" | b"bindto" => {
                let address = self.reader.argument(child, "an address");
                self.reader.ignored_after(child, 1);
                let address = address.and_then(|span| self.reader.address(span));
                let address = address.map(|address| Setting::written(address, LEVEL, header));
                if keyword == b"bindto" {
                    keep(&mut common.bindto, address);
                } else {
                    // Whom to ask is not known now; what keepalived does then can never fail.
                    common.is_doubtful |= address.is_none();
                    keep(&mut common.connect_ip, address);
                }
            }
            b"connect_port" | b"bind_port" => {
                let port = self.reader.argument(child, "a port");
                self.reader.ignored_after(child, 1);
                let port = port.and_then(|span| self.reader.port(span));
                let port = port.map(|port| Setting::written(port, LEVEL, header));
                if keyword == b"bind_port" {
                    keep(&mut common.bind_port, port);
                } else {
                    keep(&mut common.connect_port, port);
                }
            }
            b"bind_if" => {
                let name = self.reader.argument(child, "an interface");
                self.reader.ignored_after(child, 1);
                let name =
                    name.filter(|span| self.reader.interface(*span, Class::General).is_some());
                keep(&mut common.bind_if, name.map(|span| Setting::written(span, LEVEL, header)));
            }
            b"fwmark" => {
                if let Some(mark) = self.reader.number(child, 0..=u64::from(u32::MAX)) {
                    common.fwmark = Setting::written(mark as u32, LEVEL, header);
                }
            }
            b"log_all_failures" => {
                if let Some(is_on) = self.reader.boolean(child) {
                    common.log_all_failures = Setting::written(is_on, LEVEL, header);
                }
            }
            _ => drop(common.settings.read(&mut self.reader, child, LEVEL)),
        }
    }
}
