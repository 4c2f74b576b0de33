//! The simulated kernel: a socket table, what is on its way to the sockets, and completions.
//!
//! What the shard must not do stands in `contract`, what was counted in `ledger`.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::time::Duration;

use crate::outcome::LocalFault;
use crate::ring::{Op, RECEIVED_BYTES, SocketId, SocketSpec, Token};
use crate::tick::Tick;

use super::clock::Clock;
use super::faults::{Canary, Faults};
use super::ledger::{IdsOfPeer, Tally, Trace};
use super::net::Network;
use super::peer::Reaction;
use super::prng::Prng;
use super::socket::{Datagram, QueuedError, SimSocket};
use super::timeline::Timeline;

/// An event of the ring that owns its bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Owned {
    Datagram {
        socket: SocketId,
        from: SocketAddr,
        bytes: Vec<u8>,
    },
    IcmpError {
        socket: SocketId,
        to: SocketAddr,
        errno: i32,
        bytes: Vec<u8>,
    },
    SendFailed {
        token: Token,
        errno: i32,
    },
    Connected {
        token: Token,
        socket: SocketId,
        errno: i32,
    },
    Disconnected {
        token: Token,
        socket: SocketId,
        errno: i32,
    },
    /// A completion that names an attempt which ended long ago.
    Stale {
        token: Token,
        kind: u64,
    },
}

/// What is on its way.
#[derive(Debug)]
enum Due {
    Datagram { socket: SocketId, incarnation: u64, from: SocketAddr, bytes: Vec<u8> },
    Icmp { socket: SocketId, incarnation: u64, to: SocketAddr, errno: i32, bytes: Vec<u8> },
    Handshake { socket: SocketId, serial: u64, errno: i32 },
    Completion(Owned),
}

#[derive(Debug)]
pub(super) struct Kernel {
    pub(super) clock: Clock,
    pub(super) faults: Faults,
    pub(super) prng: Prng,
    pub(super) network: Network,
    pub(super) tally: Tally,
    pub(super) violations: Vec<String>,
    pub(super) traces: HashMap<SocketAddr, Trace, foldhash::fast::FixedState>,
    pub(super) ids: HashMap<SocketAddr, IdsOfPeer, foldhash::fast::FixedState>,
    pub(super) sockets: BTreeMap<u32, SimSocket>,
    free: Vec<u32>,
    opened: u32,
    serial: u64,
    timeline: Timeline<Due>,
    completions: Vec<(u64, Owned)>,
    order: u64,
    /// Packets that wait in sockets.
    unread: u32,
}

impl Kernel {
    pub(super) fn new(start: Tick, faults: Faults, network: Network, prng: Prng) -> Kernel {
        Kernel {
            clock: Clock::new(start),
            faults,
            prng,
            network,
            tally: Tally::default(),
            violations: Vec::new(),
            traces: HashMap::default(),
            ids: HashMap::default(),
            sockets: BTreeMap::new(),
            free: Vec::new(),
            opened: 0,
            serial: 0,
            timeline: Timeline::new(),
            completions: Vec::new(),
            order: 0,
            unread: 0,
        }
    }

    pub(super) fn open_sockets(&self) -> u32 {
        self.sockets.len() as u32
    }

    pub(super) fn open(&mut self, spec: &SocketSpec) -> Result<SocketId, LocalFault> {
        if let Some(fault) = self.refusal(spec) {
            self.tally.opens_refused += 1;
            return Err(fault);
        }
        if self.faults.canary == Some(Canary::SharedSocket)
            && let Some(id) = self.shared(spec)
        {
            return Ok(id);
        }
        let index = self.free.pop().unwrap_or_else(|| {
            self.opened += 1;
            self.opened - 1
        });
        self.serial += 1;
        let socket = SimSocket::new(spec, self.serial, self.faults.receive_buffer);
        self.sockets.insert(index, socket);
        self.tally.opens += 1;
        Ok(SocketId(index))
    }

