//! A line on its way through the macro layer, and where it falls into two.

use std::borrow::Cow;

use memchr::{memchr, memchr2};

use super::comment::trimmed_end;
use super::definition::definition;
use super::{Made, include, repeat};
use crate::conf::lexer::is_blank;
use crate::conf::source::{FileId, Span};

/// A line on its way.
#[derive(Debug)]
pub(super) struct Work<'s> {
    /// What is left of it.
    pub(super) text: Cow<'s, [u8]>,
    /// While it is borrowed: where it is.
    pub(super) file: FileId,
    pub(super) start: usize,
    pub(super) number: u32,
    /// What made it; `None` while it is as it stands in its file.
    pub(super) made: Option<Made>,
    /// A quote without partner.
    pub(super) quote: Option<usize>,
    /// That quote was reported where it is written.
    pub(super) is_quote_known: bool,
    /// Where a comment begins that only came to light when parameters were replaced.
    pub(super) comment: Option<usize>,
    pub(super) is_conditional: bool,
    pub(super) is_doubtful: bool,
}

impl<'s> Work<'s> {
    /// Cuts it in two: it keeps what stands before `at`.
    pub(super) fn split_off(&mut self, at: usize) -> Work<'s> {
        let rest = match &mut self.text {
            Cow::Borrowed(text) => {
                let (head, rest) = text.split_at(at);
                *text = &head[..trimmed_end(head, at)];
                Cow::Borrowed(rest)
            }
            Cow::Owned(text) => {
                let rest = text.split_off(at);
                text.truncate(trimmed_end(text, at));
                Cow::Owned(rest)
            }
        };
        Work { text: rest, start: self.start + at, ..*self }
    }
}

impl Work<'_> {
    pub(super) fn made(text: Vec<u8>, made: Made) -> Work<'static> {
        Work {
            text: Cow::Owned(text),
            file: made.origin.at.file,
            start: made.origin.at.start as usize,
            number: made.number,
            made: Some(made),
            quote: None,
            is_quote_known: false,
            comment: None,
            is_conditional: false,
            is_doubtful: false,
        }
    }

    /// Takes `count` bytes off the front, and the blanks behind them.
    pub(super) fn advance(&mut self, count: usize) {
        let rest = &self.text[count..];
        let blanks = rest.iter().position(|byte| !is_blank(*byte)).unwrap_or(rest.len());
        let count = count + blanks;
        match &mut self.text {
            _ if count == 0 => {}
            Cow::Borrowed(text) => {
                *text = &text[count..];
                self.start += count;
            }
            Cow::Owned(text) => drop(text.drain(..count)),
        }
    }

    /// A place of the text in a real file: of a made line, where its expansion stands.
    pub(super) fn place(&self, start: usize, end: usize) -> Span {
        match &self.made {
            Some(made) => made.origin.at,
            None => Span::new(self.file, self.start + start, self.start + end),
        }
    }

    /// Where the text is written: its line of a definition, or the place in its file.
    pub(super) fn written(&self) -> Span {
        match &self.made {
            Some(made) => made.origin.definition.unwrap_or(made.origin.at),
            None => self.place(0, self.text.len()),
        }
    }
}

/// Where something of the macro layer begins behind a brace outside quotes; the braces of `${NAME}` are none.
pub(super) fn behind_brace(text: &[u8]) -> Option<usize> {
    // Most lines have no brace but one at their end.
    let first = memchr2(b'{', b'}', text)?;
    if first + 1 == text.len() {
        return None;
    }
    let mut quoted = false;
    let mut pos = 0;
    while let Some(byte) = text.get(pos) {
        match byte {
            b'\\' => pos += 1,
            b'"' => quoted = !quoted,
            b'$' if text.get(pos + 1) == Some(&b'{') => {
                pos += memchr(b'}', &text[pos..]).unwrap_or(1);
            }
            b'{' | b'}' if !quoted => {
                let rest = &text[pos + 1..];
                let blanks = rest.iter().take_while(|byte| is_blank(**byte)).count();
                let line = &rest[blanks..];
                let is_line = match line.first() {
                    Some(b'@') => true,
                    Some(b'$') => definition(line).is_some(),
                    Some(b'~') => repeat::keyword(line).is_some(),
                    Some(b'i') => include::parse(line).is_some() || include::is_bare(line),
                    _ => false,
                };
                if is_line {
                    return Some(pos + 1 + blanks);
                }
            }
            _ => {}
        }
        pos += 1;
    }
    None
}
