//! What may go wrong in a simulated machine and network, and how often.

use std::time::Duration;

use crate::tick::Tick;

/// Chances are per datagram, op, open or turn, as each field says; 0 is never.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    /// A datagram or SYN is lost, either way, as far as the peer's `may_lose` allows.
    pub loss: f64,
    /// A datagram from a peer arrives twice.
    pub duplicate: f64,
    /// Every packet from a peer takes up to this longer, so later ones overtake it.
    pub jitter: Duration,
    /// Bytes of a UDP socket's receive buffer where the shard asks for no size; `None` for 8 MiB.
    pub receive_buffer: Option<usize>,
    /// A push finds the submission queue full.
    pub ring_full: f64,
    /// An open is refused: EMFILE, ENOBUFS or no free port.
    pub open_refused: f64,
    /// Most sockets at once; more get EMFILE.
    pub descriptors: Option<u32>,
    /// A send fails for lack of memory or room: ENOBUFS, EAGAIN.
    pub send_refused: f64,
    /// A connect fails before its SYN: EADDRNOTAVAIL, ENOBUFS.
    pub connect_refused: f64,
    /// A disconnect or replace fails, so the socket must not be used again.
    pub dissolve_fails: f64,
    /// The completion of a connect, disconnect or replace comes up to `late_max` after its cause.
    pub late_completion: f64,
    /// See `late_completion`.
    pub late_max: Duration,
    /// A completion of an attempt that ended long ago turns up in a turn.
    pub stale_completion: f64,
    /// The thread stands still for up to `stall_max` in a turn: before its submit or in its wait.
    pub stall: f64,
    /// See `stall`.
    pub stall_max: Duration,
    /// So often at most.
    pub stalls: u32,
    /// Stalls at given moments.
    pub stalls_at: Vec<(Tick, Duration)>,
    /// A wait ends before its time and with less than was wanted.
    pub early_wake: f64,
    /// A turn leaves packets unread and says so.
    pub undrained: f64,
    /// Data and errors of a turn come in another order than they arrived.
    pub shuffle: f64,
    /// What each event and each op costs the thread.
    pub work_each: Duration,
    /// A deliberate fault that the invariants have to find.
    pub canary: Option<Canary>,
}

/// Breaks the ring's contract, to show that the invariants would notice.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub enum Canary {
    /// A server that says nothing is answered for, with the right address, id and question.
    ForgedAnswers,
    /// `open` hands out a TCP socket that another attempt has.
    SharedSocket,
    /// A disconnect reports its end, but the connect it should abort goes on and ends the next one.
    EarlyReuse,
    /// Datagrams that found the receive buffer full are not counted.
    HiddenDrops,
    /// `drained` says that all was read when it was not.
    LyingDrain,
    /// Some disconnects never complete.
    LostCompletion,
    /// Some datagrams leave twice.
    DoubleSend,
    /// A send that a stale error hit is not reported.
    SilentSendFailure,
}

impl Canary {
    /// All of them.
    pub const ALL: [Canary; 8] = [
        Canary::ForgedAnswers,
        Canary::SharedSocket,
        Canary::EarlyReuse,
        Canary::HiddenDrops,
        Canary::LyingDrain,
        Canary::LostCompletion,
        Canary::DoubleSend,
        Canary::SilentSendFailure,
    ];
}
