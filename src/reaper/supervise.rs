//! All scripts that run: who may start, whose time has come, what is reported. Generic over [`World`],
//! so that the same code runs on the kernel and in a simulation.
//!
//! A turn of the caller: wait until [`Supervisor::next_wake`] or until something happens; hand over
//! *everything* that happened with [`Supervisor::event`]; then one [`Supervisor::tick`]; then
//! [`Supervisor::start`] what there is [`Room`] for. So an exit that waits to be collected always counts
//! before a deadline of the same turn.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::escalate::{Act, Script};
use super::report::ScriptStatus;
use crate::outcome::{Outcome, ScriptFault};
use crate::tick::Tick;

/// One run of a script: numbered by the reaper thread, never used twice.
#[derive(
    Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, serde::Serialize, serde::Deserialize,
)]
pub struct RunId(pub u64);

/// What the supervisor must know of a script.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Terms {
    /// How long it may run.
    pub timeout: Duration,
    /// `misc_dynamic`.
    pub dynamic: bool,
}

/// What happened to a script, as the world tells it.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// Its program runs, since this moment as the launch thread saw it.
    Launched(Tick),
    /// It does not run and never will; nothing of it is left.
    LaunchFailed(ScriptFault),
    /// The leader of its group ended. It is a zombie still, so its process id and group id are its own.
    Exited(ScriptStatus),
    /// The leader is gone and nobody saw how it ended.
    Lost,
}

/// A signal to a whole group.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum GroupSignal {
    /// SIGTERM, then SIGCONT, so that a stopped process gets it too.
    Terminate,
    /// SIGKILL.
    Kill,
}

/// What is left of a script after everything that can be found was sent SIGKILL.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub struct Rest {
    /// Processes that were found alive, in its group, in its control group, or among the strays that
    /// carry its mark; 0 says that nothing is left. One that was just sent SIGKILL counts until it is
    /// seen dead.
    pub alive: u32,
    /// Processes of it, the leader left out, that were taken away dead of SIGKILL since the leader ended
    /// or since the last call: left behind by the leader, killed since. As far as that can be told.
    pub killed: u32,
    /// The kernel refused a signal with this errno.
    pub refused: Option<i32>,
}

/// Processes, as the supervisor sees them. Of each run: `launch` first, `forget` last, nothing after it.
pub trait World {
    /// Begins to start a script. [`Event::Launched`] or [`Event::LaunchFailed`] follows through
    /// [`Supervisor::event`], in a later call, perhaps much later.
    fn launch(&mut self, run: RunId);

    /// Sends a signal to the script's group, and to its leader should that have changed its group. Only
    /// between `Launched` and [`World::reap`], while the number is the script's own; never after
    /// [`Event::Lost`].
    ///
    /// # Errors
    /// The errno of the refusal; ESRCH for an empty group.
    fn signal_group(&mut self, run: RunId, signal: GroupSignal) -> Result<(), i32>;

    /// Takes the zombie of the leader away, once, after [`Event::Exited`].
    fn reap(&mut self, run: RunId);

    /// Sends SIGKILL to everything that is left of a script whose leader is gone: its group, its control
    /// group, strays that carry its mark. Takes away zombies. Says what was found. The number of the group
    /// is its own no more once the group is empty, so it must make sure of whom it kills.
    fn kill_rest(&mut self, run: RunId) -> Rest;

    /// The end of a script, told at most once: with its outcome, and whether it left processes behind or
    /// still has some that cannot be killed. Never told of a run that [`Supervisor::stop`] ended.
    fn report(&mut self, run: RunId, end: End);

    /// Nothing more will be asked about this run, and no event of it is expected.
    fn forget(&mut self, run: RunId);
}

/// The one outcome of a script.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct End {
    /// What it says about the server, or why nothing can be said.
    pub outcome: Outcome,
    /// How its leader ended, if that was seen by now.
    pub status: Option<ScriptStatus>,
    /// With `misc_dynamic`, the weight.
    pub weight: Option<u8>,
    /// When its program ran.
    pub launched_at: Option<Tick>,
    /// When its leader was found ended, or gone.
    pub ended_at: Option<Tick>,
    /// It ended by itself and left processes behind.
    pub left_processes: bool,
    /// Something of it is alive and could not be killed yet.
    pub is_unkilled: bool,
    /// The last errno with which a signal to it was refused, an empty group left out.
    pub refused: Option<i32>,
}

/// Whether another script may start.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Room {
    /// It may.
    Free,
    /// When one of those that run has ended.
    Busy,
    /// Every place is held by a script whose end was told and that cannot be ended: unkilled, or hanging
    /// in its start. What waits for a place is [`ScriptFault::Stuck`].
    Stuck,
    /// Never again: the supervisor was stopped.
    Closed,
}

/// All scripts of one reaper.
///
/// A script holds one of `jobs` places from its start until nothing of it is left, which may be long after
/// its end was told. Timers are few, one for each place.
#[derive(Debug)]
pub struct Supervisor {
    jobs: usize,
    grace: Duration,
    scripts: BTreeMap<RunId, Script>,
    /// One for each script that waits for a time.
    timers: BTreeSet<(Tick, RunId)>,
    /// All time in which the supervisor was not running though it should have.
    stalled: Duration,
    /// Runs that began to wait for a deadline since the last tick: how much of the stall that the next
    /// tick tells of falls into their time is not known before.
    fresh: Vec<RunId>,
    is_stopped: bool,
}

