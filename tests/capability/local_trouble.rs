//! Trouble on our own side is never the servers' failure: `unknown`, with the local reason, or a pass.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::{TcpListener, UdpSocket};
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::support::{Fleet, Namespace, Report, Sweep, pause};

/// None failed, and each unknown has one of these verdicts.
fn assert_none_failed(report: &Report, code: i32, excuses: &[&str]) -> BTreeMap<String, u64> {
    let verdicts = report.verdicts();
    assert_eq!(report.count("failed"), 0, "{verdicts:?}");
    for verdict in verdicts.keys() {
        let is_known = verdict == "pass ok" || excuses.contains(&verdict.as_str());
        assert!(is_known, "{verdict}: {verdicts:?}");
    }
    let expected = if report.count("unknown") > 0 { 3 } else { 0 };
    assert_eq!(code, expected, "{}", report.summary);
    verdicts
}

/// Stops the sweep for three seconds in its middle. Every answer is late by 80 ms, so that hundreds
/// of attempts are on their way when it stops.
fn stopped_for_three_seconds(port: u16, shards: u32, faults: &str) {
    let flags = format!("--net 127.68.0.0/16 --faults {faults} --tcp-share 20%");
    let fleet = Fleet::start(None, port, 10_000, &flags);
    let flags = format!("--timeout 500ms --retries 0 --rate 4000 --shards {shards} -o ndjson -q");
    let sweep = Sweep::new(&fleet.sweep(&flags)).start();
    pause(Duration::from_millis(1200));
    sweep.signal(Signal::SIGSTOP);
    pause(Duration::from_secs(3));
    sweep.signal(Signal::SIGCONT);
    let finished = sweep.finish();
    let report = Report::parse(&finished.stdout);
    assert_none_failed(&report, finished.code(), &["unknown late"]);
    assert_eq!(report.count("probed"), 10_000);
    let stalled = report.summary["stalled_ms"].as_f64().expect("a number");
    assert!(stalled > 2_500.0, "the stop fell outside of the sweep: {}", report.summary);
}

#[test]
fn three_seconds_of_standing_still_fail_nobody_with_one_shard() {
    stopped_for_three_seconds(20_400, 1, "slow=100%:80ms");
}

#[test]
fn three_seconds_of_standing_still_fail_nobody_with_two_shards() {
    stopped_for_three_seconds(20_410, 2, "slow=100%:80ms");
}

/// The whole machine freezes: when the sweep wakes up, the fleet has not answered yet. Without a single
/// retry, only the lateness gate stands between the fleet and its death.
#[test]
fn a_machine_that_freezes_fails_nobody() {
    let flags = "--net 127.73.0.0/16 --faults slow=100%:80ms --tcp-share 20%";
    let fleet = Fleet::start(None, 20_450, 10_000, flags);
    let flags = "--timeout 500ms --retries 0 --rate 4000 -o ndjson -q";
    let sweep = Sweep::new(&fleet.sweep(flags)).start();
    pause(Duration::from_millis(1200));
    fleet.signal(Signal::SIGSTOP);
    sweep.signal(Signal::SIGSTOP);
    pause(Duration::from_secs(3));
    sweep.signal(Signal::SIGCONT);
    pause(Duration::from_millis(30));
    fleet.signal(Signal::SIGCONT);
    let finished = sweep.finish();
    let report = Report::parse(&finished.stdout);
    assert_none_failed(&report, finished.code(), &["unknown late"]);
    assert_eq!(report.count("probed"), 10_000);
    assert!(report.count("passed") > 9_000, "{}", report.summary);
    assert!(report.count("free_retries") > 50, "hundreds were on their way: {}", report.summary);
}

/// A configuration in which every checker has a source address of its own, so a lane of its own.
fn many_lanes(fleet: &Fleet, lanes: usize) -> tempfile::NamedTempFile {
    let mut text = String::from(
        "virtual_server 10.0.0.1 53 {\n lvs_sched rr\n lvs_method NAT\n protocol UDP\n",
    );
    let targets = fleet.targets("DNS_CHECK");
    for (lane, target) in targets[..lanes].iter().enumerate() {
        let (address, port) = target.split_once(':').expect("ADDRESS:PORT");
        let source = format!("127.70.{}.{}", lane / 250, lane % 250 + 1);
        let common = format!("connect_timeout 0.5\n bindto {source}\n");
        let dns = format!("DNS_CHECK {{\n type A\n name www.example.test\n {common} }}");
        let tcp = format!("TCP_CHECK {{\n {common} }}");
        write!(text, " real_server {address} {port} {{\n {dns}\n {tcp}\n }}\n").expect("a string");
    }
    text.push_str("}\n");
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), text).expect("room");
    file
}

