//! `-o json`: the whole result as one JSON document.

use crate::bench::BenchResult;

/// The document, ending with a newline.
pub fn json(result: &BenchResult) -> String {
    // Cannot fail: plain data with string keys. Indented, because people look at it too.
    let mut text = serde_json::to_string_pretty(result).unwrap_or_default();
    text.push('\n');
    text
}
