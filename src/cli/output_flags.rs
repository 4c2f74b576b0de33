//! Flags of every subcommand that probes: where its result goes, and what it tells on the way.

use std::path::PathBuf;

use clap::Args;

use super::progress::When;

/// The result's files and the words on standard error. Its form is the subcommand's own.
#[derive(Clone, Debug, Args)]
pub(crate) struct OutputArgs {
    /// Write the result to a file instead of standard output
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Write the latencies of every interval, mostly a second, to an HdrHistogram log (nanoseconds)
    #[arg(long, value_name = "FILE")]
    pub(crate) hdr: Option<PathBuf>,
    /// Progress on standard error: a bar or a spinner on a terminal; elsewhere a line a second with
    /// `always`, nothing with `auto`
    #[arg(long, value_enum, value_name = "WHEN", default_value_t = When::Auto)]
    pub(crate) progress: When,
    /// Errors and the result, nothing else: no progress, no warnings, no summary beside records
    #[arg(short, long)]
    pub(crate) quiet: bool,
}
