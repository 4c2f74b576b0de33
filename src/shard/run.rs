//! The loop of one shard: admit, wait in the ring, decide what happened, judge deadlines, report.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::checker::{Prepared, from_errno};
use crate::fleet::ProbeSpec;
use crate::outcome::{Failure, LocalFault, Outcome, Record, Strange};
use crate::ring::{Op, Ring, RingError, SocketId, Token, local_fault};
use crate::schedule::attempt::Next;
use crate::schedule::wheel::Wheel;
use crate::tick::Tick;
use crate::wire::dns::QueryError;

use super::WINDOW_MAX;
use super::event::{self, Decision};
use super::ids::Ids;
use super::inbox::Inbox;
use super::lane::{LaneId, Lanes, NoSocket};
use super::link::{Limit, Links, Report, ShardConfig, ShardStats};
use super::outbox::Outbox;
use super::recorder;
use super::slot::{Pending, Phase, Slot, Slots};
use super::window::{Rate, Window};

/// Longest wait in the ring, so that a stop of this thread inside a wait cannot hide for longer.
const WAIT_MAX: Duration = Duration::from_millis(10);
/// Longest wait while the feeder may have more at any moment, or while completions are collected.
const WAIT_SHORT: Duration = Duration::from_micros(500);
/// With this many attempts in flight, completions are waited for in groups.
const MANY_IN_FLIGHT: u32 = 256;
const GROUP: u32 = 32;
/// An overrun of a wait by less than this is the scheduler's everyday.
const STALL_MIN: Duration = Duration::from_millis(1);
/// What one event or one start may take on a slow machine, and what a turn may take at most.
const WORK_EACH: Duration = Duration::from_micros(50);
const WORK_MAX: Duration = Duration::from_millis(40);
/// Attempts started per turn: bounds a turn's work, so that answers do not wait behind sends.
const STARTS_PER_TURN: u32 = 512;
/// After a local fault, before the next attempt: descriptors, ports and memory come back slowly.
const FAULT_PAUSE: Duration = Duration::from_millis(100);
/// Before a send is repeated that found our own queues full.
const CONGESTION_PAUSE: Duration = Duration::from_millis(1);
/// A send refused this often by errors of other targets has its route looked up ...
const REFUSALS_BEFORE_ROUTE: u16 = 3;
/// ... and is given up after this many.
const REFUSALS_MAX: u16 = 64;
/// Turns that may leave packets unread before deadlines are judged as our own lateness.
const UNDRAINED_TURNS_MAX: u32 = 64;
const STATS_INTERVAL: Duration = Duration::from_millis(500);

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
    config: ShardConfig,
    specs: Arc<[PreparedSpec]>,
    stop: Arc<AtomicBool>,
    pub(super) now: Tick,
    pub(super) slots: Slots,
    pub(super) ids: Ids,
    pub(super) lanes: Lanes,
    /// By spec: its lane for IPv4 and for IPv6 targets.
    lane_of: Vec<[Option<LaneId>; 2]>,
    pub(super) wheel: Wheel,
    window: Window,
    rate: Option<Rate>,
    inbox: Inbox,
    outbox: Outbox,
    stats: ShardStats,
    stats_due: Tick,
    /// ICMP errors of this turn: applied after all answers of the turn.
    unreachable: Vec<(Token, Outcome)>,
    /// Sends to repeat, and from when on.
    resend: Vec<Token>,
    resend_at: Tick,
    /// Slots whose disconnect found the submission queue full.
    to_dissolve: Vec<u32>,
    undrained_turns: u32,
    /// Attempts begun since the last turn.
    launched: Vec<Token>,
    /// Attempts started since the last turn, and events of the turn before: the work of a turn.
    started: u32,
    events_before: u32,
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
            lanes: Lanes::new(config.sockets_per_lane, config.receive_buffer),
            lane_of: vec![[None; 2]; specs.len()],
            wheel: Wheel::new(window, now),
            window: Window::new(window),
            rate: config.rate.map(Rate::new),
            inbox: Inbox::new(links.assignments),
            outbox: Outbox::new(config.id, links.reports, links.empties),
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
        let mut planned = core.now;
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
        let (until, want) = core.plan(until, limit);
        planned = planned.max(until);
        let now = ring.turn(until, want)?;
        core.now = now;
        core.ids.begin_turn();
        core.stats.turns += 1;
        let mut events = 0_u32;
        while let Some(event) = ring.next() {
            events += 1;
            let decision = event::decide(event, &core.slots, &mut core.ids, &core.specs);
            core.apply(ring, decision);
        }
        core.notice_stall(planned, events);
        core.count_limit(limit, events, want);
        core.apply_unreachable();
        core.judge_deadlines(ring);
        core.look_at_drops(ring);
        core.outbox.flush(now);
        core.offer_stats();
        Ok(Progress::Working)
    }

    /// Sends what is left to the aggregator and closes the ring.
    pub fn finish(self, result: Result<(), RingError>) {
        let Shard { ring, mut core } = self;
        // Closed before the end is told, so that whoever hears of it finds no descriptor of ours.
        drop(ring);
        core.update_stats();
        let id = core.config.id;
        let stats = Report::Stats(id, Box::new(core.stats));
        core.outbox.finish([stats, Report::Ended(id, result)]);
    }

    /// Attempts in flight, for a simulation's invariants.
    pub fn in_flight(&self) -> u32 {
        self.core.slots.in_use()
    }

    /// Deadlines set, for a simulation's invariants.
    pub fn deadlines(&self) -> u32 {
        self.core.wheel.len()
    }

    /// Sockets open, for a simulation's invariants.
    pub fn open_sockets(&self) -> u32 {
        self.core.lanes.open_sockets()
    }

    /// Counters so far.
    pub fn stats(&mut self) -> &ShardStats {
        self.core.update_stats();
        &self.core.stats
    }

    /// The ring, for a simulation that makes things happen in it.
    pub fn ring_mut(&mut self) -> &mut R {
        &mut self.ring
    }

    /// The same to look at.
    pub fn ring(&self) -> &R {
        &self.ring
    }

    #[cfg(feature = "sim")]
    pub(super) fn core(&self) -> &Core {
        &self.core
    }
}

