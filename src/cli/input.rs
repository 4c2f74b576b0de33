//! Where the input of a command comes from: configurations, target lists, lists of exclusions.

use std::io::{self, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::{Ended, Terminal, exit, refuse, say};
use crate::fleet::{
    self, ExcludeList, Fleet, LoadOptions, Loaded, Rejected, TargetError, TargetList, TargetProblem,
};
use crate::sweep::{Addresses, BadTarget, Exclude, ListSpecs};

/// What messages call standard input.
const STDIN: &str = "stdin";

/// Reads a configuration, `-` is standard input; says on standard error what is to be said about it.
/// Returns also the path to call it by.
pub(crate) fn fleet_of_file(
    path: &Path,
    (options, is_quiet): (&LoadOptions, bool),
    terminal: Terminal,
) -> Result<(Fleet, PathBuf), Ended> {
    if path.as_os_str() != "-" {
        let fleet = judged(fleet::load(path, options), is_quiet, terminal)?;
        return Ok((fleet, path.to_owned()));
    }
    let mut text = Vec::new();
    if let Err(error) = io::stdin().read_to_end(&mut text) {
        let name = STDIN.to_owned();
        return Err(refuse(exit::USAGE, Rejected::Read { name, error }));
    }
    Ok((fleet_of_text(STDIN, text, (options, is_quiet), terminal)?, STDIN.into()))
}

/// The same for one that is in memory.
pub(crate) fn fleet_of_text(
    name: &str,
    text: Vec<u8>,
    (options, is_quiet): (&LoadOptions, bool),
    terminal: Terminal,
) -> Result<Fleet, Ended> {
    judged(fleet::load_text(name, text, options), is_quiet, terminal)
}

fn judged(
    result: Result<Loaded, Rejected>,
    is_quiet: bool,
    terminal: Terminal,
) -> Result<Fleet, Ended> {
    match result {
        Ok(loaded) => {
            if !is_quiet && !loaded.problems.is_empty() {
                say(loaded.problems.render(terminal.colours_stderr()).trim_end());
            }
            Ok(loaded.fleet)
        }
        Err(rejected) => {
            if let Rejected::Invalid { problems, .. } = &rejected {
                let is_coloured = terminal.colours_stderr();
                let text = if is_quiet {
                    problems.render_errors(is_coloured)
                } else {
                    problems.render(is_coloured)
                };
                say(text.trim_end());
            }
            Err(refuse(exit::USAGE, rejected))
        }
    }
}

/// Opens a target list; `-` is standard input.
pub(crate) fn targets(
    path: &Path,
    default_port: Option<u16>,
    specs: &ListSpecs,
) -> Result<Addresses, Ended> {
    match TargetList::open(path, default_port) {
        Ok(list) => {
            let list = list.with_families(specs.ipv4.is_some(), specs.ipv6.is_some());
            Ok(Box::new(Streamed { list, has_paused: false }))
        }
        Err(error) => Err(refuse(exit::USAGE, error)),
    }
}

/// A list that says so before it may have to wait for its next line.
struct Streamed {
    list: TargetList<BufReader<Box<dyn Read + Send>>>,
    has_paused: bool,
}

impl Iterator for Streamed {
    type Item = Result<Option<SocketAddr>, BadTarget>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(target) = self.list.next_plain() {
            self.has_paused = false;
            return Some(Ok(Some(target)));
        }
        if !self.has_paused && !self.list.is_at_hand() {
            self.has_paused = true;
            return Some(Ok(None));
        }
        self.has_paused = false;
        Some(self.list.next()?.map(Some).map_err(bad_target))
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
