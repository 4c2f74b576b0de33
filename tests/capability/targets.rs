//! Target lists: every form of line, bad lines, exclusions, parts, and memory that does not grow.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufWriter, Write};

use crate::support::{Child, Fleet, Report, Sweep, wait_for};

/// Nothing listens on it, and everything here is asked once.
const CLOSED: &str = "--check dns --port 20555 --retries 0 --timeout 2s";

fn targets_of(report: &Report) -> Vec<&str> {
    let mut targets: Vec<&str> = report.probes.iter().map(|probe| probe.target.as_str()).collect();
    targets.sort_unstable();
    targets
}

#[test]
fn every_form_of_line_from_a_file_and_from_standard_input() {
    let list = "\
# a comment
127.81.0.1
127.81.0.2:20556   # another

127.81.1.0/30
127.81.2.250-127.81.3.1
127.81.4.7-9
[::1]:20557
::1
";
    let expected = BTreeSet::from([
        "127.81.0.1:20555",
        "127.81.0.2:20556",
        "127.81.1.0:20555",
        "127.81.1.1:20555",
        "127.81.1.2:20555",
        "127.81.1.3:20555",
        "127.81.2.250:20555",
        "127.81.2.251:20555",
        "127.81.2.252:20555",
        "127.81.2.253:20555",
        "127.81.2.254:20555",
        "127.81.2.255:20555",
        "127.81.3.0:20555",
        "127.81.3.1:20555",
        "127.81.4.7:20555",
        "127.81.4.8:20555",
        "127.81.4.9:20555",
        "[::1]:20557",
        "[::1]:20555",
    ]);
    let file = tempfile::NamedTempFile::new().expect("a file");
    fs::write(file.path(), list).expect("room");
    let from_file = Sweep::new(&format!("--targets {} {CLOSED}", file.path().display())).report();
    let from_input = Sweep::new(&format!("--targets - {CLOSED}")).input(list).report();
    for (report, code) in [from_file, from_input] {
        assert_eq!(code, 1);
        let verdicts = report.by_target();
        assert_eq!(verdicts.keys().copied().collect::<BTreeSet<_>>(), expected);
        for (target, verdict) in verdicts {
            assert_eq!(verdict, "fail connection_refused", "{target}");
        }
        for probe in &report.probes {
            assert_eq!((&probe.virtual_server, &probe.real_server), (&None, &None));
        }
    }
}

#[test]
fn a_bad_line_is_an_error_with_its_number() {
    let list = "127.81.5.1\n127.81.5.2\n\n127.81.5.300\n127.81.5.4\nno address\n127.81.5.5:0\n";
    let finished = Sweep::new(&format!("--targets - {CLOSED}")).input(list).run();
    assert_eq!(finished.code(), 2, "{}", finished.stderr);
    assert!(finished.stderr.contains(":4: \"127.81.5.300\": "), "{}", finished.stderr);

    let flags = format!("--targets - --skip-bad {CLOSED}");
    let (report, code) = Sweep::new(&flags).input(list).report();
    assert_eq!((code, report.count("skipped_lines")), (1, 3));
    let expected = ["127.81.5.1:20555", "127.81.5.2:20555", "127.81.5.4:20555"];
    assert_eq!(targets_of(&report), expected);
}

#[test]
fn a_list_that_is_missing_or_empty_is_a_usage_error() {
    for (flags, word) in [
        (format!("--targets /nonexistent/list {CLOSED}"), "/nonexistent/list"),
        (format!("--targets - {CLOSED}"), "nothing to probe"),
        ("--targets - --check tcp".to_owned(), "--port"),
    ] {
        let input = if flags.ends_with("tcp") { "127.81.6.1\n" } else { "# nobody\n" };
        let finished = Sweep::new(&flags).input(input).run();
        assert_eq!(finished.code(), 2, "{flags}: {}", finished.stderr);
        assert!(finished.stderr.contains(word), "{flags}: {}", finished.stderr);
    }
}

#[test]
fn excluded_addresses_are_never_asked() {
    let exclude = tempfile::NamedTempFile::new().expect("a file");
    fs::write(exclude.path(), "127.82.0.0/25\n127.82.0.200-210\n127.82.1.1\n").expect("room");
    let flags = format!("--targets - --exclude {} {CLOSED}", exclude.path().display());
    let list = "127.82.0.0/24\n127.82.1.0/30\n";
    let (report, _) = Sweep::new(&flags).input(list).report();
    let expected: BTreeSet<String> = (128..=255)
        .filter(|host| !(200..=210).contains(host))
        .map(|host| format!("127.82.0.{host}:20555"))
        .chain([0, 2, 3].map(|host| format!("127.82.1.{host}:20555")))
        .collect();
    let found: BTreeSet<String> = targets_of(&report).into_iter().map(str::to_owned).collect();
    assert_eq!(found, expected);
    assert_eq!(report.count("excluded"), 128 + 11 + 1);
}

