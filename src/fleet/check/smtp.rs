//! `SMTP_CHECK`.
//!
//! Its `host` blocks are refused. keepalived makes one more checker of each, beside that of the block
//! itself, and gives it what stands in `host` and nothing of what stands around it: 2.2 leaves it a
//! `connect_timeout` of 0, so that it fails. Nobody can mean that, and one SMTP_CHECK for each host says
//! what was meant.

use std::sync::Arc;

use crate::conf::blocks::BlockKind;
use crate::conf::{Code, Diagnostic, Directive};
use crate::fleet::checker::Common;
use crate::fleet::effective::{Level, Setting, SmtpCheck};
use crate::fleet::lower::Lowering;
use crate::fleet::real_server::Server;

const HELO_NAME_DEFAULT: &str = "smtpchecker.keepalived.org";

impl Lowering<'_> {
    /// Takes the block of an SMTP_CHECK.
    pub(in crate::fleet) fn smtp_check(
        &mut self,
        directive: Directive<'_>,
        common: &mut Common,
        _server: &Server,
    ) -> Option<SmtpCheck> {
        self.check_header(directive);
        let mut helo_name = Setting::default_of(Arc::from(HELO_NAME_DEFAULT));
        for child in directive.children() {
            common.is_doubtful |= child.is_doubtful();
            let keyword = self.reader.bytes(child.keyword());
            if keyword == b"host" {
                self.reader.report(
                    Diagnostic::new(Code::SmtpHost, "`host` in SMTP_CHECK is not supported")
                        .at(child.header(), "keepalived makes a checker without a timeout of it")
                        .help("write one SMTP_CHECK for each host, with its `connect_ip` and `connect_port`"),
                );
            } else if !self.value(child, BlockKind::SmtpCheck) {
                match keyword {
                    b"helo_name" => {
                        if let Some(name) = self.text_of(child, "a name to say HELO with") {
                            helo_name = Setting::written(name, Level::Checker, child.header());
                        }
                    }
                    _ => self.common_option(child, common),
                }
            }
        }
        Some(SmtpCheck { helo_name })
    }
}

#[cfg(test)]
mod tests {
    use crate::fleet::check::tests::read;
    use crate::fleet::effective::Check;

    #[test]
    fn the_name_has_a_default() {
        for (block, name) in [
            ("SMTP_CHECK {\n }", "smtpchecker.keepalived.org"),
            ("SMTP_CHECK {\n helo_name \"probe.example.test\"\n }", "probe.example.test"),
            ("SMTP_CHECK {\n helo_name \"\"\n }", "smtpchecker.keepalived.org"),
        ] {
            let Some(Check::Smtp(check)) = read(block).check else { panic!("{block}") };
            assert_eq!(&*check.helo_name.value, name, "{block}");
        }
    }
}
