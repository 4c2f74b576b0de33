//! Drives the real supervisor turn by turn and looks at it after every one.

use std::time::Duration;

use ringprobe::reaper::supervise::{Room, RunId, Supervisor, Terms};
use ringprobe::sim::{Prng, ScriptWorld};
use ringprobe::tick::Tick;

use super::canary::{Canary, Hands};
use super::scenario::{S, Scenario};

/// Turns for each script that had a place and each second that it had one, at most.
const TURNS_EACH: usize = 40;
/// Turns take time, so nothing that a turn causes is heard in the moment of that turn.
const TURN_COSTS: Duration = Duration::from_micros(1);
/// After the last report the world goes on so long, so that what can be killed is.
const AFTERWARDS: Duration = Duration::from_secs(60);
/// No scenario needs as long.
const TIME_MAX: Duration = Duration::from_secs(3_600);

/// What came out of a run.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) world: ScriptWorld,
    /// Every turn's moment, in order.
    pub(crate) turns: Vec<Tick>,
    /// From each wake that was asked for to the later one that came.
    pub(crate) late: Vec<(Tick, Tick)>,
    /// All time that the supervisor did not run though there was something to hear or to do.
    pub(crate) stalled: Duration,
    /// Runs that found every place stuck.
    pub(crate) stuck: Vec<RunId>,
    /// Runs that were started.
    pub(crate) started: Vec<RunId>,
    pub(crate) stopped_at: Option<Tick>,
}

/// Where a run begins on the virtual clock.
pub(crate) fn start() -> Tick {
    Tick::from_ns(1_000_000_000)
}

/// The run with this position in its scenario.
pub(crate) fn run_id(index: usize) -> RunId {
    RunId(index as u64)
}

struct Arrivals<'a> {
    scenario: &'a Scenario,
    next: usize,
    due: Tick,
}

impl Arrivals<'_> {
    fn next(&self) -> Option<(Tick, RunId, Terms)> {
        let (pause, terms, _) = self.scenario.scripts.get(self.next)?;
        Some((self.due + *pause, run_id(self.next), *terms))
    }

    fn take(&mut self, due: Tick) {
        self.next += 1;
        self.due = due;
    }

    fn drop_all(&mut self) {
        self.next = self.scenario.scripts.len();
    }
}

/// Runs a scenario to its end.
///
/// # Errors
/// The first invariant of a turn that did not hold.
pub(crate) fn drive(scenario: &Scenario) -> Result<Run, String> {
    let mut prng = Prng::new(scenario.seed ^ 0x5c21_9757);
    let mut world = ScriptWorld::new(start(), prng.fork());
    for (index, (_, _, behaviour)) in scenario.scripts.iter().enumerate() {
        world.add(run_id(index), behaviour.clone());
    }
    let canary = scenario.canary;
    let is = |wanted: Canary| canary == Some(wanted);
    let jobs = scenario.jobs + usize::from(is(Canary::OneTooMany));
    let mut supervisor = Supervisor::new(jobs, scenario.grace);
    let mut arrivals = Arrivals { scenario, next: 0, due: start() };
    let mut stalls_at = scenario.stalls_at.iter().map(|(at, length)| (start() + *at, *length));
    let mut planned = stalls_at.next();
    let mut run = Run {
        world,
        turns: Vec::new(),
        late: Vec::new(),
        stalled: Duration::ZERO,
        stuck: Vec::new(),
        started: Vec::new(),
        stopped_at: None,
    };
    let mut give_up_at = None;
    let mut done_at = None;
    start_due(&mut arrivals, &mut supervisor, &mut run, canary)?;
    for turn in 0.. {
        let before = run.world.now();
        let asked = supervisor.next_wake();
        let arrival = arrivals.next().map(|(due, ..)| due).filter(|due| *due > before);
        let until = asked.into_iter().chain(arrival).min().unwrap_or(before + S);
        run.world.wait(until);
        let woken = run.world.now();
        if let Some((at, length)) = planned
            && at <= woken
        {
            planned = stalls_at.next();
            run.world.pass(at.max(woken) + length);
        } else if prng.chance(scenario.stall) {
            let length = prng.between(Duration::ZERO, scenario.stall_max);
            run.world.pass(woken + length);
        } else {
            run.world.pass(woken + prng.between(Duration::ZERO, scenario.jitter));
        }
        let now = run.world.now();
        run.stalled += now.since(woken);
        let late = asked.map_or(Duration::ZERO, |asked| now.since(asked));
        if let Some(asked) = asked.filter(|asked| *asked < now) {
            run.late.push((asked, now));
        }
        run.turns.push(now);
        let told = if is(Canary::IgnoresLateness) { Duration::ZERO } else { late };
        if is(Canary::DeadlinesFirst) {
            supervisor.tick(now, told, &mut Hands { world: &mut run.world, canary });
        }
        while let Some((id, event)) = run.world.hear() {
            let mut hands = Hands { world: &mut run.world, canary };
            supervisor.event(id, event, &mut hands, now);
        }
        let mut hands = Hands { world: &mut run.world, canary };
        if !is(Canary::DeadlinesFirst) {
            let ahead = if is(Canary::TooEarly) { scenario.grace / 10 } else { Duration::ZERO };
            supervisor.tick(now + ahead, told, &mut hands);
        }
        if scenario.stop_after == Some(turn) {
            run.stopped_at = Some(now);
            give_up_at = Some(supervisor.stop(now, &mut hands));
            arrivals.drop_all();
        }
        start_due(&mut arrivals, &mut supervisor, &mut run, canary)?;
        look(&supervisor, &run, scenario, now).map_err(|what| format!("turn {turn}: {what}"))?;
        if let Some(at) = give_up_at.filter(|at| now > *at + run.stalled + S / 100) {
            give_up_at = None;
            aborted(&run, scenario, at)?;
        }
        if supervisor.running() > 0 || arrivals.next().is_some() {
            done_at = None;
        } else {
            let is_still = supervisor.is_idle() && run.world.is_still();
            if is_still || now > *done_at.get_or_insert(now) + AFTERWARDS {
                break;
            }
        }
        run.world.pass(now + TURN_COSTS);
        if now.since(start()) > TIME_MAX {
            return Err(format!("no end; {} running", supervisor.running()));
        }
    }
    Ok(run)
}

