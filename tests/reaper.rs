//! The reaper as a library sees it: a fleet of scripts in, one report of each out, nothing left behind.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{bounded, unbounded};
use nix::unistd::{getegid, geteuid};
use ringprobe::fleet::{
    Checker, Fleet, MiscSpec, ProbeSpec, Protocol, RealServer, ScriptCommand, ScriptUser, Service,
    Timing, VirtualServer,
};
use ringprobe::id::{RealServerId, SpecId, VirtualServerId};
use ringprobe::outcome::{Assignment, Failure, LocalFault, Outcome, Record, ScriptFault};
use ringprobe::reaper::link::{ReaperConfig, ReaperError, ReaperLinks, ReaperReport};
use ringprobe::reaper::{self, ScriptRun, ScriptStatus};
use ringprobe::schedule::pace::{Pace, Span};
use ringprobe::tick::monotonic_now;

/// Scripts of one run of the reaper.
struct Scripts {
    fleet: Fleet,
    config: ReaperConfig,
    retries: u16,
    /// Reports after which the run is stopped.
    stop_after: Option<usize>,
    /// Marks every process of this test, also where it has lost the reaper's own mark.
    mark: String,
}

/// What came of them, in the order of the scripts.
struct Ended {
    runs: Vec<(Record, ScriptRun)>,
    /// Strays that were killed when nobody knew any more whose they are.
    unowned: u64,
    result: Result<(), ReaperError>,
}

impl Ended {
    fn outcomes(&self) -> Vec<Outcome> {
        self.runs.iter().map(|(record, _)| record.outcome).collect()
    }
}

fn own_user() -> Arc<ScriptUser> {
    Arc::new(ScriptUser {
        name: "tester".into(),
        home: (*b"/").into(),
        uid: geteuid().as_raw(),
        gid: getegid().as_raw(),
        groups: Box::new([]),
    })
}

impl Scripts {
    fn new(test: &str) -> Scripts {
        let mark = format!("{test}-{}", std::process::id());
        let virtual_server = VirtualServer {
            service: Service::Address("192.0.2.1:80".parse().expect("an address")),
            protocol: Some(Protocol::Tcp),
            quorum: 1,
            hysteresis: 0,
            line: 1,
        };
        let timing = Timing {
            delay_loop: Duration::from_secs(1),
            delay_before_retry: Duration::from_secs(1),
            warmup: Duration::ZERO,
            retry: 0,
            retry_is_written: false,
            alpha: false,
        };
        let fleet = Fleet {
            virtual_servers: vec![virtual_server],
            timings: vec![timing],
            ..Fleet::default()
        };
        let config = ReaperConfig {
            program: Some(env!("CARGO_BIN_EXE_ringprobe").into()),
            grace: Duration::from_millis(200),
            environment: vec![(b"TESTMARK".to_vec(), mark.clone().into_bytes())],
            ..ReaperConfig::default()
        };
        Scripts { fleet, config, retries: 0, stop_after: None, mark }
    }

    fn add(&mut self, argv: &[&str], timeout_ms: u64) -> &mut MiscSpec {
        let number = self.fleet.checkers.len() as u32;
        let address = format!("10.0.{}.{}:80", number / 250, number % 250 + 1);
        let address = address.parse().expect("an address");
        self.fleet.real_servers.push(RealServer {
            virtual_server: VirtualServerId(0),
            address,
            weight: 1,
            inhibit_on_failure: false,
            line: number,
        });
        self.fleet.specs.push(ProbeSpec::Misc(MiscSpec {
            command: ScriptCommand::Argv(argv.iter().collect()),
            timeout: Duration::from_millis(timeout_ms),
            dynamic: false,
            user: own_user(),
        }));
        self.fleet.checkers.push(Checker {
            real_server: RealServerId(number),
            target: address,
            spec: SpecId(number),
            timing: 0,
            line: number,
        });
        match self.fleet.specs.last_mut() {
            Some(ProbeSpec::Misc(spec)) => spec,
            _ => unreachable!("just pushed"),
        }
    }

    fn sh(&mut self, text: &str, timeout_ms: u64) -> &mut MiscSpec {
        self.add(&["/bin/sh", "-c", text], timeout_ms)
    }

    fn run(self) -> Ended {
        self.run_with(|_| ())
    }

