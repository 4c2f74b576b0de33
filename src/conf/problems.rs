//! Diagnostics at rest: each with its line cut out of the file, so the file itself can go.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use super::class::Class;
use super::code::{Code, Severity};
use super::diagnostic::{Diagnostic, Diagnostics, Label};
use super::source::{Expansion, FileId, Origin, Sources, Span};

/// Bytes of a line that a diagnostic shows. A readable line is shorter (1022); a rejected one may not be.
const SHOWN_BYTES_MAX: usize = 2048;

/// Includes that a diagnostic follows outwards.
const INCLUDES_SHOWN_MAX: usize = 3;

/// A labelled place, with the line it is in. Of a line that was made from parameters or repetitions, file,
/// line and column are those of the expansion, and the text is what was made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Excerpt {
    /// Name of the file.
    pub file: String,
    /// From 1.
    pub line: u32,
    /// In characters, from 1.
    pub column: u32,
    text: String,
    marked: Range<usize>,
    label: Cow<'static, str>,
    expansion: Option<Expansion>,
    /// The path of the file, where its name is not all of it.
    odd_path: Option<PathBuf>,
}

/// One problem, ready to be shown.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    /// Which kind; it also says how bad.
    pub code: Code,
    /// One sentence without a full stop.
    pub message: String,
    /// Where; `None` for the configuration as a whole.
    pub primary: Option<Excerpt>,
    /// Further places that explain the first: those of the problem itself, then where its line was expanded
    /// from, then the lines that include its file.
    pub secondary: Vec<Excerpt>,
    /// What to do about it.
    pub help: Option<Cow<'static, str>>,
    /// What `keepalived -t` makes of it.
    pub keepalived: Class,
    /// How many more lines of the same expansion have it.
    pub more: u64,
}

/// All problems of a configuration: by place, notes last.
#[derive(Clone, Debug, Default)]
pub struct Problems {
    list: Vec<Problem>,
    errors: u64,
    warnings: u64,
    notes: u64,
}

impl Problems {
    /// Cuts the lines out of `sources`.
    pub fn new(diagnostics: Diagnostics, sources: &Sources) -> Problems {
        let severities = [Severity::Error, Severity::Warning, Severity::Note];
        let mut counts = severities.map(|severity| diagnostics.count(severity));
        let mut found = diagnostics.into_list();
        found.sort_by_cached_key(|found| {
            let at = found.primary.as_ref().map(|label| label.span);
            let real = at.map(|at| sources.origin(at).map_or(at, |origin| origin.at));
            // By line, so that what was made in a line stands beside what stands there itself.
            let line = real.map(|real| (real.file, sources.line(real)));
            (found.code.severity() == Severity::Note, line, at)
        });
        let mut list: Vec<Problem> = Vec::new();
        let mut folds = Folds::default();
        for found in found {
            match folds.place(&found, sources, list.len()) {
                Some(known) => {
                    list[known].more += 1;
                    let severity = list[known].code.severity();
                    let place = severities.iter().position(|of| *of == severity);
                    place.into_iter().for_each(|place| counts[place] -= 1);
                }
                None => list.push(Problem::new(found, sources)),
            }
        }
        let [errors, warnings, notes] = counts;
        Problems { list, errors, warnings, notes }
    }

    /// How many of this severity, also those that are not kept in full. What many lines of one expansion have
    /// is one problem.
    pub fn count(&self, severity: Severity) -> u64 {
        match severity {
            Severity::Error => self.errors,
            Severity::Warning => self.warnings,
            Severity::Note => self.notes,
        }
    }

