//! `persistence_granularity`: which part of a client's address keeps it at its real server.
//!
//! A dotted mask for IPv4, the length of a prefix for IPv6. It decides the family of a service by mark or group
//! of which nothing else does. For IPv4 keepalived takes whatever inet_aton(3) takes, so that `24` is the mask
//! 0.0.0.24, which nobody means.

use std::net::Ipv4Addr;

use super::effective::{Family, Level, Setting};
use super::lower::Lowering;
use super::number::inet_aton;
use super::virtual_server::Draft;
use crate::conf::{Code, Diagnostic, Directive};

impl Lowering<'_> {
    /// Takes the keyword.
    pub(super) fn granularity(&mut self, child: Directive<'_>, vs: &mut Draft) {
        let Some(span) = self.reader.argument(child, "a mask") else { return };
        self.reader.ignored_after(child, 1);
        let text = self.reader.text(span);
        let family = match vs.family {
            Some((family, _)) => family,
            None if text.contains('.') => Family::Inet,
            None => Family::Inet6,
        };
        let is_right = match family {
            Family::Inet6 => self.reader.number_at(span, 1..=128).is_some(),
            Family::Inet => match inet_aton(text.as_bytes()) {
                Some(mask) => {
                    if text.parse::<Ipv4Addr>().is_err() {
                        let message = format!("`{text}` is the mask {mask}");
                        let mut found = Diagnostic::new(Code::OddGranularity, message).at(span, "");
                        if let Ok(length @ 1..=32) = text.parse::<u32>() {
                            let meant = Ipv4Addr::from(u32::MAX << (32 - length));
                            found = found.help(format!("for a prefix of {length} write `{meant}`"));
                        }
                        self.reader.report(found);
                    }
                    true
                }
                None => {
                    let message = format!("`{text}` is no mask of IPv4");
                    let found = Diagnostic::new(Code::BadAddress, message).at(span, "");
                    self.reader.report(found.help("write it with dots, like `255.255.255.0`"));
                    false
                }
            },
        };
        if is_right {
            let header = child.header();
            vs.family.get_or_insert((family, header));
            vs.model.persistence_granularity =
                Setting::written(Some(text.as_ref().into()), Level::VirtualServer, header);
        }
    }
}
