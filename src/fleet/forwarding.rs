//! How IPVS forwards to real servers: family, method, scheduler, persistence.

use std::fmt;
use std::net::IpAddr;

use super::effective::{Family, ForwardingMethod, Level, Setting, Tunnel};
use super::lower::Lowering;
use super::virtual_server::Draft;
use crate::conf::{Class, Code, Diagnostic, Directive, class};

const SCHEDULERS: &[&str] = &[
    "dh", "fo", "lblc", "lblcr", "lc", "mh", "nq", "ovf", "rr", "sed", "sh", "twos", "wlc", "wrr",
];

/// Flags of schedulers, as they are spelled.
const SCHEDULER_FLAGS: &[&str] =
    &["flag-1", "flag-2", "flag-3", "hashed", "mh-fallback", "mh-port", "sh-fallback", "sh-port"];

impl Family {
    /// The family of an address.
    pub(super) fn of(address: IpAddr) -> Family {
        if address.is_ipv4() { Family::Inet } else { Family::Inet6 }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Family::Inet => "IPv4",
            Family::Inet6 => "IPv6",
        })
    }
}

impl Lowering<'_> {
    pub(super) fn ip_family(&mut self, child: Directive<'_>, vs: &mut Draft) {
        let Some(span) = self.reader.argument(child, "`inet` or `inet6`") else { return };
        self.reader.ignored_after(child, 1);
        let family = match self.reader.choice(span, &["inet", "inet6"]) {
            Some("inet") => Family::Inet,
            Some(_) => Family::Inet6,
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
    pub(super) fn method(&mut self, child: Directive<'_>) -> Option<ForwardingMethod> {
        let class = class::of_missing_value(self.reader.bytes(child.keyword()));
        self.method_as(child, class)
    }

    /// The same where keepalived classes a missing word in another way than mostly behind the keyword.
    pub(super) fn method_as(
        &mut self,
        child: Directive<'_>,
        class: Class,
    ) -> Option<ForwardingMethod> {
        let span = self.reader.argument_as(child, "`NAT`, `DR` or `TUN`", class)?;
        match self.reader.choice(span, &["NAT", "DR", "TUN"])? {
            "NAT" => {
                self.no_tunnel(child);
                Some(ForwardingMethod::Nat)
            }
            "DR" => {
                self.no_tunnel(child);
                Some(ForwardingMethod::Dr)
            }
            _ => Some(ForwardingMethod::Tun(self.tunnel(child))),
        }
    }

    /// Warns of words that only a tunnel has.
    fn no_tunnel(&mut self, child: Directive<'_>) {
        if let [method, first, .., last] | [method, first @ last] = child.arguments() {
            let message = format!("ignored after `{}`", self.reader.text(*method));
            let found = Diagnostic::new(Code::IgnoredWords, message).class(Class::General);
            self.reader.report(found.at(first.to(*last), "options are for `TUN` only"));
        }
    }

    /// `[type ipip|gue port N|gre] [nocsum|csum|remcsum]`, after `TUN`, in any order.
    fn tunnel(&mut self, child: Directive<'_>) -> Tunnel {
        let mut tunnel = Tunnel { kind: "ipip", port: None, checksum: None };
        let mut port_word = None;
        let mut checksum_word = child.header();
        let mut words = child.arguments()[1..].iter();
        while let Some(word) = words.next() {
            let known = &["type", "port", "nocsum", "csum", "remcsum"];
            let missing = match self.reader.choice(*word, known) {
                Some("type") => match words.next() {
                    Some(word) => {
                        let kind = self.reader.choice(*word, &["ipip", "gue", "gre"]);
                        tunnel.kind = kind.unwrap_or(tunnel.kind);
                        None
                    }
                    None => Some("`type` needs `ipip`, `gue` or `gre`"),
                },
                Some("port") => {
                    port_word = Some(*word);
                    match words.next() {
                        Some(word) => {
                            tunnel.port = self.reader.port(*word);
                            None
                        }
                        None => Some("`port` needs a number"),
                    }
                }
                Some(checksum) => {
                    checksum_word = *word;
                    tunnel.checksum = Some(checksum).filter(|word| *word != "nocsum");
                    None
                }
                None => None,
            };
            if let Some(missing) = missing {
                self.reader.report(Diagnostic::new(Code::BadChoice, missing).at(*word, ""));
            }
        }
        let wrong = match (tunnel.kind, tunnel.checksum) {
            ("ipip", Some(checksum)) => Some(format!("`{checksum}` does not go with `ipip`")),
            ("gre", Some("remcsum")) => Some("`remcsum` does not go with `gre`".to_owned()),
            _ => None,
        };
        if let Some(wrong) = wrong {
            tunnel.checksum = None;
            self.reader.report(Diagnostic::new(Code::BadChoice, wrong).at(checksum_word, ""));
        }
        match (tunnel.kind, port_word) {
            ("gue", None) => self.reader.report(
                Diagnostic::new(Code::MissingArgument, "`gue` needs a `port`")
                    .class(Class::General)
                    .at(child.header(), ""),
            ),
            ("gue", Some(_)) | (_, None) => {}
            (kind, Some(word)) => {
                tunnel.port = None;
                let message = format!("`port` does not go with `{kind}`");
                self.reader.report(Diagnostic::new(Code::BadChoice, message).at(word, ""));
            }
        }
        tunnel
    }

    pub(super) fn scheduler(&mut self, child: Directive<'_>, vs: &mut Draft) {
        let Some(span) = self.reader.argument(child, "a scheduler") else { return };
        self.reader.ignored_after(child, 1);
        let Ok(word) = std::str::from_utf8(self.reader.bytes(span)) else {
            // Unlike names such a word is no scheduler for keepalived either.
            let found = Diagnostic::new(Code::NotUtf8, "not UTF-8 text").class(Class::General);
            return self.reader.report(found.at(span, ""));
        };
        if SCHEDULERS.contains(&word) {
            vs.model.scheduler =
                Setting::written(word.into(), Level::VirtualServer, child.header());
        } else {
            let mut found = Diagnostic::new(
                Code::UnknownScheduler,
                format!("`{word}` is no scheduler that keepalived documents"),
            )
            .at(span, "");
            if let Some(nearest) = super::keywords::nearest(word, SCHEDULERS.iter().copied()) {
                found = found.help(format!("did you mean `{nearest}`?"));
            }
            self.reader.report(found);
        }
    }

    /// `sh-port`, `mh-fallback`, `hashed`: only after `sh` or `mh`. keepalived takes the flags of either with
    /// either.
    pub(super) fn scheduler_flag(&mut self, child: Directive<'_>, scheduler: &str, vs: &mut Draft) {
        if !is_hashing(&vs.model.scheduler.value) {
            self.reader.ignored_after(child, 0);
            let message = format!("this has no effect before `lvs_sched {scheduler}`");
            self.no_effect(child, &message);
            return;
        }
        self.any_scheduler_flag(child, vs);
    }

    /// `flag-1`, `flag-2`, `flag-3`, and those that were found to go with their scheduler.
    pub(super) fn any_scheduler_flag(&mut self, child: Directive<'_>, vs: &mut Draft) {
        self.reader.ignored_after(child, 0);
        let word = self.reader.bytes(child.keyword());
        let flag = SCHEDULER_FLAGS.iter().copied().find(|flag| flag.as_bytes() == word);
        if let Some(flag) = flag
            && !vs.model.scheduler_flags.contains(&flag)
        {
            vs.model.scheduler_flags.push(flag);
        }
    }
}

/// Whether a scheduler is one of those that hash, which have flags of their own.
pub(crate) fn is_hashing(scheduler: &str) -> bool {
    matches!(scheduler, "sh" | "mh")
}
