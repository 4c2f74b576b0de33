//! Signal dispositions of this process, which whoever started it has chosen.

use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether no signal is ignored in this process, so that a script need not undo it: sixty system calls.
static ARE_DEFAULT: AtomicBool = AtomicBool::new(false);

/// The kernel's struct sigaction is smaller than this on every machine; the handler is its first word.
type Action = [usize; 16];

/// Bytes of the kernel's signal set.
const SET_BYTES: usize = 8;

/// Whether [`ignore_none`] was called. A signal that is handled goes back to its default by exec itself.
pub(super) fn are_default() -> bool {
    ARE_DEFAULT.load(Ordering::Relaxed)
}

/// No signal is ignored any more, those included that libc keeps to itself and leaves ignored in what it
/// spawns. An ignored SIGCHLD, which a parent may have left behind, would have the kernel take zombies
/// away by itself, and nobody would learn how a script ended.
pub(in crate::reaper) fn ignore_none() {
    let default: Action = [libc::SIG_DFL; 16];
    for signal in 1..=64 {
        let mut now: Action = default;
        // SAFETY: the kernel writes its struct sigaction, which has room in `now`, and reads nothing.
        let asked = unsafe {
            let into = ptr::from_mut(&mut now);
            libc::syscall(libc::SYS_rt_sigaction, signal, ptr::null::<Action>(), into, SET_BYTES)
        };
        if asked == 0 && now[0] == libc::SIG_IGN {
            // SAFETY: the default action runs no code of this program; all zeros are its struct.
            unsafe {
                let from = ptr::from_ref(&default);
                let nowhere = ptr::null_mut::<Action>();
                libc::syscall(libc::SYS_rt_sigaction, signal, from, nowhere, SET_BYTES);
            }
        }
    }
    ARE_DEFAULT.store(true, Ordering::Relaxed);
}
