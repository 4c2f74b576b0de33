//! From a seed to a fleet, a shard's settings and the weather.

use std::collections::HashMap;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use hickory_proto::rr::{Name, RecordType};
use ringprobe::fleet::{Connection, DnsRequire, DnsSpec, Handshake, ProbeSpec, TcpSpec};
use ringprobe::id::{ShardId, SpecId};
use ringprobe::outcome::Assignment;
use ringprobe::schedule::pace::Pace;
use ringprobe::shard::link::ShardConfig;
use ringprobe::sim::{DnsPeer, DnsReply, Faults, Noise, Peer, Prng, Quote, TcpPeer};

/// More than one tick of the wheel, the work of a full window and the submit together.
const HAIR: Duration = Duration::from_millis(5);

/// Everything one run needs.
#[derive(Debug)]
pub(crate) struct Scenario {
    pub(crate) seed: u64,
    pub(crate) specs: Vec<ProbeSpec>,
    pub(crate) config: ShardConfig,
    pub(crate) faults: Faults,
    pub(crate) assignments: Vec<Assignment>,
    pub(crate) peers: HashMap<SocketAddr, Peer>,
    /// Steps after which the run is stopped, as Ctrl-C would.
    pub(crate) stop_after: Option<u64>,
    /// Batches of records that fit on their way to the aggregator.
    pub(crate) reports: usize,
    /// Chance per step that the aggregator takes what is there.
    pub(crate) collects: f64,
    /// Two checkers may share a target.
    pub(crate) shares_targets: bool,
    /// Most assignments in a batch of the feeder.
    pub(crate) batch: u64,
}

impl Scenario {
    /// A shard with one spec in calm weather; for scenarios that change one thing.
    pub(crate) fn plain(window: u32, spec: ProbeSpec) -> Scenario {
        Scenario {
            seed: 1,
            specs: vec![spec],
            config: ShardConfig {
                id: ShardId(0),
                cpu: None,
                window,
                pace: Pace::Free,
                span: None,
                sockets_per_lane: 1,
                receive_buffer: None,
                sockets_max: 100_000,
                seed: Some(1),
                records_passes: true,
            },
            faults: Faults { work_each: Duration::from_micros(1), ..Faults::default() },
            assignments: Vec::new(),
            peers: HashMap::new(),
            stop_after: None,
            reports: 64,
            collects: 1.0,
            shares_targets: false,
            batch: 128,
        }
    }

    /// Adds a target of the first spec and what answers there.
    pub(crate) fn add(&mut self, retries: u16, peer: Peer) -> SocketAddr {
        let seq = self.assignments.len() as u64;
        let target = address(seq, false);
        self.assignments.push(Assignment { seq, target, spec: SpecId(0), retries });
        self.peers.insert(target, peer);
        target
    }

    /// Trouble of our own may cost a probe its retries.
    pub(crate) fn has_local_faults(&self) -> bool {
        let faults = &self.faults;
        faults.open_refused > 0.0
            || faults.descriptors.is_some()
            || faults.send_refused > 0.0
            || faults.connect_refused > 0.0
            || self.has_small_buffer()
    }

    pub(crate) fn has_small_buffer(&self) -> bool {
        self.faults.receive_buffer.is_some() || self.config.receive_buffer.is_some()
    }

    /// The shard may find itself late.
    pub(crate) fn may_be_late(&self) -> bool {
        let stalls = self.faults.stalls > 0 || !self.faults.stalls_at.is_empty();
        stalls || self.faults.undrained > 0.0 || !self.is_quick()
    }

    /// The thread's own work takes next to no time.
    pub(crate) fn is_quick(&self) -> bool {
        self.faults.work_each <= Duration::from_micros(1)
    }

    /// Nothing but the network's own faults.
    pub(crate) fn is_calm(&self) -> bool {
        !self.has_local_faults() && !self.may_be_late()
    }
}

pub(crate) fn address(number: u64, is_ipv6: bool) -> SocketAddr {
    let number = number as u32;
    if is_ipv6 {
        let [high, low] = [(number >> 16) as u16, number as u16];
        (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, high, low), 53).into()
    } else {
        (Ipv4Addr::from(0x0a00_0001 + number), 53).into()
    }
}

