use super::*;
use crate::fleet::{Connection, Handshake, ProbeSpec, TcpSpec};
use crate::id::SpecId;
use crate::reaper::Tail;
use crate::tick::Tick;

fn catalog() -> Catalog {
    let tcp = TcpSpec { connection: Connection::default(), handshake: Handshake::Half };
    Catalog::of_list(vec![ProbeSpec::Tcp(tcp)])
}

fn record(seq: u64, outcome: Outcome) -> Record {
    Record {
        seq,
        target: "127.0.0.1:53".parse().expect("an address"),
        spec: SpecId(0),
        outcome,
        attempts: 2,
        latency_ns: None,
        due: Tick::from_ns(1),
        at: Tick::from_ns(1),
        strange: None,
    }
}

fn stats(sent: u64, latencies_ns: &[u64]) -> Box<ShardStats> {
    let mut latency = Histogram::new(3).expect("3 digits are allowed");
    for ns in latencies_ns {
        latency.record(*ns).expect("auto-resizing");
    }
    Box::new(ShardStats {
        datagrams_sent: sent,
        datagrams_received: 1,
        connects: 2,
        strange: [1, 0, 0, 2, 0, 0, 0],
        receive_drops: 3,
        free_retries: 4,
        soft_send_errors: 5,
        stalled_ns: 1_500_000,
        stalled_in_span_ns: 500_000,
        moments_taken: sent,
        window_now: 100,
        window_min: 50,
        in_flight: 0,
        limited_ns: [1_000_000_000, 0, 0, 7_000_000_000, 0, 0, 0, 0, 0],
        turns: 9,
        latency,
    })
}

#[test]
fn every_reason_has_its_own_counter() {
    for (position, outcome) in REASONS.iter().enumerate() {
        assert_eq!(reason_index(*outcome), position, "{outcome:?}");
    }
}

#[test]
fn the_first_twenty_are_those_of_lowest_seq_in_any_order_of_arrival() {
    let mut aggregator = Aggregator::new(catalog(), 1);
    // 37 is coprime to 101, so this visits every number below 101 in a scattered order.
    let scattered: Vec<Record> =
        (0..101_u64).map(|step| record(step * 37 % 101, Outcome::Fail(Failure::Timeout))).collect();
    aggregator.add_records(&scattered);
    let summary = aggregator.summary(Duration::from_secs(1), FeedCounts::default());
    let listed: Vec<u64> = summary.failing.records.iter().map(|record| record.seq).collect();
    assert_eq!(listed, (0..20).collect::<Vec<u64>>());
    assert_eq!(summary.failing.total, 101);
    assert_eq!(summary.failing.unlisted(), 81);
    assert_eq!(summary.unclear.total, 0);
    assert_eq!(summary.attempts, 202);
}

#[test]
fn cumulative_counters_replace_each_other_and_shards_add_up() {
    let mut aggregator = Aggregator::new(catalog(), 2);
    assert!(aggregator.latency().is_none());
    aggregator.set_stats(ShardId(0), stats(5, &[1_000]));
    aggregator.set_stats(ShardId(0), stats(10, &[1_000, 2_000]));
    aggregator.set_stats(ShardId(1), stats(7, &[3_000_000]));
    let summary = aggregator.summary(Duration::from_secs(2), FeedCounts::default());
    assert_eq!(summary.datagrams_sent, 17);
    assert_eq!(summary.connects, 4);
    assert_eq!(summary.strange, BTreeMap::from([("late", 2), ("wrong_id", 4)]));
    assert_eq!(summary.limited_by, Some("window"));
    assert_eq!(summary.limited_ms, BTreeMap::from([("input", 2_000), ("window", 14_000)]));
    assert_eq!(summary.window_min, Some(50));
    assert_eq!(aggregator.window_now(), 200);
    assert!((summary.stalled_ms - 1.5).abs() < 1e-9, "both shards saw the same halt");
    let latency = summary.latency_us.expect("three were measured");
    assert_eq!(latency.count, 3);
    assert!((latency.max - 3_000.0).abs() < 10.0, "{latency:?}");
}

#[test]
fn what_a_shard_did_not_report_is_unfinished() {
    let mut aggregator = Aggregator::new(catalog(), 1);
    aggregator.add_records(&[record(0, Outcome::Pass)]);
    aggregator.shard_failed(ShardId(0), "no ring".into());
    let feed = FeedCounts { seen: 3, dealt: 3, ..FeedCounts::default() };
    let summary = aggregator.summary(Duration::ZERO, feed);
    assert_eq!(summary.unfinished, 2);
    assert_eq!(summary.shard_failures.len(), 1);
    assert_eq!(summary.probes_per_second, 0.0);
}

fn run(queued_ns: u64, startup_ns: Option<u64>, run_ns: Option<u64>) -> ScriptRun {
    ScriptRun { queued_ns, startup_ns, run_ns, ..ScriptRun::default() }
}

