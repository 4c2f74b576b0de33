//! What an event of the ring means for the attempts in flight. Reads the ring's bytes, decides, and hands
//! the decision back as a value, so that nothing borrowed from the ring outlives it.

use std::net::SocketAddr;

use crate::checker::{Prepared, outcome_of_icmp};
use crate::outcome::{Outcome, Strange};
use crate::ring::{Event, RECEIVED_BYTES, SocketId, Token};
use crate::wire;

use super::ids::{Found, Ids};
use super::run::PreparedSpec;
use super::slot::{Phase, Slots};

/// What to do about an event.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum Decision {
    /// The attempt in this slot has its answer, which passes. Most do, and this is apart because an outcome
    /// handed back in memory is read as a block, which waits until all stores in front of it are done.
    Passed(u32),
    /// The attempt in this slot has its verdict, by an answer.
    Answered(u32, Outcome),
    /// The network said that this slot's datagram did not arrive; an answer in this turn beats it.
    Unreachable(Token, Outcome),
    /// The datagram of this slot was not sent.
    NotSent(u32, i32),
    /// The connect of this slot ended.
    Connected(u32, i32),
    /// The socket of this slot is unconnected again, or broken.
    Disconnected(u32, i32),
    /// A packet that decides nothing, and the slot of the server it came from if that is known.
    Strange(Strange, Option<u32>),
    /// A completion of an attempt that ended before.
    Stale,
}

pub(super) fn decide(
    event: Event<'_>,
    slots: &Slots,
    ids: &mut Ids,
    specs: &[PreparedSpec],
) -> Decision {
    // By reference: a block of bytes is not copied while the stores that made it are on their way.
    match &event {
        Event::Datagram { socket, from, bytes } => {
            datagram(*socket, from, bytes, slots, ids, specs)
        }
        Event::IcmpError { socket, to, errno, bytes } => {
            icmp_error(*socket, *to, *errno, bytes, slots, ids)
        }
        Event::SendFailed { token, errno } => match slots.current(*token) {
            Some(slot) => Decision::NotSent(slot, *errno),
            None => Decision::Stale,
        },
        Event::Connected { token, errno } => match slots.current(*token) {
            Some(slot) => Decision::Connected(slot, *errno),
            None => Decision::Stale,
        },
        Event::Disconnected { token, errno } => match slots.current(*token) {
            Some(slot) => Decision::Disconnected(slot, *errno),
            None => Decision::Stale,
        },
    }
}

fn datagram(
    socket: SocketId,
    from: &SocketAddr,
    bytes: &[u8],
    slots: &Slots,
    ids: &mut Ids,
    specs: &[PreparedSpec],
) -> Decision {
    let Some(id) = wire::dns::id(bytes) else {
        return Decision::Strange(Strange::Malformed, asked(ids, slots, socket, *from));
    };
    let index = match ids.find(id, *from) {
        Found::Slot(index) => index,
        Found::Ended => return Decision::Strange(Strange::Late, None),
        Found::Nothing => return wrong_id_or_foreign(socket, *from, slots, ids),
    };
    let slot = slots.get(index);
    let target = &slot.pending.assignment.target;
    if slot.socket == socket && is_same_endpoint(target, from) {
        let Prepared::Dns(checker) = &specs[slot.pending.assignment.spec.index()].prepared else {
            return Decision::Stale;
        };
        return match checker.on_datagram(bytes, bytes.len() >= RECEIVED_BYTES) {
            Ok(Outcome::Pass) => Decision::Passed(index),
            Ok(outcome) => Decision::Answered(index, outcome),
            Err(strange) => Decision::Strange(strange, Some(index)),
        };
    }
    if target.ip() == from.ip() && target.port() != from.port() {
        return Decision::Strange(Strange::WrongPort, Some(index));
    }
    if ids.was_last(id, *from) {
        return Decision::Strange(Strange::Late, None);
    }
    wrong_id_or_foreign(socket, *from, slots, ids)
}

fn wrong_id_or_foreign(
    socket: SocketId,
    from: SocketAddr,
    slots: &Slots,
    ids: &mut Ids,
) -> Decision {
    match asked(ids, slots, socket, from) {
        Some(slot) => Decision::Strange(Strange::WrongId, Some(slot)),
        None => Decision::Strange(Strange::Foreign, None),
    }
}

fn icmp_error(
    socket: SocketId,
    to: SocketAddr,
    errno: i32,
    bytes: &[u8],
    slots: &Slots,
    ids: &mut Ids,
) -> Decision {
    let is_it = |index: u32| {
        let slot = slots.get(index);
        slot.socket == socket && is_same_endpoint(&slot.pending.assignment.target, &to)
    };
    let index = match wire::dns::id(bytes) {
        Some(id) => match ids.find(id, to) {
            Found::Slot(index) if is_it(index) => Some(index),
            _ => None,
        },
        // A router may quote eight bytes only, which end before our id.
        None => asked(ids, slots, socket, to),
    };
    match (index, outcome_of_icmp(errno)) {
        (Some(index), outcome @ Outcome::Fail(_)) => {
            Decision::Unreachable(slots.token(index), outcome)
        }
        _ => Decision::Strange(Strange::StaleIcmp, None),
    }
}

/// The slot that waits for an answer of this peer on this socket.
fn asked(ids: &mut Ids, slots: &Slots, socket: SocketId, peer: SocketAddr) -> Option<u32> {
    ids.search(peer, |index| {
        let slot = slots.get(index);
        slot.socket == socket
            && matches!(slot.phase, Phase::Asked(_))
            && is_same_endpoint(&slot.pending.assignment.target, &peer)
    })
}

/// Address and port; a link-local peer's scope is the socket's own.
fn is_same_endpoint(a: &SocketAddr, b: &SocketAddr) -> bool {
    a.port() == b.port() && a.ip() == b.ip()
}
