//! What a sweep found, as numbers: made once at the end, then only read.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::scripts::ScriptSummary;
use crate::id::VirtualServerId;
use crate::outcome::Record;
use crate::reaper::ScriptRun;

/// The result of a sweep. Its serde form is the `summary` record of the NDJSON output.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Summary {
    /// Outcomes of all probes that ended.
    #[serde(flatten)]
    pub counts: Counts,
    /// Probes the input asks for, where that is known before the end.
    pub total: Option<u64>,
    /// Attempts of all probes, those that cost no retry included.
    pub attempts: u64,
    /// Every reason that occurred. Serialised as a map from reason to count.
    #[serde(serialize_with = "reasons_as_map")]
    pub reasons: Vec<ReasonCount>,
    /// The same outcomes by checker keyword.
    pub checkers: BTreeMap<&'static str, Counts>,
    /// Latency of answered attempts, scripts not among them, in microseconds; `None` where nothing
    /// answered.
    pub latency_us: Option<Percentiles>,
    /// How the scripts ran; `None` where none ended.
    pub scripts: Option<ScriptSummary>,
    /// From the start of the shards to the last record, in seconds.
    pub elapsed_s: f64,
    /// Probes that ended, per second of `elapsed_s`.
    pub probes_per_second: f64,
    /// What held admission back for the longest time; `None` where nothing ever did.
    pub limited_by: Option<&'static str>,
    /// Milliseconds of all shards together by what kept them from starting more;
    /// what did not is absent.
    pub limited_ms: BTreeMap<&'static str, u64>,
    /// Smallest window any shard had.
    pub window_min: Option<u32>,
    /// Datagrams the kernel accepted from us.
    pub datagrams_sent: u64,
    /// Datagrams received, strange ones included.
    pub datagrams_received: u64,
    /// TCP connects started.
    pub connects: u64,
    /// Packets that decided nothing, by kind; kinds that did not occur are absent.
    pub strange: BTreeMap<&'static str, u64>,
    /// Datagrams our own receive buffers dropped.
    pub receive_drops: u64,
    /// Attempts tried again without spending a retry, because the trouble was ours.
    pub free_retries: u64,
    /// Sends repeated because another target's ICMP error had hit them.
    pub soft_send_errors: u64,
    /// Milliseconds that the shard which lost most of them was found not running.
    pub stalled_ms: f64,
    /// The same of the measured part of the span; of all where there is none.
    #[serde(skip)]
    pub stalled_in_span_ms: f64,
    /// Of each shard, how many moments of its timetable it took: probes that were due and begun.
    #[serde(skip)]
    pub moments_taken: Vec<u64>,
    /// What the feeder did with the input.
    #[serde(flatten)]
    pub feed: FeedCounts,
    /// Probes given to a shard or to the reaper and not reported, because it stopped or broke.
    pub unfinished: u64,
    /// Checkers and blocks recognised but not probed yet, by keyword.
    pub not_probed: BTreeMap<String, u32>,
    /// Whether Ctrl-C or SIGTERM ended the sweep early.
    pub interrupted: bool,
    /// Whether a bad target or a lost output ended the sweep early, or lost its report.
    pub cut_short: bool,
    /// Shards that ended with an error.
    pub shard_failures: Vec<ShardFailure>,
    /// Why the reaper ended with an error, or could not begin.
    pub reaper_failure: Option<String>,
    /// The first failed probes.
    #[serde(skip)]
    pub failing: Listing,
    /// The first probes of which nothing can be said.
    #[serde(skip)]
    pub unclear: Listing,
}

/// How many of each outcome.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// All probes that ended: the sum of the others.
    pub probed: u64,
    /// `Pass`.
    pub passed: u64,
    /// `Fail`.
    pub failed: u64,
    /// `Unknown`.
    pub unknown: u64,
}

/// How often one reason occurred.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct ReasonCount {
    /// `pass`, `fail` or `unknown`.
    pub outcome: &'static str,
    /// One word of the closed set.
    pub reason: &'static str,
    /// Probes that ended with it, at least 1.
    pub count: u64,
}

/// Percentiles of a latency histogram, in microseconds with one decimal.
#[derive(Copy, Clone, Debug, PartialEq, Serialize)]
pub struct Percentiles {
    /// Attempts measured.
    pub count: u64,
    /// Half of them were at most this.
    pub p50: f64,
    /// 90 of 100.
    pub p90: f64,
    /// 99 of 100.
    pub p99: f64,
    /// 999 of 1,000.
    pub p99_9: f64,
    /// The slowest.
    pub max: f64,
}

