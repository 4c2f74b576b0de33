//! A UDP socket that serves many local addresses, 64 datagrams per system call.
//!
//! For `respond`, not for probes: it answers from whichever address it was asked at (IP_PKTINFO), on
//! the loopback interface alone, so that a fleet of a million addresses is one socket that nobody
//! outside this machine can reach.
//!
//! Shape: a [`Batch`] owns the bytes, peer addresses and control messages of [`BATCH`] datagrams. A
//! received datagram is answered in its own place: its bytes are edited, its peer and local address
//! stay. The kernel is handed pointers into the batch for the length of one system call (R1), and
//! they are written anew for each, so none outlives the borrow it came from.
//! Errors: what the kernel says, as `io::Error`; datagrams it refuses to send are counted.
//! Source: recvmmsg(2), sendmmsg(2), ip(7) IP_PKTINFO.

use std::fmt;
use std::io;
use std::mem;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::AsRawFd;
use std::ptr;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

/// Datagrams per system call.
pub const BATCH: usize = 64;

/// Room for one datagram: a question of 271 bytes and one small answer fit.
pub const BYTES: usize = 512;

/// How long a blocking receive may last, so that its caller can look at other things.
pub const BLOCK: Duration = Duration::from_millis(50);

/// Receive buffer asked of the kernel: first with CAP_NET_ADMIN, then without.
const RECEIVE_BUFFER_FORCED: libc::c_int = 64 << 20;
const RECEIVE_BUFFER: usize = 8 << 20;

/// The one control message of a datagram. Its size is CMSG_SPACE(sizeof(in_pktinfo)).
#[derive(Copy, Clone)]
#[repr(C, align(8))]
struct Control {
    header: libc::cmsghdr,
    info: libc::in_pktinfo,
}

/// CMSG_LEN(sizeof(in_pktinfo)): `info` follows `header` without padding on every Linux ABI.
const CONTROL_LEN: usize = mem::offset_of!(Control, info) + mem::size_of::<libc::in_pktinfo>();

/// How a receive waits.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Wait {
    /// Until a datagram is there, at most [`BLOCK`].
    Block,
    /// Until a datagram is there, at most this long; zero takes what is there.
    AtMost(Duration),
}

/// What became of the datagrams handed to one send.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub struct Sent {
    /// Taken by the kernel.
    pub sent: usize,
    /// Refused by the kernel, each by itself.
    pub refused: usize,
}

/// Bytes, peers and local addresses of [`BATCH`] datagrams. Belongs to one thread.
pub struct Batch {
    bytes: Box<[[u8; BYTES]]>,
    lens: Box<[usize]>,
    cut: Box<[bool]>,
    peers: Box<[libc::sockaddr_in]>,
    controls: Box<[Control]>,
    iovecs: Box<[libc::iovec]>,
    headers: Box<[libc::mmsghdr]>,
}

impl Default for Batch {
    fn default() -> Batch {
        // SAFETY: sockaddr_in, cmsghdr, in_pktinfo, iovec and mmsghdr are C structures of integers
        // and raw pointers, for which all-zero is a value. No pointer here is followed before
        // `receive` or `send` has written it (R1).
        let (peer, control, iovec, header) =
            unsafe { (mem::zeroed(), mem::zeroed(), mem::zeroed(), mem::zeroed()) };
        Batch {
            bytes: vec![[0; BYTES]; BATCH].into(),
            lens: vec![0; BATCH].into(),
            cut: vec![false; BATCH].into(),
            peers: vec![peer; BATCH].into(),
            controls: vec![control; BATCH].into(),
            iovecs: vec![iovec; BATCH].into(),
            headers: vec![header; BATCH].into(),
        }
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch").field("lens", &self.lens).finish_non_exhaustive()
    }
}

impl Batch {
    /// The received bytes of datagram `at`, or those last set.
    pub fn bytes(&self, at: usize) -> &[u8] {
        &self.bytes[at][..self.lens[at]]
    }

    /// All the room of datagram `at`: its bytes first, then what was there before.
    pub fn room(&mut self, at: usize) -> &mut [u8; BYTES] {
        &mut self.bytes[at]
    }

    /// Sets how many bytes of its room datagram `at` has, at most [`BYTES`].
    pub fn set_len(&mut self, at: usize, len: usize) {
        self.lens[at] = len.min(BYTES);
    }

