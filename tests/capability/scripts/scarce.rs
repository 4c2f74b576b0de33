//! Little room for processes and descriptors: scripts wait for it, and none is spent on the lack of it.

use std::time::Duration;

use super::{Scripts, by_server, found, script};
use crate::support::{Child, pause};

#[test]
fn no_more_scripts_run_than_there_are_descriptors_for() {
    let mut scripts = Scripts::new();
    scripts.checks(60, "/bin/sleep 0.5", "misc_timeout 60; retry 0");
    let mut command = scripts.command_by("prlimit --nofile=128:128", "--script-jobs 200");
    let report = scripts.finished(Child::start(&mut command, None).finish());
    assert_eq!(report.count("passed"), 60, "{:?}", report.verdicts());
    assert!(report.probes.iter().all(|probe| probe.attempts == 1), "none was refused a process");
    let waited = report.probes.iter().filter(|probe| script(probe).queued_us >= 400_000.0).count();
    assert!(waited >= 20, "{waited} say that they waited for a place");

    let mut scripts = Scripts::new();
    scripts.checks(60, "/bin/sleep NAP", "misc_timeout 1; retry 0");
    let mut command = scripts.command_by("prlimit --nofile=128:128", "--script-jobs 200");
    let mut engine = Child::start(&mut command, None);
    let mut most = 0;
    while !engine.has_ended() {
        most = most.max(scripts.kin().sleeping());
        pause(Duration::from_millis(10));
    }
    let report = scripts.finished(engine.finish());
    assert_eq!(report.count_of("timeout"), 60, "{:?}", report.verdicts());
    assert!((10..=40).contains(&most), "{most} at once");
}

#[test]
#[ignore = "needs root: scripts run as somebody else, whose processes are limited"]
fn a_script_for_which_there_is_no_process_waits_for_one() {
    // Root's processes are not limited; those of nobody, of which other tests may have a few, are.
    let mut scripts = Scripts::new();
    let more = "misc_timeout 60; retry 0; user nobody";
    scripts.checks(60, "/bin/sleep 0.5", more);
    let mut command = scripts.command_by("prlimit --nproc=30:30", "--script-jobs 60");
    let report = scripts.finished(Child::start(&mut command, None).finish());
    assert_eq!(report.count("passed"), 60, "{:?}", report.verdicts());
    assert_ne!(report.count("free_retries"), 0, "there was room for all: {}", report.summary);
    // Where there is none for long, it has to be said after all.
    let mut scripts = Scripts::new();
    scripts.check("/bin/sleep NAP", "misc_timeout 6; retry 0; user nobody");
    let second = scripts.check("/bin/sleep 0.5", more);
    let mut command = scripts.command_by("prlimit --nproc=0:0", "--script-jobs 2");
    let report = scripts.finished(Child::start(&mut command, None).finish());
    let probe = by_server(&report)[second.as_str()];
    assert_eq!(found(probe), "unknown script_spawn", "{probe:?}");
}
