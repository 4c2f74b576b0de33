//! Diagnostics at rest: each with its line cut out of the file, so the file itself can go.

use std::borrow::Cow;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use super::class::Class;
use super::code::{Code, Severity};
use super::diagnostic::{Diagnostic, Diagnostics, Label};
use super::source::Sources;

/// Bytes of a line that a diagnostic shows. A readable line is shorter (1022); a rejected one may not be.
const SHOWN_BYTES_MAX: usize = 2048;

/// A labelled place, with the line it is in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Excerpt {
    /// Name of the file.
    pub file: String,
    /// From 1.
    pub line: u32,
    /// In characters, from 1.
    pub column: u32,
    /// The line; bytes that are not UTF-8 became U+FFFD.
    text: String,
    /// The place, in bytes of `text`.
    marked: Range<usize>,
    label: Cow<'static, str>,
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
    /// A second place that explains the first.
    pub secondary: Option<Excerpt>,
    /// What to do about it.
    pub help: Option<Cow<'static, str>>,
    /// How keepalived's own test takes it.
    pub keepalived: Class,
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
        let errors = diagnostics.count(Severity::Error);
        let warnings = diagnostics.count(Severity::Warning);
        let notes = diagnostics.count(Severity::Note);
        let mut list = diagnostics.into_list();
        list.sort_by_key(|found| {
            (found.code.severity() == Severity::Note, found.primary.as_ref().map(|at| at.span))
        });
        let list = list.into_iter().map(|found| Problem::new(found, sources)).collect();
        Problems { list, errors, warnings, notes }
    }

    /// How many of this severity, also those that are not kept in full.
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

impl Problem {
    fn new(found: Diagnostic, sources: &Sources) -> Problem {
        Problem {
            code: found.code,
            message: found.message,
            primary: found.primary.map(|label| Excerpt::new(label, sources)),
            secondary: found.secondary.map(|label| Excerpt::new(label, sources)),
            help: found.help,
            keepalived: found.code.class(),
        }
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
        match (&self.primary, &self.secondary) {
            (Some(primary), Some(secondary))
                if primary.file == secondary.file && primary.line == secondary.line =>
            {
                let snippet = primary.snippet(AnnotationKind::Primary);
                group = group.element(snippet.annotation(secondary.context()));
            }
            (primary, secondary) => {
                if let Some(primary) = primary {
                    group = group.element(primary.snippet(AnnotationKind::Primary));
                }
                if let Some(secondary) = secondary {
                    group = group.element(secondary.snippet(AnnotationKind::Context));
                }
            }
        }
        if let Some(help) = &self.help {
            group = group.element(Level::HELP.message(help.as_ref()));
        }
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        renderer.render(&[group])
    }
}

impl Excerpt {
    /// The line; bytes that are not UTF-8 became U+FFFD.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The place, in bytes of the line.
    pub fn marked(&self) -> Range<usize> {
        self.marked.clone()
    }

    /// What is said about the place; may be empty.
    pub fn label(&self) -> &str {
        &self.label
    }

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
        let column = before.chars().count() as u32 + 1;
        Excerpt {
            file: source.name().to_owned(),
            line: position.line,
            column,
            marked: before.len()..before.len() + marked.len(),
            text: format!("{before}{marked}{after}"),
            label: label.text,
        }
    }

    fn snippet(&self, kind: AnnotationKind) -> Snippet<'_, annotate_snippets::Annotation<'_>> {
        Snippet::source(self.text.as_str())
            .line_start(self.line as usize)
            .path(self.file.as_str())
            .annotation(self.annotation(kind))
    }

    fn context(&self) -> annotate_snippets::Annotation<'_> {
        self.annotation(AnnotationKind::Context)
    }

    fn annotation(&self, kind: AnnotationKind) -> annotate_snippets::Annotation<'_> {
        let annotation = kind.span(self.marked.clone());
        if self.label.is_empty() { annotation } else { annotation.label(self.label.as_ref()) }
    }
}
