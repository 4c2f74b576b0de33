//! The shard's own counters and latencies; the aggregator gets copies.

use hdrhistogram::Histogram;

use crate::outcome::Strange;

use super::link::{Limit, ShardStats};

/// Latencies above this are counted as this.
const LATENCY_NS_MAX: u64 = 600_000_000_000;

/// Fresh counters. The histogram has its full size from the start: recording allocates nothing.
pub(super) fn new_stats(window: u32) -> ShardStats {
    ShardStats {
        datagrams_sent: 0,
        datagrams_received: 0,
        connects: 0,
        strange: [0; Strange::ALL.len()],
        receive_drops: 0,
        free_retries: 0,
        soft_send_errors: 0,
        stalled_ns: 0,
        stalled_in_span_ns: 0,
        moments_taken: 0,
        window_now: window,
        window_min: window,
        in_flight: 0,
        limited_ns: [0; Limit::ALL.len()],
        turns: 0,
        latency: Histogram::new_with_bounds(1_000, LATENCY_NS_MAX, 3)
            .expect("bounds and digits are constants that hdrhistogram accepts"),
    }
}

/// Counts one latency.
pub(super) fn record_latency(stats: &mut ShardStats, latency_ns: u64) {
    stats.latency.saturating_record(latency_ns);
}
