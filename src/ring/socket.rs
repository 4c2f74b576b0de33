//! Opening sockets: options, binding, and what each refusal of the kernel means.

use std::io;
use std::mem::size_of;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsRawFd, RawFd};

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::address::RawAddress;
use super::{SocketKind, SocketSpec};
use crate::outcome::LocalFault;

/// Asked for where the operator names no size: room for 20,000 ICMP errors or 10,000 small answers.
const RECEIVE_BUFFER_BYTES: usize = 8 << 20;

/// linux/sock_diag.h: position of the drop counter in what SO_MEMINFO returns.
const SK_MEMINFO_DROPS: usize = 8;
const SK_MEMINFO_VARS: usize = 9;

/// net/tcp.h: the greatest TCP_SYNCNT.
const MAX_TCP_SYNCNT: i32 = 127;

/// Opens a socket as the spec says.
///
/// # Errors
/// Always a local fault: nothing was sent.
pub(super) fn open(spec: &SocketSpec) -> Result<Socket, LocalFault> {
    try_open(spec).map_err(|error| LocalFault::from_errno(errno(&error)))
}

fn try_open(spec: &SocketSpec) -> io::Result<Socket> {
    let socket = match spec.kind {
        SocketKind::Udp => Socket::new(domain(spec), Type::DGRAM, Some(Protocol::UDP))?,
        SocketKind::TcpHalf | SocketKind::TcpFull => {
            Socket::new(domain(spec), Type::STREAM, Some(Protocol::TCP))?
        }
    };
    if spec.is_ipv6 {
        socket.set_only_v6(true)?;
    }
    bind_route(&socket, spec)?;
    match spec.kind {
        SocketKind::Udp => prepare_udp(&socket, spec)?,
        SocketKind::TcpHalf | SocketKind::TcpFull => prepare_tcp(&socket, spec)?,
    }
    Ok(socket)
}

fn domain(spec: &SocketSpec) -> Domain {
    if spec.is_ipv6 { Domain::IPV6 } else { Domain::IPV4 }
}

/// Interface and mark: what chooses the route beside the source address.
fn bind_route(socket: &Socket, spec: &SocketSpec) -> io::Result<()> {
    if let Some(interface) = &spec.interface {
        socket.bind_device(Some(interface.as_bytes()))?;
    }
    if spec.mark != 0 {
        socket.set_mark(spec.mark)?;
    }
    Ok(())
}

fn prepare_udp(socket: &Socket, spec: &SocketSpec) -> io::Result<()> {
    match spec.receive_buffer {
        // What an operator names is taken as it is, smaller than the default included.
        Some(bytes) => socket.set_recv_buffer_size(bytes)?,
        None => {
            if set_option(
                socket,
                libc::SOL_SOCKET,
                libc::SO_RCVBUFFORCE,
                RECEIVE_BUFFER_BYTES as i32,
            )
            .is_err()
            {
                socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES)?;
            }
        }
    }
    if spec.is_ipv6 {
        set_option(socket, libc::IPPROTO_IPV6, libc::IPV6_RECVERR, 1)?;
    } else {
        set_option(socket, libc::IPPROTO_IP, libc::IP_RECVERR, 1)?;
        // A query is far below every MTU. With DF set the kernel need not choose an IP id for each
        // datagram, which is a tenth of what a send costs.
        let discover = libc::IP_PMTUDISC_PROBE;
        set_option(socket, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, discover)?;
    }
    // Binding now, not at the first send, keeps "no free port" apart from "could not send".
    socket.bind(&SockAddr::from(SocketAddr::new(
        spec.source.unwrap_or(unspecified(spec.is_ipv6)),
        spec.source_port.unwrap_or(0),
    )))
}

