//! The kernel's processes, as the supervisor sees them: groups, zombies, strays, control groups, output.
//!
//! Leaders are children of the launch thread. A process that lost its parent becomes a child of the main
//! thread, because the reaper process is a subreaper: a *stray*. So `waitid(__WNOTHREAD)` of the main
//! thread sees strays only, and says with one call that there is none. Whose stray it is, is written in its
//! environment. One that has lost that mark is killed as soon as every script that ran when it was first
//! seen has ended; a control group, where there is one, needs no mark at all.

mod adopt;
mod group;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use nix::errno::Errno;
use nix::sched::{CpuSet, sched_getaffinity};
use nix::sys::epoll::{Epoll, EpollEvent, EpollFlags};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use self::adopt::Stray;
use self::group::Leader;
use super::capture::{Capture, ReadBuffer};
use super::cgroup::{Cgroup, Cgroups};
use super::launch::{Command, Launched, Refused, Text, wait};
use super::launchers::LaunchQueue;
use super::protocol::{Order, Reply};
use super::report::{ScriptRun, ScriptStatus};
use super::strays::Mark;
use super::supervise::{End, GroupSignal, Rest, RunId, World};
use crate::outcome::{Failure, LocalFault, Outcome, ScriptFault, SetupStep};
use crate::tick::{Tick, monotonic_now};

/// How long a script's output is not looked at. Most scripts end before, and then nobody was woken for it;
/// one that fills its pipe meanwhile waits that long, once.
const QUIET_AT_FIRST: Duration = Duration::from_millis(5);

/// What an event of epoll is about.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum Source {
    /// The socket of the reaper thread.
    Socket,
    /// The launch thread has something to tell.
    LaunchThread,
    /// The leader of a run ended.
    Leader(RunId),
    /// Output of a run.
    Output(RunId),
}

impl Source {
    pub(super) fn token(self) -> u64 {
        match self {
            Source::Socket => 0,
            Source::LaunchThread => 1,
            Source::Leader(run) => 2 + run.0 * 2,
            Source::Output(run) => 3 + run.0 * 2,
        }
    }

    pub(super) fn of(token: u64) -> Source {
        match token {
            0 => Source::Socket,
            1 => Source::LaunchThread,
            leader if leader % 2 == 0 => Source::Leader(RunId(leader / 2 - 1)),
            output => Source::Output(RunId(output / 2 - 1)),
        }
    }
}

/// All scripts of this process.
pub(super) struct Children {
    epoll: Arc<Epoll>,
    launches: Arc<LaunchQueue>,
    nofile: Option<(u64, u64)>,
    /// The cores this process was given.
    cores: Option<CpuSet>,
    security: bool,
    cgroups: Option<Cgroups>,
    /// See [`super::strays`].
    mark: String,
    /// From [`Children::take`] to `launch`.
    orders: HashMap<RunId, (Order, Duration)>,
    children: BTreeMap<RunId, Child>,
    strays: HashMap<i32, Stray>,
    /// The number after the highest run so far.
    runs_seen: u64,
    buffer: ReadBuffer,
    /// Scripts whose output is not waited for yet, and from when on it will be, the earliest first.
    unwatched: VecDeque<(Tick, RunId)>,
    /// Scripts that did not even get to a launch thread.
    unstarted: Vec<(RunId, Refused)>,
    /// Processes that were killed and belonged to no script that was still to be reported.
    pub(super) unowned_killed: u64,
    /// What is to be told to the reaper thread.
    pub(super) replies: Vec<Reply>,
}

struct Child {
    /// How long it waited here for a place.
    queued: Duration,
    begun: Tick,
    /// A launch thread has it or will have it, and has not said how that went.
    is_launching: bool,
    leader: Option<Leader>,
    stdout: Capture,
    stderr: Capture,
    cgroup: Option<Cgroup>,
    explanation: Option<String>,
    /// The leader died of SIGKILL.
    was_killed: bool,
    /// The script, where something else opens it again to run it, and what it was when it was checked.
    text: Option<Text>,
    /// Processes of it that were taken away dead of SIGKILL, the leader left out, and were not told yet.
    killed: u32,
}

impl Children {
    pub(super) fn new(
        epoll: Arc<Epoll>,
        launches: Arc<LaunchQueue>,
        cgroups: Option<Cgroups>,
        nofile: Option<(u64, u64)>,
        security: bool,
        mark: String,
    ) -> Children {
        Children {
            epoll,
            launches,
            nofile,
            cores: sched_getaffinity(Pid::from_raw(0)).ok(),
            security,
            cgroups,
            mark,
            orders: HashMap::new(),
            children: BTreeMap::new(),
            strays: HashMap::new(),
            runs_seen: 0,
            buffer: ReadBuffer::default(),
            unwatched: VecDeque::new(),
            unstarted: Vec::new(),
            unowned_killed: 0,
            replies: Vec::new(),
        }
    }

    pub(super) fn epoll(&self) -> &Epoll {
        &self.epoll
    }

    /// Keeps an order, which has waited for a place, until the supervisor starts it.
    pub(super) fn take(&mut self, order: Order, queued: Duration) {
        self.orders.insert(order.run, (order, queued));
    }