#[test]
fn scripts_are_counted_like_others_and_their_times_kept_apart() {
    let mut aggregator = Aggregator::new(catalog(), 1);
    aggregator.set_stats(ShardId(0), stats(1, &[5_000]));
    let mut left = run(1_000_000, Some(200_000), Some(30_000_000));
    left.left_processes = true;
    let mut stuck = run(3_000_000, Some(400_000), None);
    stuck.is_unkilled = true;
    let mut timeout = record(7, Outcome::Fail(Failure::Timeout));
    timeout.latency_ns = Some(1_000_000_000);
    let missing = LocalFault::Script(ScriptFault::NotFound(libc::ENOENT));
    aggregator.add_script(&record(5, Outcome::Pass), &left);
    aggregator.add_script(&record(4, Outcome::Pass), &left);
    aggregator.add_script(&timeout, &stuck);
    aggregator.add_script(&record(6, Outcome::Unknown(missing)), &run(2_000_000, None, None));
    let feed = FeedCounts { dealt: 4, ..FeedCounts::default() };
    let summary = aggregator.summary(Duration::from_secs(1), feed);
    assert_eq!(summary.counts, Counts { probed: 4, passed: 2, failed: 1, unknown: 1 });
    assert_eq!((summary.unfinished, summary.attempts), (0, 8));
    let reasons: Vec<&str> = summary.reasons.iter().map(|reason| reason.reason).collect();
    assert_eq!(reasons, ["ok", "timeout", "script_not_found"]);
    let latency = summary.latency_us.expect("the shard measured one");
    assert_eq!((latency.count, latency.max < 10.0), (1, true), "{latency:?}");

    let scripts = summary.scripts.clone().expect("four ended");
    assert_eq!((scripts.runs, scripts.left_processes, scripts.unkilled), (4, 2, 1));
    assert_eq!(scripts.first_left.map(|record| record.seq), Some(4));
    assert_eq!(scripts.first_unkilled.map(|record| record.seq), Some(7));
    let counts = [scripts.queued_us, scripts.startup_us, scripts.run_us]
        .map(|times| times.map_or(0, |times| times.count));
    assert_eq!(counts, [4, 3, 2]);
    let queued = scripts.queued_us.expect("always known");
    assert!((queued.max - 3_000.0).abs() < 10.0, "{queued:?}");

    let json = serde_json::to_value(&summary).expect("plain data");
    assert_eq!(json["scripts"]["left_processes"], 2);
    assert_eq!(json["scripts"]["startup_us"]["count"], 3);
    assert!(json["scripts"].get("first_left").is_none());
}

#[test]
fn the_runs_of_listed_scripts_are_kept_and_no_others() {
    let mut aggregator = Aggregator::new(catalog(), 1);
    for step in 0..101_u64 {
        let seq = step * 37 % 101;
        let mut run = run(seq, None, None);
        run.stderr = Tail { bytes: seq.to_string().into_bytes(), total: 3 };
        if seq % 2 == 0 {
            aggregator.add_script(&record(seq, Outcome::Fail(Failure::ExitStatus(1))), &run);
        } else {
            aggregator.add_records(&[record(seq, Outcome::Fail(Failure::Timeout))]);
        }
    }
    let failing = aggregator.summary(Duration::ZERO, FeedCounts::default()).failing;
    let listed: Vec<u64> = failing.records.iter().map(|record| record.seq).collect();
    assert_eq!(listed, (0..20).collect::<Vec<u64>>());
    let kept: Vec<u64> = failing.runs.keys().copied().collect();
    assert_eq!(kept, (0..20).step_by(2).collect::<Vec<u64>>());
    for (seq, run) in &failing.runs {
        assert_eq!(run.stderr.bytes, seq.to_string().as_bytes());
    }
}

#[test]
fn a_failed_reaper_is_told_once_and_makes_the_sweep_incomplete() {
    let mut aggregator = Aggregator::new(catalog(), 1);
    let summary = |aggregator: &Aggregator, dealt| {
        aggregator.summary(Duration::ZERO, FeedCounts { dealt, ..FeedCounts::default() })
    };
    assert!(!summary(&aggregator, 0).is_incomplete());
    let lost = summary(&aggregator, 3);
    assert!(lost.is_incomplete(), "nobody stopped, and three were not reported");
    assert!(!Summary { interrupted: true, ..lost }.is_incomplete());
    aggregator.reaper_failed("no process".into());
    aggregator.reaper_failed("the reaper panicked".into());
    assert!(summary(&aggregator, 0).is_incomplete());
    let summary = summary(&aggregator, 3);
    assert_eq!(summary.reaper_failure.as_deref(), Some("no process"));
    assert!(summary.is_incomplete());
    assert!(summary.shard_failures.is_empty());
    assert_eq!(summary.unfinished, 3);
}
