//! TCP_CHECK: what the peer sees of each handshake, and what each way of not answering is called.

use std::io::{ErrorKind, Read};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use crate::support::{ALL_FAULTS, Fleet, Namespace, Sweep, pause};

/// What the application behind a port saw of so many probes.
#[derive(PartialEq, Eq, Debug, Default)]
struct Seen {
    accepted: u32,
    clean_ends: u32,
    resets: u32,
}

/// Takes everything from the accept queue. The connections are complete by now: the sweep has ended.
fn drain(listener: &TcpListener) -> Seen {
    let mut seen = Seen::default();
    let mut idle = 0;
    while idle < 5 {
        match listener.accept() {
            Ok((mut stream, _)) => {
                idle = 0;
                seen.accepted += 1;
                stream.set_nonblocking(false).expect("an option");
                stream.set_read_timeout(Some(Duration::from_secs(20))).expect("an option");
                match stream.read(&mut [0; 16]) {
                    Ok(0) => seen.clean_ends += 1,
                    Ok(_) => panic!("a TCP_CHECK sends no data"),
                    Err(error) if error.kind() == ErrorKind::ConnectionReset => seen.resets += 1,
                    Err(error) => panic!("{error}"),
                }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                idle += 1;
                pause(Duration::from_millis(20));
            }
            Err(error) => panic!("{error}"),
        }
    }
    seen
}

/// 100 probes of one listener.
fn handshake(address: &str, how: &str) -> Seen {
    let listener = TcpListener::bind(address).expect("a port of this test's own");
    listener.set_nonblocking(true).expect("an option");
    let list = format!("{address}\n").repeat(100);
    let flags = format!("--targets - --check tcp --tcp-handshake {how} --window 20");
    let (report, code) = Sweep::new(&flags).input(list).report();
    assert_eq!((code, report.count("passed"), report.count("connects")), (0, 100, 100));
    drain(&listener)
}

#[test]
fn a_half_handshake_never_wakes_the_application() {
    // Standing still for more than 200 ms between SYN-ACK and reset makes the kernel send the ACK
    // it held back. A machine can do that to us, but not three times in a row.
    let tries = (0..3).map(|_| handshake("127.80.1.1:20201", "half"));
    assert!(tries.into_iter().any(|seen| seen == Seen::default()), "accept() woke each time");
}

#[test]
fn half_is_the_default() {
    let listener = TcpListener::bind("[::1]:20202").expect("a port of this test's own");
    listener.set_nonblocking(true).expect("an option");
    let woke = (0..3).all(|_| {
        let (report, code) = Sweep::new("--targets - --check tcp").input("[::1]:20202").report();
        assert_eq!((code, report.count("passed")), (0, 1));
        drain(&listener) != Seen::default()
    });
    assert!(!woke, "accept() woke each time");
}

#[test]
fn a_full_handshake_ends_with_a_reset() {
    let seen = handshake("127.80.1.3:20203", "full");
    assert_eq!(seen, Seen { accepted: 100, clean_ends: 0, resets: 100 });
}

#[test]
fn an_orderly_handshake_ends_as_keepalived_ends_it() {
    let seen = handshake("127.80.1.4:20204", "orderly");
    assert_eq!(seen, Seen { accepted: 100, clean_ends: 100, resets: 0 });
}

/// A listener with a full backlog: Linux drops every further SYN.
struct BlackHole {
    _listener: Socket,
    _fillers: Vec<TcpStream>,
}

impl BlackHole {
    fn new(address: SocketAddr) -> BlackHole {
        let listener = Socket::new(Domain::for_address(address), Type::STREAM, None).expect("one");
        listener.bind(&address.into()).expect("a port of this test's own");
        listener.listen(0).expect("listens");
        let timeout = Duration::from_millis(300);
        let fillers: Vec<_> =
            std::iter::from_fn(|| TcpStream::connect_timeout(&address, timeout).ok())
                .take(8)
                .collect();
        assert!(fillers.len() < 8, "the backlog never fills");
        BlackHole { _listener: listener, _fillers: fillers }
    }
}

#[test]
fn refused_silent_and_open_ports_are_told_apart() {
    let listeners = ["127.80.2.1:20205", "[::1]:20205"]
        .map(|address| TcpListener::bind(address).expect("a port of this test's own"));
    let hole: SocketAddr = "127.80.2.2:20206".parse().expect("an address");
    let hole6: SocketAddr = "[::1]:20206".parse().expect("an address");
    let _holes = [BlackHole::new(hole), BlackHole::new(hole6)];
    let closed = ["127.80.2.3:20207".to_owned(), "[::1]:20207".to_owned()];
    let open = listeners.each_ref().map(|open| open.local_addr().expect("bound").to_string());
    let list = [&open[..], &[hole.to_string(), hole6.to_string()], &closed].concat().join("\n");
    for how in ["half", "full", "orderly"] {
        let flags = format!("--targets - --check tcp --tcp-handshake {how} --timeout 400ms");
        let (report, code) = Sweep::new(&flags).input(list.clone()).report();
        assert_eq!(code, 1);
        let verdicts = report.by_target();
        for target in &open {
            assert_eq!(verdicts[target.as_str()], "pass ok");
        }
        for target in [hole, hole6] {
            assert_eq!(verdicts[target.to_string().as_str()], "fail timeout", "{how}");
        }
        for target in &closed {
            assert_eq!(verdicts[target.as_str()], "fail connection_refused", "{how}");
        }
        let attempts = |target: &str| {
            report.probes.iter().find(|probe| probe.target == target).map(|probe| probe.attempts)
        };
        assert!(attempts(&hole.to_string()) >= Some(3), "silence is asked again, twice");
        assert_eq!(attempts(&closed[0]), Some(1), "a refusal is believed at once");
    }
}

