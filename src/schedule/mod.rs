//! Stage 3: when an attempt ends, and whether another follows.

pub mod attempt;
pub mod wheel;
