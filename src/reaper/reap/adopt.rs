//! Strays: adopted by this process, known by their mark or their group, killed when nobody may own them.

use std::os::fd::AsFd;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{Child, Children};
use crate::reaper::launch::wait;
use crate::reaper::report::ScriptStatus;
use crate::reaper::strays::{Mark, all_pids, group_of, mark_in, parent_of};
use crate::reaper::supervise::RunId;

/// A child of the main thread.
pub(super) struct Stray {
    pub(super) owner: Mark,
    /// The run that would have started next when it was first seen.
    seen_before: u64,
}

impl Children {
    /// Takes away dead strays, kills those that nobody may own any more. To be called now and then.
    pub(in crate::reaper) fn look_after_strays(&mut self) {
        if self.find_strays() == 0 {
            return;
        }
        let oldest = self.children.keys().next().map_or(u64::MAX, |run| run.0);
        for (pid, stray) in &self.strays {
            let is_owned = match stray.owner {
                Mark::Of(owner) => self.children.contains_key(&owner),
                Mark::Unknown => oldest < stray.seen_before,
            };
            if !is_owned {
                // It is our child, so its number is its own until we take it away.
                let _ = kill(Pid::from_raw(*pid), Signal::SIGKILL);
            }
        }
    }

    /// Sends SIGKILL to everything and takes it away, whatever the supervisor thinks of it. True when
    /// nothing is left.
    pub(in crate::reaper) fn kill_everything(&mut self) -> bool {
        for (run, child) in &mut self.children {
            if let Some(cgroup) = &child.cgroup {
                let _ = cgroup.kill();
            }
            let Some(leader) = &mut child.leader else { continue };
            let _ = leader.signal_group(Signal::SIGKILL, &self.mark, *run);
            if !leader.is_reaped {
                let _ = leader.signal(Signal::SIGKILL);
                leader.is_reaped = !matches!(wait::reap(leader.pidfd.as_fd()), Ok(None));
            }
        }
        self.find_strays();
        for pid in self.strays.keys() {
            let _ = kill(Pid::from_raw(*pid), Signal::SIGKILL);
        }
        let is_quiet = |child: &Child| child.leader.as_ref().is_none_or(|leader| leader.is_reaped);
        self.children.values().all(is_quiet) && self.strays.is_empty()
    }

    /// Takes a dead stray away and notes whose it was: that of the script in whose group it is, or whose
    /// mark it carried while it lived.
    fn take_away(&mut self, pid: i32, status: ScriptStatus) {
        let group = group_of(pid);
        let stray = self.strays.remove(&pid);
        let _ = wait::reap_by_number(pid);
        if status != ScriptStatus::Signaled(libc::SIGKILL as u8) {
            return;
        }
        let owner = stray.map_or(Mark::Unknown, |stray| stray.owner);
        let is_owner = |(run, child): &(&RunId, &mut Child)| {
            owner == Mark::Of(**run) || child.leader.as_ref().map(|leader| leader.pid) == group
        };
        if let Some((_, child)) = self.children.iter_mut().find(is_owner) {
            child.killed += 1;
        }
    }

    /// Takes away dead strays and looks for new ones. Returns how many live, and fills in whose they are.
    pub(super) fn find_strays(&mut self) -> usize {
        loop {
            match wait::peek_at_any_of_this_thread() {
                Ok(Some((pid, status))) => self.take_away(pid, status),
                Ok(None) => break,
                // There are none at all.
                Err(_) => {
                    self.strays.clear();
                    return 0;
                }
            }
        }
        let own = std::process::id() as i32;
        for pid in all_pids() {
            let is_known = self.strays.get(&pid).is_some_and(|s| s.owner != Mark::Unknown);
            // Leaders have the same parent, and those that the launch thread is just starting are not
            // known here yet; but they are not this thread's.
            if is_known || parent_of(pid) != Some(own) || !wait::is_child_of_this_thread(pid) {
                continue;
            }
            let owner = mark_in(pid, &self.mark);
            let seen_before = self.runs_seen;
            self.strays.entry(pid).or_insert(Stray { owner, seen_before }).owner = owner;
        }
        self.strays.len()
    }
}
