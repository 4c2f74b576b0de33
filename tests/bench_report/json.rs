//! The JSON: its keys are what other programs hold on to.

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
            "version"
        ]
    );
    assert_eq!(keys(&value["machine"]), ["cpu", "cpus", "kernel", "responder_cpus"]);
    assert_eq!(
        keys(&value["load"]),
        [
            "check",
            "duration_s",
            "mode",
            "rate",
            "runs",
            "shards",
            "target_count",
            "targets",
            "timeout_s",
            "warm_up_s",
            "window"
        ]
    );
    assert_eq!(
        keys(&value["spread"]),
        ["cpu_us_per_probe", "p50_us", "p99_99_us", "p99_us", "per_second"]
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
    assert_eq!(keys(&ramp["knee"]), ["broken_per_second", "per_second", "stalled", "why"]);
    assert!(ramp["spread"].is_null());
}
