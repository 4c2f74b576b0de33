//! Scripts of a configuration: what is run, as whom, and what the files are warned of.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use ringprobe::conf::{Problems, Severity};
use ringprobe::fleet::{
    Fleet, LoadOptions, Loaded, MiscSpec, ProbeSpec, Rejected, ScriptCommand, analyse_text,
    load_text,
};

use super::model::{spec, timing};
use super::{compare, fleet_of};

/// A command that is there on every machine and nobody but root can change.
const SHELL: &str = "/bin/sh";

/// A virtual server of the usual kind around `body`, and `global_defs` behind it.
pub(super) fn around(body: &str, global_defs: &str) -> String {
    let head = "virtual_server 127.0.10.1 80 {\n protocol TCP\n lvs_sched rr\n lvs_method NAT\n";
    format!("{head}{body}\n}}\nglobal_defs {{\n{global_defs}\n}}\n")
}

/// A real server with a script checker.
fn checker(options: &str) -> String {
    format!("real_server 127.0.10.11 80 {{ MISC_CHECK {{\n{options}\n}} }}\n")
}

fn misc(fleet: &Fleet, checker: usize) -> &MiscSpec {
    match spec(fleet, checker) {
        ProbeSpec::Misc(misc) => misc,
        other => panic!("checker {checker}: {other:?}"),
    }
}

fn argv(fleet: &Fleet, checker: usize) -> Vec<String> {
    match &misc(fleet, checker).command {
        ScriptCommand::Argv(argv) => {
            argv.iter().map(|argument| String::from_utf8_lossy(argument).into_owned()).collect()
        }
        ScriptCommand::Shell(text) => panic!("checker {checker}: {text:?}"),
    }
}

/// Codes of all that is said.
fn codes(loaded: &Loaded) -> Vec<&'static str> {
    loaded.problems.iter().map(|found| found.code.as_str()).collect()
}

fn rejected(text: String, options: &LoadOptions) -> String {
    match load_text("test.conf", text.into(), options) {
        Err(Rejected::Invalid { problems, .. }) => problems.render_errors(false),
        other => panic!("{other:?}"),
    }
}

#[test]
fn defaults_and_options_of_a_script() {
    let loaded = fleet_of(&around(
        "delay_loop 7.5
        real_server 127.0.10.11 {
            delay_loop 3
            MISC_CHECK { misc_path \"/bin/sh -c 'exit 0'\"
                delay_loop 2 }
            MISC_CHECK { misc_path \"/bin/sh -c 'exit 0'\"
                misc_timeout 0
                delay_loop 2 }
            MISC_CHECK {
                misc_timeout 4294
                misc_dynamic
                retry 3
                delay_before_retry 0.5
                warmup 0
                alpha
                log_all_failures
                user 4242424 4242425
                misc_path /bin/sh
            }
            MISC_CHECK { misc_path \"</dev/tcp/127.0.0.1/22\" }
        }",
        "script_user 0\n enable_script_security",
    ));
    assert_eq!(codes(&loaded), Vec::<&str>::new());
    let fleet = &loaded.fleet;
    assert!(fleet.script_security);
    assert_eq!(fleet.specs.len(), 3, "the first two are one");
    assert_eq!(argv(fleet, 0), ["/bin/sh", "-c", "exit 0"]);
    let first = misc(fleet, 0);
    assert_eq!(first.timeout, Duration::from_millis(7_500), "of the virtual server");
    assert!(!first.dynamic);
    assert_eq!((first.user.uid, first.user.gid, &*first.user.name), (0, 0, "root"));
    assert!(first.user.groups.is_empty());
    let timers = timing(fleet, 0);
    assert_eq!(timers.delay_loop, Duration::from_secs(2));
    assert_eq!((timers.retry, timers.retry_is_written), (0, false));
    assert_eq!(timers.delay_before_retry, Duration::from_secs(1));
    let last = misc(fleet, 2);
    assert_eq!((last.timeout, last.dynamic), (Duration::from_secs(4294), true));
    assert_eq!((last.user.uid, last.user.gid), (4_242_424, 4_242_425));
    let timers = timing(fleet, 2);
    assert_eq!((timers.retry, timers.retry_is_written, timers.alpha), (3, true, true));
    assert_eq!(timers.delay_before_retry, Duration::from_millis(500));
    let shell = ScriptCommand::Shell(b"</dev/tcp/127.0.0.1/22"[..].into());
    assert_eq!(misc(fleet, 3).command, shell);
    assert_eq!(fleet.checker_keyword(0), "MISC_CHECK");
    assert_eq!(fleet.checkers[0].target.to_string(), "127.0.10.11:80");
    // A script that timed out is no lost packet.
    let retries: Vec<_> = (0..4).map(|seq| fleet.retries(seq, None)).collect();
    assert_eq!(retries, [0, 0, 3, 0]);
    assert_eq!(fleet.retries(0, Some(2)), 2);
}

#[test]
fn a_script_needs_no_port() {
    let loaded = fleet_of(
        "virtual_server fwmark 5 {\n lvs_sched rr\n lvs_method NAT
            real_server 127.0.10.11 { MISC_CHECK { misc_path /bin/sh\n user 4242424 4242425 } }
        }",
    );
    assert_eq!(loaded.fleet.checkers[0].target.to_string(), "127.0.10.11:0");
    assert_eq!(misc(&loaded.fleet, 0).timeout, Duration::from_secs(60));
}

