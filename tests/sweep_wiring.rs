//! A sweep from end to end with made-up shards: what comes in is dealt, counted and written, whatever
//! goes wrong on the way.

use std::fs::{self, File};
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crossbeam_channel::RecvTimeoutError;
use hdrhistogram::Histogram;
use ringprobe::aggregate::Summary;
use ringprobe::fleet::{Connection, Handshake, LoadOptions, ProbeSpec, TcpSpec, load_text};
use ringprobe::outcome::{Assignment, Failure, LocalFault, Outcome, Record};
use ringprobe::ring::RingError;
use ringprobe::schedule::pace::Span;
use ringprobe::shard::PreparedSpec;
use ringprobe::shard::link::{Links, Report, ShardConfig, ShardStats};
use ringprobe::sink::{NdjsonSink, Output, Sink, Tee};
use ringprobe::sweep::{
    Backend, BadTarget, Exclude, Input, ListSpecs, Part, Progress, Standing, SweepError,
    SweepRequest, run_with,
};
use ringprobe::tick::monotonic_now;

/// Shards that answer from the last byte of the address instead of asking anyone.
#[derive(Default)]
struct Table {
    /// Shards with an id below this end at once with an error.
    broken: u32,
    /// Time each batch takes.
    pace: Duration,
}

impl Backend for Table {
    fn name(&self) -> &'static str {
        "table"
    }

    fn run_shard(&self, _specs: Arc<[PreparedSpec]>, config: ShardConfig, links: Links) {
        let Links { assignments, reports, empties, ready, stop, .. } = links;
        drop(ready);
        if config.id.0 < self.broken {
            let error = RingError::Unavailable { reason: "broken".into(), remedy: "none".into() };
            reports.send(Report::Ended(config.id, Err(error))).expect("the aggregator listens");
            return;
        }
        let mut stats = ShardStats {
            datagrams_sent: 0,
            datagrams_received: 0,
            connects: 0,
            strange: [0; 7],
            receive_drops: 0,
            free_retries: 0,
            soft_send_errors: 0,
            stalled_ns: 0,
            stalled_in_span_ns: 0,
            moments_taken: 0,
            window_now: config.window,
            window_min: config.window,
            in_flight: 0,
            limited_ns: [0; 9],
            turns: 0,
            latency: Histogram::new(3).expect("3 digits are allowed"),
        };
        while !stop.load(Ordering::Relaxed) {
            let batch = match assignments.recv_timeout(Duration::from_millis(10)) {
                Ok(batch) => batch,
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => break,
            };
            if !self.pace.is_zero() {
                // Nobody unparks this thread, so it waits.
                std::thread::park_timeout(self.pace);
            }
            let mut records = empties.try_recv().unwrap_or_default();
            assert!(records.is_empty(), "an empty batch that is not empty came back");
            records.extend(batch.iter().map(answer));
            stats.connects += records.len() as u64;
            for record in &records {
                stats.latency.record(record.latency_ns.unwrap_or(1)).expect("auto-resizing");
            }
            reports.send(Report::Records(config.id, records)).expect("the aggregator listens");
        }
        reports.send(Report::Stats(config.id, Box::new(stats))).expect("the aggregator listens");
        reports.send(Report::Ended(config.id, Ok(()))).expect("the aggregator listens");
    }
}

fn answer(assignment: &Assignment) -> Record {
    let at = monotonic_now();
    Record {
        seq: assignment.seq,
        target: assignment.target,
        spec: assignment.spec,
        outcome: truth(assignment.target),
        attempts: 1,
        latency_ns: Some(1_000),
        due: at - Duration::from_micros(1),
        at,
        strange: None,
    }
}

fn truth(target: SocketAddr) -> Outcome {
    let SocketAddr::V4(target) = target else { unreachable!("the lists here are IPv4") };
    match target.ip().octets()[3] {
        1 => Outcome::Fail(Failure::Timeout),
        2 => Outcome::Fail(Failure::Rcode(2)),
        3 => Outcome::Unknown(LocalFault::Port),
        _ => Outcome::Pass,
    }
}

fn request(
    addresses: impl Iterator<Item = Result<SocketAddr, BadTarget>> + Send + 'static,
) -> SweepRequest {
    let spec = Some(ProbeSpec::Tcp(TcpSpec {
        connection: Connection::default(),
        handshake: Handshake::Half,
    }));
    let specs = Box::new(ListSpecs { ipv4: spec.clone(), ipv6: spec });
    let mut request = SweepRequest::new(Input::Targets {
        addresses: Box::new(addresses.map(|address| address.map(Some))),
        specs,
    });
    request.shards = 2;
    request
}

