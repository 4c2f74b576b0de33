//! `ringprobe bench` as its users meet it: what it counts, what it writes, how it ends.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

fn bench(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ringprobe"))
        .arg("bench")
        .args(arguments)
        .env("NO_COLOR", "1")
        .output()
        .expect("the program starts")
}

/// A machine that stands still for a while makes the figures doubtful.
fn has_measured(output: &Output) -> bool {
    matches!(output.status.code(), Some(0 | 3))
}

/// The result of a bench that measures.
fn measured(arguments: &[&str]) -> Value {
    let output = bench(&[&["-o", "json"], arguments].concat());
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(has_measured(&output), "{arguments:?}: {errors}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {errors}"))
}

fn runs(result: &Value) -> &[Value] {
    result["runs"].as_array().expect("an array")
}

fn number(value: &Value, name: &str) -> f64 {
    value[name].as_f64().unwrap_or_else(|| panic!("{name} in {value}"))
}

/// What holds of every run, whatever it measured.
fn is_sound(run: &Value) {
    let probes = &run["probes"];
    let part = |name| number(probes, name);
    let parts =
        part("passed") + part("failed") + part("timeouts") + part("unknown") + part("unsent");
    assert_eq!(parts, part("due"), "the parts add up: {probes}");
    let latency = &run["latency_us"];
    assert_eq!(number(latency, "count"), part("due") - part("unknown"), "{run}");
    let order = ["min", "p50", "p90", "p99", "p99_9", "p99_99", "max"];
    let values = order.map(|name| number(latency, name));
    assert!(values.is_sorted(), "{latency}");
    let intervals = run["intervals"].as_array().expect("an array");
    let sum = |name| intervals.iter().map(|interval| number(interval, name)).sum::<f64>();
    assert_eq!(sum("due"), part("due"), "intervals are all of it");
    assert_eq!(run["kernel"]["agrees"], true, "{}", run["kernel"]);
    let percentiles = run["percentiles"].as_array().expect("an array");
    assert_eq!(percentiles.last().expect("some")[0], 1.0);
}

const QUICK: &[&str] =
    &["--warm-up", "100ms", "--duration", "500ms", "--repetitions", "2", "--embedded"];

fn quick<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    [QUICK, arguments].concat()
}

#[test]
fn a_closed_loop_keeps_its_window_full() {
    for check in [&["--check", "dns", "--type", "A"][..], &["--check", "tcp"]] {
        let result = measured(&quick(&[check, &["--window", "64"]].concat()));
        assert_eq!((&result["type"], &result["load"]["mode"]), (&"bench".into(), &"closed".into()));
        assert_eq!(runs(&result).len(), 2);
        for run in runs(&result) {
            is_sound(run);
            assert!(number(run, "per_second") > 100.0, "{run}");
            assert_eq!(number(&run["probes"], "unsent"), 0.0);
            let roles = &run["cpu"]["by_role_us_per_probe"];
            assert!(number(roles, "shards") > 0.0, "{roles}");
            assert_eq!(number(roles, "scripts"), 0.0, "{roles}");
            let sum: f64 =
                ["shards", "feeder", "aggregator"].map(|role| number(roles, role)).iter().sum();
            let both = number(&run["cpu"], "system_us_per_probe")
                + number(&run["cpu"], "user_us_per_probe");
            assert!((sum / both - 1.0).abs() < 1e-6, "{sum} of {both}: every thread is somebody's");
            let what = run["limited_by"]["what"].as_str().expect("a word");
            assert!(["cpu", "window", "target", "socket_buffer"].contains(&what), "{what}");
        }
        assert!(result["idle_us"].as_f64().is_some_and(|us| us > 1.0), "{}", result["idle_us"]);
        assert!(number(&result, "memory_peak_bytes") > 1e6, "{}", result["memory_peak_bytes"]);
        let spread = &result["spread"]["per_second"];
        assert!(number(spread, "min") <= number(spread, "median"), "{spread}");
    }
}

#[test]
fn an_open_loop_asks_as_often_as_it_is_told() {
    let result = measured(&quick(&["--check", "dns", "--rate", "400"]));
    for run in runs(&result) {
        is_sound(run);
        // 200 moments in half a second; one at either end may be in or out.
        let part = |name| number(&run["probes"], name);
        assert!((199.0..=201.0).contains(&part("due")), "{run}");
        assert_eq!(number(run, "asked_per_second"), 400.0);
    }
    // A machine that stands still at the end of one run does not at the end of each.
    let begun = runs(&result).iter().any(|run| {
        let part = |name| number(&run["probes"], name);
        part("unsent") <= 2.0 && part("passed") >= 196.0 && run["limited_by"]["what"] == "rate"
    });
    assert!(begun, "{result}");
}

