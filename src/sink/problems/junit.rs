//! JUnit's XML, for the test reports of CI systems.
//!
//! A file is a test suite and each problem a test case of it, because that is what CI systems list, count
//! and compare with the run before. Errors are failures. Warnings and notes are skipped test cases, whose
//! text is shown without making the job fail (the text of a test case that passes is mostly not shown at
//! all); with `deny_warnings` warnings are failures too. A file without any problem is one test case that passes, so
//! that no suite is empty, which some systems take for an error.

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::Review;
use crate::conf::{Problem, Severity};

/// The report, without a line end.
pub fn junit(reviews: &[Review], deny_warnings: bool) -> String {
    let mut report = Report::new("ringprobe lint");
    for review in reviews {
        let mut suite = TestSuite::new(review.name.as_str());
        suite.add_test_cases(review.problems.iter().map(|found| {
            let mut case = case(found, deny_warnings);
            case.set_classname(review.name.as_str());
            case
        }));
        if review.problems.is_empty() {
            let mut case = TestCase::new("no problems", TestCaseStatus::success());
            case.set_classname(review.name.as_str());
            suite.add_test_case(case);
        }
        report.add_test_suite(suite);
    }
    // It is written to memory and made of valid text, so nothing in it can fail.
    report.to_string().unwrap_or_default().trim_end().to_owned()
}

fn case(problem: &Problem, deny_warnings: bool) -> TestCase {
    let severity = problem.code.severity();
    let is_failure =
        severity == Severity::Error || (severity == Severity::Warning && deny_warnings);
    let mut status = if is_failure {
        TestCaseStatus::non_success(NonSuccessKind::Failure)
    } else {
        TestCaseStatus::skipped()
    };
    status.set_message(problem.message.as_str());
    status.set_type(problem.code.as_str());
    status.set_description(problem.render(false));
    let place = problem.primary.as_ref();
    let place = place.map(|place| format!("{}:{}: ", place.file, place.line)).unwrap_or_default();
    TestCase::new(format!("{place}{}[{}]", severity.as_str(), problem.code.as_str()), status)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::problems::testing::{BAD, review};

    #[test]
    fn errors_fail_and_warnings_fail_on_demand() {
        let text = junit(&[review(BAD)], false);
        assert!(text.contains(r#"tests="4" skipped="2" errors="0" failures="2""#), "{text}");
        assert!(text.contains(r#"name="a b.conf:5: error[E010]""#), "{text}");
        let strict = junit(&[review(BAD)], true);
        assert!(strict.contains(r#"tests="4" skipped="1" errors="0" failures="3""#), "{strict}");
        let report = Report::deserialize_from_str(&strict).expect("JUnit");
        assert_eq!(report.failures, 3);
    }

    #[test]
    fn a_clean_file_is_a_test_that_passes() {
        let mut clean = review(BAD);
        clean.problems = crate::conf::Problems::default();
        let text = junit(&[clean], true);
        assert!(text.contains(r#"tests="1" skipped="0" errors="0" failures="0""#), "{text}");
        assert!(text.contains(r#"<testcase name="no problems" classname="a b.conf""#), "{text}");
    }
}
