//! Generated configurations: accepted as they are, and the same after they were flattened.

use ringprobe::conf::{Code, Problems, Severity};
use ringprobe::fleet::{LoadOptions, analyse_text};
use ringprobe::sink::dump;
use serde_json::Value;

use super::disguise::{CONFIG_ID, disguise};
use super::generate::{Dialect, Random, configuration};

const SEEDS: u64 = 300;

fn first_seed() -> u64 {
    let seed = match std::env::var("RINGPROBE_SEED") {
        Ok(seed) => seed.parse().expect("RINGPROBE_SEED is a number"),
        Err(_) => 1,
    };
    println!("RINGPROBE_SEED={seed}");
    seed
}

#[test]
fn generated_configurations_are_without_errors_and_warnings() {
    let first = first_seed();
    for seed in first..first + SEEDS {
        let text = configuration(seed, 8, Dialect::Keepalived22);
        let shown = text.clone();
        let analysis = analyse_text("generated.conf", text.into(), &LoadOptions::default());
        let analysis = analysis.expect("small enough");
        let problems = Problems::new(analysis.diagnostics, &analysis.sources);
        // A few of them have only checkers that are not probed, or options without effect.
        let is_clean = problems.iter().all(|problem| {
            let code = problem.code;
            code.severity() == Severity::Note
                || [Code::NothingToProbe, Code::NoEffect].contains(&code)
        });
        assert!(is_clean, "seed {seed}:\n{}\n{shown}", problems.render(false));
    }
}

#[test]
#[ignore = "needs keepalived 2.2"]
fn keepalived_accepts_them_too() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("generated.conf");
    for seed in 0..SEEDS {
        std::fs::write(&path, configuration(seed, 8, Dialect::Keepalived22)).expect("room");
        let mut keepalived = std::process::Command::new("keepalived");
        let output = keepalived.arg("-t").arg("-f").arg(&path).output().expect("it starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.is_empty(), "seed {seed}: {said}");
    }
}

#[test]
fn they_have_every_keyword() {
    let all: String = (0..SEEDS).map(|seed| configuration(seed, 8, Dialect::Ringprobe)).collect();
    let words: std::collections::BTreeSet<&str> = all.split_ascii_whitespace().collect();
    for keyword in KEYWORDS.split_ascii_whitespace() {
        assert!(words.contains(keyword), "{keyword}");
    }
}

/// Those that a health checker acts on.
const KEYWORDS: &str = "
    script_user enable_script_security set_supplementary_groups checker_log_all_failures smtp_alert
    smtp_alert_checker no_checker_emails rs_init_notifies lvs_notify_fifo lvs_flush lvs_flush_on_stop
    SSL password ca certificate key track_file file weight init_file bfd_instance
    virtual_server virtual_server_group fwmark ip_family protocol lvs_sched lb_algo sh-port sh-fallback mh-port
    mh-fallback flag-1 flag-2 flag-3 lvs_method lb_kind delay_loop delay_before_retry retry warmup
    connect_timeout alpha omega inhibit_on_failure quorum hysteresis quorum_up quorum_down sorry_server
    sorry_server_inhibit sorry_server_lvs_method ha_suspend virtualhost ops persistence_timeout snmp_name
    real_server uthreshold lthreshold notify_up notify_down
    TCP_CHECK HTTP_GET SSL_GET SMTP_CHECK DNS_CHECK MISC_CHECK UDP_CHECK PING_CHECK FILE_CHECK BFD_CHECK
    FTP_CHECK TLS_CHECK log_all_failures connect_ip connect_port bindto bind_port bind_if
    http_protocol enable_sni sni_name fast_recovery tls_compliant url path digest status_code regex
    regex_no_match regex_options regex_min_offset regex_max_offset regex_stack helo_name type name
    misc_path misc_timeout misc_dynamic user payload require_reply min_reply_length max_reply_length
    ftp_user ftp_password tls_name tls_verify tls_ca tls_min_days";

/// The records of a text, and the text of its flattened form.
fn dumped(seed: u64, text: Vec<u8>) -> (Vec<Value>, Vec<u8>) {
    let options = LoadOptions { config_id: Some(CONFIG_ID.into()), ..LoadOptions::default() };
    let analysis = analyse_text("generated.conf", text, &options).expect("small enough");
    let flat: Vec<u8> = dump::conf(&analysis.effective).flatten().collect();
    let records = dump::json(&analysis.effective, &analysis.sources).map(|record| {
        let mut value = serde_json::from_str(&record)
            .unwrap_or_else(|error| panic!("seed {seed}: {error}: {record}"));
        without_from(&mut value);
        value
    });
    (records.collect(), flat)
}

/// Where a value is written is another place in another file.
fn without_from(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.remove("from");
            members.values_mut().for_each(without_from);
        }
        Value::Array(items) => items.iter_mut().for_each(without_from),
        _ => {}
    }
}

