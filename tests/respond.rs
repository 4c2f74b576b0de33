//! The embedded fleet, asked by plain sockets: every server does what the truth says of it.

use std::collections::{HashMap, HashSet};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};
use ringprobe::fleet::{LoadOptions, ProbeSpec, ScriptCommand, load_text};
use ringprobe::outcome::{Failure, Outcome};
use ringprobe::respond::{
    self, Fault, Faults, Fleet, Kind, Options, RespondError, Script, Server, Share,
};
use ringprobe::tick::monotonic_now;

/// Long enough for any answer that comes.
const LONG: Duration = Duration::from_secs(5);

/// Long enough to say that none comes.
const SHORT: Duration = Duration::from_millis(150);

const ALL_FAULTS: &str = "refuse=1%,silent=1%,servfail=1%,empty=1%,slow=1%:80ms,wrong_id=1%,\
                          wrong_question=1%,foreign_port=1%,truncated=1%";

/// The test that counts descriptors runs alone; the others side by side.
static DESCRIPTORS: RwLock<()> = RwLock::new(());

fn beside_others() -> RwLockReadGuard<'static, ()> {
    DESCRIPTORS.read().unwrap_or_else(PoisonError::into_inner)
}

/// 300 DNS servers on a port of the test's own, below the ephemeral ones.
fn options(port: u16, faults: &str) -> Options {
    Options {
        port,
        servers: 300,
        faults: faults.parse().unwrap(),
        script_share: Share::default(),
        tcp_share: Share::default(),
        ..Options::default()
    }
}

fn query(id: u16) -> Vec<u8> {
    let mut message = Message::new(id, MessageType::Query, OpCode::Query);
    let name = Name::from_str("www.example.test.").unwrap();
    message.add_query(Query::query(name, RecordType::A));
    message.to_vec().unwrap()
}

/// Asks `target` from a socket that hears everyone, and returns what came within `wait`.
fn ask(target: SocketAddrV4, wait: Duration) -> Option<(Vec<u8>, SocketAddr)> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    socket.send_to(&query(0x1234), target).unwrap();
    hear(&socket, wait)
}

