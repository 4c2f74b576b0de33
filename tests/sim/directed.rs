//! One trouble at a time, with the exact result it must have.

use std::time::Duration;

use ringprobe::fleet::Handshake;
use ringprobe::outcome::{Failure, LocalFault, Outcome, Strange};
use ringprobe::schedule::attempt::FREE_RETRIES;
use ringprobe::schedule::pace::Pace;
use ringprobe::shard::link::Limit;
use ringprobe::sim::{DnsPeer, DnsReply, Noise, Peer, Quote};

use crate::drive::{Run, drive, start};
use crate::oracle;
use crate::scenario::{Scenario, dns, healthy, tcp};

const MS: Duration = Duration::from_millis(1);
const TIMEOUT: Outcome = Outcome::Fail(Failure::Timeout);
const REFUSED: Outcome = Outcome::Fail(Failure::ConnectionRefused);

fn run(scenario: &Scenario) -> Run {
    let run = drive(scenario).unwrap_or_else(|what| panic!("{what}"));
    oracle::check(scenario, &run).unwrap_or_else(|what| panic!("{what}"));
    run
}

fn count(run: &Run, is_it: impl Fn(Outcome) -> bool) -> usize {
    run.records.iter().filter(|record| is_it(record.outcome)).count()
}

fn failed(run: &Run) -> usize {
    count(run, |outcome| matches!(outcome, Outcome::Fail(_)))
}

fn passed(run: &Run) -> usize {
    count(run, |outcome| outcome == Outcome::Pass)
}

fn strange(run: &Run, kind: Strange) -> u64 {
    run.stats.strange[kind as usize]
}

fn answering(reply: DnsReply, delay: Duration) -> Peer {
    Peer { dns: DnsPeer { reply, delay, ..DnsPeer::default() }, ..Peer::default() }
}

#[test]
fn three_seconds_of_sigstop_fail_none_of_ten_thousand_healthy_servers() {
    for (seed, spec) in [
        (1, dns(500 * MS)),
        (2, dns(500 * MS)),
        (3, dns(500 * MS)),
        (4, tcp(500 * MS, Handshake::Half)),
        (5, tcp(500 * MS, Handshake::Orderly)),
    ] {
        let mut scenario = Scenario::plain(512, spec);
        scenario.seed = seed;
        for number in 0..10_000_u32 {
            scenario.add(2, healthy(MS + Duration::from_micros(u64::from(number % 20_000))));
        }
        scenario.faults.stalls_at = vec![(start() + 100 * MS, Duration::from_secs(3))];
        let run = run(&scenario);
        assert_eq!((run.tally.stalls, passed(&run)), (1, 10_000), "seed {seed}");
        assert!(run.stats.stalled_ns > 2_900_000_000, "{}", run.stats.stalled_ns);
    }
}

#[test]
fn a_stop_between_clock_and_submit_is_our_lateness_and_costs_no_retry() {
    let mut late = 0;
    for seed in 0..20 {
        let mut scenario = Scenario::plain(64, dns(500 * MS));
        scenario.seed = seed;
        for _ in 0..64 {
            scenario.add(0, healthy(MS));
        }
        scenario.faults.stalls_at = vec![(start(), Duration::from_secs(3))];
        let run = run(&scenario);
        assert_eq!(passed(&run), 64);
        late += run.stats.free_retries;
    }
    assert!(late > 0, "half of the seeds stop before the submit");
}

#[test]
fn a_thread_that_never_runs_in_time_says_late_and_does_not_try_for_ever() {
    for spec in [dns(100 * MS), tcp(100 * MS, Handshake::Half)] {
        let mut scenario = Scenario::plain(8, spec);
        for _ in 0..20 {
            scenario.add(1, Peer::default());
        }
        // One in every turn.
        scenario.faults.stalls_at = vec![(start(), 300 * MS); 10_000];
        let run = run(&scenario);
        assert_eq!(count(&run, |outcome| outcome == Outcome::Unknown(LocalFault::Late)), 20);
        let most = FREE_RETRIES + 2;
        assert!(run.records.iter().all(|record| record.attempts == most), "{:?}", run.records);
    }
}

#[test]
fn packets_left_unread_put_the_judgement_off() {
    let mut undrained = 0;
    for seed in 0..20 {
        let run = run(&Scenario { seed, ..left_unread() });
        assert_eq!(passed(&run), 200);
        undrained += run.tally.undrained;
    }
    assert!(undrained > 20, "{undrained}");
}

