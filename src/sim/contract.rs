//! The shard's side of [`crate::ring::Ring`]'s contract: a breach does not stop the run, it is written
//! down.

use std::net::SocketAddr;

use crate::ring::{Op, Token};

use super::kernel::{Kernel, Owned};
use super::ledger::Trace;
use super::socket::{SimSocket, Stream};

/// Breaches kept; one is enough to fail a run.
const VIOLATIONS_MAX: usize = 8;

impl Kernel {
    pub(super) fn violation(&mut self, what: impl FnOnce() -> String) {
        if self.violations.len() < VIOLATIONS_MAX {
            self.violations.push(what());
        }
    }

    pub(super) fn require(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.violation(what);
        }
    }

    /// TCP sockets that are connected, or have a completion outstanding.
    pub(super) fn busy_sockets(&self) -> u32 {
        let is_busy = |socket: &&SimSocket| {
            let stream = &socket.stream;
            stream.owner.is_some() || stream.connect_unseen || stream.dissolve_unseen
        };
        self.sockets.values().filter(is_busy).count() as u32
    }

    /// The shard's side of the contract, when it pushes an op.
    pub(super) fn check_push(&mut self, op: &Op, bytes: &[u8]) {
        let (Op::Send { token, socket: id, .. }
        | Op::Connect { token, socket: id, .. }
        | Op::Disconnect { token, socket: id }
        | Op::Replace { token, socket: id }) = *op;
        let Some(socket) = self.sockets.get_mut(&id.0) else {
            return self.violation(|| format!("{op:?} on a socket that is not open"));
        };
        let (is_udp, before, spec) = (socket.is_udp(), socket.stream, socket.spec.clone());
        let stream = &mut socket.stream;
        let is_fine = match op {
            Op::Send { len, .. } => is_udp && *len > 0,
            Op::Connect { .. } => {
                *stream = Stream { owner: Some(token), connect_unseen: true, ..before };
                !is_udp
                    && before.owner.is_none()
                    && !before.connect_unseen
                    && !before.dissolve_unseen
            }
            Op::Disconnect { .. } => {
                stream.dissolve_unseen = true;
                !is_udp && before.owner == Some(token) && !before.dissolve_unseen
            }
            Op::Replace { .. } => {
                stream.dissolve_unseen = true;
                !is_udp
                    && before.owner == Some(token)
                    && !before.dissolve_unseen
                    && !before.connect_unseen
            }
        };
        let is_right_family = match op {
            Op::Send { to, .. } | Op::Connect { to, .. } => to.is_ipv6() == socket.spec.is_ipv6,
            _ => true,
        };
        self.require(is_fine && is_right_family, || format!("{op:?} on a socket in {before:?}"));
        if let Op::Send { to, .. } | Op::Connect { to, .. } = *op {
            let socket = spec;
            let now = self.clock.now();
            let trace = self.traces.entry(to).or_insert_with(|| Trace {
                first: now,
                last: now,
                count: 0,
                socket: socket.clone(),
                repeats_id: false,
            });
            trace.socket = socket;
            trace.last = now;
            trace.count += 1;
            self.note_id(to, Some(token), bytes);
        }
    }

    /// Remembers the transaction id of bytes to or from a peer. A connect has none.
    pub(super) fn note_id(&mut self, peer: SocketAddr, token: Option<Token>, bytes: &[u8]) {
        if let Some(id) = bytes.first_chunk::<2>() {
            let ids = self.ids.entry(peer).or_default();
            // Two forged ones may be equal: neither is anybody's.
            ids.repeats |= ids.used.iter().any(|(other, used)| used == id && *other != token);
            ids.used.push((token, *id));
        }
    }

    /// When a target was asked.
    pub(super) fn trace(&self, target: SocketAddr) -> Option<Trace> {
        let repeats_id = self.ids.get(&target).is_some_and(|ids| ids.repeats);
        self.traces.get(&target).map(|trace| Trace { repeats_id, ..trace.clone() })
    }

    /// The shard has seen an event: what the contract allows it from now on.
    pub(super) fn seen(&mut self, owned: &Owned) {
        match owned {
            Owned::Datagram { .. } => self.tally.datagrams += 1,
            Owned::IcmpError { .. } => self.tally.icmp_errors += 1,
            Owned::SendFailed { .. } => (),
            Owned::Stale { .. } => self.tally.stale += 1,
            Owned::Connected { socket, .. } => {
                if let Some(socket) = self.sockets.get_mut(&socket.0) {
                    socket.stream.connect_unseen = false;
                }
            }
            Owned::Disconnected { socket, .. } => {
                if let Some(socket) = self.sockets.get_mut(&socket.0) {
                    socket.stream.dissolve_unseen = false;
                    socket.stream.owner = None;
                }
            }
        }
    }
}