#[test]
fn a_link_local_server_needs_no_interface_for_a_script() {
    let loaded = fleet_of(
        "virtual_server 2001:db8::1 80 {\n protocol TCP\n lvs_sched rr\n lvs_method NAT
            real_server fe80::1 { MISC_CHECK { misc_path /bin/sh\n user 4242424 4242425 } }
        }",
    );
    assert_eq!(loaded.fleet.checkers[0].target.to_string(), "[fe80::1]:80");
}

#[test]
fn whose_word_counts_for_the_user() {
    let given = LoadOptions { script_user: "4242424:4242425".parse().ok(), ..Default::default() };
    assert!(given.script_user.is_some());
    let user = |user: &str, global_defs: &str| {
        let text = around(&checker(&format!("misc_path /bin/sh\n{user}")), global_defs);
        let loaded = load_text("test.conf", text.into(), &given).expect("valid");
        misc(&loaded.fleet, 0).user.uid
    };
    assert_eq!(user("", ""), 4_242_424, "the command line's where nothing is written");
    assert_eq!(user("", "script_user 77 77"), 77);
    assert_eq!(user("", "script_user 77 77\n script_user 78 78"), 78, "the last one");
    assert_eq!(user("user 79 79", "script_user 77 77"), 79);
    assert_eq!(user("user 79 79\n user 80 80", ""), 80);
}

#[test]
fn groups_are_set_where_asked_for_wherever_that_stands() {
    let groups = |user: &str, global_defs: &str| {
        let text = around(&checker(&format!("misc_path /bin/sh\n{user}")), global_defs);
        misc(&fleet_of(&text).fleet, 0).user.groups.contains(&0)
    };
    assert!(!groups("", "script_user root"));
    assert!(groups("", "script_user root :"));
    assert!(groups("", "script_user root :0"));
    assert!(groups("", "script_user root\n set_supplementary_groups"));
    assert!(groups("user root", "set_supplementary_groups yes"));
    assert!(!groups("user root", "set_supplementary_groups\n set_supplementary_groups no"));
    assert!(groups("user root :", "set_supplementary_groups no"));
}

#[test]
fn two_names_of_one_user_are_one_script() {
    let server = |address: u32, user: &str| {
        format!(
            "real_server 127.0.10.{address} 80 {{\n MISC_CHECK {{\n misc_path /bin/sh\n{user}\n}}\n\
             TCP_CHECK {{ }}\n }}\n"
        )
    };
    let body =
        server(1, "user root") + &server(2, "") + &server(3, "user 0 0") + &server(4, "user 7 7");
    let fleet = fleet_of(&around(&body, "script_user 0\n enable_script_security")).fleet;
    let specs: Vec<_> = fleet.checkers.iter().map(|checker| checker.spec.0).collect();
    assert_eq!(specs, [0, 1, 0, 1, 0, 1, 2, 1]);
    assert_eq!(fleet.specs.len(), 3);
    assert_eq!(misc(&fleet, 6).user.uid, 7);
}

