//! `HTTP_GET` and `SSL_GET`: how to ask, and the urls.

use crate::conf::blocks::BlockKind;
use crate::conf::{Code, Diagnostic, Directive};
use crate::fleet::checker::Common;
use crate::fleet::effective::{HttpCheck, HttpProtocol, Level, Setting};
use crate::fleet::lower::Lowering;
use crate::fleet::real_server::Server;

impl Lowering<'_> {
    /// Takes the block of an HTTP_GET or SSL_GET; `None` where no url is left of it.
    pub(in crate::fleet) fn http_check(
        &mut self,
        is_tls: bool,
        directive: Directive<'_>,
        common: &mut Common,
        server: &Server,
    ) -> Option<HttpCheck> {
        self.check_header(directive);
        let block = if is_tls { BlockKind::SslGet } else { BlockKind::HttpGet };
        let mut check = HttpCheck {
            is_tls,
            http_protocol: Setting::default(),
            virtualhost: Setting::default(),
            enable_sni: Setting::default(),
            sni_name: Setting::default(),
            fast_recovery: Setting::default(),
            tls_compliant: Setting::default(),
            urls: Vec::new(),
        };
        let mut has_url = false;
        for child in directive.children() {
            common.is_doubtful |= child.is_doubtful();
            if self.reader.bytes(child.keyword()) == b"url" {
                has_url = true;
                check.urls.extend(self.url(child, is_tls));
            } else if !self.value(child, block) {
                self.http_option(child, &mut check, common);
            }
        }
        if !has_url && !common.is_doubtful && !directive.is_doubtful() {
            self.missing(directive, "url", "nothing to ask for");
        }
        // The default of a url is that of the checker, then of the real server, then of the virtual server.
        let virtualhost = if check.virtualhost.value.is_some() {
            &check.virtualhost
        } else {
            &server.virtualhost
        };
        for url in &mut check.urls {
            if url.virtualhost.value.is_none() {
                url.virtualhost.clone_from(virtualhost);
            }
            // One of the two is enough.
            if !url.tls_compliant.value && check.tls_compliant.value {
                url.tls_compliant = check.tls_compliant;
            }
        }
        (!check.urls.is_empty()).then_some(check)
    }

    fn http_option(&mut self, child: Directive<'_>, check: &mut HttpCheck, common: &mut Common) {
        let keyword = self.reader.bytes(child.keyword());
        if !check.is_tls {
            self.needs_tls(child);
        }
        match keyword {
            b"http_protocol" => {
                if let Some(protocol) = self.http_protocol(child) {
                    check.http_protocol =
                        Setting::written(protocol, Level::Checker, child.header());
                }
            }
            b"virtualhost" => self.text(child, "the name of a host", &mut check.virtualhost),
            b"enable_sni" => self.flag(child, &mut check.enable_sni),
            b"sni_name" => {
                self.later(child);
                // Without a name it only turns SNI on.
                if !child.arguments().is_empty() {
                    self.text(child, "the name of a host", &mut check.sni_name);
                }
                check.enable_sni = Setting::written(true, Level::Checker, child.header());
            }
            b"fast_recovery" => self.flag(child, &mut check.fast_recovery),
            b"tls_compliant" => {
                self.later(child);
                self.flag(child, &mut check.tls_compliant);
            }
            b"nb_get_retry" => {
                self.reader.report(
                    Diagnostic::new(Code::Deprecated, "`nb_get_retry` is an old name")
                        .at(child.keyword(), "")
                        .help("write `retry`"),
                );
                self.common_option(child, common);
            }
            _ => self.common_option(child, common),
        }
    }

    /// Warns of what HTTP_GET accepts and has no use for.
    pub(super) fn needs_tls(&mut self, child: Directive<'_>) {
        let keyword = self.reader.bytes(child.keyword());
        if matches!(keyword, b"enable_sni" | b"sni_name" | b"tls_compliant") {
            let message =
                format!("`{}` has no effect in HTTP_GET", String::from_utf8_lossy(keyword));
            self.reader.report(
                Diagnostic::new(Code::NoEffect, message)
                    .at(child.header(), "")
                    .help("there is TLS in SSL_GET only"),
            );
        }
    }

    fn http_protocol(&mut self, child: Directive<'_>) -> Option<HttpProtocol> {
        let span = self.reader.argument(child, "`1.0`, `1.0C` or `1.1`")?;
        self.reader.ignored_after(child, 1);
        match self.reader.bytes(span) {
            b"1.0" => Some(HttpProtocol::Http10),
            b"1.0C" | b"1.0c" => Some(HttpProtocol::Http10Close),
            b"1.1" => Some(HttpProtocol::Http11),
            _ => {
                self.reader.choice(span, &["1.0", "1.0C", "1.1"]);
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::fleet::check::tests::{http, read};
    use crate::fleet::effective::HttpProtocol;

    #[test]
    fn urls_inherit_what_the_checker_says() {
        let (check, _) = http(
            "SSL_GET {\n http_protocol 1.0c\n virtualhost a.test\n tls_compliant\n sni_name\n \
             fast_recovery off\n nb_get_retry 7\n \
             url {\n path /\n tls_compliant off\n }\n url {\n path \"/b c\"\n virtualhost b.test\n }\n }",
        );
        assert_eq!(check.http_protocol.value, HttpProtocol::Http10Close);
        assert!(check.enable_sni.value && check.sni_name.value.is_none());
        assert!(!check.fast_recovery.value && check.fast_recovery.origin.is_written());
        let hosts: Vec<_> = check.urls.iter().map(|url| url.virtualhost.value.as_deref()).collect();
        assert_eq!(hosts, [Some("a.test"), Some("b.test")]);
        assert!(check.urls.iter().all(|url| url.tls_compliant.value));
        assert_eq!(&*check.urls[1].path.value, b"/b c");
        assert_eq!(check.urls[0].status_codes.value.0, [(200, 299)]);
        let host = "HTTP_GET {\n url {\n path /\n }\n }";
        assert_eq!(http(host).0.urls[0].virtualhost.value.as_deref(), Some("rs.test"));
    }

    #[test]
    fn without_a_url_there_is_no_checker() {
        for (block, said) in [
            ("HTTP_GET {\n }", 1),
            ("HTTP_GET {\n url {\n }\n }", 1),
            ("HTTP_GET {\n url {\n path\n }\n }", 1),
            ("HTTP_GET {\n url {\n status_code 200\n }\n url {\n }\n }", 2),
        ] {
            let read = read(block);
            assert!(read.check.is_none(), "{block}");
            assert_eq!(read.codes.len(), said, "{block}: {:?}", read.codes);
        }
    }
}
