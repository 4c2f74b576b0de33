//! The log as two readers that others wrote understand it: `scripts/install-readers` brings them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use hdrhistogram::Histogram;
use ringprobe::bench::BenchResult;
use ringprobe::bench::report::write_hdr;
use ringprobe::sink::Output;
use serde_json::Value;

use crate::made;

/// What a reader says of an interval.
#[derive(Debug, PartialEq)]
struct Read {
    tag: Option<String>,
    start_ms: u64,
    length_ms: u64,
    count: u64,
    p50: u64,
    p99: u64,
    max: u64,
}

/// What is in the result; runs follow each other, each behind a warm-up of a second.
fn ours(result: &BenchResult, value_at: fn(&Histogram<u64>, f64) -> u64) -> Vec<Read> {
    let many = result.runs.len() > 1;
    let mut all = Vec::new();
    for (at, run) in result.runs.iter().enumerate() {
        for (start, length, latency) in &run.histograms {
            all.push(Read {
                tag: many.then(|| format!("run-{}", run.number)),
                start_ms: 1000 + 11_000 * at as u64 + start.as_millis() as u64,
                length_ms: length.as_millis() as u64,
                count: latency.len(),
                p50: value_at(latency, 0.5),
                p99: value_at(latency, 0.99),
                max: latency.max(),
            });
        }
    }
    all
}

/// The value of PyPI's reader: it rounds to the nearest rank, where the others take the next one.
fn at_nearest_rank(latency: &Histogram<u64>, quantile: f64) -> u64 {
    let count = latency.len() as f64;
    let rank = (quantile * count + 0.5).floor().max(1.0);
    latency.value_at_quantile((rank - 0.5) / count)
}

fn readers() -> PathBuf {
    // target/debug/deps/bench_report-…
    let test = std::env::current_exe().expect("a test has a path");
    let target = test.ancestors().nth(3).expect("a target directory");
    let readers = target.join("hdr-readers");
    assert!(readers.join("installed").exists(), "run scripts/install-readers");
    readers
}

fn read_with(command: &mut Command) -> Vec<Read> {
    let done = command.output().expect("scripts/install-readers installs it");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let lines = String::from_utf8(done.stdout).expect("UTF-8");
    let of = |value: &Value, key: &str| value[key].as_u64().expect("a whole number");
    lines
        .lines()
        .map(|line| {
            let value: Value = serde_json::from_str(line).expect("JSON");
            let tag = value["tag"].as_str().filter(|tag| *tag != "NO TAG");
            Read {
                tag: tag.map(str::to_owned),
                start_ms: of(&value, "start_ms"),
                length_ms: of(&value, "length_ms"),
                count: of(&value, "count"),
                p50: of(&value, "p50"),
                p99: of(&value, "p99"),
                max: of(&value, "max"),
            }
        })
        .collect()
}

#[test]
fn readers_of_pypi_and_npm_read_what_was_measured() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bench_report");
    let readers = readers();
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("bench.hlog");
    let mut single = made::runs();
    single.runs.truncate(1);
    single.load.runs = 1;
    for result in [made::runs(), single] {
        write_hdr(&result, Output::file(&path).expect("a file")).expect("room");
        let (rounded, exact) =
            (ours(&result, at_nearest_rank), ours(&result, Histogram::value_at_quantile));
        assert_eq!(exact.len(), 10 * result.runs.len());
        let mut python = Command::new(readers.join("python/bin/python3"));
        assert_eq!(read_with(python.arg(here.join("read_log.py")).arg(&path)), rounded, "PyPI");
        let mut node = Command::new("node");
        node.arg(here.join("read_log.js")).arg(&path).arg(readers.join("node"));
        assert_eq!(read_with(&mut node), exact, "npm");
    }
}

#[test]
fn a_log_has_its_head_and_the_largest_value_in_milliseconds() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("bench.hlog");
    write_hdr(&made::runs(), Output::file(&path).expect("a file")).expect("room");
    let log = fs::read_to_string(&path).expect("UTF-8");
    let lines: Vec<&str> = log.lines().collect();
    assert_eq!(lines[0], "#[Histogram log format version 1.3]");
    assert!(lines[1].starts_with("#[StartTime: 1767323045.679"), "{}", lines[1]);
    assert!(lines.contains(
        &"\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\""
    ));
    let stalled = lines.iter().find(|line| line.starts_with("Tag=run-2,18.")).expect("its line");
    let columns: Vec<&str> = stalled.split(',').collect();
    assert_eq!(columns[1..3], ["18.000", "1.000"]);
    let max_ms: f64 = columns[3].parse().expect("a number");
    assert!((1000.0..1002.0).contains(&max_ms), "{max_ms}");

    // The first of three, the others stopped: a reader finds it by its tag, at the moment at which it was.
    let mut stopped = made::runs();
    stopped.runs.truncate(1);
    stopped.runs[0].measured_from_s = 2.5;
    write_hdr(&stopped, Output::file(&path).expect("a file")).expect("room");
    let log = fs::read_to_string(&path).expect("UTF-8");
    assert!(log.contains("\nTag=run-1,2.500,1.000,"), "{log}");
}
