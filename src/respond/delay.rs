//! Answers that wait for their time.
//!
//! A queue holds answers of one delay, so they come due in the order they were put in. Bounded: what
//! does not fit is dropped, as a network would.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::tick::Tick;

/// Most answers a queue holds: at 100 bytes each some 8 MiB.
const MOST: usize = 1 << 16;

/// A datagram and its way.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Held {
    pub(super) local: Ipv4Addr,
    pub(super) peer: SocketAddrV4,
    pub(super) bytes: Box<[u8]>,
}

/// Answers that are all late by the same time.
#[derive(Debug)]
pub(super) struct DelayQueue {
    delay: Duration,
    held: VecDeque<(Tick, Held)>,
}

impl DelayQueue {
    pub(super) fn new(delay: Duration) -> DelayQueue {
        DelayQueue { delay, held: VecDeque::new() }
    }

    /// Holds an answer from `now` on; false where it was dropped because the queue is full.
    pub(super) fn hold(&mut self, now: Tick, held: Held) -> bool {
        let fits = self.held.len() < MOST;
        if fits {
            self.held.push_back((now + self.delay, held));
        }
        fits
    }

    /// When the first answer is due; `Tick::NEVER` without any.
    pub(super) fn next_due(&self) -> Tick {
        self.held.front().map_or(Tick::NEVER, |(due, _)| *due)
    }

    /// The first answer, if it is due.
    pub(super) fn take_due(&mut self, now: Tick) -> Option<Held> {
        if self.next_due() > now {
            return None;
        }
        self.held.pop_front().map(|(_, held)| held)
    }
}

/// One bit per server: whether something that happens once has happened. Shared by the threads.
#[derive(Debug)]
pub(super) struct OnceEach(Box<[AtomicU64]>);

impl OnceEach {
    pub(super) fn new(servers: u32) -> OnceEach {
        OnceEach((0..servers.div_ceil(64)).map(|_| AtomicU64::new(0)).collect())
    }

    /// True the first time for each `index`.
    pub(super) fn is_first(&self, index: u32) -> bool {
        let bit = 1 << (index % 64);
        self.0[index as usize / 64].fetch_or(bit, Ordering::Relaxed) & bit == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_come_due_in_order_and_not_before() {
        let mut queue = DelayQueue::new(Duration::from_nanos(10));
        let held = |byte| Held {
            local: Ipv4Addr::LOCALHOST,
            peer: SocketAddrV4::new(Ipv4Addr::LOCALHOST, 1),
            bytes: [byte].into(),
        };
        assert_eq!(queue.next_due(), Tick::NEVER);
        assert_eq!(queue.take_due(Tick::from_ns(1_000)), None);
        assert!(queue.hold(Tick::from_ns(0), held(1)));
        assert!(queue.hold(Tick::from_ns(5), held(2)));
        assert_eq!(queue.take_due(Tick::from_ns(9)), None);
        assert_eq!(queue.take_due(Tick::from_ns(10)), Some(held(1)));
        assert_eq!(queue.take_due(Tick::from_ns(14)), None);
        assert_eq!(queue.next_due(), Tick::from_ns(15));
        assert_eq!(queue.take_due(Tick::from_ns(20)), Some(held(2)));
        for _ in 0..MOST {
            assert!(queue.hold(Tick::from_ns(0), held(3)));
        }
        assert!(!queue.hold(Tick::from_ns(0), held(4)));
    }

    #[test]
    fn once_is_once_for_each() {
        let once = OnceEach::new(65);
        for index in [0, 63, 64] {
            assert!(once.is_first(index));
            assert!(!once.is_first(index));
        }
        assert!(once.is_first(1));
    }
}
