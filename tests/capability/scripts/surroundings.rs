//! What a script finds around itself: user, environment, limits, descriptors, signals, directory.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use super::{Scripts, by_server, found, only, script};
use crate::support::{Child, Probe};

const LONG: &str = "misc_timeout 60";

/// Standard output of a script that passed.
fn said(probe: &Probe) -> &str {
    assert_eq!(found(probe), "pass ok", "{probe:?}");
    &script(probe).stdout
}

#[test]
fn the_environment_is_the_documented_one() {
    let mut scripts = Scripts::new();
    scripts.check("/usr/bin/env", LONG);
    let mut command = scripts.command("--script-env SITE=b=c");
    for (name, value) in [
        ("LD_PRELOAD", ""),
        ("IFS", "x"),
        ("SECRET", "x"),
        ("TZ", "UTC"),
        ("LANG", "C"),
        ("PWD", "/x"),
    ] {
        command.env(name, value);
    }
    command.env("PATH", "/nowhere").env_remove("LC_ALL");
    let report = scripts.finished(Child::start(&mut command, None).finish());
    let probe = only(&report);
    let mut variables: BTreeMap<&str, &str> =
        said(probe).lines().map(|line| line.split_once('=').expect("NAME=VALUE")).collect();
    let mark = variables.remove("RINGPROBE_SCRIPT").expect("the mark");
    assert!(mark.len() >= 32, "a mark that nobody else has: {mark}");
    let own = variables.remove("RP_TEST_MARK").expect("what --script-env says");
    assert!(own.starts_with("rp-test-"), "{own}");
    let user = nix::unistd::User::from_uid(nix::unistd::geteuid()).expect("users").expect("ours");
    let home = user.dir.display().to_string();
    let expected = BTreeMap::from([
        ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
        ("HOME", home.as_str()),
        ("USER", user.name.as_str()),
        ("LOGNAME", user.name.as_str()),
        ("SHELL", "/bin/sh"),
        ("LANG", "C"),
        ("TZ", "UTC"),
        ("RINGPROBE_VIRTUAL_SERVER", probe.virtual_server.as_deref().expect("a label")),
        ("RINGPROBE_REAL_SERVER", probe.real_server.as_deref().expect("a label")),
        ("SITE", "b=c"),
    ]);
    assert_eq!(variables, expected);
}

#[test]
fn it_has_three_descriptors_the_root_directory_and_a_group_of_its_own() {
    let mut scripts = Scripts::new();
    // The last command of a shell may take the shell's place; one that does nothing follows.
    let descriptors = scripts.shell("ls /proc/$$/fd; :", LONG);
    let stdin = scripts.shell("readlink /proc/$$/fd/0; :", LONG);
    let streams = scripts.shell("readlink /proc/$$/fd/1; readlink /proc/$$/fd/2; :", LONG);
    let directory = scripts.check("/bin/pwd -P", LONG);
    let read = scripts.shell("wc -c; :", LONG);
    let stat = scripts.check("/bin/cat /proc/self/stat", LONG);
    let status = scripts.check("/bin/cat /proc/self/status", LONG);
    let report = scripts.report("");
    let servers = by_server(&report);
    let said = |server: &String| said(servers[server.as_str()]);
    let open: BTreeSet<&str> = said(&descriptors).split_whitespace().collect();
    assert_eq!(open, BTreeSet::from(["0", "1", "2"]));
    assert_eq!(said(&stdin), "/dev/null\n");
    assert_eq!(said(&read).trim(), "0", "nothing to read");
    assert_eq!(said(&directory), "/\n");
    let streams: Vec<&str> = said(&streams).lines().collect();
    assert_eq!(streams.len(), 2);
    assert_ne!(streams[0], streams[1], "they are told apart");

    // PID (NAME) STATE PARENT GROUP ...
    let (id, rest) = said(&stat).split_once(" (").expect("a process");
    let (_, rest) = rest.rsplit_once(") ").expect("a name");
    let group = rest.split(' ').nth(2).expect("a group");
    assert_eq!(id, group, "the leader of its group");
    let session = rest.split(' ').nth(3).expect("a session");
    assert_eq!(id, session, "the leader of its session");

    let status: BTreeMap<&str, &str> = said(&status)
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name, value.trim()))
        .collect();
    for mask in ["SigBlk", "SigIgn"] {
        assert_eq!(u64::from_str_radix(status[mask], 16), Ok(0), "{mask}");
    }
}

