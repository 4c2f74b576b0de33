//! The reaper process: one loop that waits for orders, exits, output and times.
//!
//! Its life hangs on the socket at descriptor 0. When the other end goes away, for whatever reason, every
//! script is killed at once and the process ends. Only a SIGKILL to this very process ends it before;
//! then the parent-death signal of each leader kills the leader, and the engine, which sees the socket
//! close, kills what becomes its child by that where it is a subreaper too, and what carries the mark.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit};
use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};
use nix::unistd::{chdir, setsid};

use super::cgroup::Cgroups;
use super::launch::{Launched, Refused, signals};
use super::launchers::Launchers;
use super::protocol::{self, Configuration, Inbox, Order, Reply, Request};
use super::reap::{Children, Source, watch};
use super::report::ScriptRun;
use super::spawn::NAME;
use super::supervise::{Event, Room, RunId, Supervisor, Terms};
use crate::outcome::{LocalFault, Outcome, ScriptFault};
use crate::tick::{Tick, monotonic_now, pause};

/// How often strays of scripts that still run are looked after, and leaders that nobody was told of.
const STRAYS_EVERY: Duration = Duration::from_millis(250);
/// Between two looks for what was killed, at the end.
const END_PAUSE: Duration = Duration::from_millis(2);
/// How long the end may take: what is not dead by then cannot be killed.
const END_WITHIN: Duration = Duration::from_secs(10);
/// Bytes read from the socket at once.
const READ_BYTES: usize = 64 << 10;
/// Descriptors of this process beside those of scripts, those for starting one included.
const DESCRIPTORS_KEPT: usize = 48;
/// Of one control group that is kept open; beside them a script has a process and two pipes.
const DESCRIPTORS_OF_A_CGROUP: usize = 3;
/// Events taken at once.
const EVENTS: usize = 64;

/// Serves until the socket at standard input closes. Returns the exit status.
pub(super) fn serve() -> i32 {
    match Server::introduce() {
        Ok(mut server) => {
            server.work();
            i32::from(!server.end())
        }
        // Whoever started this sees the socket close.
        Err(_) => 1,
    }
}

struct Server {
    socket: UnixStream,
    buffer: Box<[u8]>,
    inbox: Inbox,
    /// What the socket had no room for.
    outbox: Vec<u8>,
    is_outbox_watched: bool,
    supervisor: Supervisor,
    children: Children,
    launchers: Launchers,
    /// Orders for which there is no room yet, with when they came.
    waiting: VecDeque<(Tick, Order)>,
    strays_next: Tick,
    /// Nobody is at the other end any more.
    is_alone: bool,
    /// When a stop has taken long enough.
    stop_at_latest: Option<Tick>,
}

