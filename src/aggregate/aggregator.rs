//! Adds up what the shards and the reaper report.
//!
//! Memory does not grow with the number of records: counters, one histogram per shard, at most
//! [`Listing::ROOM`] records and script runs per listing, and one 4-byte count per virtual server and listing.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;

use super::catalog::Catalog;
use super::scripts::ScriptTotals;
use super::snapshot::{
    Counts, FeedCounts, GroupCount, Listing, Percentiles, ReasonCount, ShardFailure, Summary,
};
use crate::id::{ShardId, SpecId, VirtualServerId};
use crate::outcome::{Failure, LocalFault, Outcome, Record, ScriptFault, SetupStep, Strange};
use crate::reaper::ScriptRun;
use crate::shard::link::{Limit, Passes, ShardStats};

/// Every outcome that has a reason of its own; payloads do not matter here.
const REASONS: [Outcome; 29] = [
    Outcome::Pass,
    Outcome::Fail(Failure::Timeout),
    Outcome::Fail(Failure::ConnectionRefused),
    Outcome::Fail(Failure::HostUnreachable),
    Outcome::Fail(Failure::NetUnreachable),
    Outcome::Fail(Failure::ConnectionReset),
    Outcome::Fail(Failure::Rcode(0)),
    Outcome::Fail(Failure::NoAnswer),
    Outcome::Fail(Failure::Truncated),
    Outcome::Fail(Failure::ExitStatus(0)),
    Outcome::Fail(Failure::Signal(0)),
    Outcome::Unknown(LocalFault::Late),
    Outcome::Unknown(LocalFault::Drop),
    Outcome::Unknown(LocalFault::Socket(0)),
    Outcome::Unknown(LocalFault::Port),
    Outcome::Unknown(LocalFault::Memory(0)),
    Outcome::Unknown(LocalFault::Script(ScriptFault::NotFound(0))),
    Outcome::Unknown(LocalFault::Script(ScriptFault::NotExecutable(0))),
    Outcome::Unknown(LocalFault::Script(ScriptFault::Interpreter)),
    Outcome::Unknown(LocalFault::Script(ScriptFault::Format)),
    Outcome::Unknown(LocalFault::Script(ScriptFault::Insecure)),
    Outcome::Unknown(LocalFault::Script(ScriptFault::Changed)),
    Outcome::Unknown(LocalFault::Script(ScriptFault::User(0))),
    Outcome::Unknown(LocalFault::Script(ScriptFault::Spawn(0))),
    Outcome::Unknown(LocalFault::Script(ScriptFault::Setup(SetupStep::Exec, 0))),
    Outcome::Unknown(LocalFault::Script(ScriptFault::Unstarted)),
    Outcome::Unknown(LocalFault::Script(ScriptFault::Lost)),
    Outcome::Unknown(LocalFault::Script(ScriptFault::Stuck)),
    Outcome::Unknown(LocalFault::Script(ScriptFault::Reaper)),
];

