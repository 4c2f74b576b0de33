//! Where a ramp bends: the highest rate that was kept, and what went wrong above it.

use serde::Serialize;

use super::result::{ProbeCounts, RunResult};

/// At most this share of the probes may have never begun, and of at most this share may nothing be known. And at most
/// this share more may time out, or fail, than at the best step.
pub(super) const LOST_SHARE: f64 = 0.001;
/// And 90 of 100 may take at most so many times as long as at the best step.
const SLOWER: f64 = 5.0;
/// Where this process did not run for more than this share of a step, that may be what was wrong with it.
const STALLED_SHARE: f64 = 0.02;
/// What was due meanwhile waits, and as much again until that is caught up with: this many times the share of
/// the time may be lost by it.
pub(super) const STALL_SPOILS: f64 = 2.0;
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
    /// The rates below the highest that was kept that were not, in ascending order.
    pub not_kept_per_second: Vec<f64>,
    /// Numbers of the steps that are left out, because this process did not run for so much of them that it may
    /// be what was wrong.
    pub stalled: Vec<usize>,
    /// Numbers of the steps that are left out, because they had fewer than [`Knee::PROBES_MIN`] probes.
    pub too_few: Vec<usize>,
}

impl Knee {
    /// Fewer probes than this say nothing: a p90 of ten is one probe.
    pub const PROBES_MIN: u64 = 100;

    /// Of the steps of a ramp, in any order, each of `duration_s` seconds; `None` of none. They are held against
    /// each other, and against what became of probes one at a time, where that is known. Steps of
    /// too few probes are left out, and those that our own stalls may have spoiled.
    pub(super) fn of(
        steps: &[RunResult],
        duration_s: f64,
        alone: Option<ProbeCounts>,
    ) -> Option<Knee> {
        let (enough, few): (Vec<&RunResult>, Vec<&RunResult>) =
            steps.iter().partition(|step| step.probes.due >= Knee::PROBES_MIN);
        let best = Best::of(&enough, alone);
        let mut judged: Vec<(f64, Option<String>)> = Vec::new();
        let mut stalled = Vec::new();
        for step in &enough {
            let Some(rate) = step.asked_per_second else { continue };
            match what_is_wrong(step, &best) {
                Some(wrong) if wrong.may_be_our_stall(step.stalled_share(duration_s)) => {
                    stalled.push(step.number);
                }
                wrong => judged.push((rate, wrong.map(|wrong| wrong.words))),
            }
        }
        let unknown = Knee {
            per_second: None,
            broken_per_second: None,
            why: None,
            not_kept_per_second: Vec::new(),
            stalled,
            too_few: few.iter().map(|step| step.number).collect(),
        };
        judged.sort_by(|left, right| left.0.total_cmp(&right.0));
        if judged.is_empty() {
            let most = steps.iter().map(|step| step.probes.due).max()?;
            let why = if unknown.stalled.is_empty() {
                format!(
                    "no step had more than {most} probes, and fewer than {} say nothing; raise --duration",
                    Knee::PROBES_MIN
                )
            } else {
                "this process did not run for a part of every step that may be what was wrong"
                    .to_owned()
            };
            return Some(Knee { why: Some(why), ..unknown });
        }
        if steps.iter().all(|step| step.probes.passed == 0) {
            return Some(Knee { why: Some("nothing passed".to_owned()), ..unknown });
        }
        // A step that a noisy moment spoiled does not hide the better ones above it.
        let kept = judged.iter().rposition(|(_, wrong)| wrong.is_none());
        let broken = judged.get(kept.map_or(0, |kept| kept + 1));
        let below = judged[..kept.unwrap_or(0)].iter();
        Some(Knee {
            per_second: kept.map(|kept| judged[kept].0),
            broken_per_second: broken.map(|(rate, _)| *rate),
            why: broken.and_then(|(_, wrong)| wrong.clone()),
            not_kept_per_second: below
                .filter(|(_, wrong)| wrong.is_some())
                .map(|(rate, _)| *rate)
                .collect(),
            ..unknown
        })
    }
}

/// What steps of a ramp are held against.
#[derive(Copy, Clone, Debug)]
struct Best {
    losses: Losses,
    /// The smallest of the steps that lost no more: a refusal is quick.
    p90_us: Option<f64>,
}

/// What was lost at best.
#[derive(Copy, Clone, Debug)]
struct Losses {
    /// At the step of which the greatest share passed: one that lost its probes, and so had none left to fail, is
    /// not what others are held against.
    step: ProbeCounts,
    /// One at a time. Where that is not known, silence at every rate may as well be too high a rate: no timeout
    /// is excused then.
    alone: Option<ProbeCounts>,
}

