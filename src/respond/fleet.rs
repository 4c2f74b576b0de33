//! Who the servers of the fleet are: pure arithmetic from the seed, nothing stored.
//!
//! Server `i` stands at the i-th host address of the network. One 64-bit hash of (seed, i) draws its
//! kind and its fault, so that a million servers cost no memory and every thread agrees. Servers with
//! script checks are spread evenly instead, so that each knows which of them it is.
//!
//! What a server does, and under which port the configuration lists it:
//! - `port`: answers. Every address answers DNS here as its fault says; TCP is accepted everywhere.
//! - `port + 1`: closed, so the kernel itself refuses. For [`Fault::Refuse`].
//! - `port + 2`: a full backlog, so the kernel drops every SYN. For TCP servers with [`Fault::Silent`].

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use ipnet::Ipv4Net;

use super::faults::{Fault, Faults, MILLION};
use super::scripts::{Script, running_user};
use super::{Options, RespondError};
use crate::outcome::{Failure, Outcome};

/// First address of the made-up virtual servers; from here to the last of 127.0.0.0/8.
const FIRST_VIRTUAL: u32 = u32::from_be_bytes([127, 127, 0, 1]);

/// The loopback network's broadcast address: nothing can be sent to it.
const BROADCAST: u32 = u32::from_be_bytes([127, 255, 255, 255]);

/// What a server speaks, and so how it is checked.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub enum Kind {
    /// DNS over UDP, DNS_CHECK.
    Dns,
    /// Accepts connections, TCP_CHECK.
    Tcp,
    /// A script says how it is, MISC_CHECK. Nobody contacts it.
    Script,
}

impl Kind {
    /// The checker's keyword.
    pub fn checker(self) -> &'static str {
        match self {
            Kind::Dns => "DNS_CHECK",
            Kind::Tcp => "TCP_CHECK",
            Kind::Script => "MISC_CHECK",
        }
    }
}

/// One server of the fleet.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub struct Server {
    /// Where it stands.
    pub address: Ipv4Addr,
    /// The port it is listed under.
    pub port: u16,
    /// What it speaks.
    pub kind: Kind,
    /// What is wrong with it; never a fault its kind cannot have.
    pub fault: Option<Fault>,
    /// What its script does; `None` where it has none.
    pub script: Option<Script>,
    /// What its checker must find. `Unknown` for a script that cannot be run, and for nothing else.
    pub expected: Outcome,
}

impl Server {
    /// Address and listed port.
    pub fn socket_address(&self) -> SocketAddrV4 {
        SocketAddrV4::new(self.address, self.port)
    }
}

/// A `virtual_server` block of the fleet's configuration: servers of one kind.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VirtualServer {
    /// Made-up service address; nothing listens there.
    pub address: SocketAddrV4,
    /// Kind of all its servers.
    pub kind: Kind,
    /// In the order of their indexes.
    pub servers: Vec<Server>,
}

/// The servers, as a function of their index.
#[derive(Clone, Debug)]
pub struct Fleet {
    first: u32,
    servers: u32,
    seed: u64,
    faults: Faults,
    script_millionths: u32,
    script_phase: u32,
    pub(super) script_user: String,
    tcp_millionths: u32,
    port: u16,
    pub(super) virtual_server_size: u32,
    pub(super) connect_timeout: Duration,
}

