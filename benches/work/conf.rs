//! A configuration in memory: into directives, and into a fleet.

use std::fmt::Write;

use ringprobe::conf::source::{Source, Sources};
use ringprobe::conf::{Diagnostics, LanguageOptions, Parser, Tree};
use ringprobe::fleet::{LoadOptions, load_text};

use super::Part;

const SERVICES: u32 = 10;
const REAL_SERVERS: u32 = 20;

/// Services whose real servers have one DNS_CHECK each, as a person would write them.
fn text() -> (String, u32) {
    let mut text = String::from("global_defs {\n    router_id bench\n}\n");
    for service in 1..=SERVICES {
        let head = "    delay_loop 6\n    lvs_sched rr\n    lvs_method DR\n    protocol UDP\n";
        // Writing to a string cannot fail.
        let _ = write!(text, "\nvirtual_server 192.0.2.{service} 53 {{\n{head}");
        for server in 1..=REAL_SERVERS {
            let _ = write!(
                text,
                "    # number {server}\n    real_server 10.0.{service}.{server} 53 {{\n        \
                 weight 100\n        DNS_CHECK {{\n            type A\n            \
                 name \"www.example.test\"\n            connect_timeout 2\n        }}\n    }}\n"
            );
        }
        text.push_str("}\n");
    }
    let lines = text.lines().count() as u32;
    (text, lines)
}

/// Lexer and parser, an operation being a line.
pub(super) fn lex() -> Part {
    let (text, lines) = text();
    let options = LanguageOptions::default();
    Part::new("conf/line", lines, move || {
        let sources = Sources::default();
        let source = Source::new("bench.conf", text.clone().into_bytes()).expect("small");
        let root = sources.add(source).expect("the first");
        let mut diagnostics = Diagnostics::default();
        let roots = [root];
        let mut parser = Parser::new(&sources, &roots, &options);
        let mut tree = Tree::for_sources(&sources);
        let mut directives = 0;
        while parser.next(&mut tree, &mut diagnostics) {
            directives += 1;
        }
        assert_eq!((directives, diagnostics.iter().count()), (1 + SERVICES, 0));
    })
}

/// The same until there is a fleet.
pub(super) fn load() -> Part {
    let (text, lines) = text();
    let options = LoadOptions::default();
    Part::new("fleet/line", lines, move || {
        let loaded = load_text("bench.conf", text.clone().into_bytes(), &options);
        let fleet = loaded.expect("a good configuration").fleet;
        assert_eq!(fleet.checkers.len() as u32, SERVICES * REAL_SERVERS);
    })
}
