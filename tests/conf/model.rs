//! The model that comes out of a configuration: defaults, inheritance, what keepalived's bugs hide.

use std::net::SocketAddr;
use std::time::Duration;

use hickory_proto::rr::RecordType;
use ringprobe::conf::Severity;
use ringprobe::fleet::{Fleet, LoadOptions, ProbeSpec, Protocol, Timing, load, load_text};
use ringprobe::id::{RealServerId, VirtualServerId};

use super::fleet_of;

/// A virtual server of the usual kind around `body`.
fn tcp(body: &str) -> Fleet {
    tcp_saying(body, &[])
}

/// The same where these codes are reported, and no other.
fn tcp_saying(body: &str, codes: &[&str]) -> Fleet {
    let head = "virtual_server 127.0.10.1 80 {\n protocol TCP\n lvs_sched rr\n lvs_method NAT\n";
    let loaded = fleet_of(&format!("{head}{body}\n}}\n"));
    let said: Vec<_> = loaded.problems.iter().map(|found| found.code.as_str()).collect();
    assert_eq!(said, codes, "{}", loaded.problems.render(false));
    loaded.fleet
}

pub(super) fn timing(fleet: &Fleet, checker: usize) -> &Timing {
    &fleet.timings[fleet.checkers[checker].timing as usize]
}

pub(super) fn spec(fleet: &Fleet, checker: usize) -> &ProbeSpec {
    &fleet.specs[fleet.checkers[checker].spec.index()]
}