/// The sweep of `flags` with so many descriptors.
fn with_descriptors(count: u32, flags: &str) -> (Report, i32) {
    let mut prlimit = Command::new("prlimit");
    prlimit.arg(format!("--nofile={count}"));
    Sweep::by(prlimit, flags).report()
}

#[test]
fn sixty_four_descriptors_are_enough_for_a_thousand_lanes() {
    let flags = "--net 127.69.0.0/16 --faults slow=100%:80ms --tcp-share 0%";
    let fleet = Fleet::start(None, 20_420, 1_000, flags);
    let conf = many_lanes(&fleet, 500);
    for shards in [1, 2] {
        let flags = format!("-f {} --shards {shards}", conf.path().display());
        let (report, code) = with_descriptors(64, &flags);
        assert_none_failed(&report, code, &["unknown late"]);
        assert_eq!(report.count("probed"), 1_000);
        assert!(report.count("passed") > 900, "{:?}", report.verdicts());
    }
}

#[test]
fn sixty_four_descriptors_are_enough_for_a_wide_window() {
    let fleet = Fleet::start(None, 20_430, 10_000, "--net 127.71.0.0/16");
    for shards in [1, 2] {
        let (report, code) = with_descriptors(64, &fleet.sweep(&format!("--shards {shards}")));
        assert_none_failed(&report, code, &["unknown late"]);
        assert_eq!(report.count("probed"), 10_000, "{}", report.summary);
        assert!(report.count("passed") > 9_000, "{:?}", report.verdicts());
    }
}

#[test]
fn without_a_descriptor_for_a_socket_nobody_is_blamed() {
    let fleet = Fleet::start(None, 20_470, 300, "--net 127.77.0.0/16");
    // The first limit at which there is a ring at all leaves nothing for a socket.
    let first = (4..40).find(|count| {
        let mut prlimit = Command::new("prlimit");
        prlimit.arg(format!("--nofile={count}"));
        let finished = Sweep::by(prlimit, &fleet.sweep("--shards 1")).run();
        finished.code() == 3
    });
    let count = first.expect("a limit with a ring and no socket");
    let (report, code) = with_descriptors(count, &fleet.sweep("--shards 1"));
    let emfile = "unknown local_socket out of file descriptors: raise ulimit -n (EMFILE)";
    let verdicts = assert_none_failed(&report, code, &[emfile]);
    assert_eq!((code, verdicts[emfile]), (3, 300), "{verdicts:?}");
}

#[test]
#[ignore = "needs root: a network namespace, for its port range"]
fn without_a_free_port_nobody_is_blamed() {
    let namespace = Namespace::new();
    let fleet = Fleet::start(Some(&namespace), 5_300, 400, "");
    namespace.enter(|| {
        let range = "/proc/sys/net/ipv4/ip_local_port_range";
        std::fs::write(range, "20000 20001").expect("root may");
    });
    let held = namespace.enter(|| {
        let any = |port: u16| ("0.0.0.0", port);
        let udp = [20_000, 20_001].map(|port| UdpSocket::bind(any(port)).expect("a free port"));
        let tcp = [20_000, 20_001].map(|port| TcpListener::bind(any(port)).expect("a free port"));
        (udp, tcp)
    });
    let before = namespace.snmp();
    let no_port = "unknown local_port no free local port: see net.ipv4.ip_local_port_range";
    let (report, code) = Sweep::inside(&namespace, &fleet.sweep("")).report();
    let verdicts = assert_none_failed(&report, code, &[no_port]);
    assert_eq!(verdicts, [(no_port.to_owned(), 400)].into());
    let after = namespace.snmp();
    assert_eq!(after.since(&before, "Udp.OutDatagrams"), 0);
    assert_eq!(after.since(&before, "Tcp.ActiveOpens"), 0);
    drop(held);
    let (report, code) = Sweep::inside(&namespace, &fleet.sweep("")).report();
    assert_none_failed(&report, code, &[no_port]);
    assert!(report.count("passed") > 0, "two free ports carry a sweep: {:?}", report.verdicts());
}

