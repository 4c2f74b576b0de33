//! Every keyword of `global_defs` with good and bad values: the exit code of `lint --keepalived-exit-codes` against
//! that of `keepalived -t`, a file for each, but for the differences that are listed with their keyword.
//!
//! Left out: `config_save_dir` and `tmp_config_directory`, for which even a test makes folders and copies the
//! configuration, the one of them through a shell.

#[path = "oracle/judge.rs"]
mod judge;
#[path = "oracle/many.rs"]
mod many;

use std::sync::atomic::{AtomicU32, Ordering};

use ringprobe::fleet::global_keywords;
use ringprobe::tick::monotonic_now;

use many::{Both, mismatches};

/// What `keepalived -t` of 2.2.7 says of a keyword of later versions is that it is unknown.
const LATER: &[&str] = &[
    "dbus_no_interface_name",
    "iproute_etc_dir",
    "iproute_usr_dir",
    "json_dump_file",
    "json_version",
    "set_supplementary_groups",
    "snmp_rs_stats_update_interval",
    "snmp_vs_stats_update_interval",
    "state_dump_file",
    "stats_dump_file",
    "use_symlink_paths",
    "v3_checksum_as_v2",
    "vrrp_delay_after_boot",
    "vrrp_ipsets",
    "vrrp_owner_ignore_adverts",
];

const LEFT_OUT: &[&str] = &["config_save_dir", "tmp_config_directory"];

/// Behind every keyword.
const VALUES: &[&str] = &[
    "",
    "\"\"",
    "0",
    "1",
    "-1",
    "255",
    "256",
    "65535",
    "65536",
    "4294967296",
    "1.5",
    "1x",
    "+1",
    "\" 1\"",
    "x",
    "on",
    "off",
    "yes",
    "true",
    "10.0.0.1",
    "::1",
    "eth0",
    "lo",
    "1 2",
    "one two",
    "one two three",
    "1234567890123456",
    "{\n  a@b\n }",
    "\"x",
];

