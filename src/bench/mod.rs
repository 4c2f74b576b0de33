//! `bench`: how many checks a second a target, a path or this machine can do, and how long each takes.
//!
//! ```text
//! Plan ─▶ one probe at a time (idle latency)
//!     └─▶ run × repetitions, or a run per step of a ramp
//!             sweep::run ─▶ Measure (latency from when a probe was due) ─▶ RunResult
//!     └─▶ knee, spread over the runs ─▶ BenchResult ─▶ text, JSON, HTML, HdrHistogram log
//! ```
//!
//! A run is a sweep whose input never ends and whose probes begin in a [`Span`](crate::schedule::pace::Span):
//! the warm-up, which is left out, then what is measured. Latency counts from the moment a probe was *due*,
//! so that a stall of target, path or prober is in the figures of every probe it kept waiting (no coordinated
//! omission). A probe that timed out is in the distribution with the time it took to find out, at least
//! the timeout; one that was due and never sent, with the time it had waited. What was due before the end may
//! begin in a short grace behind it, so that only what is far behind counts as never sent. Only where nothing
//! can be said, because the trouble was ours, there is no latency: such probes are counted apart.

mod asked;
mod idle;
mod knee;
mod limit;
mod measure;
mod meter;
mod plan;
pub mod report;
mod result;
mod run;
mod threads;

pub use self::asked::Asked;
pub use self::knee::Knee;
pub use self::limit::LimitedBy;
pub use self::plan::{Load, Plan, Ramp, Subject, Targets};
pub use self::result::{
    BenchResult, Cpu, CpuByRole, Interval, KernelCounters, LatencyUs, LoadInfo, Machine,
    ProbeCounts, RunResult, Spread, SpreadOfRuns, Trouble, Verdict,
};
pub use self::run::{BenchError, Watcher, bench};
