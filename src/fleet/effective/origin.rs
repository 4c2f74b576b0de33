//! Where a value comes from.

use std::sync::Arc;

use crate::conf::Span;

/// The block that sets a value.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Level {
    /// `global_defs`, or another block at the top level.
    Global,
    /// `virtual_server`
    VirtualServer,
    /// `real_server`
    RealServer,
    /// The checker's own block.
    Checker,
}

/// Where a value comes from.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug, Default)]
pub enum Origin {
    /// Written nowhere: keepalived's default, or the default of the checker's type.
    #[default]
    Default,
    /// Keyword and values that say so.
    Written(Level, Span),
    /// Written, but what counts is what keepalived makes of it (a quorum reduced to the sum of weights).
    Adjusted(Level, Span),
}

impl Origin {
    /// Where it is written; `None` for a default.
    pub fn span(self) -> Option<Span> {
        match self {
            Origin::Default => None,
            Origin::Written(_, span) | Origin::Adjusted(_, span) => Some(span),
        }
    }

    /// Whether the file says so.
    pub fn is_written(self) -> bool {
        self != Origin::Default
    }
}

/// A keyword that no code acts on, as it is written, so that nothing is lost.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Verbatim {
    /// All words, the keyword first. Those of commands have their quotes still.
    pub words: Vec<Arc<[u8]>>,
    /// What stands in its block; `None` where it has none.
    pub block: Option<Vec<Verbatim>>,
}

/// A value and where it comes from.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Setting<T> {
    /// What counts.
    pub value: T,
    /// Who says so.
    pub origin: Origin,
}

impl<T> Setting<T> {
    /// A value that is written nowhere.
    pub fn default_of(value: T) -> Setting<T> {
        Setting { value, origin: Origin::Default }
    }

    /// A value of the file.
    pub fn written(value: T, level: Level, span: Span) -> Setting<T> {
        Setting { value, origin: Origin::Written(level, span) }
    }

    /// The same place, another value.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Setting<U> {
        Setting { value: change(self.value), origin: self.origin }
    }
}
