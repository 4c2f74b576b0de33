//! Signal dispositions of this process, which whoever started it has chosen.

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

/// No signal is ignored or handled any more. An ignored SIGCHLD, which a parent may have left behind, would
/// have the kernel take zombies away by itself, and nobody would learn how a script ended.
pub(in crate::reaper) fn default_all() {
    let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
    for signal in Signal::iterator() {
        // SAFETY: the default action runs no code of this program. SIGKILL and SIGSTOP are refused, and
        // stay as they are.
        let _ = unsafe { sigaction(signal, &default) };
    }
}
