//! One JSON document: every problem, its places, the worst cases and the rate.
//!
//! Columns count characters from 1; `end_column` is that behind the last marked one. `source_line` has
//! U+FFFD for bytes that are not UTF-8. Times are seconds; a checker without a worst case has null.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Placed, Review, counts};
use crate::conf::{Excerpt, Problem};
use crate::lint::Rate;

#[derive(Serialize)]
struct Document<'r> {
    tool: &'static str,
    version: &'static str,
    files: Vec<&'r str>,
    problems: Vec<ProblemJson<'r>>,
    summary: Summary,
    detection: Vec<DetectionJson<'r>>,
    rate: RateJson<'r>,
}

#[derive(Serialize)]
struct Summary {
    errors: u64,
    warnings: u64,
    notes: u64,
}

#[derive(Serialize)]
struct ProblemJson<'r> {
    code: &'static str,
    severity: &'static str,
    message: &'r str,
    file: Option<&'r str>,
    line: Option<u32>,
    column: Option<u32>,
    end_column: Option<u32>,
    source_line: Option<&'r str>,
    label: Option<&'r str>,
    related: Vec<Related<'r>>,
    help: Option<&'r str>,
    /// Lines of one expansion that have it.
    occurrences: u64,
}

#[derive(Serialize)]
struct Related<'r> {
    file: &'r str,
    line: u32,
    column: u32,
    end_column: u32,
    label: &'r str,
}

#[derive(Serialize)]
struct DetectionJson<'r> {
    worst_s: Option<f64>,
    why: &'r str,
    checker: &'static str,
    real_server: &'r str,
    virtual_server: &'r str,
    file: &'r str,
    line: u32,
}

#[derive(Serialize)]
struct RateJson<'r> {
    healthy_per_s: f64,
    failing_per_s: f64,
    down_per_s: f64,
    by_checker: BTreeMap<&'r str, ByChecker>,
}

#[derive(Serialize, Default)]
struct ByChecker {
    checkers: u64,
    healthy_per_s: f64,
}

/// The document, without a line end; `rows` of the worst cases, `None` for all.
pub fn json(reviews: &[Review], rows: Option<usize>) -> String {
    let [errors, warnings, notes] = counts(reviews);
    let problems = reviews.iter().flat_map(|review| review.problems.iter());
    let mut detection: Vec<&Placed> = reviews.iter().flat_map(|review| &review.detection).collect();
    detection.sort_by_key(|one| std::cmp::Reverse(one.figure.worst));
    detection.truncate(rows.unwrap_or(usize::MAX));
    let document = Document {
        tool: env!("CARGO_PKG_NAME"),
        version: env!("CARGO_PKG_VERSION"),
        files: reviews.iter().map(|review| review.name.as_str()).collect(),
        problems: problems.map(problem).collect(),
        summary: Summary { errors, warnings, notes },
        detection: detection.into_iter().map(figure).collect(),
        rate: rate(reviews),
    };
    // Nothing in it can fail: keys are text and floats are finite.
    serde_json::to_string_pretty(&document).unwrap_or_default()
}

/// The column behind the marked text.
pub(super) fn end_column(place: &Excerpt) -> u32 {
    let marked = place.text().get(place.marked()).unwrap_or_default();
    place.column + marked.chars().count() as u32
}

fn problem(problem: &Problem) -> ProblemJson<'_> {
    let place = problem.primary.as_ref();
    ProblemJson {
        code: problem.code.as_str(),
        severity: problem.code.severity().as_str(),
        message: &problem.message,
        file: place.map(|place| place.file.as_str()),
        line: place.map(|place| place.line),
        column: place.map(|place| place.column),
        end_column: place.map(end_column),
        source_line: place.map(Excerpt::text),
        label: place.map(Excerpt::label).filter(|label| !label.is_empty()),
        related: problem
            .further()
            .map(|place| Related {
                file: &place.file,
                line: place.line,
                column: place.column,
                end_column: end_column(place),
                label: place.label(),
            })
            .collect(),
        help: problem.help.as_deref(),
        occurrences: problem.occurrences(),
    }
}

fn figure(placed: &Placed) -> DetectionJson<'_> {
    DetectionJson {
        worst_s: placed.figure.worst.map(|worst| worst.as_secs_f64()),
        why: &placed.figure.why,
        checker: placed.figure.checker,
        real_server: &placed.figure.real_server,
        virtual_server: &placed.figure.virtual_server,
        file: &placed.file,
        line: placed.line,
    }
}

fn rate(reviews: &[Review]) -> RateJson<'_> {
    let mut by_checker: BTreeMap<&str, ByChecker> = BTreeMap::new();
    for (keyword, (healthy, checkers)) in reviews.iter().flat_map(|one| &one.rate.by_checker) {
        let sum = by_checker.entry(keyword).or_default();
        sum.healthy_per_s += healthy;
        sum.checkers += checkers;
    }
    RateJson {
        healthy_per_s: total(reviews, |rate| rate.healthy),
        failing_per_s: total(reviews, |rate| rate.failing),
        down_per_s: total(reviews, |rate| rate.down),
        by_checker,
    }
}

/// The sum over all files; `Sum` of no numbers at all is -0.
fn total(reviews: &[Review], figure: impl Fn(&Rate) -> f64) -> f64 {
    reviews.iter().fold(0.0, |sum, review| sum + figure(&review.rate))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::sink::problems::testing::{BAD, review};

    #[test]
    fn places_and_severities() {
        let document: Value = serde_json::from_str(&json(&[review(BAD)], None)).expect("JSON");
        assert_eq!(document["files"], json!(["a b.conf"]));
        assert_eq!(document["summary"], json!({"errors": 2, "warnings": 1, "notes": 1}));
        assert_eq!(
            document["problems"][0],
            json!({
                "code": "E010", "severity": "error", "message": "unknown keyword `wieght`",
                "file": "a b.conf", "line": 5, "column": 5, "end_column": 11,
                "source_line": "    wieght 1", "label": "not known in `virtual_server`",
                "related": [], "help": "did you mean `weight`?",
                "occurrences": 1
            })
        );
        let related = &document["problems"][1]["related"][0];
        assert_eq!((&related["line"], &related["column"]), (&json!(8), &json!(13)), "{document}");
    }

    #[test]
    fn what_many_lines_of_an_expansion_have_is_one_problem() {
        let review = review("~SEQ(N, 1, 4) wieght\n");
        let document: Value = serde_json::from_str(&json(&[review], None)).expect("JSON");
        assert_eq!(document["summary"]["errors"], 1);
        assert_eq!(document["problems"].as_array().map(Vec::len), Some(1));
        assert_eq!(document["problems"][0]["occurrences"], 4);
    }
}
