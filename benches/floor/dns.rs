//! What the DNS floors share: the query, the window of probes in flight, the socket, a small peer.
//!
//! A query is 34 bytes, `www.example.test A`, and only its id changes. The id is generation (4 bits)
//! | slot (12 bits): a reply names its slot, and one that comes after its probe was given up is of an
//! older generation. The floors check nothing else of a reply.

use std::io;
use std::mem;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::ptr;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

use crate::common::{Plan, Tally};

/// Bytes of a query.
pub(crate) const QUERY_BYTES: usize = 34;

/// Room for one reply; a floor needs no more than its id.
pub(crate) const REPLY_BYTES: usize = 512;

/// `www.example.test A IN`, RD set, id 0.
pub(crate) const QUERY: [u8; QUERY_BYTES] =
    *b"\0\0\x01\0\0\x01\0\0\0\0\0\0\x03www\x07example\x04test\0\0\x01\0\x01";

const SLOT_BITS: u16 = 12;
const SLOT_MASK: u16 = (1 << SLOT_BITS) - 1;

/// Which slots wait for an answer, and what was counted so far.
pub(crate) struct Window {
    probes: u64,
    begun: u64,
    free: Vec<u16>,
    /// Current id of every slot; meaningless while the slot is free.
    id: Vec<u16>,
    busy: Vec<bool>,
    tally: Tally,
}

impl Window {
    /// All slots free.
    pub(crate) fn new(plan: &Plan) -> Window {
        Window {
            probes: plan.probes,
            begun: 0,
            free: (0..plan.window).rev().collect(),
            id: (0..plan.window).collect(),
            busy: vec![false; usize::from(plan.window)],
            tally: Tally::default(),
        }
    }

    /// Takes a slot for the next probe: its number, the probe's number and the id to ask with.
    pub(crate) fn begin(&mut self) -> Option<(usize, u64, u16)> {
        if self.begun == self.probes {
            return None;
        }
        let slot = usize::from(self.free.pop()?);
        self.id[slot] = self.id[slot].wrapping_add(1 << SLOT_BITS);
        self.busy[slot] = true;
        self.begun += 1;
        Some((slot, self.begun - 1, self.id[slot]))
    }

    /// Takes a reply; the slot it freed, unless nobody waited for it.
    pub(crate) fn answer(&mut self, reply: &[u8]) -> Option<usize> {
        let id = u16::from_be_bytes([*reply.first()?, *reply.get(1)?]);
        let slot = id & SLOT_MASK;
        let waiting = self.id.get(usize::from(slot)) == Some(&id) && self.busy[usize::from(slot)];
        if !waiting {
            return None;
        }
        self.tally.answered += 1;
        self.release(usize::from(slot));
        Some(usize::from(slot))
    }

    /// Takes a query back that could not be sent.
    pub(crate) fn refuse(&mut self, slot: usize) {
        if mem::replace(&mut self.busy[slot], false) {
            self.tally.refused += 1;
            self.free.push(slot as u16);
        }
    }

    /// Counts one probe as lost if it still waits under this id.
    pub(crate) fn lose(&mut self, slot: usize, id: u16) {
        if self.id[slot] == id && self.busy[slot] {
            self.release(slot);
        }
    }

    /// Counts everything in flight as lost.
    pub(crate) fn lose_all(&mut self) {
        for slot in 0..self.busy.len() {
            self.lose(slot, self.id[slot]);
        }
    }

    /// Probes in flight.
    pub(crate) fn in_flight(&self) -> usize {
        self.busy.len() - self.free.len()
    }

    /// Whether every probe has ended.
    pub(crate) fn is_done(&self) -> bool {
        self.begun == self.probes && self.in_flight() == 0
    }

    /// What was counted.
    pub(crate) fn tally(&self) -> Tally {
        self.tally
    }

    fn release(&mut self, slot: usize) {
        self.busy[slot] = false;
        self.free.push(slot as u16);
    }
}

/// The one unconnected socket of a floor, with as much receive buffer as the kernel gives.
pub(crate) fn socket() -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_recv_buffer_size(8 << 20)?;
    // As the engine does: with DF set the kernel chooses no IP id for each datagram.
    let probe: libc::c_int = libc::IP_PMTUDISC_PROBE;
    // SAFETY: `probe` is a c_int that outlives the call, and its size is given.
    let set = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_IP,
            libc::IP_MTU_DISCOVER,
            ptr::from_ref(&probe).cast(),
            mem::size_of_val(&probe) as libc::socklen_t,
        )
    };
    if set != 0 {
        return Err(io::Error::last_os_error());
    }
    socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)).into())?;
    Ok(socket.into())
}

/// Answers every query on all of 127.0.0.0/8 with itself, QR set, from the address that was asked.
/// Its thread ends with the process, or when nothing came for five seconds.
pub(crate) fn peer() -> io::Result<SocketAddr> {
    let socket = socket()?;
    socket.set_read_timeout(Some(Duration::from_secs(5)))?;
    let on: libc::c_int = 1;
    // SAFETY: `on` is a c_int that outlives the call, and its size is given.
    let set = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_IP,
            libc::IP_PKTINFO,
            ptr::from_ref(&on).cast(),
            mem::size_of_val(&on) as libc::socklen_t,
        )
    };
    if set != 0 {
        return Err(io::Error::last_os_error());
    }
    let at = socket.local_addr()?;
    std::thread::spawn(move || while echo(&socket).is_ok() {});
    Ok(at)
}

/// Takes one query and answers it.
fn echo(socket: &UdpSocket) -> io::Result<()> {
    let mut bytes = [0_u8; REPLY_BYTES];
    // SAFETY: all-zero is a valid sockaddr_in and msghdr: integers and null pointers.
    let (mut from, mut message): (libc::sockaddr_in, libc::msghdr) = unsafe { mem::zeroed() };
    let mut control = [0_u64; 8];
    let mut vector = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    message.msg_name = ptr::from_mut(&mut from).cast();
    message.msg_namelen = mem::size_of_val(&from) as libc::socklen_t;
    message.msg_iov = &mut vector;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = mem::size_of_val(&control);
    // SAFETY: every pointer in `message` is to a local that outlives the call, with its true size.
    let got = unsafe { libc::recvmsg(socket.as_raw_fd(), &mut message, 0) };
    let got = usize::try_from(got).map_err(|_| io::Error::last_os_error())?;
    if got > 2 {
        bytes[2] |= 0x80;
    }
    // SAFETY: the kernel wrote `message` and its control bytes, which are aligned for cmsghdr.
    let info = unsafe { libc::CMSG_FIRSTHDR(&message) };
    if !info.is_null() {
        // SAFETY: IP_PKTINFO is the only control message asked for, so its data is an in_pktinfo.
        // What it says of the interface is cleared: the routing table chooses it.
        unsafe { (*libc::CMSG_DATA(info).cast::<libc::in_pktinfo>()).ipi_ifindex = 0 };
    }
    let mut vector = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: got };
    message.msg_iov = &mut vector;
    // SAFETY: as for recvmsg; the control message now names the source of the answer.
    if unsafe { libc::sendmsg(socket.as_raw_fd(), &message, 0) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
