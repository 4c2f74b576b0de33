//! Seeded configurations that are valid: every keyword of a health checker, in every place it may stand.
//!
//! A text has no errors and no warnings in it, so what one reader makes of it can be held against another's:
//! our dump of the file against that of its flattened form, or our model against keepalived's.

use std::fmt::{Display, Write};

/// Whose keywords may be used.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Dialect {
    /// Those of keepalived 2.2.7.
    Keepalived22,
    /// Those of later versions and our own too.
    Ringprobe,
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

/// SplitMix64.
#[derive(Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// Any number.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 up to but without `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    /// True in one of `n` cases.
    pub(crate) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    /// One of them.
    pub(crate) fn pick<'l, T>(&mut self, list: &'l [T]) -> &'l T {
        &list[self.below(list.len())]
    }
}

/// What a virtual server's parts must agree on.
struct Service {
    is_ipv6: bool,
    /// The number in its addresses.
    number: usize,
    /// 0 for none.
    port: u16,
    /// Real servers have the port of the service, or none.
    is_same_port: bool,
}

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
        let count = if self.dialect == Dialect::Keepalived22 { 4 } else { arguments.len() };
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

    fn address(&mut self, service: &Service, last: usize) -> String {
        let (high, low) = (service.number >> 8, service.number & 255);
        if service.is_ipv6 {
            format!("2001:db8:{:x}::{last:x}", service.number)
        } else {
            format!("10.{high}.{low}.{last}")
        }
    }

    fn virtual_server(&mut self, number: usize) {
        let port = *self.random.pick(&[80, 53, 443, 8080, 65535]);
        let mut service =
            Service { is_ipv6: self.random.one_in(3), number, port, is_same_port: true };
        let vip = self.address(&service, 1);
        match self.random.below(6) {
            0 => {
                service.port = 0;
                let mark = number + 1;
                self.block(&format!("virtual_server fwmark {mark}"), |text| {
                    let family = if service.is_ipv6 { "inet6" } else { "inet" };
                    text.maybe(2, |text| text.line("ip_family", family));
                    service.is_same_port = false;
                    text.service(&service, None, true);
                });
            }
            1 => {
                service.is_same_port = false;
                self.group(&service);
                self.block(&format!("virtual_server group group{number}"), |text| {
                    let protocol = *text.random.pick(&["TCP", "UDP", "SCTP"]);
                    text.service(&service, Some(protocol), false);
                });
            }
            2 => {
                service.port = 0;
                self.block(&format!("virtual_server {vip}"), |text| {
                    text.flag("persistence_timeout");
                    let protocol = *text.random.pick(&["TCP", "UDP"]);
                    text.service(&service, Some(protocol), false);
                });
            }
            _ => {
                self.block(&format!("virtual_server {vip} {port}"), |text| {
                    let protocol = *text.random.pick(&["TCP", "UDP", "SCTP", "tcp", "Udp"]);
                    text.maybe(4, |text| text.number("persistence_timeout", 1, 2_678_400));
                    text.maybe(6, |text| text.flag("ha_suspend"));
                    text.service(&service, Some(protocol), false);
                });
            }
        }
    }

    fn group(&mut self, service: &Service) {
        let number = service.number;
        let (one, other, net) = if service.is_ipv6 {
            (format!("2001:db8:f:{number:x}::1"), "ff", format!("2001:db8:e:{number:x}::/126"))
        } else {
            let (high, low) = (number >> 8, number & 255);
            (format!("10.{}.{low}.1", 128 + high), "200", format!("10.{}.{low}.64/30", 160 + high))
        };
        self.block(&format!("virtual_server_group group{number}"), |text| {
            let port = service.port;
            text.line(&one, port);
            text.maybe(2, |text| text.line(&format!("{one}-{other}"), port));
            text.maybe(2, |text| text.line(&net, port));
            let family = if service.is_ipv6 { "inet6" } else { "inet" };
            text.maybe(3, |text| text.line(&format!("fwmark {}", 5000 + number), family));
        });
    }

    /// The keywords of a virtual server, and its real servers.
    fn service(&mut self, service: &Service, protocol: Option<&str>, is_mark: bool) {
        if let Some(protocol) = protocol {
            self.line("protocol", protocol);
        }
        let is_udp = protocol.is_some_and(|protocol| protocol.eq_ignore_ascii_case("udp"));
        self.scheduler();
        let is_nat = !service.is_same_port || self.random.one_in(2);
        let keyword = *self.random.pick(&["lvs_method", "lb_kind"]);
        let method = if is_nat { "NAT".to_owned() } else { self.method() };
        self.line(keyword, method);
        self.maybe(2, |text| text.timer("delay_loop", false));
        self.maybe(3, |text| text.timer("connect_timeout", false));
        self.maybe(3, |text| text.timer("delay_before_retry", true));
        self.maybe(3, |text| text.number("retry", 1, u64::from(u32::MAX)));
        self.maybe(3, |text| text.timer("warmup", true));
        for flag in ["alpha", "omega", "inhibit_on_failure"] {
            self.maybe(4, |text| text.flag(flag));
        }
        if is_udp || is_mark {
            self.maybe(4, |text| text.flag("ops"));
        }
        self.maybe(4, |text| text.boolean("smtp_alert"));
        self.maybe(4, |text| text.name("virtualhost"));
        self.maybe(4, |text| text.name("snmp_name"));
        self.maybe(5, |text| text.command("quorum_up"));
        self.maybe(5, |text| text.command("quorum_down"));
        let servers = 1 + self.random.below(4);
        // Each real server weighs this much at least, so the sum is never below the quorum.
        let weight = 1 + self.random.below(20);
        self.line("weight", weight);
        self.maybe(3, |text| {
            let quorum = 1 + text.random.below(servers * weight);
            text.line("quorum", quorum);
            if quorum > 1 {
                text.maybe(2, |text| {
                    let hysteresis = text.random.below(quorum);
                    text.line("hysteresis", hysteresis);
                });
            }
        });
        self.maybe(4, |text| {
            let address = text.address(service, 250);
            let port = if service.is_same_port { service.port } else { 80 };
            let port = if port == 0 { String::new() } else { port.to_string() };
            text.line(&format!("sorry_server {address}"), port);
            text.maybe(2, |text| text.flag("sorry_server_inhibit"));
            text.maybe(3, |text| text.line("sorry_server_lvs_method", "NAT"));
        });
        for last in 0..servers {
            self.real_server(service, 10 + last, weight);
        }
    }

    fn scheduler(&mut self) {
        let keyword = *self.random.pick(&["lvs_sched", "lb_algo"]);
        let known = &[
            "rr", "wrr", "lc", "wlc", "lblc", "sh", "mh", "dh", "fo", "ovf", "lblcr", "sed", "nq",
        ];
        let name = *self.random.pick(known);
        self.line(keyword, name);
        let flags: &[&str] = match name {
            "sh" => &["sh-port", "sh-fallback"],
            "mh" => &["mh-port", "mh-fallback"],
            _ => &["flag-1", "flag-2", "flag-3"],
        };
        for flag in flags {
            self.maybe(3, |text| text.flag(flag));
        }
    }

    fn method(&mut self) -> String {
        let known = [
            "NAT",
            "DR",
            "TUN",
            "TUN type ipip",
            "TUN type gre csum",
            "TUN type gue port 6080",
            "TUN type gue port 6080 remcsum",
        ];
        (*self.random.pick(&known)).to_owned()
    }

    fn real_server(&mut self, service: &Service, last: usize, weight: usize) {
        let address = self.address(service, last);
        let has_port = service.port != 0 && self.random.one_in(2) || !service.is_same_port;
        let port = match (has_port, service.is_same_port) {
            (false, _) => String::new(),
            (true, true) => service.port.to_string(),
            (true, false) => (*self.random.pick(&[80, 81, 8080])).to_string(),
        };
        let header = format!("real_server {address} {port}");
        let has_target = service.port != 0 || has_port;
        self.block(header.trim_end(), |text| {
            text.maybe(2, |text| {
                let more = text.random.below(100);
                text.line("weight", weight + more);
            });
            if service.is_same_port && service.port != 0 {
                text.maybe(5, |text| {
                    let method = text.method();
                    text.line("lvs_method", method);
                });
            }
            text.maybe(5, |text| text.number("uthreshold", 1000, 2000));
            text.maybe(5, |text| text.number("lthreshold", 0, 999));
            for keyword in ["alpha", "inhibit_on_failure", "smtp_alert"] {
                text.maybe(5, |text| text.boolean(keyword));
            }
            text.maybe(5, |text| text.timer("delay_loop", false));
            text.maybe(5, |text| text.timer("connect_timeout", false));
            text.maybe(5, |text| text.timer("delay_before_retry", true));
            text.maybe(5, |text| text.timer("warmup", true));
            text.maybe(5, |text| text.number("retry", 1, u64::from(u32::MAX)));
            text.maybe(5, |text| text.name("virtualhost"));
            text.maybe(5, |text| text.name("snmp_name"));
            text.maybe(6, |text| text.command("notify_up"));
            text.maybe(6, |text| text.command("notify_down"));
            let mut has_bfd = false;
            for _ in 0..1 + text.random.below(3) {
                text.checker(service, has_target, &mut has_bfd);
            }
        });
    }

    fn checker(&mut self, service: &Service, has_target: bool, has_bfd: &mut bool) {
        let count = if self.dialect == Dialect::Keepalived22 { 10 } else { 12 };
        match self.random.below(count) {
            0 => self.network(service, has_target, "TCP_CHECK", |_| {}),
            1 => self.network(service, has_target, "HTTP_GET", |text| text.http(false)),
            2 => self.network(service, has_target, "SSL_GET", |text| text.http(true)),
            3 => self.network(service, has_target, "SMTP_CHECK", |text| {
                text.maybe(2, |text| text.line("helo_name", "probe.example.com"));
            }),
            4 => self.network(service, has_target, "DNS_CHECK", |text| text.dns()),
            5 => self.network(service, has_target, "UDP_CHECK", |text| text.udp()),
            6 => self.network(service, true, "PING_CHECK", |_| {}),
            7 => self.block("FILE_CHECK", |text| {
                let file = text.random.below(TRACK_FILES);
                text.line("track_file", format_args!("file{file}"));
                text.maybe(2, |text| {
                    let weight = text.random.below(100_000) as i64 - 50_000;
                    let reverse = *text.random.pick(&["", " reverse", " noreverse"]);
                    text.line("weight", format_args!("{weight}{reverse}"));
                });
            }),
            8 if !*has_bfd => {
                *has_bfd = true;
                self.block("BFD_CHECK", |text| {
                    let instance = text.random.below(BFD_INSTANCES);
                    text.line("name", format_args!("bfd{instance}"));
                    text.maybe(3, |text| text.boolean("alpha"));
                });
            }
            10 => self.network(service, has_target, "FTP_CHECK", |text| {
                text.maybe(2, |text| {
                    text.line("ftp_user", "anonymous");
                    text.maybe(2, |text| text.line("ftp_password", "\"a # b\""));
                });
            }),
            11 => self.network(service, has_target, "TLS_CHECK", |text| {
                text.maybe(2, |text| text.line("tls_name", "www.example.com"));
                text.maybe(2, |text| {
                    text.line("tls_verify", "on");
                    text.maybe(2, |text| text.line("tls_ca", "/etc/ssl/ca.pem"));
                });
                text.maybe(2, |text| text.number("tls_min_days", 0, 3650));
            }),
            _ => self.block("MISC_CHECK", |text| text.misc()),
        }
    }

    fn timers(&mut self) {
        self.maybe(5, |text| text.timer("delay_loop", false));
        self.maybe(5, |text| text.timer("delay_before_retry", true));
        self.maybe(5, |text| text.timer("warmup", true));
        self.maybe(5, |text| text.number("retry", 0, u64::from(u32::MAX)));
        self.maybe(5, |text| text.boolean("alpha"));
        self.maybe(5, |text| text.boolean("log_all_failures"));
    }

    fn network(
        &mut self,
        service: &Service,
        has_target: bool,
        keyword: &str,
        inside: impl FnOnce(&mut Text),
    ) {
        self.block(keyword, |text| {
            text.maybe(8, |text| {
                let address = text.address(service, 200);
                text.line("connect_ip", address);
            });
            if !has_target || text.random.one_in(6) {
                text.number("connect_port", 1, 65535);
            }
            text.maybe(8, |text| {
                let address = text.address(service, 201);
                text.line("bindto", address);
                text.maybe(2, |text| text.number("bind_port", 1, 65535));
            });
            text.maybe(8, |text| text.line("bind_if", "lo"));
            text.maybe(8, |text| text.number("fwmark", 0, u64::from(u32::MAX)));
            text.maybe(5, |text| text.timer("connect_timeout", false));
            inside(text);
            text.timers();
        });
    }

    fn dns(&mut self) {
        self.maybe(2, |text| {
            let known =
                &["A", "NS", "CNAME", "SOA", "MX", "TXT", "AAAA", "RRSIG", "DNSKEY", "aaaa"];
            let record_type = *text.random.pick(known);
            text.line("type", record_type);
        });
        self.maybe(2, |text| {
            // The first label has two letters at least: 2.2 refuses shorter ones.
            let name = *text.random.pick(&[".", "www.example.com", "example.com.", "ab"]);
            text.line("name", name);
        });
    }

    fn misc(&mut self) {
        self.command("misc_path");
        self.maybe(3, |text| text.number("misc_timeout", 1, 4294));
        self.maybe(3, |text| text.flag("misc_dynamic"));
        self.maybe(3, |text| {
            let users = ["root", "root root", "root :root"];
            let count = if text.dialect == Dialect::Keepalived22 { 2 } else { users.len() };
            let user = *text.random.pick(&users[..count]);
            text.line("user", user);
        });
        self.timers();
    }

    fn udp(&mut self) {
        self.maybe(2, |text| {
            let payload = *text.random.pick(&["00", "deadBEEF", "01 02 3 4"]);
            text.line("payload", payload);
        });
        self.maybe(2, |text| {
            let pattern = *text.random.pick(&["", "00", "4fxx x5", "DEad"]);
            text.line("require_reply", pattern);
            text.maybe(2, |text| text.number("min_reply_length", 0, 100));
            text.maybe(2, |text| text.number("max_reply_length", 300, 65535));
        });
    }

    fn http(&mut self, is_tls: bool) {
        self.maybe(3, |text| {
            let version = *text.random.pick(&["1.0", "1.0C", "1.0c", "1.1"]);
            text.line("http_protocol", version);
        });
        self.maybe(4, |text| text.name("virtualhost"));
        self.maybe(5, |text| text.boolean("fast_recovery"));
        let has_later = is_tls && self.dialect == Dialect::Ringprobe;
        if is_tls {
            self.maybe(4, |text| text.boolean("enable_sni"));
        }
        if has_later {
            self.maybe(4, |text| text.line("sni_name", "sni.example.com"));
            self.maybe(4, |text| text.boolean("tls_compliant"));
        }
        for _ in 0..1 + self.random.below(3) {
            self.block("url", |text| text.url(has_later));
        }
    }

    fn url(&mut self, has_later: bool) {
        let path = *self.random.pick(&["/", "/a?b=c&d", "\"/with blank\"", "\"/x#y{z}\""]);
        self.line("path", path);
        self.maybe(3, |text| {
            let digest = format!("{:016x}{:016X}", text.random.next(), text.random.next());
            text.line("digest", digest);
        });
        for _ in 0..self.random.below(3) {
            let codes = *self.random.pick(&["200", "200-299 404", "301 302", "100-599"]);
            self.line("status_code", codes);
        }
        self.maybe(4, |text| text.name("virtualhost"));
        if has_later {
            self.maybe(4, |text| text.boolean("tls_compliant"));
        }
        self.maybe(3, |text| {
            let known = &["ok", "\"a b\"", "^\\\\d+$", "'[^a] b'", "\"x\\042y\""];
            let pattern = *text.random.pick(known);
            text.line("regex", pattern);
            text.maybe(3, |text| text.flag("regex_no_match"));
            text.maybe(3, |text| {
                let words = *text.random.pick(&["caseless", "multiline dotall", "utf ucp"]);
                text.line("regex_options", words);
            });
            text.maybe(3, |text| text.number("regex_min_offset", 0, 100));
            text.maybe(3, |text| text.number("regex_max_offset", 300, 4000));
            text.maybe(4, |text| text.line("regex_stack", "4096 65536"));
        });
    }
}
