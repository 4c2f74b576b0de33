//! What runs inside a shard's thread, and on which core.

use std::sync::Arc;

use nix::sched::{CpuSet, sched_getaffinity};
use nix::unistd::Pid;

use crate::fleet::ProbeSpec;
use crate::shard::link::{Links, ShardConfig};

/// A kind of shard. The sweep only knows the channels of [`Links`].
pub trait Backend: Send + Sync {
    /// How reports call it.
    fn name(&self) -> &'static str;

    /// Runs one shard on the calling thread until its input ends or it is stopped, and tells
    /// `links.reports` how it ended.
    fn run_shard(&self, specs: Arc<[ProbeSpec]>, config: ShardConfig, links: Links);
}

/// Shards over io_uring.
#[derive(Copy, Clone, Debug)]
pub struct IoUring;

impl Backend for IoUring {
    fn name(&self) -> &'static str {
        "io_uring"
    }

    /// Stands in for making a `UringRing` here and giving it to `shard::run`.
    fn run_shard(&self, _specs: Arc<[ProbeSpec]>, config: ShardConfig, links: Links) {
        let error = crate::ring::RingError::Unavailable {
            reason: "this build has no ring".to_owned(),
            remedy: "join the shard to the sweep".to_owned(),
        };
        // The aggregator outlives the shards; if it is gone, nobody is left to tell.
        let _ = links.reports.send(crate::shard::link::Report::Ended(config.id, Err(error)));
    }
}

/// The cores this process may run on, ascending; empty where the kernel does not say.
pub fn available_cpus() -> Vec<usize> {
    sched_getaffinity(Pid::from_raw(0)).map_or_else(
        |_| Vec::new(),
        |set| (0..CpuSet::count()).filter(|&cpu| set.is_set(cpu).unwrap_or(false)).collect(),
    )
}
