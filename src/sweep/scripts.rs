//! The reaper's thread beside the shards, where a sweep has scripts to run.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::{Builder, JoinHandle};

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};

use crate::fleet::{Fleet, ProbeSpec};
use crate::outcome::Assignment;
use crate::reaper;
use crate::reaper::link::{ReaperConfig, ReaperLinks, ReaperReport};

/// Reports on their way to the aggregator: each may have the end of two streams with it.
const REPORTS_IN_FLIGHT: usize = 256;

/// Batches of scripts on their way to a reaper that takes only what it starts.
const BATCHES_IN_FLIGHT: usize = 4;

/// A reaper at work.
pub(super) struct Scripts {
    thread: JoinHandle<()>,
    pub(super) reports: Receiver<ReaperReport>,
}

/// Starts a reaper, and gives where its scripts go; `None` for a fleet without scripts, which needs no
/// other process. `ready` goes when the reaper is.
///
/// # Errors
/// The kernel gave no thread.
pub(super) fn start(
    fleet: Option<&Arc<Fleet>>,
    config: &ReaperConfig,
    ready: Option<Sender<()>>,
    halt: &Arc<AtomicBool>,
) -> io::Result<Option<(Scripts, Sender<Vec<Assignment>>)>> {
    let is_script = |spec: &ProbeSpec| matches!(spec, ProbeSpec::Misc(_));
    let Some(fleet) = fleet.filter(|fleet| fleet.specs.iter().any(is_script)) else {
        return Ok(None);
    };
    // A queue with an end would make the feeder wait for slow scripts, and the shards for the feeder. Its
    // entries are far smaller than the checkers they come from.
    // In a span they are gone through without end, so there the feeder has to wait, and there are no shards.
    let (assignments_in, assignments) = match config.span {
        None => unbounded(),
        Some(_) => bounded(BATCHES_IN_FLIGHT),
    };
    let (reports_in, reports) = bounded(REPORTS_IN_FLIGHT);
    let links = ReaperLinks { assignments, reports: reports_in, ready, stop: Arc::clone(halt) };
    let (fleet, config) = (Arc::clone(fleet), config.clone());
    let thread = Builder::new()
        .name("reaper".to_owned())
        .spawn(move || reaper::run(fleet, config, links))?;
    Ok(Some((Scripts { thread, reports }, assignments_in)))
}

impl Scripts {
    /// Waits for the thread, which ends by itself once its input has, or the sweep was stopped. False when it
    /// panicked.
    pub(super) fn join(self) -> bool {
        drop(self.reports);
        self.thread.join().is_ok()
    }
}
