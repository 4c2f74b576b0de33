//! Processes that are no leaders: found in /proc, known by the mark in their environment.

use std::fs::{self, File};
use std::io::Read;
use std::os::fd::AsFd;
use std::time::Duration;

use memchr::{memchr, memmem, memrchr};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;

use super::launch::environment::MARK;
use super::launch::pidfd;
use super::spawn::NAME;
use super::supervise::RunId;
use crate::tick::pause;

/// A quarter of the stack that a program may have by default, which the kernel allows for arguments and
/// environment together.
const ENVIRONMENT_BYTES_MAX: u64 = 2 << 20;

/// Between two looks for what was killed.
const PAUSE: Duration = Duration::from_millis(10);
/// Looks before what cannot be killed is left alone: about two seconds.
const LOOKS_MAX: u32 = 200;

/// Process ids in /proc, as far as it can be read.
pub(super) fn all_pids() -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// Whether somebody has stopped a process (SIGSTOP).
pub(super) fn is_stopped(pid: i32) -> bool {
    Stat::of(pid).is_some_and(|stat| stat.state() == b"T")
}

/// Whether this is a reaper process, and no zombie: its new parent may take its time to wait for it.
pub(super) fn is_living_reaper(pid: i32) -> bool {
    Stat::of(pid).is_some_and(|stat| stat.name() == NAME.as_bytes() && stat.state() != b"Z")
}

/// Lets a stopped process go on.
pub(super) fn go_on(pid: i32) {
    let _ = kill(Pid::from_raw(pid), Signal::SIGCONT);
}

/// The parent of a process; `None` when the process is gone.
pub(super) fn parent_of(pid: i32) -> Option<i32> {
    Stat::of(pid)?.number(1)
}

/// The group of a process, a zombie too; `None` when the process is gone.
pub(super) fn group_of(pid: i32) -> Option<i32> {
    Stat::of(pid)?.number(2)
}

/// The session of a process; `None` when the process is gone.
pub(super) fn session_of(pid: i32) -> Option<i32> {
    Stat::of(pid)?.number(3)
}

/// /proc/PID/stat: `PID (NAME) STATE PARENT GROUP SESSION ...`, and the name may have anything in it.
struct Stat {
    text: Vec<u8>,
    /// Of the name, without its brackets.
    name: std::ops::Range<usize>,
}

impl Stat {
    fn of(pid: i32) -> Option<Stat> {
        let text = fs::read(format!("/proc/{pid}/stat")).ok()?;
        let name = memchr(b'(', &text)? + 1..memrchr(b')', &text)?;
        (name.start <= name.end).then_some(Stat { text, name })
    }

    fn name(&self) -> &[u8] {
        &self.text[self.name.clone()]
    }

    /// The fields behind the name: state, parent, group, session.
    fn field(&self, field: usize) -> Option<&[u8]> {
        let behind = &self.text[self.name.end + 1..];
        behind.split(|byte| *byte == b' ').filter(|field| !field.is_empty()).nth(field)
    }

    fn state(&self) -> &[u8] {
        self.field(0).unwrap_or_default()
    }

    fn number(&self, field: usize) -> Option<i32> {
        std::str::from_utf8(self.field(field)?).ok()?.parse().ok()
    }
}

/// Whose mark a process carries.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum Mark {
    /// It descends from this run.
    Of(RunId),
    /// None, or one that cannot be read.
    Unknown,
}

/// Reads the mark in a process's environment.
pub(super) fn mark_in(pid: i32, mark: &str) -> Mark {
    environment_of(pid)
        .and_then(|environment| run_in(&environment, mark))
        .map_or(Mark::Unknown, Mark::Of)
}

/// The environment of a process, as far as one can be given to a program. A process may say that its own is
/// anywhere in its memory, and as large as that.
fn environment_of(pid: i32) -> Option<Vec<u8>> {
    let mut environment = Vec::new();
    let file = File::open(format!("/proc/{pid}/environ")).ok()?;
    file.take(ENVIRONMENT_BYTES_MAX).read_to_end(&mut environment).ok()?;
    Some(environment)
}

/// The run whose mark stands among NUL-ended `NAME=value` strings.
fn run_in(environment: &[u8], mark: &str) -> Option<RunId> {
    let prefix = format!("{MARK}={mark}.");
    environment.split(|byte| *byte == 0).find_map(|variable| {
        let number = variable.strip_prefix(prefix.as_bytes())?;
        std::str::from_utf8(number).ok()?.parse().ok().map(RunId)
    })
}

/// Kills every process that carries this mark, whoever its parent is, until none is found. For when the
/// reaper process is gone.
pub(super) fn kill_marked(mark: &str) {
    let needle = format!("{MARK}={mark}.");
    let mut was_found_none = false;
    for _ in 0..LOOKS_MAX {
        let mut found = false;
        for pid in all_pids() {
            let is_marked = || {
                environment_of(pid)
                    .is_some_and(|text| memmem::find(&text, needle.as_bytes()).is_some())
            };
            if !is_marked() {
                continue;
            }
            // The number may be another's by now; the descriptor stays with what is looked at again.
            match pidfd::open(pid) {
                Ok(process) if is_marked() => {
                    found = true;
                    // A refusal leaves it to the next look, and at last to itself.
                    let _ = pidfd::send(process.as_fd(), libc::SIGKILL);
                }
                Ok(_) | Err(Errno::ESRCH) => {}
                Err(_) => found = true,
            }
        }
        // Twice, because a process that is just becoming another program has no environment for a moment.
        if !found && was_found_none {
            return;
        }
        was_found_none = !found;
        pause(PAUSE);
    }
}

/// The children of this process.
pub(super) fn children() -> Vec<i32> {
    let own = std::process::id() as i32;
    all_pids().filter(|pid| parent_of(*pid) == Some(own)).collect()
}

/// Kills every child of this process but those `spared`, and what becomes its child by that, until there is
/// none.
pub(super) fn kill_children(spared: &[i32]) {
    for _ in 0..LOOKS_MAX {
        let mut found = false;
        for pid in children().into_iter().filter(|pid| !spared.contains(pid)) {
            found = true;
            // It is our child, so its number is its own until we take it away.
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
            let _ = waitpid(Pid::from_raw(pid), Some(WaitPidFlag::WNOHANG));
        }
        if !found {
            return;
        }
        pause(PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reaper::launch::environment;

    #[test]
    fn the_mark_of_a_run_is_read_back_and_no_other() {
        let text = |value: &str| format!("PATH=/bin\0{MARK}={value}\0HOME=/\0").into_bytes();
        let mark = "00ff";
        assert_eq!(run_in(&text(&environment::mark(mark, RunId(42))), mark), Some(RunId(42)));
        assert_eq!(run_in(&text("00fe.42"), mark), None);
        assert_eq!(run_in(&text("00ff.x"), mark), None);
        assert_eq!(run_in(&text("00ff"), mark), None);
        assert_eq!(run_in(b"", mark), None);
        assert_eq!(run_in(format!("X{MARK}=00ff.1\0").as_bytes(), mark), None);
    }

    #[test]
    fn this_process_has_its_parent() {
        let own = std::process::id() as i32;
        let parent = std::os::unix::process::parent_id() as i32;
        assert_eq!(parent_of(own), Some(parent));
        assert_eq!(group_of(own), Some(nix::unistd::getpgrp().as_raw()));
        assert!(all_pids().any(|pid| pid == own));
        assert_eq!(parent_of(i32::MAX), None);
        assert!(!is_stopped(own) && !is_living_reaper(own));
    }
}
