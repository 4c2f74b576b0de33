//! What all seeds together made happen: a trouble that never came proves nothing.

use std::collections::BTreeMap;

use ringprobe::reaper::supervise::Event;

use super::drive::{Run, run_id};
use super::scenario::Scenario;

const NEEDED: [&str; 29] = [
    "pass ok",
    "fail timeout",
    "fail exit_status",
    "fail signal",
    "unknown late",
    "unknown script_not_found",
    "unknown script_not_executable",
    "unknown script_interpreter",
    "unknown script_format",
    "unknown script_insecure",
    "unknown script_changed",
    "unknown script_user",
    "unknown script_spawn",
    "unknown script_setup",
    "unknown script_unstarted",
    "unknown script_lost",
    "stuck",
    "weights",
    "left processes",
    "unkilled",
    "kills refused",
    "exit 0 after SIGTERM",
    "exits at the deadline",
    "own exits found after the deadline",
    "launched after its time",
    "failed after its time",
    "stopped runs",
    "late wakes",
    "numbers used again",
];

/// Counts by name.
#[derive(Debug, Default)]
pub(crate) struct Coverage(BTreeMap<String, u64>);

impl Coverage {
    fn add(&mut self, name: impl Into<String>, count: u64) {
        *self.0.entry(name.into()).or_default() += count;
    }

    pub(crate) fn take(&mut self, scenario: &Scenario, run: &Run) {
        self.add("stuck", run.stuck.len() as u64);
        self.add("late wakes", run.late.len() as u64);
        self.add("numbers used again", run.world.numbers_reused());
        self.add("turns", run.turns.len() as u64);
        for (index, (_, terms, _)) in scenario.scripts.iter().enumerate() {
            let Some(trace) = run.world.trace(run_id(index)) else {
                continue;
            };
            let is_started = trace.begun_at.is_some();
            self.add("stopped runs", u64::from(is_started && trace.reports.is_empty()));
            let Some(told) = trace.reports.first() else {
                continue;
            };
            let end = told.end;
            self.add(format!("{} {}", end.outcome.name(), end.outcome.reason()), 1);
            let after_report = |wanted: fn(&Event) -> bool| {
                trace.heard.iter().any(|(at, event)| *at > told.at && wanted(event))
            };
            let is_own = trace.term_at.is_none() && end.status.is_some();
            let deadline = end.launched_at.map(|at| at + terms.timeout);
            for (name, is_so) in [
                ("weights", end.weight.is_some()),
                ("left processes", end.left_processes),
                ("unkilled", end.is_unkilled),
                ("kills refused", end.refused.is_some()),
                (
                    "exit 0 after SIGTERM",
                    trace.term_at.is_some()
                        && end.status == Some(ringprobe::reaper::ScriptStatus::Exited(0)),
                ),
                ("exits at the deadline", is_own && end.ended_at == deadline),
                ("own exits found after the deadline", is_own && end.ended_at > deadline),
                ("launched after its time", after_report(|e| matches!(e, Event::Launched(_)))),
                ("failed after its time", after_report(|e| matches!(e, Event::LaunchFailed(_)))),
            ] {
                self.add(name, u64::from(is_so));
            }
        }
    }

    /// Names of what never happened.
    pub(crate) fn missing(&self) -> Vec<&'static str> {
        let is_missing = |name: &&str| self.0.get(*name).is_none_or(|count| *count == 0);
        NEEDED.into_iter().filter(is_missing).collect()
    }
}
