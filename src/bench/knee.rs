//! Where a ramp bends: the highest rate that was kept, and what went wrong above it.

use serde::Serialize;

use super::result::{ProbeCounts, RunResult};

/// At most this share of the probes may be lost; those that were never begun are. And at most this share more
/// may be refused than at the step where that is least.
pub(super) const LOST_SHARE: f64 = 0.001;
/// And 90 of 100 may take at most so many times as long as at the best step.
const SLOWER: f64 = 5.0;
/// Fewer probes than this say nothing: a p90 of ten is one probe.
const PROBES_MIN: u64 = 100;
/// Where this process did not run for more than this share of a step, that may be what was wrong with it.
const STALLED_SHARE: f64 = 0.02;
/// What was due meanwhile waits, and as much again until that is caught up with: this many times the share of
/// the time may be lost by it.
const STALL_SPOILS: f64 = 2.0;
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
    /// Numbers of the steps that are left out, because this process did not run for so much of them that it may
    /// be what was wrong.
    pub stalled: Vec<usize>,
}

impl Knee {
    /// Of the steps of a ramp, in any order, each of `duration_s` seconds; `None` of none. Steps of
    /// too few probes are left out, and those that our own stalls may have spoiled.
    pub(super) fn of(steps: &[RunResult], duration_s: f64) -> Option<Knee> {
        let enough: Vec<&RunResult> =
            steps.iter().filter(|step| step.probes.due >= PROBES_MIN).collect();
        let best = Best::of(&enough);
        let mut judged: Vec<(f64, Option<String>)> = Vec::new();
        let mut stalled = Vec::new();
        for step in &enough {
            let Some(rate) = step.asked_per_second else { continue };
            match what_is_wrong(step, best) {
                Some(wrong) if wrong.may_be_our_stall(step.stalled_share(duration_s)) => {
                    stalled.push(step.number);
                }
                wrong => judged.push((rate, wrong.map(|wrong| wrong.words))),
            }
        }
        judged.sort_by(|left, right| left.0.total_cmp(&right.0));
        if judged.is_empty() {
            let most = steps.iter().map(|step| step.probes.due).max()?;
            let why = if stalled.is_empty() {
                format!(
                    "no step had more than {most} probes, and fewer than {PROBES_MIN} say nothing; \
                     raise --duration"
                )
            } else {
                "this process did not run for a part of every step that may be what was wrong"
                    .to_owned()
            };
            return Some(Knee {
                per_second: None,
                broken_per_second: None,
                why: Some(why),
                stalled,
            });
        }
        if steps.iter().all(|step| step.probes.passed == 0) {
            return Some(Knee {
                per_second: None,
                broken_per_second: None,
                why: Some("nothing passed".to_owned()),
                stalled,
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
            stalled,
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
}

/// Whether more failed than where least did, and more than chance explains. Servers that refuse at any rate
/// break none.
pub(super) fn is_failing_more(probes: ProbeCounts, least: ProbeCounts) -> bool {
    let counts = [probes.due, least.due].map(|due| due.max(1) as f64);
    let both = (probes.failed + least.failed) as f64 / counts.iter().sum::<f64>();
    let variance = both * (1.0 - both);
    let by_chance = counts.iter().map(|count| variance / count).sum::<f64>().sqrt();
    probes.failed_share() - least.failed_share() > LOST_SHARE + CHANCE * by_chance
}

/// Why a rate was not kept.
struct Wrong {
    words: String,
    /// Of the probes of the step; `None` where they were only slower.
    lost_share: Option<f64>,
}

impl Wrong {
    /// Whether it may come of this process not running for a share of the step.
    fn may_be_our_stall(&self, stalled_share: f64) -> bool {
        stalled_share > STALLED_SHARE
            && self.lost_share.is_none_or(|lost| lost <= STALL_SPOILS * stalled_share)
    }
}

/// `None` if the rate was kept.
fn what_is_wrong(step: &RunResult, best: Best) -> Option<Wrong> {
    let wrong = |lost_share, words| Some(Wrong { words, lost_share });
    let probes = step.probes;
    let lost = probes.lost_share();
    let unsent = probes.unsent as f64 / probes.due.max(1) as f64;
    if unsent > LOST_SHARE {
        let words = format!("{:.1} % of the probes were never begun", 100.0 * unsent);
        return wrong(Some(lost), words);
    }
    if lost > LOST_SHARE {
        return wrong(Some(lost), format!("{:.2} % of the probes were lost", 100.0 * lost));
    }
    if is_failing_more(probes, best.failed) {
        let [failed, least] = [probes, best.failed].map(|probes| probes.failed_share());
        let words = format!(
            "{:.2} % of the probes failed, at the best step {:.2} %",
            100.0 * failed,
            100.0 * least,
        );
        return wrong(Some(failed - least), words);
    }
    let (latency, best) = (step.latency_us?, best.p90_us?);
    if latency.p90 <= SLOWER * best {
        return None;
    }
    let times = latency.p90 / best.max(f64::EPSILON);
    wrong(None, format!("p90 was {times:.1} times that of the best step"))
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

    /// Seconds of a step.
    const DURATION_S: f64 = 4.0;

    fn knee(steps: &[Step]) -> Knee {
        let steps: Vec<RunResult> = steps.iter().map(|made| step(*made)).collect();
        Knee::of(&steps, DURATION_S).expect("steps")
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
        assert_eq!(Knee::of(&[], DURATION_S), None);
    }

    #[test]
    fn a_step_that_our_own_stall_may_have_spoiled_is_left_out() {
        let quick = (100.0, good(10_000), 50.0);
        let (slow, quick_too) = ((200.0, good(10_000), 9_050.0), (200.0, good(10_000), 50.0));
        let lost = |lost| (200.0, timeouts(10_000, lost), 50.0);
        for (second, stalled_ms, is_left_out, broken) in [
            (slow, 500.0, true, None),
            (slow, 81.0, true, None),
            (slow, 80.0, false, Some(200.0)),
            // It was kept all the same.
            (quick_too, 500.0, false, None),
            // 5 % of the time explains 10 % lost and no more.
            (lost(1_000), 200.0, true, None),
            (lost(1_001), 200.0, false, Some(200.0)),
        ] {
            let mut steps = [step(quick), step(second)];
            (steps[0].number, steps[1].number) = (1, 2);
            steps[1].trouble.stalled_ms = stalled_ms;
            let knee = Knee::of(&steps, DURATION_S).expect("steps");
            assert_eq!(knee.stalled, if is_left_out { vec![2] } else { vec![] }, "{stalled_ms}");
            assert_eq!(knee.broken_per_second, broken, "{stalled_ms}");
            let kept = if is_left_out || broken.is_some() { 100.0 } else { 200.0 };
            assert_eq!(knee.per_second, Some(kept), "{stalled_ms}");
        }
        let mut only = step((100.0, timeouts(1000, 10), 50.0));
        only.trouble.stalled_ms = 500.0;
        let nothing = Knee::of(&[only], DURATION_S).expect("a step");
        assert_eq!(rates(&nothing), (None, None));
        let why = nothing.why.expect("it is said");
        assert!(why.contains("did not run for a part of every step"), "{why}");
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
