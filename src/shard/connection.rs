//! Attempts over TCP: the verdict comes with the connect, the socket is free after the disconnect (D3).

use crate::checker::{Prepared, outcome_of_connect, outcome_of_icmp};
use crate::outcome::{Failure, Outcome};
use crate::ring::{Op, Ring};

use super::recorder;
use super::run::Core;
use super::slot::{Disconnect, Phase};

impl Core {
    pub(super) fn connected<R: Ring>(&mut self, ring: &mut R, index: u32, errno: i32) {
        match self.slots.get(index).phase {
            Phase::Connecting => {
                let started = self.slots.get(index).started;
                let (outcome, syn_left) = self.judge_connect(ring, index, errno);
                self.stats.connects -= u64::from(!syn_left);
                let is_answered = syn_left && outcome != Outcome::Fail(Failure::Timeout);
                let latency = is_answered.then(|| self.now.since(started).as_nanos() as u64);
                if let Some(latency) = latency {
                    recorder::record_latency(&mut self.stats, latency);
                }
                self.wheel.clear(index);
                self.settle(index, outcome, latency);
                self.dissolve(ring, index, false);
            }
            Phase::Dissolving { disconnect, .. } => {
                self.slots.get_mut(index).phase =
                    Phase::Dissolving { connect_pending: false, disconnect };
                self.free_if_dissolved(ring, index);
            }
            Phase::Free | Phase::Asked(_) => (),
        }
    }

    /// What the errno of a connect says, and whether its SYN had left. A missing route of ours and a
    /// router's ICMP error have the same errno; asking for the route tells them apart.
    fn judge_connect<R: Ring>(&self, ring: &mut R, index: u32, errno: i32) -> (Outcome, bool) {
        let slot = self.slots.get(index);
        let target = slot.pending.assignment.target;
        let outcome = match errno {
            // A refusal is ECONNREFUSED; a reset comes after the handshake, so the connect was done.
            // Whether we look before or after it must not decide.
            0 | libc::ECONNRESET => Outcome::Pass,
            errno => outcome_of_connect(errno),
        };
        let is_unreachable =
            matches!(outcome, Outcome::Fail(Failure::NetUnreachable | Failure::HostUnreachable));
        let may_be_icmp = is_unreachable || errno == libc::EACCES && target.is_ipv6();
        if !may_be_icmp {
            return (outcome, !matches!(outcome, Outcome::Unknown(_)));
        }
        match ring.route(slot.socket, target) {
            Ok(()) => (outcome_of_icmp(errno), true),
            Err(no_route) => (outcome, outcome_of_connect(no_route) != outcome),
        }
    }

    /// Ends the connection of a slot whose verdict is in, or aborts its connect.
    pub(super) fn dissolve<R: Ring>(&mut self, ring: &mut R, index: u32, connect_pending: bool) {
        self.slots.get_mut(index).phase =
            Phase::Dissolving { connect_pending, disconnect: Disconnect::Pending };
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

    pub(super) fn repeat_disconnects<R: Ring>(&mut self, ring: &mut R) {
        let mut waiting = std::mem::take(&mut self.to_dissolve);
        for index in waiting.drain(..) {
            if let Phase::Dissolving { connect_pending, .. } = self.slots.get(index).phase {
                self.dissolve(ring, index, connect_pending);
            }
        }
        if self.to_dissolve.is_empty() {
            // Keeps the room it had.
            self.to_dissolve = waiting;
        }
    }

    pub(super) fn disconnected<R: Ring>(&mut self, ring: &mut R, index: u32, errno: i32) {
        let Phase::Dissolving { connect_pending, .. } = self.slots.get(index).phase else {
            return;
        };
        let slot = self.slots.get_mut(index);
        let disconnect = if errno == 0 { Disconnect::Done } else { Disconnect::Failed };
        slot.phase = Phase::Dissolving { connect_pending, disconnect };
        self.free_if_dissolved(ring, index);
    }

    pub(super) fn free_if_dissolved<R: Ring>(&mut self, ring: &mut R, index: u32) {
        let slot = self.slots.get(index);
        let Phase::Dissolving { connect_pending: false, disconnect } = slot.phase else {
            return;
        };
        match disconnect {
            Disconnect::Pending => (),
            Disconnect::Done => self.free(index),
            Disconnect::Failed => {
                // The next probe must not inherit a socket that would not let go.
                self.lanes.discard(ring, slot.lane, slot.socket);
                self.slots.release(index);
            }
        }
    }
}
