//! The lines of one file as they stand there, and what happens where files begin and end.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use memchr::memchr;

use super::include::{self, Identity};
use super::{Expander, Frame, INCLUDES_MAX};
use crate::conf::class::Class;
use crate::conf::code::Code;
use crate::conf::diagnostic::{Diagnostic, Diagnostics};
use crate::conf::options::IncludeChecks;
use crate::conf::source::{FileId, Source, Span};

/// A file that is being read.
#[derive(Debug)]
pub(super) struct FileReader<'s> {
    pub(super) file: FileId,
    pub(super) text: &'s [u8],
    pub(super) directory: &'s Path,
    name: &'s str,
    identity: Option<Identity>,
    pos: usize,
    number: u32,
    /// In force again when this file ends.
    checks_before: IncludeChecks,
}

/// A line as it stands in its file, without its line end.
#[derive(Copy, Clone, Debug)]
pub(super) struct RawLine<'s> {
    pub(super) file: FileId,
    pub(super) whole: &'s [u8],
    pub(super) start: usize,
    pub(super) end: usize,
    /// From 1.
    pub(super) number: u32,
}

impl<'s> FileReader<'s> {
    pub(super) fn new(
        source: &'s Source,
        file: FileId,
        checks_before: IncludeChecks,
    ) -> FileReader<'s> {
        FileReader {
            file,
            text: source.text(),
            directory: source.directory(),
            name: source.name(),
            identity: None,
            pos: 0,
            number: 0,
            checks_before,
        }
    }

    pub(super) fn next_line(&mut self) -> Option<RawLine<'s>> {
        let start = self.pos;
        if start >= self.text.len() {
            return None;
        }
        let newline = memchr(b'\n', &self.text[start..]).map(|end| start + end);
        let mut end = newline.unwrap_or(self.text.len());
        self.pos = newline.map_or(end, |end| end + 1);
        self.number = self.number.saturating_add(1);
        while end > start && self.text[end - 1] == b'\r' {
            end -= 1;
        }
        Some(RawLine { file: self.file, whole: self.text, start, end, number: self.number })
    }
}