#[test]
fn the_flattened_form_has_the_same_dump() {
    let first = first_seed();
    for seed in first..first + SEEDS {
        let dialect = [Dialect::Ringprobe, Dialect::Keepalived22, Dialect::Replaced];
        let dialect = dialect[(seed % 3) as usize];
        let text = configuration(seed, 8, dialect).into_bytes();
        let (records, flat) = dumped(seed, text);
        let (again, flat_again) = dumped(seed, flat.clone());
        let shown = String::from_utf8_lossy(&flat);
        for (one, other) in records.iter().zip(&again) {
            assert_eq!(one, other, "seed {seed}:\n{shown}");
        }
        assert_eq!(records.len(), again.len(), "seed {seed}:\n{shown}");
        assert_eq!(flat, flat_again, "seed {seed}: flattening twice");
    }
}

#[test]
fn parameters_repetitions_and_conditions_change_nothing() {
    let first = first_seed();
    let mut changed = 0;
    for seed in first..first + SEEDS {
        let plain = configuration(seed, 8, Dialect::Ringprobe);
        let disguised = disguise(&plain, &mut Random(seed));
        changed += usize::from(plain != disguised);
        let (records, flat) = dumped(seed, plain.clone().into_bytes());
        let (again, flat_again) = dumped(seed, disguised.clone().into_bytes());
        for (one, other) in records.iter().zip(&again) {
            assert_eq!(one, other, "seed {seed}:\n{plain}\n----\n{disguised}");
        }
        assert_eq!(records.len(), again.len(), "seed {seed}:\n{plain}\n----\n{disguised}");
        assert_eq!(flat, flat_again, "seed {seed}: flattened");
    }
    assert!(changed > 290, "{changed} were disguised");
}

/// The lines of the flattened form that have one of these keywords.
fn flat_lines(text: &str, keywords: &[&str]) -> Vec<String> {
    let (records, flat) = dumped(0, text.as_bytes().to_vec());
    let (again, _) = dumped(0, flat.clone());
    assert_eq!(records, again, "{text}");
    let flat = String::from_utf8(flat).expect("text");
    let lines = flat.lines().map(|line| line.trim().to_owned());
    lines.filter(|line| keywords.iter().any(|keyword| line.starts_with(keyword))).collect()
}

#[test]
fn a_checker_keeps_its_port_when_that_of_its_server_is_replaced() {
    let keywords = ["real_server", "connect_port"];
    let service = |header: &str, lines: &str, servers: &str| {
        flat_lines(&format!("virtual_server {header} {{\n{lines}\n{servers}\n}}\n"), &keywords)
    };
    let one = "real_server 10.0.0.2 81 {\n TCP_CHECK {\n }\n }";
    let two = format!("{one}\n real_server 10.0.0.2 82 {{\n TCP_CHECK {{\n }}\n }}");
    let dr = "protocol TCP\n lvs_method DR";
    assert_eq!(service("10.0.0.1 80", dr, one), ["real_server 10.0.0.2 80 {", "connect_port 81"]);
    for header in ["fwmark 5", "10.0.0.1"] {
        assert_eq!(
            service(header, "lvs_method DR", one),
            ["real_server 10.0.0.2 {", "connect_port 81"]
        );
    }
    // As they are written, or one of them would be a duplicate.
    assert_eq!(
        service("10.0.0.1 80", dr, &two),
        ["real_server 10.0.0.2 81 {", "real_server 10.0.0.2 82 {"]
    );
    assert_eq!(service("10.0.0.1 80", "lvs_method NAT", one), ["real_server 10.0.0.2 81 {"]);
}

#[test]
fn a_flag_keeps_the_scheduler_that_it_stands_behind() {
    let text = |lines: &str| {
        format!("virtual_server 10.0.0.1 80 {{\n{lines}\nreal_server 10.0.0.2 80 {{\n}}\n}}\n")
    };
    let flat =
        |lines: &str| flat_lines(&text(lines), &["lvs_sched", "mh-", "sh-", "hashed", "flag"]);
    assert_eq!(
        flat("lb_algo mh\nmh-port\nlb_algo rr"),
        ["lvs_sched mh", "mh-port", "lvs_sched rr"]
    );
    assert_eq!(flat("lb_algo sh\nhashed\nlb_algo rr"), ["lvs_sched sh", "hashed", "lvs_sched rr"]);
    assert_eq!(flat("lb_algo mh\nsh-port"), ["lvs_sched mh", "sh-port"]);
    assert_eq!(flat("lb_algo mh\nflag-1\nlb_algo rr"), ["lvs_sched rr", "flag-1"]);
}

#[test]
fn a_name_gets_no_dot_at_its_end() {
    let text =
        "virtual_server 10.0.0.1 80 {\nreal_server 10.0.0.2 80 {\nDNS_CHECK {\nname a\n}\n}\n}\n";
    assert_eq!(flat_lines(text, &["name"]), ["name a"]);
}
