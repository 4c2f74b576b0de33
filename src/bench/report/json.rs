//! `-o json`: the whole result as one JSON document.

use serde::Serialize;

use crate::bench::{BenchResult, Verdict};

/// The result and what to think of it.
#[derive(Serialize)]
pub(super) struct Document<'a> {
    #[serde(flatten)]
    result: &'a BenchResult,
    verdict: Verdict,
}

impl Document<'_> {
    pub(super) fn of(result: &BenchResult) -> Document<'_> {
        Document { result, verdict: result.verdict() }
    }
}

/// The document, ending with a newline.
pub fn json(result: &BenchResult) -> String {
    // Cannot fail: plain data with string keys. Indented, because people look at it too.
    let mut text = serde_json::to_string_pretty(&Document::of(result)).unwrap_or_default();
    text.push('\n');
    text
}
