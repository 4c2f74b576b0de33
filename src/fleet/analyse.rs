//! A configuration file -> everything that can be said about it, errors or not.

use std::path::Path;

use super::effective::Effective;
use super::load::{LoadOptions, Rejected};
use super::lower::Lowering;
use super::model::Fleet;
use crate::conf::{Diagnostics, Parser, Source, Sources, Tree};

/// What a configuration says, as far as it could be read.
#[derive(Debug)]
pub struct Analysis {
    /// The files.
    pub sources: Sources,
    /// Every keyword with the value that counts.
    pub effective: Effective,
    /// Errors, warnings and notes.
    pub diagnostics: Diagnostics,
    /// What would be probed.
    pub fleet: Fleet,
    /// What diagnostics call the file.
    pub name: String,
}

/// Reads a configuration file. Errors in it are among the diagnostics.
///
/// # Errors
/// The file cannot be read, or is too large.
pub fn analyse(path: &Path, options: &LoadOptions) -> Result<Analysis, Rejected> {
    let name = path.display().to_string();
    match std::fs::read(path) {
        Ok(text) => analyse_text(&name, text, options),
        Err(error) => Err(Rejected::Read { name, error }),
    }
}

/// The same for a configuration that is in memory. `name` is what diagnostics call it.
///
/// # Errors
/// It is too large.
pub fn analyse_text(
    name: &str,
    text: Vec<u8>,
    options: &LoadOptions,
) -> Result<Analysis, Rejected> {
    let mut sources = Sources::default();
    let file = sources.add(Source::new(name, text)?).unwrap_or_default();
    let mut lowering = Lowering::new(&sources, options.clone());
    let mut parser = Parser::new(&sources, file);
    let mut tree = Tree::for_source(sources.file(file));
    while parser.next(&mut tree, &mut lowering.reader.diagnostics) {
        if let Some(root) = tree.root() {
            lowering.root(root);
        }
    }
    drop((parser, tree));
    let (fleet, diagnostics) = lowering.finish();
    let name = name.to_owned();
    Ok(Analysis { sources, effective: Effective::default(), diagnostics, fleet, name })
}
