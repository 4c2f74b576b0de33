//! The files of a configuration in memory, and spans that point into them.
//!
//! A span is 8 bytes and never crosses a line: a million real servers have millions of words. Lines that
//! stand in no file, because parameters or repetitions made them, are kept in texts of their own, which
//! are files to every span. [`Sources::place`] leads from there back to the real file.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::path::{Path, PathBuf};

use elsa::FrozenVec;
use memchr::memchr_iter;
use thiserror::Error;

use super::origin::Generated;
pub use super::origin::{Expansion, Origin};

/// Bytes a line may have before its line end. keepalived reads lines into a buffer of 1024.
pub const LINE_BYTES_MAX: usize = 1022;

/// U+FEFF in UTF-8: some editors put it at the start of a file, where it says nothing.
pub const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Which file of a configuration: position in [`Sources`].
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct FileId(pub u16);

/// Some bytes of one line of one file.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Span {
    /// The file.
    pub file: FileId,
    /// Offset of the first byte.
    pub start: u32,
    /// Number of bytes; 0 for a place between two bytes.
    pub len: u16,
}

impl Span {
    /// From `start` up to but without `end`; a longer span than a line can have is cut.
    pub fn new(file: FileId, start: usize, end: usize) -> Span {
        let len = u16::try_from(end.saturating_sub(start)).unwrap_or(u16::MAX);
        Span { file, start: start as u32, len }
    }

    /// From the start of this span to the end of a later one of the same line.
    pub fn to(self, last: Span) -> Span {
        let end = last.start as usize + usize::from(last.len);
        Span::new(self.file, self.start as usize, end)
    }
}

/// Where a span begins, as people count.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Position {
    /// From 1.
    pub line: u32,
    /// Bytes before the span in its line.
    pub offset_in_line: usize,
}

/// The file is larger than a span can point into.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("{name}: {bytes} bytes are more than a configuration file may have ({max})", max = Source::BYTES_MAX)]
pub struct SourceTooLarge {
    /// Name of the file.
    pub name: String,
    /// Its size.
    pub bytes: usize,
}

/// A place in a real file, as people count.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Place<'s> {
    /// Name of the file.
    pub file: &'s str,
    /// From 1.
    pub line: u32,
    /// In characters, from 1. Of a generated line: where the expansion stands.
    pub column: u32,
    /// What made the line; `None` where it stands in the file as it was read.
    pub expansion: Option<Expansion>,
}

/// Where a text comes from.
#[derive(Debug)]
enum Kind {
    /// A file, or what was given instead of one.
    File {
        /// Its names of other files start here; empty for the current directory.
        directory: PathBuf,
        /// Its name, where that is not the path as it is: bytes that are no text, control characters.
        odd_path: Option<PathBuf>,
        /// The line that includes it; `None` for a root file.
        included_from: Option<Span>,
    },
    /// Lines that were made.
    Generated(Generated),
}

/// One file, whole; or lines that were made from parameters and repetitions.
#[derive(Debug)]
pub struct Source {
    name: String,
    text: Vec<u8>,
    kind: Kind,
    has_mark: bool,
    /// Offset of each line's first byte. Made when the first diagnostic asks, so that a clean file of
    /// millions of lines never pays for it.
    line_starts: OnceCell<Vec<u32>>,
}

impl Source {
    /// Largest file: offsets are 32 bits.
    pub const BYTES_MAX: usize = u32::MAX as usize - 1;

    /// Takes a text that is no file: names of files in it start at the current directory. `name` is how
    /// diagnostics call it.
    pub fn new(name: impl Into<String>, text: Vec<u8>) -> Result<Source, SourceTooLarge> {
        let directory = PathBuf::new();
        let kind = Kind::File { directory, odd_path: None, included_from: None };
        Source::with(name.into(), text, kind)
    }

    /// Takes the text of the file at `path`, which is its name too.
    pub fn of_file(path: &Path, text: Vec<u8>) -> Result<Source, SourceTooLarge> {
        Source::included(path, text, None)
    }

