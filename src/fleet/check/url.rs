//! `url` of HTTP_GET and SSL_GET: what to ask for and what the answer must be.

use std::sync::Arc;

use super::{OptionalText, regex};
use crate::conf::blocks::BlockKind;
use crate::conf::{Code, Diagnostic, Directive, Span};
use crate::fleet::effective::{Level, Setting, StatusCodes, Url};
use crate::fleet::lower::Lowering;

/// HTTP's status codes as keepalived knows them.
const STATUS_CODE_MIN: u16 = 100;
const STATUS_CODE_MAX: u16 = 599;

/// What passes where no `status_code` is written.
const STATUS_CODES_DEFAULT: (u16, u16) = (200, 299);

/// A url while its block is read.
#[derive(Debug, Default)]
struct Draft {
    path: Option<Setting<Arc<[u8]>>>,
    /// Whether `path` is written, well or badly.
    has_path: bool,
    digest: Setting<Option<[u8; 16]>>,
    codes: Vec<(u16, u16)>,
    /// The first `status_code`.
    codes_span: Option<Span>,
    virtualhost: OptionalText,
    tls_compliant: Setting<bool>,
    regex: regex::Draft,
    is_doubtful: bool,
}

impl Lowering<'_> {
    /// Takes a `url` block; `None` without a path, where keepalived drops it.
    pub(super) fn url(&mut self, directive: Directive<'_>, is_tls: bool) -> Option<Url> {
        self.check_header(directive);
        let mut draft = Draft::default();
        for child in directive.children() {
            draft.is_doubtful |= child.is_doubtful();
            if self.is_cut_by_brace(child) {
                draft.is_doubtful = true;
            } else if !self.value(child, BlockKind::Url) {
                self.url_option(child, &mut draft, is_tls);
            }
        }
        let regex = self.regex(draft.regex, draft.is_doubtful);
        let Some(path) = draft.path else {
            if !draft.has_path && !draft.is_doubtful && !directive.is_doubtful() {
                self.missing(directive, "path", "keepalived ignores it");
            }
            return None;
        };
        let codes = match draft.codes_span {
            Some(span) if !draft.codes.is_empty() => {
                Setting::written(StatusCodes(merged(draft.codes)), Level::Checker, span)
            }
            _ => Setting::default_of(StatusCodes(vec![STATUS_CODES_DEFAULT])),
        };
        Some(Url {
            header: directive.header(),
            path,
            digest: draft.digest,
            status_codes: codes,
            virtualhost: draft.virtualhost,
            tls_compliant: draft.tls_compliant,
            regex,
        })
    }

    /// A pattern without quotes ends at its first brace, and the rest is read as a block.
    fn is_cut_by_brace(&mut self, child: Directive<'_>) -> bool {
        let is_cut = child.block().is_some() && self.reader.bytes(child.keyword()) == b"regex";
        if is_cut {
            self.reader.report(
                Diagnostic::new(Code::BadRegex, "a `{` ends this pattern and opens a block")
                    .at(child.header(), "a `{` follows")
                    .help("put the pattern in double quotes"),
            );
        }
        is_cut
    }

    fn url_option(&mut self, child: Directive<'_>, draft: &mut Draft, is_tls: bool) {
        if !is_tls {
            self.needs_tls(child);
        }
        match self.reader.bytes(child.keyword()) {
            b"path" => {
                draft.has_path = true;
                draft.path = self.path(child).or(draft.path.take());
            }
            b"digest" => self.digest(child, &mut draft.digest),
            b"status_code" => {
                draft.codes_span.get_or_insert(child.header());
                self.status_codes(child, &mut draft.codes);
            }
            b"virtualhost" => self.text(child, "the name of a host", &mut draft.virtualhost),
            b"tls_compliant" => {
                self.later(child);
                self.flag(child, &mut draft.tls_compliant);
            }
            _ => self.regex_option(child, &mut draft.regex),
        }
    }

    fn path(&mut self, child: Directive<'_>) -> Option<Setting<Arc<[u8]>>> {
        let span = self.reader.argument(child, "the path of a page")?;
        self.reader.ignored_after(child, 1);
        let path = self.reader.bytes(span);
        // A proxy is asked for a whole URI (RFC 9112 section 3.2.2).
        if !path.starts_with(b"/") && memchr::memmem::find(path, b"://").is_none() {
            let message = format!("`{}` does not begin with `/`", self.reader.text(span));
            self.reader.report(
                Diagnostic::new(Code::OddPath, message)
                    .at(span, "sent as it is, which servers refuse"),
            );
        }
        Some(Setting::written(path.into(), Level::Checker, child.header()))
    }

    fn digest(&mut self, child: Directive<'_>, place: &mut Setting<Option<[u8; 16]>>) {
        let Some(span) = self.reader.argument(child, "an MD5 digest") else { return };
        self.reader.ignored_after(child, 1);
        if let Some(first) = place.origin.span() {
            return self.reader.report(
                Diagnostic::new(Code::Repeated, "second `digest` in one url")
                    .at(child.header(), "this one is ignored")
                    .also(first, "the one that counts"),
            );
        }
        let text = self.reader.bytes(span);
        if let Some(digest) = md5(text) {
            *place = Setting::written(Some(digest), Level::Checker, child.header());
            return;
        }
        let label = match text.iter().find(|byte| !byte.is_ascii_hexdigit()) {
            None => format!("{} digits, 32 are wanted", text.len()),
            Some(_) => "32 hexadecimal digits are wanted".to_owned(),
        };
        let message = format!("`{}` is no MD5 digest", self.reader.text(span));
        self.reader.report(Diagnostic::new(Code::BadDigest, message).at(span, label));
    }

    /// Codes and ranges of codes; those of several lines add up.
    fn status_codes(&mut self, child: Directive<'_>, codes: &mut Vec<(u16, u16)>) {
        self.reader.argument(child, "a status code");
        for span in child.arguments() {
            match status_codes(self.reader.bytes(*span)) {
                Ok(range) => codes.push(range),
                Err(why) => {
                    let word = self.reader.bytes(*span);
                    let message = format!("`{}` is no status code", self.reader.text(*span));
                    let mut found = Diagnostic::new(Code::BadStatusCode, message).at(*span, why);
                    if word.contains(&b',') {
                        found =
                            found.help("codes and ranges have blanks between them: `200-299 404`");
                    }
                    self.reader.report(found);
                }
            }
        }
    }
}