/// Answers that arrive at the very deadline of the first attempts, in turns that often do not read
/// all.
pub(crate) fn left_unread() -> Scenario {
    let mut scenario = Scenario::plain(200, dns(100 * MS));
    for _ in 0..200 {
        scenario.add(0, healthy(100 * MS));
    }
    (scenario.faults.work_each, scenario.faults.undrained) = (Duration::ZERO, 0.5);
    scenario
}

#[test]
fn four_kibibytes_of_receive_buffer_at_full_rate_fail_nobody_and_shrink_the_window() {
    let mut scenario = Scenario::plain(512, dns(500 * MS));
    for number in 0..5_000_u32 {
        scenario.add(2, healthy(MS + Duration::from_micros(u64::from(number % 500))));
    }
    scenario.config.receive_buffer = Some(4096);
    let run = run(&scenario);
    assert_eq!(failed(&run), 0);
    assert!(run.stats.window_min < 512, "{}", run.stats.window_min);
    assert!(run.stats.receive_drops > 0);
    assert!(passed(&run) > 4_900, "{} passed", passed(&run));
}

#[test]
fn a_machine_that_opens_no_socket_knows_nothing_and_blames_nobody() {
    for spec in [dns(500 * MS), tcp(500 * MS, Handshake::Half)] {
        for retries in [0, 2] {
            let mut scenario = Scenario::plain(64, spec.clone());
            for _ in 0..300 {
                scenario.add(retries, healthy(MS));
            }
            scenario.faults.open_refused = 1.0;
            let run = run(&scenario);
            let is_local = |outcome| {
                matches!(
                    outcome,
                    Outcome::Unknown(
                        LocalFault::Socket(_) | LocalFault::Port | LocalFault::Memory(_)
                    )
                )
            };
            assert_eq!(count(&run, is_local), 300);
            assert!(run.records.iter().all(|record| record.attempts == retries + 1));
            assert_eq!((run.datagrams, run.syns), (0, 0));
        }
    }
}

#[test]
fn a_few_descriptors_are_enough_for_every_lane_in_turn() {
    let mut scenario = Scenario::plain(64, tcp(500 * MS, Handshake::Half));
    scenario.specs.push(dns(500 * MS));
    scenario.specs.push(tcp(500 * MS, Handshake::Full));
    for number in 0..600_u32 {
        scenario.add(2, healthy(MS));
        let last = scenario.assignments.last_mut().expect("just added");
        last.spec = ringprobe::id::SpecId(number / 200);
    }
    scenario.faults.descriptors = Some(5);
    let run = run(&scenario);
    assert_eq!(passed(&run), 600);
}

#[test]
fn an_answer_in_the_turn_of_its_deadline_wins() {
    // To the nanosecond: the wait ends at the deadline, and the answer arrives then.
    for spec in [dns(100 * MS), tcp(100 * MS, Handshake::Half)] {
        let mut scenario = Scenario::plain(1, spec);
        scenario.add(0, healthy(100 * MS));
        scenario.faults.work_each = Duration::ZERO;
        assert_eq!(passed(&run(&scenario)), 1);
    }
    // Long after it, read by a thread that did not run in between.
    for spec in [dns(500 * MS), tcp(500 * MS, Handshake::Half)] {
        let mut scenario = Scenario::plain(64, spec);
        for _ in 0..64 {
            scenario.add(0, healthy(700 * MS));
        }
        scenario.faults.stalls_at = vec![(start() + 100 * MS, Duration::from_secs(3))];
        let run = run(&scenario);
        assert_eq!(passed(&run), 64);
        assert!(run.records.iter().all(|record| record.attempts == 1));
    }
}

#[test]
fn an_answer_a_tick_after_its_deadline_does_not() {
    for spec in [dns(100 * MS), tcp(100 * MS, Handshake::Half)] {
        let mut scenario = Scenario::plain(1, spec);
        let target = scenario.add(0, healthy(102 * MS));
        let run = run(&scenario);
        let record = run.records[0];
        assert_eq!((record.target, record.outcome), (target, TIMEOUT));
        let waited = record.at.since(run.traces[&target].last);
        assert!((100 * MS..102 * MS).contains(&waited), "{waited:?}");
    }
}

