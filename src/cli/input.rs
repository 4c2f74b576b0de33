//! Where a sweep's input comes from: configurations, target lists, lists of exclusions.

use std::path::Path;

use super::execute::{Ended, refuse};
use super::sweep::SweepArgs;
use super::{Terminal, exit, say};
use crate::fleet::{
    self, ExcludeList, Fleet, LoadOptions, Loaded, Rejected, TargetError, TargetList, TargetProblem,
};
use crate::sweep::{Addresses, BadTarget, Exclude};

/// Reads a configuration; says on standard error what is to be said about it.
pub(crate) fn fleet_of_file(
    path: &Path,
    args: &SweepArgs,
    terminal: Terminal,
) -> Result<Fleet, Ended> {
    judged(fleet::load(path, &options(args)), args, terminal)
}

/// The same for one that is in memory.
pub(crate) fn fleet_of_text(
    name: &str,
    text: Vec<u8>,
    args: &SweepArgs,
    terminal: Terminal,
) -> Result<Fleet, Ended> {
    judged(fleet::load_text(name, text, &options(args)), args, terminal)
}

fn options(args: &SweepArgs) -> LoadOptions {
    LoadOptions { dns_require: args.dns_require(), handshake: args.handshake() }
}

fn judged(
    result: Result<Loaded, Rejected>,
    args: &SweepArgs,
    terminal: Terminal,
) -> Result<Fleet, Ended> {
    match result {
        Ok(loaded) => {
            if !args.quiet && !loaded.problems.is_empty() {
                say(loaded.problems.render(terminal.colours_stderr()).trim_end());
            }
            Ok(loaded.fleet)
        }
        Err(rejected) => {
            if let Rejected::Invalid { problems, .. } = &rejected {
                say(problems.render(terminal.colours_stderr()).trim_end());
            }
            Err(refuse(exit::USAGE, rejected))
        }
    }
}

/// Opens a target list; `-` is standard input.
pub(crate) fn targets(path: &Path, default_port: Option<u16>) -> Result<Addresses, Ended> {
    // Port 0 is no port at all; the feeder refuses targets that still have it.
    match TargetList::open(path, default_port.unwrap_or(0)) {
        Ok(list) => Ok(Box::new(list.map(|target| target.map_err(bad_target)))),
        Err(error) => Err(refuse(exit::USAGE, error)),
    }
}

fn bad_target(error: TargetError) -> BadTarget {
    match error.problem {
        TargetProblem::Io(_) => BadTarget::Read(Box::new(error)),
        _ => BadTarget::Line(Box::new(error)),
    }
}

/// Reads a list of exclusions.
pub(crate) fn exclude(path: &Path) -> Result<Exclude, Ended> {
    let list = ExcludeList::open(path).map_err(|error| refuse(exit::USAGE, error))?;
    Ok(Exclude(Box::new(move |address| list.contains(address))))
}
