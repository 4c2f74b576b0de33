//! Services of groups: what is said of them depends on the group, which may be defined behind them.

use ringprobe::conf::{Class, Diagnostics, Severity};
use ringprobe::fleet::{LoadOptions, analyse_text};

const GROUP: &str = "virtual_server_group g {\n 10.0.0.1 80\n}\n";

/// A service of group `name`, whose real server is listed once more for each of `duplicates`.
fn service(name: &str, duplicates: usize) -> String {
    let server = "real_server 10.0.0.2 80 { TCP_CHECK { } }\n";
    format!(
        "virtual_server group {name} {{\nprotocol TCP\nlvs_sched rr\nlvs_method NAT\n{}}}\n",
        server.repeat(1 + duplicates)
    )
}

fn diagnostics(text: &str) -> Diagnostics {
    let options = LoadOptions::default();
    analyse_text("a.conf", text.as_bytes().to_vec(), &options).expect("small").diagnostics
}

/// Code and class of all that is said.
fn said(text: &str) -> Vec<(&'static str, Class)> {
    diagnostics(text).iter().map(|found| (found.code.as_str(), found.keepalived)).collect()
}

#[test]
fn all_duplicates_are_counted_however_many_are_kept() {
    let most = Diagnostics::KEPT_MAX as usize;
    for (duplicates, services) in [(most + 2_000, 1), (4_000, 3), (1, most + 1)] {
        let text = service("g", duplicates).repeat(services) + GROUP;
        let found = diagnostics(&text);
        assert_eq!(found.count(Severity::Warning), (duplicates * services) as u64);
        assert_eq!(found.count(Severity::Error), 0);
        assert_eq!(found.iter().count(), most, "{duplicates} in each of {services}");
    }
}

#[test]
fn duplicates_of_a_dropped_service_are_not_counted() {
    let most = Diagnostics::KEPT_MAX as usize;
    let text = service("nowhere", most) + &service("g", 3) + &service("nowhere", 5) + GROUP;
    let found = diagnostics(&text);
    assert_eq!(found.count(Severity::Warning), 3);
    let errors: Vec<_> = found.iter().map(|found| found.code.as_str()).collect();
    assert_eq!(errors, ["E026", "E026"], "the three are counted only");
    let found = diagnostics(&(service("nowhere", 5) + &service("g", 3) + GROUP));
    assert_eq!((found.count(Severity::Warning), found.iter().count()), (3, 4));
}

#[test]
fn a_service_without_servers_counts_where_its_group_is_known() {
    let empty = "virtual_server group g {\nprotocol TCP\nlvs_sched rr\nlvs_method NAT\n}\n";
    let no_server = |class| ("W037", class);
    for (group, class, others) in [
        (GROUP, Class::General, &[][..]),
        ("", Class::Silent, &["E026"]),
        ("virtual_server_group g {\n}\n", Class::Silent, &["E026"]),
    ] {
        for text in [format!("{empty}{group}"), format!("{group}{empty}")] {
            let said = said(&text);
            assert!(said.contains(&no_server(class)), "{text}{said:?}");
            let all: Vec<_> = said.iter().map(|(code, _)| *code).collect();
            assert!(others.iter().all(|code| all.contains(code)), "{text}{said:?}");
        }
    }
    let address = empty.replace("group g", "10.0.0.1 80");
    assert!(said(&address).contains(&no_server(Class::General)));
}

#[test]
fn a_port_that_is_not_that_of_the_group_is_said_once() {
    let uses = |group: &str, ports: &[u16]| {
        let server =
            |(place, port): (usize, &u16)| format!("real_server 10.0.0.{place} {port} {{ }}\n");
        let servers: String = (2..).zip(ports).map(server).collect();
        format!(
            "virtual_server_group g {{\n{group}\n}}\nvirtual_server group g {{\nprotocol TCP\n\
             lvs_sched rr\nlvs_method DR\n{servers}}}\n"
        )
    };
    let one = "10.0.0.1 80";
    let both = "10.0.0.1 80\n10.0.0.1 81";
    for (group, ports, port) in [
        (one, &[80, 80][..], None),
        (one, &[80, 80, 82, 83], Some(82)),
        (one, &[82, 80], Some(82)),
        (both, &[80], Some(80)),
        (both, &[81, 80, 82], Some(81)),
        ("fwmark 5", &[90, 91, 92], Some(90)),
        ("fwmark 5\n10.0.0.1 90", &[90, 91, 92], Some(91)),
    ] {
        let found = diagnostics(&uses(group, ports));
        let said: Vec<_> =
            found.iter().filter(|found| found.message.contains("without NAT")).collect();
        let messages: Vec<_> = said.iter().map(|found| found.message.clone()).collect();
        let expected = port.map(|port| format!("without NAT port {port} cannot be reached"));
        assert_eq!(messages, Vec::from_iter(expected), "{group} {ports:?}");
    }
}

/// keepalived refuses these as it does any bad value, whatever their codes here.
#[test]
fn second_names_and_last_bytes_count_for_the_exit_code() {
    let checker = |lines: &str| {
        format!(
            "bfd_instance b {{\nneighbor_ip 10.0.0.9\n}}\nvirtual_server 10.0.0.1 80 {{\nprotocol TCP\n\
             lvs_sched rr\nlvs_method NAT\nreal_server 10.0.0.2 80 {{\n{lines}\n}}\n}}\n"
        )
    };
    for (lines, code) in [
        ("UDP_CHECK {\npayload 00ff\n}", "W117"),
        ("UDP_CHECK {\nrequire_reply ff\n}", "W117"),
        ("BFD_CHECK {\nname b\nname b\n}", "E068"),
        ("BFD_CHECK {\nname b x\n}", "E068"),
        ("BFD_CHECK {\nname b\n}\nBFD_CHECK {\nname b\n}", "E068"),
    ] {
        let said = said(&checker(lines));
        assert!(said.contains(&(code, Class::General)), "{lines}: {said:?}");
    }
}