pub(crate) fn dns(timeout: Duration) -> ProbeSpec {
    ProbeSpec::Dns(DnsSpec {
        connection: Connection { timeout, ..Connection::default() },
        name: Name::from_str("www.example.test.").expect("a literal"),
        record_type: RecordType::A,
        require: DnsRequire::Answer,
    })
}

pub(crate) fn tcp(timeout: Duration, handshake: Handshake) -> ProbeSpec {
    ProbeSpec::Tcp(TcpSpec {
        connection: Connection { timeout, ..Connection::default() },
        handshake,
    })
}

/// A server that answers every question after `delay`.
pub(crate) fn healthy(delay: Duration) -> Peer {
    Peer {
        dns: DnsPeer { reply: DnsReply::Answer, delay, ..DnsPeer::default() },
        tcp: TcpPeer { reply: Some(0), delay, ignores: 0 },
        ..Peer::default()
    }
}

/// The scenario of a seed.
pub(crate) fn make(seed: u64) -> Scenario {
    make_with(seed, |_| ())
}

/// The scenario of a seed, its faults changed before everything that depends on them.
pub(crate) fn make_with(seed: u64, change: impl FnOnce(&mut Faults)) -> Scenario {
    let mut prng = Prng::new(seed);
    let window = match prng.below(6) {
        0 => 1 + prng.below(4) as u32,
        1 => 512,
        _ => 4 + prng.below(252) as u32,
    };
    let mut faults = faults(&mut prng, window);
    change(&mut faults);
    let is_late = faults.stalls > 0 || faults.undrained > 0.0;
    let is_slow = faults.work_each > Duration::from_micros(5);
    // In-time answers, a quarter that the lateness gate lets pass, jitter and late completions fit.
    let shortest = Duration::from_millis(if is_late || is_slow { 60 } else { 20 });
    let specs = specs(&mut prng, shortest);
    let config = ShardConfig {
        id: ShardId(0),
        cpu: None,
        window,
        pace: if prng.chance(0.15) {
            Pace::AtMost(500.0 + prng.below(20_000) as f64)
        } else {
            Pace::Free
        },
        span: None,
        sockets_per_lane: 1 + prng.below(4) as u32,
        receive_buffer: None,
        sockets_max: 100_000,
        seed: Some(seed),
        records_passes: true,
    };
    let mut scenario = Scenario {
        seed,
        specs,
        config,
        faults,
        assignments: Vec::new(),
        peers: HashMap::new(),
        stop_after: prng.chance(0.05).then(|| 1 + prng.below(200)),
        reports: 4 + prng.below(6) as usize,
        collects: prng.pick(&[0.5, 0.5, 0.01, 0.001]),
        shares_targets: prng.chance(0.2),
        batch: prng.pick(&[1, 128, 128, 4096]),
    };
    let most = match window {
        0..8 => 60,
        512 => 3000,
        _ => 500,
    };
    let count = 20 + prng.below(most);
    // Some fleets are mostly healthy, some are mostly not.
    let health = prng.pick(&[0.2, 0.6, 0.95]);
    for seq in 0..count {
        let spec = SpecId(prng.below(scenario.specs.len() as u64) as u32);
        let retries = prng.below(4) as u16;
        let is_ipv6 = is_ipv6(&scenario.specs[spec.index()], &mut prng);
        let number = if scenario.shares_targets { prng.below(count / 4 + 1) } else { seq };
        let target = address(number, is_ipv6);
        scenario.assignments.push(Assignment { seq, target, spec, retries });
    }
    add_peers(&mut scenario, health, &mut prng);
    scenario
}

/// Sources are IPv4, so their specs are for IPv4 targets.
fn is_ipv6(spec: &ProbeSpec, prng: &mut Prng) -> bool {
    spec.connection().is_some_and(|options| options.bindto.is_none()) && prng.chance(0.4)
}

