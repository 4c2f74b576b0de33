//! What a run was limited by: what would have to change for more checks a second.

use serde::Serialize;

use super::result::{CpuByRole, ProbeCounts, Trouble};
use crate::aggregate::Summary;
use crate::sink::counted;

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
    pub(super) cores: Cores,
    /// Half the probes took at most this long, from their beginning; ours to wait before it is not in it.
    pub(super) service_us: Option<f64>,
    /// The same with one probe at a time.
    pub(super) idle_us: Option<f64>,
    pub(super) window: u32,
    pub(super) are_scripts: bool,
}

/// Who kept how many cores busy, and how many each could have used.
#[derive(Copy, Clone, Debug)]
pub(super) struct Cores {
    /// Of the whole process, and of the scripts it ran.
    pub(super) process: f64,
    /// Of its threads by what they do; `None` where that is not known.
    pub(super) by_role: Option<CpuByRole>,
    /// Shards there were; a shard is one thread.
    pub(super) of_shards: usize,
    /// That this process may run on, at least 1.
    pub(super) available: usize,
}

impl Cores {
    /// Who was as busy as can be, and what to do about it. Shards are held against what shards can use, as
    /// what other threads use cannot make a shard full; the whole process against all it may run on, where
    /// its threads take each other's cores.
    fn full(&self) -> Option<String> {
        let Cores { process, by_role, of_shards, available } = *self;
        if process >= BUSY * available as f64 {
            return Some(format!(
                "{process:.2} of the {} this process may use were busy; give it more",
                counted(available as u64, "core"),
            ));
        }
        let role = by_role?;
        if of_shards > 0 && role.shards >= BUSY * of_shards as f64 {
            return Some(format!(
                "the {} kept {:.2} cores busy, which is all they can; raise --shards",
                counted(of_shards as u64, "shard"),
                role.shards,
            ));
        }
        let alone = [
            ("feeder", "hands out targets", role.feeder),
            ("aggregator", "counts what ended", role.aggregator),
        ];
        alone.into_iter().find(|(.., busy)| *busy >= BUSY).map(|(name, does, busy)| {
            format!(
                "the thread that {does} ({name}) was {:.0} % busy, and there is one",
                100.0 * busy
            )
        })
    }
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
    if let Some(why) = evidence.cores.full() {
        return by("cpu", why);
    }
    if is_most(&["cpu", "output"]) {
        let Cores { process, available, .. } = evidence.cores;
        return by(
            "cpu",
            format!(
                "there was always more to do, and this process got {process:.2} of {}: something else \
                 uses them",
                counted(available as u64, "core"),
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