fn hear(socket: &UdpSocket, wait: Duration) -> Option<(Vec<u8>, SocketAddr)> {
    socket.set_read_timeout(Some(wait)).unwrap();
    let mut bytes = [0; 512];
    match socket.recv_from(&mut bytes) {
        Ok((len, from)) => Some((bytes[..len].to_vec(), from)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
        Err(error) => panic!("receive: {error}"),
    }
}

/// The answer of one server of a fleet that all have the same fault, where it came from, and whom
/// was asked.
fn answer_of(port: u16, fault: &str) -> (Message, SocketAddr, SocketAddrV4) {
    let running = respond::start(&options(port, fault)).unwrap();
    let target = running.fleet().server(9).socket_address();
    let (bytes, from) = ask(target, LONG).expect("an answer");
    let counters = running.stop();
    assert_eq!((counters.queries, counters.answers, counters.junk), (1, 1, 0));
    (Message::from_vec(&bytes).unwrap(), from, target)
}

fn is_good(message: &Message, own: &Ipv4Addr) -> bool {
    message.metadata.id == 0x1234
        && message.metadata.message_type == MessageType::Response
        && message.metadata.response_code == ResponseCode::NoError
        && message.queries == Message::from_vec(&query(0x1234)).unwrap().queries
        && message.answers.len() == 1
        && message.answers[0].data == RData::A((*own).into())
}

#[test]
fn a_healthy_server_answers_with_its_own_address() {
    let _beside = beside_others();
    let (message, from, target) = answer_of(21_000, "none");
    assert_eq!(from, target.into());
    assert!(is_good(&message, target.ip()), "{message}");
}

#[test]
fn refuse_is_the_kernels_port_unreachable() {
    let _beside = beside_others();
    let running = respond::start(&options(21_010, "refuse=100%")).unwrap();
    let server = running.fleet().server(9);
    assert_eq!(server.port, 21_011);
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    socket.set_read_timeout(Some(LONG)).unwrap();
    socket.connect(server.socket_address()).unwrap();
    socket.send(&query(1)).unwrap();
    let error = socket.recv(&mut [0; 512]).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    // Under the answering port there is no such server.
    assert_eq!(ask(SocketAddrV4::new(server.address, 21_010), SHORT), None);
    assert_eq!(running.stop().by_fault[Fault::Refuse as usize], 1);
}

#[test]
fn silent_answers_nothing() {
    let _beside = beside_others();
    let running = respond::start(&options(21_020, "silent=100%")).unwrap();
    assert_eq!(ask(running.fleet().server(9).socket_address(), SHORT), None);
    let counters = running.stop();
    assert_eq!((counters.queries, counters.answers), (1, 0));
    assert_eq!(counters.by_fault[Fault::Silent as usize], 1);
}

#[test]
fn rcodes_come_without_a_record() {
    let _beside = beside_others();
    for (fault, code) in [
        ("servfail=100%", ResponseCode::ServFail),
        ("nxdomain=100%", ResponseCode::NXDomain),
        ("refused_rcode=100%", ResponseCode::Refused),
        ("empty=100%", ResponseCode::NoError),
    ] {
        let (message, from, target) = answer_of(21_030, fault);
        assert_eq!(from, target.into());
        assert_eq!(message.metadata.id, 0x1234);
        assert_eq!(message.metadata.response_code, code, "{fault}");
        assert!(message.answers.is_empty());
        assert!(!message.metadata.truncation);
    }
}

#[test]
fn truncated_sets_tc() {
    let _beside = beside_others();
    let (message, _, _) = answer_of(21_040, "truncated=100%");
    assert!(message.metadata.truncation);
    assert_eq!(message.metadata.response_code, ResponseCode::NoError);
    assert!(message.answers.is_empty());
}

#[test]
fn wrong_id_and_wrong_question_are_only_that() {
    let _beside = beside_others();
    let asked = Message::from_vec(&query(0x1234)).unwrap().queries;
    let (message, from, target) = answer_of(21_050, "wrong_id=100%");
    assert_eq!(from, target.into());
    assert_ne!(message.metadata.id, 0x1234);
    assert_eq!(message.queries, asked);
    assert_eq!(message.answers.len(), 1);
    let (message, from, target) = answer_of(21_050, "wrong_question=100%");
    assert_eq!(from, target.into());
    assert_eq!(message.metadata.id, 0x1234);
    assert_ne!(message.queries, asked);
    assert_eq!(message.answers.len(), 1);
}

#[test]
fn foreign_answers_are_good_but_for_their_source() {
    let _beside = beside_others();
    let (message, from, target) = answer_of(21_060, "foreign_port=100%");
    assert_eq!(from.ip(), *target.ip());
    assert_ne!(from.port(), target.port());
    assert!(is_good(&message, target.ip()));
    let (message, from, target) = answer_of(21_060, "foreign_address=100%");
    assert_ne!(from.ip(), *target.ip());
    assert_eq!(from.port(), target.port());
    assert!(is_good(&message, target.ip()));
}

#[test]
fn malformed_cannot_be_decoded() {
    let _beside = beside_others();
    let running = respond::start(&options(21_070, "malformed=100%")).unwrap();
    let target = running.fleet().server(9).socket_address();
    let (bytes, from) = ask(target, LONG).expect("something");
    assert_eq!(from, target.into());
    assert_eq!(bytes[..2], [0x12, 0x34]);
    assert!(Message::from_vec(&bytes).is_err());
}

#[test]
fn slow_is_late_by_its_delay_and_holds_up_nobody() {
    let _beside = beside_others();
    let running = respond::start(&options(21_080, "slow=50%:300ms")).unwrap();
    let first = |fault| {
        let found = running.fleet().servers().find(|server| server.fault == fault);
        found.expect("one among 300").socket_address()
    };
    let (slow, healthy) = (first(Some(Fault::Slow)), first(None));
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    let start = monotonic_now();
    socket.send_to(&query(0x1234), slow).unwrap();
    socket.send_to(&query(0x1234), healthy).unwrap();
    let (_, from) = hear(&socket, LONG).unwrap();
    assert_eq!(from, healthy.into());
    let (bytes, from) = hear(&socket, LONG).unwrap();
    assert_eq!(from, slow.into());
    assert!(is_good(&Message::from_vec(&bytes).unwrap(), slow.ip()));
    assert!(monotonic_now().since(start) >= Duration::from_millis(300));
    assert_eq!(running.stop().delayed, 1);
}

#[test]
fn duplicate_answers_well_and_again() {
    let _beside = beside_others();
    let running = respond::start(&options(21_090, "duplicate=100%")).unwrap();
    let target = running.fleet().server(9).socket_address();
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    socket.send_to(&query(0x1234), target).unwrap();
    let first = hear(&socket, LONG).expect("an answer");
    assert!(is_good(&Message::from_vec(&first.0).unwrap(), target.ip()));
    assert_eq!(hear(&socket, LONG), Some(first));
    assert_eq!(hear(&socket, SHORT), None);
}

#[test]
fn junk_and_strangers_are_dropped_and_counted() {
    let _beside = beside_others();
    let running = respond::start(&options(21_100, "none")).unwrap();
    let target = running.fleet().server(0).socket_address();
    let stranger = SocketAddrV4::new(Ipv4Addr::new(127, 63, 0, 1), 21_100);
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    socket.send_to(b"", target).unwrap();
    socket.send_to(&query(1)[..20], target).unwrap();
    socket.send_to(&[0; 600], target).unwrap();
    socket.send_to(&query(1), stranger).unwrap();
    let mut answer = query(1);
    answer[2] |= 0x80;
    socket.send_to(&answer, target).unwrap();
    assert_eq!(hear(&socket, SHORT), None);
    let counters = running.stop();
    assert_eq!((counters.junk, counters.queries, counters.answers), (5, 0, 0));
}

#[test]
fn every_nth_answer_is_late_once_per_address() {
    let _beside = beside_others();
    let delay_every = Some("3:250ms".parse().unwrap());
    let options = Options { servers: 6, delay_every, ..options(21_110, "none") };
    let running = respond::start(&options).unwrap();
    let targets: Vec<_> = running.fleet().servers().map(|s| s.socket_address()).collect();
    // An answer is late when two or more went before it on time and its server never was; in 36
    // answers each of the 6 servers has its turn, the last with the 20th.
    let mut late = HashMap::new();
    for _ in 0..6 {
        for &target in &targets {
            let start = monotonic_now();
            assert!(ask(target, LONG).is_some());
            if monotonic_now().since(start) >= Duration::from_millis(250) {
                *late.entry(target).or_insert(0) += 1;
            }
        }
    }
    assert_eq!(running.stop().delayed, 6);
    assert!(targets.iter().all(|target| late.contains_key(target)), "{late:?}");
}

#[test]
fn tcp_servers_accept_refuse_or_drop() {
    let _beside = beside_others();
    let tcp_share = Share::percent(100);
    let faults = "refuse=30%,silent=30%,servfail=20%";
    let options = Options { tcp_share, ..options(21_120, faults) };
    let running = respond::start(&options).unwrap();
    let connect = |server: &Server, wait| {
        TcpStream::connect_timeout(&server.socket_address().into(), wait).map(drop)
    };
    let mut accepted = 0;
    for server in running.fleet().servers() {
        assert_eq!(server.kind, Kind::Tcp);
        match server.fault {
            None => {
                assert_eq!((server.port, server.expected), (21_120, Outcome::Pass));
                connect(&server, LONG).unwrap();
                accepted += 1;
            }
            Some(Fault::Refuse) => {
                assert_eq!(server.port, 21_121);
                assert_eq!(server.expected, Outcome::Fail(Failure::ConnectionRefused));
                let error = connect(&server, LONG).unwrap_err();
                assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
            }
            Some(Fault::Silent) => {
                assert_eq!(server.port, 21_122);
                assert_eq!(server.expected, Outcome::Fail(Failure::Timeout));
                let error = connect(&server, Duration::from_millis(20)).unwrap_err();
                assert_eq!(error.kind(), io::ErrorKind::TimedOut);
            }
            Some(fault) => panic!("a TCP server with {fault:?}"),
        }
    }
    // The last of them may still wait in the backlog.
    std::thread::park_timeout(Duration::from_millis(300));
    assert_eq!(running.stop().accepted, accepted);
}

fn truth(options: &Options) -> String {
    let mut out = Vec::new();
    Fleet::new(options).unwrap().write_truth(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn the_seed_decides_the_truth() {
    let with = |seed| Options { seed, tcp_share: Share::percent(25), ..options(5300, ALL_FAULTS) };
    assert_eq!(truth(&with(1)), truth(&with(1)));
    assert_ne!(truth(&with(1)), truth(&with(2)));
}

#[test]
fn shares_are_what_was_asked_for() {
    let servers = 1_000_000;
    let net = "127.64.0.0/12".parse().unwrap();
    let faults: Faults = "refuse=1%,silent=0.1%,slow=20%,nxdomain=0.0100%".parse().unwrap();
    let script_share = Share::default();
    let options = Options { net, servers, faults, script_share, ..Options::default() };
    let (mut tcp, mut of) = (0, HashMap::new());
    for server in Fleet::new(&options).unwrap().servers() {
        tcp += u32::from(server.kind == Kind::Tcp);
        if let Some(fault) = server.fault {
            *of.entry((server.kind, fault)).or_insert(0) += 1;
        }
    }
    // Within five standard deviations of a binomial draw.
    let near = |count: u32, share: f64| {
        let (n, count) = (f64::from(servers), f64::from(count));
        let spread = 5.0 * (n * share * (1.0 - share)).sqrt();
        assert!((count - n * share).abs() <= spread, "{count} is not {share} of {n}");
    };
    near(tcp, 0.25);
    near(of[&(Kind::Tcp, Fault::Refuse)], 0.25 * 0.01);
    near(of[&(Kind::Tcp, Fault::Silent)], 0.25 * 0.001);
    near(of[&(Kind::Dns, Fault::Refuse)], 0.75 * 0.01);
    near(of[&(Kind::Dns, Fault::Silent)], 0.75 * 0.001);
    near(of[&(Kind::Dns, Fault::Slow)], 0.75 * 0.2);
    near(of[&(Kind::Dns, Fault::Nxdomain)], 0.75 * 0.0001);
    assert_eq!(of.len(), 6, "{of:?}");
}

#[test]
fn the_papers_are_written_and_agree() {
    let _beside = beside_others();
    let dir = tempfile::tempdir().unwrap();
    let (conf, truth) = (dir.path().join("keepalived.conf"), dir.path().join("truth.ndjson"));
    let options = Options {
        conf: Some(conf.clone()),
        truth: Some(truth.clone()),
        tcp_share: Share::percent(25),
        virtual_server_size: 20,
        ..options(21_130, ALL_FAULTS)
    };
    let running = respond::start(&options).unwrap();
    let listed: Vec<String> = std::fs::read_to_string(&conf)
        .unwrap()
        .lines()
        .filter_map(|line| line.trim().strip_prefix("real_server "))
        .map(|rest| rest.trim_end_matches(" {").replace(' ', ":"))
        .collect();
    let truths: Vec<serde_json::Value> = std::fs::read_to_string(&truth)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(listed.len(), 300);
    assert_eq!(truths.len(), 300);
    for (seq, (listed, truth)) in listed.iter().zip(&truths).enumerate() {
        assert_eq!(truth["seq"], seq);
        assert_eq!(truth["real_server"], listed.as_str());
        assert_eq!(truth["target"], listed.as_str());
    }
    drop(running);
    keepalived_accepts(&conf);
}

#[test]
fn the_script_checks_are_read_back_as_they_are_meant() {
    let script_share = Share::percent(100);
    let options = Options { script_share, ..options(5300, ALL_FAULTS) };
    let fleet = Fleet::new(&options).unwrap();
    let mut conf = Vec::new();
    fleet.write_conf(&mut conf).unwrap();
    let loaded = load_text("fleet.conf", conf, &LoadOptions::default()).expect("a good one").fleet;
    assert!(loaded.not_probed.is_empty(), "{:?}", loaded.not_probed);
    assert_eq!(loaded.checkers.len(), 300);
    let user = nix::unistd::User::from_uid(nix::unistd::geteuid()).unwrap();
    let mut seen = HashSet::new();
    let servers = fleet.virtual_servers().flat_map(|group| group.servers);
    for (checker, server) in loaded.checkers.iter().zip(servers) {
        let script = server.script.expect("nothing but scripts");
        let ProbeSpec::Misc(spec) = &loaded.specs[checker.spec.index()] else {
            panic!("{:?}", loaded.specs[checker.spec.index()]);
        };
        assert_eq!(loaded.real_servers[checker.real_server.index()].address.ip(), server.address);
        assert_eq!((spec.timeout, spec.dynamic), (script.timeout(), script.is_dynamic()));
        assert!(user.as_ref().is_none_or(|user| *user.name == *spec.user.name));
        let ScriptCommand::Argv(words) = &spec.command else { panic!("{:?}", spec.command) };
        let words: Vec<&str> = words.iter().map(|w| std::str::from_utf8(w).unwrap()).collect();
        match script {
            Script::Missing => assert_eq!(words, ["/nonexistent/check"]),
            Script::Sleeps => assert_eq!(words, ["/bin/sleep", "3600"]),
            Script::Healthy => assert_eq!(words, ["/bin/sh", "-c", ":"]),
            Script::IgnoresTerm => {
                let text = "trap \"\" TERM; while :; do sleep 3600; done";
                assert_eq!(words, ["/bin/sh", "-c", text]);
            }
            _ => assert!(matches!(words[..], ["/bin/sh", "-c", _]), "{words:?}"),
        }
        seen.insert(script);
    }
    assert_eq!(seen.len(), Script::MISBEHAVIOURS.len() + 1);
}

/// keepalived reads the script checks as they are meant, and only says what it says of all scripts
/// without `enable_script_security`.
#[test]
fn keepalived_reads_the_script_checks() {
    let dir = tempfile::tempdir().unwrap();
    let conf = dir.path().join("keepalived.conf");
    let script_share = Share::percent(100);
    let options = Options { script_share, servers: 20, ..options(5300, ALL_FAULTS) };
    let mut file = std::fs::File::create(&conf).unwrap();
    Fleet::new(&options).unwrap().write_conf(&mut file).unwrap();
    match Command::new("keepalived").arg("-t").arg("-f").arg(&conf).output() {
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            let first = "SECURITY VIOLATION - check scripts are being executed but script_security";
            assert!(said.starts_with(first) && said.lines().count() == 1, "{said}");
            assert_eq!(output.status.code(), Some(6));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            eprintln!("keepalived is not installed: its judgement is left out");
        }
        Err(error) => panic!("keepalived: {error}"),
    }
}

/// The configuration by the judgement of keepalived itself, where it is installed.
fn keepalived_accepts(conf: &Path) {
    match Command::new("keepalived").arg("-t").arg("-f").arg(conf).output() {
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "keepalived -t: {said}");
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            eprintln!("keepalived is not installed: its judgement is left out");
        }
        Err(error) => panic!("keepalived: {error}"),
    }
}

