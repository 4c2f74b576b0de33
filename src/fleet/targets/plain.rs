//! Lines that are an IPv4 address, or one and a port, and nothing else: nearly all of a long list.
//!
//! They are read in one pass, end of line included, where the general way looks at each byte several
//! times. It need not know every such line, but what it takes has to mean the same.

use std::net::Ipv4Addr;

/// A line that was read.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) struct Plain {
    pub(super) address: Ipv4Addr,
    pub(super) port: Option<u16>,
    /// Of the line, its end included.
    pub(super) bytes: usize,
}

/// Reads `A.B.C.D` or `A.B.C.D:PORT` and the end of its line; `None` for anything else, and where the end is
/// not there yet.
pub(super) fn read(bytes: &[u8]) -> Option<Plain> {
    let mut octets = [0; 4];
    let mut at = 0;
    for (number, octet) in octets.iter_mut().enumerate() {
        if number > 0 {
            at = behind(bytes, at, b'.')?;
        }
        let (value, end) = decimal(bytes, at, 3)?;
        *octet = u8::try_from(value).ok()?;
        at = end;
    }
    let mut port = None;
    if bytes.get(at) == Some(&b':') {
        let (value, end) = decimal(bytes, at + 1, 5)?;
        port = Some(u16::try_from(value).ok().filter(|port| *port > 0)?);
        at = end;
    }
    let at = behind(bytes, at, b'\r').unwrap_or(at);
    let bytes = behind(bytes, at, b'\n')?;
    Some(Plain { address: octets.into(), port, bytes })
}

/// The place behind this byte, if it stands at `at`.
fn behind(bytes: &[u8], at: usize, byte: u8) -> Option<usize> {
    (*bytes.get(at)? == byte).then_some(at + 1)
}

/// A number without leading zeros of at most so many digits, and the place behind it.
fn decimal(bytes: &[u8], start: usize, digits_max: usize) -> Option<(u32, usize)> {
    let digit = |at: usize| {
        let digit = bytes.get(at)?.wrapping_sub(b'0');
        (digit <= 9).then_some(u32::from(digit))
    };
    let mut value = digit(start)?;
    let mut at = start + 1;
    while let Some(next) = digit(at) {
        if value == 0 || at - start == digits_max {
            return None;
        }
        value = value * 10 + next;
        at += 1;
    }
    Some((value, at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_ports_are_read_with_the_end_of_their_line() {
        let plain =
            |octets: [u8; 4], port, bytes| Some(Plain { address: octets.into(), port, bytes });
        assert_eq!(read(b"192.0.2.1\n192.0.2.2\n"), plain([192, 0, 2, 1], None, 10));
        assert_eq!(read(b"0.0.0.0\n"), plain([0; 4], None, 8));
        assert_eq!(read(b"255.255.255.255:65535\n"), plain([255; 4], Some(65535), 22));
        assert_eq!(read(b"10.0.0.9:1\n"), plain([10, 0, 0, 9], Some(1), 11));
        assert_eq!(read(b"10.0.0.9\r\n"), plain([10, 0, 0, 9], None, 10));
    }

    #[test]
    fn everything_else_is_left_to_the_general_way() {
        for line in [
            "",
            "\n",
            "1",
            "1.2.3.4",
            "1.2.3\n",
            "1.2.3.4.5\n",
            "1.2.3.256\n",
            "01.2.3.4\n",
            "1.2.3.4 \n",
            " 1.2.3.4\n",
            "1.2.3.4\r",
            "1.2.3.4\r\r\n",
            "1.2.3.4:\n",
            "1.2.3.4:0\n",
            "1.2.3.4:65536\n",
            "1.2.3.4:053\n",
            "1.2.3.4:53",
            "1.2.3.0/24\n",
            "1.2.3.4-9\n",
            "1.2.3.4#\n",
            "1..2.3\n",
            "1.2.3.4000\n",
            "::1\n",
            "\u{feff}1.2.3.4\n",
        ] {
            assert_eq!(read(line.as_bytes()), None, "{line:?}");
        }
    }
}
