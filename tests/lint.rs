//! `ringprobe lint` as a user runs it: exit codes, streams, forms.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output, Stdio};

use ringprobe::conf::Code;
use serde_json::Value;
use tempfile::TempDir;

const CLEAN: &str = "virtual_server 10.0.0.1 80 {
    lvs_sched rr
    lvs_method NAT
    protocol TCP
    real_server 10.0.0.2 80 {
        TCP_CHECK {
        }
    }
}
";

fn lint(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringprobe"));
    command.arg("lint").args(args).stdin(Stdio::null()).env_remove("NO_COLOR");
    command.output().expect("it starts")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("UTF-8")
}

/// Three files: nothing wrong, a warning, an error.
fn files() -> (TempDir, [String; 3]) {
    let directory = tempfile::tempdir().expect("a directory");
    let write = |name: &str, text: String| {
        let path = directory.path().join(name);
        fs::write(&path, text).expect("room");
        path.display().to_string()
    };
    let paths = [
        write("clean.conf", CLEAN.to_owned()),
        write("warning.conf", CLEAN.replace("    lvs_sched rr\n", "")),
        write("error.conf", CLEAN.replace("lvs_method NAT", "lvs_method\n    wieght 5")),
    ];
    (directory, paths)
}

#[test]
fn exit_codes_are_of_the_worst_problem() {
    let (directory, [clean, warning, error]) = files();
    let path = |name: &str| directory.path().join(name).display().to_string();
    let (executable, large) = (path("executable.conf"), path("large.conf"));
    fs::write(&executable, CLEAN).expect("room");
    fs::set_permissions(&executable, fs::Permissions::from_mode(0o755)).expect("ours");
    fs::write(&large, format!("~SEQ(N, 1250000) $M=$N\n{CLEAN}")).expect("room");
    for (args, code) in [
        (&[&*clean][..], 0),
        (&[&clean, &warning], 1),
        (&["--deny-warnings", &warning], 2),
        (&["--deny-warnings", &clean], 0),
        (&[&error, &clean], 2),
        (&["/nonexistent.conf"], 2),
        (&["--keepalived-exit-codes", &clean], 0),
        (&["--keepalived-exit-codes", &warning], 5),
        (&["--keepalived-exit-codes", &warning, &error], 2),
        (&["--keepalived-exit-codes", "/nonexistent.conf"], 4),
        (&["--keepalived-exit-codes", "--dump", &warning], 5),
        // keepalived reads none of it, and is content.
        (&["--keepalived-exit-codes", &executable], 0),
        (&[&executable], 1),
        (&[&large], 2),
        (&["--max-lines", "1300000", &large], 0),
    ] {
        let output = lint(args);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {}", text(&output.stderr));
    }
}

