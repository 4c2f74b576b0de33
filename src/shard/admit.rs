//! Starting attempts: what may start now, on which socket, and what holds the rest back.

use crate::checker::Prepared;
use crate::outcome::Outcome;
use crate::ring::{Op, Ring};
use crate::schedule::pace::Bounds;
use crate::tick::Tick;

use super::lane::NoSocket;
use super::link::Limit;
use super::run::{Core, WAIT_MAX, WAIT_SHORT};
use super::slot::Phase;

/// Attempts started per turn: bounds a turn's work, so that answers do not wait behind sends.
const STARTS_PER_TURN: u32 = 256;

impl Core {
    /// Starts what may be started. What held it back, and when to look again because of that.
    pub(super) fn admit<R: Ring>(&mut self, ring: &mut R) -> (Limit, Tick) {
        let end = self.end_of_span();
        if self.now >= self.pacer.closes_at(end) {
            self.inbox.refuse_new();
        }
        loop {
            if self.outbox.is_backed_up() {
                return (Limit::Output, self.now + WAIT_SHORT);
            }
            if self.started >= STARTS_PER_TURN {
                return (Limit::Cpu, self.now);
            }
            if self.slots.in_use() >= self.window.now() {
                return (self.window.limit(), Tick::NEVER);
            }
            let Some(index) = self.slots.take() else {
                return (Limit::Window, Tick::NEVER);
            };
            let pending = &mut self.slots.get_mut(index).pending;
            if !self.inbox.next_into(pending, self.now) {
                self.slots.release(index);
                let retry_at = self.inbox.next_retry_at().unwrap_or(Tick::NEVER);
                return if self.inbox.is_open() {
                    (Limit::Input, retry_at.min(self.now + WAIT_SHORT))
                } else {
                    (Limit::Tail, retry_at)
                };
            }
            let pending = &mut self.slots.get_mut(index).pending;
            let needs_leave = pending.due.is_none() || self.pacer.counts_retries();
            if needs_leave {
                let (start, measured_from) = (self.begun_at, self.measured_from);
                match self.pacer.take_within(Bounds { start, measured_from, end }, self.now) {
                    Ok(due) => {
                        pending.due.get_or_insert(due);
                    }
                    Err(due) => {
                        self.put_back(index);
                        if self.now < end || !self.pacer.has_moments() {
                            return (Limit::Rate, if self.now < end { due.min(end) } else { due });
                        }
                        // All that was due has begun.
                        self.inbox.refuse_new();
                        continue;
                    }
                }
            }
            if let Err((limit, again)) = self.start(ring, index) {
                let pending = &mut self.slots.get_mut(index).pending;
                if needs_leave {
                    self.pacer.give_back();
                    if pending.attempts.made == 0 {
                        pending.due = None;
                    }
                }
                self.put_back(index);
                return (limit, again);
            }
            self.started += 1;
        }
    }

    /// The probe of this slot did not start: it will be the next, and the slot is free.
    fn put_back(&mut self, index: u32) {
        self.inbox.hold(self.slots.get(index).pending);
        self.slots.release(index);
    }

    /// From when on no probe begins.
    pub(super) fn end_of_span(&mut self) -> Tick {
        if self.span_end == Tick::NEVER
            && let Some(span) = &self.config.span
            && let (Some(start), Some(end)) = (span.start(), span.end())
            && let Some(measured_from) = span.measured_from()
        {
            self.begun_at = start;
            self.measured_from = measured_from;
            self.span_end = end;
        }
        self.span_end
    }

    /// Starts an attempt of the probe that is in this slot; where there is no room for it just now, says what
    /// is missing and when to look again.
    pub(super) fn start<R: Ring>(&mut self, ring: &mut R, index: u32) -> Result<(), (Limit, Tick)> {
        let assignment = &self.slots.get(index).pending.assignment;
        let (spec, is_ipv6) = (assignment.spec, assignment.target.is_ipv6());
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
            Err(NoSocket::Busy) => return Err((Limit::Sockets, self.now + WAIT_MAX)),
            Err(NoSocket::Fault(fault)) => {
                self.settle(index, Outcome::Unknown(fault), None);
                self.slots.release(index);
                return Ok(());
            }
        };
        let slot = self.slots.get_mut(index);
        slot.lane = lane;
        slot.socket = socket;
        slot.stalled_ns = self.stats.stalled_ns;
        slot.drops = self.lanes.drops_seen(socket);
        slot.refusals = 0;
        slot.unsent_errno = 0;
        if self.launch(ring, index) {
            self.begin(index);
            return Ok(());
        }
        self.let_go(index);
        // The submission queue is full, and the next turn empties it.
        Err((Limit::Cpu, self.now))
    }

    /// The attempt begins: its op goes out with the next turn.
    pub(super) fn begin(&mut self, index: u32) {
        let slot = self.slots.get_mut(index);
        let spec = &self.specs[slot.pending.assignment.spec.index()].spec;
        slot.started = self.now;
        slot.deadline = self.now + spec.timeout();
        self.wheel.set(index, slot.deadline);
        self.launched.push(self.slots.token(index));
    }

    /// Queues the op that begins an attempt; `false` where the submission queue has no room.
    pub(super) fn launch<R: Ring>(&mut self, ring: &mut R, index: u32) -> bool {
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
            Prepared::Script => unreachable!("the feeder gives scripts to the reaper"),
        }
    }
}
