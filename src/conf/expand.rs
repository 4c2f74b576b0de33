//! Files -> logical lines: includes opened, conditions decided, parameters replaced, repetitions written out.
//!
//! Order of work on a line, as keepalived has it: line end off, comment off, a definition that goes on,
//! condition (`@id`), definition (`$NAME=`), repetition (`~SEQ`, `~LST`), parameters replaced and comment off
//! again, include. What comes out of replaced parameters is looked at from the condition on once more, as
//! keepalived's manual has it.
//!
//! A line that needs no change is a span of its file and is never copied. Lines that are made are collected
//! in a chunk; when it is large enough it becomes a file of its own, and only then can anything point into
//! it. So the expander reads ahead, as long as a chunk is open, and hands lines out when it is closed.
//!
//! Whatever is being read lies on a stack: files, files still to be opened, the lines of a parameter, the
//! turns of a repetition. All of it ends: cycles are found, and depths and sums have limits.

mod braces;
mod built_in;
mod comment;
mod definition;
mod global;
mod hand_out;
mod include;
mod line;
mod parameter;
mod reader;
mod repeat;
mod replace;
mod roots;
mod substitute;
mod wildcard;
mod work;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::rc::Rc;

use super::code::Code;
use super::diagnostic::{Diagnostic, Diagnostics};
use super::options::{IncludeChecks, LanguageOptions};
use super::origin::{Chunk, Expansion, OPEN_CHUNK, Origin};
use super::source::{FileId, Sources, Span};
use parameter::{Block, DefinedLine, Parameters};
use reader::FileReader;
use repeat::Repeat;

pub use roots::{Roots, find_roots};

/// Lines that are read ahead while a chunk is open.
const AHEAD_MAX: usize = 16 << 10;
/// Files in files.
const INCLUDES_MAX: usize = 32;
/// Parameters and repetitions in one another.
const EXPANSIONS_MAX: usize = 64;
/// Bytes of such lines, of values that parameters bring in, and of included files.
const BYTES_MAX: u64 = 1 << 30;

/// What to do about too many lines.
const RAISE: &str = "where so many lines are meant, `--max-lines N` raises the limit";

/// A line that is ready to be split into words: never empty, without blanks around it.
#[derive(Copy, Clone, Debug)]
pub(super) struct Line {
    /// Where its bytes are.
    pub(super) file: FileId,
    pub(super) start: u32,
    pub(super) end: u32,
    /// Its number in the real file, from 1; of a made line that of its expansion.
    pub(super) number: u32,
    /// Its last quote has no partner, which was reported.
    pub(super) quote_open: bool,
    /// A parameter in it could not be replaced, which was reported: braces of `${...}` are no braces.
    pub(super) is_doubtful: bool,
}

/// What is being read.
#[derive(Debug)]
enum Frame<'s> {
    File(FileReader<'s>),
    /// Files that an include found and that are not opened yet.
    Files {
        paths: VecDeque<PathBuf>,
        checks: IncludeChecks,
        at: Span,
    },
    /// The lines of a parameter.
    Lines {
        block: Block,
        next: usize,
        made: Made,
    },
    /// The turns of a repetition, and what stands behind it.
    Repeat {
        repeat: Repeat,
        rest: Rc<[u8]>,
        made: Made,
    },
}

/// Where lines come from that are being made.
#[derive(Copy, Clone, Debug)]
struct Made {
    origin: Origin,
    /// Line of the expansion in its file.
    number: u32,
}

/// A definition whose last line ends in a backslash.
#[derive(Debug)]
struct OpenDefinition {
    name: Vec<u8>,
    at: Span,
    lines: Vec<DefinedLine>,
}

