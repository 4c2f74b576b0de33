//! The reaper thread: queues scripts, has them run by the reaper process, and reports how they ended.

use std::collections::{HashMap, VecDeque};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::process::{Child, ExitStatus};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crossbeam_channel::{RecvTimeoutError, TryRecvError};
use nix::sys::prctl;
use rand::RngExt;
use rand::rngs::StdRng;

use super::conversation::{Conversation, Heard};
use super::launch::environment;
use super::link::{CgroupMode, ReaperConfig, ReaperError, ReaperLinks, ReaperReport};
use super::protocol::{Configuration, Order, Reply, Request};
use super::report::ScriptRun;
use super::spawn::{self, POLL};
use super::supervise::{RunId, UNKILLABLE_AFTER};
use super::{cgroup, strays};
use crate::fleet::{Fleet, ProbeSpec};
use crate::outcome::{Assignment, Failure, LocalFault, Outcome, Record, ScriptFault};
use crate::schedule::attempt::{Attempts, Next};
use crate::schedule::pace::{Bounds, Pacer, Span};
use crate::tick::{Tick, monotonic_now, pause};

/// Attempts of one script that our lateness may spoil: it takes longer than a packet does.
const LATE_MAX: u16 = 3;
/// Before another attempt after a fault of ours: processes and memory come back slowly.
const PAUSE: Duration = Duration::from_millis(100);
/// Beside grace and the time an unkillable process gets, for a stop to be carried out.
const STOP_SLACK: Duration = Duration::from_secs(2);
/// Between two looks whether it has ended: it has, mostly.
const WAIT_PAUSE: Duration = Duration::from_millis(1);
/// Beside all that scripts may take, before a reaper process that says nothing is taken for stopped.
const SILENCE_SLACK: Duration = Duration::from_secs(15);

/// Runs scripts on the calling thread until the input ends or the sweep is stopped, and tells
/// `links.reports` how it ended. No script is left when it returns.
pub fn run(fleet: Arc<Fleet>, config: ReaperConfig, mut links: ReaperLinks) {
    let ready = links.ready.take();
    let started = Reaper::start(fleet, config, &links);
    drop(ready);
    let result = started.and_then(|mut reaper| {
        let result = reaper.work();
        let unowned_killed = reaper.end();
        if unowned_killed > 0 {
            let _ = links.reports.send(ReaperReport::Unowned(unowned_killed));
        }
        result
    });
    // The aggregator outlives the reaper; if it is gone, nobody is left to tell.
    let _ = links.reports.send(ReaperReport::Ended(result));
}

/// A script that waits for its turn, or runs.
struct Pending {
    assignment: Assignment,
    attempts: Attempts,
    /// Since when its first attempt could have run.
    due_first: Tick,
    /// Since when this attempt could have run.
    due: Tick,
    /// When it was handed to the process.
    begun: Tick,
    /// Attempts that our lateness spoiled.
    late: u16,
    /// Attempts that cost no retry.
    free_retries: u16,
}

struct Reaper<'l> {
    fleet: Arc<Fleet>,
    links: &'l ReaperLinks,
    jobs: usize,
    pacer: Pacer,
    span: Option<Span>,
    /// When the next script is due, where the pace holds it back.
    next_due: Tick,
    grace: Duration,
    mark: String,
    /// Variables that scripts get beside the documented ones.
    environment: Vec<(Vec<u8>, Vec<u8>)>,
    adopts: bool,
    /// Children that this process had before: somebody executed it in place of a shell that had some.
    strangers: Vec<i32>,
    cgroup: CgroupMode,
    process: Child,
    conversation: Conversation,
    /// First attempts, in the order they came.
    queue: VecDeque<Pending>,
    /// Further attempts that may begin, in the order of `due`.
    retries: VecDeque<Pending>,
    /// Those that wait a little first, in the order of `due`.
    later: VecDeque<Pending>,
    running: HashMap<RunId, Pending>,
    next_run: u64,
    is_input_at_end: bool,
    /// How long this thread has waited for a word of the process. Not by the clock, which goes on
    /// while this thread is stopped too.
    silence: Duration,
    /// The longest `misc_timeout` of what runs or ran.
    longest: Duration,
}