    fn refusal(&mut self, spec: &SocketSpec) -> Option<LocalFault> {
        if self.faults.descriptors.is_some_and(|most| self.open_sockets() >= most) {
            return Some(LocalFault::Socket(libc::EMFILE));
        }
        let is_taken = spec.kind == crate::ring::SocketKind::Udp
            && spec.source_port.is_some()
            && self.sockets.values().any(|other| {
                other.is_udp()
                    && (other.spec.source, other.spec.source_port)
                        == (spec.source, spec.source_port)
            });
        if is_taken {
            return Some(LocalFault::Port);
        }
        self.prng.chance(self.faults.open_refused).then(|| {
            self.prng.pick(&[
                LocalFault::Socket(libc::EMFILE),
                LocalFault::Socket(libc::ENODEV),
                LocalFault::Memory(libc::ENOBUFS),
                LocalFault::Port,
            ])
        })
    }

    /// For the canary: a socket of the same kind that another attempt is using.
    fn shared(&mut self, spec: &SocketSpec) -> Option<SocketId> {
        let mut others = self.sockets.iter().filter(|(_, other)| {
            !other.is_udp() && other.spec == *spec && other.stream.owner.is_some()
        });
        others.next().map(|(index, _)| SocketId(*index))
    }

    pub(super) fn close(&mut self, id: SocketId) {
        let Some(socket) = self.sockets.remove(&id.0) else {
            return self.violation(|| format!("{id:?} closed, but it is not open"));
        };
        self.unread -= (socket.data.len() + socket.errors.len()) as u32;
        let stream = socket.stream;
        self.require(!stream.connect_unseen && !stream.dissolve_unseen, || {
            format!("{id:?} closed with an op in flight: {stream:?}")
        });
        self.free.push(id.0);
    }

    pub(super) fn drops(&mut self, id: SocketId) -> u32 {
        match self.sockets.get(&id.0) {
            Some(socket) if self.faults.canary != Some(Canary::HiddenDrops) => socket.drops,
            Some(_) => 0,
            None => {
                self.violation(|| format!("{id:?} asked for its drops, but it is not open"));
                0
            }
        }
    }

    pub(super) fn route(&mut self, id: SocketId, to: SocketAddr) -> Result<(), i32> {
        let is_open = self.sockets.contains_key(&id.0);
        self.require(is_open, || format!("{id:?} asked for a route, but it is not open"));
        match self.network.route_errno(to) {
            // The look-up takes a socket of its own.
            0 if self.prng.chance(self.faults.open_refused) => {
                self.tally.opens_refused += 1;
                Err(libc::EMFILE)
            }
            0 => Ok(()),
            errno => Err(errno),
        }
    }

    /// Starts an op that was checked when it was pushed. `bytes` are those of a send.
    pub(super) fn start(&mut self, op: Op, bytes: &[u8]) {
        match op {
            Op::Send { token, socket, to, .. } => self.send(token, socket, to, bytes),
            Op::Connect { token, socket, to } => self.connect(token, socket, to),
            Op::Disconnect { token, socket } => {
                self.tally.disconnects += 1;
                self.dissolve(token, socket);
            }
            Op::Replace { token, socket } => {
                self.tally.replaces += 1;
                self.dissolve(token, socket);
            }
        }
    }