#[test]
fn the_parts_of_a_list_are_disjoint_and_make_the_whole() {
    let fleet = Fleet::start(None, 20_520, 1_000, "--net 127.83.0.0/16");
    let list = "127.84.0.0/22\n127.84.9.1\n127.84.9.2\n";
    let of_list =
        |part: &str| Sweep::new(&format!("--targets - {CLOSED} {part}")).input(list).report().0;
    let of_fleet = |part: &str| Sweep::new(&fleet.sweep(part)).report().0;
    let parts = |sweep: &dyn Fn(&str) -> Report, whole: usize| {
        let all = sweep("");
        assert_eq!(all.probes.len(), whole);
        let mut seen = BTreeMap::<String, u32>::new();
        for part in 1..=7 {
            let report = sweep(&format!("--shard {part}/7"));
            let share = report.probes.len();
            assert!(share.abs_diff(whole / 7) <= 1, "part {part} has {share} of {whole}");
            for probe in report.probes {
                *seen.entry(probe.target).or_default() += 1;
            }
        }
        assert_eq!(seen.len(), whole);
        assert!(seen.values().all(|times| *times == 1), "a target is in two parts");
        let again = sweep("--shard 3/7");
        assert_eq!(targets_of(&again), targets_of(&sweep("--shard 3/7")), "parts are the same");
    };
    parts(&of_list, 1026);
    parts(&of_fleet, 1_000);
}

/// Largest resident memory of a program so far, in KiB; `None` once it has ended.
fn peak_kib(child: &Child) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// Runs a sweep over what `write` puts on its standard input; peak memory and report.
fn peak_of(flags: &str, write: impl FnOnce(&mut dyn Write) + Send + 'static) -> (u64, Report) {
    let out = tempfile::NamedTempFile::new().expect("a file");
    let flags = format!("--targets - {flags} -q -o ndjson --out {}", out.path().display());
    let write = |pipe: &mut dyn Write| write(&mut BufWriter::with_capacity(1 << 16, pipe));
    let mut sweep = Sweep::new(&flags).written_by(write).start();
    let mut peak = 0;
    wait_for("the end of the sweep", || {
        peak = peak_kib(&sweep).unwrap_or(0).max(peak);
        sweep.has_ended().then_some(())
    });
    let finished = sweep.finish();
    assert_eq!((finished.code(), finished.stderr.as_str()), (1, ""));
    (peak, Report::parse(&fs::read_to_string(out.path()).expect("written")))
}

#[test]
fn a_million_targets_take_no_more_memory_than_a_few() {
    // 64 MiB, the bar of the design; what is really needed is a fraction of it.
    let most_kib = 64 * 1024;
    // The same window and sockets, so that the program's own is the same.
    let few = "127.85.0.0/18\n";
    let (own, report) = peak_of(CLOSED, |list| list.write_all(few.as_bytes()).expect("read"));
    assert_eq!(report.count("probed"), 1 << 14);

    let (of_prefix, report) = peak_of(CLOSED, |list| {
        list.write_all(b"127.96.0.0/12\n").expect("read");
    });
    assert_eq!(report.count("probed"), 1 << 20);
    assert!(of_prefix <= own + most_kib, "{of_prefix} KiB, of which {own} are the program's own");
}

#[test]
fn ten_million_lines_are_streamed() {
    // One part of ten thousand is probed; all ten million lines are read.
    let flags = format!("{CLOSED} --shard 1/10000");
    let (own, _) = peak_of(&flags, |list| list.write_all(b"127.86.0.1\n").expect("read"));
    let (peak, report) = peak_of(&flags, |list| {
        for number in 0..10_000_000_u32 {
            let [_, b, c, d] = (0x7f00_0000 + number).to_be_bytes();
            writeln!(list, "127.{b}.{c}.{d}").expect("read");
        }
    });
    assert_eq!(report.count("probed"), 1_000);
    assert!(peak <= own + 64 * 1024, "{peak} KiB, of which {own} are the program's own");
}
