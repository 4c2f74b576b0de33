//! Tables of a shard by themselves, half full, for benches: each call of what is returned is one operation.

use std::hint::black_box;
use std::net::{Ipv4Addr, SocketAddr};

use crate::id::SpecId;
use crate::outcome::Assignment;
use crate::ring::SocketId;
use crate::tick::Tick;

use super::ids::{Found, Ids};
use super::lane::LaneId;
use super::slot::{Pending, Phase, Slot, Slots};

fn target(host: u32) -> SocketAddr {
    (Ipv4Addr::from(0x0a00_0001 + host), 53).into()
}

fn slot(host: u32) -> Slot {
    let target = target(host);
    Slot {
        phase: Phase::Connecting,
        generation: 0,
        pending: Pending::new(Assignment {
            seq: u64::from(host),
            target,
            spec: SpecId(0),
            retries: 1,
        }),
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

/// Takes a slot, finds it by its token, releases it.
pub fn slot_used(window: u32) -> impl FnMut() {
    let mut slots = Slots::new(window);
    for host in 0..window / 2 {
        slots.take(slot(host));
    }
    let mut host = window;
    move || {
        host += 1;
        let taken = slots.take(slot(black_box(host)));
        let found = taken.and_then(|index| slots.current(black_box(slots.token(index))));
        slots.release(found.expect("half of the slots are free"));
    }
}

/// Takes a transaction id, finds its slot by it, releases it.
pub fn id_used(window: u32) -> impl FnMut() {
    let mut ids = Ids::new(window, Some(1));
    for slot in 1..window / 2 {
        ids.take(slot, target(slot));
    }
    let mut host = window;
    move || {
        host += 1;
        let peer = target(black_box(host));
        let id = ids.take(0, peer);
        assert!(ids.find(black_box(id), peer) == Found::Slot(0), "it was just taken");
        ids.release(id, 0);
    }
}
