//! One script from its start to its last process: a state machine without a clock or a system call.
//!
//! ```text
//! Launching ──Launched──▶ Running ──deadline──▶ Terminating ──grace──▶ Killing ─┐ SIGKILL again, 1 ms, 2 ..
//!   │ │ too late            │ Exited               │ Exited              │ ▲────┘
//!   │ ▼                     ▼                      ▼                     │ Exited
//!   │ Hanging ─Launched─▶ Killing                Ended ◀─────────────────┘
//!   │   │                                          │ SIGKILL to the group, reap
//!   │   │ LaunchFailed                             ▼
//!   └───┴──────────────▶ Gone ◀──nothing left── Cleaning ─┐ kill the rest, 1 ms, 2 ms ..
//!                                                  ▲──────┘
//! ```
//!
//! [`Event::Lost`] leads to Cleaning from everywhere: the leader's number is not the script's any more,
//! so no signal goes to it. The caller hands in events and times, then asks `Script::act` what to do
//! until there is nothing to do.

use std::time::Duration;

use super::exit::judge;
use super::report::ScriptStatus;
use super::supervise::{End, Event, GroupSignal, Rest, Terms, UNKILLABLE_AFTER};
use crate::outcome::{Failure, LocalFault, Outcome, ScriptFault};
use crate::tick::Tick;

/// What a script asks to have done.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum Act {
    /// A signal to its group; the answer goes to [`Script::signaled`].
    Signal(GroupSignal),
    /// Its leader taken away.
    Reap,
    /// What the leader left behind killed; the answer goes to [`Script::found`].
    KillRest,
    /// Its end told.
    Report(End),
}

#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum Phase {
    /// Not confirmed yet.
    Launching { until: Tick },
    /// Not confirmed in time: its end was told, it may come yet.
    Hanging,
    /// Its program runs.
    Running { deadline: Tick },
    /// Its time is over.
    Terminating { is_sent: bool, kill_at: Tick },
    /// So is its grace. The leader was not collected yet.
    Killing { again: Again },
    /// The leader is a zombie.
    Ended { is_killed: bool },
    /// The leader is gone.
    Cleaning { again: Again },
    /// All of it is gone.
    Gone,
}

/// When to kill again.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
struct Again {
    at: Tick,
    pause: Duration,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Script {
    terms: Terms,
    grace: Duration,
    phase: Phase,
    waits_since: Tick,
    stalled_before: Duration,
    launched_at: Option<Tick>,
    ended_at: Option<Tick>,
    status: Option<ScriptStatus>,
    /// Decided once, told once.
    verdict: Option<(Outcome, Option<u8>)>,
    is_told: bool,
    /// The leader ended before SIGTERM was sent.
    is_own_end: bool,
    /// From the first SIGKILL on: when its end is told although it lives.
    give_up_at: Option<Tick>,
    left_processes: bool,
    refused: Option<i32>,
}

impl Script {
    /// One that begins to start now.
    pub(super) fn new(terms: Terms, grace: Duration, now: Tick) -> Script {
        Script {
            terms,
            grace,
            phase: Phase::Launching { until: now + terms.timeout },
            waits_since: now,
            stalled_before: Duration::ZERO,
            launched_at: None,
            ended_at: None,
            status: None,
            verdict: None,
            is_told: false,
            is_own_end: false,
            give_up_at: None,
            left_processes: false,
            refused: None,
        }
    }

    /// From when on it waits for the deadline of its start or of its run.
    pub(super) fn waits_since(&self) -> Tick {
        self.waits_since
    }

    /// What the supervisor's stalls had come to at [`Script::waits_since`].
    pub(super) fn set_stalled_before(&mut self, stalled: Duration) {
        self.stalled_before = stalled;
    }

