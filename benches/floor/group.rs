//! How the ring floors wait: for a group of completions, as the engine does, which saves calls.

use std::time::Duration;

use crate::common::Plan;

/// How long a group is waited for.
pub(crate) const PATIENCE: Duration = Duration::from_micros(500);

/// For how many completions to wait with so many probes in flight.
pub(crate) fn want(plan: &Plan, in_flight: usize) -> usize {
    let group = usize::from(plan.group);
    if in_flight >= 8 * group { group } else { 1 }
}
