//! Scripts that outlive their timeout, and those that end in the same moment.

use std::time::Duration;

use super::processes::{
    descriptors, is_reaper_gone, no_new_zombie, reaper_of, zombies, zombies_of,
};
use super::{Scripts, found, only, script};
use crate::support::pause;

/// More descriptors, and more children that have ended, than a reaper process with a hundred scripts may
/// ever have; fewer than one for each of a thousand scripts.
const KEPT_MAX: usize = 600;

#[test]
fn two_hundred_scripts_that_sleep_for_an_hour_leave_nothing() {
    let mut scripts = Scripts::new();
    for _ in 0..100 {
        scripts.check("/bin/sleep NAP", "misc_timeout 1");
        scripts.shell("sleep NAP & sleep NAP", "misc_timeout 1");
    }
    let before = zombies();
    let mut engine = scripts.start("--script-jobs 100");
    let reaper = reaper_of(&mut engine);
    let report = scripts.finished(engine.finish());
    assert!(is_reaper_gone(reaper));
    no_new_zombie(&before);
    assert_eq!(report.count_of("timeout"), 200, "{}", report.summary);
    for probe in &report.probes {
        let script = script(probe);
        assert_eq!(found(probe), "fail timeout");
        assert!(!script.is_unkilled, "{probe:?}");
        assert_eq!((script.signal.as_deref(), script.exit_status), (Some("SIGTERM"), None));
        assert!(script.run_us.is_some_and(|us| us >= 1e6), "killed before its time: {probe:?}");
        assert_eq!(probe.latency_us, None, "nothing answered: {probe:?}");
    }
}

#[test]
fn a_thousand_scripts_that_end_at_their_timeout_have_one_outcome_each() {
    let mut scripts = Scripts::new();
    scripts.checks(1_000, "/bin/sleep 1", "misc_timeout 1");
    let before = zombies();
    let mut engine = scripts.start("--script-jobs 100");
    let reaper = reaper_of(&mut engine);
    let (id, mut open, mut ended) = (engine.id() as i32, 0, 0);
    while !engine.has_ended() {
        let now = [id, reaper].into_iter().filter_map(descriptors).max();
        open = open.max(now.unwrap_or_default());
        ended = ended.max(zombies_of(id)).max(zombies_of(reaper));
        pause(Duration::from_millis(20));
    }
    let report = scripts.finished(engine.finish());
    assert!(is_reaper_gone(reaper));
    no_new_zombie(&before);
    assert!(open > 100 && open < KEPT_MAX, "{open} descriptors at once");
    assert!(ended < KEPT_MAX, "{ended} zombies at once");
    let (mut passed, mut late) = (0, 0);
    for probe in &report.probes {
        let script = script(probe);
        match found(probe).as_str() {
            // The machine stood still three times while it ran, and that is what is said.
            "unknown late" => late += 1,
            "pass ok" => {
                passed += 1;
                assert_eq!(script.exit_status, Some(0), "{probe:?}");
            }
            "fail timeout" => {
                // It may have ended by itself on its way to the signal.
                let is_end = script.exit_status == Some(0) || script.signal.is_some();
                assert!(is_end && script.run_us.is_some_and(|us| us >= 1e6), "{probe:?}");
            }
            other => panic!("{other}: {probe:?}"),
        }
        assert!(!script.is_unkilled && !script.left_processes, "{probe:?}");
    }
    assert!(late <= 50, "{late} of 1,000 late");
    eprintln!("{passed} of 1,000 scripts ended before their timeout was noticed");
}

#[test]
fn the_grace_time_is_given_and_no_more() {
    let mut scripts = Scripts::new();
    scripts.shell("trap \\\"\\\" TERM; while :; do sleep NAP; done", "misc_timeout 1");
    let report = scripts.report("--script-grace 1s");
    let probe = only(&report);
    let script = script(probe);
    assert_eq!(found(probe), "fail timeout");
    assert_eq!(script.signal.as_deref(), Some("SIGKILL"));
    assert!(script.run_us.is_some_and(|us| us >= 2e6), "a second and the grace: {probe:?}");

    let mut scripts = Scripts::new();
    scripts.shell(
        "trap \\\"echo told; exit 0\\\" TERM; while :; do sleep NAP; done",
        "misc_timeout 1",
    );
    let report = scripts.report("--script-grace 30s");
    let probe = only(&report);
    assert_eq!(found(probe), "fail timeout", "exit 0 after the deadline is no success");
    let script = super::script(probe);
    assert_eq!((script.stdout.as_str(), script.exit_status), ("told\n", Some(0)));
    assert!(script.run_us.is_some_and(|us| us < 30e6), "it ended within the grace: {probe:?}");
}

#[test]
fn queueing_start_and_run_are_told_apart() {
    let mut scripts = Scripts::new();
    scripts.checks(3, "/bin/sleep 1", "misc_timeout 60");
    let report = scripts.report("--script-jobs 1");
    let mut queued: Vec<f64> = Vec::new();
    for probe in &report.probes {
        assert_eq!(found(probe), "pass ok");
        let script = script(probe);
        let (startup, run) = (script.startup_us.expect("it ran"), script.run_us.expect("it ran"));
        let latency = probe.latency_us.expect("it ended by itself");
        assert!((latency - startup - run).abs() < 1.0, "{probe:?}");
        // That the program runs may be noticed when it has run for a while.
        assert!(latency >= 1e6, "{probe:?}");
        queued.push(script.queued_us);
    }
    queued.sort_by(f64::total_cmp);
    // All were due at the same time, and each waited for those before it.
    assert!(queued[1] >= 0.99e6 && queued[2] >= 1.99e6, "{queued:?}");
}

#[test]
fn no_more_scripts_run_at_once_than_may() {
    let mut scripts = Scripts::new();
    scripts.checks(12, "/bin/sleep NAP", "misc_timeout 1");
    let mut engine = scripts.start("--script-jobs 3");
    let mut most = 0;
    while !engine.has_ended() {
        most = most.max(scripts.kin().sleeping());
        pause(Duration::from_millis(10));
    }
    let report = scripts.finished(engine.finish());
    assert_eq!(report.count_of("timeout"), 12);
    assert_eq!(most, 3);
}
