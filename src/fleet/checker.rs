//! `DNS_CHECK` and `TCP_CHECK`: connection options, timers, and what is asked.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use hickory_proto::rr::{Name, RecordType};

use super::forwarding::Family;
use super::keywords::nearest;
use super::lower::Lowering;
use super::model::{Checker, Connection, DnsSpec, ProbeSpec, TcpSpec};
use super::real_server::Server;
use super::settings::{Defaults, Settings, keep};
use crate::conf::blocks::BlockKind;
use crate::conf::{Code, Diagnostic, Directive, Span};

/// Bytes of an interface's name, IFNAMSIZ less its NUL.
const INTERFACE_BYTES_MAX: u16 = 15;

/// Bytes of a domain name as text, without the dot at its end: 255 on the wire.
const NAME_BYTES_MAX: usize = 253;

/// Bytes of a label.
const LABEL_BYTES_MAX: usize = 63;

const TCP_DEFAULTS: Defaults = Defaults { retry: 1, delay_before_retry: Some(1_000_000) };
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

/// What all network checkers share, while a block is read.
#[derive(Debug, Default)]
pub(super) struct Common {
    pub(super) settings: Settings,
    pub(super) connect_ip: Option<(IpAddr, Span)>,
    pub(super) connect_port: Option<u16>,
    pub(super) bindto: Option<(IpAddr, Span)>,
    pub(super) bind_port: Option<(u16, Span)>,
    pub(super) bind_if: Option<Span>,
    pub(super) fwmark: u32,
    /// Something about the target could not be read, so nothing more is said about it.
    pub(super) is_doubtful: bool,
}

/// What a DNS_CHECK asks, while its block is read.
#[derive(Debug, Default)]
struct Question {
    name: Option<(Name, Span)>,
    record_type: Option<RecordType>,
}

