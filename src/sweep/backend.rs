//! What runs inside a shard's thread, and on which core.

use std::sync::Arc;

use nix::sched::{CpuSet, sched_getaffinity};
use nix::sys::resource::{Resource, getrlimit};
use nix::unistd::Pid;

use crate::ring::uring::{RingConfig, UringRing};
use crate::shard::link::{Links, Report, ShardConfig};
use crate::shard::{self, PreparedSpec};

/// A kind of shard. The sweep only knows the channels of [`Links`].
pub trait Backend: Send + Sync {
    /// How reports call it.
    fn name(&self) -> &'static str;

    /// Runs one shard on the calling thread until its input ends or it is stopped, and tells
    /// `links.reports` how it ended.
    fn run_shard(&self, specs: Arc<[PreparedSpec]>, config: ShardConfig, links: Links);
}

/// Shards over io_uring.
#[derive(Copy, Clone, Debug)]
pub struct IoUring;

impl Backend for IoUring {
    fn name(&self) -> &'static str {
        "io_uring"
    }

    fn run_shard(&self, specs: Arc<[PreparedSpec]>, config: ShardConfig, links: Links) {
        // Made here, because a ring never leaves its thread.
        match UringRing::new(&RingConfig { slots: config.window }) {
            Ok(ring) => shard::run(ring, specs, config, links),
            Err(error) => {
                // The aggregator outlives the shards; if it is gone, nobody is left to tell.
                let _ = links.reports.send(Report::Ended(config.id, Err(error)));
            }
        }
    }
}

/// The cores this process may run on, ascending; empty where the kernel does not say.
pub fn available_cpus() -> Vec<usize> {
    cpus_of(0)
}

/// The cores another process may run on, or this one where its number is 0; ascending, and empty where the kernel does
/// not say.
pub fn cpus_of(process: u32) -> Vec<usize> {
    sched_getaffinity(Pid::from_raw(process.cast_signed())).map_or_else(
        |_| Vec::new(),
        |set| (0..CpuSet::count()).filter(|&cpu| set.is_set(cpu).unwrap_or(false)).collect(),
    )
}

/// Descriptors kept back for what a run opens beside rings and sockets.
const DESCRIPTORS_KEPT: u32 = 8;

/// Descriptors this process may still open, less a reserve.
pub(super) fn descriptors_left() -> u32 {
    let (soft, _) = getrlimit(Resource::RLIMIT_NOFILE).unwrap_or((1024, 1024));
    let open = std::fs::read_dir("/proc/self/fd").map_or(16, |entries| entries.count() as u32);
    u32::try_from(soft).unwrap_or(u32::MAX).saturating_sub(open + DESCRIPTORS_KEPT)
}
