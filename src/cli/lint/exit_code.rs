//! What was found -> the exit code.

use crate::cli::exit;
use crate::conf::Severity;
use crate::sink::problems::Review;

/// 0, 1 for warnings, 2 for errors.
pub(super) fn own(reviews: &[Review], deny_warnings: bool) -> u8 {
    let has = |severity| reviews.iter().any(|review| review.problems.count(severity) > 0);
    if has(Severity::Error) || (deny_warnings && has(Severity::Warning)) {
        exit::USAGE
    } else if has(Severity::Warning) {
        exit::FAILED
    } else {
        exit::OK
    }
}
