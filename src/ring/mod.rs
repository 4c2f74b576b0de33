//! Ops in, completions out: the only folder with `unsafe` in it.
//!
//! (`mmsg` is apart: the batch socket of `respond`, which is here for its `unsafe` only.)
//!
//! A shard is written against [`Ring`] and never sees a pointer: it names a slot, the ring owns the
//! bytes. `uring` is the real one; `sim/ring.rs` is the same in a made-up world.
//!
//! Rules that every SAFETY comment of this folder cites:
//! - **R1** Bytes named by an SQE live in tables of the ring until that op's last CQE (no F_MORE), or,
//!   for ops that complete inside `io_uring_enter` (MSG_DONTWAIT sends), until the submit returned.
//! - **R2** `user_data` is kind | generation | slot. A stale CQE is dropped, but its buffer goes back.
//! - **R3** A provided buffer is ours only between its CQE and its return, inside one call.
//! - **R4** A ring never leaves the thread that made it.
//! - **R5** `push` submits when the SQ is full and hands the op back only when that fails. Completions
//!   beyond the CQ wait in the kernel (NODROP); a multishot that this ends is armed again.
//! - **R6** Drop cancels, drains to zero, then unmaps; if draining fails, it leaks.

#![allow(unsafe_code)]

mod address;
mod buffers;
mod files;
mod message;
pub mod mmsg;
mod prefetch;
mod setup;
mod socket;
mod token;
pub mod uring;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

pub(crate) use self::prefetch::prefetch;
use crate::outcome::LocalFault;
use crate::tick::Tick;

/// Room for one outgoing datagram: a DNS query of 12 + 255 + 4 bytes fits.
pub const DATAGRAM_BYTES: usize = 288;

/// Bytes of a datagram that `Event::Datagram` shows at most; one that long may have been cut.
pub const RECEIVED_BYTES: usize = 596;

/// How long completions that are there wait for others, in a turn that wants more than one.
pub const GROUP_WAIT: Duration = Duration::from_micros(500);

/// A socket of this ring.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub struct SocketId(pub u32);

/// Names one attempt of one slot: `generation` changes with every attempt, so a stale completion
/// cannot be taken for a current one (R2).
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub struct Token {
    /// Slot of the shard, and of the ring's outgoing bytes. Below 2^24.
    pub slot: u32,
    /// Attempt counter of that slot, modulo 2^24.
    pub generation: u32,
}

/// What a socket is for.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub enum SocketKind {
    /// Unconnected UDP, many targets, with its error queue.
    Udp,
    /// Recycled TCP whose final ACK is held back: the peer sees SYN, SYN-ACK, RST.
    TcpHalf,
    /// Recycled TCP with a complete handshake.
    TcpFull,
}

/// Options of a socket; sockets with equal specs form a lane.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct SocketSpec {
    /// UDP or TCP.
    pub kind: SocketKind,
    /// IPv6, else IPv4.
    pub is_ipv6: bool,
    /// Source address.
    pub source: Option<IpAddr>,
    /// Source port.
    pub source_port: Option<u16>,
    /// SO_BINDTODEVICE.
    pub interface: Option<Arc<str>>,
    /// SO_MARK; 0 for none.
    pub mark: u32,
    /// SO_RCVBUF in bytes, for UDP; `None` for as much as the kernel gives up to 8 MiB.
    pub receive_buffer: Option<usize>,
}

/// Something to do. Every op but `Send` completes with exactly one event.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Op {
    /// Send the first `len` bytes of `outgoing(token.slot)`. Completes silently when it was sent,
    /// with [`Event::SendFailed`] when it was not.
    Send {
        /// Attempt it belongs to.
        token: Token,
        /// From which socket.
        socket: SocketId,
        /// To where.
        to: SocketAddr,
        /// Bytes of the datagram.
        len: u16,
    },
    /// Connect a recycled TCP socket.
    Connect {
        /// Attempt it belongs to.
        token: Token,
        /// Which socket.
        socket: SocketId,
        /// To where.
        to: SocketAddr,
    },
    /// Dissolve the connection, or abort the one being set up: CONNECT(AF_UNSPEC).
    Disconnect {
        /// Attempt it belongs to.
        token: Token,
        /// Which socket.
        socket: SocketId,
    },
    /// Close the connection with FIN and make the socket anew. Not while a connect is in flight.
    Replace {
        /// Attempt it belongs to.
        token: Token,
        /// Which socket.
        socket: SocketId,
    },
}

