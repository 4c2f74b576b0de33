//! Transaction ids of the attempts in flight, and what a datagram that matches none of them is.
//!
//! An id is random and unique within the shard. Its low bits are the place of its attempt in a table of
//! four times as many places as there are slots, and no id is taken whose place is: so a reply finds its
//! slot by one look, and the table of a usual window stays in a core's nearest caches, where one of all
//! 65,536 ids would not. The slot then has to agree in socket, address and port. Each id also remembers a
//! hash of the last peer it was used for: a reply of that peer after the attempt ended is *late*, not
//! foreign. That memory is only written on the way of a probe, and only read for what is strange.

use std::net::{IpAddr, SocketAddr};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::slot::Slots;

const IDS: usize = 1 << 16;
/// Places per slot: so few are taken that the first random id mostly has a free one.
const PLACES_PER_SLOT: usize = 4;
/// No slot has this number: a window is at most half as large.
const NO_SLOT: u16 = u16::MAX;
/// Marks a slot that waits for no datagram; hashes of peers never take this value.
const NO_PEER: u32 = 0;
/// Linear searches for a peer per turn: a flood of strange packets must not cost us the turn.
const SEARCHES_PER_TURN: u32 = 256;

/// See the module.
#[derive(Debug)]
pub(super) struct Ids {
    random: StdRng,
    /// As many as a power of two has, by the low bits of an id.
    places: Box<[Place]>,
    /// By id: half of the hash of the last peer whose attempt ended.
    last_peers: Box<[u16]>,
    /// By slot: hash of the peer it waits for, or [`NO_PEER`].
    peers: Box<[u32]>,
    searches_left: u32,
}

/// An id in use, and by whom.
#[derive(Copy, Clone, Debug)]
struct Place {
    id: u16,
    slot: u16,
}

/// What the id of a datagram leads to.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum Found {
    /// This slot waits for this id; whether for this peer is yet to be seen.
    Slot(u32),
    /// The id was this peer's, and its attempt has ended.
    Ended,
    /// Nothing is known of it.
    Nothing,
}

impl Ids {
    /// For slots 0 to `slots` - 1. `seed` makes a run repeatable; without it the ids cannot be guessed.
    pub(super) fn new(slots: u32, seed: Option<u64>) -> Ids {
        let random = match seed {
            Some(seed) => StdRng::seed_from_u64(seed),
            None => rand::make_rng(),
        };
        let places = (slots as usize * PLACES_PER_SLOT).next_power_of_two().min(IDS);
        Ids {
            random,
            places: vec![Place { id: 0, slot: NO_SLOT }; places].into(),
            last_peers: vec![short(NO_PEER); IDS].into(),
            peers: vec![NO_PEER; slots as usize].into(),
            searches_left: SEARCHES_PER_TURN,
        }
    }

    fn place(&self, id: u16) -> usize {
        usize::from(id) & (self.places.len() - 1)
    }

    /// Takes a free id for a slot that is about to ask `peer`. There always is one: a shard has at
    /// most half as many slots as there are places.
    pub(super) fn take(&mut self, slot: u32, peer: SocketAddr) -> u16 {
        loop {
            let id: u16 = self.random.random();
            let place = self.place(id);
            if self.places[place].slot == NO_SLOT {
                self.places[place] = Place { id, slot: slot as u16 };
                self.peers[slot as usize] = hash(peer);
                return id;
            }
        }
    }

    /// Frees the id of an attempt that ended.
    pub(super) fn release(&mut self, id: u16, slot: u32) {
        self.places[self.place(id)].slot = NO_SLOT;
        self.last_peers[usize::from(id)] = short(self.peers[slot as usize]);
        self.peers[slot as usize] = NO_PEER;
    }

    /// What an id leads to, in a datagram from (or about) `peer`.
    pub(super) fn find(&self, id: u16, peer: SocketAddr) -> Found {
        let place = self.places[self.place(id)];
        if place.slot != NO_SLOT && place.id == id {
            Found::Slot(u32::from(place.slot))
        } else if self.was_last(id, peer) {
            Found::Ended
        } else {
            Found::Nothing
        }
    }

    /// Begins to bring the slot near that waits for this id: an answer finds it far away, for since it was
    /// written the kernel has filled the caches with packets.
    pub(super) fn prefetch(&self, id: u16, slots: &Slots) {
        let place = self.places[self.place(id)];
        if place.slot != NO_SLOT {
            slots.prefetch(u32::from(place.slot));
        }
    }

    /// Whether the last attempt that ended with this id was this peer's.
    pub(super) fn was_last(&self, id: u16, peer: SocketAddr) -> bool {
        self.last_peers[usize::from(id)] == short(hash(peer))
    }

