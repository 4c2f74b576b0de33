//! The program as a user runs it: exit codes, and what stands on which stream.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use ringprobe::respond;
use tempfile::TempDir;

fn ringprobe(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringprobe"));
    command.args(args).stdin(Stdio::null()).env_remove("NO_COLOR");
    command
}

fn run(args: &[&str]) -> Output {
    ringprobe(args).output().expect("it starts")
}

/// Runs `sweep` with a list on its standard input.
fn sweep_list(list: &str, args: &[&str]) -> Output {
    let mut child = ringprobe(&["sweep", "--targets", "-"])
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    // It may end before it has read everything.
    let _ = child.stdin.take().expect("piped").write_all(list.as_bytes());
    child.wait_with_output().expect("it ends")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("UTF-8")
}

/// An embedded fleet, with its configuration in a directory of its own.
struct Fleet {
    directory: TempDir,
    _running: respond::Running,
}

impl Fleet {
    /// Every test has its own port, because all of them run at the same time.
    fn start(port: u16, servers: u32, faults: &str) -> Fleet {
        let directory = tempfile::tempdir().expect("a directory");
        let options = respond::Options {
            servers,
            port,
            faults: faults.parse().expect("faults"),
            connect_timeout: Duration::from_millis(500),
            conf: Some(directory.path().join("fleet.conf")),
            script_share: respond::Share::default(),
            ..respond::Options::default()
        };
        Fleet { directory, _running: respond::start(&options).expect("it serves") }
    }

    fn path(&self, name: &str) -> String {
        self.directory.path().join(name).display().to_string()
    }
}

