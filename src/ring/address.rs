//! Socket addresses as the kernel spells them: 16 bytes for IPv4, 28 for IPv6.

use std::mem::size_of;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

/// Room for the larger of the two; the family says which it is.
#[derive(Copy, Clone)]
#[repr(C)]
pub(super) struct RawAddress {
    storage: Storage,
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
        let len = if self.family() == libc::AF_INET6 {
            size_of::<libc::sockaddr_in6>()
        } else {
            size_of::<libc::sockaddr_in>()
        };
        len as libc::socklen_t
    }

    fn family(&self) -> i32 {
        // SAFETY: both variants begin with the family, and each is written whole.
        i32::from(unsafe { self.storage.v4.sin_family })
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
            },
        }
    }
}

impl std::fmt::Debug for RawAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RawAddress").field("family", &self.family()).finish_non_exhaustive()
    }
}

/// A name the kernel wrote, as plain fields: a `SocketAddr` is copied as a block, and a block that was just
/// written field by field cannot be read before every store in front of it has reached the cache.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) struct Name {
    is_ipv6: bool,
    port: u16,
    ipv4: u32,
    ipv6: u128,
    scope: u32,
}

impl Name {
    /// `None` for a family we never open or a name cut short.
    pub(super) fn parse(name: &[u8]) -> Option<Name> {
        let family = u16::from_ne_bytes([*name.first()?, *name.get(1)?]);
        let port = u16::from_be_bytes([*name.get(2)?, *name.get(3)?]);
        let mut parsed = Name { is_ipv6: false, port, ipv4: 0, ipv6: 0, scope: 0 };
        match i32::from(family) {
            libc::AF_INET => parsed.ipv4 = u32::from_be_bytes(name.get(4..8)?.try_into().ok()?),
            libc::AF_INET6 => {
                parsed.is_ipv6 = true;
                parsed.ipv6 = u128::from_be_bytes(name.get(8..24)?.try_into().ok()?);
                parsed.scope = u32::from_ne_bytes(name.get(24..28)?.try_into().ok()?);
            }
            _ => return None,
        }
        Some(parsed)
    }

    pub(super) fn address(self) -> SocketAddr {
        if self.is_ipv6 {
            SocketAddr::V6(SocketAddrV6::new(Ipv6Addr::from(self.ipv6), self.port, 0, self.scope))
        } else {
            SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::from(self.ipv4), self.port))
        }
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

    fn read(name: &[u8]) -> Option<SocketAddr> {
        Name::parse(name).map(Name::address)
    }

    #[test]
    fn addresses_survive_the_round_trip() {
        for text in ["127.0.0.1:53", "255.255.255.255:65535", "[::1]:1", "[2001:db8::9]:443"] {
            let address: SocketAddr = text.parse().expect("a literal");
            assert_eq!(read(&bytes(&RawAddress::from(address))), Some(address));
        }
        let scoped = SocketAddr::V6(SocketAddrV6::new("fe80::1".parse().expect("ip"), 53, 0, 7));
        assert_eq!(read(&bytes(&RawAddress::from(scoped))), Some(scoped));
    }

    #[test]
    fn a_name_cut_short_is_none() {
        let whole =
            bytes(&RawAddress::from("[2001:db8::9]:443".parse::<SocketAddr>().expect("ip")));
        for len in 0..whole.len() {
            assert_eq!(read(&whole[..len]), None);
        }
        assert_eq!(read(&bytes(&RawAddress::unspecified_family())), None);
    }
}
