//! `TLS_CHECK`, which keepalived does not have: a handshake and the certificate.

use std::net::IpAddr;

use crate::conf::blocks::BlockKind;
use crate::conf::{Code, Diagnostic, Directive};
use crate::fleet::checker::Common;
use crate::fleet::effective::{Level, Setting, TlsCheck};
use crate::fleet::lower::Lowering;
use crate::fleet::real_server::Server;

/// Ten years, longer than any certificate that is worth watching.
const MIN_DAYS_MAX: u64 = 3650;

impl Lowering<'_> {
    /// Takes the block of a TLS_CHECK.
    pub(in crate::fleet) fn tls_check(
        &mut self,
        directive: Directive<'_>,
        common: &mut Common,
        _server: &Server,
    ) -> Option<TlsCheck> {
        self.check_header(directive);
        self.unknown_there(Code::OwnExtension, "TLS_CHECK".to_owned(), directive.keyword());
        let mut check = TlsCheck {
            name: Setting::default(),
            verify: Setting::default(),
            ca: Setting::default(),
            min_days: Setting::default(),
        };
        let (mut has_verify, mut has_name) = (false, false);
        for child in directive.children() {
            common.is_doubtful |= child.is_doubtful();
            if self.value(child, BlockKind::TlsCheck) {
                continue;
            }
            match self.reader.bytes(child.keyword()) {
                b"tls_name" => {
                    has_name = true;
                    self.tls_name(child, &mut check);
                }
                b"tls_verify" => {
                    has_verify = true;
                    self.flag(child, &mut check.verify);
                }
                b"tls_ca" => self.text(child, "a file of certificates", &mut check.ca),
                b"tls_min_days" => {
                    if let Some(days) = self.reader.number(child, 0..=MIN_DAYS_MAX) {
                        check.min_days =
                            Setting::written(days as u32, Level::Checker, child.header());
                    }
                }
                _ => self.common_option(child, common),
            }
        }
        let is_verified = check.verify.value || has_verify && !check.verify.origin.is_written();
        if let (Some(span), false, false) =
            (check.ca.origin.span(), is_verified, common.is_doubtful)
        {
            self.reader.report(
                Diagnostic::new(Code::NoEffect, "`tls_ca` has no effect without `tls_verify`")
                    .at(span, ""),
            );
        }
        if let (Some(span), true, None, false) =
            (check.verify.origin.span(), check.verify.value, &check.name.value, has_name)
        {
            self.reader.report(
                Diagnostic::new(Code::VerifiedAddress, "`tls_verify` without `tls_name`")
                    .at(span, "the certificate must be for the address that is contacted")
                    .help("add `tls_name` with a name that the certificate is for"),
            );
        }
        Some(check)
    }

    /// SNI carries names of hosts, never addresses (RFC 6066 section 3).
    fn tls_name(&mut self, child: Directive<'_>, check: &mut TlsCheck) {
        let Some(text) = self.text_of(child, "the name of a host") else { return };
        let span = child.arguments()[0];
        if text.parse::<IpAddr>().is_ok() {
            let message = format!("`{text}` is an address, not the name of a host");
            return self.reader.report(
                Diagnostic::new(Code::BadDnsName, message)
                    .at(span, "")
                    .help("without `tls_name` no name is sent"),
            );
        }
        if self.domain_name(span).is_some() {
            check.name = Setting::written(Some(text), Level::Checker, child.header());
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::fleet::check::tests::read;
    use crate::fleet::effective::Check;

    #[test]
    fn what_is_verified_without_a_name_is_the_address() {
        for (lines, codes) in [
            ("tls_verify", &["W107"][..]),
            ("tls_verify\n tls_name a.test", &[]),
            ("tls_name a.test\n tls_verify on", &[]),
            ("tls_verify off", &[]),
            ("tls_verify\n tls_name 10.0.0.1", &["E023"]),
        ] {
            let read = read(&format!("TLS_CHECK {{\n {lines}\n }}"));
            assert_eq!(read.codes, codes, "{lines}");
        }
    }

    #[test]
    fn every_keyword_has_its_place() {
        let read = read(
            "TLS_CHECK {\n tls_name a.test\n tls_verify\n tls_ca /etc/ca.pem\n tls_min_days 14\n }",
        );
        let Some(Check::Tls(check)) = read.check else { panic!("{:?}", read.codes) };
        assert_eq!(check.name.value.as_deref(), Some("a.test"));
        assert!(check.verify.value);
        assert_eq!(check.ca.value.as_deref(), Some("/etc/ca.pem"));
        assert_eq!(check.min_days.value, 14);
    }
}
