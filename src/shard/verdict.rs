//! Deadlines and ends: whose fault a silence is (D5), and whether another attempt follows.

use std::time::Duration;

use crate::outcome::{Failure, LocalFault, Outcome, Record};
use crate::ring::{Ring, SocketId};
use crate::schedule::attempt::Next;

use super::link::Limit;
use super::run::Core;
use super::slot::Phase;

/// After a local fault, before the next attempt: descriptors, ports and memory come back slowly.
const FAULT_PAUSE: Duration = Duration::from_millis(100);
/// Turns that may leave packets unread before deadlines are judged as our own lateness.
const UNDRAINED_TURNS_MAX: u32 = 64;

impl Core {
    pub(super) fn judge_deadlines<R: Ring>(&mut self, ring: &mut R) {
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
                self.window.trouble(Limit::Cpu);
            }
            match self.slots.get(index).phase {
                Phase::Asked(_) => self.end_datagram(index, outcome, None),
                Phase::Connecting => {
                    self.settle(index, outcome, None);
                    self.dissolve(ring, index, true);
                }
                Phase::Free | Phase::Dissolving { .. } => (),
            }
        }
    }

    /// A deadline has come and everything that arrived was read: whose fault is the silence?
    pub(super) fn judge<R: Ring>(&mut self, ring: &mut R, index: u32) -> Outcome {
        let slot = self.slots.get(index);
        let spec = &self.specs[slot.pending.assignment.spec.index()].spec;
        let stalled = Duration::from_nanos(self.stats.stalled_ns - slot.stalled_ns);
        if stalled > spec.timeout() / 4 {
            return Outcome::Unknown(LocalFault::Late);
        }
        if slot.unsent_errno != 0 {
            return Outcome::Unknown(LocalFault::from_errno(slot.unsent_errno.into()));
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

    pub(super) fn count_drops<R: Ring>(&mut self, ring: &mut R, socket: SocketId) {
        let drops = self.lanes.new_drops(ring, socket);
        self.drops_counted(drops);
    }

    pub(super) fn drops_counted(&mut self, drops: u32) {
        if drops > 0 {
            self.stats.receive_drops += u64::from(drops);
            self.window.trouble(Limit::ReceiveBuffer);
        }
    }

    /// Once per interval: did our buffers drop, and may the window grow?
    pub(super) fn look_at_drops<R: Ring>(&mut self, ring: &mut R) {
        if self.window.step(self.now) {
            let drops = self.lanes.all_new_drops(ring);
            self.drops_counted(drops);
        }
    }

    /// Gives back everything an attempt holds, and its slot.
    pub(super) fn free(&mut self, index: u32) {
        self.let_go(index);
        self.slots.release(index);
    }

    /// Gives back everything an attempt holds but its slot.
    pub(super) fn let_go(&mut self, index: u32) {
        let slot = self.slots.get(index);
        if let Phase::Asked(id) = slot.phase {
            self.ids.release(id, index);
        }
        self.lanes.release(slot.lane, slot.socket);
    }

    /// The attempt in this slot has ended: report its probe, or try it again. Reads the probe where it is, so
    /// that the record is the one copy of it.
    pub(super) fn settle(&mut self, index: u32, outcome: Outcome, latency_ns: Option<u64>) {
        let pending = &mut self.slots.get_mut(index).pending;
        let next = match pending.attempts.after(outcome) {
            // There another attempt would come after its moment, and say nothing of it.
            _ if self.config.span.is_some() => Next::Report,
            next => next,
        };
        // Of such a probe there is nothing to be said that its number does not say.
        let is_plain =
            outcome == Outcome::Pass && pending.attempts.made == 1 && pending.strange.is_none();
        if is_plain && self.outbox.count_pass(pending.assignment.spec, self.now) {
            return;
        }
        match next {
            Next::Report => self.outbox.push(Record {
                seq: pending.assignment.seq,
                target: pending.assignment.target,
                spec: pending.assignment.spec,
                outcome,
                attempts: pending.attempts.made,
                latency_ns,
                // An attempt has leave, and leave has its moment.
                due: pending.due.unwrap_or(self.now),
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
                self.inbox.retry(*pending);
            }
        }
    }
}
