use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::thread;

use crossbeam_channel::unbounded;

use super::*;
use crate::fleet::{
    Connection, Handshake, MiscSpec, ProbeSpec, ScriptCommand, ScriptUser, TcpSpec,
};
use crate::id::{ShardId, SpecId};
use crate::outcome::{Failure, Outcome};
use crate::reaper::ScriptRun;
use crate::reaper::link::ReaperError;

/// What a sink was given: `seq` and whether it was a script.
type Given = Rc<RefCell<Vec<(u64, bool)>>>;

/// What somebody says before his channel goes.
type LastWord = Box<dyn FnOnce()>;

struct Notes(Given);

impl Sink for Notes {
    fn begin(&mut self, _run: &RunInfo) -> Result<(), SinkError> {
        Ok(())
    }

    fn records(&mut self, batch: &[Record], _context: &Context<'_>) -> Result<(), SinkError> {
        self.0.borrow_mut().extend(batch.iter().map(|record| (record.seq, false)));
        Ok(())
    }

    fn script(
        &mut self,
        record: &Record,
        run: &ScriptRun,
        _context: &Context<'_>,
    ) -> Result<(), SinkError> {
        assert_eq!(run.queued_ns, record.seq, "the run belongs to its record");
        self.0.borrow_mut().push((record.seq, true));
        if record.seq == 13 {
            let error = std::io::Error::from_raw_os_error(28);
            return Err(SinkError { name: "notes".into(), records: 0, error });
        }
        Ok(())
    }

    fn finish(&mut self, _summary: &Summary, _context: &Context<'_>) -> Result<(), SinkError> {
        Ok(())
    }
}

fn record(seq: u64, spec: u32, outcome: Outcome) -> Record {
    Record {
        seq,
        target: "127.0.0.1:80".parse().expect("an address"),
        spec: SpecId(spec),
        outcome,
        attempts: 1,
        latency_ns: None,
        due: Tick::from_ns(1),
        at: Tick::from_ns(1),
        strange: None,
    }
}

fn script(seq: u64) -> ReaperReport {
    let run = ScriptRun { queued_ns: seq, ..ScriptRun::default() };
    ReaperReport::Run(Box::new((record(seq, 1, Outcome::Fail(Failure::ExitStatus(1))), run)))
}

fn probe(seq: u64) -> Report {
    Report::Records(ShardId(0), vec![record(seq, 0, Outcome::Pass)])
}

/// Collects what the channels bring; says what the sink got, and how the sweep ended.
fn collect(
    shards: &Receiver<Report>,
    reaper: Option<&Receiver<ReaperReport>>,
    stop: &AtomicBool,
    halt: &AtomicBool,
) -> (Vec<(u64, bool)>, Result<Summary, SweepError>) {
    let user = ScriptUser {
        name: "root".into(),
        home: Box::default(),
        uid: 0,
        gid: 0,
        groups: Box::default(),
    };
    let specs = vec![
        ProbeSpec::Tcp(TcpSpec { connection: Connection::default(), handshake: Handshake::Half }),
        ProbeSpec::Misc(MiscSpec {
            command: ScriptCommand::Argv(["/bin/true"].into_iter().collect()),
            timeout: Duration::from_secs(1),
            dynamic: false,
            user: Arc::new(user),
        }),
    ];
    let info = RunInfo {
        version: "0",
        config: None,
        config_digest: None,
        seed: None,
        shards: 1,
        backend: "none",
        started_at: String::new(),
    };
    let given = Given::default();
    let mut sink = Notes(Rc::clone(&given));
    let clock = (WallClock::read(), monotonic_now());
    let mut collector =
        Collector::begin(&mut sink, &info, Catalog::of_list(specs), clock, None).expect("it takes");
    let interrupted = collector.collect(shards, reaper, &[], stop, halt, &mut ());
    let ended = collector.conclude(&Tally::of(4), interrupted, None, 1);
    (given.take(), ended)
}

#[test]
fn it_ends_when_shards_and_reaper_have_both_ended_in_either_order() {
    for is_reaper_last in [false, true] {
        let (to_shards, shards) = unbounded();
        let (to_reaper, reaper) = unbounded();
        to_shards.send(probe(1)).expect("open");
        to_reaper.send(script(2)).expect("open");
        let late = thread::spawn(move || {
            // Whoever is first is gone before the other says its last word.
            let (early, late): (LastWord, LastWord) = (
                Box::new(move || {
                    to_shards.send(Report::Ended(ShardId(0), Ok(()))).expect("open");
                    to_shards.send(probe(3)).expect("open");
                }),
                Box::new(move || {
                    to_reaper.send(script(4)).expect("open");
                    to_reaper.send(ReaperReport::Ended(Ok(()))).expect("open");
                }),
            );
            let (early, late) = if is_reaper_last { (early, late) } else { (late, early) };
            early();
            thread::park_timeout(2 * STOP_POLL);
            late();
        });
        let idle = AtomicBool::new(false);
        let (mut given, ended) = collect(&shards, Some(&reaper), &idle, &idle);
        late.join().expect("everything was taken");
        given.sort_unstable();
        assert_eq!(given, [(1, false), (2, true), (3, false), (4, true)]);
        let summary = ended.expect("nothing went wrong");
        assert_eq!((summary.counts.probed, summary.counts.failed), (4, 2));
        assert_eq!(summary.scripts.as_ref().map(|scripts| scripts.runs), Some(2));
        assert!(!summary.is_incomplete());
    }
}

#[test]
fn a_reaper_that_fails_is_no_end_of_the_sweep_but_of_its_completeness() {
    let word = ReaperReport::Ended(Err(ReaperError::Setup("no pipe".into())));
    for (word, failure) in [
        (Some(word), "the process that runs scripts: no pipe"),
        (None, "the reaper ended without a word"),
    ] {
        let (to_shards, shards) = unbounded();
        let (to_reaper, reaper) = unbounded();
        to_reaper.send(script(1)).expect("open");
        if let Some(word) = word {
            to_reaper.send(word).expect("open");
        }
        to_shards.send(probe(2)).expect("open");
        drop((to_reaper, to_shards));
        let idle = AtomicBool::new(false);
        let (given, ended) = collect(&shards, Some(&reaper), &idle, &idle);
        assert_eq!(given.len(), 2);
        let summary = ended.expect("the shards have their results");
        assert_eq!(summary.reaper_failure.as_deref(), Some(failure));
        assert_eq!(summary.shard_failures.len(), 0);
    }
}

#[test]
fn a_stop_and_a_lost_output_reach_a_reaper_that_runs_alone() {
    for is_stopped in [false, true] {
        let (to_shards, shards) = unbounded();
        let (to_reaper, reaper) = unbounded();
        drop(to_shards);
        // The sink refuses this one.
        to_reaper.send(script(if is_stopped { 1 } else { 13 })).expect("open");
        let halt = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&halt);
        let running = thread::spawn(move || {
            while !seen.load(Ordering::Relaxed) {
                thread::park_timeout(STOP_POLL);
            }
            to_reaper.send(ReaperReport::Ended(Ok(()))).expect("open");
        });
        let (_, ended) = collect(&shards, Some(&reaper), &AtomicBool::new(is_stopped), &halt);
        running.join().expect("it was told to stop");
        match ended {
            Ok(summary) => assert!(is_stopped && summary.interrupted),
            Err(SweepError::Output { error, .. }) => assert!(!is_stopped, "{error}"),
            Err(error) => panic!("{error}"),
        }
    }
}
