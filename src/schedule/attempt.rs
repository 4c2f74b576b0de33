//! Whether an attempt that ended is the last one (DESIGN D5, D6): a pure function.

use crate::outcome::{Failure, LocalFault, Outcome, ScriptFault};

/// Attempts spoiled by us, or scripts that the kernel had no process for, that cost no retry; past this the
/// machine is beyond help and says so.
pub const FREE_RETRIES: u16 = 20;

/// Attempts of one probe so far, and what it may still spend.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Attempts {
    /// Attempts that ended.
    pub made: u16,
    /// Retries left for timeouts and local faults.
    pub retries_left: u16,
    /// Retries left for attempts that our own lateness or a full buffer spoiled.
    pub free_left: u16,
}

/// What follows an attempt.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Next {
    /// The probe ends with this outcome.
    Report,
    /// Another attempt, at a price.
    Retry,
    /// Another attempt, free: we spoiled this one.
    FreeRetry,
}

impl Attempts {
    /// Before the first attempt.
    pub fn new(retries: u16) -> Attempts {
        Attempts { made: 0, retries_left: retries, free_left: FREE_RETRIES }
    }

    /// Counts an attempt that ended and says what follows. A word of the server or of the network (an
    /// answer, a reset, an ICMP error, no route) is believed at once; silence and our own trouble are
    /// tried again.
    pub fn after(&mut self, outcome: Outcome) -> Next {
        self.made = self.made.saturating_add(1);
        match outcome {
            Outcome::Pass => Next::Report,
            Outcome::Fail(failure) if failure != Failure::Timeout => Next::Report,
            // A script that is not there, or may not run, is not there the next time either.
            Outcome::Unknown(LocalFault::Script(fault)) if !fault.is_passing() => Next::Report,
            Outcome::Unknown(
                LocalFault::Late | LocalFault::Drop | LocalFault::Script(ScriptFault::Spawn(_)),
            ) if self.free_left > 0 => {
                self.free_left -= 1;
                Next::FreeRetry
            }
            Outcome::Fail(_) | Outcome::Unknown(_) if self.retries_left > 0 => {
                self.retries_left -= 1;
                Next::Retry
            }
            Outcome::Fail(_) | Outcome::Unknown(_) => Next::Report,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Outcome = Outcome::Fail(Failure::Timeout);
    const LATE: Outcome = Outcome::Unknown(LocalFault::Late);
    const PORT: Outcome = Outcome::Unknown(LocalFault::Port);

    #[test]
    fn an_answer_is_believed_at_once() {
        for outcome in [
            Outcome::Pass,
            Outcome::Fail(Failure::Rcode(2)),
            Outcome::Fail(Failure::ConnectionRefused),
            Outcome::Fail(Failure::NoAnswer),
        ] {
            assert_eq!(Attempts::new(5).after(outcome), Next::Report);
        }
    }

    #[test]
    fn retries_n_means_n_plus_one_attempts() {
        let mut attempts = Attempts::new(2);
        let steps: Vec<Next> = (0..3).map(|_| attempts.after(TIMEOUT)).collect();
        assert_eq!(steps, [Next::Retry, Next::Retry, Next::Report]);
        assert_eq!(attempts.made, 3);
        assert_eq!(Attempts::new(0).after(PORT), Next::Report);
        assert_eq!(Attempts::new(1).after(PORT), Next::Retry);
    }

    #[test]
    fn our_lateness_costs_the_server_nothing_but_does_not_go_on_for_ever() {
        let mut attempts = Attempts::new(1);
        for _ in 0..FREE_RETRIES {
            assert_eq!(attempts.after(LATE), Next::FreeRetry);
            assert_eq!(attempts.retries_left, 1);
        }
        assert_eq!(attempts.after(LATE), Next::Retry);
        assert_eq!(attempts.after(LATE), Next::Report);
    }
}
