//! The loop of one shard: admit, wait in the ring, decide what happened, judge deadlines, report.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::checker::Prepared;
use crate::fleet::ProbeSpec;
use crate::outcome::{Outcome, Strange};
use crate::ring::{GROUP_WAIT, Ring, RingError, Token};
use crate::schedule::pace::{Pace, Pacer};
use crate::schedule::wheel::Wheel;
use crate::tick::Tick;
use crate::wire::dns::QueryError;

use super::WINDOW_MAX;
use super::event::{self, Decision};
use super::ids::Ids;
use super::inbox::Inbox;
use super::lane::{LaneId, Lanes};
use super::link::{Limit, Links, Report, ShardConfig, ShardStats};
use super::outbox::Outbox;
use super::recorder;
use super::slot::{Phase, Slots};
use super::window::Window;

/// Longest wait in the ring, so that a stop of this thread inside a wait cannot hide for longer.
pub(super) const WAIT_MAX: Duration = Duration::from_millis(10);
/// Longest wait while the feeder may have more at any moment.
pub(super) const WAIT_SHORT: Duration = Duration::from_micros(500);
/// With this many attempts in flight, completions are waited for in groups.
const MANY_IN_FLIGHT: u32 = 256;
const GROUP: u32 = 32;
/// An overrun of a wait by less than this is the scheduler's everyday.
const STALL_MIN: Duration = Duration::from_millis(1);
/// What one event or one start may take on a slow machine, and what a turn may take at most.
const WORK_EACH: Duration = Duration::from_micros(50);
const WORK_MAX: Duration = Duration::from_millis(40);
const STATS_INTERVAL: Duration = Duration::from_millis(500);

/// How long an answer that is there may wait for others, in a shard with this window that is kept full.
pub fn group_wait_max(window: u32) -> Duration {
    if window >= MANY_IN_FLIGHT { GROUP_WAIT } else { Duration::ZERO }
}

/// A spec and what its checker prepared from it.
#[derive(Clone, Debug)]
pub struct PreparedSpec {
    /// How to probe.
    pub spec: ProbeSpec,
    /// The checker made ready.
    pub prepared: Prepared,
}

/// Prepares all specs of a run, once for all shards.
///
/// # Errors
/// A question that cannot be encoded.
pub fn prepare(specs: &[ProbeSpec]) -> Result<Arc<[PreparedSpec]>, QueryError> {
    specs
        .iter()
        .map(|spec| Ok(PreparedSpec { spec: spec.clone(), prepared: Prepared::new(spec)? }))
        .collect()
}

/// Whether a shard has more to do.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Progress {
    /// Call `step` again.
    Working,
    /// Everything was probed, or the run was stopped.
    Ended,
}

/// One core's part of a run. See the module.
#[derive(Debug)]
pub struct Shard<R: Ring> {
    ring: R,
    core: Core,
}

/// All of a shard but its ring.
#[derive(Debug)]
pub(super) struct Core {
    pub(super) config: ShardConfig,
    pub(super) specs: Arc<[PreparedSpec]>,
    pub(super) stop: Arc<AtomicBool>,
    pub(super) now: Tick,
    pub(super) slots: Slots,
    pub(super) ids: Ids,
    pub(super) lanes: Lanes,
    /// By spec: its lane for IPv4 and for IPv6 targets.
    pub(super) lane_of: Vec<[Option<LaneId>; 2]>,
    pub(super) wheel: Wheel,
    pub(super) window: Window,
    pub(super) pacer: Pacer,
    /// When the span began, since when it is measured, and when it ends. Without one, since the start and never;
    /// before it has begun, never both.
    pub(super) begun_at: Tick,
    pub(super) measured_from: Tick,
    pub(super) span_end: Tick,
    pub(super) inbox: Inbox,
    pub(super) outbox: Outbox,
    pub(super) stats: ShardStats,
    pub(super) stats_due: Tick,
    /// ICMP errors of this turn: applied after all answers of the turn.
    pub(super) unreachable: Vec<(Token, Outcome)>,
    /// Sends to repeat, and from when on.
    pub(super) resend: Vec<Token>,
    pub(super) resend_at: Tick,
    /// Slots whose disconnect found the submission queue full.
    pub(super) to_dissolve: Vec<u32>,
    pub(super) undrained_turns: u32,
    /// Attempts begun since the last turn.
    pub(super) launched: Vec<Token>,
    /// Attempts started since the last turn, and events of the turn before: the work of a turn.
    pub(super) started: u32,
    pub(super) events_before: u32,
}

