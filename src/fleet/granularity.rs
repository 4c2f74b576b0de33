//! `persistence_granularity`: which part of a client's address keeps it at its real server.
//!
//! A dotted mask for IPv4, the length of a prefix for IPv6. It decides the family of a service by mark or group
//! of which nothing else does. For IPv4 keepalived takes whatever inet_aton(3) takes, so that `24` is the mask
//! 0.0.0.24, which nobody means.

use std::net::Ipv4Addr;

use super::effective::{Family, Level, Setting};
use super::lower::Lowering;
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

/// One to four numbers, decimal, octal or hexadecimal; the last one fills the bytes that are left.
fn inet_aton(text: &[u8]) -> Option<Ipv4Addr> {
    let mut parts = text.split(|byte| *byte == b'.').map(number).peekable();
    let mut address = 0u64;
    for place in 0..4u32 {
        let part = parts.next()??;
        if parts.peek().is_none() {
            let room = 1u64 << (8 * (4 - place));
            return (part < room).then(|| Ipv4Addr::from((address + part) as u32));
        }
        if part > 255 {
            return None;
        }
        address += part << (8 * (3 - place));
    }
    None
}

/// `10`, `012`, `0xa`.
fn number(text: &[u8]) -> Option<u64> {
    let (digits, radix) = match text {
        [b'0', b'x' | b'X', digits @ ..] => (digits, 16),
        [b'0', _, ..] => (text, 8),
        _ => (text, 10),
    };
    if !digits.iter().all(u8::is_ascii_alphanumeric) {
        return None;
    }
    u64::from_str_radix(std::str::from_utf8(digits).ok()?, radix).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_are_what_inet_aton_makes_of_them() {
        for (text, mask) in [
            ("255.255.255.0", Some([255, 255, 255, 0])),
            ("24", Some([0, 0, 0, 24])),
            ("1.5", Some([1, 0, 0, 5])),
            ("255.255.255", Some([255, 255, 0, 255])),
            ("0377.1", Some([255, 0, 0, 1])),
            ("0xffffff00", Some([255, 255, 255, 0])),
            ("4294967295", Some([255; 4])),
            ("4294967296", None),
            ("256.1", None),
            ("1.2.3.256", None),
            ("1.2.3.4.5", None),
            ("1.2.3.", None),
            ("08", None),
            ("0x", None),
            ("+5", None),
            ("-1", None),
            ("", None),
            ("x", None),
        ] {
            assert_eq!(inet_aton(text.as_bytes()), mask.map(Ipv4Addr::from), "{text}");
        }
    }
}
