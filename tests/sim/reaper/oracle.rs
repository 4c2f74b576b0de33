//! What each run must have come to, worked out from what really happened and what was heard when.

use std::time::Duration;

use ringprobe::outcome::{Failure, LocalFault, Outcome, ScriptFault};
use ringprobe::reaper::ScriptStatus;
use ringprobe::reaper::exit::judge;
use ringprobe::reaper::supervise::{Event, RunId, Terms, UNKILLABLE_AFTER};
use ringprobe::sim::{Behaviour, ScriptTrace, Told};
use ringprobe::tick::Tick;

use super::drive::{Run, run_id};
use super::scenario::Scenario;

/// What an end may come late beyond counted stalls: one more try to kill after a stall, and jitter.
const SLACK: Duration = Duration::from_millis(110);

/// Judges a whole run.
///
/// # Errors
/// The first thing that is not as it must be.
pub(crate) fn check(scenario: &Scenario, run: &Run) -> Result<(), String> {
    let living = run.world.living();
    for (index, (_, terms, behaviour)) in scenario.scripts.iter().enumerate() {
        let id = run_id(index);
        let trace = run.world.trace(id).ok_or("a run is not known")?;
        let one = One { scenario, run, terms, behaviour, trace };
        one.check(id, living.contains(&id))
            .map_err(|what| format!("run {index}: {what}\n{terms:?}\n{behaviour:?}\n{trace:?}"))?;
    }
    Ok(())
}

struct One<'a> {
    scenario: &'a Scenario,
    run: &'a Run,
    terms: &'a Terms,
    behaviour: &'a Behaviour,
    trace: &'a ScriptTrace,
}

/// How a run ends, as the rules have it.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
struct Expected {
    outcome: Outcome,
    weight: Option<u8>,
    /// When that was decided.
    at: Tick,
    /// The leader ended before SIGTERM.
    is_own_end: bool,
    /// It is told at once, alive or not.
    is_told_at_once: bool,
    /// SIGTERM was due then.
    is_over: bool,
}

