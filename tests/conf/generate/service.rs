//! Virtual servers, their groups, and their real servers.

use super::{Dialect, Text};

/// What a virtual server's parts must agree on.
pub(super) struct Service {
    is_ipv6: bool,
    /// The number in its addresses.
    number: usize,
    /// 0 for none.
    port: u16,
    /// Real servers have the port of the service, or none.
    is_same_port: bool,
}

impl Text {
    pub(super) fn address(&mut self, service: &Service, last: usize) -> String {
        let (high, low) = (service.number >> 8, service.number & 255);
        if service.is_ipv6 {
            format!("2001:db8:{:x}::{last:x}", service.number)
        } else {
            format!("10.{high}.{low}.{last}")
        }
    }

    pub(super) fn virtual_server(&mut self, number: usize) {
        let port = *self.random.pick(&[80, 53, 443, 8080, 65535]);
        let mut service =
            Service { is_ipv6: self.random.one_in(3), number, port, is_same_port: true };
        service.is_same_port = self.dialect != Dialect::Replaced;
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
                // Checkers have none of it.
                service.port = 0;
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
        let has_replaced = self.dialect == Dialect::Replaced;
        let is_nat = !service.is_same_port && !has_replaced || self.random.one_in(2);
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
        for number in 0..servers {
            let last = if has_replaced { self.random.below(2) } else { number };
            self.real_server(service, 10 + last, number, weight);
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
        if self.dialect == Dialect::Replaced {
            let others = &["sh-port", "mh-fallback", "hashed"];
            if ["sh", "mh"].contains(&name) {
                let other = *self.random.pick(others);
                self.maybe(2, |text| text.flag(other));
            }
            self.maybe(2, |text| {
                let name = *text.random.pick(known);
                text.line(keyword, name);
            });
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

    /// `number`: which one of its service.
    fn real_server(&mut self, service: &Service, last: usize, number: usize, weight: usize) {
        let address = self.address(service, last);
        let has_replaced = self.dialect == Dialect::Replaced;
        // No two with one port, so that none is a duplicate as it is written.
        let has_port = match has_replaced {
            true => number != 2,
            false => service.port != 0 && self.random.one_in(2) || !service.is_same_port,
        };
        let port = match (has_port, service.is_same_port) {
            (false, _) => String::new(),
            (true, true) => service.port.to_string(),
            (true, false) if has_replaced => [81, 8080, 0, 80][number].to_string(),
            (true, false) => (*self.random.pick(&[80, 81, 8080])).to_string(),
        };
        let header = format!("real_server {address} {port}");
        let has_target = service.port != 0 || has_port;
        self.block(header.trim_end(), |text| {
            text.maybe(2, |text| {
                let more = text.random.below(100);
                text.line("weight", weight + more);
            });
            if service.is_same_port && service.port != 0 || has_replaced {
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
}
