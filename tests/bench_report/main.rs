//! What `bench` writes, from results that are made up: the text, JSON, the HdrHistogram log, the page.

mod browser;
mod hdr;
mod json;
mod made;
mod page;
mod text;
