//! Tables of a shard by themselves, half full, for benches: each call of what is returned is one operation.

use std::hint::black_box;
use std::net::{Ipv4Addr, SocketAddr};

use crate::id::SpecId;
use crate::outcome::Assignment;

use super::ids::{Found, Ids};
use super::slot::Slots;

fn target(host: u32) -> SocketAddr {
    (Ipv4Addr::from(0x0a00_0001 + host), 53).into()
}

/// Takes a slot, puts a probe into it, finds it by its token, releases it.
pub fn slot_used(window: u32) -> impl FnMut() {
    let mut slots = Slots::new(window);
    for _ in 0..window / 2 {
        slots.take();
    }
    let mut host = window;
    move || {
        host += 1;
        let (seq, target) = (u64::from(host), target(black_box(host)));
        let assignment = Assignment { seq, target, spec: SpecId(0), retries: 1 };
        let taken = slots.take();
        if let Some(index) = taken {
            slots.get_mut(index).pending.begin(&assignment);
        }
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