impl Fleet {
    /// The fleet that `options` describe.
    ///
    /// # Errors
    /// When they describe none: a network outside 127.0.0.0/8 or too small, a port without two above.
    pub fn new(options: &Options) -> Result<Fleet, RespondError> {
        let net = options.net.trunc();
        if !Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8).contains(&net) {
            return Err(RespondError::NotLoopback(options.net));
        }
        // As ipnet's `hosts`: without the network's and the last address, where there are others.
        let inner = u32::from(net.prefix_len() < 31);
        let first = u32::from(net.network()) + inner;
        let last = (u32::from(net.broadcast()) - inner).min(BROADCAST - 1);
        let room = (last + 1).saturating_sub(first);
        if options.servers == 0 || options.servers > room {
            return Err(RespondError::Servers { servers: options.servers, net, room });
        }
        if options.virtual_server_size == 0 {
            return Err(RespondError::VirtualServerSize(options.servers));
        }
        // One group of each kind may be left over.
        let groups = options.servers.div_ceil(options.virtual_server_size) + 3;
        if groups > BROADCAST - FIRST_VIRTUAL {
            return Err(RespondError::VirtualServerSize(options.servers));
        }
        if options.port == 0 || options.port > u16::MAX - 2 {
            return Err(RespondError::PortRange(options.port));
        }
        Ok(Fleet {
            first,
            servers: options.servers,
            seed: options.seed,
            faults: options.faults,
            script_millionths: options.script_share.millionths(),
            script_phase: millionth(splitmix64(options.seed) as u32),
            script_user: options.script_user.clone().unwrap_or_else(running_user),
            tcp_millionths: options.tcp_share.millionths(),
            port: options.port,
            virtual_server_size: options.virtual_server_size,
            connect_timeout: options.connect_timeout,
        })
    }

    /// How many servers there are.
    pub fn len(&self) -> u32 {
        self.servers
    }

    /// Never: a fleet has at least one server.
    pub fn is_empty(&self) -> bool {
        self.servers == 0
    }

    /// Server `index`, which is below [`Fleet::len`].
    pub fn server(&self, index: u32) -> Server {
        if let Some(nth) = self.nth_script(index) {
            let script = if self.faults.is_none() { Script::Healthy } else { Script::nth(nth) };
            return Server {
                address: self.address(index),
                port: self.port,
                kind: Kind::Script,
                fault: None,
                script: Some(script),
                expected: script.expected(),
            };
        }
        let (kind, fault) = self.draw(index);
        let port = match (fault, kind) {
            (Some(Fault::Refuse), _) => self.port + 1,
            (Some(Fault::Silent), Kind::Tcp) => self.port + 2,
            _ => self.port,
        };
        Server {
            address: self.address(index),
            port,
            kind,
            fault,
            script: None,
            expected: self.expected(fault),
        }
    }

    /// All servers, in the order of their indexes.
    pub fn servers(&self) -> impl Iterator<Item = Server> + '_ {
        (0..self.servers).map(|index| self.server(index))
    }

    /// All virtual servers, in the order of the configuration. Holds one of each kind at a time.
    pub fn virtual_servers(&self) -> impl Iterator<Item = VirtualServer> + '_ {
        let mut servers = self.servers();
        let mut groups = [Kind::Dns, Kind::Tcp, Kind::Script].map(|kind| (kind, Vec::new()));
        let mut next = FIRST_VIRTUAL;
        let full = self.virtual_server_size as usize;
        std::iter::from_fn(move || {
            let (kind, members) = loop {
                match servers.next() {
                    Some(server) => {
                        let (kind, members) = &mut groups[server.kind as usize];
                        members.push(server);
                        if members.len() == full {
                            break (*kind, std::mem::take(members));
                        }
                    }
                    None => {
                        let left = groups.iter_mut().find(|(_, members)| !members.is_empty())?;
                        break (left.0, std::mem::take(&mut left.1));
                    }
                }
            };
            let address = SocketAddrV4::new(Ipv4Addr::from(next), self.port);
            next += 1;
            Some(VirtualServer { address, kind, servers: members })
        })
    }

    /// Whose address this is; `None` outside the fleet.
    pub(super) fn index_of(&self, address: Ipv4Addr) -> Option<u32> {
        let index = u32::from(address).wrapping_sub(self.first);
        (index < self.servers).then_some(index)
    }

    /// What server `index` does with a DNS query: servers of other kinds answer as healthy ones do.
    pub(super) fn dns_fault(&self, index: u32) -> Option<Fault> {
        if self.nth_script(index).is_some() {
            return None;
        }
        match self.draw(index) {
            (Kind::Dns, fault) => fault,
            (Kind::Tcp | Kind::Script, _) => None,
        }
    }

    /// Whether any TCP server may have `fault`.
    pub(super) fn has_tcp(&self, fault: Fault) -> bool {
        self.tcp_millionths > 0 && self.faults.share(fault).millionths() > 0
    }

    /// How long a slow server takes.
    pub(super) fn slow(&self) -> Duration {
        self.faults.slow
    }

    /// The shares the servers were drawn by.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Whether any server may have a script check.
    pub(super) fn has_scripts(&self) -> bool {
        self.script_millionths > 0
    }

    /// The seed.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    fn address(&self, index: u32) -> Ipv4Addr {
        Ipv4Addr::from(self.first + index)
    }

    /// Which of the servers with script checks `index` is, from 0; `None` if it is none of them.
    fn nth_script(&self, index: u32) -> Option<u32> {
        // A line through the seed's phase that rises by the share from server to server: where it
        // passes a whole number there is a script.
        let before =
            u64::from(index) * u64::from(self.script_millionths) + u64::from(self.script_phase);
        let after = before + u64::from(self.script_millionths);
        let million = u64::from(MILLION);
        (after / million > before / million).then_some((before / million) as u32)
    }

    /// Kind and fault of a server without a script check.
    fn draw(&self, index: u32) -> (Kind, Option<Fault>) {
        let hash = splitmix64(splitmix64(self.seed).wrapping_add(u64::from(index)));
        let kind = if millionth(hash as u32) < self.tcp_millionths { Kind::Tcp } else { Kind::Dns };
        let fault = self
            .faults
            .drawn(millionth((hash >> 32) as u32))
            .filter(|fault| kind == Kind::Dns || fault.is_for_tcp());
        (kind, fault)
    }

    fn expected(&self, fault: Option<Fault>) -> Outcome {
        let failure = match fault {
            None | Some(Fault::Duplicate) => return Outcome::Pass,
            Some(Fault::Slow) if self.faults.slow < self.connect_timeout => return Outcome::Pass,
            Some(Fault::Refuse) => Failure::ConnectionRefused,
            Some(Fault::Servfail) => Failure::Rcode(2),
            Some(Fault::Nxdomain) => Failure::Rcode(3),
            Some(Fault::RefusedRcode) => Failure::Rcode(5),
            Some(Fault::Empty) => Failure::NoAnswer,
            Some(Fault::Truncated) => Failure::Truncated,
            Some(
                Fault::Silent
                | Fault::Slow
                | Fault::WrongId
                | Fault::WrongQuestion
                | Fault::ForeignPort
                | Fault::ForeignAddress
                | Fault::Malformed,
            ) => Failure::Timeout,
        };
        Outcome::Fail(failure)
    }
}

/// A uniform 32-bit number as a uniform number below a million.
fn millionth(uniform: u32) -> u32 {
    ((u64::from(uniform) * 1_000_000) >> 32) as u32
}

/// The output function of SplitMix64 (Steele, Lea, Flood 2014) at state `x`.
fn splitmix64(x: u64) -> u64 {
    let x = x.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests;