fn target(fleet: &Fleet, checker: usize) -> String {
    fleet.checkers[checker].target.to_string()
}

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[test]
fn defaults_of_a_tcp_check() {
    let fleet = tcp("real_server 127.0.10.11 8080 { TCP_CHECK { } }
        real_server 127.0.10.12 { TCP_CHECK { } }
        real_server 127.0.10.13 8080 { }");
    assert_eq!(fleet.real_servers.len(), 3);
    assert_eq!(fleet.checkers.len(), 2);
    assert_eq!(target(&fleet, 0), "127.0.10.11:8080");
    assert_eq!(target(&fleet, 1), "127.0.10.12:80", "the port of the virtual server");
    assert_eq!(fleet.real_servers[1].address.port(), 80);
    assert_eq!(fleet.specs.len(), 1);
    assert_eq!(
        fleet.timings,
        [Timing {
            delay_loop: ms(60_000),
            delay_before_retry: ms(1_000),
            warmup: ms(60_000),
            retry: 1,
            retry_is_written: false,
            alpha: false,
        }]
    );
    let connection = spec(&fleet, 0).connection().expect("a network check");
    assert_eq!(connection, &ringprobe::fleet::Connection::default());
    assert_eq!(connection.timeout, ms(5_000));
    assert_eq!(fleet.virtual_servers[0].quorum, 1);
    assert_eq!(fleet.real_servers[0].weight, 1);
}

#[test]
fn timers_are_inherited_level_by_level() {
    let fleet = tcp("delay_loop 20
        real_server 127.0.10.21 443 { TCP_CHECK { } }
        real_server 127.0.10.22 443 {
            TCP_CHECK { }
            weight 0
            delay_loop 0.25
            delay_before_retry 0
            retry 1
            warmup 1.5
            connect_timeout 0.000001
            alpha no
            inhibit_on_failure off
        }
        real_server 127.0.10.23 443 {
            alpha true
            TCP_CHECK {
                delay_loop 5
                delay_before_retry 0.1
                retry 0
                warmup 0.000001
                alpha off
                log_all_failures
            }
            TCP_CHECK { log_all_failures no }
        }
        delay_before_retry 2.5
        retry 4
        warmup 0
        connect_timeout 7
        alpha
        inhibit_on_failure
        weight 3");
    let expected = [
        (20_000_000, 2_500_000, 0, 4, true, 7_000_000),
        (250_000, 0, 1_500_000, 1, false, 1),
        (5_000_000, 100_000, 1, 0, false, 7_000_000),
        (20_000_000, 2_500_000, 0, 4, true, 7_000_000),
    ];
    for (checker, (delay_loop, delay_before_retry, warmup, retry, alpha, timeout)) in
        expected.into_iter().enumerate()
    {
        let expected = Timing {
            delay_loop: Duration::from_micros(delay_loop),
            delay_before_retry: Duration::from_micros(delay_before_retry),
            warmup: Duration::from_micros(warmup),
            retry,
            retry_is_written: true,
            alpha,
        };
        assert_eq!(timing(&fleet, checker), &expected, "checker {checker}");
        let connection = spec(&fleet, checker).connection().expect("a network check");
        assert_eq!(connection.timeout, Duration::from_micros(timeout), "checker {checker}");
    }
    assert_eq!(fleet.timings.len(), 3, "equal timers are one");
    let weights: Vec<_> = fleet
        .real_servers
        .iter()
        .map(|server| (server.weight, server.inhibit_on_failure))
        .collect();
    assert_eq!(weights, [(3, true), (0, false), (3, true)]);
}

#[test]
fn the_timeout_that_means_unset_is_inherited() {
    let loaded = fleet_of(
        "virtual_server 127.0.10.2 443 {
            protocol TCP
            lb_algo wlc
            lb_kind NAT
            connect_timeout 7
            real_server 127.0.10.23 443 { TCP_CHECK { connect_timeout 4294.967295 } }
        }",
    );
    assert_eq!(spec(&loaded.fleet, 0).timeout(), ms(7_000));
    assert_eq!(
        loaded.problems.iter().map(|found| found.code.as_str()).collect::<Vec<_>>(),
        ["W046"]
    );
}

#[test]
fn dns_checks() {
    let fleet = tcp_saying(
        "delay_loop 9
        real_server 127.0.10.91 53 {
            DNS_CHECK { }
            DNS_CHECK { type A
                name www.example.test }
            DNS_CHECK { type aaaa
                name www.example.test. }
            DNS_CHECK { type DNSKEY
                name .
                retry 0 }
            DNS_CHECK { type RRSIG
                name a.root-servers.net
                connect_port 5353
                connect_timeout 0.5
                delay_before_retry 0.2 }
            DNS_CHECK { type svcb
                name \"\" }
            DNS_CHECK { type IXFR
                name X.Example.TEST }
        }",
        &["N071", "N071"],
    );
    let expected = [
        (RecordType::SOA, ".", 53, 3, 9_000),
        (RecordType::A, "www.example.test.", 53, 3, 9_000),
        (RecordType::AAAA, "www.example.test.", 53, 3, 9_000),
        (RecordType::DNSKEY, ".", 53, 0, 9_000),
        (RecordType::RRSIG, "a.root-servers.net.", 5353, 3, 200),
        (RecordType::SVCB, ".", 53, 3, 9_000),
        (RecordType::IXFR, "X.Example.TEST.", 53, 3, 9_000),
    ];
    for (checker, (record_type, name, port, retry, delay_before_retry)) in
        expected.into_iter().enumerate()
    {
        let ProbeSpec::Dns(dns) = spec(&fleet, checker) else { panic!("checker {checker}") };
        assert_eq!((dns.record_type, dns.name.to_string().as_str()), (record_type, name));
        assert!(dns.name.is_fqdn());
        assert_eq!(fleet.checkers[checker].target.port(), port);
        assert_eq!(timing(&fleet, checker).retry, retry);
        assert_eq!(timing(&fleet, checker).delay_before_retry, ms(delay_before_retry));
        assert_eq!(timing(&fleet, checker).warmup, ms(9_000));
        assert_eq!(fleet.checker_keyword(checker as u64), "DNS_CHECK");
    }
}

#[test]
fn the_longest_names_are_taken() {
    let label = "a".repeat(63);
    let name = format!("{label}.{label}.{label}.{}", "b".repeat(61));
    assert_eq!(name.len(), 253);
    let check = |name: &str| {
        let text = format!(
            "virtual_server 1.1.1.1 53 {{\n protocol UDP\n lvs_sched rr\n lvs_method NAT\n
             real_server 1.1.1.2 53 {{\n DNS_CHECK {{\n name {name}\n }}\n }}\n }}"
        );
        load_text("x", text.into(), &LoadOptions::default()).is_ok()
    };
    assert!(check(&name));
    assert!(check(&format!("{name}.")));
    assert!(!check(&format!("{name}c")));
}

