//! What the supervisor may do to the made-up processes, and what it must not.

use super::behaviour::{Launch, OnTerm};
use super::numbers::Owner;
use super::process::{KILLED, Process, Role};
use super::{Happening, Leader, ScriptTrace, ScriptWorld, SimScript, Told};
use crate::reaper::ScriptStatus;
use crate::reaper::supervise::{End, Event, GroupSignal, Rest, RunId, World};
use crate::tick::Tick;

impl World for ScriptWorld {
    fn launch(&mut self, run: RunId) {
        let now = self.now;
        let Some(script) = self.scripts.get_mut(&run) else {
            return self.breach(run, "launch of a run that nobody asked for");
        };
        if script.trace.begun_at.is_some() {
            return self.breach(run, "launched twice");
        }
        script.trace.begun_at = Some(now);
        script.is_starting = true;
        match script.behaviour.launch {
            Launch::After(delay) => self.timeline.plan(now + delay, Happening::Launches(run)),
            Launch::Fails(delay, fault) => {
                self.timeline.plan(now + delay, Happening::Fails(run, fault));
            }
            Launch::Hangs => {}
        }
    }

    fn signal_group(&mut self, run: RunId, signal: GroupSignal) -> Result<(), i32> {
        self.check_known(run, "signal");
        let now = self.now;
        let Some(script) = self.scripts.get_mut(&run) else {
            return Err(libc::ESRCH);
        };
        let heard = |event: fn(&Event) -> bool| script.trace.heard.iter().any(|(_, e)| event(e));
        let is_launched = heard(|event| matches!(event, Event::Launched(_)));
        let is_lost = heard(|event| *event == Event::Lost);
        // The leader's pidfd tells a loss that the supervisor has not heard of yet.
        if script.behaviour.is_lost && script.leader == Leader::Collected && !is_lost {
            script.trace.note(signal, now);
            return Err(libc::ESRCH);
        }
        let is_its_own = script
            .number
            .is_some_and(|number| self.numbers.owner(number) == Some(Owner::Script(run)));
        if !is_launched || !is_its_own || script.leader == Leader::Collected {
            let number = script.number;
            let owner = number.and_then(|number| self.numbers.owner(number));
            self.breach(run, &format!("{signal:?} to the number {number:?} of {owner:?}"));
            return Err(libc::ESRCH);
        }
        if signal == GroupSignal::Kill {
            script.found_alive = script.alive();
        }
        if script.trace.note(signal, now) {
            script.trace.others_lived =
                script.processes[1..].iter().any(|process| process.is_alive());
        }
        if script.refuses(now) {
            return Err(libc::EPERM);
        }
        let in_group = |process: &Process| process.is_in_group();
        let targets: Vec<usize> =
            (0..script.processes.len()).filter(|at| in_group(&script.processes[*at])).collect();
        for index in targets {
            match signal {
                GroupSignal::Terminate => self.terminate(run, index),
                GroupSignal::Kill => self.kill(run, index),
            }
        }
        Ok(())
    }

    fn reap(&mut self, run: RunId) {
        self.check_known(run, "reap");
        let Some(script) = self.scripts.get_mut(&run) else {
            return;
        };
        let was_told = script.trace.heard.iter().any(|(_, e)| matches!(e, Event::Exited(_)));
        if script.leader != Leader::Zombie || !was_told {
            return self.breach(run, "reaped where no zombie was told of");
        }
        script.leader = Leader::Collected;
        script.processes[0].collect();
        self.free_number(run);
    }

