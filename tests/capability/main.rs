//! What an operator is promised, held against the built program and servers of others: one module per
//! promise. Nothing here looks inside; `library.rs` beside this file is a test program of its own.
//!
//! Tests that need root, network namespaces or Debian packages are ignored by a plain `cargo test`;
//! `scripts/test` installs the packages and runs all of them. Each test has ports, addresses, namespaces
//! and directories of its own, so they run side by side. The machine may stand still for seconds:
//! outcomes and counts are compared, never times.

mod conf;
mod interrupt;
mod kernel_6_1;
mod local_trouble;
mod real_servers;
mod scripts;
mod support;
mod targets;
mod tcp;
mod truth;
