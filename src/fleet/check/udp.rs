//! `UDP_CHECK`: what to send and what must come back.

use std::sync::Arc;

use crate::conf::blocks::BlockKind;
use crate::conf::{Code, Diagnostic, Directive};
use crate::fleet::checker::Common;
use crate::fleet::effective::{Level, Setting, UdpCheck};
use crate::fleet::lower::Lowering;
use crate::fleet::real_server::Server;

/// What is sent where no `payload` is written: a text, repeated and cut.
const PAYLOAD_DEFAULT: &[u8; 32] = b"keepalived check - keepalived ch";

const MIN_REPLY_LENGTH_DEFAULT: u16 = 0;
const MAX_REPLY_LENGTH_DEFAULT: u16 = 255;

/// A byte and which of its bits count.
type Masked = (u8, u8);

impl Lowering<'_> {
    /// Takes the block of a UDP_CHECK.
    pub(in crate::fleet) fn udp_check(
        &mut self,
        directive: Directive<'_>,
        common: &mut Common,
        _server: &Server,
    ) -> Option<UdpCheck> {
        self.check_header(directive);
        let mut check = UdpCheck {
            payload: Setting::default_of(Arc::from(PAYLOAD_DEFAULT.as_slice())),
            require_reply: Setting::default(),
            pattern: None,
            min_reply_length: Setting::default_of(MIN_REPLY_LENGTH_DEFAULT),
            max_reply_length: Setting::default_of(MAX_REPLY_LENGTH_DEFAULT),
        };
        for child in directive.children() {
            common.is_doubtful |= child.is_doubtful();
            if !self.value(child, BlockKind::UdpCheck) {
                self.udp_option(child, &mut check, common);
            }
        }
        if !common.is_doubtful {
            self.reply_lengths(&check);
        }
        Some(check)
    }

    fn udp_option(&mut self, child: Directive<'_>, check: &mut UdpCheck, common: &mut Common) {
        let header = child.header();
        match self.reader.bytes(child.keyword()) {
            b"payload" => {
                if self.reader.argument(child, "bytes in hexadecimal digits").is_none() {
                    return;
                }
                if let Some(bytes) = self.hex(child, false) {
                    let payload = bytes.into_iter().map(|(byte, _)| byte).collect();
                    check.payload = Setting::written(payload, Level::Checker, header);
                }
            }
            b"require_reply" => {
                check.require_reply = Setting::written(true, Level::Checker, header);
                if !child.arguments().is_empty()
                    && let Some(pattern) = self.hex(child, true)
                {
                    check.pattern = Some(pattern.into());
                }
            }
            keyword @ (b"min_reply_length" | b"max_reply_length") => {
                if let Some(length) = self.reader.number(child, 0..=u64::from(u16::MAX)) {
                    let place = if keyword == b"min_reply_length" {
                        &mut check.min_reply_length
                    } else {
                        &mut check.max_reply_length
                    };
                    *place = Setting::written(length as u16, Level::Checker, header);
                }
            }
            _ => self.common_option(child, common),
        }
    }

    /// All values of a keyword as bytes.
    fn hex(&mut self, child: Directive<'_>, wildcards: bool) -> Option<Vec<Masked>> {
        let mut bytes = Vec::new();
        for span in child.arguments() {
            // Words are separated by blanks, and so are bytes, so each word is complete in itself.
            let Some(word) = hex(self.reader.bytes(*span), wildcards) else {
                let what =
                    if wildcards { "hexadecimal digits and `x`" } else { "hexadecimal digits" };
                let message = format!("`{}` is not made of {what}", self.reader.text(*span));
                self.reader.report(Diagnostic::new(Code::BadHex, message).at(*span, ""));
                return None;
            };
            bytes.extend(word);
        }
        if bytes.last() == Some(&(0xff, 0xff))
            && let Some(last) = child.arguments().last()
        {
            self.reader.report(
                Diagnostic::new(
                    Code::LastByteFf,
                    "keepalived takes a last byte of FF for a mistake",
                )
                .at(*last, "read here as it is meant"),
            );
        }
        if bytes.is_empty() {
            let message = format!("no bytes in `{}`", self.reader.text(child.keyword()));
            self.reader.report(Diagnostic::new(Code::BadHex, message).at(child.header(), ""));
            return None;
        }
        Some(bytes)
    }

    fn reply_lengths(&mut self, check: &UdpCheck) {
        let (least, most) = (check.min_reply_length, check.max_reply_length);
        // With a default of 255 a large minimum alone is as impossible as two wrong limits.
        if least.value > most.value {
            let message =
                format!("no reply has at least {} and at most {} bytes", least.value, most.value);
            let mut found = Diagnostic::new(Code::ReplyLengths, message);
            if let Some(span) = least.origin.span().or(most.origin.span()) {
                found = found.at(span, "this check always fails where lengths count");
            }
            if let (Some(_), Some(span)) = (least.origin.span(), most.origin.span()) {
                found = found.also(span, "the other limit");
            } else {
                found = found.help("`max_reply_length` is 255 where it is not written");
            }
            return self.reader.report(found);
        }
        if check.pattern.is_some() {
            return;
        }
        let limits =
            [(least.origin.span(), least.value > 0), (most.origin.span(), most.value < u16::MAX)];
        for (span, is_limit) in limits {
            if let (Some(span), true) = (span, is_limit) {
                self.reader.report(
                    Diagnostic::new(Code::NoEffect, "a length has no effect without a pattern")
                        .at(span, "keepalived does not look at it")
                        .help("`require_reply` with a pattern, if only `xx`, makes lengths count"),
                );
            }
        }
    }
}

