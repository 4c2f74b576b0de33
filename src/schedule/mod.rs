//! Stage 3: when a probe starts, when an attempt ends, and whether another follows.

pub mod attempt;
pub mod pace;
pub mod wheel;
