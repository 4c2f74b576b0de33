//! Right verdicts on name servers that others wrote: nsd, knot, unbound, dnsmasq and ldns-testns, over
//! IPv4 and IPv6, from a keepalived.conf and from a list.

use std::fmt::Write;
use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::support::{Child, Report, Sweep, wait_for};

const ZONE: &str = "\
$ORIGIN example.test.
$TTL 60
@ SOA ns hostmaster 1 3600 600 86400 60
@ NS ns
@ MX 10 mail
ns A 192.0.2.53
mail A 192.0.2.25
www A 192.0.2.1
www AAAA 2001:db8::1
txt TXT \"some text\"
alias CNAME www
";

/// A question, and the verdict on it of nsd, knot, unbound and dnsmasq; `-` where a server cannot be
/// made to say what is asked for.
const QUESTIONS: [(&str, &str, [&str; 4]); 11] = [
    ("www.example.test", "A", ["pass ok"; 4]),
    ("www.example.test", "AAAA", ["pass ok"; 4]),
    ("example.test", "MX", ["pass ok"; 4]),
    ("txt.example.test", "TXT", ["pass ok"; 4]),
    ("alias.example.test", "CNAME", ["pass ok"; 4]),
    ("example.test", "SOA", ["pass ok", "pass ok", "pass ok", "-"]),
    ("example.test", "NS", ["pass ok", "pass ok", "pass ok", "-"]),
    ("nobody.example.test", "A", ["fail rcode NXDOMAIN"; 4]),
    ("www.example.test", "TXT", ["fail no_answer"; 4]),
    ("www.refused.test", "A", ["fail rcode REFUSED"; 4]),
    // Zones whose file is missing, and a forwarder that is dead.
    (
        "www.dead.test",
        "A",
        ["fail rcode SERVFAIL", "fail rcode SERVFAIL", "fail rcode SERVFAIL", "-"],
    ),
];

/// The four of them, each on an address of its own and on ::1 with a port of its own.
struct Servers {
    running: Vec<(Child, [SocketAddr; 2])>,
    _directory: tempfile::TempDir,
}

impl Servers {
    fn start(port: u16) -> Servers {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path();
        // As root, some of them give their rights away and must still read this.
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(path, open).expect("ours");
        fs::write(path.join("example.zone"), ZONE).expect("room");
        let running = [nsd, knot, unbound, dnsmasq]
            .into_iter()
            .zip(1..)
            .map(|(start, number)| {
                let port = port + u16::from(number);
                let ipv4 = SocketAddr::new([127, 53, 0, number].into(), port);
                let ipv6 = SocketAddr::new(std::net::Ipv6Addr::LOCALHOST.into(), port);
                let mut child = Child::start(&mut start(path, ipv4, ipv6), None);
                for address in [ipv4, ipv6] {
                    wait_until_it_serves(&mut child, address);
                }
                (child, [ipv4, ipv6])
            })
            .collect();
        Servers { running, _directory: directory }
    }

    fn addresses(&self, server: usize) -> [SocketAddr; 2] {
        self.running[server].1
    }

    fn list(&self) -> String {
        self.running.iter().flat_map(|(_, addresses)| addresses).fold(
            String::new(),
            |mut list, address| {
                writeln!(list, "{address}").expect("a string");
                list
            },
        )
    }
}

fn nsd(path: &Path, ipv4: SocketAddr, ipv6: SocketAddr) -> Command {
    let conf = path.join("nsd.conf");
    let listen = [ipv4, ipv6]
        .map(|address| format!(" ip-address: {}@{}\n", address.ip(), address.port()))
        .concat();
    let directory = path.display();
    fs::write(
        &conf,
        format!(
            "server:\n{listen} username: \"\"\n chroot: \"\"\n zonesdir: \"{directory}\"\n \
             database: \"\"\n pidfile: \"\"\n xfrdfile: \"{directory}/xfrd\"\n \
             xfrdir: \"{directory}\"\n zonelistfile: \"{directory}/zones\"\n \
             cookie-secret-file: \"\"\n server-count: 1\n rrl-ratelimit: 0\n\
             remote-control:\n control-enable: no\n\
             zone:\n name: example.test\n zonefile: example.zone\n\
             zone:\n name: dead.test\n zonefile: missing.zone\n"
        ),
    )
    .expect("room");
    let mut command = Command::new("nsd");
    command.arg("-d").arg("-c").arg(conf);
    command
}

