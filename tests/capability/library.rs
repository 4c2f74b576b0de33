//! Ten sweeps in one process through the library leave nothing behind: no descriptor, no thread, no
//! memory. A test program of its own, because it counts what the whole process has open.

use std::collections::HashMap;
use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use ringprobe::aggregate::Summary;
use ringprobe::fleet::{LoadOptions, load};
use ringprobe::outcome::{Outcome, Record};
use ringprobe::respond::{self, Options};
use ringprobe::sink::{Context, RunInfo, Sink, SinkError};
use ringprobe::sweep::{Input, SweepRequest, run};

const ALL_FAULTS: &str = "refuse=1%,silent=1%,servfail=1%,empty=1%,slow=1%:80ms,wrong_id=1%,\
                          wrong_question=1%,foreign_port=1%,truncated=1%";

/// Sweeps that bring every pool and cache to its size before anything is counted.
const WARM_UP: usize = 3;
const SWEEPS: usize = 10;
/// The allocator gives the 5 MiB of a shard's tables back after some sweeps and keeps them after others.
/// A table or buffer ring lost in each sweep would be many times this.
const MEMORY_NOISE_KIB: u64 = 8 * 1024;
/// What is left behind is still there after so many looks.
const LOOKS: u32 = 100;
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Counts the verdicts that differ from the fleet's.
struct Comparison<'a> {
    truth: &'a HashMap<SocketAddr, Outcome>,
    records: u64,
    wrong: Vec<String>,
}

impl Sink for Comparison<'_> {
    fn begin(&mut self, _run: &RunInfo) -> Result<(), SinkError> {
        Ok(())
    }

    fn records(&mut self, batch: &[Record], context: &Context<'_>) -> Result<(), SinkError> {
        for record in batch {
            self.records += 1;
            let (address, _) = context.catalog.real_server(record.seq).expect("of the fleet");
            let expected = self.truth[&address];
            if record.outcome.reason() != expected.reason() {
                self.wrong.push(format!("{record:?}, expected {expected:?}"));
            }
        }
        Ok(())
    }

    fn finish(&mut self, _summary: &Summary, _context: &Context<'_>) -> Result<(), SinkError> {
        Ok(())
    }
}

/// Descriptors, threads and resident KiB of this process.
fn held() -> (usize, usize, u64) {
    let count = |folder: &str| fs::read_dir(folder).expect("of this process").count();
    let status = fs::read_to_string("/proc/self/status").expect("of this process");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a line of it");
    let kib = line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number");
    (count("/proc/self/fd"), count("/proc/self/task"), kib)
}

/// Descriptors and threads when they are `expected`, or after a while. A thread that was joined is still among
/// those of its process for a moment: whoever joins it is woken before the kernel has taken it out.
fn settled(expected: (usize, usize)) -> (usize, usize) {
    let mut now = (0, 0);
    for _ in 0..LOOKS {
        let (descriptors, threads, _) = held();
        now = (descriptors, threads);
        if now == expected {
            break;
        }
        thread::park_timeout(LOOK_EVERY);
    }
    now
}

#[test]
fn ten_sweeps_leave_nothing_behind() {
    let directory = tempfile::tempdir().expect("a directory");
    let conf = directory.path().join("conf");
    let options = Options {
        servers: 1_500,
        port: 20_700,
        faults: ALL_FAULTS.parse().expect("faults"),
        connect_timeout: Duration::from_millis(300),
        conf: Some(conf.clone()),
        script_share: respond::Share::default(),
        ..Options::default()
    };
    let running = respond::start(&options).expect("starts");
    let truth: HashMap<SocketAddr, Outcome> = running
        .fleet()
        .servers()
        .map(|server| (server.socket_address().into(), server.expected))
        .collect();
    let loaded = load(&conf, &LoadOptions::default()).expect("a good configuration");
    let fleet = Arc::new(loaded.fleet);
    let mut before = (0, 0, 0);
    for sweep in 0..WARM_UP + SWEEPS {
        if sweep == WARM_UP {
            // Of the sweeps before, nothing is on its way out any more.
            thread::park_timeout(LOOK_EVERY);
            before = held();
        }
        let input = Input::Fleet { fleet: Arc::clone(&fleet), path: conf.clone() };
        let request = SweepRequest { shards: 2, ..SweepRequest::new(input) };
        let mut sink = Comparison { truth: &truth, records: 0, wrong: Vec::new() };
        let summary = run(request, Arc::default(), &mut (), &mut sink).expect("runs");
        assert!(summary.shard_failures.is_empty(), "{:?}", summary.shard_failures);
        assert_eq!((sink.records, summary.counts.probed), (1_500, 1_500));
        assert!(sink.wrong.is_empty(), "sweep {sweep}: {:?}", sink.wrong);
        if sweep >= WARM_UP {
            let (descriptors, threads) = settled((before.0, before.1));
            assert_eq!((descriptors, threads), (before.0, before.1), "after sweep {sweep}");
        }
    }
    let (_, _, kib) = held();
    let grown = kib.saturating_sub(before.2);
    assert!(grown <= MEMORY_NOISE_KIB, "{SWEEPS} sweeps left {grown} KiB behind");
    running.stop();
}
