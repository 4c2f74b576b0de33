//! Many seeds, each another mix of fleet and faults.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::coverage::Coverage;
use crate::drive::{Run, drive};
use crate::oracle;
use crate::scenario::{Scenario, make};

/// Seeds of a plain `cargo test`.
const SEEDS: u64 = 240;

/// Runs a scenario and judges what came out; a panic of the shard is a failure like any other.
pub(crate) fn judge(scenario: &Scenario) -> Result<Run, String> {
    caught(|| {
        let run = drive(scenario)?;
        oracle::check(scenario, &run)?;
        Ok(run)
    })
}

/// What a run says, or the panic it ended with.
pub(crate) fn caught<T>(run: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| text.to_string()));
        Err(format!("panicked: {}", text.unwrap_or_default()))
    })
}

pub(crate) fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is not a number: {text}")))
}

#[test]
fn a_seed_repeats_itself() {
    for seed in 0..10 {
        let records = || judge(&make(seed)).map(|run| (run.records, run.tally));
        assert_eq!(records(), records(), "seed {seed}");
    }
}

#[test]
fn every_invariant_holds_for_every_seed() {
    if let Some(seed) = number("RINGPROBE_SEED") {
        let scenario = make(seed);
        println!("seed {seed}: {:#?} {:#?}", scenario.config, scenario.faults);
        let result = judge(&scenario);
        result.unwrap_or_else(|what| panic!("RINGPROBE_SEED={seed}: {what}"));
        return;
    }
    let seeds = number("RINGPROBE_SEEDS").unwrap_or(SEEDS);
    let mut failed = Vec::new();
    let mut coverage = Coverage::default();
    for seed in 0..seeds {
        match judge(&make(seed)) {
            Ok(run) => coverage.take(&run),
            Err(what) => failed.push(format!("RINGPROBE_SEED={seed}: {what}")),
        }
    }
    println!("{coverage:#?}");
    let count = failed.len();
    failed.truncate(5);
    assert!(failed.is_empty(), "{count} of {seeds} seeds failed:\n{}", failed.join("\n"));
    let missing = coverage.missing();
    assert!(seeds < SEEDS || missing.is_empty(), "never happened: {missing:?}");
}