    fn send(&mut self, token: Token, id: SocketId, to: SocketAddr, query: &[u8]) {
        let route_errno = self.network.route_errno(to);
        let Some(socket) = self.sockets.get_mut(&id.0) else {
            return;
        };
        // The route is looked up before the socket's pending error is, and leaves it as it is.
        let stale = if route_errno == 0 { std::mem::take(&mut socket.pending_error) } else { 0 };
        let incarnation = socket.incarnation;
        let refused = self.prng.chance(self.faults.send_refused);
        let errno = if stale != 0 {
            stale
        } else if route_errno != 0 {
            route_errno
        } else if refused {
            self.prng.pick(&[libc::ENOBUFS, libc::EAGAIN, libc::ENOMEM])
        } else {
            0
        };
        if errno != 0 {
            if stale != 0 {
                self.tally.soft_failures += 1;
            } else {
                self.tally.hard_failures += 1;
            }
            if self.faults.canary != Some(Canary::SilentSendFailure) || stale == 0 {
                self.complete(Owned::SendFailed { token, errno });
            }
            return;
        }
        let copies = match self.faults.canary {
            Some(Canary::DoubleSend) if self.prng.chance(0.05) => 2,
            _ => 1,
        };
        for _ in 0..copies {
            for reaction in self.network.datagram(to, query, &self.faults) {
                let now = self.clock.now();
                let (at, due) = match reaction {
                    Reaction::Datagram { after, from, bytes } => {
                        if from != to || bytes.get(..2) != query.get(..2) {
                            self.note_id(from, None, &bytes);
                        }
                        (now + after, Due::Datagram { socket: id, incarnation, from, bytes })
                    }
                    Reaction::Icmp { after, errno, bytes } => {
                        if bytes.len() >= 2 && bytes.get(..2) != query.get(..2) {
                            self.note_id(to, None, &bytes);
                        }
                        (now + after, Due::Icmp { socket: id, incarnation, to, errno, bytes })
                    }
                };
                self.timeline.plan(at, due);
            }
        }
    }

    fn connect(&mut self, token: Token, id: SocketId, to: SocketAddr) {
        let refused = self.prng.chance(self.faults.connect_refused);
        let route_errno = self.network.route_errno(to);
        if route_errno != 0 || refused {
            let errno = if route_errno != 0 {
                self.tally.connects_unrouted += 1;
                route_errno
            } else {
                self.tally.connects_refused += 1;
                self.prng.pick(&[libc::EADDRNOTAVAIL, libc::ENOBUFS])
            };
            // Refused inside the submit, so in the same turn.
            return self.complete(Owned::Connected { token, socket: id, errno });
        }
        let handshake = self.network.syn(to, &self.faults);
        self.serial += 1;
        let serial = self.serial;
        if let Some(socket) = self.sockets.get_mut(&id.0) {
            socket.stream.connecting = Some(serial);
        }
        if let Some((after, errno)) = handshake {
            let at = self.clock.now() + after;
            self.timeline.plan(at, Due::Handshake { socket: id, serial, errno });
        }
    }

    /// CONNECT(AF_UNSPEC) or a replacement: a connect in flight ends with ECONNRESET, and the two
    /// completions come in either order.
    fn dissolve(&mut self, token: Token, id: SocketId) {
        let errno = if self.prng.chance(self.faults.dissolve_fails) {
            self.prng.pick(&[libc::EMFILE, libc::ENOMEM])
        } else {
            0
        };
        let Some(socket) = self.sockets.get_mut(&id.0) else {
            return;
        };
        let keeps_going = self.faults.canary == Some(Canary::EarlyReuse);
        let aborted = match socket.stream.connecting {
            Some(_) if keeps_going => true,
            Some(_) => socket.stream.connecting.take().is_some(),
            None => false,
        };
        let ended = Owned::Disconnected { token, socket: id, errno };
        let reset = Owned::Connected { token, socket: id, errno: libc::ECONNRESET };
        let is_lost = self.faults.canary == Some(Canary::LostCompletion) && self.prng.chance(0.05);
        let connect_first = self.prng.chance(0.5);
        if aborted && connect_first {
            self.complete_late(reset.clone());
        }
        if !is_lost {
            self.complete_late(ended);
        }
        if aborted && !connect_first {
            self.complete_late(reset);
        }
    }

    pub(super) fn complete(&mut self, owned: Owned) {
        self.order += 1;
        self.completions.push((self.order, owned));
    }

    /// Completes now, or after a while.
    fn complete_late(&mut self, owned: Owned) {
        if self.prng.chance(self.faults.late_completion) {
            let late = self.prng.between(Duration::ZERO, self.faults.late_max);
            self.timeline.plan(self.clock.now() + late, Due::Completion(owned));
        } else {
            self.complete(owned);
        }
    }

