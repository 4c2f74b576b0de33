//! Values of `global_defs` that no checker goes by.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::fleet::script::user::UserName;

/// A word as it is written; it need not be UTF-8.
pub type Word = Arc<[u8]>;

/// The value of a keyword of `global_defs`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum GlobalValue {
    /// The keyword alone.
    Flag,
    /// On or off.
    Switch(bool),
    /// A number without a unit.
    Number(i64),
    /// A size in bytes.
    Bytes(u32),
    /// A time that is written in microseconds.
    Microseconds(u32),
    /// A time that is written in seconds.
    Seconds(Duration),
    /// A name, a path, a text.
    Word(Word),
    /// Several of them, or none.
    Words(Vec<Word>),
    /// A block of mail addresses.
    Mail(Vec<Word>),
    /// Numbers of CPUs.
    Cpus(Vec<u16>),
    /// An address.
    Address(IpAddr),
    /// `smtp_server`
    SmtpServer(SmtpServer),
    /// `lvs_timeouts`
    LvsTimeouts(LvsTimeouts),
    /// `lvs_sync_daemon`
    SyncDaemon(SyncDaemon),
    /// Permission bits, at most 0777.
    Umask(u16),
    /// A FIFO and who owns it.
    Fifo {
        /// Its path.
        path: Word,
        /// `USER [GROUP]`
        owner: Option<UserName>,
    },
    /// A command, and whom it runs as where the line says so.
    Script {
        /// Program and arguments.
        command: crate::fleet::model::ScriptCommand,
        /// `None` where the line does not say.
        user: Option<UserName>,
    },
    /// `[all] SECONDS`
    ExtraGarp {
        /// `all`
        all: bool,
        /// The time.
        delay: Duration,
    },
}

/// `smtp_server HOST [PORT]`
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SmtpServer {
    /// An address or the name of a host.
    pub host: Arc<str>,
    /// 25 where none is written.
    pub port: u16,
}

/// `lvs_timeouts`: seconds, 0 to 2678400.
#[derive(Copy, Clone, PartialEq, Eq, Default, Debug)]
pub struct LvsTimeouts {
    /// `tcp`
    pub tcp: Option<u32>,
    /// `tcpfin`
    pub tcpfin: Option<u32>,
    /// `udp`
    pub udp: Option<u32>,
}

/// `lvs_sync_daemon`
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SyncDaemon {
    /// The interface.
    pub interface: Arc<str>,
    /// `inst`: the VRRP instance it goes by.
    pub instance: Option<Word>,
    /// `id`
    pub id: Option<u8>,
    /// `maxlen`: bytes of a packet, 1 to 65507.
    pub maxlen: Option<u16>,
    /// `port`
    pub port: Option<u16>,
    /// `ttl`, 1 to 255.
    pub ttl: Option<u8>,
    /// `group`: a multicast address.
    pub group: Option<IpAddr>,
}
