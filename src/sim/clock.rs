//! Virtual time: it moves when the simulation says so.

use std::time::Duration;

use crate::tick::Tick;

/// The clock of one simulated machine.
#[derive(Clone, Debug)]
pub struct Clock {
    now: Tick,
    stalled: Duration,
}

impl Clock {
    /// A clock that stands at `start`.
    pub fn new(start: Tick) -> Clock {
        Clock { now: start, stalled: Duration::ZERO }
    }

    /// What it shows.
    pub fn now(&self) -> Tick {
        self.now
    }

    /// Moves on to `at`; a clock never goes back.
    pub fn advance_to(&mut self, at: Tick) {
        self.now = self.now.max(at);
    }

    /// Counts time that passes while the shard's thread does not run.
    pub fn count_stall(&mut self, stall: Duration) {
        self.stalled += stall;
    }

    /// All time counted so.
    pub fn stalled(&self) -> Duration {
        self.stalled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_never_goes_back() {
        let mut clock = Clock::new(Tick::from_ns(10));
        clock.advance_to(Tick::from_ns(5));
        assert_eq!(clock.now(), Tick::from_ns(10));
        clock.advance_to(Tick::from_ns(15));
        assert_eq!(clock.now(), Tick::from_ns(15));
    }
}
