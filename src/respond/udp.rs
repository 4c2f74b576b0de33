//! The DNS side: one thread's loop from query to answer.
//!
//! 64 queries are received, answered where they lie and sent back with two system calls. Answers for
//! later go to delay queues; those from a foreign port leave through a second socket. An idle loop
//! wakes every 50 ms to look at the stop flag.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::Counters;
use super::answer::{self, ROOM, Reply};
use super::delay::{DelayQueue, Held, OnceEach};
use super::faults::{DelayEvery, Fault};
use super::fleet::Fleet;
use crate::ring::mmsg::{BATCH, BLOCK, BYTES, Batch, UdpServer, Wait};
use crate::tick::{Tick, monotonic_now};

// An answer is written where its query was received.
const _: () = assert!(ROOM == BYTES);

/// What turns an address of the fleet into another one of the loopback network, outside of any /9.
const ELSEWHERE: u32 = 0x0080_0000;

/// One thread of the DNS side.
#[derive(Debug)]
pub(super) struct DnsLoop {
    pub(super) fleet: Arc<Fleet>,
    /// Where queries arrive and answers leave.
    pub(super) socket: UdpServer,
    /// Where answers of [`Fault::ForeignPort`] leave.
    pub(super) foreign: UdpServer,
    /// Late answers, and which servers had theirs.
    pub(super) delay_every: Option<(DelayEvery, Arc<OnceEach>)>,
    pub(super) stop: Arc<AtomicBool>,
}

/// Where an answer goes.
enum Way {
    Now,
    Twice,
    ForeignPort,
    Slow,
    Late,
    Nowhere,
}

impl DnsLoop {
    /// Serves until the stop flag is set.
    pub(super) fn run(self) -> Counters {
        let mut counters = Counters::default();
        let mut received = Batch::default();
        let mut own = Batch::default();
        let mut slow = DelayQueue::new(self.fleet.slow());
        let late_by = self.delay_every.as_ref().map_or(Duration::ZERO, |(every, _)| every.delay);
        let mut late = DelayQueue::new(late_by);
        let mut answers = 0;
        let mut now_list = Vec::with_capacity(BATCH);
        let mut twice_list = Vec::with_capacity(BATCH);
        let mut foreign_list = Vec::with_capacity(BATCH);

        while !self.stop.load(Ordering::Relaxed) {
            let due = slow.next_due().min(late.next_due());
            let wait = if due == Tick::NEVER {
                Wait::Block
            } else {
                Wait::AtMost(due.since(monotonic_now()).min(BLOCK))
            };
            let count = self.socket.receive(&mut received, wait).unwrap_or_else(|_| {
                // Out of kernel memory, at worst: leave it a moment to recover.
                counters.receive_errors += 1;
                std::thread::park_timeout(Duration::from_millis(1));
                0
            });
            for at in 0..count {
                let name = at as u8;
                match self.answer(&mut received, at, &mut answers, &mut counters) {
                    Way::Nowhere => {}
                    Way::Now => now_list.push(name),
                    Way::Twice => {
                        now_list.push(name);
                        twice_list.push(name);
                    }
                    Way::ForeignPort => foreign_list.push(name),
                    way @ (Way::Slow | Way::Late) => {
                        let queue = if matches!(way, Way::Slow) { &mut slow } else { &mut late };
                        let held = Held {
                            local: received.local(at),
                            peer: received.peer(at),
                            bytes: received.bytes(at).into(),
                        };
                        counters.delayed += 1;
                        if !queue.hold(monotonic_now(), held) {
                            counters.send_errors += 1;
                        }
                    }
                }
            }
            for list in [&mut now_list, &mut twice_list] {
                counters.count_sent(self.socket.send(&mut received, list));
                list.clear();
            }
            counters.count_sent(self.foreign.send(&mut received, &foreign_list));
            foreign_list.clear();
            if due != Tick::NEVER {
                self.send_due(&mut own, &mut slow, &mut late, &mut counters);
            }
        }
        counters
    }

    /// Turns the datagram at `at` into its answer and says where it goes.
    fn answer(
        &self,
        batch: &mut Batch,
        at: usize,
        answers: &mut u32,
        counters: &mut Counters,
    ) -> Way {
        let own = batch.local(at);
        let index = self.fleet.index_of(own);
        let question = if batch.is_cut(at) { None } else { answer::question(batch.bytes(at)) };
        let (Some(index), Some(question)) = (index, question) else {
            counters.junk += 1;
            return Way::Nowhere;
        };
        counters.queries += 1;
        let fault = self.fleet.dns_fault(index);
        if let Some(fault) = fault {
            counters.by_fault[fault as usize] += 1;
        }
        let (reply, mut way) = match fault {
            // A refusing server is listed under a closed port; under this one it is not there.
            Some(Fault::Silent | Fault::Refuse) => return Way::Nowhere,
            None => (Reply::Record, Way::Now),
            Some(Fault::Duplicate) => (Reply::Record, Way::Twice),
            Some(Fault::Slow) => (Reply::Record, Way::Slow),
            Some(Fault::ForeignPort) => (Reply::Record, Way::ForeignPort),
            Some(Fault::ForeignAddress) => {
                batch.set_local(at, Ipv4Addr::from(u32::from(own) ^ ELSEWHERE));
                (Reply::Record, Way::Now)
            }
            Some(Fault::Servfail) => (Reply::Rcode(2), Way::Now),
            Some(Fault::Nxdomain) => (Reply::Rcode(3), Way::Now),
            Some(Fault::RefusedRcode) => (Reply::Rcode(5), Way::Now),
            Some(Fault::Empty) => (Reply::Rcode(0), Way::Now),
            Some(Fault::Truncated) => (Reply::Truncated, Way::Now),
            Some(Fault::WrongId) => (Reply::WrongId, Way::Now),
            Some(Fault::WrongQuestion) => (Reply::WrongQuestion, Way::Now),
            Some(Fault::Malformed) => (Reply::Malformed, Way::Now),
        };
        if let (Some((every, once)), Way::Now) = (&self.delay_every, &way) {
            *answers += 1;
            if *answers >= every.nth && once.is_first(index) {
                *answers = 0;
                way = Way::Late;
            }
        }
        let len = answer::write(batch.room(at), question, reply, own);
        batch.set_len(at, len);
        way
    }

    /// Sends what has waited long enough, a batch at a time.
    fn send_due(
        &self,
        own: &mut Batch,
        slow: &mut DelayQueue,
        late: &mut DelayQueue,
        counters: &mut Counters,
    ) {
        let now = monotonic_now();
        loop {
            let mut list = Vec::new();
            while list.len() < BATCH {
                let Some(held) = slow.take_due(now).or_else(|| late.take_due(now)) else { break };
                own.put(list.len(), held.local, held.peer, &held.bytes);
                list.push(list.len() as u8);
            }
            if list.is_empty() {
                return;
            }
            counters.count_sent(self.socket.send(own, &list));
        }
    }
}
