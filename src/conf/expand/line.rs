//! The way of one line through the macro layer.

use std::borrow::Cow;

use memchr::{memchr, memchr2};

use super::comment::{Scan, scan, trimmed_end, unescaped};
use super::definition::{definition, spaced_definition};
use super::include;
use super::reader::RawLine;
use super::repeat;
use super::work::{Work, behind_brace};
use super::{EXPANSIONS_MAX, Expander, Line};
use crate::conf::class::{Class, of_open_quote};
use crate::conf::code::Code;
use crate::conf::diagnostic::{Diagnostic, Diagnostics};
use crate::conf::lexer::is_blank;
use crate::conf::origin::Expansion;
use crate::conf::source::{LINE_BYTES_MAX, Span};

/// Looks at one line before its macros must be gone. Each look but the last replaces something.
const LOOKS_MAX: usize = EXPANSIONS_MAX;

impl<'s> Expander<'s> {
    /// Takes a line of a file.
    pub(super) fn raw_line(&mut self, raw: RawLine<'s>, diagnostics: &mut Diagnostics) {
        let RawLine { file, whole, start, end, number } = raw;
        let mut line = &whole[start..end];
        if line.len() > LINE_BYTES_MAX {
            let beyond = Span::new(file, start + LINE_BYTES_MAX, start + LINE_BYTES_MAX);
            let message = format!("line of {} bytes: {LINE_BYTES_MAX} are the limit", line.len());
            // keepalived takes what is beyond for a line of its own.
            let rest = line[LINE_BYTES_MAX..].trim_ascii_start();
            let says_nothing = rest.first().is_none_or(|first| matches!(first, b'#' | b'!'));
            let class = if says_nothing { Class::Silent } else { Class::General };
            let found = Diagnostic::new(Code::LineTooLong, message).class(class);
            diagnostics.push(found.at(beyond, "the limit is here"));
            return;
        }
        if let Some(nul) = memchr(0, line) {
            let nul = Span::new(file, start + nul, start + nul + 1);
            diagnostics.push(Diagnostic::new(Code::NulByte, "line with a NUL byte").at(nul, ""));
            // Up to it keepalived reads the line, so that nothing else follows from the byte.
            line = &line[..nul.start as usize - start];
        }
        let mut scan = scan(line);
        if let Some(quote) = scan.quote {
            let open = Span::new(file, start + quote, start + scan.end.max(quote + 1));
            diagnostics.push(
                Diagnostic::new(Code::UnterminatedQuote, "unterminated quote")
                    .at(open, "opened here, closed nowhere")
                    .class(of_open_quote(line, quote)),
            );
        }
        let blanks = line.iter().position(|byte| !is_blank(*byte)).unwrap_or(line.len());
        if blanks >= scan.end {
            if !line.trim_ascii_end().ends_with(b"\\") {
                let place = Span::new(file, start, end);
                self.end_definition(place, diagnostics);
            }
            return;
        }
        let mut text = Cow::Borrowed(&line[blanks..scan.end]);
        if let Some(escape) = scan.escape {
            if self.keeps_escapes(&text) {
                text = Cow::Owned(unescaped(&text));
            } else {
                text = Cow::Borrowed(&line[blanks..cut_at(line, escape, &mut scan).max(blanks)]);
                let place = Span::new(file, start + escape, start + escape + 2);
                diagnostics.push(escaped_comment(place));
                if text.is_empty() {
                    return;
                }
            }
        }
        if self.definition.is_some() {
            let at = Span::new(file, start + blanks, start + scan.end);
            return self.go_on_defining(&text, at);
        }
        let is_plain = !scan.has_dollar
            && !is_special(&text)
            && matches!(text, Cow::Borrowed(_))
            && behind_brace(&text).is_none();
        if is_plain {
            self.hear(&text, false);
            self.ahead.push_back(Line {
                file,
                start: (start + blanks) as u32,
                end: (start + scan.end) as u32,
                number,
                quote_open: scan.quote.is_some(),
                is_doubtful: false,
            });
            return;
        }
        let work = Work {
            text,
            file,
            start: start + blanks,
            number,
            made: None,
            quote: scan.quote,
            is_quote_known: scan.quote.is_some(),
            comment: None,
            is_conditional: false,
            is_doubtful: false,
        };
        self.work(work, diagnostics);
    }

    /// Whether `\#` in this line is a bare `#`, and not where keepalived's checker process begins a comment:
    /// that process never sees definitions and includes.
    fn keeps_escapes(&self, text: &[u8]) -> bool {
        self.definition.is_some() || definition(text).is_some() || include::parse(text).is_some()
    }