#[test]
fn a_rate_at_which_nothing_is_due_measures_nothing() {
    // Due in the warm-up, and two seconds later.
    let output = bench(&quick(&["--check", "dns", "--rate", "0.5"]));
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(3), "{text}");
    assert!(text.starts_with("NOTHING MEASURED: no probe was due in 2 runs\n"), "{text}");
    assert!(text.contains("raise --rate or --duration"), "{text}");
}

#[test]
fn a_rate_beyond_every_clock_is_refused_and_one_beyond_every_machine_ends() {
    let output = bench(&quick(&["--check", "dns", "--rate", "1e12"]));
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("1,000,000,000 at most"));

    let result = measured(&quick(&["--check", "dns", "--rate", "1e9"]));
    let run = &runs(&result)[0];
    is_sound(run);
    let part = |name| number(&run["probes"], name);
    assert!((part("due") - 5e8).abs() <= 1.0, "half a second of them: {run}");
    assert!(part("unsent") > 4.9e8, "{run}");
}

#[test]
fn a_timeout_is_in_the_distribution() {
    let result = measured(&quick(&[
        "--check",
        "dns",
        "--faults",
        "silent=30%",
        "--timeout",
        "200ms",
        "--rate",
        "400",
        "--servers",
        "500",
    ]));
    let run = &runs(&result)[0];
    is_sound(run);
    assert!(number(&run["probes"], "timeouts") >= 20.0, "{run}");
    assert!(number(&run["latency_us"], "p90") >= 200_000.0, "{run}");
    assert!(number(&run["latency_us"], "p50") < 200_000.0, "{run}");
}

#[test]
fn what_was_due_and_never_begun_is_counted_and_has_waited() {
    // One at a time, 50 ms each: a fifth of what is asked for.
    let result = measured(&[
        "--check",
        "script",
        "--window",
        "1",
        "--rate",
        "100",
        "--warm-up",
        "0s",
        "--duration",
        "1s",
        "--repetitions",
        "1",
        "--",
        "/bin/sleep",
        "0.05",
    ]);
    assert_eq!(result["load"]["check"], "MISC_CHECK");
    let run = &runs(&result)[0];
    is_sound(run);
    let unsent = number(&run["probes"], "unsent");
    assert!((60.0..=99.0).contains(&unsent), "{unsent}");
    assert!(number(&run["latency_us"], "max") >= 500_000.0, "{run}");
    assert_eq!(run["limited_by"]["what"], "jobs", "{run}");
}

#[test]
fn what_a_warm_up_left_over_is_not_measured() {
    // A fifth of what is asked for: the warm-up alone leaves more behind than the measurement has time for.
    let load = "--check script --window 1 --rate 100 --warm-up 600ms --duration 1s --repetitions 1";
    let flags: Vec<&str> = load.split_whitespace().chain(["--", "/bin/sleep", "0.05"]).collect();
    let result = measured(&flags);
    let run = &runs(&result)[0];
    is_sound(run);
    let passed = number(&run["probes"], "passed");
    assert!((3.0..=25.0).contains(&passed), "{run}");
    assert_eq!(number(&run["probes"], "due"), 100.0, "{run}");
}

#[test]
fn all_servers_of_the_embedded_fleet_have_the_faults_that_were_asked_for() {
    for (check, fault, failed) in [
        ("dns", "refuse=100%", "failed"),
        ("dns", "servfail=100%", "failed"),
        ("dns", "silent=100%", "timeouts"),
        ("tcp", "refuse=100%", "failed"),
        ("tcp", "silent=100%", "timeouts"),
    ] {
        let flags = ["--check", check, "--faults", fault, "--rate", "200", "--timeout", "100ms"];
        for run in runs(&measured(&quick(&flags))) {
            is_sound(run);
            let probes = &run["probes"];
            let unknown = number(probes, "unknown") + number(probes, "unsent");
            assert_eq!(number(probes, failed) + unknown, number(probes, "due"), "{fault}: {run}");
            assert!(number(probes, failed) > 0.0, "{fault}: {run}");
        }
    }
}

#[test]
fn scripts_that_end_behind_the_run_do_not_keep_more_cores_busy_than_there_are() {
    // All of them begin in the 100 ms, and compute for far longer.
    let busy = "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done";
    let result = measured(&[
        "--check",
        "script",
        "--window",
        "16",
        "--warm-up",
        "0s",
        "--duration",
        "100ms",
        "--repetitions",
        "1",
        "--",
        "/bin/sh",
        "-c",
        busy,
    ]);
    let cores = number(&runs(&result)[0]["cpu"], "cores");
    let available = std::thread::available_parallelism().map_or(1, usize::from) as f64;
    assert!(cores > 0.0 && cores <= 1.1 * available, "{cores}");
}

#[test]
fn a_ramp_has_a_run_per_step_and_a_knee() {
    let result = measured(&[
        "--embedded",
        "--check",
        "dns",
        "--ramp",
        "200:600:200",
        "--warm-up",
        "100ms",
        "--duration",
        "300ms",
    ]);
    let asked: Vec<f64> = runs(&result).iter().map(|run| number(run, "asked_per_second")).collect();
    assert_eq!(asked, [200.0, 400.0, 600.0]);
    runs(&result).iter().for_each(is_sound);
    assert!(result["knee"].is_object() && result["spread"].is_null(), "{result}");
}

