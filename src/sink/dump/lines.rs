//! Lines of a keepalived.conf while they are written: keywords, values, blocks, and whether a value is one of
//! the block that is written.

use std::fmt::Display;
use std::sync::Arc;

use super::quote;
use crate::conf::blocks;
use crate::fleet::effective::{Level, Origin, Setting, Verbatim};

/// Lines, indented by their block.
#[derive(Debug, Default)]
pub(super) struct Lines {
    text: Vec<u8>,
    depth: usize,
}

impl Lines {
    /// A line of its own, made by `write`.
    pub(super) fn line(&mut self, keyword: &str, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.text.len();
        self.text.extend(std::iter::repeat_n(b' ', 4 * self.depth));
        self.text.extend_from_slice(keyword.as_bytes());
        let before = self.text.len();
        self.text.push(b' ');
        write(&mut self.text);
        if self.text.len() == before + 1 {
            self.text.truncate(before);
        }
        self.end(start);
    }

    /// Ends the line that begins at `start`. One that ends in a backslash would go on in the next: a word like
    /// that has no spelling at the end of a line, as nothing escapes a backslash.
    fn end(&mut self, start: usize) {
        if self.text.ends_with(b"\\") {
            let first = self.text[start..].trim_ascii().split(|byte| *byte == b' ').next();
            let first = String::from_utf8_lossy(first.unwrap_or_default()).into_owned();
            self.text.truncate(start);
            self.text.extend(std::iter::repeat_n(b' ', 4 * self.depth));
            let comment = match first.ends_with('\\') {
                // A line of one value, like a mail address: a comment with it would go on as well.
                true => "# left out, as it ends in a backslash".to_owned(),
                false => format!("# left out, its value ends in a backslash: {first}"),
            };
            self.text.extend_from_slice(comment.as_bytes());
        }
        self.text.push(b'\n');
    }

    /// A keyword as it was written, with all that is in its block.
    pub(super) fn verbatim(&mut self, kept: &Verbatim) {
        let Some((keyword, values)) = kept.words.split_first() else { return };
        let is_command = blocks::is_split_like_shell(keyword);
        let mut header = Vec::new();
        quote::word(&mut header, keyword);
        for value in values {
            header.push(b' ');
            if is_command {
                header.extend_from_slice(value);
            } else {
                quote::word(&mut header, value);
            }
        }
        let start = self.text.len();
        let indent = std::iter::repeat_n(b' ', 4 * self.depth);
        self.text.extend(indent.clone());
        self.text.extend_from_slice(&header);
        if let Some(block) = &kept.block {
            self.text.extend_from_slice(b" {\n");
            self.depth += 1;
            block.iter().for_each(|child| self.verbatim(child));
            self.depth -= 1;
            self.text.extend(indent);
            self.text.push(b'}');
        }
        self.end(start);
    }

    /// A keyword and a value that needs no quotes.
    pub(super) fn value(&mut self, keyword: &str, value: impl Display) {
        self.line(keyword, |out| out.extend_from_slice(value.to_string().as_bytes()));
    }

    /// A keyword and a word.
    pub(super) fn word(&mut self, keyword: &str, value: &[u8]) {
        self.line(keyword, |out| quote::word(out, value));
    }

    /// A keyword alone.
    pub(super) fn flag(&mut self, keyword: &str) {
        self.line(keyword, |_| {});
    }

    /// A block; `header` may have several words, none of which needs quotes.
    pub(super) fn block(&mut self, header: &str, inside: impl FnOnce(&mut Lines)) {
        self.value(header, "{");
        self.depth += 1;
        inside(self);
        self.depth -= 1;
        self.flag("}");
    }

    /// A value that is written on `level`, and no other.
    pub(super) fn own<T>(
        &mut self,
        level: Level,
        setting: &Setting<T>,
        write: impl FnOnce(&mut Lines, &T),
    ) {
        if is_of(setting.origin, level) {
            write(self, &setting.value);
        }
    }

    /// The same of one that may be absent.
    pub(super) fn own_if<T>(
        &mut self,
        level: Level,
        setting: &Setting<Option<T>>,
        write: impl FnOnce(&mut Lines, &T),
    ) {
        self.own(level, setting, |lines, value| {
            if let Some(value) = value {
                write(lines, value);
            }
        });
    }

    /// A keyword that has no argument: it can only be switched on.
    pub(super) fn own_flag(&mut self, level: Level, keyword: &str, setting: &Setting<bool>) {
        self.own(level, setting, |lines, is_on| {
            if *is_on {
                lines.flag(keyword);
            }
        });
    }

    pub(super) fn own_boolean(&mut self, level: Level, keyword: &str, setting: &Setting<bool>) {
        self.own(level, setting, |lines, is_on| {
            lines.value(keyword, if *is_on { "on" } else { "off" });
        });
    }

    pub(super) fn own_word(
        &mut self,
        level: Level,
        keyword: &str,
        setting: &Setting<Option<Arc<str>>>,
    ) {
        self.own_if(level, setting, |lines, word| lines.word(keyword, word.as_bytes()));
    }

    pub(super) fn own_number<T: Display>(
        &mut self,
        level: Level,
        keyword: &str,
        setting: &Setting<T>,
    ) {
        self.own(level, setting, |lines, number| lines.value(keyword, number));
    }

    /// None yet, of a block that may stay empty.
    pub(super) fn inside() -> Lines {
        Lines { depth: 1, ..Lines::default() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Adds lines that are indented already.
    pub(super) fn append(&mut self, inside: Lines) {
        self.text.extend_from_slice(&inside.text);
    }

    pub(super) fn finish(self) -> Vec<u8> {
        self.text
    }
}

/// Whether a value is written on `level`.
pub(super) fn is_of(origin: Origin, level: Level) -> bool {
    matches!(origin, Origin::Written(of, _) | Origin::Adjusted(of, _) if of == level)
}