fn specs(prng: &mut Prng, shortest: Duration) -> Vec<ProbeSpec> {
    let count = 1 + prng.below(4);
    (0..count)
        .map(|number| {
            let longest = prng.pick(&[2 * shortest, Duration::from_millis(700)]);
            let timeout = prng.between(shortest, longest);
            let mut connection = Connection { timeout, ..Connection::default() };
            if prng.chance(0.25) {
                connection.bindto = Some(Ipv4Addr::new(192, 0, 2, number as u8).into());
                connection.bind_port = prng.chance(0.5).then_some(4000 + number as u16);
            }
            connection.fwmark = prng.below(2) as u32;
            if prng.chance(0.55) {
                let names = ["www.example.test.", "a.test.", "."];
                ProbeSpec::Dns(DnsSpec {
                    connection,
                    name: Name::from_str(prng.pick(&names)).expect("a literal"),
                    record_type: prng.pick(&[RecordType::A, RecordType::SOA, RecordType::TXT]),
                    require: prng.pick(&[DnsRequire::Answer, DnsRequire::Rcode]),
                })
            } else {
                let handshake = prng.pick(&[Handshake::Half, Handshake::Full, Handshake::Orderly]);
                ProbeSpec::Tcp(TcpSpec { connection, handshake })
            }
        })
        .collect()
}

fn faults(prng: &mut Prng, window: u32) -> Faults {
    let is_calm = prng.chance(0.25);
    let mut on = |p: f64| !is_calm && prng.chance(p);
    let mut faults = Faults::default();
    let (small, refused, limited) = (on(0.2), on(0.2), on(0.15));
    let (send, connect, dissolve) = (on(0.2), on(0.2), on(0.2));
    let (stall, early, undrained, slow) = (on(0.3), on(0.3), on(0.3), on(0.2));
    if small {
        faults.receive_buffer = Some(512 << prng.below(5));
    }
    if refused {
        faults.open_refused = prng.pick(&[0.05, 0.5, 0.95]);
    }
    if limited {
        faults.descriptors = Some(1 + prng.below(u64::from(window)) as u32);
    }
    if send {
        faults.send_refused = prng.pick(&[0.01, 0.2]);
    }
    if connect {
        faults.connect_refused = prng.pick(&[0.01, 0.2]);
    }
    if dissolve {
        faults.dissolve_fails = prng.pick(&[0.01, 0.2]);
    }
    if stall {
        faults.stall = prng.pick(&[0.002, 0.05]);
        faults.stalls = 1 + prng.below(8) as u32;
        faults.stall_max = prng.pick(&[
            Duration::from_millis(30),
            Duration::from_millis(400),
            Duration::from_secs(5),
        ]);
    }
    if early {
        faults.early_wake = prng.pick(&[0.05, 0.5]);
    }
    if undrained {
        faults.undrained = prng.pick(&[0.05, 0.4]);
    }
    faults.work_each = Duration::from_micros(if slow { 5 + prng.below(40) } else { 1 });
    // The network's and the ring's everyday troubles belong to calm weather too.
    let some = |prng: &mut Prng, p: f64, most: f64| {
        if prng.chance(p) { most * (0.1 + 0.9 * prng.below(1000) as f64 / 1000.0) } else { 0.0 }
    };
    faults.loss = some(prng, 0.6, 0.4);
    faults.duplicate = some(prng, 0.5, 0.3);
    faults.jitter = Duration::from_micros(prng.below(4000));
    faults.ring_full = some(prng, 0.3, 0.2);
    faults.late_completion = some(prng, 0.5, 0.5);
    faults.late_max = Duration::from_millis(3);
    faults.stale_completion = some(prng, 0.5, 0.3);
    faults.shuffle = some(prng, 0.5, 1.0);
    faults
}