#[test]
fn an_answer_beats_an_icmp_error_of_the_same_turn() {
    for shuffle in [0.0, 1.0] {
        let mut scenario = Scenario::plain(64, dns(500 * MS));
        for _ in 0..500 {
            let reply = DnsReply::AnswerAndIcmp { errno: libc::ECONNREFUSED };
            scenario.add(0, answering(reply, 3 * MS));
        }
        scenario.faults.shuffle = shuffle;
        assert_eq!(passed(&run(&scenario)), 500);
    }
}

#[test]
fn noise_never_decides_and_is_counted_by_its_kind() {
    for (noise, kinds) in [
        (Noise::WrongId, [Strange::WrongId; 2]),
        (Noise::WrongQuestion, [Strange::WrongQuestion; 2]),
        (Noise::ForeignPort, [Strange::WrongPort; 2]),
        (Noise::ForeignAddress, [Strange::Foreign; 2]),
        // The neighbour is asked too, but never with this id; it may not have been asked yet.
        (Noise::Neighbour, [Strange::WrongId, Strange::Foreign]),
        (Noise::Malformed, [Strange::Malformed; 2]),
    ] {
        let mut scenario = Scenario::plain(64, dns(200 * MS));
        for _ in 0..40 {
            let mut peer = answering(DnsReply::Nothing, 20 * MS);
            peer.dns.noise = vec![noise; 3];
            scenario.add(1, peer);
        }
        let run = run(&scenario);
        assert_eq!(count(&run, |outcome| outcome == TIMEOUT), 40, "{noise:?}");
        let others = if kinds[0] == kinds[1] { 0 } else { strange(&run, kinds[1]) };
        let counted = strange(&run, kinds[0]) + others;
        assert_eq!(counted, 40 * 3 * 2, "{noise:?}: {:?}", run.stats.strange);
        assert_eq!(run.stats.strange.iter().sum::<u64>(), 40 * 3 * 2, "{noise:?}");
    }
}

#[test]
fn an_icmp_error_that_quotes_another_query_decides_nothing() {
    let mut scenario = Scenario::plain(64, dns(200 * MS));
    for number in 0..40 {
        let reply = if number % 2 == 0 { DnsReply::Nothing } else { DnsReply::Answer };
        let mut peer = answering(reply, 20 * MS);
        peer.dns.noise = vec![Noise::ForgedIcmp; 3];
        scenario.add(0, peer);
    }
    let run = run(&scenario);
    assert_eq!((count(&run, |outcome| outcome == TIMEOUT), passed(&run)), (20, 20));
    assert_eq!(strange(&run, Strange::StaleIcmp), run.tally.icmp_errors);
    assert!(run.tally.icmp_errors > 60);
}

#[test]
fn half_the_fleet_refuses_over_one_socket_and_every_verdict_is_right() {
    for quote in [Quote::Full, Quote::Eight, Quote::Nothing] {
        // On loopback the ICMP error is there before the next send, so that one fails with it.
        for delay in [Duration::ZERO, Duration::from_micros(300)] {
            let mut scenario = Scenario::plain(128, dns(500 * MS));
            for number in 0..4_000 {
                let errno = libc::ECONNREFUSED;
                let is_refusing = number % 2 == 0;
                let reply =
                    if is_refusing { DnsReply::Icmp { errno, quote } } else { DnsReply::Answer };
                scenario.add(0, answering(reply, delay));
            }
            let run = run(&scenario);
            for record in &run.records {
                let expected = if record.seq % 2 == 0 { REFUSED } else { Outcome::Pass };
                assert_eq!(record.outcome, expected, "{quote:?} {delay:?} {record:?}");
            }
            let least = if delay.is_zero() { 500 } else { 1 };
            assert!(run.stats.soft_send_errors >= least, "{}", run.stats.soft_send_errors);
        }
    }
}

#[test]
fn late_replies_are_counted_late() {
    let mut scenario = Scenario::plain(64, dns(500 * MS));
    scenario.specs.push(dns(Duration::from_secs(2)));
    for _ in 0..50 {
        scenario.add(0, answering(DnsReply::Answer, 700 * MS));
    }
    // Keeps the run going until they have arrived.
    scenario.add(0, answering(DnsReply::Answer, 1500 * MS));
    scenario.assignments.last_mut().expect("just added").spec = ringprobe::id::SpecId(1);
    let run = run(&scenario);
    assert_eq!((count(&run, |outcome| outcome == TIMEOUT), passed(&run)), (50, 1));
    assert_eq!(strange(&run, Strange::Late), 50);
    assert_eq!(run.stats.strange.iter().sum::<u64>(), 50);
}

