//! Includes, conditions, parameters and repetitions: what comes out of them, and what is said where they
//! are wrong. Everything is read relative to the root of this repository, where cargo starts tests.

use std::path::Path;

use ringprobe::conf::{Class, Problems};
use ringprobe::fleet::{Fleet, LoadOptions, Loaded, Rejected, load, load_text};

use super::model::{spec, timing};

fn options() -> LoadOptions {
    LoadOptions { config_id: Some("me".to_owned()), ..LoadOptions::default() }
}

/// Whether it is accepted, and what is said.
fn judged(result: Result<Loaded, Rejected>) -> (bool, Problems) {
    match result {
        Ok(loaded) => (true, loaded.problems),
        Err(Rejected::Invalid { problems, .. }) => (false, problems),
        Err(error) => panic!("{error}"),
    }
}

fn golden(name: &str, is_probed: bool) {
    let path = format!("tests/conf/language/{name}.conf");
    let (accepted, problems) = judged(load(Path::new(&path), &options()));
    let text = problems.render(false);
    assert_eq!(accepted, is_probed, "{text}");
    super::compare(&format!("language/{name}"), &text);
}

#[test]
fn problems_in_lines_that_were_made() {
    golden("expansions", false);
}

#[test]
fn parameters_that_cannot_be_replaced() {
    golden("parameters", false);
}

#[test]
fn repetitions_that_lead_nowhere() {
    golden("repetitions", false);
}

#[test]
fn included_files_with_problems_and_without_end() {
    golden("includes", false);
}

#[test]
fn surprises_that_stop_nothing() {
    golden("surprises", true);
}

/// What the macro layer has to do with a real server and its checker.
fn described(fleet: &Fleet) -> Vec<String> {
    let mut lines: Vec<String> = fleet
        .real_servers
        .iter()
        .map(|server| format!("{} weight {}", server.address, server.weight))
        .collect();
    for (seq, checker) in fleet.checkers.iter().enumerate() {
        let timeout = spec(fleet, seq).connection().expect("a network check").timeout;
        let line = &mut lines[checker.real_server.index()];
        *line += &format!(" retry {} timeout {}", timing(fleet, seq).retry, timeout.as_secs());
    }
    lines
}

#[test]
fn the_grammar_example_means_what_keepalived_makes_of_it() {
    let path = Path::new("tests/conf/corpus/v15-grammar.conf");
    let loaded = load(path, &LoadOptions::default()).expect("valid");
    assert_eq!(
        described(&loaded.fleet),
        [
            "127.0.15.1:80 weight 2",
            "127.0.15.2:80 weight 1 retry 5 timeout 5",
            "127.0.15.3:80 weight 1 retry 6 timeout 5",
            "127.0.15.4:80 weight 3",
            "127.0.15.21:80 weight 1 retry 2 timeout 21",
            "127.0.15.31:80 weight 1 retry 2 timeout 31",
            "127.0.15.32:80 weight 1 retry 2 timeout 32",
            "127.0.15.33:80 weight 1 retry 2 timeout 33",
            "127.0.15.41:80 weight 4 retry 2 timeout 41",
            "127.0.15.42:80 weight 5 retry 2 timeout 42",
            "127.0.15.60:80 weight 9",
            "127.0.15.55:80 weight 9",
            "127.0.15.50:80 weight 9",
            "127.0.16.11:80 weight 1",
            "127.0.16.12:80 weight 1",
            "127.0.16.21:80 weight 1",
            "127.0.16.22:80 weight 1",
            "127.0.15.101:80 weight 9 retry 1 timeout 5",
        ]
    );
    // The checker of a block that is repeated has the line of the repetition.
    let lines: Vec<_> = loaded.fleet.checkers.iter().map(|checker| checker.line).collect();
    assert_eq!(lines, [32, 35, 42, 43, 43, 43, 44, 44, 1]);
    let said: Vec<_> =
        loaded.problems.iter().map(|found| (found.code.as_str(), found.keepalived)).collect();
    assert_eq!(said, [("W054", Class::Silent)]);
}

#[test]
fn a_missing_file_is_an_error_where_the_include_says_so() {
    let path = Path::new("tests/conf/corpus/i11-include-missing.conf");
    let (accepted, problems) = judged(load(path, &options()));
    assert!(!accepted);
    let found: Vec<_> = problems
        .iter()
        .map(|found| {
            let line = found.primary.as_ref().map_or(0, |at| at.line);
            (line, found.code.as_str(), found.keepalived)
        })
        .collect();
    assert_eq!(
        found,
        [
            (2, "W054", Class::Silent),
            (4, "W054", Class::Silent),
            (5, "E034", Class::Include),
            (11, "E010", Class::General),
        ]
    );
    let strict = LoadOptions { all_config: true, ..options() };
    let (_, problems) = judged(load(path, &strict));
    let lines: Vec<_> = problems
        .iter()
        .filter(|found| found.code.as_str() == "E034")
        .map(|found| found.primary.as_ref().map_or(0, |at| at.line))
        .collect();
    assert_eq!(lines, [2, 3, 4, 5]);
}

#[test]
fn several_files_are_one_configuration() {
    let place = tempfile::tempdir().expect("a directory for temporary files");
    let write = |name: &str, text: &str| {
        std::fs::write(place.path().join(name), text).expect("written");
    };
    let server = |address: &str| {
        format!(
            "protocol TCP\nlvs_sched rr\nlvs_method NAT\nreal_server {address} 80 {{ TCP_CHECK {{ }} }}\n}}\n"
        )
    };
    write("1.conf", "$VS=virtual_server\n");
    write("2.conf", &format!("$VS 10.0.0.1 80 {{\n{}", server("10.0.1.1")));
    write("3.conf", &format!("$VS 10.0.0.2 80 {{\n{}", server("10.0.1.2")));
    let loaded = load(&place.path().join("?.conf"), &options()).expect("valid");
    assert_eq!(described(&loaded.fleet).len(), 2);
    let said = loaded.problems.render(false);
    assert!(said.starts_with("warning[W056]: 3 files match `"), "{said}");
    let digest = loaded.fleet.digest;
    write("1.conf", "# another\n$VS=virtual_server\n");
    let loaded = load(&place.path().join("?.conf"), &options()).expect("valid");
    assert_ne!(loaded.fleet.digest, digest, "all files count");
    let error = load(&place.path().join("no*.conf"), &options()).expect_err("no file");
    assert!(error.to_string().ends_with("no file matches"), "{error}");
}

#[test]
fn excerpts_of_made_lines_say_where_they_are_from() {
    let text = "global_defs {\n  $A=nothing\n  \u{e4} ~\n ~SEQ(N, 1, 4) ${A}$N\n}\n";
    let (_, problems) = judged(load_text("x", text.into(), &options()));
    let found = problems.iter().last().expect("unknown keywords");
    let at = found.primary.as_ref().expect("in a line");
    assert_eq!((at.file.as_str(), at.line, at.column), ("x", 4, 2));
    assert_eq!((at.text(), at.marked()), ("nothing1", 0..8));
    assert_eq!(at.expansion().map(|made| made.as_str()), Some("`~SEQ`"));
    assert_eq!(found.more, 3);
    assert_eq!(found.occurrences(), 4);
    // One of those lines, and the tilde.
    assert_eq!(problems.count(ringprobe::conf::Severity::Error), 2);
    assert_eq!(problems.iter().count(), 2);
    assert_eq!(found.secondary[0].label(), "expanded from `~SEQ` here");
}
