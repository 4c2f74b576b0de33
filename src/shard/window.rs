//! How many attempts may be in flight.
//!
//! The window is what the operator gave until our own receive buffers drop or this thread is late;
//! then it halves, and grows back by a sixteenth in each quiet interval.

use std::time::Duration;

use crate::tick::Tick;

use super::link::Limit;

/// Between two looks at the drop counters, and two steps of the window.
pub(super) const INTERVAL: Duration = Duration::from_millis(10);

/// See the module.
#[derive(Debug)]
pub(super) struct Window {
    most: u32,
    now: u32,
    smallest: u32,
    next_step: Tick,
    is_troubled: bool,
    /// What cut it last.
    cause: Limit,
}

impl Window {
    pub(super) fn new(most: u32) -> Window {
        Window {
            most,
            now: most,
            smallest: most,
            next_step: Tick::default(),
            is_troubled: false,
            cause: Limit::Window,
        }
    }

    pub(super) fn now(&self) -> u32 {
        self.now
    }

    pub(super) fn smallest(&self) -> u32 {
        self.smallest
    }

    /// What a full window means: the targets' round trips, or what cut it and has not healed.
    pub(super) fn limit(&self) -> Limit {
        if self.now < self.most { self.cause } else { Limit::Window }
    }

    /// Our buffers dropped or were full, or we were late. Counts once per interval.
    pub(super) fn trouble(&mut self, cause: Limit) {
        if !self.is_troubled {
            self.is_troubled = true;
            self.cause = cause;
            self.now = (self.now / 2).max(1);
            self.smallest = self.smallest.min(self.now);
        }
    }

    /// Whether an interval has passed. Takes the step that is due.
    pub(super) fn step(&mut self, now: Tick) -> bool {
        if now < self.next_step {
            return false;
        }
        if !self.is_troubled {
            self.now = (self.now + (self.now / 16).max(1)).min(self.most);
        }
        self.is_troubled = false;
        self.next_step = now + INTERVAL;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at_ms(ms: u64) -> Tick {
        Tick::from_ns(ms * 1_000_000)
    }

    #[test]
    fn trouble_halves_once_an_interval_and_quiet_grows_it_back() {
        let mut window = Window::new(1000);
        assert!(window.step(at_ms(0)));
        window.trouble(Limit::ReceiveBuffer);
        window.trouble(Limit::ReceiveBuffer);
        assert_eq!(window.now(), 500);
        assert!(!window.step(at_ms(5)));
        assert!(window.step(at_ms(10)));
        assert_eq!(window.now(), 500, "a troubled interval does not grow");
        let mut steps = 0;
        while window.limit() != Limit::Window {
            steps += 1;
            assert!(window.step(at_ms(10 + 10 * steps)) && steps < 100);
        }
        assert_eq!((window.now(), window.smallest()), (1000, 500));
    }

    #[test]
    fn a_window_never_closes() {
        let mut window = Window::new(4);
        for interval in 0..50 {
            window.trouble(Limit::ReceiveBuffer);
            window.step(at_ms(interval * 10));
            assert!(window.now() >= 1);
        }
    }
}
