//! Records on their way to the aggregator, in batches whose vectors come back empty.

use crossbeam_channel::{Receiver, SendTimeoutError, Sender, TrySendError};

use crate::id::ShardId;
use crate::outcome::Record;
use crate::tick::Tick;

use super::link::Report;

/// Records that make a batch worth sending at once: whoever waits for one is woken, or spins, for each.
const BATCH: usize = 1024;
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
}

impl Outbox {
    pub(super) fn new(
        id: ShardId,
        reports: Sender<Report>,
        empties: Receiver<Vec<Record>>,
    ) -> Outbox {
        Outbox {
            id,
            batch: Vec::with_capacity(2 * BATCH),
            oldest: Tick::default(),
            reports,
            empties,
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
        self.batch.len() >= 4 * BATCH
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
        let empty = self.empties.try_recv().unwrap_or_else(|_| Vec::with_capacity(2 * BATCH));
        let full = std::mem::replace(&mut self.batch, empty);
        match self.reports.try_send(Report::Records(self.id, full)) {
            Ok(()) => (),
            Err(TrySendError::Full(Report::Records(_, full))) => self.batch = full,
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

    /// A report that may be left out when there is no room, and then is not even made.
    pub(super) fn offer(&self, report: impl FnOnce() -> Report) {
        // Full: the next one, half a second later, says all that this one would have said.
        if !self.reports.is_full() {
            let _ = self.reports.try_send(report());
        }
    }
}