impl Best {
    fn of(steps: &[&RunResult], alone: Option<ProbeCounts>) -> Best {
        let counts = steps.iter().map(|step| step.probes);
        let step = counts
            .max_by(|left, right| left.passed_share().total_cmp(&right.passed_share()))
            .unwrap_or_default();
        let losses = Losses { step, alone };
        let answered = steps.iter().filter(|step| losses.exceeded_by(step.probes).is_none());
        let p90s = answered.filter_map(|step| step.latency_us.map(|latency| latency.p90));
        Best { losses, p90_us: p90s.min_by(f64::total_cmp) }
    }
}

impl Losses {
    /// What is wrong with a step of which too many were never begun or ended unknown, which is never the servers'
    /// doing, or of which more timed out or failed; however long the others took.
    fn exceeded_by(self, probes: ProbeCounts) -> Option<Wrong> {
        let wrong = |lost_share, words| Some(Wrong { words, lost_share: Some(lost_share) });
        let unsent = probes.share(probes.unsent);
        if unsent > LOST_SHARE {
            let words = format!("{:.1} % of the probes were never begun", 100.0 * unsent);
            return wrong(probes.lost_share(), words);
        }
        let unknown = probes.share(probes.unknown);
        if unknown > LOST_SHARE {
            let words = format!("of {:.2} % of the probes nothing can be said", 100.0 * unknown);
            return wrong(probes.lost_share(), words);
        }
        let silent_none = ProbeCounts { timeouts: 0, ..self.step };
        let (Lost { how, share, least_share }, by_what) = match self.alone {
            None => (Lost::more_than(silent_none, probes)?, "at the best step"),
            Some(alone) => Lost::more_than(alone, probes)
                .map(|lost| (lost, "one at a time"))
                .or_else(|| Some((Lost::more_than(self.step, probes)?, "at the best step")))?,
        };
        let words = format!(
            "{:.2} % of the probes {how}, {by_what} {:.2} %",
            100.0 * share,
            100.0 * least_share,
        );
        wrong(share - least_share, words)
    }
}

/// Probes that came to nothing more often than others did.
#[derive(Copy, Clone, PartialEq, Debug)]
pub(super) struct Lost {
    /// What they did, as in `failed`.
    pub(super) how: &'static str,
    /// Share of the probes.
    pub(super) share: f64,
    /// Share of the others.
    pub(super) least_share: f64,
}

impl Lost {
    /// Whether more of the probes timed out, or failed, than of those of `least`, and more than chance explains.
    /// Servers that are silent, or refuse, at any rate break none.
    pub(super) fn more_than(least: ProbeCounts, probes: ProbeCounts) -> Option<Lost> {
        let counts = [
            ("timed out", probes.timeouts, least.timeouts),
            ("failed", probes.failed, least.failed),
        ];
        counts.into_iter().find_map(|(how, count, least_count)| {
            let (share, least_share) = (probes.share(count), least.share(least_count));
            let dues = [probes, least].map(|probes| probes.due.max(1) as f64);
            let both = (count + least_count) as f64 / dues.iter().sum::<f64>();
            let variance = both * (1.0 - both);
            let by_chance = dues.iter().map(|due| variance / due).sum::<f64>().sqrt();
            let is_more = share - least_share > LOST_SHARE + CHANCE * by_chance;
            is_more.then_some(Lost { how, share, least_share })
        })
    }
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
fn what_is_wrong(step: &RunResult, best: &Best) -> Option<Wrong> {
    if let Some(wrong) = best.losses.exceeded_by(step.probes) {
        return Some(wrong);
    }
    let (latency, best_us) = (step.latency_us?, best.p90_us?);
    if latency.p90 <= SLOWER * best_us {
        return None;
    }
    let times = latency.p90 / best_us.max(f64::EPSILON);
    let words = format!("p90 was {times:.1} times that of the best step");
    Some(Wrong { words, lost_share: None })
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
        Knee::of(&steps, DURATION_S, None).expect("steps")
    }