    /// Whether there is nothing at all to say.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Those kept in full (the first [`Diagnostics::KEPT_MAX`] of each severity), by place.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.list.iter()
    }

    /// The text for people: each problem with file, line, column, the line itself and a caret under
    /// the words, separated by blank lines. Empty where there is nothing to say.
    pub fn render(&self, colour: bool) -> String {
        let total = self.errors + self.warnings + self.notes;
        rendered(self.list.iter(), total, "problems", colour)
    }

    /// The same of the errors alone.
    pub fn render_errors(&self, colour: bool) -> String {
        let errors = self.list.iter().filter(|problem| problem.code.severity() == Severity::Error);
        rendered(errors, self.errors, "errors", colour)
    }
}

/// Each of `kept`, and how many of the `total` are not among them.
fn rendered<'a>(
    kept: impl Iterator<Item = &'a Problem>,
    total: u64,
    noun: &str,
    colour: bool,
) -> String {
    let mut text = String::new();
    let mut shown = 0;
    for problem in kept {
        text.push_str(&problem.render(colour));
        text.push_str("\n\n");
        shown += 1;
    }
    if total > shown {
        text.push_str(&format!("{} more {noun} are not shown\n\n", total - shown));
    }
    text
}

/// Finds the same problem in many lines that one expansion made.
#[derive(Default)]
struct Folds {
    /// Index of the first problem of its kind from one line of a definition or repetition. A line may have
    /// several of a kind; the number tells them apart.
    firsts: HashMap<(Code, Origin, u32), usize>,
    /// How many of a kind a made line has had so far.
    counts: HashMap<(Code, FileId, u32), u32>,
    /// The same of what is said about the line that is repeated, each time it is.
    repeated: HashMap<(Code, Span, String), usize>,
}

impl Folds {
    /// The index of the problem that stands for `found` too; `None` where it is the first, at `index`.
    fn place(&mut self, found: &Diagnostic, sources: &Sources, index: usize) -> Option<usize> {
        let span = found.primary.as_ref()?.span;
        let Some(origin) = sources.origin(span) else {
            let key = (found.code, span, found.message.clone());
            let first = *self.repeated.entry(key).or_insert(index);
            return (first != index).then_some(first);
        };
        let line = sources.file(span.file).position(span.start).line;
        let count = self.counts.entry((found.code, span.file, line)).or_insert(0);
        *count += 1;
        let key = (found.code, *origin, *count);
        let first = *self.firsts.entry(key).or_insert(index);
        (first != index).then_some(first)
    }
}

/// Where the line of `span` was expanded from, and what includes its file.
fn surroundings(span: Span, sources: &Sources) -> Vec<Label> {
    let mut labels = Vec::new();
    let mut real = span;
    if let Some(origin) = sources.origin(span) {
        real = origin.at;
        let text: Cow<'static, str> = match origin.expansion {
            Expansion::Parameter => "expanded from this parameter".into(),
            Expansion::Sequence | Expansion::List => {
                format!("expanded from {} here", origin.expansion.as_str()).into()
            }
        };
        labels.push(Label { span: origin.at, text });
        if let Some(definition) = origin.definition {
            labels.push(Label { span: definition, text: "defined here".into() });
        }
    }
    for _ in 0..INCLUDES_SHOWN_MAX {
        let Some(from) = sources.file(real.file).included_from() else { break };
        labels.push(Label { span: from, text: "included from here".into() });
        real = from;
    }
    labels
}

impl Problem {
    fn new(found: Diagnostic, sources: &Sources) -> Problem {
        let around = found.primary.as_ref().map(|label| surroundings(label.span, sources));
        let secondary = found.secondary.into_iter().chain(around.unwrap_or_default());
        Problem {
            code: found.code,
            message: found.message,
            primary: found.primary.map(|label| Excerpt::new(label, sources)),
            secondary: secondary.map(|label| Excerpt::new(label, sources)).collect(),
            help: found.help,
            keepalived: found.keepalived,
            more: 0,
        }
    }

    /// In how many lines it is.
    pub fn occurrences(&self) -> u64 {
        1 + self.more
    }

    /// All places but the first.
    pub fn further(&self) -> impl Iterator<Item = &Excerpt> {
        self.secondary.iter()
    }

