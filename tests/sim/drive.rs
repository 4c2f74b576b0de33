//! Drives the real shard in one thread and looks at it after every step.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use ringprobe::outcome::{Assignment, Record};
use ringprobe::shard::link::{Links, Report, ShardStats};
use ringprobe::shard::{Progress, Shard, prepare};
use ringprobe::sim::{Network, Prng, SimConfig, SimRing, Tally, Trace};
use ringprobe::tick::Tick;

use crate::scenario::Scenario;

/// No run of these sizes needs as many.
const STEPS_MAX: u64 = 1_000_000;
/// Virtual time after which a run that reports nothing new is stuck.
const SILENCE_MAX: Duration = Duration::from_secs(120);
/// Small enough that the audit of every step costs little.
const AUDIT_EACH_STEP: u32 = 64;

/// What came out of a run.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) records: Vec<Record>,
    pub(crate) stats: ShardStats,
    pub(crate) tally: Tally,
    pub(crate) traces: HashMap<SocketAddr, Trace>,
    pub(crate) datagrams: u64,
    pub(crate) syns: u64,
    pub(crate) lost: u64,
    pub(crate) stalled: Duration,
    pub(crate) was_stopped: bool,
}

/// Where a run begins on the virtual clock; not 0, so that a look back stays positive.
pub(crate) fn start() -> Tick {
    Tick::from_ns(1_000_000_000)
}

/// Runs a scenario to its end.
///
/// # Errors
/// The first invariant that did not hold.
pub(crate) fn drive(scenario: &Scenario) -> Result<Run, String> {
    let mut prng = Prng::new(scenario.seed ^ 0x5eed);
    let peers = scenario.peers.iter().map(|(at, peer)| (*at, peer.clone()));
    let network = Network::new(peers, prng.fork());
    let sim = SimConfig {
        slots: scenario.config.window,
        start: start(),
        faults: scenario.faults.clone(),
    };
    let ring = SimRing::new(sim, network, prng.fork());
    let is_dropped = ring.drop_flag();
    let specs = prepare(&scenario.specs).map_err(|error| error.to_string())?;
    let (feed, assignments) = unbounded();
    let (reports, arriving) = bounded(scenario.reports);
    let (emptied, empties) = unbounded();
    let stop = Arc::new(AtomicBool::new(false));
    let (ready, _) = bounded(0);
    let (spent, _) = bounded(1);
    let (old_stats_in, old_stats) = unbounded();
    let links =
        Links { assignments, spent, reports, empties, old_stats, ready, stop: Arc::clone(&stop) };
    let mut shard = Shard::new(ring, specs, scenario.config.clone(), links);
    let mut feeder = Feeder {
        left: &scenario.assignments,
        channel: Some(feed),
        pauses: prng.below(8) as u32 / 7,
        batch: scenario.batch,
    };
    let mut collector = Collector {
        arriving,
        emptied,
        old_stats: old_stats_in,
        records: Vec::new(),
        last_stats: None,
    };
    let mut heard_at = start();
    for step in 0.. {
        feeder.feed(shard.in_flight() == 0, &mut prng);
        if scenario.stop_after == Some(step) {
            stop.store(true, Ordering::Relaxed);
        }
        let progress = shard.step().map_err(|error| error.to_string())?;
        if prng.chance(scenario.collects) && collector.collect()? {
            heard_at = shard.ring().now_unstalled();
        }
        look(&shard, scenario, step).map_err(|what| format!("after step {step}: {what}"))?;
        if progress == Progress::Ended {
            break;
        }
        let silence = shard.ring().now_unstalled().since(heard_at);
        if step >= STEPS_MAX || silence > SILENCE_MAX {
            return Err(format!("stuck after step {step}, {} in flight", shard.in_flight()));
        }
    }
    let was_stopped = stop.load(Ordering::Relaxed);
    if !was_stopped {
        balance(&shard)?;
    }
    collector.collect()?;
    let ring = shard.ring();
    let targets = scenario.assignments.iter().map(|assignment| assignment.target);
    let traces = targets.filter_map(|target| Some((target, ring.trace(target)?))).collect();
    let (tally, network) = (ring.tally(), ring.network());
    let (datagrams, syns, lost) = (network.datagrams(), network.syns(), network.lost());
    let stalled = ring.clock().stalled();
    shard.finish(Ok(()));
    if !is_dropped.get() {
        return Err("the ring was not closed by the end".into());
    }
    let stats = collector.finish()?;
    let records = collector.records;
    Ok(Run { records, stats, tally, traces, datagrams, syns, lost, stalled, was_stopped })
}

