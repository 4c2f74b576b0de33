//! What runs a script is judged like the script, and what was judged is what ran.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};

use super::files::{set_mode, write};
use super::processes::command_line;
use super::{Scripts, by_server, found, only, script};
use crate::support::{pause, wait_for};

const LONG: &str = "misc_timeout 60";
/// A script that passes.
const GOOD: &str = "#!/bin/sh\nexit 0\n";
/// A program that is nowhere.
const NOWHERE: &str = "no-such-program-of-ours";

/// A script in a file of its own, and the check that runs it.
fn file(scripts: &mut Scripts, name: &str, text: &str, more: &str) -> (String, PathBuf) {
    let path = scripts.path(name);
    write(&path, text, 0o755);
    (scripts.check(&path.display().to_string(), more), path)
}

#[test]
fn whatever_runs_a_script_must_be_there() {
    let mut scripts = Scripts::new();
    let place = scripts.path(".").canonicalize().expect("there").display().to_string();
    write(&scripts.path("lost"), "#!/nonexistent/interpreter\n", 0o755);
    let mut missing = Vec::new();
    for (name, line, named) in [
        ("env", format!("/usr/bin/env {NOWHERE}"), NOWHERE),
        ("split", format!("/usr/bin/env -S {NOWHERE} -u"), NOWHERE),
        ("path", "/usr/bin/env /nonexistent/program".to_owned(), "/nonexistent"),
        ("nested", format!("{place}/lost"), "/nonexistent"),
        // env(1) finds a script that needs something itself.
        ("both", format!("/usr/bin/env {place}/lost"), "/nonexistent"),
    ] {
        let (server, _) = file(&mut scripts, name, &format!("#!{line}\nexit 0\n"), LONG);
        missing.push((server, line, named));
    }
    let mut passes = Vec::new();
    for (name, line) in [("plain", "/usr/bin/env sh"), ("options", "/usr/bin/env -S sh -u")] {
        passes.push(file(&mut scripts, name, &format!("#!{line}\nexit 0\n"), LONG).0);
    }
    // The kernel follows five of them.
    write(&scripts.path("level1"), GOOD, 0o755);
    for level in 2..=6 {
        let text = format!("#!{place}/level{}\n", level - 1);
        write(&scripts.path(&format!("level{level}")), text, 0o755);
    }
    passes.push(scripts.check(&format!("{place}/level5"), LONG));
    let deep = scripts.check(&format!("{place}/level6"), LONG);

    let report = scripts.report("");
    let servers = by_server(&report);
    for (server, line, named) in missing {
        let probe = servers[server.as_str()];
        assert_eq!(found(probe), "unknown script_interpreter", "{line}: {probe:?}");
        let detail = probe.detail.as_deref().unwrap_or_default();
        let needs = format!("needs `{}", line.split(' ').next().expect("a program"));
        assert!(detail.contains(&needs) && detail.contains(named), "{line}: {detail}");
    }
    for server in passes {
        assert_eq!(found(servers[server.as_str()]), "pass ok", "{:?}", servers[server.as_str()]);
    }
    let probe = servers[deep.as_str()];
    assert_eq!(probe.outcome, "unknown", "no kernel runs it: {probe:?}");
}

/// Sweeps the only script of a fleet with `enable_script_security`.
struct Judged(Scripts);

impl Judged {
    fn new(name: &str) -> Judged {
        let mut scripts = Scripts::new();
        scripts.global("enable_script_security");
        let path = scripts.path(name);
        scripts.check(&path.display().to_string(), LONG);
        Judged(scripts)
    }

    /// A directory that nobody else may change.
    fn folder(&self, name: &str) -> PathBuf {
        let path = self.0.path(name);
        fs::create_dir(&path).expect("room");
        set_mode(&path, 0o755);
        path
    }

    fn passes(&self) {
        let report = self.0.report("");
        assert_eq!(found(only(&report)), "pass ok", "{:?}", only(&report));
    }

    fn is_insecure(&self, component: &Path, word: &str) {
        let report = self.0.report("");
        let probe = only(&report);
        assert_eq!(found(probe), "unknown script_insecure", "{probe:?}");
        let detail = probe.detail.as_deref().unwrap_or_default();
        let named = format!("`{}`", component.display());
        assert!(detail.contains(&named) && detail.contains(word), "{detail}: {named} {word}");
    }
}

#[test]
#[ignore = "needs root: the rules are about scripts that run as root"]
fn root_runs_nothing_by_an_interpreter_that_others_may_write_to() {
    let judged = Judged::new("check");
    let (check, folder) = (judged.0.path("check"), judged.folder("tools"));
    let (inner, outer) = (folder.join("inner"), judged.0.path("outer"));
    write(&inner, GOOD, 0o755);
    write(&outer, format!("#!{}\n", inner.display()), 0o755);
    for line in [
        inner.display().to_string(),
        // By an interpreter that has one itself.
        outer.display().to_string(),
        format!("/usr/bin/env {}", inner.display()),
        format!("/usr/bin/env -S {} -u", inner.display()),
    ] {
        write(&check, format!("#!{line}\n"), 0o755);
        judged.passes();
        set_mode(&inner, 0o757);
        judged.is_insecure(&inner, "-rwxr-xrwx");
        set_mode(&inner, 0o755);
        set_mode(&folder, 0o777);
        judged.is_insecure(&folder, "drwxrwxrwx");
        set_mode(&folder, 0o755);
    }
}

