//! Limits and signals of this process.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::flag;

use super::exit;

/// Raises the soft limit of descriptors to the hard one: lanes of recycled sockets need many. Returns the
/// soft and the hard limit of before, which scripts are given back; `None` where they cannot be read.
pub(crate) fn raise_descriptor_limit() -> Option<(u64, u64)> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).ok()?;
    if soft < hard {
        // A refusal leaves the limit as it was, and a socket that does not fit says so itself.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
    Some((soft, hard))
}

/// A flag that the first SIGINT, SIGTERM or SIGHUP sets; the second ends the process at once. SIGHUP stays
/// ignored where it is, as under nohup.
///
/// # Errors
/// The kernel refused a handler.
pub(crate) fn stop_flag() -> io::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let is_hangup_ignored = is_ignored(SIGHUP);
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        if signal == SIGHUP && is_hangup_ignored {
            continue;
        }
        // In this order, so that the first signal finds the flag still down.
        flag::register_conditional_shutdown(
            signal,
            i32::from(exit::INTERRUPTED),
            Arc::clone(&stop),
        )?;
        flag::register(signal, Arc::clone(&stop))?;
    }
    // A file that grew to its limit is then an error of the write, which says so, and not the end without a word.
    flag::register(SIGXFSZ, Arc::default())?;
    Ok(stop)
}

/// Whether whoever started this process made it ignore a signal; proc(5) tells without `unsafe`.
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}
