//! One socket of the simulated kernel: receive buffer and error queue of UDP, connection of TCP.
//!
//! UDP charges what Linux charges, per small datagram and per queued ICMP error, against twice the
//! size that was asked for. An error queued sets `sk_err`; the next send of the socket, whoever it is
//! for, consumes that, fails with it and sends nothing. Reading the error queue to its end clears it.

use std::collections::VecDeque;
use std::net::SocketAddr;

use crate::ring::{SocketKind, SocketSpec, Token};

/// skb->truesize of a datagram of a few hundred bytes.
const DATAGRAM_CHARGE: usize = 768;
/// The same for an entry of the error queue.
const ERROR_CHARGE: usize = 832;
/// net.core.rmem as a shard gets it where it asks for no size.
pub(super) const RECEIVE_BUFFER_BYTES: usize = 8 << 20;

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Datagram {
    pub(super) from: SocketAddr,
    pub(super) bytes: Vec<u8>,
    /// Place in the order of all arrivals.
    pub(super) order: u64,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct QueuedError {
    pub(super) to: SocketAddr,
    pub(super) errno: i32,
    pub(super) bytes: Vec<u8>,
    pub(super) order: u64,
}

/// What a recycled TCP socket is doing, as far as its completions told the shard.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Stream {
    /// The attempt that connected it last and has not dissolved it.
    pub(super) owner: Option<Token>,
    /// The connect whose end the network still owes.
    pub(super) connecting: Option<u64>,
    /// The shard has not seen the completion of the last connect.
    pub(super) connect_unseen: bool,
    /// The shard has not seen the completion of the last disconnect or replace.
    pub(super) dissolve_unseen: bool,
}

#[derive(Debug)]
pub(super) struct SimSocket {
    pub(super) spec: SocketSpec,
    /// Differs between sockets that had the same id one after the other.
    pub(super) incarnation: u64,
    pub(super) stream: Stream,
    pub(super) data: VecDeque<Datagram>,
    pub(super) errors: VecDeque<QueuedError>,
    pub(super) pending_error: i32,
    pub(super) drops: u32,
    room: usize,
    charged: usize,
}

impl SimSocket {
    pub(super) fn new(spec: &SocketSpec, incarnation: u64, room: Option<usize>) -> SimSocket {
        let bytes = spec.receive_buffer.or(room).unwrap_or(RECEIVE_BUFFER_BYTES);
        SimSocket {
            spec: spec.clone(),
            incarnation,
            stream: Stream::default(),
            data: VecDeque::new(),
            errors: VecDeque::new(),
            pending_error: 0,
            drops: 0,
            room: 2 * bytes,
            charged: 0,
        }
    }

    pub(super) fn is_udp(&self) -> bool {
        self.spec.kind == SocketKind::Udp
    }

    /// A datagram arrives; `false` where the buffer was full and it is gone.
    pub(super) fn receive(&mut self, datagram: Datagram) -> bool {
        if self.charged + DATAGRAM_CHARGE > self.room {
            self.drops = self.drops.wrapping_add(1);
            return false;
        }
        self.charged += DATAGRAM_CHARGE;
        self.data.push_back(datagram);
        true
    }

    /// An ICMP error arrives; a full buffer loses it without counting.
    pub(super) fn receive_error(&mut self, error: QueuedError) -> bool {
        if self.charged + ERROR_CHARGE > self.room {
            return false;
        }
        self.charged += ERROR_CHARGE;
        self.pending_error = error.errno;
        self.errors.push_back(error);
        true
    }

    pub(super) fn read(&mut self) -> Option<Datagram> {
        let datagram = self.data.pop_front()?;
        self.charged -= DATAGRAM_CHARGE;
        Some(datagram)
    }

    pub(super) fn read_error(&mut self) -> Option<QueuedError> {
        let error = self.errors.pop_front()?;
        self.charged -= ERROR_CHARGE;
        self.pending_error = self.errors.front().map_or(0, |next| next.errno);
        Some(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn socket(room: usize) -> SimSocket {
        let spec = SocketSpec {
            kind: SocketKind::Udp,
            is_ipv6: false,
            source: None,
            source_port: None,
            interface: None,
            mark: 0,
            receive_buffer: Some(room),
        };
        SimSocket::new(&spec, 0, None)
    }

    fn peer() -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], 53))
    }

    #[test]
    fn a_full_buffer_drops_and_counts_until_it_is_read() {
        let mut socket = socket(4096);
        let datagram = Datagram { from: peer(), bytes: vec![0; 40], order: 0 };
        let kept = (0..100).filter(|_| socket.receive(datagram.clone())).count();
        assert_eq!((kept, socket.drops), (10, 90), "8,192 bytes hold ten");
        assert!(socket.read().is_some());
        assert!(socket.receive(datagram));
    }

    #[test]
    fn errors_share_the_buffer_and_poison_until_all_are_read() {
        let mut socket = socket(4096);
        let error = |errno| QueuedError { to: peer(), errno, bytes: Vec::new(), order: 0 };
        assert!(socket.receive_error(error(111)));
        assert!(socket.receive_error(error(113)));
        assert_eq!(socket.pending_error, 113);
        socket.read_error();
        assert_eq!(socket.pending_error, 113);
        socket.read_error();
        assert_eq!(socket.pending_error, 0);
        let kept = (0..100).filter(|_| socket.receive_error(error(111))).count();
        assert_eq!((kept, socket.drops), (9, 0));
    }
}