#[test]
fn an_orderly_end_costs_a_socket_and_a_reset_does_not() {
    for (handshake, replaces) in
        [(Handshake::Half, 0), (Handshake::Full, 0), (Handshake::Orderly, 100)]
    {
        let mut scenario = Scenario::plain(16, tcp(500 * MS, handshake));
        for _ in 0..100 {
            scenario.add(0, healthy(MS));
        }
        let run = run(&scenario);
        assert_eq!((passed(&run), run.syns), (100, 100));
        assert_eq!((run.tally.replaces, run.tally.disconnects), (replaces, 100 - replaces));
        assert!(run.tally.opens <= 16, "{} sockets for a window of 16", run.tally.opens);
    }
}

#[test]
fn a_timeout_beyond_the_wheel_is_waited_for_asleep() {
    let mut scenario = Scenario::plain(300, dns(Duration::from_secs(10)));
    for _ in 0..300 {
        scenario.add(0, Peer::default());
    }
    scenario.config.pace = Pace::AtMost(1_000.0);
    let run = run(&scenario);
    assert_eq!(count(&run, |outcome| outcome == TIMEOUT), 300);
}

#[test]
fn the_widest_window_keeps_its_promises_too() {
    let mut scenario = Scenario::plain(ringprobe::shard::WINDOW_MAX, dns(500 * MS));
    for number in 0..40_000_u32 {
        let reply = match number % 20 {
            0 => DnsReply::Nothing,
            1 => DnsReply::Icmp { errno: libc::ECONNREFUSED, quote: Quote::Full },
            _ => DnsReply::Answer,
        };
        scenario.add(0, answering(reply, MS + Duration::from_micros(u64::from(number))));
    }
    let run = run(&scenario);
    let refused = count(&run, |outcome| outcome == REFUSED);
    assert_eq!((passed(&run), refused), (36_000, 2_000));
}

#[test]
fn a_busy_thread_with_short_timeouts_hides_no_stop_from_itself() {
    for seed in 0..5 {
        for spec in [dns(100 * MS), tcp(100 * MS, Handshake::Half)] {
            let mut scenario = Scenario::plain(512, spec);
            scenario.seed = seed;
            for _ in 0..20_000 {
                scenario.add(0, healthy(45 * MS));
            }
            scenario.batch = 4_000;
            // All answers wait while it stops; then it has much to do, and stops again.
            scenario.faults.stalls_at = (0..3)
                .map(|number| start() + number * 450 * MS)
                .flat_map(|at| [(at, 200 * MS), (at, 62 * MS)])
                .collect();
            let run = run(&scenario);
            assert_eq!(failed(&run), 0, "seed {seed}");
            assert!(run.tally.stalls >= 4, "{}", run.tally.stalls);
        }
    }
}

#[test]
fn sends_and_connects_that_the_machine_refuses_are_unknown() {
    for (spec, send, connect) in
        [(dns(100 * MS), 1.0, 0.0), (tcp(100 * MS, Handshake::Half), 0.0, 1.0)]
    {
        let mut scenario = Scenario::plain(64, spec);
        for _ in 0..200 {
            scenario.add(1, healthy(MS));
        }
        (scenario.faults.send_refused, scenario.faults.connect_refused) = (send, connect);
        let run = run(&scenario);
        assert_eq!(count(&run, |outcome| matches!(outcome, Outcome::Unknown(_))), 200);
        assert!(run.records.iter().all(|record| record.attempts == 2));
        assert_eq!((run.stats.datagrams_sent, run.stats.connects), (0, 0));
    }
}

#[test]
fn more_retries_than_may_wait_still_all_run() {
    let mut scenario = Scenario::plain(8192, dns(40 * MS));
    for _ in 0..80_000 {
        scenario.add(1, Peer::default());
    }
    let run = run(&scenario);
    assert_eq!(count(&run, |outcome| outcome == TIMEOUT), 80_000);
    assert_eq!(run.datagrams, 160_000);
}

#[test]
fn a_slow_aggregator_holds_the_sweep_back_and_loses_nothing() {
    let mut scenario = Scenario::plain(512, dns(500 * MS));
    for _ in 0..60_000 {
        scenario.add(0, healthy(MS));
    }
    (scenario.reports, scenario.collects) = (4, 0.002);
    let run = run(&scenario);
    assert_eq!(passed(&run), 60_000);
    assert!(
        run.stats.limited_ns[Limit::Output as usize] > 10_000_000,
        "{:?}",
        run.stats.limited_ns
    );
}
