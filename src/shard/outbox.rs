//! Records on their way to the aggregator, in batches whose vectors come back empty, and counters
//! whose boxes do. All are made at the start: nothing is allocated while probes run.

use crossbeam_channel::{Receiver, SendTimeoutError, Sender, TrySendError};

use crate::id::ShardId;
use crate::outcome::Record;
use crate::tick::Tick;

use super::link::{REPORTS_IN_FLIGHT, Report, ShardStats};

/// Records that make a batch worth sending at once: whoever waits for one is woken, or spins, for each.
const BATCH: usize = 1024;
/// With this many waiting, nothing more is started.
const BACKED_UP: usize = 4 * BATCH;
/// A smaller batch leaves after this long.
const PATIENCE: std::time::Duration = std::time::Duration::from_millis(50);

/// See the module.
#[derive(Debug)]
pub(super) struct Outbox {
    id: ShardId,
    batch: Vec<Record>,
    oldest: Tick,
    reports: Sender<Report>,
    empties: Receiver<Vec<Record>>,
    /// Batches that were never used: taken only while none has come back, so that as little memory as
    /// possible is touched.
    unused: Vec<Vec<Record>>,
    old_stats: Receiver<Box<ShardStats>>,
    /// The same of counters: one is with the aggregator, the other on its way there.
    #[expect(clippy::vec_box, reason = "the boxes themselves are what travels")]
    unused_stats: Vec<Box<ShardStats>>,
}

impl Outbox {
    /// For a shard with a window of so many. `zero` are its counters as it starts.
    pub(super) fn new(
        (id, window): (ShardId, u32),
        zero: impl Fn() -> ShardStats,
        reports: Sender<Report>,
        empties: Receiver<Vec<Record>>,
        old_stats: Receiver<Box<ShardStats>>,
    ) -> Outbox {
        // Full, and then everything that was in flight ends.
        let batch = || Vec::with_capacity(BACKED_UP + window as usize);
        Outbox {
            id,
            batch: batch(),
            oldest: Tick::default(),
            reports,
            empties,
            unused: (0..REPORTS_IN_FLIGHT).map(|_| batch()).collect(),
            old_stats,
            unused_stats: (0..2).map(|_| Box::new(zero())).collect(),
        }
    }

    pub(super) fn push(&mut self, record: Record) {
        if self.batch.is_empty() {
            self.oldest = record.at;
        }
        self.batch.push(record);
    }

    /// Whether so much has piled up that nothing more should be started.
    pub(super) fn is_backed_up(&self) -> bool {
        self.batch.len() >= BACKED_UP
    }

    /// Whether no record waits.
    pub(super) fn is_empty(&self) -> bool {
        self.batch.is_empty()
    }

    /// Sends the batch if it is big or old enough and there is room. Never waits.
    pub(super) fn flush(&mut self, now: Tick) {
        let due = self.batch.len() >= BATCH
            || (!self.batch.is_empty() && now.since(self.oldest) >= PATIENCE);
        if !due || self.reports.is_full() {
            return;
        }
        // All are with the aggregator: it is as far behind as with a full channel.
        let Some(empty) = self.empties.try_recv().ok().or_else(|| self.unused.pop()) else {
            return;
        };
        let full = std::mem::replace(&mut self.batch, empty);
        match self.reports.try_send(Report::Records(self.id, full)) {
            Ok(()) => (),
            Err(TrySendError::Full(Report::Records(_, full))) => {
                self.unused.push(std::mem::replace(&mut self.batch, full));
            }
            // The aggregator is gone: the run is over, and nobody is left to tell.
            Err(_) => self.batch.clear(),
        }
    }

    /// Sends what is left, then `last`, waiting for room as long as the aggregator lives.
    pub(super) fn finish(mut self, last: impl IntoIterator<Item = Report>) {
        let batch = std::mem::take(&mut self.batch);
        let records = (!batch.is_empty()).then_some(Report::Records(self.id, batch));
        for report in records.into_iter().chain(last) {
            let mut report = report;
            while let Err(SendTimeoutError::Timeout(back)) =
                self.reports.send_timeout(report, std::time::Duration::from_secs(1))
            {
                report = back;
            }
        }
    }

    /// Sends a copy of the counters, which may be left out: the next one, half a second later, says all
    /// that this one would have said.
    pub(super) fn offer(&mut self, stats: &ShardStats) {
        if self.reports.is_full() {
            return;
        }
        let Some(old) = self.old_stats.try_recv().ok().or_else(|| self.unused_stats.pop()) else {
            return;
        };
        // Otherwise it was sent, or nobody is left to tell.
        if let Err(TrySendError::Full(Report::Stats(_, back))) =
            self.reports.try_send(Report::Stats(self.id, stats.copy_to(old)))
        {
            self.unused_stats.push(back);
        }
    }
}