    /// The same of a file that the line at `from` includes.
    pub(super) fn included(
        path: &Path,
        text: Vec<u8>,
        from: Option<Span>,
    ) -> Result<Source, SourceTooLarge> {
        let directory = path.parent().map(Path::to_path_buf).unwrap_or_default();
        let is_odd = path.to_str().is_none_or(|name| name.contains(char::is_control));
        let kind = Kind::File {
            directory,
            odd_path: is_odd.then(|| path.to_path_buf()),
            included_from: from,
        };
        Source::with(path.display().to_string(), text, kind)
    }

    /// Takes lines that were made.
    pub(super) fn generated(text: Vec<u8>, generated: Generated) -> Source {
        let kind = Kind::Generated(generated);
        Source { name: String::new(), text, kind, has_mark: false, line_starts: OnceCell::new() }
    }

    fn with(name: String, mut text: Vec<u8>, kind: Kind) -> Result<Source, SourceTooLarge> {
        if text.len() > Self::BYTES_MAX {
            return Err(SourceTooLarge { name, bytes: text.len() });
        }
        let has_mark = text.starts_with(BYTE_ORDER_MARK);
        if has_mark {
            text.drain(..BYTE_ORDER_MARK.len());
        }
        Ok(Source { name, text, kind, has_mark, line_starts: OnceCell::new() })
    }

    /// Whether a byte order mark stood before the text.
    pub(super) fn has_mark(&self) -> bool {
        self.has_mark
    }

    /// Whether the text is UTF-16: it begins with that encoding's mark, or every other one of its first
    /// bytes is NUL.
    pub(super) fn is_utf16(&self) -> bool {
        let first = &self.text[..self.text.len().min(32) & !1];
        let every_other_is_nul = |offset: usize| {
            let is_nul = |(place, byte): (usize, &u8)| (*byte == 0) == (place % 2 == offset);
            first.len() >= 4 && first.iter().enumerate().all(is_nul)
        };
        matches!(first, [0xff, 0xfe, ..] | [0xfe, 0xff, ..])
            || every_other_is_nul(0)
            || every_other_is_nul(1)
    }

    /// Whether these lines were made and stand in no file.
    pub fn is_generated(&self) -> bool {
        matches!(self.kind, Kind::Generated(_))
    }

    /// The line that includes this file; `None` for a root file.
    pub fn included_from(&self) -> Option<Span> {
        match self.kind {
            Kind::File { included_from, .. } => included_from,
            Kind::Generated(_) => None,
        }
    }

    /// Where names of files in it start; empty for the current directory.
    pub fn directory(&self) -> &Path {
        match &self.kind {
            Kind::File { directory, .. } => directory,
            Kind::Generated(_) => Path::new(""),
        }
    }

    /// Its path, where the name is not all of it: a path may have bytes that are no text.
    pub(super) fn odd_path(&self) -> Option<&Path> {
        match &self.kind {
            Kind::File { odd_path, .. } => odd_path.as_deref(),
            Kind::Generated(_) => None,
        }
    }

    /// How diagnostics call it; empty for generated lines.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// All its bytes but a byte order mark.
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// Line and place in the line of an offset.
    pub fn position(&self, offset: u32) -> Position {
        let starts = self.line_starts();
        let index = starts.partition_point(|start| *start <= offset).saturating_sub(1);
        Position { line: index as u32 + 1, offset_in_line: (offset - starts[index]) as usize }
    }

    /// The bytes of a line, from 1, without its line end; empty where there is no such line.
    pub fn line(&self, line: u32) -> &[u8] {
        let starts = self.line_starts();
        let index = (line as usize).wrapping_sub(1);
        let Some(start) = starts.get(index) else { return &[] };
        let end = starts.get(index + 1).map_or(self.text.len(), |next| *next as usize);
        let line = &self.text[*start as usize..end];
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let kept = line.iter().rposition(|byte| *byte != b'\r').map_or(0, |last| last + 1);
        &line[..kept]
    }

    fn line_starts(&self) -> &[u32] {
        self.line_starts.get_or_init(|| {
            let ends = memchr_iter(b'\n', &self.text).map(|end| end as u32 + 1);
            std::iter::once(0).chain(ends).collect()
        })
    }
}

/// All files of one configuration. Files can be added while spans and texts of others are in use.
#[derive(Default)]
pub struct Sources {
    files: FrozenVec<Box<Source>>,
}

impl std::fmt::Debug for Sources {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.files.iter().map(Source::name)).finish()
    }
}

