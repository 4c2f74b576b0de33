use clap::{CommandFactory, Parser};
use hickory_proto::rr::{Name, RecordType};

use super::*;
use crate::fleet::ProbeSpec;

#[derive(Debug, Parser)]
struct Probe {
    #[command(flatten)]
    sweep: SweepArgs,
}

fn parse(line: &str) -> Result<SweepArgs, clap::Error> {
    let words = std::iter::once("x").chain(line.split_whitespace());
    let args = Probe::try_parse_from(words)?.sweep;
    args.check().map_err(|(kind, text)| Probe::command().error(kind, text))?;
    Ok(args)
}

#[test]
fn exactly_one_input_and_list_flags_only_with_a_list() {
    for good in [
        "-f x.conf",
        "--use-file x.conf --timeout 500ms --retries 0",
        "--demo",
        "--demo --shards 256",
        "--demo --no-scripts",
        "-f x.conf --script-user nobody:nogroup",
        "-f x.conf --script-jobs 4096 --script-grace 0s --script-cgroup off --script-env A",
        "--targets - --check dns",
        "--targets x --check tcp --port 80 --tcp-handshake full",
        "--targets x --check dns --type aaaa --name example.com --bindto ::1 --bind-port 4000",
        "--targets x --check dns --bindto ::1 --bindto 127.0.0.1 --skip-bad --shard 4/4",
    ] {
        parse(good).unwrap_or_else(|error| panic!("{good}: {error}"));
    }
    for bad in [
        "",
        "-f x.conf --demo",
        "-f x.conf --targets y --check dns",
        "--targets x",
        "-f x.conf --check dns",
        "--targets x --check dns --no-scripts",
        "--targets x --check dns --script-jobs 4",
        "--targets x --check dns --script-user nobody",
        "--targets x --check dns --script-grace 1s",
        "--targets x --check dns --script-env A=1",
        "--targets x --check dns --script-cgroup off",
        "-f x.conf --type A",
        "-f x.conf --name a.",
        "-f x.conf --port 53",
        "-f x.conf --bindto ::1",
        "--demo --shards 0",
        "--demo --shards 257",
        "-f x.conf --bind-if lo",
        "-f x.conf --fwmark 1",
        "-f x.conf --skip-bad",
        "--demo --port 5353",
        "--targets x --check dns --bind-port 4000",
        "--targets x --check dns --bindto ::1 --bindto ::2",
        "--targets x --check tcp --type A",
        "--targets x --check tcp --dns-require rcode",
        "--targets x --check dns --tcp-handshake full",
        "--targets x --check dns --shard 0/4",
        "--targets x --check dns --shard 5/4",
        "--targets x --check dns --shard 1",
        "--targets x --check dns --timeout 0s",
        "--targets x --check dns --timeout 5",
        "--targets x --check dns --rate 0",
        "--targets x --check dns --rate nan",
        "--targets x --check dns --window 0",
        "--targets x --check dns --shards 0",
        "--targets x --check dns --type NOPE",
        "--targets x --check dns --bind-if sixteen-bytes-xx",
    ] {
        let error = parse(bad).expect_err(bad);
        assert_eq!(error.exit_code(), 2, "{bad}: {error}");
    }
}

#[test]
fn a_list_gets_a_spec_for_each_family_it_can_reach() {
    let specs = parse("--targets x --check dns").expect("good").list_specs();
    assert_eq!(specs.ipv4, specs.ipv6);
    let ProbeSpec::Dns(dns) = specs.ipv4.expect("always") else { panic!("not DNS") };
    assert_eq!(dns.connection.timeout, Duration::from_secs(2));
    assert_eq!((dns.name, dns.record_type), (Name::root(), RecordType::SOA));

    let args = parse("--targets x --check tcp --bindto 127.0.0.9 --bind-port 4000 --fwmark 7")
        .expect("good");
    assert_eq!(args.default_port(), None);
    let specs = args.list_specs();
    assert!(specs.ipv6.is_none(), "no source address of that family");
    let connection = specs.ipv4.expect("bound").connection().expect("a network check").clone();
    assert_eq!(connection.bindto, Some("127.0.0.9".parse().expect("an address")));
    assert_eq!((connection.bind_port, connection.fwmark), (Some(4000), 7));

    let args = parse("--targets x --check tcp --bindto ::ffff:127.0.0.9").expect("good");
    assert!(args.list_specs().ipv4.is_some(), "it is an IPv4 address");

    let args = parse("--targets x --check dns --name Example.com").expect("good");
    assert_eq!(args.default_port(), Some(53));
    assert!(args.how.name.expect("given").is_fqdn());
}
