//! Where the content of a line ends: before a comment and the blanks in front of it.

use memchr::memchr;

use crate::conf::lexer::is_blank;

/// What stands in a line, as offsets from its first byte.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) struct Scan {
    /// End of the content: comment and trailing blanks are behind it.
    pub(super) end: usize,
    /// A quote without its partner.
    pub(super) quote: Option<usize>,
    /// The first backslash that hides a comment character outside quotes.
    pub(super) escape: Option<usize>,
    /// Whether a comment was cut off.
    pub(super) has_comment: bool,
    /// Whether there is a `$` in the content.
    pub(super) has_dollar: bool,
}

/// Finds the end of a line's content. `#` and `!` outside double quotes begin a comment; a backslash hides
/// the character behind it.
pub(super) fn scan(line: &[u8]) -> Scan {
    let mut quote = None;
    let mut escape = None;
    let mut has_dollar = false;
    let mut pos = 0;
    while let Some(byte) = line.get(pos) {
        match byte {
            b'\\' => {
                if quote.is_none()
                    && escape.is_none()
                    && matches!(line.get(pos + 1), Some(b'#' | b'!'))
                {
                    escape = Some(pos);
                }
                // The hidden character may be a parameter's `$` all the same.
                has_dollar |= line.get(pos + 1) == Some(&b'$');
                pos += 1;
            }
            b'"' if quote.is_none() => quote = Some(pos),
            b'"' => quote = None,
            b'#' | b'!' if quote.is_none() => break,
            b'$' => has_dollar = true,
            _ => {}
        }
        pos += 1;
    }
    let has_comment = pos < line.len();
    let end = trimmed_end(line, pos.min(line.len()));
    Scan { end, quote, escape, has_comment, has_dollar }
}

/// `end` without the blanks before it.
pub(super) fn trimmed_end(line: &[u8], mut end: usize) -> usize {
    while end > 0 && is_blank(line[end - 1]) {
        end -= 1;
    }
    end
}

/// The line with `\#` and `\!` outside double quotes as the bare characters.
pub(super) fn unescaped(line: &[u8]) -> Vec<u8> {
    if memchr(b'\\', line).is_none() {
        return line.to_vec();
    }
    let mut text = Vec::with_capacity(line.len());
    let mut quoted = false;
    let mut pos = 0;
    while pos < line.len() {
        match (line[pos], line.get(pos + 1)) {
            (b'\\', Some(next)) => {
                if quoted || !matches!(next, b'#' | b'!') {
                    text.push(b'\\');
                }
                text.push(*next);
                pos += 2;
                continue;
            }
            (b'"', _) => quoted = !quoted,
            _ => {}
        }
        text.push(line[pos]);
        pos += 1;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_quotes_and_escapes() {
        for (line, content, quote, escape) in [
            ("", "", None, None),
            ("a # b", "a", None, None),
            ("a!b", "a", None, None),
            ("a \"# b\" c ! d", "a \"# b\" c", None, None),
            ("a \"b", "a \"b", Some(2), None),
            ("a \\\" # b", "a \\\"", None, None),
            ("a # \"b", "a", None, None),
            ("a \\# b", "a \\# b", None, Some(2)),
            ("a \"\\#\" b", "a \"\\#\" b", None, None),
            ("a \\", "a \\", None, None),
            ("  \t", "", None, None),
        ] {
            let scan = scan(line.as_bytes());
            let found = (&line[..scan.end], scan.quote, scan.escape);
            assert_eq!(found, (content, quote, escape), "{line:?}");
        }
        assert!(scan(b"a $b").has_dollar && scan(b"a \\$b").has_dollar);
        assert!(!scan(b"a # $b").has_dollar);
    }

    #[test]
    fn escapes_of_comment_characters_go_outside_quotes_only() {
        for (line, text) in [
            ("a\\#b\\!", "a#b!"),
            ("\"a\\#\"\\#", "\"a\\#\"#"),
            ("a\\\\#", "a\\\\#"),
            ("a\\", "a\\"),
        ] {
            assert_eq!(unescaped(line.as_bytes()), text.as_bytes(), "{line:?}");
        }
    }
}
