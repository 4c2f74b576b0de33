//! Reads the input and deals it to the shards, in constant memory.
//!
//! Dealing is a function of the input alone: the k-th target dealt goes to shard k modulo shards, but
//! targets whose probes need one source port all go to one shard, because a port belongs to one
//! socket. A shard that has ended passes its part to the next that lives.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crossbeam_channel::Sender;

use super::request::{Addresses, BadTarget, Exclude, Input, ListSpecs};
use crate::aggregate::FeedCounts;
use crate::fleet::{Fleet, ProbeSpec, RETRIES_DEFAULT};
use crate::id::SpecId;
use crate::outcome::Assignment;

/// Targets in a batch.
const BATCH: usize = 256;
/// Batches waiting per shard; with [`BATCH`], how far the feeder may run ahead.
pub(super) const BATCHES_IN_FLIGHT: usize = 8;

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
        seq % self.count == self.number - 1
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
    pub(super) fn counts(&self) -> FeedCounts {
        FeedCounts {
            seen: self.seen.load(Ordering::Relaxed),
            dealt: self.dealt.load(Ordering::Relaxed),
            excluded: self.excluded.load(Ordering::Relaxed),
            skipped_lines: self.skipped_lines.load(Ordering::Relaxed),
        }
    }
}

fn add(count: &AtomicU64, by: u64) {
    count.fetch_add(by, Ordering::Relaxed);
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
    shards: Vec<Sender<Vec<Assignment>>>,
    is_alive: Vec<bool>,
    batches: Vec<Vec<Assignment>>,
    /// The shard of each spec that fixes a source port.
    home: Vec<Option<usize>>,
    /// Targets given to the batches; decides the shard of the next one.
    number: u64,
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
        Feeder {
            part: Part::WHOLE,
            exclude: None,
            skip_bad: false,
            retries: None,
            is_alive: vec![true; count],
            batches: (0..count).map(|_| Vec::with_capacity(BATCH)).collect(),
            home: homes(specs, count),
            number: 0,
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
        (0..self.shards.len()).try_for_each(|shard| self.send(shard))
    }

    fn feed_fleet(&mut self, fleet: &Fleet) -> Result<(), Closed> {
        for (seq, checker) in (0_u64..).zip(&fleet.checkers) {
            self.take(seq, checker.target, checker.spec, |given| fleet.retries(seq, given))?;
        }
        Ok(())
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

    /// Puts one target into the batch of its shard, if it belongs to this run at all.
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
        let shard = match self.home[spec.index()] {
            Some(home) => home,
            None => (self.number % self.shards.len() as u64) as usize,
        };
        self.number += 1;
        let retries = retries(self.retries);
        self.batches[shard].push(Assignment { seq, target, spec, retries });
        if self.batches[shard].len() == BATCH { self.send(shard) } else { Ok(()) }
    }

    /// Sends a shard's batch, waiting for room; to the next living shard where that one has ended.
    fn send(&mut self, shard: usize) -> Result<(), Closed> {
        let mut batch = std::mem::replace(&mut self.batches[shard], Vec::with_capacity(BATCH));
        let size = batch.len() as u64;
        if size == 0 {
            return Ok(());
        }
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
mod tests {
    use std::time::Duration;

    use crossbeam_channel::{Receiver, unbounded};

    use super::*;
    use crate::fleet::{Checker, Connection, Handshake, TcpSpec, Timing};
    use crate::id::RealServerId;

    fn tcp(bind_port: Option<u16>, timeout_s: u64) -> ProbeSpec {
        ProbeSpec::Tcp(TcpSpec {
            connection: Connection {
                timeout: Duration::from_secs(timeout_s),
                bindto: bind_port.map(|_| "127.0.0.1".parse().expect("an address")),
                bind_port,
                ..Connection::default()
            },
            handshake: Handshake::Half,
        })
    }

    fn list(count: u32) -> Input {
        let targets = (0..count).map(|number| {
            Ok(Some(SocketAddr::new(std::net::Ipv4Addr::from(0x0a00_0000 + number).into(), 53)))
        });
        let spec = Some(tcp(None, 1));
        let specs = Box::new(ListSpecs { ipv4: spec.clone(), ipv6: spec });
        Input::Targets { addresses: Box::new(targets), specs }
    }

    /// What each shard was given, for an input fed with the settings that `change` makes.
    fn deal(
        input: Input,
        specs: &[ProbeSpec],
        shards: usize,
        change: impl FnOnce(&mut Feeder),
    ) -> (Vec<Vec<Assignment>>, FeedCounts, Result<(), BadTarget>) {
        let (senders, receivers): (Vec<_>, Vec<Receiver<Vec<Assignment>>>) =
            (0..shards).map(|_| unbounded()).unzip();
        let tally = Arc::new(Tally::default());
        let halt = Arc::new(AtomicBool::new(false));
        let mut feeder = Feeder::new(specs, senders, halt, Arc::clone(&tally));
        change(&mut feeder);
        let result = feeder.feed(input);
        let dealt = receivers.into_iter().map(|shard| shard.iter().flatten().collect()).collect();
        (dealt, tally.counts(), result)
    }

    fn seqs(dealt: &[Vec<Assignment>]) -> Vec<Vec<u64>> {
        dealt.iter().map(|shard| shard.iter().map(|target| target.seq).collect()).collect()
    }

    #[test]
    fn the_kth_target_goes_to_shard_k_modulo_shards() {
        for shards in 1..5_u64 {
            let (dealt, counts, result) =
                deal(list(1_000), &[tcp(None, 1)], shards as usize, |_| {});
            result.expect("a good list");
            for (shard, seqs) in (0..).zip(seqs(&dealt)) {
                let expected: Vec<u64> = (0..1_000).filter(|seq| seq % shards == shard).collect();
                assert_eq!(seqs, expected, "shard {shard} of {shards}");
            }
            assert_eq!((counts.seen, counts.dealt), (1_000, 1_000));
        }
    }

    #[test]
    fn parts_are_disjoint_cover_everything_and_keep_all_shards_busy() {
        for count in 1..8 {
            let mut all = Vec::new();
            for number in 1..=count {
                let part = Part::new(number, count).expect("in range");
                let (dealt, counts, _) =
                    deal(list(997), &[tcp(None, 1)], 2, |feeder| feeder.part = part);
                assert_eq!(counts.seen, 997);
                assert_eq!(counts.dealt, part.share_of(997), "{part:?}");
                let sizes: Vec<usize> = dealt.iter().map(Vec::len).collect();
                assert!(sizes[0].abs_diff(sizes[1]) <= 1, "{part:?}: {sizes:?}");
                all.extend(seqs(&dealt).concat());
            }
            all.sort_unstable();
            assert_eq!(all, (0..997).collect::<Vec<u64>>(), "{count} parts");
        }
        assert_eq!(Part::new(0, 3), None);
        assert_eq!(Part::new(4, 3), None);
    }

    #[test]
    fn specs_of_one_source_port_share_a_shard() {
        let specs = [tcp(None, 1), tcp(Some(4000), 1), tcp(Some(4000), 2), tcp(Some(4001), 1)];
        let mut fleet = Fleet { specs: specs.to_vec(), ..Fleet::default() };
        for number in 0..40 {
            fleet.checkers.push(Checker {
                real_server: RealServerId(number),
                target: "127.0.0.1:53".parse().expect("an address"),
                spec: SpecId(number % 4),
                timing: number % 2,
                line: 1,
            });
        }
        let timing = Timing {
            delay_loop: Duration::ZERO,
            delay_before_retry: Duration::ZERO,
            warmup: Duration::ZERO,
            retry: 7,
            retry_is_written: false,
            alpha: false,
        };
        fleet.timings = vec![timing.clone(), Timing { retry_is_written: true, ..timing }];
        let input = || Input::Fleet { fleet: Arc::new(fleet_clone(&fleet)), path: "x".into() };
        let (dealt, ..) = deal(input(), &specs, 3, |_| {});
        for spec in 1..4 {
            let homes: Vec<usize> = (0..3)
                .filter(|&shard| dealt[shard].iter().any(|target| target.spec == SpecId(spec)))
                .collect();
            let expected = if spec == 3 { 0 } else { 1 };
            assert_eq!(homes, [expected], "spec {spec}");
        }
        for target in dealt.iter().flatten() {
            assert_eq!(target.retries, if target.seq % 2 == 1 { 7 } else { RETRIES_DEFAULT });
        }
        let (dealt, ..) = deal(input(), &specs, 3, |feeder| feeder.retries = Some(1));
        assert!(dealt.iter().flatten().all(|target| target.retries == 1));
    }

    fn fleet_clone(fleet: &Fleet) -> Fleet {
        Fleet {
            specs: fleet.specs.clone(),
            checkers: fleet.checkers.clone(),
            timings: fleet.timings.clone(),
            ..Fleet::default()
        }
    }

    #[test]
    fn a_shard_that_has_ended_passes_its_part_on() {
        let (dead, living) = (unbounded(), unbounded());
        drop(dead.1);
        let tally = Arc::new(Tally::default());
        let halt = Arc::new(AtomicBool::new(false));
        let senders = vec![dead.0, living.0];
        let feeder = Feeder::new(&[tcp(None, 1)], senders, halt, Arc::clone(&tally));
        feeder.feed(list(1_000)).expect("a good list");
        let mut seqs: Vec<u64> = living.1.iter().flatten().map(|target| target.seq).collect();
        seqs.sort_unstable();
        assert_eq!(seqs, (0..1_000).collect::<Vec<u64>>());
        assert_eq!(tally.counts().dealt, 1_000);
    }

    #[test]
    fn bad_lines_end_the_feed_or_are_counted() {
        let bad = || {
            let good = |text: &str| Ok(Some(text.parse().expect("an address")));
            let addresses = vec![
                good("10.0.0.1:53"),
                Err(BadTarget::Line("targets:2: not an address".into())),
                good("[::1]:53"),
                good("10.0.0.2:53"),
            ];
            let specs = Box::new(ListSpecs { ipv4: Some(tcp(None, 1)), ipv6: None });
            Input::Targets { addresses: Box::new(addresses.into_iter()), specs }
        };
        let (_, counts, result) = deal(bad(), &[tcp(None, 1)], 1, |_| {});
        assert_eq!(result.expect_err("line 2").to_string(), "targets:2: not an address");
        assert_eq!((counts.seen, counts.skipped_lines), (1, 0));

        let (dealt, counts, result) =
            deal(bad(), &[tcp(None, 1)], 1, |feeder| feeder.skip_bad = true);
        result.expect("skipped");
        assert_eq!(seqs(&dealt), [[0, 1]]);
        assert_eq!((counts.seen, counts.skipped_lines), (2, 2));
    }

    #[test]
    fn excluded_addresses_are_counted_and_do_not_move_the_parts() {
        let exclude = || {
            let is_excluded = |ip| ip == "10.0.0.3".parse::<IpAddr>().expect("an address");
            Some(Exclude(Box::new(is_excluded)))
        };
        let (dealt, counts, _) =
            deal(list(6), &[tcp(None, 1)], 1, |feeder| feeder.exclude = exclude());
        assert_eq!(seqs(&dealt), [[0, 1, 2, 4, 5]]);
        assert_eq!(counts.excluded, 1);
        let (dealt, counts, _) = deal(list(6), &[tcp(None, 1)], 1, |feeder| {
            feeder.exclude = exclude();
            feeder.part = Part::new(1, 2).expect("in range");
        });
        assert_eq!(seqs(&dealt), [[0, 2, 4]]);
        assert_eq!(counts.excluded, 0, "it belongs to the other part");
    }
}
