//! `regex` of a url, its options and limits, compiled once to see whether it can be.
//!
//! The word is split like a command, but only once: quotes go, escapes are resolved. So a backslash that
//! PCRE2 is to see is written twice, and `\d` alone is the letter d.

use std::sync::Arc;

use super::pattern::compile;
use crate::conf::{Class, Code, Diagnostic, Directive, Span};
use crate::fleet::effective::{Level, Regex, Setting};
use crate::fleet::keywords::nearest;
use crate::fleet::lower::Lowering;
use crate::fleet::script::argv::{CommandError, resolved};

/// Words of `regex_options`, sorted.
const OPTIONS: &[&str] = &[
    "allow_empty_class",
    "alt_bsux",
    "alt_circumflex",
    "alt_verbnames",
    "auto_callout",
    "caseless",
    "dollar_endonly",
    "dotall",
    "dupnames",
    "extended",
    "firstline",
    "match_unset_backref",
    "multiline",
    "never_backslash_c",
    "never_ucp",
    "never_utf",
    "no_auto_capture",
    "no_auto_possess",
    "no_dotstar_anchor",
    "no_start_optimize",
    "ucp",
    "ungreedy",
    "use_offset_limit",
    "utf",
];

/// What loses its meaning for PCRE2 with the backslash before it. Where keepalived's own escape means the
/// same (`\n`, `\x41`) nothing is lost.
const ESCAPED_FOR_PCRE: &[u8] = b"dDwWsSbBAzZGKQRXNhHpPvV.^$*+?()[{|1234567";

/// `regex` and what belongs to it, while a url is read.
#[derive(Debug, Default)]
pub(super) struct Draft {
    pattern: Option<Pattern>,
    /// Whether `regex` is written, well or badly.
    is_written: bool,
    /// The first keyword that needs a pattern.
    first: Option<Span>,
    no_match: Setting<bool>,
    options: Setting<Vec<&'static str>>,
    min_offset: Setting<Option<u64>>,
    max_offset: Setting<Option<u64>>,
    stack: Setting<Option<(u64, u64)>>,
}

/// The word after `regex`.
#[derive(Debug)]
struct Pattern {
    /// What PCRE2 sees, each byte with its place in the word.
    bytes: Vec<(u8, usize)>,
    /// The word as it stands in the file.
    word: Span,
    /// Keyword and word.
    header: Span,
}

