//! Who is what, and where it stands.

use super::*;
use crate::respond::Share;

fn options() -> Options {
    Options { servers: 1_000, ..Options::default() }
}

#[test]
fn splitmix64_gives_the_published_numbers() {
    // The first outputs for seed 0: each call moves the state by the golden gamma.
    assert_eq!(splitmix64(0), 0xE220_A839_7B1D_CDAF);
    assert_eq!(splitmix64(0x9E37_79B9_7F4A_7C15), 0x6E78_9E6A_A1B9_65F4);
}

#[test]
fn the_fleet_fits_its_network() {
    let with = |net: &str, servers| {
        Fleet::new(&Options { net: net.parse().unwrap(), servers, ..options() })
    };
    assert_eq!(with("127.64.0.0/16", 65_534).unwrap().len(), 65_534);
    assert!(matches!(
        with("127.64.0.0/16", 65_535),
        Err(RespondError::Servers { room: 65_534, .. })
    ));
    assert!(matches!(with("127.64.0.0/16", 0), Err(RespondError::Servers { .. })));
    assert_eq!(with("127.9.9.9/32", 1).unwrap().server(0).address.octets(), [127, 9, 9, 9]);
    assert_eq!(with("127.0.0.0/8", 4_000_000).unwrap().len(), 4_000_000);
    assert!(matches!(with("127.255.255.255/32", 1), Err(RespondError::Servers { .. })));
    assert!(matches!(with("10.0.0.0/8", 1), Err(RespondError::NotLoopback(_))));
    assert!(matches!(with("0.0.0.0/0", 1), Err(RespondError::NotLoopback(_))));
}

#[test]
fn ports_leave_room_for_two_more() {
    for port in [0, u16::MAX - 1, u16::MAX] {
        let options = Options { port, ..options() };
        assert!(matches!(Fleet::new(&options), Err(RespondError::PortRange(_))));
    }
    assert!(Fleet::new(&Options { port: u16::MAX - 2, ..options() }).is_ok());
}

#[test]
fn addresses_and_indexes_are_inverse() {
    let fleet = Fleet::new(&options()).unwrap();
    for index in [0, 1, 255, 999] {
        assert_eq!(fleet.index_of(fleet.server(index).address), Some(index));
    }
    assert_eq!(fleet.index_of(Ipv4Addr::new(127, 64, 0, 0)), None);
    assert_eq!(fleet.index_of(fleet.address(1_000)), None);
}

#[test]
fn every_server_stands_in_one_virtual_server_of_its_kind() {
    let fleet = Fleet::new(&Options { virtual_server_size: 7, ..options() }).unwrap();
    let mut seen = vec![false; 1_000];
    let mut addresses = std::collections::HashSet::new();
    let mut partly_full = 0;
    for group in fleet.virtual_servers() {
        assert!(addresses.insert(group.address));
        partly_full += usize::from(group.servers.len() < 7);
        for server in group.servers {
            assert_eq!(server.kind, group.kind);
            let index = fleet.index_of(server.address).unwrap();
            assert!(!std::mem::replace(&mut seen[index as usize], true));
        }
    }
    assert!(seen.iter().all(|&seen| seen));
    assert!(partly_full <= 3);
}

fn scripts(options: &Options) -> Vec<Script> {
    Fleet::new(options).unwrap().servers().filter_map(|server| server.script).collect()
}

fn faulty() -> Options {
    Options { faults: "refuse=1%".parse().unwrap(), ..options() }
}

#[test]
fn the_share_of_scripts_is_exact_and_each_misbehaviour_is_there() {
    for seed in 0..50 {
        let options = Options { seed, servers: 10_000, ..faulty() };
        let scripts = scripts(&options);
        assert_eq!(scripts.len(), 200, "seed {seed}");
        assert_eq!(scripts[..15], Script::MISBEHAVIOURS);
        for slow in Script::MISBEHAVIOURS {
            let count = scripts.iter().filter(|&&script| script == slow).count();
            assert!(count == 1 || slow == Script::ExitsOne, "{count} of {slow:?}");
        }
    }
    let all = Options { script_share: Share::percent(100), ..faulty() };
    assert_eq!(scripts(&all).len(), 1_000);
    let none = Options { script_share: Share::percent(0), ..faulty() };
    assert_eq!(scripts(&none), []);
}

#[test]
fn a_small_fleet_has_as_many_misbehaviours_as_fit() {
    for seed in 0..50 {
        assert_eq!(
            scripts(&Options { seed, servers: 300, ..faulty() }),
            Script::MISBEHAVIOURS[..6]
        );
        assert!(scripts(&Options { seed, servers: 1, ..faulty() }).len() <= 1);
    }
    let with_script = |seed| !scripts(&Options { seed, servers: 25, ..faulty() }).is_empty();
    let fleets = (0..1_000).filter(|&seed| with_script(seed)).count();
    assert!((400..600).contains(&fleets), "half of the fleets of 25: {fleets}");
}

#[test]
fn a_fleet_without_faults_has_no_misbehaviour() {
    assert_eq!(scripts(&options()), [Script::Healthy; 20]);
}

#[test]
fn scripts_leave_the_other_servers_as_they_were() {
    let without = Options { script_share: Share::percent(0), ..faulty() };
    let (without, with) = (Fleet::new(&without).unwrap(), Fleet::new(&faulty()).unwrap());
    let mut places = Vec::new();
    for index in 0..1_000 {
        let server = with.server(index);
        if server.script.is_none() {
            assert_eq!(server, without.server(index));
            assert_eq!(with.dns_fault(index), without.dns_fault(index));
            continue;
        }
        let of_script = (server.kind, server.fault, server.port, with.dns_fault(index));
        assert_eq!(of_script, (Kind::Script, None, 5300, None));
        assert_eq!(server.address, without.server(index).address);
        places.push(index);
    }
    // Spread evenly: neither the first nor the last alone.
    assert!(places.windows(2).all(|pair| pair[1] - pair[0] == 50), "{places:?}");
}

#[test]
fn a_slow_server_passes_only_within_the_timeout() {
    let with = |faults: &str| {
        let faults = faults.parse().unwrap();
        let options = Options { faults, tcp_share: "0%".parse().unwrap(), ..options() };
        let fleet = Fleet::new(&options).unwrap();
        fleet.servers().find(|server| server.kind == Kind::Dns).unwrap().expected
    };
    assert_eq!(with("slow=100%:999ms"), Outcome::Pass);
    assert_eq!(with("slow=100%:1s"), Outcome::Fail(Failure::Timeout));
}
