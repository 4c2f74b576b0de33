//! keepalived.conf: what is wrong with it is said in full, what is not probed is counted, and every
//! connection option reaches the wire.

use std::fmt::Write;
use std::fs;
use std::net::{SocketAddr, UdpSocket};

use crate::support::{NameServer, Namespace, Report, Sweep};

/// A virtual server of the usual kind around real servers.
fn around(servers: &str) -> String {
    let head = "virtual_server 10.0.0.1 53 {\n lvs_sched rr\n lvs_method NAT\n protocol UDP\n";
    format!("{head}{servers}}}\n")
}

/// A file with this text, and the flags of a sweep of it.
fn written(text: &str) -> (tempfile::NamedTempFile, String) {
    let file = tempfile::NamedTempFile::new().expect("a file");
    fs::write(file.path(), text).expect("room");
    let flags = format!("-f {}", file.path().display());
    (file, flags)
}

fn swept(text: &str) -> (Report, i32) {
    let (_file, flags) = written(text);
    Sweep::new(&flags).report()
}

#[test]
fn a_bad_configuration_says_everything_and_probes_nothing() {
    let server = NameServer::start("127.90.0.1:20600");
    let text = around(
        "\
 real_server 127.90.0.1 20600 {
  DNS_CHECK {
   type A
   name www.example.test
  }
 }
 real_server 127.90.0.1 20600000 {
  DNS_CHECK {
   tipe A
  }
 }
 real_server 127.90.0.999 20600 {
  TCP_CHECK {
   connect_timeout soon
  }
 }
",
    );
    let (file, flags) = written(&text);
    for more in ["", " -q", " -o ndjson"] {
        let finished = Sweep::new(&format!("{flags}{more}")).run();
        assert_eq!((finished.code(), finished.stdout.as_str()), (2, ""), "{}", finished.stderr);
        let name = file.path().display();
        for (line, text) in [
            (11, " real_server 127.90.0.1 20600000 {"),
            (13, "   tipe A"),
            (16, " real_server 127.90.0.999 20600 {"),
        ] {
            let place = format!("--> {name}:{line}:");
            assert!(finished.stderr.contains(&place), "no {place}: {}", finished.stderr);
            let shown = format!("{line} | {text}\n");
            let caret = finished.stderr.split(&shown).nth(1).and_then(|rest| rest.lines().next());
            let caret = caret.unwrap_or_else(|| panic!("no {shown:?}: {}", finished.stderr));
            assert!(caret.contains('^'), "line {line}: {caret}");
        }
        let end = "errors in the configuration, nothing is probed";
        assert!(finished.stderr.contains(end), "{}", finished.stderr);
    }
    assert_eq!(server.asked().len(), 0, "the server without a fault was probed");
    // The same file without its faults is probed.
    let (good, _) = text.split_once(" real_server 127.90.0.1 20600000").expect("a part");
    let (report, code) = swept(&format!("{good}}}\n"));
    assert_eq!((code, report.count("passed"), server.asked().len()), (0, 1, 1));
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let finished = Sweep::new("-f /nonexistent/keepalived.conf").run();
    assert_eq!(finished.code(), 2);
    assert!(finished.stderr.contains("/nonexistent/keepalived.conf"), "{}", finished.stderr);
}