fn addresses(count: u32) -> impl Iterator<Item = Result<SocketAddr, BadTarget>> + Send + 'static {
    (0..count).map(|number| Ok(SocketAddr::new(Ipv4Addr::from(0x0a00_0000 + number).into(), 53)))
}

fn sweep(table: Table, request: SweepRequest, sink: &mut dyn Sink) -> Result<Summary, SweepError> {
    run_with(Arc::new(table), request, Arc::default(), &mut (), sink)
}

fn ndjson(path: &Path) -> NdjsonSink {
    NdjsonSink::new(Output::file(path).expect("a file"))
}

/// Every line of a report, each of which must be whole.
fn lines(path: &Path) -> Vec<serde_json::Value> {
    let text = fs::read_to_string(path).expect("readable");
    assert!(text.ends_with('\n'), "the report ends in half a line: {:?}", text.lines().last());
    text.lines().map(|line| serde_json::from_str(line).expect("a whole record")).collect()
}

#[test]
fn every_target_is_probed_once_counted_and_written() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("out");
    let summary = sweep(Table::default(), request(addresses(10_000)), &mut ndjson(&path))
        .expect("nothing goes wrong");
    // 10,000 addresses from 10.0.0.0 on have each last byte below 16 forty times.
    let counts = summary.counts;
    assert_eq!((counts.probed, counts.failed, counts.unknown), (10_000, 80, 40));
    assert_eq!(summary.connects, 10_000);
    assert_eq!(summary.unfinished, 0);
    assert_eq!(summary.latency_us.expect("measured").count, 10_000);
    let listed: Vec<u64> = summary.failing.records.iter().map(|record| record.seq).collect();
    assert_eq!(listed[..4], [1, 2, 257, 258]);

    let lines = lines(&path);
    assert_eq!(lines.len(), 10_002);
    assert_eq!(lines[0]["type"], "run");
    assert_eq!(lines[0]["backend"], "table");
    assert_eq!(lines[0]["config"], serde_json::Value::Null);
    assert_eq!(lines[10_001]["type"], "summary");
    assert_eq!(lines[10_001]["reasons"]["timeout"], 40);
    assert_eq!(lines[10_001]["interrupted"], false);
    let mut targets: Vec<&str> =
        lines[1..10_001].iter().map(|line| line["target"].as_str().expect("text")).collect();
    targets.sort_unstable();
    targets.dedup();
    assert_eq!(targets.len(), 10_000);
}

#[test]
fn scripts_and_checks_over_the_network_are_not_measured_together() {
    let conf = "virtual_server 127.0.0.1 80 {\n lvs_sched rr\n lvs_method NAT\n protocol TCP\n \
                real_server 127.0.0.1 9 {\n TCP_CHECK {\n connect_timeout 1\n }\n MISC_CHECK {\n \
                misc_path /bin/true\n user root\n }\n }\n}\n";
    let loaded = load_text("x.conf", conf.into(), &LoadOptions::default()).expect("good");
    let input = Input::Fleet { fleet: Arc::new(loaded.fleet), path: "x.conf".into() };
    let mut request = SweepRequest::new(input);
    request.span = Some(Span::new(Duration::from_millis(10)));
    let refused = sweep(Table::default(), request, &mut Tee::default());
    assert!(matches!(refused, Err(SweepError::ScriptsAmongOthers)), "{refused:?}");
}

/// Raises the flag as soon as it sees the first outcomes.
struct StopEarly(Arc<AtomicBool>);

impl Progress for StopEarly {
    fn update(&mut self, now: &Standing) {
        if now.counts.probed > 0 {
            self.0.store(true, Ordering::Relaxed);
        }
    }
}

#[test]
fn a_stop_in_the_middle_keeps_what_is_known_and_whole_lines() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("out");
    let stop = Arc::new(AtomicBool::new(false));
    let table = Table { pace: Duration::from_millis(5), ..Table::default() };
    let summary = run_with(
        Arc::new(table),
        request(addresses(100_000_000)),
        Arc::clone(&stop),
        &mut StopEarly(Arc::clone(&stop)),
        &mut ndjson(&path),
    )
    .expect("a stop is no error");
    assert!(summary.interrupted);
    assert!(summary.counts.probed > 0 && summary.counts.probed < 100_000_000);
    assert!(summary.unfinished > 0, "the queues were full: {summary:?}");
    let lines = lines(&path);
    assert_eq!(lines.len() as u64, summary.counts.probed + 2);
    assert_eq!(lines[lines.len() - 1]["interrupted"], true);
}

#[test]
fn a_stop_does_not_wait_for_an_input_that_hangs() {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let hanging = std::iter::once_with(move || {
        let mut reader = reader;
        // Returns when the writer goes away at the end of this test.
        let _ = reader.read(&mut [0]);
        Err(BadTarget::Read("the end".into()))
    });
    let stop = Arc::new(AtomicBool::new(true));
    let result = run_with(
        Arc::new(Table::default()),
        request(addresses(3).chain(hanging)),
        stop,
        &mut (),
        &mut Tee::default(),
    );
    assert!(result.expect("a stop is no error").interrupted);
    drop(writer);
}