#[test]
#[ignore = "needs root, and setfacl: the rules are about scripts that run as root"]
fn an_access_control_list_that_lets_others_write_is_found() {
    let judged = Judged::new("folder/check");
    let folder = judged.folder("folder");
    let check = folder.join("check");
    write(&check, GOOD, 0o755);
    let set = |words: &[&str], path: &Path| {
        let status = Command::new("setfacl").args(words).arg(path).status().expect("setfacl");
        assert!(status.success(), "setfacl {words:?}: {status}");
    };
    judged.passes();
    for path in [&check, &folder] {
        set(&["-m", "u:nobody:rx"], path);
        judged.passes();
        set(&["-m", "u:nobody:rwx"], path);
        judged.is_insecure(path, "access control list");
        set(&["-m", "m::rx"], path);
        judged.passes();
        set(&["-m", "g:daemon:rwx,m::rwx"], path);
        judged.is_insecure(path, "access control list");
        set(&["-b"], path);
        judged.passes();
    }
}

#[test]
fn a_text_that_changes_while_it_runs_has_said_nothing() {
    let mut scripts = Scripts::new();
    let mut changed = Vec::new();
    for (name, body) in [
        ("removed", "rm -- $0"),
        ("renamed", "mv -- $0 $0.old"),
        ("written", "echo : >> $0"),
        ("replaced", "cp -- $0 $0.new; mv -- $0.new $0"),
    ] {
        for (head, end) in [("#!/bin/sh\n", "exit 0"), ("#!/bin/sh\n", "exit 1"), ("", "exit 0")] {
            let name = format!("{name}-{}-{}", head.len(), &end[5..]);
            let text = format!("{head}{body}\n{end}\n");
            changed.push((file(&mut scripts, &name, &text, &format!("{LONG}; retry 0")).0, text));
        }
    }
    // Its time was over, whatever it was.
    let text = "#!/bin/sh\nrm -- $0\nsleep NAP\n".replace("NAP", &scripts.kin().nap);
    let (timeout, _) = file(&mut scripts, "slow", &text, "misc_timeout 1; retry 0");
    // It was read before it ran, and what runs is not read again.
    let (binary, nap) = (scripts.path("binary"), "2");
    fs::copy("/bin/sleep", &binary).expect("room");
    let passes = scripts.check(&format!("{} {nap}", binary.display()), LONG);

    let engine = scripts.start("--script-jobs 20");
    let program = binary.display().to_string();
    wait_for("the binary", || {
        let is_it = |id: i32| command_line(id).first() == Some(&program);
        scripts.kin().ids().into_iter().any(is_it).then_some(())
    });
    fs::remove_file(&binary).expect("our own");
    let report = scripts.finished(engine.finish());
    let servers = by_server(&report);
    for (server, text) in changed {
        let probe = servers[server.as_str()];
        assert_eq!(found(probe), "unknown script_changed", "{text}: {probe:?}");
        let detail = probe.detail.as_deref().unwrap_or_default();
        assert!(detail.contains("changed or removed while it ran"), "{detail}");
        assert_eq!(script(probe).weight, None);
    }
    assert_eq!(found(servers[timeout.as_str()]), "fail timeout");
    assert_eq!(found(servers[passes.as_str()]), "pass ok");
}

/// Two names change places again and again, while scripts run by the first.
fn swapped(scripts: &Scripts, names: [&Path; 2]) -> crate::support::Report {
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut times = 0_u64;
            while !is_over.load(Ordering::Relaxed) {
                let flags = RenameFlags::RENAME_EXCHANGE;
                renameat2(AT_FDCWD, names[0], AT_FDCWD, names[1], flags).expect("both are there");
                // Long and short times, odd and even, so that every step of a start is met.
                times += 1;
                pause(Duration::from_micros(times * 7919 % 3_000));
            }
        });
        let report = scripts.report("");
        is_over.store(true, Ordering::Relaxed);
        report
    })
}

/// The file that was judged, and one that would have been refused.
fn good_and_evil(scripts: &mut Scripts, good: &Path, evil: &Path) {
    scripts.global("enable_script_security");
    write(good, "#!/bin/sh\necho GOOD\nexit 0\n", 0o755);
    write(evil, "#!/bin/sh\necho EVIL\nexit 0\n", 0o757);
    scripts.checks(200, &good.display().to_string(), &format!("{LONG}; retry 0"));
}

/// No verdict rests on what was refused, or was not looked at.
fn no_evil(report: &crate::support::Report) {
    let mut changed = 0;
    for probe in &report.probes {
        match found(probe).as_str() {
            "pass ok" => assert_eq!(script(probe).stdout, "GOOD\n", "{probe:?}"),
            "unknown script_changed" => changed += 1,
            "unknown script_not_found" | "unknown script_insecure" => {}
            other => panic!("{other}: {probe:?}"),
        }
    }
    eprintln!("{changed} of {} scripts were caught by a swap", report.probes.len());
}

#[test]
#[ignore = "needs root: the rules are about scripts that run as root"]
fn a_file_swapped_while_it_starts_never_speaks_for_another() {
    let mut scripts = Scripts::new();
    let (good, evil) = (scripts.path("check"), scripts.path("evil"));
    good_and_evil(&mut scripts, &good, &evil);
    no_evil(&swapped(&scripts, [&good, &evil]));
}