    fn kill_rest(&mut self, run: RunId) -> Rest {
        self.check_known(run, "kill_rest");
        let now = self.now;
        let mut rest = Rest::default();
        let Some(script) = self.scripts.get_mut(&run) else {
            return rest;
        };
        if !matches!(script.leader, Leader::Collected) {
            self.breach(run, "kill_rest while the leader is there");
            return rest;
        }
        script.trace.kill_at.get_or_insert(now);
        script.found_alive = script.alive();
        for process in &mut script.processes {
            if process.is_killed_zombie() {
                process.collect();
                rest.killed += 1;
            }
        }
        let alive: Vec<usize> =
            (0..script.processes.len()).filter(|at| script.processes[*at].is_alive()).collect();
        rest.alive = u32::try_from(alive.len()).unwrap_or(u32::MAX);
        if script.refuses(now) {
            rest.refused = Some(libc::EPERM).filter(|_| rest.alive > 0);
            return rest;
        }
        for index in alive {
            self.kill(run, index);
        }
        rest
    }

    fn report(&mut self, run: RunId, end: End) {
        self.check_known(run, "report");
        let now = self.now;
        let Some(script) = self.scripts.get_mut(&run) else {
            return;
        };
        let (alive, found_alive) = (script.alive(), script.found_alive);
        script.trace.reports.push(Told { at: now, end, alive, found_alive });
        if script.trace.reports.len() > 1 {
            self.breach(run, "reported twice");
        }
    }

    fn forget(&mut self, run: RunId) {
        self.check_known(run, "forget");
        let now = self.now;
        let Some(script) = self.scripts.get_mut(&run) else {
            return;
        };
        script.trace.forgotten_at = Some(now);
        let alive = script.alive();
        if alive > 0 || script.is_starting || script.leader == Leader::Zombie {
            self.breach(run, &format!("forgotten with {alive} processes"));
        }
    }
}

impl ScriptWorld {
    fn breach(&mut self, run: RunId, what: &str) {
        self.violations.push(format!("run {}: {what}", run.0));
    }

    fn check_known(&mut self, run: RunId, what: &str) {
        let trace = self.scripts.get(&run).map(|script| &script.trace);
        if trace.is_none_or(|trace| trace.begun_at.is_none() || trace.forgotten_at.is_some()) {
            self.breach(run, &format!("{what} of a run that is not there"));
        }
    }

    /// SIGTERM and SIGCONT.
    fn terminate(&mut self, run: RunId, index: usize) {
        let now = self.now;
        let Some(script) = self.scripts.get_mut(&run) else {
            return;
        };
        let process = &mut script.processes[index];
        let was_stopped = process.resume();
        match process.on_term {
            OnTerm::Dies => self.doom(run, index, now, TERMINATED),
            OnTerm::Exits(delay, code) => {
                self.doom(run, index, now + delay, ScriptStatus::Exited(code));
            }
            OnTerm::Ignores if was_stopped => {
                let (run_time, status) = (script.behaviour.run_time, script.behaviour.status);
                self.doom(run, index, now + run_time, status);
            }
            OnTerm::Ignores => {}
        }
    }

    /// SIGKILL.
    fn kill(&mut self, run: RunId, index: usize) {
        let now = self.now;
        let Some(script) = self.scripts.get_mut(&run) else {
            return;
        };
        let since = script.trace.kill_at.unwrap_or(now);
        let breeds = now < since + script.behaviour.breeds_for;
        let process = &mut script.processes[index];
        let was_killed = process.was_killed();
        process.mark_killed();
        let is_forking = breeds && process.role == Role::Stray && !was_killed;
        let dying = script.behaviour.dying;
        self.doom(run, index, now + dying, KILLED);
        if is_forking {
            self.spawn(run, Process::new(Role::Stray, OnTerm::Ignores, None));
        }
    }
}

impl ScriptTrace {
    /// Notes a signal; whether it is the first of its kind.
    fn note(&mut self, signal: GroupSignal, now: Tick) -> bool {
        let first = match signal {
            GroupSignal::Terminate => &mut self.term_at,
            GroupSignal::Kill => &mut self.kill_at,
        };
        let is_first = first.is_none();
        first.get_or_insert(now);
        is_first
    }
}

impl SimScript {
    fn refuses(&self, now: Tick) -> bool {
        self.trace.launched_at.is_some_and(|at| now < at + self.behaviour.refuses_for)
    }
}

const TERMINATED: ScriptStatus = ScriptStatus::Signaled(libc::SIGTERM as u8);
