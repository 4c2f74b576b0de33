//! Lanes: one set of sockets for all checkers that share source address, port, interface and mark.
//!
//! A UDP lane has a few unconnected sockets, many targets each. A TCP lane has a pool of recycled
//! sockets that grows to as many as are in use at once.

use std::collections::HashMap;

use crate::fleet::{Handshake, ProbeSpec};
use crate::outcome::LocalFault;
use crate::ring::{Ring, SocketId, SocketKind, SocketSpec};
use crate::tick::Tick;

use super::link::ShardConfig;

/// A refusal is not asked for again before this has passed.
const REFUSAL_PAUSE: std::time::Duration = std::time::Duration::from_millis(100);

/// Position of a lane in [`Lanes`].
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct LaneId(u32);

#[derive(Debug)]
struct Lane {
    spec: SocketSpec,
    /// UDP: all its sockets. TCP: those that are free.
    sockets: Vec<SocketId>,
    /// Sockets that exist, free or not.
    open: u32,
    /// Attempts that use one now.
    in_use: u32,
    next: usize,
    refusal: Option<(LocalFault, Tick)>,
}

impl Lane {
    /// UDP: each socket in its turn. Without a division, which is as long as all else here.
    fn next_in_turn(&mut self) -> Option<SocketId> {
        self.next += 1;
        if self.next >= self.sockets.len() {
            self.next = 0;
        }
        self.sockets.get(self.next).copied()
    }
}

/// Why a lane gave no socket.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum NoSocket {
    /// All are in use and no more can be had: wait for one.
    Busy,
    /// There is none and none can be had.
    Fault(LocalFault),
}

/// See the module.
#[derive(Debug)]
pub(super) struct Lanes {
    lanes: Vec<Lane>,
    by_spec: HashMap<(SocketSpec, bool), LaneId, foldhash::fast::RandomState>,
    sockets_per_lane: u32,
    sockets_max: u32,
    /// Sockets of all lanes.
    open: u32,
    /// Until then, what was closed to make room may not be free yet: the ring lets go of a file only
    /// when its receives have ended, which takes a turn.
    closing_until: Tick,
    receive_buffer: Option<usize>,
    /// By socket id: the kernel's drop counter as last seen; `None` for TCP and closed ones.
    drops_seen: Vec<Option<u32>>,
}

impl Lanes {
    pub(super) fn new(config: &ShardConfig) -> Lanes {
        Lanes {
            lanes: Vec::new(),
            by_spec: HashMap::default(),
            sockets_per_lane: config.sockets_per_lane.clamp(1, 64),
            sockets_max: config.sockets_max,
            open: 0,
            closing_until: Tick::default(),
            receive_buffer: config.receive_buffer,
            drops_seen: Vec::new(),
        }
    }

    /// The lane a probe of this spec uses for targets of this family. Opens nothing.
    pub(super) fn lane_for(&mut self, spec: &ProbeSpec, is_ipv6: bool) -> LaneId {
        let (connection, kind, ends_with_fin) = match spec {
            ProbeSpec::Dns(spec) => (&spec.connection, SocketKind::Udp, false),
            ProbeSpec::Tcp(spec) => match spec.handshake {
                Handshake::Half => (&spec.connection, SocketKind::TcpHalf, false),
                Handshake::Full => (&spec.connection, SocketKind::TcpFull, false),
                Handshake::Orderly => (&spec.connection, SocketKind::TcpFull, true),
            },
            ProbeSpec::Misc(_) => unreachable!("the feeder gives scripts to the reaper"),
        };
        let socket = SocketSpec {
            kind,
            is_ipv6,
            source: connection.bindto,
            source_port: connection.bind_port,
            interface: connection.bind_if.clone(),
            mark: connection.fwmark,
            receive_buffer: self.receive_buffer,
        };
        let lanes = &mut self.lanes;
        *self.by_spec.entry((socket, ends_with_fin)).or_insert_with_key(|(spec, _)| {
            lanes.push(Lane {
                spec: spec.clone(),
                sockets: Vec::new(),
                open: 0,
                in_use: 0,
                next: 0,
                refusal: None,
            });
            LaneId(lanes.len() as u32 - 1)
        })
    }

