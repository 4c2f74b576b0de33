//! One sweep: feeder, shards, aggregator and sink put together; the library's entry.
//!
//! ```text
//! Input ─▶ feeder thread ─▶ shard-0 ─┐
//!               └─────────▶ shard-1 ─┴▶ aggregator (the caller's thread) ─▶ Sink, Progress
//! ```
//!
//! All channels are bounded, so a slow sink slows the shards, and slow shards slow the feeder: memory
//! stays the same whatever the input's length. Every thread has ended when [`run`] returns, but for
//! a feeder that hangs in a read of the input when the sweep was stopped: it ends with that read.

mod backend;
mod feeder;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use hdrhistogram::Histogram;

pub use self::backend::{Backend, IoUring, available_cpus};
pub use self::feeder::Part;
use self::feeder::{BATCHES_IN_FLIGHT, Feeder, Tally};
use crate::aggregate::{Aggregator, Catalog, Counts, ShardFailure, Summary};
use crate::fleet::{Fleet, ProbeSpec};
use crate::id::{ShardId, SpecId};
use crate::outcome::{Assignment, Record};
use crate::shard;
use crate::shard::link::{Links, Report, ShardConfig};
use crate::sink::{Context, RunInfo, Sink, SinkError, rfc3339};
use crate::tick::{Tick, WallClock, monotonic_now};
use crate::wire::dns::QueryError;

/// Attempts after the first where neither the command line nor the configuration says.
pub const DEFAULT_RETRIES: u16 = 2;

/// Batches of records on their way to the aggregator, per shard.
const REPORTS_IN_FLIGHT: usize = 8;
/// How long a stop may go unnoticed while no report arrives.
const STOP_POLL: Duration = Duration::from_millis(20);
/// Between two updates of the progress.
const PROGRESS_EVERY: Duration = Duration::from_millis(100);
/// Between two flushes of the sink.
const FLUSH_EVERY: Duration = Duration::from_secs(1);
/// How long a stopped feeder may take before it is left to end by itself.
const FEEDER_GRACE: Duration = Duration::from_millis(250);

/// What to sweep, and how.
#[derive(Debug)]
pub struct SweepRequest {
    /// Whom to probe.
    pub input: Input,
    /// Which part of the input.
    pub part: Part,
    /// Addresses to leave out.
    pub exclude: Option<Exclude>,
    /// Whether a bad line is counted instead of ending the sweep.
    pub skip_bad: bool,
    /// Attempts after the first; `None` for what the configuration says, else [`DEFAULT_RETRIES`].
    pub retries: Option<u16>,
    /// Shards, at least 1.
    pub shards: usize,
    /// Most attempts in flight per shard.
    pub window: u32,
    /// Most attempts per second of all shards together.
    pub rate: Option<f64>,
    /// UDP sockets per lane.
    pub sockets_per_lane: u32,
    /// SO_RCVBUF of UDP sockets in bytes.
    pub receive_buffer: Option<usize>,
    /// Seed of transaction ids; `None` takes it from the operating system.
    pub seed: Option<u64>,
}

impl SweepRequest {
    /// A sweep of `input` with every setting at its default.
    pub fn new(input: Input) -> SweepRequest {
        SweepRequest {
            input,
            part: Part::WHOLE,
            exclude: None,
            skip_bad: false,
            retries: None,
            shards: available_cpus().len().max(1),
            window: 4096,
            rate: None,
            sockets_per_lane: 8,
            receive_buffer: None,
            seed: None,
        }
    }
}

/// Whom to probe.
pub enum Input {
    /// Every checker of a configuration.
    Fleet {
        /// The configuration.
        fleet: Arc<Fleet>,
        /// Where it was read from, for the report.
        path: PathBuf,
    },
    /// A list of addresses, read while the sweep runs.
    Targets {
        /// The addresses.
        addresses: Addresses,
        /// How to probe them.
        specs: Box<ListSpecs>,
    },
}

/// How to probe the addresses of a list, by family; `None` where no source address fits them.
#[derive(Clone, Debug)]
pub struct ListSpecs {
    /// IPv4 addresses.
    pub ipv4: Option<ProbeSpec>,
    /// IPv6 addresses.
    pub ipv6: Option<ProbeSpec>,
}

impl ListSpecs {
    /// In the order of the [`SpecId`]s of [`ListSpecs::id`]; one where both families have the same.
    fn table(&self) -> Vec<ProbeSpec> {
        match (&self.ipv4, &self.ipv6) {
            (Some(ipv4), Some(ipv6)) if ipv4 == ipv6 => vec![ipv4.clone()],
            _ => self.ipv4.iter().chain(&self.ipv6).cloned().collect(),
        }
    }