impl Supervisor {
    /// At most `jobs` scripts at once (at least 1), `grace` from SIGTERM to SIGKILL.
    pub fn new(jobs: usize, grace: Duration) -> Supervisor {
        Supervisor {
            jobs: jobs.max(1),
            grace,
            scripts: BTreeMap::new(),
            timers: BTreeSet::new(),
            stalled: Duration::ZERO,
            fresh: Vec::new(),
            is_stopped: false,
        }
    }

    /// Whether [`Supervisor::start`] would start.
    pub fn room(&self) -> Room {
        if self.is_stopped {
            Room::Closed
        } else if self.scripts.len() < self.jobs {
            Room::Free
        } else if self.running() > 0 {
            Room::Busy
        } else {
            Room::Stuck
        }
    }

    /// Begins a run.
    ///
    /// # Errors
    /// Why there is no room for it; nothing was done then, and the caller keeps the run or reports it.
    pub fn start<W: World>(
        &mut self,
        run: RunId,
        terms: Terms,
        world: &mut W,
        now: Tick,
    ) -> Result<(), Room> {
        let room = self.room();
        if room != Room::Free {
            return Err(room);
        }
        debug_assert!(!self.scripts.contains_key(&run), "{run:?} twice");
        world.launch(run);
        let script = Script::new(terms, self.grace, now);
        self.timers.extend(script.wake().map(|at| (at, run)));
        self.scripts.insert(run, script);
        self.fresh.push(run);
        Ok(())
    }

    /// What happened to a run. Of a run that was forgotten, nothing is expected and nothing done.
    pub fn event<W: World>(&mut self, run: RunId, event: Event, world: &mut W, now: Tick) {
        let Some(script) = self.scripts.get_mut(&run) else {
            return;
        };
        let was = script.wake();
        script.event(event, now);
        if matches!(event, Event::Launched(_)) {
            self.fresh.push(run);
        }
        self.carry_out(run, was, world, now);
    }

    /// Judges the deadlines that have passed. Every event of this turn was handed over before.
    /// `woken_late` is how much later than [`Supervisor::next_wake`] the caller woke, zero where it was
    /// woken in time or by an event: time in which it was not running, so scripts are not judged by it.
    pub fn tick<W: World>(&mut self, now: Tick, woken_late: Duration, world: &mut W) {
        for run in std::mem::take(&mut self.fresh) {
            if let Some(script) = self.scripts.get_mut(&run) {
                let inside = woken_late.min(now.since(script.waits_since()));
                script.set_stalled_before(self.stalled + (woken_late - inside));
            }
        }
        self.stalled += woken_late;
        let mut due = Vec::new();
        due.extend(self.timers.iter().take_while(|(at, _)| *at <= now).map(|(_, run)| *run));
        for run in due {
            let Some(script) = self.scripts.get_mut(&run) else {
                continue;
            };
            let was = script.wake();
            script.due(now, self.stalled);
            self.carry_out(run, was, world, now);
        }
    }

    /// When [`Supervisor::tick`] is to be called at the latest; after a tick always later than that.
    pub fn next_wake(&self) -> Option<Tick> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// Ends everything: SIGTERM now, SIGKILL a grace later, and starts nothing more. Nothing is reported
    /// from here on, not even of scripts that ended by themselves and are still being cleaned up after:
    /// the runs were aborted, so they have no outcome, and the world is told [`World::forget`] only.
    ///
    /// Returns when the caller may give up waiting for [`Supervisor::is_idle`]: what is there then cannot
    /// be killed, or hangs in its start.
    pub fn stop<W: World>(&mut self, now: Tick, world: &mut W) -> Tick {
        self.is_stopped = true;
        let runs: Vec<RunId> = self.scripts.keys().copied().collect();
        for run in runs {
            if let Some(script) = self.scripts.get_mut(&run) {
                let was = script.wake();
                script.stop(now);
                self.carry_out(run, was, world, now);
            }
        }
        now + self.grace + UNKILLABLE_AFTER
    }

    /// Nothing of any script is left.
    pub fn is_idle(&self) -> bool {
        self.scripts.is_empty()
    }

    /// Scripts whose end was not told yet.
    pub fn running(&self) -> usize {
        self.scripts.values().filter(|script| !script.is_told()).count()
    }

    /// Scripts that hold a place: those that run, and those whose end was told while something of them
    /// was alive.
    pub fn places_held(&self) -> usize {
        self.scripts.len()
    }

    /// Does what the script asks for, then sets its timer, which stood at `was`.
    fn carry_out<W: World>(&mut self, run: RunId, was: Option<Tick>, world: &mut W, now: Tick) {
        let Some(script) = self.scripts.get_mut(&run) else {
            return;
        };
        while let Some(act) = script.act(now) {
            match act {
                Act::Signal(signal) => {
                    script.signaled(world.signal_group(run, signal));
                }
                Act::Reap => world.reap(run),
                Act::KillRest => script.found(world.kill_rest(run)),
                Act::Report(end) => world.report(run, end),
            }
        }
        let wake = script.wake();
        let is_gone = script.is_gone();
        if let Some(at) = was {
            self.timers.remove(&(at, run));
        }
        if is_gone {
            self.scripts.remove(&run);
            world.forget(run);
        } else if let Some(at) = wake {
            self.timers.insert((at, run));
        }
    }
}

/// From the first SIGKILL to when the end is told although something is still alive.
pub const UNKILLABLE_AFTER: Duration = Duration::from_secs(2);
