//! waitid(2), for what nix leaves out: real-time signals, and children of the calling thread only.

use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd};

use nix::errno::Errno;

use crate::reaper::report::ScriptStatus;

/// How a child ended; `None` while it runs. It stays a zombie, so that its number is not used again.
///
/// # Errors
/// ECHILD where it is no child of ours, or somebody else has waited for it.
pub(in crate::reaper) fn peek(pidfd: BorrowedFd<'_>) -> Result<Option<ScriptStatus>, Errno> {
    let options = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    let ended = wait(libc::P_PIDFD, pidfd.as_raw_fd() as libc::id_t, options)?;
    Ok(ended.map(|(_, status)| status))
}

/// Takes a zombie away.
///
/// # Errors
/// As [`peek`].
pub(in crate::reaper) fn reap(pidfd: BorrowedFd<'_>) -> Result<Option<ScriptStatus>, Errno> {
    let options = libc::WEXITED | libc::WNOHANG;
    let ended = wait(libc::P_PIDFD, pidfd.as_raw_fd() as libc::id_t, options)?;
    Ok(ended.map(|(_, status)| status))
}

/// Any zombie whose parent is the calling thread, and how it ended: in the main thread of a subreaper, a
/// stray. `None` where all of them live. It stays a zombie.
///
/// # Errors
/// ECHILD where there is none.
pub(in crate::reaper) fn peek_at_any_of_this_thread() -> Result<Option<(i32, ScriptStatus)>, Errno>
{
    // `__WALL` because a stray may have been made by clone(2) with another signal than SIGCHLD.
    let options = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT | libc::__WNOTHREAD | libc::__WALL;
    wait(libc::P_ALL, 0, options)
}

/// Whether the process with this number is a child of the calling thread, dead or alive.
pub(in crate::reaper) fn is_child_of_this_thread(pid: i32) -> bool {
    let options = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT | libc::__WNOTHREAD | libc::__WALL;
    wait(libc::P_PID, pid as libc::id_t, options).is_ok()
}

/// Takes away the zombie with this number, a child of the calling thread.
///
/// # Errors
/// ECHILD where there is none.
pub(in crate::reaper) fn reap_by_number(pid: i32) -> Result<(), Errno> {
    let options = libc::WEXITED | libc::WNOHANG | libc::__WALL;
    wait(libc::P_PID, pid as libc::id_t, options).map(drop)
}

fn wait(
    kind: libc::idtype_t,
    id: libc::id_t,
    options: i32,
) -> Result<Option<(i32, ScriptStatus)>, Errno> {
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    // SAFETY: `info` has the size and alignment the kernel writes to, and lives across the call.
    Errno::result(unsafe { libc::waitid(kind, id, info.as_mut_ptr(), options) })?;
    // SAFETY: all bytes zero are a valid siginfo_t, whatever of it the kernel has written.
    let info = unsafe { info.assume_init() };
    // SAFETY: after waitid the fields of SIGCHLD are the valid ones; with nothing to tell, all are 0.
    let (pid, status) = unsafe { (info.si_pid(), info.si_status()) };
    if pid == 0 {
        return Ok(None);
    }
    let status = match info.si_code {
        libc::CLD_EXITED => ScriptStatus::Exited(status as u8),
        _ => ScriptStatus::Signaled(status as u8),
    };
    Ok(Some((pid, status)))
}