/// What the feeder did with the input.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FeedCounts {
    /// Targets read from the input, those of other parts included.
    #[serde(skip)]
    pub seen: u64,
    /// Targets given to a shard or to the reaper.
    #[serde(skip)]
    pub dealt: u64,
    /// Targets left out by `--exclude`.
    pub excluded: u64,
    /// Bad lines left out by `--skip-bad`.
    pub skipped_lines: u64,
}

/// A shard that ended with an error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ShardFailure {
    /// Which one.
    pub shard: u32,
    /// What it said.
    pub error: String,
}

/// The first probes of one outcome in input order, and how many there are in all.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// At most [`Listing::ROOM`], by `seq`: neighbours share their virtual server.
    pub records: Vec<Record>,
    /// How the scripts among them ran, by `seq`.
    pub runs: BTreeMap<u64, ScriptRun>,
    /// Probes with this outcome, listed or not.
    pub total: u64,
    /// The virtual servers of `records`, with the count of all their probes of this outcome.
    pub groups: Vec<GroupCount>,
    /// Virtual servers with at least one such probe, listed or not.
    pub groups_total: u64,
}

/// One virtual server of a [`Listing`].
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct GroupCount {
    /// Which one.
    pub virtual_server: VirtualServerId,
    /// Its probes of this outcome, listed or not.
    pub count: u64,
}

impl Summary {
    /// Whether a part of the engine ended with an error, or lost probes that nobody stopped.
    pub fn is_incomplete(&self) -> bool {
        let was_stopped = self.interrupted || self.cut_short;
        !self.shard_failures.is_empty()
            || self.reaper_failure.is_some()
            || (self.unfinished > 0 && !was_stopped)
    }
}

impl Listing {
    /// Most records a listing names.
    pub const ROOM: usize = 20;

    /// How many are not named.
    pub fn unlisted(&self) -> u64 {
        self.total - self.records.len() as u64
    }
}

impl Percentiles {
    /// Reads the percentiles off a histogram of nanoseconds; `None` when it is empty.
    pub fn of(latency: &Histogram<u64>) -> Option<Percentiles> {
        if latency.is_empty() {
            return None;
        }
        let at = |quantile| latency_us_at(latency, quantile);
        Some(Percentiles {
            count: latency.len(),
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p99_9: at(0.999),
            max: tenths_of_us(latency.max()),
        })
    }
}

/// What the share `quantile` of a histogram of nanoseconds is at most, in microseconds.
pub(crate) fn latency_us_at(latency: &Histogram<u64>, quantile: f64) -> f64 {
    // A bucket may end above the greatest value in it.
    tenths_of_us(latency.value_at_quantile(quantile).min(latency.max()))
}

/// Nanoseconds as microseconds, rounded to one decimal.
pub(crate) fn tenths_of_us(ns: u64) -> f64 {
    (ns.saturating_add(50) / 100) as f64 / 10.0
}

fn reasons_as_map<S: Serializer>(reasons: &[ReasonCount], to: S) -> Result<S::Ok, S::Error> {
    let mut map = to.serialize_map(Some(reasons.len()))?;
    for reason in reasons {
        map.serialize_entry(reason.reason, &reason.count)?;
    }
    map.end()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_in_microseconds_and_never_above_the_maximum() {
        let mut latency = Histogram::<u64>::new(3).expect("3 digits are allowed");
        assert_eq!(Percentiles::of(&latency), None);
        for us in 1..=1000 {
            latency.record(us * 1000).expect("auto-resizing");
        }
        let percentiles = Percentiles::of(&latency).expect("not empty");
        assert_eq!(percentiles.count, 1000);
        assert!((percentiles.p50 - 500.0).abs() < 1.0, "{percentiles:?}");
        assert!((percentiles.p99 - 990.0).abs() < 2.0, "{percentiles:?}");
        assert!(percentiles.p99_9 <= percentiles.max, "{percentiles:?}");
    }

    #[test]
    fn the_serde_form_is_flat_and_names_reasons() {
        let summary = Summary {
            counts: Counts { probed: 3, passed: 1, failed: 2, unknown: 0 },
            reasons: vec![ReasonCount { outcome: "fail", reason: "timeout", count: 2 }],
            ..Summary::default()
        };
        let json = serde_json::to_value(&summary).expect("plain data");
        assert_eq!(json["probed"], 3);
        assert_eq!(json["failed"], 2);
        assert_eq!(json["reasons"]["timeout"], 2);
        assert_eq!(json["skipped_lines"], 0);
        assert_eq!(json["cut_short"], false);
        assert_eq!(json["scripts"], serde_json::Value::Null, "none ended");
        assert_eq!(json["reaper_failure"], serde_json::Value::Null);
        assert_eq!(json["latency_us"], serde_json::Value::Null);
        assert!(json.get("failing").is_none(), "the records themselves stand above the summary");
    }
}
