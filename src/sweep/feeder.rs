//! Reads the input and deals it to the shards, in constant memory, and its scripts to the reaper.
//!
//! Dealing is a function of the input alone: the k-th target dealt goes to shard k modulo shards, but
//! targets whose probes need one source port all go to one shard, because a port belongs to one
//! socket. A shard that has ended passes its part to the next that lives. Scripts are not among the
//! targets that are numbered, so the shards get the same with and without them.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crossbeam_channel::{Receiver, Sender, never};

use super::request::{Addresses, BadTarget, Exclude, Input, ListSpecs};
use crate::aggregate::FeedCounts;
use crate::fleet::{Fleet, ProbeSpec, RETRIES_DEFAULT};
use crate::id::SpecId;
use crate::outcome::Assignment;
use crate::schedule::pace::Span;
use crate::tick::monotonic_now;

/// Targets in a batch: the feeder is woken, or spins, for each.
const BATCH: usize = 1024;
/// With so many shards that this would be exceeded, batches are smaller.
const TARGETS_IN_FLIGHT_MAX: usize = 1 << 17;
/// Scripts that are sent together: few, because a script takes longer than any batch of targets.
const SCRIPT_BATCH: usize = 16;
/// Batches waiting per shard; with [`BATCH`], how far the feeder may run ahead.
pub(super) const BATCHES_IN_FLIGHT: usize = 4;
/// With those, the one that a shard works on and the one that it gives back.
pub(super) const BATCHES_OF_A_SHARD: usize = BATCHES_IN_FLIGHT + 2;

/// Part `number` of `count`: the targets whose position in the input is `number - 1` modulo `count`.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Part {
    number: u64,
    count: u64,
}

impl Part {
    /// All of it.
    pub const WHOLE: Part = Part { number: 1, count: 1 };

    /// Part `number` of `count`; `None` unless 1 <= number <= count.
    pub fn new(number: u64, count: u64) -> Option<Part> {
        (1..=count).contains(&number).then_some(Part { number, count })
    }

    /// Whether the target at this position belongs to the part.
    pub fn has(self, seq: u64) -> bool {
        // A division for each target, but where all of them belong to it.
        self.count == 1 || seq % self.count == self.number - 1
    }

    /// How many of `total` targets belong to the part.
    pub fn share_of(self, total: u64) -> u64 {
        (total + self.count - self.number) / self.count
    }
}

/// What the feeder did so far; it may be read at any time.
#[derive(Debug, Default)]
pub(super) struct Tally {
    seen: AtomicU64,
    dealt: AtomicU64,
    excluded: AtomicU64,
    skipped_lines: AtomicU64,
}

impl Tally {
    /// Of a feeder that dealt so many and is done.
    #[cfg(test)]
    pub(super) fn of(dealt: u64) -> Tally {
        Tally { seen: dealt.into(), dealt: dealt.into(), ..Tally::default() }
    }

    pub(super) fn counts(&self) -> FeedCounts {
        FeedCounts {
            seen: self.seen.load(Ordering::Relaxed),
            dealt: self.dealt.load(Ordering::Relaxed),
            excluded: self.excluded.load(Ordering::Relaxed),
            skipped_lines: self.skipped_lines.load(Ordering::Relaxed),
        }
    }
}

/// Only the feeder counts, so this need not be one step, which is dear.
fn add(count: &AtomicU64, by: u64) {
    count.store(count.load(Ordering::Relaxed) + by, Ordering::Relaxed);
}

/// Nobody takes targets any more: the sweep was stopped, or every shard has ended.
struct Closed;

