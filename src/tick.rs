//! Time: monotonic ticks for the engine, and what the wall clock said beside them.
//!
//! The only file that reads a clock outside `ring/`. Everything else is given the time.

use std::ops::{Add, Sub};
use std::time::Duration;

/// A moment on the monotonic clock, in nanoseconds since an origin that only this run knows.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Tick(u64);

impl Tick {
    /// Later than every other moment.
    pub const NEVER: Tick = Tick(u64::MAX);

    /// The moment `ns` nanoseconds after the origin.
    pub const fn from_ns(ns: u64) -> Tick {
        Tick(ns)
    }

    /// Nanoseconds since the origin.
    pub const fn as_ns(self) -> u64 {
        self.0
    }

    /// Time since `earlier`; zero when `earlier` is in fact later.
    pub fn since(self, earlier: Tick) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Tick {
    type Output = Tick;

    fn add(self, rhs: Duration) -> Tick {
        Tick(self.0.saturating_add(u64::try_from(rhs.as_nanos()).unwrap_or(u64::MAX)))
    }
}

impl Sub<Duration> for Tick {
    type Output = Tick;

    fn sub(self, rhs: Duration) -> Tick {
        Tick(self.0.saturating_sub(u64::try_from(rhs.as_nanos()).unwrap_or(u64::MAX)))
    }
}

/// Waits on purpose, where there is nothing to wait for: between two looks at what tells nobody that it has
/// changed. Never on the probe path.
#[allow(clippy::disallowed_methods)]
pub(crate) fn pause(time: Duration) {
    std::thread::sleep(time);
}

/// Now, on CLOCK_MONOTONIC.
#[allow(clippy::disallowed_methods)]
pub fn monotonic_now() -> Tick {
    use std::sync::LazyLock;
    use std::time::Instant;
    // One second before the first call, so that no tick is 0 and short looks back stay positive.
    static ORIGIN: LazyLock<Instant> = LazyLock::new(Instant::now);
    let origin = *ORIGIN;
    Tick(
        u64::try_from(origin.elapsed().as_nanos())
            .unwrap_or(u64::MAX)
            .saturating_add(1_000_000_000),
    )
}

/// What the wall clock said at one tick; turns every other tick of the run into wall time.
#[derive(Copy, Clone, Debug)]
pub struct WallClock {
    tick: Tick,
    unix_ns: i128,
}

impl WallClock {
    /// Reads both clocks now.
    #[allow(clippy::disallowed_methods)]
    pub fn read() -> WallClock {
        let unix = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |since| since.as_nanos() as i128);
        WallClock { tick: monotonic_now(), unix_ns: unix }
    }

    /// A pair made up by a test or a simulation.
    pub const fn fixed(tick: Tick, unix_ns: i128) -> WallClock {
        WallClock { tick, unix_ns }
    }

    /// Nanoseconds since 1970-01-01T00:00:00Z at `tick`.
    pub fn unix_ns(&self, tick: Tick) -> i128 {
        self.unix_ns + i128::from(tick.as_ns()) - i128::from(self.tick.as_ns())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_saturate_instead_of_wrapping() {
        assert_eq!(Tick::NEVER + Duration::from_secs(1), Tick::NEVER);
        assert_eq!(Tick::from_ns(5) - Duration::from_secs(1), Tick::from_ns(0));
        assert_eq!(Tick::from_ns(5).since(Tick::from_ns(9)), Duration::ZERO);
    }

    #[test]
    fn wall_time_moves_with_the_tick() {
        let wall = WallClock::fixed(Tick::from_ns(1_000), 50_000);
        assert_eq!(wall.unix_ns(Tick::from_ns(1_500)), 50_500);
        assert_eq!(wall.unix_ns(Tick::from_ns(500)), 49_500);
    }

    #[test]
    fn the_monotonic_clock_does_not_go_back() {
        let first = monotonic_now();
        assert!(monotonic_now() >= first);
    }
}
