//! Assignments on their way in, and probes waiting for another attempt.
//!
//! Retries go to the tail of the sweep: they run when the input is at its end or has nothing ready,
//! or when so many wait that memory would grow with the fleet.

use std::collections::VecDeque;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError};

use crate::outcome::Assignment;
use crate::tick::Tick;

use super::slot::Pending;

/// Waiting retries past this run before new assignments.
const RETRIES_MAX: usize = 1 << 16;

/// See the module.
#[derive(Debug)]
pub(super) struct Inbox {
    assignments: Receiver<Vec<Assignment>>,
    spent: Sender<Vec<Assignment>>,
    batch: Vec<Assignment>,
    /// Of the batch, so many were taken.
    taken: usize,
    is_ended: bool,
    /// Only retries begin any more.
    refuses_new: bool,
    retries: VecDeque<Pending>,
    /// Taken out and put back: the next to start.
    held: Option<Pending>,
}

impl Inbox {
    pub(super) fn new(
        assignments: Receiver<Vec<Assignment>>,
        spent: Sender<Vec<Assignment>>,
    ) -> Inbox {
        Inbox {
            assignments,
            spent,
            batch: Vec::new(),
            taken: 0,
            is_ended: false,
            refuses_new: false,
            retries: VecDeque::new(),
            held: None,
        }
    }

    /// Puts the next probe to start an attempt of into `place`, if one is ready. Written where it stays,
    /// because what was just written is slow to be read as a block and copied.
    #[inline(always)]
    pub(super) fn next_into(&mut self, place: &mut Pending, now: Tick) -> bool {
        if self.held.is_none()
            && self.retries.len() < RETRIES_MAX
            && let Some(assignment) = self.batch.get(self.taken)
        {
            self.taken += 1;
            place.begin(assignment);
            return true;
        }
        self.find_into(place, now)
    }

    /// The same where it is not simply the next of the batch.
    fn find_into(&mut self, place: &mut Pending, now: Tick) -> bool {
        let found = self.held.take().or_else(|| {
            if self.retries.len() >= RETRIES_MAX { self.next_retry(now) } else { None }
        });
        if let Some(found) = found {
            *place = found;
            return true;
        }
        loop {
            if let Some(assignment) = self.batch.get(self.taken) {
                self.taken += 1;
                place.begin(assignment);
                return true;
            }
            match self.assignments.try_recv() {
                Ok(batch) => self.take(batch),
                Err(error) => {
                    self.is_ended |= error == TryRecvError::Disconnected;
                    let Some(retry) = self.next_retry(now) else { return false };
                    *place = retry;
                    return true;
                }
            }
        }
    }

    /// From now on, what has not begun never will: it is taken, so that the feeder comes to its end, and
    /// dropped.
    pub(super) fn refuse_new(&mut self) {
        self.refuses_new = true;
        self.take(Vec::new());
        self.held = self.held.take().filter(|held| held.due.is_some());
    }

    /// Puts a probe back that could not be started now.
    pub(super) fn hold(&mut self, pending: Pending) {
        debug_assert!(self.held.is_none(), "one probe at a time is taken out");
        self.held = Some(pending);
    }

    pub(super) fn retry(&mut self, pending: Pending) {
        self.retries.push_back(pending);
    }

    /// When the first waiting retry may start.
    pub(super) fn next_retry_at(&self) -> Option<Tick> {
        self.retries.front().map(|pending| pending.not_before)
    }

    /// Nothing is left and nothing more will come.
    pub(super) fn is_exhausted(&self) -> bool {
        self.is_ended
            && self.held.is_none()
            && self.retries.is_empty()
            && self.taken == self.batch.len()
    }

    /// More may still come from the feeder.
    pub(super) fn is_open(&self) -> bool {
        !self.is_ended
    }

    /// Waits for the feeder; only when there is nothing else to do.
    pub(super) fn wait(&mut self, patience: Duration) {
        match self.assignments.recv_timeout(patience) {
            Ok(batch) => self.take(batch),
            Err(RecvTimeoutError::Timeout) => (),
            Err(RecvTimeoutError::Disconnected) => self.is_ended = true,
        }
    }

    /// Begins a batch; the one before goes back.
    fn take(&mut self, mut batch: Vec<Assignment>) {
        if self.refuses_new {
            batch.clear();
        }
        let mut spent = std::mem::replace(&mut self.batch, batch);
        self.taken = 0;
        if spent.capacity() > 0 {
            spent.clear();
            // A feeder that has enough, or has ended, does without this one.
            let _ = self.spent.try_send(spent);
        }
    }

    /// A retry that must wait does not let a later one pass: pauses are short and alike.
    fn next_retry(&mut self, now: Tick) -> Option<Pending> {
        self.retries.pop_front_if(|pending| pending.not_before <= now)
    }
}
