//! One trouble at a time, with the exact result it must have.

use std::time::Duration;

use ringprobe::outcome::{Failure, LocalFault, Outcome, ScriptFault};
use ringprobe::reaper::ScriptStatus;
use ringprobe::reaper::supervise::{Event, UNKILLABLE_AFTER};
use ringprobe::sim::{Behaviour, Launch, OnTerm, ScriptTrace, Told};

use super::drive::{Run, run_id};
use super::scenario::{EVER, FAULTS, MS, S, Scenario};
use super::seeds::judge;

const TIMEOUT: Outcome = Outcome::Fail(Failure::Timeout);
const LATE: Outcome = Outcome::Unknown(LocalFault::Late);

/// Runs for ever, dies of SIGTERM.
fn endless() -> Behaviour {
    Behaviour { run_time: EVER, ..Behaviour::default() }
}

fn unknown(fault: ScriptFault) -> Outcome {
    Outcome::Unknown(LocalFault::Script(fault))
}

fn run(scenario: &Scenario) -> Run {
    judge(scenario).unwrap_or_else(|what| panic!("{what}"))
}

fn trace(run: &Run, index: usize) -> &ScriptTrace {
    run.world.trace(run_id(index)).expect("a run of the scenario")
}

fn told(run: &Run, index: usize) -> Told {
    *trace(run, index).reports.first().expect("a report")
}

/// One script with a timeout of one second and no other trouble.
fn alone(behaviour: Behaviour) -> (Run, Told) {
    let mut scenario = Scenario::plain();
    scenario.add(S, behaviour);
    let run = run(&scenario);
    let told = told(&run, 0);
    (run, told)
}

/// From the launch to the report.
fn took(run: &Run, told: Told) -> Duration {
    told.at.since(trace(run, 0).launched_at.expect("launched"))
}

#[test]
fn a_start_that_fails_is_unknown_and_frees_its_place_at_once() {
    for fault in FAULTS {
        let mut scenario = Scenario::plain();
        scenario.jobs = 1;
        for _ in 0..10 {
            scenario.add(S, Behaviour { launch: Launch::Fails(MS, fault), ..endless() });
        }
        scenario.add(S, Behaviour::default());
        let run = run(&scenario);
        for index in 0..10 {
            assert_eq!(told(&run, index).end.outcome, unknown(fault));
        }
        assert_eq!(told(&run, 10).end.outcome, Outcome::Pass);
        assert!(told(&run, 10).at < super::drive::start() + S, "{:?}", told(&run, 10));
    }
}

#[test]
fn an_exit_in_the_tick_of_the_deadline_is_the_script_s_own() {
    let mut scenario = Scenario::plain();
    scenario.jobs = 1_000;
    for index in 0..1_000_u32 {
        let status = if index % 2 == 0 { ScriptStatus::Exited(0) } else { ScriptStatus::Exited(3) };
        scenario.add(S, Behaviour { run_time: S, status, ..Behaviour::default() });
    }
    let run = run(&scenario);
    for index in 0..1_000 {
        let told = told(&run, index);
        let own = [Outcome::Pass, Outcome::Fail(Failure::ExitStatus(3))][index % 2];
        assert_eq!(told.end.outcome, own);
        let launched_at = told.end.launched_at.expect("launched");
        assert_eq!(told.end.ended_at, Some(launched_at + S));
        assert_eq!(trace(&run, index).term_at, None);
    }
}

#[test]
fn an_exit_a_moment_after_sigterm_is_a_timeout_that_keeps_its_status() {
    let exits = |delay| Behaviour { on_term: OnTerm::Exits(delay, 0), ..endless() };
    for delay in [Duration::ZERO, MS, 1_999 * MS] {
        let (run, told) = alone(exits(delay));
        assert_eq!(told.end.outcome, TIMEOUT);
        assert_eq!(told.end.status, Some(ScriptStatus::Exited(0)));
        assert!(!told.end.left_processes && !told.end.is_unkilled);
        assert!(took(&run, told) <= S + delay + MS, "{delay:?}: {:?}", took(&run, told));
    }
    let (run, told) = alone(exits(5 * S));
    assert_eq!(told.end.status, Some(ScriptStatus::Signaled(9)));
    assert!(took(&run, told) <= 3 * S + MS, "{:?}", took(&run, told));
}

