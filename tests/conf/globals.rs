//! `global_defs`: every value with its type and unit, and the same after it was flattened.

use ringprobe::conf::{Class, Code, Severity};
use ringprobe::fleet::{LoadOptions, analyse_text, global_keywords};
use ringprobe::sink::dump;
use serde_json::{Value, json};

/// Text of the values, and what a dump has for it.
fn examples() -> Vec<(&'static str, &'static str, Value)> {
    vec![
        ("checker_cpu_affinity", "0 3", json!([0, 3])),
        ("checker_process_name", "checks", json!("checks")),
        ("checker_rlimit_rttime", "10000", json!({"microseconds": 10000})),
        ("config_save_dir", "/var/lib/saved", json!("/var/lib/saved")),
        ("default_interface", "eth0", json!("eth0")),
        ("dynamic_interfaces", "allow_if_changes", json!("allow_if_changes")),
        ("enable_dbus", "", json!(true)),
        ("include_check", "+read", json!(["+read"])),
        ("json_version", "2", json!(2)),
        ("lvs_netlink_cmd_rcv_bufs", "65536", json!({"bytes": 65536})),
        (
            "lvs_sync_daemon",
            "eth0 inst web id 3 maxlen 1400 port 8848 ttl 4 group 224.0.0.81",
            json!({"interface": "eth0", "instance": "web", "id": 3, "maxlen": 1400, "port": 8848,
                "ttl": 4, "group": "224.0.0.81"}),
        ),
        ("lvs_timeouts", "tcp 900 udp 0", json!({"tcp": 900, "tcpfin": null, "udp": 0})),
        ("max_auto_priority", "-1", json!(-1)),
        ("nftables", "", json!(true)),
        ("nftables_ipvs", "table", json!("table")),
        ("notification_email", "{\n        a@b\n        \"c d\"\n    }", json!(["a@b", "c d"])),
        (
            "notify_fifo",
            "/run/events root :adm",
            json!({"path": "/run/events", "owner": ["root", ":adm"]}),
        ),
        ("router_id", "\"node # 1\"", json!("node # 1")),
        ("smtp_alert_vrrp", "off", json!(false)),
        ("smtp_connect_timeout", "30", json!(30)),
        ("smtp_server", "mail.example.com 2525", json!({"host": "mail.example.com", "port": 2525})),
        (
            "startup_script",
            "\"/no/such 'a b'\"",
            json!({"command": ["/no/such", "a b"], "user": null}),
        ),
        ("umask", "022", json!("022")),
        ("vrrp_garp_extra_if", "all 600", json!({"all": true, "delay": 600})),
        ("vrrp_garp_interval", "0.25", json!(0.25)),
        ("vrrp_mcast_group6", "ff02::12", json!("ff02::12")),
        ("vrrp_rx_bufs_policy", "MTU", json!("MTU")),
    ]
}

/// The record `globals` of a text, and the text of its flattened form.
fn dumped(text: &str) -> (Value, String) {
    let analysis = analyse_text("globals.conf", text.into(), &LoadOptions::default());
    let analysis = analysis.expect("small enough");
    let errors = analysis.diagnostics.count(Severity::Error);
    assert_eq!(errors, 0, "{:?}\n{text}", analysis.diagnostics);
    let flat: Vec<u8> = dump::conf(&analysis.effective).flatten().collect();
    let record = dump::json(&analysis.effective, &analysis.sources).next().expect("a record");
    let mut record: Value = serde_json::from_str(&record).expect("JSON");
    record.as_object_mut().expect("an object").remove("from");
    (record, String::from_utf8(flat).expect("UTF-8"))
}

#[test]
fn values_have_their_types_and_units() {
    let examples = examples();
    let mut text = "global_defs {\n".to_owned();
    for (keyword, values, _) in &examples {
        assert!(global_keywords().any(|known| known == *keyword), "{keyword}");
        text += format!("    {keyword} {values}").trim_end();
        text += "\n";
    }
    text += "}\n";
    let (record, flat) = dumped(&text);
    for (keyword, _, value) in &examples {
        assert_eq!(record[keyword], *value, "{keyword}\n{flat}");
    }
    let (again, flat_again) = dumped(&flat);
    assert_eq!(record, again, "{flat}");
    assert_eq!(flat, flat_again, "flattening twice");
}

