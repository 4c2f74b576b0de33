//! Diagnostics while they are collected: spans and words, no text of the file yet.

use std::borrow::Cow;

use super::class::Class;
use super::code::{Code, Severity};
use super::source::Span;

/// A place in a file and what to say about it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Label {
    /// The place.
    pub span: Span,
    /// Shown behind the caret; may be empty.
    pub text: Cow<'static, str>,
}

/// One problem of a configuration.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Diagnostic {
    /// Which kind; it also says how bad.
    pub code: Code,
    /// One sentence without a full stop.
    pub message: String,
    /// Where; `None` for the configuration as a whole.
    pub primary: Option<Label>,
    /// Further places that explain the first ("first defined here").
    pub secondary: Vec<Label>,
    /// What to do about it.
    pub help: Option<Cow<'static, str>>,
    /// What `keepalived -t` makes of it.
    pub keepalived: Class,
}

impl Diagnostic {
    /// A problem of the configuration as a whole, until [`at`](Self::at) gives it a place.
    pub fn new(code: Code, message: impl Into<String>) -> Diagnostic {
        Diagnostic {
            code,
            message: message.into(),
            primary: None,
            secondary: Vec::new(),
            help: None,
            keepalived: code.class(),
        }
    }

    /// Says where.
    pub fn at(mut self, span: Span, text: impl Into<Cow<'static, str>>) -> Diagnostic {
        self.primary = Some(Label { span, text: text.into() });
        self
    }

    /// Adds a further place.
    pub fn also(mut self, span: Span, text: impl Into<Cow<'static, str>>) -> Diagnostic {
        self.secondary.push(Label { span, text: text.into() });
        self
    }

    /// Says what `keepalived -t` makes of it, where that is not what it makes of most of this kind.
    pub fn class(mut self, class: Class) -> Diagnostic {
        self.keepalived = class;
        self
    }

    /// Says what to do about it.
    pub fn help(mut self, text: impl Into<Cow<'static, str>>) -> Diagnostic {
        self.help = Some(text.into());
        self
    }
}

/// All problems of one run.
#[derive(Clone, Debug, Default)]
pub struct Diagnostics {
    list: Vec<Diagnostic>,
    errors: u64,
    warnings: u64,
    notes: u64,
}

impl Diagnostics {
    /// Kept in full of each severity. More are counted only, so that a bad file of any size costs bounded memory.
    pub const KEPT_MAX: u64 = 10_000;

    /// Adds one.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        // Counted by severity, so that warnings never crowd out the error that says why nothing is probed.
        let count = match diagnostic.code.severity() {
            Severity::Error => &mut self.errors,
            Severity::Warning => &mut self.warnings,
            Severity::Note => &mut self.notes,
        };
        *count += 1;
        if *count <= Self::KEPT_MAX {
            self.list.push(diagnostic);
        }
    }

    /// How many of this severity, those not kept included.
    pub fn count(&self, severity: Severity) -> u64 {
        match severity {
            Severity::Error => self.errors,
            Severity::Warning => self.warnings,
            Severity::Note => self.notes,
        }
    }

    /// Whether errors are only counted by now, so that working out their details is for nothing.
    pub fn is_full(&self) -> bool {
        self.errors >= Self::KEPT_MAX
    }

    /// Those kept, in the order they were found.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.list.iter()
    }

    /// Whether one of this kind is kept.
    pub fn has(&self, code: Code) -> bool {
        self.list.iter().any(|found| found.code == code)
    }

    /// Takes the kept ones out, in the order they were found.
    pub(crate) fn into_list(self) -> Vec<Diagnostic> {
        self.list
    }
}
