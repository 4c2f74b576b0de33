//! Made-up processes for the reaper's supervisor: [`ScriptWorld`] is a
//! [`World`](crate::reaper::supervise::World).
//!
//! Each script does what its [`Behaviour`] says, in virtual time. Group numbers are few and used again at
//! once, also by innocents, so a signal to a number that is no longer a script's hits somebody else. The
//! world checks the supervisor's side of the contract, keeps each breach for
//! [`ScriptWorld::violations`], and remembers of every run what really happened ([`ScriptTrace`]).

mod behaviour;
mod numbers;
mod process;
mod world;

use std::collections::{BTreeMap, VecDeque};

pub use behaviour::{Behaviour, Launch, OnTerm};

use self::numbers::{Numbers, Owner};
use self::process::{Process, Role};
use super::prng::Prng;
use super::timeline::Timeline;
use crate::outcome::ScriptFault;
use crate::reaper::ScriptStatus;
use crate::reaper::supervise::{End, Event, RunId};
use crate::tick::Tick;

/// See the module.
#[derive(Debug)]
pub struct ScriptWorld {
    now: Tick,
    prng: Prng,
    scripts: BTreeMap<RunId, SimScript>,
    numbers: Numbers,
    timeline: Timeline<Happening>,
    events: VecDeque<(RunId, Event)>,
    violations: Vec<String>,
}

/// What really happened to one run, and what was told of it.
#[derive(Clone, Debug, Default)]
pub struct ScriptTrace {
    /// When the supervisor began it.
    pub begun_at: Option<Tick>,
    /// When its program really ran.
    pub launched_at: Option<Tick>,
    /// When and how its leader really ended.
    pub ended: Option<(Tick, ScriptStatus)>,
    /// First SIGTERM.
    pub term_at: Option<Tick>,
    /// First SIGKILL, by group or by mark.
    pub kill_at: Option<Tick>,
    /// Others of it lived when the first SIGKILL was sent.
    pub others_lived: bool,
    /// Each event with the moment at which the supervisor heard of it.
    pub heard: Vec<(Tick, Event)>,
    /// Each report.
    pub reports: Vec<Told>,
    /// Processes it had in all.
    pub processes: usize,
    /// When the supervisor forgot it.
    pub forgotten_at: Option<Tick>,
}

/// One report.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Told {
    /// When it was made.
    pub at: Tick,
    /// What it says.
    pub end: End,
    /// How many processes of the script really lived then.
    pub alive: usize,
    /// How many were found alive by the last SIGKILL before.
    pub found_alive: usize,
}

#[derive(Debug)]
struct SimScript {
    behaviour: Behaviour,
    trace: ScriptTrace,
    number: Option<u32>,
    processes: Vec<Process>,
    /// It is being started: neither launched nor failed.
    is_starting: bool,
    /// The launch was confirmed, so events of the leader may be told.
    is_confirmed: bool,
    /// The leader's end, until the launch is confirmed.
    untold: Option<Event>,
    leader: Leader,
    /// Processes that the last SIGKILL found alive.
    found_alive: usize,
}

#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum Leader {
    None,
    Alive,
    Zombie,
    Collected,
}

#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum Happening {
    Launches(RunId),
    Fails(RunId, ScriptFault),
    Confirms(RunId),
    Stops(RunId),
    Ends(RunId, usize),
    InnocentEnds(u32),
}

impl ScriptWorld {
    /// An empty world at this moment.
    pub fn new(start: Tick, prng: Prng) -> ScriptWorld {
        ScriptWorld {
            now: start,
            prng,
            scripts: BTreeMap::new(),
            numbers: Numbers::default(),
            timeline: Timeline::new(),
            events: VecDeque::new(),
            violations: Vec::new(),
        }
    }

    /// Says what a run will do once it is launched.
    pub fn add(&mut self, run: RunId, behaviour: Behaviour) {
        let script = SimScript {
            behaviour,
            trace: ScriptTrace::default(),
            number: None,
            processes: Vec::new(),
            is_starting: false,
            is_confirmed: false,
            untold: None,
            leader: Leader::None,
            found_alive: 0,
        };
        self.scripts.insert(run, script);
    }

    /// What its clock shows.
    pub fn now(&self) -> Tick {
        self.now
    }

    /// Moves on to `until`, or only as far as the first moment at which there is something to hear.
    pub fn wait(&mut self, until: Tick) {
        while self.events.is_empty() {
            let Some(at) = self.timeline.next_at().filter(|at| *at <= until) else {
                self.now = self.now.max(until);
                return;
            };
            self.pass(at);
        }
    }

    /// Moves on to `until`, whatever happens.
    pub fn pass(&mut self, until: Tick) {
        while let Some((at, what)) = self.timeline.pop_by(until) {
            self.now = self.now.max(at);
            self.happen(what);
        }
        self.now = self.now.max(until);
    }

    /// Nothing is planned and nothing waits to be heard.
    pub fn is_still(&self) -> bool {
        self.timeline.next_at().is_none() && self.events.is_empty()
    }

    /// The next thing the supervisor may hear.
    pub fn hear(&mut self) -> Option<(RunId, Event)> {
        let (run, event) = self.events.pop_front()?;
        let now = self.now;
        if let Some(script) = self.scripts.get_mut(&run) {
            script.trace.heard.push((now, event));
        }
        Some((run, event))
    }