    /// Runs all scripts, with `meanwhile` on a thread of its own, which gets the stop flag.
    fn run_with(self, meanwhile: impl FnOnce(&AtomicBool) + Send) -> Ended {
        let (assignments_in, assignments) = unbounded();
        let (reports_in, reports) = unbounded();
        let stop = Arc::new(AtomicBool::new(false));
        let batch: Vec<Assignment> = (0..)
            .zip(&self.fleet.checkers)
            .map(|(seq, checker)| Assignment {
                seq,
                target: checker.target,
                spec: checker.spec,
                retries: self.retries,
            })
            .collect();
        assignments_in.send(batch).expect("the other end is here");
        drop(assignments_in);
        let links =
            ReaperLinks { assignments, reports: reports_in, ready: None, stop: Arc::clone(&stop) };
        let (fleet, config) = (Arc::new(self.fleet), self.config);
        let mut ended = Ended { runs: Vec::new(), unowned: 0, result: Ok(()) };
        thread::scope(|scope| {
            scope.spawn(move || reaper::run(fleet, config, links));
            scope.spawn(|| meanwhile(&stop));
            for report in reports {
                match report {
                    ReaperReport::Run(run) => ended.runs.push(*run),
                    ReaperReport::Unowned(count) => ended.unowned = count,
                    ReaperReport::Ended(result) => ended.result = result,
                }
                if self.stop_after == Some(ended.runs.len()) {
                    stop.store(true, Ordering::Relaxed);
                }
            }
        });
        ended.runs.sort_by_key(|(record, _)| record.seq);
        assert_eq!(living(&self.mark), Vec::<i32>::new(), "nothing is left");
        ended
    }
}

/// Processes that carry the mark of a test.
fn living(mark: &str) -> Vec<i32> {
    let needle = format!("TESTMARK={mark}\0");
    let pids = fs::read_dir("/proc").expect("procfs").flatten();
    pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid: &i32| {
            fs::read(format!("/proc/{pid}/environ")).is_ok_and(|text| {
                text.windows(needle.len()).any(|window| window == needle.as_bytes())
            })
        })
        .collect()
}

const TIMEOUT: Outcome = Outcome::Fail(Failure::Timeout);

#[test]
fn exit_statuses_signals_and_timeouts() {
    let mut scripts = Scripts::new("statuses");
    scripts.add(&["/bin/true"], 60_000);
    scripts.add(&["/bin/false"], 60_000);
    scripts.sh("exit 7", 60_000);
    scripts.sh("exit 7", 60_000).dynamic = true;
    scripts.sh("kill -9 $$", 60_000);
    scripts.sh("kill -35 $$", 60_000);
    scripts.add(&["/bin/sleep", "3600"], 300);
    scripts.sh("sleep 3600 & sleep 3600", 300);
    scripts.sh("trap '' TERM; while :; do sleep 1; done", 300);
    scripts.sh("trap 'exit 0' TERM; while :; do sleep 0.05; done", 300);
    scripts.sh("kill -STOP $$", 300);
    scripts.add(&["/nonexistent/check"], 60_000);
    let ended = scripts.run();
    ended.result.as_ref().expect("the reaper ran");
    assert_eq!(
        ended.outcomes(),
        [
            Outcome::Pass,
            Outcome::Fail(Failure::ExitStatus(1)),
            Outcome::Fail(Failure::ExitStatus(7)),
            Outcome::Pass,
            Outcome::Fail(Failure::Signal(9)),
            Outcome::Fail(Failure::Signal(35)),
            TIMEOUT,
            TIMEOUT,
            TIMEOUT,
            TIMEOUT,
            TIMEOUT,
            Outcome::Unknown(LocalFault::Script(ScriptFault::NotFound(2))),
        ]
    );
    let script = |number: usize| &ended.runs[number].1;
    assert_eq!(script(3).weight, Some(5));
    assert_eq!(script(9).status, Some(ScriptStatus::Exited(0)), "and yet a timeout");
    assert_eq!(script(8).status, Some(ScriptStatus::Signaled(9)));
    assert!(script(0).startup_ns.is_some_and(|ns| ns > 0) && script(0).run_ns.is_some());
    assert_eq!(script(11).startup_ns, None);
    assert!(ended.runs.iter().all(|(_, script)| !script.left_processes), "{:?}", ended.runs);
}

