//! The effective configuration: every keyword with the value that counts, and where that value comes from.
//!
//! The [`Fleet`](super::model::Fleet) is what is probed, as small as it can be. This is what a reader of
//! the configuration wants to know, and is only kept where somebody asks for it (`ringprobe lint`): a
//! virtual server with its real servers and their checkers, each setting inherited and defaulted.

mod checker;
mod global;
mod origin;
mod service;

pub use checker::{
    BfdCheck, Check, Checker, DnsCheck, FileCheck, FtpCheck, HttpCheck, HttpProtocol, MiscCheck,
    Network, PingCheck, Regex, SmtpCheck, StatusCodes, TcpCheck, Timers, TlsCheck, UdpCheck, Url,
};
pub use global::{GlobalValue, LvsTimeouts, SmtpServer, SyncDaemon, Word};
pub use origin::{Level, Origin, Setting, Verbatim};
pub use service::{
    Family, ForwardingMethod, Globals, GroupMember, GroupMembers, Notify, RealServer, SorryServer,
    Ssl, Thresholds, TrackFile, Tunnel, VirtualServer,
};

use std::collections::BTreeMap;
use std::sync::Arc;

/// Everything one configuration says about health checks.
#[derive(Clone, Debug, Default)]
pub struct Effective {
    /// `global_defs`.
    pub globals: Globals,
    /// `SSL`.
    pub ssl: Ssl,
    /// `track_file` blocks by name.
    pub track_files: BTreeMap<Arc<str>, TrackFile>,
    /// `bfd_instance` blocks by name: what stands in them is keepalived's matter.
    pub bfd_instances: BTreeMap<Arc<str>, Verbatim>,
    /// Keywords of the top level that have no block: `net_namespace`, `instance`, ...
    pub top_level: Vec<Verbatim>,
    /// `virtual_server_group` blocks by name.
    pub groups: BTreeMap<Arc<str>, GroupMembers>,
    /// In file order. What keepalived drops is not in here.
    pub virtual_servers: Vec<VirtualServer>,
    /// Blocks that are no business of a health checker, by keyword: the first one and how many.
    pub foreign: BTreeMap<String, (crate::conf::Span, u32)>,
}

impl Effective {
    /// Whether anything is checked at all.
    pub fn has_checkers(&self) -> bool {
        let mut servers = self.virtual_servers.iter().flat_map(|service| &service.real_servers);
        servers.any(|server| !server.checkers.is_empty())
    }
}