/// Values of one keyword that tell its bounds and its words.
const OWN: &[(&str, &[&str])] = &[
    ("checker_cpu_affinity", &["0 1", "0 0", "0 x"]),
    ("checker_priority", &["-20", "-21", "19", "20"]),
    ("checker_process_name", &["123456789012345"]),
    ("checker_rt_priority", &["99", "100"]),
    ("dynamic_interfaces", &["allow_if_changes", "allow_if_changes x"]),
    (
        "include_check",
        &[
            "read",
            "-read",
            "+read +match",
            "x +read",
            "wildcard_match",
            "wildcard_match match",
            "readable",
            "+readable",
            "all",
            "+",
        ],
    ),
    (
        "lvs_sync_daemon",
        &[
            "lo inst",
            "\"\" id x",
            "a:b id x",
            "lo inst vi",
            "lo inst inst",
            "lo inst id 1",
            "lo inst vi 5",
            "lo id 1",
            "lo id 255",
            "lo id 256",
            "lo id",
            "lo id \"\"",
            "lo id x",
            "lo id 1 x",
            "lo id 1 id 2",
            "lo maxlen 0",
            "lo maxlen 65507",
            "lo maxlen 65508",
            "lo port 0",
            "lo port 65535",
            "lo port 65536",
            "lo port",
            "lo ttl 0",
            "lo ttl 255",
            "lo ttl 256",
            "lo group 224.0.0.1",
            "lo group ff02::1",
            "lo group 10.0.0.1",
            "lo group x",
            "lo group",
            "lo vi",
            "lo vi 1",
            "lo vi 256",
            "lo vi 1 2",
            "lo vi port",
            "lo port 1 vi",
            "lo vi id 1 port 2 ttl 3 group 224.0.0.5 maxlen 9",
            "123456789012345",
        ],
    ),
    (
        "lvs_timeouts",
        &[
            "tcp",
            "tcp 0",
            "tcp 2678400",
            "tcp 2678401",
            "tcp x",
            "tcp \"\"",
            "tcp 1 tcpfin 2 udp 3",
            "tcp 1 x",
            "tcp 1 x 2",
            "tcp udp 1",
            "udp",
            "\"\" tcp 1",
        ],
    ),
    ("max_auto_priority", &["-2", "99", "100"]),
    ("min_auto_priority_delay", &["10000000", "10000001"]),
    ("nftables_ipvs_priority", &["-2147483648", "-2147483649", "2147483647", "2147483648"]),
    ("nftables_ipvs_start_fwmark", &["4294967295"]),
    ("notification_email", &["{\n }", "{\n a@b c@d\n e@f\n }", "x {\n a@b\n }"]),
    ("notify_fifo_script", &["/bin/true", "/bin/true root", "/bin/true nosuch", "/etc/passwd"]),
    ("process_monitor_rcv_bufs", &["4294967295"]),
    ("script_user", &["root", "root root", "nobody", "root nosuch", "nosuch"]),
    ("shutdown_script", &["/bin/true", "\"/bin/true x\"", "/nonexistent"]),
    ("smtp_connect_timeout", &["4294", "4295", "010", "\"1 \""]),
    (
        "smtp_server",
        &[
            "10.0.0.1 0",
            "10.0.0.1 65535",
            "10.0.0.1 65536",
            "10.0.0.1 smtp",
            "10.0.0.1 25 x",
            "10.0.0.1/24",
            "fe80::1%lo",
            "localhost",
        ],
    ),
    (
        "startup_script",
        &["/bin/true", "true", "/bin/true x", "\"/bin/true x\"", "/nonexistent", "/"],
    ),
    ("startup_script_timeout", &["1000", "1001"]),
    (
        "umask",
        &[
            "022",
            "0777",
            "0778",
            "777",
            "511",
            "512",
            "01000",
            "0x1ff",
            "0x200",
            "0x",
            "08",
            "IRUSR",
            "IRUSR | IWUSR",
            "IRUSR|IWUSR",
            "IRUSR| IWUSR",
            "IRUSR IWUSR",
            "IRUSR |",
            "| IRUSR",
            "IRUSR | x",
            "IRWXU",
            "022 x",
        ],
    ),
    ("vrrp_down_timer_adverts", &["100", "101"]),
    ("vrrp_garp_extra_if", &["all", "all 10", "10 all", "86400", "86401", "all x", "all 1 2"]),
    (
        "vrrp_garp_interval",
        &["0.000001", "0.0000001", "4294.967295", "4294.967296", ".5", "5.", "1.2345678"],
    ),
    ("vrrp_garp_lower_prio_repeat", &["2147483647", "2147483648"]),
    ("vrrp_garp_master_delay", &["4294", "4295"]),
    ("vrrp_garp_master_refresh", &["4294967295"]),
    ("vrrp_mcast_group4", &["224.0.0.18", "224.0.0.18/24", "ff02::12"]),
    ("vrrp_mcast_group6", &["ff02::12", "fe80::1", "224.0.0.18", "ff02::12%lo"]),
    ("vrrp_rx_bufs_multiplier", &["4294967295"]),
    ("vrrp_rx_bufs_policy", &["MTU", "advert", "NO", "MTU x", "MTU ADVERT", "4294967295"]),
    ("vrrp_startup_delay", &["0.001", "0.000999"]),
    ("vrrp_version", &["2", "3", "4"]),
];

/// A difference that is meant.
struct Excuse {
    is_of: fn(keyword: &str, value: &str) -> bool,
    theirs: i32,
    ours: i32,
    why: &'static str,
}

