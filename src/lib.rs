//! ringprobe: a health-check and probe engine for large real-server fleets.
//!
//! ```text
//! keepalived.conf ─▶ conf ─▶ fleet ─▶ schedule ─▶ shard ┬▶ checker (sans-IO) ◀─▶ wire
//! targets / stdin ───────────▶          │               └▶ ring (io_uring | sim)
//!                              │        └▶ reaper ◀─▶ its process ◀─▶ scripts
//!                              └▶ lint ─▶ problems and dumps (text, JSON, SARIF, JUnit, conf)
//!                 sinks (text, NDJSON, CSV) ◀─ aggregate ◀─ outcomes
//! ```
//!
//! [`mod@sweep`] puts these together once over a fleet; [`mod@bench`] does so again and again, and measures.
//!
//! Folders stand in the order data flows; a stage uses earlier stages and the shared files
//! ([`id`], [`tick`], [`outcome`]) only.
//!
//! Words: a *checker* is a configured check of one real server; a *probe* is one run of it; an
//! *attempt* is one try on the wire; an *outcome* is `Pass | Fail(reason) | Unknown(local fault)`; a
//! *shard* is a pinned thread with its ring and its part of the fleet; a *lane* is one set of sockets
//! that share source address, port, interface and mark; the *reaper* is who runs scripts and ends them.

#![deny(unsafe_code)]
#![warn(missing_docs)]

pub mod id;
pub mod outcome;
pub mod tick;

pub mod aggregate;
pub mod bench;
pub mod checker;
pub mod cli;
pub mod conf;
pub mod fleet;
pub mod lint;
pub mod reaper;
pub mod respond;
pub mod ring;
pub mod schedule;
pub mod shard;
#[cfg(feature = "sim")]
pub mod sim;
pub mod sink;
pub mod sweep;
pub mod wire;
