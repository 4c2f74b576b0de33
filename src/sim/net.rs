//! The made-up network: peers by address, loss, jitter and duplicates on the way to and from them.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::faults::{Canary, Faults};
use super::peer::{DnsReply, Peer, Reaction, write_reply};
use super::prng::Prng;

/// All servers, and what reached them.
#[derive(Debug)]
pub struct Network {
    peers: HashMap<SocketAddr, Peer, foldhash::fast::FixedState>,
    prng: Prng,
    datagrams: u64,
    syns: u64,
    lost: u64,
}

impl Network {
    /// A network of these servers; nobody answers at other addresses.
    pub fn new(peers: impl IntoIterator<Item = (SocketAddr, Peer)>, prng: Prng) -> Network {
        let peers = peers.into_iter().collect();
        Network { peers, prng, datagrams: 0, syns: 0, lost: 0 }
    }

    /// Datagrams that were sent into it.
    pub fn datagrams(&self) -> u64 {
        self.datagrams
    }

    /// SYNs that were sent into it, retransmissions not counted.
    pub fn syns(&self) -> u64 {
        self.syns
    }

    /// Packets it lost.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// The errno of a route look-up, 0 for a route.
    pub(super) fn route_errno(&self, to: SocketAddr) -> i32 {
        self.peers.get(&to).map_or(0, |peer| peer.route_errno)
    }

    /// A datagram leaves; what comes back for it.
    pub(super) fn datagram(
        &mut self,
        to: SocketAddr,
        query: &[u8],
        faults: &Faults,
    ) -> Vec<Reaction> {
        self.datagrams += 1;
        let Some(peer) = self.peers.get_mut(&to) else {
            return Vec::new();
        };
        if loses(peer, faults, &mut self.prng) {
            self.lost += 1;
            return Vec::new();
        }
        let planned = peer.dns.react(to, query, &mut self.prng);
        let mut reactions = Vec::with_capacity(planned.len());
        for mut reaction in planned {
            if loses(peer, faults, &mut self.prng) {
                self.lost += 1;
                continue;
            }
            let (Reaction::Datagram { after, .. } | Reaction::Icmp { after, .. }) = &mut reaction;
            *after += self.prng.between(Duration::ZERO, faults.jitter);
            if self.prng.chance(faults.duplicate)
                && let Reaction::Datagram { after, from, bytes } = &reaction
            {
                let after = *after + self.prng.between(Duration::ZERO, 4 * faults.jitter);
                reactions.push(Reaction::Datagram { after, from: *from, bytes: bytes.clone() });
            }
            reactions.push(reaction);
        }
        if faults.canary == Some(Canary::ForgedAnswers) && peer.dns.reply == DnsReply::Nothing {
            let bytes = write_reply(DnsReply::Answer, query, &mut self.prng);
            reactions.push(Reaction::Datagram {
                after: Duration::from_micros(100),
                from: to,
                bytes,
            });
        }
        reactions
    }

    /// A SYN leaves; when and how its connect ends, if it ever does.
    pub(super) fn syn(&mut self, to: SocketAddr, faults: &Faults) -> Option<(Duration, i32)> {
        self.syns += 1;
        let peer = self.peers.get_mut(&to)?;
        // One draw for both ways: whichever packet is lost, the handshake is not complete in time.
        if loses(peer, faults, &mut self.prng) {
            self.lost += 1;
            return None;
        }
        let (delay, errno) = peer.tcp.react()?;
        Some((delay + self.prng.between(Duration::ZERO, faults.jitter), errno))
    }
}

fn loses(peer: &mut Peer, faults: &Faults, prng: &mut Prng) -> bool {
    let lost = peer.may_lose > 0 && prng.chance(faults.loss);
    peer.may_lose -= u32::from(lost);
    lost
}
