//! Where a ramp bends: the highest rate that was kept, and what went wrong above it.

use serde::Serialize;

use super::result::RunResult;

/// At most this share of the probes may be lost; those that were never begun are.
const LOST_SHARE: f64 = 0.001;
/// And 90 of 100 may take at most so many times as long as at the best step.
const SLOWER: f64 = 5.0;

/// The knee of a ramp.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Knee {
    /// The highest rate that was kept; `None` where even the lowest was not.
    pub per_second: Option<f64>,
    /// The next rate above it; `None` where every rate was kept.
    pub broken_per_second: Option<f64>,
    /// What was wrong there.
    pub why: Option<String>,
}

impl Knee {
    /// Of the steps of a ramp, in any order; `None` of none.
    pub(super) fn of(steps: &[RunResult]) -> Option<Knee> {
        let best = (steps.iter().filter_map(|step| step.latency_us))
            .map(|latency| latency.p90)
            .min_by(f64::total_cmp);
        let mut judged: Vec<(f64, Option<String>)> = steps
            .iter()
            .filter_map(|step| Some((step.asked_per_second?, what_is_wrong(step, best))))
            .collect();
        judged.sort_by(|left, right| left.0.total_cmp(&right.0));
        if judged.is_empty() {
            return None;
        }
        // A step that a noisy moment spoiled does not hide the better ones above it.
        let kept = judged.iter().rposition(|(_, wrong)| wrong.is_none());
        let broken = judged.get(kept.map_or(0, |kept| kept + 1));
        Some(Knee {
            per_second: kept.map(|kept| judged[kept].0),
            broken_per_second: broken.map(|(rate, _)| *rate),
            why: broken.and_then(|(_, wrong)| wrong.clone()),
        })
    }
}

/// Why a rate was not kept; `None` if it was.
fn what_is_wrong(step: &RunResult, best_p90_us: Option<f64>) -> Option<String> {
    let unsent = step.probes.unsent as f64 / step.probes.due.max(1) as f64;
    if unsent > LOST_SHARE {
        return Some(format!("{:.1} % of the probes were never begun", 100.0 * unsent));
    }
    let lost = step.probes.lost_share();
    if lost > LOST_SHARE {
        return Some(format!("{:.2} % of the probes were lost", 100.0 * lost));
    }
    let (latency, best) = (step.latency_us?, best_p90_us?);
    (latency.p90 > SLOWER * best).then(|| {
        format!("p90 was {:.1} times that of the best step", latency.p90 / best.max(f64::EPSILON))
    })
}
