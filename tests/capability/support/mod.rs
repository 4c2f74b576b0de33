//! What the tests drive the program with.

mod child;
mod fleet;
mod name_server;
mod namespace;
mod report;
mod sweep;

use std::time::Duration;

pub(crate) use self::child::{Child, Finished, Input};
pub(crate) use self::fleet::Fleet;
pub(crate) use self::name_server::NameServer;
pub(crate) use self::namespace::Namespace;
pub(crate) use self::report::{Probe, Report, ScriptFields};
pub(crate) use self::sweep::{Sweep, program};

/// Every fault the embedded fleet knows, in the shares that the issue asks for.
pub(crate) const ALL_FAULTS: &str = "refuse=1%,silent=1%,servfail=1%,empty=1%,slow=1%:80ms,\
                                     wrong_id=1%,wrong_question=1%,foreign_port=1%,truncated=1%";

/// Nothing a test starts may run for longer, whatever happens.
pub(crate) const PATIENCE: Duration = Duration::from_secs(150);

/// Waits; `thread::sleep` is banned in this crate, and nobody unparks a test's thread.
pub(crate) fn pause(time: Duration) {
    std::thread::park_timeout(time);
}

/// Asks again and again until there is an answer.
///
/// # Panics
/// When there is none within [`PATIENCE`].
pub(crate) fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = ringprobe::tick::monotonic_now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(ringprobe::tick::monotonic_now() < end, "waited in vain for {what}");
        pause(Duration::from_millis(10));
    }
}