#[test]
fn without_a_user_nothing_is_run_and_one_error_says_what_to_do() {
    let body = checker("misc_path /bin/sh").repeat(3)
        + "real_server 127.0.10.12 80 {\n MISC_CHECK {\n misc_path \"/bin/sh -c exit\"\n }\n }\n"
        + "real_server 127.0.10.13 80 {\n MISC_CHECK {\n misc_path /bin/sh\n }\n }\n";
    let text = around(&body, "enable_script_security");
    if nix::unistd::User::from_name("keepalived_script").expect("an answer").is_some() {
        let loaded = fleet_of(&text);
        assert_eq!(&*misc(&loaded.fleet, 0).user.name, "keepalived_script");
        return;
    }
    let expected = "\
error[E032]: no user to run 3 scripts as
 --> test.conf:6:12
  |
6 |  misc_path /bin/sh
  |            ^^^^^^^ first here
  |
  = help: create the user `keepalived_script`, or write `script_user USER` in `global_defs` or `user USER` in the checker, or say --script-user USER; --no-scripts does without these checkers

";
    let text = text.replace("MISC_CHECK {\nmisc_path", "MISC_CHECK {\n misc_path");
    assert_eq!(rejected(text, &LoadOptions::default()), expected);
}

#[test]
fn a_script_that_is_not_there_is_said_whoever_runs_it() {
    if nix::unistd::User::from_name("keepalived_script").expect("an answer").is_some() {
        return;
    }
    let text = around(&checker("misc_path \"/nonexistent/check -v\""), "");
    let found = reviewed(&text, &LoadOptions::default());
    assert!(found.contains("error[E032]") && found.contains("warning[W049]"), "{found}");
}

#[test]
fn an_unknown_user_of_the_command_line_is_an_error_where_it_is_needed() {
    let options = LoadOptions { script_user: "nosuchuser".parse().ok(), ..Default::default() };
    let text = around(&checker("misc_path /bin/sh"), "");
    assert_eq!(
        rejected(text, &options),
        "error[E031]: --script-user nosuchuser: there is no user `nosuchuser`\n\n"
    );
    let text = around(&checker("misc_path /bin/sh\n user 7 7"), "");
    assert!(load_text("test.conf", text.into(), &options).is_ok());
}

#[test]
fn an_unknown_default_user_matters_only_to_scripts_that_need_it() {
    let global_defs = "script_user nosuchuser";
    let tcp = "real_server 127.0.10.11 80 { TCP_CHECK { } }";
    assert_eq!(codes(&fleet_of(&around(tcp, global_defs))), Vec::<&str>::new());
    let own = checker("misc_path /bin/sh\n user 7 7");
    assert_eq!(codes(&fleet_of(&around(&own, global_defs))), Vec::<&str>::new());
    let text = rejected(around(&checker("misc_path /bin/sh"), global_defs), &Default::default());
    assert_eq!(text.matches("error[").count(), 1, "{text}");
    assert!(text.contains("there is no user `nosuchuser`") && text.contains(":11:13"), "{text}");
}

#[test]
fn no_scripts_leaves_them_alone() {
    let options = LoadOptions { no_scripts: true, ..LoadOptions::default() };
    let body = checker("misc_path /nonexistent\n user nosuchuser")
        + "real_server 127.0.10.12 80 { MISC_CHECK {\n misc_path /nonexistent\n}\n TCP_CHECK { } }";
    let loaded = load_text("test.conf", around(&body, "script_user nosuchuser").into(), &options)
        .expect("nobody is looked up");
    assert_eq!(loaded.fleet.not_probed.get("MISC_CHECK"), Some(&2));
    assert_eq!(loaded.fleet.checkers.len(), 1);
    assert_eq!(codes(&loaded), ["N061"]);
    assert!(loaded.problems.render(false).contains("not probed with --no-scripts: 2 checkers"));
}