    /// The spec of a family's addresses.
    fn id(&self, is_ipv4: bool) -> Option<SpecId> {
        let spec = if is_ipv4 { self.ipv4.as_ref() } else { self.ipv6.as_ref() }?;
        let position = self.table().iter().position(|known| known == spec)?;
        Some(SpecId(position as u32))
    }
}

impl std::fmt::Debug for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Input::Fleet { path, .. } => f.debug_tuple("Fleet").field(path).finish(),
            Input::Targets { .. } => f.write_str("Targets"),
        }
    }
}

/// Addresses as they come out of a target list.
pub type Addresses = Box<dyn Iterator<Item = Result<SocketAddr, BadTarget>> + Send>;

/// Addresses to leave out.
pub struct Exclude(pub Box<dyn Fn(IpAddr) -> bool + Send>);

impl std::fmt::Debug for Exclude {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Exclude")
    }
}

/// Why an entry of a target list cannot be probed.
#[derive(Debug, thiserror::Error)]
pub enum BadTarget {
    /// The line is not a target; it can be skipped. The text names file and line.
    #[error("{0}")]
    Line(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The list cannot be read any further.
    #[error("{0}")]
    Read(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Source addresses were given, none of them of the target's family. It can be skipped.
    #[error("target {0}: no --bindto address is of its family")]
    Family(SocketAddr),
    /// Its line has no port and there is none for all lines. It can be skipped.
    #[error("target {0} has no port, and there is no --port")]
    Port(IpAddr),
}

/// Why a sweep gave no full result. Where probes had ended, the summary of those is there.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// The input asks for nothing that can be probed.
    #[error("nothing to probe: no target, and no checker of a kind that can be probed")]
    NothingToProbe,
    /// The target list is bad.
    #[error("{error}")]
    Target {
        /// Where and why.
        #[source]
        error: BadTarget,
        /// What was found before.
        summary: Box<Summary>,
    },
    /// No shard could run.
    #[error("the engine could not run: {}", failures_in_words(failures))]
    Engine {
        /// What every shard said.
        failures: Vec<ShardFailure>,
        /// What was found before.
        summary: Box<Summary>,
    },
    /// The sink could not write.
    #[error("{error}")]
    Output {
        /// Where and why.
        #[source]
        error: SinkError,
        /// What was found, written or not.
        summary: Box<Summary>,
    },
    /// A question has no form on the wire.
    #[error(transparent)]
    Question(#[from] QueryError),
    /// The feeder's thread could not be started.
    #[error("no thread for the feeder: {0}")]
    Thread(#[source] std::io::Error),
}

/// Each different error once, with the shards that said it.
fn failures_in_words(failures: &[ShardFailure]) -> String {
    let mut texts: Vec<&str> = failures.iter().map(|failure| failure.error.as_str()).collect();
    texts.sort_unstable();
    texts.dedup();
    texts.join("; ")
}

/// Someone who is told how the sweep goes, on the aggregator's thread.
pub trait Progress {
    /// About ten times a second.
    fn update(&mut self, now: &Standing);

    /// The sweep ended; whatever is on the screen goes away.
    fn end(&mut self) {}
}

/// Nobody is told.
impl Progress for () {
    fn update(&mut self, _now: &Standing) {}
}

/// How a sweep stands.
#[derive(Copy, Clone, Debug)]
pub struct Standing {
    /// Since the shards started.
    pub elapsed: Duration,
    /// Outcomes so far.
    pub counts: Counts,
    /// Probes in all, where that is known.
    pub total: Option<u64>,
    /// The windows of all shards together; 0 until they first told.
    pub window: u64,
}

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
    let shards = request.shards.max(1);
    let (catalog, config, total) = match &request.input {
        Input::Fleet { fleet, path } => {
            if fleet.checkers.is_empty() {
                return Err(SweepError::NothingToProbe);
            }
            let total = request.part.share_of(fleet.checkers.len() as u64);
            (Catalog::of_fleet(Arc::clone(fleet)), Some(path.display().to_string()), Some(total))
        }
        Input::Targets { specs, .. } => (Catalog::of_list(specs.table()), None, None),
    };
    let prepared = shard::prepare(catalog.specs())?;
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
    let mut collector = Collector {
        aggregator: Aggregator::new(catalog.clone(), shards),
        context_wall: wall,
        sink,
        sink_error: None,
        total,
        start,
        last_record: start,
        intervals: None,
    };
    if let Err(error) = collector.sink.begin(&info) {
        return Err(SweepError::Output { error, summary: Box::default() });
    }
    if collector.sink.wants_intervals() {
        collector.intervals = Some(Intervals { since: start, latency: None });
    }

    // Ours alone: it is also set by what goes wrong inside, and the caller's flag is the caller's.
    let halt = Arc::new(AtomicBool::new(false));
    let (reports_in, reports) = bounded(shards * REPORTS_IN_FLIGHT);
    let mut threads = Vec::with_capacity(shards);
    let mut assignments = Vec::with_capacity(shards);
    let mut empties = Vec::with_capacity(shards);
    for config in shard_configs(&request, shards) {
        let (assignments_in, assignments_out) = bounded(BATCHES_IN_FLIGHT);
        let (empties_in, empties_out) = bounded(shards * REPORTS_IN_FLIGHT);
        let links = Links {
            assignments: assignments_out,
            reports: reports_in.clone(),
            empties: empties_out,
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
        empties.push(empties_in);
    }
    // The reports end when the last shard drops its sender.
    drop(reports_in);

    let feeder = FeederThread::start(request, catalog.specs(), assignments, &halt);
    let feeder = match feeder {
        Ok(feeder) => feeder,
        Err(error) => {
            halt.store(true, Ordering::Relaxed);
            for (_, thread) in threads {
                // The senders are gone, so every shard sees the end of its input.
                let _ = thread.join();
            }
            return Err(SweepError::Thread(error));
        }
    };
    let interrupted = collector.collect(&reports, &empties, &stop, &halt, progress);
    drop(reports);
    for (id, thread) in threads {
        let has_failed =
            collector.aggregator.failures().iter().any(|failure| failure.shard == id.0);
        if thread.join().is_err() && !has_failed {
            collector.aggregator.shard_failed(id, "the shard panicked".to_owned());
        }
    }
    let (tally, bad_target) = feeder.end();
    progress.end();
    collector.conclude(&tally, interrupted, bad_target, shards)
}

fn shard_configs(request: &SweepRequest, shards: usize) -> Vec<ShardConfig> {
    let cpus = available_cpus();
    (0..shards)
        .map(|shard| ShardConfig {
            id: ShardId(shard as u32),
            // Two shards pinned to one core would take turns; they had better float.
            cpu: if shards <= cpus.len() { cpus.get(shard).copied() } else { None },
            window: request.window,
            rate: request.rate.map(|rate| rate / shards as f64),
            sockets_per_lane: request.sockets_per_lane,
            receive_buffer: request.receive_buffer,
            // Shards must not use the same ids in the same order.
            seed: request.seed.map(|seed| seed.wrapping_add(shard as u64)),
        })
        .collect()
}

/// The feeder's thread, and how its end is learnt without waiting for it.
struct FeederThread {
    thread: JoinHandle<()>,
    tally: Arc<Tally>,
    /// Why it ended; empty until then.
    ended: Receiver<Option<BadTarget>>,
}

impl FeederThread {
    fn start(
        request: SweepRequest,
        specs: &Arc<[ProbeSpec]>,
        assignments: Vec<Sender<Vec<Assignment>>>,
        halt: &Arc<AtomicBool>,
    ) -> std::io::Result<FeederThread> {
        let tally = Arc::new(Tally::default());
        let (ended_in, ended) = bounded(1);
        let mut feeder = Feeder::new(specs, assignments, Arc::clone(halt), Arc::clone(&tally));
        feeder.part = request.part;
        feeder.exclude = request.exclude;
        feeder.skip_bad = request.skip_bad;
        feeder.retries = request.retries;
        let input = request.input;
        let halt = Arc::clone(halt);
        let thread = Builder::new().name("feeder".to_owned()).spawn(move || {
            let result = feeder.feed(input);
            if result.is_err() {
                halt.store(true, Ordering::Relaxed);
            }
            // There is room for one, and this is the only one.
            let _ = ended_in.send(result.err());
        })?;
        Ok(FeederThread { thread, tally, ended })
    }

    /// Joins the feeder, unless it hangs in a read of its input: nothing can interrupt that, and
    /// the shards have ended already.
    fn end(self) -> (Arc<Tally>, Option<BadTarget>) {
        let error = match self.ended.recv_timeout(FEEDER_GRACE) {
            Ok(error) => {
                // It has nothing left to do but return.
                let _ = self.thread.join();
                error
            }
            Err(RecvTimeoutError::Disconnected) => {
                let _ = self.thread.join();
                Some(BadTarget::Read("the feeder panicked".into()))
            }
            Err(RecvTimeoutError::Timeout) => None,
        };
        (self.tally, error)
    }
}

/// The aggregator's side of a sweep.
struct Collector<'a> {
    aggregator: Aggregator,
    context_wall: WallClock,
    sink: &'a mut dyn Sink,
    sink_error: Option<SinkError>,
    total: Option<u64>,
    start: Tick,
    /// When the last record arrived.
    last_record: Tick,
    intervals: Option<Intervals>,
}

/// What the last interval handed to the sink ended with.
struct Intervals {
    since: Tick,
    latency: Option<Histogram<u64>>,
}

impl Collector<'_> {
    /// Takes reports until every shard has ended. Returns whether `stop` was seen before.
    fn collect(
        &mut self,
        reports: &Receiver<Report>,
        empties: &[Sender<Vec<Record>>],
        stop: &AtomicBool,
        halt: &AtomicBool,
        progress: &mut dyn Progress,
    ) -> bool {
        let mut interrupted = false;
        let mut next_progress = self.start;
        let mut next_flush = self.start + FLUSH_EVERY;
        loop {
            match reports.recv_timeout(STOP_POLL) {
                Ok(report) => self.take(report, empties),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return interrupted,
            }
            let now = monotonic_now();
            if now >= next_progress {
                next_progress = now + PROGRESS_EVERY;
                progress.update(&self.standing(now));
            }
            if now >= next_flush {
                next_flush = now + FLUSH_EVERY;
                self.write_interval(now);
                self.write_sink(|sink| sink.flush());
            }
            if !interrupted && stop.load(Ordering::Relaxed) {
                interrupted = true;
                halt.store(true, Ordering::Relaxed);
            }
            if self.sink_error.is_some() {
                halt.store(true, Ordering::Relaxed);
            }
        }
    }

    fn take(&mut self, report: Report, empties: &[Sender<Vec<Record>>]) {
        match report {
            Report::Records(shard, mut batch) => {
                self.last_record = monotonic_now();
                self.aggregator.add_records(&batch);
                if self.sink_error.is_none() {
                    let context =
                        Context { catalog: self.aggregator.catalog(), wall: &self.context_wall };
                    self.sink_error = self.sink.records(&batch, &context).err();
                }
                batch.clear();
                if let Some(empties) = empties.get(shard.index()) {
                    // A shard that has ended, or has empties enough, does without this one.
                    let _ = empties.try_send(batch);
                }
            }
            Report::Stats(shard, stats) => self.aggregator.set_stats(shard, stats),
            Report::Ended(_, Ok(())) => {}
            Report::Ended(shard, Err(error)) => {
                self.aggregator.shard_failed(shard, error.to_string());
            }
        }
    }

    fn write_sink(&mut self, write: impl FnOnce(&mut dyn Sink) -> Result<(), SinkError>) {
        if self.sink_error.is_none() {
            self.sink_error = write(self.sink).err();
        }
    }

    fn standing(&self, now: Tick) -> Standing {
        Standing {
            elapsed: now.since(self.start),
            counts: self.aggregator.counts(),
            total: self.total,
            window: self.aggregator.window_now(),
        }
    }

    /// Hands the sink what the shards measured since the last time. Shards tell about once a second,
    /// so a latency may be counted one interval late, but never twice.
    fn write_interval(&mut self, now: Tick) {
        let Some(intervals) = &mut self.intervals else { return };
        let Some(latency) = self.aggregator.latency() else { return };
        let mut fresh = latency.clone();
        if let Some(before) = &intervals.latency
            && fresh.subtract(before).is_err()
        {
            return;
        }
        let (from, length) = (intervals.since.since(self.start), now.since(intervals.since));
        intervals.since = now;
        intervals.latency = Some(latency);
        self.write_sink(|sink| sink.interval(from, length, &fresh));
    }

    fn conclude(
        mut self,
        tally: &Tally,
        interrupted: bool,
        bad_target: Option<BadTarget>,
        shards: usize,
    ) -> Result<Summary, SweepError> {
        self.write_interval(monotonic_now());
        let feed = tally.counts();
        let elapsed = self.last_record.since(self.start);
        let mut summary = self.aggregator.summary(elapsed, feed);
        summary.total = self.total.map(|total| total.saturating_sub(feed.excluded));
        summary.interrupted = interrupted;

        let all_failed = summary.shard_failures.len() >= shards;
        let is_complete = bad_target.is_none() && !all_failed;
        if bad_target.is_none() && !all_failed && feed.seen == 0 && !interrupted {
            return Err(SweepError::NothingToProbe);
        }
        // An error before the first record leaves nothing worth a report.
        if self.sink_error.is_none() && (is_complete || summary.counts.probed > 0) {
            let catalog = self.aggregator.catalog().clone();
            let wall = self.context_wall;
            let context = Context { catalog: &catalog, wall: &wall };
            self.write_sink(|sink| sink.finish(&summary, &context));
        }
        match (self.sink_error, bad_target) {
            (Some(error), _) => Err(SweepError::Output { error, summary: Box::new(summary) }),
            (None, Some(error)) => Err(SweepError::Target { error, summary: Box::new(summary) }),
            (None, None) if all_failed => Err(SweepError::Engine {
                failures: summary.shard_failures.clone(),
                summary: Box::new(summary),
            }),
            (None, None) => Ok(summary),
        }
    }
}
