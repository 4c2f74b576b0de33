//! Little room for processes and descriptors: scripts wait for it, and none is spent on the lack of it.

use super::{Scripts, found, only};
use crate::support::{Child, Report, pause};
use std::time::Duration;

fn all_pass_at_once(report: &Report) {
    for probe in &report.probes {
        assert_eq!((found(probe).as_str(), probe.attempts), ("pass ok", 1), "{probe:?}");
    }
}

#[test]
fn no_more_scripts_run_than_there_are_descriptors_for() {
    let mut scripts = Scripts::new();
    scripts.checks(60, "/bin/sleep 0.5", "misc_timeout 60; retry 0");
    let mut command = scripts.command_by("prlimit --nofile=128:128", "--script-jobs 200");
    let report = scripts.finished(Child::start(&mut command, None).finish());
    all_pass_at_once(&report);

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
    all_pass_at_once(&report);
    // Where there never is one, it has to be said after all.
    let mut scripts = Scripts::new();
    scripts.check("/bin/sleep 0.5", more);
    let mut command = scripts.command_by("prlimit --nproc=0:0", "");
    let report = scripts.finished(Child::start(&mut command, None).finish());
    assert_eq!(found(only(&report)), "unknown script_spawn", "{:?}", only(&report));
}
