//! Stage 1: the text of a keepalived.conf becomes a tree of directives with spans, and diagnostics.
//!
//! ```text
//! bytes ─▶ source (files, spans) ─▶ expand (includes, conditions, parameters, repetitions: logical lines)
//!             ▲                        │ ▼
//!             └── origin (made lines) ─┘ lexer (segments, braces) ─▶ tree (one root directive at a time)
//! ```
//!
//! Diagnostics come out of every step. This stage knows how the language is spelled and which keywords open
//! a block, not what they mean: that is `fleet`.
//!
//! Source: keepalived.conf(5), and the behaviour of keepalived 2.2.7 and 2.4.

pub mod blocks;
pub mod class;
pub mod code;
pub mod diagnostic;
mod expand;
mod explain;
pub mod lexer;
pub mod options;
mod origin;
pub mod problems;
pub mod source;
pub mod tree;

pub use class::Class;
pub use code::{Code, Severity};
pub use diagnostic::{Diagnostic, Diagnostics};
pub use expand::{Roots, find_roots};
pub use explain::Explanation;
pub use options::{Environment, IncludeChecks, LanguageOptions};
pub use problems::{Excerpt, Problem, Problems};
pub use source::{
    BYTE_ORDER_MARK, Expansion, FileId, Origin, Place, Source, SourceTooLarge, Sources, Span,
};
pub use tree::{Directive, Parser, Tree};