/// Runs a shard to its end on the calling thread: pins it, loops, reports [`Report::Ended`] last.
pub fn run<R: Ring>(ring: R, specs: Arc<[PreparedSpec]>, config: ShardConfig, links: Links) {
    if let Some(cpu) = config.cpu {
        pin(cpu);
    }
    let mut shard = Shard::new(ring, specs, config, links);
    let result = loop {
        match shard.step() {
            Ok(Progress::Working) => (),
            Ok(Progress::Ended) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    shard.finish(result);
}

/// Pinning is for speed only, so a refusal (a cpuset, a vanished core) is no reason to stop.
fn pin(cpu: usize) {
    let mut set = nix::sched::CpuSet::new();
    if set.set(cpu).is_ok() {
        let _ = nix::sched::sched_setaffinity(nix::unistd::Pid::from_raw(0), &set);
    }
}

impl<R: Ring> Shard<R> {
    /// A shard that has not started anything yet.
    pub fn new(ring: R, specs: Arc<[PreparedSpec]>, config: ShardConfig, links: Links) -> Shard<R> {
        let now = ring.now();
        let window = config.window.clamp(1, WINDOW_MAX);
        let core = Core {
            now,
            slots: Slots::new(window),
            ids: Ids::new(window, config.seed.map(|seed| seed ^ (u64::from(config.id.0) << 32))),
            lanes: Lanes::new(&config),
            lane_of: vec![[None; 2]; specs.len()],
            wheel: Wheel::new(window, now),
            window: Window::new(window),
            pacer: Pacer::new(config.pace),
            begun_at: now,
            measured_from: if config.span.is_some() { Tick::NEVER } else { now },
            span_end: Tick::NEVER,
            inbox: Inbox::new(links.assignments, links.spent),
            outbox: Outbox::new(
                (config.id, window),
                config.records_passes,
                || recorder::new_stats(window),
                links.reports,
                links.empties,
                links.old_stats,
            ),
            stats: recorder::new_stats(window),
            stats_due: now + STATS_INTERVAL,
            unreachable: Vec::with_capacity(window as usize),
            resend: Vec::with_capacity(window as usize),
            resend_at: now,
            to_dissolve: Vec::new(),
            undrained_turns: 0,
            launched: Vec::with_capacity(window as usize),
            started: 0,
            events_before: 0,
            stop: links.stop,
            specs,
            config,
        };
        Shard { ring, core }
    }

    /// One turn of the loop.
    ///
    /// # Errors
    /// The ring broke.
    pub fn step(&mut self) -> Result<Progress, RingError> {
        let Shard { ring, core } = self;
        if core.stop.load(Ordering::Relaxed) {
            return Ok(Progress::Ended);
        }
        core.repeat_sends(ring);
        core.repeat_disconnects(ring);
        let (limit, mut until) = core.admit(ring);
        let before = core.now;
        let mut planned = before;
        if core.slots.in_use() == 0 {
            if core.inbox.is_exhausted() {
                return Ok(Progress::Ended);
            }
            let is_idle = limit == Limit::Input && core.outbox.is_empty();
            if is_idle && core.inbox.is_open() && core.inbox.next_retry_at().is_none() {
                core.inbox.wait(WAIT_MAX);
                planned = core.now + WAIT_MAX;
                until = core.now;
            }
        }
        let deadline = core.wheel.next_due().unwrap_or(Tick::NEVER);
        let (until, want) = core.plan(until.min(deadline), limit);
        planned = planned.max(until);
        let now = ring.turn(until, want, deadline)?;
        core.now = now;
        core.ids.begin_turn();
        core.stats.turns += 1;
        let mut events = 0_u32;
        loop {
            if let Some(id) = ring.peek() {
                core.ids.prefetch(u16::from_be_bytes(id), &core.slots);
            }
            let Some(event) = ring.next() else { break };
            events += 1;
            let decision = event::decide(event, &core.slots, &mut core.ids, &core.specs);
            core.apply(ring, decision);
        }
        core.notice_stall(planned, events);
        core.count_limit(limit, before, events, want);
        core.apply_unreachable();
        core.judge_deadlines(ring);
        core.look_at_drops(ring);
        core.outbox.flush(now);
        core.offer_stats();
        Ok(Progress::Working)
    }

    /// Sends what is left to the aggregator and closes the ring.
    pub fn finish(self, result: Result<(), RingError>) {
        let Shard { mut ring, mut core } = self;
        let drops = core.lanes.all_new_drops(&mut ring);
        core.drops_counted(drops);
        // Closed before the end is told, so that whoever hears of it finds no descriptor of ours.
        drop(ring);
        core.update_stats();
        let id = core.config.id;
        let stats = Report::Stats(id, Box::new(core.stats));
        core.outbox.finish([stats, Report::Ended(id, result)]);
    }

    /// Attempts in flight.
    #[cfg(feature = "sim")]
    pub fn in_flight(&self) -> u32 {
        self.core.slots.in_use()
    }

    /// Deadlines set.
    #[cfg(feature = "sim")]
    pub fn deadlines(&self) -> u32 {
        self.core.wheel.len()
    }

    /// Sockets open.
    #[cfg(feature = "sim")]
    pub fn open_sockets(&self) -> u32 {
        self.core.lanes.open_sockets()
    }

    /// Counters so far.
    #[cfg(feature = "sim")]
    pub fn stats(&mut self) -> &ShardStats {
        self.core.update_stats();
        &self.core.stats
    }

    /// The ring, to make things happen in it.
    #[cfg(feature = "sim")]
    pub fn ring_mut(&mut self) -> &mut R {
        &mut self.ring
    }

    /// The same to look at.
    #[cfg(feature = "sim")]
    pub fn ring(&self) -> &R {
        &self.ring
    }

    #[cfg(feature = "sim")]
    pub(super) fn core(&self) -> &Core {
        &self.core
    }
}

impl Core {
    /// Until when to wait, and for how many completions.
    fn plan(&self, until: Tick, limit: Limit) -> (Tick, u32) {
        let in_flight = self.slots.in_use();
        // Who asks for moments of their own asks how long answers take, and not with our waiting in it.
        let is_timed = matches!(self.config.pace, Pace::Due { .. });
        let collects = !matches!(limit, Limit::Input | Limit::Tail)
            && in_flight >= MANY_IN_FLIGHT
            && !is_timed;
        let mut until = until.min(self.now + WAIT_MAX);
        if !self.resend.is_empty() {
            until = until.min(self.resend_at);
        }
        if !self.to_dissolve.is_empty() || self.undrained_turns > 0 {
            until = self.now;
        }
        (until, if collects { GROUP } else { 1 })
    }

    /// The lateness gate's evidence: time past the planned end of a wait, less what this turn's work
    /// may have taken, is time in which this thread did not run. What passes as work may have come
    /// before the submit, so it is not taken from the time of the attempts that this turn began.
    fn notice_stall(&mut self, planned: Tick, events: u32) {
        let work = events + std::mem::replace(&mut self.events_before, events) + self.started;
        self.started = 0;
        let allowance = (WORK_EACH * work).min(WORK_MAX) + STALL_MIN;
        let overrun = self.now.since(planned);
        let stall = overrun.saturating_sub(allowance);
        self.stats.stalled_ns += stall.as_nanos() as u64;
        let end = self.end_of_span();
        let measured = self.now.min(end).since(self.measured_from.max(self.now - stall));
        self.stats.stalled_in_span_ns += measured.as_nanos() as u64;
        let worked = overrun - stall;
        for token in self.launched.drain(..) {
            if worked > STALL_MIN
                && let Some(index) = self.slots.current(token)
                && let slot = self.slots.get_mut(index)
                && matches!(slot.phase, Phase::Asked(_) | Phase::Connecting)
            {
                slot.deadline = slot.deadline + worked;
                self.wheel.set(index, slot.deadline);
            }
        }
    }

    fn count_limit(&mut self, limit: Limit, before: Tick, events: u32, want: u32) {
        // More was ready than was asked for: the targets were not what this turn waited for.
        let limit = match limit {
            Limit::Window if events > 2 * want => Limit::Cpu,
            limit => limit,
        };
        self.stats.limited_ns[limit as usize] += self.now.since(before).as_nanos() as u64;
    }

    fn apply<R: Ring>(&mut self, ring: &mut R, decision: Decision) {
        match decision {
            Decision::Passed(index) => self.answered(index, Outcome::Pass),
            Decision::Answered(index, outcome) => self.answered(index, outcome),
            Decision::Unreachable(token, outcome) => self.unreachable.push((token, outcome)),
            Decision::NotSent(index, errno) => self.not_sent(ring, index, errno),
            Decision::Connected(index, errno) => self.connected(ring, index, errno),
            Decision::Disconnected(index, errno) => self.disconnected(ring, index, errno),
            Decision::Strange(kind, index) => {
                self.stats.datagrams_received += u64::from(kind != Strange::StaleIcmp);
                self.stats.strange[kind as usize] += 1;
                if let Some(index) = index {
                    self.slots.get_mut(index).pending.strange = Some(kind);
                }
            }
            Decision::Stale => (),
        }
    }

    fn answered(&mut self, index: u32, outcome: Outcome) {
        self.stats.datagrams_received += 1;
        let latency = self.now.since(self.slots.get(index).started).as_nanos() as u64;
        recorder::record_latency(&mut self.stats, latency);
        self.end_datagram(index, outcome, Some(latency));
    }

    fn update_stats(&mut self) {
        self.stats.window_now = self.window.now();
        self.stats.window_min = self.window.smallest();
        self.stats.in_flight = self.slots.in_use();
        self.stats.moments_taken = self.pacer.moments_taken();
    }

    fn offer_stats(&mut self) {
        if self.now >= self.stats_due {
            self.stats_due = self.now + STATS_INTERVAL;
            self.update_stats();
            self.outbox.offer(&self.stats);
        }
    }
}