#[test]
fn connection_options() {
    let fleet = tcp("real_server 127.0.10.31 80 {
            TCP_CHECK {
                connect_ip 2001:db8::7
                connect_port 81
                bindto 2001:db8::8
                bind_port 1024
                bind_if eth0
                fwmark 4294967295
            }
            TCP_CHECK { connect_ip fe80::1
                bind_if eth0 }
            DNS_CHECK { bindto 127.0.0.9 }
        }");
    assert_eq!(target(&fleet, 0), "[2001:db8::7]:81");
    let connection = spec(&fleet, 0).connection().expect("a network check");
    assert_eq!(connection.bindto, Some("2001:db8::8".parse().expect("an address")));
    assert_eq!(connection.bind_port, Some(1024));
    assert_eq!(connection.bind_if.as_deref(), Some("eth0"));
    assert_eq!(connection.fwmark, u32::MAX);
    assert_eq!(target(&fleet, 1), "[fe80::1]:80");
    let dns = spec(&fleet, 2).connection().expect("a network check");
    assert_eq!((dns.bindto, dns.bind_port), (Some("127.0.0.9".parse().expect("an address")), None));
}

#[test]
fn groups_marks_and_ipv6() {
    let loaded = fleet_of(
        "virtual_server group web {
            protocol TCP
            lvs_sched rr
            lvs_method NAT
            real_server 127.0.10.141 80 { TCP_CHECK { } }
        }
        virtual_server group marks {
            lvs_sched rr
            lvs_method NAT
            real_server 127.0.10.142 80 { TCP_CHECK { } }
        }
        virtual_server_group web {
            192.0.2.10-12 80            # .10 .11 .12
            192.0.2.250-192.0.3.5 80    # crosses an octet
            192.0.2.64/30 80
            192.0.2.99 443
        }
        virtual_server_group marks {
            fwmark 5
            fwmark 6 inet
        }
        virtual_server_group v6
        {
            2001:db8::10-1f 80 2001:db8:1::/126
        }
        virtual_server fwmark 77 {
            lvs_sched rr
            lvs_method DR
            real_server 127.0.10.143 { TCP_CHECK { connect_port 80 } }
        }
        virtual_server fwmark 4294967295 {
            ip_family inet6
            lvs_sched rr
            lvs_method NAT
            real_server 2001:db8::144 8080 { TCP_CHECK { } }
        }
        virtual_server 2001:db8::1 80 {
            protocol SCTP
            lvs_sched rr
            lvs_method TUN type gue port 6080
            persistence_timeout 50
            persistence_granularity 64
            real_server 2001:db8::145 { TCP_CHECK { } }
            real_server 10.0.0.1 80 { }
        }",
    );
    let codes: Vec<_> = loaded.problems.iter().map(|found| found.code.as_str()).collect();
    assert_eq!(codes, ["W038"], "one member a line: the second is ignored");
    let fleet = loaded.fleet;
    let services: Vec<_> =
        (0..5).map(|id| fleet.virtual_server_label(VirtualServerId(id)).to_string()).collect();
    assert_eq!(
        services,
        ["group web/tcp", "group marks", "fwmark 77", "fwmark 4294967295", "[2001:db8::1]:80/sctp"]
    );
    let servers: Vec<_> =
        (0..6).map(|id| fleet.real_server_label(RealServerId(id)).to_string()).collect();
    assert_eq!(
        servers,
        [
            "127.0.10.141:80",
            "127.0.10.142:80",
            "127.0.10.143",
            "[2001:db8::144]:8080",
            "[2001:db8::145]:80",
            "10.0.0.1:80"
        ]
    );
    let targets: Vec<_> = (0..5).map(|checker| target(&fleet, checker)).collect();
    assert_eq!(
        targets,
        [
            "127.0.10.141:80",
            "127.0.10.142:80",
            "127.0.10.143:80",
            "[2001:db8::144]:8080",
            "[2001:db8::145]:80"
        ]
    );
}

