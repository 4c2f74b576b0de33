//! Time of the parts of a probe by themselves; `instructions` counts the same.
//!
//! `cargo bench --features sim --bench parts`; `cargo test` runs each once.

mod work;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};

fn all(criterion: &mut Criterion) {
    for mut part in work::parts() {
        let mut group = criterion.benchmark_group("parts");
        group.throughput(Throughput::Elements(part.operations.into()));
        group.bench_function(part.name, |bencher| bencher.iter(&mut part.run));
        group.finish();
    }
}

criterion_group!(parts, all);
criterion_main!(parts);
