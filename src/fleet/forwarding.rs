//! How IPVS forwards to real servers: family, method, scheduler, persistence.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use super::lower::Lowering;
use super::virtual_server::Draft;
use crate::conf::{Code, Diagnostic, Directive};

const SCHEDULERS: &[&str] = &[
    "dh", "fo", "lblc", "lblcr", "lc", "mh", "nq", "ovf", "rr", "sed", "sh", "twos", "wlc", "wrr",
];

/// IPv4 or IPv6.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum Family {
    V4,
    V6,
}

impl Family {
    pub(super) fn of(address: IpAddr) -> Family {
        if address.is_ipv4() { Family::V4 } else { Family::V6 }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Family::V4 => "IPv4",
            Family::V6 => "IPv6",
        })
    }
}

/// `lvs_method`.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum Method {
    Nat,
    Dr,
    Tun,
}

impl Lowering<'_> {
    pub(super) fn ip_family(&mut self, child: Directive<'_>, vs: &mut Draft) {
        let Some(span) = self.reader.argument(child, "`inet` or `inet6`") else { return };
        self.reader.ignored_after(child, 1);
        let family = match self.reader.choice(span, &["inet", "inet6"]) {
            Some("inet") => Family::V4,
            Some(_) => Family::V6,
            None => return,
        };
        match vs.family {
            Some((known, says)) if known != family => self.reader.report(
                Diagnostic::new(Code::FamilyMismatch, format!("the virtual server is {known}"))
                    .at(child.header(), format!("this says {family}"))
                    .also(says, format!("this says {known}")),
            ),
            Some(_) => {}
            None => vs.family = Some((family, child.header())),
        }
    }

    /// `NAT`, `DR` or `TUN [type ipip|gue port N|gre] [nocsum|csum|remcsum]`.
    pub(super) fn method(&mut self, child: Directive<'_>) -> Option<Method> {
        let span = self.reader.argument(child, "`NAT`, `DR` or `TUN`")?;
        let method = match self.reader.choice(span, &["NAT", "DR", "TUN"])? {
            "NAT" => Method::Nat,
            "DR" => Method::Dr,
            _ => Method::Tun,
        };
        if method != Method::Tun {
            self.reader.ignored_after(child, 1);
            return Some(method);
        }
        let mut kind = "ipip";
        let mut has_port = false;
        let mut words = child.arguments()[1..].iter();
        while let Some(word) = words.next() {
            let known = &["type", "port", "nocsum", "csum", "remcsum"];
            let problem = match self.reader.choice(*word, known) {
                Some("type") => match words.next() {
                    Some(word) => {
                        kind = self.reader.choice(*word, &["ipip", "gue", "gre"]).unwrap_or(kind);
                        None
                    }
                    None => Some("`type` needs `ipip`, `gue` or `gre`"),
                },
                Some("port") => match words.next() {
                    Some(word) => {
                        self.reader.port(*word);
                        has_port = true;
                        None
                    }
                    None => Some("`port` needs a number"),
                },
                Some("csum") if kind == "ipip" => Some("`csum` does not go with `ipip`"),
                Some("remcsum") if kind == "gre" => Some("`remcsum` does not go with `gre`"),
                _ => None,
            };
            if let Some(problem) = problem {
                self.reader.report(Diagnostic::new(Code::BadChoice, problem).at(*word, ""));
            }
        }
        if kind == "gue" && !has_port {
            self.reader.report(
                Diagnostic::new(Code::MissingArgument, "`gue` needs a `port`")
                    .at(child.header(), ""),
            );
        }
        Some(method)
    }

    pub(super) fn scheduler(&mut self, child: Directive<'_>, vs: &mut Draft) {
        let Some(span) = self.reader.argument(child, "a scheduler") else { return };
        self.reader.ignored_after(child, 1);
        let word = self.reader.bytes(span);
        vs.scheduler = SCHEDULERS.iter().copied().find(|known| known.as_bytes() == word);
        if vs.scheduler.is_none() {
            let text = self.reader.text(span);
            let mut found = Diagnostic::new(
                Code::UnknownScheduler,
                format!("`{text}` is no scheduler that keepalived documents"),
            )
            .at(span, "");
            if let Some(nearest) = super::keywords::nearest(&text, SCHEDULERS.iter().copied()) {
                found = found.help(format!("did you mean `{nearest}`?"));
            }
            self.reader.report(found);
        }
    }

    pub(super) fn scheduler_flag(&mut self, child: Directive<'_>, scheduler: &str, vs: &Draft) {
        self.reader.ignored_after(child, 0);
        if vs.scheduler != Some(scheduler) {
            let message = format!("this has no effect before `lvs_sched {scheduler}`");
            self.no_effect(child, &message);
        }
    }

    pub(super) fn granularity(&mut self, child: Directive<'_>) {
        let Some(span) = self.reader.argument(child, "a mask") else { return };
        self.reader.ignored_after(child, 1);
        if self.reader.text(span).parse::<Ipv4Addr>().is_err() {
            self.reader.number_at(span, 1..=128);
        }
    }
}
