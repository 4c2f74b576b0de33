//! Nothing is allocated while probes run: not by the shards, nor by the feeder, the aggregator or the
//! NDJSON sink. In an open loop, and where servers fail, only what grows to its greatest size once: buffers
//! that a stall fills further than any before, queues of retries, the list of the first failures. Alone in
//! its program, whose allocator counts for all threads; the servers are another process.

use std::alloc::System;
use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::process::{Child, Command, Stdio};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use hickory_proto::rr::{Name, RecordType};
use ringprobe::aggregate::Summary;
use ringprobe::fleet::{Connection, DnsRequire, DnsSpec, Handshake, ProbeSpec, TcpSpec};
use ringprobe::outcome::Record;
use ringprobe::schedule::pace::{Pace, Span};
use ringprobe::sink::{Context, NdjsonSink, Output, RunInfo, Sink, SinkError};
use ringprobe::sweep::{Input, ListSpecs, SweepRequest, Windows, run};
use ringprobe::tick::{Tick, monotonic_now};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, Stats, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const PORT: u16 = 5880;
/// Of the fleet in which servers fail.
const FAILING_PORT: u16 = 5890;
/// A fifth says nothing: DNS by address, TCP at a port of its own, the second above. The one above refuses.
const FAULTS: &str = "silent=20%";
/// In an open loop and where servers fail: what doubles as it grows does so that often at most, in all threads
/// together, however many probes there are.
const GROWTHS_MAX: usize = 64;
/// A thread that comes to wait for the first time allocates once, and on a busy machine that may be late;
/// what allocates for its probes does so in every run.
const TRIES: u32 = 3;
/// Probes a second of the open loop.
const RATE: f64 = 20_000.0;
const SERVERS: u32 = 2_000;
/// Before this many records everything has happened once that allocates when it does.
const WARM_UP: u64 = 20_000;
/// Counted at least.
const PROBES: u64 = 100_000;
/// Counted at least, so that shards tell their counters a few times.
const TIME: Duration = Duration::from_millis(1_600);
/// Long enough for every queue on the way to fill up, or to run empty.
const PAUSE: Duration = Duration::from_millis(200);

/// The embedded fleet in a process of its own.
struct Servers(Child);