    /// Whether datagram `at` was longer than its room when it was received.
    pub fn is_cut(&self, at: usize) -> bool {
        self.cut[at]
    }

    /// Who sent datagram `at`, and whom it goes to when it is sent.
    pub fn peer(&self, at: usize) -> SocketAddrV4 {
        let peer = &self.peers[at];
        SocketAddrV4::new(
            Ipv4Addr::from(u32::from_be(peer.sin_addr.s_addr)),
            u16::from_be(peer.sin_port),
        )
    }

    /// The local address datagram `at` was sent to, and that it leaves from. Unspecified where the
    /// kernel did not say.
    pub fn local(&self, at: usize) -> Ipv4Addr {
        Ipv4Addr::from(u32::from_be(self.controls[at].info.ipi_spec_dst.s_addr))
    }

    /// Sets the address datagram `at` leaves from.
    pub fn set_local(&mut self, at: usize, local: Ipv4Addr) {
        self.controls[at].info.ipi_spec_dst.s_addr = u32::from(local).to_be();
    }

    /// Makes datagram `at` of the caller's own; bytes beyond [`BYTES`] are cut off.
    pub fn put(&mut self, at: usize, local: Ipv4Addr, peer: SocketAddrV4, bytes: &[u8]) {
        let len = bytes.len().min(BYTES);
        self.bytes[at][..len].copy_from_slice(&bytes[..len]);
        self.lens[at] = len;
        self.peers[at].sin_family = libc::AF_INET as libc::sa_family_t;
        self.peers[at].sin_port = peer.port().to_be();
        self.peers[at].sin_addr.s_addr = u32::from(*peer.ip()).to_be();
        self.controls[at].info.ipi_ifindex = 0;
        self.set_local(at, local);
    }

    /// Points header `nth` at datagram `at`, whose iovec offers `len` bytes.
    fn point(&mut self, nth: usize, at: usize, len: usize) {
        self.iovecs[nth].iov_base = self.bytes[at].as_mut_ptr().cast();
        self.iovecs[nth].iov_len = len;
        let header = &mut self.headers[nth].msg_hdr;
        header.msg_name = ptr::from_mut(&mut self.peers[at]).cast();
        header.msg_namelen = mem::size_of::<libc::sockaddr_in>() as libc::socklen_t;
        header.msg_iov = ptr::from_mut(&mut self.iovecs[nth]);
        header.msg_iovlen = 1;
        header.msg_control = ptr::from_mut(&mut self.controls[at]).cast();
        header.msg_controllen = mem::size_of::<Control>() as _;
        header.msg_flags = 0;
    }
}

/// A UDP socket on the wildcard address, bound to the loopback interface.
#[derive(Debug)]
pub struct UdpServer {
    socket: Socket,
}