#[test]
fn what_a_script_leaves_behind_is_killed_and_told() {
    let mut scripts = Scripts::new("left");
    scripts.sh("sleep 3600 & exit 0", 60_000);
    scripts.sh("setsid sleep 3600 & exit 0", 60_000);
    scripts.sh("(setsid sh -c 'sleep 3600 & sleep 3600' &) ; exit 0", 60_000);
    scripts.sh("setsid sleep 3600 & sleep 3600", 300);
    scripts.sh("i=0; while [ $i -lt 50 ]; do sleep 3600 & i=$((i+1)); done; exit 3", 60_000);
    scripts.add(&["/bin/true"], 60_000);
    let ended = scripts.run();
    ended.result.as_ref().expect("the reaper ran");
    assert_eq!(
        ended.outcomes(),
        [
            Outcome::Pass,
            Outcome::Pass,
            Outcome::Pass,
            TIMEOUT,
            Outcome::Fail(Failure::ExitStatus(3)),
            Outcome::Pass,
        ]
    );
    let left: Vec<bool> = ended.runs.iter().map(|(_, script)| script.left_processes).collect();
    assert_eq!((left[0], left[3..].to_vec()), (true, vec![false, true, false]));
    // What is still on its way to another session when its script is reported is nobody's, but counted.
    assert!(ended.unowned > 0 || (left[1] && left[2]), "{left:?}");
}

#[test]
fn the_end_of_the_output_is_kept() {
    let mut scripts = Scripts::new("output");
    scripts.sh("echo out; head -c 10485760 /dev/zero >&2; echo last >&2", 60_000);
    scripts.sh("exec 0<&- 1>&- 2>&-; exit 0", 60_000);
    let ended = scripts.run();
    assert_eq!((ended.outcomes(), ended.unowned), (vec![Outcome::Pass, Outcome::Pass], 0));
    let script = &ended.runs[0].1;
    assert_eq!((script.stdout.bytes.as_slice(), script.stdout.total), (&b"out\n"[..], 4));
    assert_eq!((script.stderr.bytes.len(), script.stderr.total), (4096, 10_485_765));
    assert!(script.stderr.bytes.ends_with(b"\0last\n"));
}

#[test]
fn a_script_whose_moment_has_not_come_keeps_no_retry_waiting() {
    let mut scripts = Scripts::new("paced");
    scripts.add(&["/bin/sleep", "3600"], 200);
    scripts.add(&["/bin/true"], 60_000);
    scripts.retries = 2;
    scripts.config.jobs = 1;
    // The first may start at once, the second in hours.
    scripts.config.pace = Pace::AtMost(1e-4);
    scripts.stop_after = Some(1);
    let ended = scripts.run();
    ended.result.as_ref().expect("the reaper ran");
    let records: Vec<_> = ended.runs.iter().map(|(record, _)| record).collect();
    assert_eq!(ended.outcomes(), [TIMEOUT], "the first has ended, the second has not begun");
    assert_eq!((records[0].seq, records[0].attempts), (0, 3));
}

#[test]
fn in_a_span_no_script_is_tried_again_and_each_was_due_at_its_moment() {
    let mut scripts = Scripts::new("span");
    scripts.add(&["/bin/sleep", "3600"], 200);
    scripts.add(&["/bin/true"], 60_000);
    scripts.retries = 2;
    scripts.config.jobs = 1;
    scripts.config.pace = Pace::Due { per_second: 20.0, phase: 0.0 };
    let span = Span::new(Duration::from_secs(60));
    let start = monotonic_now();
    span.begin(start);
    scripts.config.span = Some(span);
    let ended = scripts.run();
    ended.result.as_ref().expect("the reaper ran");
    assert_eq!(ended.outcomes(), [TIMEOUT, Outcome::Pass]);
    for (record, due_ms) in ended.runs.iter().map(|(record, _)| record).zip([0, 50]) {
        assert_eq!((record.attempts, record.due.since(start).as_millis()), (1, due_ms));
    }
    // The second waited for the first; that is no time of its own.
    let (second, script) = &ended.runs[1];
    assert!(second.at.since(second.due) >= Duration::from_millis(150), "{second:?}");
    let own = script.startup_ns.zip(script.run_ns).map(|(startup, run)| startup + run);
    assert_eq!((ended.runs[0].0.latency_ns, second.latency_ns), (None, own));
}

#[test]
fn what_was_due_before_the_end_of_a_span_begins_in_the_grace_behind_it() {
    // The first is running when the span ends, and for 20 ms longer.
    let run = || {
        let mut scripts = Scripts::new("grace");
        scripts.add(&["/bin/sleep", "0.31"], 60_000);
        scripts.add(&["/bin/true"], 60_000);
        scripts.add(&["/bin/true"], 60_000);
        scripts.config.jobs = 1;
        scripts.config.pace = Pace::Due { per_second: 5.0, phase: 0.0 };
        let span = Span::new(Duration::from_millis(300));
        span.begin(monotonic_now());
        scripts.config.span = Some(span);
        scripts.run().runs.len()
    };
    // A machine that stands still misses the grace; it does not each time.
    let begun: Vec<usize> = (0..5).map(|_| run()).collect();
    assert!(begun.contains(&2), "due at 0 and 200 ms, and behind the end: {begun:?}");
    assert!(begun.iter().all(|count| *count <= 2), "{begun:?}");
}

