//! Floor: DNS round trips by sendmmsg(2) and recvmmsg(2), 64 datagrams a call at most.
//!
//! One unconnected socket. A receive blocks for the first datagram and then takes what is there.

use std::io;
use std::mem;
use std::os::fd::AsRawFd;
use std::process::ExitCode;
use std::ptr;

use common::{MAX_TIMEOUTS, Plan, Tally};
use dns::{QUERY, REPLY_BYTES, Window};

mod common;
mod dns;

const DATAGRAMS: usize = 64;

fn main() -> ExitCode {
    common::main("dns_mmsg", dns::peer, floor)
}

fn floor(plan: &Plan) -> io::Result<Tally> {
    let socket = dns::socket()?;
    socket.set_read_timeout(Some(plan.timeout()))?;
    let fd = socket.as_raw_fd();

    let mut queries = [QUERY; DATAGRAMS];
    let mut replies = [[0_u8; REPLY_BYTES]; DATAGRAMS];
    let mut addresses = [plan.sockaddr(0); DATAGRAMS];
    // SAFETY: all-zero is a valid iovec and mmsghdr: integers and null pointers.
    let mut vectors: [libc::iovec; DATAGRAMS] = unsafe { mem::zeroed() };
    // SAFETY: as above.
    let mut headers: [libc::mmsghdr; DATAGRAMS] = unsafe { mem::zeroed() };

    let mut window = Window::new(plan);
    let mut slots = [0_usize; DATAGRAMS];
    let mut timeouts = 0;
    while !window.is_done() && timeouts < MAX_TIMEOUTS {
        loop {
            let mut count = 0;
            while count < DATAGRAMS {
                let Some((slot, probe, id)) = window.begin() else { break };
                slots[count] = slot;
                queries[count][..2].copy_from_slice(&id.to_be_bytes());
                addresses[count] = plan.sockaddr(probe);
                count += 1;
            }
            if count == 0 {
                break;
            }
            for i in 0..count {
                vectors[i] = vector(&mut queries[i]);
                headers[i].msg_hdr = header(&mut addresses[i], &mut vectors[i]);
            }
            // SAFETY: the first `count` headers point into arrays of this frame.
            let sent = unsafe { libc::sendmmsg(fd, headers.as_mut_ptr(), count as u32, 0) };
            for &slot in &slots[usize::try_from(sent).unwrap_or(0)..count] {
                window.refuse(slot);
            }
        }
        if window.in_flight() == 0 {
            continue;
        }
        for i in 0..DATAGRAMS {
            vectors[i] = vector(&mut replies[i]);
            headers[i].msg_hdr = header(&mut addresses[i], &mut vectors[i]);
        }
        // SAFETY: all headers point into arrays of this frame; no timeout is passed.
        let got = unsafe {
            let flags = libc::MSG_WAITFORONE;
            libc::recvmmsg(fd, headers.as_mut_ptr(), DATAGRAMS as u32, flags, ptr::null_mut())
        };
        let Ok(got) = usize::try_from(got) else {
            let error = io::Error::last_os_error();
            if error.kind() != io::ErrorKind::WouldBlock {
                return Err(error);
            }
            // Nothing came for a whole timeout, so everything in flight is older than that.
            timeouts += 1;
            window.lose_all();
            continue;
        };
        for (reply, header) in replies.iter().zip(&headers[..got]) {
            window.answer(&reply[..header.msg_len as usize]);
        }
    }
    Ok(window.tally())
}

fn vector(bytes: &mut [u8]) -> libc::iovec {
    libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() }
}

fn header(address: &mut libc::sockaddr_in, vector: &mut libc::iovec) -> libc::msghdr {
    // SAFETY: all-zero is a valid msghdr: integers and null pointers.
    let mut header: libc::msghdr = unsafe { mem::zeroed() };
    header.msg_name = ptr::from_mut(address).cast();
    header.msg_namelen = mem::size_of::<libc::sockaddr_in>() as libc::socklen_t;
    header.msg_iov = vector;
    header.msg_iovlen = 1;
    header
}
