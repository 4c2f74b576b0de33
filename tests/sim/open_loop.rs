//! Probes with moments of their own (`bench`): nothing that was due is forgotten, and latency counts from
//! then on.

use std::time::Duration;

use ringprobe::fleet::Handshake;
use ringprobe::outcome::{Failure, LocalFault, Outcome, Record};
use ringprobe::schedule::pace::{Pace, Span};
use ringprobe::sim::Peer;

use crate::drive::{Run, drive, start};
use crate::scenario::{Scenario, dns, healthy, tcp};

const MS: Duration = Duration::from_millis(1);

/// A shard whose probes begin in `length` from the start on; 10,000 assignments, more than it can use.
fn run(
    window: u32,
    pace: Pace,
    length: Duration,
    peer: &Peer,
    change: impl FnOnce(&mut Scenario),
) -> Run {
    let mut scenario = Scenario::plain(window, dns(200 * MS));
    for _ in 0..10_000 {
        scenario.add(0, peer.clone());
    }
    let span = Span::new(length);
    span.begin(start());
    (scenario.config.pace, scenario.config.span) = (pace, Some(span));
    change(&mut scenario);
    drive(&scenario).unwrap_or_else(|what| panic!("{what}"))
}

fn due(per_second: f64) -> Pace {
    Pace::Due { per_second, phase: 0.0 }
}

/// When each probe was due, since the start, in the order of their due moments; each with its latency.
fn dues(run: &Run) -> Vec<(Duration, Duration)> {
    let mut dues: Vec<(Duration, Duration)> = (run.records.iter())
        .map(|record| (record.due.since(start()), record.at.since(record.due)))
        .collect();
    dues.sort();
    dues
}

#[test]
fn every_probe_is_due_at_its_own_moment_and_none_begins_after_the_span() {
    let run = run(64, due(1000.0), 500 * MS, &healthy(MS), |_| {});
    let dues = dues(&run);
    assert_eq!(dues.len(), 500, "half a second at 1,000 a second");
    for (number, (due, latency)) in (0..).zip(&dues) {
        assert_eq!(*due, number * MS, "moments do not drift");
        assert!((MS..20 * MS).contains(latency), "{latency:?}");
    }
    assert_eq!((run.datagrams, run.stats.moments_taken), (500, 500));
}

#[test]
fn a_full_window_makes_probes_late_and_their_latency_says_so() {
    // One at a time, 10 ms each, and one due every millisecond.
    let run = run(1, due(1000.0), 300 * MS, &healthy(10 * MS), |_| {});
    let dues = dues(&run);
    // The others were due and never sent: the span and its grace of 50 ms were over before it was their turn.
    assert!((30..=36).contains(&dues.len()), "{}", dues.len());
    assert_eq!(run.stats.moments_taken, dues.len() as u64, "the others are not taken");
    for (number, (due, latency)) in (0..).zip(&dues) {
        assert_eq!(*due, number * MS, "the next in the row, however late");
        let waited = number * 9 * MS;
        assert!(*latency >= waited + 10 * MS, "{number}: {latency:?}");
    }
}

#[test]
fn a_stall_of_ours_is_in_the_latency_of_all_it_kept_waiting() {
    let stalls = |scenario: &mut Scenario| {
        scenario.faults.stalls_at = vec![(start() + 100 * MS, 60 * MS)];
    };
    let open = run(256, due(1000.0), 400 * MS, &healthy(MS), stalls);
    let dues = dues(&open);
    assert_eq!(dues.len(), 400, "what was due in the stall is made up for");
    let slow = dues.iter().filter(|(_, latency)| *latency >= 10 * MS).count();
    assert!((45..=75).contains(&slow), "those due in 60 ms, less the last 10: {slow}");

    // Only those in flight notice it in a closed loop of two.
    let closed = run(2, Pace::Free, 400 * MS, &healthy(MS), stalls);
    let slow = self::dues(&closed).iter().filter(|(_, latency)| *latency >= 10 * MS).count();
    assert!(slow <= 2, "{slow}");
}

#[test]
fn a_stall_is_the_measurement_s_as_far_as_it_reaches_into_it() {
    let span = Span::with_warm_up(100 * MS, 300 * MS);
    span.begin(start());
    let run = run(256, due(1000.0), 400 * MS, &healthy(MS), |scenario| {
        scenario.config.span = Some(span);
        scenario.faults.stalls_at =
            vec![(start() + 80 * MS, 60 * MS), (start() + 380 * MS, 60 * MS)];
    });
    let [all, measured] = [run.stats.stalled_ns, run.stats.stalled_in_span_ns];
    assert!((110_000_000..=120_000_000).contains(&all), "{all}");
    assert!((52_000_000..=60_000_000).contains(&measured), "40 ms and 20 ms: {measured}");
}

