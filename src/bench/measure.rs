//! The sink of a run: every record into the interval in which its probe was due.

use std::time::Duration;

use hdrhistogram::Histogram;

use crate::aggregate::Summary;
use crate::outcome::{Failure, Outcome, Record};
use crate::schedule::pace::{Pace, Span};
use crate::sink::{Context, RunInfo, Sink, SinkError};
use crate::tick::Tick;

/// Probes of an interval that were never begun are recorded in so many groups at most, or one per shard, each with
/// what the one in its middle had waited: a rate that nobody can have costs no more than any other.
const GROUPS_MAX: u64 = 1000;
/// Digits of a latency that count: 1 in 1,000.
const DIGITS: u8 = 3;

/// What became of the probes that were due in one interval.
#[derive(Clone, Debug)]
pub(super) struct Counted {
    /// Since the measurement began.
    pub(super) start: Duration,
    pub(super) length: Duration,
    pub(super) passed: u64,
    /// Failed by a word of the server or the network.
    pub(super) failed: u64,
    pub(super) timeouts: u64,
    pub(super) unknown: u64,
    /// Due, and not begun when the run ended.
    pub(super) unsent: u64,
    /// Probes that ended in this interval, whenever they were due; `Unknown` is not among them.
    pub(super) ended: u64,
    /// Nanoseconds from due to end, of all but `unknown`.
    pub(super) latency: Histogram<u64>,
}

/// An empty one, which grows as it needs to.
fn histogram() -> Histogram<u64> {
    // Cannot fail: 1 to 5 digits are allowed.
    Histogram::new(DIGITS).expect("a number of digits that hdrhistogram accepts")
}

impl Counted {
    pub(super) fn new(start: Duration, length: Duration) -> Counted {
        Counted {
            start,
            length,
            passed: 0,
            failed: 0,
            timeouts: 0,
            unknown: 0,
            unsent: 0,
            ended: 0,
            latency: histogram(),
        }
    }

    fn record(&mut self, latency_ns: u64, count: u64) {
        // Cannot fail: it grows to whatever is recorded. `saturating_record` would not.
        let _ = self.latency.record_n(latency_ns, count);
    }

    /// Probes that were due.
    pub(super) fn due(&self) -> u64 {
        self.passed + self.failed + self.timeouts + self.unknown + self.unsent
    }

    /// Adds another interval's probes to this one's.
    pub(super) fn add(&mut self, other: &Counted) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.timeouts += other.timeouts;
        self.unknown += other.unknown;
        self.unsent += other.unsent;
        self.ended += other.ended;
        // Cannot fail: it resizes itself to whatever is added.
        let _ = self.latency.add(&other.latency);
    }
}

/// Counts a run.
pub(super) struct Measure {
    span: Span,
    interval: Duration,
    intervals: Vec<Counted>,
    service: Histogram<u64>,
    /// Of the whole run, warm-up and end included.
    pub(super) probed: u64,
    /// When the last of them ended; the first moment of all where none has.
    pub(super) last_end: Tick,
}

/// What was counted of a run that has ended.
pub(super) struct Measured {
    /// One after the other, at least one.
    pub(super) intervals: Vec<Counted>,
    /// Nanoseconds that probes which were answered took from when they began; ours to wait before it is not in
    /// it. Of scripts, from their start to their end by themselves.
    pub(super) service: Histogram<u64>,
}

impl Measure {
    /// Of the measured part of `span`.
    pub(super) fn new(span: Span, interval: Duration) -> Measure {
        let length = span.measured();
        let count = length.as_nanos().div_ceil(interval.as_nanos().max(1)).max(1) as u32;
        let intervals = (0..count)
            .map(|number| {
                let start = interval * number;
                Counted::new(start, interval.min(length - start))
            })
            .collect();
        Measure {
            span,
            interval,
            intervals,
            service: histogram(),
            probed: 0,
            last_end: Tick::default(),
        }
    }

    /// The interval a moment is in; `None` outside what is measured.
    fn place(&self, moment: Tick) -> Option<usize> {
        let begin = self.span.measured_from()?;
        if moment < begin || self.span.is_over(moment) {
            return None;
        }
        Some((moment.since(begin).as_nanos() / self.interval.as_nanos()) as usize)
    }

