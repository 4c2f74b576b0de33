//! Slots: what a shard remembers of each attempt in flight. Fixed in number, never moved.

use std::net::{Ipv4Addr, SocketAddr};

use crate::id::SpecId;
use crate::outcome::{Assignment, Strange};
use crate::ring::{SocketId, Token, prefetch};
use crate::schedule::attempt::Attempts;
use crate::tick::Tick;

use super::lane::LaneId;

/// Generations wrap where the ring's tokens do.
const GENERATIONS: u32 = 1 << 24;

/// A probe between two attempts: waiting for its first, or for a retry.
#[derive(Copy, Clone, Debug)]
pub(super) struct Pending {
    pub(super) assignment: Assignment,
    pub(super) attempts: Attempts,
    /// Since when the probe could have begun; `None` before its first attempt.
    pub(super) due: Option<Tick>,
    /// Not started before this.
    pub(super) not_before: Tick,
    /// The last packet of an earlier attempt that did not count.
    pub(super) strange: Option<Strange>,
}

impl Pending {
    /// Of a slot that had no probe yet.
    fn none() -> Pending {
        let target = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0);
        let assignment = Assignment { seq: 0, target, spec: SpecId(0), retries: 0 };
        Pending {
            assignment,
            attempts: Attempts::new(0),
            due: None,
            not_before: Tick::default(),
            strange: None,
        }
    }

    /// Becomes a probe that no attempt was made of, field by field where it stands.
    pub(super) fn begin(&mut self, assignment: &Assignment) {
        self.assignment = *assignment;
        self.attempts = Attempts::new(assignment.retries);
        self.due = None;
        self.not_before = Tick::default();
        self.strange = None;
    }
}

/// Where an attempt stands.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum Phase {
    /// Nobody's.
    Free,
    /// A query is out, under this transaction id.
    Asked(u16),
    /// A connect is in flight.
    Connecting,
    /// The verdict is in, the socket not free yet: D3 wants both completions first.
    Dissolving { connect_pending: bool, disconnect: Disconnect },
}

/// How far the disconnect of a connection is.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum Disconnect {
    Pending,
    Done,
    /// So the socket cannot be trusted with another probe.
    Failed,
}

/// One attempt: two cache lines and no more, for both are far away when its answer comes.
#[derive(Clone, Debug)]
#[repr(align(64))]
pub(super) struct Slot {
    pub(super) phase: Phase,
    pub(super) generation: u32,
    pub(super) pending: Pending,
    pub(super) lane: LaneId,
    pub(super) socket: SocketId,
    pub(super) started: Tick,
    /// As set in the wheel.
    pub(super) deadline: Tick,
    /// The shard's `stalled_ns` and the socket's drop counter when it started.
    pub(super) stalled_ns: u64,
    pub(super) drops: u32,
    /// Sends refused so far.
    pub(super) refusals: u16,
    /// The errno of the last refusal while the send waits to be repeated, else 0.
    pub(super) unsent_errno: i16,
}

const _: () = assert!(size_of::<Slot>() == 128);

impl Slot {
    fn unused() -> Slot {
        Slot {
            phase: Phase::Connecting,
            generation: 0,
            pending: Pending::none(),
            lane: LaneId::default(),
            socket: SocketId(0),
            started: Tick::default(),
            deadline: Tick::NEVER,
            stalled_ns: 0,
            drops: 0,
            refusals: 0,
            unsent_errno: 0,
        }
    }
}

/// All slots of a shard and which are free.
#[derive(Debug)]
pub(super) struct Slots {
    slots: Vec<Slot>,
    free: Vec<u32>,
    count: u32,
}

impl Slots {
    pub(super) fn new(count: u32) -> Slots {
        Slots {
            slots: Vec::with_capacity(count as usize),
            free: Vec::with_capacity(count as usize),
            count,
        }
    }

    /// Takes a slot, in which all but the generation is still to be set; `None` when all are in use. The
    /// most recently freed comes first: its bytes are still in the cache.
    pub(super) fn take(&mut self) -> Option<u32> {
        if let Some(index) = self.free.pop() {
            // The one after it is likely the next to be written.
            if let Some(next) = self.free.last() {
                self.prefetch(*next);
            }
            let slot = &mut self.slots[index as usize];
            slot.generation = (slot.generation + 1) % GENERATIONS;
            slot.phase = Phase::Connecting;
            return Some(index);
        }
        let index = self.slots.len() as u32;
        if index == self.count {
            return None;
        }
        self.slots.push(Slot::unused());
        Some(index)
    }

    pub(super) fn release(&mut self, index: u32) {
        let slot = &mut self.slots[index as usize];
        assert!(slot.phase != Phase::Free, "a slot is released once");
        slot.phase = Phase::Free;
        self.free.push(index);
    }

    pub(super) fn in_use(&self) -> u32 {
        (self.slots.len() - self.free.len()) as u32
    }

    /// Begins to bring a slot near.
    pub(super) fn prefetch(&self, index: u32) {
        if let Some(slot) = self.slots.get(index as usize) {
            prefetch(slot);
        }
    }

    pub(super) fn get(&self, index: u32) -> &Slot {
        &self.slots[index as usize]
    }

    pub(super) fn get_mut(&mut self, index: u32) -> &mut Slot {
        &mut self.slots[index as usize]
    }

    /// The slot a completion names, if it is still that attempt's (ring rule R2).
    pub(super) fn current(&self, token: Token) -> Option<u32> {
        let slot = self.slots.get(token.slot as usize)?;
        (slot.generation == token.generation && slot.phase != Phase::Free).then_some(token.slot)
    }

    /// All that were ever taken, the free ones included.
    #[cfg(feature = "sim")]
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &Slot)> {
        (0..).zip(&self.slots)
    }

    pub(super) fn token(&self, index: u32) -> Token {
        Token { slot: index, generation: self.slots[index as usize].generation }
    }
}
