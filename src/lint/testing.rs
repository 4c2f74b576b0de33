//! Effective configurations made by hand, for the tests of the rules.

use std::net::SocketAddr;
use std::time::Duration;

use crate::conf::{Diagnostics, FileId, Span};
use crate::fleet::Service;
use crate::fleet::effective::{
    Check, Checker, Effective, ForwardingMethod, Level, Network, RealServer, Setting, TcpCheck,
    Thresholds, Timers, VirtualServer,
};

/// Hands out places: every one is another.
#[derive(Debug, Default)]
pub(crate) struct Build {
    next: usize,
}

impl Build {
    pub(crate) fn span(&mut self) -> Span {
        self.next += 1;
        Span::new(FileId(0), self.next, self.next)
    }

    pub(crate) fn written<T>(&mut self, level: Level, value: T) -> Setting<T> {
        Setting::written(value, level, self.span())
    }

    pub(crate) fn tcp(&mut self, server: &RealServer) -> Checker {
        self.checker(server, Check::Tcp(TcpCheck {}))
    }

    pub(crate) fn checker(&mut self, server: &RealServer, check: Check) -> Checker {
        let is_network = !matches!(check, Check::Misc(_) | Check::File(_) | Check::Bfd(_));
        let is_event = matches!(check, Check::File(_) | Check::Bfd(_));
        Checker {
            header: self.span(),
            timers: (!is_event).then(|| Timers {
                delay_loop: server.delay_loop,
                delay_before_retry: Setting::default_of(Duration::from_secs(1)),
                warmup: Setting::default_of(server.delay_loop.value),
                retry: Setting::default_of(1),
            }),
            alpha: Setting::default(),
            log_all_failures: Setting::default(),
            network: is_network.then(|| Network {
                target: server.address,
                connect_ip: Setting::default_of(server.address.ip()),
                connect_port: Setting::default_of(server.address.port()),
                bindto: Setting::default(),
                bind_port: Setting::default(),
                bind_if: Setting::default(),
                fwmark: Setting::default(),
                connect_timeout: server.connect_timeout,
            }),
            check,
        }
    }

    pub(crate) fn with(self, virtual_servers: Vec<VirtualServer>) -> Effective {
        Effective { virtual_servers, ..Effective::default() }
    }
}

/// `real_server 10.0.0.LAST 80`, all else by default.
pub(crate) fn server(build: &mut Build, last: u8) -> RealServer {
    RealServer {
        header: build.span(),
        address: SocketAddr::from(([10, 0, 0, last], 80)),
        written_port: 80,
        weight: Setting::default_of(1),
        method: Setting::default(),
        thresholds: Thresholds::default(),
        inhibit_on_failure: Setting::default(),
        notify_up: Setting::default(),
        notify_down: Setting::default(),
        alpha: Setting::default(),
        delay_loop: Setting::default_of(Duration::from_secs(60)),
        delay_before_retry: Setting::default(),
        retry: Setting::default(),
        warmup: Setting::default(),
        connect_timeout: Setting::default_of(Duration::from_secs(5)),
        smtp_alert: Setting::default_of(true),
        virtualhost: Setting::default(),
        snmp_name: Setting::default(),
        checkers: Vec::new(),
        is_doubtful: false,
    }
}

/// `virtual_server 10.0.0.1 80`, all else by default.
pub(crate) fn service(build: &mut Build, real_servers: Vec<RealServer>) -> VirtualServer {
    let address = Service::Address(SocketAddr::from(([10, 0, 0, 1], 80)));
    VirtualServer {
        protocol: build.written(Level::VirtualServer, Some(crate::fleet::Protocol::Tcp)),
        scheduler: build.written(Level::VirtualServer, "rr".into()),
        method: build.written(Level::VirtualServer, ForwardingMethod::Nat),
        delay_loop: Setting::default_of(Duration::from_secs(60)),
        connect_timeout: Setting::default_of(Duration::from_secs(5)),
        real_servers,
        ..VirtualServer::new(build.span(), address)
    }
}

/// What a rule says: code and message of each.
pub(crate) fn messages(rule: impl FnOnce(&mut Diagnostics)) -> Vec<String> {
    let mut diagnostics = Diagnostics::default();
    rule(&mut diagnostics);
    let said = diagnostics.iter().map(|said| format!("{} {}", said.code.as_str(), said.message));
    said.collect()
}
