//! Stage 7: the outcomes of all shards and of the reaper become numbers.
//!
//! One thread, the caller's, owns every result. Shards hand over batches of records and, about once
//! a second, their cumulative counters; [`Aggregator`] adds them up and [`Summary`] is what everyone
//! else may see of it.

mod aggregator;
mod catalog;
mod scripts;
mod snapshot;

pub use aggregator::Aggregator;
pub use catalog::Catalog;
pub use scripts::ScriptSummary;
pub use snapshot::{
    Counts, FeedCounts, GroupCount, Listing, Percentiles, ReasonCount, ShardFailure, Summary,
};
pub(crate) use snapshot::{latency_us_at, tenths_of_us};