fn knot(path: &Path, ipv4: SocketAddr, ipv6: SocketAddr) -> Command {
    let conf = path.join("knot.conf");
    let listen =
        [ipv4, ipv6].map(|address| format!("{}@{}", address.ip(), address.port())).join(", ");
    let directory = path.display();
    fs::create_dir_all(path.join("knot")).expect("room");
    fs::write(
        &conf,
        format!(
            "server:\n  rundir: {directory}/knot\n  listen: [ {listen} ]\n  udp-workers: 1\n  \
             tcp-workers: 1\n  background-workers: 1\n\
             database:\n  storage: {directory}/knot\n\
             zone:\n  - domain: example.test\n    file: {directory}/example.zone\n    \
             zonefile-sync: -1\n  - domain: dead.test\n    file: {directory}/missing.zone\n"
        ),
    )
    .expect("room");
    let mut command = Command::new("knotd");
    command.arg("-c").arg(conf);
    command
}

fn unbound(path: &Path, ipv4: SocketAddr, ipv6: SocketAddr) -> Command {
    let conf = path.join("unbound.conf");
    let listen = [ipv4, ipv6]
        .map(|address| format!(" interface: {}@{}\n", address.ip(), address.port()))
        .concat();
    let mut data = String::new();
    for line in ZONE.lines().skip(2) {
        let (name, rest) = line.split_once(' ').expect("a record");
        let name = if name == "@" { String::new() } else { format!("{name}.") };
        // Relative names on the right are those that end in a letter, in records that hold names.
        let rest = match rest.split_once(' ') {
            Some(("SOA", _)) => {
                "SOA ns.example.test. hostmaster.example.test. 1 3600 600 86400 60".to_owned()
            }
            Some(("NS" | "CNAME" | "MX", _)) => format!("{rest}.example.test."),
            _ => rest.to_owned(),
        };
        writeln!(data, " local-data: '{name}example.test. 60 IN {rest}'").expect("a string");
    }
    fs::write(
        &conf,
        format!(
            "server:\n{listen} username: \"\"\n chroot: \"\"\n directory: \"{}\"\n pidfile: \"\"\n \
             use-syslog: no\n num-threads: 1\n do-daemonize: no\n module-config: \"iterator\"\n \
             do-not-query-localhost: no\n outbound-msg-retry: 1\n access-control: 127.0.0.0/8 allow\n \
             access-control: ::1 allow\n local-zone: \"test.\" nodefault\n \
             local-zone: \"example.test.\" static\n{data} local-zone: \"refused.test.\" refuse\n\
             forward-zone:\n name: \"dead.test.\"\n forward-addr: 127.53.0.99@1\n",
            path.display()
        ),
    )
    .expect("room");
    let mut command = Command::new("unbound");
    command.arg("-d").arg("-c").arg(conf);
    command
}

fn dnsmasq(_path: &Path, ipv4: SocketAddr, ipv6: SocketAddr) -> Command {
    let mut command = Command::new("dnsmasq");
    command
        .args(["--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts"])
        .args(["--pid-file=", "--user=root", "--bind-interfaces", "--log-facility=/dev/null"])
        .arg(format!("--port={}", ipv4.port()))
        .arg(format!("--listen-address={},{}", ipv4.ip(), ipv6.ip()))
        .args(["--local=/example.test/", "--host-record=www.example.test,192.0.2.1,2001:db8::1"])
        .args([
            "--mx-host=example.test,mail.example.test,10",
            "--cname=alias.example.test,www.example.test",
        ])
        .arg("--txt-record=txt.example.test,some text");
    command
}

