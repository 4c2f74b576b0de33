//! The real shard loop and the real supervisor of scripts in made-up worlds: seeded faults, invariants
//! after every step.
//!
//! `RINGPROBE_SEED=n` replays one seed, `RINGPROBE_SEEDS=n` runs seeds 0 to n - 1.

mod canary;
mod coverage;
mod directed;
mod drive;
mod open_loop;
mod oracle;
mod reaper;
mod scenario;
mod seeds;
