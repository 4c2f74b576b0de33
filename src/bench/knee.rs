//! Where a ramp bends: the highest rate that was kept, and what went wrong above it.

use serde::Serialize;

use super::result::{ProbeCounts, RunResult};

/// At most this share of the probes may be lost; those that were never begun are. And at most this share more
/// may be refused than at the step where that is least.
const LOST_SHARE: f64 = 0.001;
/// And 90 of 100 may take at most so many times as long as at the best step.
const SLOWER: f64 = 5.0;
/// Fewer probes than this say nothing: a p90 of ten is one probe.
const PROBES_MIN: u64 = 100;
/// Shares of failed probes differ by chance; more than so many standard deviations is no chance.
const CHANCE: f64 = 3.0;

/// The knee of a ramp.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Knee {
    /// The highest rate that was kept; `None` where even the lowest was not, or nothing can be said.
    pub per_second: Option<f64>,
    /// The next rate above it; `None` where every rate was kept, or nothing can be said.
    pub broken_per_second: Option<f64>,
    /// What was wrong there; where neither is known, why not.
    pub why: Option<String>,
}

impl Knee {
    /// Of the steps of a ramp, in any order; `None` of none. Steps of too few probes are left out.
    pub(super) fn of(steps: &[RunResult]) -> Option<Knee> {
        let enough: Vec<&RunResult> =
            steps.iter().filter(|step| step.probes.due >= PROBES_MIN).collect();
        let best = Best::of(&enough);
        let mut judged: Vec<(f64, Option<String>)> = enough
            .iter()
            .filter_map(|step| Some((step.asked_per_second?, what_is_wrong(step, best))))
            .collect();
        judged.sort_by(|left, right| left.0.total_cmp(&right.0));
        if judged.is_empty() {
            let most = steps.iter().map(|step| step.probes.due).max()?;
            return Some(Knee {
                per_second: None,
                broken_per_second: None,
                why: Some(format!(
                    "no step had more than {most} probes, and fewer than {PROBES_MIN} say nothing; \
                     raise --duration"
                )),
            });
        }
        if steps.iter().all(|step| step.probes.passed == 0) {
            return Some(Knee {
                per_second: None,
                broken_per_second: None,
                why: Some("nothing passed".to_owned()),
            });
        }
        // A step that a noisy moment spoiled does not hide the better ones above it.
        let kept = judged.iter().rposition(|(_, wrong)| wrong.is_none());
        let broken = judged.get(kept.map_or(0, |kept| kept + 1));
        let mut why = broken.and_then(|(_, wrong)| wrong.clone());
        let left_out = steps.len() - enough.len();
        if kept.is_none()
            && let Some(why) = &mut why
            && left_out > 0
        {
            *why += &format!(" (steps with fewer than {PROBES_MIN} probes left out: {left_out})");
        }
        Some(Knee {
            per_second: kept.map(|kept| judged[kept].0),
            broken_per_second: broken.map(|(rate, _)| *rate),
            why,
        })
    }
}

/// What the best steps of a ramp were like.
#[derive(Copy, Clone, Debug)]
struct Best {
    p90_us: Option<f64>,
    /// Of the step of which the smallest share failed.
    failed: ProbeCounts,
}

impl Best {
    fn of(steps: &[&RunResult]) -> Best {
        let p90s = steps.iter().filter_map(|step| step.latency_us.map(|latency| latency.p90));
        let counts = steps.iter().map(|step| step.probes);
        Best {
            p90_us: p90s.min_by(f64::total_cmp),
            failed: counts
                .min_by(|left, right| left.failed_share().total_cmp(&right.failed_share()))
                .unwrap_or_default(),
        }
    }

    /// Whether more failed than at the best step, and more than chance explains. Servers that refuse at any rate
    /// break none.
    fn is_failing_more(self, probes: ProbeCounts) -> bool {
        let least = self.failed.failed_share();
        let variance = least * (1.0 - least);
        let counts = [probes.due, self.failed.due].map(|due| due.max(1) as f64);
        let by_chance = (variance / counts[0] + variance / counts[1]).sqrt();
        probes.failed_share() - least > LOST_SHARE + CHANCE * by_chance
    }
}

