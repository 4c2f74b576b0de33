//! Every keyword of virtual servers, real servers, checkers and what they name, with values good and bad:
//! the exit code of `keepalived -t`, but for the table of values that are explained.
//!
//! What is said of the files of scripts is elsewhere.

#[path = "oracle/judge.rs"]
mod judge;
#[path = "oracle/many.rs"]
mod many;

use std::fmt::Write as _;

use nix::unistd::{User, geteuid};

use many::{Both, mismatches};

const VALUES: &[&str] = &[
    "",
    "\"\"",
    "0",
    "1",
    "-1",
    "+5",
    "255",
    "256",
    "65535",
    "65536",
    "1.5",
    "2147483648",
    "4294967296",
    "1x",
    "x",
    "on",
    "10.0.0.1",
    "::1",
    "10.0.0.1 80",
    "255.255.255.0",
    "x y",
    "{\n x\n }",
];

/// For keywords that were tried in full in another checker: what tells one shape of values from another.
const FEW_VALUES: &[&str] = &["", "\"\"", "0", "65536", "x", "::1"];

/// A file with the line in question, between two halves of text.
struct Place {
    name: &'static str,
    before: &'static str,
    after: &'static str,
    keywords: &'static str,
}

macro_rules! service {
    () => {
        "virtual_server 10.0.0.1 80 {\n protocol TCP\n lvs_sched rr\n lvs_method NAT\n "
    };
}
macro_rules! server {
    () => {
        concat!(service!(), "real_server 10.0.0.2 80 {\n ")
    };
}

const SERVER_END: &str = "\n }\n}\n";
const CHECKER_END: &str = "\n }\n }\n}\n";
const SERVER: &str = "\n real_server 10.0.0.2 80 {\n weight 1\n }\n}\n";
const BLOCK_END: &str = concat!("\n}\n", server!(), "SSL_GET {\n url {\n path /\n }\n }\n }\n}\n");
const GROUP_USE: &str = "\n}\nvirtual_server group g {\n protocol TCP\n lvs_sched rr\n lvs_method NAT\n \
                         real_server 10.0.0.2 80 {\n }\n}\n";
const SERVICE_REST: &str =
    " {\n protocol TCP\n lvs_sched rr\n lvs_method NAT\n real_server 10.0.0.2 80 {\n }\n}\n";

const CONNECTION: &str = "bind_if bind_port bindto connect_ip connect_port connect_timeout fwmark alpha \
                          delay_before_retry delay_loop log_all_failures retry warmup ";

const fn place(
    name: &'static str,
    before: &'static str,
    after: &'static str,
    keywords: &'static str,
) -> Place {
    Place { name, before, after, keywords }
}

