//! Signal dispositions of this process, which whoever started it has chosen.

use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

/// Whether no signal is ignored in this process, so that a script need not undo it: sixty system calls.
static ARE_DEFAULT: AtomicBool = AtomicBool::new(false);

/// Whether [`default_all`] was called. A signal that is handled goes back to its default by exec itself.
pub(super) fn are_default() -> bool {
    ARE_DEFAULT.load(Ordering::Relaxed)
}

/// No signal is ignored or handled any more. An ignored SIGCHLD, which a parent may have left behind, would
/// have the kernel take zombies away by itself, and nobody would learn how a script ended.
pub(in crate::reaper) fn default_all() {
    let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
    for signal in Signal::iterator() {
        // SAFETY: the default action runs no code of this program. SIGKILL and SIGSTOP are refused, and
        // stay as they are.
        let _ = unsafe { sigaction(signal, &default) };
    }
    for signal in libc::SIGRTMIN()..=libc::SIGRTMAX() {
        // SAFETY: as above; nix has no names for these.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    ARE_DEFAULT.store(true, Ordering::Relaxed);
}