impl Lowering<'_> {
    /// Takes `regex` or one of its options.
    pub(super) fn regex_option(&mut self, child: Directive<'_>, draft: &mut Draft) {
        let header = child.header();
        let keyword = self.reader.bytes(child.keyword());
        if keyword == b"regex" {
            draft.is_written = true;
            draft.pattern = self.pattern(child).or(draft.pattern.take());
            return;
        }
        draft.first.get_or_insert(header);
        match keyword {
            b"regex_no_match" => {
                self.reader.ignored_after(child, 0);
                draft.no_match = Setting::written(true, Level::Checker, header);
            }
            b"regex_options" => self.regex_options(child, &mut draft.options),
            b"regex_stack" => {
                if let Some(stack) = self.regex_stack(child) {
                    draft.stack = Setting::written(Some(stack), Level::Checker, header);
                }
            }
            _ => {
                // The largest number stands for one that 64 bits do not hold.
                let range = 0..=u64::MAX - 1;
                let offset = self.reader.only_logged(|reader| reader.number(child, range));
                if let Some(offset) = offset {
                    let place = if keyword == b"regex_min_offset" {
                        &mut draft.min_offset
                    } else {
                        &mut draft.max_offset
                    };
                    *place = Setting::written(Some(offset), Level::Checker, header);
                }
            }
        }
    }

    /// All of a url's regex; `None` without a pattern that can be compiled.
    pub(super) fn regex(&mut self, mut draft: Draft, is_doubtful: bool) -> Option<Regex> {
        let Some(Pattern { bytes, word, header }) = draft.pattern else {
            if let (Some(first), false, false) = (draft.first, draft.is_written, is_doubtful) {
                self.reader.report(
                    Diagnostic::new(Code::NoEffect, "this has no effect without a `regex`")
                        .at(first, "there is none in this url"),
                );
            }
            return None;
        };
        if let (Some(min), Some(max)) = (draft.min_offset.value, draft.max_offset.value)
            && min > max
        {
            let (min_span, max_span) =
                (draft.min_offset.origin.span(), draft.max_offset.origin.span());
            let message = format!("a match cannot begin at {min} or later and at {max} or earlier");
            let mut found = Diagnostic::new(Code::RegexOffsets, message);
            if let (Some(min), Some(max)) = (min_span, max_span) {
                found = found.at(min, "keepalived ignores both").also(max, "the other limit");
            }
            self.reader.report(found);
            draft.min_offset = Setting::default();
            draft.max_offset = Setting::default();
        }
        if let Err((offset, reason)) = compile(&bytes, &draft.options.value) {
            self.bad_pattern(&bytes, word, offset, &reason);
            return None;
        }
        let pattern: Arc<[u8]> = bytes.iter().map(|(byte, _)| *byte).collect();
        Some(Regex {
            pattern: Setting::written(pattern, Level::Checker, header),
            no_match: draft.no_match,
            options: draft.options,
            min_offset: draft.min_offset,
            max_offset: draft.max_offset,
            stack: draft.stack,
        })
    }

    /// The one word after `regex`, resolved.
    fn pattern(&mut self, child: Directive<'_>) -> Option<Pattern> {
        let word = self.reader.argument(child, "a pattern")?;
        if let [_, first, .., last] | [_, first @ last] = child.arguments() {
            self.reader.report(
                Diagnostic::new(Code::BadRegex, "`regex` takes one word")
                    .class(Class::Silent)
                    .at(first.to(*last), "one too many: keepalived ignores the line")
                    .help("put a pattern with blanks in quotes"),
            );
            return None;
        }
        let text = self.reader.bytes(word);
        match resolved(text) {
            Ok(bytes) => {
                self.lost_backslash(text, word, &bytes);
                Some(Pattern { bytes, word, header: child.header() })
            }
            Err(error) => {
                let why = match error {
                    CommandError::LoneBackslash => "a backslash at its end, with nothing behind it",
                    CommandError::Nul => "an escape in it stands for a NUL byte",
                    CommandError::Unclosed | CommandError::Empty => "a quote without its partner",
                };
                self.reader.report(
                    Diagnostic::new(Code::BadRegex, "this pattern cannot be read").at(word, why),
                );
                None
            }
        }
    }

    /// Warns of the first backslash that PCRE2 was surely meant to see.
    fn lost_backslash(&mut self, text: &[u8], word: Span, bytes: &[(u8, usize)]) {
        let lost = bytes.iter().find_map(|(byte, place)| match text.get(*place..*place + 2) {
            Some([b'\\', next]) if ESCAPED_FOR_PCRE.contains(next) => Some((*byte, *next, *place)),
            _ => None,
        });
        let Some((byte, next, place)) = lost else { return };
        let start = word.start as usize + place;
        let next = char::from(next);
        let becomes = match byte {
            b' '..=b'~' => format!("the pattern has `{}` here", char::from(byte)),
            _ => format!("the pattern has the byte {byte:#04x} here"),
        };
        self.reader.report(
            Diagnostic::new(Code::LostBackslash, format!("the backslash of `\\{next}` is lost"))
                .at(Span::new(word.file, start, start + 2), becomes)
                .help(format!("write `\\\\{next}`: keepalived takes the first backslash away")),
        );
    }

    fn bad_pattern(&mut self, bytes: &[(u8, usize)], word: Span, offset: usize, reason: &str) {
        let span = match bytes.get(offset) {
            Some((_, place)) => {
                let start = word.start as usize + place;
                Span::new(word.file, start, start + 1)
            }
            None => word,
        };
        self.reader.report(
            Diagnostic::new(Code::BadRegex, format!("invalid pattern at offset {offset}"))
                // It logs that, and checks without the pattern.
                .class(Class::Silent)
                .at(span, reason.to_owned()),
        );
    }

    /// Words add up over several lines.
    fn regex_options(&mut self, child: Directive<'_>, options: &mut Setting<Vec<&'static str>>) {
        if self.reader.argument(child, "an option").is_none() {
            return;
        }
        if !options.origin.is_written() {
            options.origin = Setting::written((), Level::Checker, child.header()).origin;
        }
        for span in child.arguments() {
            let word = self.reader.bytes(*span);
            let known = OPTIONS.iter().find(|known| known.as_bytes() == word);
            match known {
                Some(known) if options.value.contains(known) => {}
                Some(known) => options.value.push(known),
                None => {
                    let word = self.reader.text(*span);
                    let message = format!("`{word}` is no option of regular expressions");
                    let mut found = Diagnostic::new(Code::UnknownRegexOption, message)
                        .at(*span, "keepalived ignores it");
                    if let Some(nearest) = nearest(&word, OPTIONS.iter().copied()) {
                        found = found.help(format!("did you mean `{nearest}`?"));
                    }
                    self.reader.report(found);
                }
            }
        }
    }

    /// `START MAX`, in bytes.
    fn regex_stack(&mut self, child: Directive<'_>) -> Option<(u64, u64)> {
        let start = self.reader.argument(child, "two numbers: `START MAX`")?;
        let Some(max) = child.arguments().get(1).copied() else {
            self.reader.report(
                Diagnostic::new(Code::MissingArgument, "`regex_stack` needs a second number")
                    .class(Class::Silent)
                    .at(start, "`MAX` is missing behind this"),
            );
            return None;
        };
        self.reader.ignored_after(child, 2);
        let (start, max) = self.reader.only_logged(|reader| {
            let start = reader.number_at(start, 0..=u64::MAX - 1);
            let least = start.unwrap_or(0);
            (start, reader.number_at(max, least..=u64::MAX - 1))
        });
        Some((start?, max?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::check::tests::http;

    /// The pattern as PCRE2 sees it, and the codes of what was said.
    fn pattern(line: &str) -> (Option<Vec<u8>>, Vec<&'static str>) {
        let (check, codes) = http(&format!("HTTP_GET {{\n url {{\n path /\n {line}\n }}\n }}"));
        let regex = check.urls[0].regex.as_ref();
        (regex.map(|regex| regex.pattern.value.to_vec()), codes)
    }

    #[test]
    fn words_are_resolved_once() {
        for (line, expected) in [
            ("regex abc", "abc"),
            ("regex \"a b\"", "a b"),
            ("regex 'a \\\"b'", "a \"b"),
            ("regex 'b c\\x41\\/'d", "b cA/d"),
            ("regex \\\\d+", "\\d+"),
            ("regex \"\\\\bfoo\\\\b\"", "\\bfoo\\b"),
            ("regex \"a{2,3}\"", "a{2,3}"),
            ("regex \"\"", ""),
            ("regex \"\\t\\\"\"", "\t\""),
        ] {
            assert_eq!(pattern(line), (Some(expected.as_bytes().to_vec()), vec![]), "{line}");
        }
        // What must have been meant for PCRE2 is said, and taken as keepalived does.
        assert_eq!(pattern("regex \\d+"), (Some(b"d+".to_vec()), vec!["W067"]));
        assert_eq!(pattern("regex \"1\\.2\""), (Some(b"1.2".to_vec()), vec!["W067"]));
        assert_eq!(pattern("regex a\\1"), (Some(b"a\x01".to_vec()), vec!["W067"]));
        assert_eq!(pattern("regex a\\xe9"), (Some(b"a\xe9".to_vec()), vec![]));
    }

    #[test]
    fn options_are_sorted_and_add_up() {
        assert!(OPTIONS.is_sorted());
        let (check, codes) = http(
            "HTTP_GET {\n url {\n path /\n regex a\n regex_options caseless utf\n \
             regex_options utf dotall\n regex_min_offset 5\n regex_max_offset 9\n regex_stack 32 64\n \
             regex_no_match\n }\n }",
        );
        let regex = check.urls[0].regex.as_ref().expect("a regex");
        assert_eq!(codes, Vec::<&str>::new());
        assert_eq!(regex.options.value, ["caseless", "utf", "dotall"]);
        assert_eq!((regex.min_offset.value, regex.max_offset.value), (Some(5), Some(9)));
        assert_eq!(regex.stack.value, Some((32, 64)));
        assert!(regex.no_match.value);
    }
}