    /// A socket of the lane for one attempt, opened now if need be.
    ///
    /// # Errors
    /// [`NoSocket`]
    pub(super) fn acquire<R: Ring>(
        &mut self,
        ring: &mut R,
        lane: LaneId,
    ) -> Result<SocketId, NoSocket> {
        let index = lane.0 as usize;
        let is_udp = self.lanes[index].spec.kind == SocketKind::Udp;
        if is_udp {
            let wanted = if self.lanes[index].spec.source_port.is_some() {
                1
            } else {
                self.sockets_per_lane
            };
            // The first attempt opens them all, so that a lane is whole from its beginning.
            while self.lanes[index].open < wanted && self.may_open(ring.now(), index) {
                if !self.grow(ring, index) {
                    break;
                }
            }
        } else if self.lanes[index].sockets.is_empty() && self.may_open(ring.now(), index) {
            self.grow(ring, index);
        }
        let lane = &mut self.lanes[index];
        if let Some(socket) = if is_udp { lane.next_in_turn() } else { lane.sockets.pop() } {
            lane.in_use += 1;
            return Ok(socket);
        }
        let (in_use, refusal) = (lane.in_use, lane.refusal);
        let others_may_end =
            || ring.now() < self.closing_until || self.lanes.iter().any(|lane| lane.in_use > 0);
        match refusal {
            // What other lanes hold comes back when their attempts end.
            Some((fault, _)) if is_shortage(fault) && others_may_end() => Err(NoSocket::Busy),
            Some((fault, _)) if in_use == 0 => Err(NoSocket::Fault(fault)),
            _ => Err(NoSocket::Busy),
        }
    }

    /// Another socket of a UDP lane, for a send that this one refused; the same where it has one only.
    pub(super) fn another(&mut self, lane: LaneId, socket: SocketId) -> SocketId {
        self.lanes[lane.0 as usize].next_in_turn().unwrap_or(socket)
    }

    /// An attempt is over and its socket free again.
    pub(super) fn release(&mut self, lane: LaneId, socket: SocketId) {
        let lane = &mut self.lanes[lane.0 as usize];
        lane.in_use -= 1;
        if lane.spec.kind != SocketKind::Udp {
            lane.sockets.push(socket);
        }
    }

    /// A TCP socket whose state is in doubt is closed instead of used again.
    pub(super) fn discard<R: Ring>(&mut self, ring: &mut R, lane: LaneId, socket: SocketId) {
        let lane = &mut self.lanes[lane.0 as usize];
        lane.in_use -= 1;
        lane.open -= 1;
        self.open -= 1;
        self.drops_seen[socket.0 as usize] = None;
        ring.close(socket);
    }

    /// Asks the kernel what one socket has dropped; the datagrams lost since it was last asked.
    pub(super) fn new_drops<R: Ring>(&mut self, ring: &mut R, socket: SocketId) -> u32 {
        match self.drops_seen.get_mut(socket.0 as usize) {
            Some(Some(seen)) => {
                let now = ring.drops(socket);
                let new = now.wrapping_sub(*seen);
                *seen = now;
                new
            }
            _ => 0,
        }
    }

    /// The drop counter as last asked for.
    pub(super) fn drops_seen(&self, socket: SocketId) -> u32 {
        self.drops_seen.get(socket.0 as usize).copied().flatten().unwrap_or(0)
    }

    /// The same for all UDP sockets together.
    pub(super) fn all_new_drops<R: Ring>(&mut self, ring: &mut R) -> u32 {
        let mut drops = 0_u32;
        for (index, seen) in self.drops_seen.iter_mut().enumerate() {
            if let Some(seen) = seen {
                let now = ring.drops(SocketId(index as u32));
                drops = drops.saturating_add(now.wrapping_sub(*seen));
                *seen = now;
            }
        }
        drops
    }