/// The running totals of one sweep.
#[derive(Debug)]
pub struct Aggregator {
    catalog: Catalog,
    counts: Counts,
    attempts: u64,
    /// In the order of [`REASONS`].
    reasons: [u64; REASONS.len()],
    /// Position of each spec's keyword in `checkers`.
    checker_of_spec: Vec<u8>,
    checkers: Vec<(&'static str, Counts)>,
    failing: ListingBuilder,
    unclear: ListingBuilder,
    /// The last cumulative counters of each shard.
    stats: Vec<Option<Box<ShardStats>>>,
    failures: Vec<ShardFailure>,
    scripts: ScriptTotals,
    reaper_failure: Option<String>,
}

impl Aggregator {
    /// Starts at zero, for `shards` shards.
    pub fn new(catalog: Catalog, shards: usize) -> Aggregator {
        let mut checkers: Vec<(&'static str, Counts)> = Vec::new();
        let checker_of_spec = catalog
            .specs()
            .iter()
            .map(|spec| {
                let keyword = spec.keyword();
                let known = checkers.iter().position(|(name, _)| *name == keyword);
                let position = known.unwrap_or_else(|| {
                    checkers.push((keyword, Counts::default()));
                    checkers.len() - 1
                });
                u8::try_from(position).unwrap_or(u8::MAX)
            })
            .collect();
        let groups = catalog.virtual_servers();
        Aggregator {
            catalog,
            counts: Counts::default(),
            attempts: 0,
            reasons: [0; REASONS.len()],
            checker_of_spec,
            checkers,
            failing: ListingBuilder::new(groups),
            unclear: ListingBuilder::new(groups),
            stats: (0..shards).map(|_| None).collect(),
            failures: Vec::new(),
            scripts: ScriptTotals::new(),
            reaper_failure: None,
        }
    }

    /// What the numbers in the records stand for.
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// Outcomes so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Counts a batch.
    pub fn add_records(&mut self, records: &[Record]) {
        for record in records {
            self.count(record, None);
        }
    }

    /// Counts probes that passed and have no record.
    pub fn add_passes(&mut self, passes: Passes) {
        self.attempts += passes.count;
        self.add(passes.spec, Outcome::Pass, passes.count);
    }

    /// Counts a script. Its times are kept apart from the latencies of the network.
    pub fn add_script(&mut self, record: &Record, run: &ScriptRun) {
        self.scripts.add(record, run);
        self.count(record, Some(run));
    }

    fn count(&mut self, record: &Record, run: Option<&ScriptRun>) {
        self.attempts += u64::from(record.attempts);
        self.add(record.spec, record.outcome, 1);
        let listing = match record.outcome {
            Outcome::Pass => return,
            Outcome::Fail(_) => &mut self.failing,
            Outcome::Unknown(_) => &mut self.unclear,
        };
        listing.add(record, run, self.catalog.virtual_server(record.seq));
    }

    /// Adds so many probes of a spec that ended alike.
    fn add(&mut self, spec: SpecId, outcome: Outcome, count: u64) {
        self.reasons[reason_index(outcome)] += count;
        let checker = usize::from(self.checker_of_spec[spec.index()]);
        for counts in [&mut self.counts, &mut self.checkers[checker].1] {
            counts.probed += count;
            match outcome {
                Outcome::Pass => counts.passed += count,
                Outcome::Fail(_) => counts.failed += count,
                Outcome::Unknown(_) => counts.unknown += count,
            }
        }
    }

    /// Notes how many processes that had run away from their scripts were killed in all.
    pub fn set_unowned_killed(&mut self, count: u64) {
        self.scripts.unowned_killed = count;
    }

    /// Takes a shard's cumulative counters in place of its earlier ones, which come back.
    pub fn set_stats(&mut self, shard: ShardId, stats: Box<ShardStats>) -> Option<Box<ShardStats>> {
        self.stats.get_mut(shard.index())?.replace(stats)
    }

    /// Notes that a shard ended with an error.
    pub fn shard_failed(&mut self, shard: ShardId, error: String) {
        self.failures.push(ShardFailure { shard: shard.0, error });
    }

    /// Notes that the reaper ended with an error. The first error is the one that counts.
    pub fn reaper_failed(&mut self, error: String) {
        self.reaper_failure.get_or_insert(error);
    }

    /// Shards that ended with an error so far.
    pub fn failures(&self) -> &[ShardFailure] {
        &self.failures
    }

    /// The windows of all shards now, added up; 0 before the first counters arrived.
    pub fn window_now(&self) -> u64 {
        self.stats.iter().flatten().map(|stats| u64::from(stats.window_now)).sum()
    }

    /// Latency of all shards since the start, in nanoseconds; `None` before the first counters.
    pub fn latency(&self) -> Option<Histogram<u64>> {
        let mut shards = self.stats.iter().flatten();
        let mut all = shards.next()?.latency.clone();
        all.auto(true);
        for stats in shards {
            // Cannot fail: the sum resizes itself to whatever the shards recorded.
            let _ = all.add(&stats.latency);
        }
        Some(all)
    }

    /// The totals as they are now.
    pub fn summary(&self, elapsed: Duration, feed: FeedCounts) -> Summary {
        let sum = |count: fn(&ShardStats) -> u64| -> u64 {
            self.stats.iter().flatten().map(|stats| count(stats)).sum()
        };
        let most_ms = |ns: fn(&ShardStats) -> u64| {
            let most_ns = self.stats.iter().flatten().map(|stats| ns(stats)).max().unwrap_or(0);
            rounded(most_ns as f64 / 1e6, 1e3)
        };
        let mut limited = [0_u64; Limit::ALL.len()];
        let mut strange = [0_u64; Strange::ALL.len()];
        for stats in self.stats.iter().flatten() {
            for (sum, count) in limited.iter_mut().zip(stats.limited_ns) {
                *sum += count;
            }
            for (sum, count) in strange.iter_mut().zip(stats.strange) {
                *sum += count;
            }
        }
        let limited_by = (0..limited.len())
            .filter(|&limit| limited[limit] > 0)
            .max_by_key(|&limit| (limited[limit], std::cmp::Reverse(limit)))
            .map(|limit| Limit::ALL[limit].name());
        let elapsed_s = elapsed.as_secs_f64();
        Summary {
            counts: self.counts,
            total: None,
            attempts: self.attempts,
            reasons: (REASONS.iter().zip(self.reasons))
                .filter(|(_, count)| *count > 0)
                .map(|(outcome, count)| ReasonCount {
                    outcome: outcome.name(),
                    reason: outcome.reason(),
                    count,
                })
                .collect(),
            checkers: self.checkers.iter().copied().collect(),
            latency_us: self.latency().as_ref().and_then(Percentiles::of),
            scripts: self.scripts.summary(),
            elapsed_s: rounded(elapsed_s, 1e6),
            probes_per_second: if elapsed_s > 0.0 {
                rounded(self.counts.probed as f64 / elapsed_s, 10.0)
            } else {
                0.0
            },
            limited_by,
            limited_ms: nonzero(
                Limit::ALL.iter().map(|limit| limit.name()).zip(limited.map(|ns| ns / 1_000_000)),
            ),
            window_min: self.stats.iter().flatten().map(|stats| stats.window_min).min(),
            datagrams_sent: sum(|stats| stats.datagrams_sent),
            datagrams_received: sum(|stats| stats.datagrams_received),
            connects: sum(|stats| stats.connects),
            strange: nonzero(Strange::ALL.iter().map(|kind| kind.name()).zip(strange)),
            receive_drops: sum(|stats| stats.receive_drops),
            free_retries: sum(|stats| stats.free_retries) + self.scripts.free_retries,
            soft_send_errors: sum(|stats| stats.soft_send_errors),
            // One halt of the process is seen by every shard.
            stalled_ms: most_ms(|stats| stats.stalled_ns),
            stalled_in_span_ms: most_ms(|stats| stats.stalled_in_span_ns),
            moments_taken: (self.stats.iter())
                .map(|stats| stats.as_ref().map_or(0, |stats| stats.moments_taken))
                .collect(),
            feed,
            unfinished: feed.dealt.saturating_sub(self.counts.probed),
            not_probed: self
                .catalog
                .fleet()
                .map(|fleet| fleet.not_probed.clone())
                .unwrap_or_default(),
            interrupted: false,
            cut_short: false,
            shard_failures: self.failures.clone(),
            reaper_failure: self.reaper_failure.clone(),
            failing: self.failing.listing(&self.catalog),
            unclear: self.unclear.listing(&self.catalog),
        }
    }
}

fn nonzero(counts: impl Iterator<Item = (&'static str, u64)>) -> BTreeMap<&'static str, u64> {
    counts.filter(|(_, count)| *count > 0).collect()
}

/// `value` to the nearest `1 / parts`: digits beyond what was measured only look exact.
fn rounded(value: f64, parts: f64) -> f64 {
    (value * parts).round() / parts
}

fn reason_index(outcome: Outcome) -> usize {
    match outcome {
        Outcome::Pass => 0,
        Outcome::Fail(Failure::Timeout) => 1,
        Outcome::Fail(Failure::ConnectionRefused) => 2,
        Outcome::Fail(Failure::HostUnreachable) => 3,
        Outcome::Fail(Failure::NetUnreachable) => 4,
        Outcome::Fail(Failure::ConnectionReset) => 5,
        Outcome::Fail(Failure::Rcode(_)) => 6,
        Outcome::Fail(Failure::NoAnswer) => 7,
        Outcome::Fail(Failure::Truncated) => 8,
        Outcome::Fail(Failure::ExitStatus(_)) => 9,
        Outcome::Fail(Failure::Signal(_)) => 10,
        Outcome::Unknown(LocalFault::Late) => 11,
        Outcome::Unknown(LocalFault::Drop) => 12,
        Outcome::Unknown(LocalFault::Socket(_)) => 13,
        Outcome::Unknown(LocalFault::Port) => 14,
        Outcome::Unknown(LocalFault::Memory(_)) => 15,
        Outcome::Unknown(LocalFault::Script(fault)) => match fault {
            ScriptFault::NotFound(_) => 16,
            ScriptFault::NotExecutable(_) => 17,
            ScriptFault::Interpreter => 18,
            ScriptFault::Format => 19,
            ScriptFault::Insecure => 20,
            ScriptFault::Changed => 21,
            ScriptFault::User(_) => 22,
            ScriptFault::Spawn(_) => 23,
            ScriptFault::Setup(..) => 24,
            ScriptFault::Unstarted => 25,
            ScriptFault::Lost => 26,
            ScriptFault::Stuck => 27,
            ScriptFault::Reaper => 28,
        },
    }
}

/// Keeps the records of one outcome with the lowest `seq`, in whatever order they arrive.
#[derive(Debug)]
struct ListingBuilder {
    /// Sorted by `seq`, at most [`Listing::ROOM`].
    records: Vec<Record>,
    /// Of the scripts among them, by `seq`.
    runs: BTreeMap<u64, ScriptRun>,
    total: u64,
    /// By virtual server. Counted for all of them, because which ones will be listed is only known
    /// at the end.
    groups: Vec<u32>,
}

impl ListingBuilder {
    fn new(groups: usize) -> ListingBuilder {
        ListingBuilder {
            records: Vec::with_capacity(Listing::ROOM),
            runs: BTreeMap::new(),
            total: 0,
            groups: vec![0; groups],
        }
    }

    fn add(&mut self, record: &Record, run: Option<&ScriptRun>, group: Option<VirtualServerId>) {
        self.total += 1;
        if let Some(count) = group.and_then(|group| self.groups.get_mut(group.index())) {
            *count = count.saturating_add(1);
        }
        if self.records.len() == Listing::ROOM {
            if self.records.last().is_some_and(|last| last.seq < record.seq) {
                return;
            }
            if let Some(unlisted) = self.records.pop() {
                self.runs.remove(&unlisted.seq);
            }
        }
        let place = self.records.partition_point(|listed| listed.seq < record.seq);
        self.records.insert(place, *record);
        if let Some(run) = run {
            self.runs.insert(record.seq, run.clone());
        }
    }

    fn listing(&self, catalog: &Catalog) -> Listing {
        let mut ids: Vec<VirtualServerId> =
            self.records.iter().filter_map(|record| catalog.virtual_server(record.seq)).collect();
        ids.dedup();
        Listing {
            records: self.records.clone(),
            runs: self.runs.clone(),
            total: self.total,
            groups: ids
                .into_iter()
                .map(|id| GroupCount {
                    virtual_server: id,
                    count: u64::from(self.groups[id.index()]),
                })
                .collect(),
            groups_total: self.groups.iter().filter(|count| **count > 0).count() as u64,
        }
    }
}

#[cfg(test)]
mod tests;
