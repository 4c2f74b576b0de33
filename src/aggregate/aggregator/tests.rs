use super::*;
use crate::fleet::{Connection, Handshake, ProbeSpec, TcpSpec};
use crate::id::SpecId;
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