#[test]
fn a_duplicate_goes_with_its_checkers() {
    let loaded = fleet_of(
        "virtual_server 10.0.0.1 80 {
            protocol TCP
            lvs_sched rr
            lvs_method NAT
            real_server 10.0.0.2 80 { TCP_CHECK { retry 1 } }
            real_server 10.0.0.3 80 { TCP_CHECK { retry 2 } }
            real_server 10.0.0.2 { TCP_CHECK { retry 3 } }
            real_server 10.0.0.2 81 { TCP_CHECK { retry 4 } }
            real_server 10.0.0.3 080 { TCP_CHECK { retry 5 }\n TCP_CHECK { retry 6 } }
            real_server 10.0.0.4 80 { TCP_CHECK { retry 7 } }
        }
        virtual_server 10.0.0.9 80 {
            protocol TCP
            lvs_sched rr
            lvs_method NAT
            real_server 10.0.0.2 80 { TCP_CHECK { retry 8 } }
        }",
    );
    let fleet = &loaded.fleet;
    let found: Vec<_> = fleet
        .checkers
        .iter()
        .enumerate()
        .map(|(seq, checker)| {
            let server = &fleet.real_servers[checker.real_server.index()];
            assert_eq!(server.address, checker.target);
            (server.virtual_server.0, checker.target.to_string(), timing(fleet, seq).retry)
        })
        .collect();
    assert_eq!(
        found,
        [
            (0, "10.0.0.2:80".to_owned(), 1),
            (0, "10.0.0.3:80".to_owned(), 2),
            // keepalived compares the ports that are written, and here is none.
            (0, "10.0.0.2:80".to_owned(), 3),
            (0, "10.0.0.2:81".to_owned(), 4),
            (0, "10.0.0.4:80".to_owned(), 7),
            (1, "10.0.0.2:80".to_owned(), 8),
        ]
    );
    let lines: Vec<_> = loaded
        .problems
        .iter()
        .map(|found| {
            let line = |at: Option<&ringprobe::conf::problems::Excerpt>| at.map(|at| at.line);
            (found.code.as_str(), line(found.primary.as_ref()), line(found.secondary.first()))
        })
        .collect();
    assert_eq!(lines, [("W110", Some(7), Some(5)), ("W036", Some(9), Some(6))]);
}

#[test]
fn ports_without_nat_are_those_of_the_service() {
    let loaded = fleet_of(
        "virtual_server 10.0.0.1 80 {
            protocol UDP
            lvs_sched rr
            lvs_method DR
            real_server 10.0.0.2 8080 { TCP_CHECK { } }
            real_server 10.0.0.3 8080 {
                lvs_method NAT
                TCP_CHECK { }
            }
        }",
    );
    let fleet = loaded.fleet;
    assert_eq!(fleet.real_servers[0].address, "10.0.0.2:80".parse::<SocketAddr>().expect("valid"));
    assert_eq!(target(&fleet, 0), "10.0.0.2:8080", "the checker keeps the port as written");
    assert_eq!(fleet.real_servers[1].address.port(), 8080);
    assert_eq!(fleet.virtual_servers[0].protocol, Some(Protocol::Udp));
}

#[test]
fn quorum_and_hysteresis_are_kept_reachable() {
    for (body, quorum, hysteresis) in [
        ("quorum 2\n hysteresis 1\n weight 2", 2, 1),
        ("quorum 9\n weight 2", 4, 0),
        ("hysteresis 7", 1, 0),
        ("quorum 2\n hysteresis 2", 2, 1),
        ("quorum 4294967295\n hysteresis 4294967295\n weight 2147483647", 4294967294, 4294967293),
    ] {
        let loaded = fleet_of(&format!(
            "virtual_server 10.0.0.1 80 {{\n protocol TCP\n lvs_sched rr\n lvs_method NAT\n {body}
             real_server 10.0.0.2 80 {{ TCP_CHECK {{ }} }}\n real_server 10.0.0.3 80 {{ }}\n }}"
        ));
        let service = &loaded.fleet.virtual_servers[0];
        assert_eq!((service.quorum, service.hysteresis), (quorum, hysteresis), "{body}");
    }
}

#[test]
fn retries_of_a_sweep() {
    let fleet = tcp("real_server 10.0.0.2 80 {
            TCP_CHECK { }
            DNS_CHECK { }
            TCP_CHECK { retry 0 }
            TCP_CHECK { retry 70000 }
        }");
    let from_file: Vec<_> = (0..4).map(|seq| fleet.retries(seq, None)).collect();
    assert_eq!(from_file, [2, 2, 0, u16::MAX]);
    assert_eq!(fleet.retries(3, Some(1)), 1);
}