#[test]
fn wrong_flags_are_2_and_say_why() {
    for args in [
        &[][..],
        &["--explain", "E999"],
        &["--explain", "E012", "x.conf"],
        &["--dump", "--flatten", "x.conf"],
        &["--dump", "-o", "json", "x.conf"],
        &["-o", "sarif", "--detection", "3", "x.conf"],
        &["--detection", "many", "x.conf"],
        &["-", "-"],
    ] {
        let output = lint(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{args:?}");
    }
    let help = lint(&["--help"]);
    assert_eq!(help.status.code(), Some(0));
    assert!(text(&help.stdout).contains("Exit codes with --keepalived-exit-codes"));
}

#[test]
fn problems_are_the_result_and_stand_on_standard_output() {
    let (_directory, [clean, _, error]) = files();
    let output = lint(&[&error]);
    let problems = text(&output.stdout);
    assert!(problems.contains("error[E012]") && problems.contains("did you mean `weight`?"));
    assert!(problems.contains("1 file: 2 errors, 0 warnings, 0 notes"), "{problems}");
    assert!(output.stderr.is_empty());
    assert!(text(&lint(&[&clean]).stdout).contains("1 file: nothing to complain about"));
}

#[test]
fn a_file_that_cannot_be_read_does_not_hide_the_others() {
    let (_directory, [_, warning, _]) = files();
    let output = lint(&["/nonexistent.conf", &warning]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("cannot read /nonexistent.conf"));
    assert!(text(&output.stdout).contains("warning[W031]"));
}

#[test]
fn every_form_is_what_it_says() {
    let (directory, [clean, warning, error]) = files();
    let document = lint(&["-o", "json", &clean, &warning, &error]);
    let document: Value = serde_json::from_slice(&document.stdout).expect("JSON");
    assert_eq!(document["files"].as_array().map(Vec::len), Some(3));
    assert_eq!(document["summary"]["errors"], 2);
    let log = lint(&["-o", "sarif", &error]);
    let log: Value = serde_json::from_slice(&log.stdout).expect("JSON");
    assert_eq!(log["version"], "2.1.0");
    let report = lint(&["-o", "junit", &error]);
    assert!(text(&report.stdout).starts_with("<?xml version=\"1.0\""));
    let out = directory.path().join("out").display().to_string();
    let written = lint(&["-o", "junit", "--out", &out, &error]);
    assert!(written.stdout.is_empty());
    let file = fs::read_to_string(&out).expect("written");
    assert_eq!(file.lines().count(), text(&report.stdout).lines().count());
}

#[test]
fn a_file_is_never_written_over_itself() {
    let (_directory, [clean, _, _]) = files();
    let output = lint(&["--out", &clean, &clean]);
    assert_eq!(output.status.code(), Some(4), "{}", text(&output.stderr));
    assert_eq!(fs::read_to_string(&clean).expect("there"), CLEAN);
}

#[test]
fn every_code_is_explained() {
    let all = lint(&["--explain", "all"]);
    assert_eq!(all.status.code(), Some(0));
    assert_eq!(text(&all.stdout).lines().count(), Code::ALL.len());
    let one = lint(&["--explain", "w076"]);
    assert!(text(&one.stdout).starts_with("W076 (warning): "), "{}", text(&one.stdout));
}

#[test]
fn a_configuration_may_come_through_standard_input() {
    let (_directory, [_, warning, _]) = files();
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringprobe"));
    command.args(["lint", "-"]).stdin(fs::File::open(warning).expect("there"));
    let output = command.output().expect("it starts");
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).contains(" --> stdin:1:1"), "{}", text(&output.stdout));
}

#[test]
fn a_dump_is_records_and_its_problems_stand_on_standard_error() {
    let (_directory, [_, warning, _]) = files();
    let output = lint(&["--dump", &warning]);
    for line in text(&output.stdout).lines() {
        let record: Value = serde_json::from_str(line).expect("JSON");
        assert!(record["type"].is_string(), "{line}");
    }
    assert!(text(&output.stdout).starts_with(r#"{"type":"globals","#));
    assert!(text(&output.stderr).contains("warning[W031]"));
}

#[test]
fn lines_of_another_host_are_left_out() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("hosts.conf").display().to_string();
    let lines = "@one protocol TCP\n@two protocol UDP\n";
    fs::write(&path, CLEAN.replace("    protocol TCP\n", lines)).expect("room");
    for (id, protocol) in [("one", "tcp"), ("two", "udp")] {
        let output = lint(&["--dump", "--config-id", id, &path]);
        assert_eq!(output.status.code(), Some(0), "{}", text_of(&output));
        let service = text(&output.stdout)
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).expect("JSON"))
            .find(|record| record["type"] == "virtual_server")
            .expect("a virtual server");
        assert!(service.to_string().to_lowercase().contains(protocol), "{service}");
    }
}

#[test]
fn scripts_of_another_machine_need_not_be_here() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("scripts.conf").display().to_string();
    let script = "MISC_CHECK {\n misc_path /no/such/script\n user no-such-user\n }";
    fs::write(&path, CLEAN.replace("TCP_CHECK {\n        }", script)).expect("room");
    let output = lint(&[&path]);
    assert_eq!(output.status.code(), Some(2), "{}", text_of(&output));
    let output = lint(&["--no-scripts", &path]);
    assert_eq!(output.status.code(), Some(0), "{}", text_of(&output));
}

fn text_of(output: &Output) -> String {
    format!("{}{}", text(&output.stdout), text(&output.stderr))
}

#[test]
fn a_report_of_a_file_that_cannot_be_read_is_not_clean() {
    let output = lint(&["-o", "json", "/no/such/file.conf"]);
    assert_eq!(output.status.code(), Some(2));
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(report["problems"][0]["code"], "E049", "{report}");
    assert!(!text(&output.stdout).contains("-0.0"), "{report}");
    let output = lint(&["-o", "junit", "/no/such/file.conf"]);
    assert!(text(&output.stdout).contains("failures=\"1\""), "{}", text_of(&output));
    let output = lint(&["--keepalived-exit-codes", "-o", "sarif", "/no/such/file.conf"]);
    assert_eq!(output.status.code(), Some(4));
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(report["runs"][0]["results"][0]["ruleId"], "E049", "{report}");
}
