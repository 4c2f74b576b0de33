//! System calls on pidfds that nix has no wrapper for.

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use nix::errno::Errno;

/// Signals the group of the process id, not the process: kernel 6.9.
const PIDFD_SIGNAL_PROCESS_GROUP: libc::c_uint = 4;

/// Opens a process. From then on the descriptor stands for this process, whoever gets its number next.
///
/// # Errors
/// ESRCH where there is none; EMFILE and the like.
pub(in crate::reaper) fn open(pid: i32) -> Result<OwnedFd, Errno> {
    // SAFETY: no pointer is passed.
    let fd = Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) })?;
    // SAFETY: the kernel just made this descriptor, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// Sends a signal, 0 for none, to the process.
///
/// # Errors
/// ESRCH where it has been waited for; EPERM.
pub(in crate::reaper) fn send(pidfd: BorrowedFd<'_>, signal: i32) -> Result<(), Errno> {
    send_flagged(pidfd, signal, 0)
}

/// Sends a signal, 0 for none, to every process in the group whose number is that of this process: to
/// this very group, even when its leader is long gone and the number belongs to others.
///
/// # Errors
/// ESRCH for an empty group; EPERM where none may be signalled; EINVAL before kernel 6.9.
pub(in crate::reaper) fn send_to_group(pidfd: BorrowedFd<'_>, signal: i32) -> Result<(), Errno> {
    send_flagged(pidfd, signal, PIDFD_SIGNAL_PROCESS_GROUP)
}

fn send_flagged(pidfd: BorrowedFd<'_>, signal: i32, flags: libc::c_uint) -> Result<(), Errno> {
    let info = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: the descriptor is open while it is borrowed, and the kernel takes a null `info` for
    // "as kill(2) would fill it in".
    let result = unsafe {
        libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), signal, info, flags)
    };
    Errno::result(result).map(drop)
}
