//! How the scripts of a sweep ran: waiting, starting and running apart, and what they left behind.

use hdrhistogram::Histogram;
use serde::Serialize;

use super::snapshot::Percentiles;
use crate::outcome::Record;
use crate::reaper::ScriptRun;

/// How the scripts ran. Its serde form is the field `scripts` of the NDJSON summary.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ScriptSummary {
    /// Scripts that ended, those that never ran included.
    pub runs: u64,
    /// From due to the start, in microseconds.
    pub queued_us: Option<Percentiles>,
    /// From the start to the running program, in microseconds; `None` where none ever ran.
    pub startup_us: Option<Percentiles>,
    /// From there to the end of the script itself, in microseconds; `None` where none ever ran.
    pub run_us: Option<Percentiles>,
    /// Scripts that ended by themselves and left processes behind, which were killed.
    pub left_processes: u64,
    /// Scripts of which something was alive still when they were reported, whatever killed it.
    pub unkilled: u64,
    /// Processes that had run away, and were killed when nobody could own them any more.
    pub unowned_killed: u64,
    /// The first script in input order that left processes behind.
    #[serde(skip)]
    pub first_left: Option<Record>,
    /// The first script in input order that cannot be killed.
    #[serde(skip)]
    pub first_unkilled: Option<Record>,
}

/// The running totals behind a [`ScriptSummary`].
#[derive(Debug)]
pub(super) struct ScriptTotals {
    runs: u64,
    queued_ns: Histogram<u64>,
    startup_ns: Histogram<u64>,
    run_ns: Histogram<u64>,
    left: FirstOf,
    unkilled: FirstOf,
    pub(super) unowned_killed: u64,
    /// Attempts repeated because we spoiled them.
    pub(super) free_retries: u64,
}

impl ScriptTotals {
    pub(super) fn new() -> ScriptTotals {
        let empty = || {
            let mut histogram = Histogram::new(3).expect("3 digits are allowed");
            histogram.auto(true);
            histogram
        };
        ScriptTotals {
            runs: 0,
            queued_ns: empty(),
            startup_ns: empty(),
            run_ns: empty(),
            left: FirstOf::default(),
            unkilled: FirstOf::default(),
            unowned_killed: 0,
            free_retries: 0,
        }
    }

    pub(super) fn add(&mut self, record: &Record, run: &ScriptRun) {
        self.runs += 1;
        self.free_retries += u64::from(run.free_retries);
        for (histogram, ns) in [
            (&mut self.queued_ns, Some(run.queued_ns)),
            (&mut self.startup_ns, run.startup_ns),
            (&mut self.run_ns, run.run_ns),
        ] {
            if let Some(ns) = ns {
                // Cannot fail: the histogram resizes itself to whatever comes.
                let _ = histogram.record(ns);
            }
        }
        if run.left_processes {
            self.left.add(record);
        }
        if run.is_unkilled {
            self.unkilled.add(record);
        }
    }

    /// `None` when no script ended.
    pub(super) fn summary(&self) -> Option<ScriptSummary> {
        (self.runs > 0).then(|| ScriptSummary {
            runs: self.runs,
            queued_us: Percentiles::of(&self.queued_ns),
            startup_us: Percentiles::of(&self.startup_ns),
            run_us: Percentiles::of(&self.run_ns),
            left_processes: self.left.count,
            unkilled: self.unkilled.count,
            unowned_killed: self.unowned_killed,
            first_left: self.left.first,
            first_unkilled: self.unkilled.first,
        })
    }
}

/// How many, and the one with the lowest `seq`.
#[derive(Debug, Default)]
struct FirstOf {
    count: u64,
    first: Option<Record>,
}

impl FirstOf {
    fn add(&mut self, record: &Record) {
        self.count += 1;
        if self.first.is_none_or(|first| record.seq < first.seq) {
            self.first = Some(*record);
        }
    }
}
