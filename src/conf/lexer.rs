//! Logical lines -> segments of words, and braces.
//!
//! A line is cut at each brace outside quotes; the rest after a brace is treated like a line of its own.
//! Words are separated by blanks. A word that begins with `"` runs to the next `"`, backslashes
//! included; a `"` inside a bare word ends it. Commands are split like a shell does it.

use memchr::memchr;

use super::blocks::is_split_like_shell;
use super::code::Code;
use super::diagnostic::{Diagnostic, Diagnostics};
use super::expand::{Expander, Line};
use super::options::LanguageOptions;
use super::source::{FileId, Sources, Span};

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

/// Reads the files of a configuration from the beginning to the end.
#[derive(Debug)]
pub struct Lexer<'s> {
    sources: &'s Sources,
    expander: Expander<'s>,
    /// The line after this one, if somebody asked what it is.
    peeked: Option<Line>,
    /// The file or the made lines in which the current line is.
    text: &'s [u8],
    file: FileId,
    pos: usize,
    /// End of the current line.
    content_end: usize,
    /// Number of the current line in its real file.
    line: u32,
    /// The line's last quote has no partner. Words behind it were reported once for the whole line.
    quote_open: bool,
    /// A parameter could not be replaced: braces of `${...}` are no braces.
    is_doubtful: bool,
}

impl<'s> Lexer<'s> {
    /// At the beginning of the first of `roots`.
    pub fn new(sources: &'s Sources, roots: &[FileId], options: &'s LanguageOptions) -> Lexer<'s> {
        Lexer {
            sources,
            expander: Expander::new(sources, roots, options),
            peeked: None,
            text: &[],
            file: FileId::default(),
            pos: 0,
            content_end: 0,
            line: 0,
            quote_open: false,
            is_doubtful: false,
        }
    }

    /// Whether a limit was met, so that the end is not the end of the files.
    pub fn is_cut_off(&self) -> bool {
        self.expander.is_cut_off()
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
    pub fn at_open(&mut self, diagnostics: &mut Diagnostics) -> bool {
        let rest = &self.text[self.pos..self.content_end];
        if let Some(byte) = rest.iter().find(|byte| !is_blank(**byte)) {
            return *byte == b'{';
        }
        if self.peeked.is_none() {
            self.peeked = self.expander.next(diagnostics);
        }
        self.peeked.is_some_and(|line| {
            self.sources.file(line.file).text().get(line.start as usize) == Some(&b'{')
        })
    }

    /// The line after this one, once [`Lexer::at_open`] looked at it; `None` where there is none or where
    /// something is left of this one.
    pub fn next_line(&self) -> Option<Span> {
        let rest = &self.text[self.pos..self.content_end];
        let line = self.peeked.filter(|_| rest.iter().all(|byte| is_blank(*byte)))?;
        Some(Span::new(line.file, line.start as usize, line.end as usize))
    }

    fn brace(&mut self) -> Span {
        self.pos += 1;
        Span::new(self.file, self.pos - 1, self.pos)
    }

    fn skip_blanks(&mut self) {
        while self.pos < self.content_end && is_blank(self.text[self.pos]) {
            self.pos += 1;
        }
    }

    /// Goes to the next line; false at the end.
    fn begin_line(&mut self, diagnostics: &mut Diagnostics) -> bool {
        let next = self.peeked.take().or_else(|| self.expander.next(diagnostics));
        let Some(line) = next else {
            self.pos = self.content_end;
            return false;
        };
        if line.file != self.file || self.text.is_empty() {
            self.file = line.file;
            self.text = self.sources.file(line.file).text();
        }
        self.pos = line.start as usize;
        self.content_end = line.end as usize;
        self.line = line.number;
        self.quote_open = line.quote_open;
        self.is_doubtful = line.is_doubtful;
        self.look_for_continuation(diagnostics);
        true
    }

    /// A backslash at the end is for definitions, and those do not come here.
    fn look_for_continuation(&mut self, diagnostics: &mut Diagnostics) {
        let line = &self.text[self.pos..self.content_end];
        let slashes = line.iter().rev().take_while(|byte| **byte == b'\\').count();
        if slashes % 2 == 1 && !self.quote_open && !self.is_doubtful {
            let end = Span::new(self.file, self.content_end - 1, self.content_end);
            diagnostics.push(
                Diagnostic::new(Code::LineContinued, "lines are not continued")
                    .at(end, "the next line is a line of its own")
                    .help("only the definition of a parameter may go on in the next line"),
            );
            self.is_doubtful = true;
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
        let mut doubtful = self.is_doubtful || self.quote_open;
        let end = self.segment_end();
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

    /// The end of the segment at `pos`: the next brace outside quotes or the end of the content.
    fn segment_end(&self) -> usize {
        let mut quoted = false;
        let mut pos = self.pos;
        while pos < self.content_end {
            match self.text[pos] {
                b'\\' => pos += 1,
                b'"' => quoted = !quoted,
                b'$' if self.is_doubtful && self.text.get(pos + 1) == Some(&b'{') => {
                    if let Some(close) = memchr(b'}', &self.text[pos..self.content_end]) {
                        pos += close;
                    }
                }
                b'{' | b'}' if !quoted => break,
                _ => {}
            }
            pos += 1;
        }
        pos.min(self.content_end)
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
