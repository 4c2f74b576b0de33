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

/// How much was found up to a moment.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Mark {
    kept: usize,
    errors: u64,
    warnings: u64,
    notes: u64,
}

/// What was found between two moments, those that are only counted included.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Section {
    from: Mark,
    to: Mark,
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

    /// Where it ends now.
    pub(crate) fn mark(&self) -> Mark {
        let Diagnostics { errors, warnings, notes, .. } = *self;
        Mark { kept: self.list.len(), errors, warnings, notes }
    }

    /// All that was added since `from`, which is a mark of this one.
    pub(crate) fn since(&self, from: Mark) -> Section {
        Section { from, to: self.mark() }
    }

    /// Adds a section of `other`. What `other` did not keep of it is counted here as well.
    pub(crate) fn push_section(&mut self, other: &Diagnostics, Section { from, to }: Section) {
        let [errors, warnings, notes] = [self.errors, self.warnings, self.notes];
        other.list[from.kept..to.kept].iter().for_each(|found| self.push(found.clone()));
        self.errors = errors + (to.errors - from.errors);
        self.warnings = warnings + (to.warnings - from.warnings);
        self.notes = notes + (to.notes - from.notes);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_have_their_counts_beyond_what_is_kept() {
        let warning = || Diagnostic::new(Code::NoScheduler, "");
        let mut held = Diagnostics::default();
        let sections: Vec<Section> = [3, Diagnostics::KEPT_MAX, 5]
            .map(|count| {
                let from = held.mark();
                (0..count).for_each(|_| held.push(warning()));
                held.push(Diagnostic::new(Code::UnknownGroup, count.to_string()));
                held.since(from)
            })
            .into();
        assert_eq!(held.iter().count() as u64, Diagnostics::KEPT_MAX + 3);
        let mut all = Diagnostics::default();
        all.push(warning());
        all.push_section(&held, sections[2]);
        assert_eq!((all.count(Severity::Warning), all.count(Severity::Error)), (6, 1));
        // No room was left where it was held, but its error was kept.
        let kept: Vec<_> = all.iter().map(|found| (found.code, &*found.message)).collect();
        assert_eq!(kept, [(Code::NoScheduler, ""), (Code::UnknownGroup, "5")]);
        all.push_section(&held, sections[1]);
        assert_eq!(all.count(Severity::Warning), Diagnostics::KEPT_MAX + 6);
        all.push_section(&held, sections[0]);
        assert_eq!(all.count(Severity::Warning), Diagnostics::KEPT_MAX + 9);
        // Its first one and those of one section, as far as the count has room; and all errors.
        assert_eq!(all.iter().count() as u64, 1 + (Diagnostics::KEPT_MAX - 6) + 3);
        all.push_section(&held, Section::default());
        assert_eq!((all.count(Severity::Warning), all.count(Severity::Error)), (10_009, 3));
    }
}
