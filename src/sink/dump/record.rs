//! One JSON object on one line, its members in the order they are put, and values as JSON text.

use std::fmt::Write;
use std::time::Duration;

use crate::conf::{Sources, Span};
use crate::fleet::effective::{Level, Origin, Setting};
use crate::lint::file_and_line;

/// An object while it is written.
#[derive(Debug)]
pub(super) struct Record<'s> {
    sources: &'s Sources,
    members: String,
    from: String,
}

impl<'s> Record<'s> {
    pub(super) fn new(sources: &'s Sources) -> Record<'s> {
        Record { sources, members: String::new(), from: String::new() }
    }

    /// An object with its type.
    pub(super) fn of(sources: &'s Sources, kind: &str) -> Record<'s> {
        let mut record = Record::new(sources);
        record.put("type", text(kind));
        record
    }

    /// An object that stands inside this one.
    pub(super) fn inner(&self) -> Record<'s> {
        Record::new(self.sources)
    }

    /// Adds a member; `value` is JSON.
    pub(super) fn put(&mut self, name: &str, value: String) {
        let comma = if self.members.is_empty() { "" } else { "," };
        let _ = write!(self.members, "{comma}{}:{value}", text(name));
    }

    /// Adds a value and where it comes from.
    pub(super) fn setting<T>(
        &mut self,
        name: &str,
        setting: &Setting<T>,
        json: impl FnOnce(&T) -> String,
    ) {
        self.put(name, json(&setting.value));
        match setting.origin {
            Origin::Default => {}
            Origin::Written(level, span) => self.comes_from(name, level, span, false),
            Origin::Adjusted(level, span) => self.comes_from(name, level, span, true),
        }
    }

    /// Says where a member comes from.
    pub(super) fn comes_from(&mut self, name: &str, level: Level, span: Span, is_adjusted: bool) {
        let (file, line) = file_and_line(self.sources, span);
        let comma = if self.from.is_empty() { "" } else { "," };
        let level = match level {
            Level::Global => "global",
            Level::VirtualServer => "virtual_server",
            Level::RealServer => "real_server",
            Level::Checker => "checker",
        };
        let adjusted = if is_adjusted { r#","adjusted":true"# } else { "" };
        let _ = write!(
            self.from,
            r#"{comma}{}:{{"level":"{level}","file":{},"line":{line}"#,
            text(name),
            text(file),
        );
        // What stands at the place is `$NAME`, and the words stand elsewhere.
        let definition = self.sources.origin(span).and_then(|origin| origin.definition);
        if let Some(definition) = definition {
            let (file, line) = file_and_line(self.sources, definition);
            let _ = write!(self.from, r#","defined":{{"file":{},"line":{line}}}"#, text(file));
        }
        self.from.push_str(adjusted);
        self.from.push('}');
    }

    /// The object.
    pub(super) fn finish(mut self) -> String {
        let from = format!("{{{}}}", self.from);
        self.put("from", from);
        format!("{{{}}}", self.members)
    }

    /// The object without saying where anything comes from.
    pub(super) fn finish_plain(self) -> String {
        format!("{{{}}}", self.members)
    }
}

/// A text.
pub(super) fn text(value: &str) -> String {
    serde_json::Value::from(value).to_string()
}

/// Bytes as text: a backslash is `\\`, a byte that is no part of UTF-8 is `\xHH` (before JSON writes each
/// backslash twice), so that the bytes can be had back.
pub(super) fn bytes(value: &[u8]) -> String {
    let mut escaped = String::new();
    for chunk in value.utf8_chunks() {
        escaped.push_str(&chunk.valid().replace('\\', "\\\\"));
        for byte in chunk.invalid() {
            let _ = write!(escaped, "\\x{byte:02x}");
        }
    }
    text(&escaped)
}

/// Anything that is written as JSON writes it: numbers and booleans.
pub(super) fn plain(value: &impl ToString) -> String {
    value.to_string()
}

/// Anything that is written in quotes: addresses, names.
pub(super) fn shown(value: &impl ToString) -> String {
    text(&value.to_string())
}

/// null, or the value.
pub(super) fn optional<T>(value: &Option<T>, json: impl FnOnce(&T) -> String) -> String {
    value.as_ref().map_or_else(|| "null".to_owned(), json)
}

/// Seconds, to the microsecond.
pub(super) fn time(value: &Duration) -> String {
    let text = format!("{}.{:06}", value.as_secs(), value.subsec_micros());
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// An array.
pub(super) fn list(items: impl IntoIterator<Item = String>) -> String {
    format!("[{}]", items.into_iter().collect::<Vec<_>>().join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_can_be_had_back() {
        for (value, json) in [
            (&b"/a b"[..], r#""/a b""#),
            (b"a\\d", r#""a\\\\d""#),
            (b"\xff\xc3\xa4", r#""\\xffä""#),
            (b"\\xff", r#""\\\\xff""#),
        ] {
            assert_eq!(bytes(value), json);
        }
    }

    #[test]
    fn times_are_plain_numbers() {
        for (micros, json) in [(1, "0.000001"), (2_500_000, "2.5"), (60_000_000, "60"), (0, "0")] {
            assert_eq!(time(&Duration::from_micros(micros)), json);
        }
        assert_eq!(time(&Duration::from_secs(u64::MAX / 1_000_000)), "18446744073709");
    }
}