/// Asks for www.example.test until a record comes.
fn wait_until_it_serves(child: &mut Child, address: SocketAddr) {
    let mut query = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    query.extend_from_slice(b"\x03www\x07example\x04test\0\0\x01\0\x01");
    let socket = UdpSocket::bind(if address.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" });
    let socket = socket.expect("a free port");
    socket.set_read_timeout(Some(Duration::from_millis(100))).expect("an option");
    wait_for("a name server", || {
        assert!(!child.has_ended(), "it ended: {}", child.said());
        socket.send_to(&query, address).ok()?;
        let mut answer = [0; 512];
        let (len, _) = socket.recv_from(&mut answer).ok()?;
        // No error, one record or more.
        (len > 12 && answer[3] & 15 == 0 && answer[7] > 0).then_some(())
    });
}

/// Long enough for unbound to give its forwarder up.
const PATIENT: &str = "--timeout 10s --retries 1";

fn verdicts_on(report: &Report, addresses: [SocketAddr; 2]) -> Vec<String> {
    let of = |address: SocketAddr| {
        let found: Vec<_> =
            report.probes.iter().filter(|probe| probe.target == address.to_string()).collect();
        assert_eq!(found.len(), 1, "{address}");
        found[0].verdict()
    };
    addresses.map(of).to_vec()
}

#[test]
#[ignore = "needs nsd, knot, unbound and dnsmasq"]
fn four_name_servers_asked_from_a_list() {
    let servers = Servers::start(20_800);
    for (name, kind, expected) in QUESTIONS {
        let flags = format!("--targets - --check dns --type {kind} --name {name} {PATIENT}");
        let (report, code) = Sweep::new(&flags).input(servers.list()).report();
        for (server, expected) in expected.into_iter().enumerate() {
            if expected != "-" {
                let verdicts = verdicts_on(&report, servers.addresses(server));
                assert_eq!(verdicts, [expected; 2], "server {server}: {kind} {name}");
            }
        }
        let passes = report.probes.iter().all(|probe| probe.outcome == "pass");
        assert_eq!(code, i32::from(!passes));
    }
    // keepalived's rule: RCODE 0 is enough, and nothing else is.
    for (name, kind, expected) in [
        ("www.example.test", "TXT", "pass ok"),
        ("www.example.test", "A", "pass ok"),
        ("nobody.example.test", "A", "fail rcode NXDOMAIN"),
    ] {
        let flags =
            format!("--targets - --check dns --dns-require rcode --type {kind} --name {name}");
        let (report, _) = Sweep::new(&flags).input(servers.list()).report();
        for server in 0..4 {
            let verdicts = verdicts_on(&report, servers.addresses(server));
            assert_eq!(verdicts, [expected; 2], "server {server}: {kind} {name}");
        }
    }
}

#[test]
#[ignore = "needs nsd, knot, unbound and dnsmasq"]
fn four_name_servers_asked_from_a_keepalived_conf() {
    let servers = Servers::start(20_820);
    let mut text = String::new();
    let mut expected = Vec::new();
    for (number, (name, kind, verdicts)) in (1..).zip(QUESTIONS) {
        for (family, virtual_server) in
            [(0, format!("10.0.0.{number}")), (1, format!("fd00::{number}"))]
        {
            writeln!(
                text,
                "virtual_server {virtual_server} 53 {{\n lvs_sched rr\n lvs_method NAT\n \
                 protocol UDP\n connect_timeout 10"
            )
            .expect("a string");
            for (server, verdict) in verdicts.into_iter().enumerate() {
                let address = servers.addresses(server)[family];
                if verdict == "-" {
                    continue;
                }
                writeln!(
                    text,
                    " real_server {} {} {{\n DNS_CHECK {{\n type {kind}\n name {name}\n }}\n \
                     TCP_CHECK {{\n }}\n }}",
                    address.ip(),
                    address.port()
                )
                .expect("a string");
                let virtual_server = match family {
                    0 => format!("{virtual_server}:53/udp"),
                    _ => format!("[{virtual_server}]:53/udp"),
                };
                let labels = (virtual_server, address.to_string());
                expected.push(("DNS_CHECK", labels.clone(), verdict));
                // All of them listen for TCP as well.
                expected.push(("TCP_CHECK", labels, "pass ok"));
            }
            text.push_str("}\n");
        }
    }
    let conf = tempfile::NamedTempFile::new().expect("a file");
    fs::write(conf.path(), text).expect("room");
    for shards in [1, 2] {
        let flags = format!("-f {} --shards {shards}", conf.path().display());
        let (report, code) = Sweep::new(&flags).report();
        assert_eq!((code, report.probes.len()), (1, expected.len()));
        let mut found: Vec<_> = report
            .probes
            .iter()
            .map(|probe| {
                let virtual_server = probe.virtual_server.clone().expect("a label");
                assert_eq!(probe.real_server.as_ref(), Some(&probe.target));
                let labels = (virtual_server, probe.target.clone());
                (probe.checker.clone(), labels, probe.verdict())
            })
            .collect();
        found.sort();
        let mut expected: Vec<_> = expected
            .iter()
            .map(|(checker, labels, verdict)| {
                ((*checker).to_owned(), labels.clone(), (*verdict).to_owned())
            })
            .collect();
        expected.sort();
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!(found, expected);
        }
    }
}