    /// The launch thread has started a script.
    pub(super) fn launched(&mut self, run: RunId, launched: Launched) -> Tick {
        let at = launched.launched_at;
        let Some(child) = self.children.get_mut(&run) else { return at };
        child.is_launching = false;
        child.stdout = Capture::of(launched.stdout);
        child.stderr = Capture::of(launched.stderr);
        child.leader = Some(Leader::new(launched.pid, launched.pidfd));
        child.text = launched.text;
        at
    }

    /// The launch thread could not start a script.
    pub(super) fn refused(&mut self, run: RunId, explanation: Option<String>) {
        if let Some(child) = self.children.get_mut(&run) {
            child.is_launching = false;
            child.explanation = explanation;
        }
    }

    /// Scripts that could not be handed to a launch thread since the last call.
    pub(super) fn take_unstarted(&mut self) -> Vec<(RunId, Refused)> {
        std::mem::take(&mut self.unstarted)
    }

    /// Whether [`Children::take_unstarted`] has something to give.
    pub(super) fn has_unstarted(&self) -> bool {
        !self.unstarted.is_empty()
    }

    /// All runs that were not forgotten.
    pub(super) fn runs(&self) -> Vec<RunId> {
        self.children.keys().copied().collect()
    }

    /// Since when a launch has been under way or waiting for its thread: the longest of them.
    pub(super) fn launching_since(&self) -> Option<Tick> {
        let launching = self.children.values().filter(|child| child.is_launching);
        launching.map(|child| child.begun).min()
    }

    /// How the leader of a run ended; `None` while it runs, or is not ours to ask about any more.
    ///
    /// # Errors
    /// Somebody else has waited for it.
    pub(super) fn peek(&mut self, run: RunId) -> Result<Option<ScriptStatus>, Errno> {
        let Some(child) = self.children.get_mut(&run) else { return Ok(None) };
        let Some(leader) = child.leader.as_ref().filter(|leader| !leader.is_reaped) else {
            return Ok(None);
        };
        let status = wait::peek(leader.pidfd.as_fd())?;
        child.was_killed = status == Some(ScriptStatus::Signaled(libc::SIGKILL as u8));
        Ok(status)
    }

    /// When [`Children::watch_outputs`] is to be called.
    pub(super) fn watch_next(&mut self) -> Option<Tick> {
        // Most have ended by now.
        while self.unwatched.pop_front_if(|(_, run)| !self.children.contains_key(run)).is_some() {}
        self.unwatched.front().map(|(at, _)| *at)
    }

    /// From now on the loop is woken by what scripts write that have run for a while.
    pub(super) fn watch_outputs(&mut self, now: Tick) {
        while let Some((_, run)) = self.unwatched.pop_front_if(|(at, _)| *at <= now) {
            let Some(child) = self.children.get(&run) else { continue };
            if child.is_launching {
                self.unwatched.push_back((now + QUIET_AT_FIRST, run));
                continue;
            }
            for capture in [&child.stdout, &child.stderr] {
                if let Some(pipe) = capture.pipe() {
                    watch(&self.epoll, pipe, Source::Output(run));
                }
            }
        }
    }

    /// Reads what a script wrote.
    pub(super) fn read_output(&mut self, run: RunId) {
        let Some(child) = self.children.get_mut(&run) else { return };
        child.stdout.read(&mut self.buffer);
        child.stderr.read(&mut self.buffer);
    }
}

/// Has the loop woken by a descriptor. The kernel refuses that only where it has no memory left; then the
/// loop looks by itself now and then.
pub(super) fn watch(epoll: &Epoll, fd: impl AsFd, source: Source) {
    let _ = epoll.add(fd, EpollEvent::new(EpollFlags::EPOLLIN, source.token()));
}

impl World for Children {
    fn launch(&mut self, run: RunId) {
        let begun = monotonic_now();
        self.runs_seen = self.runs_seen.max(run.0 + 1);
        let taken = self.orders.remove(&run);
        let queued = taken.as_ref().map_or(Duration::ZERO, |(_, queued)| *queued);
        let cgroup = match self.cgroups.as_mut().map(Cgroups::take).transpose() {
            Ok(cgroup) => {
                if let Some((order, _)) = taken {
                    let command = Command {
                        command: order.command,
                        user: order.user,
                        environment: order.environment,
                        nofile: self.nofile,
                        cores: self.cores,
                        security: self.security,
                        cgroup_procs: cgroup.as_ref().map(|cgroup| cgroup.procs.clone()),
                    };
                    self.launches.push((run, command));
                }
                cgroup
            }
            Err(error) => {
                // Without its group it might escape, which is what the groups are there for.
                let errno = error.raw_os_error().unwrap_or(libc::EIO);
                let fault = ScriptFault::Setup(SetupStep::Cgroup, errno);
                let explanation = Some(format!("no control group: {error}"));
                self.unstarted.push((run, Refused { fault, explanation }));
                None
            }
        };
        self.unwatched.push_back((begun + QUIET_AT_FIRST, run));
        self.children.insert(
            run,
            Child {
                queued,
                begun,
                is_launching: true,
                leader: None,
                stdout: Capture::default(),
                stderr: Capture::default(),
                cgroup,
                explanation: None,
                was_killed: false,
                text: None,
                killed: 0,
            },
        );
    }

