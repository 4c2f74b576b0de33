//! Servers of the made-up network: what each does with a query or a SYN.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use super::prng::Prng;

const HEADER_BYTES: usize = 12;

/// One address and port.
#[derive(Clone, Debug, Default)]
pub struct Peer {
    /// Over UDP.
    pub dns: DnsPeer,
    /// Over TCP.
    pub tcp: TcpPeer,
    /// Packets to and from it that the network may lose.
    pub may_lose: u32,
    /// No route leads there; the errno of the look-up, 0 for a route.
    pub route_errno: i32,
}

/// A DNS server.
#[derive(Clone, Debug, Default)]
pub struct DnsPeer {
    /// What it says at last.
    pub reply: DnsReply,
    /// How long that takes, without the network's jitter.
    pub delay: Duration,
    /// The first queries, which it does not answer at all.
    pub ignores: u32,
    /// What arrives before its reply, from it or in its name.
    pub noise: Vec<Noise>,
    /// How often it says the same thing again.
    pub repeats: u32,
}

/// What a DNS server says to a query.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub enum DnsReply {
    /// Nothing.
    #[default]
    Nothing,
    /// One record.
    Answer,
    /// A response code other than 0.
    Rcode(u8),
    /// RCODE 0 and no record.
    Empty,
    /// TC set and no record.
    Truncated,
    /// An ICMP error on the way.
    Icmp {
        /// What the kernel makes of it: ECONNREFUSED, EHOSTUNREACH, ENETUNREACH.
        errno: i32,
        /// How much of the query it quotes.
        quote: Quote,
    },
    /// A record and, at the same moment, an ICMP error that quotes the query whole.
    AnswerAndIcmp {
        /// As above.
        errno: i32,
    },
}

/// How much of the original payload an ICMP error quotes.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Quote {
    /// All.
    Full,
    /// Eight bytes.
    Eight,
    /// Nothing: the router quoted the UDP header alone.
    Nothing,
}

/// Packets that must not decide anything.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub enum Noise {
    /// From the server, with another id.
    WrongId,
    /// From the server, with the right id and another question.
    WrongQuestion,
    /// From another port of the server, else perfect.
    ForeignPort,
    /// From an address nobody asked, else perfect.
    ForeignAddress,
    /// From the next server's address, else perfect.
    Neighbour,
    /// From the server, cut inside the header, or QR clear.
    Malformed,
    /// An ICMP error about the server that quotes a query nobody sent.
    ForgedIcmp,
}

impl Noise {
    /// All kinds.
    pub const ALL: [Noise; 7] = [
        Noise::WrongId,
        Noise::WrongQuestion,
        Noise::ForeignPort,
        Noise::ForeignAddress,
        Noise::Neighbour,
        Noise::Malformed,
        Noise::ForgedIcmp,
    ];
}

/// A TCP server.
#[derive(Copy, Clone, Debug, Default)]
pub struct TcpPeer {
    /// 0 completes the handshake, an errno is what its refusal becomes, `None` is silence.
    pub reply: Option<i32>,
    /// How long that takes.
    pub delay: Duration,
    /// The first SYNs, which it does not answer.
    pub ignores: u32,
}

/// What a query sets off.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Reaction {
    Datagram { after: Duration, from: SocketAddr, bytes: Vec<u8> },
    Icmp { after: Duration, errno: i32, bytes: Vec<u8> },
}

impl DnsPeer {
    /// What comes back for a query that reached this server.
    pub(super) fn react(
        &mut self,
        own: SocketAddr,
        query: &[u8],
        prng: &mut Prng,
    ) -> Vec<Reaction> {
        if self.ignores > 0 {
            self.ignores -= 1;
            return Vec::new();
        }
        let mut reactions: Vec<Reaction> = self
            .noise
            .iter()
            .map(|noise| {
                let (from, bytes) = noise.make(own, query, prng);
                let after = prng.between(Duration::ZERO, self.delay);
                if *noise == Noise::ForgedIcmp {
                    return Reaction::Icmp { after, errno: libc::ECONNREFUSED, bytes };
                }
                Reaction::Datagram { after, from, bytes }
            })
            .collect();
        for repeat in 0..=self.repeats {
            let after = self.delay + Duration::from_micros(u64::from(repeat) * 40);
            match self.reply {
                DnsReply::Nothing => (),
                DnsReply::Icmp { errno, quote } => {
                    let len = match quote {
                        Quote::Full => query.len(),
                        Quote::Eight => query.len().min(8),
                        Quote::Nothing => 0,
                    };
                    reactions.push(Reaction::Icmp { after, errno, bytes: query[..len].to_vec() });
                }
                DnsReply::AnswerAndIcmp { errno } => {
                    let bytes = query.to_vec();
                    reactions.push(Reaction::Icmp { after, errno, bytes });
                    let bytes = write_reply(DnsReply::Answer, query, prng);
                    reactions.push(Reaction::Datagram { after, from: own, bytes });
                }
                reply => reactions.push(Reaction::Datagram {
                    after,
                    from: own,
                    bytes: write_reply(reply, query, prng),
                }),
            }
        }
        reactions
    }
}

