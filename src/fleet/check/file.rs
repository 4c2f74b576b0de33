//! `FILE_CHECK`: follows a `track_file`.

use crate::conf::blocks::BlockKind;
use crate::conf::{Class, Directive};
use crate::fleet::checker::Common;
use crate::fleet::effective::{FileCheck, Level, Setting};
use crate::fleet::lower::Lowering;
use crate::fleet::named::Kind;
use crate::fleet::real_server::Server;

const WEIGHT_MAX: i64 = i32::MAX as i64;

impl Lowering<'_> {
    /// Takes the block of a FILE_CHECK; `None` without a track file that is known.
    pub(in crate::fleet) fn file_check(
        &mut self,
        directive: Directive<'_>,
        common: &mut Common,
        _server: &Server,
    ) -> Option<FileCheck> {
        self.check_header(directive);
        let mut name = None;
        let mut is_written = false;
        let mut weight = None;
        for child in directive.children() {
            common.is_doubtful |= child.is_doubtful();
            if self.value(child, BlockKind::FileCheck) {
                continue;
            }
            if self.reader.bytes(child.keyword()) == b"weight" {
                weight = self.file_weight(child).or(weight);
            } else {
                is_written = true;
                let written = self.text_of(child, "the name of a `track_file`");
                if let Some(written) = written {
                    // One that is nobody's is reported even where another follows, and does not count.
                    if self.named.track_files.contains_key(&written) {
                        name = Some((written, child));
                    } else {
                        self.unknown_name(Kind::TrackFile, written, child.arguments()[0]);
                    }
                }
            }
        }
        if !is_written && !common.is_doubtful {
            self.missing(directive, "track_file", "keepalived ignores it");
        }
        let (name, child) = name?;
        let header = child.header();
        let file = self.named.track_files.get(&name)?;
        // A weight of its own is not reversed unless it says so, whatever the track file's is.
        let (weight, reverse) = weight.unwrap_or((file.weight, file.reverse));
        Some(FileCheck {
            track_file: Setting::written(name, Level::Checker, header),
            weight,
            reverse,
        })
    }

    /// `weight N [reverse|noreverse]`
    fn file_weight(&mut self, child: Directive<'_>) -> Option<(Setting<i64>, Setting<bool>)> {
        let span = self.reader.argument_as(child, "a number", Class::General)?;
        self.reader.ignored_after(child, 2);
        let weight = self.reader.signed_at(span, -WEIGHT_MAX, WEIGHT_MAX);
        let reverse = match child.arguments().get(1) {
            Some(word) => self.reader.choice(*word, &["reverse", "noreverse"]) == Some("reverse"),
            None => false,
        };
        let header = child.header();
        Some((
            Setting::written(weight?, Level::Checker, header),
            Setting::written(reverse, Level::Checker, header),
        ))
    }
}

#[cfg(test)]
mod tests {
    use crate::fleet::check::tests::read;
    use crate::fleet::effective::Check;

    #[test]
    fn a_weight_of_its_own_is_not_reversed_unless_it_says_so() {
        for (lines, weight, reverse) in [
            ("track_file boost", 5, true),
            ("track_file boost\n weight 3", 3, false),
            ("weight -3 noreverse\n track_file boost", -3, false),
            ("track_file drain\n weight 2147483647 reverse", 2_147_483_647, true),
            ("track_file drain\n weight 3 reverse\n weight 4", 4, false),
            ("track_file drain\n weight 2147483648", 1, false),
            ("track_file old", 1, false),
        ] {
            let read = read(&format!("FILE_CHECK {{\n {lines}\n }}"));
            let Some(Check::File(check)) = read.check else { panic!("{lines}: {:?}", read.codes) };
            assert_eq!((check.weight.value, check.reverse.value), (weight, reverse), "{lines}");
        }
    }

    #[test]
    fn an_unknown_name_is_reported_whatever_follows_and_does_not_count() {
        for lines in ["track_file nope\n track_file boost", "track_file boost\n track_file nope"] {
            let read = read(&format!("FILE_CHECK {{\n {lines}\n }}"));
            let Some(Check::File(check)) = read.check else { panic!("{lines}: {:?}", read.codes) };
            assert_eq!(&*check.track_file.value, "boost", "{lines}");
            assert_eq!(read.codes, ["E066"], "{lines}");
        }
    }

    #[test]
    fn without_a_known_track_file_there_is_no_checker() {
        for (lines, codes) in [
            ("weight 1", &["E060"][..]),
            ("track_file nope\n track_file nada", &["E066", "E066"]),
            ("track_file nope", &["E066"]),
            ("track_file", &["E012"]),
        ] {
            let read = read(&format!("FILE_CHECK {{\n {lines}\n }}"));
            assert!(read.check.is_none(), "{lines}");
            assert_eq!(read.codes, codes, "{lines}");
        }
    }
}
