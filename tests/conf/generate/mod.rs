//! Seeded configurations that are valid: every keyword of a health checker, in every place it may stand.
//!
//! A text has no errors and no warnings in it, so what one reader makes of it can be held against another's:
//! our dump of the file against that of its flattened form, or our model against keepalived's.

mod checker;
mod random;
mod service;

use std::fmt::{Display, Write};

pub(crate) use random::Random;

/// Whose keywords may be used.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Dialect {
    /// Those of keepalived 2.2.7.
    Keepalived22,
    /// The same, with what it replaces, reports and goes on with: ports of real servers that are not reached
    /// through NAT, several of one address; and flags of a scheduler before another one.
    Replaced,
    /// Those of later versions and our own too.
    Ringprobe,
}

impl Dialect {
    fn is_22(self) -> bool {
        self != Dialect::Ringprobe
    }
}

/// A configuration with one to `services_max` virtual servers.
pub(crate) fn configuration(seed: u64, services_max: usize, dialect: Dialect) -> String {
    let mut text = Text { out: String::new(), depth: 0, random: Random(seed), dialect };
    text.globals();
    if dialect == Dialect::Ringprobe {
        text.ssl();
    }
    for number in 0..TRACK_FILES {
        text.track_file(number);
    }
    for number in 0..BFD_INSTANCES {
        text.block(&format!("bfd_instance bfd{number}"), |text| {
            text.line("neighbor_ip", format_args!("10.255.0.{}", number + 1));
        });
    }
    for number in 0..1 + text.random.below(services_max) {
        text.virtual_server(number);
    }
    text.out
}

const TRACK_FILES: usize = 2;
const BFD_INSTANCES: usize = 2;
/// It does nothing, is there on every machine, and only root may change it.
const SCRIPT: &str = "/usr/bin/true";

struct Text {
    out: String,
    depth: usize,
    random: Random,
    dialect: Dialect,
}

impl Text {
    fn line(&mut self, keyword: &str, value: impl Display) {
        let indent = " ".repeat(self.depth * *self.random.pick(&[0, 1, 4]));
        let gap = *self.random.pick(&[" ", "  ", "\t"]);
        let comment = match self.random.below(20) {
            0 => "  # a comment",
            1 => "! another { one",
            _ => "",
        };
        let _ =
            writeln!(self.out, "{}", format!("{indent}{keyword}{gap}{value}{comment}").trim_end());
        if self.random.one_in(30) {
            self.out.push_str("\n# a line of its own\n");
        }
    }

    fn flag(&mut self, keyword: &str) {
        self.line(keyword, "");
    }

    fn block(&mut self, header: &str, inside: impl FnOnce(&mut Text)) {
        if self.random.one_in(5) {
            self.line(header, "");
            self.line("{", "");
        } else {
            self.line(header, "{");
        }
        self.depth += 1;
        inside(self);
        self.depth -= 1;
        self.line("}", "");
    }

    /// Does it in one of `n` cases.
    fn maybe(&mut self, n: usize, write: impl FnOnce(&mut Text)) {
        if self.random.one_in(n) {
            write(self);
        }
    }

    fn boolean(&mut self, keyword: &str) {
        let value = *self.random.pick(&["", "on", "off", "true", "false", "yes", "no"]);
        self.line(keyword, value);
    }

    fn timer(&mut self, keyword: &str, from_zero: bool) {
        let value = match self.random.below(4) {
            0 if from_zero => "0".to_owned(),
            0 => "0.000001".to_owned(),
            1 => format!("{}.{}", self.random.below(90), 1 + self.random.below(9)),
            2 => format!("{}.{:06}", self.random.below(9), 1 + self.random.below(999_999)),
            _ => (1 + self.random.below(300)).to_string(),
        };
        self.line(keyword, value);
    }

    fn number(&mut self, keyword: &str, from: u64, to: u64) {
        let value = match self.random.below(8) {
            0 => from,
            1 => to,
            _ => from + self.random.next() % (to - from).clamp(1, 200),
        };
        self.line(keyword, value);
    }

    fn name(&mut self, keyword: &str) {
        let name =
            *self.random.pick(&["www.example.com", "\"with blanks\"", "a.b-c_d", "\"x{#!}y\""]);
        self.line(keyword, name);
    }

    fn command(&mut self, keyword: &str) {
        let arguments = ["", " --fast", " 'a b' c", " '#' '{'", " '\\''", " a\\ b"];
        // keepalived 2.2 resolves escapes twice.
        let count = if self.dialect.is_22() { 4 } else { arguments.len() };
        let arguments = *self.random.pick(&arguments[..count]);
        // 2.2 knows no colon before a group.
        let users = ["", " root", " root root", " root :root", " root :"];
        let users = if count == 4 { &users[..3] } else { &users };
        let user = if keyword == "misc_path" { "" } else { *self.random.pick(users) };
        self.line(keyword, format_args!("\"{SCRIPT}{arguments}\"{user}"));
    }

    fn globals(&mut self) {
        self.block("global_defs", |text| {
            text.line("script_user", "root");
            text.flag("enable_script_security");
            for keyword in [
                "checker_log_all_failures",
                "smtp_alert",
                "smtp_alert_checker",
                "no_checker_emails",
                "rs_init_notifies",
            ] {
                text.maybe(3, |text| text.boolean(keyword));
            }
            text.maybe(3, |text| text.line("router_id", "\"node # 1\""));
            text.maybe(4, |text| text.flag("lvs_flush"));
            text.maybe(4, |text| {
                let value = *text.random.pick(&["", "VS"]);
                text.line("lvs_flush_on_stop", value);
            });
            text.maybe(4, |text| text.line("lvs_notify_fifo", "/tmp/ringprobe-fifo root root"));
            if text.dialect == Dialect::Ringprobe {
                text.maybe(4, |text| text.boolean("set_supplementary_groups"));
            }
        });
    }

    fn ssl(&mut self) {
        self.maybe(3, |text| {
            text.block("SSL", |text| {
                for (keyword, value) in [
                    ("password", "\"pass word\""),
                    ("ca", "/etc/ssl/ca.pem"),
                    ("certificate", "/etc/ssl/client.pem"),
                    ("key", "/etc/ssl/client.key"),
                ] {
                    text.maybe(2, |text| text.line(keyword, value));
                }
            });
        });
    }

    fn track_file(&mut self, number: usize) {
        self.block(&format!("track_file file{number}"), |text| {
            text.line("file", format_args!("/tmp/ringprobe-track-{number}"));
            text.maybe(2, |text| {
                let weight = text.random.below(509) as i64 - 254;
                let reverse = *text.random.pick(&["", " reverse"]);
                text.line("weight", format_args!("{weight}{reverse}"));
            });
            text.maybe(3, |text| {
                let value = *text.random.pick(&["", "0", "7", "7 overwrite"]);
                text.line("init_file", value);
            });
        });
    }
}
