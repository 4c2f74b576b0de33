//! `-o text`: the result for people.

use crate::bench::BenchResult;

/// The text, ending with a newline.
pub fn text(result: &BenchResult, _is_coloured: bool) -> String {
    format!("{result:?}\n")
}