impl Core {
    /// Starts what may be started. What held it back, and when to look again because of that.
    fn admit<R: Ring>(&mut self, ring: &mut R) -> (Limit, Tick) {
        loop {
            if self.outbox.is_backed_up() {
                return (Limit::Output, self.now + WAIT_SHORT);
            }
            if self.started >= STARTS_PER_TURN {
                return (Limit::Cpu, self.now);
            }
            if self.slots.in_use() >= self.window.now() {
                let limit = if self.window.is_cut() { Limit::ReceiveBuffer } else { Limit::Window };
                return (limit, Tick::NEVER);
            }
            let Some(pending) = self.inbox.next(self.now) else {
                let again = if self.inbox.is_open() { self.now + WAIT_SHORT } else { Tick::NEVER };
                let again = again.min(self.inbox.next_retry_at().unwrap_or(Tick::NEVER));
                return (Limit::Input, again);
            };
            if let Some(rate) = &mut self.rate
                && let Err(due) = rate.take(self.now)
            {
                self.inbox.hold(pending);
                return (Limit::Rate, due);
            }
            if let Err((pending, again)) = self.start(ring, pending) {
                self.inbox.hold(pending);
                return (Limit::Window, again);
            }
            self.started += 1;
        }
    }

    /// Starts one attempt; where there is no room for it just now, gives it back and says when to
    /// look again.
    fn start<R: Ring>(&mut self, ring: &mut R, pending: Pending) -> Result<(), (Pending, Tick)> {
        let later = self.now + WAIT_MAX;
        let spec = pending.assignment.spec;
        let is_ipv6 = pending.assignment.target.is_ipv6();
        let lane = match self.lane_of[spec.index()][usize::from(is_ipv6)] {
            Some(lane) => lane,
            None => {
                let lane = self.lanes.lane_for(&self.specs[spec.index()].spec, is_ipv6);
                self.lane_of[spec.index()][usize::from(is_ipv6)] = Some(lane);
                lane
            }
        };
        let socket = match self.lanes.acquire(ring, lane) {
            Ok(socket) => socket,
            Err(NoSocket::Busy) => return Err((pending, later)),
            Err(NoSocket::Fault(fault)) => {
                self.settle(pending, Outcome::Unknown(fault), None);
                return Ok(());
            }
        };
        let slot = Slot {
            phase: Phase::Connecting,
            generation: 0,
            pending,
            lane,
            socket,
            started: self.now,
            deadline: Tick::NEVER,
            stalled_ns: self.stats.stalled_ns,
            drops: self.lanes.drops_seen(socket),
            refusals: 0,
            unsent_errno: 0,
            is_doubtful: false,
        };
        let Some(index) = self.slots.take(slot) else {
            self.lanes.release(lane, socket);
            return Err((pending, later));
        };
        if self.launch(ring, index) {
            self.begin(index);
            return Ok(());
        }
        self.free(index);
        // The submission queue is full, and the next turn empties it.
        Err((pending, self.now))
    }

