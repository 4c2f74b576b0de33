//! Numbers and times as text: what the words of a configuration are worth, before anybody asks whether they may.

use std::net::Ipv4Addr;

use super::value::Micros;

pub(super) enum Decimal {
    Value(u64),
    /// Digits, but more than 64 bits hold.
    Huge,
    Bad,
}

pub(super) fn decimal(text: &[u8]) -> Decimal {
    let text = unsigned(text);
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return Decimal::Bad;
    }
    let value = text
        .iter()
        .try_fold(0u64, |value, digit| value.checked_mul(10)?.checked_add(u64::from(digit - b'0')));
    value.map_or(Decimal::Huge, Decimal::Value)
}

/// Without the `+` that a number may begin with, as strtoul(3) takes it.
fn unsigned(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"+").unwrap_or(text)
}

pub(super) fn is_zeros(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|byte| *byte == b'0')
}

/// A number as C writes one: `10`, `012`, `0xa`; without a sign.
pub(super) fn c_number(text: &[u8]) -> Option<u64> {
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

/// An address of IPv4 as inet_aton(3) takes one: one to four numbers of C with dots between them, the last
/// one of which fills the bytes that are left.
pub(super) fn inet_aton(text: &[u8]) -> Option<Ipv4Addr> {
    let mut parts = text.split(|byte| *byte == b'.').map(c_number).peekable();
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

pub(super) struct Timer {
    pub(super) micros: Micros,
    pub(super) is_rounded: bool,
}

/// `SECONDS[.DECIMALS]`, rounded to microseconds; times too long for 64 bits become the longest.
pub(super) fn timer(text: &[u8]) -> Option<Timer> {
    let text = unsigned(text);
    let point = memchr::memchr(b'.', text).unwrap_or(text.len());
    let (whole, decimals) = (&text[..point], text.get(point + 1..).unwrap_or(&[]));
    if whole.is_empty() && decimals.is_empty() {
        return None;
    }
    if !whole.iter().chain(decimals).all(u8::is_ascii_digit) {
        return None;
    }
    let seconds = whole.iter().fold(0u64, |value, digit| {
        value.saturating_mul(10).saturating_add(u64::from(digit - b'0'))
    });
    let fraction = (0..6).fold(0u64, |value, index| {
        value * 10 + decimals.get(index).map_or(0, |digit| u64::from(digit - b'0'))
    });
    let round = u64::from(decimals.get(6).is_some_and(|digit| *digit >= b'5'));
    let micros = seconds.saturating_mul(1_000_000).saturating_add(fraction + round);
    Some(Timer { micros, is_rounded: decimals.len() > 6 })
}

/// Microseconds as people write them: seconds with the decimals that matter.
pub(super) struct Seconds(pub(super) Micros);

impl std::fmt::Display for Seconds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (whole, fraction) = (self.0 / 1_000_000, self.0 % 1_000_000);
        if fraction == 0 {
            return write!(f, "{whole}");
        }
        write!(f, "{whole}.{}", format!("{fraction:06}").trim_end_matches('0'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_decimal_seconds_to_the_microsecond() {
        for (text, micros) in [
            ("0", Some(0)),
            ("6", Some(6_000_000)),
            ("0.25", Some(250_000)),
            ("10.5", Some(10_500_000)),
            ("4294.967295", Some(4_294_967_295)),
            ("0.000001", Some(1)),
            ("007", Some(7_000_000)),
            (".5", Some(500_000)),
            ("0.0000005", Some(1)),
            ("99999999999999999999999", Some(u64::MAX)),
            ("6s", None),
            ("10.5x", None),
            ("-1", None),
            ("+1", Some(1_000_000)),
            ("+.5", Some(500_000)),
            ("++1", None),
            ("+", None),
            ("1e3", None),
            ("1.2.3", None),
            (".", None),
            ("", None),
        ] {
            assert_eq!(timer(text.as_bytes()).map(|timer| timer.micros), micros, "{text}");
        }
    }

    #[test]
    fn seconds_show_the_decimals_that_matter() {
        assert_eq!(Seconds(5_000_000).to_string(), "5");
        assert_eq!(Seconds(4_294_967_294).to_string(), "4294.967294");
        assert_eq!(Seconds(100).to_string(), "0.0001");
    }

    #[test]
    fn numbers_of_c_have_three_bases() {
        for (text, number) in [
            ("022", Some(0o022)),
            ("0", Some(0)),
            ("18", Some(18)),
            ("0x1ff", Some(0o777)),
            ("0X200", Some(512)),
            ("08", None),
            ("0x", None),
            ("0x+1", None),
            ("+1", None),
            ("-1", None),
            ("18446744073709551616", None),
            ("", None),
        ] {
            assert_eq!(c_number(text.as_bytes()), number, "{text}");
        }
    }

    #[test]
    fn addresses_are_those_of_inet_aton() {
        for (text, address) in [
            ("255.255.255.0", Some([255, 255, 255, 0])),
            ("24", Some([0, 0, 0, 24])),
            ("0x10", Some([0, 0, 0, 16])),
            ("1x", None),
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
            assert_eq!(inet_aton(text.as_bytes()), address.map(Ipv4Addr::from), "{text}");
        }
    }
}
