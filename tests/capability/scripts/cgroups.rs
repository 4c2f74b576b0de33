//! Escapes that clear their environment too: ended by their control group, or once they can be nobody's.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::processes::{is_reaper_gone, reaper_of};
use super::{Scripts, by_server, found, only, script};
use crate::support::{pause, wait_for};

/// Processes in sessions of their own, without a mark.
const ESCAPES: &str =
    "env -i setsid sleep NAP & env -i setsid sh -c \\\"sleep NAP & sleep NAP; :\\\" &";
/// How many of them sleep.
const ESCAPED: usize = 3;

/// A control group of the test's own; removed with all that may be left in it.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Directory {
        let mounts = fs::read_to_string("/proc/mounts").expect("procfs");
        let mount = mounts.lines().find_map(|line| {
            let fields: Vec<&str> = line.split(' ').collect();
            (fields[2] == "cgroup2").then_some(fields[1])
        });
        let mount = mount.expect("this machine has a cgroup v2");
        let path = Path::new(mount).join(format!("{name}-{}", std::process::id()));
        fs::create_dir(&path).expect("root may");
        Directory(path)
    }

    fn flags(&self, more: &str) -> String {
        format!("--script-cgroup {} {more}", self.0.display())
    }

    /// Groups inside.
    fn inside(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(&self.0).expect("ours").flatten().map(|entry| entry.path());
        entries.filter(|path| path.is_dir()).collect()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::write(self.0.join("cgroup.kill"), "1");
        // What was killed needs a moment.
        for _ in 0..100 {
            for inner in self.inside() {
                for innermost in fs::read_dir(&inner).into_iter().flatten().flatten() {
                    let _ = fs::remove_dir(innermost.path());
                }
                let _ = fs::remove_dir(inner);
            }
            if fs::remove_dir(&self.0).is_ok() {
                return;
            }
            pause(Duration::from_millis(10));
        }
    }
}

fn cgroup_of(id: i32) -> String {
    let text = fs::read_to_string(format!("/proc/{id}/cgroup")).unwrap_or_default();
    text.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or_default().to_owned()
}

#[test]
#[ignore = "needs root: control groups of its own"]
fn whatever_a_script_does_its_control_group_ends_it() {
    let directory = Directory::new("ringprobe-test-kill");
    let name = directory.0.file_name().expect("a name").to_string_lossy().into_owned();
    let mut scripts = Scripts::new();
    let mut timeouts = Vec::new();
    for _ in 0..4 {
        timeouts.push(scripts.shell(&format!("{ESCAPES} sleep NAP; :"), "misc_timeout 5"));
    }
    let passes = scripts.shell(&format!("{ESCAPES} sleep 1; exit 0"), "misc_timeout 60");
    // Groups are used again.
    scripts.checks(20, "/bin/sh -c :", "misc_timeout 60");
    let mut engine = scripts.start(&directory.flags("--script-jobs 5"));
    scripts.kin().wait_for_sleeping(4 * (ESCAPED + 1), &mut engine);
    let mut groups = Vec::new();
    for id in scripts.kin().ids() {
        let group = cgroup_of(id);
        // It may have ended since it was found.
        if !group.is_empty() {
            assert!(group.starts_with(&format!("/{name}/")), "{id} is in {group}");
            groups.push(group);
        }
    }
    groups.sort();
    groups.dedup();
    assert!(groups.len() >= 4, "one for each script: {groups:?}");
    let report = scripts.finished(engine.finish());
    let servers = by_server(&report);
    for server in timeouts {
        let probe = servers[server.as_str()];
        assert_eq!(found(probe), "fail timeout");
        assert!(!script(probe).is_unkilled, "{probe:?}");
    }
    let probe = servers[passes.as_str()];
    assert_eq!(found(probe), "pass ok");
    assert!(script(probe).left_processes, "{probe:?}");
    assert_eq!(directory.inside(), [] as [PathBuf; 0], "groups left behind");
}

#[test]
#[ignore = "needs root: control groups of its own"]
fn groups_of_an_engine_that_was_killed_are_not_kept() {
    let directory = Directory::new("ringprobe-test-left");
    let mut scripts = Scripts::new();
    scripts.checks(4, &format!("/bin/sh -c '{ESCAPES} sleep NAP; :'"), "misc_timeout 600");
    let mut engine = scripts.start(&directory.flags("--script-jobs 4"));
    scripts.kin().wait_for_sleeping(4 * (ESCAPED + 1), &mut engine);
    engine.signal(Signal::SIGKILL);
    scripts.kin().wait_for_end();
    wait_for("the end of the groups", || directory.inside().is_empty().then_some(()));
}

#[test]
#[ignore = "needs root: control groups of its own"]
fn what_an_engine_and_its_reaper_left_when_killed_is_ended_by_the_next() {
    let directory = Directory::new("ringprobe-test-stale");
    let mut scripts = Scripts::new();
    scripts.checks(3, &format!("/bin/sh -c '{ESCAPES} sleep NAP; :'"), "misc_timeout 600");
    let mut engine = scripts.start(&directory.flags("--script-jobs 3"));
    let reaper = Pid::from_raw(reaper_of(&mut engine));
    scripts.kin().wait_for_sleeping(3 * (ESCAPED + 1), &mut engine);
    // Neither may notice the end of the other.
    for signal in [Signal::SIGSTOP, Signal::SIGKILL] {
        engine.signal(signal);
        kill(reaper, signal).expect("it is there");
    }
    drop(engine.finish());
    wait_for("the end of the reaper", || is_reaper_gone(reaper.as_raw()).then_some(()));
    assert!(scripts.kin().sleeping() >= 3, "nobody has ended them: {:?}", scripts.kin().alive());
    assert_ne!(directory.inside(), [] as [PathBuf; 0]);

    let mut next = Scripts::new();
    next.check("/bin/sh -c :", "misc_timeout 60");
    let report = next.report(&directory.flags(""));
    assert_eq!(found(only(&report)), "pass ok");
    assert_eq!(scripts.kin().alive(), [] as [String; 0], "left behind by the first");
    assert_eq!(directory.inside(), [] as [PathBuf; 0], "groups left behind");
}

#[test]
fn a_directory_that_is_no_control_group_is_an_error() {
    let mut scripts = Scripts::new();
    scripts.check("/bin/sh -c :", "misc_timeout 60");
    for directory in ["/nonexistent/group", "/proc"] {
        let finished = scripts.start(&format!("--script-cgroup {directory}")).finish();
        assert!([2, 4].contains(&finished.code()), "{}: {}", finished.code(), finished.stderr);
        assert!(finished.stderr.contains(directory), "{}", finished.stderr);
    }
}

#[test]
fn without_control_groups_escapes_without_a_mark_are_ended_at_the_end() {
    let mut scripts = Scripts::new();
    let mut passes = Vec::new();
    for _ in 0..3 {
        passes.push(scripts.shell(&format!("{ESCAPES} sleep 1; exit 0"), "misc_timeout 60"));
    }
    // While these run, an escape without a mark might be theirs.
    scripts.checks(2, "/bin/sleep 3", "misc_timeout 60");
    let timeout = scripts.shell(&format!("{ESCAPES} sleep NAP; :"), "misc_timeout 2");
    let report = scripts.report("--script-jobs 6");
    let servers = by_server(&report);
    for server in passes {
        let probe = servers[server.as_str()];
        assert_eq!(found(probe), "pass ok", "{probe:?}");
    }
    assert_eq!(found(servers[timeout.as_str()]), "fail timeout");
    assert_eq!((report.count("passed"), report.count("failed")), (5, 1));
}