/// Digits in pairs with blanks between as one likes; a single digit before a blank or the end is a byte of
/// its own. `x` stands for any digit.
fn hex(text: &[u8], wildcards: bool) -> Option<Vec<Masked>> {
    let nibble = |byte: u8| -> Option<Masked> {
        match char::from(byte).to_digit(16) {
            Some(digit) => Some((digit as u8, 0xf)),
            None if wildcards && matches!(byte, b'x' | b'X') => Some((0, 0)),
            None => None,
        }
    };
    let is_blank = |byte: u8| matches!(byte, b' ' | b'\t');
    let mut bytes = Vec::new();
    let mut rest = text;
    while let [first, after @ ..] = rest {
        rest = after;
        if is_blank(*first) {
            continue;
        }
        let (value, mask) = nibble(*first)?;
        match after {
            [second, after @ ..] if !is_blank(*second) => {
                let (low, low_mask) = nibble(*second)?;
                bytes.push((value << 4 | low, mask << 4 | low_mask));
                rest = after;
            }
            _ => bytes.push((value, 0xf0 | mask)),
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::check::tests::read;
    use crate::fleet::effective::Check;

    #[test]
    fn hexadecimal_digits_go_in_pairs() {
        for (text, bytes) in [
            ("0123", Some(&[(0x01, 0xff), (0x23, 0xff)][..])),
            ("4 56", Some(&[(0x04, 0xff), (0x56, 0xff)])),
            ("aB", Some(&[(0xab, 0xff)])),
            ("123", Some(&[(0x12, 0xff), (0x03, 0xff)])),
            (" de ad\tbe ", Some(&[(0xde, 0xff), (0xad, 0xff), (0xbe, 0xff)])),
            ("", Some(&[])),
            ("0g", None),
            ("0x01", None),
            ("1x", None),
            ("01-02", None),
        ] {
            assert_eq!(hex(text.as_bytes(), false).as_deref(), bytes, "{text}");
        }
        for (text, bytes) in [
            ("01xx", Some(&[(0x01, 0xff), (0, 0)][..])),
            ("X5", Some(&[(0x05, 0x0f)])),
            ("5x", Some(&[(0x50, 0xf0)])),
            ("x 1", Some(&[(0x00, 0xf0), (0x01, 0xff)])),
            ("0y", None),
        ] {
            assert_eq!(hex(text.as_bytes(), true).as_deref(), bytes, "{text}");
        }
    }

    fn udp(lines: &str) -> UdpCheck {
        match read(&format!("UDP_CHECK {{\n {lines}\n }}")).check {
            Some(Check::Udp(check)) => *check,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_words_of_a_line_are_one_text() {
        let check = udp(
            "payload 0123 4 56 aB\n require_reply 01xx X5\n min_reply_length 3\n max_reply_length 600",
        );
        assert_eq!(&*check.payload.value, [0x01, 0x23, 0x04, 0x56, 0xab]);
        let pattern = check.pattern.expect("a pattern");
        assert_eq!(&*pattern, [(0x01, 0xff), (0x00, 0x00), (0x05, 0x0f)]);
        assert_eq!((check.min_reply_length.value, check.max_reply_length.value), (3, 600));
    }

    /// 2.2.7 refuses it: seen with `keepalived -t`.
    #[test]
    fn a_last_byte_of_ff_is_read_as_it_is_meant() {
        for (line, is_odd) in [
            ("payload ff", true),
            ("payload \"01 02 ff\"", true),
            ("payload 0102FF", true),
            ("require_reply 01 ff", true),
            ("payload ff01", false),
            ("payload 0f f", false),
            ("require_reply fx", false),
        ] {
            let read = read(&format!("UDP_CHECK {{\n {line}\n }}"));
            assert_eq!(read.codes.contains(&"W117"), is_odd, "{line}");
            assert!(!read.codes.contains(&"E065"), "{line}");
        }
        assert_eq!(&*udp("payload 0102FF").payload.value, [1, 2, 0xff]);
    }

    #[test]
    fn what_is_wrong_keeps_the_default() {
        let check = udp("payload 0g\n require_reply zz\n max_reply_length 65536");
        assert_eq!(&*check.payload.value, PAYLOAD_DEFAULT);
        assert!(check.require_reply.value && check.pattern.is_none());
        assert_eq!(check.max_reply_length.value, 255);
    }
}