#[test]
#[ignore = "needs nsd, knot, unbound and dnsmasq"]
fn a_server_that_was_stopped_is_refused() {
    let mut servers = Servers::start(20_840);
    let list = servers.list();
    let flags = "--targets - --check dns --type A --name www.example.test --timeout 5s";
    for stopped in 0..4 {
        let (child, addresses) = &servers.running[stopped];
        let addresses = *addresses;
        child.signal(nix::sys::signal::Signal::SIGTERM);
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        socket.connect(addresses[0]).expect("loopback");
        socket.set_read_timeout(Some(Duration::from_millis(50))).expect("an option");
        wait_for("its sockets to close", || {
            let _ = socket.send(&[0; 12]);
            let error = socket.recv(&mut [0; 512]).err()?;
            (error.kind() == std::io::ErrorKind::ConnectionRefused).then_some(())
        });
        wait_for("its end", || servers.running[stopped].0.has_ended().then_some(()));
        let (report, code) = Sweep::new(flags).input(list.clone()).report();
        assert_eq!(code, 1);
        for server in 0..4 {
            let expected = if server <= stopped { "fail connection_refused" } else { "pass ok" };
            let verdicts = verdicts_on(&report, servers.addresses(server));
            assert_eq!(verdicts, [expected; 2], "server {server} with {stopped} stopped");
        }
    }
}

/// Scripted answers that no name server should give.
#[test]
#[ignore = "needs ldnsutils"]
fn odd_answers_of_ldns_testns() {
    let entry = |name: &str, flags: &str, adjust: &str, sections: &str| {
        format!(
            "ENTRY_BEGIN\nMATCH opcode qtype qname\nREPLY {flags}\nADJUST {adjust}\n\
             SECTION QUESTION\n{name}. IN A\n{sections}ENTRY_END\n"
        )
    };
    let record = |name: &str| format!("SECTION ANSWER\n{name}. 60 IN A 192.0.2.1\n");
    let elsewhere = "SECTION AUTHORITY\nexample.test. 60 IN NS ns.example.test.\n\
                     SECTION ADDITIONAL\nns.example.test. 60 IN A 192.0.2.1\n";
    let data = format!(
        "$ORIGIN .\n$TTL 60\n{}",
        [
            entry("www.example.test", "QR AA NOERROR", "copy_id", &record("www.example.test")),
            entry("other.example.test", "QR NOERROR", "copy_id", &record("far.example.test")),
            entry("notimp.example.test", "QR NOTIMPL", "copy_id", ""),
            entry("servfail.example.test", "QR SERVFAIL", "copy_id", &record("x.example.test")),
            entry("referral.example.test", "QR NOERROR", "copy_id", elsewhere),
            entry("cut.example.test", "QR TC NOERROR", "copy_id", ""),
            entry("query.example.test", "NOERROR", "copy_id", &record("query.example.test")),
        ]
        .concat()
    );
    let file = tempfile::NamedTempFile::new().expect("a file");
    fs::write(file.path(), data).expect("room");
    let mut command = Command::new("ldns-testns");
    command.args(["-p", "20860"]).arg(file.path());
    let mut server = Child::start(&mut command, None);
    wait_until_it_serves(&mut server, "127.0.0.1:20860".parse().expect("an address"));
    for (name, expected) in [
        ("www", "pass ok"),
        // A record under another name is still a record of the answer section.
        ("other", "pass ok"),
        ("notimp", "fail rcode NOTIMP"),
        ("servfail", "fail rcode SERVFAIL"),
        ("referral", "fail no_answer"),
        ("cut", "fail truncated"),
        // Not a response: nobody answered.
        ("query", "fail timeout last ignored reply: malformed"),
    ] {
        let flags =
            format!("--targets - --check dns --type A --name {name}.example.test --timeout 700ms");
        let (report, code) = Sweep::new(&flags).input("127.0.0.1:20860").report();
        assert_eq!(report.probes[0].verdict(), expected, "{name}: {}", report.summary);
        assert_eq!(code, i32::from(expected != "pass ok"));
    }
    // It hears every address and answers from one: the others have not answered.
    let flags = "--targets - --check dns --type A --name www.example.test --timeout 700ms";
    let (report, _) = Sweep::new(flags).input("127.53.0.7:20860").report();
    assert_eq!(report.probes[0].verdict(), "fail timeout");
    assert!(report.summary["strange"]["foreign"].as_u64() >= Some(3), "{}", report.summary);
}