/// One peer per target. In-time answers take at most 0.4 of the shortest timeout that its checkers
/// have, late ones at least 1.2 of the longest.
fn add_peers(scenario: &mut Scenario, health: f64, prng: &mut Prng) {
    let local = scenario.has_local_faults();
    let is_quick = scenario.is_quick() && scenario.faults.late_completion == 0.0;
    let mut targets: Vec<SocketAddr> = Vec::new();
    for assignment in &scenario.assignments {
        if !targets.contains(&assignment.target) {
            targets.push(assignment.target);
        }
    }
    for target in targets {
        let asking = || scenario.assignments.iter().filter(|probe| probe.target == target);
        let timeout = |probe: &Assignment| scenario.specs[probe.spec.index()].timeout();
        let shortest = asking().map(timeout).min().expect("somebody asks");
        let longest = asking().map(timeout).max().expect("somebody asks");
        let retries = asking().map(|probe| probe.retries).min().expect("somebody asks");
        let in_time = (shortest * 2 / 5).saturating_sub(scenario.faults.jitter);
        // In calm weather a server may take all its time but a hair, and a hair more is too late.
        let is_sharp = scenario.is_calm() && is_quick;
        // That turns leave packets unread puts the judgement off, so it takes nobody's time.
        let is_punctual = is_quick && scenario.faults.stalls == 0;
        let brink = (shortest - HAIR).saturating_sub(scenario.faults.jitter);
        let delay = match prng.below(4) {
            0 => Duration::ZERO,
            3 if is_punctual => brink,
            1 => prng.between(Duration::ZERO, in_time.min(Duration::from_millis(5))),
            _ => prng.between(Duration::ZERO, in_time),
        };
        let late = if is_sharp && prng.chance(0.5) {
            longest + HAIR
        } else {
            longest * 6 / 5 + Duration::from_millis(20)
        };
        let mut peer = if prng.chance(health) { healthy(delay) } else { faulty(prng, delay, late) };
        // Where our own trouble may spend the retries, the network must not need them. A target that
        // many checkers share is asked often, so it loses on all of them together only what each can bear.
        let spent = peer.dns.ignores.max(peer.tcp.ignores);
        if !local {
            peer.may_lose = u32::from(retries).saturating_sub(spent);
        }
        scenario.peers.insert(target, peer);
    }
}

fn faulty(prng: &mut Prng, delay: Duration, late: Duration) -> Peer {
    let mut peer = healthy(delay);
    peer.dns.reply = match prng.below(12) {
        0 | 1 => DnsReply::Nothing,
        2 => DnsReply::Rcode(1 + prng.below(15) as u8),
        3 => DnsReply::Empty,
        4 => DnsReply::Truncated,
        5..=7 => {
            let errnos = [
                libc::ECONNREFUSED,
                libc::EHOSTUNREACH,
                libc::ENETUNREACH,
                libc::EPROTO,
                libc::EMSGSIZE,
            ];
            let errno = prng.pick(&errnos);
            let quote = prng.pick(&[Quote::Full, Quote::Full, Quote::Eight, Quote::Nothing]);
            DnsReply::Icmp { errno, quote }
        }
        _ => DnsReply::Answer,
    };
    if prng.chance(0.2) {
        peer.dns.delay = late;
    }
    if prng.chance(0.15) {
        peer.dns.ignores = 1 + prng.below(3) as u32;
    }
    if prng.chance(0.3) {
        peer.dns.noise = noise(prng);
    }
    if prng.chance(0.2) {
        peer.dns.repeats = prng.pick(&[1, 2, 3, 300]);
    }
    if prng.chance(0.07) {
        peer.route_errno = prng.pick(&[libc::ENETUNREACH, libc::EHOSTUNREACH]);
    }
    match prng.below(8) {
        0 | 1 => peer.tcp.reply = None,
        2 | 3 => peer.tcp.reply = Some(libc::ECONNREFUSED),
        4 => {
            let errnos = [libc::ECONNRESET, libc::EHOSTUNREACH, libc::ENETUNREACH, libc::ETIMEDOUT];
            peer.tcp.reply = Some(prng.pick(&errnos));
        }
        5 | 6 => peer.tcp.delay = late,
        _ => peer.tcp.ignores = 1 + prng.below(3) as u32,
    }
    peer
}

fn noise(prng: &mut Prng) -> Vec<Noise> {
    (0..=prng.below(4)).map(|_| prng.pick(&Noise::ALL)).collect()
}