/// Keywords stand between blanks; a `=` is a blank of theirs.
const PLACES: &[Place] = &[
    place(
        "virtual_server",
        service!(),
        SERVER,
        "alpha connect_timeout delay_before_retry delay_loop flag-1 ha_suspend hashed hysteresis \
         inhibit_on_failure ip_family lb_algo lb_kind lvs_method lvs_sched mh-fallback mh-port omega ops \
         persistence_engine persistence_granularity persistence_timeout protocol quorum retry sh-fallback \
         sh-port smtp_alert snmp_name sorry_server sorry_server_inhibit sorry_server_lvs_method virtualhost \
         warmup weight real_server",
    ),
    place(
        "real_server",
        server!(),
        SERVER_END,
        "alpha connect_timeout delay_before_retry delay_loop inhibit_on_failure lthreshold lvs_method retry \
         smtp_alert snmp_name uthreshold virtualhost warmup weight TCP_CHECK",
    ),
    place("TCP_CHECK", concat!(server!(), "TCP_CHECK {\n "), CHECKER_END, ""),
    place("PING_CHECK", concat!(server!(), "PING_CHECK {\n "), CHECKER_END, ""),
    place("DNS_CHECK", concat!(server!(), "DNS_CHECK {\n "), CHECKER_END, "name type"),
    place(
        "UDP_CHECK",
        concat!(server!(), "UDP_CHECK {\n "),
        CHECKER_END,
        "max_reply_length min_reply_length payload require_reply",
    ),
    place("SMTP_CHECK", concat!(server!(), "SMTP_CHECK {\n "), CHECKER_END, "helo_name"),
    place(
        "HTTP_GET",
        concat!(server!(), "HTTP_GET {\n url {\n path /\n status_code 200\n }\n "),
        CHECKER_END,
        "enable_sni fast_recovery http_protocol nb_get_retry sni_name tls_compliant virtualhost url",
    ),
    place(
        "SSL_GET",
        concat!(server!(), "SSL_GET {\n url {\n path /\n status_code 200\n }\n "),
        CHECKER_END,
        "enable_sni sni_name",
    ),
    place(
        "url",
        concat!(server!(), "HTTP_GET {\n url {\n path /\n "),
        "\n }\n }\n }\n}\n",
        "digest path regex regex_max_offset regex_min_offset regex_no_match regex_options regex_stack \
         status_code tls_compliant virtualhost",
    ),
    place(
        "FILE_CHECK",
        concat!(
            "track_file f {\n file /dev/null\n}\n",
            server!(),
            "FILE_CHECK {\n track_file f\n "
        ),
        CHECKER_END,
        "track_file weight",
    ),
    place(
        "BFD_CHECK",
        concat!(
            "bfd_instance f {\n neighbor_ip 10.0.0.9\n}\n",
            server!(),
            "BFD_CHECK {\n name f\n "
        ),
        CHECKER_END,
        "name alpha",
    ),
    place(
        "MISC_CHECK",
        concat!(
            "global_defs {\n enable_script_security\n}\n",
            server!(),
            "MISC_CHECK {\n misc_path /bin/true\n user USER\n "
        ),
        CHECKER_END,
        "alpha delay_before_retry delay_loop log_all_failures retry warmup misc_dynamic misc_path \
         misc_timeout user",
    ),
    place("notify of a server", concat!(server!(), " "), SERVER_END, "notify_down notify_up"),
    place("notify of a service", service!(), SERVER, "quorum_down quorum_up"),
    place("SSL", "SSL {\n ", BLOCK_END, "ca certificate key password"),
    place("track_file", "track_file f {\n file /dev/null\n ", BLOCK_END, "file init_file weight"),
    place("track_file, empty", "track_file f {\n ", BLOCK_END, "file"),
    place(
        "virtual_server_group",
        "virtual_server_group g {\n ",
        GROUP_USE,
        "10.0.0.1 10.0.0.1-9 10.0.0.0/24 ::1 fwmark fwmark=5",
    ),
    place(
        "header of a virtual_server",
        "",
        SERVICE_REST,
        "virtual_server virtual_server=10.0.0.1 virtual_server=10.0.0.1=80 virtual_server=group \
         virtual_server=fwmark",
    ),
    place(
        "header of a real_server",
        service!(),
        " {\n weight 1\n }\n}\n",
        "real_server real_server=10.0.0.3 real_server=10.0.0.3=80",
    ),
];

/// A difference that is explained.
struct Explained {
    place: &'static str,
    keyword: &'static str,
    values: &'static [&'static str],
    /// `None` where it crashes.
    keepalived: Option<i32>,
    ringprobe: i32,
    why: &'static str,
}

const EXPLAINED: &[Explained] = &[
    Explained {
        place: "DNS_CHECK",
        keyword: "name",
        values: &["1.5"],
        keepalived: Some(5),
        ringprobe: 0,
        why: "labels of one letter are labels",
    },
    Explained {
        place: "virtual_server_group",
        keyword: "fwmark",
        values: &["\"\""],
        keepalived: Some(5),
        ringprobe: 0,
        why: "keepalived takes the mark 0, and reports its protocol",
    },
    Explained {
        place: "MISC_CHECK",
        keyword: "user",
        values: &["0", "1"],
        keepalived: Some(5),
        ringprobe: 0,
        why: "a user may be a number, also of a checker",
    },
    Explained {
        place: "MISC_CHECK",
        keyword: "misc_path",
        values: &["\"\""],
        keepalived: Some(0),
        ringprobe: 5,
        why: "keepalived stays with the command before",
    },
    Explained {
        place: "header of a virtual_server",
        keyword: "virtual_server=fwmark",
        values: &["", "{\n x\n }"],
        keepalived: None,
        ringprobe: 2,
        why: "keepalived crashes",
    },
    Explained {
        place: "header of a virtual_server",
        keyword: "virtual_server=group",
        values: &["", "{\n x\n }"],
        keepalived: None,
        ringprobe: 2,
        why: "keepalived crashes",
    },
];

