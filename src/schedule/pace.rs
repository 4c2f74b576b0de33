//! How fast probes start: as they can, at most so many a second, or each at a moment of its own.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::tick::Tick;

/// The bucket of [`Pace::AtMost`] holds what this much time fills.
const BURST: Duration = Duration::from_millis(2);
/// [`Pace::AtMost`] gives leave for what so much time allows at once, so that a core is not woken for each attempt.
const PORTION: Duration = Duration::from_millis(1);
/// What was due in a [`Span`] may begin so long after its end: a core that wakes a little late loses nothing,
/// and what a stall kept longer has never begun.
const GRACE: Duration = Duration::from_millis(50);
const NANOSECOND: Duration = Duration::from_nanos(1);
const NS_PER_SECOND: f64 = 1e9;

/// How fast probes may start.
#[derive(Copy, Clone, PartialEq, Debug)]
pub enum Pace {
    /// As fast as the window lets them.
    Free,
    /// At most so many attempts a second; what was not used is lost.
    AtMost(f64),
    /// So many probes a second, each due at its own moment whether the earlier ones have ended or not, or
    /// even begun: an open loop. Wants a [`Span`].
    Due {
        /// Probes a second.
        per_second: f64,
        /// When the first is due, in intervals between two of them after the start; 0 to 1.
        phase: f64,
    },
}

impl Pace {
    /// The pace of one of several shards, so that all together keep it: due moments lie evenly between each
    /// other's.
    pub(crate) fn of_shard(self, shard: usize, shards: usize) -> Pace {
        let shards = shards as f64;
        match self {
            Pace::Free => Pace::Free,
            Pace::AtMost(per_second) => Pace::AtMost(per_second / shards),
            Pace::Due { per_second, phase } => Pace::Due {
                per_second: per_second / shards,
                phase: (shard as f64 + phase) / shards,
            },
        }
    }

    /// The moments at which probes are due, where they have their own.
    pub(crate) fn moments(self) -> Option<Moments> {
        match self {
            Pace::Due { per_second, phase } => Some(Moments { per_second, phase }),
            Pace::Free | Pace::AtMost(_) => None,
        }
    }
}

/// When the probes of [`Pace::Due`] are due, numbered from 0.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Moments {
    per_second: f64,
    phase: f64,
}

impl Moments {
    /// When one is due, from the start on.
    pub(crate) fn at(self, number: u64) -> Duration {
        // From the number and not from the one before, so that no error adds up.
        let after_ns = (number as f64 + self.phase) * (NS_PER_SECOND / self.per_second);
        Duration::from_nanos(after_ns as u64)
    }

    /// How many are due before a time from the start on.
    pub(crate) fn before(self, time: Duration) -> u64 {
        let mut count = (time.as_secs_f64() * self.per_second - self.phase).ceil().max(0.0) as u64;
        // That may be off by a rounding.
        while count > 0 && self.at(count - 1) >= time {
            count -= 1;
        }
        while self.at(count) < time {
            count += 1;
        }
        count
    }
}

/// The time in which probes are due, or begin where they are not due at moments of their own: a warm-up, then
/// what is measured. It starts for all shards at once, when all are ready.
#[derive(Clone, Debug)]
pub struct Span {
    start: Arc<OnceLock<Tick>>,
    warm_up: Duration,
    measured: Duration,
}

impl Span {
    /// A span of this length without a warm-up, that has not started.
    pub fn new(length: Duration) -> Span {
        Span::with_warm_up(Duration::ZERO, length)
    }

    /// A span that has not started, of which the second part is measured.
    pub fn with_warm_up(warm_up: Duration, measured: Duration) -> Span {
        Span { start: Arc::default(), warm_up, measured }
    }

    /// How long its first part is.
    pub fn warm_up(&self) -> Duration {
        self.warm_up
    }

    /// How long it is measured.
    pub fn measured(&self) -> Duration {
        self.measured
    }

    /// Starts it, once.
    pub fn begin(&self, now: Tick) {
        let _ = self.start.set(now);
    }

    /// When it started; `None` before.
    pub fn start(&self) -> Option<Tick> {
        self.start.get().copied()
    }

    /// When its second part starts; `None` before the first has.
    pub fn measured_from(&self) -> Option<Tick> {
        Some(self.start()? + self.warm_up)
    }

    /// The first moment in which nothing is due any more; `None` before it started.
    pub fn end(&self) -> Option<Tick> {
        Some(self.measured_from()? + self.measured)
    }

    /// Whether it has ended.
    pub fn is_over(&self, now: Tick) -> bool {
        self.end().is_some_and(|end| now >= end)
    }
}

/// The moments of a [`Span`] that has started.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Bounds {
    pub(crate) start: Tick,
    pub(crate) measured_from: Tick,
    pub(crate) end: Tick,
}

