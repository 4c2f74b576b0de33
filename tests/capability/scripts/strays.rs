//! Processes that have lost their mark: whose they are, and who ends those that are nobody's.

use super::{Scripts, by_server, found, script};
use crate::support::Report;

const LONG: &str = "misc_timeout 60";

fn unowned_killed(report: &Report) -> u64 {
    let count = report.summary["scripts"]["unowned_killed"].as_u64();
    count.unwrap_or_else(|| panic!("no count: {}", report.summary))
}

#[test]
fn in_the_session_of_a_script_nothing_needs_a_mark() {
    let mut scripts = Scripts::new();
    // A group of its own in the script's session, by job control, and an environment without a mark.
    let leaves =
        scripts.shell("env -i bash -c \\\"set -m; sleep NAP & :\\\"; sleep 1; exit 0", LONG);
    let timeout = scripts
        .shell("env -i bash -c \\\"set -m; sleep NAP & :\\\"; sleep NAP; :", "misc_timeout 2");
    // They run as long as the others, so nothing is the only script's.
    scripts.checks(3, "/bin/sleep 3", LONG);
    let report = scripts.report("--script-cgroup off --script-jobs 10");
    let servers = by_server(&report);
    for (server, probe) in &servers {
        let is_leaver = **server == leaves;
        let expected = if **server == timeout { "fail timeout" } else { "pass ok" };
        assert_eq!(found(probe), expected, "{probe:?}");
        assert_eq!(script(probe).left_processes, is_leaver, "{probe:?}");
    }
    assert_eq!(unowned_killed(&report), 0, "{}", report.summary);
}

#[test]
fn what_escapes_from_the_only_script_is_its_own() {
    let mut scripts = Scripts::new();
    let server = scripts.shell("env -i setsid sleep NAP & sleep 1; exit 3", LONG);
    let report = scripts.report("--script-cgroup off --script-jobs 1");
    let probe = by_server(&report)[server.as_str()];
    assert_eq!(found(probe), "fail exit_status");
    assert!(script(probe).left_processes, "{probe:?}");
    assert_eq!(unowned_killed(&report), 0, "{}", report.summary);
}

#[test]
fn escapes_of_nobody_are_ended_and_counted() {
    let mut scripts = Scripts::new();
    scripts.shell("env -i setsid sleep NAP & env -i setsid sleep NAP & sleep 1; exit 0", LONG);
    scripts.checks(2, "/bin/sleep 3", LONG);
    let report = scripts.report("--script-cgroup off --script-jobs 10");
    assert_eq!(report.count("passed"), 3, "{:?}", report.verdicts());
    assert_eq!(unowned_killed(&report), 2, "{}", report.summary);
}
