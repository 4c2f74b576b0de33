//! `BFD_CHECK`: follows a `bfd_instance`.

use crate::conf::blocks::BlockKind;
use crate::conf::{Code, Diagnostic, Directive};
use crate::fleet::checker::Common;
use crate::fleet::effective::{BfdCheck, Level, Setting};
use crate::fleet::lower::Lowering;
use crate::fleet::named::Kind;
use crate::fleet::real_server::Server;

impl Lowering<'_> {
    /// Takes the block of a BFD_CHECK; `None` without an instance that is known and that no other checker
    /// of the real server follows.
    pub(in crate::fleet) fn bfd_check(
        &mut self,
        directive: Directive<'_>,
        common: &mut Common,
        server: &Server,
    ) -> Option<BfdCheck> {
        self.check_header(directive);
        let mut first: Option<Directive<'_>> = None;
        let mut name = None;
        let mut has_second = false;
        for child in directive.children() {
            common.is_doubtful |= child.is_doubtful();
            if self.value(child, BlockKind::BfdCheck) {
                continue;
            }
            if self.reader.bytes(child.keyword()) != b"name" {
                self.common_option(child, common);
            } else if let Some(first) = first {
                has_second = true;
                self.reader.report(
                    Diagnostic::new(Code::SecondName, "second `name` in one BFD_CHECK")
                        .at(child.header(), "keepalived ignores the checker")
                        .also(first.header(), "the first one")
                        .help("write a BFD_CHECK for each session"),
                );
            } else {
                first = Some(child);
                if let [_, second, ..] = child.arguments() {
                    has_second = true;
                    self.reader.report(
                        Diagnostic::new(Code::SecondName, "more than one name of a `bfd_instance`")
                            .at(*second, "keepalived ignores the checker"),
                    );
                    continue;
                }
                name = self.text_of(child, "the name of a `bfd_instance`");
            }
        }
        let Some(child) = first else {
            if !common.is_doubtful {
                self.missing(directive, "name", "keepalived ignores it");
            }
            return None;
        };
        let name = name.filter(|_| !has_second)?;
        if !self.named.bfd.contains_key(&name) {
            self.unknown_name(Kind::Bfd, name, child.arguments()[0]);
            return None;
        }
        if let Some(first) = self.named.follow(server.id, &name, child.header()) {
            self.reader.report(
                Diagnostic::new(Code::SecondName, format!("second BFD_CHECK of `{name}`"))
                    .at(child.header(), "keepalived ignores it")
                    .also(first, "this real server follows it already"),
            );
            return None;
        }
        Some(BfdCheck { name: Setting::written(name, Level::Checker, child.header()) })
    }
}

#[cfg(test)]
mod tests {
    use crate::fleet::check::tests::read;
    use crate::fleet::effective::Check;

    #[test]
    fn without_a_known_instance_there_is_no_checker() {
        for (lines, codes) in [
            ("name peer1\n alpha", &[][..]),
            ("name peer1\n name peer1", &["E068"]),
            ("", &["E060"]),
            ("name", &["E012"]),
            ("name nope", &["E066"]),
            ("name peer1 x", &["E068"]),
            ("name peer1\n retry 1", &["E011"]),
        ] {
            let read = read(&format!("BFD_CHECK {{\n {lines}\n }}"));
            assert_eq!(read.codes, codes, "{lines}");
            let is_known = lines.starts_with("name peer1") && codes != ["E068"];
            assert_eq!(matches!(read.check, Some(Check::Bfd(_))), is_known, "{lines}");
        }
    }
}
