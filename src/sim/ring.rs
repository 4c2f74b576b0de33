//! [`SimRing`]: what a shard sees of the simulated machine.

use std::cell::Cell;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use crate::outcome::LocalFault;
use crate::ring::{
    DATAGRAM_BYTES, Event, GROUP_WAIT, Op, Ring, RingError, RingFull, SocketId, SocketSpec, Token,
};
use crate::tick::Tick;

use super::clock::Clock;
use super::faults::{Canary, Faults};
use super::kernel::{Kernel, Owned};
use super::ledger::{Tally, Trace};
use super::net::Network;
use super::prng::Prng;

/// What one io_uring_enter costs.
const ENTER_COST: Duration = Duration::from_micros(2);

/// Sizes and surroundings of a simulated ring.
#[derive(Debug)]
pub struct SimConfig {
    /// Slots, as in the real ring.
    pub slots: u32,
    /// Where the virtual clock begins.
    pub start: Tick,
    /// What goes wrong.
    pub faults: Faults,
}

/// See the module.
#[derive(Debug)]
pub struct SimRing {
    kernel: Kernel,
    /// Ops pushed since the last turn, with the bytes that a send had then.
    queue: Vec<(Op, Vec<u8>)>,
    outgoing: Vec<[u8; DATAGRAM_BYTES]>,
    events: VecDeque<Owned>,
    /// The event whose bytes are lent out.
    lent: Option<Owned>,
    drained: bool,
    /// Events handed out and ops taken since the last turn: what the thread has worked.
    work: u32,
    /// The attempt of each slot, and the one before it.
    attempts: Vec<[Option<Token>; 2]>,
    is_dropped: Rc<Cell<bool>>,
}

impl SimRing {
    /// A machine on this network. Equal arguments behave equally.
    pub fn new(config: SimConfig, network: Network, prng: Prng) -> SimRing {
        let slots = config.slots as usize;
        SimRing {
            kernel: Kernel::new(config.start, config.faults, network, prng),
            queue: Vec::new(),
            outgoing: vec![[0; DATAGRAM_BYTES]; slots],
            events: VecDeque::new(),
            lent: None,
            drained: true,
            work: 0,
            attempts: vec![[None; 2]; slots],
            is_dropped: Rc::new(Cell::new(false)),
        }
    }

    /// Breaches of the ring's contract by the shard so far.
    pub fn violations(&self) -> &[String] {
        &self.kernel.violations
    }

    /// What passed between ring and shard.
    pub fn tally(&self) -> Tally {
        self.kernel.tally
    }

    /// The network, and what it saw.
    pub fn network(&self) -> &Network {
        &self.kernel.network
    }

    /// The virtual clock, and how long the thread stood still.
    pub fn clock(&self) -> &Clock {
        &self.kernel.clock
    }

    /// The virtual time less all in which the thread stood still.
    pub fn now_unstalled(&self) -> Tick {
        self.kernel.clock.now() - self.kernel.clock.stalled()
    }

    /// When this target was asked.
    pub fn trace(&self, target: SocketAddr) -> Option<Trace> {
        self.kernel.trace(target)
    }

    /// Sockets that are open.
    pub fn open_sockets(&self) -> u32 {
        self.kernel.open_sockets()
    }

    /// TCP sockets that are connected or have a completion outstanding.
    pub fn busy_sockets(&self) -> u32 {
        self.kernel.busy_sockets()
    }

    /// Becomes true when the ring is dropped.
    pub fn drop_flag(&self) -> Rc<Cell<bool>> {
        Rc::clone(&self.is_dropped)
    }

    /// The thread stands still: the network goes on.
    fn stall(&mut self, stall: Duration) {
        let kernel = &mut self.kernel;
        kernel.tally.stalls += 1;
        kernel.clock.count_stall(stall);
        kernel.clock.advance_to(kernel.clock.now() + stall);
        kernel.happen();
    }

    /// The length of a stall that comes in this turn.
    fn stall_due(&mut self) -> Option<Duration> {
        let kernel = &mut self.kernel;
        let now = kernel.clock.now();
        if let Some(at) = kernel.faults.stalls_at.iter().position(|(at, _)| *at <= now) {
            return Some(kernel.faults.stalls_at.remove(at).1);
        }
        if kernel.faults.stalls > 0 && kernel.prng.chance(kernel.faults.stall) {
            kernel.faults.stalls -= 1;
            return Some(kernel.prng.between(Duration::ZERO, kernel.faults.stall_max));
        }
        None
    }

    fn submit(&mut self) {
        for (op, bytes) in std::mem::take(&mut self.queue) {
            if let Op::Send { token, len, .. } = op {
                let now = &self.outgoing[token.slot as usize][..usize::from(len)];
                let is_same = now == bytes;
                self.kernel
                    .require(is_same, || format!("bytes of {op:?} changed before its submit"));
            }
            self.kernel.start(op, &bytes);
            // What answers at once, as loopback does, answers before the next op starts.
            self.kernel.happen();
        }
    }

