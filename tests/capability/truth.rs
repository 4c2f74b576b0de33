//! Every verdict on the embedded fleet is what the fleet was built to deserve, and the report claims
//! exactly the traffic that the kernel counted.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::support::{ALL_FAULTS, Fleet, Namespace, Report, Sweep};

/// Labels of a checker: what a record and a line of the truth have in common.
type Labels = (String, String, String, String);

fn expected(truth: &[Value]) -> BTreeMap<Labels, (String, String)> {
    let text = |line: &Value, field: &str| line[field].as_str().expect(field).to_owned();
    let by_labels: BTreeMap<_, _> = truth
        .iter()
        .map(|line| {
            let [checker, virtual_server, real_server, target] =
                ["checker", "virtual_server", "real_server", "target"].map(|key| text(line, key));
            // A script contacts nobody, so its record has no target.
            let target = if checker == "MISC_CHECK" { String::new() } else { target };
            let labels = (checker, virtual_server, real_server, target);
            (labels, (text(line, "outcome"), text(line, "reason")))
        })
        .collect();
    assert_eq!(by_labels.len(), truth.len(), "the labels tell all checkers apart");
    by_labels
}

/// Exactly one record per checker, with the outcome and reason of the truth.
fn assert_true(report: &Report, truth: &[Value]) {
    let mut left = expected(truth);
    for probe in &report.probes {
        let label = |label: &Option<String>| label.clone().expect("a label");
        let labels = (
            probe.checker.clone(),
            label(&probe.virtual_server),
            label(&probe.real_server),
            probe.target.clone(),
        );
        let expected = left.remove(&labels).unwrap_or_else(|| panic!("second or odd: {probe:?}"));
        assert_eq!((probe.outcome.clone(), probe.reason.clone()), expected, "{probe:?}");
    }
    assert!(left.is_empty(), "no record of {left:?}");
}

fn five_seeds(port: u16, net: &str, shards: u32) {
    for seed in [1, 2, 3, 5, 8] {
        let flags = format!("--seed {seed} --net {net} --faults {ALL_FAULTS} --script-share 2%");
        let fleet = Fleet::start(None, port, 10_000, &flags);
        let truth = fleet.truth();
        let (report, code) = Sweep::new(&fleet.sweep(&format!("--shards {shards}"))).report();
        assert_eq!(code, 1, "there are faults");
        assert_eq!(report.run["shards"], shards);
        assert_eq!(report.run["backend"], "io_uring");
        assert_true(&report, &truth);
        // The fleet is not healthy by accident: each kind of fault shows.
        for reason in ["timeout", "connection_refused", "rcode", "no_answer", "truncated"] {
            assert!(report.count_of(reason) > 30, "seed {seed}: {reason}: {}", report.summary);
        }
        // So does each way in which a script ends.
        for reason in ["exit_status", "signal", "script_not_found"] {
            assert!(report.count_of(reason) > 0, "seed {seed}: {reason}: {}", report.summary);
        }
        for kind in ["wrong_id", "wrong_question", "wrong_port"] {
            assert!(report.summary["strange"][kind].as_u64() > Some(100), "{}", report.summary);
        }
    }
}

#[test]
fn every_verdict_of_five_fleets_is_true_with_one_shard() {
    five_seeds(20_100, "127.64.0.0/16", 1);
}

#[test]
fn every_verdict_of_five_fleets_is_true_with_two_shards() {
    five_seeds(20_110, "127.65.0.0/16", 2);
}

#[test]
fn a_summary_counts_the_probes_that_have_no_record() {
    let flags = format!("--seed 4 --faults {ALL_FAULTS} --script-share 1%");
    let fleet = Fleet::start(None, 20_125, 5_000, &flags);
    let (report, _) = Sweep::new(&fleet.sweep("--shards 2")).report();
    // The text names failures only, so passes are counted and not recorded.
    let text = Sweep::new(&fleet.sweep("--shards 2 -o text")).run().stdout;
    let number = |first: &str, column: usize| -> u64 {
        let mut lines = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        let words = lines.find(|words| words.first() == Some(&first));
        let words = words.unwrap_or_else(|| panic!("no {first} in {text}"));
        words[column].replace(',', "").parse().expect("a number")
    };
    assert_eq!(number("pass", 2), report.count("passed"), "{text}");
    for checker in ["DNS_CHECK", "TCP_CHECK", "MISC_CHECK"] {
        let recorded = report.probes.iter().filter(|probe| probe.checker == checker).count() as u64;
        assert!(recorded > 0, "{checker}");
        assert_eq!(number(checker, 1), recorded, "{text}");
    }
}

#[test]
fn an_answer_that_is_late_once_makes_no_server_fail() {
    let flags = "--delay-every 50:800ms --connect-timeout 500ms --tcp-share 0%";
    let fleet = Fleet::start(None, 20_120, 10_000, flags);
    for shards in [1, 2] {
        // Slowly enough that the late answers come while the sweep still runs.
        let flags = format!("--rate 5000 --shards {shards}");
        let (report, code) = Sweep::new(&fleet.sweep(&flags)).report();
        assert_eq!((code, report.count("passed"), report.count("failed")), (0, 10_000, 0));
        // Every fiftieth was asked again; an answer that came after all decided nothing.
        let again = report.probes.iter().filter(|probe| probe.attempts > 1).count();
        assert!(again >= 150, "{again} of 200 late ones were asked again: {}", report.summary);
        assert!(report.summary["strange"]["late"].as_u64() > Some(50), "{}", report.summary);
    }
    let served = fleet.stop();
    assert!(served.delayed >= 350, "{served:?}");
}

#[test]
#[ignore = "needs root: a network namespace, so that nobody else's traffic is counted"]
fn the_report_claims_what_the_kernel_counted() {
    let namespace = Namespace::new();
    for shards in [1, 2] {
        let flags = format!("--seed {shards} --faults {ALL_FAULTS}");
        let fleet = Fleet::start(Some(&namespace), 20_130, 10_000, &flags);
        let before = namespace.snmp();
        let sweep = fleet.sweep(&format!("--timeout 500ms --shards {shards}"));
        let (report, _) = Sweep::inside(&namespace, &sweep).report();
        let after = namespace.snmp();
        assert_true(&report, &fleet.truth());
        let served = fleet.stop();

        let (sent, connects) = (report.count("datagrams_sent"), report.count("connects"));
        assert_eq!(report.count("attempts"), sent + connects, "{}", report.summary);
        assert_eq!(after.since(&before, "Udp.OutDatagrams"), sent + served.answers);
        // What reached no socket was refused; all else reached the fleet.
        assert_eq!(sent, served.queries + after.since(&before, "Udp.NoPorts"));
        assert_eq!(report.count("datagrams_received"), served.answers);
        assert_eq!(after.since(&before, "Tcp.ActiveOpens"), connects);
        // The default handshake wakes nobody.
        assert_eq!((served.accepted, after.since(&before, "Tcp.PassiveOpens")), (0, 0));
    }
}