/// Something that happened. `bytes` belong to the ring until the next call of `next`.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Event<'a> {
    /// A datagram arrived.
    Datagram {
        /// On which socket.
        socket: SocketId,
        /// Source address and port. Lent and not given: a copy is made as a block, and a block that was
        /// just written field by field cannot be read before all stores in front of it are done.
        from: &'a SocketAddr,
        /// Payload; cut at the size of the ring's buffers.
        bytes: &'a [u8],
    },
    /// The error queue has an ICMP error for a datagram sent earlier.
    IcmpError {
        /// On which socket.
        socket: SocketId,
        /// Original destination.
        to: SocketAddr,
        /// ECONNREFUSED, EHOSTUNREACH, ENETUNREACH, ...
        errno: i32,
        /// As much of the original payload as the router quoted, maybe nothing.
        bytes: &'a [u8],
    },
    /// A datagram was not sent. In {ECONNREFUSED, EHOSTUNREACH, ENETUNREACH, EPROTO, EMSGSIZE,
    /// ENOPROTOOPT, EHOSTDOWN, ENONET} this may be the stale ICMP error of another target.
    SendFailed {
        /// Attempt it belonged to.
        token: Token,
        /// Why.
        errno: i32,
    },
    /// A connect ended.
    Connected {
        /// Attempt it belongs to.
        token: Token,
        /// 0, or the errno.
        errno: i32,
    },
    /// A disconnect or replace ended. Only now may the socket be used again.
    Disconnected {
        /// Attempt it belongs to.
        token: Token,
        /// 0, or the errno.
        errno: i32,
    },
}

/// The submission queue is full; take a turn and push the op again.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct RingFull(pub Op);

/// The ring itself broke: the shard cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum RingError {
    /// This kernel, or a policy on it, does not give us a ring.
    #[error("io_uring is not available: {reason} ({remedy})")]
    Unavailable {
        /// What was missing.
        reason: String,
        /// What the operator can do.
        remedy: String,
    },
    /// A limit of this process is too low for the ring.
    #[error("the ring could not be set up: {what}: {error} ({remedy})")]
    Limit {
        /// Which step.
        what: &'static str,
        /// The kernel's refusal.
        error: std::io::Error,
        /// What the operator can do.
        remedy: String,
    },
    /// Waiting in the ring failed.
    #[error("io_uring_enter failed: {0}")]
    Enter(std::io::Error),
}

/// One core's way to the network.
pub trait Ring {
    /// The clock as read at the end of the last `turn` (or at creation).
    fn now(&self) -> Tick;

    /// Opens a socket and, for UDP, starts to receive on it.
    ///
    /// # Errors
    /// The local fault: no descriptor, port, memory or privilege.
    fn open(&mut self, spec: &SocketSpec) -> Result<SocketId, LocalFault>;

    /// Closes a socket that has no op of the shard in flight.
    fn close(&mut self, socket: SocketId);

    /// The outgoing bytes of a slot, to be filled before `Op::Send`. At least [`DATAGRAM_BYTES`].
    fn outgoing(&mut self, slot: u32) -> &mut [u8];

    /// Queues an op; it starts at the next `turn`.
    ///
    /// # Errors
    /// [`RingFull`] hands the op back: nothing could be submitted to make room.
    fn push(&mut self, op: Op) -> Result<(), RingFull>;

    /// Starts what was queued, waits until `want` completions are there, or any and [`GROUP_WAIT`] is over,
    /// or `until` has come, reads the clock once, and makes everything that completed available to
    /// `next`. (A kernel that cannot wait so, before 6.12, ends a wait for several after that time.) Where
    /// `deadline` has come by then, it reads everything already received, so that the deadline may be judged.
    ///
    /// # Errors
    /// Only when the ring itself broke.
    fn turn(&mut self, until: Tick, want: u32, deadline: Tick) -> Result<Tick, RingError>;

    /// Whether the last turn read everything that had arrived. Only then may a deadline be judged;
    /// otherwise take another turn with `until` and `deadline` in the past.
    fn drained(&self) -> bool;

    /// The next event of this turn.
    fn next(&mut self) -> Option<Event<'_>>;

    /// The first two bytes of the datagram that comes behind the next event, if one does and it is there
    /// to be looked at: for whoever wants to have at hand what it will be about. Only a hint.
    fn peek(&self) -> Option<[u8; 2]> {
        None
    }

    /// Datagrams the kernel dropped on this socket since it was opened, because its receive buffer
    /// was full. Wraps.
    fn drops(&mut self, socket: SocketId) -> u32;

    /// Whether there is a route to `to` from a socket like this one; the errno if not. Sends nothing.
    /// Tells a real refusal to send from the stale error of another target.
    ///
    /// # Errors
    /// The errno of the route look-up.
    fn route(&mut self, socket: SocketId, to: SocketAddr) -> Result<(), i32>;
}
