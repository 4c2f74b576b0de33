//! Bytes to values and back: no state, no clock, no panic on what a peer sends.

pub mod dns;