/// Starts what is due as long as there is room.
fn start_due(
    arrivals: &mut Arrivals<'_>,
    supervisor: &mut Supervisor,
    run: &mut Run,
    canary: Option<Canary>,
) -> Result<(), String> {
    let now = run.world.now();
    while let Some((due, id, terms)) = arrivals.next().filter(|(due, ..)| *due <= now) {
        let room = supervisor.room();
        let mut hands = Hands { world: &mut run.world, canary };
        match supervisor.start(id, terms, &mut hands, now) {
            Ok(()) if room == Room::Free => run.started.push(id),
            Err(why) if why == room && why == Room::Busy => return Ok(()),
            Err(why) if why == room && why == Room::Stuck => run.stuck.push(id),
            other => return Err(format!("room {room:?}, but start says {other:?}")),
        }
        arrivals.take(due);
    }
    Ok(())
}

/// What holds after every turn.
fn look(supervisor: &Supervisor, run: &Run, scenario: &Scenario, now: Tick) -> Result<(), String> {
    if let Some(what) = run.world.violations().first() {
        return Err(what.clone());
    }
    if supervisor.next_wake().is_some_and(|at| at <= now) {
        return Err(format!("wants to be woken at {:?}, now is {now:?}", supervisor.next_wake()));
    }
    let living = run.world.living().len();
    if living > scenario.jobs {
        return Err(format!("{living} scripts live in {} places", scenario.jobs));
    }
    let (held, running) = (supervisor.places_held(), supervisor.running());
    if held < living || held > scenario.jobs || running > held {
        return Err(format!("{held} places held, {running} running, {living} living"));
    }
    let seconds = now.since(start()).as_secs() as usize + 1;
    let arrived = scenario.scripts.len() * 3 + seconds;
    if run.turns.len() > TURNS_EACH * (arrived + scenario.jobs * seconds) {
        return Err(format!("{} turns in {seconds} s", run.turns.len()));
    }
    Ok(())
}

/// After a stop, what is alive at `give_up_at` must be what could not be ended.
fn aborted(run: &Run, scenario: &Scenario, give_up_at: Tick) -> Result<(), String> {
    for id in run.world.living() {
        let behaviour = &scenario.scripts[id.0 as usize].2;
        let is_hard = behaviour.uninterruptible.is_some()
            || behaviour.others_uninterruptible.is_some()
            || !behaviour.refuses_for.is_zero()
            || !behaviour.breeds_for.is_zero()
            || run
                .world
                .trace(id)
                .is_some_and(|trace| trace.launched_at.is_none_or(|at| Some(at) > run.stopped_at));
        if !is_hard {
            return Err(format!("run {} lives past {give_up_at:?}: {behaviour:?}", id.0));
        }
    }
    Ok(())
}
