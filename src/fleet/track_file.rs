//! The root block `track_file`: a file whose number a FILE_CHECK goes by. Its old name is
//! `vrrp_track_file`.

use std::sync::Arc;

use super::effective::{Level, Setting, TrackFile};
use super::lower::Lowering;
use crate::conf::blocks::BlockKind;
use crate::conf::{Class, Code, Diagnostic, Directive, Span};

const WEIGHT_MAX: i64 = 254;

/// Beyond what weights can be, keepalived reports the value of an `init_file` and keeps it.
const INIT_VALUE_MAX: i64 = 254;

/// What counts where no `weight` is written.
const WEIGHT_DEFAULT: i64 = 1;

impl Lowering<'_> {
    /// Takes a `track_file` block; one without a file is dropped, which is reported.
    pub(super) fn track_file(&mut self, directive: Directive<'_>) {
        self.skip(directive);
        let header = directive.header();
        let name = if directive.is_doubtful() { None } else { self.text_of(directive, "a name") };
        let mut file: Option<Setting<Arc<str>>> = None;
        let mut weight = Setting::default_of(WEIGHT_DEFAULT);
        let mut reverse = Setting::default();
        let mut init_file = Setting::default();
        let mut is_doubtful = directive.is_doubtful();
        let mut has_file = false;
        for child in directive.children() {
            is_doubtful |= child.is_doubtful();
            if self.value(child, BlockKind::TrackFile) {
                continue;
            }
            let place = child.header();
            match self.reader.bytes(child.keyword()) {
                b"file" => {
                    has_file = true;
                    if let Some(first) = file.as_ref().and_then(|file| file.origin.span()) {
                        self.first_counts(child, first);
                    } else if let Some(path) = self.text_of(child, "a file") {
                        file = Some(Setting::written(path, Level::Global, place));
                    }
                }
                b"weight" => {
                    // keepalived knows that there was one by its not being the default any more.
                    let is_default = weight.value == WEIGHT_DEFAULT;
                    if let (Some(first), false) = (weight.origin.span(), is_default) {
                        self.first_counts(child, first);
                    } else if let Some((number, is_reverse)) = self.track_weight(child) {
                        weight = Setting::written(number, Level::Global, place);
                        if is_reverse || reverse.value {
                            reverse = Setting::written(true, Level::Global, place);
                        }
                    }
                }
                _ => {
                    if let Some(init) = self.init_file(child) {
                        init_file = Setting::written(Some(init), Level::Global, place);
                    }
                }
            }
        }
        let Some(file) = file else {
            if !has_file && !is_doubtful {
                self.missing(directive, "file", "keepalived ignores it");
            }
            return;
        };
        let Some(name) = name else { return };
        let first = self.named.track_files.get(&name).map(|known| known.header);
        if let Some(first) = first {
            return self.reader.report(
                Diagnostic::new(Code::Repeated, format!("`track_file {name}` is defined twice"))
                    .class(Class::Silent)
                    .at(header, "no FILE_CHECK follows this one")
                    .also(first, "first defined here"),
            );
        }
        let file = TrackFile { header, file, weight, reverse, init_file };
        self.named.track_files.insert(name, file);
    }

    fn first_counts(&mut self, child: Directive<'_>, first: Span) {
        let keyword = self.reader.text(child.keyword());
        self.reader.report(
            Diagnostic::new(Code::Repeated, format!("second `{keyword}` in one `track_file`"))
                .at(child.header(), "this one is ignored")
                .also(first, "the one that counts"),
        );
    }

    /// `weight N [reverse]`
    fn track_weight(&mut self, child: Directive<'_>) -> Option<(i64, bool)> {
        let span = self.reader.argument_as(child, "a number", Class::General)?;
        self.reader.ignored_after(child, 2);
        let weight = self.reader.signed_at(span, -WEIGHT_MAX, WEIGHT_MAX);
        // Unlike that of a FILE_CHECK there is nothing that `noreverse` could take back.
        let word = child.arguments().get(1);
        let reverse = word.is_some_and(|word| self.reader.choice(*word, &["reverse"]).is_some());
        Some((weight?, reverse))
    }

    /// `init_file [VALUE] [overwrite]`: the value, 0 where it is left out, and whether it overwrites. Of
    /// several values the last counts.
    fn init_file(&mut self, child: Directive<'_>) -> Option<(i64, bool)> {
        let mut value = None;
        let mut overwrite = false;
        for span in child.arguments() {
            let word = self.reader.bytes(*span);
            let is_number = word.strip_prefix(b"-").unwrap_or(word).first();
            if is_number.is_some_and(u8::is_ascii_digit) {
                let number = self.reader.signed_at(*span, i32::MIN.into(), i32::MAX.into())?;
                if number.abs() > INIT_VALUE_MAX {
                    let message = format!("`{number}` is no sensible value of a track file");
                    self.reader.report(
                        Diagnostic::new(Code::TrackValue, message)
                            .at(*span, format!("outside -{INIT_VALUE_MAX} to {INIT_VALUE_MAX}")),
                    );
                }
                value = Some(number);
            } else {
                self.reader.choice(*span, &["overwrite"])?;
                overwrite = true;
            }
        }
        Some((value.unwrap_or(0), overwrite))
    }
}

#[cfg(test)]
mod tests {
    use crate::fleet::check::tests::named;

    #[test]
    fn the_first_of_each_counts() {
        let (named, codes) = named(
            "track_file a {\n file /1\n file /2\n weight 5 reverse\n weight 6\n init_file\n \
             init_file -5 overwrite\n}\ntrack_file a {\n file /3\n}\nvrrp_track_file old {\n file /4\n}\n\
             track_file none {\n}\ntrack_file {\n file /5\n}\n",
        );
        let file = &named.track_files["a"];
        assert_eq!(&*file.file.value, "/1");
        assert_eq!((file.weight.value, file.reverse.value), (5, true));
        assert_eq!(file.init_file.value, Some((-5, true)));
        assert_eq!(named.track_files["old"].weight.value, 1);
        assert_eq!(named.track_files.len(), 2);
        assert_eq!(codes, ["W066", "W066", "W066", "E060", "E012"]);
    }

    #[test]
    fn a_weight_of_the_default_is_none_and_values_may_be_odd() {
        let (named, codes) = named(
            "track_file a {\n file /1\n weight 1 reverse\n weight 6\n init_file 5 6\n}\n\
             track_file b {\n file /1\n init_file -255\n}\n\
             track_file c {\n file /1\n weight 2 noreverse\n}\n",
        );
        let file = &named.track_files["a"];
        assert_eq!((file.weight.value, file.reverse.value), (6, true));
        assert_eq!(file.init_file.value, Some((6, false)));
        assert_eq!(named.track_files["b"].init_file.value, Some((-255, false)));
        assert_eq!(codes, ["W096", "E019"]);
    }
}