    fn count(&mut self, record: &Record) {
        self.probed += 1;
        self.last_end = self.last_end.max(record.at);
        let is_known = !matches!(record.outcome, Outcome::Unknown(_));
        if is_known && let Some(place) = self.place(record.at) {
            self.intervals[place].ended += 1;
        }
        let Some(place) = self.place(record.due) else { return };
        let counted = &mut self.intervals[place];
        match record.outcome {
            Outcome::Pass => counted.passed += 1,
            Outcome::Fail(Failure::Timeout) => counted.timeouts += 1,
            Outcome::Fail(_) => counted.failed += 1,
            Outcome::Unknown(_) => counted.unknown += 1,
        }
        if is_known {
            counted.record(record.at.since(record.due).as_nanos() as u64, 1);
        }
        if let Some(service_ns) = record.latency_ns {
            // Cannot fail: it grows to whatever is recorded.
            let _ = self.service.record(service_ns);
        }
    }

    /// The moment behind those that were taken of an open loop with one timetable, each of whose moments has its
    /// record but those left over of the warm-up, which count as taken.
    pub(super) fn next_moment(&self, per_second: f64) -> u64 {
        let moments = Pace::Due { per_second, phase: 0.0 }.moments();
        let warm_up = moments.map_or(0, |moments| moments.before(self.span.warm_up()));
        warm_up + self.intervals.iter().map(Counted::due).sum::<u64>()
    }

    /// What there is of a run that has ended. In an open loop of `per_second`, `taken` are the moments of each
    /// shard's timetable at which a probe was begun: at the others one was due that was not, and has waited until
    /// the end at least.
    pub(super) fn conclude(mut self, per_second: Option<f64>, taken: &[u64]) -> Measured {
        if let Some(per_second) = per_second {
            self.add_unsent(per_second, taken);
        }
        Measured { intervals: self.intervals, service: self.service }
    }

    /// Of each shard those moments that it did not take: one that waits for its targets is behind, however far
    /// the others are.
    fn add_unsent(&mut self, per_second: f64, taken: &[u64]) {
        let pace = Pace::Due { per_second, phase: 0.0 };
        let shards = taken.len();
        let groups_max = (GROUPS_MAX / shards.max(1) as u64).max(1);
        let (warm_up, length) = (self.span.warm_up(), self.span.warm_up() + self.span.measured());
        for (shard, taken) in taken.iter().enumerate() {
            let Some(moments) = pace.of_shard(shard, shards).moments() else { continue };
            for counted in &mut self.intervals {
                let start = warm_up + counted.start;
                let mut number = moments.before(start).max(*taken);
                let end = moments.before(start + counted.length).max(number);
                counted.unsent += end - number;
                let group_size = (end - number).div_ceil(groups_max);
                while number < end {
                    let next = (number + group_size).min(end);
                    let middle = (moments.at(number) + moments.at(next - 1)) / 2;
                    counted.record((length - middle).as_nanos() as u64, next - number);
                    number = next;
                }
            }
        }
    }
}

impl Sink for Measure {
    fn begin(&mut self, _run: &RunInfo) -> Result<(), SinkError> {
        Ok(())
    }

    fn records(&mut self, batch: &[Record], _context: &Context<'_>) -> Result<(), SinkError> {
        for record in batch {
            self.count(record);
        }
        Ok(())
    }

