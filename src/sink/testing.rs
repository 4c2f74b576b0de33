//! Small catalogs and records that the tests of several sinks share.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::rr::{Name, RecordType};

use super::RunInfo;
use crate::aggregate::Catalog;
use crate::fleet::{
    Checker, Connection, DnsRequire, DnsSpec, Fleet, Handshake, MiscSpec, ProbeSpec, Protocol,
    RealServer, ScriptCommand, ScriptUser, Service, TcpSpec, VirtualServer,
};
use crate::id::{RealServerId, SpecId, VirtualServerId};
use crate::outcome::{Outcome, Record};
use crate::tick::{Tick, WallClock};

/// Three virtual servers of two real servers each; the first is checked by TCP, the others by DNS.
/// The label of the last needs quotes in every format.
pub(crate) fn fleet_catalog() -> Catalog {
    Catalog::of_fleet(Arc::new(fleet()))
}

/// The same fleet with its last two servers checked by scripts.
pub(crate) fn script_catalog() -> Catalog {
    let mut fleet = fleet();
    fleet.specs.push(ProbeSpec::Misc(misc()));
    for checker in &mut fleet.checkers[4..] {
        checker.spec = SpecId(2);
    }
    Catalog::of_fleet(Arc::new(fleet))
}

fn fleet() -> Fleet {
    let services = [
        (Service::Address("192.0.2.1:53".parse().expect("an address")), Some(Protocol::Tcp)),
        (Service::Address("[2001:db8::1]:53".parse().expect("an address")), Some(Protocol::Udp)),
        (Service::Group("\"a, b\"".into()), Some(Protocol::Udp)),
    ];
    let mut fleet = Fleet { digest: "0123456789abcdef".into(), ..Fleet::default() };
    fleet.specs = vec![tcp(), dns()];
    fleet.not_probed.insert("HTTP_GET".into(), 3);
    for (service, protocol) in services {
        let id = VirtualServerId(fleet.virtual_servers.len() as u32);
        for _ in 0..2 {
            let number = fleet.real_servers.len() as u32;
            fleet.checkers.push(Checker {
                real_server: RealServerId(number),
                target: target(u64::from(number)),
                spec: SpecId(id.0.min(1)),
                timing: 0,
                line: 1,
            });
            fleet.real_servers.push(RealServer {
                virtual_server: id,
                address: format!("10.0.0.{}:53", number + 1).parse().expect("an address"),
                weight: 1,
                inhibit_on_failure: false,
                line: 1,
            });
        }
        fleet.virtual_servers.push(VirtualServer {
            service,
            protocol,
            quorum: 1,
            hysteresis: 0,
            line: 1,
        });
    }
    fleet
}

/// A list probed by DNS, with a spec for each address family.
pub(crate) fn list_catalog() -> Catalog {
    Catalog::of_list(vec![dns(), dns()])
}

fn tcp() -> ProbeSpec {
    ProbeSpec::Tcp(TcpSpec { connection: Connection::default(), handshake: Handshake::Half })
}

fn dns() -> ProbeSpec {
    ProbeSpec::Dns(DnsSpec {
        connection: Connection::default(),
        name: Name::root(),
        record_type: RecordType::SOA,
        require: DnsRequire::Answer,
    })
}

pub(crate) fn misc() -> MiscSpec {
    let words: [&[u8]; 3] = [b"/opt/check", b"--say", b"\"it's\"\x1b\xff"];
    MiscSpec {
        command: ScriptCommand::Argv(words.into_iter().collect()),
        timeout: Duration::from_secs(1),
        dynamic: false,
        user: Arc::new(ScriptUser {
            name: "nobody".into(),
            home: b"/nonexistent".as_slice().into(),
            uid: 65534,
            gid: 65534,
            groups: Box::default(),
        }),
    }
}

/// A record of one of the scripts of [`script_catalog`]: `seq` is 4 or 5.
pub(crate) fn script_record(seq: u64, outcome: Outcome) -> Record {
    Record { spec: SpecId(2), ..record(seq, outcome) }
}

fn target(seq: u64) -> SocketAddr {
    format!("10.9.0.{}:53", seq + 1).parse().expect("an address")
}

/// A record of either catalog: one attempt, nothing measured.
pub(crate) fn record(seq: u64, outcome: Outcome) -> Record {
    Record {
        seq,
        target: target(seq),
        // The first two checkers of the fleet are its TCP_CHECKs.
        spec: SpecId(u32::from(seq > 1)),
        outcome,
        attempts: 1,
        latency_ns: None,
        due: Tick::from_ns(1_000),
        at: Tick::from_ns(1_000),
        strange: None,
    }
}

/// Tick 0 is 2026-11-23T12:26:07Z.
pub(crate) fn wall() -> WallClock {
    WallClock::fixed(Tick::from_ns(0), 1_795_436_767_000_000_000)
}

pub(crate) fn run_info() -> RunInfo {
    RunInfo {
        version: "0.1.0",
        config: Some("keepalived.conf".into()),
        config_digest: Some("0123456789abcdef".into()),
        seed: None,
        shards: 2,
        backend: "io_uring",
        started_at: "2026-11-23T12:26:07.000000Z".into(),
    }
}
