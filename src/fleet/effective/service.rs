//! Virtual servers, groups, real servers, and what stands beside them at the top level.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::checker::Checker;
use super::global::GlobalValue;
use super::origin::Setting;
use crate::conf::Span;
use crate::fleet::model::{Protocol, Service};
use crate::fleet::range::AddressRange;
use crate::fleet::script::user::UserName;

/// `global_defs`: what changes what checkers do, and the rest.
#[derive(Clone, Debug, Default)]
pub struct Globals {
    /// `script_user`.
    pub script_user: Setting<Option<UserName>>,
    /// `enable_script_security`.
    pub enable_script_security: Setting<bool>,
    /// `set_supplementary_groups`.
    pub set_supplementary_groups: Setting<bool>,
    /// `checker_log_all_failures`.
    pub checker_log_all_failures: Setting<bool>,
    /// `smtp_alert`; `None` where it is not set.
    pub smtp_alert: Setting<Option<bool>>,
    /// `smtp_alert_checker`; `None` where it is not set.
    pub smtp_alert_checker: Setting<Option<bool>>,
    /// `no_checker_emails`.
    pub no_checker_emails: Setting<bool>,
    /// `rs_init_notifies`.
    pub rs_init_notifies: Setting<bool>,
    /// `lvs_notify_fifo PATH [USER [GROUP]]`: its words.
    pub lvs_notify_fifo: Setting<Option<Arc<[Arc<str>]>>>,
    /// `lvs_flush`.
    pub lvs_flush: Setting<bool>,
    /// `lvs_flush_on_stop`; `Some(true)` for `VS`.
    pub lvs_flush_on_stop: Setting<Option<bool>>,
    /// All other keywords, by their names. Of one that is written twice what counts.
    pub values: BTreeMap<&'static str, Setting<GlobalValue>>,
}

/// The root block `SSL`: a client certificate for SSL_GET.
#[derive(Clone, Debug, Default)]
pub struct Ssl {
    /// `password`.
    pub password: Setting<Option<Arc<str>>>,
    /// `ca`.
    pub ca: Setting<Option<Arc<str>>>,
    /// `certificate`.
    pub certificate: Setting<Option<Arc<str>>>,
    /// `key`.
    pub key: Setting<Option<Arc<str>>>,
}

/// A root block `track_file`.
#[derive(Clone, Debug)]
pub struct TrackFile {
    /// Keyword and name.
    pub header: Span,
    /// `file`.
    pub file: Setting<Arc<str>>,
    /// `weight` as it is written, -254 to 254; 1 where none is. `reverse` does not change it.
    pub weight: Setting<i64>,
    /// `weight ... reverse`.
    pub reverse: Setting<bool>,
    /// `init_file [VALUE] [overwrite]`: the value and whether it overwrites.
    pub init_file: Setting<Option<(i64, bool)>>,
}

/// IPv4 or IPv6.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub enum Family {
    /// IPv4
    Inet,
    /// IPv6
    Inet6,
}

/// One line of a `virtual_server_group`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum GroupMember {
    /// Addresses, all with one port; 0 for none.
    Addresses(AddressRange, u16),
    /// `fwmark N [inet|inet6]`.
    Fwmark(u32, Option<Family>),
}

/// A `virtual_server_group`.
#[derive(Clone, Debug)]
pub struct GroupMembers {
    /// Keyword and name.
    pub header: Span,
    /// Each line, in file order.
    pub members: Vec<(GroupMember, Span)>,
}

/// How IPVS forwards to a real server.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug, Default)]
pub enum ForwardingMethod {
    /// `NAT`
    #[default]
    Nat,
    /// `DR`
    Dr,
    /// `TUN`
    Tun(Tunnel),
}

/// The kind of a tunnel.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Tunnel {
    /// `type`: `ipip`, `gue` or `gre`.
    pub kind: &'static str,
    /// `port`, of `gue`.
    pub port: Option<u16>,
    /// `csum`, `remcsum`, or neither.
    pub checksum: Option<&'static str>,
}