#[test]
fn checkers_of_other_kinds_are_counted_and_not_probed() {
    let server = NameServer::start("127.90.1.1:20601");
    let dns = "DNS_CHECK {\n type A\n name www.example.test\n }\n";
    let http = "HTTP_GET {\n url {\n path /\n status_code 200\n }\n }\n";
    let text = format!(
        "global_defs {{\n router_id here\n}}\n\
         vrrp_instance VI_1 {{\n state BACKUP\n interface lo\n virtual_router_id 1\n}}\n{}",
        around(&format!(
            " real_server 127.90.1.1 20601 {{\n {dns} {http} }}\n \
              real_server 127.90.1.2 80 {{\n {http} SMTP_CHECK {{\n }}\n }}\n \
              real_server 127.90.1.3 80 {{\n PING_CHECK {{\n }}\n }}\n",
        ))
    );
    let (report, code) = swept(&text);
    assert_eq!((code, report.count("probed"), report.count("passed")), (0, 1, 1));
    let not_probed = &report.summary["not_probed"];
    for (keyword, count) in [("HTTP_GET", 2), ("SMTP_CHECK", 1), ("PING_CHECK", 1)] {
        assert_eq!(not_probed[keyword], count, "{keyword}: {not_probed}");
    }
    assert_eq!(server.asked().len(), 1);
    // People are told as well.
    let (_file, flags) = written(&text);
    let finished = Sweep::new(&flags).run();
    assert!(finished.stdout.contains("HTTP_GET"), "{}", finished.stdout);
    // Where nothing can be probed, that is an error.
    let (_file, flags) = written(&around(&format!(" real_server 127.90.1.2 80 {{\n {http} }}\n")));
    let finished = Sweep::new(&flags).run();
    assert_eq!(finished.code(), 2, "{}", finished.stdout);
    assert!(finished.stderr.contains("nothing to probe"), "{}", finished.stderr);
}

#[test]
fn the_address_options_reach_the_wire() {
    let server = NameServer::start("127.90.2.1:20602");
    let server6 = NameServer::start("[::1]:20602");
    let other = NameServer::start("127.90.2.2:20603");
    let check =
        |options: &str| format!("DNS_CHECK {{\n type A\n name www.example.test\n {options}\n }}\n");
    let mut servers = String::new();
    for (real_server, options) in [
        ("127.90.2.1 20602", "bindto 127.90.3.1"),
        ("127.90.2.1 20602", "bindto 127.90.3.2\n bind_port 20604"),
        ("127.90.2.1 20602", "bind_if lo\n bindto 127.90.3.3"),
        // The real server itself is never asked.
        ("127.90.2.9 9", "connect_ip 127.90.2.2\n connect_port 20603\n bindto 127.90.3.4"),
    ] {
        write!(servers, " real_server {real_server} {{\n {} }}\n", check(options)).expect("text");
    }
    let ipv6 = " real_server ::1 20602 {\n DNS_CHECK {\n type A\n name www.example.test\n \
                 bindto ::1\n bind_port 20605\n }\n }\n";
    let text = format!(
        "{}{}",
        // Two checkers of one server need two virtual servers.
        servers.split_inclusive(" }\n }\n").map(around).collect::<String>(),
        around(ipv6).replace("10.0.0.1", "fd00::1"),
    );
    let (report, code) = swept(&text);
    assert_eq!((code, report.count("passed")), (0, 5), "{:?}", report.verdicts());

    let from = |server: &NameServer| -> Vec<SocketAddr> {
        let mut from: Vec<_> = server.asked().into_iter().map(|asked| asked.from).collect();
        from.sort();
        from
    };
    let sources = from(&server);
    let addresses: Vec<String> = sources.iter().map(|from| from.ip().to_string()).collect();
    assert_eq!(addresses, ["127.90.3.1", "127.90.3.2", "127.90.3.3"]);
    assert_eq!(sources[1].port(), 20_604);
    assert_eq!(from(&server6), ["[::1]:20605".parse().expect("an address")]);
    let other = from(&other);
    assert_eq!(other.len(), 1);
    assert_eq!(other[0].ip().to_string(), "127.90.3.4");
    // What was contacted is the target; the label stays the real server's.
    let moved = report.probes.iter().find(|probe| probe.target == "127.90.2.2:20603");
    assert_eq!(moved.and_then(|probe| probe.real_server.as_deref()), Some("127.90.2.9:9"));
}