impl Lowering<'_> {
    /// Takes a checker that is probed.
    pub(super) fn checker(&mut self, directive: Directive<'_>, server: &Server) {
        let is_dns = self.reader.bytes(directive.keyword()) == b"DNS_CHECK";
        let block = if is_dns { BlockKind::DnsCheck } else { BlockKind::TcpCheck };
        if !directive.is_doubtful() {
            self.reader.ignored_after(directive, 0);
        }
        let mut common = Common::default();
        let mut question = Question::default();
        for child in directive.children() {
            common.is_doubtful |= child.is_doubtful();
            if self.value(child, block) {
                continue;
            }
            match self.reader.bytes(child.keyword()) {
                b"name" | b"type" => self.question(child, &mut question),
                _ => self.common_option(child, &mut common),
            }
        }
        let (Some(address), false) = (server.address, common.is_doubtful) else { return };
        let Some((target, connection)) = self.connection(directive, &common, address, server)
        else {
            return;
        };
        let defaults = if is_dns { DNS_DEFAULTS } else { TCP_DEFAULTS };
        let settings = common.settings.over(&server.settings);
        let timing = self.intern_timing(settings.timing(defaults));
        let connection = Connection { timeout: settings.timeout(), ..connection };
        let spec = self.intern_spec(if is_dns {
            ProbeSpec::Dns(DnsSpec {
                connection,
                name: question.name.map_or_else(Name::root, |(name, _)| name),
                record_type: question.record_type.unwrap_or(RecordType::SOA),
                require: self.options.dns_require,
            })
        } else {
            ProbeSpec::Tcp(TcpSpec { connection, handshake: self.options.handshake })
        });
        let line = directive.line();
        self.fleet.checkers.push(Checker { real_server: server.id, target, spec, timing, line });
    }

    /// Takes an option that all network checkers share.
    pub(super) fn common_option(&mut self, child: Directive<'_>, common: &mut Common) {
        let header = child.header();
        let keyword = self.reader.bytes(child.keyword());
        match keyword {
            b"connect_ip" | b"bindto" => {
                let address = self.reader.argument(child, "an address");
                self.reader.ignored_after(child, 1);
                let address = address.and_then(|span| self.reader.address(span));
                common.is_doubtful |= address.is_none();
                let place =
                    if keyword == b"bindto" { &mut common.bindto } else { &mut common.connect_ip };
                keep(place, address.map(|address| (address, header)));
            }
            b"connect_port" | b"bind_port" => {
                let port = self.reader.argument(child, "a port");
                self.reader.ignored_after(child, 1);
                let port = port.and_then(|span| self.reader.port(span));
                common.is_doubtful |= port.is_none();
                if keyword == b"bind_port" {
                    keep(&mut common.bind_port, port.map(|port| (port, header)));
                } else {
                    keep(&mut common.connect_port, port);
                }
            }
            b"bind_if" => {
                let name = self.reader.argument(child, "an interface");
                self.reader.ignored_after(child, 1);
                let name = name.filter(|span| self.is_interface(*span));
                common.is_doubtful |= name.is_none();
                keep(&mut common.bind_if, name);
            }
            b"fwmark" => {
                if let Some(mark) = self.reader.number(child, 0..=u64::from(u32::MAX)) {
                    common.fwmark = mark as u32;
                }
            }
            _ => drop(common.settings.read(&mut self.reader, child, 0)),
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
                    .at(span, format!("1 to {INTERFACE_BYTES_MAX} bytes, no `/`, `:` or blank")),
            );
            return false;
        }
        true
    }

    /// Target and connection options; `None` where they contradict each other, which is reported.
    fn connection(
        &mut self,
        directive: Directive<'_>,
        common: &Common,
        address: SocketAddr,
        server: &Server,
    ) -> Option<(SocketAddr, Connection)> {
        let target = SocketAddr::new(
            common.connect_ip.map_or(address.ip(), |(address, _)| address),
            common.connect_port.unwrap_or(address.port()),
        );
        let target_span = common.connect_ip.map_or(server.header, |(_, span)| span);
        let mut is_right = true;
        if target.port() == 0 {
            is_right = false;
            self.reader.report(
                Diagnostic::new(Code::NoPort, "nothing says which port to check")
                    .at(directive.keyword(), "this checker needs a port")
                    .also(server.header, "no port here")
                    .help("give the real server a port, or the checker a `connect_port`"),
            );
        }
        if let Some((bindto, span)) = common.bindto
            && bindto.is_ipv4() != target.is_ipv4()
        {
            is_right = false;
            let (source, family) = (Family::of(bindto), Family::of(target.ip()));
            self.reader.report(
                Diagnostic::new(
                    Code::FamilyMismatch,
                    format!("{source} `bindto` for an {family} target"),
                )
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
        if let (Some((_, span)), None) = (common.bind_port, common.bindto) {
            self.reader.report(
                Diagnostic::new(Code::NoEffect, "`bind_port` has no effect without `bindto`")
                    .at(span, ""),
            );
        }
        let bind_if = match common.bind_if {
            Some(span) => {
                let name = self.reader.utf8(span)?;
                Some(self.intern_interface(name))
            }
            None => None,
        };
        let connection = Connection {
            bindto: common.bindto.map(|(address, _)| address),
            bind_port: common.bindto.and(common.bind_port).map(|(port, _)| port),
            bind_if,
            fwmark: common.fwmark,
            ..Connection::default()
        };
        is_right.then_some((target, connection))
    }

    /// `name` and `type` of a DNS_CHECK.
    fn question(&mut self, child: Directive<'_>, question: &mut Question) {
        let is_name = self.reader.bytes(child.keyword()) == b"name";
        let wants = if is_name { "a domain name" } else { "a record type" };
        let Some(span) = self.reader.argument(child, wants) else { return };
        self.reader.ignored_after(child, 1);
        if !is_name {
            keep(&mut question.record_type, self.record_type(span));
            return;
        }
        let name = self.domain_name(span);
        match &question.name {
            Some((_, first)) => self.reader.report(
                Diagnostic::new(Code::NoEffect, "second `name` in one checker")
                    .at(child.header(), "this one is ignored")
                    .also(*first, "the one that counts"),
            ),
            None => question.name = name.map(|name| (name, child.header())),
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
