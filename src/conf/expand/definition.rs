//! Definitions of parameters: on one line, or on several that end in a backslash.

use super::comment::trimmed_end;
use super::parameter::{DefinedLine, Value, identifier};
use super::work::Work;
use super::{Expander, OpenDefinition};
use crate::conf::code::Code;
use crate::conf::diagnostic::{Diagnostic, Diagnostics};
use crate::conf::source::Span;

impl<'s> Expander<'s> {
    /// Takes a line that is a definition; `name` is the length of the name.
    pub(super) fn define(&mut self, work: &Work<'s>, name: usize) {
        let text = &work.text;
        let value = text[name + 2..].trim_ascii_start();
        let at = work.written();
        let name = text[1..name + 1].to_vec();
        match value.strip_suffix(b"\\") {
            // A line of a definition has lost its backslash, so this one stands in a file.
            Some(first) if work.made.is_none() => {
                let mut open = OpenDefinition { name, at, lines: Vec::new() };
                let first = &first[..trimmed_end(first, first.len())];
                if !first.is_empty() {
                    open.lines.push(DefinedLine { text: first.to_vec(), at });
                }
                self.definition = Some(open);
            }
            _ => self.parameters.define(&name, Value::Text(value.to_vec()), at),
        }
    }

    /// Takes a line that belongs to the open definition.
    pub(super) fn go_on_defining(&mut self, text: &[u8], at: Span) {
        let Some(open) = &mut self.definition else { return };
        let (line, goes_on) = match text.strip_suffix(b"\\") {
            Some(line) => (&line[..trimmed_end(line, line.len())], true),
            None => (text, false),
        };
        if !line.is_empty() {
            open.lines.push(DefinedLine { text: line.to_vec(), at });
        }
        if !goes_on && let Some(open) = self.definition.take() {
            self.finish_definition(open);
        }
    }

    /// A line with nothing in it but perhaps a comment ends the open definition, as it does in keepalived
    /// 2.2. Later versions go on behind it.
    pub(super) fn end_definition(&mut self, blank: Span, diagnostics: &mut Diagnostics) {
        let Some(open) = self.definition.take() else { return };
        let name = String::from_utf8_lossy(&open.name).into_owned();
        diagnostics.push(
            Diagnostic::new(
                Code::DefinitionEnded,
                format!("the definition of `{name}` ends before this line: it has no backslash"),
            )
            .at(blank, "later versions of keepalived go on behind it")
            .also(open.at, "begun here")
            .help("remove the line, or end it in a backslash"),
        );
        self.finish_definition(open);
    }

    /// Puts the value of a definition of several lines into the table.
    pub(super) fn finish_definition(&mut self, mut open: OpenDefinition) {
        let value = match open.lines.len() {
            0 => Value::Text(Vec::new()),
            1 => Value::Text(std::mem::take(&mut open.lines[0].text)),
            _ => Value::Lines(open.lines.into()),
        };
        self.parameters.define(&open.name, value, open.at);
    }
}

/// The length of the name, where `text` is a definition.
pub(super) fn definition(text: &[u8]) -> Option<usize> {
    let name = identifier(text.strip_prefix(b"$")?).len();
    (name > 0 && text.get(1 + name) == Some(&b'=')).then_some(name)
}

/// The name, where `text` would be a definition without the blanks before its `=`.
pub(super) fn spaced_definition(text: &[u8]) -> Option<String> {
    let rest = text.strip_prefix(b"$")?;
    let name = identifier(rest);
    let behind = rest[name.len()..].trim_ascii_start();
    let is_spaced = !name.is_empty() && behind.len() < rest.len() - name.len();
    (is_spaced && behind.starts_with(b"=")).then(|| String::from_utf8_lossy(name).into_owned())
}
