//! Stage 1: the text of a keepalived.conf becomes a tree of directives with spans, and diagnostics.
//!
//! ```text
//! bytes ─▶ source (files, spans) ─▶ lexer (segments, braces) ─▶ tree (one root directive at a time)
//!                                        └──────── diagnostics ───────┘
//! ```
//!
//! This stage knows how the language is spelled and which keywords open a block, not what they mean:
//! that is `fleet`. Parameters (`$NAME=`), repetition (`~SEQ`, `~LST`), conditional lines (`@id`) and
//! includes are recognised and refused, so that no line is ever read as something it is not.
//!
//! Source: keepalived.conf(5), and the behaviour of keepalived 2.2.7 and 2.4.

pub mod blocks;
mod class;
pub mod code;
pub mod diagnostic;
mod explain;
pub mod lexer;
mod macros;
pub mod problems;
pub mod source;
pub mod tree;

pub use class::Class;
pub use code::{Code, Severity};
pub use diagnostic::{Diagnostic, Diagnostics};
pub use explain::Explanation;
pub use problems::{Excerpt, Problem, Problems};
pub use source::{BYTE_ORDER_MARK, FileId, Source, SourceTooLarge, Sources, Span};
pub use tree::{Directive, Parser, Tree};