#[test]
fn sigterm_ignored_ends_in_sigkill_one_grace_later() {
    let (run, told) = alone(Behaviour { on_term: OnTerm::Ignores, ..endless() });
    assert_eq!((told.end.outcome, told.end.is_unkilled), (TIMEOUT, false));
    let trace = trace(&run, 0);
    assert_eq!(trace.kill_at.map(|at| at.since(trace.term_at.expect("SIGTERM"))), Some(2 * S));
    assert!(took(&run, told) <= 3 * S + MS);
}

#[test]
fn no_grace_is_sigterm_and_sigkill_in_one_turn() {
    let mut scenario = Scenario::plain();
    scenario.grace = Duration::ZERO;
    scenario.add(S, Behaviour { on_term: OnTerm::Ignores, ..endless() });
    let run = run(&scenario);
    assert_eq!(trace(&run, 0).kill_at, trace(&run, 0).term_at);
    assert_eq!(told(&run, 0).end.outcome, TIMEOUT);
}

#[test]
fn a_lost_leader_is_unknown_and_its_group_is_cleaned_without_a_signal_to_its_number() {
    let lost = Behaviour { is_lost: true, members: 3, strays: 2, ..Behaviour::default() };
    let (run, told) = alone(lost.clone());
    assert_eq!((told.end.outcome, told.end.status), (unknown(ScriptFault::Lost), None));
    assert!(!told.end.left_processes);
    assert!(run.world.living().is_empty());
    // After SIGTERM it is the timeout that counts.
    let (_, told) = alone(Behaviour { run_time: EVER, ..lost });
    assert_eq!((told.end.outcome, told.end.status), (TIMEOUT, None));
}

#[test]
fn a_refused_kill_is_told_two_seconds_after_it_and_holds_its_place() {
    let mut scenario = Scenario::plain();
    scenario.jobs = 1;
    scenario.add(S, Behaviour { refuses_for: 20 * S, ..endless() });
    scenario.add(S, Behaviour::default());
    let run = run(&scenario);
    let end = told(&run, 0).end;
    assert_eq!((end.outcome, end.is_unkilled), (TIMEOUT, true));
    assert_eq!(end.refused, Some(libc::EPERM));
    assert_eq!(took(&run, told(&run, 0)), 3 * S + UNKILLABLE_AFTER);
    // Its place was the only one, so the other had none; and it is killed once that is allowed.
    assert_eq!(run.stuck, [run_id(1)]);
    assert!(run.world.living().is_empty());
    let gone = trace(&run, 0).forgotten_at.expect("gone");
    let after = gone.since(trace(&run, 0).launched_at.expect("launched"));
    assert!(after >= 20 * S && after <= 31 * S, "{after:?}");
}

#[test]
fn unkillable_for_a_while_is_told_in_time_and_gone_when_it_can_be() {
    for (length, is_unkilled) in [(S, false), (3 * S, false), (20 * S, true)] {
        let stuck = Behaviour { uninterruptible: Some((S / 2, length)), ..endless() };
        let (run, told) = alone(stuck);
        assert_eq!((told.end.outcome, told.end.is_unkilled), (TIMEOUT, is_unkilled), "{length:?}");
        assert!(took(&run, told) <= 3 * S + UNKILLABLE_AFTER + MS);
        assert!(run.world.living().is_empty());
    }
}

#[test]
fn killing_what_cannot_be_killed_slows_down_to_every_ten_seconds() {
    let mut scenario = Scenario::plain();
    scenario.add(S, Behaviour { uninterruptible: Some((S / 2, EVER)), ..endless() });
    let run = run(&scenario);
    assert!(told(&run, 0).end.is_unkilled);
    let told_at = told(&run, 0).at;
    let before = run.turns.iter().filter(|turn| **turn < told_at).count();
    let (middle, last) = (told_at + 20 * S, told_at + 50 * S);
    let later = run.turns.iter().filter(|turn| (middle..last).contains(turn)).count();
    // 1, 2, 4 .. 64, then every 100 ms for two seconds. The driver itself looks once a second.
    assert!((20..40).contains(&before), "{before}");
    assert!((2..=4).contains(&later), "{later}");
}