#[test]
fn a_taken_port_is_named() {
    let _beside = beside_others();
    let taken = |options: &Options| match respond::start(options) {
        Err(RespondError::PortTaken { port }) => port,
        other => panic!("{other:?}"),
    };
    let options = options(21_140, "refuse=1%");
    let running = respond::start(&options).unwrap();
    assert_eq!(taken(&options), 21_140);
    assert_eq!(taken(&Options { threads: 2, ..options.clone() }), 21_140);
    drop(running);
    let in_the_way = UdpSocket::bind((Ipv4Addr::LOCALHOST, 21_141)).unwrap();
    assert_eq!(taken(&options), 21_141);
    drop(in_the_way);
    respond::start(&options).unwrap();
}

#[test]
fn several_threads_share_the_port_and_the_work() {
    let _beside = beside_others();
    let options = Options { threads: 4, ..options(21_150, "none") };
    let running = respond::start(&options).unwrap();
    for server in running.fleet().servers() {
        let (_, from) = ask(server.socket_address(), LONG).expect("an answer");
        assert_eq!(from, server.socket_address().into());
    }
    assert_eq!(running.stop().answers, 300);
}

#[test]
fn run_ends_by_its_limit_and_by_its_flag() {
    let _beside = beside_others();
    let options = options(21_160, "none");
    let stop = Arc::new(AtomicBool::new(false));
    let start = monotonic_now();
    respond::run(&options, &stop, Some(Duration::from_millis(100))).unwrap();
    let took = monotonic_now().since(start);
    assert!(took >= Duration::from_millis(100) && took < LONG, "{took:?}");
    let flag = Arc::clone(&stop);
    let setter = std::thread::spawn(move || {
        std::thread::park_timeout(Duration::from_millis(50));
        flag.store(true, Ordering::Relaxed);
    });
    respond::run(&options, &stop, None).unwrap();
    setter.join().unwrap();
}

#[test]
fn a_stopped_fleet_leaves_no_descriptor_and_no_port() {
    let _alone = DESCRIPTORS.write().unwrap_or_else(PoisonError::into_inner);
    let open = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let tcp_share = Share::percent(50);
    let options = Options { tcp_share, threads: 2, ..options(21_170, ALL_FAULTS) };
    let before = open();
    for _ in 0..3 {
        let running = respond::start(&options).unwrap();
        assert!(open() > before);
        let target = running.fleet().servers().find(|s| s.fault.is_none()).unwrap();
        // A finished connection leaves TIME_WAIT behind, which must not keep the port.
        TcpStream::connect(SocketAddrV4::new(target.address, 21_170)).unwrap();
        running.stop();
        assert_eq!(open(), before);
    }
}