fn prepare_tcp(socket: &Socket, spec: &SocketSpec) -> io::Result<()> {
    // With net.ipv4.tcp_syn_retries of 1 the kernel gives a connect up after 3 s. When a probe has had its time
    // is ours to say, so it goes on for hours; it stays so in every connection of the socket.
    set_option(socket, libc::IPPROTO_TCP, libc::TCP_SYNCNT, MAX_TCP_SYNCNT)?;
    if spec.kind == SocketKind::TcpHalf {
        // On a client socket this holds back the ACK of the SYN-ACK, so that the reset leaves
        // first and the peer's accept() never wakes. Unlike TCP_QUICKACK it survives a disconnect.
        set_option(socket, libc::IPPROTO_TCP, libc::TCP_DEFER_ACCEPT, 1)?;
    }
    match (spec.source, spec.source_port) {
        (None, None) => return Ok(()),
        (Some(_), None) => {
            // Without it a bound socket takes its port at bind(): one port for all destinations.
            set_option(socket, libc::IPPROTO_IP, libc::IP_BIND_ADDRESS_NO_PORT, 1)?;
        }
        // Many sockets of a lane share the one port; their destinations differ.
        (_, Some(_)) => socket.set_reuse_address(true)?,
    }
    socket.bind(&SockAddr::from(SocketAddr::new(
        spec.source.unwrap_or(unspecified(spec.is_ipv6)),
        spec.source_port.unwrap_or(0),
    )))
}

fn unspecified(is_ipv6: bool) -> IpAddr {
    if is_ipv6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() }
}

