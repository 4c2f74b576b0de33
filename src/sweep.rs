//! One sweep: feeder, shards, aggregator and sink put together; the library's entry.
//!
//! ```text
//! Input ─▶ feeder thread ─▶ shard-0 ─┐
//!               ├─────────▶ shard-1 ─┼▶ aggregator (the caller's thread) ─▶ Sink, Progress
//!               └─────────▶ reaper ──┘
//! ```
//!
//! All channels are bounded, so a slow sink slows the shards, and slow shards slow the feeder: memory
//! stays the same whatever the input's length. Only the channel to the reaper has no bound, so that
//! slow scripts slow nobody, but in a span: there scripts are all there is. Every thread has ended when [`run`] returns, but for a feeder that hangs in a read of the
//! input when the sweep was stopped: it ends with that read.

mod backend;
mod collector;
mod feeder;
mod feeder_thread;
mod request;
mod scripts;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::Builder;

use crossbeam_channel::bounded;

pub use self::backend::{Backend, IoUring, available_cpus, cpus_of};
use self::collector::{Collector, Returns};
pub use self::feeder::Part;
use self::feeder::{BATCHES_IN_FLIGHT, BATCHES_OF_A_SHARD};
use self::feeder_thread::FeederThread;
pub use self::request::{
    Addresses, BadTarget, Exclude, Input, ListSpecs, Progress, SOCKETS_PER_LANE_DEFAULT, Standing,
    SweepError, SweepRequest, Windows,
};
use self::scripts::Scripts;
use crate::aggregate::{Catalog, Summary};
use crate::fleet::ProbeSpec;
use crate::id::ShardId;
use crate::shard;
pub use crate::shard::group_wait_max;
use crate::shard::link::{Links, REPORTS_IN_FLIGHT, ShardConfig};
use crate::sink::{RunInfo, Sink, rfc3339};
use crate::tick::{WallClock, monotonic_now};

/// The ring itself; its sockets come on top.
const DESCRIPTORS_OF_A_RING: u32 = 1;

/// Sweeps through io_uring. Blocks until the sweep has ended, or was stopped by `stop`.
///
/// # Errors
/// See [`SweepError`]. Shards that fail while others go on are no error but part of the summary.
pub fn run(
    request: SweepRequest,
    stop: Arc<AtomicBool>,
    progress: &mut dyn Progress,
    sink: &mut dyn Sink,
) -> Result<Summary, SweepError> {
    run_with(Arc::new(IoUring), request, stop, progress, sink)
}

