//! The root block `SSL`: the client certificate that SSL_GET shows where it is asked for one.

use super::effective::{Level, Setting, Ssl};
use super::lower::Lowering;
use crate::conf::blocks::BlockKind;
use crate::conf::{Code, Diagnostic, Directive};

impl Lowering<'_> {
    /// Takes an `SSL` block. A second one replaces all of the first.
    pub(super) fn ssl(&mut self, directive: Directive<'_>) {
        self.skip(directive);
        if !directive.is_doubtful() {
            self.reader.ignored_after(directive, 0);
        }
        let mut ssl = Ssl::default();
        for child in directive.children() {
            if self.value(child, BlockKind::Ssl) {
                continue;
            }
            let (place, wants) = match self.reader.bytes(child.keyword()) {
                b"password" => (&mut ssl.password, "a password"),
                b"ca" => (&mut ssl.ca, "a file of certificates"),
                b"certificate" => (&mut ssl.certificate, "a file"),
                _ => (&mut ssl.key, "a file"),
            };
            if let Some(first) = place.origin.span() {
                let keyword = self.reader.text(child.keyword());
                self.reader.report(
                    Diagnostic::new(Code::Repeated, format!("second `{keyword}` in one `SSL`"))
                        .at(child.header(), "the one that counts")
                        .also(first, "this one is ignored"),
                );
            }
            if let Some(text) = self.text_of(child, wants) {
                *place = Setting::written(Some(text), Level::Global, child.header());
            }
        }
        let header = directive.header();
        if let Some((first, _)) = self.named.ssl.replace((header, ssl)) {
            self.reader.report(
                Diagnostic::new(Code::Repeated, "second `SSL`")
                    .at(header, "the one that counts")
                    .also(first, "all of this one is ignored"),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::fleet::check::tests::named;

    #[test]
    fn the_last_block_counts_as_a_whole() {
        let (named, codes) = named(
            "SSL {\n ca /a\n key /k\n}\nSSL {\n password x\n password y\n certificate /c\n}\n",
        );
        let (_, ssl) = named.ssl.expect("a block");
        assert_eq!(ssl.password.value.as_deref(), Some("y"));
        assert_eq!(ssl.certificate.value.as_deref(), Some("/c"));
        assert!(ssl.ca.value.is_none() && ssl.key.value.is_none());
        assert_eq!(codes, ["W066", "W066"]);
    }
}
