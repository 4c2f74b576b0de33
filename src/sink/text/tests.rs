use std::collections::BTreeMap;
use std::time::Duration;

use super::*;
use crate::aggregate::{Aggregator, FeedCounts, Percentiles, ShardFailure};
use crate::outcome::{Failure, LocalFault, Outcome, Strange};
use crate::reaper::{ScriptRun, Tail};
use crate::sink::testing::{fleet_catalog, list_catalog, record, script_catalog, script_record};

fn summary_of(catalog: &Catalog, records: &[Record]) -> Summary {
    let mut aggregator = Aggregator::new(catalog.clone(), 1);
    aggregator.add_records(records);
    aggregator.summary(Duration::from_millis(2_100), FeedCounts::default())
}

#[test]
fn a_fleet_with_every_kind_of_trouble() {
    let catalog = fleet_catalog();
    let mut silent = record(2, Outcome::Fail(Failure::Timeout));
    silent.strange = Some(Strange::WrongId);
    silent.attempts = 3;
    let records = [
        record(0, Outcome::Pass),
        record(4, Outcome::Fail(Failure::Rcode(2))),
        silent,
        record(1, Outcome::Unknown(LocalFault::Socket(24))),
        record(5, Outcome::Fail(Failure::ConnectionRefused)),
        record(3, Outcome::Pass),
    ];
    let mut summary = summary_of(&catalog, &records);
    summary.latency_us = Some(Percentiles {
        count: 4,
        p50: 81.2,
        p90: 999.9,
        p99: 1_500.0,
        p99_9: 80_100.0,
        max: 1_200_000.0,
    });
    summary.total = Some(6);
    summary.probes_per_second = 48_123.4;
    summary.limited_by = Some("window");
    summary.datagrams_sent = 12_345;
    summary.connects = 1;
    summary.strange = BTreeMap::from([("late", 2), ("wrong_id", 1_000)]);
    summary.receive_drops = 7;
    summary.window_min = Some(512);
    summary.free_retries = 1;
    summary.stalled_ms = 3_000.0;
    summary.feed.excluded = 2;
    summary.feed.skipped_lines = 1;
    assert_eq!(
        render(&summary, &catalog, &Rest::Rerun, false),
        "\
FAILED: 6 probed in 2.1 s: 2 passed, 3 failed, 1 unknown

 outcome  reason              probes
 pass     ok                       2
 fail     timeout                  1
 fail     connection_refused       1
 fail     rcode                    1
 unknown  local_socket             1

 checker    probes  passed  failed  unknown
 DNS_CHECK       4       1       3        0
 TCP_CHECK       2       1       0        1

 latency      p50       p90     p99    p99.9     max
          81.2 µs  999.9 µs  1.5 ms  80.1 ms  1.20 s

 rate            48,123 probes/s, limited by the window: the targets' round trips (see --window)
 sent            12,345 datagrams, 1 connect, 8 attempts in all
 strange packets 2 late, 1,000 wrong_id
 local trouble   1 probe ended unknown, 7 datagrams dropped by our receive buffers (window down to 512), \
1 attempt repeated because of us, not running for 3.0 s
 not probed yet  3 HTTP_GET
 excluded        2 targets
 skipped         1 bad line

3 failed, in 2 virtual servers:
 virtual_server [2001:db8::1]:53/udp (1 failed)
   10.0.0.3:53 at 10.9.0.3:53  DNS_CHECK  timeout             last ignored reply: wrong_id
 virtual_server group \"a, b\"/udp (2 failed)
   10.0.0.5:53 at 10.9.0.5:53  DNS_CHECK  rcode               SERVFAIL
   10.0.0.6:53 at 10.9.0.6:53  DNS_CHECK  connection_refused

1 unknown (the trouble was ours, not theirs), in 1 virtual server:
 virtual_server 192.0.2.1:53/tcp (1 unknown)
   10.0.0.2:53 at 10.9.0.2:53  TCP_CHECK  local_socket  out of file descriptors: raise ulimit -n (EMFILE)
"
    );
}

#[test]
fn a_list_shows_the_first_twenty_and_where_the_rest_is() {
    let catalog = list_catalog();
    let records: Vec<Record> = (0..25)
        .map(|seq| {
            let mut made = record(seq, Outcome::Fail(Failure::NoAnswer));
            made.spec = crate::id::SpecId(0);
            made
        })
        .collect();
    let summary = summary_of(&catalog, &records);
    let text = render(&summary, &catalog, &Rest::File("out.ndjson".into()), false);
    assert!(text.contains("\n25 failed; the first 20:\n   10.9.0.1:53   DNS_CHECK"), "{text}");
    assert!(text.ends_with("   10.9.0.20:53  DNS_CHECK  no_answer\n 5 more: see out.ndjson\n"));
    assert!(!text.contains("virtual_server"), "{text}");
    let text = render(&summary, &catalog, &Rest::Rerun, false);
    assert!(text.ends_with(" 5 more: run again with -o ndjson --out FILE\n"), "{text}");
    let text = render(&summary, &catalog, &Rest::Stdout, false);
    assert!(!text.contains("10.9.0.1:53"), "the records themselves are on stdout: {text}");
}

