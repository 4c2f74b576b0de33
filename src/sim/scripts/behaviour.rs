//! What a made-up script does.

use std::time::Duration;

use crate::outcome::ScriptFault;
use crate::reaper::ScriptStatus;
use crate::tick::Tick;

/// One script. `Duration::MAX` stands for ever.
#[derive(Clone, Debug)]
pub struct Behaviour {
    /// How its start goes.
    pub launch: Launch,
    /// From when its program runs to when the supervisor can hear of it.
    pub lag: Duration,
    /// How long its leader runs if nobody ends it.
    pub run_time: Duration,
    /// How the leader ends then.
    pub status: ScriptStatus,
    /// What the leader does at SIGTERM.
    pub on_term: OnTerm,
    /// It stops itself so long after its launch.
    pub stops_after: Option<Duration>,
    /// Other processes in its group.
    pub members: u32,
    /// Processes that left its group.
    pub strays: u32,
    /// How long they live, members and strays, if nobody ends them.
    pub others_live: Duration,
    /// What members do at SIGTERM.
    pub others_on_term: OnTerm,
    /// So long after the first SIGKILL every killed stray has forked another one.
    pub breeds_for: Duration,
    /// The leader cannot die from this long after its launch on, for so long.
    pub uninterruptible: Option<(Duration, Duration)>,
    /// Nor can the others.
    pub others_uninterruptible: Option<(Duration, Duration)>,
    /// So long after its launch signals are refused with EPERM.
    pub refuses_for: Duration,
    /// Somebody else collects the leader.
    pub is_lost: bool,
    /// From SIGKILL to the end.
    pub dying: Duration,
}

/// How a start goes.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Launch {
    /// The program runs after so long.
    After(Duration),
    /// It fails after so long.
    Fails(Duration, ScriptFault),
    /// Nothing is heard of it.
    Hangs,
}

/// What a process does at SIGTERM.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum OnTerm {
    /// It dies of it.
    Dies,
    /// Nothing.
    Ignores,
    /// It exits with this status after so long.
    Exits(Duration, u8),
}

impl Default for Behaviour {
    /// Starts in 1 ms, exits 0 after 10 ms, leaves nothing behind.
    fn default() -> Behaviour {
        Behaviour {
            launch: Launch::After(Duration::from_millis(1)),
            lag: Duration::ZERO,
            run_time: Duration::from_millis(10),
            status: ScriptStatus::Exited(0),
            on_term: OnTerm::Dies,
            stops_after: None,
            members: 0,
            strays: 0,
            others_live: Duration::MAX,
            others_on_term: OnTerm::Dies,
            breeds_for: Duration::ZERO,
            uninterruptible: None,
            others_uninterruptible: None,
            refuses_for: Duration::ZERO,
            is_lost: false,
            dying: Duration::ZERO,
        }
    }
}

impl Behaviour {
    /// Something of it may never end, whatever is done.
    pub fn may_last_for_ever(&self) -> bool {
        let never_ends = |window: Option<(Duration, Duration)>| {
            window.is_some_and(|(_, length)| length == Duration::MAX)
        };
        self.launch == Launch::Hangs
            || self.refuses_for == Duration::MAX
            || never_ends(self.uninterruptible)
            || never_ends(self.others_uninterruptible)
    }

    pub(super) fn leader_window(&self, launched_at: Tick) -> Option<(Tick, Tick)> {
        self.uninterruptible.map(|window| at(launched_at, window))
    }

    pub(super) fn others_window(&self, launched_at: Tick) -> Option<(Tick, Tick)> {
        self.others_uninterruptible.map(|window| at(launched_at, window))
    }
}

fn at(launched_at: Tick, (from, length): (Duration, Duration)) -> (Tick, Tick) {
    (launched_at + from, launched_at + from + length)
}