impl Server {
    /// Detaches this process from everything but its socket and answers the configuration.
    fn introduce() -> io::Result<Server> {
        // Not in the terminal's reach: the engine decides what Ctrl-C means. A leader of its group cannot
        // leave it, and has to stay.
        let _ = setsid();
        chdir("/")?;
        prctl::set_name(c"script-reaper")?;
        debug_assert_eq!(NAME, "script-reaper");
        prctl::set_child_subreaper(true)?;
        // A service manager that ends a unit signals all of its processes; this one ends when the engine
        // does. Nothing is ignored, because scripts would inherit that.
        sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), None)?;
        signals::ignore_none();

        let mut socket = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
        let Some(Request::Configure(configuration)) = protocol::read(&mut socket)? else {
            return Err(io::Error::other("no configuration"));
        };
        let cgroups = match Cgroups::open(&configuration.cgroup) {
            Ok(cgroups) => cgroups,
            Err(text) => {
                protocol::write(&mut socket, &Reply::Unable(text.clone()))?;
                return Err(io::Error::other(text));
            }
        };
        let server = Server::new(socket, configuration, cgroups)?;
        let ready = Reply::Ready { version: env!("CARGO_PKG_VERSION").to_owned() };
        protocol::write(&mut &server.socket, &ready)?;
        server.socket.set_nonblocking(true)?;
        Ok(server)
    }

    fn new(
        socket: UnixStream,
        configuration: Configuration,
        cgroups: Option<Cgroups>,
    ) -> io::Result<Server> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        let launch_bell = EventFd::from_value_and_flags(0, flags)?;
        watch(&epoll, &socket, Source::Socket);
        watch(&epoll, &launch_bell, Source::LaunchThread);
        let epoll = Arc::new(epoll);
        let launchers = Launchers::start(Arc::clone(&epoll), launch_bell)?;
        let Configuration { jobs, grace, nofile, security, mark, .. } = configuration;
        let jobs = jobs.min(places(cgroups.is_some()));
        let children = Children::new(epoll, launchers.queue(), cgroups, nofile, security, mark);
        Ok(Server {
            socket,
            buffer: vec![0; READ_BYTES].into(),
            inbox: Inbox::default(),
            outbox: Vec::new(),
            is_outbox_watched: false,
            supervisor: Supervisor::new(jobs, grace),
            children,
            launchers,
            waiting: VecDeque::new(),
            strays_next: Tick::default(),
            is_alone: false,
            stop_at_latest: None,
        })
    }

    fn work(&mut self) {
        let mut events = [EpollEvent::empty(); EVENTS];
        while !self.is_over() {
            let wake = self.next_wake();
            let before = monotonic_now();
            let timeout = match wake {
                Some(wake) => timeout_of(wake.since(before)),
                None => EpollTimeout::NONE,
            };
            // Where it was interrupted, nothing is lost: the next turn sees it again.
            let count = self.children.epoll().wait(&mut events, timeout).unwrap_or(0);
            let now = monotonic_now();
            // One who was woken by nothing, or by something long after its time, was not running.
            let late = wake.map_or(Duration::ZERO, |wake| now.since(wake.max(before)));
            self.turn(&events[..count], now, late);
        }
    }

    fn is_over(&self) -> bool {
        let is_stopped = self
            .stop_at_latest
            .is_some_and(|most| self.supervisor.is_idle() || monotonic_now() >= most);
        self.is_alone || is_stopped
    }

    fn next_wake(&mut self) -> Option<Tick> {
        let strays = self.must_look_after().then_some(self.strays_next);
        let outputs = self.children.watch_next();
        let unstarted = self.children.has_unstarted().then(monotonic_now);
        let all = [self.supervisor.next_wake(), strays, outputs, unstarted, self.stop_at_latest];
        all.into_iter().flatten().min()
    }

    /// Everything that happened, then what is due, then what may start.
    fn turn(&mut self, events: &[EpollEvent], now: Tick, late: Duration) {
        // A script is launched before it writes or ends.
        while let Some((run, result)) = self.launchers.ended() {
            self.launch_ended(run, result, now);
        }
        for (run, refused) in self.children.take_unstarted() {
            self.launch_ended(run, Err(refused), now);
        }
        let mut orders_came = false;
        for event in events {
            match Source::of(event.data()) {
                Source::LaunchThread => self.launchers.heard(),
                Source::Socket => orders_came = true,
                Source::Leader(run) => self.look_at_leader(run, now),
                Source::Output(run) => self.children.read_output(run),
            }
        }
        if orders_came {
            self.read_orders(now);
        }
        self.children.watch_outputs(now);
        self.supervisor.tick(now, late, &mut self.children);
        if now >= self.strays_next && self.must_look_after() {
            self.strays_next = now + STRAYS_EVERY;
            // Should the kernel ever have had no memory to tell of an end.
            for run in self.children.runs() {
                self.look_at_leader(run, now);
            }
            self.children.look_after_strays();
            if let Some(since) = self.children.launching_since() {
                self.launchers.look_after(now.since(since));
            }
        }
        self.start_waiting(now);
        self.send_replies();
    }

    /// Whether something of a script may be alive.
    fn must_look_after(&self) -> bool {
        !self.supervisor.is_idle() || self.children.has_strays()
    }

    fn look_at_leader(&mut self, run: RunId, now: Tick) {
        let event = match self.children.peek(run) {
            Ok(Some(status)) => Event::Exited(status),
            Ok(None) => return,
            Err(_) => Event::Lost,
        };
        self.supervisor.event(run, event, &mut self.children, now);
    }

    fn launch_ended(&mut self, run: RunId, result: Result<Launched, Refused>, now: Tick) {
        let event = match result {
            Ok(launched) => Event::Launched(self.children.launched(run, launched)),
            Err(refused) => {
                self.children.refused(run, refused.explanation);
                Event::LaunchFailed(refused.fault)
            }
        };
        self.supervisor.event(run, event, &mut self.children, now);
    }

    fn read_orders(&mut self, now: Tick) {
        loop {
            match (&self.socket).read(&mut self.buffer) {
                Ok(0) => {
                    self.is_alone = true;
                    return;
                }
                Ok(count) => {
                    self.inbox.add(&self.buffer[..count]);
                    if count < self.buffer.len() {
                        break;
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => {
                    self.is_alone = true;
                    return;
                }
            }
        }
        loop {
            match self.inbox.next() {
                Ok(Some(Request::Run(order))) => self.waiting.push_back((now, *order)),
                Ok(Some(Request::Stop)) => {
                    self.waiting.clear();
                    let most = self.supervisor.stop(now, &mut self.children);
                    self.stop_at_latest = Some(most);
                }
                Ok(None) => return,
                // Nothing that comes after it can be understood.
                Ok(Some(Request::Configure(_))) | Err(_) => {
                    self.is_alone = true;
                    return;
                }
            }
        }
    }

    fn start_waiting(&mut self, now: Tick) {
        while let Some((since, order)) = self.waiting.pop_front() {
            let (run, terms) =
                (order.run, Terms { timeout: order.timeout, dynamic: order.dynamic });
            match self.supervisor.room() {
                Room::Free => {
                    self.children.take(order, now.since(since));
                    // There is room, as it just said.
                    let _ = self.supervisor.start(run, terms, &mut self.children, now);
                }
                Room::Busy => {
                    self.waiting.push_front((since, order));
                    return;
                }
                Room::Stuck => {
                    let fault = LocalFault::Script(ScriptFault::Stuck);
                    let queued_ns = now.since(since).as_nanos() as u64;
                    let script = ScriptRun { queued_ns, ..ScriptRun::default() };
                    let outcome = Outcome::Unknown(fault);
                    self.children.replies.push(Reply::Ended(run, outcome, Box::new(script)));
                }
                Room::Closed => {}
            }
        }
    }

    /// Sends what there is to tell, as far as the socket takes it: an engine that does not read must not
    /// keep scripts from being killed in time.
    fn send_replies(&mut self) {
        for reply in self.children.replies.drain(..) {
            // Writing to a vector cannot fail, and a reply is far shorter than the limit.
            let _ = protocol::write(&mut self.outbox, &reply);
        }
        while !self.outbox.is_empty() {
            match (&self.socket).write(&self.outbox) {
                Ok(count) => drop(self.outbox.drain(..count)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => {
                    self.is_alone = true;
                    return;
                }
            }
        }
        if self.is_outbox_watched == self.outbox.is_empty() {
            self.is_outbox_watched = !self.outbox.is_empty();
            let mut flags = EpollFlags::EPOLLIN;
            flags.set(EpollFlags::EPOLLOUT, self.is_outbox_watched);
            let mut event = EpollEvent::new(flags, Source::Socket.token());
            let _ = self.children.epoll().modify(&self.socket, &mut event);
        }
    }

    /// Tells of processes that ran away, if there were any. It is the last word, so room is not waited for.
    fn tell_of_unowned(&mut self) {
        let count = self.children.unowned_killed;
        if count > 0 {
            let _ = protocol::write(&mut self.outbox, &Reply::Unowned(count));
            let _ = (&self.socket).write(&self.outbox);
        }
    }

    /// Kills everything. Whether nothing is left.
    fn end(&mut self) -> bool {
        let most = monotonic_now() + END_WITHIN;
        loop {
            while let Some((run, result)) = self.launchers.ended() {
                if let Ok(launched) = result {
                    self.children.launched(run, launched);
                }
            }
            let is_quiet = self.children.kill_everything();
            if is_quiet && self.children.launching_since().is_none() {
                self.tell_of_unowned();
                return true;
            }
            if monotonic_now() >= most {
                return false;
            }
            pause(END_PAUSE);
        }
    }
}

/// How many scripts the descriptors of this process are enough for: what has no room waits, instead of
/// ending as our trouble.
fn places(have_cgroups: bool) -> usize {
    let (soft, _) = getrlimit(Resource::RLIMIT_NOFILE).unwrap_or((1024, 1024));
    let each = if have_cgroups { 3 + DESCRIPTORS_OF_A_CGROUP } else { 3 };
    let left = usize::try_from(soft).unwrap_or(usize::MAX).saturating_sub(DESCRIPTORS_KEPT);
    (left / each).max(1)
}

/// Rounded up, so that one does not wake before its time.
fn timeout_of(time: Duration) -> EpollTimeout {
    let ms = time.as_nanos().div_ceil(1_000_000);
    EpollTimeout::try_from(ms.min(60_000) as i32).unwrap_or(EpollTimeout::ZERO)
}
