//! Strays: adopted by this process, known by their mark or their group, killed when nobody may own them.

use std::collections::BTreeMap;
use std::fs;
use std::os::fd::AsFd;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{Child, Children};
use crate::reaper::launch::wait;
use crate::reaper::report::ScriptStatus;
use crate::reaper::strays::{Mark, all_pids, group_of, mark_in, parent_of, session_of};
use crate::reaper::supervise::RunId;

/// Looks for the mark of one stray.
const LOOKS_MAX: u32 = 5;

/// A child of the main thread.
pub(super) struct Stray {
    pub(super) owner: Mark,
    /// How often the mark was looked for in vain: a program that is just starting has none for a moment.
    looks: u32,
    /// The run that would have started next when it was first seen.
    seen_before: u64,
}

/// Whose stray it is where it has lost its mark: that of the script in whose session it is, or of the only
/// script there is.
fn owner_by_session(children: &BTreeMap<RunId, Child>, pid: i32, is_new: bool) -> Mark {
    let session = session_of(pid);
    let is_owner = |child: &Child| child.leader.as_ref().map(|leader| leader.pid) == session;
    match children.iter().find(|(_, child)| is_owner(child)) {
        Some((run, _)) => Mark::Of(*run),
        // Later on, the only one left need not be the one it came from.
        None if is_new && children.len() == 1 => {
            children.keys().next().map_or(Mark::Unknown, |run| Mark::Of(*run))
        }
        None => Mark::Unknown,
    }
}

/// The living children of the calling thread.
fn children_of_this_thread() -> Vec<i32> {
    let own = std::process::id() as i32;
    // The main thread's number is the process's. Not every kernel has this file.
    if let Ok(text) = fs::read_to_string(format!("/proc/self/task/{own}/children")) {
        return text.split_ascii_whitespace().filter_map(|pid| pid.parse().ok()).collect();
    }
    // Leaders have the same parent, and those that a launch thread is just starting are not known to anybody
    // yet; but they are not this thread's.
    let is_ours = |pid: &i32| parent_of(*pid) == Some(own) && wait::is_child_of_this_thread(*pid);
    all_pids().filter(is_ours).collect()
}

impl Children {
    /// Whether a stray is known that has to be looked after.
    pub(in crate::reaper) fn has_strays(&self) -> bool {
        !self.strays.is_empty()
    }

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
        let strays = self.find_strays();
        for pid in self.strays.keys() {
            let _ = kill(Pid::from_raw(*pid), Signal::SIGKILL);
        }
        let is_quiet = |child: &Child| child.leader.as_ref().is_none_or(|leader| leader.is_reaped);
        self.children.values().all(is_quiet) && strays == 0
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
        match self.children.iter_mut().find(is_owner) {
            // A script that killed its whole group itself left nothing.
            Some((_, child)) if child.was_killed => {}
            Some((_, child)) => child.killed += 1,
            // It ran away from a script that was reported before, or nobody knows from which.
            None => self.unowned_killed += 1,
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
        for pid in children_of_this_thread() {
            let seen_before = self.runs_seen;
            let stray = self.strays.entry(pid).or_insert(Stray {
                owner: Mark::Unknown,
                looks: 0,
                seen_before,
            });
            if stray.owner == Mark::Unknown && stray.looks < LOOKS_MAX {
                stray.looks += 1;
                stray.owner = match mark_in(pid, &self.mark) {
                    Mark::Unknown => owner_by_session(&self.children, pid, stray.looks == 1),
                    of_run => of_run,
                };
            }
        }
        // One at least lives, whether it could be found or not.
        self.strays.len().max(1)
    }
}