impl Sources {
    /// Files at most, generated ones counted too.
    pub const FILES_MAX: usize = u16::MAX as usize;

    /// Adds a file; `None` when there are 65,535 already.
    pub fn add(&self, source: Source) -> Option<FileId> {
        let id = self.files.len();
        if id >= Self::FILES_MAX {
            return None;
        }
        self.files.push(Box::new(source));
        Some(FileId(id as u16))
    }

    /// A file that was added.
    pub fn file(&self, id: FileId) -> &Source {
        &self.files[usize::from(id.0)]
    }

    /// All files, in the order they were added; generated lines among them.
    pub fn iter(&self) -> impl Iterator<Item = &Source> {
        self.files.iter()
    }

    /// The bytes a span points at.
    pub fn bytes(&self, span: Span) -> &[u8] {
        let start = span.start as usize;
        &self.file(span.file).text[start..start + usize::from(span.len)]
    }

    /// The text a span points at, for messages: bytes that are not UTF-8 become U+FFFD.
    pub fn text(&self, span: Span) -> Cow<'_, str> {
        String::from_utf8_lossy(self.bytes(span))
    }

    /// Line of a span in its real file, from 1.
    pub fn line(&self, span: Span) -> u32 {
        let at = self.origin(span).map_or(span, |origin| origin.at);
        self.file(at.file).position(at.start).line
    }

    /// What made the line of a span; `None` where it stands in its file as it was read.
    pub fn origin(&self, span: Span) -> Option<&Origin> {
        match &self.file(span.file).kind {
            Kind::File { .. } => None,
            Kind::Generated(generated) => generated.origin(span.start),
        }
    }

    /// Where a span is for people: its place in the real file, or that of the expansion that made it.
    pub fn place(&self, span: Span) -> Place<'_> {
        let origin = self.origin(span);
        let at = origin.map_or(span, |origin| origin.at);
        let source = self.file(at.file);
        let position = source.position(at.start);
        let line = source.line(position.line);
        let before = &line[..position.offset_in_line.min(line.len())];
        Place {
            file: source.name(),
            line: position.line,
            column: String::from_utf8_lossy(before).chars().count() as u32 + 1,
            expansion: origin.map(|origin| origin.expansion),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_lines_from_one() {
        let source = Source::new("x", b"ab\r\n\ncd".to_vec()).expect("small");
        for (offset, line, column) in
            [(0, 1, 0), (1, 1, 1), (3, 1, 3), (4, 2, 0), (5, 3, 0), (7, 3, 2)]
        {
            assert_eq!(
                source.position(offset),
                Position { line, offset_in_line: column },
                "{offset}"
            );
        }
        assert_eq!(source.line(1), b"ab");
        assert_eq!(source.line(2), b"");
        assert_eq!(source.line(3), b"cd");
        assert_eq!(source.line(4), b"");
        assert_eq!(source.line(0), b"");
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_the_text() {
        let text = |bytes: &[u8]| Source::new("x", bytes.to_vec()).expect("small").text().to_vec();
        assert_eq!(text(b"\xef\xbb\xbfab"), b"ab");
        assert_eq!(text(b"a\xef\xbb\xbfb"), b"a\xef\xbb\xbfb");
    }

    #[test]
    fn utf_16_is_known_by_its_mark_or_its_nul_bytes() {
        let encoded = |text: &str, mark: &[u8], of: fn(u16) -> [u8; 2]| {
            let units = text.encode_utf16().flat_map(of);
            Source::new("x", mark.iter().copied().chain(units).collect()).expect("small").is_utf16()
        };
        let text = "global_defs {\n}\n";
        assert!(encoded(text, b"", u16::to_le_bytes) && encoded(text, b"", u16::to_be_bytes));
        assert!(encoded("\u{e9}\n", b"\xff\xfe", u16::to_le_bytes));
        assert!(encoded("\u{416}\n", b"\xfe\xff", u16::to_be_bytes));
        for text in [&b""[..], b"ab", b"a\0", b"a\0bc", b"\0\0\0\0", b"\xff\n"] {
            assert!(!Source::new("x", text.to_vec()).expect("small").is_utf16(), "{text:?}");
        }
    }

    #[test]
    fn a_span_is_eight_bytes() {
        assert_eq!(size_of::<Span>(), 8);
    }
}
