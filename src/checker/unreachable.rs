//! What an errno says: the network's word about the server, or our own trouble.

use crate::outcome::{Failure, LocalFault, Outcome};

/// The outcome that the errno of an ICMP error stands for.
pub fn outcome_of_icmp(errno: i32) -> Outcome {
    match errno {
        // ICMPv6 administratively prohibited, policy failed and reject route; IPv4 says EHOSTUNREACH.
        libc::EACCES => Outcome::Fail(Failure::HostUnreachable),
        errno => outcome_of_connect(errno),
    }
}

/// The outcome that the errno of a connect stands for. The list of failures is keepalived's;
/// everything else is ours.
pub fn outcome_of_connect(errno: i32) -> Outcome {
    match errno {
        libc::ECONNREFUSED => Outcome::Fail(Failure::ConnectionRefused),
        // EPROTO and ENOPROTOOPT: the host answered that it cannot take the packet at all.
        libc::EHOSTUNREACH | libc::EHOSTDOWN | libc::EPROTO | libc::ENOPROTOOPT => {
            Outcome::Fail(Failure::HostUnreachable)
        }
        libc::ENETUNREACH | libc::ENETDOWN | libc::ENONET => Outcome::Fail(Failure::NetUnreachable),
        libc::ECONNRESET | libc::ECONNABORTED => Outcome::Fail(Failure::ConnectionReset),
        libc::ETIMEDOUT => Outcome::Fail(Failure::Timeout),
        // connect(2): no free port for this destination.
        libc::EADDRNOTAVAIL => Outcome::Unknown(LocalFault::Port),
        _ => Outcome::Unknown(LocalFault::from_errno(errno)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_trouble_is_never_the_servers() {
        for errno in [
            libc::EMFILE,
            libc::ENFILE,
            libc::ENOBUFS,
            libc::ENOMEM,
            libc::EADDRINUSE,
            libc::EADDRNOTAVAIL,
            libc::EPERM,
            libc::EACCES,
            libc::EINVAL,
            libc::EAGAIN,
            libc::EBADF,
            libc::EISCONN,
            libc::EALREADY,
            libc::EAFNOSUPPORT,
        ] {
            assert!(matches!(outcome_of_connect(errno), Outcome::Unknown(_)), "errno {errno}");
        }
    }

    #[test]
    fn a_prohibition_by_icmpv6_is_the_networks_word_and_a_local_one_is_ours() {
        assert_eq!(outcome_of_icmp(libc::EACCES), Outcome::Fail(Failure::HostUnreachable));
        assert!(matches!(outcome_of_connect(libc::EACCES), Outcome::Unknown(_)));
        assert_eq!(outcome_of_icmp(libc::ECONNREFUSED), outcome_of_connect(libc::ECONNREFUSED));
    }

    #[test]
    fn the_networks_word_is_the_servers() {
        let table = [
            (libc::ECONNREFUSED, Failure::ConnectionRefused),
            (libc::EHOSTUNREACH, Failure::HostUnreachable),
            (libc::ENETUNREACH, Failure::NetUnreachable),
            (libc::ECONNRESET, Failure::ConnectionReset),
            (libc::ETIMEDOUT, Failure::Timeout),
        ];
        for (errno, failure) in table {
            assert_eq!(outcome_of_connect(errno), Outcome::Fail(failure));
        }
    }
}