/// The feeder.
pub(super) struct Feeder {
    /// Of the input, before exclusion: so the parts of a list are the same with any exclusion.
    pub(super) part: Part,
    pub(super) exclude: Option<Exclude>,
    pub(super) skip_bad: bool,
    pub(super) retries: Option<u16>,
    /// Until it is over, a configuration begins anew when it is at its end.
    pub(super) span: Option<Span>,
    /// To the reaper; unbounded where there are shards too, so that scripts never keep those waiting. Scripts
    /// that find nobody here are dealt all the same: they come out as unfinished, not as if they had never been.
    pub(super) scripts: Option<Sender<Vec<Assignment>>>,
    script_batch: Vec<Assignment>,
    is_script: Vec<bool>,
    shards: Vec<Sender<Vec<Assignment>>>,
    /// Emptied batches that come back.
    pub(super) spent: Receiver<Vec<Assignment>>,
    /// Batches that were never used: taken only while none has come back, so that as little memory as
    /// possible is touched. With the one of each shard that is being filled, as many as there can be
    /// elsewhere, so that none is made later.
    unused: Vec<Vec<Assignment>>,
    batch_size: usize,
    is_alive: Vec<bool>,
    batches: Vec<Vec<Assignment>>,
    /// The shard of each spec that fixes a source port.
    home: Vec<Option<usize>>,
    /// The shard of the next target, unless that has a home.
    next_shard: usize,
    halt: Arc<AtomicBool>,
    tally: Arc<Tally>,
}

impl Feeder {
    pub(super) fn new(
        specs: &[ProbeSpec],
        shards: Vec<Sender<Vec<Assignment>>>,
        halt: Arc<AtomicBool>,
        tally: Arc<Tally>,
    ) -> Feeder {
        let count = shards.len();
        let batch_size = BATCH.min(TARGETS_IN_FLIGHT_MAX / BATCHES_IN_FLIGHT / count.max(1));
        let new = |_| Vec::with_capacity(batch_size);
        Feeder {
            part: Part::WHOLE,
            exclude: None,
            skip_bad: false,
            retries: None,
            span: None,
            scripts: None,
            script_batch: Vec::new(),
            is_script: specs.iter().map(|spec| matches!(spec, ProbeSpec::Misc(_))).collect(),
            is_alive: vec![true; count],
            batches: (0..count).map(new).collect(),
            spent: never(),
            unused: (0..count * BATCHES_OF_A_SHARD + 1).map(new).collect(),
            batch_size,
            home: homes(specs, count),
            next_shard: 0,
            shards,
            halt,
            tally,
        }
    }

    /// Deals the whole input, or as much as the shards take.
    ///
    /// # Errors
    /// The first bad target, unless bad ones are skipped, or the end of what can be read.
    pub(super) fn feed(mut self, input: Input) -> Result<(), BadTarget> {
        let fed = match input {
            Input::Fleet { fleet, .. } => Ok(self.feed_fleet(&fleet)),
            Input::Targets { addresses, specs } => self.feed_list(addresses, &specs),
        };
        if let Ok(Ok(())) = fed {
            // Closed is how a stopped sweep looks from here, and no error.
            let _ = self.send_all();
        }
        fed.map(drop)
    }

    /// Sends every batch, full or not.
    fn send_all(&mut self) -> Result<(), Closed> {
        self.send_scripts();
        (0..self.shards.len()).try_for_each(|shard| self.send(shard))
    }

    fn feed_fleet(&mut self, fleet: &Fleet) -> Result<(), Closed> {
        loop {
            for (seq, checker) in (0_u64..).zip(&fleet.checkers) {
                self.take(seq, checker.target, checker.spec, |given| fleet.retries(seq, given))?;
            }
            let goes_on = self.span.as_ref().is_some_and(|span| !span.is_over(monotonic_now()));
            if !goes_on || fleet.checkers.is_empty() {
                return Ok(());
            }
        }
    }

    fn feed_list(
        &mut self,
        addresses: Addresses,
        specs: &ListSpecs,
    ) -> Result<Result<(), Closed>, BadTarget> {
        let (ipv4, ipv6) = (specs.id(true), specs.id(false));
        let mut seq = 0;
        for address in addresses {
            let address = match address {
                Ok(Some(target)) => Ok(target),
                Ok(None) => match self.send_all() {
                    Ok(()) => continue,
                    Err(closed) => return Ok(Err(closed)),
                },
                Err(error) => Err(error),
            };
            let fitting = address.and_then(|target| {
                let spec = if target.is_ipv4() { ipv4 } else { ipv6 };
                Ok((target, spec.ok_or(BadTarget::Family(target))?))
            });
            match fitting {
                Ok((target, spec)) => {
                    let retries = |given: Option<u16>| given.unwrap_or(RETRIES_DEFAULT);
                    if let Err(closed) = self.take(seq, target, spec, retries) {
                        return Ok(Err(closed));
                    }
                    seq += 1;
                }
                Err(error @ BadTarget::Read(_)) => return Err(error),
                Err(error) if !self.skip_bad => return Err(error),
                Err(_) => {
                    add(&self.tally.skipped_lines, 1);
                    if self.halt.load(Ordering::Relaxed) {
                        return Ok(Err(Closed));
                    }
                }
            }
        }
        Ok(Ok(()))
    }