impl UdpServer {
    /// Binds port `port` (0 for any) of every loopback address. With `share`, other sockets of this
    /// user may share the port and the kernel deals datagrams out among them (SO_REUSEPORT).
    ///
    /// # Errors
    /// The kernel's refusal of the socket, an option or the port.
    pub fn bind(port: u16, share: bool) -> io::Result<UdpServer> {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
        socket.bind_device(Some(b"lo"))?;
        if share {
            socket.set_reuse_port(true)?;
        }
        set_int(&socket, libc::IPPROTO_IP, libc::IP_PKTINFO, 1)?;
        // Sets DF, so that the kernel need not draw an IP identification from a table that all
        // cores share, which is a tenth of the cost of an answer.
        set_int(&socket, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_PROBE)?;
        let level = libc::SOL_SOCKET;
        if set_int(&socket, level, libc::SO_RCVBUFFORCE, RECEIVE_BUFFER_FORCED).is_err() {
            socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
        }
        socket.set_read_timeout(Some(BLOCK))?;
        socket.bind(&SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port).into())?;
        Ok(UdpServer { socket })
    }

    /// The bound port.
    ///
    /// # Errors
    /// getsockname's.
    pub fn port(&self) -> io::Result<u16> {
        Ok(self.socket.local_addr()?.as_socket_ipv4().map_or(0, |address| address.port()))
    }

    /// Fills the batch from its start with what has arrived, and says with how many. 0 when the
    /// wait ended without a datagram.
    ///
    /// # Errors
    /// The kernel's, without EAGAIN and EINTR, which are an end of the wait.
    pub fn receive(&self, batch: &mut Batch, wait: Wait) -> io::Result<usize> {
        match wait {
            Wait::Block => self.receive_now(batch, libc::MSG_WAITFORONE),
            Wait::AtMost(wait) => {
                let count = self.receive_now(batch, libc::MSG_DONTWAIT)?;
                if count > 0 || wait.is_zero() || !self.poll(wait)? {
                    return Ok(count);
                }
                self.receive_now(batch, libc::MSG_DONTWAIT)
            }
        }
    }

    fn receive_now(&self, batch: &mut Batch, flags: libc::c_int) -> io::Result<usize> {
        for at in 0..BATCH {
            batch.point(at, at, BYTES);
        }
        // SAFETY: all BATCH headers were pointed just now at bytes, peers, controls and iovecs of
        // `batch`, with their true sizes; `batch` is borrowed mutably until the call returns, which
        // is when the kernel is done with them (R1).
        let count = unsafe {
            libc::recvmmsg(
                self.socket.as_raw_fd(),
                batch.headers.as_mut_ptr(),
                BATCH as libc::c_uint,
                flags as _,
                ptr::null_mut(),
            )
        };
        let Ok(count) = usize::try_from(count) else {
            return none_if_idle(io::Error::last_os_error());
        };
        for at in 0..count {
            let header = &batch.headers[at];
            batch.lens[at] = (header.msg_len as usize).min(BYTES);
            batch.cut[at] = header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0;
            let control = &mut batch.controls[at];
            let has_info = header.msg_hdr.msg_controllen >= CONTROL_LEN
                && control.header.cmsg_level == libc::IPPROTO_IP
                && control.header.cmsg_type == libc::IP_PKTINFO;
            if !has_info {
                control.info.ipi_spec_dst.s_addr = 0;
            }
        }
        Ok(count)
    }

    /// Sends those datagrams of the batch that `which` names, in that order; names beyond the first
    /// [`BATCH`] are left out. One refused by the kernel does not hold up the next.
    pub fn send(&self, batch: &mut Batch, which: &[u8]) -> Sent {
        let which = &which[..which.len().min(BATCH)];
        for (nth, &at) in which.iter().enumerate() {
            let at = usize::from(at);
            batch.controls[at].header.cmsg_level = libc::IPPROTO_IP;
            batch.controls[at].header.cmsg_type = libc::IP_PKTINFO;
            batch.controls[at].header.cmsg_len = CONTROL_LEN as _;
            batch.point(nth, at, batch.lens[at]);
        }
        let mut result = Sent::default();
        let mut done = 0;
        while done < which.len() {
            let rest = &mut batch.headers[done..which.len()];
            // SAFETY: headers `done..which.len()` were pointed just now at datagrams of `batch`,
            // with their true sizes; `batch` is borrowed mutably until the call returns, which is
            // when the kernel is done with them (R1).
            let count = unsafe {
                libc::sendmmsg(
                    self.socket.as_raw_fd(),
                    rest.as_mut_ptr(),
                    rest.len() as libc::c_uint,
                    0,
                )
            };
            match usize::try_from(count) {
                Ok(count) if count > 0 => {
                    result.sent += count;
                    done += count;
                }
                _ if io::Error::last_os_error().kind() == io::ErrorKind::Interrupted => {}
                _ => {
                    result.refused += 1;
                    done += 1;
                }
            }
        }
        result
    }

    /// Waits until a datagram is there; false when `wait` ended first.
    fn poll(&self, wait: Duration) -> io::Result<bool> {
        let mut entry =
            libc::pollfd { fd: self.socket.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        let wait = libc::timespec {
            tv_sec: wait.as_secs().min(3600) as libc::time_t,
            tv_nsec: wait.subsec_nanos() as _,
        };
        // SAFETY: one pollfd and one timespec, both on this stack until the call returns; a null
        // signal mask leaves the thread's own (R1).
        let count = unsafe { libc::ppoll(&mut entry, 1, &wait, ptr::null()) };
        if count < 0 {
            return none_if_idle(io::Error::last_os_error()).map(|_| false);
        }
        Ok(count > 0)
    }
}

/// 0 datagrams where the wait merely ended.
fn none_if_idle(error: io::Error) -> io::Result<usize> {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(0),
        _ => Err(error),
    }
}

