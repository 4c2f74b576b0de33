//! Stage 4: one pinned core. Assignments in, records out; nothing here waits but the ring.
//!
//! [`run()`] is the thread; [`Shard::step`] is one turn of its loop, which a simulation can drive.

mod admit;
#[cfg(feature = "sim")]
mod audit;
mod connection;
mod datagram;
mod event;
mod ids;
mod inbox;
mod lane;
pub mod link;
mod outbox;
#[cfg(feature = "sim")]
#[doc(hidden)]
pub mod parts;
mod recorder;
mod run;
mod slot;
mod verdict;
mod window;

pub use run::{PreparedSpec, Progress, Shard, group_wait_max, prepare, run};

/// Most slots of a shard: half of the transaction ids, so that a free one is always found soon.
pub const WINDOW_MAX: u32 = 1 << 15;

/// Every query has room in a slot.
const _: () = assert!(crate::wire::dns::QUERY_BYTES_MAX <= crate::ring::DATAGRAM_BYTES);
