//! The shard on the real ring against the embedded fleet: every verdict equal to the truth.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use hickory_proto::rr::{Name, RecordType};
use ringprobe::fleet::{Connection, DnsRequire, DnsSpec, Handshake, ProbeSpec, TcpSpec};
use ringprobe::id::{ShardId, SpecId};
use ringprobe::outcome::{Assignment, Record};
use ringprobe::respond;
use ringprobe::ring::uring::{RingConfig, UringRing};
use ringprobe::schedule::pace::Pace;
use ringprobe::shard::link::{Links, Report, ShardConfig, ShardStats};

const ALL_FAULTS: &str = "refuse=1%,silent=1%,servfail=1%,empty=1%,slow=1%:80ms,wrong_id=1%,\
                          wrong_question=1%,foreign_port=1%,truncated=1%";

fn specs() -> [ProbeSpec; 2] {
    let connection = Connection { timeout: Duration::from_millis(500), ..Connection::default() };
    [
        ProbeSpec::Dns(DnsSpec {
            connection: connection.clone(),
            name: Name::from_str("www.example.test.").expect("a literal"),
            record_type: RecordType::A,
            require: DnsRequire::Answer,
        }),
        ProbeSpec::Tcp(TcpSpec { connection, handshake: Handshake::Half }),
    ]
}

fn sweep(assignments: Vec<Assignment>, window: u32) -> (Vec<Record>, ShardStats) {
    let (feed, inbox) = crossbeam_channel::bounded(4);
    let (reports, results) = crossbeam_channel::bounded(64);
    let (emptied, empties) = crossbeam_channel::unbounded();
    let specs = ringprobe::shard::prepare(&specs()).expect("prepares");
    let shard = std::thread::spawn(move || {
        let ring = UringRing::new(&RingConfig { slots: window }).expect("a ring");
        let config = ShardConfig {
            id: ShardId(0),
            cpu: Some(0),
            window,
            pace: Pace::Free,
            span: None,
            sockets_per_lane: 4,
            receive_buffer: None,
            sockets_max: 10_000,
            seed: None,
            records_passes: true,
        };
        let (ready, _) = crossbeam_channel::bounded(0);
        let links = Links {
            assignments: inbox,
            spent: crossbeam_channel::bounded(1).0,
            reports,
            empties,
            old_stats: crossbeam_channel::never(),
            ready,
            stop: Arc::new(AtomicBool::new(false)),
        };
        ringprobe::shard::run(ring, specs, config, links);
    });
    let feeder = std::thread::spawn(move || {
        for batch in assignments.chunks(256) {
            feed.send(batch.to_vec()).expect("the shard listens");
        }
    });
    let mut records = Vec::new();
    let mut stats = None;
    for report in results {
        match report {
            Report::Records(_, mut batch) => {
                records.append(&mut batch);
                // A shard that has ended needs none.
                let _ = emptied.send(batch);
            }
            Report::Passes(passes) => panic!("{passes:?} without records"),
            Report::Stats(_, now) => stats = Some(*now),
            Report::Ended(_, result) => result.expect("the shard ends well"),
        }
    }
    feeder.join().expect("fed");
    shard.join().expect("ran");
    (records, stats.expect("stats at the end"))
}

#[test]
fn every_verdict_equals_the_truth() {
    let options = respond::Options {
        servers: 10_000,
        seed: 7,
        port: 5410,
        faults: ALL_FAULTS.parse().expect("faults"),
        script_share: respond::Share::default(),
        ..respond::Options::default()
    };
    let fleet = respond::Fleet::new(&options).expect("a fleet");
    let running = respond::start(&options).expect("starts");
    let mut assignments = Vec::new();
    let mut truth = HashMap::new();
    for (seq, server) in fleet.servers().enumerate() {
        assignments.push(Assignment {
            seq: seq as u64,
            target: SocketAddr::V4(server.socket_address()),
            spec: SpecId(u32::from(server.kind == respond::Kind::Tcp)),
            retries: 2,
        });
        truth.insert(seq as u64, server);
    }
    let began = ringprobe::tick::monotonic_now();
    let (records, stats) = sweep(assignments, 4096);
    eprintln!("{:?} {stats:?}", ringprobe::tick::monotonic_now().since(began));
    eprintln!("{:?}", running.stop());
    assert_eq!(records.len(), 10_000);
    let mut wrong = 0;
    for record in records {
        let server = &truth[&record.seq];
        if record.outcome.reason() != server.expected.reason() {
            wrong += 1;
            if wrong < 20 {
                eprintln!("{server:?} {record:?}");
            }
        }
    }
    assert_eq!(wrong, 0);
}