    /// Something happened to it, found now.
    pub(super) fn event(&mut self, event: Event, now: Tick) {
        match (event, self.phase) {
            (_, Phase::Gone | Phase::Cleaning { .. } | Phase::Ended { .. }) => {}
            (Event::Launched(at), Phase::Launching { .. }) => {
                let at = at.min(now);
                self.launched_at = Some(at);
                self.waits_since = at;
                self.phase = Phase::Running { deadline: at + self.terms.timeout };
            }
            (Event::Launched(at), Phase::Hanging) => {
                self.launched_at = Some(at);
                self.phase = Phase::Killing { again: Again::now(now) };
            }
            (Event::LaunchFailed(fault), Phase::Launching { .. } | Phase::Hanging) => {
                self.decide(Outcome::Unknown(LocalFault::Script(fault)), None);
                self.phase = Phase::Gone;
            }
            (Event::Launched(_) | Event::LaunchFailed(_), _) => {}
            (Event::Exited(status), phase) => {
                self.status = Some(status);
                self.ended_at = Some(now);
                if let Phase::Running { deadline } = phase {
                    self.is_own_end = true;
                    if self.is_far_past(deadline, now) {
                        self.decide(Outcome::Unknown(LocalFault::Late), None);
                    } else {
                        let (outcome, weight) = judge(status, self.terms.dynamic);
                        self.decide(outcome, weight);
                    }
                }
                self.decide(LOST, None);
                // Without a launch there is no group to signal; nothing should end so.
                self.phase = Phase::Ended { is_killed: self.launched_at.is_none() };
            }
            (Event::Lost, _) => {
                self.ended_at = Some(now);
                self.decide(LOST, None);
                self.phase = Phase::Cleaning { again: Again::now(now) };
            }
        }
    }

    /// Judges what has passed by now. `stalled` is all time that the supervisor was not running.
    pub(super) fn due(&mut self, now: Tick, stalled: Duration) {
        let is_late = stalled.saturating_sub(self.stalled_before) > self.terms.timeout / 4;
        match self.phase {
            Phase::Launching { until } if until <= now => {
                let fault = if is_late { LocalFault::Late } else { UNSTARTED };
                self.decide(Outcome::Unknown(fault), None);
                self.phase = Phase::Hanging;
            }
            Phase::Running { deadline } if deadline <= now => {
                if is_late || self.is_far_past(deadline, now) {
                    self.decide(Outcome::Unknown(LocalFault::Late), None);
                } else {
                    self.decide(Outcome::Fail(Failure::Timeout), None);
                }
                self.terminate(now);
            }
            _ => {}
        }
    }

    /// Ends it, whatever it does; its end will not be told.
    pub(super) fn stop(&mut self, now: Tick) {
        self.is_told = true;
        match self.phase {
            Phase::Launching { .. } => self.phase = Phase::Hanging,
            Phase::Running { .. } => self.terminate(now),
            _ => {}
        }
    }

    /// What is to be done now, one thing at a time, until nothing is.
    pub(super) fn act(&mut self, now: Tick) -> Option<Act> {
        if let Phase::Terminating { is_sent: true, kill_at } = self.phase
            && kill_at <= now
        {
            self.phase = Phase::Killing { again: Again::now(now) };
        }
        match &mut self.phase {
            Phase::Terminating { is_sent, .. } if !*is_sent => {
                *is_sent = true;
                return Some(Act::Signal(GroupSignal::Terminate));
            }
            Phase::Killing { again } if again.at <= now => {
                again.put_off(now, &mut self.give_up_at);
                return Some(Act::Signal(GroupSignal::Kill));
            }
            // While the leader is a zombie its number is its own, so this kills nobody else.
            Phase::Ended { is_killed: false } => {
                self.phase = Phase::Ended { is_killed: true };
                self.give_up_at.get_or_insert(now + UNKILLABLE_AFTER);
                return Some(Act::Signal(GroupSignal::Kill));
            }
            Phase::Ended { is_killed: true } => {
                self.phase = Phase::Cleaning { again: Again::now(now) };
                return Some(Act::Reap);
            }
            Phase::Cleaning { again } if again.at <= now => {
                again.put_off(now, &mut self.give_up_at);
                return Some(Act::KillRest);
            }
            _ => {}
        }
        let (outcome, weight) = self.verdict.filter(|_| !self.is_told)?;
        let is_gone = self.phase == Phase::Gone;
        let is_unkilled = !is_gone && self.give_up_at.is_some_and(|at| at <= now);
        if !(is_gone || is_unkilled || self.phase == Phase::Hanging) {
            return None;
        }
        self.is_told = true;
        Some(Act::Report(End {
            outcome,
            status: self.status,
            weight,
            launched_at: self.launched_at,
            ended_at: self.ended_at,
            left_processes: self.left_processes,
            is_unkilled,
            refused: self.refused,
        }))
    }