    /// When something happens next.
    pub(super) fn next_at(&self) -> Option<Tick> {
        self.timeline.next_at()
    }

    /// Lets everything happen that is due by now.
    pub(super) fn happen(&mut self) {
        while let Some((_, due)) = self.timeline.pop_by(self.clock.now()) {
            self.arrive(due);
        }
    }

    fn arrive(&mut self, due: Due) {
        self.order += 1;
        let order = self.order;
        match due {
            Due::Datagram { socket, incarnation, from, mut bytes } => {
                bytes.truncate(RECEIVED_BYTES);
                if let Some(socket) = self.incarnation(socket, incarnation) {
                    let kept = socket.receive(Datagram { from, bytes, order });
                    self.unread += u32::from(kept);
                    self.tally.drops += u64::from(!kept);
                }
            }
            Due::Icmp { socket, incarnation, to, errno, bytes } => {
                if let Some(socket) = self.incarnation(socket, incarnation) {
                    let kept = socket.receive_error(QueuedError { to, errno, bytes, order });
                    self.unread += u32::from(kept);
                    self.tally.errors_lost += u64::from(!kept);
                }
            }
            Due::Handshake { socket: id, serial, errno } => {
                let wrong_one_too = self.faults.canary == Some(Canary::EarlyReuse);
                let Some(socket) = self.sockets.get_mut(&id.0) else {
                    return;
                };
                let stream = &mut socket.stream;
                let is_it = stream.connecting == Some(serial)
                    || (wrong_one_too && stream.connecting.is_some() && stream.connect_unseen);
                if let (true, Some(token)) = (is_it, stream.owner) {
                    stream.connecting = None;
                    self.complete_late(Owned::Connected { token, socket: id, errno });
                }
            }
            Due::Completion(owned) => self.completions.push((order, owned)),
        }
    }

    fn incarnation(&mut self, id: SocketId, incarnation: u64) -> Option<&mut SimSocket> {
        self.sockets.get_mut(&id.0).filter(|socket| socket.incarnation == incarnation)
    }

    /// What a wait counts: packets in sockets and completions.
    pub(super) fn ready(&self) -> u32 {
        self.unread + self.completions.len() as u32
    }

    /// Reads everything, but for the packets that `leaves` says stay; whether any did.
    pub(super) fn read_all(&mut self, leaves: bool) -> (Vec<Owned>, bool) {
        let shuffles = self.prng.chance(self.faults.shuffle);
        let mut events: Vec<(u64, Owned)> = Vec::with_capacity(self.ready() as usize);
        let mut has_left = false;
        for (index, socket) in &mut self.sockets {
            let id = SocketId(*index);
            // A queue that goes early or late as a whole, each in its own order.
            let shift = |prng: &mut Prng| if shuffles { prng.below(3) << 40 } else { 0 };
            let keep = if leaves { self.prng.below(socket.data.len() as u64 + 1) } else { 0 };
            let first = shift(&mut self.prng);
            while socket.data.len() as u64 > keep
                && let Some(Datagram { from, bytes, order }) = socket.read()
            {
                events.push((first + order, Owned::Datagram { socket: id, from, bytes }));
            }
            let keep = if leaves { self.prng.below(socket.errors.len() as u64 + 1) } else { 0 };
            let first = shift(&mut self.prng);
            while socket.errors.len() as u64 > keep
                && let Some(QueuedError { to, errno, bytes, order }) = socket.read_error()
            {
                events.push((first + order, Owned::IcmpError { socket: id, to, errno, bytes }));
            }
            has_left |= !socket.data.is_empty() || !socket.errors.is_empty();
        }
        let packets = events.len() as u32;
        self.unread -= packets;
        events.append(&mut self.completions);
        events.sort_by_key(|(order, _)| *order);
        (events.into_iter().map(|(_, owned)| owned).collect(), has_left)
    }
}
