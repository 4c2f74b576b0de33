//! The leader of a script and the group it leads.

use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::epoll::Epoll;
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

use crate::reaper::launch::pidfd;
use crate::reaper::strays::{Mark, all_pids, group_of, mark_in};
use crate::reaper::supervise::RunId;

/// The first process of a script.
pub(super) struct Leader {
    pub(super) pid: i32,
    pub(super) pidfd: OwnedFd,
    /// Its zombie was taken away, or somebody else did: from then on its number may be another's.
    pub(super) is_reaped: bool,
}

impl Leader {
    pub(super) fn new(pid: i32, pidfd: OwnedFd) -> Leader {
        Leader { pid, pidfd, is_reaped: false }
    }

    /// Its zombie was taken away. Its descriptor stays readable for ever; it must not wake the loop again
    /// and again while the rest of the group is killed.
    pub(super) fn was_reaped(&mut self, epoll: &Epoll) {
        if !std::mem::replace(&mut self.is_reaped, true) {
            let _ = epoll.delete(&self.pidfd);
        }
    }

    /// Sends a signal to the leader alone.
    ///
    /// # Errors
    /// ESRCH when it was taken away.
    pub(super) fn signal(&self, signal: Signal) -> Result<(), Errno> {
        pidfd::send(self.pidfd.as_fd(), signal as i32)
    }

    /// Sends a signal to the whole group, dead or alive as its leader may be, and to nobody else.
    ///
    /// # Errors
    /// ESRCH where nobody is in it any more; EPERM.
    pub(super) fn signal_group(&self, signal: Signal, mark: &str, run: RunId) -> Result<(), Errno> {
        match pidfd::send_to_group(self.pidfd.as_fd(), signal as i32) {
            // Before kernel 6.9. The number is the group's own while the leader is not taken away.
            Err(Errno::EINVAL) if !self.is_reaped => killpg(Pid::from_raw(self.pid), signal),
            Err(Errno::EINVAL) => self.signal_marked_members(signal, mark, run),
            result => result,
        }
    }

    /// The same by the number alone, when it may be a stranger's: only what carries the mark is meant.
    fn signal_marked_members(&self, signal: Signal, mark: &str, run: RunId) -> Result<(), Errno> {
        // Nearly always there is no group of that number.
        killpg(Pid::from_raw(self.pid), None)?;
        let mut result = Err(Errno::ESRCH);
        for pid in all_pids() {
            if group_of(pid) == Some(self.pid) && mark_in(pid, mark) == Mark::Of(run) {
                result = kill(Pid::from_raw(pid), signal);
            }
        }
        result
    }
}
