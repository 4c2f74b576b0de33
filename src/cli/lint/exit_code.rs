//! What was found -> the exit code.

use crate::cli::exit;
use crate::conf::{Class, Severity};
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

/// That of `keepalived -t`. A failed include is found by the process that begins, and a
/// keyword without its value then ends the one that reads checkers; of the others the highest class counts.
pub(super) fn keepalived(classes: impl Iterator<Item = Class>) -> u8 {
    let rank = |class: &Class| match class {
        Class::Silent => 0,
        Class::Fatal => 1,
        Class::General => 2,
        Class::Security => 3,
        Class::Parameter => 4,
        Class::Include => 5,
    };
    classes.max_by_key(rank).map_or(exit::OK, Class::exit_code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_classes() {
        use Class::{Fatal, General, Include, Parameter, Security, Silent};
        for (classes, code) in [
            (&[][..], 0),
            (&[Silent], 0),
            (&[Fatal, Silent], 4),
            (&[General, Fatal], 5),
            (&[Security, General], 6),
            (&[General, Include], 6),
            (&[Security, Parameter, General], 2),
            (&[Security, Parameter, Include, General], 6),
        ] {
            assert_eq!(keepalived(classes.iter().copied()), code, "{classes:?}");
        }
    }
}