/// The same with shards of another kind.
///
/// # Errors
/// As [`run`].
pub fn run_with(
    backend: Arc<dyn Backend>,
    request: SweepRequest,
    stop: Arc<AtomicBool>,
    progress: &mut dyn Progress,
    sink: &mut dyn Sink,
) -> Result<Summary, SweepError> {
    let (catalog, config, total) = match &request.input {
        Input::Fleet { fleet, path } => {
            if fleet.checkers.is_empty() {
                return Err(SweepError::NothingToProbe { excluded: 0 });
            }
            let total = request.part.share_of(fleet.checkers.len() as u64);
            (Catalog::of_fleet(Arc::clone(fleet)), Some(path.display().to_string()), Some(total))
        }
        Input::Targets { specs, .. } => (Catalog::of_list(specs.table()), None, None),
    };
    let prepared = shard::prepare(catalog.specs())?;
    let is_script = |spec: &ProbeSpec| matches!(spec, ProbeSpec::Misc(_));
    let has_only_scripts = catalog.specs().iter().all(is_script);
    if request.span.is_some() && !has_only_scripts && catalog.specs().iter().any(is_script) {
        return Err(SweepError::ScriptsAmongOthers);
    }
    // Scripts alone need no ring, and so run where rings are forbidden.
    let windows = match has_only_scripts {
        true => Vec::new(),
        false => request.window.of_shards(request.shards),
    };
    let shards = windows.len();
    let wall = WallClock::read();
    let start = monotonic_now();
    let info = RunInfo {
        version: env!("CARGO_PKG_VERSION"),
        config,
        config_digest: catalog.fleet().map(|fleet| fleet.digest.clone()),
        seed: request.seed,
        shards,
        backend: backend.name(),
        started_at: rfc3339(wall.unix_ns(start)),
    };
    let mut collector = Collector::begin(sink, &info, catalog.clone(), (wall, start), total)
        .map_err(|error| SweepError::Output { error, summary: Box::default() })?;

    // Ours alone: it is also set by what goes wrong inside, and the caller's flag is the caller's.
    let halt = Arc::new(AtomicBool::new(false));
    let (ready_in, ready) = bounded(0);
    // Before the shards take descriptors: it needs a few of its own. Only a span waits until it has them.
    let reaper_ready = request.span.is_some().then(|| ready_in.clone());
    let scripts = scripts::start(catalog.fleet(), &request.scripts, reaper_ready, &halt);
    let (scripts, scripts_in) = match scripts {
        Ok(started) => started.unzip(),
        Err(error) => return Err(SweepError::Thread(error)),
    };
    let (reports_in, reports) = bounded(shards * REPORTS_IN_FLIGHT);
    let mut threads = Vec::with_capacity(shards);
    let mut assignments = Vec::with_capacity(shards);
    let mut returns = Vec::with_capacity(shards);
    let (spent_in, spent) = bounded(shards * (BATCHES_OF_A_SHARD + 1) + 1);
    for config in shard_configs(&request, &windows, collector.records_passes()) {
        let (assignments_in, assignments_out) = bounded(BATCHES_IN_FLIGHT);
        let (empties_in, empties_out) = bounded(REPORTS_IN_FLIGHT + 1);
        let (old_stats_in, old_stats) = bounded(2);
        let links = Links {
            assignments: assignments_out,
            spent: spent_in.clone(),
            reports: reports_in.clone(),
            empties: empties_out,
            old_stats,
            ready: ready_in.clone(),
            stop: Arc::clone(&halt),
        };
        let id = config.id;
        let (backend, specs) = (Arc::clone(&backend), Arc::clone(&prepared));
        let thread = Builder::new()
            .name(format!("shard-{id}"))
            .spawn(move || backend.run_shard(specs, config, links));
        match thread {
            Ok(thread) => threads.push((id, thread)),
            Err(error) => {
                collector.aggregator.shard_failed(id, format!("no thread for the shard: {error}"));
            }
        }
        assignments.push(assignments_in);
        returns.push(Returns { empties: empties_in, old_stats: old_stats_in });
    }
    // The reports end when the last shard drops its sender.
    drop(reports_in);
    // Nobody sends: it ends when every shard has its ring and the reaper its process, or has failed to get one.
    drop(ready_in);
    let _ = ready.recv();
    if let Some(span) = &request.span {
        span.begin(monotonic_now());
    }

    let to_shards = (assignments, spent);
    let feeder = FeederThread::start(request, catalog.specs(), to_shards, scripts_in, &halt);
    let feeder = match feeder {
        Ok(feeder) => feeder,
        Err(error) => {
            halt.store(true, Ordering::Relaxed);
            for (_, thread) in threads {
                // The senders are gone, so every shard sees the end of its input.
                let _ = thread.join();
            }
            scripts.map(Scripts::join);
            return Err(SweepError::Thread(error));
        }
    };
    let script_reports = scripts.as_ref().map(|scripts| &scripts.reports);
    let interrupted = collector.collect(&reports, script_reports, &returns, &stop, &halt, progress);
    drop(reports);
    if scripts.is_some_and(|scripts| !scripts.join()) {
        collector.aggregator.reaper_failed("the reaper panicked".to_owned());
    }
    for (id, thread) in threads {
        let has_failed =
            collector.aggregator.failures().iter().any(|failure| failure.shard == id.0);
        if thread.join().is_err() && !has_failed {
            collector.aggregator.shard_failed(id, "the shard panicked".to_owned());
        }
    }
    let was_stopped = interrupted || collector.has_lost_output();
    // Without a shard left, nobody waits for the input either.
    let all_failed = shards > 0 && collector.aggregator.failures().len() >= shards;
    let (tally, bad_target) = feeder.end(was_stopped || all_failed);
    progress.end();
    collector.conclude(&tally, interrupted, bad_target, shards)
}

/// One for each of `windows`.
fn shard_configs(
    request: &SweepRequest,
    windows: &[u32],
    records_passes: bool,
) -> Vec<ShardConfig> {
    let shards = windows.len();
    let cpus = available_cpus();
    let sockets_max = backend::descriptors_left() / shards.max(1) as u32;
    (0_usize..)
        .zip(windows)
        .map(|(shard, window)| ShardConfig {
            id: ShardId(shard as u32),
            // Two shards pinned to one core would take turns; they had better float.
            cpu: if shards <= cpus.len() { cpus.get(shard).copied() } else { None },
            window: *window,
            pace: request.pace.of_shard(shard, shards),
            span: request.span.clone(),
            sockets_per_lane: request.sockets_per_lane,
            receive_buffer: request.receive_buffer,
            // Every shard gets at least one, and its own error where even that is too many.
            sockets_max: sockets_max.saturating_sub(DESCRIPTORS_OF_A_RING).max(1),
            seed: request.seed,
            records_passes,
        })
        .collect()
}