/// What holds after every step.
fn look(shard: &Shard<SimRing>, scenario: &Scenario, step: u64) -> Result<(), String> {
    let (in_flight, deadlines) = (shard.in_flight(), shard.deadlines());
    if in_flight > scenario.config.window {
        return Err(format!("{in_flight} in flight"));
    }
    if deadlines > in_flight {
        return Err(format!("{deadlines} deadlines for {in_flight} in flight"));
    }
    let ring = shard.ring();
    if let Some(violation) = ring.violations().first() {
        return Err(violation.clone());
    }
    if shard.open_sockets() != ring.open_sockets() {
        return Err(format!(
            "{} sockets counted, {} open",
            shard.open_sockets(),
            ring.open_sockets()
        ));
    }
    if scenario.config.window <= AUDIT_EACH_STEP || step.is_multiple_of(16) {
        shard.audit()?;
    }
    Ok(())
}

/// What holds once everything was probed.
fn balance(shard: &Shard<SimRing>) -> Result<(), String> {
    shard.audit()?;
    let busy = shard.ring().busy_sockets();
    if (shard.in_flight(), shard.deadlines(), busy) != (0, 0, 0) {
        return Err(format!(
            "at the end {} in flight, {} deadlines, {busy} busy sockets",
            shard.in_flight(),
            shard.deadlines()
        ));
    }
    Ok(())
}

struct Feeder<'a> {
    left: &'a [Assignment],
    channel: Option<Sender<Vec<Assignment>>>,
    /// How often an idle shard may still be left waiting: it does so in real time.
    pauses: u32,
    batch: u64,
}

impl Feeder<'_> {
    /// Sends a batch now and then, and always when the shard has nothing else: it would wait in real
    /// time for it.
    fn feed(&mut self, is_idle: bool, prng: &mut Prng) {
        let Some(channel) = &self.channel else {
            return;
        };
        let leaves_idle = is_idle && self.pauses > 0 && prng.chance(0.05);
        self.pauses -= u32::from(leaves_idle);
        let is_due = is_idle && !leaves_idle || channel.is_empty() && prng.chance(0.5);
        if !is_due {
            return;
        }
        if self.left.is_empty() {
            self.channel = None;
            return;
        }
        let count = (1 + prng.below(self.batch) as usize).min(self.left.len());
        let (batch, left) = self.left.split_at(count);
        self.left = left;
        // The shard holds its end for as long as it lives.
        let _ = channel.send(batch.to_vec());
    }
}

struct Collector {
    arriving: Receiver<Report>,
    emptied: Sender<Vec<Record>>,
    old_stats: Sender<Box<ShardStats>>,
    records: Vec<Record>,
    last_stats: Option<Box<ShardStats>>,
}

impl Collector {
    /// Takes what is there; whether records were.
    fn collect(&mut self) -> Result<bool, String> {
        let before = self.records.len();
        while let Ok(report) = self.arriving.try_recv() {
            match report {
                Report::Records(_, mut batch) => {
                    if batch.is_empty() {
                        return Err("an empty batch was sent".into());
                    }
                    self.records.append(&mut batch);
                    let _ = self.emptied.send(batch);
                }
                Report::Passes(_) => return Err("told passes without records".into()),
                Report::Stats(_, stats) => {
                    if let Some(old) = self.last_stats.replace(stats) {
                        let _ = self.old_stats.send(old);
                    }
                }
                Report::Ended(..) => return Err("told of its end before it".into()),
            }
        }
        Ok(self.records.len() > before)
    }

    /// Takes the rest: records, the last counters, then the end, and nothing after it.
    fn finish(&mut self) -> Result<ShardStats, String> {
        let mut is_ended = false;
        for report in self.arriving.try_iter() {
            match report {
                _ if is_ended => return Err("reported something after its end".into()),
                Report::Records(_, mut batch) => self.records.append(&mut batch),
                Report::Passes(_) => return Err("told passes without records".into()),
                Report::Stats(_, stats) => self.last_stats = Some(stats),
                Report::Ended(_, result) => {
                    result.map_err(|error| error.to_string())?;
                    is_ended = true;
                }
            }
        }
        match self.last_stats.take() {
            Some(stats) if is_ended => Ok(*stats),
            _ => Err("the end was not reported".into()),
        }
    }
}
