//! RFC 3339 with microseconds, cheap when many times fall into the same second.

use std::io::Write;

use jiff::Timestamp;

/// Bytes of `2026-11-23T12:26:07.`.
const PREFIX_BYTES: usize = 20;

/// Writes `2026-11-23T12:26:07.123456Z`, formatting date and time of day once per second.
#[derive(Clone, Debug)]
pub(crate) struct TimestampWriter {
    second: i64,
    prefix: [u8; PREFIX_BYTES],
}

impl TimestampWriter {
    pub(crate) fn new() -> TimestampWriter {
        TimestampWriter { second: 0, prefix: *b"1970-01-01T00:00:00." }
    }

    /// Appends the time `unix_ns` nanoseconds after the epoch, cut to microseconds. Times before
    /// the epoch or after the year 9999 are written as the epoch.
    pub(crate) fn write(&mut self, unix_ns: i128, to: &mut Vec<u8>) {
        let us = u64::try_from(unix_ns / 1_000).unwrap_or(0);
        let (second, micros) = ((us / 1_000_000) as i64, (us % 1_000_000) as u32);
        if second != self.second {
            self.set_second(second);
        }
        to.extend_from_slice(&self.prefix);
        let mut digits = *b"000000Z";
        let mut rest = micros;
        for digit in digits[..6].iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        to.extend_from_slice(&digits);
    }

    fn set_second(&mut self, second: i64) {
        let time = Timestamp::from_second(second).unwrap_or(Timestamp::UNIX_EPOCH);
        // jiff writes `2026-11-23T12:26:07Z`; the dot takes the place of the Z.
        let mut text = [0; PREFIX_BYTES];
        let mut rest = &mut text[..];
        if write!(rest, "{time}").is_ok() && rest.is_empty() {
            self.prefix = text;
            self.prefix[PREFIX_BYTES - 1] = b'.';
        }
        self.second = second;
    }
}

/// The same as a string, for where it is needed once.
pub fn rfc3339(unix_ns: i128) -> String {
    let mut bytes = Vec::with_capacity(PREFIX_BYTES + 7);
    TimestampWriter::new().write(unix_ns, &mut bytes);
    String::from_utf8(bytes).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_jiff_across_seconds() {
        let mut writer = TimestampWriter::new();
        for unix_ns in [
            0,
            999,
            1_000,
            999_999_999,
            1_000_000_000,
            1_795_436_767_123_456_789,
            1_795_436_767_123_457_000,
            1_795_436_768_000_000_000,
            253_402_207_199_999_999_000,
        ] {
            let mut bytes = Vec::new();
            writer.write(unix_ns, &mut bytes);
            let text = String::from_utf8(bytes).expect("ascii");
            let parsed: Timestamp = text.parse().expect("RFC 3339");
            assert_eq!(parsed.as_microsecond(), (unix_ns / 1_000) as i64, "{text}");
            assert_eq!(text.len(), 27, "{text}");
        }
    }

    #[test]
    fn a_broken_clock_is_written_as_the_epoch() {
        assert_eq!(rfc3339(-5_000_000), "1970-01-01T00:00:00.000000Z");
    }
}