#[test]
fn ignored_and_blocked_signals_of_the_engine_are_not_passed_on() {
    let mut scripts = Scripts::new();
    scripts.check("/bin/cat /proc/self/status", LONG);
    // As an engine under nohup, with more ignored by a careless parent.
    let mut shell = Command::new("/bin/sh");
    let program = env!("CARGO_BIN_EXE_ringprobe");
    let text = format!("trap '' HUP USR1 PIPE; exec {program} sweep {}", scripts.flags(""));
    shell.args(["-c", &text]).env("NO_COLOR", "1");
    let report = scripts.finished(Child::start(&mut shell, None).finish());
    let ignored = said(only(&report)).lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = u64::from_str_radix(ignored.expect("a mask").trim(), 16);
    assert_eq!(ignored, Ok(0));
}

#[test]
fn an_engine_that_inherited_ignored_children_sees_their_ends() {
    let mut scripts = Scripts::new();
    let status = scripts.check("/bin/cat /proc/self/status", LONG);
    let mut expected = Vec::new();
    for (text, more, outcome, leaves) in [
        ("exit 0", LONG, "pass ok", false),
        ("exit 1", LONG, "fail exit_status", false),
        ("kill -9 $$", LONG, "fail signal", false),
        ("sleep NAP & sleep NAP", "misc_timeout 1", "fail timeout", false),
        ("setsid sleep NAP & sleep 1; exit 0", LONG, "pass ok", true),
        // A script that waits for a child of its own.
        ("sleep 0.2 & wait $!; exit 0", LONG, "pass ok", false),
    ] {
        expected.push((scripts.shell(text, more), text, outcome, leaves));
    }
    let starter = "env --ignore-signal=CHLD,TERM,USR2 --block-signal=CHLD,TERM,INT";
    let mut command = scripts.command_by(starter, "");
    let report = scripts.finished(Child::start(&mut command, None).finish());
    let servers = by_server(&report);
    for (server, text, outcome, leaves) in expected {
        let probe = servers[server.as_str()];
        assert_eq!(found(probe), outcome, "{text}: {probe:?}");
        assert_eq!(script(probe).left_processes, leaves, "{text}: {probe:?}");
    }
    for mask in ["SigBlk", "SigIgn"] {
        assert_eq!(mask_in(said(servers[status.as_str()]), mask), 0, "{mask}");
    }
}

/// A mask of /proc/PID/status.
fn mask_in(status: &str, name: &str) -> u64 {
    let mask = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    u64::from_str_radix(mask.expect("a mask").trim(), 16).expect("a hexadecimal number")
}

#[test]
#[ignore = "needs root: scripts run as somebody else"]
fn another_user_may_open_the_standard_streams_again() {
    let mut scripts = Scripts::new();
    let text = "echo out > /dev/stdout; echo err > /dev/stderr; echo more > /proc/self/fd/2";
    scripts.shell(text, &format!("{LONG}; user nobody"));
    let report = scripts.report("");
    let probe = only(&report);
    assert_eq!(said(probe), "out\n", "{probe:?}");
    assert_eq!(script(probe).stderr, "err\nmore\n");
}

#[test]
#[ignore = "needs root: scripts run as somebody else"]
fn another_user_inherits_no_capability() {
    let mut scripts = Scripts::new();
    scripts.check("/bin/cat /proc/self/status", &format!("{LONG}; user nobody"));
    scripts.check("/bin/cat /proc/self/status", LONG);
    let starter = "setpriv --inh-caps +net_raw,+kill --ambient-caps +net_raw";
    let mut command = scripts.command_by(starter, "");
    let report = scripts.finished(Child::start(&mut command, None).finish());
    let servers = by_server(&report);
    for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        assert_eq!(mask_in(said(servers["127.95.0.1:80"]), set), 0, "{set}");
    }
    // Root's own are root's own; so there was something to inherit.
    assert_ne!(mask_in(said(servers["127.95.0.2:80"]), "CapInh"), 0);
    assert_eq!(mask_in(said(servers["127.95.0.2:80"]), "CapAmb"), 0);
}

