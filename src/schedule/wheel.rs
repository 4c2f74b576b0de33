//! The timer wheel of one shard: one deadline per slot, O(1) to set and to clear.
//!
//! 8,192 buckets of one millisecond, each a doubly linked list threaded through the slots. A deadline
//! beyond the 8 s horizon waits in its bucket for as many turns of the wheel as it needs. Deadlines
//! round up to a whole millisecond, so nothing expires early and everything within one tick.

use crate::tick::Tick;

/// Nanoseconds of one wheel tick.
pub const TICK_NS: u64 = 1_000_000;

const BUCKETS: usize = 8192;
const WORDS: usize = BUCKETS / 64;
const NONE: u32 = u32::MAX;

#[derive(Copy, Clone, Debug)]
struct Link {
    next: u32,
    previous: u32,
    /// Wheel tick at which it is due; `u64::MAX` while the slot has no deadline.
    due: u64,
}

/// See the module.
#[derive(Debug)]
pub struct Wheel {
    links: Box<[Link]>,
    heads: Box<[u32; BUCKETS]>,
    occupied: [u64; WORDS],
    /// Every bucket before this tick has been emptied of what was due.
    swept: u64,
    /// The bucket of `swept` itself was looked through while this is equal to it: what is left there
    /// waits for another turn of the wheel.
    looked_through: u64,
    count: u32,
}

impl Wheel {
    /// A wheel for slots 0 to `slots` - 1, starting at `now`.
    pub fn new(slots: u32, now: Tick) -> Wheel {
        Wheel {
            links: vec![Link { next: NONE, previous: NONE, due: u64::MAX }; slots as usize].into(),
            heads: Box::new([NONE; BUCKETS]),
            occupied: [0; WORDS],
            swept: now.as_ns() / TICK_NS,
            looked_through: u64::MAX,
            count: 0,
        }
    }

    /// Slots that have a deadline.
    pub fn len(&self) -> u32 {
        self.count
    }

    /// Whether no slot has a deadline.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Sets the deadline of a slot, replacing the one it had.
    pub fn set(&mut self, slot: u32, deadline: Tick) {
        self.clear(slot);
        // A deadline in the past is due at once, in a bucket that is still to be swept.
        let due = deadline.as_ns().div_ceil(TICK_NS).max(self.swept);
        if due == self.swept {
            self.looked_through = u64::MAX;
        }
        let bucket = due as usize % BUCKETS;
        let head = self.heads[bucket];
        self.links[slot as usize] = Link { next: head, previous: NONE, due };
        if head != NONE {
            self.links[head as usize].previous = slot;
        }
        self.heads[bucket] = slot;
        self.occupied[bucket / 64] |= 1 << (bucket % 64);
        self.count += 1;
    }

    /// Takes the deadline of a slot away, if it has one.
    pub fn clear(&mut self, slot: u32) {
        let link = self.links[slot as usize];
        if link.due == u64::MAX {
            return;
        }
        let bucket = link.due as usize % BUCKETS;
        if link.previous == NONE {
            self.heads[bucket] = link.next;
            if link.next == NONE {
                self.occupied[bucket / 64] &= !(1 << (bucket % 64));
            }
        } else {
            self.links[link.previous as usize].next = link.next;
        }
        if link.next != NONE {
            self.links[link.next as usize].previous = link.previous;
        }
        self.links[slot as usize].due = u64::MAX;
        self.count -= 1;
    }

    /// Takes out one slot whose deadline has come by `now`; call until `None`.
    pub fn pop_due(&mut self, now: Tick) -> Option<u32> {
        let now = now.as_ns() / TICK_NS;
        while self.swept <= now && self.count > 0 {
            let bucket = self.swept as usize % BUCKETS;
            let mut slot = self.heads[bucket];
            while slot != NONE {
                let link = self.links[slot as usize];
                if link.due <= now {
                    self.clear(slot);
                    return Some(slot);
                }
                slot = link.next;
            }
            if self.swept == now {
                self.looked_through = now;
                return None;
            }
            self.swept = self.next_occupied(self.swept + 1).map_or(now, |tick| tick.min(now));
        }
        self.swept = self.swept.max(now);
        None
    }

    /// The earliest moment at which something may be due. Never late; early for what lies beyond the
    /// horizon.
    pub fn next_due(&self) -> Option<Tick> {
        let from = self.swept + u64::from(self.looked_through == self.swept);
        self.next_occupied(from).map(|tick| Tick::from_ns(tick * TICK_NS))
    }

