//! What one probe at a time is like: what a run under load is held against.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::measure::{Counted, Measure};
use super::plan::Plan;
use super::result::ProbeCounts;
use super::run::{BenchError, counts, request};
use crate::aggregate::latency_us_at;
use crate::schedule::pace::Span;
use crate::sweep;

/// How long one probe at a time is measured.
const LENGTH: Duration = Duration::from_millis(300);
/// So often at most: a silent target takes up all of the time, and the next may answer.
const TRIES: u32 = 3;
/// So many probes of targets from everywhere in the list, or one of each target, speak for all.
const SAMPLE_MIN: u64 = 30;

/// See the module.
#[derive(Copy, Clone, PartialEq, Debug)]
pub(super) struct Idle {
    /// Median latency in microseconds.
    pub(super) median_us: f64,
    /// What became of the probes.
    pub(super) probes: ProbeCounts,
}

impl Idle {
    /// Probes one target at a time, from everywhere in the list; `None` where too few were answered to speak for
    /// all, or it was stopped.
    ///
    /// # Errors
    /// The sweep could not be made.
    pub(super) fn measure(plan: &Plan, stop: &Arc<AtomicBool>) -> Result<Option<Idle>, BenchError> {
        let targets = plan.subject.targets.len() as u64;
        let mut all = Counted::new(Duration::ZERO, LENGTH);
        for _ in 0..TRIES {
            let span = Span::new(LENGTH);
            let mut measure = Measure::new(span.clone(), LENGTH);
            let input = plan.subject.targets.spread_input(all.due(), &span);
            let request = request(plan, input, &span, (1, 1), None);
            sweep::run(request, Arc::clone(stop), &mut (), &mut measure)?;
            measure.conclude(None, &[]).intervals.iter().for_each(|counted| all.add(counted));
            if is_sample(&all, targets) || stop.load(Ordering::Relaxed) {
                break;
            }
        }
        Ok(Idle::of(&all, targets))
    }

    /// Of what was counted of so many targets.
    fn of(counted: &Counted, targets: u64) -> Option<Idle> {
        let answered = counted.passed + counted.failed;
        // The answered are the quicker ones, or the median is a timeout.
        let is_meant = answered > counted.timeouts && is_sample(counted, targets);
        is_meant.then(|| Idle {
            median_us: latency_us_at(&counted.latency, 0.5),
            probes: counts(counted),
        })
    }
}

fn is_sample(counted: &Counted, targets: u64) -> bool {
    counted.due() >= targets.min(SAMPLE_MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_probes_of_many_targets_and_timeouts_speak_for_nobody() {
        for (passed, failed, timeouts, targets, is_known) in [
            (30, 0, 0, 60_000, true),
            (29, 0, 0, 60_000, false),
            (2, 0, 0, 2, true),
            (1, 0, 0, 2, false),
            (10, 6, 15, 60_000, true),
            (10, 5, 15, 60_000, false),
            (0, 0, 1, 1, false),
            (0, 0, 0, 1, false),
        ] {
            let mut counted = Counted::new(Duration::ZERO, LENGTH);
            (counted.passed, counted.failed, counted.timeouts) = (passed, failed, timeouts);
            let idle = Idle::of(&counted, targets);
            assert_eq!(idle.is_some(), is_known, "{passed} {failed} {timeouts} of {targets}");
        }
    }
}