#[test]
#[ignore = "needs root, and keyctl: scripts run as somebody else"]
fn another_user_does_not_get_the_keys_of_the_session() {
    let mut scripts = Scripts::new();
    let text = "keyctl show @s; keyctl search @s user rp-test-key; :";
    let nobodys = scripts.shell(text, &format!("{LONG}; user nobody"));
    let roots = scripts.shell(text, LONG);
    // A session of its own with one key in it, which whoever is in the session may read.
    let sweep = format!("{} sweep {}", env!("CARGO_BIN_EXE_ringprobe"), scripts.flags(""));
    let text = format!("keyctl add user rp-test-key secret @s >/dev/null; exec {sweep}");
    let mut command = Command::new("keyctl");
    command.args(["session", "-", "/bin/sh", "-c", &text]).env("NO_COLOR", "1");
    let report = scripts.finished(Child::start(&mut command, None).finish());
    let servers = by_server(&report);
    let said = |server: &String| said(servers[server.as_str()]);
    assert!(said(&roots).contains("rp-test-key"), "there was a key: {}", said(&roots));
    assert!(said(&nobodys).contains("keyring"), "keys can be listed: {}", said(&nobodys));
    assert!(!said(&nobodys).contains("rp-test-key"), "{}", said(&nobodys));
}

#[test]
fn the_limits_are_those_the_engine_was_started_with() {
    let mut scripts = Scripts::new();
    scripts.shell("ulimit -Sn; ulimit -Hn; ulimit -Sc; ulimit -Ss", LONG);
    let mut prlimit = Command::new("prlimit");
    prlimit.args(["--nofile=300:700", "--core=0:0", "--stack=4194304:8388608"]);
    prlimit.arg(env!("CARGO_BIN_EXE_ringprobe")).arg("sweep");
    prlimit.args(scripts.flags("").split_whitespace()).env("NO_COLOR", "1");
    let report = scripts.finished(Child::start(&mut prlimit, None).finish());
    assert_eq!(said(only(&report)), "300\n700\n0\n4096\n");
}

#[test]
#[ignore = "needs root: scripts run as somebody else"]
fn a_named_user_gets_its_ids_and_no_more_groups() {
    let mut scripts = Scripts::new();
    let text = "id -u; id -g; id -G";
    scripts.shell(text, &format!("{LONG}; user nobody"));
    scripts.shell(text, &format!("{LONG}; user nobody daemon"));
    let home = scripts.check("/usr/bin/env", &format!("{LONG}; user nobody"));
    let report = scripts.report("");
    let servers = by_server(&report);
    let nobody = nix::unistd::User::from_name("nobody").expect("users").expect("nobody");
    let daemon = nix::unistd::Group::from_name("daemon").expect("groups").expect("daemon");
    let (uid, gid) = (nobody.uid, nobody.gid);
    assert_eq!(said(servers["127.95.0.1:80"]), format!("{uid}\n{gid}\n{gid}\n"));
    let gid = daemon.gid;
    assert_eq!(said(servers["127.95.0.2:80"]), format!("{uid}\n{gid}\n{gid}\n"));
    let variables: BTreeSet<&str> = said(servers[home.as_str()]).lines().collect();
    let home = format!("HOME={}", nobody.dir.display());
    for variable in [home.as_str(), "USER=nobody", "LOGNAME=nobody"] {
        assert!(variables.contains(variable), "{variable}: {variables:?}");
    }
    assert_eq!(script(servers["127.95.0.1:80"]).user.as_deref(), Some("nobody"));
}

#[test]
#[ignore = "needs root: nobody may not open what only root may"]
fn a_script_that_its_user_may_not_run_is_unknown() {
    let mut scripts = Scripts::new();
    let set_mode = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("our own");
    };
    let check = scripts.path("check");
    fs::write(&check, "#!/bin/sh\nexit 0\n").expect("room");
    set_mode(&check, 0o755);
    set_mode(&scripts.path("."), 0o700);
    scripts.check(&check.display().to_string(), &format!("{LONG}; user nobody"));
    let verdict = || found(only(&scripts.report("")));
    assert_eq!(verdict(), "unknown script_not_executable");
    set_mode(&scripts.path("."), 0o711);
    assert_eq!(verdict(), "pass ok");
    set_mode(&check, 0o744);
    assert_eq!(verdict(), "unknown script_not_executable");
}
