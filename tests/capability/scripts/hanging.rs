//! A script on a file system that does not answer, and a reaper process that does not run.

use std::fs;
use std::path::Path;
use std::time::Duration;

use nix::fcntl::AT_FDCWD;
use nix::sys::fanotify::{EventFFlags, Fanotify, InitFlags, MarkFlags, MaskFlags};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use ringprobe::tick::monotonic_now;

use super::files::write;
use super::processes::{children_of, cpu_time, is_reaper_gone, reaper_of};
use super::{Scripts, by_server, found, only};
use crate::support::{pause, wait_for};

/// Whoever starts the file waits for our answer, which never comes.
fn hold(path: &Path) -> Fanotify {
    let holds = Fanotify::init(InitFlags::FAN_CLASS_CONTENT, EventFFlags::O_CLOEXEC);
    let holds = holds.expect("root may");
    let mask = MaskFlags::FAN_OPEN_EXEC_PERM;
    holds.mark(MarkFlags::FAN_MARK_ADD, mask, AT_FDCWD, Some(path)).expect("a file");
    holds
}

#[test]
#[ignore = "needs root: holds up the start of a file by fanotify"]
fn a_script_that_hangs_in_its_start_holds_nobody_up() {
    let mut scripts = Scripts::new();
    let path = scripts.path("hangs");
    write(&path, "#!/bin/sh\nexit 0\n", 0o755);
    let holds = hold(&path);

    let hangs: Vec<String> =
        (0..2).map(|_| scripts.check(&path.display().to_string(), "misc_timeout 1")).collect();
    let sleeps = scripts.check("/bin/sleep NAP", "misc_timeout 1");
    let passes: Vec<String> =
        (0..20).map(|_| scripts.check("/bin/true", "misc_timeout 60")).collect();
    let mut engine = scripts.start("--script-jobs 8");
    let reaper = reaper_of(&mut engine);
    let report = scripts.finished(engine.finish());
    assert!(is_reaper_gone(reaper));
    let servers = by_server(&report);
    for server in &hangs {
        assert_eq!(found(servers[server.as_str()]), "unknown script_unstarted");
    }
    assert_eq!(found(servers[sleeps.as_str()]), "fail timeout");
    for server in &passes {
        assert_eq!(found(servers[server.as_str()]), "pass ok");
    }
    drop(holds);
}

#[test]
#[ignore = "needs root: holds up the start of a file by fanotify"]
fn a_start_that_hangs_holds_nothing_of_ours_and_costs_nothing() {
    let mut scripts = Scripts::new();
    let path = scripts.path("hangs");
    write(&path, "#!/bin/sh\nexit 0\n", 0o755);
    let holds = hold(&path);
    scripts.check(&path.display().to_string(), "misc_timeout 4");
    let mut engine = scripts.start("");
    let reaper = reaper_of(&mut engine);
    // The new process has our command line and our name until it is the script.
    let child = wait_for("the process that hangs", || {
        assert!(!engine.has_ended(), "the engine ended: {}", engine.said());
        children_of(reaper).first().copied()
    });
    // It has done all there was to do before, once it has descriptor 3 and no other but the streams.
    let open = || {
        let entries = fs::read_dir(format!("/proc/{child}/fd")).expect("it hangs").flatten();
        let mut open: Vec<String> =
            entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        open.sort();
        open
    };
    wait_for("the end of our descriptors in it", || (open() == ["0", "1", "2", "3"]).then_some(()));
    let link = |fd: &str| fs::read_link(format!("/proc/{child}/fd/{fd}")).expect("open");
    assert_eq!(link("0"), Path::new("/dev/null"));
    assert_eq!(link("3"), path.canonicalize().expect("there"));
    let (before, used) = (monotonic_now(), cpu_time(reaper));
    pause(Duration::from_secs(1));
    let (took, used) = (monotonic_now().since(before), cpu_time(reaper) - used);
    assert!(used < took / 4, "{used:?} of CPU in {took:?}");
    assert_eq!(found(only(&scripts.finished(engine.finish()))), "unknown script_unstarted");
    drop(holds);
}

#[test]
fn a_reaper_process_that_is_stopped_is_made_to_go_on() {
    let mut scripts = Scripts::new();
    let passes = scripts.shell("sleep 2; exit 0", "misc_timeout 60");
    let timeout = scripts.check("/bin/sleep NAP", "misc_timeout 8");
    let mut engine = scripts.start("");
    let reaper = reaper_of(&mut engine);
    scripts.kin().wait_for_sleeping(1, &mut engine);
    kill(Pid::from_raw(reaper), Signal::SIGSTOP).expect("our own");
    let report = scripts.finished(engine.finish());
    let servers = by_server(&report);
    assert_eq!(found(servers[passes.as_str()]), "pass ok");
    assert_eq!(found(servers[timeout.as_str()]), "fail timeout");
}

#[test]
fn a_script_that_nobody_can_time_is_not_tried_for_ever() {
    let mut scripts = Scripts::new();
    scripts.check("/bin/sleep NAP", "misc_timeout 1; retry 0");
    let mut engine = scripts.start("");
    let reaper = reaper_of(&mut engine);
    // Whenever it runs, whoever watches its time does not: not the reaper process, and not the engine that
    // would make that go on.
    while !engine.has_ended() {
        if scripts.kin().sleeping() > 0 {
            engine.signal(Signal::SIGSTOP);
            kill(Pid::from_raw(reaper), Signal::SIGSTOP).expect("our own");
            pause(Duration::from_secs(2));
            kill(Pid::from_raw(reaper), Signal::SIGCONT).expect("our own");
            engine.signal(Signal::SIGCONT);
            wait_for("the end of an attempt", || {
                (scripts.kin().sleeping() == 0 || engine.has_ended()).then_some(())
            });
        }
        pause(Duration::from_millis(10));
    }
    let report = scripts.finished(engine.finish());
    let probe = only(&report);
    assert_eq!(found(probe), "unknown late", "{probe:?}");
    assert_eq!(probe.attempts, 3, "{probe:?}");
    assert_eq!(report.count("free_retries"), 2, "{}", report.summary);
}

#[test]
fn a_reaper_process_that_is_stopped_does_not_survive_the_sweep() {
    let mut scripts = Scripts::new();
    scripts.shell("sleep NAP & setsid sleep NAP", "misc_timeout 60");
    let mut engine = scripts.start("--script-grace 100ms");
    let reaper = reaper_of(&mut engine);
    wait_for("the script", || (scripts.kin().alive().len() >= 3).then_some(()));
    kill(Pid::from_raw(reaper), Signal::SIGSTOP).expect("our own");
    engine.signal(Signal::SIGINT);
    let finished = engine.finish();
    assert_eq!(finished.code(), 130, "{}", finished.stderr);
    assert!(is_reaper_gone(reaper));
    assert_eq!(scripts.kin().alive(), [] as [String; 0], "left behind");
}
