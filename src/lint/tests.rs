use std::time::Duration;

use super::testing::{Build, server, service};
use super::{check, seconds};
use crate::conf::{Diagnostics, FileId, Problems, Source, Sources, Span};
use crate::fleet::effective::{Effective, Level, Setting};

const TEXT: &str = "\
virtual_server 10.0.0.1 80 {
    delay_loop 2
    quorum 3
    hysteresis 1
    real_server 10.0.0.10 80 {
        TCP_CHECK {
            connect_timeout 3
        }
        TCP_CHECK {
            connect_timeout 3
            connect_ip 10.0.0.99
        }
    }
    real_server 10.0.0.11 80 {
    }
    real_server 10.0.0.12 80 {
        TCP_CHECK {
        }
        TCP_CHECK {
        }
    }
}
";

/// The words `needle` stands for, the `nth` time.
fn place(needle: &str, nth: usize) -> Span {
    let (start, _) = TEXT.match_indices(needle).nth(nth).expect("it is in the text");
    Span::new(FileId(0), start, start + needle.len())
}

fn written<T>(level: Level, value: T, needle: &str) -> Setting<T> {
    Setting::written(value, level, place(needle, 0))
}

/// What the text means.
fn effective() -> Effective {
    let mut build = Build::default();
    let delay_loop = written(Level::VirtualServer, Duration::from_secs(2), "delay_loop 2");
    let mut checkers = 0;
    let servers = [(10, 2), (11, 0), (12, 2)].map(|(last, count)| {
        let mut server = server(&mut build, last);
        server.header = place(&format!("real_server 10.0.0.{last} 80"), 0);
        server.delay_loop = delay_loop;
        for _ in 0..count {
            let mut checker = build.tcp(&server);
            checker.header = place("TCP_CHECK", checkers);
            if let (Some(network), true) = (&mut checker.network, checkers < 2) {
                let span = place("connect_timeout 3", checkers);
                network.connect_timeout =
                    Setting::written(Duration::from_secs(3), Level::Checker, span);
            }
            if let (Some(network), 1) = (&mut checker.network, checkers) {
                network.target.set_ip([10, 0, 0, 99].into());
                network.connect_ip =
                    written(Level::Checker, [10, 0, 0, 99].into(), "connect_ip 10.0.0.99");
            }
            checkers += 1;
            server.checkers.push(checker);
        }
        server
    });
    let mut service = service(&mut build, servers.into());
    service.header = place("virtual_server 10.0.0.1 80", 0);
    service.quorum = written(Level::VirtualServer, 3, "quorum 3");
    service.hysteresis = written(Level::VirtualServer, 1, "hysteresis 1");
    build.with(vec![service])
}

#[test]
fn the_rules_as_a_user_reads_them() {
    let sources = Sources::default();
    sources.add(Source::new("a.conf", TEXT.into()).expect("small"));
    let mut diagnostics = Diagnostics::default();
    check(&effective(), &mut diagnostics);
    let text = Problems::new(diagnostics, &sources).render(false);
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/lint/tests/rules.txt");
    if std::env::var_os("RINGPROBE_BLESS").is_some() {
        std::fs::write(path, &text).expect("the repository can be written");
    }
    let expected = std::fs::read_to_string(path).expect("a file of this repository");
    assert!(text == expected, "expected\n{expected}\nfound\n{text}");
}

#[test]
fn times_are_short() {
    for (micros, text) in
        [(0, "0 s"), (1, "0.000001 s"), (2_500_000, "2.5 s"), (100_000_000, "100 s")]
    {
        assert_eq!(seconds(Duration::from_micros(micros)), text);
    }
}
