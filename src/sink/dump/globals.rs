//! `global_defs` in both kinds of a dump: a line each in a keepalived.conf, a member each in JSON.

use std::fmt::Display;

use super::json::{string, user_name};
use super::lines::Lines;
use super::quote;
use super::record::{Record, bytes, list, optional, plain, shown, text, time};
use crate::conf::Sources;
use crate::fleet::effective::{GlobalValue, Globals, Level, Setting};

const LEVEL: Level = Level::Global;

/// All that is written, each keyword once.
pub(super) fn keywords(lines: &mut Lines, globals: &Globals) {
    lines.own_if(LEVEL, &globals.script_user, |lines, user| {
        lines.line("script_user", |out| quote::user(out, user));
    });
    lines.own_flag(LEVEL, "enable_script_security", &globals.enable_script_security);
    lines.own_flag(LEVEL, "lvs_flush", &globals.lvs_flush);
    for (keyword, setting) in [
        ("set_supplementary_groups", &globals.set_supplementary_groups),
        ("checker_log_all_failures", &globals.checker_log_all_failures),
        ("no_checker_emails", &globals.no_checker_emails),
        ("rs_init_notifies", &globals.rs_init_notifies),
    ] {
        lines.own_boolean(LEVEL, keyword, setting);
    }
    for (keyword, setting) in
        [("smtp_alert", &globals.smtp_alert), ("smtp_alert_checker", &globals.smtp_alert_checker)]
    {
        lines.own_if(LEVEL, setting, |lines, is_on| lines.value(keyword, switch(*is_on)));
    }
    lines.own_if(LEVEL, &globals.lvs_notify_fifo, |lines, words| {
        lines.line("lvs_notify_fifo", |out| {
            spaced(out, words.iter().map(|word| word.as_bytes()));
        });
    });
    lines.own_if(LEVEL, &globals.lvs_flush_on_stop, |lines, is_vs| {
        lines.value("lvs_flush_on_stop", if *is_vs { "VS" } else { "" });
    });
    for (keyword, setting) in &globals.values {
        lines.own(LEVEL, setting, |lines, value| value_line(lines, keyword, value));
    }
}

/// A keyword of [`Globals::values`].
fn value_line(lines: &mut Lines, keyword: &str, value: &GlobalValue) {
    match value {
        GlobalValue::Flag => lines.flag(keyword),
        GlobalValue::Switch(is_on) => lines.value(keyword, switch(*is_on)),
        GlobalValue::Number(number) => lines.value(keyword, number),
        GlobalValue::Bytes(number) | GlobalValue::Microseconds(number) => {
            lines.value(keyword, number);
        }
        GlobalValue::Seconds(delay) => lines.value(keyword, time(delay)),
        GlobalValue::Word(word) => lines.word(keyword, word),
        GlobalValue::Words(words) => {
            lines.line(keyword, |out| spaced(out, words.iter().map(|word| &**word)));
        }
        GlobalValue::Mail(addresses) => lines.block(keyword, |lines| {
            for address in addresses {
                lines.line("", |out| quote::word(out, address));
            }
        }),
        GlobalValue::Cpus(cpus) => {
            let cpus: Vec<String> = cpus.iter().map(u16::to_string).collect();
            lines.value(keyword, cpus.join(" "));
        }
        GlobalValue::Address(address) => lines.value(keyword, address),
        GlobalValue::SmtpServer(server) => lines.line(keyword, |out| {
            quote::word(out, server.host.as_bytes());
            out.extend_from_slice(format!(" {}", server.port).as_bytes());
        }),
        GlobalValue::LvsTimeouts(timeouts) => lines.line(keyword, |out| {
            let mut options = Options { out, is_first: true };
            options.number("tcp", timeouts.tcp);
            options.number("tcpfin", timeouts.tcpfin);
            options.number("udp", timeouts.udp);
        }),
        GlobalValue::SyncDaemon(daemon) => lines.line(keyword, |out| {
            quote::word(out, daemon.interface.as_bytes());
            let mut options = Options { out, is_first: false };
            if let Some(instance) = &daemon.instance {
                options.word("inst", instance);
            }
            options.number("id", daemon.id);
            options.number("maxlen", daemon.maxlen);
            options.number("port", daemon.port);
            options.number("ttl", daemon.ttl);
            options.number("group", daemon.group);
        }),
        GlobalValue::Umask(mask) => lines.value(keyword, octal(*mask)),
        GlobalValue::Fifo { path, owner } => lines.line(keyword, |out| {
            quote::word(out, path);
            if let Some(owner) = owner {
                out.push(b' ');
                quote::user(out, owner);
            }
        }),
        GlobalValue::Script { command, user } => lines.line(keyword, |out| {
            quote::command(out, command, user.as_ref());
        }),
        GlobalValue::ExtraGarp { all, delay } => {
            let all = if *all { "all " } else { "" };
            lines.value(keyword, format_args!("{all}{}", time(delay)));
        }
    }
}

fn switch(is_on: bool) -> &'static str {
    if is_on { "on" } else { "off" }
}

