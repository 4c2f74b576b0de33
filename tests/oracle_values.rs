//! Every keyword of virtual servers, real servers, checkers and what they name, with values good and bad:
//! the exit code of `keepalived -t`, but for the table of values that are explained.
//!
//! Files and users of scripts depend on the machine, so those keywords are elsewhere.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use ringprobe::conf::Class;
use ringprobe::fleet::{LoadOptions, analyse};
use ringprobe::lint;

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

/// What may differ: place, keyword, values (none for all), and why.
const EXPLAINED: &[(&str, &str, &[&str], &str)] = &[
    ("DNS_CHECK", "name", &["1.5"], "labels of one letter are labels"),
    (
        "virtual_server_group",
        "fwmark",
        &["\"\""],
        "keepalived takes the mark 0, and reports its protocol",
    ),
    (
        "virtual_server_group",
        "::1",
        &["\"\""],
        "keepalived drops the service for its family, and the port with it",
    ),
    ("track_file", "init_file", &["255", "256", "65535", "65536"], "nothing weighs this file"),
    (
        "header of a virtual_server",
        "virtual_server=fwmark",
        &["", "{\n x\n }"],
        "keepalived crashes",
    ),
    (
        "header of a virtual_server",
        "virtual_server=group",
        &["", "{\n x\n }"],
        "keepalived crashes",
    ),
];

struct Case {
    place: &'static Place,
    keyword: &'static str,
    value: &'static str,
}

impl Case {
    fn text(&self) -> String {
        let Place { before, after, .. } = self.place;
        format!("{before}{} {}{after}", self.keyword.replace('=', " "), self.value)
    }

    fn is_explained(&self) -> bool {
        EXPLAINED.iter().any(|(place, keyword, values, _)| {
            (*place, *keyword) == (self.place.name, self.keyword) && values.contains(&self.value)
        })
    }
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

/// What keepalived ends with; `None` where it crashes or does not end.
fn theirs(file: &Path) -> Option<i32> {
    let status = Command::new("timeout")
        .args(["--signal=KILL", "10", "/usr/sbin/keepalived", "-t", "-f"])
        .arg(file)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .expect("timeout(1) is there");
    status.code().filter(|code| *code < 100)
}

/// What `lint --keepalived-exit-codes` ends with, and what it says.
fn ours(file: &Path) -> (i32, String) {
    let mut analysis =
        analyse(file, &LoadOptions::default()).expect("a file that was just written");
    lint::check(&analysis.effective, &mut analysis.diagnostics);
    let said = analysis
        .diagnostics
        .iter()
        .map(|found| format!("  {} {}\n", found.code.as_str(), found.message));
    let said = said.collect();
    let classes = analysis.diagnostics.iter().map(|found| found.keepalived);
    (i32::from(Class::exit_code_of(classes)), said)
}

#[test]
fn every_value_ends_with_the_exit_code_of_keepalived() {
    assert!(Path::new("/usr/sbin/keepalived").exists(), "scripts/install-needs keepalived");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let cases = cases();
    let next = AtomicUsize::new(0);
    let work = |worker: usize| {
        let file = folder.path().join(format!("{worker}.conf"));
        let (mut wrong, mut needless) = (String::new(), String::new());
        while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
            let text = case.text();
            std::fs::write(&file, &text).expect("a temporary file");
            let (theirs, (ours, said)) = (theirs(&file), ours(&file));
            let name = (case.place.name, case.keyword, case.value);
            match (theirs == Some(ours), case.is_explained()) {
                (false, false) => {
                    let _ = writeln!(wrong, "{name:?}: {theirs:?}, here {ours}\n{said}");
                }
                (true, true) => {
                    let _ = writeln!(needless, "{name:?}: both {ours}, nothing to explain");
                }
                _ => {}
            }
        }
        wrong + &needless
    };
    let wrong: String = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..3).map(|worker| scope.spawn(move || work(worker))).collect();
        workers.into_iter().map(|worker| worker.join().expect("a worker that ends")).collect()
    });
    assert!(cases.len() > 2500, "{} cases", cases.len());
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
            if members != "::1 80" {
                let lines = format!("{lines} sorry_server 10.0.0.9 81");
                texts.push(group(members, &lines, "10.0.0.2"));
            }
        }
    }
    for server in ["10.0.0.2", "10.0.0.2 80"] {
        texts.push(one("fwmark 5", "lvs_method DR", server));
        texts.push(one("fwmark 5", "lvs_method DR\n sorry_server 10.0.0.9 80", server));
    }
    // Without a port keepalived compares it before it fills the port in, so that it finds no such real server.
    for sorry in ["10.0.0.2 80", "10.0.0.3 80"] {
        for inhibit in ["", "sorry_server_inhibit"] {
            for lines in ["", "inhibit_on_failure"] {
                let head = format!("{NAT} sorry_server {sorry}\n {inhibit}");
                texts.push(service("10.0.0.1 80", &head, &[("10.0.0.4 80", ""), (v4, lines)]));
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
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("lines.conf");
    let mut wrong = String::new();
    for text in texts {
        std::fs::write(&file, &text).expect("a temporary file");
        let (theirs, (ours, said)) = (theirs(&file), ours(&file));
        if theirs != Some(ours) {
            let _ = writeln!(wrong, "{theirs:?}, here {ours}\n{text}{said}");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