    /// Slots that may be waiting for `peer`, first match first; the caller compares the address.
    /// `None` also when this turn has searched enough.
    pub(super) fn search(&mut self, peer: SocketAddr, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        self.searches_left = self.searches_left.checked_sub(1)?;
        let wanted = hash(peer);
        let matches = self.peers.iter().enumerate().filter(|(_, peer)| **peer == wanted);
        matches.map(|(slot, _)| slot as u32).find(|slot| is_it(*slot))
    }

    /// Whether this id leads to this slot, which waits for a peer.
    #[cfg(feature = "sim")]
    pub(super) fn is_taken_by(&self, id: u16, slot: u32) -> bool {
        let place = self.places[self.place(id)];
        place.id == id && u32::from(place.slot) == slot && self.is_asking(slot)
    }

    /// Whether this slot waits for a peer.
    #[cfg(feature = "sim")]
    pub(super) fn is_asking(&self, slot: u32) -> bool {
        self.peers[slot as usize] != NO_PEER
    }

    /// A new turn begins.
    pub(super) fn begin_turn(&mut self) {
        self.searches_left = SEARCHES_PER_TURN;
    }
}

/// Never [`NO_PEER`]. Collisions only blur how a strange packet is counted.
fn hash(peer: SocketAddr) -> u32 {
    const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;
    let ip = match peer.ip() {
        IpAddr::V4(v4) => u64::from(u32::from(v4)),
        IpAddr::V6(v6) => {
            let bits = u128::from(v6);
            (bits as u64) ^ ((bits >> 64) as u64).wrapping_mul(MULTIPLIER)
        }
    };
    let mixed = (ip ^ (u64::from(peer.port()) << 48)).wrapping_mul(MULTIPLIER);
    ((mixed >> 32) as u32) | 1
}

/// The half of a hash that an id remembers.
fn short(hash: u32) -> u16 {
    (hash >> 16) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(last: u8, port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, last], port))
    }

    #[test]
    fn an_id_leads_to_its_slot_and_then_to_its_past() {
        let mut ids = Ids::new(8, Some(1));
        let id = ids.take(3, peer(1, 53));
        assert_eq!(ids.find(id, peer(1, 53)), Found::Slot(3));
        assert_eq!(ids.find(id, peer(2, 53)), Found::Slot(3));
        assert_eq!(ids.search(peer(1, 53), |_| true), Some(3));
        ids.release(id, 3);
        assert_eq!(ids.find(id, peer(1, 53)), Found::Ended);
        assert_eq!(ids.find(id, peer(2, 53)), Found::Nothing);
        assert_eq!(ids.search(peer(1, 53), |_| true), None);
    }

    #[test]
    fn half_of_all_ids_can_be_taken_at_once() {
        let mut ids = Ids::new(1 << 15, Some(2));
        let mut taken: Vec<u16> = (0..1 << 15).map(|slot| ids.take(slot, peer(1, 53))).collect();
        taken.sort_unstable();
        taken.dedup();
        assert_eq!(taken.len(), 1 << 15);
    }

    #[test]
    fn two_ids_of_one_place_are_told_apart() {
        let mut ids = Ids::new(1, Some(4));
        let id = ids.take(0, peer(1, 53));
        let twin = id ^ 1 << 15;
        assert_eq!(ids.place(id), ids.place(twin));
        assert_eq!(ids.find(twin, peer(1, 53)), Found::Nothing);
        ids.release(id, 0);
        assert_eq!(ids.find(twin, peer(1, 53)), Found::Nothing);
        assert_eq!(ids.find(id, peer(1, 53)), Found::Ended);
    }

    #[test]
    fn ids_come_from_all_of_the_65536() {
        let mut ids = Ids::new(8, Some(5));
        let mut seen = vec![false; IDS];
        for _ in 0..1_000_000 {
            let id = ids.take(0, peer(1, 53));
            seen[usize::from(id)] = true;
            ids.release(id, 0);
        }
        assert!(seen.iter().all(|seen| *seen), "one in e^15 is missed by chance");
    }

    #[test]
    fn a_flood_of_strangers_is_searched_for_only_so_often() {
        let mut ids = Ids::new(8, Some(3));
        ids.take(0, peer(1, 53));
        for _ in 0..SEARCHES_PER_TURN {
            assert_eq!(ids.search(peer(1, 53), |_| true), Some(0));
        }
        assert_eq!(ids.search(peer(1, 53), |_| true), None);
        ids.begin_turn();
        assert_eq!(ids.search(peer(1, 53), |_| true), Some(0));
    }

    #[test]
    fn without_a_seed_two_runs_differ() {
        let ids = |seed| {
            let mut ids = Ids::new(16, seed);
            (0..16).map(|slot| ids.take(slot, peer(1, 53))).collect::<Vec<_>>()
        };
        assert_eq!(ids(Some(9)), ids(Some(9)));
        assert_ne!(ids(None), ids(None));
    }
}
