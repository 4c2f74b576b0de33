//! Where generated lines come from: a table beside their text.

use std::collections::HashMap;

use super::source::{FileId, Source, Sources, Span};

/// What makes lines that stand in no file.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub enum Expansion {
    /// `$NAME`, `${NAME}`
    Parameter,
    /// `~SEQ`, `~SEQx`
    Sequence,
    /// `~LST`
    List,
}

impl Expansion {
    /// As diagnostics call it.
    pub fn as_str(self) -> &'static str {
        match self {
            Expansion::Parameter => "parameter",
            Expansion::Sequence => "`~SEQ`",
            Expansion::List => "`~LST`",
        }
    }
}

/// What made a generated line. Both places are in real files.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub struct Origin {
    /// The outermost expansion: the parameter, or `~SEQ(...)`, where it stands in a file.
    pub at: Span,
    /// What stands there.
    pub expansion: Expansion,
    /// Where the text is written: the line of a definition of several lines, or the definition of the
    /// first parameter. `None` where that is the line of the expansion itself, or a built-in parameter.
    pub definition: Option<Span>,
}

/// A line of the table.
#[derive(Copy, Clone, Debug)]
struct Entry {
    /// Offset of the line's first byte.
    start: u32,
    /// Index of its origin.
    origin: u32,
}

/// The origins of all lines of one text. A block that is repeated a million times has few origins.
#[derive(Debug, Default)]
pub(super) struct Generated {
    entries: Vec<Entry>,
    origins: Vec<Origin>,
}

impl Generated {
    /// What made the line with the byte at `offset`.
    pub(super) fn origin(&self, offset: u32) -> Option<&Origin> {
        let behind = self.entries.partition_point(|entry| entry.start <= offset);
        let entry = self.entries.get(behind.checked_sub(1)?)?;
        self.origins.get(entry.origin as usize)
    }
}

/// Generated lines that are still being added to. Nothing points into them yet.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    text: Vec<u8>,
    table: Generated,
    known: HashMap<Origin, u32, foldhash::fast::FixedState>,
}

/// The file of spans into the chunk that is being added to.
pub(super) const OPEN_CHUNK: FileId = FileId(u16::MAX);

impl Chunk {
    /// Text of a chunk after which it is closed.
    const BYTES: usize = 256 << 10;

    /// Whether nothing is in it.
    pub(super) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Whether it is time to close it.
    pub(super) fn is_full(&self) -> bool {
        self.text.len() >= Self::BYTES
    }

    /// Adds a line; gives its offset.
    pub(super) fn push(&mut self, line: &[u8], origin: Origin) -> usize {
        let start = self.text.len();
        self.text.extend_from_slice(line);
        self.text.push(b'\n');
        let table = &mut self.table;
        let origin = *self.known.entry(origin).or_insert_with(|| {
            table.origins.push(origin);
            table.origins.len() as u32 - 1
        });
        table.entries.push(Entry { start: start as u32, origin });
        start
    }

    /// Makes it a file and begins a new one; `None` when there are too many files.
    pub(super) fn close(&mut self, sources: &Sources) -> Option<FileId> {
        let Chunk { mut text, mut table, .. } = std::mem::take(self);
        text.shrink_to_fit();
        table.entries.shrink_to_fit();
        sources.add(Source::generated(text, table))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_of_a_generated_line_leads_to_its_expansion() {
        let sources = Sources::default();
        let text = b"a\n~SEQ(N, 1, 2) b $N\n".to_vec();
        let file = sources.add(Source::new("x", text).expect("small")).expect("the first");
        let at = Span::new(file, 2, 15);
        let origin = Origin { at, expansion: Expansion::Sequence, definition: None };
        let mut chunk = Chunk::default();
        assert_eq!(chunk.push(b"b 1", origin), 0);
        assert_eq!(chunk.push(b"b 2", Origin { definition: Some(at), ..origin }), 4);
        let made = chunk.close(&sources).expect("the second");
        for (start, definition) in [(0, None), (2, None), (4, Some(at)), (6, Some(at))] {
            let span = Span::new(made, start, start + 1);
            let found = sources.origin(span).expect("generated");
            assert_eq!((found.at, found.definition), (at, definition), "{start}");
            let place = sources.place(span);
            assert_eq!((place.file, place.line, place.column), ("x", 2, 1));
            assert_eq!(place.expansion, Some(Expansion::Sequence));
            assert_eq!(sources.line(span), 2);
        }
        assert_eq!(sources.text(Span::new(made, 4, 7)), "b 2");
        assert!(chunk.is_empty());
    }
}
