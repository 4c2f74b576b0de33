//! The engine is killed, stopped or interrupted, or the process that runs the scripts is.

use std::os::unix::process::CommandExt;
use std::time::Duration;

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use ringprobe::tick::monotonic_now;

use super::processes::{is_reaper_gone, reaper_of};
use super::{Scripts, by_server, found, script};
use crate::support::{Child, Report, pause, wait_for};

/// Sleeping processes of one script of each kind.
const SLEEPERS: usize = 1 + 2 + 2 + 3;
/// Kinds of scripts.
const KINDS: usize = 4;
/// Scripts of each kind.
const EACH: usize = 5;

/// What survives a program that only kills its child: a child, a group, a session, a session of nobody's.
fn tenacious() -> Scripts {
    let mut scripts = Scripts::new();
    for _ in 0..EACH {
        for text in [
            "sleep NAP; :",
            "sleep NAP & sleep NAP; :",
            "setsid sleep NAP & sleep NAP; :",
            "(setsid sh -c \\\"sleep NAP & sleep NAP; :\\\" &); sleep NAP; :",
        ] {
            scripts.shell(text, "misc_timeout 600");
        }
    }
    scripts
}

/// A sweep of which all scripts run.
fn started(scripts: &Scripts) -> (Child, i32) {
    let jobs = format!("--script-jobs {} --script-grace 1s", EACH * KINDS);
    let mut engine = scripts.start(&jobs);
    let reaper = reaper_of(&mut engine);
    scripts.kin().wait_for_sleeping(EACH * SLEEPERS, &mut engine);
    (engine, reaper)
}

#[test]
fn no_script_outlives_an_engine_that_is_killed() {
    // A second is promised. A machine that stands still may spoil a try; three in a row it does not.
    let mut shortest = Duration::MAX;
    for _ in 0..3 {
        let scripts = tenacious();
        let (engine, reaper) = started(&scripts);
        let before = monotonic_now();
        engine.signal(Signal::SIGKILL);
        while !scripts.kin().ids().is_empty()
            && monotonic_now().since(before) < Duration::from_secs(10)
        {
            pause(Duration::from_millis(5));
        }
        let took = monotonic_now().since(before);
        assert_eq!(
            scripts.kin().alive(),
            [] as [String; 0],
            "{took:?} after the engine was killed"
        );
        assert_eq!(engine.finish().code(), 128 + 9);
        wait_for("the end of the reaper", || is_reaper_gone(reaper).then_some(()));
        shortest = shortest.min(took);
        if shortest < Duration::from_secs(1) {
            break;
        }
    }
    eprintln!("the scripts of a killed engine were gone after {shortest:?}");
    assert!(shortest < Duration::from_secs(1), "{shortest:?}");
}

#[test]
fn an_engine_killed_while_it_starts_scripts_leaves_none() {
    // The moment between a script's start and whatever watches over it, met by chance, again and again.
    for round in 0..20 {
        let mut scripts = Scripts::new();
        scripts.checks(200, "/bin/sleep NAP", "misc_timeout 600");
        let mut engine = scripts.start("--script-jobs 200");
        let reaper = reaper_of(&mut engine);
        scripts.kin().wait_for_sleeping(1 + round, &mut engine);
        engine.signal(Signal::SIGKILL);
        wait_for("the end of the reaper", || is_reaper_gone(reaper).then_some(()));
        scripts.kin().wait_for_end();
    }
}

