//! The command line: flags as typed, what they ask for, the exit code.

mod bench;
mod check_flags;
mod engine_flags;
mod files;
mod input;
mod language;
mod lint;
mod output_flags;
mod process;
mod progress;
mod respond;
mod sweep;
mod value;

use std::ffi::OsStr;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{ColorChoice, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::sink::SinkError;

/// Exit codes that are the same for every subcommand.
pub(crate) mod exit {
    /// All passed.
    pub(crate) const OK: u8 = 0;
    /// At least one failed.
    pub(crate) const FAILED: u8 = 1;
    /// Usage or configuration; clap uses the same.
    pub(crate) const USAGE: u8 = 2;
    /// None failed, some unknown.
    pub(crate) const UNKNOWN: u8 = 3;
    /// The engine could not run, or its output could not be written.
    pub(crate) const ENGINE: u8 = 4;
    /// Interrupted by SIGINT, SIGTERM or SIGHUP.
    pub(crate) const INTERRUPTED: u8 = 130;
    /// The reader of a pipe went away: what a shell reports for death by SIGPIPE.
    pub(crate) const CLOSED_PIPE: u8 = 141;
}

/// Health-check and probe engine for large real-server fleets.
#[derive(Debug, Parser)]
#[command(name = "ringprobe", version, propagate_version = true, max_term_width = 100)]
struct Cli {
    /// No colour anywhere; as NO_COLOR in the environment
    #[arg(long, global = true)]
    no_color: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Probe a whole fleet once and report
    Sweep(Box<sweep::SweepArgs>),
    /// Measure how many checks a second a target or this machine can do
    Bench(Box<bench::BenchArgs>),
    /// Say what is wrong with a configuration, and what an operator would want to know of it
    Lint(Box<lint::LintArgs>),
    /// Serve an embedded fleet on 127.0.0.0/8, each server good or faulty by its seed
    Respond(Box<respond::RespondArgs>),
}

/// Runs the program with the arguments of this process.
pub fn main() -> ExitCode {
    crate::reaper::serve_if_asked();
    // Only this makes clap's own texts follow --no-color: they are printed before it is parsed.
    let is_plain = std::env::args_os().any(|arg| arg == "--no-color");
    let color = if is_plain { ColorChoice::Never } else { ColorChoice::Auto };
    let parsed = Cli::command()
        .color(color)
        .try_get_matches()
        .and_then(|mut matches| Cli::from_arg_matches_mut(&mut matches));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    let terminal = Terminal { is_coloured: !cli.no_color && environment_allows_colour() };
    let nofile = process::raise_descriptor_limit();
    let code = match cli.command {
        Command::Sweep(args) => match args.check() {
            Ok(()) => sweep::sweep(&args, nofile, terminal),
            Err(wrong) => return usage(&of_subcommand("sweep", wrong, color)),
        },
        Command::Bench(args) => match args.check() {
            Ok(()) => bench::bench(&args, nofile, terminal),
            Err(wrong) => return usage(&of_subcommand("bench", wrong, color)),
        },
        Command::Lint(args) => match args.check() {
            Ok(()) => lint::lint(&args, terminal),
            Err(wrong) => return usage(&of_subcommand("lint", wrong, color)),
        },
        Command::Respond(args) => respond::respond(&args),
    };
    ExitCode::from(code)
}

/// A usage error that a subcommand found itself.
fn of_subcommand(name: &str, (kind, text): (ErrorKind, String), color: ColorChoice) -> clap::Error {
    let mut command = Cli::command().color(color);
    command.build();
    match command.find_subcommand_mut(name) {
        Some(subcommand) => subcommand.error(kind, text),
        None => command.error(kind, text),
    }
}

/// Prints help, version or what is wrong with the flags.
fn usage(error: &clap::Error) -> ExitCode {
    // Nobody is left to be told when this cannot be written.
    let _ = error.print();
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(exit::USAGE))
}

/// Which streams may be coloured.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Terminal {
    is_coloured: bool,
}

impl Terminal {
    pub(crate) fn colours_stdout(self) -> bool {
        self.is_coloured && io::stdout().is_terminal()
    }

    pub(crate) fn colours_stderr(self) -> bool {
        self.is_coloured && io::stderr().is_terminal()
    }
}

/// no-color.org: any value but the empty one forbids colour.
fn environment_allows_colour() -> bool {
    let forbids = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    !forbids && std::env::var_os("TERM").is_none_or(|term| term != OsStr::new("dumb"))
}

/// Why a command ended before it had a result.
pub(crate) enum Ended {
    /// The exit code; the reason is on standard error.
    Said(u8),
    /// An output could not be opened.
    Sink(SinkError),
}

impl From<SinkError> for Ended {
    fn from(error: SinkError) -> Ended {
        Ended::Sink(error)
    }
}

/// Says why on standard error, and ends with `code`.
pub(crate) fn refuse(code: u8, why: impl std::fmt::Display) -> Ended {
    say(format_args!("ringprobe: {why}"));
    Ended::Said(code)
}

/// Writes a line to standard error, if there is anyone to read it.
pub(crate) fn say(text: impl std::fmt::Display) {
    let _ = writeln!(io::stderr(), "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flags_are_consistent() {
        Cli::command().debug_assert();
    }
}
