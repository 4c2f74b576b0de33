//! SARIF 2.1.0 (OASIS), as code scanning services read it. Columns are Unicode code points.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use serde::Serialize;

use super::Review;
use super::json::end_column;
use crate::conf::{Code, Excerpt, Problem, Severity};

const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

#[derive(Serialize)]
struct Log {
    #[serde(rename = "$schema")]
    schema: &'static str,
    version: &'static str,
    runs: [Run; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Run {
    tool: Tool,
    column_kind: &'static str,
    results: Vec<Finding>,
}

#[derive(Serialize)]
struct Tool {
    driver: Driver,
}

#[derive(Serialize)]
struct Driver {
    name: &'static str,
    version: &'static str,
    rules: Vec<Rule>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    id: &'static str,
    short_description: Message,
    full_description: Message,
    help: Message,
    default_configuration: Configuration,
}

#[derive(Serialize)]
struct Configuration {
    level: &'static str,
}

#[derive(Serialize)]
struct Message {
    text: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Finding {
    rule_id: &'static str,
    rule_index: usize,
    level: &'static str,
    message: Message,
    locations: Vec<Location>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    related_locations: Vec<Location>,
    occurrence_count: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Location {
    physical_location: Physical,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<Message>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Physical {
    artifact_location: Artifact,
    region: Region,
}

#[derive(Serialize)]
struct Artifact {
    uri: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Region {
    start_line: u32,
    start_column: u32,
    end_column: u32,
    snippet: Message,
}

/// The log, without a line end. All codes are among its rules.
pub fn sarif(reviews: &[Review]) -> String {
    let driver = Driver {
        name: env!("CARGO_PKG_NAME"),
        version: env!("CARGO_PKG_VERSION"),
        rules: Code::ALL.iter().map(|code| rule(*code)).collect(),
    };
    let results = reviews.iter().flat_map(|review| review.problems.iter()).map(finding).collect();
    let run = Run { tool: Tool { driver }, column_kind: "unicodeCodePoints", results };
    let log = Log { schema: SCHEMA, version: "2.1.0", runs: [run] };
    // Nothing in it can fail: all keys are text.
    serde_json::to_string_pretty(&log).unwrap_or_default()
}

fn message(text: impl Into<String>) -> Message {
    Message { text: text.into() }
}

/// SARIF has the same three words.
fn level(severity: Severity) -> &'static str {
    severity.as_str()
}

fn rule(code: Code) -> Rule {
    let explanation = code.explanation();
    Rule {
        id: code.as_str(),
        short_description: message(explanation.title),
        full_description: message(explanation.meaning),
        help: message(format!(
            "{}\nkeepalived: {}\nExample:\n{}",
            explanation.remedy, explanation.keepalived, explanation.example
        )),
        default_configuration: Configuration { level: level(code.severity()) },
    }
}

fn finding(problem: &Problem) -> Finding {
    // Viewers show the message and hardly ever anything else, so it has the label and the remedy too.
    let mut text = problem.message.clone();
    let label = problem.primary.as_ref().map(Excerpt::label).filter(|label| !label.is_empty());
    for (before, more) in [(": ", label), (". Remedy: ", problem.help.as_deref())] {
        if let Some(more) = more {
            text.push_str(before);
            text.push_str(more);
        }
    }
    let rule_index = Code::ALL.iter().position(|code| *code == problem.code).unwrap_or(0);
    Finding {
        rule_id: problem.code.as_str(),
        rule_index,
        level: level(problem.code.severity()),
        message: message(text),
        locations: problem.primary.iter().map(|place| location(place, false)).collect(),
        related_locations: problem.further().map(|place| location(place, true)).collect(),
        occurrence_count: problem.occurrences(),
    }
}

fn location(place: &Excerpt, is_named: bool) -> Location {
    Location {
        physical_location: Physical {
            artifact_location: Artifact { uri: uri(place.path()) },
            region: Region {
                start_line: place.line,
                start_column: place.column,
                end_column: end_column(place),
                snippet: message(place.text()),
            },
        },
        message: (is_named && !place.label().is_empty()).then(|| message(place.label())),
    }
}

/// RFC 3986: a path as a URI reference; a colon in the first segment would look like a scheme.
fn uri(path: &Path) -> String {
    let mut uri = String::from(if path.is_absolute() { "file://" } else { "" });
    for byte in path.as_os_str().as_bytes() {
        match *byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                uri.push(char::from(*byte));
            }
            _ => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::sink::problems::testing::{BAD, review};

    #[test]
    fn the_log_follows_its_schema() {
        let schema = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/schemas/sarif-schema-2.1.0.json");
        let schema = std::fs::read_to_string(schema).expect("a file of this repository");
        let schema: Value = serde_json::from_str(&schema).expect("JSON");
        let validator = jsonschema::validator_for(&schema).expect("a schema");
        let mut nothing = review(BAD);
        nothing.problems = crate::conf::Problems::default();
        let empty = review("");
        for reviews in [vec![], vec![review(BAD)], vec![nothing, review(BAD), empty]] {
            let log: Value = serde_json::from_str(&sarif(&reviews)).expect("JSON");
            let errors: Vec<_> =
                validator.iter_errors(&log).map(|error| error.to_string()).collect();
            assert_eq!(errors, [""; 0]);
        }
        // The validator can say no.
        assert!(!validator.is_valid(&json!({"version": "2.1.0", "runs": [{}]})));
    }

    #[test]
    fn results_name_their_rule_and_place() {
        let log: Value = serde_json::from_str(&sarif(&[review(BAD)])).expect("JSON");
        let run = &log["runs"][0];
        let result = &run["results"][0];
        assert_eq!(result["ruleId"], "E010");
        let index = result["ruleIndex"].as_u64().expect("a number") as usize;
        assert_eq!(run["tool"]["driver"]["rules"][index]["id"], "E010");
        assert_eq!(result["level"], "error");
        let place = &result["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], "a%20b.conf");
        assert_eq!(place["region"]["startLine"], 5);
        assert_eq!(place["region"]["endColumn"], 11);
        assert_eq!(
            result["message"]["text"],
            "unknown keyword `wieght`: not known in `virtual_server`. Remedy: did you mean `weight`?"
        );
    }

    #[test]
    fn results_say_how_often_they_occur() {
        let log: Value =
            serde_json::from_str(&sarif(&[review("~SEQ(N, 1, 4) wieght\n")])).expect("JSON");
        let results = log["runs"][0]["results"].as_array().expect("a list");
        assert_eq!(results.len(), 1);
        assert_eq!(results[0]["occurrenceCount"], 4);
    }

    #[test]
    fn paths_become_uris() {
        assert_eq!(uri(Path::new("/etc/a b.conf")), "file:///etc/a%20b.conf");
        assert_eq!(uri(Path::new("x:y/%")), "x%3Ay/%25");
    }

    /// Bytes of a path that are no text lead to the file all the same.
    #[test]
    fn paths_need_not_be_utf_8() {
        use std::ffi::OsStr;
        let place = tempfile::tempdir().expect("a directory for temporary files");
        let path = place.path().join(OsStr::from_bytes(b"caf\xe9\x07.conf"));
        std::fs::write(&path, "~SEQ(N, 1) wieght\n").expect("written");
        let analysis = crate::fleet::analyse(&path, &Default::default()).expect("there");
        let problems = crate::conf::Problems::new(analysis.diagnostics, &analysis.sources);
        let excerpt = problems.iter().find_map(|problem| problem.primary.as_ref()).expect("one");
        assert!(excerpt.file.ends_with("caf\u{fffd}\u{fffd}.conf"), "{}", excerpt.file);
        assert!(uri(excerpt.path()).ends_with("/caf%E9%07.conf"), "{}", uri(excerpt.path()));
    }
}