#[test]
fn scripts_of_root_are_warned_of_once_a_file() {
    let server = |address: usize| {
        format!(
            "real_server 127.0.10.{address} 80 {{\n MISC_CHECK {{\n misc_path \"{SHELL} {address}\"\n }}\n }}\n"
        )
    };
    let body: String = (1..=50).map(server).collect();
    let loaded = fleet_of(&around(&body, "script_user root"));
    let text = loaded.problems.render(false);
    assert_eq!(codes(&loaded), ["W052"], "{text}");
    assert!(text.contains("script `/bin/sh` is run as root without `enable_script_security`"));
    assert!(text.contains("the first of 50 checkers that run it"), "{text}");
    assert_eq!(loaded.fleet.specs.len(), 50);
    let said = |user: &str, global_defs: &str| {
        codes(&fleet_of(&around(&(body.clone() + &checker_as(user)), global_defs)))
    };
    assert_eq!(said("7 7", "script_user root\n enable_script_security"), Vec::<&str>::new());
    assert_eq!(said("7 7", "script_user 7 7"), Vec::<&str>::new());
    assert_eq!(said("7 0", "script_user 7 7"), ["W052"], "the group of root has rights too");
}

fn checker_as(user: &str) -> String {
    format!(
        "real_server 127.0.11.1 80 {{\n MISC_CHECK {{\n misc_path {SHELL}\n user {user}\n }}\n }}\n"
    )
}

#[test]
fn what_others_may_change_is_named() {
    let directory = tempfile::tempdir().expect("a directory for temporary files");
    std::fs::set_permissions(directory.path(), PermissionsExt::from_mode(0o755))
        .expect("one's own");
    let path = directory.path().join("check");
    std::fs::write(&path, "#!/bin/sh\n").expect("written");
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o777)).expect("one's own");
    let rendered = |path: &Path, user: &str, global_defs: &str| {
        let text = format!("misc_path {}\n user {user}", path.display());
        let loaded = fleet_of(&around(&checker(&text), global_defs));
        assert_eq!(loaded.problems.count(Severity::Error), 0);
        (codes(&loaded), loaded.problems.render(false))
    };
    let (codes, text) = rendered(&path, "root", "enable_script_security");
    assert_eq!(codes, ["W051"]);
    assert!(text.contains("it will not be run") && text.contains("may change it"), "{text}");
    assert!(text.contains("let root alone change it: `ch"), "{text}");
    if nix::unistd::Uid::effective().is_root() {
        let file = format!("`{}` (owner 0:0, mode -rwxrwxrwx): everybody", path.display());
        assert!(text.contains(&file), "{text}");
        assert!(text.contains(&format!("`chmod o-w {}`", path.display())), "{text}");
    }
    let (codes, text) = rendered(&path, "root", "");
    assert_eq!(codes, ["W051"]);
    assert!(text.contains("it is run all the same"), "{text}");
    assert_eq!(rendered(&path, "4242424 4242425", "enable_script_security").0, Vec::<&str>::new());
    for path in [Path::new("/dev/null"), directory.path()] {
        assert_eq!(rendered(path, "root", "").0, ["W050"], "no regular file");
    }
    // Not executable, and an interpreter that is not there.
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).expect("one's own");
    let (codes, text) = rendered(&path, "4242424 4242425", "");
    assert_eq!(codes, ["W050"]);
    assert!(text.contains("4242424 may not execute it"), "{text}");
    std::fs::write(&path, "#!/nonexistent/interpreter -x\n").expect("written");
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).expect("one's own");
    assert_eq!(rendered(&path, "4242424 4242425", "enable_script_security").0, ["W049"]);
    let (codes, text) = rendered(&path, "4242424 4242425", "");
    assert_eq!(codes, ["W049"]);
    assert!(text.contains("the interpreter of script"), "{text}");
}

