//! A checker: what all types share, and the questions of `DNS_CHECK`.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use hickory_proto::rr::{Name, RecordType};

use super::effective::{self, Check, DnsCheck, Family, Level, Network, Setting, TcpCheck};
use super::keywords::nearest;
use super::lower::Lowering;
use super::model::{Checker, DnsSpec, ProbeSpec, TcpSpec};
use super::real_server::Server;
use super::settings::{Defaults, Settings, keep, optional};
use crate::conf::blocks::{BlockKind, CHECKERS_READ};
use crate::conf::{Class, Code, Diagnostic, Directive, Severity, Span};
use crate::id::SpecId;

/// Bytes of an interface's name, IFNAMSIZ less its NUL.
const INTERFACE_BYTES_MAX: u16 = 15;

/// Bytes of a domain name as text, without the dot at its end: 255 on the wire.
const NAME_BYTES_MAX: usize = 253;

/// Bytes of a label.
const LABEL_BYTES_MAX: usize = 63;

const TCP_DEFAULTS: Defaults = Defaults { retry: 1, delay_before_retry: Some(1_000_000) };
const MISC_DEFAULTS: Defaults = Defaults { retry: 0, delay_before_retry: Some(1_000_000) };
const HTTP_DEFAULTS: Defaults = Defaults { retry: 1, delay_before_retry: Some(3_000_000) };
const DNS_DEFAULTS: Defaults = Defaults { retry: 3, delay_before_retry: None };

/// Record types by the names hickory reads.
const RECORD_TYPES: &[&str] = &[
    "A",
    "AAAA",
    "ANAME",
    "ANY",
    "AXFR",
    "CAA",
    "CDNSKEY",
    "CDS",
    "CERT",
    "CNAME",
    "CSYNC",
    "DNAME",
    "DNSKEY",
    "DS",
    "HINFO",
    "HTTPS",
    "IXFR",
    "KEY",
    "MX",
    "NAPTR",
    "NS",
    "NSEC",
    "NSEC3",
    "NSEC3PARAM",
    "NULL",
    "OPENPGPKEY",
    "PTR",
    "RRSIG",
    "SIG",
    "SMIMEA",
    "SOA",
    "SRV",
    "SSHFP",
    "SVCB",
    "TLSA",
    "TSIG",
    "TXT",
];

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
        let keyword = self.reader.bytes(directive.keyword());
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
                (self.check(directive, &mut common, server), defaults)
            }
            _ => {
                if !directive.is_doubtful() {
                    self.unknown(directive, BlockKind::RealServer);
                }
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

    fn dns_check(&mut self, directive: Directive<'_>, common: &mut Common) -> Option<Check> {
        self.begin_checker(directive);
        let mut check = DnsCheck {
            record_type: Setting::default_of(RecordType::SOA),
            name: Setting::default_of(Name::root()),
        };
        for child in directive.children() {
            common.is_doubtful |= child.is_doubtful();
            if self.value(child, BlockKind::DnsCheck) {
                continue;
            }
            match self.reader.bytes(child.keyword()) {
                b"name" | b"type" => self.question(child, &mut check),
                _ => self.common_option(child, common),
            }
        }
        Some(Check::Dns(check))
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
                let name = name.filter(|span| self.is_interface(*span));
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

    /// The kernel's rule for names of interfaces.
    fn is_interface(&mut self, span: Span) -> bool {
        let name = self.reader.bytes(span);
        let is_text = std::str::from_utf8(name).is_ok();
        let is_clean =
            !name.iter().any(|byte| matches!(byte, b'/' | b':') || byte.is_ascii_whitespace());
        let is_name = !name.is_empty() && is_text && is_clean && !matches!(name, b"." | b"..");
        if !is_name || span.len > INTERFACE_BYTES_MAX {
            let message = format!("`{}` is no name of an interface", self.reader.text(span));
            self.reader.report(
                Diagnostic::new(Code::BadInterface, message)
                    .class(if name.is_empty() { Class::Silent } else { Class::General })
                    .at(span, format!("1 to {INTERFACE_BYTES_MAX} bytes, no `/`, `:` or blank")),
            );
            return false;
        }
        true
    }

    /// Target and connection options; `None` where they contradict each other, which is reported.
    fn network(
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
            self.reader.report(
                Diagnostic::new(Code::NoPort, "nothing says which port to check")
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

    /// `name` and `type` of a DNS_CHECK.
    fn question(&mut self, child: Directive<'_>, check: &mut DnsCheck) {
        let is_name = self.reader.bytes(child.keyword()) == b"name";
        let wants = if is_name { "a domain name" } else { "a record type" };
        let Some(span) = self.reader.argument(child, wants) else { return };
        self.reader.ignored_after(child, 1);
        if !is_name {
            if let Some(record_type) = self.record_type(span) {
                check.record_type = Setting::written(record_type, LEVEL, child.header());
            }
            return;
        }
        let name = self.domain_name(span);
        match (check.name.origin.span(), name) {
            (Some(first), _) => self.reader.report(
                Diagnostic::new(Code::NoEffect, "second `name` in one checker")
                    .class(Class::General)
                    .at(child.header(), "this one is ignored")
                    .also(first, "the one that counts"),
            ),
            (None, Some(name)) => check.name = Setting::written(name, LEVEL, child.header()),
            (None, None) => {}
        }
    }

    fn record_type(&mut self, span: Span) -> Option<RecordType> {
        let written = self.reader.text(span).into_owned();
        let upper = written.to_ascii_uppercase();
        if upper == "IXFR" {
            // hickory prints this name but does not read it.
            return Some(RecordType::IXFR);
        }
        let record_type = RecordType::from_str(&upper).ok();
        if record_type.is_none() {
            let message = format!("`{written}` is no DNS record type");
            let mut found = Diagnostic::new(Code::UnknownDnsType, message).at(span, "");
            if let Some(nearest) = nearest(&upper, RECORD_TYPES.iter().copied()) {
                found = found.help(format!("did you mean `{nearest}`?"));
            }
            self.reader.report(found);
        }
        record_type
    }

    /// A fully qualified name; a dot at the end makes no difference, nothing at all is the root.
    pub(super) fn domain_name(&mut self, span: Span) -> Option<Name> {
        let text = self.reader.bytes(span);
        let name = text.strip_suffix(b".").unwrap_or(text);
        let problem = if name.is_empty() {
            return Some(Name::root());
        } else if !name.is_ascii() {
            "not ASCII: write its `xn--` form".to_owned()
        } else if name.len() > NAME_BYTES_MAX {
            format!("{} bytes, {NAME_BYTES_MAX} are the limit", name.len())
        } else if name.split(|byte| *byte == b'.').any(<[u8]>::is_empty) {
            "a label is empty".to_owned()
        } else if let Some(label) =
            name.split(|byte| *byte == b'.').find(|l| l.len() > LABEL_BYTES_MAX)
        {
            format!("a label has {} bytes, {LABEL_BYTES_MAX} are the limit", label.len())
        } else {
            match Name::from_labels(name.split(|byte| *byte == b'.')) {
                Ok(mut name) => {
                    name.set_fqdn(true);
                    return Some(name);
                }
                Err(error) => error.to_string(),
            }
        };
        let message = format!("`{}` is not a domain name", self.reader.text(span));
        self.reader.report(Diagnostic::new(Code::BadDnsName, message).at(span, problem));
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_suggested_type_is_one() {
        for name in RECORD_TYPES {
            assert!(*name == "IXFR" || RecordType::from_str(name).is_ok(), "{name}");
        }
    }
}