struct Case {
    place: &'static Place,
    keyword: &'static str,
    value: &'static str,
}

impl Case {
    fn text(&self) -> String {
        let Place { before, after, .. } = self.place;
        let before = before.replace("USER", &oneself());
        format!("{before}{} {}{after}", self.keyword.replace('=', " "), self.value)
    }

    fn explained(&self) -> Option<&'static Explained> {
        EXPLAINED.iter().find(|row| {
            (row.place, row.keyword) == (self.place.name, self.keyword)
                && row.values.contains(&self.value)
        })
    }
}

/// Whoever runs the tests: keepalived's test ends itself where a script has another user.
fn oneself() -> String {
    User::from_uid(geteuid()).expect("an answer").expect("one has a name").name
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for place in PLACES {
        let name = place.name;
        let is_connected = name == "HTTP_GET"
            || name.ends_with("_CHECK") && !["FILE_CHECK", "BFD_CHECK"].contains(&name);
        let values = if name == "TCP_CHECK" { VALUES } else { FEW_VALUES };
        for keyword in CONNECTION.split_whitespace().filter(|_| is_connected) {
            cases.extend(values.iter().map(|value| Case { place, keyword, value }));
        }
        for keyword in place.keywords.split_whitespace() {
            cases.extend(VALUES.iter().map(|value| Case { place, keyword, value }));
        }
    }
    cases
}

#[test]
fn every_value_ends_with_the_exit_code_of_keepalived() {
    let cases = cases();
    let wrong = mismatches(cases.len(), |at, folder, file| {
        let case = &cases[at];
        let both = Both::of(folder, file, &case.text());
        let name = (case.place.name, case.keyword, case.value);
        // 128 and the signal that it died of; nothing of its own is so high.
        let theirs = both.theirs.code.filter(|code| *code < 100);
        let ours = both.ours;
        let (expected, why) = match case.explained() {
            Some(row) => ((row.keepalived, row.ringprobe), row.why),
            None => ((Some(ours), ours), "nothing explains it"),
        };
        match (theirs, ours) == expected {
            true => String::new(),
            false => format!("{name:?}: {}; expected {expected:?}: {why}\n", both.shown()),
        }
    });
    for row in EXPLAINED {
        let is_row = |case: &&Case| case.explained().is_some_and(|of| std::ptr::eq(of, row));
        let used = cases.iter().filter(is_row).count();
        assert_eq!(used, row.values.len(), "{} {}: not a case", row.place, row.keyword);
        let (theirs, ours) = (row.keepalived, row.ringprobe);
        assert_ne!(theirs, Some(ours), "{} {}: nothing to explain", row.place, row.keyword);
    }
    assert!(cases.len() > 2800, "{} cases", cases.len());
    assert!(wrong.is_empty(), "{wrong}");
}

