//! Scripts in files that change: removed, not executable, open to others, without their interpreter.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;

use super::{Scripts, by_server, found, only};

/// A script that passes.
const GOOD: &str = "#!/bin/sh\nexit 0\n";

pub(super) fn write(path: &Path, text: impl AsRef<[u8]>, mode: u32) {
    fs::write(path, text).expect("room");
    set_mode(path, mode);
}

pub(super) fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("our own file");
}

#[test]
fn a_script_that_changes_between_two_sweeps_is_judged_anew() {
    let mut scripts = Scripts::new();
    let check = scripts.path("check");
    scripts.check(&check.display().to_string(), "misc_timeout 60");
    let verdict = || found(only(&scripts.report("")));
    assert_eq!(verdict(), "unknown script_not_found");
    write(&check, GOOD, 0o755);
    assert_eq!(verdict(), "pass ok");
    set_mode(&check, 0o644);
    assert_eq!(verdict(), "unknown script_not_executable");
    set_mode(&check, 0o755);
    assert_eq!(verdict(), "pass ok");
    fs::remove_file(&check).expect("our own");
    assert_eq!(verdict(), "unknown script_not_found");
    write(&check, "#!/bin/sh\nexit 7\n", 0o755);
    assert_eq!(verdict(), "fail exit_status");
    // A link that leads nowhere is no file either.
    fs::remove_file(&check).expect("our own");
    symlink(scripts.path("nothing"), &check).expect("a link");
    assert_eq!(verdict(), "unknown script_not_found");
}

#[test]
fn what_cannot_become_a_program_is_unknown() {
    let mut scripts = Scripts::new();
    let mut expected = Vec::new();
    for (name, text, reason, named) in [
        (
            "uninterpreted",
            "#!/nonexistent/interpreter\n",
            "script_interpreter",
            "/nonexistent/interpreter",
        ),
        ("broken", "\x7fELF is not all it takes\n", "script_format", "broken"),
    ] {
        let path = scripts.path(name);
        write(&path, text, 0o755);
        let server = scripts.check(&path.display().to_string(), "misc_timeout 60");
        expected.push((server, reason, named));
    }
    let report = scripts.report("");
    let servers = by_server(&report);
    for (server, reason, named) in expected {
        let probe = servers[server.as_str()];
        assert_eq!(found(probe), format!("unknown {reason}"), "{probe:?}");
        let detail = probe.detail.as_deref().unwrap_or_default();
        assert!(detail.contains(named), "{detail:?} does not name {named}");
    }
}

#[test]
#[ignore = "needs root: the rules are about scripts that run as root"]
fn root_runs_nothing_that_others_may_write_to() {
    let mut scripts = Scripts::new();
    scripts.global("enable_script_security");
    let folder = scripts.path("folder");
    fs::create_dir(&folder).expect("room");
    set_mode(&folder, 0o755);
    let check = folder.join("check");
    scripts.check(&check.display().to_string(), "misc_timeout 60");
    let swept = || {
        let report = scripts.report("");
        let probe = only(&report);
        (found(probe), probe.detail.clone().unwrap_or_default())
    };
    let insecure = |component: &Path, words: &[&str]| {
        let (verdict, detail) = swept();
        assert_eq!(verdict, "unknown script_insecure", "{detail}");
        for word in words.iter().copied().chain([&*component.display().to_string()]) {
            assert!(detail.contains(word), "{detail:?} does not say {word}");
        }
    };
    write(&check, GOOD, 0o755);
    assert_eq!(swept().0, "pass ok");
    set_mode(&check, 0o757);
    insecure(&check, &["0:0", "-rwxr-xrwx"]);
    set_mode(&check, 0o755);
    set_mode(&folder, 0o777);
    insecure(&folder, &["0:0", "drwxrwxrwx"]);
    // In a sticky directory nobody can replace what is root's.
    set_mode(&folder, 0o1777);
    assert_eq!(swept().0, "pass ok");
    set_mode(&folder, 0o755);
    chown(&check, Some(65_534), None).expect("root may");
    insecure(&check, &["65534"]);
    chown(&check, Some(0), Some(65_534)).expect("root may");
    set_mode(&check, 0o775);
    insecure(&check, &["0:65534", "-rwxrwxr-x"]);
    set_mode(&check, 0o755);
    assert_eq!(swept().0, "pass ok", "a group that may not write is no danger");

    // Links are followed: what they lead to is judged, and where it stands.
    let (open, real) = (scripts.path("open"), scripts.path("open").join("check"));
    fs::create_dir(&open).expect("room");
    set_mode(&open, 0o777);
    write(&real, GOOD, 0o755);
    fs::remove_file(&check).expect("our own");
    symlink(&real, &check).expect("a link");
    insecure(&open, &["drwxrwxrwx"]);
    set_mode(&open, 0o755);
    assert_eq!(swept().0, "pass ok");
}

#[test]
#[ignore = "needs root: the rules are about scripts that run as root"]
fn others_run_what_they_like_and_root_is_warned_only_without_security() {
    // Without enable_script_security it runs.
    let mut scripts = Scripts::new();
    let check = scripts.path("check");
    write(&check, GOOD, 0o777);
    scripts.check(&check.display().to_string(), "misc_timeout 60");
    assert_eq!(found(only(&scripts.report(""))), "pass ok");
    // With it, it runs as somebody whose own it is not.
    let mut scripts = Scripts::new();
    scripts.global("enable_script_security");
    set_mode(&scripts.path("."), 0o755);
    let check = scripts.path("check");
    write(&check, GOOD, 0o777);
    scripts.check(&check.display().to_string(), "misc_timeout 60; user nobody");
    assert_eq!(found(only(&scripts.report(""))), "pass ok");
}