#[test]
fn an_interpreter_that_others_may_change_is_named() {
    if !nix::unistd::Uid::effective().is_root() {
        println!("ignored: only root can make a script that nobody else may change");
        return;
    }
    let directory = tempfile::tempdir().expect("a directory for temporary files");
    let path = directory.path().join("check");
    let interpreter = directory.path().join("interpreter");
    std::fs::write(&path, format!("#!{}\n", interpreter.display())).expect("written");
    std::fs::write(&interpreter, "").expect("written");
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).expect("one's own");
    std::fs::set_permissions(&interpreter, PermissionsExt::from_mode(0o757)).expect("one's own");
    let text = checker(&format!("misc_path {}\n user root", path.display()));
    let loaded = fleet_of(&around(&text, "enable_script_security"));
    assert_eq!(codes(&loaded), ["W051"]);
    let text = loaded.problems.render(false);
    let file = format!("`{}` (owner 0:0, mode -rwxr-xrwx)", interpreter.display());
    assert!(text.contains(&file), "{text}");
}

#[test]
fn paths_that_are_not_full_are_warned_of() {
    for (path, taken) in [("sh", "found as `/"), ("bin/sh", "taken as `/bin/sh`")] {
        let loaded = fleet_of(&around(&checker(&format!("misc_path {path}\n user 7 7")), ""));
        let text = loaded.problems.render(false);
        assert_eq!(codes(&loaded), ["W053"], "{text}");
        assert!(text.contains(taken), "{text}");
        assert_eq!(argv(&loaded.fleet, 0), [path], "as it is written");
    }
}

#[test]
fn scripts_of_a_duplicate_server_are_not_looked_at() {
    let body = checker("misc_path /bin/sh\n user 7 7") + &checker("misc_path /nonexistent/x");
    let loaded = fleet_of(&around(&body, ""));
    assert_eq!(codes(&loaded), ["W036"], "and it needs no user");
    assert_eq!(loaded.fleet.checkers.len(), 1);
}

/// What a reader of the configuration is told of scripts that keepalived runs by itself.
pub(super) fn reviewed(text: &str, options: &LoadOptions) -> String {
    let analysis = analyse_text("test.conf", text.into(), options).expect("small enough");
    Problems::new(analysis.diagnostics, &analysis.sources).render(false)
}

#[test]
fn files_of_scripts_that_keepalived_runs_are_looked_at() {
    let text = include_str!("script_events.conf");
    compare("script_events", &reviewed(text, &LoadOptions::default()));
}

#[test]
fn no_scripts_leaves_those_of_keepalived_alone() {
    let body = "quorum_down /nonexistent/page nosuchuser
        real_server 127.0.10.11 80 {
            notify_up /nonexistent/page nosuchuser
            TCP_CHECK { }
        }";
    let text =
        around(body, "startup_script /nonexistent nosuchuser\n notify_fifo_script /nonexistent");
    let options = LoadOptions { no_scripts: true, ..LoadOptions::default() };
    assert_eq!(reviewed(&text, &options), "");
    // Whoever only probes is not told of what is not run here.
    assert_eq!(codes(&fleet_of(&text)), Vec::<&str>::new());
}

#[test]
fn what_keepalived_would_not_run_is_no_violation() {
    let found = |command: &str, global_defs: &str| {
        let body =
            format!("quorum_up {command}\n real_server 127.0.10.11 80 {{ TCP_CHECK {{ }} }}");
        let text = reviewed(&around(&body, global_defs), &LoadOptions::default());
        let codes: Vec<_> = text.lines().filter_map(|line| line.split(['[', ']']).nth(1)).collect();
        codes
            .iter()
            .filter(|code| code.starts_with('W'))
            .map(|code| (*code).to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(found("/nonexistent/page root", ""), ["W049"]);
    assert_eq!(found("/bin/sh nosuchuser", ""), ["W095"]);
    assert_eq!(found("/bin/sh root", ""), ["W052"]);
    assert_eq!(found("/bin/sh root", "enable_script_security"), Vec::<String>::new());
    assert_eq!(found("/bin/sh 7 7", ""), ["W060"], "of anybody, it is a script");
    assert_eq!(found("/bin/sh", "script_user nosuchuser"), ["W059"]);
}
