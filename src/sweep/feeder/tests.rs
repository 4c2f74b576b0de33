use std::time::Duration;

use crossbeam_channel::{Receiver, unbounded};

use super::*;
use crate::fleet::{
    Checker, Connection, Handshake, MiscSpec, ScriptCommand, ScriptUser, TcpSpec, Timing,
};
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
        let (dealt, counts, result) = deal(list(1_000), &[tcp(None, 1)], shards as usize, |_| {});
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

    let (dealt, counts, result) = deal(bad(), &[tcp(None, 1)], 1, |feeder| feeder.skip_bad = true);
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
    let (dealt, counts, _) = deal(list(6), &[tcp(None, 1)], 1, |feeder| feeder.exclude = exclude());
    assert_eq!(seqs(&dealt), [[0, 1, 2, 4, 5]]);
    assert_eq!(counts.excluded, 1);
    let (dealt, counts, _) = deal(list(6), &[tcp(None, 1)], 1, |feeder| {
        feeder.exclude = exclude();
        feeder.part = Part::new(1, 2).expect("in range");
    });
    assert_eq!(seqs(&dealt), [[0, 2, 4]]);
    assert_eq!(counts.excluded, 0, "it belongs to the other part");
}

fn misc() -> ProbeSpec {
    ProbeSpec::Misc(MiscSpec {
        command: ScriptCommand::Argv(["/bin/true"].into_iter().collect()),
        timeout: Duration::from_secs(1),
        dynamic: false,
        user: Arc::new(ScriptUser {
            name: "root".into(),
            home: Box::default(),
            uid: 0,
            gid: 0,
            groups: Box::default(),
        }),
    })
}

/// A fleet whose checker `seq` is a script where `is_script` says so, each for a server of its own.
fn mixed(count: u32, is_script: impl Fn(u64) -> bool) -> Input {
    let mut fleet = Fleet { specs: vec![tcp(None, 1), misc()], ..Fleet::default() };
    for number in 0..count {
        fleet.checkers.push(Checker {
            real_server: RealServerId(number),
            target: SocketAddr::new(std::net::Ipv4Addr::from(0x0a00_0000 + number).into(), 80),
            spec: SpecId(u32::from(is_script(number.into()))),
            timing: 0,
            line: 1,
        });
    }
    fleet.timings = vec![Timing {
        delay_loop: Duration::ZERO,
        delay_before_retry: Duration::ZERO,
        warmup: Duration::ZERO,
        retry: 1,
        retry_is_written: true,
        alpha: false,
    }];
    Input::Fleet { fleet: Arc::new(fleet), path: "x".into() }
}

#[test]
fn scripts_go_to_the_reaper_and_the_shards_never_notice() {
    let specs = [tcp(None, 1), misc()];
    let is_script = |seq: u64| seq % 10 == 3;
    let (sender, reaper) = unbounded();
    let (dealt, counts, _) =
        deal(mixed(1_000, is_script), &specs, 3, |feeder| feeder.scripts = Some(sender));
    let batches: Vec<Vec<Assignment>> = reaper.iter().collect();
    assert!(batches.iter().all(|batch| (1..=SCRIPT_BATCH).contains(&batch.len())));
    let scripts: Vec<u64> = batches.iter().flatten().map(|script| script.seq).collect();
    assert_eq!(scripts, (0..1_000).filter(|seq| is_script(*seq)).collect::<Vec<u64>>());
    assert!(batches.iter().flatten().all(|script| (script.spec, script.retries) == (SpecId(1), 1)));
    assert_eq!((counts.seen, counts.dealt), (1_000, 1_000));
    // As if the scripts were not there.
    let others: Vec<u64> = (0..1_000).filter(|seq| !is_script(*seq)).collect();
    for (shard, seqs) in seqs(&dealt).into_iter().enumerate() {
        let expected: Vec<u64> = others.iter().copied().skip(shard).step_by(3).collect();
        assert_eq!(seqs, expected, "shard {shard}");
    }
}

#[test]
fn parts_and_exclusions_are_for_scripts_too() {
    let specs = [tcp(None, 1), misc()];
    let (sender, reaper) = unbounded();
    let (dealt, counts, _) = deal(mixed(12, |seq| seq < 6), &specs, 1, |feeder| {
        feeder.scripts = Some(sender);
        feeder.part = Part::new(1, 2).expect("in range");
        let excluded: IpAddr = "10.0.0.2".parse().expect("an address");
        feeder.exclude = Some(Exclude(Box::new(move |ip| ip == excluded)));
    });
    let scripts: Vec<u64> = reaper.iter().flatten().map(|script| script.seq).collect();
    assert_eq!(scripts, [0, 4]);
    assert_eq!(seqs(&dealt), [[6, 8, 10]]);
    assert_eq!((counts.dealt, counts.excluded), (5, 1));
}

#[test]
fn scripts_do_not_wait_for_shards_without_room() {
    let (shard, shard_out) = crossbeam_channel::bounded(0);
    let (sender, reaper) = unbounded();
    let (tally, halt) = (Arc::new(Tally::default()), Arc::default());
    let mut feeder = Feeder::new(&[tcp(None, 1), misc()], vec![shard], halt, tally);
    feeder.scripts = Some(sender);
    // Too few scripts for a batch, and then more targets than the shard takes.
    let input = mixed(1_000, |seq| seq < 3);
    let feeding = std::thread::spawn(move || feeder.feed(input));
    let first = reaper.recv_timeout(Duration::from_secs(60)).expect("before the shard takes any");
    assert_eq!(first.len(), 3);
    assert_eq!(shard_out.iter().flatten().count(), 997);
    feeding.join().expect("no panic").expect("a good fleet");
}

#[test]
fn scripts_without_a_reaper_are_unfinished_and_the_others_go_on() {
    let specs = [tcp(None, 1), misc()];
    let (gone, reaper) = unbounded();
    drop(reaper);
    for scripts in [None, Some(gone)] {
        let (dealt, counts, result) =
            deal(mixed(100, |seq| seq % 2 == 0), &specs, 1, |feeder| feeder.scripts = scripts);
        result.expect("a good fleet");
        assert_eq!(dealt[0].len(), 50);
        assert_eq!((counts.seen, counts.dealt), (100, 100));
    }
}