const EXCUSES: &[Excuse] = &[
    Excuse {
        is_of: |keyword, value| {
            let host = value.split_ascii_whitespace().next().unwrap_or_default();
            let is_name = host.bytes().all(|byte| byte.is_ascii_alphanumeric());
            keyword == "smtp_server" && is_name && host != "localhost"
        },
        theirs: 5,
        ours: 0,
        why: "the name of a host that does not resolve: here no name is looked up",
    },
    Excuse {
        is_of: |keyword, value| {
            let cpus = std::thread::available_parallelism().map_or(1, usize::from);
            let mut numbers = value.split(' ').map(str::parse::<usize>);
            keyword.ends_with("_cpu_affinity")
                && numbers.any(|number| number.is_ok_and(|cpu| (cpus..1024).contains(&cpu)))
        },
        theirs: 5,
        ours: 0,
        why: "a CPU that this machine does not have: here any that a machine can have",
    },
    Excuse {
        is_of: |keyword, value| {
            let user = match keyword {
                "startup_script" | "shutdown_script" => value.split(' ').nth(1),
                "script_user" => Some(value),
                _ => None,
            };
            user.is_some_and(|user| user.starts_with(|first: char| first.is_ascii_digit()))
        },
        theirs: 5,
        ours: 0,
        why: "a user by its number, which later versions know",
    },
];

fn text(keyword: &str, lines: &str) -> String {
    let server = " real_server 10.0.0.2 80 {\n  TCP_CHECK {\n  }\n }\n";
    let head = " protocol TCP\n lvs_sched rr\n lvs_method NAT\n";
    format!(
        "global_defs {{\n {keyword} {lines}\n}}\nvirtual_server 10.0.0.1 80 {{\n{head}{server}}}\n"
    )
}

fn own_values(keyword: &str) -> &'static [&'static str] {
    OWN.iter().find(|(of, _)| *of == keyword).map_or(&[], |(_, values)| values)
}

#[test]
fn every_keyword_and_value_ends_with_the_exit_code_of_keepalived() {
    let begin = monotonic_now();
    let mut cases: Vec<(&str, String)> = Vec::new();
    for keyword in global_keywords() {
        if LATER.contains(&keyword) || LEFT_OUT.contains(&keyword) {
            continue;
        }
        let values = VALUES.iter().chain(own_values(keyword));
        cases.extend(values.map(|value| (keyword, (*value).to_owned())));
        // Of some the first line counts and another one is reported.
        let good = match keyword {
            "lvs_timeouts" => "tcp 1",
            "vrrp_mcast_group4" => "224.0.0.1",
            "vrrp_mcast_group6" => "ff02::1",
            "vrrp_version" => "2",
            _ => "1",
        };
        for value in [good, "on", "10.0.0.1"] {
            cases.push((keyword, format!("{value}\n {keyword} {value}")));
        }
    }
    let excused = AtomicU32::new(0);
    let wrong = mismatches(cases.len(), |at, folder, file| {
        let (keyword, value) = &cases[at];
        let both = Both::of(folder, file, &text(keyword, value));
        if both.is_same() {
            return String::new();
        }
        let excuse = EXCUSES.iter().find(|excuse| {
            (excuse.is_of)(keyword, value)
                && (Some(excuse.theirs), excuse.ours) == (both.theirs.code, both.ours)
        });
        match excuse {
            Some(excuse) => {
                excused.fetch_add(1, Ordering::Relaxed);
                println!("{keyword} {value:?}: {}", excuse.why);
                String::new()
            }
            None => format!("{keyword} {value:?}: {}\n", both.shown()),
        }
    });
    let (compared, excused) = (cases.len(), excused.into_inner() as usize);
    println!("{compared} compared, {excused} excused, {:?}", monotonic_now().since(begin));
    assert!(wrong.is_empty(), "{wrong}");
    assert!(compared > 3000 && excused * 50 < compared, "{compared} {excused}");
}

#[test]
fn keywords_of_later_versions_are_unknown_to_this_one() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for keyword in LATER {
        assert!(global_keywords().any(|known| known == *keyword), "{keyword}");
        for value in ["", "1", "on", "x y"] {
            let both = Both::of(folder.path(), "later.conf", &text(keyword, value));
            let codes = (both.theirs.code, both.ours);
            assert_eq!(codes, (Some(5), 5), "{keyword} {value}: {}", both.shown());
        }
    }
    for keyword in OWN.iter().map(|(keyword, _)| keyword) {
        assert!(global_keywords().any(|known| known == *keyword), "{keyword}");
    }
}
