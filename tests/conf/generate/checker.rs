//! Checkers of every type.

use super::service::Service;
use super::{BFD_INSTANCES, Dialect, TRACK_FILES, Text};

impl Text {
    pub(super) fn checker(&mut self, service: &Service, has_target: bool, has_bfd: &mut bool) {
        let count = if self.dialect.is_22() { 10 } else { 12 };
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
            let count = if text.dialect.is_22() { 2 } else { users.len() };
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
