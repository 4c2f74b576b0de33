//! All scripts that run: who may start, whose time has come, what is reported. Generic over [`World`],
//! so that the same code runs on the kernel and in a simulation.

use std::time::Duration;

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
    /// Its program runs.
    Launched,
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
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Rest {
    /// Processes that were found alive, in its group, in its control group, or among the strays that
    /// carry its mark; 0 says that nothing is left.
    pub alive: u32,
    /// The kernel refused a signal with this errno.
    pub refused: Option<i32>,
}

/// Processes, as the supervisor sees them.
pub trait World {
    /// Begins to start a script. [`Event::Launched`] or [`Event::LaunchFailed`] follows, at once or
    /// much later.
    fn launch(&mut self, run: RunId);

    /// Sends a signal to the script's group. Only between `Launched` and [`World::reap`].
    ///
    /// # Errors
    /// The errno of the refusal; ESRCH for an empty group.
    fn signal_group(&mut self, run: RunId, signal: GroupSignal) -> Result<(), i32>;

    /// Takes the zombie of the leader away, after [`Event::Exited`].
    fn reap(&mut self, run: RunId);

    /// Sends SIGKILL to everything that is left of a script whose leader is gone: its group, its control
    /// group, strays that carry its mark. Takes away zombies. Says what was found.
    fn kill_rest(&mut self, run: RunId) -> Rest;

    /// The end of a script, told once: with its outcome, and whether it left processes behind or still has
    /// some that cannot be killed.
    fn report(&mut self, run: RunId, end: End);

    /// Nothing more will be asked about this run.
    fn forget(&mut self, run: RunId);
}

/// The one outcome of a script.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct End {
    /// What it says about the server, or why nothing can be said.
    pub outcome: Outcome,
    /// How its leader ended, if that was seen.
    pub status: Option<ScriptStatus>,
    /// With `misc_dynamic`, the weight.
    pub weight: Option<u8>,
    /// When its program ran.
    pub launched_at: Option<Tick>,
    /// When its leader was found ended.
    pub ended_at: Option<Tick>,
    /// It ended by itself and left processes behind.
    pub left_processes: bool,
    /// Something of it is alive and could not be killed yet.
    pub is_unkilled: bool,
}
