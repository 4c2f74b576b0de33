//! The TCP side: a listener that greets everyone, and one that lets nobody in.
//!
//! Handshakes are the kernel's work; a thread accepts and closes what completed, so the backlog never
//! fills. [`BlackHole`] is a listener whose backlog of one is full for good: Linux then drops every
//! SYN without a word, as a dead host would. Source: listen(2), tcp(7).

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

use super::Counters;
use crate::ring::mmsg::BLOCK;

/// Cut down by the kernel to net.core.somaxconn.
const BACKLOG: i32 = 65_535;

/// Our own connects that may be let in before the backlog must be full.
const FILLERS: usize = 8;

/// A connect on loopback that took this long was dropped: an accepted one takes microseconds, and a
/// dropped SYN is sent again only after a second.
const DROPPED_AFTER: Duration = Duration::from_millis(200);

/// A listener on `port` of every loopback address.
///
/// # Errors
/// The kernel's refusal of the socket or the port.
pub(super) fn listen(port: u16) -> io::Result<Socket> {
    let socket = bind(port)?;
    socket.listen(BACKLOG)?;
    // Lets a blocked accept return to see the stop flag.
    socket.set_read_timeout(Some(BLOCK))?;
    Ok(socket)
}

/// A port that is closed for UDP and TCP, held against others as far as the kernel allows: a bound
/// TCP socket that does not listen answers with a reset, and keeps others from the port.
///
/// # Errors
/// EADDRINUSE where something has the port.
pub(super) fn hold_closed(port: u16) -> io::Result<Socket> {
    let udp = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    udp.bind(&SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port).into())?;
    bind(port)
}

fn bind(port: u16) -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
    socket.bind_device(Some(b"lo"))?;
    // Connections of an earlier run in TIME_WAIT do not keep the port from us.
    socket.set_reuse_address(true)?;
    socket.bind(&SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port).into())?;
    Ok(socket)
}

/// Accepts and closes until the stop flag is set.
pub(super) fn accept_loop(listener: &Socket, stop: &AtomicBool) -> Counters {
    let mut counters = Counters::default();
    while !stop.load(Ordering::Relaxed) {
        match listener.accept() {
            Ok(_) => counters.accepted += 1,
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock
                | io::ErrorKind::Interrupted
                | io::ErrorKind::ConnectionAborted => {}
                _ => {
                    // No descriptor or memory left: those who ask wait in the backlog meanwhile.
                    counters.receive_errors += 1;
                    std::thread::park_timeout(Duration::from_millis(10));
                }
            },
        }
    }
    counters
}

/// A port where every SYN is dropped, as long as this lives.
#[derive(Debug)]
pub(super) struct BlackHole {
    _listener: Socket,
    _fillers: Vec<TcpStream>,
}

impl BlackHole {
    /// Opens one on `port` and fills it through `address`.
    ///
    /// # Errors
    /// The kernel's refusal of the port; `Other` where it kept letting connects in, so that the port
    /// is no black hole.
    pub(super) fn open(port: u16, address: Ipv4Addr) -> io::Result<BlackHole> {
        let listener = bind(port)?;
        listener.listen(0)?;
        let target = SocketAddrV4::new(address, port).into();
        let mut fillers = Vec::new();
        while fillers.len() < FILLERS {
            match TcpStream::connect_timeout(&target, DROPPED_AFTER) {
                Ok(stream) => fillers.push(stream),
                Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                    return Ok(BlackHole { _listener: listener, _fillers: fillers });
                }
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::other(
            "this kernel accepts connections beyond the backlog; leave out silent, or TCP servers",
        ))
    }
}

/// The accepting thread's part: its listener and the flag that ends it.
#[derive(Debug)]
pub(super) struct Acceptor {
    pub(super) listener: Socket,
    pub(super) stop: Arc<AtomicBool>,
}

impl Acceptor {
    /// Serves until the stop flag is set.
    pub(super) fn run(self) -> Counters {
        accept_loop(&self.listener, &self.stop)
    }
}