#[test]
fn numbers_are_taken_with_what_keepalived_takes_too() {
    let text = "global_defs {\n random_seed +010\n vrrp_gna_interval +.5\n smtp_server 1 025\n}\n";
    let (record, flat) = dumped(text);
    assert_eq!(record["random_seed"], 10);
    assert_eq!(record["vrrp_gna_interval"], 0.5);
    assert_eq!(record["smtp_server"], json!({"host": "1", "port": 25}));
    assert!(flat.contains("    vrrp_gna_interval 0.5\n"), "{flat}");
}

#[test]
fn of_two_lines_the_one_counts_that_counts_for_keepalived() {
    let text = "global_defs {\n router_id a\n router_id b\n snmp_socket a\n snmp_socket b\n \
                notification_email {\n  a\n }\n notification_email {\n  b\n }\n}\n";
    let (record, _) = dumped(text);
    assert_eq!(record["router_id"], "b");
    assert_eq!(record["snmp_socket"], "a");
    assert_eq!(record["notification_email"], json!(["a", "b"]));
}

#[test]
fn a_script_that_is_dropped_gives_way_to_the_next_one() {
    for keyword in ["startup_script", "shutdown_script", "notify_fifo_script"] {
        let line = |name: &str, user: &str| format!(" {keyword} /no/{name} {user}\n");
        let first_of = |lines: &[String]| {
            let (record, _) = dumped(&format!("global_defs {{\n{}}}\n", lines.concat()));
            record[keyword]["command"].clone()
        };
        let dropped = line("dropped", "nosuchuser");
        let (one, other) = (line("one", "root"), line("other", "root"));
        assert_eq!(first_of(&[one.clone(), other.clone()]), json!(["/no/one"]), "{keyword}");
        assert_eq!(first_of(&[dropped.clone(), other.clone()]), json!(["/no/other"]), "{keyword}");
        assert_eq!(first_of(&[dropped.clone(), one.clone(), other]), json!(["/no/one"]));
        assert_eq!(first_of(&[one, dropped.clone()]), json!(["/no/one"]), "{keyword}");
        // A user that this machine does not have may be one of the machine that the file is for.
        assert_eq!(first_of(&[dropped]), json!(["/no/dropped"]), "{keyword}");
    }
}

#[test]
fn of_two_lines_the_second_is_reported_where_the_first_counts() {
    for (keyword, one, other, is_reported) in [
        ("snmp_socket", "a", "b", true),
        ("lvs_notify_fifo", "/a", "/b", true),
        ("notify_fifo", "/a", "/b", true),
        ("startup_script", "/a root", "/b root", true),
        ("startup_script", "/a nosuchuser", "/b root", false),
        ("nftables", "", "", true),
        ("router_id", "a", "b", false),
    ] {
        let text = format!("global_defs {{\n {keyword} {one}\n {keyword} {other}\n}}\n");
        let analysis = analyse_text("globals.conf", text.into(), &LoadOptions::default());
        let analysis = analysis.expect("small enough");
        let found = analysis.diagnostics.iter().filter(|found| found.code == Code::Repeated);
        assert_eq!(found.count(), usize::from(is_reported), "{keyword} {one} {other}");
    }
}

#[test]
fn a_fifo_whose_owner_is_nobody_is_dropped_without_a_word_of_keepalived() {
    for keyword in ["notify_fifo", "vrrp_notify_fifo"] {
        let text = format!("global_defs {{\n {keyword} /no/such nosuchuser\n}}\n");
        let analysis = analyse_text("globals.conf", text.into(), &LoadOptions::default());
        let analysis = analysis.expect("small enough");
        let found = analysis.diagnostics.iter().find(|found| found.code == Code::ScriptDropped);
        assert_eq!(found.map(|found| found.keepalived), Some(Class::Silent), "{keyword}");
        assert_eq!(analysis.diagnostics.count(Severity::Error), 0, "{keyword}");
    }
}
