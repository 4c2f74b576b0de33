//! The parts of a probe, each as a piece of work that can be repeated, for whoever measures them.

mod conf;
mod probe;
mod wire;

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use ringprobe::aggregate::Catalog;
use ringprobe::fleet::ProbeSpec;
use ringprobe::id::SpecId;
use ringprobe::outcome::{Outcome, Record};
use ringprobe::schedule::wheel::{TICK_NS, Wheel};
use ringprobe::shard::parts;
use ringprobe::sink::{Context, NdjsonSink, Output, Sink};
use ringprobe::tick::{Tick, WallClock};

/// As large as the window of a sweep.
const WINDOW: u32 = 4096;

/// A part and its work.
pub(crate) struct Part {
    pub(crate) name: &'static str,
    /// Operations in one call of `run`.
    pub(crate) operations: u32,
    pub(crate) run: Box<dyn FnMut()>,
}

impl Part {
    fn new(name: &'static str, operations: u32, run: impl FnMut() + 'static) -> Part {
        Part { name, operations, run: Box::new(run) }
    }
}

/// All parts, each ready to run.
pub(crate) fn parts() -> Vec<Part> {
    vec![
        wire::write_query(),
        wire::read_reply(),
        wire::judge(),
        wheel_set_and_clear(),
        wheel_expire(),
        Part::new("shard/slots/take_and_release", 1, parts::slot_used(WINDOW)),
        Part::new("shard/ids/take_find_and_release", 1, parts::id_used(WINDOW)),
        probe::dns(),
        probe::tcp(),
        ndjson(),
        conf::lex(),
        conf::load(),
    ]
}

fn wheel_set_and_clear() -> Part {
    let mut wheel = Wheel::new(WINDOW, Tick::default());
    let mut slot = 0;
    Part::new("schedule/wheel/set_and_clear", 1, move || {
        slot = (slot + 1) % WINDOW;
        wheel.set(slot, Tick::default() + Duration::from_secs(2));
        wheel.clear(std::hint::black_box(slot));
    })
}

/// Deadlines that are set and all come.
fn wheel_expire() -> Part {
    let mut now = Tick::default();
    let mut wheel = Wheel::new(WINDOW, now);
    Part::new("schedule/wheel/expire", WINDOW, move || {
        for slot in 0..WINDOW {
            wheel.set(slot, now + Duration::from_nanos(TICK_NS * u64::from(slot % 64)));
        }
        now = now + Duration::from_nanos(TICK_NS * 64);
        let mut expired = 0;
        while wheel.pop_due(now).is_some() {
            expired += 1;
        }
        assert_eq!(expired, WINDOW);
    })
}

/// Records of a target list, written to nowhere.
fn ndjson() -> Part {
    const RECORDS: u32 = 256;
    let null = File::options().write(true).open("/dev/null").expect("the device");
    let mut sink = NdjsonSink::new(Output::on("null".into(), null));
    let catalog = Catalog::of_list(vec![ProbeSpec::Dns(wire::spec())]);
    let wall = WallClock::read();
    let batch: Vec<Record> = (0..RECORDS)
        .map(|number| Record {
            seq: u64::from(number),
            target: target(number),
            spec: SpecId(0),
            outcome: Outcome::Pass,
            attempts: 1,
            latency_ns: Some(u64::from(50_000 + number * 777)),
            due: Tick::from_ns(u64::from(number) * 900),
            at: Tick::from_ns(u64::from(number) * 1_000),
            strange: None,
        })
        .collect();
    Part::new("sink/ndjson/record", RECORDS, move || {
        let context = Context { catalog: &catalog, wall: &wall };
        sink.records(&batch, &context).expect("the device takes everything");
    })
}

fn target(host: u32) -> SocketAddr {
    (Ipv4Addr::from(u32::from_be_bytes([127, 64, 0, 1]) + host), 53).into()
}
