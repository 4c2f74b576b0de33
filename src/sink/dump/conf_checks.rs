//! A checker's block in keepalived.conf.

use super::checks::{hex, http_protocol, pattern, status_range};
use super::conf::weight;
use super::lines::{Lines, is_of};
use super::quote;
use super::record::time;
use crate::fleet::effective::{Check, Checker, HttpCheck, Level, Network, Regex, UdpCheck, Url};

const LEVEL: Level = Level::Checker;

/// `port`: the one that a checker takes which has none of its own.
pub(super) fn checker(lines: &mut Lines, checker: &Checker, port: u16) {
    lines.block(checker.check.keyword(), |lines| {
        if let Some(timers) = &checker.timers {
            lines.own(LEVEL, &timers.delay_loop, |lines, of| lines.value("delay_loop", time(of)));
            lines.own(LEVEL, &timers.delay_before_retry, |lines, of| {
                lines.value("delay_before_retry", time(of));
            });
            lines.own(LEVEL, &timers.warmup, |lines, of| lines.value("warmup", time(of)));
            lines.own_number(LEVEL, "retry", &timers.retry);
        }
        lines.own_boolean(LEVEL, "alpha", &checker.alpha);
        lines.own_boolean(LEVEL, "log_all_failures", &checker.log_all_failures);
        if let Some(options) = &checker.network {
            network(lines, options, port);
        }
        match &checker.check {
            Check::Tcp(_) | Check::Ping(_) => {}
            Check::Http(check) => http(lines, check),
            Check::Smtp(check) => lines.own(LEVEL, &check.helo_name, |lines, name| {
                lines.word("helo_name", name.as_bytes());
            }),
            Check::Dns(check) => {
                lines.own_number(LEVEL, "type", &check.record_type);
                lines.own(LEVEL, &check.name, |lines, _| lines.word("name", &check.written_name()));
            }
            Check::Misc(check) => {
                lines.line("misc_path", |out| quote::command(out, &check.command.value, None));
                lines.own(LEVEL, &check.timeout, |lines, of| {
                    lines.value("misc_timeout", time(of));
                });
                if check.dynamic.value {
                    lines.flag("misc_dynamic");
                }
                lines.own_if(LEVEL, &check.user, |lines, user| {
                    lines.line("user", |out| quote::user(out, user));
                });
            }
            Check::Udp(check) => udp(lines, check),
            Check::File(check) => {
                lines.word("track_file", check.track_file.value.as_bytes());
                lines.own(LEVEL, &check.weight, |lines, of| {
                    // Without the word that of the track file counts.
                    let default = if check.reverse.value { "" } else { " noreverse" };
                    lines.value("weight", weight(*of, check.reverse.value) + default);
                });
            }
            Check::Bfd(check) => lines.word("name", check.name.value.as_bytes()),
            Check::Ftp(check) => {
                lines.own_word(LEVEL, "ftp_user", &check.user);
                lines.own_word(LEVEL, "ftp_password", &check.password);
            }
            Check::Tls(check) => {
                lines.own_word(LEVEL, "tls_name", &check.name);
                lines.own_boolean(LEVEL, "tls_verify", &check.verify);
                lines.own_word(LEVEL, "tls_ca", &check.ca);
                lines.own_number(LEVEL, "tls_min_days", &check.min_days);
            }
        }
    });
}

fn network(lines: &mut Lines, network: &Network, port: u16) {
    lines.own_number(LEVEL, "connect_ip", &network.connect_ip);
    // A checker takes the port that is written, also where keepalived then replaces that of the server.
    let connect_port = network.connect_port;
    if is_of(connect_port.origin, LEVEL) || connect_port.value != port {
        lines.value("connect_port", connect_port.value);
    }
    lines.own_if(LEVEL, &network.bindto, |lines, of| lines.value("bindto", of));
    lines.own_if(LEVEL, &network.bind_port, |lines, of| lines.value("bind_port", of));
    lines.own_word(LEVEL, "bind_if", &network.bind_if);
    lines.own_number(LEVEL, "fwmark", &network.fwmark);
    lines.own(LEVEL, &network.connect_timeout, |lines, of| {
        lines.value("connect_timeout", time(of));
    });
}

fn http(lines: &mut Lines, check: &HttpCheck) {
    lines.own(LEVEL, &check.http_protocol, |lines, protocol| {
        lines.value("http_protocol", http_protocol(protocol));
    });
    lines.own_word(LEVEL, "virtualhost", &check.virtualhost);
    lines.own_word(LEVEL, "sni_name", &check.sni_name);
    // Where sni_name switched it on there is nothing more to write.
    if check.enable_sni.origin.span() != check.sni_name.origin.span() {
        lines.own_boolean(LEVEL, "enable_sni", &check.enable_sni);
    }
    lines.own_boolean(LEVEL, "fast_recovery", &check.fast_recovery);
    lines.own_boolean(LEVEL, "tls_compliant", &check.tls_compliant);
    for one in &check.urls {
        lines.block("url", |lines| url(lines, check, one));
    }
}

fn url(lines: &mut Lines, check: &HttpCheck, url: &Url) {
    lines.word("path", &url.path.value);
    if let Some(digest) = &url.digest.value {
        lines.value("digest", hex(digest));
    }
    if url.status_codes.origin.is_written() {
        // A line has 1022 bytes; several lines add up.
        for ranges in url.status_codes.value.0.chunks(100) {
            let words: Vec<_> = ranges.iter().map(status_range).collect();
            lines.value("status_code", words.join(" "));
        }
    }
    // Both blocks are of one level; what comes from the same place is inherited.
    if url.virtualhost.origin.span() != check.virtualhost.origin.span() {
        lines.own_word(LEVEL, "virtualhost", &url.virtualhost);
    }
    if url.tls_compliant.origin.span() != check.tls_compliant.origin.span() {
        lines.own_boolean(LEVEL, "tls_compliant", &url.tls_compliant);
    }
    if let Some(one) = &url.regex {
        regex(lines, one);
    }
}

fn regex(lines: &mut Lines, regex: &Regex) {
    lines.line("regex", |out| quote::pattern(out, &regex.pattern.value));
    if regex.no_match.value {
        lines.flag("regex_no_match");
    }
    if !regex.options.value.is_empty() {
        lines.value("regex_options", regex.options.value.join(" "));
    }
    for (keyword, offset) in
        [("regex_min_offset", &regex.min_offset), ("regex_max_offset", &regex.max_offset)]
    {
        if let Some(offset) = offset.value {
            lines.value(keyword, offset);
        }
    }
    if let Some((start, max)) = regex.stack.value {
        lines.value("regex_stack", format_args!("{start} {max}"));
    }
}

fn udp(lines: &mut Lines, check: &UdpCheck) {
    lines.own(LEVEL, &check.payload, |lines, payload| lines.value("payload", hex(payload)));
    if check.require_reply.value {
        let pattern = check.pattern.as_deref().map(pattern).unwrap_or_default();
        lines.value("require_reply", pattern);
    }
    lines.own_number(LEVEL, "min_reply_length", &check.min_reply_length);
    lines.own_number(LEVEL, "max_reply_length", &check.max_reply_length);
}