#[test]
fn what_a_leader_leaves_behind_is_killed_and_told_once() {
    for (members, strays, dying) in [(50, 0, 2 * MS), (1, 0, Duration::ZERO), (0, 3, 2 * MS)] {
        let leaving = Behaviour { members, strays, dying, ..Behaviour::default() };
        let (run, told) = alone(leaving);
        assert_eq!((told.end.outcome, told.end.left_processes), (Outcome::Pass, true));
        assert!(!told.end.is_unkilled);
        assert!(took(&run, told) < 20 * MS, "{:?}", took(&run, told));
    }
    // What ended by itself in time was not left behind.
    let brief = Behaviour { members: 3, others_live: MS, ..Behaviour::default() };
    assert!(!alone(brief).1.end.left_processes);
    // And what SIGTERM had to end did not end by itself.
    assert!(!alone(Behaviour { strays: 2, members: 2, ..endless() }).1.end.left_processes);
}

#[test]
fn strays_that_breed_are_hunted_until_they_are_gone() {
    let breeding = |breeds_for| Behaviour { strays: 3, breeds_for, ..Behaviour::default() };
    let (run, told) = alone(breeding(S));
    assert!(trace(&run, 0).processes > 20 && !told.end.is_unkilled);
    let (run, told) = alone(breeding(5 * S));
    assert!(told.end.is_unkilled && told.end.left_processes);
    assert_eq!(told.end.outcome, Outcome::Pass);
    assert!(run.world.living().is_empty());
}

#[test]
fn a_stall_between_two_kills_makes_nothing_unkillable() {
    let mut scenario = Scenario::plain();
    // Its stray forks another one as it is killed; nobody is there to see that for five seconds.
    scenario.add(S, Behaviour { strays: 1, breeds_for: MS, dying: MS, ..Behaviour::default() });
    scenario.stalls_at = vec![(10 * MS + MS / 2, Duration::ZERO), (11 * MS + MS / 2, 5 * S)];
    let run = run(&scenario);
    assert!(run.stalled >= 5 * S);
    assert_eq!((told(&run, 0).end.outcome, told(&run, 0).end.is_unkilled), (Outcome::Pass, false));
}

#[test]
fn a_stopped_script_times_out_like_any_other() {
    for on_term in [OnTerm::Dies, OnTerm::Ignores, OnTerm::Exits(MS, 0)] {
        let stopped = Behaviour { stops_after: Some(MS), on_term, ..Behaviour::default() };
        let (run, told) = alone(stopped);
        assert_eq!((told.end.outcome, told.end.is_unkilled), (TIMEOUT, false));
        let limit = if on_term == OnTerm::Ignores { 3 * S } else { S };
        assert!(took(&run, told) <= limit + 20 * MS, "{on_term:?}: {:?}", took(&run, told));
    }
}

#[test]
fn a_late_wait_takes_no_exit_for_a_timeout_and_no_timeout_for_certain() {
    // The supervisor stands still over the deadline of four scripts.
    let at = |stall: Duration, behaviours: &[Behaviour]| {
        let mut scenario = Scenario::plain();
        scenario.stalls_at = vec![(500 * MS, stall)];
        // Something to be woken by when the stall begins.
        let waker = Behaviour { run_time: 499 * MS, ..Behaviour::default() };
        scenario.add(S, waker);
        for behaviour in behaviours {
            scenario.add(S, behaviour.clone());
        }
        run(&scenario)
    };
    let exits_at = |ms: u32| Behaviour { run_time: ms * MS, ..Behaviour::default() };
    let behaviours = [exits_at(900), exits_at(1_100), endless()];
    // Found 0.2 s after the deadline: exits are exits.
    let run = at(700 * MS, &behaviours);
    let outcomes: Vec<_> = (1..4).map(|index| told(&run, index).end.outcome).collect();
    assert_eq!(outcomes, [Outcome::Pass, Outcome::Pass, TIMEOUT]);
    // Found 2.5 s after it: nobody knows any more.
    let run = at(3 * S, &behaviours);
    let outcomes: Vec<_> = (1..4).map(|index| told(&run, index).end.outcome).collect();
    assert_eq!(outcomes, [LATE, LATE, LATE]);
    assert!(run.world.living().is_empty());
}

