//! Configurations as a user writes them: the whole text of every diagnostic, and the model behind it.

use std::path::Path;

use ringprobe::conf::Problems;
use ringprobe::fleet::{LoadOptions, Loaded, Rejected, analyse_text, load_text};
use ringprobe::lint;

#[path = "conf/codes.rs"]
mod codes;
#[path = "conf/corrupt.rs"]
mod corrupt;
#[path = "conf/damage.rs"]
mod damage;
#[path = "conf/disguise.rs"]
mod disguise;
#[path = "conf/generate/mod.rs"]
mod generate;
#[path = "conf/generated.rs"]
mod generated;
#[path = "conf/globals.rs"]
mod globals;
#[path = "conf/group_services.rs"]
mod group_services;
#[path = "conf/language.rs"]
mod language;
#[path = "conf/model.rs"]
mod model;
#[path = "conf/notify.rs"]
mod notify;
#[path = "conf/scripts.rs"]
mod scripts;

fn rendered(name: &str) -> (bool, String) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conf").join(name);
    let text = std::fs::read(path).expect("a file of this repository");
    match load_text(name, text, &LoadOptions::default()) {
        Ok(loaded) => (true, loaded.problems.render(false)),
        Err(Rejected::Invalid { problems, .. }) => (false, problems.render(false)),
        Err(error) => panic!("{error}"),
    }
}

/// Compares with `NAME.txt`; with RINGPROBE_BLESS set, writes it instead.
fn golden(name: &str, is_probed: bool) {
    let (accepted, text) = rendered(&format!("{name}.conf"));
    assert_eq!(accepted, is_probed, "{text}");
    compare(name, &text);
}

/// Compares `text` with `NAME.txt`, or writes it.
fn compare(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conf").join(format!("{name}.txt"));
    if std::env::var_os("RINGPROBE_BLESS").is_some() {
        std::fs::write(path, text).expect("the repository can be written");
        return;
    }
    let expected = std::fs::read_to_string(path).expect("a file of this repository");
    assert!(text == expected, "{name}: expected\n{expected}\nfound\n{text}");
}

#[test]
fn the_examples_are_without_a_problem() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut count = 0;
    for entry in std::fs::read_dir(examples).expect("a folder of this repository") {
        let path = entry.expect("readable").path();
        let text = std::fs::read(&path).expect("a file of this repository");
        let name = path.display().to_string();
        let loaded = load_text(&name, text, &LoadOptions::default()).expect("accepted");
        assert_eq!(loaded.problems.render(false), "");
        assert!(!loaded.fleet.checkers.is_empty(), "{name}");
        count += 1;
    }
    assert!(count > 0);
}

#[test]
fn misspelled_and_misplaced_keywords() {
    golden("keywords", false);
}

#[test]
fn values_that_are_not_what_a_keyword_wants() {
    golden("values", false);
}

#[test]
fn values_of_global_defs() {
    golden("globals", false);
}

#[test]
fn addresses_families_and_ports() {
    golden("addresses", false);
}

#[test]
fn lost_and_extra_braces() {
    golden("braces", false);
}

#[test]
fn quotes_without_partner() {
    golden("quotes", false);
}

#[test]
fn a_mistake_behind_macros() {
    golden("macros", false);
}

#[test]
fn names_and_types_of_dns_checks() {
    golden("dns", false);
}

#[test]
fn groups_and_their_uses() {
    golden("groups", false);
}

#[test]
fn commands_and_users_of_scripts() {
    golden("scripts", false);
}

#[test]
fn files_of_scripts_are_only_warned_of() {
    golden("script_files", true);
}

#[test]
fn http_checks_and_their_urls() {
    golden("checks_http", false);
}

#[test]
fn patterns_of_urls() {
    golden("checks_regex", false);
}

#[test]
fn smtp_udp_ping_ftp_and_tls_checks() {
    golden("checks_others", false);
}

#[test]
fn checks_that_name_another_block() {
    golden("checks_named", false);
}

#[test]
fn checks_of_every_type_are_accepted() {
    golden("checks_accepted", true);
}

#[test]
fn ports_masks_and_sorry_servers_that_keepalived_changes() {
    golden("forwarding", true);
}

#[test]
fn rules_beside_what_cannot_be_read() {
    let text = include_str!("conf/linted.conf");
    let mut analysis =
        analyse_text("linted.conf", text.into(), &LoadOptions::default()).expect("small");
    lint::check(&analysis.effective, &mut analysis.diagnostics);
    compare("linted", &Problems::new(analysis.diagnostics, &analysis.sources).render(false));
}

#[test]
fn what_is_wrong_in_a_misspelled_block_is_said_in_the_same_run() {
    golden("misspelled", false);
}

#[test]
fn warnings_and_notes_do_not_stop_anything() {
    golden("warnings", true);
}

#[test]
fn coloured_text_says_the_same() {
    let loaded = fleet_of("virtual_server 10.0.0.1 80 {\n protocol TCP\n}\n");
    let colour = loaded.problems.render(true);
    assert!(colour.contains("\x1b["));
    let mut plain = String::new();
    let mut parts = colour.split('\x1b');
    plain.push_str(parts.next().unwrap_or_default());
    for part in parts {
        plain.push_str(part.split_once('m').expect("an escape ends in m").1);
    }
    assert_eq!(plain, loaded.problems.render(false));
}

#[test]
fn a_bad_line_is_shown_without_its_control_characters() {
    let text = b"virtual_server 10.0.0.1 80 {\n caf\xe9\x07 \x1b[31mred\n}\n";
    let Err(Rejected::Invalid { problems, .. }) =
        load_text("x", text.to_vec(), &LoadOptions::default())
    else {
        panic!("an unknown keyword must be refused");
    };
    let text = problems.render(false);
    assert!(text.contains("caf\u{fffd}") && !text.contains(['\x1b', '\x07']), "{text:?}");
}

fn fleet_of(text: &str) -> Loaded {
    match load_text("test.conf", text.into(), &LoadOptions::default()) {
        Ok(loaded) => loaded,
        Err(Rejected::Invalid { problems, .. }) => panic!("{}", problems.render(false)),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn a_configuration_without_anything_to_probe_says_so() {
    for text in ["", "# nothing", "global_defs {\n}\n"] {
        assert_eq!(
            fleet_of(text).problems.render(false),
            "warning[W048]: the configuration has no checker that can be probed\n\n"
        );
    }
}

#[test]
fn a_line_too_long_is_shown_in_part() {
    let text = format!("global_defs {{\r\n  router_id {}\r\n}}\r\n", "x".repeat(5000));
    let Err(Rejected::Invalid { problems, .. }) =
        load_text("x.conf", text.into(), &LoadOptions::default())
    else {
        panic!("a line of 5012 bytes must be refused");
    };
    let text = problems.render(false);
    assert!(
        text.starts_with(
            "error[E001]: line of 5012 bytes: 1022 are the limit\n --> x.conf:2:1023\n"
        )
    );
    assert!(text.len() < 1000, "{text}");
}
