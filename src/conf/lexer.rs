//! Text -> segments of words, and braces.
//!
//! Order of work on a line, as keepalived has it: line end off, comment off (`#` or `!` outside double
//! quotes), conditional prefix, definition, repetition, include, cut at the first brace outside
//! quotes, words. The rest after a brace is treated like a line of its own.
//!
//! Words are separated by blanks. A word that begins with `"` runs to the next `"`, backslashes
//! included; a `"` inside a bare word ends it. Commands are split like a shell does it.

use std::collections::BTreeSet;

use memchr::memchr;

use super::blocks::is_split_like_shell;
use super::code::Code;
use super::diagnostic::{Diagnostic, Diagnostics};
use super::macros::{MACROS, Macro};
use super::source::{FileId, LINE_BYTES_MAX, Source, Span};

/// What the lexer found next.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Item {
    /// Words up to a brace or the end of the line; at least one. They were appended to the words given.
    Segment {
        /// How many words.
        words: u16,
        /// Where it begins, from 1.
        line: u32,
        /// A quote or a parameter in it cannot be read, which was reported: only its place is certain.
        doubtful: bool,
    },
    /// `{`
    Open(Span),
    /// `}`
    Close(Span),
    /// Nothing more.
    End,
}

/// Reads one file from its beginning to its end.
#[derive(Debug)]
pub struct Lexer<'s> {
    pub(super) text: &'s [u8],
    pub(super) file: FileId,
    pub(super) pos: usize,
    /// Number of the line being read, from 1; 0 before the first.
    pub(super) line: u32,
    /// End of the line's content: line end, comment and trailing blanks are cut off.
    pub(super) content_end: usize,
    /// Where the next line begins.
    pub(super) next_line: usize,
    /// The line's last quote has no partner. Words behind it were reported once for the whole line.
    pub(super) quote_open: bool,
    /// First place and number of lines of each kind of macro met.
    pub(super) macros: [Option<(Span, u32)>; MACROS.len()],
    /// Names of parameters defined so far.
    pub(super) defined: BTreeSet<&'s [u8]>,
}

