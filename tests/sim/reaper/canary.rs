//! Supervisors that are wrong on purpose: the invariants have to notice each of them.

use ringprobe::outcome::{LocalFault, Outcome};
use ringprobe::reaper::ScriptStatus;
use ringprobe::reaper::supervise::{End, GroupSignal, Rest, RunId, World};
use ringprobe::sim::ScriptWorld;

use super::scenario::make;
use super::seeds::judge;

/// Seeds that may be looked at until one notices.
const SEEDS: u64 = 40;

/// What a supervisor may get wrong. Those that the world sees are played by [`Hands`], the others by the
/// driver.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Canary {
    /// Exit 0 passes, also after SIGTERM.
    PassesAfterTerm,
    /// Each end is told twice.
    ReportsTwice,
    /// Some ends are never told.
    ReportsNothing,
    /// The group is signalled once more after its leader was reaped.
    SignalsAfterReap,
    /// What the leader left behind is not killed.
    LeavesTheRest,
    /// Deadlines are judged before the exits of the same turn.
    DeadlinesFirst,
    /// Its own lateness does not count.
    IgnoresLateness,
    /// SIGKILL at the deadline already.
    NoGrace,
    /// No SIGKILL to the group.
    NeverKills,
    /// One more script than there are places.
    OneTooMany,
    /// A script that could not be run passes.
    PassesUnrun,
    /// What cannot be killed is not told of.
    HidesUnkilled,
    /// What is told is forgotten, though it lives.
    ForgetsUnkilled,
    /// Zombies stay.
    NeverReaps,
    /// Processes left behind are not told of.
    HidesLeft,
    /// SIGTERM a tenth of the timeout early: the clock it is given runs ahead.
    TooEarly,
}

impl Canary {
    const ALL: [Canary; 16] = [
        Canary::PassesAfterTerm,
        Canary::ReportsTwice,
        Canary::ReportsNothing,
        Canary::SignalsAfterReap,
        Canary::LeavesTheRest,
        Canary::DeadlinesFirst,
        Canary::IgnoresLateness,
        Canary::NoGrace,
        Canary::NeverKills,
        Canary::OneTooMany,
        Canary::PassesUnrun,
        Canary::HidesUnkilled,
        Canary::ForgetsUnkilled,
        Canary::NeverReaps,
        Canary::HidesLeft,
        Canary::TooEarly,
    ];
}

/// The hands of the supervisor: what they do to the world is what it asked for, but for the canary.
#[derive(Debug)]
pub(crate) struct Hands<'a> {
    pub(crate) world: &'a mut ScriptWorld,
    pub(crate) canary: Option<Canary>,
}

impl Hands<'_> {
    fn is(&self, canary: Canary) -> bool {
        self.canary == Some(canary)
    }
}

impl World for Hands<'_> {
    fn launch(&mut self, run: RunId) {
        self.world.launch(run);
    }

    fn signal_group(&mut self, run: RunId, signal: GroupSignal) -> Result<(), i32> {
        if signal == GroupSignal::Kill && self.is(Canary::NeverKills) {
            return Ok(());
        }
        let answer = self.world.signal_group(run, signal);
        if signal == GroupSignal::Terminate && self.is(Canary::NoGrace) {
            return self.world.signal_group(run, GroupSignal::Kill);
        }
        answer
    }

    fn reap(&mut self, run: RunId) {
        if self.is(Canary::NeverReaps) {
            return;
        }
        self.world.reap(run);
        if self.is(Canary::SignalsAfterReap) {
            let _ = self.world.signal_group(run, GroupSignal::Kill);
        }
    }

    fn kill_rest(&mut self, run: RunId) -> Rest {
        if self.is(Canary::LeavesTheRest) {
            return Rest::default();
        }
        self.world.kill_rest(run)
    }

    fn report(&mut self, run: RunId, mut end: End) {
        if self.is(Canary::PassesAfterTerm) && end.status == Some(ScriptStatus::Exited(0)) {
            end.outcome = Outcome::Pass;
        }
        if self.is(Canary::PassesUnrun)
            && matches!(end.outcome, Outcome::Unknown(LocalFault::Script(_)))
        {
            end.outcome = Outcome::Pass;
        }
        end.is_unkilled &= !self.is(Canary::HidesUnkilled);
        end.left_processes &= !self.is(Canary::HidesLeft);
        if self.is(Canary::ReportsNothing) && run.0 % 8 == 3 {
            return;
        }
        self.world.report(run, end);
        if self.is(Canary::ReportsTwice) {
            self.world.report(run, end);
        }
        if self.is(Canary::ForgetsUnkilled) && end.is_unkilled {
            self.world.forget(run);
        }
    }

    fn forget(&mut self, run: RunId) {
        self.world.forget(run);
    }
}

fn first_failure(canary: Option<Canary>) -> (usize, Option<String>) {
    let mut failed = (0..SEEDS).filter_map(|seed| {
        let mut scenario = make(seed);
        scenario.canary = canary;
        judge(&scenario).err().map(|what| format!("seed {seed}: {what}"))
    });
    let first = failed.next();
    (usize::from(first.is_some()) + failed.count(), first)
}

#[test]
fn every_canary_is_caught_and_only_because_of_itself() {
    assert_eq!(first_failure(None).1, None, "without a canary");
    for canary in Canary::ALL {
        let (count, first) = first_failure(Some(canary));
        println!("{canary:?}: {count} of {SEEDS} seeds, {}", first.as_deref().unwrap_or("none"));
        assert!(count > 0, "nobody noticed {canary:?}");
    }
}