    fn finish(&mut self, _summary: &Summary, _context: &Context<'_>) -> Result<(), SinkError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::SpecId;
    use crate::outcome::LocalFault;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// Ended at `at_ms`, `latency_ms` after it was due; answered within half of that.
    fn record(at_ms: u64, outcome: Outcome, latency_ms: u64) -> Record {
        let is_answered = outcome == Outcome::Pass;
        Record {
            seq: 0,
            target: "127.0.0.1:53".parse().expect("an address"),
            spec: SpecId(0),
            outcome,
            attempts: 1,
            latency_ns: is_answered.then_some(latency_ms * 1_000_000 / 2),
            due: Tick::from_ns((at_ms - latency_ms) * 1_000_000),
            at: Tick::from_ns(at_ms * 1_000_000),
            strange: None,
        }
    }

    /// From 1,000 ms on: 100 ms warm-up, then 200 ms in intervals of 100 ms.
    fn measure(records: &[Record]) -> Measure {
        let span = Span::with_warm_up(ms(100), ms(200));
        span.begin(Tick::from_ns(1_000_000_000));
        let mut measure = Measure::new(span, ms(100));
        records.iter().for_each(|record| measure.count(record));
        measure
    }

    #[test]
    fn a_probe_belongs_to_the_interval_in_which_it_was_due() {
        let timeout = Outcome::Fail(Failure::Timeout);
        let late = Outcome::Unknown(LocalFault::Late);
        let Measured { intervals, service } = measure(&[
            record(1110, Outcome::Pass, 20), // due in the warm-up
            record(1120, Outcome::Pass, 20), // due at the first moment
            record(1250, timeout, 100),      // due in the first, ended in the second
            record(1310, Outcome::Pass, 30), // due in the second, ended after all
            record(1320, Outcome::Pass, 20), // due after all
            record(1150, late, 60),          // due in the warm-up, and nothing can be said of it
            record(1290, late, 100),         // due in the first
            record(1400, late, 120),         // due in the second
        ])
        .conclude(None, &[]);
        let [first, second] = &intervals[..] else { panic!("two intervals") };
        let counts = |of: &Counted| (of.passed, of.timeouts, of.unknown, of.due(), of.ended);
        assert_eq!(counts(first), (1, 1, 1, 3, 2));
        assert_eq!(counts(second), (1, 0, 1, 2, 1));
        assert_eq!(first.latency.max() / 1_000_000, 100, "a timeout is in the distribution");
        assert_eq!((first.latency.len(), second.latency.len()), (2, 1), "of the known");
        let took = [service.min(), service.max()].map(|ns| (ns as f64 / 1e6).round());
        assert_eq!((service.len(), took), (2, [10.0, 15.0]), "of those due in the measurement");
    }

    #[test]
    fn what_was_due_and_never_begun_has_waited_until_the_end() {
        // 100 a second: 10 were due in the warm-up, and 20 after it, of which 10 were begun.
        let records: Vec<Record> =
            (0..10).map(|number| record(1101 + 10 * number, Outcome::Pass, 1)).collect();
        let intervals = measure(&records).conclude(Some(100.0), &[20]).intervals;
        let unsent: Vec<u64> = intervals.iter().map(|interval| interval.unsent).collect();
        assert_eq!(unsent, [0, 10]);
        let latency = &intervals[1].latency;
        let waited_ms = [latency.min(), latency.max()].map(|ns| (ns as f64 / 1e6).round());
        assert_eq!(waited_ms, [10.0, 100.0], "the first was due when the second interval began");
    }

    #[test]
    fn a_shard_that_is_behind_has_waited_longer_than_all_of_them_on_average() {
        // 100 a second, every other of the second shard, which began the first and no other.
        let records: Vec<Record> =
            (0..15).map(|number| record(1001 + 20 * number, Outcome::Pass, 1)).collect();
        let intervals = measure(&records).conclude(Some(100.0), &[15, 1]).intervals;
        for (interval, from_ms) in intervals.iter().zip([100, 0]) {
            assert_eq!((interval.passed, interval.unsent, interval.due()), (5, 5, 10));
            // Due 10, 30, 50, 70 and 90 ms after it began.
            let waited_ms = [0.6, 1.0].map(|at| interval.latency.value_at_quantile(at) / 1_000_000);
            assert_eq!(waited_ms, [from_ms + 10, from_ms + 90]);
        }
    }

    #[test]
    fn a_rate_that_nobody_can_have_is_counted_all_the_same() {
        // A billion a second for 200 ms, none of them begun.
        let intervals = measure(&[]).conclude(Some(1e9), &[0, 0]).intervals;
        let unsent: Vec<u64> = intervals.iter().map(|interval| interval.unsent).collect();
        assert_eq!(unsent, [100_000_000; 2]);
        for (interval, from_ms) in intervals.iter().zip([100, 0]) {
            assert_eq!(interval.latency.len(), interval.unsent);
            let median_ms = interval.latency.value_at_quantile(0.5) / 1_000_000;
            assert!((from_ms + 49..=from_ms + 51).contains(&median_ms), "{median_ms} ms");
            let max_ms = interval.latency.max() / 1_000_000;
            assert!((from_ms + 99..=from_ms + 100).contains(&max_ms), "{max_ms} ms");
        }
    }

    #[test]
    fn the_last_interval_is_what_is_left() {
        let measure = Measure::new(Span::new(ms(250)), ms(100));
        let lengths: Vec<Duration> =
            measure.intervals.iter().map(|interval| interval.length).collect();
        assert_eq!(lengths, [ms(100), ms(100), ms(50)]);
    }
}