impl One<'_> {
    fn check(&self, id: RunId, is_living: bool) -> Result<(), String> {
        let (started, stuck) = (self.run.started.contains(&id), self.run.stuck.contains(&id));
        if started && stuck {
            return Err("started and stuck".into());
        }
        if !started {
            let is_accounted_for = stuck || self.run.stopped_at.is_some();
            return is_accounted_for.then_some(()).ok_or("neither started nor stuck".into());
        }
        if is_living && !self.behaviour.may_last_for_ever() {
            return Err("lives after the end".into());
        }
        if !is_living && self.trace.forgotten_at.is_none() {
            return Err("gone, and not forgotten".into());
        }
        // What comes to life after its time, or after a stop, is killed in the turn that hears of it.
        let given_up = self.run.stopped_at.into_iter().chain(self.unstarted_at()).min();
        if let Some((heard_at, _)) = self.launched()
            && given_up.is_some_and(|at| at < heard_at)
            && self.trace.kill_at != Some(heard_at)
        {
            return Err(format!("launched after {given_up:?}, and not killed at once"));
        }
        match (self.trace.reports.as_slice(), self.run.stopped_at) {
            ([], Some(_)) => Ok(()),
            ([told], stopped_at) if stopped_at.is_none_or(|at| told.at <= at) => self.told(*told),
            (reports, _) => Err(format!("{} reports", reports.len())),
        }
    }

    fn told(&self, told: Told) -> Result<(), String> {
        let expected = self.expected().ok_or("told of what never ended")?;
        let end = told.end;
        if (end.outcome, end.weight) != (expected.outcome, expected.weight) {
            return Err(format!("told {:?}, must be {expected:?}", end.outcome));
        }
        self.by_truth(told)?;
        let ended = self.heard(|event| match event {
            Event::Exited(status) => Some(Some(status)),
            Event::Lost => Some(None),
            _ => None,
        });
        let ended = ended.filter(|(at, _)| *at <= told.at);
        if end.status != ended.and_then(|(_, status)| status)
            || end.ended_at != ended.map(|(at, _)| at)
        {
            return Err(format!(
                "status {:?} at {:?}, must be {ended:?}",
                end.status, end.ended_at
            ));
        }
        let launched = self.launched().filter(|(at, _)| *at <= told.at).map(|(_, at)| at);
        if end.launched_at != launched {
            return Err(format!("launched at {:?}, must be {launched:?}", end.launched_at));
        }
        let left = expected.is_own_end && self.trace.others_lived;
        if end.left_processes != left {
            return Err(format!("left_processes {}, must be {left}", end.left_processes));
        }
        self.when(told, expected)
    }

    /// What must hold whatever the supervisor heard.
    fn by_truth(&self, told: Told) -> Result<(), String> {
        let trace = self.trace;
        let deadline = trace.launched_at.map(|at| at + self.terms.timeout);
        let is_before_term = |(at, _): (Tick, ScriptStatus)| trace.term_at.is_none_or(|t| at <= t);
        let is_right = match told.end.outcome {
            Outcome::Pass | Outcome::Fail(Failure::ExitStatus(_) | Failure::Signal(_)) => {
                trace.term_at.is_none()
                    && !self.behaviour.is_lost
                    && trace.ended.is_some_and(is_before_term)
                    && trace.ended.map(|(_, status)| status) == Some(self.behaviour.status)
            }
            Outcome::Fail(_) => deadline.is_some() && trace.term_at >= deadline,
            Outcome::Unknown(_) => true,
        };
        if !is_right {
            return Err(format!("{:?} is not what happened", told.end.outcome));
        }
        let is_term_early = trace.term_at.is_some_and(|at| Some(at) < deadline);
        if is_term_early && self.run.stopped_at != trace.term_at {
            return Err("SIGTERM before its deadline".into());
        }
        Ok(())
    }

    /// When the end is told, what was killed before, and what may be alive.
    fn when(&self, told: Told, expected: Expected) -> Result<(), String> {
        let trace = self.trace;
        if expected.is_told_at_once {
            return match told.at == expected.at && !told.end.is_unkilled {
                true => Ok(()),
                false => Err(format!("told at {:?}, must be at once: {expected:?}", told.at)),
            };
        }
        let grace = if expected.is_over { self.scenario.grace } else { Duration::ZERO };
        let latest = expected.at + grace + UNKILLABLE_AFTER + self.run.stalled + SLACK;
        if told.at > latest {
            return Err(format!("told at {:?}, latest {latest:?}", told.at));
        }
        let kill_at = trace.kill_at.ok_or("told without a kill")?;
        if let Some(term_at) = trace.term_at
            && kill_at < term_at + grace
            && self.ended_at().is_none_or(|at| kill_at < at)
        {
            return Err("SIGKILL before the grace was over".into());
        }
        // What the last kill found may be dead already, but nobody can know.
        let is_true = if told.end.is_unkilled { told.found_alive > 0 } else { told.alive == 0 };
        if !is_true {
            return Err(format!("unkilled {}, {} alive", told.end.is_unkilled, told.alive));
        }
        if told.end.is_unkilled && told.at < kill_at + UNKILLABLE_AFTER {
            return Err(format!("gave up at {:?}, first kill {kill_at:?}", told.at));
        }
        let refused = told.end.refused.is_some();
        if refused && self.behaviour.refuses_for.is_zero() {
            return Err("told of a refusal that was none".into());
        }
        Ok(())
    }

    fn expected(&self) -> Option<Expected> {
        let begun_at = self.trace.begun_at?;
        let unstarted_at = self.unstarted_at();
        let is_by = |at: Tick, turn: Option<Tick>| turn.is_none_or(|turn| at <= turn);
        let at_once = |fault: LocalFault, at: Tick| Expected {
            outcome: Outcome::Unknown(fault),
            weight: None,
            at,
            is_own_end: false,
            is_told_at_once: true,
            is_over: false,
        };
        let failed = self.heard(|event| match event {
            Event::LaunchFailed(fault) => Some(fault),
            _ => None,
        });
        if let Some((at, fault)) = failed.filter(|(at, _)| is_by(*at, unstarted_at)) {
            return Some(at_once(LocalFault::Script(fault), at));
        }
        let Some((heard_at, at)) = self.launched().filter(|(at, _)| is_by(*at, unstarted_at))
        else {
            let until = unstarted_at?;
            let is_late = self.late_in(begun_at, until) > self.terms.timeout / 4;
            let fault = LocalFault::Script(ScriptFault::Unstarted);
            return Some(at_once(if is_late { LocalFault::Late } else { fault }, until));
        };
        let deadline = at + self.terms.timeout;
        let over_at = self.turn_at(deadline.max(heard_at));
        let far = |found: Tick| found.since(deadline) > self.terms.timeout / 4;
        let exited = self.heard(|event| match event {
            Event::Exited(status) => Some(Some(status)),
            Event::Lost => Some(None),
            _ => None,
        });
        if let Some((at, status)) = exited.filter(|(at, _)| is_by(*at, over_at)) {
            let (outcome, weight) = match status {
                None => (Outcome::Unknown(LocalFault::Script(ScriptFault::Lost)), None),
                Some(_) if far(at) => (Outcome::Unknown(LocalFault::Late), None),
                Some(status) => judge(status, self.terms.dynamic),
            };
            let is_own_end = status.is_some();
            let (is_told_at_once, is_over) = (false, false);
            return Some(Expected { outcome, weight, at, is_own_end, is_told_at_once, is_over });
        }
        let over_at = over_at?;
        let is_late = far(over_at) || self.late_in(at, over_at) > self.terms.timeout / 4;
        let timeout = Outcome::Fail(Failure::Timeout);
        Some(Expected {
            outcome: if is_late { Outcome::Unknown(LocalFault::Late) } else { timeout },
            weight: None,
            at: over_at,
            is_own_end: false,
            is_told_at_once: false,
            is_over: true,
        })
    }

    fn heard<T>(&self, wanted: impl Fn(Event) -> Option<T>) -> Option<(Tick, T)> {
        self.trace.heard.iter().find_map(|(at, event)| Some((*at, wanted(*event)?)))
    }

    fn launched(&self) -> Option<(Tick, Tick)> {
        self.heard(|event| match event {
            Event::Launched(at) => Some(at),
            _ => None,
        })
    }

    fn ended_at(&self) -> Option<Tick> {
        let ended = |event| matches!(event, Event::Exited(_) | Event::Lost).then_some(());
        self.heard(ended).map(|(at, ())| at)
    }

    /// The turn in which its start takes too long.
    fn unstarted_at(&self) -> Option<Tick> {
        self.turn_at(self.trace.begun_at? + self.terms.timeout)
    }

    /// The first turn at or after this moment.
    fn turn_at(&self, at: Tick) -> Option<Tick> {
        let index = self.run.turns.partition_point(|turn| *turn < at);
        self.run.turns.get(index).copied()
    }

    /// How long the supervisor was late between two moments.
    fn late_in(&self, from: Tick, until: Tick) -> Duration {
        let overlap = |(asked, woken): &(Tick, Tick)| (*woken).min(until).since((*asked).max(from));
        self.run.late.iter().map(overlap).sum()
    }
}
