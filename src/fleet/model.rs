//! The typed fleet: virtual servers, real servers, checkers, and how to probe each.
//!
//! After `lower` no stage re-checks a field. Strings and specs that repeat are stored once: a fleet of
//! a million real servers costs at most 400 bytes each.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::rr::{Name, RecordType};
use serde::{Deserialize, Serialize};

use crate::id::{RealServerId, SpecId, VirtualServerId};

/// Everything one configuration asks for.
#[derive(Clone, Debug, Default)]
pub struct Fleet {
    /// In file order.
    pub virtual_servers: Vec<VirtualServer>,
    /// In file order, so those of one virtual server are neighbours.
    pub real_servers: Vec<RealServer>,
    /// Checkers that can be probed, in file order. A record's `seq` is a position in here.
    pub checkers: Vec<Checker>,
    /// Each different way to probe, once.
    pub specs: Vec<ProbeSpec>,
    /// Each different set of timers, once.
    pub timings: Vec<Timing>,
    /// `enable_script_security`.
    pub script_security: bool,
    /// Recognised but not probed yet: keyword (`HTTP_GET`, `vrrp_instance`, ...) and how often.
    pub not_probed: BTreeMap<String, u32>,
    /// FNV-1a or better over the bytes of all files read, as 16 hex digits.
    pub digest: String,
}

/// The service a virtual server stands for.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Service {
    /// `virtual_server ADDR [PORT]`; port 0 where none was given.
    Address(SocketAddr),
    /// `virtual_server fwmark N`.
    Fwmark(u32),
    /// `virtual_server group NAME`.
    Group(Arc<str>),
}

/// `protocol` of a virtual server.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub enum Protocol {
    /// TCP
    Tcp,
    /// UDP, also the default where none is given
    Udp,
    /// SCTP
    Sctp,
}

/// One `virtual_server` block.
#[derive(Clone, Debug)]
pub struct VirtualServer {
    /// What it serves.
    pub service: Service,
    /// `None` for a fwmark service without one.
    pub protocol: Option<Protocol>,
    /// `quorum`, at least 1.
    pub quorum: u32,
    /// `hysteresis`.
    pub hysteresis: u32,
    /// Line of the header, from 1.
    pub line: u32,
}

/// One `real_server` block.
#[derive(Clone, Debug)]
pub struct RealServer {
    /// The block it stands in.
    pub virtual_server: VirtualServerId,
    /// Address and effective port (the virtual server's where it has none).
    pub address: SocketAddr,
    /// `weight`, inherited or 1.
    pub weight: u32,
    /// `inhibit_on_failure`.
    pub inhibit_on_failure: bool,
    /// Line of the header, from 1.
    pub line: u32,
}

/// One configured check of one real server.
#[derive(Clone, Debug)]
pub struct Checker {
    /// Whose check it is.
    pub real_server: RealServerId,
    /// What is contacted: `connect_ip`:`connect_port`, or the real server's own.
    pub target: SocketAddr,
    /// How to probe, in `Fleet::specs`.
    pub spec: SpecId,
    /// Its timers, position in `Fleet::timings`.
    pub timing: u32,
    /// Line of the checker's keyword, from 1.
    pub line: u32,
}

/// Timers and counts of a checker, all inherited and defaulted.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Timing {
    /// From the end of one probe to the start of the next.
    pub delay_loop: Duration,
    /// From a failed attempt to the next.
    pub delay_before_retry: Duration,
    /// Spread of the first probe.
    pub warmup: Duration,
    /// Consecutive failures less one that take the checker down.
    pub retry: u32,
    /// Whether `retry` was written in the file (for a sweep, a written one beats the default of --retries).
    pub retry_is_written: bool,
    /// Down until the first success.
    pub alpha: bool,
}

/// How to probe: everything but the target.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum ProbeSpec {
    /// DNS_CHECK
    Dns(DnsSpec),
    /// TCP_CHECK
    Tcp(TcpSpec),
    /// MISC_CHECK; the reaper runs it, never a shard.
    Misc(MiscSpec),
}

impl ProbeSpec {
    /// The checker's keyword, as the configuration and the records spell it.
    pub fn keyword(&self) -> &'static str {
        match self {
            ProbeSpec::Dns(_) => "DNS_CHECK",
            ProbeSpec::Tcp(_) => "TCP_CHECK",
            ProbeSpec::Misc(_) => "MISC_CHECK",
        }
    }

    /// The connection options; `None` for a script, which has none.
    pub fn connection(&self) -> Option<&Connection> {
        match self {
            ProbeSpec::Dns(spec) => Some(&spec.connection),
            ProbeSpec::Tcp(spec) => Some(&spec.connection),
            ProbeSpec::Misc(_) => None,
        }
    }

    /// How long one attempt may take: `connect_timeout` or `misc_timeout`.
    pub fn timeout(&self) -> Duration {
        match self {
            ProbeSpec::Dns(spec) => spec.connection.timeout,
            ProbeSpec::Tcp(spec) => spec.connection.timeout,
            ProbeSpec::Misc(spec) => spec.timeout,
        }
    }

    /// The same probe with another time for one attempt.
    pub fn set_timeout(&mut self, timeout: Duration) {
        match self {
            ProbeSpec::Dns(spec) => spec.connection.timeout = timeout,
            ProbeSpec::Tcp(spec) => spec.connection.timeout = timeout,
            ProbeSpec::Misc(spec) => spec.timeout = timeout,
        }
    }
}