impl Servers {
    fn start(port: u16, faults: &[&str]) -> Servers {
        let directory = tempfile::tempdir().expect("a directory");
        let truth = directory.path().join("truth");
        let child = Command::new(env!("CARGO_BIN_EXE_ringprobe"))
            .args(["respond", "--for", "170s", "--script-share", "0%"])
            .args(["--port", &port.to_string(), "--servers", &SERVERS.to_string(), "--truth"])
            .arg(&truth)
            .args(faults)
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        let servers = Servers(child);
        let deadline = monotonic_now() + Duration::from_secs(30);
        // Its sockets are open before the truth is written.
        while std::fs::read_to_string(&truth).map_or(0, |text| text.lines().count()) == 0 {
            assert!(monotonic_now() < deadline, "the servers do not serve");
            thread::park_timeout(Duration::from_millis(10));
        }
        servers
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        // A process of ours, which nothing else ends.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// NDJSON to nowhere, and the count between two of its batches.
struct Meter {
    sink: NdjsonSink,
    probed: u64,
    passed: u64,
    /// Since the end of the warm-up: when that was, and probes before it.
    counted: Option<(Region<'static, System>, Tick, u64)>,
    has_paused: bool,
    result: Option<(Stats, u64)>,
    done: Arc<AtomicBool>,
}

impl Sink for Meter {
    fn begin(&mut self, run: &RunInfo) -> Result<(), SinkError> {
        self.sink.begin(run)
    }

    fn records(&mut self, batch: &[Record], context: &Context<'_>) -> Result<(), SinkError> {
        self.probed += batch.len() as u64;
        self.passed += batch.iter().filter(|record| record.outcome.name() == "pass").count() as u64;
        self.sink.records(batch, context)?;
        if !self.has_paused && self.probed >= WARM_UP / 4 {
            // A slow output: the shards fill all batches, stop, and the feeder waits for them.
            self.has_paused = true;
            thread::park_timeout(PAUSE);
        }
        match &self.counted {
            None if self.probed >= WARM_UP => {
                self.counted = Some((Region::new(ALLOCATOR), monotonic_now(), self.probed));
            }
            Some((region, since, before))
                if self.result.is_none()
                    && self.probed >= before + PROBES
                    && monotonic_now().since(*since) >= TIME =>
            {
                self.result = Some((region.change(), self.probed - before));
                self.done.store(true, Ordering::Relaxed);
            }
            _ => (),
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        self.sink.flush()
    }

    fn finish(&mut self, summary: &Summary, context: &Context<'_>) -> Result<(), SinkError> {
        self.sink.finish(summary, context)
    }
}

/// Sweeps the fleet again and again, at these ports in turn, until enough was counted; of 100 probes, so many pass.
fn count(
    spec: ProbeSpec,
    ports: [u16; 5],
    passing: RangeInclusive<u64>,
    change: impl FnOnce(&mut SweepRequest),
) -> (Stats, u64) {
    let done = Arc::new(AtomicBool::new(false));
    let is_done = Arc::clone(&done);
    // The first addresses of the network that the fleet stands in.
    let address = |host: u32| Ipv4Addr::from(u32::from_be_bytes([127, 64, 0, 1]) + host % SERVERS);
    let targets = (0_u32..).map_while(move |number| {
        if is_done.load(Ordering::Relaxed) {
            return None;
        }
        if u64::from(number) == WARM_UP / 2 {
            // A slow input: the shards find nothing to do and wait for it.
            thread::park_timeout(PAUSE);
        }
        // Each address has each port in turn.
        let port = ports[(number / SERVERS + number) as usize % ports.len()];
        Some(Ok(Some(SocketAddr::new(address(number).into(), port))))
    });
    let specs = Box::new(ListSpecs { ipv4: Some(spec.clone()), ipv6: None });
    let mut request = SweepRequest::new(Input::Targets { addresses: Box::new(targets), specs });
    // The first wait at each end of a channel allocates once. With one shard the pauses make each of
    // them wait; with two, the feeder may wait for the second one only much later.
    request.shards = 1;
    request.window = Windows::Each(512);
    change(&mut request);
    let null = File::options().write(true).open("/dev/null").expect("the device");
    let mut meter = Meter {
        sink: NdjsonSink::new(Output::on("null".into(), null)),
        probed: 0,
        passed: 0,
        counted: None,
        has_paused: false,
        result: None,
        done,
    };
    let summary = run(request, Arc::default(), &mut (), &mut meter).expect("it runs");
    assert_eq!(summary.counts.probed, meter.probed);
    let passed = meter.passed * 100 / meter.probed;
    assert!(passing.contains(&passed), "{passed} of 100 passed: {:?}", summary.counts);
    meter.result.expect("it was counted")
}

fn specs(timeout: Duration) -> [(&'static str, ProbeSpec); 2] {
    let connection = Connection { timeout, ..Connection::default() };
    let dns = ProbeSpec::Dns(DnsSpec {
        connection: connection.clone(),
        name: Name::from_str("www.example.test.").expect("a literal"),
        record_type: RecordType::A,
        require: DnsRequire::Answer,
    });
    let tcp = ProbeSpec::Tcp(TcpSpec { connection, handshake: Handshake::Half });
    [("DNS", dns), ("TCP half", tcp)]
}

/// One test, as the allocator counts for whatever runs at the same time.
#[test]
fn nothing_is_allocated_while_probes_run() {
    let servers = Servers::start(PORT, &[]);
    let open_loop = |request: &mut SweepRequest| {
        request.pace = Pace::Due { per_second: RATE, phase: 0.0 };
        // The input ends before: when enough was counted.
        request.span = Some(Span::new(Duration::from_secs(3600)));
        request.retries = Some(0);
    };
    for (what, spec) in specs(Duration::from_secs(1)) {
        for is_open_loop in [false, true] {
            let growths_max = if is_open_loop { GROWTHS_MAX } else { 0 };
            let mut least = usize::MAX;
            for _ in 0..TRIES {
                let (stats, probes) = count(spec.clone(), [PORT; 5], 99..=100, |request| {
                    if is_open_loop {
                        open_loop(request);
                    }
                });
                assert!(probes >= PROBES);
                println!("{what}, open loop: {is_open_loop}, {probes} probes: {stats:?}");
                least = least.min(stats.allocations + stats.reallocations);
                if least <= growths_max {
                    break;
                }
            }
            assert!(least <= growths_max, "{what}, open loop: {is_open_loop}: {least} at least");
        }
    }
    drop(servers);

    let _servers = Servers::start(FAILING_PORT, &["--faults", FAULTS]);
    let [good, refuses, silent] = [0, 1, 2].map(|above| FAILING_PORT + above);
    for (what, spec) in specs(Duration::from_millis(50)) {
        let fifth = if what == "DNS" { good } else { silent };
        for retries in [0, 1] {
            let ports = [refuses, fifth, good, good, good];
            let (stats, probes) = count(spec.clone(), ports, 30..=80, |request| {
                request.retries = Some(retries);
            });
            assert!(probes >= PROBES);
            assert!(
                stats.allocations + stats.reallocations <= GROWTHS_MAX,
                "{what}, {retries} retries, {probes} probes: {stats:?}"
            );
        }
    }
}