#[test]
fn a_reaper_is_ready_when_its_process_is() {
    let folder = tempfile::tempdir().expect("a directory");
    let slow = folder.path().join("slow");
    let text = format!("#!/bin/sh\nsleep 0.5\nexec {} \"$@\"\n", env!("CARGO_BIN_EXE_ringprobe"));
    fs::write(&slow, text).expect("room");
    fs::set_permissions(&slow, fs::Permissions::from_mode(0o755)).expect("it is ours");
    for (program, is_reaper) in [(slow, true), ("/bin/false".into(), false)] {
        let mut scripts = Scripts::new("ready");
        scripts.config.program = Some(program);
        let (assignments_in, assignments) = bounded(1);
        let (reports_in, reports) = unbounded();
        let (ready_in, ready) = bounded(0);
        let links = ReaperLinks {
            assignments,
            reports: reports_in,
            ready: Some(ready_in),
            stop: Arc::default(),
        };
        let start = monotonic_now();
        thread::scope(|scope| {
            scope.spawn(|| reaper::run(Arc::new(scripts.fleet), scripts.config, links));
            ready.recv().expect_err("nobody sends");
            let took = monotonic_now().since(start);
            assert!(!is_reaper || took >= Duration::from_millis(500), "{took:?}");
            drop(assignments_in);
        });
        let last = reports.iter().last().expect("its end");
        assert!(
            matches!(&last, ReaperReport::Ended(result) if result.is_ok() == is_reaper),
            "{last:?}"
        );
    }
}

#[test]
fn a_stop_ends_what_runs_and_reports_nothing_of_it() {
    let mut scripts = Scripts::new("stop");
    scripts.config.jobs = 4;
    for _ in 0..20 {
        scripts.sh("sleep 3600 & setsid sleep 3600", 60_000);
    }
    let mark = scripts.mark.clone();
    let ended = scripts.run_with(|stop| {
        // Each of the four has at least its shell.
        while living(&mark).len() < 8 {
            thread::yield_now();
        }
        stop.store(true, Ordering::Relaxed);
    });
    ended.result.expect("a stop is no error");
    assert!(ended.runs.is_empty());
}

#[test]
fn a_reaper_process_that_is_killed_leaves_nothing_and_is_told() {
    let mut scripts = Scripts::new("killed");
    scripts.config.jobs = 4;
    for _ in 0..10 {
        scripts.sh("sleep 3600 & setsid sleep 3600", 60_000);
    }
    let mark = scripts.mark.clone();
    let ended = scripts.run_with(|_| {
        while living(&mark).len() < 12 {
            thread::yield_now();
        }
        let parent = |pid: i32| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse::<i32>().ok()
        };
        let is_reaper = |pid: &i32| {
            fs::read_to_string(format!("/proc/{pid}/comm"))
                .is_ok_and(|name| name == "script-reaper\n")
        };
        let reaper = living(&mark).into_iter().find_map(|pid| parent(pid).filter(is_reaper));
        let reaper = nix::unistd::Pid::from_raw(reaper.expect("a script has its parent"));
        nix::sys::signal::kill(reaper, nix::sys::signal::SIGKILL).expect("it is ours");
    });
    assert!(matches!(ended.result, Err(ReaperError::Died { .. })), "{:?}", ended.result);
    let lost = Outcome::Unknown(LocalFault::Script(ScriptFault::Reaper));
    assert_eq!(ended.outcomes(), [lost; 10]);
}

#[test]
fn a_program_that_is_no_reaper_is_named() {
    let mut scripts = Scripts::new("strange");
    scripts.config.program = Some("/bin/true".into());
    scripts.add(&["/bin/true"], 1000);
    let error = scripts.run().result.expect_err("true is no reaper");
    assert!(error.to_string().starts_with("/bin/true is no reaper of ringprobe"), "{error}");

    let mut scripts = Scripts::new("itself");
    scripts.config.program = None;
    scripts.add(&["/bin/true"], 1000);
    let error = scripts.run().result.expect_err("this program would run its tests again");
    assert!(error.to_string().contains("serve_if_asked"), "{error}");

    let mut scripts = Scripts::new("missing");
    scripts.config.program = Some("/nonexistent/ringprobe".into());
    scripts.add(&["/bin/true"], 1000);
    let error = scripts.run().result.expect_err("there is no such program");
    assert!(error.to_string().contains("/nonexistent/ringprobe"), "{error}");
}