#[test]
fn a_stall_before_a_launch_is_not_held_against_the_script() {
    let mut scenario = Scenario::plain();
    scenario.stalls_at = vec![(500 * MS, 3 * S)];
    scenario.add(5 * S, Behaviour { launch: Launch::After(600 * MS), ..endless() });
    scenario.add(S / 2, endless());
    scenario.add(S, Behaviour { launch: Launch::After(Duration::ZERO), ..Behaviour::default() });
    // Launched 2.9 s into a stall, heard of together with it, so that most of the stall was before.
    scenario.add(6 * S, Behaviour { launch: Launch::After(3_400 * MS), ..endless() });
    let run = run(&scenario);
    assert_eq!(told(&run, 0).end.outcome, LATE);
    assert_eq!(told(&run, 1).end.outcome, LATE);
    assert_eq!(told(&run, 2).end.outcome, Outcome::Pass);
    assert_eq!(told(&run, 3).end.outcome, TIMEOUT);
}

#[test]
fn a_start_that_hangs_is_unstarted_and_killed_should_it_come_to_life() {
    let mut scenario = Scenario::plain();
    scenario.jobs = 1;
    scenario.add(S, Behaviour { launch: Launch::After(10 * S), ..endless() });
    scenario.add(S, Behaviour::default());
    let run = run(&scenario);
    assert_eq!(told(&run, 0).end.outcome, unknown(ScriptFault::Unstarted));
    assert_eq!(trace(&run, 0).begun_at.map(|at| at + S), Some(told(&run, 0).at));
    assert_eq!(run.stuck, [run_id(1)]);
    let heard = trace(&run, 0).heard.first().expect("launched");
    assert!(matches!(heard.1, Event::Launched(_)));
    assert_eq!(trace(&run, 0).kill_at, Some(heard.0), "killed in the same turn");
    assert_eq!(trace(&run, 0).term_at, None);
}

#[test]
fn places_are_stuck_only_when_all_of_them_are() {
    let mut scenario = Scenario::plain();
    scenario.jobs = 2;
    scenario.add(S, Behaviour { launch: Launch::Hangs, ..endless() });
    for _ in 0..20 {
        scenario.add(S, Behaviour { run_time: S / 2, ..Behaviour::default() });
    }
    let one = run(&scenario);
    assert!(one.stuck.is_empty());
    assert!((1..21).all(|index| told(&one, index).end.outcome == Outcome::Pass));
    scenario.scripts[5].2.uninterruptible = Some((Duration::ZERO, EVER));
    let both = run(&scenario);
    assert_eq!(both.stuck.len(), 15);
    assert_eq!(both.world.living(), [run_id(0), run_id(5)]);
}

#[test]
fn a_stop_ends_everything_and_reports_nothing() {
    // The fifth turn is at the deadlines.
    for stop_after in 0..5 {
        let mut scenario = Scenario::plain();
        scenario.jobs = 8;
        scenario.stop_after = Some(stop_after);
        scenario.add(5 * S, endless());
        scenario.add(5 * S, Behaviour { on_term: OnTerm::Ignores, ..endless() });
        scenario.add(5 * S, Behaviour { launch: Launch::After(S), ..endless() });
        scenario.add(5 * S, Behaviour { stops_after: Some(MS), ..endless() });
        scenario.add(5 * S, Behaviour { members: 9, strays: 2, ..Behaviour::default() });
        let run = run(&scenario);
        assert!(run.world.living().is_empty());
        for index in [0, 1, 2, 3] {
            assert!(trace(&run, index).reports.is_empty());
        }
    }
}
