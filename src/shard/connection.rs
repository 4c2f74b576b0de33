//! Attempts over TCP: the verdict comes with the connect, the socket is free after the disconnect (D3).

use crate::checker::{Prepared, from_errno};
use crate::outcome::{Failure, Outcome};
use crate::ring::{Op, Ring};

use super::recorder;
use super::run::Core;
use super::slot::Phase;

impl Core {
    pub(super) fn connected<R: Ring>(&mut self, ring: &mut R, index: u32, errno: i32) {
        match self.slots.get(index).phase {
            Phase::Connecting => {
                let slot = self.slots.get(index);
                let (pending, started) = (slot.pending, slot.started);
                let Prepared::Tcp(checker) = &self.specs[pending.assignment.spec.index()].prepared
                else {
                    return;
                };
                let outcome = checker.on_connected(errno);
                let target = pending.assignment.target;
                let has_no_route = matches!(
                    outcome,
                    Outcome::Fail(Failure::NetUnreachable | Failure::HostUnreachable)
                ) && ring.route(slot.socket, target).err().map(from_errno)
                    == Some(outcome);
                // Refused before its SYN left.
                let sent_nothing = has_no_route || matches!(outcome, Outcome::Unknown(_));
                self.stats.connects -= u64::from(sent_nothing);
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
    pub(super) fn dissolve<R: Ring>(&mut self, ring: &mut R, index: u32, connect_pending: bool) {
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

    pub(super) fn repeat_disconnects<R: Ring>(&mut self, ring: &mut R) {
        for index in std::mem::take(&mut self.to_dissolve) {
            if let Phase::Dissolving { connect_pending, .. } = self.slots.get(index).phase {
                self.dissolve(ring, index, connect_pending);
            }
        }
    }

    pub(super) fn disconnected<R: Ring>(&mut self, ring: &mut R, index: u32, errno: i32) {
        let Phase::Dissolving { connect_pending, .. } = self.slots.get(index).phase else {
            return;
        };
        let slot = self.slots.get_mut(index);
        slot.is_doubtful = errno != 0;
        slot.phase = Phase::Dissolving { connect_pending, disconnect_pending: false };
        self.free_if_dissolved(ring, index);
    }

    pub(super) fn free_if_dissolved<R: Ring>(&mut self, ring: &mut R, index: u32) {
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
}