    /// Sockets that exist.
    #[cfg(feature = "sim")]
    pub(super) fn open_sockets(&self) -> u32 {
        self.open
    }

    /// Attempts that use a socket now.
    #[cfg(feature = "sim")]
    pub(super) fn in_use(&self) -> u32 {
        self.lanes.iter().map(|lane| lane.in_use).sum()
    }

    /// Checks that every socket is counted, and is free or lent, not both.
    ///
    /// # Errors
    /// The lane that does not balance.
    #[cfg(feature = "sim")]
    pub(super) fn audit(&self) -> Result<(), String> {
        for lane in &self.lanes {
            let lent = if lane.spec.kind == SocketKind::Udp { 0 } else { lane.in_use };
            if lane.sockets.len() as u32 + lent != lane.open {
                return Err(format!("sockets of a lane do not balance: {lane:?}"));
            }
        }
        Ok(())
    }

    /// Whether it is worth asking: there was no refusal, it is long ago, or something was freed since.
    fn may_open(&self, now: Tick, index: usize) -> bool {
        match self.lanes[index].refusal {
            None => true,
            Some((_, at)) if now >= at + REFUSAL_PAUSE => true,
            Some((fault, _)) => {
                self.lanes[index].open == 0 && self.idle_for(fault, index).is_some()
            }
        }
    }

    fn open<R: Ring>(&mut self, ring: &mut R, spec: &SocketSpec) -> Result<SocketId, LocalFault> {
        if self.open >= self.sockets_max {
            return Err(LocalFault::Socket(libc::EMFILE));
        }
        let socket = ring.open(spec)?;
        self.open += 1;
        Ok(socket)
    }

    /// Opens one more socket; `false` where it was refused.
    fn grow<R: Ring>(&mut self, ring: &mut R, index: usize) -> bool {
        let spec = self.lanes[index].spec.clone();
        let mut result = self.open(ring, &spec);
        if let Err(fault) = result
            && self.lanes[index].open == 0
            && let Some(idle) = self.idle_for(fault, index)
        {
            self.close_one_of(ring, idle);
            result = self.open(ring, &spec);
        }
        let lane = &mut self.lanes[index];
        match result {
            Ok(socket) => {
                lane.open += 1;
                lane.refusal = None;
                lane.sockets.push(socket);
                let at = socket.0 as usize;
                if self.drops_seen.len() <= at {
                    self.drops_seen.resize(at + 1, None);
                }
                self.drops_seen[at] = (spec.kind == SocketKind::Udp).then_some(0);
                true
            }
            Err(fault) => {
                lane.refusal = Some((fault, ring.now()));
                false
            }
        }
    }

    /// A lane with a socket that nobody uses and whose end would help against this refusal.
    fn idle_for(&self, fault: LocalFault, index: usize) -> Option<usize> {
        let port = self.lanes[index].spec.source_port;
        (self.lanes.iter().enumerate()).position(|(other, lane)| {
            let is_tcp = lane.spec.kind != SocketKind::Udp;
            let is_idle = !lane.sockets.is_empty() && (is_tcp || lane.in_use == 0);
            let would_help = match fault {
                // Lanes that share a fixed source port and differ in something else.
                LocalFault::Port => port.is_some() && lane.spec.source_port == port,
                fault => is_shortage(fault),
            };
            other != index && is_idle && would_help
        })
    }

    fn close_one_of<R: Ring>(&mut self, ring: &mut R, index: usize) {
        self.closing_until = ring.now() + 2 * REFUSAL_PAUSE;
        let lane = &mut self.lanes[index];
        if let Some(socket) = lane.sockets.pop() {
            lane.open -= 1;
            self.open -= 1;
            self.drops_seen[socket.0 as usize] = None;
            ring.close(socket);
        }
    }
}

/// Refusals that end when somebody else lets go.
fn is_shortage(fault: LocalFault) -> bool {
    matches!(fault, LocalFault::Socket(libc::EMFILE | libc::ENFILE) | LocalFault::Port)
}