/// Leave to start, given one at a time.
#[derive(Debug)]
pub(crate) enum Pacer {
    /// [`Pace::Free`]
    Free,
    /// [`Pace::AtMost`]
    Bucket(Bucket),
    /// [`Pace::Due`]
    Timetable(Timetable),
}

impl Pacer {
    /// Where a timetable has no span that has started, everything is due at once.
    pub(crate) fn new(pace: Pace) -> Pacer {
        match pace {
            Pace::Free => Pacer::Free,
            Pace::AtMost(per_second) => Pacer::Bucket(Bucket::new(per_second)),
            Pace::Due { per_second, phase } => {
                let moments = Moments { per_second, phase };
                Pacer::Timetable(Timetable { moments, taken: 0, is_measured: false })
            }
        }
    }

    /// Leave for one attempt now: since when it is due.
    ///
    /// # Errors
    /// When the next may start.
    pub(crate) fn take(&mut self, now: Tick, start: Tick) -> Result<Tick, Tick> {
        match self {
            Pacer::Free => Ok(now),
            Pacer::Bucket(bucket) => bucket.take(now).map(|()| now),
            Pacer::Timetable(timetable) => timetable.take(now, start),
        }
    }

    /// Gives leave back that could not be used.
    pub(crate) fn give_back(&mut self) {
        match self {
            Pacer::Free => {}
            Pacer::Bucket(bucket) => bucket.due_ns -= bucket.ns_per_attempt,
            Pacer::Timetable(timetable) => timetable.taken -= 1,
        }
    }

    /// Whether each probe is due at a moment of its own, which may be past.
    pub(crate) fn has_moments(&self) -> bool {
        matches!(self, Pacer::Timetable(_))
    }

    /// How many of those were taken, or left behind in the warm-up; 0 where there are none.
    pub(crate) fn moments_taken(&self) -> u64 {
        match self {
            Pacer::Timetable(timetable) => timetable.taken,
            Pacer::Free | Pacer::Bucket(_) => 0,
        }
    }

    /// From when on nothing begins of a span that ends then.
    pub(crate) fn closes_at(&self, end: Tick) -> Tick {
        if self.has_moments() { end + GRACE } else { end }
    }

    /// Leave as [`Pacer::take`] gives it, within a span: in the grace behind its end for what was due before, and
    /// for nothing else. What was due in the warm-up and has not begun by its end never will: otherwise a rate
    /// that is too high would be measured by probes of which all were late before the measurement began.
    ///
    /// # Errors
    /// When the next may start; not before the end where nothing else may.
    pub(crate) fn take_within(&mut self, span: Bounds, now: Tick) -> Result<Tick, Tick> {
        let mut last = Tick::NEVER;
        if let Pacer::Timetable(timetable) = self {
            last = span.end - NANOSECOND;
            if !timetable.is_measured && now >= span.measured_from {
                timetable.is_measured = true;
                let warm_up = span.measured_from.since(span.start);
                timetable.taken = timetable.taken.max(timetable.moments.before(warm_up));
            }
        }
        self.take(now.min(last), span.start)
    }

    /// Whether retries need leave too.
    pub(crate) fn counts_retries(&self) -> bool {
        matches!(self, Pacer::Bucket(_))
    }
}

/// A token bucket.
#[derive(Debug)]
pub(crate) struct Bucket {
    ns_per_attempt: f64,
    /// When the next attempt may start; in the past by at most the burst.
    due_ns: f64,
    burst_ns: f64,
}

impl Bucket {
    fn new(per_second: f64) -> Bucket {
        let ns_per_attempt = NS_PER_SECOND / per_second;
        Bucket {
            ns_per_attempt,
            due_ns: 0.0,
            burst_ns: (BURST.as_nanos() as f64).max(ns_per_attempt),
        }
    }

    fn take(&mut self, now: Tick) -> Result<(), Tick> {
        let now_ns = now.as_ns() as f64;
        // What was not used is lost beyond the burst: a stall is not followed by a flood.
        self.due_ns = self.due_ns.max(now_ns - self.burst_ns);
        if self.due_ns > now_ns {
            return Err(Tick::from_ns(self.due_ns.ceil() as u64).max(now + PORTION));
        }
        self.due_ns += self.ns_per_attempt;
        Ok(())
    }
}

/// Moments one after the other, none of them ever lost but what a warm-up left over.
#[derive(Debug)]
pub(crate) struct Timetable {
    moments: Moments,
    /// Number of the next one.
    taken: u64,
    /// Whether the warm-up is over.
    is_measured: bool,
}