    /// The attempt begins: its op goes out with the next turn.
    fn begin(&mut self, index: u32) {
        let slot = self.slots.get_mut(index);
        let spec = &self.specs[slot.pending.assignment.spec.index()].spec;
        slot.started = self.now;
        slot.deadline = self.now + spec.connection().timeout;
        self.wheel.set(index, slot.deadline);
        self.launched.push(self.slots.token(index));
    }

    /// Queues the op that begins an attempt; `false` where the submission queue has no room.
    fn launch<R: Ring>(&mut self, ring: &mut R, index: u32) -> bool {
        let token = self.slots.token(index);
        let slot = self.slots.get_mut(index);
        let (socket, to) = (slot.socket, slot.pending.assignment.target);
        match &self.specs[slot.pending.assignment.spec.index()].prepared {
            Prepared::Dns(checker) => {
                let id = self.ids.take(index, to);
                slot.phase = Phase::Asked(id);
                let len = checker.write_query(id, ring.outgoing(index)) as u16;
                let sent = ring.push(Op::Send { token, socket, to, len }).is_ok();
                self.stats.datagrams_sent += u64::from(sent);
                sent
            }
            Prepared::Tcp(_) => {
                slot.phase = Phase::Connecting;
                let started = ring.push(Op::Connect { token, socket, to }).is_ok();
                self.stats.connects += u64::from(started);
                started
            }
        }
    }

