//! How reports call the things of a fleet.

use std::fmt::{self, Display};
use std::net::SocketAddr;

use super::effective;
use super::model::{Fleet, ProbeSpec, Protocol, Service};
use crate::id::{RealServerId, VirtualServerId};

/// Attempts after the first of a sweep, where neither command line nor configuration says.
pub const RETRIES_DEFAULT: u16 = 2;

impl Fleet {
    /// `DNS_CHECK`, `MISC_CHECK` or `TCP_CHECK`: the keyword of the checker at position `seq`.
    pub fn checker_keyword(&self, seq: u64) -> &'static str {
        self.specs[self.checkers[seq as usize].spec.index()].keyword()
    }

    /// `10.0.0.1:53/udp`, `[2001:db8::1]:80/tcp`, `10.0.0.1/tcp` (no port), `fwmark 5`, `group web/tcp`.
    pub fn virtual_server_label(&self, id: VirtualServerId) -> impl Display + '_ {
        let server = &self.virtual_servers[id.index()];
        VirtualServerLabel(&server.service, server.protocol)
    }

    /// `10.0.0.2:53`, `[2001:db8::2]:53`, `10.0.0.2` (no port).
    pub fn real_server_label(&self, id: RealServerId) -> impl Display + '_ {
        AddressLabel(self.real_servers[id.index()].address)
    }

    /// Attempts after the first for the checker at position `seq`: what the command line says, else the
    /// `retry` written in the file, else 2; for a script else 0, as one that timed out is no lost packet.
    pub fn retries(&self, seq: u64, command_line: Option<u16>) -> u16 {
        let checker = &self.checkers[seq as usize];
        let timing = &self.timings[checker.timing as usize];
        match command_line {
            Some(retries) => retries,
            None if timing.retry_is_written => u16::try_from(timing.retry).unwrap_or(u16::MAX),
            None => match self.specs[checker.spec.index()] {
                ProbeSpec::Misc(_) => 0,
                _ => RETRIES_DEFAULT,
            },
        }
    }
}

impl effective::VirtualServer {
    /// As reports of probes write it.
    pub fn label(&self) -> impl Display + '_ {
        VirtualServerLabel(&self.service, self.protocol.value)
    }
}

impl effective::RealServer {
    /// As reports of probes write it.
    pub fn label(&self) -> impl Display + use<> {
        AddressLabel(self.address)
    }
}

struct VirtualServerLabel<'f>(&'f Service, Option<Protocol>);

impl Display for VirtualServerLabel<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Service::Address(address) => AddressLabel(*address).fmt(f)?,
            Service::Fwmark(mark) => write!(f, "fwmark {mark}")?,
            Service::Group(name) => write!(f, "group {name}")?,
        }
        f.write_str(match self.1 {
            Some(Protocol::Tcp) => "/tcp",
            Some(Protocol::Udp) => "/udp",
            Some(Protocol::Sctp) => "/sctp",
            None => "",
        })
    }
}

/// An address without its port where the port is 0.
struct AddressLabel(SocketAddr);

impl Display for AddressLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            SocketAddr::V6(address) if address.port() == 0 => write!(f, "[{}]", address.ip()),
            address if address.port() == 0 => address.ip().fmt(f),
            address => address.fmt(f),
        }
    }
}