/// Why a rate was not kept; `None` if it was.
fn what_is_wrong(step: &RunResult, best: Best) -> Option<String> {
    let probes = step.probes;
    let unsent = probes.unsent as f64 / probes.due.max(1) as f64;
    if unsent > LOST_SHARE {
        return Some(format!("{:.1} % of the probes were never begun", 100.0 * unsent));
    }
    let lost = probes.lost_share();
    if lost > LOST_SHARE {
        return Some(format!("{:.2} % of the probes were lost", 100.0 * lost));
    }
    if best.is_failing_more(probes) {
        return Some(format!(
            "{:.2} % of the probes failed, at the best step {:.2} %",
            100.0 * probes.failed_share(),
            100.0 * best.failed.failed_share(),
        ));
    }
    let (latency, best) = (step.latency_us?, best.p90_us?);
    (latency.p90 > SLOWER * best).then(|| {
        format!("p90 was {:.1} times that of the best step", latency.p90 / best.max(f64::EPSILON))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::result::LatencyUs;

    /// A step: its rate, what became of its probes, its p90 in microseconds.
    type Step = (f64, ProbeCounts, f64);

    fn step((rate, probes, p90): Step) -> RunResult {
        let latency = LatencyUs {
            count: probes.due,
            min: 1.0,
            mean: 1.0,
            p50: 1.0,
            p90,
            p99: p90,
            p99_9: p90,
            p99_99: p90,
            max: p90,
        };
        RunResult { latency_us: Some(latency), ..RunResult::made(1, Some(rate), probes) }
    }

    fn knee(steps: &[Step]) -> Knee {
        Knee::of(&steps.iter().map(|made| step(*made)).collect::<Vec<_>>()).expect("steps")
    }

    fn rates(knee: &Knee) -> (Option<f64>, Option<f64>) {
        (knee.per_second, knee.broken_per_second)
    }

    fn good(due: u64) -> ProbeCounts {
        ProbeCounts { due, passed: due, ..ProbeCounts::default() }
    }

    fn failed(due: u64, failed: u64) -> ProbeCounts {
        ProbeCounts { passed: due - failed, failed, ..good(due) }
    }

    fn timeouts(due: u64, timeouts: u64) -> ProbeCounts {
        ProbeCounts { passed: due - timeouts, timeouts, ..good(due) }
    }

    #[test]
    fn a_knee_is_below_the_rate_that_was_not_kept() {
        let unsent = |unsent| ProbeCounts { passed: 10_000 - unsent, unsent, ..good(10_000) };
        let first = (100.0, good(10_000), 50.0);
        for (probes, p90, why) in [
            (good(10_000), 250.0, ""),
            (good(10_000), 260.0, "p90 was 5.2 times that of the best step"),
            (unsent(10), 50.0, ""),
            (unsent(11), 50.0, "0.1 % of the probes were never begun"),
            (timeouts(10_000, 10), 50.0, ""),
            (timeouts(10_000, 11), 50.0, "0.11 % of the probes were lost"),
            (failed(10_000, 10), 50.0, ""),
            (failed(10_000, 500), 50.0, "5.00 % of the probes failed, at the best step 0.00 %"),
        ] {
            let second = (200.0, probes, p90);
            // Whichever order they were made in.
            for steps in [[first, second], [second, first]] {
                let knee = knee(&steps);
                let wanted = match why {
                    "" => (Some(200.0), None),
                    _ => (Some(100.0), Some(200.0)),
                };
                assert_eq!(rates(&knee), wanted, "{why}");
                assert_eq!(knee.why.unwrap_or_default(), why);
            }
        }
    }

    #[test]
    fn servers_that_refuse_at_any_rate_break_none_of_them() {
        let steps = |last| {
            [
                (100.0, failed(3000, 27), 50.0),
                (200.0, failed(6000, 75), 50.0),
                (300.0, failed(9000, last), 50.0),
            ]
        };
        assert_eq!(rates(&knee(&steps(95))), (Some(300.0), None), "0.9 % to 1.3 %");
        assert_eq!(rates(&knee(&steps(400))), (Some(200.0), Some(300.0)), "4.4 %");
    }

    #[test]
    fn servers_that_pass_nothing_have_no_knee() {
        for [first, second] in
            [[failed(1000, 1000), failed(2000, 2000)], [failed(1000, 1000), timeouts(2000, 2000)]]
        {
            let knee = knee(&[(100.0, first, 50.0), (200.0, second, 50.0)]);
            assert_eq!(rates(&knee), (None, None));
            assert_eq!(knee.why.as_deref(), Some("nothing passed"));
        }
        let last = knee(&[(100.0, failed(1000, 1000), 50.0), (200.0, failed(1000, 999), 50.0)]);
        assert_eq!(last.per_second, Some(200.0), "one did");
    }

    #[test]
    fn a_spoiled_step_hides_none_above_it_and_the_lowest_may_be_too_high() {
        let slow = |rate| (rate, good(1000), 900.0);
        let quick = |rate| (rate, good(1000), 50.0);
        let steps = [quick(100.0), slow(200.0), quick(300.0), slow(400.0)];
        assert_eq!(rates(&knee(&steps)), (Some(300.0), Some(400.0)));
        assert_eq!(rates(&knee(&[(100.0, timeouts(1000, 999), 50.0)])), (None, Some(100.0)));
        assert_eq!(Knee::of(&[]), None);
    }

    #[test]
    fn steps_of_a_few_probes_say_nothing() {
        let few = |rate| (rate, good(3), 50.0);
        let nothing = knee(&[few(1.0), few(2.0)]);
        assert_eq!(rates(&nothing), (None, None));
        let why = nothing.why.expect("it is said");
        assert!(why.contains("no step had more than 3 probes"), "{why}");

        let slow = knee(&[few(1.0), (100.0, good(300), 900.0)]);
        assert_eq!(rates(&slow), (Some(100.0), None), "three quick ones are no best step");
        let lost = knee(&[few(1.0), (100.0, timeouts(300, 300), 50.0)]);
        let why = lost.why.expect("it broke");
        assert!(why.ends_with("(steps with fewer than 100 probes left out: 1)"), "{why}");
    }
}