/// 32 hexadecimal digits.
fn md5(text: &[u8]) -> Option<[u8; 16]> {
    let mut digest = [0; 16];
    if text.len() != 32 {
        return None;
    }
    for (byte, digits) in digest.iter_mut().zip(text.chunks_exact(2)) {
        let digit = |place: usize| char::from(digits[place]).to_digit(16);
        *byte = (digit(0)? << 4 | digit(1)?) as u8;
    }
    Some(digest)
}

/// `CODE` or `LOW-HIGH`.
fn status_codes(word: &[u8]) -> Result<(u16, u16), &'static str> {
    let code = |text: &[u8]| -> Result<u16, &'static str> {
        let digits = text.iter().all(u8::is_ascii_digit).then_some(text);
        let code = digits.and_then(|text| std::str::from_utf8(text).ok()?.parse().ok());
        match code {
            Some(code @ STATUS_CODE_MIN..=STATUS_CODE_MAX) => Ok(code),
            Some(_) => Err("codes are 100 to 599"),
            None => Err("neither a code nor two with `-` between"),
        }
    };
    let Some(dash) = memchr::memchr(b'-', word) else {
        return code(word).map(|code| (code, code));
    };
    let (low, high) = (code(&word[..dash])?, code(&word[dash + 1..])?);
    if low > high { Err("the first is above the second") } else { Ok((low, high)) }
}

/// Sorted, neither touching nor overlapping.
fn merged(mut codes: Vec<(u16, u16)>) -> Vec<(u16, u16)> {
    codes.sort_unstable();
    let mut merged: Vec<(u16, u16)> = Vec::with_capacity(codes.len());
    for (low, high) in codes {
        match merged.last_mut() {
            Some(last) if low <= last.1.saturating_add(1) => last.1 = last.1.max(high),
            _ => merged.push((low, high)),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::check::tests::http;

    #[test]
    fn status_codes_are_codes_or_ranges() {
        for (word, range) in [
            ("200", Some((200, 200))),
            ("0300", Some((300, 300))),
            ("100-599", Some((100, 599))),
            ("404-404", Some((404, 404))),
            ("99", None),
            ("600", None),
            ("200-600", None),
            ("300-200", None),
            ("2xx", None),
            ("200-", None),
            ("-200", None),
            ("200-x", None),
            ("200-201-202", None),
            ("200,201", None),
            ("+200", None),
            ("99999999999999999999", None),
            ("", None),
        ] {
            assert_eq!(status_codes(word.as_bytes()).ok(), range, "{word}");
        }
    }

    #[test]
    fn ranges_of_several_lines_become_one_set() {
        let codes = |lines: &str| {
            let url = format!("HTTP_GET {{\n url {{\n path /\n {lines}\n }}\n }}");
            http(&url).0.urls[0].status_codes.value.0.clone()
        };
        assert_eq!(
            codes("status_code 200-299 301 302 404-404\n status_code 503"),
            [(200, 299), (301, 302), (404, 404), (503, 503)]
        );
        assert_eq!(codes("status_code 300-310\n status_code 200-305 311"), [(200, 311)]);
        assert_eq!(codes("status_code 599 100-598"), [(100, 599)]);
        assert_eq!(codes("status_code 2xx"), [(200, 299)]);
    }

    #[test]
    fn digests_are_of_either_case() {
        assert_eq!(
            md5(b"D41D8CD98F00B204E9800998ECF8427E"),
            md5(b"d41d8cd98f00b204e9800998ecf8427e")
        );
        assert_eq!(
            md5(b"000102030405060708090a0b0c0d0e0f"),
            Some(std::array::from_fn(|n| n as u8))
        );
        for wrong in
            ["", "d4", "d41d8cd98f00b204e9800998ecf8427", "g41d8cd98f00b204e9800998ecf8427e"]
        {
            assert_eq!(md5(wrong.as_bytes()), None, "{wrong}");
        }
    }
}