#[test]
fn a_receive_buffer_that_overflows_shrinks_the_window_and_fails_nobody() {
    let flags = "--net 127.72.0.0/16 --tcp-share 0%";
    let fleet = Fleet::start(None, 20_440, 20_000, flags);
    for shards in [1, 2] {
        let flags = format!("--receive-buffer 4096 --timeout 500ms --retries 0 --shards {shards}");
        let (report, code) = Sweep::new(&fleet.sweep(&flags)).report();
        assert_none_failed(&report, code, &["unknown local_drop", "unknown late"]);
        assert_eq!(report.count("probed"), 20_000);
        assert!(report.count("receive_drops") > 0, "{}", report.summary);
        assert!(report.count("window_min") < 4096, "{}", report.summary);
        assert!(report.count("passed") > 19_000, "{}", report.summary);
    }
}

#[test]
#[ignore = "needs root: a network namespace and nft"]
fn a_firewall_of_our_own_is_not_the_servers_fault() {
    let namespace = Namespace::new();
    let fleet = Fleet::start(Some(&namespace), 5_300, 400, "--tcp-share 0%");
    namespace.nft(
        "table inet t { chain o { type filter hook output priority 0;
             ip daddr 127.64.0.0/24 udp dport 5300 drop
             }
         }",
    );
    let (report, code) = Sweep::inside(&namespace, &fleet.sweep("--timeout 500ms")).report();
    let eperm = "unknown local_socket EPERM: Operation not permitted";
    assert_none_failed(&report, code, &[eperm]);
    for probe in &report.probes {
        let is_behind = probe.target.starts_with("127.64.0.");
        assert_eq!(probe.verdict(), if is_behind { eperm } else { "pass ok" }, "{probe:?}");
    }
    assert_eq!(report.count("unknown"), 255);
}

/// What the kernel says without sending anything: keepalived believes these errors, and so do we;
/// those that come from a policy of this host are ours.
#[test]
#[ignore = "needs root: a network namespace, for its routes"]
fn a_missing_route_is_told_from_a_forbidden_one() {
    let namespace = Namespace::new();
    namespace.ip("route add unreachable 10.1.0.0/16");
    namespace.ip("route add prohibit 10.2.0.0/16");
    namespace.ip("route add blackhole 10.3.0.0/16");
    namespace.ip("route add throw 10.4.0.0/16");
    let list: String = (0..5_u32)
        .flat_map(|net| (1..=20).map(move |host| format!("10.{net}.0.{host}\n")))
        .chain((1..=20).map(|host| format!("2001:db8::{host}\n")))
        .collect();
    for check in ["dns", "tcp"] {
        let flags = format!("--targets - --check {check} --port 53 --retries 0 --timeout 500ms");
        let before = namespace.snmp();
        let (report, code) = Sweep::inside(&namespace, &flags).input(list.clone()).report();
        let after = namespace.snmp();
        assert_eq!(code, 1);
        for probe in &report.probes {
            let expected = match &probe.target[..5] {
                "10.1." => "fail host_unreachable",
                "10.2." => "unknown local_socket EACCES: Permission denied",
                "10.3." => "unknown local_socket EINVAL: Invalid argument",
                // No route at all, for IPv4 and IPv6.
                _ => "fail net_unreachable",
            };
            assert_eq!(probe.verdict(), expected, "{probe:?}");
        }
        assert_eq!(report.count("probed"), 120);
        assert_eq!(report.count("datagrams_sent"), 0);
        assert_eq!(after.since(&before, "Udp.OutDatagrams"), 0);
        assert_eq!(after.since(&before, "Tcp.ActiveOpens"), 0);
    }
}

#[test]
#[ignore = "needs root: SO_MARK"]
fn lanes_that_share_a_source_port_wait_for_each_other() {
    let fleet = Fleet::start(None, 20_480, 60, "--net 127.78.0.0/16 --tcp-share 0%");
    let mut text = String::new();
    for (at, targets) in fleet.targets("DNS_CHECK").chunks(20).enumerate() {
        let head = "protocol UDP\n lvs_sched rr\n lvs_method NAT\n";
        write!(text, "virtual_server 10.0.0.{} 53 {{\n {head}", at + 1).expect("a string");
        for target in targets {
            let server = target.replace(':', " ");
            let source = format!("bindto 127.78.255.1\n bind_port 17777\n fwmark {}\n", at + 1);
            write!(text, " real_server {server} {{\n DNS_CHECK {{\n {source} }}\n }}\n")
                .expect("a string");
        }
        text.push_str("}\n");
    }
    let conf = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(conf.path(), text).expect("room");
    let flags = format!("-f {} --retries 0 --timeout 5s", conf.path().display());
    let (report, code) = Sweep::new(&flags).report();
    assert_eq!((code, report.count("passed")), (0, 60), "{:?}", report.verdicts());
}
