//! Rings that break their contract on purpose: the invariants have to notice each of them.

use ringprobe::sim::Canary;

use crate::directed::left_unread;
use crate::scenario::{Scenario, make_with};
use crate::seeds::judge;

/// Seeds that may be looked at until one notices.
const SEEDS: u64 = 20;

/// How many of the first seeds fail, and what the first failure says.
fn failures(canary: Option<Canary>, provoked: Canary) -> (usize, Option<String>) {
    let mut failed = (0..SEEDS).filter_map(|seed| {
        let mut scenario = make_with(seed, |faults| {
            if provoked == Canary::HiddenDrops {
                faults.receive_buffer = Some(512);
            }
        });
        if provoked == Canary::LyingDrain {
            scenario = Scenario { seed, ..left_unread() };
        }
        scenario.faults.canary = canary;
        judge(&scenario).err().map(|what| format!("seed {seed}: {what}"))
    });
    let first = failed.next();
    (usize::from(first.is_some()) + failed.count(), first)
}

#[test]
fn every_canary_is_caught_and_only_because_of_itself() {
    for canary in Canary::ALL {
        assert_eq!(failures(None, canary).1, None, "without {canary:?}");
        let (count, first) = failures(Some(canary), canary);
        println!("{canary:?}: {count} of {SEEDS} seeds, {}", first.as_deref().unwrap_or("none"));
        assert!(count > 0, "nobody noticed {canary:?}");
    }
}