    /// This problem alone, without a line end.
    pub fn render(&self, colour: bool) -> String {
        let level = match self.code.severity() {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
            Severity::Note => Level::NOTE,
        };
        let title = level.primary_title(self.message.as_str()).id(self.code.as_str());
        let mut group = Group::with_title(title);
        // Places of one line are drawn into it together.
        let mut lines: Vec<(&Excerpt, Snippet<'_, annotate_snippets::Annotation<'_>>)> = Vec::new();
        let kinds = std::iter::once(AnnotationKind::Primary)
            .chain(std::iter::repeat(AnnotationKind::Context));
        let kinds = kinds.skip(usize::from(self.primary.is_none()));
        for (excerpt, kind) in self.primary.iter().chain(&self.secondary).zip(kinds) {
            match lines.iter_mut().find(|(known, _)| known.is_same_line(excerpt)) {
                Some((_, snippet)) => {
                    *snippet = snippet.clone().annotation(excerpt.annotation(kind));
                }
                None => lines.push((excerpt, excerpt.snippet(kind))),
            }
        }
        group = group.elements(lines.into_iter().map(|(_, snippet)| snippet));
        if self.more > 0 {
            let lines = if self.more == 1 { "line" } else { "lines" };
            let note = format!("and {} more {lines} of this expansion", self.more);
            group = group.element(Level::NOTE.message(note));
        }
        if let Some(help) = &self.help {
            group = group.element(Level::HELP.message(help.as_ref()));
        }
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        renderer.render(&[group])
    }
}

impl Excerpt {
    fn new(label: Label, sources: &Sources) -> Excerpt {
        let source = sources.file(label.span.file);
        let position = source.position(label.span.start);
        let whole = source.line(position.line);
        let line = &whole[..whole.len().min(SHOWN_BYTES_MAX)];
        let start = position.offset_in_line.min(line.len());
        let end = (start + usize::from(label.span.len)).min(line.len());
        // Replacing bytes changes lengths, so the three parts are converted one by one.
        let before = String::from_utf8_lossy(&line[..start]);
        let marked = String::from_utf8_lossy(&line[start..end]);
        let after = String::from_utf8_lossy(&line[end..]);
        let place = sources.place(label.span);
        let real = sources.origin(label.span).map_or(label.span, |origin| origin.at);
        Excerpt {
            file: place.file.replace(char::is_control, "\u{fffd}"),
            line: place.line,
            column: place.column,
            marked: before.len()..before.len() + marked.len(),
            text: format!("{before}{marked}{after}"),
            label: label.text,
            expansion: place.expansion,
            odd_path: sources.file(real.file).odd_path().map(Path::to_path_buf),
        }
    }

    /// The file's path as the system has it; `file` is the same for people.
    pub fn path(&self) -> &Path {
        self.odd_path.as_deref().unwrap_or(Path::new(&self.file))
    }

    /// The line; bytes that are not UTF-8 became U+FFFD.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The place, in bytes of [`text`](Self::text).
    pub fn marked(&self) -> Range<usize> {
        self.marked.clone()
    }

    /// What is said about the place; may be empty.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// What made the line; `None` where it stands in the file as it is shown.
    pub fn expansion(&self) -> Option<Expansion> {
        self.expansion
    }

    fn is_same_line(&self, other: &Excerpt) -> bool {
        (self.line, &self.file, &self.text) == (other.line, &other.file, &other.text)
    }

    fn snippet(&self, kind: AnnotationKind) -> Snippet<'_, annotate_snippets::Annotation<'_>> {
        Snippet::source(self.text.as_str())
            .line_start(self.line as usize)
            .path(self.file.as_str())
            .annotation(self.annotation(kind))
    }

    fn annotation(&self, kind: AnnotationKind) -> annotate_snippets::Annotation<'_> {
        let annotation = kind.span(self.marked.clone());
        if self.label.is_empty() { annotation } else { annotation.label(self.label.as_ref()) }
    }
}