#[test]
fn the_knee_of_servers_that_take_their_time_is_where_one_at_a_time_can_be_no_quicker() {
    // 5 ms each, one at a time: 200 a second and no more.
    let ramp = || {
        measured(&[
            "--embedded",
            "--check",
            "dns",
            "--faults",
            "slow=100%:5ms",
            "--window",
            "1",
            "--shards",
            "1",
            "--ramp",
            "100:700:300",
            "--warm-up",
            "100ms",
            "--duration",
            "1500ms",
        ])
    };
    // A machine that stands still for a while has no knee to be found; it does not each time.
    let mut seen = Vec::new();
    for _ in 0..5 {
        let result = ramp();
        let knee = &result["knee"];
        let kept = knee["per_second"].as_f64();
        assert!(kept.is_none_or(|kept| kept == 100.0), "nothing above 200 can be kept: {knee}");
        if kept.is_some() && knee["broken_per_second"] == 400.0 {
            return;
        }
        seen.push(knee.to_string());
    }
    panic!("{seen:?}");
}

#[test]
fn every_output_is_written_and_text_says_what_limits() {
    let folder = tempfile::tempdir().expect("a directory");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (html, hdr, out) = (path("a.html"), path("a.hlog"), path("a.txt"));
    let output = bench(&quick(&[
        "--check", "dns", "--html", &html, "--hdr", &hdr, "--out", &out, "--window", "16",
    ]));
    assert!(has_measured(&output), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stdout.is_empty());
    let read = |path: &str| std::fs::read_to_string(path).expect("written");
    assert!(read(&html).starts_with("<!DOCTYPE html>"));
    assert!(read(&hdr).starts_with("#[Histogram log format version 1.3]"));
    let text = read(&out);
    for wanted in ["limited by", "p99.99", "DNS_CHECK"] {
        assert!(text.contains(wanted), "{wanted} in {text}");
    }
}

#[test]
fn a_configuration_is_gone_through_again_and_again() {
    let folder = tempfile::tempdir().expect("a directory");
    let conf = folder.path().join("x.conf");
    let text = "virtual_server 127.0.0.1 80 {\n lvs_sched rr\n lvs_method NAT\n protocol TCP\n \
                real_server 127.0.0.1 9 {\n TCP_CHECK {\n connect_timeout 1\n }\n }\n \
                real_server 127.0.0.2 9 {\n TCP_CHECK {\n connect_timeout 1\n }\n MISC_CHECK {\n \
                misc_path /bin/false\n user root\n }\n }\n}\n";
    std::fs::write(&conf, text).expect("room");
    let conf = conf.display().to_string();
    let load = ["--warm-up", "0s", "--duration", "200ms", "--repetitions", "1", "--quiet"];
    let result = measured(&[&["-f", conf.as_str(), "--window", "2"][..], &load].concat());
    assert_eq!(
        (&result["load"]["check"], &result["load"]["target_count"]),
        (&"TCP_CHECK".into(), &2.into())
    );
    let failed = number(&runs(&result)[0]["probes"], "failed");
    assert!(failed > 20.0, "refused again and again: {failed}");
}

#[test]
fn bad_usage_is_said_and_nothing_is_measured() {
    let missing = Path::new("/nonexistent/list");
    for (arguments, wanted) in [
        (&["--check", "dns"][..], "whom to probe"),
        (&["--check", "tcp", "127.0.0.1"], "port"),
        (&["--check", "dns", "127.0.0.300"], "127.0.0.300"),
        (&["--check", "dns", "--targets", missing.to_str().expect("UTF-8")], "/nonexistent/list"),
        (&["-f", "/nonexistent/x.conf"], "/nonexistent/x.conf"),
        (&["--check", "dns", "--ramp", "5:1:1", "127.0.0.1"], "goes up"),
    ] {
        let output = bench(arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {errors}");
        assert!(errors.contains(wanted), "{wanted}: {errors}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn no_process_of_the_embedded_fleet_is_left() {
    let before = fleets();
    assert!(has_measured(&bench(&quick(&["--check", "tcp"]))));
    // Other tests may have theirs at the same time; those end by themselves.
    let left = || fleets().into_iter().filter(|pid| !before.contains(pid)).count();
    for _ in 0..200 {
        if left() == 0 {
            return;
        }
        std::thread::park_timeout(std::time::Duration::from_millis(100));
    }
    panic!("{} fleets are left", left());
}

/// Processes that run `ringprobe respond`.
fn fleets() -> Vec<u32> {
    let processes = std::fs::read_dir("/proc").expect("procfs").flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid: &u32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0).nth(1) == Some(b"respond")
    })
    .collect()
}