    /// The same where one at a time so many of 3,000 timed out or failed.
    fn knee_beside(alone: ProbeCounts, steps: &[Step]) -> Knee {
        let steps: Vec<RunResult> = steps.iter().map(|made| step(*made)).collect();
        Knee::of(&steps, DURATION_S, Some(alone)).expect("steps")
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
        let unknown = |unknown| ProbeCounts { passed: 10_000 - unknown, unknown, ..good(10_000) };
        let first = (100.0, good(10_000), 50.0);
        for (probes, p90, why) in [
            (good(10_000), 250.0, ""),
            (good(10_000), 260.0, "p90 was 5.2 times that of the best step"),
            (unsent(10), 50.0, ""),
            (unsent(11), 50.0, "0.1 % of the probes were never begun"),
            (unknown(10), 50.0, ""),
            (unknown(11), 50.0, "of 0.11 % of the probes nothing can be said"),
            (timeouts(10_000, 10), 50.0, ""),
            (timeouts(10_000, 30), 50.0, "0.30 % of the probes timed out, at the best step 0.00 %"),
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
    fn servers_that_refuse_or_are_silent_at_any_rate_break_none_of_them() {
        for lost in [failed, timeouts] {
            let steps = |last| {
                [
                    (100.0, lost(3000, 27), 50.0),
                    (200.0, lost(6000, 75), 50.0),
                    (300.0, lost(9000, last), 50.0),
                ]
            };
            let rates = |last| rates(&knee_beside(lost(3000, 30), &steps(last)));
            assert_eq!(rates(95), (Some(300.0), None), "0.9 % to 1.3 %");
            assert_eq!(rates(400), (Some(200.0), Some(300.0)), "4.4 %");
        }
        // One dead server of 500.
        let dead = [(1_000.0, timeouts(3_000, 6), 50.0), (2_000.0, timeouts(6_000, 12), 50.0)];
        assert_eq!(rates(&knee_beside(timeouts(600, 1), &dead)), (Some(2_000.0), None));
    }

    #[test]
    fn a_ramp_that_begins_too_high_is_not_excused_by_its_own_losses() {
        let steps = |lost: fn(u64, u64) -> ProbeCounts| {
            [(1e4, lost(9000, 4500), 50.0), (2e4, lost(9000, 5000), 50.0)]
        };
        assert_eq!(rates(&knee(&steps(timeouts))), (None, Some(1e4)), "nobody knows them alone");
        assert_eq!(rates(&knee(&steps(failed))).0, Some(1e4), "a refusal is an answer");
        for lost in [failed, timeouts] {
            let knee = knee_beside(good(3000), &steps(lost));
            assert_eq!(rates(&knee), (None, Some(1e4)));
            let why = knee.why.expect("it broke");
            assert!(why.ends_with("one at a time 0.00 %"), "{why}");
        }
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

    /// Answers that take 2.2 ms, until a server that is asked too often refuses at once.
    #[test]
    fn quick_refusals_and_silence_are_no_best_step() {
        let kept = (1_000.0, failed(10_000, 100), 2_200.0);
        let refusing = (20_000.0, failed(10_000, 9_100), 150.0);
        assert_eq!(rates(&knee(&[kept, refusing])), (Some(1_000.0), Some(20_000.0)));
        // Where all is lost nothing is left to fail.
        let silent = (20_000.0, timeouts(10_000, 10_000), 150.0);
        assert_eq!(rates(&knee(&[kept, silent])), (Some(1_000.0), Some(20_000.0)));
    }

    #[test]
    fn a_spoiled_step_hides_none_above_it_and_the_lowest_may_be_too_high() {
        let slow = |rate| (rate, good(1000), 900.0);
        let quick = |rate| (rate, good(1000), 50.0);
        let steps = [quick(100.0), slow(200.0), quick(300.0), slow(400.0)];
        assert_eq!(rates(&knee(&steps)), (Some(300.0), Some(400.0)));
        assert_eq!(knee(&steps).not_kept_per_second, [200.0], "and not 400, which is above");
        assert_eq!(rates(&knee(&[(100.0, timeouts(1000, 999), 50.0)])), (None, Some(100.0)));
        assert_eq!(Knee::of(&[], DURATION_S, None), None);
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
            // 5 % of the time explains 10 % more lost, and no more.
            (lost(1_000), 200.0, true, None),
            (lost(1_001), 200.0, false, Some(200.0)),
        ] {
            let mut steps = [step(quick), step(second)];
            (steps[0].number, steps[1].number) = (1, 2);
            steps[1].trouble.stalled_ms = stalled_ms;
            let knee = Knee::of(&steps, DURATION_S, None).expect("steps");
            assert_eq!(knee.stalled, if is_left_out { vec![2] } else { vec![] }, "{stalled_ms}");
            assert_eq!(knee.broken_per_second, broken, "{stalled_ms}");
            let kept = if is_left_out || broken.is_some() { 100.0 } else { 200.0 };
            assert_eq!(knee.per_second, Some(kept), "{stalled_ms}");
        }
        let mut only = step((100.0, timeouts(1000, 20), 50.0));
        only.trouble.stalled_ms = 500.0;
        let nothing = Knee::of(&[only], DURATION_S, None).expect("a step");
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
        assert_eq!(slow.too_few, [1]);
    }
}