impl<'s> Expander<'s> {
    /// The innermost file that is being read.
    pub(super) fn file(&self) -> Option<&FileReader<'s>> {
        self.stack.iter().rev().find_map(|frame| match frame {
            Frame::File(reader) => Some(reader),
            _ => None,
        })
    }

    /// Says what there is to say of how a file is encoded; one that is no text here is not read.
    pub(super) fn begin_file(&mut self, reader: FileReader<'s>, diagnostics: &mut Diagnostics) {
        let source = self.sources.file(reader.file);
        let start = Span::new(reader.file, 0, 0);
        if source.is_utf16() {
            let message = "the file is UTF-16, and keepalived reads bytes: it is not read";
            let found = Diagnostic::new(Code::NulByte, message).class(Class::General);
            let help = "save it as UTF-8, or `iconv -f UTF-16 -t UTF-8`";
            return diagnostics.push(found.at(start, "").help(help));
        }
        if source.has_mark() {
            let found = Diagnostic::new(Code::ByteOrderMark, "a byte order mark before the text");
            let found = found.at(start, "keepalived takes it for a part of the first word");
            diagnostics.push(found.help("save the file as UTF-8 without a mark"));
        }
        self.stack.push(Frame::File(reader));
    }

    /// Leaves a file that was read to its end.
    pub(super) fn close_file(&mut self, diagnostics: &mut Diagnostics) {
        if let Some(Frame::File(reader)) = self.stack.pop() {
            self.checks = reader.checks_before;
        }
        if let Some(open) = self.definition.take() {
            let last = open.lines.last().map_or(open.at, |line| line.at);
            let name = String::from_utf8_lossy(&open.name).into_owned();
            let mut found = Diagnostic::new(
                Code::OpenDefinition,
                format!("the definition of `{name}` goes on where its file ends"),
            )
            .at(last, "the last line of a definition has no backslash");
            if last != open.at {
                found = found.also(open.at, "begun here");
            }
            diagnostics.push(found);
            self.finish_definition(open);
        }
    }

    /// Looks for the files of an include and lays them on the stack. `at` is the line in its real file.
    pub(super) fn include(
        &mut self,
        own: IncludeChecks,
        pattern: &[u8],
        at: Span,
        diagnostics: &mut Diagnostics,
    ) {
        let checks = own.or(self.checks);
        let directory = self.file().map_or(Path::new(""), |reader| reader.directory);
        let found = match include::find(pattern, directory) {
            Ok(found) => found,
            Err(message) => {
                diagnostics.push(Diagnostic::new(Code::TooManyFiles, message).at(at, ""));
                return;
            }
        };
        let mut nothing = false;
        for (name, absence) in &found.missing {
            let is_error = absence.is_error(checks);
            // Of alternatives that are checked, all must be there or none is read.
            nothing |= is_error;
            if *absence == include::Absence::Wildcard && !is_error {
                continue;
            }
            let message = match absence {
                include::Absence::Name => format!("there is no file `{name}`"),
                include::Absence::Wildcard => format!("no file matches `{name}`"),
                include::Absence::Alternative => {
                    format!("no file matches `{name}`, which is one of the alternatives")
                }
            };
            let found = if is_error {
                Diagnostic::new(Code::IncludeMissing, message).at(at, "")
            } else {
                Diagnostic::new(Code::IncludeSkipped, message).at(at, "nothing is included for it")
            };
            diagnostics.push(found);
        }
        if !nothing && !found.files.is_empty() {
            let paths = VecDeque::from(found.files);
            self.stack.push(Frame::Files { paths, checks, at });
        }
    }

    /// Opens one file of an include.
    pub(super) fn open_file(
        &mut self,
        path: PathBuf,
        checks: IncludeChecks,
        at: Span,
        diagnostics: &mut Diagnostics,
    ) {
        if let Some(why) = self.is_deep(&path) {
            diagnostics.push(Diagnostic::new(Code::IncludeCycle, why).at(at, ""));
            return;
        }
        let (text, identity) = match include::read(&path) {
            Ok(read) => read,
            Err(message) => {
                let code = if checks.read { Code::IncludeUnreadable } else { Code::IncludeSkipped };
                diagnostics.push(Diagnostic::new(code, message).at(at, "it is not included"));
                return;
            }
        };
        self.bytes_read += text.len() as u64;
        let source = match Source::included(&path, text, Some(at)) {
            Ok(source) => source,
            Err(error) => {
                let found = Diagnostic::new(Code::IncludeUnreadable, error.to_string());
                diagnostics.push(found.at(at, "it is not included"));
                return;
            }
        };
        let Some(file) = self.sources.add(source) else {
            let found = Diagnostic::new(Code::TooManyFiles, "more than 65535 files");
            return self.cut_off(found.at(at, "the rest is not read"), diagnostics);
        };
        if self.bytes_read > super::BYTES_MAX {
            let message = "includes make more than 1 GiB of text: the rest is not read";
            let found = Diagnostic::new(Code::TooManyLines, message).at(at, "");
            return self.cut_off(found, diagnostics);
        }
        let mut reader = FileReader::new(self.sources.file(file), file, self.checks);
        reader.identity = Some(identity);
        self.begin_file(reader, diagnostics);
    }

    /// Why a file cannot be opened inside those that are open: a sentence.
    fn is_deep(&self, path: &Path) -> Option<String> {
        let identity = include::identity(path);
        let files: Vec<_> = self
            .stack
            .iter()
            .filter_map(|frame| match frame {
                Frame::File(reader) => Some(reader),
                _ => None,
            })
            .collect();
        let is_same = |reader: &&FileReader<'_>| {
            let known = reader.identity.or_else(|| include::identity(Path::new(reader.name)));
            identity.is_some() && known == identity
        };
        if let Some(first) = files.iter().position(is_same) {
            let mut chain: Vec<_> =
                files[first..].iter().map(|reader| format!("`{}`", reader.name)).collect();
            if chain.len() == 1 {
                return Some(format!("the file {} includes itself", chain[0]));
            }
            chain.push(format!("`{}`", path.display()));
            return Some(format!(
                "the file {} includes itself: {}",
                chain[0],
                chain.join(", then ")
            ));
        }
        (files.len() > INCLUDES_MAX)
            .then(|| format!("files included more than {INCLUDES_MAX} deep: this one is not read"))
    }
}