    fn signal_group(&mut self, run: RunId, signal: GroupSignal) -> Result<(), i32> {
        let Some(leader) = self.children.get(&run).and_then(|child| child.leader.as_ref()) else {
            return Err(libc::ESRCH);
        };
        let (first, then) = match signal {
            GroupSignal::Terminate => (Signal::SIGTERM, Some(Signal::SIGCONT)),
            GroupSignal::Kill => (Signal::SIGKILL, None),
        };
        // The leader cannot have moved to another group: it leads its session too.
        let result = leader.signal_group(first, &self.mark, run);
        if let Some(then) = then {
            let _ = leader.signal_group(then, &self.mark, run);
        }
        result.map_err(|errno| errno as i32)
    }

    fn reap(&mut self, run: RunId) {
        if let Some(leader) = self.children.get_mut(&run).and_then(|child| child.leader.as_mut()) {
            // Whatever it says, there is nothing left to take away.
            let _ = wait::reap(leader.pidfd.as_fd());
            leader.was_reaped(&self.epoll);
        }
    }

    fn kill_rest(&mut self, run: RunId) -> Rest {
        let mut rest = Rest::default();
        self.find_strays();
        for (pid, stray) in &self.strays {
            if stray.owner == Mark::Of(run) {
                rest.alive += 1;
                if let Err(errno) = kill(Pid::from_raw(*pid), Signal::SIGKILL) {
                    rest.refused = Some(errno as i32);
                }
            }
        }
        let Some(child) = self.children.get_mut(&run) else { return rest };
        rest.killed = std::mem::take(&mut child.killed);
        if let Some(leader) = &mut child.leader {
            // It is already, unless it was lost.
            leader.was_reaped(&self.epoll);
            match leader.signal_group(Signal::SIGKILL, &self.mark, run) {
                Ok(()) => rest.alive += 1,
                Err(Errno::ESRCH) => {}
                Err(errno) => {
                    rest.alive += 1;
                    rest.refused = Some(errno as i32);
                }
            }
        }
        if let Some(cgroup) = &child.cgroup
            && cgroup.is_populated().unwrap_or(false)
        {
            rest.alive += 1;
            if let Err(error) = cgroup.kill() {
                rest.refused = error.raw_os_error();
            }
        }
        rest
    }

    fn report(&mut self, run: RunId, end: End) {
        let Some(child) = self.children.get_mut(&run) else { return };
        // What it wrote last may not have been read yet.
        child.stdout.read(&mut self.buffer);
        child.stderr.read(&mut self.buffer);
        let mut outcome = end.outcome;
        let is_its_own = matches!(
            outcome,
            Outcome::Pass | Outcome::Fail(Failure::ExitStatus(_) | Failure::Signal(_))
        );
        if is_its_own && child.text.as_ref().is_some_and(Text::has_changed) {
            // What ran was not what had been checked, or nobody can say what it was.
            outcome = Outcome::Unknown(LocalFault::Script(ScriptFault::Changed));
            child.explanation = Some("its file was changed or removed while it ran".to_owned());
        }
        let since = |from: Tick, to: Option<Tick>| to.map(|to| to.since(from).as_nanos() as u64);
        let script = ScriptRun {
            queued_ns: child.queued.as_nanos() as u64,
            free_retries: 0,
            startup_ns: since(child.begun, end.launched_at),
            run_ns: end.launched_at.and_then(|launched| since(launched, end.ended_at)),
            status: end.status,
            weight: end.weight.filter(|_| outcome == end.outcome),
            stdout: std::mem::take(&mut child.stdout).into_tail(),
            stderr: std::mem::take(&mut child.stderr).into_tail(),
            // What dies of the same SIGKILL as the leader may be a moment behind it.
            left_processes: end.left_processes && !child.was_killed,
            is_unkilled: end.is_unkilled,
            explanation: child.explanation.take().or_else(|| refusal_in_words(end.refused)),
        };
        self.replies.push(Reply::Ended(run, outcome, Box::new(script)));
    }

    fn forget(&mut self, run: RunId) {
        let Some(child) = self.children.remove(&run) else { return };
        if let (Some(cgroup), Some(cgroups)) = (child.cgroup, &mut self.cgroups) {
            // One that is not empty, which only a stop gives up, is not used again.
            if !cgroup.is_populated().unwrap_or(true) {
                cgroup.clear();
                cgroups.give_back(cgroup);
            }
        }
    }
}

fn refusal_in_words(refused: Option<i32>) -> Option<String> {
    refused.map(|errno| format!("the kernel refused to kill it: {}", Errno::from_raw(errno).desc()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_read_back() {
        for source in [
            Source::Socket,
            Source::LaunchThread,
            Source::Leader(RunId(0)),
            Source::Output(RunId(0)),
            Source::Leader(RunId(1 << 40)),
            Source::Output(RunId(1 << 40)),
        ] {
            assert_eq!(Source::of(source.token()), source);
        }
    }
}
