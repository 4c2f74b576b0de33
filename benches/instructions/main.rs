//! Instructions of the parts of a probe, counted by callgrind and held against `benches/instructions.json`.
//!
//! `scripts/instructions [--record]`; `cargo test` runs each part once, uncounted.

mod callgrind;
mod recorded;
#[path = "../work/mod.rs"]
mod work;

use std::path::Path;
use std::process::ExitCode;

use recorded::{Recorded, Verdict};
use work::Part;

/// At least so many operations of each part are counted.
const OPERATIONS_MIN: u32 = 2_000;
/// Argument of the process that callgrind runs.
const COUNTED: &str = "--counted";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |flag: &str| arguments.iter().any(|argument| argument == flag);
    if has(COUNTED) {
        for mut part in work::parts() {
            // What only the first call does is no part of the work.
            (part.run)();
            let calls = OPERATIONS_MIN.div_ceil(part.operations).max(3);
            counted(&mut part, calls);
            println!("{} {}", part.name, calls * part.operations);
        }
        return ExitCode::SUCCESS;
    }
    if !has("--bench") {
        for mut part in work::parts() {
            (part.run)();
        }
        return ExitCode::SUCCESS;
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/instructions.json");
    match measure(&path, has("--record")) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("instructions: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What callgrind counts: it knows this function by its name.
#[inline(never)]
fn counted(part: &mut Part, calls: u32) {
    for _ in 0..calls {
        (part.run)();
    }
}

/// Counts, and records or compares. Whether all is well.
fn measure(path: &Path, records: bool) -> Result<bool, String> {
    let now = Recorded::new(callgrind::count(COUNTED)?)?;
    if records {
        now.write(path)?;
    }
    let before = Recorded::read(path)?;
    let mut verdicts = before.compare(&now)?;
    verdicts.sort_by(|a, b| a.name.cmp(&b.name));
    for verdict in &verdicts {
        println!("{verdict}");
    }
    println!("recorded with {}, counted with {}", before.toolchain, now.toolchain);
    let is_well = verdicts.iter().all(Verdict::is_well);
    if !is_well {
        println!(
            "When it is meant to be so: scripts/instructions --record, and say why in the commit."
        );
    }
    Ok(is_well)
}
