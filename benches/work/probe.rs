//! The whole loop of a shard, over a ring on which every query is answered and every connect succeeds at
//! once: what is left is the shard's own work.

use std::mem::{replace, swap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded, never};
use ringprobe::fleet::{Connection, Handshake, ProbeSpec, TcpSpec};
use ringprobe::id::{ShardId, SpecId};
use ringprobe::outcome::{Assignment, LocalFault, Outcome, Record};
use ringprobe::ring::{
    DATAGRAM_BYTES, Event, Op, Ring, RingError, RingFull, SocketId, SocketSpec, Token,
};
use ringprobe::schedule::pace::Pace;
use ringprobe::shard::link::{Links, REPORTS_IN_FLIGHT, Report, ShardConfig};
use ringprobe::shard::{Progress, Shard, prepare};
use ringprobe::tick::Tick;

use super::{Part, WINDOW, target, wire};

/// Probes of one call, and of one batch.
const PROBES: u32 = 1024;
/// A turn of the loop takes that long.
const TURN: Duration = Duration::from_millis(1);

/// An answer on its way.
#[derive(Copy, Clone)]
enum Reply {
    Datagram { socket: SocketId, from: SocketAddr, slot: u32, len: usize },
    Connected(Token),
    Disconnected(Token),
}

/// Answers in the next turn what was asked in one.
struct EchoRing {
    now: Tick,
    sockets: u32,
    bytes: Vec<[u8; DATAGRAM_BYTES]>,
    asked: Vec<Reply>,
    answered: Vec<Reply>,
    lent: Option<Reply>,
}

impl Ring for EchoRing {
    fn now(&self) -> Tick {
        self.now
    }

    fn open(&mut self, _spec: &SocketSpec) -> Result<SocketId, LocalFault> {
        self.sockets += 1;
        Ok(SocketId(self.sockets - 1))
    }

    fn close(&mut self, _socket: SocketId) {}

    fn outgoing(&mut self, slot: u32) -> &mut [u8] {
        &mut self.bytes[slot as usize]
    }

    fn push(&mut self, op: Op) -> Result<(), RingFull> {
        match op {
            Op::Send { token, socket, to, len } => {
                let slot = token.slot;
                let len = wire::answer(&mut self.bytes[slot as usize], usize::from(len));
                self.asked.push(Reply::Datagram { socket, from: to, slot, len });
            }
            Op::Connect { token, .. } => self.asked.push(Reply::Connected(token)),
            Op::Disconnect { token, .. } => self.asked.push(Reply::Disconnected(token)),
            op @ Op::Replace { .. } => return Err(RingFull(op)),
        }
        Ok(())
    }

    fn turn(&mut self, _until: Tick, _want: u32, _deadline: Tick) -> Result<Tick, RingError> {
        swap(&mut self.asked, &mut self.answered);
        self.now = self.now + TURN;
        Ok(self.now)
    }

    fn drained(&self) -> bool {
        true
    }

    fn next(&mut self) -> Option<Event<'_>> {
        let reply = self.answered.pop()?;
        Some(match self.lent.insert(reply) {
            Reply::Datagram { socket, from, slot, len } => Event::Datagram {
                socket: *socket,
                from,
                bytes: &self.bytes[*slot as usize][..*len],
            },
            Reply::Connected(token) => Event::Connected { token: *token, errno: 0 },
            Reply::Disconnected(token) => Event::Disconnected { token: *token, errno: 0 },
        })
    }

    fn drops(&mut self, _socket: SocketId) -> u32 {
        0
    }

    fn route(&mut self, _socket: SocketId, _to: SocketAddr) -> Result<(), i32> {
        Ok(())
    }
}

/// The shard and both ends of its channels.
struct Bench {
    shard: Shard<EchoRing>,
    feed: Sender<Vec<Assignment>>,
    spent: Receiver<Vec<Assignment>>,
    reports: Receiver<Report>,
    emptied: Sender<Vec<Record>>,
    /// A batch to be fed next.
    batch: Vec<Assignment>,
    fed: u32,
    probed: u32,
    wanted: u32,
}

impl Bench {
    fn new(spec: ProbeSpec) -> Bench {
        let ring = EchoRing {
            now: Tick::from_ns(1_000_000_000),
            sockets: 0,
            bytes: vec![[0; DATAGRAM_BYTES]; WINDOW as usize],
            asked: Vec::with_capacity(WINDOW as usize),
            answered: Vec::with_capacity(WINDOW as usize),
            lent: None,
        };
        let specs = prepare(&[spec]).expect("encodes");
        let config = ShardConfig {
            id: ShardId(0),
            cpu: None,
            window: WINDOW,
            pace: Pace::Free,
            span: None,
            sockets_per_lane: 4,
            receive_buffer: None,
            sockets_max: 1024,
            seed: Some(1),
            records_passes: true,
        };
        let (feed, assignments) = bounded(2);
        let (spent_in, spent) = bounded(4);
        let (reports_in, reports) = bounded(REPORTS_IN_FLIGHT);
        let (emptied, empties) = bounded(REPORTS_IN_FLIGHT + 1);
        let links = Links {
            assignments,
            spent: spent_in,
            reports: reports_in,
            empties,
            // The counters it was made with are enough: they are few and nobody reads them.
            old_stats: never(),
            ready: bounded(0).0,
            stop: Arc::default(),
        };
        let shard = Shard::new(ring, specs, config, links);
        let batch = Vec::with_capacity(PROBES as usize);
        Bench { shard, feed, spent, reports, emptied, batch, fed: 0, probed: 0, wanted: 0 }
    }

    /// The shard must never find its input empty: it would wait for more.
    fn keep_fed(&mut self) {
        while !self.feed.is_full() {
            let next = self.spent.try_recv().unwrap_or_default();
            let mut batch = replace(&mut self.batch, next);
            batch.clear();
            batch.extend((0..PROBES).map(|number| Assignment {
                seq: u64::from(self.fed.wrapping_add(number)),
                target: target(number),
                spec: SpecId(0),
                retries: 1,
            }));
            self.fed = self.fed.wrapping_add(PROBES);
            self.feed.try_send(batch).expect("there was room");
        }
    }

    fn run(&mut self) {
        self.wanted = self.wanted.wrapping_add(PROBES);
        while (self.probed.wrapping_sub(self.wanted) as i32) < 0 {
            self.keep_fed();
            assert!(matches!(self.shard.step(), Ok(Progress::Working)));
            while let Ok(report) = self.reports.try_recv() {
                if let Report::Records(_, mut records) = report {
                    self.probed = self.probed.wrapping_add(records.len() as u32);
                    assert!(records.iter().all(|record| record.outcome == Outcome::Pass));
                    records.clear();
                    self.emptied.try_send(records).expect("there is room for all of them");
                }
            }
        }
    }
}

/// From an assignment to its record, the making of both included.
pub(super) fn dns() -> Part {
    let mut bench = Bench::new(ProbeSpec::Dns(wire::spec()));
    Part::new("shard/dns_probe", PROBES, move || bench.run())
}

/// The same with a connect, half a handshake and its end.
pub(super) fn tcp() -> Part {
    let connection = Connection::default();
    let mut bench = Bench::new(ProbeSpec::Tcp(TcpSpec { connection, handshake: Handshake::Half }));
    Part::new("shard/tcp_probe", PROBES, move || bench.run())
}