    /// The first tick from `from` on, within one turn of the wheel, whose bucket holds anything.
    fn next_occupied(&self, from: u64) -> Option<u64> {
        if self.count == 0 {
            return None;
        }
        let start = from as usize % BUCKETS;
        // The first word twice: its upper part at the beginning, its lower part at the end.
        for step in 0..=WORDS {
            let index = (start / 64 + step) % WORDS;
            let mut word = self.occupied[index];
            if step == 0 {
                word &= u64::MAX << (start % 64);
            } else if step == WORDS {
                word &= !(u64::MAX << (start % 64));
            }
            if word != 0 {
                let bucket = index * 64 + word.trailing_zeros() as usize;
                let distance = (bucket + BUCKETS - start) % BUCKETS;
                return Some(from + distance as u64);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

    use super::*;

    fn at_ms(ms: u64) -> Tick {
        Tick::from_ns(ms * TICK_NS)
    }

    #[test]
    fn nothing_is_due_early_and_everything_within_a_tick() {
        let mut wheel = Wheel::new(4, at_ms(1000));
        wheel.set(2, at_ms(1500) + Duration::from_micros(300));
        assert_eq!(wheel.next_due(), Some(at_ms(1501)));
        assert_eq!(wheel.pop_due(at_ms(1500) + Duration::from_micros(999)), None);
        assert_eq!(wheel.pop_due(at_ms(1501)), Some(2));
        assert_eq!(wheel.pop_due(at_ms(1501)), None);
        assert!(wheel.is_empty());
    }

    #[test]
    fn a_deadline_in_the_past_is_due_at_once() {
        let mut wheel = Wheel::new(1, at_ms(50_000));
        assert_eq!(wheel.pop_due(at_ms(60_000)), None);
        wheel.set(0, at_ms(10));
        assert_eq!(wheel.pop_due(at_ms(60_000)), Some(0));
    }

    #[test]
    fn beyond_the_horizon_waits_its_turns() {
        let mut wheel = Wheel::new(2, at_ms(0));
        wheel.set(0, at_ms(10 * BUCKETS as u64 + 5));
        wheel.set(1, at_ms(5));
        assert_eq!(wheel.pop_due(at_ms(5)), Some(1));
        let mut woken = 0;
        while let Some(next) = wheel.next_due() {
            woken += 1;
            assert!(woken < 20, "one look per turn of the wheel");
            if let Some(slot) = wheel.pop_due(next) {
                assert_eq!((slot, next), (0, at_ms(10 * BUCKETS as u64 + 5)));
            } else {
                wheel.pop_due(next + Duration::from_millis(1));
            }
        }
    }

    #[test]
    fn what_waits_for_another_turn_of_the_wheel_is_not_due_again_and_again() {
        let mut wheel = Wheel::new(2, at_ms(0));
        wheel.set(0, at_ms(BUCKETS as u64 + 100));
        assert_eq!(wheel.next_due(), Some(at_ms(100)));
        assert_eq!(wheel.pop_due(at_ms(100)), None);
        assert_eq!(wheel.next_due(), Some(at_ms(BUCKETS as u64 + 100)));
        wheel.set(1, at_ms(7));
        assert_eq!(wheel.next_due(), Some(at_ms(100)), "in the past, so at once");
        assert_eq!(wheel.pop_due(at_ms(100)), Some(1));
        assert_eq!(wheel.pop_due(at_ms(BUCKETS as u64 + 100)), Some(0));
    }

    #[test]
    fn it_agrees_with_a_sorted_map_for_many_seeds() {
        for seed in 0..50 {
            let mut random = StdRng::seed_from_u64(seed);
            let mut wheel = Wheel::new(64, at_ms(7));
            let mut model: BTreeMap<u32, u64> = BTreeMap::new();
            let mut now = 7 * TICK_NS;
            for _ in 0..4000 {
                let slot = random.random_range(0..64_u32);
                match random.random_range(0..10) {
                    0..5 => {
                        let deadline = now + random.random_range(0..24_000_000_000_u64);
                        wheel.set(slot, Tick::from_ns(deadline));
                        model.insert(slot, deadline.div_ceil(TICK_NS));
                    }
                    5..7 => {
                        wheel.clear(slot);
                        model.remove(&slot);
                    }
                    _ => {
                        now += random.random_range(0..900_000_000_u64);
                        let mut expired = Vec::new();
                        while let Some(slot) = wheel.pop_due(Tick::from_ns(now)) {
                            expired.push(slot);
                        }
                        expired.sort_unstable();
                        let due: Vec<u32> = model
                            .iter()
                            .filter(|(_, due)| **due <= now / TICK_NS)
                            .map(|(slot, _)| *slot)
                            .collect();
                        assert_eq!(expired, due, "seed {seed}");
                        model.retain(|_, due| *due > now / TICK_NS);
                    }
                }
                assert_eq!(wheel.len() as usize, model.len());
                let earliest = model.values().min().map(|due| due * TICK_NS);
                let next = wheel.next_due().map(Tick::as_ns);
                assert!(next <= earliest || earliest.is_none(), "never late");
                assert_eq!(next.is_none(), earliest.is_none());
            }
        }
    }
}