#[test]
fn help_is_no_error_and_wrong_flags_are_2() {
    let help = run(&["sweep", "--help"]);
    assert_eq!(help.status.code(), Some(0));
    assert!(text(&help.stdout).contains("Exit codes:"));
    for args in [
        &["sweep"][..],
        &["sweep", "-f", "x", "--check", "dns"],
        &["sweep", "--targets", "x"],
        &["respond", "--net", "10.0.0.0/8"],
        &["respond", "--connect-timeout", "0s"],
        &["respond", "--conf", "/tmp/ringprobe-same", "--truth", "/tmp/../tmp/ringprobe-same"],
        &["sweep", "--demo", "--shards", "300"],
        &["nonsense"],
    ] {
        let output = run(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{args:?}");
    }
}

#[test]
fn a_seed_below_zero_is_a_bad_value() {
    for args in [&["respond", "--seed", "-1"][..], &["sweep", "--demo", "--seed", "-1"]] {
        let output = run(args);
        assert_eq!(output.status.code(), Some(2));
        let errors = text(&output.stderr);
        assert!(errors.contains("invalid value '-1' for '--seed <N>'"), "{errors}");
    }
}

#[test]
fn respond_says_when_it_is_ready_and_its_help_knows_every_fault() {
    let args = ["respond", "--servers", "300", "--port", "5880", "--for", "10ms"];
    let output = run(&args);
    assert_eq!(output.status.code(), Some(0));
    let errors = text(&output.stderr);
    let ready = "serving 300 servers on 127.64.0.0/16, ports 5880-5882\n0 queries, ";
    assert!(errors.starts_with(ready), "{errors}");
    let help = run(&["respond", "--help"]);
    for fault in respond::Fault::ALL {
        assert!(text(&help.stdout).contains(fault.name()), "{fault:?}");
    }
}

#[test]
fn a_configuration_may_come_through_standard_input() {
    let fleet = Fleet::start(5890, 100, "");
    let open = || fs::File::open(fleet.path("fleet.conf")).expect("readable");
    let mut command = ringprobe(&["sweep", "-f", "-", "-o", "ndjson", "-q"]);
    let output = command.stdin(open()).output().expect("it starts");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout).lines().count(), 102);
    assert!(text(&output.stdout).contains(r#""config":"stdin""#), "{}", text(&output.stdout));

    let out = fleet.path("fleet.conf");
    let mut command = ringprobe(&["sweep", "-f", "-", "--out", &out]);
    let output = command.stdin(open()).output().expect("it starts");
    assert_eq!(output.status.code(), Some(2), "it would be emptied");
    assert!(text(&output.stderr).contains("standard input"), "{}", text(&output.stderr));
}

#[test]
fn a_bad_configuration_is_shown_and_nothing_is_probed() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("bad.conf");
    fs::write(&path, "virtual_server 127.0.0.1 53 {\n    protocl UDP\n}\n").expect("room");
    let path = path.display().to_string();
    let output = run(&["sweep", "-f", &path]);
    assert_eq!(output.status.code(), Some(2));
    let errors = text(&output.stderr);
    assert!(errors.contains("    protocl UDP") && errors.contains("^^^^^^^"), "{errors}");
    assert!(errors.contains("nothing is probed"), "{errors}");

    // A virtual server without a real server is worth a warning.
    assert!(errors.contains("warning["), "{errors}");
    let quiet = run(&["sweep", "-q", "-f", &path]);
    let errors = text(&quiet.stderr);
    assert!(errors.contains("    protocl UDP") && !errors.contains("warning["), "{errors}");

    fs::write(&path, "global_defs {\n}\n").expect("room");
    let output = run(&["sweep", "-f", &path]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("nothing to probe"));

    let output = run(&["sweep", "-f", "/nonexistent/keepalived.conf"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("/nonexistent/keepalived.conf"));
}

#[test]
fn a_healthy_fleet_is_0_on_the_right_streams() {
    let fleet = Fleet::start(5810, 500, "");
    let conf = fleet.path("fleet.conf");
    let output = run(&["sweep", "-f", &conf]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let summary = text(&output.stdout);
    assert!(summary.starts_with("OK: 500 probed in "), "{summary}");
    assert!(!summary.contains('\x1b'), "colour into a pipe: {summary}");
    assert_eq!(text(&output.stderr), "", "no progress into a pipe, no warnings");

    // The same through a list, with records on stdout and the short summary on stderr.
    let list = "127.64.0.1-127.64.0.20\n";
    let output = sweep_list(list, &["--check", "dns", "--port", "5810", "-o", "csv"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout).lines().count(), 21);
    assert!(text(&output.stderr).starts_with("OK: 20 probed in "));
    let quiet = sweep_list(list, &["--check", "dns", "--port", "5810", "-o", "csv", "-q"]);
    assert_eq!(text(&quiet.stderr), "");
}

#[test]
fn a_faulty_fleet_is_1_and_the_summary_says_where_the_rest_is() {
    let fleet = Fleet::start(5820, 500, "servfail=10%,empty=5%");
    let (conf, out) = (fleet.path("fleet.conf"), fleet.path("out.ndjson"));
    let output = run(&["sweep", "-f", &conf, "-o", "ndjson", "--out", &out]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    let summary = text(&output.stdout);
    assert!(summary.starts_with("FAILED: 500 probed in "), "{summary}");
    assert!(summary.contains("rcode") && summary.contains("SERVFAIL"), "{summary}");
    assert!(summary.trim_end().ends_with(&format!("more: see {out}")), "{summary}");

    let records = fs::read_to_string(&out).expect("readable");
    let records: Vec<serde_json::Value> =
        records.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(records.len(), 502);
    assert_eq!(records[0]["config"], conf);
    assert_eq!(records[0]["config_digest"].as_str().map(str::len), Some(16));
    let failed = records[1..501].iter().filter(|record| record["outcome"] == "fail").count();
    assert_eq!(records[501]["failed"], failed);
    assert!(failed > 20, "{failed} of 500 failed");
}

#[test]
fn the_parts_of_a_fleet_are_the_fleet() {
    let fleet = Fleet::start(5830, 100, "");
    let conf = fleet.path("fleet.conf");
    let mut targets = Vec::new();
    for part in ["1/3", "2/3", "3/3"] {
        let output = run(&["sweep", "-f", &conf, "-o", "csv", "-q", "--shard", part]);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        let lines = text(&output.stdout).lines().skip(1);
        targets.extend(lines.map(|line| line.split(',').nth(3).expect("target").to_owned()));
    }
    assert_eq!(targets.len(), 100);
    targets.sort();
    targets.dedup();
    assert_eq!(targets.len(), 100);
}

#[test]
fn a_bad_line_is_2_with_its_number() {
    let output = sweep_list("127.0.0.1\nnonsense\n", &["--check", "dns"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("stdin:2: \"nonsense\""), "{}", text(&output.stderr));

    let output = sweep_list("127.0.0.1\n::1\n", &["--check", "dns", "--bindto", "127.0.0.1"]);
    assert_eq!(output.status.code(), Some(2));
    let errors = text(&output.stderr);
    assert!(errors.contains("stdin:2: \"::1\": no --bindto address is of its family"), "{errors}");

    let output = sweep_list("127.0.0.1\n", &["--check", "tcp"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("port"), "{}", text(&output.stderr));

    let output = sweep_list("# nobody\n", &["--check", "dns"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("nothing to probe"), "{}", text(&output.stderr));
}

#[test]
fn a_full_disk_is_4_and_named() {
    let fleet = Fleet::start(5840, 500, "");
    let conf = fleet.path("fleet.conf");
    for form in ["ndjson", "csv", "text"] {
        let output = run(&["sweep", "-f", &conf, "-o", form, "--out", "/dev/full"]);
        assert_eq!(output.status.code(), Some(4), "{form}");
        let errors = text(&output.stderr);
        assert!(errors.contains("cannot write to /dev/full: No space left on device"), "{errors}");
    }
    let output = run(&["sweep", "-f", &conf, "--hdr", "/dev/full"]);
    assert_eq!(output.status.code(), Some(4));
    let output = run(&["sweep", "-f", &conf, "--out", "/nonexistent/out"]);
    assert_eq!(output.status.code(), Some(4));
}

#[test]
fn an_output_is_neither_an_input_nor_another_output() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name).display().to_string();
    let (list, link, symlink) = (path("list"), path("link"), path("symlink"));
    fs::write(&list, "127.0.0.1:1\n").expect("room");
    fs::hard_link(&list, &link).expect("room");
    std::os::unix::fs::symlink(&list, &symlink).expect("room");
    let (new, new_too) = (path("new"), path("./new"));
    for (args, flags) in [
        (format!("--targets {list} --check tcp --out {list}"), ["--out", "--targets"]),
        (format!("--targets {list} --check tcp --out {link}"), ["--out", "--targets"]),
        (format!("--targets {list} --check tcp --hdr {symlink}"), ["--hdr", "--targets"]),
        (format!("-f {list} --out {symlink}"), ["--out", "--use-file"]),
        (format!("-f {list} --hdr {list}"), ["--hdr", "--use-file"]),
        (format!("--demo --exclude {list} --out {list}"), ["--out", "--exclude"]),
        (format!("--demo --out {link} --hdr {list}"), ["--hdr", "--out"]),
        (format!("--demo --out {new} --hdr {new_too}"), ["--hdr", "--out"]),
    ] {
        let words: Vec<&str> = std::iter::once("sweep").chain(args.split(' ')).collect();
        let output = run(&words);
        let errors = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{args}: {errors}");
        assert!(flags.iter().all(|flag| errors.contains(flag)), "{args}: {errors}");
        assert_eq!(fs::read(&list).expect("readable"), b"127.0.0.1:1\n", "{args}");
    }
    // Standard input and output are files too.
    let open = fs::File::open(&list).expect("readable");
    let status = ringprobe(&["sweep", "--targets", "-", "--check", "tcp", "--out", &list])
        .stdin(open)
        .output()
        .expect("it starts")
        .status;
    assert_eq!(status.code(), Some(2));
    assert_eq!(fs::read(&list).expect("readable"), b"127.0.0.1:1\n");
    let out = fs::File::create(&new).expect("room");
    let args = ["sweep", "--targets", &list, "--check", "tcp", "-o", "csv", "--out", &new];
    assert_eq!(ringprobe(&args).stdout(out).status().expect("it starts").code(), Some(2));
    // What holds nothing cannot lose it.
    let args = ["--check", "tcp", "--out", "/dev/null", "--hdr", "/dev/null"];
    assert_eq!(sweep_list("127.0.0.1:1\n", &args).status.code(), Some(1));
}

#[test]
fn a_report_that_was_lost_is_no_ok() {
    let fleet = Fleet::start(5845, 500, "");
    let (conf, exclude) = (fleet.path("fleet.conf"), fleet.path("exclude"));
    fs::write(&exclude, "127.64.0.1-127.64.1.0\n").expect("room");
    let args = ["sweep", "-f", &conf, "--exclude", &exclude, "-o", "ndjson", "--out", "/dev/full"];
    let output = run(&args);
    assert_eq!(output.status.code(), Some(4));
    let errors = text(&output.stderr);
    assert!(errors.starts_with("CUT SHORT: 244 probed in "), "{errors}");
}

#[test]
fn a_list_cut_short_by_a_bad_line_is_no_ok() {
    let _fleet = Fleet::start(5846, 20, "");
    let mut child = ringprobe(&["sweep", "--targets", "-", "--check", "dns", "--port", "5846"])
        .args(["-o", "ndjson"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut list = child.stdin.take().expect("piped");
    list.write_all(b"127.64.0.1-127.64.0.20\n").expect("it reads");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    // The first probe is seen when the good targets have been dealt.
    for wanted in ["run", "probe"] {
        let line = lines.next().expect("a line").expect("readable");
        assert!(line.starts_with(&format!(r#"{{"type":"{wanted}""#)), "{line}");
    }
    list.write_all(b"nonsense\n").expect("it reads");
    drop(list);
    let last = lines.map(|line| line.expect("readable")).last().expect("a line");
    let summary: serde_json::Value = serde_json::from_str(&last).expect("a whole record");
    assert_eq!((&summary["passed"], &summary["cut_short"]), (&20.into(), &true.into()), "{last}");
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(2));
    let errors = text(&output.stderr);
    assert!(errors.starts_with("CUT SHORT: 20 probed in "), "{errors}");
    assert!(errors.contains("stdin:2: \"nonsense\""), "{errors}");
}

#[test]
fn nothing_left_to_probe_is_2_but_an_empty_part_is_0() {
    let fleet = Fleet::start(5849, 10, "");
    let (conf, exclude) = (fleet.path("fleet.conf"), fleet.path("exclude"));
    fs::write(&exclude, "127.0.0.0/8\n").expect("room");
    let output = run(&["sweep", "-f", &conf, "--exclude", &exclude]);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stdout));
    assert!(text(&output.stderr).contains("every target is excluded (10)"));
    assert_eq!(text(&output.stdout), "");

    let output = sweep_list("127.0.0.1\n", &["--check", "dns", "--exclude", &exclude]);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stdout));

    let output = run(&["sweep", "-f", &conf, "--shard", "11/11"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
}

#[test]
fn a_shard_that_fails_is_named_even_quietly() {
    let fleet = Fleet::start(5870, 100, "");
    let conf = fleet.path("fleet.conf");
    // The first limit at which one of two shards gets a ring leaves none for the other.
    let output = (4..40)
        .map(|count| {
            let limit = format!("--nofile={count}");
            let mut prlimit = Command::new("prlimit");
            prlimit.args([&limit, env!("CARGO_BIN_EXE_ringprobe"), "sweep", "-q", "--shards", "2"]);
            prlimit.args(["-f", &conf, "-o", "ndjson"]).output().expect("it starts")
        })
        .find(|output| text(&output.stdout).starts_with(r#"{"type":"run""#))
        .expect("a limit with one ring");
    assert_eq!(output.status.code(), Some(4));
    let errors = text(&output.stderr);
    assert!(errors.starts_with("ringprobe: shard ") && errors.contains("ulimit -n"), "{errors}");
}

/// Starts a sweep slow enough to be disturbed.
fn slow_sweep(fleet: &Fleet, args: &[&str]) -> Child {
    ringprobe(&["sweep", "-f", &fleet.path("fleet.conf"), "--rate", "400", "-o", "ndjson"])
        .args(args)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts")
}

#[test]
fn a_closed_pipe_ends_quietly() {
    let fleet = Fleet::start(5850, 2_000, "");
    let mut child = slow_sweep(&fleet, &[]);
    let mut line = String::new();
    let mut reader = BufReader::new(child.stdout.take().expect("piped"));
    reader.read_line(&mut line).expect("readable");
    assert!(line.starts_with(r#"{"type":"run""#), "{line}");
    drop(reader);
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(141));
    assert_eq!(text(&output.stderr), "");
}

#[test]
fn an_interrupt_reports_what_is_known() {
    let fleet = Fleet::start(5860, 2_000, "");
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        let mut child = slow_sweep(&fleet, &[]);
        let pid = Pid::from_raw(i32::try_from(child.id()).expect("a pid"));
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        // Lines become visible once a second, so the first probe is seen in the middle of the sweep.
        for wanted in ["run", "probe"] {
            let line = lines.next().expect("a line").expect("readable");
            assert!(line.starts_with(&format!(r#"{{"type":"{wanted}""#)), "{line}");
        }
        kill(pid, signal).expect("it is there");
        let last = lines.map(|line| line.expect("readable")).last().expect("a line");
        let summary: serde_json::Value = serde_json::from_str(&last).expect("a whole record");
        assert_eq!(summary["type"], "summary");
        assert_eq!(summary["interrupted"], true);
        let output = child.wait_with_output().expect("it ends");
        assert_eq!(output.status.code(), Some(130), "{signal}");
        assert!(text(&output.stderr).starts_with("INTERRUPTED: "), "{}", text(&output.stderr));
    }
}

#[test]
fn a_hangup_that_is_ignored_stays_ignored() {
    let fleet = Fleet::start(5900, 800, "");
    let script = "trap '' HUP; exec \"$0\" sweep -f \"$1\" --rate 400 -o ndjson -q";
    let mut child = Command::new("sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_ringprobe"), &fleet.path("fleet.conf")])
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let pid = Pid::from_raw(i32::try_from(child.id()).expect("a pid"));
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    lines.next().expect("a line").expect("readable");
    kill(pid, Signal::SIGHUP).expect("it is there");
    assert_eq!(lines.count(), 801);
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
}

#[test]
fn an_interrupt_does_not_wait_for_standard_input() {
    let mut child =
        ringprobe(&["sweep", "--targets", "-", "--check", "dns", "--progress", "always"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
    let pid = Pid::from_raw(i32::try_from(child.id()).expect("a pid"));
    let stdin = child.stdin.take();
    // The first line of progress comes when everything has started.
    let mut progress = BufReader::new(child.stderr.take().expect("piped"));
    progress.read_line(&mut String::new()).expect("readable");
    kill(pid, Signal::SIGINT).expect("it is there");
    assert_eq!(child.wait().expect("it ends").code(), Some(130));
    drop(stdin);
}

#[test]
fn the_demo_is_as_the_fleet_was_built() {
    let output = run(&["sweep", "--demo", "--progress", "never"]);
    let (summary, errors) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(1), "{summary}{errors}");
    assert!(summary.starts_with("FAILED: 10,000 probed in "), "{summary}");
    assert!(summary.ends_with("All 10,000 verdicts are as the fleet was built.\n"), "{summary}");
}

/// Nothing listens there, so every probe is refused at once: what counts is how many there are.
#[test]
fn a_sweep_reads_includes_repetitions_and_conditions() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("keepalived.conf");
    let write = |name: &str, text: &str| std::fs::write(directory.path().join(name), text);
    write("servers.inc", "~SEQ(I, 1, 3) real_server 127.91.7.${I} 9 { TCP_CHECK { } }\n")
        .expect("room");
    write(
        "keepalived.conf",
        "$PORT=9\nvirtual_server 127.91.0.1 9 {\n protocol TCP\n lvs_sched rr\n lvs_method NAT\n \
         include servers.inc\n @here real_server 127.91.7.10 $PORT\n @here { TCP_CHECK { } }\n}\n",
    )
    .expect("room");
    let path = path.display().to_string();
    for (id, count) in [("here", 4), ("there", 3)] {
        let output =
            run(&["sweep", "-f", &path, "-o", "ndjson", "--retries", "0", "--config-id", id]);
        assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
        let probes =
            text(&output.stdout).lines().filter(|line| line.contains("\"type\":\"probe\""));
        assert_eq!(probes.count(), count, "{id}: {}", text(&output.stderr));
    }
    let output = run(&["sweep", "--demo", "--config-id", "here"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("only with -f"), "{}", text(&output.stderr));
}