fn set_int(
    socket: &Socket,
    level: libc::c_int,
    name: libc::c_int,
    value: libc::c_int,
) -> io::Result<()> {
    // SAFETY: the option's value is one C int on this stack, given with its size; the kernel copies
    // it before the call returns (R1).
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            ptr::from_ref(&value).cast(),
            mem::size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    const BRIEF: Duration = Duration::from_secs(2);

    fn client(address: &str) -> UdpSocket {
        let client = UdpSocket::bind((address, 0)).unwrap();
        client.set_read_timeout(Some(BRIEF)).unwrap();
        client
    }

    #[test]
    fn answers_leave_from_the_address_that_was_asked() {
        let server = UdpServer::bind(0, false).unwrap();
        let port = server.port().unwrap();
        let client = client("127.0.0.1");
        let asked = ["127.71.0.1", "127.71.200.3", "127.0.0.1"];
        for address in asked {
            client.send_to(address.as_bytes(), (address, port)).unwrap();
        }

        let mut batch = Batch::default();
        let mut which = Vec::new();
        let count = server.receive(&mut batch, Wait::AtMost(BRIEF)).unwrap();
        assert_eq!(count, asked.len());
        for (at, address) in asked.iter().enumerate() {
            assert_eq!(batch.bytes(at), address.as_bytes());
            assert_eq!(batch.local(at), address.parse::<Ipv4Addr>().unwrap());
            assert_eq!(batch.peer(at).port(), client.local_addr().unwrap().port());
            assert!(!batch.is_cut(at));
            batch.room(at)[0] = b'A';
            which.push(at as u8);
        }
        which.reverse();
        assert_eq!(server.send(&mut batch, &which), Sent { sent: 3, refused: 0 });
        for address in asked.iter().rev() {
            let mut bytes = [0; BYTES];
            let (len, from) = client.recv_from(&mut bytes).unwrap();
            assert_eq!(from, format!("{address}:{port}").parse().unwrap());
            assert_eq!(&bytes[..len], [b"A", &address.as_bytes()[1..]].concat());
        }
    }

    #[test]
    fn a_refused_datagram_does_not_hold_up_the_next() {
        let server = UdpServer::bind(0, false).unwrap();
        let client = client("127.0.0.1");
        let port = client.local_addr().unwrap().port();
        let peer = SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
        let mut batch = Batch::default();
        batch.put(0, Ipv4Addr::new(127, 72, 0, 1), peer, b"first");
        // 192.0.2.1 is not an address of this machine, so nothing can leave from it.
        batch.put(1, Ipv4Addr::new(192, 0, 2, 1), peer, b"refused");
        batch.put(2, Ipv4Addr::new(127, 72, 0, 2), peer, b"last");
        assert_eq!(server.send(&mut batch, &[0, 1, 2]), Sent { sent: 2, refused: 1 });
        for expected in [&b"first"[..], b"last"] {
            let mut bytes = [0; BYTES];
            let (len, _) = client.recv_from(&mut bytes).unwrap();
            assert_eq!(&bytes[..len], expected);
        }
    }

    #[test]
    fn a_datagram_beyond_its_room_is_marked_as_cut() {
        let server = UdpServer::bind(0, false).unwrap();
        let client = client("127.0.0.1");
        client.send_to(&[7; BYTES + 1], ("127.73.0.1", server.port().unwrap())).unwrap();
        let mut batch = Batch::default();
        assert_eq!(server.receive(&mut batch, Wait::AtMost(BRIEF)).unwrap(), 1);
        assert!(batch.is_cut(0));
        assert_eq!(batch.bytes(0).len(), BYTES);
    }

    #[test]
    fn waits_end_without_a_datagram() {
        let server = UdpServer::bind(0, false).unwrap();
        let mut batch = Batch::default();
        for wait in [Wait::AtMost(Duration::ZERO), Wait::AtMost(BLOCK / 10), Wait::Block] {
            let start = crate::tick::monotonic_now();
            assert_eq!(server.receive(&mut batch, wait).unwrap(), 0);
            assert!(crate::tick::monotonic_now().since(start) < BRIEF);
        }
    }

    #[test]
    fn a_port_is_shared_only_when_asked() {
        let first = UdpServer::bind(0, true).unwrap();
        let port = first.port().unwrap();
        assert!(UdpServer::bind(port, false).is_err());
        assert!(UdpServer::bind(port, true).is_ok());
    }
}