    /// Breaches of the contract so far.
    pub fn violations(&self) -> &[String] {
        &self.violations
    }

    /// Scripts that are being started or of which a process lives.
    pub fn living(&self) -> Vec<RunId> {
        let is_living = |script: &SimScript| script.is_starting || script.alive() > 0;
        self.scripts.iter().filter(|(_, script)| is_living(script)).map(|(run, _)| *run).collect()
    }

    /// What really happened to a run.
    pub fn trace(&self, run: RunId) -> Option<&ScriptTrace> {
        self.scripts.get(&run).map(|script| &script.trace)
    }

    /// Numbers that were taken over by somebody else.
    pub fn numbers_reused(&self) -> u64 {
        self.numbers.reused()
    }

    fn happen(&mut self, what: Happening) {
        match what {
            Happening::Launches(run) => self.launches(run),
            Happening::Fails(run, fault) => {
                if let Some(script) = self.scripts.get_mut(&run) {
                    script.is_starting = false;
                    self.events.push_back((run, Event::LaunchFailed(fault)));
                }
            }
            Happening::Confirms(run) => {
                let Some(script) = self.scripts.get_mut(&run) else {
                    return;
                };
                script.is_confirmed = true;
                let at = script.trace.launched_at.unwrap_or(self.now);
                self.events.push_back((run, Event::Launched(at)));
                if let Some(event) = script.untold.take() {
                    self.events.push_back((run, event));
                }
            }
            Happening::Stops(run) => {
                if let Some(script) = self.scripts.get_mut(&run) {
                    script.processes[0].stop();
                }
            }
            Happening::Ends(run, index) => self.ends(run, index),
            Happening::InnocentEnds(number) => self.numbers.free(number),
        }
    }

    fn launches(&mut self, run: RunId) {
        let now = self.now;
        let Some(script) = self.scripts.get_mut(&run) else {
            return;
        };
        let plan = script.behaviour.clone();
        script.is_starting = false;
        script.leader = Leader::Alive;
        script.trace.launched_at = Some(now);
        script.number = Some(self.numbers.take(Owner::Script(run)));
        self.timeline.plan(now + plan.lag, Happening::Confirms(run));
        if let Some(after) = plan.stops_after {
            self.timeline.plan(now + after, Happening::Stops(run));
        }
        let leader = Process::new(Role::Leader, plan.on_term, plan.leader_window(now));
        self.spawn(run, leader);
        self.doom(run, 0, now + plan.run_time, plan.status);
        for _ in 0..plan.members {
            let window = plan.others_window(now);
            let index = self.spawn(run, Process::new(Role::Member, plan.others_on_term, window));
            self.doom(run, index, now + plan.others_live, ScriptStatus::Exited(0));
        }
        for _ in 0..plan.strays {
            let window = plan.others_window(now);
            let index = self.spawn(run, Process::new(Role::Stray, OnTerm::Ignores, window));
            self.doom(run, index, now + plan.others_live, ScriptStatus::Exited(0));
        }
    }

    fn spawn(&mut self, run: RunId, process: Process) -> usize {
        let Some(script) = self.scripts.get_mut(&run) else {
            return 0;
        };
        script.processes.push(process);
        script.trace.processes = script.processes.len();
        script.processes.len() - 1
    }

    /// Plans the end of a process, unless it ends before that.
    fn doom(&mut self, run: RunId, index: usize, at: Tick, status: ScriptStatus) {
        let script = self.scripts.get_mut(&run);
        let process = script.and_then(|script| script.processes.get_mut(index));
        match process.and_then(|process| process.doom(at, status)) {
            Some(at) if at <= self.now => self.ends(run, index),
            Some(at) => self.timeline.plan(at, Happening::Ends(run, index)),
            None => {}
        }
    }

    fn ends(&mut self, run: RunId, index: usize) {
        let now = self.now;
        let Some(script) = self.scripts.get_mut(&run) else {
            return;
        };
        let Some(status) = script.processes[index].end(now) else {
            return;
        };
        if index == 0 {
            script.trace.ended = Some((now, status));
            let event = if script.behaviour.is_lost {
                script.leader = Leader::Collected;
                script.processes[0].collect();
                Event::Lost
            } else {
                script.leader = Leader::Zombie;
                Event::Exited(status)
            };
            if script.is_confirmed {
                self.events.push_back((run, event));
            } else {
                script.untold = Some(event);
            }
        }
        self.free_number(run);
    }

    /// Gives the number back once the leader is collected and nothing is in the group.
    fn free_number(&mut self, run: RunId) {
        let Some(script) = self.scripts.get_mut(&run) else {
            return;
        };
        if script.leader != Leader::Collected || script.processes.iter().any(Process::is_in_group) {
            return;
        }
        let Some(number) = script.number else {
            return;
        };
        if self.numbers.owner(number) != Some(Owner::Script(run)) {
            return;
        }
        self.numbers.free(number);
        if self.prng.chance(0.5) {
            let number = self.numbers.take(Owner::Innocent);
            let life = self.prng.between(MS, 3_000 * MS);
            self.timeline.plan(self.now + life, Happening::InnocentEnds(number));
        }
    }
}

impl SimScript {
    fn alive(&self) -> usize {
        self.processes.iter().filter(|process| process.is_alive()).count()
    }
}

const MS: std::time::Duration = std::time::Duration::from_millis(1);