impl<'l> Reaper<'l> {
    fn start(
        fleet: Arc<Fleet>,
        config: ReaperConfig,
        links: &'l ReaperLinks,
    ) -> Result<Reaper<'l>, ReaperError> {
        // Nobody else's processes carry it, so what carries it may be killed.
        let mark = format!("{:032x}", rand::make_rng::<StdRng>().random::<u128>());
        let jobs = config.jobs.max(1);
        let strangers = if config.adopts { strays::children() } else { Vec::new() };
        if config.adopts {
            // Without it, what a dead reaper process leaves is init's; the mark still finds most of it.
            let _ = prctl::set_child_subreaper(true);
        }
        let (process, conversation) = spawn::start(
            &config,
            Configuration {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                jobs,
                grace: config.grace,
                nofile: config.nofile,
                security: fleet.script_security,
                cgroup: config.cgroup.clone(),
                mark: mark.clone(),
            },
        )?;
        Ok(Reaper {
            environment: config.environment,
            adopts: config.adopts,
            strangers,
            cgroup: config.cgroup,
            grace: config.grace,
            fleet,
            links,
            jobs,
            pacer: Pacer::new(config.pace),
            span: config.span,
            next_due: Tick::NEVER,
            mark,
            process,
            conversation,
            queue: VecDeque::new(),
            retries: VecDeque::new(),
            later: VecDeque::new(),
            running: HashMap::new(),
            next_run: 0,
            is_input_at_end: false,
            silence: Duration::ZERO,
            longest: Duration::ZERO,
        })
    }

    fn work(&mut self) -> Result<(), ReaperError> {
        loop {
            if self.links.stop.load(Ordering::Relaxed) {
                self.stop();
                return Ok(());
            }
            let is_alive = self.start_scripts();
            if self.is_done() {
                return Ok(());
            }
            if !is_alive || !self.wait() {
                return Err(self.mourn());
            }
        }
    }

    fn is_done(&self) -> bool {
        self.is_input_at_end
            && self.queue.is_empty()
            && self.retries.is_empty()
            && self.later.is_empty()
            && self.running.is_empty()
    }

    /// Waits for something to happen; false when the process has ended.
    ///
    /// While scripts run, only their ends are waited for: whatever comes from the feeder meanwhile is taken
    /// with the next of them, or at the next look. A thread that waits for both would have to be woken
    /// by yet another.
    fn wait(&mut self) -> bool {
        if self.running.is_empty() && !self.is_input_at_end && self.has_room() {
            match self.links.assignments.recv_timeout(POLL) {
                Ok(batch) => self.take(&batch),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => self.is_input_at_end = true,
            }
        } else {
            match self.conversation.receive_until(self.next_due) {
                Heard::Replies(replies) => {
                    self.silence = Duration::ZERO;
                    replies.into_iter().for_each(|reply| self.answered(reply));
                }
                Heard::Nothing if self.running.is_empty() => {}
                Heard::Nothing if self.next_due <= monotonic_now() => {}
                Heard::Nothing => {
                    self.silence += POLL;
                    if self.silence.subsec_millis() == 0 {
                        self.wake_process();
                    }
                    if self.silence >= self.patience() {
                        return false;
                    }
                }
                Heard::End => return false,
            }
        }
        while !self.is_input_at_end && self.has_room() {
            match self.links.assignments.try_recv() {
                Ok(batch) => self.take(&batch),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => self.is_input_at_end = true,
            }
        }
        true
    }

    /// A process that somebody has stopped goes on: while it does not, no script is ended in time.
    fn wake_process(&self) {
        let pid = self.process.id() as i32;
        if strays::is_stopped(pid) {
            strays::go_on(pid);
        }
    }

    /// How long nothing may be heard of scripts that run: one may have to wait for the places of others.
    fn patience(&self) -> Duration {
        2 * (self.longest + self.grace + UNKILLABLE_AFTER) + SILENCE_SLACK
    }

    fn take(&mut self, batch: &[Assignment]) {
        let due = monotonic_now();
        self.queue.extend(batch.iter().map(|assignment| Pending {
            assignment: *assignment,
            attempts: Attempts::new(assignment.retries),
            due_first: due,
            due,
            begun: due,
            late: 0,
            free_retries: 0,
        }));
    }

    /// Hands over as many scripts as may run; false when the process does not take them.
    fn start_scripts(&mut self) -> bool {
        let now = monotonic_now();
        while self.later.front().is_some_and(|pending| pending.due <= now) {
            self.retries.extend(self.later.pop_front());
        }
        self.next_due = Tick::NEVER;
        if now >= self.pacer.closes_at(self.end_of_span()) {
            self.queue.clear();
        }
        while self.running.len() < self.jobs {
            let Some(pending) = self.next_attempt() else { break };
            let run = RunId(self.next_run);
            self.next_run += 1;
            let order = self.order(run, &pending.assignment);
            self.running.insert(run, pending);
            self.longest = self.longest.max(order.timeout);
            if self.conversation.say(&Request::Run(Box::new(order))).is_err() {
                return false;
            }
        }
        true
    }

    /// The next attempt to begin: who has waited longest, but a first attempt that the pace holds back keeps
    /// no retry waiting. Sets `next_due` where it holds one back.
    fn next_attempt(&mut self) -> Option<Pending> {
        let now = monotonic_now();
        let is_retry_older = match (self.retries.front(), self.queue.front()) {
            (Some(retry), Some(first)) => retry.due < first.due,
            (retry, _) => retry.is_some(),
        };
        if !is_retry_older && let Some(mut first) = self.queue.pop_front() {
            first.begun = now;
            match self.pace(&mut first) {
                Ok(()) => return Some(first),
                // All that was due has begun.
                Err(_) if now >= self.end_of_span() => self.queue.clear(),
                Err(next_due) => {
                    self.next_due = next_due.min(self.end_of_span());
                    self.queue.push_front(first);
                }
            }
        }
        let retry = self.retries.pop_front()?;
        Some(Pending { begun: now, ..retry })
    }

    /// When the span ends; never where there is none, or it has not begun.
    fn end_of_span(&self) -> Tick {
        self.span.as_ref().and_then(Span::end).unwrap_or(Tick::NEVER)
    }

    /// Leave for a script that has not run yet.
    ///
    /// # Errors
    /// When it will be had.
    fn pace(&mut self, pending: &mut Pending) -> Result<(), Tick> {
        let start = self.span.as_ref().and_then(Span::start).unwrap_or(pending.due);
        let measured_from = self.span.as_ref().and_then(Span::measured_from).unwrap_or(start);
        let span = Bounds { start, measured_from, end: self.end_of_span() };
        let due = self.pacer.take_within(span, pending.begun)?;
        if self.span.is_some() {
            pending.due_first = due;
            pending.due = due;
        }
        Ok(())
    }

    /// Whether more is wanted from the feeder now.
    fn has_room(&self) -> bool {
        match &self.span {
            None => true,
            Some(span) => self.queue.len() < self.jobs || span.is_over(monotonic_now()),
        }
    }

    fn order(&self, run: RunId, assignment: &Assignment) -> Order {
        let ProbeSpec::Misc(spec) = &self.fleet.specs[assignment.spec.index()] else {
            unreachable!("the feeder gives network checks to the shards")
        };
        let checker = usize::try_from(assignment.seq)
            .ok()
            .and_then(|seq| self.fleet.checkers.get(seq))
            .expect("a script is a checker of the fleet");
        let real_server = &self.fleet.real_servers[checker.real_server.index()];
        let virtual_server =
            self.fleet.virtual_server_label(real_server.virtual_server).to_string();
        let real_server = self.fleet.real_server_label(checker.real_server).to_string();
        let about = environment::About {
            user: &spec.user,
            virtual_server: Some(&virtual_server),
            real_server: Some(&real_server),
            token: &self.mark,
            run,
        };
        let of_ours = |name: &str| std::env::var_os(name).map(OsString::into_vec);
        Order {
            run,
            command: spec.command.clone(),
            user: (*spec.user).clone(),
            timeout: spec.timeout,
            dynamic: spec.dynamic,
            environment: environment::environment(&about, of_ours, &self.environment),
        }
    }

    fn answered(&mut self, reply: Reply) {
        // Nothing else comes after the introduction.
        let Reply::Ended(run, outcome, script) = reply else { return };
        let Some(pending) = self.running.remove(&run) else { return };
        self.ended(pending, outcome, *script);
    }

    fn ended(&mut self, mut pending: Pending, outcome: Outcome, mut script: ScriptRun) {
        let now = monotonic_now();
        let next = pending.attempts.after(outcome);
        let is_late = outcome == Outcome::Unknown(LocalFault::Late);
        pending.late += u16::from(is_late);
        // In a span another attempt would come after its moment, and say nothing of it.
        let is_last =
            next == Next::Report || self.span.is_some() || is_late && pending.late == LATE_MAX;
        if is_last {
            let waited = pending.begun.since(pending.due).as_nanos() as u64;
            script.queued_ns = script.queued_ns.saturating_add(waited);
            script.free_retries = pending.free_retries;
            self.report(&pending, outcome, script, now);
            return;
        }
        pending.free_retries += u16::from(next == Next::FreeRetry);
        pending.due = now;
        if matches!(outcome, Outcome::Unknown(_)) {
            pending.due = now + PAUSE;
            self.later.push_back(pending);
        } else {
            self.retries.push_back(pending);
        }
    }

    fn report(&self, pending: &Pending, outcome: Outcome, script: ScriptRun, at: Tick) {
        let ended_by_itself = matches!(
            outcome,
            Outcome::Pass | Outcome::Fail(Failure::ExitStatus(_) | Failure::Signal(_))
        );
        let latency_ns = match (script.startup_ns, script.run_ns) {
            (Some(startup), Some(run)) if ended_by_itself => Some(startup.saturating_add(run)),
            _ => None,
        };
        let record = Record {
            seq: pending.assignment.seq,
            target: pending.assignment.target,
            spec: pending.assignment.spec,
            outcome,
            attempts: pending.attempts.made,
            latency_ns,
            due: pending.due_first,
            at,
            strange: None,
        };
        // A lost output stops the sweep, and we are told.
        let _ = self.links.reports.send(ReaperReport::Run(Box::new((record, script))));
    }

    /// Ends what runs. Nothing of it is reported.
    fn stop(&mut self) {
        self.wake_process();
        if self.conversation.say(&Request::Stop).is_err() {
            return;
        }
        self.conversation
            .wait_for_end(monotonic_now() + self.grace + UNKILLABLE_AFTER + STOP_SLACK);
    }

    /// The reaper process has ended and nobody asked it to. Kills what it left, and says of everything
    /// that was to run that nothing is known.
    fn mourn(&mut self) -> ReaperError {
        // It has ended already, or does not react to anything else.
        let _ = self.process.kill();
        let status = match self.wait_for_process() {
            Some(status) => status.to_string(),
            None => "it cannot be killed".to_owned(),
        };
        self.kill_orphans();
        let lost = Outcome::Unknown(LocalFault::Script(ScriptFault::Reaper));
        let running: Vec<Pending> = self.running.drain().map(|(_, pending)| pending).collect();
        let waiting =
            self.queue.drain(..).chain(self.retries.drain(..)).chain(self.later.drain(..));
        let waiting = waiting.collect::<Vec<_>>();
        for mut pending in running.into_iter().chain(waiting) {
            pending.attempts.after(lost);
            self.report(&pending, lost, ScriptRun::default(), monotonic_now());
        }
        while !self.is_input_at_end && !self.links.stop.load(Ordering::Relaxed) {
            match self.links.assignments.recv_timeout(POLL) {
                Ok(batch) => {
                    self.take(&batch);
                    for mut pending in std::mem::take(&mut self.queue) {
                        pending.attempts.after(lost);
                        self.report(&pending, lost, ScriptRun::default(), monotonic_now());
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => self.is_input_at_end = true,
            }
        }
        ReaperError::Died { status }
    }

    /// Takes the status of the process that has ended or was killed. Not for ever: it may hang in the kernel.
    fn wait_for_process(&mut self) -> Option<ExitStatus> {
        let most = monotonic_now() + STOP_SLACK;
        loop {
            match self.process.try_wait() {
                Ok(Some(status)) => return Some(status),
                Ok(None) if monotonic_now() < most => pause(WAIT_PAUSE),
                Ok(None) | Err(_) => return None,
            }
        }
    }

    /// Lets the process go and takes its status. It has nothing left to kill, or only what cannot be killed;
    /// or it is stopped itself.
    fn end(mut self) -> u64 {
        self.wake_process();
        self.conversation.hang_up();
        let is_gone = self.conversation.wait_for_end(monotonic_now() + STOP_SLACK);
        if !is_gone {
            let _ = self.process.kill();
        }
        // It closed its socket with its last breath, or was killed.
        self.wait_for_process();
        if !is_gone {
            self.kill_orphans();
        }
        self.conversation.unowned_killed()
    }

    /// Kills what a dead reaper process has left.
    fn kill_orphans(&self) {
        if self.adopts {
            strays::kill_children(&self.strangers);
        }
        strays::kill_marked(&self.mark);
        cgroup::remove_of_the_dead(&self.cgroup);
    }
}
