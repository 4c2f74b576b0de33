//! Numbers and times as text: what the words of a configuration are worth, before anybody asks whether they may.

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
}
