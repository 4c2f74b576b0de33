//! The parts of a probe by themselves: writing a query, judging a reply, the timer wheel.
//!
//! `cargo bench --bench parts`; `cargo test` runs each once.

use std::hint::black_box;
use std::str::FromStr;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use hickory_proto::rr::{Name, RecordType};
use ringprobe::schedule::wheel::{TICK_NS, Wheel};
use ringprobe::tick::Tick;
use ringprobe::wire::dns::{QUERY_BYTES_MAX, Query};

/// A one-address answer to the query: name pointer, type A, class IN, TTL 60, four bytes.
const ANSWER: [u8; 16] = [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1];

fn wire(criterion: &mut Criterion) {
    let name = Name::from_str("www.example.test.").expect("a literal");
    let query = Query::new(&name, RecordType::A).expect("encodes");
    let mut out = [0; QUERY_BYTES_MAX];
    criterion.bench_function("wire/dns/write_query", |bencher| {
        bencher.iter(|| query.write(black_box(0x1234), &mut out));
    });

    let len = query.write(0x1234, &mut out);
    let mut reply = out[..len].to_vec();
    // QR, and one record in the ANSWER section.
    reply[2] |= 0x80;
    reply[7] = 1;
    reply.extend(ANSWER);
    assert!(query.read_reply(&reply, false).is_ok_and(|reply| reply.has_answer));
    criterion.bench_function("wire/dns/read_reply", |bencher| {
        bencher.iter(|| query.read_reply(black_box(&reply), false));
    });
}

fn wheel(criterion: &mut Criterion) {
    const SLOTS: u32 = 4096;
    criterion.bench_function("schedule/wheel/set_and_clear", |bencher| {
        let mut wheel = Wheel::new(SLOTS, Tick::default());
        let mut slot = 0;
        bencher.iter(|| {
            slot = (slot + 1) % SLOTS;
            wheel.set(slot, Tick::default() + Duration::from_secs(2));
            wheel.clear(black_box(slot));
        });
    });
    criterion.bench_function("schedule/wheel/expire_4096", |bencher| {
        let mut now = Tick::default();
        let mut wheel = Wheel::new(SLOTS, now);
        bencher.iter(|| {
            for slot in 0..SLOTS {
                wheel.set(slot, now + Duration::from_nanos(TICK_NS * u64::from(slot % 64)));
            }
            now = now + Duration::from_nanos(TICK_NS * 64);
            let mut expired = 0;
            while wheel.pop_due(now).is_some() {
                expired += 1;
            }
            assert_eq!(expired, SLOTS);
        });
    });
}

criterion_group!(parts, wire, wheel);
criterion_main!(parts);