impl Timetable {
    fn take(&mut self, now: Tick, start: Tick) -> Result<Tick, Tick> {
        let due = start + self.moments.at(self.taken);
        if due > now {
            return Err(due);
        }
        self.taken += 1;
        Ok(due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at_ms(ms: u64) -> Tick {
        Tick::from_ns(ms * 1_000_000)
    }

    #[test]
    fn the_rate_holds_over_a_second_and_a_stall_is_not_made_up_for() {
        let mut rate = Pacer::new(Pace::AtMost(10_000.0));
        let start = Tick::default();
        let mut taken = 0;
        for us in 0..1_000_000_u64 {
            let now = Tick::from_ns(5_000_000_000 + us * 1000);
            while rate.take(now, start).is_ok() {
                taken += 1;
            }
        }
        assert!((10_000..=10_021).contains(&taken), "{taken}");
        let after_a_stall = at_ms(20_000);
        let mut burst = 0;
        let due = loop {
            match rate.take(after_a_stall, start) {
                Ok(_) => burst += 1,
                Err(due) => break due,
            }
        };
        assert!(burst <= 21, "{burst}");
        assert_eq!(due, after_a_stall + PORTION, "not for one alone");
        let mut slow = Pacer::new(Pace::AtMost(10.0));
        while slow.take(after_a_stall, start).is_ok() {}
        let due = slow.take(after_a_stall, start).expect_err("none is left");
        assert!(due > after_a_stall + Duration::from_millis(90), "{due:?}");
    }

    #[test]
    fn a_timetable_loses_nothing_to_a_stall_and_does_not_drift() {
        let mut pacer = Pacer::new(Pace::Due { per_second: 3.0, phase: 0.5 });
        let start = at_ms(1000);
        assert_eq!(pacer.take(start, start), Err(Tick::from_ns(1_166_666_666)));
        let late = start + Duration::from_secs(1000);
        let mut dues = Vec::new();
        while let Ok(due) = pacer.take(late, start) {
            dues.push(due);
        }
        assert_eq!(dues.len(), 3000, "1000 seconds at 3 a second, made up for after the stall");
        assert_eq!(dues[0], Tick::from_ns(1_166_666_666));
        let last = late.since(dues[2999]).as_nanos();
        assert!((166_666_600..166_666_700).contains(&last), "half an interval: {last}");
        pacer.give_back();
        assert_eq!(pacer.take(late, start), Ok(dues[2999]), "what is given back is due again");
    }

    #[test]
    fn what_a_warm_up_left_over_never_begins_and_the_rest_is_numbered_as_ever() {
        let mut pacer = Pacer::new(Pace::Due { per_second: 10.0, phase: 0.0 });
        let (start, measured_from) = (at_ms(1000), at_ms(2050));
        let span = Bounds { start, measured_from, end: at_ms(5000) };
        for ms in [1000, 1100] {
            assert_eq!(pacer.take_within(span, at_ms(1700)), Ok(at_ms(ms)));
        }
        assert_eq!(pacer.take_within(span, at_ms(2060)), Err(at_ms(2100)), "not 1200");
        assert_eq!(pacer.moments_taken(), 11);
        assert_eq!(pacer.take_within(span, at_ms(4990)), Ok(at_ms(2100)));
        // From then on nothing is ever lost, and only what is due before the end has its grace.
        for ms in (2200..5000).step_by(100) {
            assert_eq!(pacer.take_within(span, at_ms(5040)), Ok(at_ms(ms)));
        }
        assert_eq!(pacer.take_within(span, at_ms(5040)), Err(at_ms(5000)));
    }

    #[test]
    fn shards_have_the_moments_of_the_whole_between_them_and_each_is_counted_once() {
        let pace = Pace::Due { per_second: 7.0, phase: 0.0 };
        let whole = pace.moments().expect("its own");
        let shards: Vec<Moments> =
            (0..3).filter_map(|shard| pace.of_shard(shard, 3).moments()).collect();
        for number in 0..30 {
            let of_a_shard = shards[number as usize % 3].at(number / 3);
            assert!(of_a_shard.abs_diff(whole.at(number)) <= NANOSECOND, "{number}");
            assert_eq!(whole.before(whole.at(number)), number, "those before, not itself");
            assert_eq!(whole.before(whole.at(number) + NANOSECOND), number + 1);
        }
        assert_eq!((whole.before(Duration::ZERO), shards[1].before(Duration::ZERO)), (0, 0));
        let fast = Pace::Due { per_second: 1e9, phase: 0.0 }.moments().expect("its own");
        assert_eq!(fast.before(Duration::from_secs(3600)), 3_600_000_000_000);
    }

    #[test]
    fn a_span_begins_once() {
        let span = Span::new(Duration::from_millis(10));
        assert!(span.start().is_none() && !span.is_over(at_ms(1_000_000)));
        span.begin(at_ms(5));
        span.begin(at_ms(500));
        assert_eq!((span.start(), span.end()), (Some(at_ms(5)), Some(at_ms(15))));
        assert!(!span.is_over(at_ms(14)) && span.is_over(at_ms(15)));
        let span = Span::with_warm_up(Duration::from_millis(3), Duration::from_millis(10));
        span.begin(at_ms(5));
        assert_eq!((span.measured_from(), span.end()), (Some(at_ms(8)), Some(at_ms(18))));
    }
}
