//! What is to be measured, and how.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::fleet::{Fleet, ProbeSpec};
use crate::reaper::link::ReaperConfig;
use crate::schedule::pace::Span;
use crate::sweep::{BadTarget, Input, ListSpecs};
use crate::tick::monotonic_now;

/// A measurement.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Whom to probe.
    pub subject: Subject,
    /// How hard.
    pub load: Load,
    /// Most probes in flight, of all shards together; scripts at once.
    pub window: u32,
    /// Before each run is measured.
    pub warm_up: Duration,
    /// How long each run is measured.
    pub duration: Duration,
    /// How often a load is measured; a ramp's steps are measured once each.
    pub repetitions: u32,
    /// Shards, at least 1.
    pub shards: usize,
    /// UDP sockets per lane.
    pub sockets_per_lane: u32,
    /// SO_RCVBUF of UDP sockets in bytes.
    pub receive_buffer: Option<usize>,
    /// Seed of transaction ids.
    pub seed: Option<u64>,
    /// How scripts are run.
    pub scripts: ReaperConfig,
}

/// Whom to probe, again and again in the same order.
#[derive(Clone, Debug)]
pub struct Subject {
    /// In words, for the report.
    pub name: String,
    /// Keyword of the checker, or `several`.
    pub check: &'static str,
    /// Timeout of one probe: the shortest and the longest of them.
    pub timeout: (Duration, Duration),
    /// The targets.
    pub targets: Targets,
}

/// Targets and how to probe them.
#[derive(Clone, Debug)]
pub enum Targets {
    /// Addresses.
    List(Arc<[SocketAddr]>, Box<ListSpecs>),
    /// The checkers of a configuration.
    Fleet(Arc<Fleet>, PathBuf),
}

/// How hard to probe.
#[derive(Copy, Clone, PartialEq, Debug)]
pub enum Load {
    /// Closed loop: the next probe begins when one ends.
    Closed,
    /// Open loop: so many probes a second, whatever becomes of them.
    Open(f64),
    /// Open loop at one rate after the other.
    Ramp(Ramp),
}

/// Rates of a ramp, in probes a second.
#[derive(Copy, Clone, PartialEq, Debug)]
pub struct Ramp {
    /// The first.
    pub from: f64,
    /// No step is above it.
    pub to: f64,
    /// From one to the next.
    pub step: f64,
}

impl Ramp {
    /// Most steps: each takes seconds.
    pub const STEPS_MAX: usize = 1000;

    /// All rates, at least one. The number of each step is rounded up, so that `to` is among them where it is a
    /// whole number of steps away.
    pub fn rates(self) -> Vec<f64> {
        // A billionth forgives what decimals lose in binary.
        let steps = ((self.to - self.from) / self.step + 1e-9).floor().max(0.0) as usize;
        (0..=steps).map(|step| self.from + step as f64 * self.step).collect()
    }
}

impl Targets {
    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Targets::List(list, _) => list.len(),
            Targets::Fleet(fleet, _) => fleet.checkers.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether all of them are addresses of this machine, so that what they answer is counted by the same kernel
    /// as what we send; unless it sends on what is sent to them, as IPVS and published ports do.
    pub(super) fn are_local(&self) -> bool {
        let mut known = HashMap::new();
        let mut is_local =
            |target: SocketAddr| *known.entry(target.ip()).or_insert_with(|| is_local(target));
        match self {
            Targets::List(list, _) => list.iter().all(|target| is_local(*target)),
            Targets::Fleet(fleet, _) => {
                fleet.checkers.iter().all(|checker| is_local(checker.target))
            }
        }
    }

    /// The local port that was asked for with a list.
    pub(super) fn bind_port(&self) -> Option<u16> {
        let Targets::List(_, specs) = self else { return None };
        let specs = [&specs.ipv4, &specs.ipv6].into_iter().flatten();
        specs.filter_map(ProbeSpec::connection).find_map(|connection| connection.bind_port)
    }

    /// Where a local port is asked for, in words: its probes share one socket, and so one shard, which would have
    /// no more than its part of the load.
    pub fn fixed_port(&self) -> Option<String> {
        match self {
            Targets::List(..) => Some(format!("--bind-port {}", self.bind_port()?)),
            Targets::Fleet(fleet, path) => fleet.checkers.iter().find_map(|checker| {
                let connection = fleet.specs.get(checker.spec.index())?.connection()?;
                let port = connection.bind_port?;
                Some(format!("{}:{}: bind_port {port}", path.display(), checker.line))
            }),
        }
    }

    /// The input of a sweep that lasts as long as `span`.
    pub(super) fn input(&self, span: &Span) -> Input {
        match self {
            Targets::Fleet(fleet, path) => {
                Input::Fleet { fleet: Arc::clone(fleet), path: path.clone() }
            }
            Targets::List(list, specs) => of_list(list, specs, (0..list.len()).cycle(), span),
        }
    }

    /// The same targets in another order: however few of them are probed, they are from everywhere in the list. It
    /// goes on behind the first `done` of them.
    pub(super) fn spread_input(&self, done: u64, span: &Span) -> Input {
        let count = self.len();
        let skipped = (done % count.max(1) as u64) as usize;
        let places = spread(count).cycle().skip(skipped);
        match self {
            Targets::Fleet(fleet, path) => {
                let places = places.take(count);
                let checkers = places.map(|place| fleet.checkers[place].clone()).collect();
                let fleet = Fleet { checkers, ..Fleet::clone(fleet) };
                Input::Fleet { fleet: Arc::new(fleet), path: path.clone() }
            }
            Targets::List(list, specs) => of_list(list, specs, places, span),
        }
    }
}

