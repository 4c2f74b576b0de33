//! Includes, conditions, parameters and repetitions: what comes out of them, and what is said where they
//! are wrong. Everything is read relative to the root of this repository, where cargo starts tests.

use std::path::Path;

use ringprobe::conf::{Class, Problems};
use ringprobe::fleet::{Fleet, LoadOptions, Loaded, ProbeSpec, Rejected, load, load_text};

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

fn servers(fleet: &Fleet) -> Vec<String> {
    fleet.real_servers.iter().map(|server| format!("{}:{}", server.address, server.port)).collect()
}

#[test]
fn the_grammar_example_has_its_seventeen_servers() {
    let path = Path::new("tests/conf/corpus/v15-grammar.conf");
    let loaded = load(path, &LoadOptions::default()).expect("valid");
    let fleet = &loaded.fleet;
    assert_eq!(
        servers(fleet),
        [
            "127.0.15.1:80",
            "127.0.15.2:80",
            "127.0.15.3:80",
            "127.0.15.4:80",
            "127.0.15.21:80",
            "127.0.15.31:80",
            "127.0.15.32:80",
            "127.0.15.33:80",
            "127.0.15.41:80",
            "127.0.15.42:80",
            "127.0.15.60:80",
            "127.0.15.55:80",
            "127.0.15.50:80",
            "127.0.16.11:80",
            "127.0.16.12:80",
            "127.0.16.21:80",
            "127.0.16.22:80",
            "127.0.15.101:80",
        ]
    );
    let checks: Vec<_> = (0..fleet.checkers.len()).map(|seq| spec(fleet, seq)).collect();
    let timings: Vec<_> = (0..fleet.checkers.len()).map(|seq| timing(fleet, seq)).collect();
    println!("{checks:?}\n{timings:?}");
    println!("{:?}", loaded.problems.render(false));
    panic!("look");
}
