//! The real shard loop in a made-up world: seeded faults, invariants after every step.
//!
//! `RINGPROBE_SEED=n` replays one seed, `RINGPROBE_SEEDS=n` runs seeds 0 to n - 1.

mod canary;
mod coverage;
mod directed;
mod drive;
mod oracle;
mod scenario;
mod seeds;