/// What depends on several lines: marks, groups, sorry servers, families, what only later versions know.
#[test]
fn lines_that_go_together_end_with_the_exit_code_of_keepalived() {
    const NAT: &str = "protocol TCP\n lvs_method NAT\n";
    const DR: &str = "protocol TCP\n lvs_method DR\n";
    let service = |header: &str, lines: &str, servers: &[(&str, &str)]| {
        let mut text = format!("virtual_server {header} {{\n lvs_sched rr\n {lines}\n");
        for (address, lines) in servers {
            let _ = write!(text, " real_server {address} {{\n {lines}\n }}\n");
        }
        text + "}\n"
    };
    let one = |header: &str, lines: &str, server: &str| service(header, lines, &[(server, "")]);
    let group = |members: &str, lines: &str, server: &str| {
        let uses = one("group g", lines, server);
        format!("virtual_server_group g {{\n {members}\n}}\n{uses}")
    };
    let inside = |lines: &str| service("10.0.0.1 80", NAT, &[("10.0.0.2 80", lines)]);
    let (v4, v6, plain) = ("10.0.0.2 80", "::2 80", "lvs_method NAT\n");
    let mut texts = Vec::new();
    for mask in ["24", "255", "1.5", "0377.1", "0x18", "08", "255.0.255.0", "200", "\"\"", "x"] {
        let mask = format!("persistence_granularity {mask}\n");
        for server in [v4, v6] {
            texts.push(one("fwmark 5", &format!("{plain}{mask}"), server));
            texts.push(one("fwmark 5", &format!("{plain}ip_family inet6\n{mask}"), server));
            texts.push(group("fwmark 5", &format!("{plain}{mask}"), server));
        }
        texts.push(one("::1 80", &format!("{NAT}{mask}"), v6));
        texts.push(one("10.0.0.1 80", &format!("{NAT}{mask}"), v4));
    }
    for members in
        ["10.0.0.1 80", "10.0.0.1 80\n 10.0.0.1 81", "fwmark 1", "fwmark 1\n 10.0.0.1 80", "::1 80"]
    {
        for lines in [NAT, DR, plain, "lvs_method DR\n"] {
            for server in ["10.0.0.2", "10.0.0.2 80", "10.0.0.2 81", "::2 80"] {
                texts.push(group(members, lines, server));
            }
            // keepalived drops the service for its family before it looks at ports.
            for server in ["10.0.0.2", "::2"] {
                for port in [80, 81] {
                    let lines = format!("{lines} sorry_server 10.0.0.9 {port}");
                    texts.push(group(members, &lines, server));
                }
            }
        }
    }
    for members in ["10.0.0.1 \"\"", "10.0.0.1 80\n 10.0.0.2 \"\"", "::1 \"\"", "10.0.0.1 0"] {
        for lines in [NAT, DR, "protocol TCP\n lvs_method NAT\n persistence_timeout 5\n"] {
            texts.push(group(members, lines, "10.0.0.2 80"));
        }
    }
    for sorry in ["", "sorry_server 10.0.0.9 80\n", "sorry_server x\n"] {
        texts.push(one("10.0.0.1 80", &format!("{NAT} {sorry} sorry_server_lvs_method"), v4));
    }
    for server in ["10.0.0.2", "10.0.0.2 80"] {
        texts.push(one("fwmark 5", "lvs_method DR", server));
        texts.push(one("fwmark 5", "lvs_method DR\n sorry_server 10.0.0.9 80", server));
    }
    // keepalived compares ports as they are written, before it fills in those that are not.
    let ports = ["", " 80", " 81"];
    for (sorry, real) in ports.iter().flat_map(|sorry| ports.iter().map(move |real| (sorry, real)))
    {
        for method in [NAT, DR] {
            for (inhibit, lines) in
                [("", "inhibit_on_failure"), ("sorry_server_inhibit", ""), ("", "")]
            {
                let head = format!(
                    "{method} persistence_timeout 6\n sorry_server 10.0.0.2{sorry}\n {inhibit}"
                );
                let real = format!("10.0.0.2{real}");
                let servers = [("10.0.0.4 80", ""), (&*real, lines)];
                for header in ["10.0.0.1 80", "10.0.0.1"] {
                    texts.push(service(header, &head, &servers));
                }
                let uses = service("group g", &head, &servers);
                texts.push(format!("virtual_server_group g {{\n 10.0.0.1 80\n}}\n{uses}"));
                texts.push(service("fwmark 3", head.trim_start_matches("protocol TCP"), &servers));
            }
        }
    }
    texts.push(one("10.0.0.1 80", &format!("{NAT} ip_family inet6"), v4));
    for lines in [
        "weight 0",
        "weight \"\"",
        "weight 0\n TCP_CHECK {\n }",
        "TCP_CHEK {\n }",
        "FOO_CHECK {\n }",
    ] {
        texts.push(inside(lines));
    }
    // Duplicates are those with equal ports as they are written.
    for lines in [NAT, DR, "protocol TCP\n lvs_method TUN\n"] {
        for (one, other) in
            [("", ""), ("", " 80"), (" 80", " 80"), (" 81", " 82"), (" 81", ""), (" 0", "")]
        {
            let (one, other) = (format!("10.0.0.2{one}"), format!("10.0.0.2{other}"));
            let servers = [(&*one, ""), (&*other, "")];
            texts.push(service("10.0.0.1 80", lines, &servers));
            texts.push(service("10.0.0.1", &format!("{lines} persistence_timeout 5"), &servers));
            texts.push(service("fwmark 3", lines.trim_start_matches("protocol TCP"), &servers));
            let uses = service("group g", lines, &servers);
            texts.push(format!("virtual_server_group g {{\n 10.0.0.1 80\n}}\n{uses}"));
            // Of a service that is dropped for its group nothing is said.
            texts.push(uses.clone());
            texts.push(format!("virtual_server_group g {{\n ::1 80\n}}\n{uses}"));
        }
    }
    for (lines, server) in [
        ("protocol TCP", ""),
        ("protocol TCP\n quorum 5\n hysteresis 5\n ops", ""),
        ("protocol TCP\n weight 2147483647\n", "weight 0"),
    ] {
        let uses = service("group g", lines, &[("10.0.0.2 80", server)]);
        for group in [
            "",
            "virtual_server_group g {\n 10.0.0.1 80\n}\n",
            "virtual_server_group g {\n ::1 80\n}\n",
        ] {
            texts.push(format!("{group}{uses}"));
        }
    }
    // Flags of either scheduler that hashes go with either.
    for scheduler in ["sh", "mh", "rr", "nope"] {
        for flag in ["hashed", "sh-port", "sh-fallback", "mh-port", "mh-fallback", "flag-1"] {
            let lines = format!("{NAT} lb_algo {scheduler}\n {flag}\n lb_algo rr");
            texts.push(one("10.0.0.1 80", &lines, v4));
        }
    }
    // Sums of weights are kept in 32 bits.
    for weight in ["1", "2", "3", "7"] {
        for lines in ["", "quorum 2", "quorum 5\n hysteresis 2", "hysteresis 2"] {
            let (most, last) = ("weight 2147483647", format!("weight {weight}"));
            let servers = [("10.0.0.2 80", most), ("10.0.0.3 80", most), ("10.0.0.4 80", &*last)];
            texts.push(service("10.0.0.1 80", &format!("{NAT} {lines}"), &servers));
        }
    }
    let (near, check) = ("neighbor_ip 10.0.0.9\n", "BFD_CHECK {\n name b\n }");
    for (before, lines) in [
        ("", "neighbor_ip foo"),
        ("", ""),
        ("", "neighbor_ip 10.0.0.9/24"),
        ("", "source_ip 10.0.0.1"),
        (near, "neighbor_ip foo"),
        (near, "foo"),
        (near, "foo {\n x\n }"),
        (near, "source_ip ::1"),
        (near, "source_ip foo"),
        (near, "min_rx x"),
        (near, "min_rx 0"),
        (near, "min_rx 1.5"),
        (near, "min_tx 4294967.1"),
        (near, "idle_tx 999"),
        (near, "multiplier"),
        (near, "multiplier 256"),
        (near, "passive"),
        (near, "ttl 5\n weight -253"),
        (near, "weight 254"),
    ] {
        texts.push(format!("bfd_instance b {{\n {before} {lines}\n}}\n{}", inside(check)));
    }
    for name in ["a", "ab", "ab.", "ab.c.", "."] {
        texts.push(inside(&format!("DNS_CHECK {{\n name {name}\n }}")));
    }
    for lines in [
        "FTP_CHECK {\n }",
        "TLS_CHECK {\n }",
        "DNS_CHECK {\n type SRV\n }",
        "DNS_CHECK {\n type dnskey\n }",
        "DNS_CHECK {\n type PTR\n }",
    ] {
        texts.push(inside(lines));
    }
    for name in ["a/b", ".", "a:b", "aaaaaaaaaaaaaaaa", "\"a b\""] {
        texts.push(inside(&format!("TCP_CHECK {{\n bind_if {name}\n }}")));
    }
    let wrong = mismatches(texts.len(), |at, folder, file| {
        let text = &texts[at];
        let both = Both::of(folder, file, text);
        match both.is_same() {
            true => String::new(),
            false => format!("{text}{}\n", both.shown()),
        }
    });
    assert!(wrong.is_empty(), "{wrong}");
}
