//! What runs, and what goes wrong: everything that a seed decides.

use std::time::Duration;

use ringprobe::outcome::{ScriptFault, SetupStep};
use ringprobe::reaper::ScriptStatus;
use ringprobe::reaper::supervise::Terms;
use ringprobe::sim::{Behaviour, Launch, OnTerm, Prng};

use super::canary::Canary;

pub(crate) const MS: Duration = Duration::from_millis(1);
pub(crate) const S: Duration = Duration::from_secs(1);
pub(crate) const EVER: Duration = Duration::MAX;

/// One simulation.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    pub(crate) seed: u64,
    pub(crate) jobs: usize,
    pub(crate) grace: Duration,
    /// When each script is to start at the earliest, counted from the one before it.
    pub(crate) scripts: Vec<(Duration, Terms, Behaviour)>,
    /// In how many turns the supervisor stands still, for how long at most.
    pub(crate) stall: f64,
    pub(crate) stall_max: Duration,
    /// Stalls from these moments on, counted from the start.
    pub(crate) stalls_at: Vec<(Duration, Duration)>,
    /// Every wake is so late at most.
    pub(crate) jitter: Duration,
    /// The supervisor is stopped after so many turns.
    pub(crate) stop_after: Option<u64>,
    pub(crate) canary: Option<Canary>,
}

impl Scenario {
    /// No scripts and no trouble: four places, two seconds of grace.
    pub(crate) fn plain() -> Scenario {
        Scenario {
            seed: 0,
            jobs: 4,
            grace: 2 * S,
            scripts: Vec::new(),
            stall: 0.0,
            stall_max: Duration::ZERO,
            stalls_at: Vec::new(),
            jitter: Duration::ZERO,
            stop_after: None,
            canary: None,
        }
    }

    pub(crate) fn add(&mut self, timeout: Duration, behaviour: Behaviour) {
        self.scripts.push((Duration::ZERO, Terms { timeout, dynamic: false }, behaviour));
    }
}

/// The scenario of a seed.
pub(crate) fn make(seed: u64) -> Scenario {
    let mut prng = Prng::new(seed);
    let mut scenario = Scenario {
        seed,
        jobs: prng.pick(&[1, 2, 4, 8]),
        grace: prng.pick(&[Duration::ZERO, 50 * MS, 500 * MS, 2 * S]),
        stop_after: prng.chance(0.2).then(|| 1 + prng.below(60)),
        jitter: prng.pick(&[Duration::ZERO, 200 * MS / 1000]),
        ..Scenario::plain()
    };
    if prng.chance(0.5) {
        scenario.stall = prng.pick(&[0.01, 0.05, 0.2]);
        scenario.stall_max = prng.pick(&[50 * MS, S, 10 * S]);
    }
    // Some worlds know no trouble, some nothing else.
    let trouble = prng.pick(&[0.0, 0.2, 0.5, 1.0]);
    let for_ever = prng.pick(&[0.0, 0.0, 0.03, 0.3]);
    for _ in 0..5 + prng.below(60) {
        let pause = prng.pick(&[Duration::ZERO, Duration::ZERO, 20 * MS, 300 * MS]);
        let timeout = prng.pick(&[50 * MS, 200 * MS, S, 3 * S, 5 * S]);
        let terms = Terms { timeout, dynamic: prng.chance(0.3) };
        let mut behaviour = ordinary(&mut prng, timeout);
        if prng.chance(trouble) {
            for _ in 0..=prng.below(3) {
                trouble_of(&mut behaviour, &mut prng, timeout, for_ever);
            }
        }
        scenario.scripts.push((pause, terms, behaviour));
    }
    scenario
}

fn ordinary(prng: &mut Prng, timeout: Duration) -> Behaviour {
    let status = match prng.below(8) {
        0..4 => ScriptStatus::Exited(0),
        4 => ScriptStatus::Exited(1),
        5 | 6 => ScriptStatus::Exited(prng.below(256) as u8),
        _ => ScriptStatus::Signaled(prng.pick(&[9, 11, 15])),
    };
    Behaviour {
        launch: Launch::After(prng.between(Duration::ZERO, 5 * MS)),
        lag: prng.pick(&[Duration::ZERO, MS / 10, 2 * MS]),
        run_time: prng.pick(&[
            Duration::ZERO,
            timeout / 10,
            timeout / 2,
            timeout,
            timeout + MS,
            EVER,
        ]),
        status,
        dying: prng.pick(&[Duration::ZERO, MS / 2, 3 * MS]),
        ..Behaviour::default()
    }
}

fn trouble_of(behaviour: &mut Behaviour, prng: &mut Prng, timeout: Duration, for_ever: f64) {
    let long = |prng: &mut Prng| {
        if prng.chance(for_ever) { EVER } else { prng.between(Duration::ZERO, 15 * S) }
    };
    match prng.below(14) {
        0 => behaviour.launch = Launch::Fails(prng.between(Duration::ZERO, MS), fault(prng)),
        1 => {
            let late = prng.between(Duration::ZERO, 3 * timeout);
            behaviour.launch = match prng.below(2) {
                0 => Launch::Fails(late, fault(prng)),
                _ => Launch::After(late),
            };
        }
        2 if prng.chance(for_ever) => behaviour.launch = Launch::Hangs,
        2 | 3 => behaviour.on_term = OnTerm::Ignores,
        4 => {
            let delay = prng.pick(&[Duration::ZERO, MS, S, 3 * S]);
            behaviour.on_term = OnTerm::Exits(delay, prng.pick(&[0, 0, 1, 7]));
        }
        5 => behaviour.stops_after = Some(prng.between(Duration::ZERO, timeout)),
        6 => {
            behaviour.members = 1 + prng.below(50) as u32;
            behaviour.others_on_term = prng.pick(&[OnTerm::Dies, OnTerm::Ignores]);
        }
        7 => behaviour.strays = 1 + prng.below(3) as u32,
        8 => {
            behaviour.strays = 1 + prng.below(3) as u32;
            behaviour.breeds_for = prng.pick(&[20 * MS, S, 5 * S]);
        }
        9 => {
            let from = prng.between(Duration::ZERO, timeout);
            behaviour.uninterruptible = Some((from, long(prng)));
        }
        10 => {
            behaviour.members += 1;
            let from = prng.between(Duration::ZERO, timeout);
            behaviour.others_uninterruptible = Some((from, long(prng)));
        }
        11 => behaviour.refuses_for = long(prng),
        12 => behaviour.is_lost = true,
        _ => behaviour.others_live = prng.between(Duration::ZERO, 2 * timeout),
    }
}

fn fault(prng: &mut Prng) -> ScriptFault {
    prng.pick(&FAULTS)
}

/// What a launch may fail with.
pub(crate) const FAULTS: [ScriptFault; 9] = [
    ScriptFault::NotFound(libc::ENOENT),
    ScriptFault::NotExecutable(libc::EACCES),
    ScriptFault::Interpreter,
    ScriptFault::Format,
    ScriptFault::Insecure,
    ScriptFault::Changed,
    ScriptFault::User(libc::EPERM),
    ScriptFault::Spawn(libc::EAGAIN),
    ScriptFault::Setup(SetupStep::Directory, libc::ENOENT),
];
