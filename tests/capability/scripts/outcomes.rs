//! Every misbehaviour, every exit status, every reason for which a script cannot run.

use super::{Scripts, by_server, found, only, script};

/// Beside the timeout of a second: enough for whatever ends by itself, on any machine.
const LONG: &str = "misc_timeout 60";
const SHORT: &str = "misc_timeout 1";

#[test]
fn every_misbehaviour_has_its_outcome_and_leaves_nothing() {
    let mut scripts = Scripts::new();
    let mut expected = Vec::new();
    // Where a script ends by itself and leaves something, it must have left its group by then.
    for (text, more, outcome, leaves) in [
        (":", LONG, "pass ok", false),
        ("exit 1", LONG, "fail exit_status", false),
        ("kill -9 $$", LONG, "fail signal", false),
        ("kill -TERM $$", LONG, "fail signal", false),
        // All of its group at once: it has left nothing.
        ("sleep NAP & sleep NAP & kill -9 0", LONG, "fail signal", false),
        ("sleep NAP", SHORT, "fail timeout", false),
        ("sleep NAP & sleep NAP", SHORT, "fail timeout", false),
        ("trap \\\"\\\" TERM; while :; do sleep NAP; done", SHORT, "fail timeout", false),
        ("trap \\\"exit 0\\\" TERM; while :; do sleep NAP; done", SHORT, "fail timeout", false),
        ("setsid sleep NAP & sleep NAP", SHORT, "fail timeout", false),
        ("(setsid sh -c \\\"sleep NAP & sleep NAP\\\" &); sleep NAP", SHORT, "fail timeout", false),
        ("kill -STOP $$; sleep NAP", SHORT, "fail timeout", false),
        ("sleep NAP & exit 0", LONG, "pass ok", true),
        ("sleep NAP & exit 1", LONG, "fail exit_status", true),
        ("setsid sleep NAP & sleep 1; exit 0", LONG, "pass ok", true),
        ("(setsid sh -c \\\"sleep NAP & sleep NAP\\\" &); sleep 1; exit 0", LONG, "pass ok", true),
        (
            "for i in 1 2 3 4 5 6 7 8 9 10; do for j in 1 2 3 4 5; do sleep NAP & done; done; exit 0",
            LONG,
            "pass ok",
            true,
        ),
        ("head -c 10485760 /dev/zero >&2; exit 0", LONG, "pass ok", false),
        ("exec 0<&- 1>&- 2>&-; exit 0", LONG, "pass ok", false),
        ("exec 0<&- 1>&- 2>&-; sleep NAP", SHORT, "fail timeout", false),
    ] {
        expected.push((scripts.shell(text, more), text, outcome, leaves));
    }
    let report = scripts.report("");
    let servers = by_server(&report);
    for (server, text, outcome, leaves) in expected {
        let probe = servers[server.as_str()];
        let script = script(probe);
        assert_eq!(found(probe), outcome, "{text}: {probe:?}");
        assert_eq!(
            (script.left_processes, script.is_unkilled),
            (leaves, false),
            "{text}: {probe:?}"
        );
    }
}

#[test]
fn exit_statuses_say_what_they_say_to_keepalived() {
    let mut scripts = Scripts::new();
    let mut expected = Vec::new();
    for (status, plain, dynamic, weight) in [
        (0, "pass ok", "pass ok", None),
        (1, "fail exit_status", "fail exit_status", None),
        (2, "fail exit_status", "pass ok", Some(0)),
        (3, "fail exit_status", "pass ok", Some(1)),
        (255, "fail exit_status", "pass ok", Some(253)),
    ] {
        let text = format!("exit {status}");
        expected.push((scripts.shell(&text, LONG), status, plain, None));
        let more = format!("{LONG}; misc_dynamic");
        expected.push((scripts.shell(&text, &more), status, dynamic, weight));
    }
    // A death by signal is never a weight.
    let killed = scripts.shell("kill -9 $$", &format!("{LONG}; misc_dynamic"));
    let report = scripts.report("");
    let servers = by_server(&report);
    for (server, status, outcome, weight) in expected {
        let probe = servers[server.as_str()];
        let script = script(probe);
        assert_eq!(found(probe), outcome, "{status}: {probe:?}");
        assert_eq!((script.exit_status, script.weight), (Some(status), weight), "{probe:?}");
        assert_eq!(script.command, Some(format!("/bin/sh -c 'exit {status}'")));
        assert_eq!(script.signal, None);
    }
    let probe = servers[killed.as_str()];
    let script = script(probe);
    assert_eq!(found(probe), "fail signal");
    assert_eq!((script.signal.as_deref(), script.exit_status), (Some("SIGKILL"), None));
    assert_eq!(script.weight, None);
}

#[test]
fn the_end_of_a_flood_of_output_is_kept() {
    let mut scripts = Scripts::new();
    scripts.shell("echo out; yes 0123456 | head -c 10485760 >&2; exit 1", LONG);
    let report = scripts.report("");
    let probe = only(&report);
    let script = script(probe);
    assert_eq!(found(probe), "fail exit_status");
    assert_eq!((script.stdout.as_str(), script.stdout_bytes), ("out\n", 4));
    assert_eq!(script.stderr_bytes, 10_485_760);
    assert_eq!(script.stderr, "0123456\n".repeat(512));
}

#[test]
fn output_of_any_bytes_and_of_what_was_left_behind_is_harmless() {
    let mut scripts = Scripts::new();
    let bytes = scripts.shell("head -c 5000 /dev/urandom; head -c 3 /dev/zero >&2", LONG);
    // A child that holds the pipes open must not keep the verdict waiting.
    let held = scripts.shell("echo first; setsid sleep NAP & sleep 1; exit 3", LONG);
    let report = scripts.report("");
    let servers = by_server(&report);
    let probe = servers[bytes.as_str()];
    assert_eq!(found(probe), "pass ok");
    assert_eq!((script(probe).stdout_bytes, script(probe).stderr.as_str()), (5_000, "\0\0\0"));
    let probe = servers[held.as_str()];
    assert_eq!(
        (found(probe).as_str(), script(probe).stdout.as_str()),
        ("fail exit_status", "first\n")
    );
    assert!(script(probe).left_processes, "{probe:?}");
}

#[test]
fn a_script_that_cannot_run_is_unknown_and_says_why() {
    let mut scripts = Scripts::new();
    let mut expected = Vec::new();
    for (command, reason, named) in [
        ("/nonexistent/check", "script_not_found", "/nonexistent"),
        ("no-such-program-of-ours", "script_not_found", "no-such-program-of-ours"),
        ("/dev/null", "script_not_executable", "/dev/null"),
        ("/", "script_not_executable", "/"),
    ] {
        expected.push((scripts.check(command, LONG), reason, named));
    }
    let report = scripts.report("");
    let servers = by_server(&report);
    for (server, reason, named) in expected {
        let probe = servers[server.as_str()];
        assert_eq!(found(probe), format!("unknown {reason}"), "{probe:?}");
        let detail = probe.detail.as_deref().unwrap_or_default();
        assert!(detail.contains(named), "{detail:?} does not name {named}");
        let script = script(probe);
        assert_eq!(script.explanation, probe.detail);
        assert_eq!((script.exit_status, script.run_us), (None, None), "{probe:?}");
    }
}
