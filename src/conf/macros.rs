//! The macro layer of the language, as far as it is known here: recognised, so that it can be refused.

use memchr::memchr;

use super::code::Code;
use super::diagnostic::{Diagnostic, Diagnostics};
use super::lexer::{Lexer, is_blank};
use super::source::Span;

/// Constructs of the macro layer. Each is reported once, with the number of its lines.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum Macro {
    Definition,
    Use,
    Repetition,
    Conditional,
    Include,
}

/// Each with the words that diagnostics use for it.
pub(super) const MACROS: [(Macro, &str); 5] = [
    (Macro::Definition, "definitions of parameters (`$NAME=`)"),
    (Macro::Use, "uses of parameters (`$NAME`, `${NAME}`)"),
    (Macro::Repetition, "repetitions (`~SEQ`, `~LST`)"),
    (Macro::Conditional, "conditional lines (`@id`)"),
    (Macro::Include, "includes"),
];

impl<'s> Lexer<'s> {
    /// Reports the macros that were met. Call once, at the end.
    pub fn finish(&self, diagnostics: &mut Diagnostics) {
        for (index, found) in self.macros.iter().enumerate() {
            let Some((span, lines)) = found else { continue };
            let lines = if *lines == 1 { "1 line".to_owned() } else { format!("{lines} lines") };
            diagnostics.push(
                Diagnostic::new(
                    Code::MacroUnsupported,
                    format!("{} are not supported yet: {lines}", MACROS[index].1),
                )
                .at(*span, "first here")
                .help("write the lines out as keepalived would read them"),
            );
        }
    }

    /// Notes what of the macro layer stands at the beginning of a segment and steps over it. `None`:
    /// nothing is left of the line. `Some(true)`: what is left depends on the macro.
    pub(super) fn macro_prefix(&mut self) -> Option<bool> {
        let start = self.pos;
        let line = &self.text[start..self.content_end];
        match line[0] {
            b'@' => {
                let word = line.iter().position(|byte| is_blank(*byte)).unwrap_or(line.len());
                self.note(Macro::Conditional, start, start + word);
                self.pos += word;
                self.skip_blanks();
                let is_brace = self.pos < self.content_end && self.text[self.pos] == b'{';
                (self.pos < self.content_end && !is_brace).then_some(true)
            }
            b'$' => {
                let name = identifier(&line[1..]);
                if name.is_empty() || line.get(1 + name.len()) != Some(&b'=') {
                    return Some(false);
                }
                self.note(Macro::Definition, start, start + 2 + name.len());
                self.defined.insert(name);
                self.skip_definition();
                None
            }
            b'~' if line.starts_with(b"~SEQ") || line.starts_with(b"~LST") => {
                self.note(Macro::Repetition, start, start + 4);
                let rest = memchr(b')', line).map_or(line.len(), |close| close + 1);
                self.pos += rest;
                self.skip_blanks();
                let is_brace = self.pos < self.content_end && self.text[self.pos] == b'{';
                (self.pos < self.content_end && !is_brace).then_some(true)
            }
            b'i' if is_include(line) => {
                self.note(Macro::Include, start, self.content_end);
                self.pos = self.content_end;
                None
            }
            _ => Some(false),
        }
    }

    /// Steps over the lines of a definition: each that ends in a backslash goes on with the next.
    fn skip_definition(&mut self) {
        while self.content_end > self.pos && self.text[self.content_end - 1] == b'\\' {
            if self.next_line >= self.text.len() {
                break;
            }
            let start = self.next_line;
            let end = memchr(b'\n', &self.text[start..]).map_or(self.text.len(), |end| start + end);
            self.next_line = (end + 1).min(self.text.len());
            self.line = self.line.saturating_add(1);
            let line = &self.text[start..end];
            let kept = line.iter().rposition(|byte| !is_blank(*byte)).map_or(0, |last| last + 1);
            if kept > 0 {
                // A blank line neither continues nor ends a definition.
                self.pos = start;
                self.content_end = start + kept;
            }
        }
        self.pos = self.content_end;
    }

    /// The end of the parameter that begins at `pos`; `None` where keepalived would take it as text.
    pub(super) fn parameter(&self, pos: usize, quoted: bool) -> Option<usize> {
        let line = &self.text[pos + 1..self.content_end];
        let is_known = |name: &[u8]| name.starts_with(b"_") || self.defined.contains(name);
        if line.first() == Some(&b'{') {
            let name = identifier(&line[1..]);
            let close = memchr(b'}', line)?;
            // An unknown name is text, but outside quotes keepalived then cuts the line at its brace.
            (!name.is_empty() && (!quoted || is_known(name))).then_some(pos + 2 + close)
        } else {
            let name = identifier(line);
            let ends =
                line.get(name.len()).is_none_or(|next| matches!(next, b' ' | b'\t' | b',' | b')'));
            (!name.is_empty() && ends && is_known(name)).then_some(pos + 1 + name.len())
        }
    }

    pub(super) fn note(&mut self, kind: Macro, start: usize, end: usize) {
        let Some(index) = MACROS.iter().position(|(known, _)| *known == kind) else { return };
        let span = Span::new(self.file, start, end);
        match &mut self.macros[index] {
            Some((_, lines)) => *lines += 1,
            empty => *empty = Some((span, 1)),
        }
    }
}

/// The identifier at the beginning of `text`; empty where there is none.
fn identifier(text: &[u8]) -> &[u8] {
    if !text.first().is_some_and(|byte| byte.is_ascii_alphabetic() || *byte == b'_') {
        return &[];
    }
    let end = text.iter().position(|byte| !byte.is_ascii_alphanumeric() && *byte != b'_');
    &text[..end.unwrap_or(text.len())]
}

fn is_include(line: &[u8]) -> bool {
    let word = line.iter().position(|byte| is_blank(*byte)).unwrap_or(line.len());
    word < line.len()
        && matches!(
            &line[..word],
            b"include" | b"includer" | b"includem" | b"includew" | b"includeb" | b"includea"
        )
}