/// Words with blanks between them.
fn spaced<'w>(out: &mut Vec<u8>, words: impl Iterator<Item = &'w [u8]>) {
    for (at, word) in words.enumerate() {
        if at > 0 {
            out.push(b' ');
        }
        quote::word(out, word);
    }
}

/// Options with their values, blanks between them.
struct Options<'o> {
    out: &'o mut Vec<u8>,
    is_first: bool,
}

impl Options<'_> {
    fn word(&mut self, name: &str, value: &[u8]) {
        if !std::mem::take(&mut self.is_first) {
            self.out.push(b' ');
        }
        self.out.extend_from_slice(name.as_bytes());
        self.out.push(b' ');
        quote::word(self.out, value);
    }

    fn number(&mut self, name: &str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.word(name, value.to_string().as_bytes());
        }
    }
}

/// The record `globals`.
pub(super) fn record(globals: &Globals, sources: &Sources) -> String {
    let mut record = Record::of(sources, "globals");
    record.setting("script_user", &globals.script_user, |user| optional(user, user_name));
    for (name, setting) in [
        ("enable_script_security", &globals.enable_script_security),
        ("set_supplementary_groups", &globals.set_supplementary_groups),
        ("checker_log_all_failures", &globals.checker_log_all_failures),
        ("no_checker_emails", &globals.no_checker_emails),
        ("rs_init_notifies", &globals.rs_init_notifies),
        ("lvs_flush", &globals.lvs_flush),
    ] {
        record.setting(name, setting, plain);
    }
    for (name, setting) in
        [("smtp_alert", &globals.smtp_alert), ("smtp_alert_checker", &globals.smtp_alert_checker)]
    {
        record.setting(name, setting, |value| optional(value, plain));
    }
    record.setting("lvs_notify_fifo", &globals.lvs_notify_fifo, |words| {
        optional(words, |words| list(words.iter().map(string)))
    });
    record.setting("lvs_flush_on_stop", &globals.lvs_flush_on_stop, |value| {
        optional(value, |is_vs| text(if *is_vs { "VS" } else { "all" }))
    });
    for (keyword, setting) in &globals.values {
        value_member(&mut record, keyword, setting);
    }
    record.finish()
}

/// A keyword that is written. What is no plain number, switch or text says what it is.
fn value_member(record: &mut Record<'_>, keyword: &str, setting: &Setting<GlobalValue>) {
    let mut parts = record.inner();
    record.setting(keyword, setting, |value| match value {
        GlobalValue::Flag => plain(&true),
        GlobalValue::Switch(is_on) => plain(is_on),
        GlobalValue::Number(number) => plain(number),
        GlobalValue::Bytes(number) => {
            parts.put("bytes", plain(number));
            parts.finish_plain()
        }
        GlobalValue::Microseconds(number) => {
            parts.put("microseconds", plain(number));
            parts.finish_plain()
        }
        GlobalValue::Seconds(delay) => time(delay),
        GlobalValue::Word(word) => bytes(word),
        GlobalValue::Words(words) | GlobalValue::Mail(words) => {
            list(words.iter().map(|word| bytes(word)))
        }
        GlobalValue::Cpus(cpus) => list(cpus.iter().map(plain)),
        GlobalValue::Address(address) => shown(address),
        GlobalValue::SmtpServer(server) => {
            parts.put("host", text(&server.host));
            parts.put("port", plain(&server.port));
            parts.finish_plain()
        }
        GlobalValue::LvsTimeouts(timeouts) => {
            parts.put("tcp", optional(&timeouts.tcp, plain));
            parts.put("tcpfin", optional(&timeouts.tcpfin, plain));
            parts.put("udp", optional(&timeouts.udp, plain));
            parts.finish_plain()
        }
        GlobalValue::SyncDaemon(daemon) => {
            parts.put("interface", text(&daemon.interface));
            parts.put("instance", optional(&daemon.instance, |word| bytes(word)));
            parts.put("id", optional(&daemon.id, plain));
            parts.put("maxlen", optional(&daemon.maxlen, plain));
            parts.put("port", optional(&daemon.port, plain));
            parts.put("ttl", optional(&daemon.ttl, plain));
            parts.put("group", optional(&daemon.group, shown));
            parts.finish_plain()
        }
        GlobalValue::Umask(mask) => text(&octal(*mask)),
        GlobalValue::Fifo { path, owner } => {
            parts.put("path", bytes(path));
            parts.put("owner", optional(owner, user_name));
            parts.finish_plain()
        }
        GlobalValue::Script { command, user } => {
            parts.put("command", super::json::command(command));
            parts.put("user", optional(user, user_name));
            parts.finish_plain()
        }
        GlobalValue::ExtraGarp { all, delay } => {
            parts.put("all", plain(all));
            parts.put("delay", time(delay));
            parts.finish_plain()
        }
    });
}

/// As a mask of permissions is written: `022`.
fn octal(mask: u16) -> String {
    format!("0{mask:02o}")
}
