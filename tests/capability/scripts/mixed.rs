//! DNS, TCP and scripts in one sweep: the scripts take nothing from the others.

use std::fmt::Write;
use std::fs;

use super::found;
use crate::support::{Fleet, Probe, Report, Sweep};

/// How often the machine may spoil the comparison.
const TRIALS: u32 = 3;

/// A configuration of servers with checks of one kind.
fn servers(conf: &mut String, number: usize, protocol: &str, targets: &[String], check: &str) {
    for (group, targets) in targets.chunks(100).enumerate() {
        let address = format!("10.{number}.{}.{}", group / 250, group % 250 + 1);
        let head = " delay_loop 6\n lvs_sched rr\n lvs_method NAT\n";
        writeln!(conf, "virtual_server {address} 53 {{\n{head} protocol {protocol}")
            .expect("memory");
        for target in targets {
            let target = target.replace(':', " ");
            writeln!(conf, " real_server {target} {{\n{check}\n }}").expect("memory");
        }
        conf.push_str("}\n");
    }
}

/// p50, p99 and largest latency of the answers to one kind of check, in microseconds.
fn percentiles(report: &Report, checker: &str) -> [f64; 3] {
    let of_kind = report.probes.iter().filter(|probe| probe.checker == checker);
    let mut all: Vec<f64> = of_kind.filter_map(|probe| probe.latency_us).collect();
    all.sort_by(f64::total_cmp);
    [50, 99, 100].map(|percent| all[(all.len() * percent / 100).min(all.len() - 1)])
}

/// Records of one kind that passed.
fn passed<'r>(report: &'r Report, checker: &'r str) -> impl Iterator<Item = &'r Probe> {
    report.probes.iter().filter(move |probe| probe.checker == checker && probe.outcome == "pass")
}

#[test]
fn a_hundred_scripts_change_no_verdict_of_ten_thousand() {
    let fleet = Fleet::start(None, 20_550, 12_000, "--net 127.84.0.0/16 --tcp-share 20%");
    let (mut dns, mut tcp) = (fleet.targets("DNS_CHECK"), fleet.targets("TCP_CHECK"));
    dns.truncate(9_000);
    tcp.truncate(900);
    assert_eq!((dns.len(), tcp.len()), (9_000, 900));
    let directory = tempfile::tempdir().expect("a directory");
    let user = nix::unistd::User::from_uid(nix::unistd::geteuid()).expect("users").expect("ours");

    let mut without = format!("global_defs {{\n script_user {}\n}}\n", user.name);
    let check = "  DNS_CHECK {\n   type A\n   name www.example.test\n   connect_timeout 5\n  }";
    servers(&mut without, 0, "UDP", &dns, check);
    servers(&mut without, 1, "TCP", &tcp, "  TCP_CHECK {\n   connect_timeout 5\n  }");
    let mut with = without.clone();
    let scripted: Vec<String> = (1..=100).map(|host| format!("127.95.9.{host}:80")).collect();
    let check = "  MISC_CHECK {\n   misc_path \"/bin/sleep 1\"\n   misc_timeout 60\n  }";
    servers(&mut with, 2, "TCP", &scripted, check);

    // Other tests share the cores, and now and then disturb one half of the rounds more than the other. An
    // engine whose scripts are in the way of its probes is slower every time: a reaper that only spins
    // made it 3 to 7 times, where none differ by a tenth.
    let mut said = String::new();
    for _ in 0..TRIALS {
        let mut of_all = [Vec::new(), Vec::new()];
        for round in 0..3 {
            for (what, conf, scripts) in [("without", &without, 0), ("with", &with, 100)] {
                let path = directory.path().join(what);
                fs::write(&path, conf).expect("room");
                // As many scripts at once as there are by default, all the while that packets are sent.
                let flags = format!("-f {} -o ndjson -q --rate 2000", path.display());
                let finished = Sweep::new(&flags).run();
                assert_eq!(finished.code(), 0, "{what} scripts: {}", finished.stderr);
                let report = Report::parse(&finished.stdout);
                let counts = ["DNS_CHECK", "TCP_CHECK", "MISC_CHECK"]
                    .map(|kind| passed(&report, kind).count());
                assert_eq!(counts, [9_000, 900, scripts]);
                assert_eq!(report.count("probed"), 9_900 + scripts as u64);
                for probe in passed(&report, "MISC_CHECK") {
                    assert_eq!(found(probe), "pass ok");
                    assert!(probe.latency_us.is_some_and(|us| us >= 1e6), "{probe:?}");
                }
                let [half, most, all] = percentiles(&report, "DNS_CHECK");
                eprintln!(
                    "round {round} {what} scripts: DNS p50 {half} us, p99 {most} us, max {all} us"
                );
                of_all[usize::from(scripts > 0)].push(most);
            }
        }
        let [without, with] = of_all.map(|mut all| {
            all.sort_by(f64::total_cmp);
            all[all.len() / 2]
        });
        if with <= 2.0 * without + 200.0 {
            return;
        }
        writeln!(said, "p99 with scripts {with} us, without {without} us").expect("memory");
    }
    panic!("{said}");
}