/// A script that is run when something changes: `notify_up`, `notify_down`, `quorum_up`, `quorum_down`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Notify {
    /// Program and arguments.
    pub command: crate::fleet::model::ScriptCommand,
    /// Whom it runs as; `script_user` where the line does not say, `None` where that is not written either.
    pub user: Setting<Option<UserName>>,
}

/// `sorry_server`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SorryServer {
    /// Address and effective port; 0 for none.
    pub address: SocketAddr,
    /// `sorry_server_inhibit`.
    pub inhibit: bool,
    /// `sorry_server_lvs_method`, or that of the virtual server.
    pub method: ForwardingMethod,
}

/// `uthreshold` and `lthreshold`; 0 for none.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub struct Thresholds {
    /// `uthreshold`
    pub upper: Setting<u32>,
    /// `lthreshold`
    pub lower: Setting<u32>,
}

/// A `virtual_server`.
#[derive(Clone, Debug)]
pub struct VirtualServer {
    /// Keyword and address.
    pub header: Span,
    /// What it serves.
    pub service: Service,
    /// `ip_family`, or what address and servers say; `None` where nothing does.
    pub family: Option<Family>,
    /// `protocol`; `None` for a mark.
    pub protocol: Setting<Option<Protocol>>,
    /// `lvs_sched`.
    pub scheduler: Setting<Arc<str>>,
    /// Flags of the scheduler: `sh-port`, `flag-1`, ... as they are spelled.
    pub scheduler_flags: Vec<&'static str>,
    /// `lvs_method`.
    pub method: Setting<ForwardingMethod>,
    /// `delay_loop`.
    pub delay_loop: Setting<Duration>,
    /// `delay_before_retry`; `None` leaves it to the checker's type.
    pub delay_before_retry: Setting<Option<Duration>>,
    /// `retry`; `None` leaves it to the checker's type.
    pub retry: Setting<Option<u32>>,
    /// `warmup`; `None` for the checker's `delay_loop`.
    pub warmup: Setting<Option<Duration>>,
    /// `connect_timeout`.
    pub connect_timeout: Setting<Duration>,
    /// `alpha`.
    pub alpha: Setting<bool>,
    /// `omega`.
    pub omega: Setting<bool>,
    /// `inhibit_on_failure`.
    pub inhibit_on_failure: Setting<bool>,
    /// `weight`: that of real servers that have none.
    pub weight: Setting<u32>,
    /// `quorum`.
    pub quorum: Setting<u32>,
    /// `hysteresis`.
    pub hysteresis: Setting<u32>,
    /// `quorum_up`.
    pub quorum_up: Setting<Option<Notify>>,
    /// `quorum_down`.
    pub quorum_down: Setting<Option<Notify>>,
    /// `sorry_server`.
    pub sorry_server: Setting<Option<SorryServer>>,
    /// `ha_suspend`.
    pub ha_suspend: Setting<bool>,
    /// `virtualhost`.
    pub virtualhost: Setting<Option<Arc<str>>>,
    /// `ops`.
    pub ops: Setting<bool>,
    /// `persistence_timeout`, seconds; `None` for no persistence.
    pub persistence_timeout: Setting<Option<u32>>,
    /// `persistence_granularity`, as it is written.
    pub persistence_granularity: Setting<Option<Arc<str>>>,
    /// `persistence_engine`.
    pub persistence_engine: Setting<Option<Arc<str>>>,
    /// `smtp_alert`.
    pub smtp_alert: Setting<bool>,
    /// `snmp_name`.
    pub snmp_name: Setting<Option<Arc<str>>>,
    /// In file order, without duplicates.
    pub real_servers: Vec<RealServer>,
}