    /// Leads a line through the macro layer; at its end it is handed out, laid on the stack, or gone.
    pub(super) fn work(&mut self, mut work: Work<'s>, diagnostics: &mut Diagnostics) {
        let mut replaced = false;
        for _ in 0..LOOKS_MAX {
            work.advance(0);
            // However many: each takes itself off the line.
            while work.text.first() == Some(&b'@') {
                if !self.condition(&mut work, diagnostics) {
                    return;
                }
                work.advance(0);
            }
            let Some(first) = work.text.first() else { return };
            match first {
                b'$' => {
                    if let Some(name) = definition(&work.text) {
                        return self.define(&work, name);
                    }
                    if let Some(name) = spaced_definition(&work.text) {
                        let message = format!("no definition of `{name}`: a blank before `=`");
                        let end = name.len() + 1;
                        let help = format!("write `${name}=` without a blank");
                        diagnostics.push(
                            Diagnostic::new(Code::BadDefinition, message)
                                .at(work.place(0, end), "")
                                .help(help),
                        );
                        return;
                    }
                }
                b'~' => {
                    if let Some(keyword) = repeat::keyword(&work.text) {
                        return self.repeat(work, keyword, diagnostics);
                    }
                }
                _ => {}
            }
            if memchr(b'$', &work.text).is_none() || !self.replace(&mut work, diagnostics) {
                if include::is_bare(&work.text) {
                    let word = String::from_utf8_lossy(&work.text);
                    let message = format!("`{word}` without the name of a file");
                    let place = work.place(0, work.text.len());
                    let found = Diagnostic::new(Code::IncludeNothing, message).at(place, "");
                    diagnostics.push(found.help("`include FILE`: the name may have wildcards"));
                    return;
                }
                if let Some((checks, pattern)) = include::parse(&work.text) {
                    let pattern = pattern.to_vec();
                    return self.include_line(&work, checks, &pattern, replaced, diagnostics);
                }
                let is_whole = work.is_doubtful || work.quote.is_some() || work.comment.is_some();
                if let (false, Some(at)) = (is_whole, behind_brace(&work.text)) {
                    // What follows a brace is read as a line of its own, now that nothing before it is to be
                    // replaced any more.
                    let rest = work.split_off(at);
                    self.hand_out(work, diagnostics);
                    return self.work(rest, diagnostics);
                }
                return self.hand_out(work, diagnostics);
            }
            replaced = true;
        }
        let message = format!("parameters in parameters more than {LOOKS_MAX} deep");
        let place = work.place(0, work.text.len());
        diagnostics.push(Diagnostic::new(Code::ExpansionTooDeep, message).at(place, ""));
    }

    /// Decides `@id` and `@^id`; false where the line is not for this reader.
    fn condition(&self, work: &mut Work<'s>, diagnostics: &mut Diagnostics) -> bool {
        let end = memchr2(b' ', b'\t', &work.text).unwrap_or(work.text.len());
        let word = &work.text[1..end];
        let is_for_us = match word.strip_prefix(b"^") {
            Some(other) => other != self.config_id,
            None => word == self.config_id,
        };
        if is_for_us {
            work.advance(end);
            work.is_conditional = true;
            return true;
        }
        let rest = work.text[end..].trim_ascii_start();
        if rest.ends_with(b"\\") && definition(rest).is_some() {
            let found = Diagnostic::new(
                Code::ConditionalDefinition,
                "a condition that is not met before a definition of several lines",
            );
            diagnostics.push(
                found.at(work.place(0, work.text.len()), "only this line is left out").help(
                    "define the parameter first, and choose it by another one on a single line",
                ),
            );
        }
        false
    }

    fn include_line(
        &mut self,
        work: &Work<'s>,
        checks: crate::conf::options::IncludeChecks,
        pattern: &[u8],
        replaced: bool,
        diagnostics: &mut Diagnostics,
    ) {
        let at = work.place(0, work.text.len());
        if replaced || work.is_conditional || work.made.is_some() {
            let why = if work.is_conditional { "a condition" } else { "a parameter or repetition" };
            // Of a repetition it looks for all files twice, the second time in another place.
            let is_repeated = work.made.as_ref().is_some_and(|made| {
                matches!(made.origin.expansion, Expansion::Sequence | Expansion::List)
            });
            let class = if is_repeated { Class::General } else { Class::Silent };
            diagnostics.push(
                Diagnostic::new(
                    Code::UnreliableInclude,
                    format!("keepalived reads an include behind {why} twice, or not at all"),
                )
                .class(class)
                .at(at, "read once here"),
            );
        }
        if work.is_doubtful {
            return;
        }
        self.include(checks, pattern, at, diagnostics);
    }
}

/// Whether a line without parameters may be one for the macro layer.
fn is_special(text: &[u8]) -> bool {
    match text[0] {
        b'@' | b'~' => true,
        b'i' => text.starts_with(b"include"),
        _ => false,
    }
}

pub(super) fn has_open_quote(text: &[u8]) -> bool {
    memchr(b'"', text).is_some() && scan(text).quote.is_some()
}

/// Cuts a line at a backslash that keeps `#` or `!` from beginning a comment only for keepalived's first
/// process; gives the end of what is left.
pub(super) fn cut_at(line: &[u8], escape: usize, scan: &mut Scan) -> usize {
    scan.end = trimmed_end(line, escape);
    scan.has_comment = true;
    scan.has_dollar = memchr(b'$', &line[..scan.end]).is_some();
    scan.quote = scan.quote.filter(|quote| *quote < scan.end);
    scan.end
}

fn escaped_comment(place: Span) -> Diagnostic {
    Diagnostic::new(
        Code::EscapedComment,
        "keepalived's checker process starts a comment here in spite of the backslash",
    )
    .at(place, "")
    .help("put the word in double quotes")
}