#[test]
fn the_question_is_the_one_that_was_configured() {
    let server = NameServer::start("127.90.4.1:20606");
    let check = |options: &str| {
        around(&format!(" real_server 127.90.4.1 20606 {{\n DNS_CHECK {{\n {options} }}\n }}\n"))
    };
    let text = format!("{}{}", check("type MX\n name Mail.Example.test\n"), check(""));
    let (report, code) = swept(&text);
    assert_eq!((code, report.count("passed")), (0, 2));
    let mut asked: Vec<Vec<u8>> =
        server.asked().into_iter().map(|asked| asked.query[2..].to_vec()).collect();
    asked.sort_by_key(Vec::len);
    // RD, one question; then the root's SOA, which is the default, and the other one.
    let header = [1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    assert_eq!(asked[0], [&header[..], &[0, 0, 6, 0, 1]].concat());
    assert_eq!(asked[1][..10], header);
    let name = b"\x04mail\x07example\x04test\0\0\x0f\0\x01";
    assert!(asked[1][10..].eq_ignore_ascii_case(name), "{:?}", asked[1]);
}

#[test]
fn retries_and_timeout_are_those_of_the_configuration_unless_flags_say_otherwise() {
    // Bound and never read: silence.
    let _silent = UdpSocket::bind("127.90.5.1:20607").expect("a port of this test's own");
    let text = around(
        " real_server 127.90.5.1 20607 {\n DNS_CHECK {\n retry 3\n connect_timeout 0.1\n }\n }\n",
    );
    let (_file, flags) = written(&text);
    for (more, attempts) in [("", 4), ("--retries 0", 1), ("--retries 5 --timeout 50ms", 6)] {
        let (report, code) = Sweep::new(&format!("{flags} {more}")).report();
        assert_eq!(code, 1);
        let probe = &report.probes[0];
        assert_eq!(probe.verdict(), "fail timeout");
        // An attempt that this machine spoiled is made again.
        let spoiled = report.count("free_retries");
        assert_eq!(probe.attempts, attempts + spoiled, "{more}");
        assert_eq!(report.count("datagrams_sent"), probe.attempts);
    }
}

#[test]
#[ignore = "needs root: a network namespace, nft and SO_MARK"]
fn marks_and_interfaces_are_on_every_packet() {
    let namespace = Namespace::new();
    for (interface, net) in [("d0", 0), ("d1", 1)] {
        // The other end swallows everything, so that all of this times out.
        namespace.ip(&format!("link add {interface} type veth peer name to-{interface}"));
        namespace.ip(&format!("addr add 10.7.{net}.1/24 dev {interface}"));
        namespace.ip(&format!("link set {interface} up"));
        namespace.ip(&format!("link set to-{interface} up"));
        namespace.ip(&format!("neigh add 10.7.0.5 lladdr 02:00:00:00:00:05 dev {interface}"));
    }
    namespace.nft(
        "table inet t {
             counter marked { }
             counter unmarked { }
             counter by_d1 { }
             counter by_d0 { }
             chain o { type filter hook output priority 0;
                 meta l4proto udp meta mark 0x77 counter name marked
                 tcp flags syn meta mark 0x77 counter name marked
                 ip daddr 10.7.0.0/16 meta mark 0 counter name unmarked
                 udp dport 53 oifname \"d1\" counter name by_d1
                 udp dport 53 oifname \"d0\" counter name by_d0
             }
         }",
    );
    let common = "connect_timeout 0.2\n retry 0\n fwmark 119\n";
    let marked = around(&format!(
        " real_server 10.7.0.5 53 {{\n DNS_CHECK {{\n {common} }}\n TCP_CHECK {{\n {common} }}\n }}\n"
    ));
    let (_file, flags) = written(&marked);
    let (report, _) = Sweep::inside(&namespace, &flags).report();
    assert_eq!(report.count("probed"), 2, "{:?}", report.verdicts());
    let sent = report.count("datagrams_sent") + report.count("connects");
    assert_eq!((namespace.counted("marked"), namespace.counted("unmarked")), (sent, 0));

    // The route to 10.7.0.5 is by d0, where the packets of the first sweep went.
    let by_route = namespace.counted("by_d0");
    assert_eq!(by_route, report.count("datagrams_sent"));
    let bound = around(
        " real_server 10.7.0.5 53 {\n DNS_CHECK {\n bind_if d1\n connect_timeout 0.2\n retry 0\n }\n }\n",
    );
    let (_file, flags) = written(&bound);
    let (report, _) = Sweep::inside(&namespace, &flags).report();
    assert_eq!(namespace.counted("by_d1"), report.count("datagrams_sent"));
    assert_eq!(namespace.counted("by_d0"), by_route);
    assert!(report.count("datagrams_sent") > 0, "{:?}", report.verdicts());
}
