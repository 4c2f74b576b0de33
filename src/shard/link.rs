//! What goes into a shard and what comes out: the channels' types.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crossbeam_channel::{Receiver, Sender};
use hdrhistogram::Histogram;

use crate::id::{ShardId, SpecId};
use crate::outcome::{Assignment, Record, Strange};
use crate::ring::RingError;
use crate::schedule::pace::{Pace, Span};

/// Batches of records of one shard that may be on their way to the aggregator.
pub const REPORTS_IN_FLIGHT: usize = 8;

/// Settings of one shard.
#[derive(Clone, Debug)]
pub struct ShardConfig {
    /// Which one.
    pub id: ShardId,
    /// The core to pin to; `None` to float.
    pub cpu: Option<usize>,
    /// Most attempts in flight, 1 to [`WINDOW_MAX`](super::WINDOW_MAX).
    pub window: u32,
    /// How fast probes of this shard start.
    pub pace: Pace,
    /// When they do; `None` for as long as there is input. What is assigned and has not begun when it ends
    /// is dropped, and no probe is tried again, whoever's the trouble was.
    pub span: Option<Span>,
    /// UDP sockets per lane, 1 to 64; 1 where the source port is fixed.
    pub sockets_per_lane: u32,
    /// SO_RCVBUF of UDP sockets in bytes; `None` for as much as the kernel gives.
    pub receive_buffer: Option<usize>,
    /// Sockets this shard may have open: its share of RLIMIT_NOFILE.
    pub sockets_max: u32,
    /// Seed of transaction ids; `None` takes it from the operating system.
    pub seed: Option<u64>,
    /// Whether each probe has a record. Else those that pass at the first attempt may only be counted.
    pub records_passes: bool,
}

/// Probes that passed at their first attempt, with no strange packet before, and have no record.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Passes {
    /// Of which spec.
    pub spec: SpecId,
    /// How many.
    pub count: u64,
}

/// A shard's ends of its channels.
#[derive(Debug)]
pub struct Links {
    /// Batches from the feeder; disconnected when the input is at its end.
    pub assignments: Receiver<Vec<Assignment>>,
    /// Emptied batches on their way back to the feeder.
    pub spent: Sender<Vec<Assignment>>,
    /// To the aggregator.
    pub reports: Sender<Report>,
    /// Emptied batches on their way back. Whoever takes a batch gives it back: a shard has
    /// [`REPORTS_IN_FLIGHT`] of them, and one that it fills.
    pub empties: Receiver<Vec<Record>>,
    /// Counters that newer ones have replaced, on their way back.
    pub old_stats: Receiver<Box<ShardStats>>,
    /// Dropped when the shard has its ring: nothing is fed before all have, so that no shard's sockets
    /// take the descriptors of another's ring.
    pub ready: Sender<()>,
    /// Set by Ctrl-C or a broken sink: admit nothing more, report what is known, end.
    pub stop: Arc<AtomicBool>,
}

/// What a shard tells the aggregator.
#[derive(Debug)]
pub enum Report {
    /// Probes that ended. The emptied vector goes back to the shard's `empties`.
    Records(ShardId, Vec<Record>),
    /// Probes that ended and have no record.
    Passes(Passes),
    /// Counters and latencies, cumulative since the start, about twice a second and at the end.
    Stats(ShardId, Box<ShardStats>),
    /// The shard ended; nothing more comes from it.
    Ended(ShardId, Result<(), RingError>),
}

/// Counters of one shard since its start.
#[derive(Clone, Debug)]
pub struct ShardStats {
    /// Datagrams the kernel accepted from us.
    pub datagrams_sent: u64,
    /// Datagrams received, strange ones included.
    pub datagrams_received: u64,
    /// TCP connects started (SYNs, retransmissions not counted); not those that our own lack of a
    /// port or of memory refused before the SYN.
    pub connects: u64,
    /// Packets that decided nothing, by kind, in the order of [`Strange::ALL`].
    pub strange: [u64; Strange::ALL.len()],
    /// Datagrams our receive buffers dropped.
    pub receive_drops: u64,
    /// Attempts that were tried again without spending a retry because we were late or dropped.
    pub free_retries: u64,
    /// Sends repeated because another target's ICMP error had hit them.
    pub soft_send_errors: u64,
    /// Nanoseconds this shard was found not running when it should have been.
    pub stalled_ns: u64,
    /// Those of them in the measured part of the span; all where there is none.
    pub stalled_in_span_ns: u64,
    /// Moments of the timetable at which probes were due and begun; 0 without a timetable.
    pub moments_taken: u64,
    /// Window now and at its smallest.
    pub window_now: u32,
    /// Smallest window so far.
    pub window_min: u32,
    /// Attempts in flight now.
    pub in_flight: u32,
    /// Nanoseconds by what held admission back, in the order of [`Limit::ALL`].
    pub limited_ns: [u64; Limit::ALL.len()],
    /// Turns of the loop (enters).
    pub turns: u64,
    /// Latency in nanoseconds of every attempt that was answered (passed or failed by an answer).
    pub latency: Histogram<u64>,
}

impl ShardStats {
    /// A copy of these in the memory of older ones of the same shard.
    pub(super) fn copy_to(&self, mut old: Box<ShardStats>) -> Box<ShardStats> {
        let mut latency = old.latency;
        // Cannot fail: both have the same bounds.
        let _ = latency.set_to(&self.latency);
        *old = ShardStats { latency, ..*self };
        old
    }
}

/// What kept a shard from starting more probes.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub enum Limit {
    /// The input had nothing ready.
    Input,
    /// The input was at its end: the last answers, timeouts and retries.
    Tail,
    /// The pace that was asked for.
    Rate,
    /// The window was full and the shard waited: the targets' round trips.
    Window,
    /// The shard had more to do than it could: this core.
    Cpu,
    /// No more sockets could be had: descriptors, or ports.
    Sockets,
    /// The window had been cut because our receive buffers dropped.
    ReceiveBuffer,
    /// The window had been cut because the send queues of this machine were full.
    SendQueue,
    /// The aggregator (output) could not keep up.
    Output,
}

impl Limit {
    /// All, in the order of their counters.
    pub const ALL: [Limit; 9] = [
        Limit::Input,
        Limit::Tail,
        Limit::Rate,
        Limit::Window,
        Limit::Cpu,
        Limit::Sockets,
        Limit::ReceiveBuffer,
        Limit::SendQueue,
        Limit::Output,
    ];

    /// How the report says it.
    pub fn name(self) -> &'static str {
        match self {
            Limit::Input => "input",
            Limit::Tail => "tail",
            Limit::Rate => "rate",
            Limit::Window => "window",
            Limit::Cpu => "cpu",
            Limit::Sockets => "sockets",
            Limit::ReceiveBuffer => "receive_buffer",
            Limit::SendQueue => "send_queue",
            Limit::Output => "output",
        }
    }
}
