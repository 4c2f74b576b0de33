//! What the TCP floors share: the recycled socket and a peer.
//!
//! TCP_DEFER_ACCEPT on the connecting side delays the last ACK of every handshake, and unlike
//! TCP_QUICKACK it survives the disconnect: the peer sees SYN, SYN-ACK, RST, and its accept(2) does
//! not wake (tcp(7); tcp_rcv_synsent_state_process in Linux).

use std::io;
use std::mem;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::AsRawFd;
use std::ptr;

use socket2::{Domain, Protocol, Socket, Type};

use crate::common::Plan;

/// Bytes of the address of a target.
pub(crate) const ADDRESS_BYTES: libc::socklen_t =
    mem::size_of::<libc::sockaddr_in>() as libc::socklen_t;

/// Family AF_UNSPEC: to connect to this dissolves a connection.
pub(crate) const NOWHERE: libc::sockaddr_in = libc::sockaddr_in {
    sin_family: libc::AF_UNSPEC as libc::sa_family_t,
    sin_port: 0,
    sin_addr: libc::in_addr { s_addr: 0 },
    sin_zero: [0; 8],
};

/// A socket that can be connected and disconnected any number of times. A SYN without an answer
/// ends it with ETIMEDOUT after the plan's timeout, but not before the first retransmission is due
/// (1 s), so nothing that waits for it can hang.
pub(crate) fn recycled(plan: &Plan) -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
    socket.set_tcp_user_timeout(Some(plan.timeout()))?;
    let on: libc::c_int = 1;
    // SAFETY: `on` is a c_int that outlives the call, and its size is given.
    let set = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_DEFER_ACCEPT,
            ptr::from_ref(&on).cast(),
            mem::size_of_val(&on) as libc::socklen_t,
        )
    };
    if set != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(socket)
}

/// A listener on all of 127.0.0.0/8. Nobody accepts from it: a half handshake never needs that.
pub(crate) fn peer() -> io::Result<SocketAddr> {
    let listener = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
    listener.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)).into())?;
    listener.listen(4096)?;
    let at = listener.local_addr()?.as_socket().ok_or(io::ErrorKind::AddrNotAvailable)?;
    mem::forget(listener);
    Ok(at)
}
