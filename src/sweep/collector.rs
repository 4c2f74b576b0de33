//! The aggregator's side of a sweep: takes the reports of shards and reaper, feeds sink and progress,
//! ends with the summary.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvError, RecvTimeoutError, Sender, never, select};
use hdrhistogram::Histogram;

use super::feeder::Tally;
use super::request::{BadTarget, Progress, Standing, SweepError};
use crate::aggregate::{Aggregator, Catalog, Summary};
use crate::outcome::Record;
use crate::reaper::link::ReaperReport;
use crate::shard::link::{Report, ShardStats};
use crate::sink::{Context, RunInfo, Sink, SinkError};
use crate::tick::{Tick, WallClock, monotonic_now};

/// How long a stop may go unnoticed while no report arrives.
const STOP_POLL: Duration = Duration::from_millis(20);
/// Between two updates of the progress.
const PROGRESS_EVERY: Duration = Duration::from_millis(100);
/// Between two flushes of the sink.
const FLUSH_EVERY: Duration = Duration::from_secs(1);

/// The aggregator's side of a sweep.
pub(super) struct Collector<'a> {
    pub(super) aggregator: Aggregator,
    wall: WallClock,
    sink: &'a mut dyn Sink,
    sink_error: Option<SinkError>,
    total: Option<u64>,
    start: Tick,
    /// When the last record arrived.
    last_record: Tick,
    intervals: Option<Intervals>,
    /// Whether the reaper has said how it ended.
    has_reaper_ended: bool,
}

/// The way back to one shard for what its reports came in, so that it need not allocate.
pub(super) struct Returns {
    pub(super) empties: Sender<Vec<Record>>,
    pub(super) old_stats: Sender<Box<ShardStats>>,
}

/// What the last interval handed to the sink ended with.
struct Intervals {
    since: Tick,
    latency: Option<Histogram<u64>>,
}