#[test]
fn options_reach_the_specs_and_equal_specs_are_one() {
    use ringprobe::fleet::{DnsRequire, Handshake};
    let text = "virtual_server 10.0.0.1 53 {
        protocol UDP
        lvs_sched rr
        lvs_method NAT
        real_server 10.0.0.2 53 { DNS_CHECK { }\n TCP_CHECK { } }
        real_server 10.0.0.3 53 { DNS_CHECK { type SOA\n name . }\n TCP_CHECK { } }
    }";
    let options = LoadOptions {
        dns_require: DnsRequire::Rcode,
        handshake: Handshake::Orderly,
        ..LoadOptions::default()
    };
    let fleet = load_text("x", text.into(), &options).expect("valid").fleet;
    assert_eq!(fleet.specs.len(), 2);
    let specs: Vec<_> = fleet.checkers.iter().map(|checker| checker.spec.0).collect();
    assert_eq!(specs, [0, 1, 0, 1]);
    assert!(matches!(&fleet.specs[0], ProbeSpec::Dns(dns) if dns.require == DnsRequire::Rcode));
    assert!(matches!(&fleet.specs[1], ProbeSpec::Tcp(tcp) if tcp.handshake == Handshake::Orderly));
    assert_eq!(fleet.checker_keyword(1), "TCP_CHECK");
}

#[test]
fn what_is_not_probed_yet_is_counted() {
    let loaded = fleet_of(include_str!("warnings.conf"));
    let counted: Vec<_> = loaded.fleet.not_probed.into_iter().collect();
    assert_eq!(
        counted,
        [("HTTP_GET".to_owned(), 2), ("SSL_GET".to_owned(), 1), ("vrrp_instance".to_owned(), 1)]
    );
    assert_eq!(loaded.problems.count(Severity::Note), 3);
}

#[test]
fn a_file_is_read_from_disk() {
    let directory = tempfile::tempdir().expect("a directory for temporary files");
    let path = directory.path().join("keepalived.conf");
    std::fs::write(&path, include_str!("warnings.conf")).expect("written");
    let loaded = load(&path, &LoadOptions::default()).expect("valid");
    assert_eq!(loaded.fleet.virtual_servers.len(), 3);
    assert!(loaded.problems.render(false).contains(&path.display().to_string()));
    let error = load(directory.path(), &LoadOptions::default()).expect_err("a directory");
    assert!(error.to_string().starts_with(&format!("cannot read {}", directory.path().display())));
}

#[test]
fn ipv4_mapped_addresses_are_ipv4() {
    let loaded = fleet_of(
        "virtual_server ::ffff:127.0.10.1 80 {
            protocol TCP
            lvs_sched rr
            lvs_method NAT
            real_server ::ffff:127.0.10.11 8080 {
                TCP_CHECK { connect_ip ::ffff:127.0.10.12
                    bindto ::ffff:127.0.0.9 }
            }
            real_server 127.0.10.13 8080 { TCP_CHECK { } }
        }",
    );
    assert_eq!(loaded.problems.render(false), "");
    let fleet = loaded.fleet;
    assert_eq!(fleet.real_servers[0].address.to_string(), "127.0.10.11:8080");
    assert_eq!(target(&fleet, 0), "127.0.10.12:8080");
    let bindto = spec(&fleet, 0).connection().expect("a network check").bindto;
    assert_eq!(bindto, Some("127.0.0.9".parse().expect("an address")));
    assert_eq!(fleet.virtual_server_label(VirtualServerId(0)).to_string(), "127.0.10.1:80/tcp");
}

/// keepalived takes a first label of one letter for an empty one.
#[test]
fn names_with_labels_of_one_letter_are_names() {
    let fleet = tcp("real_server 10.0.0.2 53 {
            DNS_CHECK { name a.root-servers.net }
            DNS_CHECK { name x }
        }");
    let names = [0, 1].map(|checker| match spec(&fleet, checker) {
        ProbeSpec::Dns(spec) => spec.name.to_string(),
        other => panic!("{other:?}"),
    });
    assert_eq!(names, ["a.root-servers.net.", "x."]);
}

/// keepalived makes the quorum 0 then, and the hysteresis wraps.
#[test]
fn a_quorum_of_servers_without_weight_is_never_reached() {
    let fleet = tcp_saying(
        "quorum 1
        hysteresis 0
        real_server 10.0.0.2 80 {
            weight 0
            TCP_CHECK { }
        }",
        &["W034"],
    );
    assert_eq!((fleet.virtual_servers[0].quorum, fleet.virtual_servers[0].hysteresis), (1, 0));
}