/// Connection options of a network checker.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Connection {
    /// `connect_timeout`: how long one attempt may take.
    pub timeout: Duration,
    /// `bindto`: source address, of the target's family.
    pub bindto: Option<IpAddr>,
    /// `bind_port`: source port; only ever set together with `bindto`.
    pub bind_port: Option<u16>,
    /// `bind_if`: interface, at most 15 bytes.
    pub bind_if: Option<Arc<str>>,
    /// `fwmark`: SO_MARK; 0 for none.
    pub fwmark: u32,
}

impl Default for Connection {
    fn default() -> Connection {
        Connection {
            timeout: Duration::from_secs(5),
            bindto: None,
            bind_port: None,
            bind_if: None,
            fwmark: 0,
        }
    }
}

/// DNS_CHECK.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct DnsSpec {
    /// Connection options.
    pub connection: Connection,
    /// `name`: fully qualified, 255 bytes at most on the wire.
    pub name: Name,
    /// `type`.
    pub record_type: RecordType,
    /// What passes.
    pub require: DnsRequire,
}

/// What a DNS answer must have (DESIGN D9).
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug, Default)]
pub enum DnsRequire {
    /// RCODE 0 and at least one record in the ANSWER section.
    #[default]
    Answer,
    /// RCODE 0, as keepalived 2.x.
    Rcode,
}

/// TCP_CHECK.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct TcpSpec {
    /// Connection options.
    pub connection: Connection,
    /// How far the handshake goes and how it ends.
    pub handshake: Handshake,
}

/// What the peer sees of a TCP_CHECK (DESIGN D3).
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug, Default)]
pub enum Handshake {
    /// SYN, SYN-ACK, RST: the application never wakes.
    #[default]
    Half,
    /// SYN, SYN-ACK, ACK, RST.
    Full,
    /// SYN, SYN-ACK, ACK, FIN, as keepalived.
    Orderly,
}

/// MISC_CHECK.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct MiscSpec {
    /// What is run.
    pub command: ScriptCommand,
    /// `misc_timeout`: how long the script may run before it is killed.
    pub timeout: Duration,
    /// `misc_dynamic`: exit statuses 2 to 255 pass, with a weight of the status less 2.
    pub dynamic: bool,
    /// Whom it runs as.
    pub user: Arc<ScriptUser>,
}

/// A command as `misc_path` spells it. No argument has a NUL byte in it.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum ScriptCommand {
    /// Program and arguments; at least the program, which is not empty. Without a `/` in it, the
    /// program is looked up in the PATH that scripts are given.
    Argv(Argv),
    /// `misc_path "</dev/tcp/..."`: the whole text goes to `sh -c`.
    Shell(Box<[u8]>),
}

/// Program and arguments in one piece of memory, as most scripts of a fleet have arguments of their own.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Argv {
    /// Each with a NUL byte behind it.
    bytes: Box<[u8]>,
}

impl Argv {
    /// All words, the program first.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        // Behind the last NUL byte is nothing, which is no word.
        let words = self.bytes.strip_suffix(b"\0").map(|words| words.split(|byte| *byte == 0));
        words.into_iter().flatten()
    }

    /// The program; `None` where there is no word at all.
    pub fn first(&self) -> Option<&[u8]> {
        self.iter().next()
    }
}

impl<W: AsRef<[u8]>> FromIterator<W> for Argv {
    /// What stands behind a NUL byte in a word becomes a word: no argument of a program can have one.
    fn from_iter<I: IntoIterator<Item = W>>(words: I) -> Argv {
        let mut bytes = Vec::new();
        for word in words {
            bytes.extend_from_slice(word.as_ref());
            bytes.push(0);
        }
        Argv { bytes: bytes.into() }
    }
}

/// Whom a script runs as.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct ScriptUser {
    /// The user's name, for reports, HOME, USER and LOGNAME.
    pub name: Box<str>,
    /// The user's home directory.
    pub home: Box<[u8]>,
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Supplementary groups; none unless the configuration asks for them.
    pub groups: Box<[u32]>,
}