/// Reads all files of a configuration, line by line.
#[derive(Debug)]
pub(super) struct Expander<'s> {
    sources: &'s Sources,
    options: &'s LanguageOptions,
    config_id: Vec<u8>,
    roots: VecDeque<FileId>,
    stack: Vec<Frame<'s>>,
    parameters: Parameters,
    definition: Option<OpenDefinition>,
    /// In force for the file that is being read.
    checks: IncludeChecks,
    /// Where the next line stands, for what `global_defs` says.
    place: global::Place,
    chunk: Chunk,
    /// Lines to be handed out. Those of the open chunk have [`OPEN_CHUNK`] until it is closed.
    ahead: VecDeque<Line>,
    /// The same of diagnostics.
    unplaced: Vec<Diagnostic>,
    lines_made: u64,
    /// Turns of the outermost repetition on the stack and of those inside it.
    turns_made: u64,
    /// Lines of parameters since the last turn, or since the outermost parameter was begun.
    lines_since: u64,
    bytes_read: u64,
    /// A limit was met: nothing more is read.
    is_cut_off: bool,
}

impl<'s> Expander<'s> {
    /// At the beginning of the first of `roots`.
    pub(super) fn new(
        sources: &'s Sources,
        roots: &[FileId],
        options: &'s LanguageOptions,
    ) -> Expander<'s> {
        Expander {
            sources,
            options,
            config_id: options.config_id(),
            roots: roots.iter().copied().collect(),
            stack: Vec::new(),
            parameters: Parameters::new(options.random_seed),
            definition: None,
            checks: options.include_checks,
            place: global::Place::default(),
            chunk: Chunk::default(),
            ahead: VecDeque::new(),
            unplaced: Vec::new(),
            lines_made: 0,
            turns_made: 0,
            lines_since: 0,
            bytes_read: 0,
            is_cut_off: false,
        }
    }

    /// The next line; `None` at the end of the last file.
    #[inline]
    pub(super) fn next(&mut self, diagnostics: &mut Diagnostics) -> Option<Line> {
        if self.ahead.is_empty() {
            self.read_ahead(diagnostics);
        }
        self.ahead.pop_front()
    }

    /// Whether a limit was met, so that the end is not the end of the files.
    pub(super) fn is_cut_off(&self) -> bool {
        self.is_cut_off
    }

    /// Reads until there is a line that can be handed out, or nothing more.
    fn read_ahead(&mut self, diagnostics: &mut Diagnostics) {
        while self.step(diagnostics) {
            if self.chunk.is_empty() {
                if !self.ahead.is_empty() {
                    return;
                }
            } else if self.chunk.is_full() || self.ahead.len() >= AHEAD_MAX {
                break;
            }
        }
        self.close_chunk(diagnostics);
    }

    /// Makes the open chunk a file, and what points into it real.
    fn close_chunk(&mut self, diagnostics: &mut Diagnostics) {
        if self.chunk.is_empty() {
            return;
        }
        let Some(file) = self.chunk.close(self.sources) else {
            self.ahead.retain(|line| line.file != OPEN_CHUNK);
            self.unplaced.clear();
            self.cut_off(
                Diagnostic::new(Code::TooManyFiles, "too many files and generated lines"),
                diagnostics,
            );
            return;
        };
        for line in &mut self.ahead {
            if line.file == OPEN_CHUNK {
                line.file = file;
            }
        }
        for mut found in self.unplaced.drain(..) {
            let labels = found.primary.iter_mut().chain(&mut found.secondary);
            for label in labels.filter(|label| label.span.file == OPEN_CHUNK) {
                label.span.file = file;
            }
            diagnostics.push(found);
        }
    }

    /// One line of a file, one turn of a repetition, or one thing less on the stack. False at the end.
    fn step(&mut self, diagnostics: &mut Diagnostics) -> bool {
        match self.stack.last_mut() {
            None => {
                let Some(root) = self.roots.pop_front() else { return false };
                let reader = FileReader::new(self.sources.file(root), root, self.checks);
                self.begin_file(reader, diagnostics);
            }
            Some(Frame::File(reader)) => match reader.next_line() {
                Some(raw) => {
                    let at = Span::new(raw.file, raw.start, raw.end);
                    self.raw_line(raw, diagnostics);
                    self.limit_bytes(at, diagnostics);
                }
                None => self.close_file(diagnostics),
            },
            Some(Frame::Files { paths, checks, at }) => match paths.pop_front() {
                Some(path) => {
                    let (checks, at) = (*checks, *at);
                    self.open_file(path, checks, at, diagnostics);
                }
                None => drop(self.stack.pop()),
            },
            Some(Frame::Lines { block, next, made }) => match block.lines.get(*next) {
                Some(line) => {
                    *next += 1;
                    let mut made = *made;
                    made.origin.definition = Some(line.at);
                    let text = line.text.clone();
                    self.made_line(text, made, diagnostics);
                }
                None => drop(self.stack.pop()),
            },
            Some(Frame::Repeat { repeat, rest, made }) => {
                let parameters = &mut self.parameters;
                if repeat.advance(|name, value| parameters.define_variable(name, value)) {
                    let (text, made) = (rest.to_vec(), *made);
                    self.made_line(text, made, diagnostics);
                } else {
                    self.stack.pop();
                }
            }
        }
        true
    }

    /// Lines that parameters and repetitions may make, and turns of repetitions.
    fn lines_max(&self) -> u64 {
        self.options.lines_max.unwrap_or(LanguageOptions::LINES_DEFAULT)
    }

    /// Turns that one line may ask for, and lines of parameters that it may bring in between two of them.
    fn lines_of_one_max(&self) -> u64 {
        self.options.lines_max.unwrap_or(LanguageOptions::LINES_OF_ONE_DEFAULT)
    }

    /// Works on a line that is made, if there may be one more.
    fn made_line(&mut self, text: Vec<u8>, made: Made, diagnostics: &mut Diagnostics) {
        self.lines_made += 1;
        self.bytes_read += text.len() as u64;
        let from_one = match self.stack.last() {
            Some(Frame::Repeat { .. }) => {
                self.turns_made += 1;
                self.lines_since = 0;
                self.turns_made
            }
            _ => {
                self.lines_since += 1;
                self.lines_since
            }
        };
        if from_one > self.lines_of_one_max() {
            let most = self.lines_of_one_max();
            let message = format!("this line makes more than {most} lines: the rest is not read");
            let found = Diagnostic::new(Code::TooManyLines, message).at(made.origin.at, "");
            return self.cut_off(found.help(RAISE), diagnostics);
        }
        if self.lines_made > self.lines_max() {
            let what = match made.origin.expansion {
                Expansion::Parameter => "parameters and repetitions make",
                Expansion::Sequence | Expansion::List => "repetitions make",
            };
            let most = self.lines_max();
            let message = format!("{what} more than {most} lines: the rest is not read");
            let found = Diagnostic::new(Code::TooManyLines, message).at(made.origin.at, "");
            return self.cut_off(found.help(RAISE), diagnostics);
        }
        self.work(work::Work::made(text, made), diagnostics);
        self.limit_bytes(made.origin.at, diagnostics);
    }

    /// Stops where what was made so far is more than a configuration may be.
    fn limit_bytes(&mut self, at: Span, diagnostics: &mut Diagnostics) {
        let bytes = self.bytes_read + self.parameters.bytes;
        if bytes > BYTES_MAX && !self.is_cut_off {
            let message = "parameters, repetitions and includes make more than 1 GiB of text: the rest is not read";
            self.cut_off(Diagnostic::new(Code::TooManyLines, message).at(at, ""), diagnostics);
        }
    }

    /// Reads nothing more.
    fn cut_off(&mut self, why: Diagnostic, diagnostics: &mut Diagnostics) {
        diagnostics.push(why);
        self.stack.clear();
        self.roots.clear();
        self.definition = None;
        self.is_cut_off = true;
    }
}

#[cfg(test)]
mod tests;