#[test]
fn a_killed_reaper_ends_the_sweep_and_every_script() {
    let mut scripts = tenacious();
    // Escapes that nothing tells from strangers but their ancestors.
    scripts.shell(
        "env -i setsid sleep NAP & env -i setsid sleep NAP & sleep NAP; :",
        "misc_timeout 600",
    );
    // They never get their turn.
    scripts.checks(30, "/bin/sleep NAP", "misc_timeout 600");
    let jobs = EACH * KINDS + 1;
    let mut engine = scripts.start(&format!("--script-jobs {jobs} --script-cgroup off"));
    let reaper = reaper_of(&mut engine);
    scripts.kin().wait_for_sleeping(EACH * SLEEPERS + 3, &mut engine);
    kill(Pid::from_raw(reaper), Signal::SIGKILL).expect("it runs");
    let finished = engine.finish();
    assert_eq!(scripts.kin().alive(), [] as [String; 0], "left behind");
    assert_eq!(finished.code(), 4, "{}", finished.stderr);
    let report = Report::parse(&finished.stdout);
    assert_eq!(report.count_of("script_reaper"), report.count("probed"), "{}", report.summary);
    assert_eq!(by_server(&report).len(), jobs + 30);
}

#[test]
fn an_interrupt_ends_every_script_and_tells_what_is_known() {
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        let mut scripts = tenacious();
        let good = scripts.check("/bin/sh -c :", "misc_timeout 60");
        let jobs = format!("--script-jobs {} --script-grace 1s", EACH * KINDS + 1);
        let mut engine = scripts.start(&jobs);
        let reaper = reaper_of(&mut engine);
        scripts.kin().wait_for_sleeping(EACH * SLEEPERS, &mut engine);
        // Well after the one that ends by itself.
        pause(Duration::from_secs(1));
        engine.signal(signal);
        let finished = engine.finish();
        assert_eq!(scripts.kin().alive(), [] as [String; 0], "after {signal}");
        assert!(is_reaper_gone(reaper));
        assert_eq!(finished.code(), 130, "{signal}: {}", finished.stderr);
        let report = Report::parse(&finished.stdout);
        assert_eq!(report.summary["interrupted"], true);
        // Of those that were ended nothing is said.
        assert_eq!(report.probes.len(), 1, "{:?}", report.probes);
        assert_eq!(report.probes[0].real_server.as_deref(), Some(good.as_str()));
        assert_eq!(found(&report.probes[0]), "pass ok");
    }
}

#[test]
fn ctrl_c_at_a_terminal_reaches_the_whole_group() {
    let scripts = tenacious();
    let mut command = scripts.command(&format!("--script-jobs {}", EACH * KINDS));
    command.process_group(0);
    let mut engine = Child::start(&mut command, None);
    let reaper = reaper_of(&mut engine);
    scripts.kin().wait_for_sleeping(EACH * SLEEPERS, &mut engine);
    killpg(Pid::from_raw(engine.id() as i32), Signal::SIGINT).expect("its group");
    let finished = engine.finish();
    assert_eq!(scripts.kin().alive(), [] as [String; 0]);
    assert!(is_reaper_gone(reaper));
    assert_eq!(finished.code(), 130, "{}", finished.stderr);
    assert_eq!(Report::parse(&finished.stdout).probes.len(), 0);
}

#[test]
fn scripts_are_ended_and_judged_in_time_while_the_engine_is_stopped() {
    let mut scripts = Scripts::new();
    let late = scripts.check("/bin/sleep 2", "misc_timeout 600");
    scripts.checks(8, "/bin/sleep NAP", "misc_timeout 1");
    let mut engine = scripts.start("--script-jobs 9");
    scripts.kin().wait_for_sleeping(8, &mut engine);
    let before = monotonic_now();
    engine.signal(Signal::SIGSTOP);
    // Nobody but the reaper can end them now, and the engine stays stopped well past their time.
    scripts.kin().wait_for_end();
    pause(Duration::from_secs(3));
    let stopped = monotonic_now().since(before);
    engine.signal(Signal::SIGCONT);
    let report = scripts.finished(engine.finish());
    assert_eq!(report.count_of("timeout"), 8, "{:?}", report.verdicts());
    assert_eq!(found(by_server(&report)[late.as_str()]), "pass ok");
    for probe in &report.probes {
        let run = script(probe).run_us.expect("it ran");
        assert!(run < stopped.as_micros() as f64, "ended when the engine went on: {probe:?}");
    }
}
