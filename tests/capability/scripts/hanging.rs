//! A script on a file system that does not answer, and a reaper process that does not run.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use nix::fcntl::AT_FDCWD;
use nix::sys::fanotify::{EventFFlags, Fanotify, InitFlags, MarkFlags, MaskFlags};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::processes::{is_reaper_gone, reaper_of};
use super::{Scripts, by_server, found};
use crate::support::wait_for;

#[test]
#[ignore = "needs root: holds up the start of a file by fanotify"]
fn a_script_that_hangs_in_its_start_holds_nobody_up() {
    let mut scripts = Scripts::new();
    let path = scripts.path("hangs");
    fs::write(&path, "#!/bin/sh\nexit 0\n").expect("room");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("our own");
    // Whoever starts the file waits for our answer, which never comes.
    let holds = Fanotify::init(InitFlags::FAN_CLASS_CONTENT, EventFFlags::O_CLOEXEC);
    let holds = holds.expect("root may");
    let mask = MaskFlags::FAN_OPEN_EXEC_PERM;
    holds.mark(MarkFlags::FAN_MARK_ADD, mask, AT_FDCWD, Some(&path)).expect("a file");

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
