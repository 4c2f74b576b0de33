//! What a multishot receive puts into a buffer: a frame of 16 bytes, the name, control, the payload.

use std::mem::size_of;
use std::ops::Range;

use io_uring::types::RecvMsgOut;

use super::address::{NAME_BYTES, Name};

/// struct io_uring_recvmsg_out, which stands before name, control and payload in every buffer.
pub(super) const FRAME_BYTES: usize = 16;

/// One received message: who it is from or about, and where its payload lies in the buffer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Message {
    pub(super) name: Name,
    /// The ICMP error, for a message of the error queue.
    pub(super) errno: i32,
    pub(super) payload: Range<usize>,
}

/// Reads the filled part of a buffer; `None` for what is not a message we can attribute.
pub(super) fn parse(bytes: &[u8], header: &libc::msghdr, is_error: bool) -> Option<Message> {
    let message = RecvMsgOut::parse(bytes, header).ok()?;
    let name = Name::parse(message.name_data())?;
    let errno = if is_error { extended_error(message.control_data())? } else { 0 };
    // Name and control take their full room whatever was filled of it; the payload follows.
    let start = FRAME_BYTES + header.msg_namelen as usize + header.msg_controllen;
    Some(Message { name, errno, payload: start..start + message.payload_data().len() })
}

/// What a multishot receive takes from its msghdr: the room for name and control.
pub(super) fn header(control_bytes: usize) -> libc::msghdr {
    // SAFETY: all zero is a valid msghdr: null pointers with zero lengths.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    header.msg_namelen = NAME_BYTES as libc::socklen_t;
    header.msg_controllen = control_bytes;
    header
}

/// The errno of an ICMP error: the first field of sock_extended_err in an IP(V6)_RECVERR message.
/// `None` for other messages and for errors that did not come from the network.
fn extended_error(control: &[u8]) -> Option<i32> {
    const HEADER: usize = size_of::<libc::cmsghdr>();
    let mut rest = control;
    while rest.len() >= HEADER {
        let field = |at: usize| -> Option<i32> {
            Some(i32::from_ne_bytes(rest.get(at..at + 4)?.try_into().ok()?))
        };
        let len = usize::from_ne_bytes(rest.get(..size_of::<usize>())?.try_into().ok()?);
        let (level, name) = (field(8)?, field(12)?);
        let is_error = (level, name) == (libc::IPPROTO_IP, libc::IP_RECVERR)
            || (level, name) == (libc::IPPROTO_IPV6, libc::IPV6_RECVERR);
        if is_error {
            let origin = *rest.get(HEADER + 4)?;
            let from_network = matches!(origin, libc::SO_EE_ORIGIN_ICMP | libc::SO_EE_ORIGIN_ICMP6);
            return if from_network { field(HEADER) } else { None };
        }
        let step = len.max(HEADER).next_multiple_of(8);
        rest = rest.get(step..)?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn control(level: i32, name: i32, errno: i32, origin: u8) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend((16_usize + 16).to_ne_bytes());
        bytes.extend(level.to_ne_bytes());
        bytes.extend(name.to_ne_bytes());
        bytes.extend(errno.to_ne_bytes());
        bytes.extend([origin, 3, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        bytes
    }

    #[test]
    fn the_error_is_found_behind_other_messages() {
        let refused = control(libc::IPPROTO_IP, libc::IP_RECVERR, libc::ECONNREFUSED, 2);
        assert_eq!(extended_error(&refused), Some(libc::ECONNREFUSED));
        let other = control(libc::SOL_SOCKET, libc::SO_TIMESTAMP, 0, 0);
        assert_eq!(extended_error(&[other, refused].concat()), Some(libc::ECONNREFUSED));
        let v6 = control(libc::IPPROTO_IPV6, libc::IPV6_RECVERR, libc::EHOSTUNREACH, 3);
        assert_eq!(extended_error(&v6), Some(libc::EHOSTUNREACH));
    }

    #[test]
    fn a_local_error_and_every_cut_are_none() {
        let local = control(libc::IPPROTO_IP, libc::IP_RECVERR, libc::EMSGSIZE, 1);
        assert_eq!(extended_error(&local), None);
        let refused = control(libc::IPPROTO_IP, libc::IP_RECVERR, libc::ECONNREFUSED, 2);
        for len in 0..21 {
            assert_eq!(extended_error(&refused[..len]), None, "{len}");
        }
    }

    #[test]
    fn a_length_of_zero_does_not_loop() {
        assert_eq!(extended_error(&[0; 64]), None);
    }
}
