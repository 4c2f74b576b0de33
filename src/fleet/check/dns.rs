//! `DNS_CHECK`: the question.

use std::str::FromStr;

use hickory_proto::rr::{Name, RecordType};

use crate::conf::blocks::BlockKind;
use crate::conf::{Class, Code, Diagnostic, Directive, Span};
use crate::fleet::checker::Common;
use crate::fleet::effective::{Check, DnsCheck, Level, Setting};
use crate::fleet::keywords::nearest;
use crate::fleet::lower::Lowering;

/// Bytes of a domain name as text, without the dot at its end: 255 on the wire.
const NAME_BYTES_MAX: usize = 253;

/// Bytes of a label.
const LABEL_BYTES_MAX: usize = 63;

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

/// Those that keepalived knows.
const KEEPALIVED_TYPES: &[&str] =
    &["A", "AAAA", "CNAME", "DNSKEY", "MX", "NS", "RRSIG", "SOA", "TXT"];

impl Lowering<'_> {
    /// Takes the block of a DNS_CHECK.
    pub(in crate::fleet) fn dns_check(
        &mut self,
        directive: Directive<'_>,
        common: &mut Common,
    ) -> Option<Check> {
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

    /// `name` and `type` of a DNS_CHECK.
    fn question(&mut self, child: Directive<'_>, check: &mut DnsCheck) {
        let is_name = self.reader.bytes(child.keyword()) == b"name";
        let wants = if is_name { "a domain name" } else { "a record type" };
        let Some(span) = self.reader.argument(child, wants) else { return };
        self.reader.ignored_after(child, 1);
        if !is_name {
            if let Some(record_type) = self.record_type(span) {
                check.record_type = Setting::written(record_type, Level::Checker, child.header());
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
            (None, Some(name)) => {
                check.name = Setting::written(name, Level::Checker, child.header())
            }
            (None, None) => {}
        }
    }

    fn record_type(&mut self, span: Span) -> Option<RecordType> {
        let written = self.reader.text(span).into_owned();
        let upper = written.to_ascii_uppercase();
        if upper == "IXFR" {
            // hickory prints this name but does not read it.
            self.unknown_there(Code::OwnExtension, "DNS type `IXFR`".to_owned(), span);
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
        } else if !KEEPALIVED_TYPES.contains(&&*upper) {
            let what = format!("DNS type `{upper}`");
            self.unknown_there(Code::OwnExtension, what, span);
        }
        record_type
    }

    /// A fully qualified name; a dot at the end makes no difference, nothing at all is the root.
    pub(in crate::fleet) fn domain_name(&mut self, span: Span) -> Option<Name> {
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
        // Bytes that are no letters of a name it sends as they are.
        let class = if name.is_ascii() { Class::General } else { Class::Silent };
        let found = Diagnostic::new(Code::BadDnsName, message).class(class);
        self.reader.report(found.at(span, problem));
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