#[test]
fn an_interrupted_run_says_so_first_and_colour_is_only_paint() {
    let catalog = list_catalog();
    let mut summary = summary_of(&catalog, &[]);
    summary.interrupted = true;
    summary.total = Some(1_000);
    summary.unfinished = 12;
    summary.shard_failures = vec![];
    let plain = render(&summary, &catalog, &Rest::Rerun, false);
    assert_eq!(
        plain,
        "\
INTERRUPTED: 0 of 1,000 probed in 2.1 s: 0 passed, 0 failed, 0 unknown

 rate            0 probes/s, not limited
 sent            0 datagrams, 0 connects, 0 attempts in all
 strange packets none
 local trouble   none
 unfinished      12 targets handed out and not reported
"
    );
    summary.interrupted = false;
    summary.cut_short = true;
    let text = render(&summary, &catalog, &Rest::Rerun, false);
    assert!(text.starts_with("CUT SHORT: 0 of 1,000 probed"), "{text}");
    summary.interrupted = true;
    let painted = render(&summary, &catalog, &Rest::Rerun, true);
    assert!(painted.starts_with("\x1b[1;33mINTERRUPTED\x1b[0m: 0 of"), "{painted}");
    summary.shard_failures = vec![ShardFailure { shard: 1, error: "no ring".into() }];
    let text = render(&summary, &catalog, &Rest::Rerun, false);
    assert!(text.starts_with("INCOMPLETE: "), "{text}");
    assert!(text.contains("\n shard 1         no ring\n"), "{text}");
}

#[test]
fn numbers_are_grouped_by_thousands() {
    for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
        assert_eq!(grouped(number), text);
    }
}

fn run(stderr: &[u8]) -> ScriptRun {
    ScriptRun {
        queued_ns: 500_000_000,
        startup_ns: Some(200_000),
        run_ns: Some(1_000_000_000),
        stderr: Tail { bytes: stderr.to_vec(), total: stderr.len() as u64 },
        ..ScriptRun::default()
    }
}

fn script_summary(catalog: &Catalog) -> Summary {
    let mut aggregator = Aggregator::new(catalog.clone(), 1);
    let mut failed = run(b"connecting\n\x1b[31mno route, \"sorry\"\x1b[0m\n");
    failed.left_processes = true;
    let mut hung = run(b"");
    hung.is_unkilled = true;
    aggregator.add_records(&[record(2, Outcome::Fail(Failure::Timeout))]);
    aggregator.add_script(&script_record(5, Outcome::Fail(Failure::Timeout)), &hung);
    aggregator.add_script(&script_record(4, Outcome::Fail(Failure::ExitStatus(2))), &failed);
    aggregator.summary(Duration::from_millis(2_100), FeedCounts::default())
}

#[test]
fn scripts_have_a_table_their_last_words_and_warnings() {
    let catalog = script_catalog();
    let summary = script_summary(&catalog);
    assert_eq!(
        render(&summary, &catalog, &Rest::Rerun, false),
        "\
FAILED: 3 probed in 2.1 s: 0 passed, 3 failed, 0 unknown

 outcome  reason       probes
 fail     timeout           2
 fail     exit_status       1

 checker     probes  passed  failed  unknown
 DNS_CHECK        1       0       1        0
 MISC_CHECK       2       0       2        0
 TCP_CHECK        0       0       0        0

 scripts        p50       p90       p99       max
 queued    500.2 ms  500.2 ms  500.2 ms  500.2 ms
 start-up  200.1 µs  200.1 µs  200.1 µs  200.1 µs
 run         1.00 s    1.00 s    1.00 s    1.00 s

 rate            1 probes/s, not limited
 sent            0 datagrams, 0 connects, 3 attempts in all
 strange packets none
 local trouble   none
 not probed yet  3 HTTP_GET
 warning         1 script left processes behind, which were killed: 10.0.0.5:53 /opt/check \
--say '\"it'\\''s\"\u{fffd}'
 warning         1 script has processes that cannot be killed: 10.0.0.6:53 /opt/check \
--say '\"it'\\''s\"\u{fffd}'

3 failed, in 2 virtual servers:
 virtual_server [2001:db8::1]:53/udp (1 failed)
   10.0.0.3:53 at 10.9.0.3:53  DNS_CHECK   timeout
 virtual_server group \"a, b\"/udp (2 failed)
   10.0.0.5:53                 MISC_CHECK  exit_status  exit status 2: no route, \"sorry\"
   10.0.0.6:53                 MISC_CHECK  timeout
"
    );
}

#[test]
fn a_short_text_names_no_server_and_a_failed_reaper_is_told() {
    let mut summary = script_summary(&script_catalog());
    summary.reaper_failure = Some("no process".into());
    if let Some(scripts) = &mut summary.scripts {
        scripts.unowned_killed = 2;
    }
    let text = short_text(&summary, false);
    assert!(text.starts_with("INCOMPLETE: 3 probed"), "{text}");
    assert!(text.contains("\n scripts         no process\n"), "{text}");
    assert!(text.contains(" left processes behind, which were killed\n"), "{text}");
    let unowned = "2 strays of scripts killed: which scripts left them is not known\n";
    assert!(text.contains(unowned), "{text}");
}