impl<'s> Lexer<'s> {
    /// At the beginning of `source`, which is `file`.
    pub fn new(source: &'s Source, file: FileId) -> Lexer<'s> {
        Lexer {
            text: source.text(),
            file,
            pos: 0,
            line: 0,
            content_end: 0,
            next_line: 0,
            quote_open: false,
            macros: [None; MACROS.len()],
            defined: BTreeSet::new(),
        }
    }

    /// Reads on. The words of a segment are appended to `words`.
    pub fn next(&mut self, words: &mut Vec<Span>, diagnostics: &mut Diagnostics) -> Item {
        loop {
            self.skip_blanks();
            if self.pos >= self.content_end {
                if !self.begin_line(diagnostics) {
                    return Item::End;
                }
                continue;
            }
            match self.text[self.pos] {
                b'{' => return Item::Open(self.brace()),
                b'}' => return Item::Close(self.brace()),
                _ => {
                    if let Some(item) = self.segment(words, diagnostics) {
                        return item;
                    }
                }
            }
        }
    }

    /// Whether the next item will be a `{`, here or on a later line.
    pub fn at_open(&self) -> bool {
        let mut pos = self.pos;
        while pos < self.content_end {
            match self.text[pos] {
                byte if is_blank(byte) => pos += 1,
                byte => return byte == b'{',
            }
        }
        pos = self.next_line;
        while let Some(byte) = self.text.get(pos) {
            match byte {
                b'#' | b'!' => match memchr(b'\n', &self.text[pos..]) {
                    Some(end) => pos += end + 1,
                    None => return false,
                },
                byte if is_blank(*byte) => pos += 1,
                byte => return *byte == b'{',
            }
        }
        false
    }

    fn brace(&mut self) -> Span {
        self.pos += 1;
        Span::new(self.file, self.pos - 1, self.pos)
    }

    pub(super) fn skip_blanks(&mut self) {
        while self.pos < self.content_end && is_blank(self.text[self.pos]) {
            self.pos += 1;
        }
    }

    /// Goes to the next line that can be read; false at the end of the file.
    fn begin_line(&mut self, diagnostics: &mut Diagnostics) -> bool {
        loop {
            let start = self.next_line;
            if start >= self.text.len() {
                self.pos = start;
                self.content_end = start;
                return false;
            }
            let newline = memchr(b'\n', &self.text[start..]).map(|end| start + end);
            let mut end = newline.unwrap_or(self.text.len());
            self.next_line = newline.map_or(end, |end| end + 1);
            self.line = self.line.saturating_add(1);
            self.pos = start;
            while end > start && self.text[end - 1] == b'\r' {
                end -= 1;
            }
            if end - start > LINE_BYTES_MAX {
                let beyond = Span::new(self.file, start + LINE_BYTES_MAX, start + LINE_BYTES_MAX);
                diagnostics.push(
                    Diagnostic::new(
                        Code::LineTooLong,
                        format!("line of {} bytes: {LINE_BYTES_MAX} are the limit", end - start),
                    )
                    .at(beyond, "the limit is here"),
                );
                continue;
            }
            if let Some(nul) = memchr(0, &self.text[start..end]) {
                let nul = start + nul;
                diagnostics.push(
                    Diagnostic::new(Code::NulByte, "line with a NUL byte")
                        .at(Span::new(self.file, nul, nul + 1), ""),
                );
                continue;
            }
            self.cut_comment(start, end, diagnostics);
            return true;
        }
    }

    /// Finds the end of the line's content.
    fn cut_comment(&mut self, start: usize, end: usize, diagnostics: &mut Diagnostics) {
        let mut quote = None;
        let mut escaped = None;
        let mut pos = start;
        while pos < end {
            match self.text[pos] {
                b'\\' => {
                    pos += 1;
                    if quote.is_none() && pos < end && matches!(self.text[pos], b'#' | b'!') {
                        escaped = Some(pos);
                    }
                }
                b'"' if quote.is_none() => quote = Some(pos),
                b'"' => quote = None,
                b'#' | b'!' if quote.is_none() => break,
                _ => {}
            }
            pos += 1;
        }
        let mut content_end = pos.min(end);
        while content_end > start && is_blank(self.text[content_end - 1]) {
            content_end -= 1;
        }
        self.content_end = content_end;
        self.quote_open = quote.is_some();
        if let Some(quote) = quote {
            self.report_quote(quote, diagnostics);
        }
        if let Some(at) = escaped {
            diagnostics.push(
                Diagnostic::new(
                    Code::EscapedComment,
                    "keepalived's checker process starts a comment here in spite of the backslash",
                )
                .at(Span::new(self.file, at - 1, at + 1), "")
                .help("put the word in double quotes"),
            );
        }
    }

    fn report_quote(&self, quote: usize, diagnostics: &mut Diagnostics) {
        diagnostics.push(
            Diagnostic::new(Code::UnterminatedQuote, "unterminated quote")
                .at(Span::new(self.file, quote, self.content_end), "opened here, closed nowhere"),
        );
    }

    /// Reads the words up to the next brace; `None` when nothing is left of them.
    fn segment(&mut self, words: &mut Vec<Span>, diagnostics: &mut Diagnostics) -> Option<Item> {
        let mut doubtful = self.macro_prefix()?;
        let (end, has_parameter) = self.segment_end();
        doubtful |= has_parameter || self.quote_open;
        let first = words.len();
        let start = self.pos;
        self.pos = end;
        match self.split(start, end, words) {
            Ok(()) => {}
            Err(quote) => {
                doubtful = true;
                if !self.quote_open {
                    self.report_quote(quote, diagnostics);
                }
            }
        }
        let count = words.len() - first;
        (count > 0).then_some(Item::Segment { words: count as u16, line: self.line, doubtful })
    }

    /// The end of the segment at `pos`: the next brace outside quotes or the end of the content. Says
    /// too whether a parameter stands in it.
    fn segment_end(&mut self) -> (usize, bool) {
        let mut quoted = false;
        let mut has_parameter = false;
        let mut pos = self.pos;
        while pos < self.content_end {
            match self.text[pos] {
                b'\\' => pos += 1,
                b'"' => quoted = !quoted,
                b'{' | b'}' if !quoted => break,
                b'$' => {
                    if let Some(end) = self.parameter(pos, quoted) {
                        if !has_parameter {
                            self.note(Macro::Use, pos, end);
                        }
                        has_parameter = true;
                        pos = end;
                        continue;
                    }
                }
                _ => {}
            }
            pos += 1;
        }
        (pos.min(self.content_end), has_parameter)
    }

    /// Splits into words; the error is the place of a quote without partner.
    fn split(&self, start: usize, end: usize, words: &mut Vec<Span>) -> Result<(), usize> {
        let mut pos = start;
        let mut is_first = true;
        loop {
            while pos < end && is_blank(self.text[pos]) {
                pos += 1;
            }
            if pos >= end {
                return Ok(());
            }
            if self.text[pos] == b'"' {
                let close = memchr(b'"', &self.text[pos + 1..end]).ok_or(pos)?;
                words.push(Span::new(self.file, pos + 1, pos + 1 + close));
                pos += close + 2;
            } else {
                let word = pos;
                while pos < end && !is_blank(self.text[pos]) && self.text[pos] != b'"' {
                    pos += 1;
                }
                words.push(Span::new(self.file, word, pos));
                if is_first && is_split_like_shell(&self.text[word..pos]) {
                    return self.split_like_shell(pos, end, words);
                }
            }
            is_first = false;
        }
    }

    /// Words as a shell sees them; their quotes and escapes stay in the span.
    fn split_like_shell(
        &self,
        start: usize,
        end: usize,
        words: &mut Vec<Span>,
    ) -> Result<(), usize> {
        let mut pos = start;
        loop {
            while pos < end && is_blank(self.text[pos]) {
                pos += 1;
            }
            if pos >= end {
                return Ok(());
            }
            let word = pos;
            let mut quote: Option<usize> = None;
            while pos < end {
                let byte = self.text[pos];
                match quote {
                    _ if byte == b'\\' => pos += 1,
                    Some(open) if byte == self.text[open] => quote = None,
                    Some(_) => {}
                    None if matches!(byte, b'"' | b'\'') => quote = Some(pos),
                    None if is_blank(byte) => break,
                    None => {}
                }
                pos += 1;
            }
            if let Some(open) = quote {
                return Err(open);
            }
            pos = pos.min(end);
            words.push(Span::new(self.file, word, pos));
        }
    }
}

/// Blanks that separate words.
pub(crate) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\x0c' | b'\n' | b'\r' | b'\x0b')
}

#[cfg(test)]
mod tests;