/// A `real_server`.
#[derive(Clone, Debug)]
pub struct RealServer {
    /// Keyword and address.
    pub header: Span,
    /// Address and effective port; 0 for none.
    pub address: SocketAddr,
    /// The port as it is written, which keepalived may replace; 0 for none.
    pub written_port: u16,
    /// `weight`.
    pub weight: Setting<u32>,
    /// `lvs_method`.
    pub method: Setting<ForwardingMethod>,
    /// `uthreshold` and `lthreshold`.
    pub thresholds: Thresholds,
    /// `inhibit_on_failure`.
    pub inhibit_on_failure: Setting<bool>,
    /// `notify_up`.
    pub notify_up: Setting<Option<Notify>>,
    /// `notify_down`.
    pub notify_down: Setting<Option<Notify>>,
    /// `alpha`, the default of its checkers.
    pub alpha: Setting<bool>,
    /// `delay_loop`, the default of its checkers.
    pub delay_loop: Setting<Duration>,
    /// `delay_before_retry`, the default of its checkers.
    pub delay_before_retry: Setting<Option<Duration>>,
    /// `retry`, the default of its checkers.
    pub retry: Setting<Option<u32>>,
    /// `warmup`, the default of its checkers.
    pub warmup: Setting<Option<Duration>>,
    /// `connect_timeout`, the default of its checkers.
    pub connect_timeout: Setting<Duration>,
    /// `smtp_alert`.
    pub smtp_alert: Setting<bool>,
    /// `virtualhost`.
    pub virtualhost: Setting<Option<Arc<str>>>,
    /// `snmp_name`.
    pub snmp_name: Setting<Option<Arc<str>>>,
    /// In file order. One that could not be read is not in here.
    pub checkers: Vec<Checker>,
    /// Something in its block could not be read, which was reported: what is missing is no surprise.
    pub is_doubtful: bool,
}

impl VirtualServer {
    /// With every setting at its default.
    pub(crate) fn new(header: Span, service: Service) -> VirtualServer {
        VirtualServer {
            header,
            service,
            family: None,
            protocol: Setting::default(),
            scheduler: Setting::default_of("wlc".into()),
            scheduler_flags: Vec::new(),
            method: Setting::default(),
            delay_loop: Setting::default(),
            delay_before_retry: Setting::default(),
            retry: Setting::default(),
            warmup: Setting::default(),
            connect_timeout: Setting::default(),
            alpha: Setting::default(),
            omega: Setting::default(),
            inhibit_on_failure: Setting::default(),
            weight: Setting::default_of(1),
            quorum: Setting::default_of(1),
            hysteresis: Setting::default(),
            quorum_up: Setting::default(),
            quorum_down: Setting::default(),
            sorry_server: Setting::default(),
            ha_suspend: Setting::default(),
            virtualhost: Setting::default(),
            ops: Setting::default(),
            persistence_timeout: Setting::default(),
            persistence_granularity: Setting::default(),
            persistence_engine: Setting::default(),
            smtp_alert: Setting::default(),
            snmp_name: Setting::default(),
            real_servers: Vec::new(),
        }
    }
}

impl RealServer {
    /// With every setting at what its virtual server says.
    pub(crate) fn new(header: Span, service: &VirtualServer) -> RealServer {
        RealServer {
            header,
            address: SocketAddr::new(std::net::Ipv4Addr::UNSPECIFIED.into(), 0),
            written_port: 0,
            weight: service.weight,
            method: service.method,
            thresholds: Thresholds::default(),
            inhibit_on_failure: service.inhibit_on_failure,
            notify_up: Setting::default(),
            notify_down: Setting::default(),
            alpha: Setting::default(),
            delay_loop: Setting::default(),
            delay_before_retry: Setting::default(),
            retry: Setting::default(),
            warmup: Setting::default(),
            connect_timeout: Setting::default(),
            smtp_alert: Setting::default(),
            virtualhost: Setting::default(),
            snmp_name: Setting::default(),
            checkers: Vec::new(),
            is_doubtful: false,
        }
    }
}
