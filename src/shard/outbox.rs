//! Records on their way to the aggregator, in batches whose vectors come back empty, and counters
//! whose boxes do. All are made at the start: nothing is allocated while probes run.
//!
//! While the aggregator cannot keep up, a batch fills, then the shard starts nothing more, and what
//! was in flight ends in the overflow. So only that is as large as the window, and no batch is.

use std::collections::VecDeque;

use crossbeam_channel::{Receiver, SendTimeoutError, Sender, TrySendError};

use crate::id::{ShardId, SpecId};
use crate::outcome::Record;
use crate::tick::Tick;

use super::link::{Passes, REPORTS_IN_FLIGHT, Report, ShardStats};

/// Records that make a batch worth sending at once: whoever waits for one is woken, or spins, for each.
const BATCH: usize = 1024;
/// Room in a batch. With this many waiting, nothing more is started.
const BACKED_UP: usize = 4 * BATCH;
/// A smaller batch leaves after this long.
const PATIENCE: std::time::Duration = std::time::Duration::from_millis(50);

/// See the module.
#[derive(Debug)]
pub(super) struct Outbox {
    id: ShardId,
    batch: Vec<Record>,
    /// Records that ended after those of a full batch: at most the window.
    overflow: VecDeque<Record>,
    /// When the first of the batch ended.
    oldest: Tick,
    /// Whether each probe has a record.
    records_passes: bool,
    /// Probes that only have to be counted: a record costs more than its probe's whole verdict.
    passes: Passes,
    /// When the first of them ended.
    oldest_pass: Tick,
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
        records_passes: bool,
        zero: impl Fn() -> ShardStats,
        reports: Sender<Report>,
        empties: Receiver<Vec<Record>>,
        old_stats: Receiver<Box<ShardStats>>,
    ) -> Outbox {
        let batch = || Vec::with_capacity(BACKED_UP);
        Outbox {
            id,
            batch: batch(),
            overflow: VecDeque::with_capacity(window as usize),
            oldest: Tick::default(),
            records_passes,
            passes: Passes { spec: SpecId(0), count: 0 },
            oldest_pass: Tick::default(),
            reports,
            empties,
            unused: (0..REPORTS_IN_FLIGHT).map(|_| batch()).collect(),
            old_stats,
            unused_stats: (0..2).map(|_| Box::new(zero())).collect(),
        }
    }

    /// Counts a probe that passed at its first attempt, if nobody wants its record; of one spec at a time.
    pub(super) fn count_pass(&mut self, spec: SpecId, now: Tick) -> bool {
        if self.records_passes || (self.passes.count > 0 && self.passes.spec != spec) {
            return false;
        }
        if self.passes.count == 0 {
            self.oldest_pass = now;
        }
        self.passes = Passes { spec, count: self.passes.count + 1 };
        true
    }

    pub(super) fn push(&mut self, record: Record) {
        if self.batch.len() >= BACKED_UP {
            self.overflow.push_back(record);
            return;
        }
        if self.batch.is_empty() {
            self.oldest = record.at;
        }
        self.batch.push(record);
    }

    /// Whether so much has piled up that nothing more should be started.
    pub(super) fn is_backed_up(&self) -> bool {
        self.batch.len() >= BACKED_UP
    }

    /// Whether nothing waits to be told.
    pub(super) fn is_empty(&self) -> bool {
        self.batch.is_empty() && self.passes.count == 0
    }

    /// Sends the batch, and what overflowed it, if it is big or old enough and there is room. Never waits.
    pub(super) fn flush(&mut self, now: Tick) {
        let are_passes_due = self.passes.count > 0 && now.since(self.oldest_pass) >= PATIENCE;
        if are_passes_due && self.reports.try_send(Report::Passes(self.passes)).is_ok() {
            self.passes.count = 0;
        }
        while self.send(now) {
            let count = self.overflow.len().min(BACKED_UP);
            self.batch.extend(self.overflow.drain(..count));
            let Some(first) = self.batch.first() else { break };
            self.oldest = first.at;
        }
    }

    /// Sends the batch if it is due and there is room; false when it stays.
    fn send(&mut self, now: Tick) -> bool {
        let due = self.batch.len() >= BATCH
            || (!self.batch.is_empty() && now.since(self.oldest) >= PATIENCE);
        if !due || self.reports.is_full() {
            return false;
        }
        // All are with the aggregator: it is as far behind as with a full channel.
        let Some(empty) = self.empties.try_recv().ok().or_else(|| self.unused.pop()) else {
            return false;
        };
        let full = std::mem::replace(&mut self.batch, empty);
        match self.reports.try_send(Report::Records(self.id, full)) {
            Ok(()) => true,
            Err(TrySendError::Full(Report::Records(_, full))) => {
                self.unused.push(std::mem::replace(&mut self.batch, full));
                false
            }
            // The aggregator is gone: the run is over, and nobody is left to tell.
            Err(_) => {
                self.batch.clear();
                self.overflow.clear();
                false
            }
        }
    }

    /// Sends what is left, then `last`, waiting for room as long as the aggregator lives.
    pub(super) fn finish(mut self, last: impl IntoIterator<Item = Report>) {
        let batches = [std::mem::take(&mut self.batch), std::mem::take(&mut self.overflow).into()];
        let batches = batches.into_iter().filter(|batch| !batch.is_empty());
        let records = batches.map(|batch| Report::Records(self.id, batch));
        let passes = (self.passes.count > 0).then_some(Report::Passes(self.passes));
        for report in records.chain(passes).chain(last) {
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

#[cfg(test)]
mod tests {
    use crossbeam_channel::bounded;

    use super::*;
    use crate::id::SpecId;
    use crate::outcome::Outcome;
    use crate::shard::{WINDOW_MAX, recorder};

    fn record(seq: u64) -> Record {
        Record {
            seq,
            target: "127.0.0.1:53".parse().expect("an address"),
            spec: SpecId(0),
            outcome: Outcome::Pass,
            attempts: 1,
            latency_ns: None,
            due: Tick::default(),
            at: Tick::default(),
            strange: None,
        }
    }

    /// Records that there is room for.
    fn room(outbox: &Outbox) -> usize {
        let unused: usize = outbox.unused.iter().map(Vec::capacity).sum();
        outbox.batch.capacity() + outbox.overflow.capacity() + unused
    }

    #[test]
    fn what_ends_while_nobody_takes_it_comes_in_order_and_without_an_allocation() {
        let (reports_in, reports) = bounded(REPORTS_IN_FLIGHT);
        let (empties_in, empties) = bounded(REPORTS_IN_FLIGHT + 1);
        let (_stats_in, old_stats) = bounded(2);
        let window = WINDOW_MAX;
        let zero = || recorder::new_stats(window);
        let mut outbox =
            Outbox::new((ShardId(0), window), true, zero, reports_in, empties, old_stats);
        let reserved = room(&outbox);
        let mut next = 0;
        // The channel is full after as many batches as there are empty ones; then all backs up.
        while !outbox.is_backed_up() {
            outbox.push(record(next));
            outbox.flush(Tick::default());
            next += 1;
        }
        for _ in 0..window {
            outbox.push(record(next));
            next += 1;
        }
        let mut wanted = 0;
        while wanted < next {
            let Ok(Report::Records(_, mut batch)) = reports.try_recv() else {
                panic!("{wanted} of {next} came")
            };
            assert!(batch.capacity() <= BACKED_UP, "a batch grew to {}", batch.capacity());
            for record in batch.drain(..) {
                assert_eq!(record.seq, wanted);
                wanted += 1;
            }
            empties_in.send(batch).expect("the outbox is here");
            outbox.flush(Tick::from_ns(1_000_000_000_000));
        }
        let mut back = room(&outbox);
        back += std::iter::from_fn(|| outbox.empties.try_recv().ok())
            .map(|v| v.capacity())
            .sum::<usize>();
        assert_eq!(back, reserved, "nothing was allocated");
    }

    #[test]
    fn a_pass_without_a_record_is_told_by_number_and_nothing_else_is() {
        let (reports_in, reports) = bounded(REPORTS_IN_FLIGHT);
        let (_empties_in, empties) = bounded(REPORTS_IN_FLIGHT + 1);
        let (_stats_in, old_stats) = bounded(2);
        let zero = || recorder::new_stats(1);
        let mut outbox = Outbox::new((ShardId(3), 1), false, zero, reports_in, empties, old_stats);
        let at = |ms: u64| Tick::from_ns(ms * 1_000_000);
        assert!(outbox.count_pass(SpecId(1), at(0)));
        assert!(outbox.count_pass(SpecId(1), at(30)));
        assert!(!outbox.count_pass(SpecId(2), at(30)), "one spec at a time");
        assert!(!outbox.is_empty());
        outbox.flush(at(49));
        assert!(reports.is_empty(), "not due");
        outbox.flush(at(50));
        let told = |report| match report {
            Ok(Report::Passes(passes)) => passes,
            other => panic!("{other:?}"),
        };
        assert_eq!(told(reports.try_recv()), Passes { spec: SpecId(1), count: 2 });
        assert!(outbox.is_empty());
        assert!(outbox.count_pass(SpecId(2), at(60)));
        outbox.finish([]);
        assert_eq!(told(reports.try_recv()), Passes { spec: SpecId(2), count: 1 });
    }

    #[test]
    fn the_most_shards_with_the_largest_windows_reserve_what_a_machine_has() {
        let (reports, _) = bounded(0);
        let (_, empties) = bounded(0);
        let (_, old_stats) = bounded(0);
        let zero = || recorder::new_stats(1);
        let outbox = Outbox::new((ShardId(0), WINDOW_MAX), true, zero, reports, empties, old_stats);
        let bytes = 256 * room(&outbox) * size_of::<Record>();
        assert!(bytes < 2 << 30, "{bytes} bytes");
    }
}