#[test]
#[ignore = "needs root: a network namespace, so that nobody else's connects are counted"]
fn the_kernel_opens_exactly_as_many_connections_as_are_claimed() {
    let namespace = Namespace::new();
    let flags = format!("--tcp-share 100% --faults {ALL_FAULTS}");
    let fleet = Fleet::start(Some(&namespace), 20_210, 5_000, &flags);
    for (how, wakes) in [("half", false), ("full", true), ("orderly", true)] {
        let before = namespace.snmp();
        let flags = format!("--timeout 300ms --tcp-handshake {how}");
        let (report, code) = Sweep::inside(&namespace, &fleet.sweep(&flags)).report();
        let after = namespace.snmp();
        assert_eq!((code, report.count("probed")), (1, 5_000));
        assert_eq!(after.since(&before, "Tcp.ActiveOpens"), report.count("connects"), "{how}");
        assert_eq!(report.count("connects"), report.count("attempts"));
        assert!(report.count_of("timeout") > 20 && report.count_of("connection_refused") > 20);
        let opened = if wakes { report.count("passed") } else { 0 };
        assert_eq!(after.since(&before, "Tcp.PassiveOpens"), opened, "{how}");
    }
}

/// ICMP errors about a SYN: from this host's own firewall, and from a router. Neither may let the
/// target, or the next target of the same recycled socket, pass.
#[test]
#[ignore = "needs root: network namespaces and nft"]
fn an_icmp_error_is_never_a_connection() {
    let (here, router) = (Namespace::new(), Namespace::new());
    here.ip(&format!("link add up0 type veth peer name down0 netns {}", router.name()));
    here.ip("addr add 10.9.0.1/24 dev up0");
    here.ip("link set up0 up");
    router.ip("addr add 10.9.0.2/24 dev down0");
    router.ip("link set down0 up");
    here.ip("route add 10.9.0.0/16 via 10.9.0.2");
    router.ip("route add 10.9.0.0/16 dev down0");
    router.enter(|| {
        std::fs::write("/proc/sys/net/ipv4/ip_forward", "1").expect("root may");
        std::fs::write("/proc/sys/net/ipv4/icmp_ratelimit", "0").expect("root may");
    });
    router.nft(
        "table inet t { chain f { type filter hook forward priority 0;
             ip daddr 10.9.1.0/24 reject with icmp type host-unreachable
             ip daddr 10.9.2.0/24 drop
             }
         }",
    );
    here.nft(
        "table inet t { chain o { type filter hook output priority 0;
             ip daddr 10.9.3.0/24 reject with icmp type port-unreachable
             }
         }",
    );
    let list: String = (1..=30)
        .flat_map(|host| [1, 3, 2].map(|net| (net, Ipv4Addr::new(10, 9, net, host))))
        .map(|(_, address)| format!("{address}\n"))
        .collect();
    for how in ["half", "full", "orderly"] {
        let flags = format!(
            "--targets - --check tcp --port 80 --tcp-handshake {how} --timeout 300ms --retries 0 \
             --window 10 --shards 1"
        );
        let (report, code) = Sweep::inside(&here, &flags).input(list.clone()).report();
        assert_eq!(report.count("passed"), 0, "{how}: {:?}", report.verdicts());
        for probe in &report.probes {
            // The router limits how many errors it sends, so a timeout is right everywhere.
            let reason = if probe.target.starts_with("10.9.1.") {
                "host_unreachable"
            } else if probe.target.starts_with("10.9.3.") {
                "connection_refused"
            } else {
                "timeout"
            };
            assert!([reason, "timeout"].contains(&probe.reason.as_str()), "{how}: {probe:?}");
        }
        assert!(report.count_of("host_unreachable") > 0, "{:?}", report.verdicts());
        assert!(report.count_of("connection_refused") > 0, "{:?}", report.verdicts());
        assert_eq!(code, 1);
    }
}

#[test]
fn a_server_that_resets_what_it_accepted_is_connected_to_in_every_way() {
    let listener = std::net::TcpListener::bind("127.72.0.9:0").expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let server = std::thread::spawn({
        let stop = std::sync::Arc::clone(&stop);
        move || {
            while let Ok((stream, _)) = listener.accept() {
                if stop.load(std::sync::atomic::Ordering::Relaxed) {
                    break;
                }
                let _ = socket2::SockRef::from(&stream).set_linger(Some(std::time::Duration::ZERO));
            }
        }
    });
    for handshake in ["half", "full", "orderly"] {
        let list = format!("127.72.0.9:{port}\n").repeat(300);
        let flags = format!("--targets - --check tcp --window 4 --tcp-handshake {handshake}");
        let (report, code) = Sweep::new(&flags).input(&list).report();
        assert_eq!(
            (code, report.count("passed")),
            (0, 300),
            "{handshake}: {:?}",
            report.verdicts()
        );
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    std::net::TcpStream::connect(("127.72.0.9", port)).expect("wakes the server");
    server.join().expect("ended");
}
