//! Many seeds, each another mix of scripts and troubles.

use super::coverage::Coverage;
use super::drive::{Run, drive};
use super::oracle;
use super::scenario::{Scenario, make};
use crate::seeds::{caught, number};

/// Seeds of a plain `cargo test`.
const SEEDS: u64 = 400;

/// Runs a scenario and judges what came out; a panic of the supervisor is a failure like any other.
pub(crate) fn judge(scenario: &Scenario) -> Result<Run, String> {
    caught(|| {
        let run = drive(scenario)?;
        oracle::check(scenario, &run)?;
        Ok(run)
    })
}

#[test]
fn a_seed_of_scripts_repeats_itself() {
    for seed in 0..10 {
        let outcome = || judge(&make(seed)).map(|run| format!("{:?}", run.world));
        assert_eq!(outcome(), outcome(), "seed {seed}");
    }
}

#[test]
fn every_invariant_of_scripts_holds_for_every_seed() {
    if let Some(seed) = number("RINGPROBE_SEED") {
        let scenario = make(seed);
        let result = judge(&scenario);
        result.unwrap_or_else(|what| panic!("RINGPROBE_SEED={seed}: {what}"));
        return;
    }
    let seeds = number("RINGPROBE_SEEDS").unwrap_or(SEEDS);
    let mut failed = Vec::new();
    let mut coverage = Coverage::default();
    for seed in 0..seeds {
        let scenario = make(seed);
        match judge(&scenario) {
            Ok(run) => coverage.take(&scenario, &run),
            Err(what) => failed.push(format!("RINGPROBE_SEED={seed}: {what}")),
        }
    }
    println!("{coverage:#?}");
    let count = failed.len();
    failed.truncate(3);
    assert!(failed.is_empty(), "{count} of {seeds} seeds failed:\n{}", failed.join("\n"));
    let missing = coverage.missing();
    assert!(seeds < SEEDS || missing.is_empty(), "never happened: {missing:?}");
}
