//! What a run was limited by: what would have to change for more checks a second.

use serde::Serialize;

use super::result::{ProbeCounts, Trouble};
use crate::aggregate::Summary;

/// Cores that are this busy are full.
const BUSY: f64 = 0.92;
/// Answers that take this many times as long as one at a time have waited in a queue.
const QUEUED: f64 = 2.0;
/// A rate is kept when at most this share of it is missing.
const MISSED_SHARE: f64 = 0.01;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LimitedBy {
    /// `cpu`, `rate`, `window`, `socket_buffer`, `target`, `sockets` or `jobs`.
    pub what: &'static str,
    /// How that is known, and what to do about it.
    pub why: String,
}

/// What is known of a run when it is judged.
pub(super) struct Evidence<'a> {
    pub(super) summary: &'a Summary,
    pub(super) probes: ProbeCounts,
    pub(super) trouble: Trouble,
    pub(super) is_open_loop: bool,
    /// Cores that were busy, and how many the shards could have used.
    pub(super) cores_busy: f64,
    pub(super) cores: f64,
    /// Half the probes took at most this long, from their beginning; ours to wait before it is not in it.
    pub(super) service_us: Option<f64>,
    /// The same with one probe at a time.
    pub(super) idle_us: Option<f64>,
    pub(super) window: u32,
    pub(super) are_scripts: bool,
}

/// Judges a run.
pub(super) fn limited_by(evidence: &Evidence<'_>) -> LimitedBy {
    let Evidence { summary, probes, .. } = evidence;
    let by = |what, why: String| LimitedBy { what, why };
    let missed = (probes.unsent + probes.unknown) as f64 / probes.due.max(1) as f64;
    if evidence.is_open_loop && missed <= MISSED_SHARE {
        return by("rate", "every probe began in its time; ask for more with --rate".to_owned());
    }
    let ms = |name: &str| summary.limited_ms.get(name).copied().unwrap_or(0);
    let waited = |names: &[&str]| names.iter().map(|name| ms(name)).sum::<u64>();
    let all = waited(&["window", "cpu", "sockets", "receive_buffer", "send_queue", "output"]);
    let is_most = |names: &[&str]| all > 0 && 2 * waited(names) > all;
    if is_most(&["receive_buffer", "send_queue"]) {
        return by(
            "socket_buffer",
            format!(
                "the window was cut because buffers of this machine overflowed ({} datagrams dropped); \
                 raise --receive-buffer or net.core.rmem_max",
                evidence.trouble.receive_drops
            ),
        );
    }
    let (busy, cores) = (evidence.cores_busy, evidence.cores);
    if busy >= BUSY * cores {
        return by(
            "cpu",
            format!("{busy:.2} of {cores:.0} cores of this process were busy; give it more"),
        );
    }
    if is_most(&["cpu", "output"]) {
        return by(
            "cpu",
            format!(
                "there was always more to do, and this process got {busy:.2} of {cores:.0} cores: \
                 something else uses them"
            ),
        );
    }
    if is_most(&["sockets"]) {
        return by("sockets", "no more descriptors or ports; raise `ulimit -n`".to_owned());
    }
    let flag = if evidence.are_scripts { "jobs" } else { "window" };
    match (evidence.service_us, evidence.idle_us) {
        (Some(service), Some(idle)) if service > QUEUED * idle => by(
            "target",
            format!(
                "with up to {} probes in flight half of them took {:.0} µs, one at a time {:.0} µs: \
                 they wait in the target or on the way",
                evidence.window, service, idle
            ),
        ),
        (_, None) => by("target", "one at a time, none was answered in its time".to_owned()),
        _ => by(
            flag,
            format!(
                "the target answered as fast as one at a time; more than {} in flight would be more a second",
                evidence.window
            ),
        ),
    }
}