    /// Passes the time until `want` completions are there or `until` has come.
    fn wait(&mut self, until: Tick, want: u32) {
        let kernel = &mut self.kernel;
        let mut until = until;
        if kernel.prng.chance(kernel.faults.early_wake) {
            let whole = until.since(kernel.clock.now());
            until = kernel.clock.now() + kernel.prng.between(Duration::ZERO, whole);
        }
        let lapse = kernel.clock.now() + GROUP_WAIT;
        while kernel.ready() < want && kernel.clock.now() < until {
            let now = kernel.clock.now();
            if want > 1 && now >= lapse && kernel.ready() > 0 {
                break;
            }
            let until = if now < lapse { until.min(lapse) } else { until };
            let next = kernel.next_at().map_or(until, |at| at.min(until));
            kernel.clock.advance_to(next);
            kernel.happen();
        }
    }

    fn add_stale(&mut self) {
        let kernel = &mut self.kernel;
        if kernel.prng.chance(kernel.faults.stale_completion) && !self.attempts.is_empty() {
            let slot = kernel.prng.below(self.attempts.len() as u64) as usize;
            if let Some(token) = self.attempts[slot][1] {
                let kind = kernel.prng.below(3);
                kernel.complete(Owned::Stale { token, kind });
            }
        }
    }
}

impl Ring for SimRing {
    fn now(&self) -> Tick {
        self.kernel.clock.now()
    }

    fn open(&mut self, spec: &SocketSpec) -> Result<SocketId, LocalFault> {
        self.kernel.open(spec)
    }

    fn close(&mut self, socket: SocketId) {
        self.kernel.close(socket);
    }

    fn outgoing(&mut self, slot: u32) -> &mut [u8] {
        &mut self.outgoing[slot as usize]
    }

    fn push(&mut self, op: Op) -> Result<(), RingFull> {
        if self.kernel.prng.chance(self.kernel.faults.ring_full) {
            self.kernel.tally.ring_full += 1;
            return Err(RingFull(op));
        }
        self.work += 1;
        let mut bytes = Vec::new();
        if let Op::Send { token, len, .. } = op {
            bytes.extend_from_slice(&self.outgoing[token.slot as usize][..usize::from(len)]);
        }
        self.kernel.check_push(&op, &bytes);
        if let Op::Send { token, .. } | Op::Connect { token, .. } = op {
            let attempts = &mut self.attempts[token.slot as usize];
            if attempts[0] != Some(token) {
                *attempts = [Some(token), attempts[0]];
            }
        }
        self.queue.push((op, bytes));
        Ok(())
    }

    fn turn(&mut self, until: Tick, want: u32, deadline: Tick) -> Result<Tick, RingError> {
        let is_read = self.events.is_empty();
        self.kernel.require(is_read, || "a turn began with events unread".into());
        self.lent = None;
        let worked = self.kernel.faults.work_each * std::mem::take(&mut self.work);
        self.kernel.clock.advance_to(self.kernel.clock.now() + worked);
        self.kernel.happen();
        let stall = self.stall_due();
        let stalls_first = self.kernel.prng.chance(0.5);
        if let (Some(stall), true) = (stall, stalls_first) {
            self.stall(stall);
        }
        let is_idle = self.queue.is_empty() && until <= self.kernel.clock.now();
        self.submit();
        self.wait(until, want);
        if let (Some(stall), false) = (stall, stalls_first) {
            self.stall(stall);
        }
        self.kernel.clock.advance_to(self.kernel.clock.now() + ENTER_COST);
        self.kernel.happen();
        self.add_stale();
        let leaves = self.kernel.prng.chance(self.kernel.faults.undrained);
        let (events, has_left) = self.kernel.read_all(leaves);
        self.events.extend(events);
        self.kernel.tally.idle_turns += u64::from(is_idle && self.events.is_empty());
        let now = self.kernel.clock.now();
        self.kernel.tally.undrained += u64::from(has_left);
        let lies = self.kernel.faults.canary == Some(Canary::LyingDrain);
        self.drained = now >= deadline && (!has_left || lies);
        Ok(now)
    }

    fn drained(&self) -> bool {
        self.drained
    }

    fn next(&mut self) -> Option<Event<'_>> {
        let owned = self.events.pop_front()?;
        self.work += 1;
        self.kernel.seen(&owned);
        let event = match self.lent.insert(owned) {
            Owned::Datagram { socket, from, bytes } => {
                Event::Datagram { socket: *socket, from, bytes }
            }
            Owned::IcmpError { socket, to, errno, bytes } => {
                Event::IcmpError { socket: *socket, to: *to, errno: *errno, bytes }
            }
            Owned::SendFailed { token, errno } => {
                Event::SendFailed { token: *token, errno: *errno }
            }
            Owned::Connected { token, errno, .. } => {
                Event::Connected { token: *token, errno: *errno }
            }
            Owned::Disconnected { token, errno, .. } => {
                Event::Disconnected { token: *token, errno: *errno }
            }
            Owned::Stale { token, kind: 0 } => {
                Event::SendFailed { token: *token, errno: libc::ECONNREFUSED }
            }
            Owned::Stale { token, kind: 1 } => Event::Connected { token: *token, errno: 0 },
            Owned::Stale { token, .. } => Event::Disconnected { token: *token, errno: 0 },
        };
        Some(event)
    }

    fn drops(&mut self, socket: SocketId) -> u32 {
        self.kernel.drops(socket)
    }

    fn route(&mut self, socket: SocketId, to: SocketAddr) -> Result<(), i32> {
        self.kernel.route(socket, to)
    }
}

impl Drop for SimRing {
    fn drop(&mut self) {
        self.is_dropped.set(true);
    }
}
