//! The threads that start scripts. One does it all, until it hangs in a file system that does not answer:
//! then others start what waits behind it.

use std::collections::VecDeque;
use std::io::{self, PipeReader, PipeWriter, Read, Write, pipe};
use std::panic::catch_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::Builder;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, unbounded};
use nix::sched::{CpuSet, sched_getcpu, sched_setaffinity};
use nix::sys::epoll::Epoll;
use nix::sys::eventfd::EventFd;
use nix::unistd::{Pid, gettid};

use super::launch::{Command, Launched, Refused, launch};
use super::reap::{Source, watch};
use super::supervise::RunId;
use crate::outcome::ScriptFault;

/// A launch that takes this long hangs, or the machine is in such trouble that one thread more is none.
const HANGS_AFTER: Duration = Duration::from_millis(500);
/// Threads that may hang.
const THREADS_MAX: usize = 64;

/// What a launch thread is given.
type LaunchOrder = (RunId, Command);

/// Scripts that wait for a launch thread.
///
/// Who waits is woken through a pipe: the kernel takes a write to one as a sign that the writer is about to
/// sleep, and runs the reader on the same core, instead of waking another one for it. A channel
/// would spin before it sleeps, too.
#[derive(Debug)]
pub(super) struct LaunchQueue {
    orders: Mutex<VecDeque<LaunchOrder>>,
    /// A byte for each order.
    has_come: (PipeReader, PipeWriter),
    /// The first launch thread.
    first: OnceLock<Pid>,
    /// The core it is bound to.
    core: AtomicUsize,
}

impl LaunchQueue {
    pub(super) fn push(&self, order: LaunchOrder) {
        self.bring_here();
        // Nobody panics with the lock held, so the queue is whole in any case.
        self.orders.lock().unwrap_or_else(PoisonError::into_inner).push_back(order);
        // It blocks when 64 Ki orders wait, which are far more than there are places.
        let _ = (&self.has_come.1).write_all(&[0]);
    }

    fn take(&self) -> LaunchOrder {
        loop {
            // An error would come again, and waiting for the next byte is all that can be done.
            let _ = (&self.has_come.0).read(&mut [0]);
            let order = self.orders.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            if let Some(order) = order {
                return order;
            }
        }
    }

    /// Binds the launch thread to the core of the caller, who is about to sleep: waking another core costs a
    /// good part of what starting a script does. The script itself runs where it likes.
    fn bring_here(&self) {
        let (Some(first), Ok(core)) = (self.first.get(), sched_getcpu()) else { return };
        if self.core.swap(core, Ordering::Relaxed) != core {
            let mut here = CpuSet::new();
            if here.set(core).is_ok() {
                // Refused, it stays where it was.
                let _ = sched_setaffinity(*first, &here);
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }
}

/// How a launch ended.
pub(super) type LaunchResult = (RunId, Result<Launched, Refused>);

/// The launch threads, which live as long as the process: their death would be the death of the scripts
/// they started.
#[derive(Debug)]
pub(super) struct Launchers {
    orders: Arc<LaunchQueue>,
    to_us: Sender<LaunchResult>,
    results: Receiver<LaunchResult>,
    /// Rung when a script was refused. One that runs rings by its end: the loop need not hear of it
    /// before, and not being woken for it is a good part of the price of a short script.
    bell: Arc<EventFd>,
    /// What the loop waits for.
    epoll: Arc<Epoll>,
    threads: usize,
}

impl Launchers {
    /// Starts the first.
    ///
    /// # Errors
    /// The kernel gave no thread.
    pub(super) fn start(epoll: Arc<Epoll>, bell: EventFd) -> io::Result<Launchers> {
        let (to_us, results) = unbounded();
        let queue = LaunchQueue {
            orders: Mutex::default(),
            has_come: pipe()?,
            first: OnceLock::new(),
            core: AtomicUsize::new(usize::MAX),
        };
        let orders = Arc::new(queue);
        let bell = Arc::new(bell);
        let mut launchers = Launchers { orders, to_us, results, bell, epoll, threads: 0 };
        launchers.add()?;
        Ok(launchers)
    }

    fn add(&mut self) -> io::Result<()> {
        let (orders, to_main) = (Arc::clone(&self.orders), self.to_us.clone());
        let (epoll, bell) = (Arc::clone(&self.epoll), Arc::clone(&self.bell));
        Builder::new().name("launch".to_owned()).spawn(move || {
            // Only the first of them becomes the one that is moved about.
            let _ = orders.first.set(gettid());
            loop {
                let (run, command) = orders.take();
                // A launch thread that panics would take all scripts with it that it has started.
                let result = catch_unwind(|| launch(&command)).unwrap_or_else(|_| {
                    let fault = ScriptFault::Spawn(libc::EIO);
                    Err(Refused { fault, explanation: Some("the launch thread panicked".into()) })
                });
                let is_running = result.is_ok();
                if let Ok(launched) = &result {
                    // Before the other thread may close it. Should it hear of the end before it hears
                    // of the beginning, it is told again.
                    watch(&epoll, &launched.pidfd, Source::Leader(run));
                }
                // The main thread takes it for as long as this one lives.
                let _ = to_main.send((run, result));
                if !is_running {
                    let _ = bell.write(1);
                }
            }
        })?;
        self.threads += 1;
        Ok(())
    }

    /// Where orders go.
    pub(super) fn queue(&self) -> Arc<LaunchQueue> {
        Arc::clone(&self.orders)
    }

    /// The bell was heard.
    pub(super) fn heard(&self) {
        let _ = self.bell.read();
    }

    /// The next launch that ended.
    pub(super) fn ended(&self) -> Option<LaunchResult> {
        self.results.try_recv().ok()
    }

    /// Starts another thread where launches wait and the longest has taken `longest` so far.
    pub(super) fn look_after(&mut self, longest: Duration) {
        if longest >= HANGS_AFTER && !self.orders.is_empty() && self.threads < THREADS_MAX {
            // Without it, what waits is told of as not started in time.
            let _ = self.add();
        }
    }
}
