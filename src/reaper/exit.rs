//! Exit status of a script -> outcome of its checker, as keepalived has it: 0 passes; with
//! `misc_dynamic` 2 to 255 pass with a weight; everything else fails, death by a signal too.

use super::report::ScriptStatus;
use crate::outcome::{Failure, Outcome};

/// What the status of a script that ended by itself says, and the weight where it gives one.
pub fn judge(status: ScriptStatus, dynamic: bool) -> (Outcome, Option<u8>) {
    match status {
        ScriptStatus::Exited(0) => (Outcome::Pass, None),
        ScriptStatus::Exited(code @ 2..) if dynamic => (Outcome::Pass, Some(code - 2)),
        ScriptStatus::Exited(code) => (Outcome::Fail(Failure::ExitStatus(code)), None),
        ScriptStatus::Signaled(signal) => (Outcome::Fail(Failure::Signal(signal)), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_exit_status_has_its_meaning() {
        for code in 0..=255_u8 {
            let plain =
                if code == 0 { Outcome::Pass } else { Outcome::Fail(Failure::ExitStatus(code)) };
            assert_eq!(judge(ScriptStatus::Exited(code), false), (plain, None));
            let dynamic = match code {
                0 => (Outcome::Pass, None),
                1 => (Outcome::Fail(Failure::ExitStatus(1)), None),
                _ => (Outcome::Pass, Some(code - 2)),
            };
            assert_eq!(judge(ScriptStatus::Exited(code), true), dynamic);
        }
    }

    #[test]
    fn death_by_a_signal_fails_and_says_which() {
        for dynamic in [false, true] {
            assert_eq!(
                judge(ScriptStatus::Signaled(9), dynamic),
                (Outcome::Fail(Failure::Signal(9)), None)
            );
        }
    }
}
