//! The one source of chance of a simulation.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// Seeded, so that equal seeds give equal runs.
#[derive(Debug)]
pub struct Prng(StdRng);

impl Prng {
    /// The sequence of this seed.
    pub fn new(seed: u64) -> Prng {
        Prng(StdRng::seed_from_u64(seed))
    }

    /// An independent sequence, so that more draws in one place do not change all others.
    pub fn fork(&mut self) -> Prng {
        Prng::new(self.0.random())
    }

    /// True with probability `p`. Draws nothing where `p` is 0.
    pub fn chance(&mut self, p: f64) -> bool {
        p > 0.0 && self.0.random_bool(p.min(1.0))
    }

    /// 0 to `n` - 1; 0 where `n` is 0.
    pub fn below(&mut self, n: u64) -> u64 {
        if n == 0 { 0 } else { self.0.random_range(0..n) }
    }

    /// From `low` to `high`, both included.
    pub fn between(&mut self, low: Duration, high: Duration) -> Duration {
        let span = high.saturating_sub(low).as_nanos() as u64;
        low + Duration::from_nanos(self.0.random_range(0..=span))
    }

    /// One of `choices`, which are not empty.
    pub fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize]
    }
}