    /// Until when to wait, and for how many completions.
    fn plan(&self, until: Tick, limit: Limit) -> (Tick, u32) {
        let in_flight = self.slots.in_use();
        let collects = limit != Limit::Input && in_flight >= MANY_IN_FLIGHT;
        let cap = if collects { WAIT_SHORT } else { WAIT_MAX };
        let mut until = until.min(self.now + cap);
        if let Some(due) = self.wheel.next_due() {
            until = until.min(due);
        }
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

    fn count_limit(&mut self, limit: Limit, events: u32, want: u32) {
        // More was ready than was asked for: the targets were not what this turn waited for.
        let limit = match limit {
            Limit::Window if events > 2 * want => Limit::Cpu,
            limit => limit,
        };
        self.stats.limited[limit as usize] += 1;
    }

    fn apply<R: Ring>(&mut self, ring: &mut R, decision: Decision) {
        match decision {
            Decision::Answered(index, outcome) => {
                self.stats.datagrams_received += 1;
                let latency = self.now.since(self.slots.get(index).started).as_nanos() as u64;
                recorder::record_latency(&mut self.stats, latency);
                self.end_datagram(index, outcome, Some(latency));
            }
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

    /// ICMP errors of the turn, for attempts that got no answer in it.
    fn apply_unreachable(&mut self) {
        let mut errors = std::mem::take(&mut self.unreachable);
        for (token, outcome) in errors.drain(..) {
            if let Some(index) = self.slots.current(token)
                && matches!(self.slots.get(index).phase, Phase::Asked(_))
            {
                let latency = self.now.since(self.slots.get(index).started).as_nanos() as u64;
                recorder::record_latency(&mut self.stats, latency);
                self.end_datagram(index, outcome, Some(latency));
            }
        }
        self.unreachable = errors;
    }

    /// A datagram was refused. D2: a send error is never a verdict; a missing route, asked for apart, is.
    fn not_sent<R: Ring>(&mut self, ring: &mut R, index: u32, errno: i32) {
        self.stats.datagrams_sent -= 1;
        let slot = self.slots.get_mut(index);
        if !matches!(slot.phase, Phase::Asked(_)) {
            return;
        }
        slot.refusals += 1;
        slot.unsent_errno = errno;
        let (refusals, socket, to) = (slot.refusals, slot.socket, slot.pending.assignment.target);
        if refusals >= REFUSALS_MAX {
            return self.end_datagram(index, Outcome::Unknown(local_fault(errno)), None);
        }
        match errno {
            libc::ECONNREFUSED
            | libc::EHOSTUNREACH
            | libc::ENETUNREACH
            | libc::EPROTO
            | libc::EMSGSIZE
            | libc::ENOPROTOOPT
            | libc::EHOSTDOWN
            | libc::ENONET => {
                self.stats.soft_send_errors += 1;
                if refusals == REFUSALS_BEFORE_ROUTE
                    && let Err(errno) = ring.route(socket, to)
                {
                    return self.end_datagram(index, from_errno(errno), None);
                }
                self.resend.push(self.slots.token(index));
            }
            libc::EAGAIN | libc::ENOBUFS | libc::ENOMEM => {
                self.window.trouble();
                self.resend_at = self.resend_at.max(self.now + CONGESTION_PAUSE);
                self.resend.push(self.slots.token(index));
            }
            _ => self.end_datagram(index, Outcome::Unknown(local_fault(errno)), None),
        }
    }

    fn repeat_sends<R: Ring>(&mut self, ring: &mut R) {
        if self.resend.is_empty() || self.now < self.resend_at {
            return;
        }
        let mut waiting = std::mem::take(&mut self.resend);
        waiting.retain(|&token| {
            let Some(index) = self.slots.current(token) else {
                return false;
            };
            let Phase::Asked(id) = self.slots.get(index).phase else {
                return false;
            };
            let slot = self.slots.get_mut(index);
            let (socket, to) = (slot.socket, slot.pending.assignment.target);
            let spec = slot.pending.assignment.spec.index();
            let Prepared::Dns(checker) = &self.specs[spec].prepared else {
                return false;
            };
            let len = checker.write_query(id, ring.outgoing(index)) as u16;
            if ring.push(Op::Send { token, socket, to, len }).is_err() {
                return true;
            }
            slot.unsent_errno = 0;
            self.stats.datagrams_sent += 1;
            // The attempt begins with the send that leaves.
            self.begin(index);
            false
        });
        self.resend = waiting;
    }

    fn connected<R: Ring>(&mut self, ring: &mut R, index: u32, errno: i32) {
        match self.slots.get(index).phase {
            Phase::Connecting => {
                let slot = self.slots.get(index);
                let (pending, started) = (slot.pending, slot.started);
                let Prepared::Tcp(checker) = &self.specs[pending.assignment.spec.index()].prepared
                else {
                    return;
                };
                let outcome = checker.on_connected(errno);
                // Refused before its SYN left.
                self.stats.connects -= u64::from(matches!(outcome, Outcome::Unknown(_)));
                let latency = match outcome {
                    Outcome::Unknown(_) | Outcome::Fail(Failure::Timeout) => None,
                    _ => Some(self.now.since(started).as_nanos() as u64),
                };
                if let Some(latency) = latency {
                    recorder::record_latency(&mut self.stats, latency);
                }
                self.wheel.clear(index);
                self.dissolve(ring, index, false);
                self.settle(pending, outcome, latency);
            }
            Phase::Dissolving { disconnect_pending, .. } => {
                self.slots.get_mut(index).phase =
                    Phase::Dissolving { connect_pending: false, disconnect_pending };
                self.free_if_dissolved(ring, index);
            }
            Phase::Free | Phase::Asked(_) => (),
        }
    }

    /// Ends the connection of a slot whose verdict is in, or aborts its connect.
    fn dissolve<R: Ring>(&mut self, ring: &mut R, index: u32, connect_pending: bool) {
        self.slots.get_mut(index).phase =
            Phase::Dissolving { connect_pending, disconnect_pending: true };
        let token = self.slots.token(index);
        let slot = self.slots.get(index);
        let socket = slot.socket;
        let ends_with_fin = !connect_pending
            && matches!(
                &self.specs[slot.pending.assignment.spec.index()].prepared,
                Prepared::Tcp(checker) if checker.ends_with_fin()
            );
        let op = if ends_with_fin {
            Op::Replace { token, socket }
        } else {
            Op::Disconnect { token, socket }
        };
        if ring.push(op).is_err() {
            self.to_dissolve.push(index);
        }
    }

    fn repeat_disconnects<R: Ring>(&mut self, ring: &mut R) {
        for index in std::mem::take(&mut self.to_dissolve) {
            if let Phase::Dissolving { connect_pending, .. } = self.slots.get(index).phase {
                self.dissolve(ring, index, connect_pending);
            }
        }
    }

    fn disconnected<R: Ring>(&mut self, ring: &mut R, index: u32, errno: i32) {
        let Phase::Dissolving { connect_pending, .. } = self.slots.get(index).phase else {
            return;
        };
        let slot = self.slots.get_mut(index);
        slot.is_doubtful = errno != 0;
        slot.phase = Phase::Dissolving { connect_pending, disconnect_pending: false };
        self.free_if_dissolved(ring, index);
    }

    fn free_if_dissolved<R: Ring>(&mut self, ring: &mut R, index: u32) {
        let slot = self.slots.get(index);
        if slot.phase != (Phase::Dissolving { connect_pending: false, disconnect_pending: false }) {
            return;
        }
        if slot.is_doubtful {
            // The next probe must not inherit a socket that would not let go.
            self.lanes.discard(ring, slot.lane, slot.socket);
            self.slots.release(index);
        } else {
            self.free(index);
        }
    }

    fn judge_deadlines<R: Ring>(&mut self, ring: &mut R) {
        let is_due = self.wheel.next_due().is_some_and(|due| due <= self.now);
        if !is_due {
            self.undrained_turns = 0;
            return;
        }
        if !ring.drained() {
            self.undrained_turns += 1;
            if self.undrained_turns < UNDRAINED_TURNS_MAX {
                return;
            }
        }
        let gave_up = self.undrained_turns >= UNDRAINED_TURNS_MAX;
        self.undrained_turns = 0;
        while let Some(index) = self.wheel.pop_due(self.now) {
            let outcome =
                if gave_up { Outcome::Unknown(LocalFault::Late) } else { self.judge(ring, index) };
            if outcome == Outcome::Unknown(LocalFault::Late) {
                self.window.trouble();
            }
            match self.slots.get(index).phase {
                Phase::Asked(_) => self.end_datagram(index, outcome, None),
                Phase::Connecting => {
                    let pending = self.slots.get(index).pending;
                    self.dissolve(ring, index, true);
                    self.settle(pending, outcome, None);
                }
                Phase::Free | Phase::Dissolving { .. } => (),
            }
        }
    }

    /// A deadline has come and everything that arrived was read: whose fault is the silence?
    fn judge<R: Ring>(&mut self, ring: &mut R, index: u32) -> Outcome {
        let slot = self.slots.get(index);
        let spec = &self.specs[slot.pending.assignment.spec.index()].spec;
        let stalled = Duration::from_nanos(self.stats.stalled_ns - slot.stalled_ns);
        if stalled > spec.connection().timeout / 4 {
            return Outcome::Unknown(LocalFault::Late);
        }
        if slot.unsent_errno != 0 {
            return Outcome::Unknown(local_fault(slot.unsent_errno));
        }
        if matches!(slot.phase, Phase::Asked(_)) {
            let (socket, before) = (slot.socket, slot.drops);
            self.count_drops(ring, socket);
            if self.lanes.drops_seen(socket) != before {
                return Outcome::Unknown(LocalFault::Drop);
            }
        }
        Outcome::Fail(Failure::Timeout)
    }

    fn count_drops<R: Ring>(&mut self, ring: &mut R, socket: SocketId) {
        let drops = self.lanes.new_drops(ring, socket);
        self.drops_counted(drops);
    }

    fn drops_counted(&mut self, drops: u32) {
        if drops > 0 {
            self.stats.receive_drops += u64::from(drops);
            self.window.trouble();
        }
    }

    /// Once per interval: did our buffers drop, and may the window grow?
    fn look_at_drops<R: Ring>(&mut self, ring: &mut R) {
        if self.window.step(self.now) {
            let drops = self.lanes.all_new_drops(ring);
            self.drops_counted(drops);
        }
    }

    fn end_datagram(&mut self, index: u32, outcome: Outcome, latency_ns: Option<u64>) {
        let pending = self.slots.get(index).pending;
        self.wheel.clear(index);
        self.free(index);
        self.settle(pending, outcome, latency_ns);
    }

    /// Gives back everything an attempt holds.
    fn free(&mut self, index: u32) {
        let slot = self.slots.get(index);
        if let Phase::Asked(id) = slot.phase {
            self.ids.release(id, index);
        }
        self.lanes.release(slot.lane, slot.socket);
        self.slots.release(index);
    }

    /// An attempt has ended: report the probe, or try again.
    fn settle(&mut self, mut pending: Pending, outcome: Outcome, latency_ns: Option<u64>) {
        match pending.attempts.after(outcome) {
            Next::Report => self.outbox.push(Record {
                seq: pending.assignment.seq,
                target: pending.assignment.target,
                spec: pending.assignment.spec,
                outcome,
                attempts: pending.attempts.made,
                latency_ns,
                at: self.now,
                strange: pending.strange,
            }),
            next => {
                self.stats.free_retries += u64::from(next == Next::FreeRetry);
                pending.not_before = match outcome {
                    Outcome::Unknown(
                        LocalFault::Socket(_) | LocalFault::Port | LocalFault::Memory(_),
                    ) => self.now + FAULT_PAUSE,
                    _ => self.now,
                };
                self.inbox.retry(pending);
            }
        }
    }

    fn update_stats(&mut self) {
        self.stats.window_now = self.window.now();
        self.stats.window_min = self.window.smallest();
        self.stats.in_flight = self.slots.in_use();
    }

    fn offer_stats(&mut self) {
        if self.now >= self.stats_due {
            self.stats_due = self.now + STATS_INTERVAL;
            self.update_stats();
            self.outbox.offer(Report::Stats(self.config.id, Box::new(self.stats.clone())));
        }
    }
}