    /// Puts one target into the batch of its shard or of the reaper, if it belongs to this run at all.
    fn take(
        &mut self,
        seq: u64,
        target: SocketAddr,
        spec: SpecId,
        retries: impl FnOnce(Option<u16>) -> u16,
    ) -> Result<(), Closed> {
        add(&self.tally.seen, 1);
        if !self.part.has(seq) {
            // A small part of an endless list sends rarely, and only a send notices the end.
            return if seq.is_multiple_of(BATCH as u64) && self.halt.load(Ordering::Relaxed) {
                Err(Closed)
            } else {
                Ok(())
            };
        }
        if let Some(Exclude(is_excluded)) = &self.exclude
            && is_excluded(target.ip())
        {
            add(&self.tally.excluded, 1);
            return Ok(());
        }
        if self.is_script[spec.index()] {
            let retries = retries(self.retries);
            self.script_batch.push(Assignment { seq, target, spec, retries });
            if self.script_batch.len() >= SCRIPT_BATCH {
                self.send_scripts();
            }
            return Ok(());
        }
        let shard = match self.home[spec.index()] {
            Some(home) => home,
            None => self.next_shard,
        };
        self.next_shard =
            if self.next_shard + 1 < self.shards.len() { self.next_shard + 1 } else { 0 };
        let retries = retries(self.retries);
        self.batches[shard].push(Assignment { seq, target, spec, retries });
        if self.batches[shard].len() >= self.batch_size { self.send(shard) } else { Ok(()) }
    }

    /// Sends the scripts that wait, without waiting itself but in a span, where nothing else is fed.
    fn send_scripts(&mut self) {
        let batch = std::mem::take(&mut self.script_batch);
        if batch.is_empty() {
            return;
        }
        add(&self.tally.dealt, batch.len() as u64);
        if let Some(reaper) = &self.scripts
            && reaper.send(batch).is_err()
        {
            // It has ended, and says so itself.
            self.scripts = None;
        }
    }

    /// Sends a shard's batch, waiting for room; to the next living shard where that one has ended.
    fn send(&mut self, shard: usize) -> Result<(), Closed> {
        if self.batches[shard].is_empty() {
            return Ok(());
        }
        let empty = self.spent.try_recv().ok().or_else(|| self.unused.pop());
        // None is left only where a shard ended with some of them.
        let empty = empty.unwrap_or_else(|| Vec::with_capacity(self.batch_size));
        let mut batch = std::mem::replace(&mut self.batches[shard], empty);
        let size = batch.len() as u64;
        // The shards may have no room for long, and the scripts could run meanwhile.
        self.send_scripts();
        for step in 0..self.shards.len() {
            let taker = (shard + step) % self.shards.len();
            if self.halt.load(Ordering::Relaxed) {
                break;
            }
            if !self.is_alive[taker] {
                continue;
            }
            match self.shards[taker].send(batch) {
                Ok(()) => {
                    add(&self.tally.dealt, size);
                    return Ok(());
                }
                Err(returned) => {
                    self.is_alive[taker] = false;
                    batch = returned.into_inner();
                }
            }
        }
        Err(Closed)
    }
}

/// The shard of each spec that fixes a source port: specs of one source address and port, which
/// share a lane, share the shard of the first of them.
fn homes(specs: &[ProbeSpec], shards: usize) -> Vec<Option<usize>> {
    let mut first: HashMap<(&'static str, Option<IpAddr>, u16), usize> = HashMap::new();
    (0_usize..)
        .zip(specs)
        .map(|(position, spec)| {
            let connection = spec.connection()?;
            let source = (spec.keyword(), connection.bindto, connection.bind_port?);
            Some(*first.entry(source).or_insert(position) % shards)
        })
        .collect()
}

#[cfg(test)]
mod tests;