    /// The kernel's answer to [`Act::Signal`].
    pub(super) fn signaled(&mut self, answer: Result<(), i32>) {
        // An empty group is no refusal: its leader will turn out ended, or lost.
        if let Err(errno) = answer
            && errno != libc::ESRCH
        {
            self.refused = Some(errno);
        }
    }

    /// The answer to [`Act::KillRest`].
    pub(super) fn found(&mut self, rest: Rest) {
        self.refused = rest.refused.or(self.refused);
        self.left_processes |= self.is_own_end && rest.alive + rest.killed > 0;
        if rest.alive == 0 {
            self.phase = Phase::Gone;
        }
    }

    /// When it has something to do again if nothing happens.
    pub(super) fn wake(&self) -> Option<Tick> {
        match self.phase {
            Phase::Launching { until } => Some(until),
            Phase::Running { deadline } => Some(deadline),
            Phase::Terminating { kill_at, .. } => Some(kill_at),
            Phase::Killing { again } | Phase::Cleaning { again } => Some(again.at),
            Phase::Hanging | Phase::Ended { .. } | Phase::Gone => None,
        }
    }

    /// Its end was told, or will never be.
    pub(super) fn is_told(&self) -> bool {
        self.is_told
    }

    /// Nothing of it is left.
    pub(super) fn is_gone(&self) -> bool {
        self.phase == Phase::Gone
    }

    fn terminate(&mut self, now: Tick) {
        self.phase = Phase::Terminating { is_sent: false, kill_at: now + self.grace };
    }

    /// The first verdict stands.
    fn decide(&mut self, outcome: Outcome, weight: Option<u8>) {
        self.verdict.get_or_insert((outcome, weight));
    }

    /// What is found so long after the deadline was found by a supervisor that was not running.
    fn is_far_past(&self, deadline: Tick, now: Tick) -> bool {
        now.since(deadline) > self.terms.timeout / 4
    }
}

impl Again {
    fn now(now: Tick) -> Again {
        Again { at: now, pause: PAUSE_FIRST }
    }

    /// Twice as long each time. Until `give_up_at` at most every 100 ms and once more at that moment, so
    /// that what is told then is true; later up to 10 s. After a try that came much too late there is
    /// always another one before that: the first may have killed what nobody tried to kill till then.
    fn put_off(&mut self, now: Tick, give_up_at: &mut Option<Tick>) {
        let give_up_at = give_up_at.get_or_insert(now + UNKILLABLE_AFTER);
        if now.since(self.at) > PAUSE {
            *give_up_at = (*give_up_at).max(now + PAUSE);
        }
        let is_before = now < *give_up_at;
        self.at = now + self.pause;
        if is_before {
            self.at = self.at.min(*give_up_at);
        }
        self.pause = (2 * self.pause).min(if is_before { PAUSE } else { PAUSE_UNKILLABLE });
    }
}

const LOST: Outcome = Outcome::Unknown(LocalFault::Script(ScriptFault::Lost));
const UNSTARTED: LocalFault = LocalFault::Script(ScriptFault::Unstarted);
const PAUSE_FIRST: Duration = Duration::from_millis(1);
const PAUSE: Duration = Duration::from_millis(100);
const PAUSE_UNKILLABLE: Duration = Duration::from_secs(10);
