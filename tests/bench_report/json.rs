//! The JSON: its keys are what other programs hold on to.

use ringprobe::bench::BenchResult;
use ringprobe::bench::report::json;
use serde_json::Value;

use crate::made;

fn keys(value: &Value) -> Vec<&str> {
    let mut keys: Vec<&str> =
        value.as_object().expect("an object").keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

#[test]
fn keys_are_the_same_in_every_version() {
    let text = json(&made::runs());
    assert!(text.ends_with("}\n"));
    let value: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(value["type"], "bench");
    assert_eq!(
        keys(&value),
        [
            "error",
            "idle_us",
            "interrupted",
            "knee",
            "load",
            "machine",
            "memory_peak_bytes",
            "runs",
            "spread",
            "started_at",
            "type",
            "verdict",
            "version"
        ]
    );
    assert_eq!(keys(&value["machine"]), ["cpu", "cpus", "kernel", "responder_cpus", "shared_cpus"]);
    assert_eq!(value["verdict"], "measured");
    assert_eq!(
        keys(&value["load"]),
        [
            "asked",
            "check",
            "duration_s",
            "mode",
            "rate",
            "receive_buffer",
            "runs",
            "seed",
            "shards",
            "sockets_per_lane",
            "target_count",
            "targets",
            "timeout_min_s",
            "timeout_s",
            "warm_up_s",
            "window"
        ]
    );
    assert_eq!(
        keys(&value["load"]["asked"]),
        [
            "bind_if",
            "bind_port",
            "bindto",
            "dns_question",
            "dns_require",
            "fwmark",
            "tcp_handshake"
        ]
    );
    assert_eq!(
        keys(&value["spread"]),
        [
            "cores",
            "cpu_us_per_probe",
            "failed_share",
            "lost_share",
            "max_us",
            "p50_us",
            "p90_us",
            "p99_99_us",
            "p99_9_us",
            "p99_us",
            "per_second"
        ]
    );
    assert_eq!(keys(&value["spread"]["p50_us"]), ["max", "median", "min"]);
    let run = &value["runs"][1];
    assert_eq!(
        keys(run),
        [
            "asked_per_second",
            "cpu",
            "intervals",
            "kernel",
            "latency_us",
            "limited_by",
            "limited_ms",
            "measured_from_s",
            "number",
            "per_second",
            "percentiles",
            "probes",
            "trouble"
        ]
    );
    let counts = ["due", "failed", "passed", "timeouts", "unknown", "unsent"];
    assert_eq!(keys(&run["probes"]), counts);
    let latency = ["count", "max", "mean", "min", "p50", "p90", "p99", "p99_9", "p99_99"];
    assert_eq!(keys(&run["latency_us"]), latency);
    assert_eq!(
        keys(&run["cpu"]),
        ["by_role_us_per_probe", "cores", "system_us_per_probe", "user_us_per_probe"]
    );
    assert_eq!(
        keys(&run["cpu"]["by_role_us_per_probe"]),
        ["aggregator", "feeder", "scripts", "shards"]
    );
    assert_eq!(keys(&run["limited_by"]), ["what", "why"]);
    assert_eq!(
        keys(&run["kernel"]),
        [
            "agrees",
            "connects",
            "datagrams_sent",
            "ended",
            "has_counted_answers",
            "local_answers",
            "never_left",
            "never_left_reason",
            "tcp_active_opens",
            "udp_out_datagrams"
        ]
    );
    assert_eq!(keys(&run["trouble"]), ["receive_drops", "stalled_ms", "window_min"]);
    assert_eq!(run["percentiles"][0].as_array().map(Vec::len), Some(2));
    assert_eq!(
        keys(&run["intervals"][0]),
        [
            "due",
            "ended",
            "failed",
            "latency_us",
            "length_s",
            "passed",
            "start_s",
            "timeouts",
            "unknown",
            "unsent"
        ]
    );
    assert_eq!(run["probes"]["timeouts"], 37);

    let ramp: Value = serde_json::from_str(&json(&made::ramp())).expect("JSON");
    assert_eq!(
        keys(&ramp["knee"]),
        ["broken_per_second", "not_kept_per_second", "per_second", "stalled", "too_few", "why"]
    );
    assert!(ramp["spread"].is_null());
}

#[test]
fn the_verdict_is_a_word_in_the_document_too() {
    let verdict = |change: fn(&mut BenchResult)| {
        let mut result = made::runs();
        change(&mut result);
        let value: Value = serde_json::from_str(&json(&result)).expect("JSON");
        value["verdict"].as_str().expect("a word").to_owned()
    };
    assert_eq!(verdict(|_| {}), "measured");
    assert_eq!(verdict(|result| result.interrupted = true), "interrupted");
    assert_eq!(verdict(|result| result.runs[0].probes.unknown = 1), "doubtful");
    assert_eq!(verdict(|result| result.runs.clear()), "nothing_measured");
    assert_eq!(verdict(|result| result.error = Some("no ring".to_owned())), "incomplete");
    let refuse =
        |result: &mut BenchResult| result.runs.iter_mut().for_each(|run| run.probes.passed = 0);
    assert_eq!(verdict(refuse), "nothing_passed");
}
