//! The result of a bench for people and programs.

mod figures;
mod hdr;
mod html;
mod json;
mod text;
mod words;

pub use self::hdr::write_hdr;
pub use self::html::html;
pub use self::json::json;
pub use self::text::text;
