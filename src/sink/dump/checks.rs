//! The record of a checker: all that makes it, inherited and defaulted.

use super::json::{command, string, user_name};
use super::record::{Record, bytes, list, optional, plain, shown, text, time};
use crate::conf::Sources;
use crate::fleet::effective::{
    Check, Checker, HttpCheck, HttpProtocol, Network, RealServer, Regex, UdpCheck, Url,
    VirtualServer,
};

pub(super) fn checker<'s>(
    service: &VirtualServer,
    server: &RealServer,
    checker: &Checker,
    sources: &'s Sources,
) -> Record<'s> {
    let mut record = Record::of(sources, "checker");
    record.put("checker", text(checker.check.keyword()));
    record.put("virtual_server", shown(&service.label()));
    record.put("real_server", shown(&server.label()));
    if let Some(timers) = &checker.timers {
        record.setting("delay_loop", &timers.delay_loop, time);
        record.setting("delay_before_retry", &timers.delay_before_retry, time);
        record.setting("warmup", &timers.warmup, time);
        record.setting("retry", &timers.retry, plain);
    }
    record.setting("alpha", &checker.alpha, plain);
    record.setting("log_all_failures", &checker.log_all_failures, plain);
    if let Some(options) = &checker.network {
        network(&mut record, options);
    }
    match &checker.check {
        Check::Tcp(_) | Check::Ping(_) => {}
        Check::Http(check) => http(&mut record, check),
        Check::Smtp(check) => record.setting("helo_name", &check.helo_name, string),
        Check::Dns(check) => {
            record.setting("type", &check.record_type, shown);
            record.setting("name", &check.name, shown);
        }
        Check::Misc(check) => {
            record.setting("misc_path", &check.command, command);
            record.setting("misc_timeout", &check.timeout, time);
            record.setting("misc_dynamic", &check.dynamic, plain);
            record.setting("user", &check.user, |user| optional(user, user_name));
        }
        Check::Udp(check) => udp(&mut record, check),
        Check::File(check) => {
            record.setting("track_file", &check.track_file, string);
            record.setting("weight", &check.weight, plain);
            record.setting("reverse", &check.reverse, plain);
        }
        Check::Bfd(check) => record.setting("name", &check.name, string),
        Check::Ftp(check) => {
            record.setting("ftp_user", &check.user, |value| optional(value, string));
            record.setting("ftp_password", &check.password, |value| optional(value, string));
        }
        Check::Tls(check) => {
            record.setting("tls_name", &check.name, |value| optional(value, string));
            record.setting("tls_verify", &check.verify, plain);
            record.setting("tls_ca", &check.ca, |value| optional(value, string));
            record.setting("tls_min_days", &check.min_days, plain);
        }
    }
    record
}

fn network(record: &mut Record<'_>, network: &Network) {
    record.put("target", shown(&network.target));
    record.setting("connect_ip", &network.connect_ip, shown);
    record.setting("connect_port", &network.connect_port, plain);
    record.setting("bindto", &network.bindto, |value| optional(value, shown));
    record.setting("bind_port", &network.bind_port, |value| optional(value, plain));
    record.setting("bind_if", &network.bind_if, |value| optional(value, string));
    record.setting("fwmark", &network.fwmark, plain);
    record.setting("connect_timeout", &network.connect_timeout, time);
}

pub(super) fn http_protocol(protocol: &HttpProtocol) -> &'static str {
    match protocol {
        HttpProtocol::Http10 => "1.0",
        HttpProtocol::Http10Close => "1.0C",
        HttpProtocol::Http11 => "1.1",
    }
}

fn http(record: &mut Record<'_>, check: &HttpCheck) {
    record.setting("http_protocol", &check.http_protocol, |value| text(http_protocol(value)));
    record.setting("virtualhost", &check.virtualhost, |value| optional(value, string));
    record.setting("enable_sni", &check.enable_sni, plain);
    record.setting("sni_name", &check.sni_name, |value| optional(value, string));
    record.setting("fast_recovery", &check.fast_recovery, plain);
    record.setting("tls_compliant", &check.tls_compliant, plain);
    let urls = list(check.urls.iter().map(|one| url(record.inner(), one)));
    record.put("url", urls);
}

fn url(mut record: Record<'_>, url: &Url) -> String {
    record.setting("path", &url.path, |path| bytes(path));
    record.setting("digest", &url.digest, |value| optional(value, |digest| text(&hex(digest))));
    record.setting("status_code", &url.status_codes, |codes| {
        list(codes.0.iter().map(|range| text(&status_range(range))))
    });
    record.setting("virtualhost", &url.virtualhost, |value| optional(value, string));
    record.setting("tls_compliant", &url.tls_compliant, plain);
    let regex = optional(&url.regex, |one| regex(record.inner(), one));
    record.put("regex", regex);
    record.finish()
}

fn regex(mut record: Record<'_>, regex: &Regex) -> String {
    record.setting("pattern", &regex.pattern, |pattern| bytes(pattern));
    record.setting("regex_no_match", &regex.no_match, plain);
    record.setting("regex_options", &regex.options, |words| {
        list(words.iter().map(|word| text(word)))
    });
    record.setting("regex_min_offset", &regex.min_offset, |value| optional(value, plain));
    record.setting("regex_max_offset", &regex.max_offset, |value| optional(value, plain));
    record.setting("regex_stack", &regex.stack, |value| {
        optional(value, |(start, max)| list([plain(start), plain(max)]))
    });
    record.finish()
}

fn udp(record: &mut Record<'_>, check: &UdpCheck) {
    record.setting("payload", &check.payload, |payload| text(&hex(payload)));
    record.setting("require_reply", &check.require_reply, plain);
    record.put("reply_pattern", optional(&check.pattern, |one| text(&pattern(one))));
    record.setting("min_reply_length", &check.min_reply_length, plain);
    record.setting("max_reply_length", &check.max_reply_length, plain);
}

/// `200` or `200-299`.
pub(super) fn status_range((from, to): &(u16, u16)) -> String {
    if from == to { from.to_string() } else { format!("{from}-{to}") }
}

/// Two digits a byte.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Two digits a byte, `x` for a digit that does not matter.
pub(super) fn pattern(pattern: &[(u8, u8)]) -> String {
    let digit = |value: u8, mask: u8| match mask {
        0 => 'x',
        _ => char::from_digit(u32::from(value), 16).unwrap_or('x'),
    };
    pattern
        .iter()
        .flat_map(|(value, mask)| [digit(value >> 4, mask >> 4), digit(value & 15, mask & 15)])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_have_wildcards() {
        assert_eq!(pattern(&[(0x4f, 0xff), (0x05, 0x0f), (0x50, 0xf0), (0, 0)]), "4fx55xxx");
        assert_eq!(hex(&[0, 255]), "00ff");
        assert_eq!(status_range(&(200, 299)), "200-299");
    }
}