fn set_option(socket: &Socket, level: i32, name: i32, value: i32) -> io::Result<()> {
    // SAFETY: the descriptor is open for as long as `socket` is borrowed; the kernel reads
    // `size_of::<i32>()` bytes of `value`, which outlives the call.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            (&raw const value).cast(),
            size_of::<i32>() as libc::socklen_t,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Datagrams dropped because the receive buffer was full (or their checksum wrong), since the socket
/// was opened. 0 where the kernel will not say.
pub(super) fn drops(fd: RawFd) -> u32 {
    let mut info = [0_u32; SK_MEMINFO_VARS];
    let mut len = size_of_val(&info) as libc::socklen_t;
    // SAFETY: the kernel writes at most `len` bytes into `info`, both live across the call.
    let result = unsafe {
        libc::getsockopt(
            fd,
            libc::SOL_SOCKET,
            libc::SO_MEMINFO,
            info.as_mut_ptr().cast(),
            &raw mut len,
        )
    };
    if result == 0 { info[SK_MEMINFO_DROPS] } else { 0 }
}

/// Whether a datagram from a socket like this one would find a route to `to`. Sends nothing.
///
/// # Errors
/// The errno of the route look-up, or of opening the socket.
pub(super) fn route(spec: &SocketSpec, to: SocketAddr) -> Result<(), i32> {
    let socket = route_socket(spec).map_err(|error| errno(&error))?;
    let to = RawAddress::from(to);
    // SAFETY: the descriptor is open, and `to` with its length lives across the call.
    let result = unsafe { libc::connect(socket.as_raw_fd(), to.as_ptr(), to.len()) };
    if result == 0 { Ok(()) } else { Err(errno(&io::Error::last_os_error())) }
}

/// A socket with the options that a route depends on. The source port is not one of them.
fn route_socket(spec: &SocketSpec) -> io::Result<Socket> {
    let socket = Socket::new(domain(spec), Type::DGRAM, Some(Protocol::UDP))?;
    bind_route(&socket, spec)?;
    if let Some(source) = spec.source {
        socket.bind(&SockAddr::from(SocketAddr::new(source, 0)))?;
    }
    Ok(socket)
}

/// How a connect stands: 0 for connected, EINPROGRESS for not yet, else the errno that ended it.
pub(super) fn connect_result(socket: &Socket) -> i32 {
    if socket.peer_addr().is_ok() {
        return 0;
    }
    match socket.take_error() {
        Ok(None) => {
            drain_errors(socket);
            libc::EINPROGRESS
        }
        Ok(Some(error)) | Err(error) => errno(&error),
    }
}

/// Empties the error queue.
pub(super) fn drain_errors(socket: &Socket) {
    let flags = libc::MSG_ERRQUEUE | libc::MSG_DONTWAIT;
    while socket.recv_with_flags(&mut [], flags).is_ok() {}
}

fn errno(error: &io::Error) -> i32 {
    error.raw_os_error().unwrap_or(libc::EIO)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn udp() -> SocketSpec {
        SocketSpec {
            kind: SocketKind::Udp,
            is_ipv6: false,
            source: None,
            source_port: None,
            interface: None,
            mark: 0,
            receive_buffer: None,
        }
    }

    #[test]
    fn a_taken_port_is_a_port_fault_and_a_foreign_source_a_socket_fault() {
        let holder = std::net::UdpSocket::bind("127.0.0.1:0").expect("a free port");
        let port = holder.local_addr().expect("bound").port();
        let taken = SocketSpec {
            source: Some(Ipv4Addr::LOCALHOST.into()),
            source_port: Some(port),
            ..udp()
        };
        assert_eq!(open(&taken).err(), Some(LocalFault::Port));
        let foreign = SocketSpec { source: Some(Ipv4Addr::new(192, 0, 2, 1).into()), ..udp() };
        assert_eq!(open(&foreign).err(), Some(LocalFault::Socket(libc::EADDRNOTAVAIL)));
    }

    #[test]
    fn a_missing_interface_is_a_socket_fault() {
        let spec = SocketSpec { interface: Some("nosuch0".into()), ..udp() };
        assert_eq!(open(&spec).err(), Some(LocalFault::Socket(libc::ENODEV)));
    }

    #[test]
    fn the_kernel_gives_no_connect_up_before_its_probe_is_over() {
        let sent_again = |socket: &Socket| {
            let (mut value, mut len) = (0_i32, size_of::<i32>() as libc::socklen_t);
            // SAFETY: the kernel writes at most `len` bytes into `value`, both live across the call.
            let result = unsafe {
                libc::getsockopt(
                    socket.as_raw_fd(),
                    libc::IPPROTO_TCP,
                    libc::TCP_SYNCNT,
                    (&raw mut value).cast(),
                    &raw mut len,
                )
            };
            (result, value)
        };
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = RawAddress::from(listener.local_addr().expect("bound"));
        let unspecified = libc::sockaddr { sa_family: libc::AF_UNSPEC as u16, sa_data: [0; 14] };
        for kind in [SocketKind::TcpHalf, SocketKind::TcpFull] {
            let socket = open(&SocketSpec { kind, ..udp() }).expect("opens");
            assert_eq!(sent_again(&socket), (0, MAX_TCP_SYNCNT));
            let connect = |to: *const libc::sockaddr, len: usize| {
                // SAFETY: the descriptor is open, and `to` has `len` bytes that live across the call.
                unsafe { libc::connect(socket.as_raw_fd(), to, len as libc::socklen_t) }
            };
            assert_eq!(connect(address.as_ptr(), address.len() as usize), 0);
            assert_eq!(connect(&raw const unspecified, size_of_val(&unspecified)), 0);
            assert_eq!(sent_again(&socket), (0, MAX_TCP_SYNCNT), "after a disconnect");
        }
    }

    #[test]
    fn drops_are_counted_by_the_kernel() {
        let socket = open(&SocketSpec { receive_buffer: Some(4096), ..udp() }).expect("opens");
        let port = socket.local_addr().expect("bound").as_socket().expect("inet").port();
        let sender = std::net::UdpSocket::bind("127.0.0.1:0").expect("a free port");
        assert_eq!(drops(socket.as_raw_fd()), 0);
        for _ in 0..1000 {
            sender.send_to(&[0; 64], ("127.0.0.1", port)).expect("sent");
        }
        assert!(drops(socket.as_raw_fd()) > 500, "a 4 KiB buffer holds a handful of 1,000");
    }

    #[test]
    fn loopback_has_a_route_and_port_zero_of_nowhere_has_none() {
        assert_eq!(route(&udp(), "127.1.2.3:53".parse().expect("address")), Ok(()));
        assert_eq!(route(&udp(), "[::1]:53".parse().expect("address")), Err(libc::EAFNOSUPPORT));
    }
}
