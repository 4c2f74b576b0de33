//! One made-up process.

use super::behaviour::OnTerm;
use crate::reaper::ScriptStatus;
use crate::tick::Tick;

#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum Role {
    Leader,
    Member,
    Stray,
}

#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum State {
    Alive,
    Zombie,
    Collected,
}

#[derive(Debug)]
pub(super) struct Process {
    pub(super) role: Role,
    pub(super) on_term: OnTerm,
    state: State,
    is_stopped: bool,
    is_killed: bool,
    /// It cannot end from the first of these until the second.
    window: Option<(Tick, Tick)>,
    ends: Option<(Tick, ScriptStatus)>,
}

impl Process {
    pub(super) fn new(role: Role, on_term: OnTerm, window: Option<(Tick, Tick)>) -> Process {
        Process {
            role,
            on_term,
            state: State::Alive,
            is_stopped: false,
            is_killed: false,
            window,
            ends: None,
        }
    }

    pub(super) fn is_alive(&self) -> bool {
        self.state == State::Alive
    }

    /// It keeps the number of its group from being used again.
    pub(super) fn is_in_group(&self) -> bool {
        self.role != Role::Stray && self.state == State::Alive
    }

    /// Died of SIGKILL and was not collected.
    pub(super) fn is_killed_zombie(&self) -> bool {
        self.state == State::Zombie && self.ends.is_some_and(|(_, status)| status == KILLED)
    }

    pub(super) fn was_killed(&self) -> bool {
        self.is_killed
    }

    /// Plans its end; `None` where it ends before that or never.
    pub(super) fn doom(&mut self, at: Tick, status: ScriptStatus) -> Option<Tick> {
        let at = match self.window {
            Some((from, until)) if (from..until).contains(&at) => until,
            _ => at,
        };
        if at == Tick::NEVER || self.ends.is_some_and(|(ends, _)| ends <= at) {
            return None;
        }
        self.ends = Some((at, status));
        Some(at)
    }

    pub(super) fn mark_killed(&mut self) {
        self.is_killed = true;
    }

    /// SIGSTOP: it does not come to its end by itself.
    pub(super) fn stop(&mut self) {
        if self.state == State::Alive && !self.is_killed {
            self.is_stopped = true;
            self.ends = None;
        }
    }

    /// SIGCONT; whether that changed anything.
    pub(super) fn resume(&mut self) -> bool {
        std::mem::take(&mut self.is_stopped)
    }

    /// Its end, if it is now.
    pub(super) fn end(&mut self, now: Tick) -> Option<ScriptStatus> {
        let (at, status) = self.ends?;
        if self.state != State::Alive || at > now {
            return None;
        }
        self.state = State::Zombie;
        Some(status)
    }

    pub(super) fn collect(&mut self) {
        self.state = State::Collected;
    }
}

pub(super) const KILLED: ScriptStatus = ScriptStatus::Signaled(libc::SIGKILL as u8);
