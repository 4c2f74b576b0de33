//! Socket addresses as the kernel spells them: 16 bytes for IPv4, 28 for IPv6.

use std::mem::size_of;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

/// Room for the larger of the two, and the length in use.
#[derive(Copy, Clone)]
#[repr(C)]
pub(super) struct RawAddress {
    storage: Storage,
    len: libc::socklen_t,
}

#[derive(Copy, Clone)]
#[repr(C)]
union Storage {
    v4: libc::sockaddr_in,
    v6: libc::sockaddr_in6,
}

/// Bytes a received name may take.
pub(super) const NAME_BYTES: usize = size_of::<libc::sockaddr_in6>();

impl RawAddress {
    /// 0.0.0.0:0, until the slot is used.
    pub(super) fn unused() -> RawAddress {
        RawAddress::from(SocketAddr::from(([0, 0, 0, 0], 0)))
    }

    /// AF_UNSPEC: connecting to it dissolves a connection.
    pub(super) fn unspecified_family() -> RawAddress {
        let mut address = RawAddress::unused();
        address.storage.v4.sin_family = libc::AF_UNSPEC as libc::sa_family_t;
        address
    }

    pub(super) fn as_ptr(&self) -> *const libc::sockaddr {
        (&raw const self.storage).cast()
    }

    pub(super) fn len(&self) -> libc::socklen_t {
        self.len
    }
}

impl From<SocketAddr> for RawAddress {
    fn from(address: SocketAddr) -> RawAddress {
        match address {
            SocketAddr::V4(v4) => RawAddress {
                storage: Storage {
                    v4: libc::sockaddr_in {
                        sin_family: libc::AF_INET as libc::sa_family_t,
                        sin_port: v4.port().to_be(),
                        sin_addr: libc::in_addr { s_addr: u32::from(*v4.ip()).to_be() },
                        sin_zero: [0; 8],
                    },
                },
                len: size_of::<libc::sockaddr_in>() as libc::socklen_t,
            },
            SocketAddr::V6(v6) => RawAddress {
                storage: Storage {
                    v6: libc::sockaddr_in6 {
                        sin6_family: libc::AF_INET6 as libc::sa_family_t,
                        sin6_port: v6.port().to_be(),
                        sin6_flowinfo: v6.flowinfo(),
                        sin6_addr: libc::in6_addr { s6_addr: v6.ip().octets() },
                        sin6_scope_id: v6.scope_id(),
                    },
                },
                len: size_of::<libc::sockaddr_in6>() as libc::socklen_t,
            },
        }
    }
}

impl std::fmt::Debug for RawAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RawAddress").field("len", &self.len).finish_non_exhaustive()
    }
}

/// Reads a name the kernel wrote; `None` for a family we never open or a name cut short.
pub(super) fn parse(name: &[u8]) -> Option<SocketAddr> {
    let family = u16::from_ne_bytes([*name.first()?, *name.get(1)?]);
    let port = u16::from_be_bytes([*name.get(2)?, *name.get(3)?]);
    match i32::from(family) {
        libc::AF_INET => {
            let octets: [u8; 4] = name.get(4..8)?.try_into().ok()?;
            Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::from(octets)), port))
        }
        libc::AF_INET6 => {
            let octets: [u8; 16] = name.get(8..24)?.try_into().ok()?;
            let scope = u32::from_ne_bytes(name.get(24..28)?.try_into().ok()?);
            Some(SocketAddr::V6(SocketAddrV6::new(Ipv6Addr::from(octets), port, 0, scope)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(address: &RawAddress) -> Vec<u8> {
        // SAFETY: `storage` is plain old data of at least `len` initialised bytes: each variant is
        // written whole, and IPv4 uses the first 16 only.
        unsafe { std::slice::from_raw_parts(address.as_ptr().cast::<u8>(), address.len() as usize) }
            .to_vec()
    }

    #[test]
    fn addresses_survive_the_round_trip() {
        for text in ["127.0.0.1:53", "255.255.255.255:65535", "[::1]:1", "[2001:db8::9]:443"] {
            let address: SocketAddr = text.parse().expect("a literal");
            assert_eq!(parse(&bytes(&RawAddress::from(address))), Some(address));
        }
        let scoped = SocketAddr::V6(SocketAddrV6::new("fe80::1".parse().expect("ip"), 53, 0, 7));
        assert_eq!(parse(&bytes(&RawAddress::from(scoped))), Some(scoped));
    }

    #[test]
    fn a_name_cut_short_is_none() {
        let whole =
            bytes(&RawAddress::from("[2001:db8::9]:443".parse::<SocketAddr>().expect("ip")));
        for len in 0..whole.len() {
            assert_eq!(parse(&whole[..len]), None);
        }
        assert_eq!(parse(&bytes(&RawAddress::unspecified_family())), None);
    }
}