#[test]
fn a_full_disk_ends_the_sweep_with_an_error_that_names_it() {
    let mut sink = ndjson(Path::new("/dev/full"));
    let error = sweep(Table::default(), request(addresses(1_000_000)), &mut sink)
        .expect_err("the device is full");
    let SweepError::Output { error, summary } = error else { panic!("{error:?}") };
    assert!(error.to_string().starts_with("cannot write to /dev/full: No space left on device"));
    assert_eq!(error.records, 0);
    assert!(summary.counts.probed < 1_000_000, "the sweep went on without its report");
}

#[test]
fn a_closed_pipe_is_told_apart() {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let file = File::from(OwnedFd::from(writer));
    let mut sink = NdjsonSink::new(Output::on("pipe".into(), file));
    let error =
        sweep(Table::default(), request(addresses(100_000)), &mut sink).expect_err("nobody reads");
    let SweepError::Output { error, .. } = error else { panic!("{error:?}") };
    assert!(error.is_closed_pipe());
}

#[test]
fn a_bad_line_ends_the_sweep_unless_skipped() {
    let list = || {
        let bad = std::iter::once_with(|| Err(BadTarget::Line("list:4: not a target".into())));
        addresses(3).chain(bad).chain(addresses(2))
    };
    let error =
        sweep(Table::default(), request(list()), &mut Tee::default()).expect_err("line 4 is bad");
    assert!(matches!(error, SweepError::Target { .. }));
    assert_eq!(error.to_string(), "list:4: not a target");

    let mut skipping = request(list());
    skipping.skip_bad = true;
    let summary = sweep(Table::default(), skipping, &mut Tee::default()).expect("skipped");
    assert_eq!((summary.counts.probed, summary.feed.skipped_lines), (5, 1));
}

#[test]
fn one_broken_shard_is_reported_and_all_broken_is_an_error() {
    let table = Table { broken: 1, ..Table::default() };
    let summary = sweep(table, request(addresses(10_000)), &mut Tee::default())
        .expect("the other shard lives");
    assert_eq!(summary.shard_failures.len(), 1);
    assert_eq!(summary.shard_failures[0].shard, 0);
    // What waited in the broken shard's queue is lost, and said to be.
    assert_eq!(summary.counts.probed + summary.unfinished, 10_000);
    assert!(summary.counts.probed >= 5_000);

    let table = Table { broken: 2, ..Table::default() };
    let error =
        sweep(table, request(addresses(10_000)), &mut Tee::default()).expect_err("no shard lives");
    assert_eq!(
        error.to_string(),
        "the engine could not run: io_uring is not available: broken (none)"
    );
}

#[test]
fn nothing_to_probe_is_an_error_but_an_empty_part_is_not() {
    let error = sweep(Table::default(), request(addresses(0)), &mut Tee::default())
        .expect_err("an empty list");
    assert!(matches!(error, SweepError::NothingToProbe { excluded: 0 }));
    let mut excluding = request(addresses(20));
    excluding.exclude = Some(Exclude(Box::new(|_| true)));
    let error =
        sweep(Table::default(), excluding, &mut Tee::default()).expect_err("all are excluded");
    assert_eq!(error.to_string(), "nothing to probe: every target is excluded (20)");
    let mut third = request(addresses(2));
    third.part = Part::new(3, 3).expect("in range");
    let summary = sweep(Table::default(), third, &mut Tee::default()).expect("an empty part");
    assert_eq!(summary.counts.probed, 0);
}

/// Notes the seed that each shard is given.
#[derive(Default)]
struct Seeds(Mutex<Vec<Option<u64>>>);

impl Backend for Seeds {
    fn name(&self) -> &'static str {
        "seeds"
    }

    fn run_shard(&self, specs: Arc<[PreparedSpec]>, config: ShardConfig, links: Links) {
        self.0.lock().expect("no shard panics").push(config.seed);
        Table::default().run_shard(specs, config, links);
    }
}

#[test]
fn every_shard_gets_the_seed_as_given_and_mixes_its_number_in_itself() {
    let seeds = Arc::new(Seeds::default());
    let mut seeded = request(addresses(10));
    seeded.seed = Some(7);
    let backend: Arc<dyn Backend> = Arc::clone(&seeds) as Arc<dyn Backend>;
    run_with(backend, seeded, Arc::default(), &mut (), &mut Tee::default()).expect("a sweep");
    assert_eq!(*seeds.0.lock().expect("no shard panics"), [Some(7), Some(7)]);
}