impl<'a> Collector<'a> {
    /// Starts at zero and opens the report.
    ///
    /// # Errors
    /// The sink did not take it.
    pub(super) fn begin(
        sink: &'a mut dyn Sink,
        info: &RunInfo,
        catalog: Catalog,
        (wall, start): (WallClock, Tick),
        total: Option<u64>,
    ) -> Result<Collector<'a>, SinkError> {
        sink.begin(info)?;
        let intervals = sink.wants_intervals().then_some(Intervals { since: start, latency: None });
        Ok(Collector {
            aggregator: Aggregator::new(catalog, info.shards),
            wall,
            sink,
            sink_error: None,
            total,
            start,
            last_record: start,
            intervals,
            has_reaper_ended: false,
        })
    }

    /// Whether the sink is told each probe, or may be content with the number of those that passed.
    pub(super) fn records_passes(&self) -> bool {
        self.sink.wants_passes()
    }

    /// Takes reports until every shard has ended, and the reaper where there is one. Returns whether
    /// `stop` was seen before.
    pub(super) fn collect(
        &mut self,
        reports: &Receiver<Report>,
        scripts: Option<&Receiver<ReaperReport>>,
        returns: &[Returns],
        stop: &AtomicBool,
        halt: &AtomicBool,
        progress: &mut dyn Progress,
    ) -> bool {
        let mut interrupted = false;
        let mut next_progress = self.start;
        let mut next_flush = self.start + FLUSH_EVERY;
        // A channel at its end is always ready; one that never is takes its place.
        let (no_report, no_script) = (never(), never());
        let (mut reports, mut are_shards_done) = (reports, false);
        let mut is_reaper_done = scripts.is_none();
        let mut scripts = scripts.unwrap_or(&no_script);
        while !(are_shards_done && is_reaper_done) {
            // Shards that always have something to tell must not keep scripts from being heard.
            if let Ok(report) = scripts.try_recv() {
                self.take_script(report);
            }
            // Waiting for two channels costs more than for one, and most sweeps have no scripts.
            let report = if is_reaper_done {
                Some(reports.recv_timeout(STOP_POLL))
            } else {
                reports.try_recv().ok().map(Ok)
            };
            match report {
                Some(Ok(report)) => self.take(report, returns),
                Some(Err(RecvTimeoutError::Timeout)) => {}
                Some(Err(RecvTimeoutError::Disconnected)) => {
                    are_shards_done = true;
                    reports = &no_report;
                }
                None => select! {
                    recv(reports) -> report => match report {
                        Ok(report) => self.take(report, returns),
                        Err(RecvError) => {
                            are_shards_done = true;
                            reports = &no_report;
                        }
                    },
                    recv(scripts) -> report => match report {
                        Ok(report) => self.take_script(report),
                        Err(RecvError) => {
                            if !self.has_reaper_ended {
                                self.aggregator.reaper_failed("the reaper ended without a word".into());
                            }
                            is_reaper_done = true;
                            scripts = &no_script;
                        }
                    },
                    default(STOP_POLL) => {}
                },
            }
            let now = monotonic_now();
            if now >= next_progress {
                next_progress = now + PROGRESS_EVERY;
                progress.update(&self.standing(now));
            }
            if now >= next_flush {
                next_flush = now + FLUSH_EVERY;
                self.write_interval(now);
                self.write_sink(|sink| sink.flush());
            }
            if !interrupted && stop.load(Ordering::Relaxed) {
                interrupted = true;
                halt.store(true, Ordering::Relaxed);
            }
            if self.sink_error.is_some() {
                halt.store(true, Ordering::Relaxed);
            }
        }
        interrupted
    }

    fn take_script(&mut self, report: ReaperReport) {
        match report {
            ReaperReport::Run(ended) => {
                let (record, run) = *ended;
                self.last_record = monotonic_now();
                self.aggregator.add_script(&record, &run);
                if self.sink_error.is_none() {
                    let context = Context { catalog: self.aggregator.catalog(), wall: &self.wall };
                    self.sink_error = self.sink.script(&record, &run, &context).err();
                }
            }
            ReaperReport::Unowned(count) => self.aggregator.set_unowned_killed(count),
            ReaperReport::Ended(result) => {
                self.has_reaper_ended = true;
                if let Err(error) = result {
                    self.aggregator.reaper_failed(error.to_string());
                }
            }
        }
    }

    fn take(&mut self, report: Report, returns: &[Returns]) {
        match report {
            Report::Records(shard, mut batch) => {
                self.last_record = monotonic_now();
                self.aggregator.add_records(&batch);
                if self.sink_error.is_none() {
                    let context = Context { catalog: self.aggregator.catalog(), wall: &self.wall };
                    self.sink_error = self.sink.records(&batch, &context).err();
                }
                batch.clear();
                if let Some(returns) = returns.get(shard.index()) {
                    // There is room for all of them; a shard that has ended needs none.
                    let _ = returns.empties.try_send(batch);
                }
            }
            Report::Passes(passes) => {
                self.last_record = monotonic_now();
                self.aggregator.add_passes(passes);
            }
            Report::Stats(shard, stats) => {
                let old = self.aggregator.set_stats(shard, stats);
                if let (Some(old), Some(returns)) = (old, returns.get(shard.index())) {
                    let _ = returns.old_stats.try_send(old);
                }
            }
            Report::Ended(_, Ok(())) => {}
            Report::Ended(shard, Err(error)) => {
                self.aggregator.shard_failed(shard, error.to_string());
            }
        }
    }

    /// Whether the sink refused something, which stopped the sweep.
    pub(super) fn has_lost_output(&self) -> bool {
        self.sink_error.is_some()
    }

    fn write_sink(&mut self, write: impl FnOnce(&mut dyn Sink) -> Result<(), SinkError>) {
        if self.sink_error.is_none() {
            self.sink_error = write(self.sink).err();
        }
    }

    fn standing(&self, now: Tick) -> Standing {
        Standing {
            elapsed: now.since(self.start),
            counts: self.aggregator.counts(),
            total: self.total,
            window: self.aggregator.window_now(),
        }
    }

    /// Hands the sink what the shards measured since the last time. Shards tell about once a second,
    /// so a latency may be counted one interval late, but never twice.
    fn write_interval(&mut self, now: Tick) {
        let Some(intervals) = &mut self.intervals else { return };
        let Some(latency) = self.aggregator.latency() else { return };
        let mut fresh = latency.clone();
        if let Some(before) = &intervals.latency
            && fresh.subtract(before).is_err()
        {
            return;
        }
        let (from, length) = (intervals.since.since(self.start), now.since(intervals.since));
        intervals.since = now;
        intervals.latency = Some(latency);
        self.write_sink(|sink| sink.interval(from, length, &fresh));
    }

    pub(super) fn conclude(
        mut self,
        tally: &Tally,
        interrupted: bool,
        bad_target: Option<BadTarget>,
        shards: usize,
    ) -> Result<Summary, SweepError> {
        self.write_interval(monotonic_now());
        let feed = tally.counts();
        let elapsed = self.last_record.since(self.start);
        let mut summary = self.aggregator.summary(elapsed, feed);
        summary.total = self.total.map(|total| total.saturating_sub(feed.excluded));
        summary.interrupted = interrupted;
        summary.cut_short = bad_target.is_some() || self.sink_error.is_some();

        let all_failed = shards > 0 && summary.shard_failures.len() >= shards;
        let is_complete = bad_target.is_none() && !all_failed;
        // The input was empty, or the exclusions left nothing of it. An empty part of an input is the
        // business of the other parts.
        let is_nothing = feed.dealt == 0 && (feed.seen == 0 || feed.excluded > 0);
        if is_nothing && is_complete && self.sink_error.is_none() && !interrupted {
            return Err(SweepError::NothingToProbe { excluded: feed.excluded });
        }
        // An error before the first record leaves nothing worth a report.
        if self.sink_error.is_none() && (is_complete || summary.counts.probed > 0) {
            let catalog = self.aggregator.catalog().clone();
            let wall = self.wall;
            let context = Context { catalog: &catalog, wall: &wall };
            self.write_sink(|sink| sink.finish(&summary, &context));
        }
        // The report itself may have been what the sink refused.
        summary.cut_short |= self.sink_error.is_some();
        match (self.sink_error, bad_target) {
            (Some(error), _) => Err(SweepError::Output { error, summary: Box::new(summary) }),
            (None, Some(error)) => Err(SweepError::Target { error, summary: Box::new(summary) }),
            (None, None) if all_failed => Err(SweepError::Engine {
                failures: summary.shard_failures.clone(),
                summary: Box::new(summary),
            }),
            (None, None) => Ok(summary),
        }
    }
}

#[cfg(test)]
mod tests;