fn of_list(
    list: &Arc<[SocketAddr]>,
    specs: &ListSpecs,
    places: impl Iterator<Item = usize> + Send + 'static,
    span: &Span,
) -> Input {
    let round = Round { list: Arc::clone(list), places, taken: 0, span: span.clone() };
    Input::Targets { addresses: Box::new(round), specs: Box::new(specs.clone()) }
}

/// The numbers below `count`, each once, in such an order that the first few of them, however few, lie nearly as far
/// apart as they can: one Fibonacci number after the other modulo the next, which divides by the golden section and so
/// keeps step with no pattern that a list may have.
fn spread(count: usize) -> impl Iterator<Item = usize> + Clone {
    let (mut step, mut end) = (1, 1);
    while end < count {
        (step, end) = (end, step + end);
    }
    (0..end).map(move |number| number * step % end).filter(move |place| *place < count)
}

/// Towards itself a machine speaks from the address it speaks to. Nothing is sent.
fn is_local(target: SocketAddr) -> bool {
    if target.ip().is_loopback() {
        return true;
    }
    let any: IpAddr = match target {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let from = UdpSocket::bind((any, 0)).and_then(|socket| {
        socket.connect(target)?;
        socket.local_addr()
    });
    from.is_ok_and(|from| from.ip() == target.ip())
}

/// The addresses of a list at endless `places` in it, until the span is over.
struct Round<P> {
    list: Arc<[SocketAddr]>,
    places: P,
    taken: usize,
    span: Span,
}

/// Addresses between two looks at the clock.
const LOOK_EVERY: usize = 64;

impl<P: Iterator<Item = usize>> Iterator for Round<P> {
    type Item = Result<Option<SocketAddr>, BadTarget>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.taken.is_multiple_of(LOOK_EVERY) && self.span.is_over(monotonic_now()) {
            return None;
        }
        let target = *self.list.get(self.places.next()?)?;
        self.taken += 1;
        Some(Ok(Some(target)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::Checker;
    use crate::id::{RealServerId, SpecId};

    #[test]
    fn a_ramp_has_its_ends_where_they_are_whole_steps_apart() {
        let rates = |from, to, step| Ramp { from, to, step }.rates();
        assert_eq!(rates(1000.0, 3000.0, 1000.0), [1000.0, 2000.0, 3000.0]);
        assert_eq!(rates(1000.0, 3500.0, 1000.0), [1000.0, 2000.0, 3000.0]);
        assert_eq!(rates(0.1, 0.5, 0.1).len(), 5);
        assert_eq!(rates(7.0, 7.0, 1.0), [7.0]);
    }

    #[test]
    fn addresses_of_this_machine_are_told_from_others() {
        let is_local = |text: &str| is_local(text.parse().expect("an address"));
        assert!(is_local("127.64.3.2:53") && is_local("[::1]:53"));
        assert!(!is_local("192.0.2.1:53") && !is_local("[2001:db8::1]:53"), "TEST-NET: nobody's");
    }

    #[test]
    fn a_few_in_spread_order_are_from_everywhere_and_all_are_each_of_them() {
        for count in [1, 2, 3, 10, 500, 1000, 4096, 65_537] {
            let mut all: Vec<usize> = spread(count).collect();
            for few in [3, 10, 30, 100] {
                let mut seen: Vec<usize> = all.iter().copied().take(few).collect();
                seen.sort_unstable();
                // Between its ends the list has a gap, too.
                seen.extend(seen.first().map(|first| first + count));
                let widest = seen.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(count);
                assert!(widest <= 3 * count.div_ceil(few), "{widest} of {count} between {few}");
                let even = seen.iter().take(few).filter(|place| place.is_multiple_of(2)).count();
                let (even, few) = (even as f64, seen.len() as f64);
                assert!(few < 30.0 || (even / few - 0.5).abs() < 0.15, "{even} of {few} are even");
            }
            all.sort_unstable();
            assert!(all.into_iter().eq(0..count), "each once of {count}");
        }
        assert_eq!(spread(0).count(), 0);
    }

    #[test]
    fn a_spread_input_goes_on_where_it_was() {
        let fleet = |count: u16| {
            let checker = |port| Checker {
                real_server: RealServerId(0),
                target: (Ipv4Addr::LOCALHOST, port).into(),
                spec: SpecId(0),
                timing: 0,
                line: 1,
            };
            let checkers = (0..count).map(checker).collect();
            Targets::Fleet(Arc::new(Fleet { checkers, ..Fleet::default() }), "x".into())
        };
        let ports = |done| {
            let input = fleet(5).spread_input(done, &Span::new(Duration::ZERO));
            let Input::Fleet { fleet, .. } = input else { panic!("a fleet") };
            fleet.checkers.iter().map(|checker| checker.target.port()).collect::<Vec<u16>>()
        };
        assert_eq!(ports(0), [0, 3, 1, 4, 2]);
        assert_eq!(ports(7), [1, 4, 2, 0, 3]);
    }

    #[test]
    fn a_list_goes_round_until_the_span_is_over() {
        let list: Arc<[SocketAddr]> =
            ["127.0.0.1:53", "127.0.0.2:53"].map(|text| text.parse().expect("good")).into();
        let span = Span::new(Duration::ZERO);
        let places = (0..2).cycle();
        let mut round = Round { list: Arc::clone(&list), places, taken: 0, span: span.clone() };
        let targets = (0..5).map(|_| round.next().expect("goes on").expect("good"));
        assert_eq!(targets.collect::<Vec<_>>(), [0, 1, 0, 1, 0].map(|at| Some(list[at])));
        span.begin(monotonic_now());
        assert!(round.take(LOOK_EVERY).count() < LOOK_EVERY);
    }
}
