//! Attempts over UDP: sends that were refused, ICMP errors, the end of an attempt.

use std::time::Duration;

use crate::checker::{Prepared, outcome_of_connect};
use crate::outcome::{LocalFault, Outcome};
use crate::ring::{Op, Ring};

use super::link::Limit;
use super::recorder;
use super::run::Core;
use super::slot::Phase;

/// Before a send is repeated that found our own queues full.
const CONGESTION_PAUSE: Duration = Duration::from_millis(1);
/// Every so many refusals that may be other targets' closed ports, a send has its route looked up ...
const REFUSALS_BEFORE_ROUTE: u16 = 3;
/// ... and is given up after this many.
const REFUSALS_MAX: u16 = 64;

impl Core {
    /// A datagram was refused. D2: a send error is never a verdict; a missing route, asked for apart, is.
    pub(super) fn not_sent<R: Ring>(&mut self, ring: &mut R, index: u32, errno: i32) {
        self.stats.datagrams_sent -= 1;
        let slot = self.slots.get_mut(index);
        if !matches!(slot.phase, Phase::Asked(_)) {
            return;
        }
        slot.refusals += 1;
        slot.unsent_errno = i16::try_from(errno).unwrap_or(i16::MAX);
        let (refusals, socket, to) = (slot.refusals, slot.socket, slot.pending.assignment.target);
        if refusals >= REFUSALS_MAX {
            return self.end_datagram(index, Outcome::Unknown(LocalFault::from_errno(errno)), None);
        }
        match errno {
            libc::ECONNREFUSED
            | libc::EHOSTUNREACH
            | libc::ENETUNREACH
            | libc::ENETDOWN
            | libc::EPROTO
            | libc::EMSGSIZE
            | libc::ENOPROTOOPT
            | libc::EHOSTDOWN
            | libc::ENONET => {
                let speaks_of_routes = errno != libc::ECONNREFUSED;
                if (speaks_of_routes || refusals.is_multiple_of(REFUSALS_BEFORE_ROUTE))
                    && let Err(errno) = ring.route(socket, to)
                {
                    return self.end_datagram(index, outcome_of_connect(errno), None);
                }
                self.stats.soft_send_errors += 1;
                self.resend.push(self.slots.token(index));
            }
            libc::EAGAIN | libc::ENOBUFS | libc::ENOMEM => {
                self.window.trouble(Limit::SendQueue);
                self.resend_at = self.resend_at.max(self.now + CONGESTION_PAUSE);
                self.resend.push(self.slots.token(index));
            }
            _ => self.end_datagram(index, Outcome::Unknown(LocalFault::from_errno(errno)), None),
        }
    }

    pub(super) fn repeat_sends<R: Ring>(&mut self, ring: &mut R) {
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
            // The refusing socket may have more errors of other targets waiting.
            let slot = self.slots.get_mut(index);
            slot.socket = self.lanes.another(slot.lane, slot.socket);
            slot.drops = self.lanes.drops_seen(slot.socket);
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

    /// ICMP errors of the turn, for attempts that got no answer in it.
    pub(super) fn apply_unreachable(&mut self) {
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

    pub(super) fn end_datagram(&mut self, index: u32, outcome: Outcome, latency_ns: Option<u64>) {
        self.wheel.clear(index);
        self.settle(index, outcome, latency_ns);
        self.free(index);
    }
}