impl TcpPeer {
    /// When a SYN that reached this server is answered, and with which errno for `connect`.
    pub(super) fn react(&mut self) -> Option<(Duration, i32)> {
        if self.ignores > 0 {
            self.ignores -= 1;
            return None;
        }
        self.reply.map(|errno| (self.delay, errno))
    }
}

impl Noise {
    fn make(self, own: SocketAddr, query: &[u8], prng: &mut Prng) -> (SocketAddr, Vec<u8>) {
        let mut bytes = write_reply(DnsReply::Answer, query, prng);
        let mut from = own;
        match self {
            Noise::WrongId | Noise::ForgedIcmp => bytes[1] ^= 1 + prng.below(255) as u8,
            Noise::WrongQuestion => {
                let type_at = query.len() - 4;
                if type_at > HEADER_BYTES + 1 && prng.chance(0.5) {
                    // Another first letter of the name: 'x' and 'y' are in no name of the tests.
                    bytes[HEADER_BYTES + 1] = if prng.chance(0.5) { b'x' } else { b'y' };
                } else {
                    bytes[type_at + 1] ^= 0x40;
                }
            }
            Noise::ForeignPort => from.set_port(own.port() ^ (1 + prng.below(1000) as u16)),
            Noise::ForeignAddress => from.set_ip(stranger(own, prng)),
            Noise::Neighbour => from.set_ip(neighbour(own)),
            Noise::Malformed => {
                if prng.chance(0.5) {
                    bytes[2] &= 0x7f;
                } else {
                    bytes.truncate(prng.below(12) as usize);
                }
            }
        }
        (from, bytes)
    }
}

/// The address that differs in the last bit.
fn neighbour(own: SocketAddr) -> IpAddr {
    match own.ip() {
        IpAddr::V4(ip) => Ipv4Addr::from(u32::from(ip) ^ 1).into(),
        IpAddr::V6(ip) => Ipv6Addr::from(u128::from(ip) ^ 1).into(),
    }
}

/// An address of the documentation prefixes, which no test probes.
fn stranger(own: SocketAddr, prng: &mut Prng) -> IpAddr {
    let host = prng.below(200) as u8;
    match own {
        SocketAddr::V4(_) => Ipv4Addr::new(203, 0, 113, host).into(),
        SocketAddr::V6(_) => Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0, 0, 0, 0, host.into()).into(),
    }
}

/// The perfect reply of a server that answers after all; what a forger would send.
pub(super) fn write_reply(reply: DnsReply, query: &[u8], prng: &mut Prng) -> Vec<u8> {
    let mut bytes = query.to_vec();
    bytes[2] |= 0x80;
    bytes[3] = match reply {
        DnsReply::Rcode(rcode) => 0x80 | rcode,
        _ => 0x80,
    };
    if reply == DnsReply::Truncated {
        bytes[2] |= 0x02;
    }
    let type_at = query.len() - 4;
    if prng.chance(0.25) {
        // Some servers change the case of names; RFC 1035 lets them.
        bytes[HEADER_BYTES..type_at].make_ascii_uppercase();
    }
    if reply == DnsReply::Answer {
        bytes[7] = 1;
        bytes.extend_from_slice(&[0xc0, HEADER_BYTES as u8]);
        bytes.extend_from_slice(&query[type_at..]);
        bytes.extend_from_slice(&[0, 0, 0, 60]);
        // Now and then more than fits into the buffers of a ring.
        let data: usize = if prng.chance(0.1) { 1000 } else { 4 };
        bytes.extend_from_slice(&(data as u16).to_be_bytes());
        bytes.resize(bytes.len() + data, 192);
    }
    bytes
}