#[test]
fn what_was_due_before_the_end_begins_in_the_grace_behind_it_and_nothing_else_does() {
    let stalled = |length: Duration| {
        run(256, due(1000.0), 400 * MS, &healthy(MS), move |scenario| {
            scenario.faults.stalls_at = vec![(start() + 380 * MS, length)];
        })
    };
    let dues = dues(&stalled(45 * MS));
    assert_eq!(dues.len(), 400, "all that were due before the end, and none after");
    assert!(dues.last().expect("some").1 >= 20 * MS, "the last waited for the end of the stall");
    let late = self::dues(&stalled(200 * MS)).len();
    assert!((379..=383).contains(&late), "what waited longer than the grace never began: {late}");
    let closed = run(8, Pace::Free, 100 * MS, &healthy(10 * MS), |_| {});
    let begun = closed.records.iter().map(|record| record.due.since(start()));
    assert!(begun.max().expect("some") < 100 * MS, "a closed loop has no grace");
}

#[test]
fn answers_are_not_gathered_where_their_moments_count() {
    // Enough are silent that many are in flight, the others answer at once.
    let mut scenario = Scenario::plain(1024, dns(1000 * MS));
    for number in 0..10_000 {
        let quick = healthy(Duration::from_micros(100));
        scenario.add(0, if number % 3 == 0 { quick } else { Peer::default() });
    }
    let span = Span::new(600 * MS);
    span.begin(start());
    (scenario.config.pace, scenario.config.span) = (due(2000.0), Some(span));
    let run = drive(&scenario).unwrap_or_else(|what| panic!("{what}"));
    let passed = run.records.iter().filter(|record| record.outcome == Outcome::Pass);
    let mut latencies: Vec<Duration> = passed.map(|record| record.at.since(record.due)).collect();
    latencies.sort_unstable();
    assert!(latencies.len() >= 390, "{}", latencies.len());
    let middle = latencies[latencies.len() / 2];
    assert!(
        middle < Duration::from_micros(200),
        "half of them took {middle:?} of a 100 µs round trip"
    );
}

#[test]
fn a_timeout_counts_with_the_time_it_took() {
    for spec in [dns(200 * MS), tcp(200 * MS, Handshake::Half)] {
        let silent = Peer::default();
        let run = run(64, due(100.0), 300 * MS, &silent, |scenario| scenario.specs = vec![spec]);
        assert_eq!(run.records.len(), 30);
        for record in &run.records {
            assert_eq!(record.outcome, Outcome::Fail(Failure::Timeout));
            let latency = record.at.since(record.due);
            assert!((200 * MS..250 * MS).contains(&latency), "{latency:?}");
            assert_eq!(record.latency_ns, None, "nothing answered");
        }
    }
}

#[test]
fn what_our_own_buffer_dropped_is_said_in_its_time_and_not_tried_again() {
    let run = run(4096, due(10_000.0), 900 * MS, &healthy(MS), |scenario| {
        scenario.config.receive_buffer = Some(4096);
        scenario.faults.stalls_at = vec![(start() + 100 * MS, 20 * MS)];
    });
    assert_eq!(run.records.len(), 9000);
    let dropped = Outcome::Unknown(LocalFault::Drop);
    let spoiled: Vec<&Record> =
        run.records.iter().filter(|record| record.outcome == dropped).collect();
    assert!(!spoiled.is_empty() && run.stats.receive_drops > 0, "{:?}", run.stats);
    for record in &run.records {
        assert_eq!(record.attempts, 1, "{record:?}");
        let is_passed = record.outcome == Outcome::Pass;
        assert!(is_passed || spoiled.contains(&record), "{record:?}");
    }
    for record in spoiled {
        let after = record.at.since(start());
        assert!((200 * MS..400 * MS).contains(&after), "at its deadline: {after:?}");
    }
}

#[test]
fn a_closed_loop_begins_nothing_after_the_span_and_drops_the_rest() {
    let run = run(8, Pace::Free, 100 * MS, &healthy(10 * MS), |_| {});
    // 8 in flight for 10 ms each.
    assert!((72..=88).contains(&run.records.len()), "{}", run.records.len());
    let last = run.records.iter().map(|record| record.at).max().expect("some");
    assert!(last.since(start()) < 130 * MS);
}
