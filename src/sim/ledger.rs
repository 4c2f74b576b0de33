//! What a simulation counts, to hold the shard's own counters and records against it.

use crate::ring::{SocketSpec, Token};
use crate::tick::Tick;

/// When a target was asked, as the ring saw it pushed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Trace {
    /// The first send or connect.
    pub first: Tick,
    /// The last one.
    pub last: Tick,
    /// How many.
    pub count: u32,
    /// The options of the socket that was last used.
    pub socket: SocketSpec,
    /// By chance two attempts, or an attempt and a forged reply, had the same transaction id: what
    /// was late or wrong for the one was right for the other.
    pub repeats_id: bool,
}

/// Transaction ids that were used with one address: of attempts, and of replies nobody asked for.
#[derive(Debug, Default)]
pub(super) struct IdsOfPeer {
    pub(super) used: Vec<(Option<Token>, [u8; 2])>,
    pub(super) repeats: bool,
}

/// What passed between ring and shard.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub struct Tally {
    /// Datagrams handed to the shard.
    pub datagrams: u64,
    /// ICMP errors handed to the shard.
    pub icmp_errors: u64,
    /// Sends that failed with the error of another target.
    pub soft_failures: u64,
    /// Sends that failed for a reason of their own.
    pub hard_failures: u64,
    /// Datagrams that found a receive buffer full.
    pub drops: u64,
    /// ICMP errors that did.
    pub errors_lost: u64,
    /// Sockets opened, and opens refused.
    pub opens: u64,
    /// See `opens`.
    pub opens_refused: u64,
    /// Connects that failed before their SYN, for want of a port or of memory.
    pub connects_refused: u64,
    /// Connects that failed before their SYN, for want of a route.
    pub connects_unrouted: u64,
    /// Pushes that found the queue full.
    pub ring_full: u64,
    /// Turns in which the thread stood still.
    pub stalls: u64,
    /// Turns that left packets unread.
    pub undrained: u64,
    /// Completions that named an attempt which had ended.
    pub stale: u64,
    /// Turns that did not wait, started nothing and found nothing.
    pub idle_turns: u64,
    /// Disconnects and replaces started.
    pub disconnects: u64,
    /// See `disconnects`.
    pub replaces: u64,
}
