//! Flags of `ringprobe sweep`.

use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{ArgGroup, Args, ValueEnum};

use super::scripts::ScriptArgs;
use crate::cli::check_flags::{Check, CheckArgs};
use crate::cli::engine_flags::EngineArgs;
use crate::cli::language::LanguageArgs;
use crate::cli::output_flags::OutputArgs;
use crate::cli::value;
use crate::shard::WINDOW_MAX;
use crate::sweep::{ListSpecs, Part};

const EXAMPLES: &str = "\
Examples:
  ringprobe sweep -f /etc/keepalived/keepalived.conf
  ringprobe sweep -f keepalived.conf -o ndjson --out fleet.ndjson --hdr fleet.hlog
  ringprobe sweep --targets resolvers.txt --check dns --type A --name example.com
  seq -f 192.0.2.%g 1 254 | ringprobe sweep --targets - --check tcp --port 443 -o csv
  ringprobe sweep --targets net.txt --check dns --shard 2/4 --rate 20000 --exclude dont.txt
  ringprobe sweep -f keepalived.conf --script-user nobody --script-jobs 8 --script-env REGION
  ringprobe sweep --demo

A target list has one target a line: ADDR, ADDR:PORT, [ADDR6]:PORT, a prefix (10.0.0.0/8) or a range
(10.0.0.1-10.0.0.99). Prefixes and ranges take a port too (10.0.0.0/24:53, [2001:db8::/120]:53), and #
begins a comment. It is streamed, so its length does not matter.

Exit codes:
  0  all passed, or part I of a --shard I/N has no target
  1  at least one failed; so ends a --demo
  2  bad usage, configuration or target list, or nothing to probe: no target, or all excluded
  3  none failed, but of some nothing can be said: the trouble was here
  4  the engine could not run, or the output could not be written, or a --demo found what is not so
  130  interrupted; what was known was reported
  141  the reader of standard output went away";

/// Probes every checker of a configuration, or every address of a list, once, and reports.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES, after_help = "See --help for examples and exit codes.")]
#[command(group = ArgGroup::new("input").required(true).args(["use_file", "targets", "demo"]))]
pub(crate) struct SweepArgs {
    /// Probe every checker of a keepalived.conf; - for standard input
    #[arg(short = 'f', long, value_name = "FILE|-", help_heading = "Input")]
    pub(crate) use_file: Option<PathBuf>,
    /// Probe the addresses of a list; - for standard input
    #[arg(long, value_name = "FILE|-", requires = "check", help_heading = "Input")]
    pub(crate) targets: Option<PathBuf>,
    /// Start an embedded fleet of 10,000 servers with faults in it, probe it, and compare the
    /// verdicts with the truth
    #[arg(long, help_heading = "Input")]
    pub(crate) demo: bool,
    /// Leave out the addresses, prefixes and ranges in this file
    #[arg(long, value_name = "FILE", help_heading = "Input")]
    pub(crate) exclude: Option<PathBuf>,
    /// Count bad lines of a list and go on, instead of ending with an error
    #[arg(long, help_heading = "Input")]
    pub(crate) skip_bad: bool,
    /// Probe only part I of N: every N-th target, starting with the I-th
    #[arg(long, value_name = "I/N", value_parser = value::part, help_heading = "Input")]
    pub(crate) shard: Option<Part>,

    /// What to do with each address of a list
    #[arg(long, value_enum, help_heading = "Checks of a list")]
    pub(crate) check: Option<Check>,
    #[command(flatten, next_help_heading = "Probing")]
    pub(crate) how: CheckArgs,

    /// Time one attempt may take, as in 500ms or 2s [default: connect_timeout, and misc_timeout of a
    /// script, of the configuration; 2s for a list]
    #[arg(long, value_name = "TIME", value_parser = value::timeout, help_heading = "Probing")]
    pub(crate) timeout: Option<Duration>,
    /// Attempts after the first, after a timeout or local trouble [default: the retry of the
    /// configuration where it is written; else 2, for a script 0]
    #[arg(long, value_name = "N", help_heading = "Probing")]
    pub(crate) retries: Option<u16>,
    /// Most attempts per second, of all shards together; does not hold scripts back [default: no
    /// limit]
    #[arg(long, value_name = "PER_SECOND", value_parser = value::rate, help_heading = "Probing")]
    pub(crate) rate: Option<f64>,
    /// Most attempts in flight per shard, up to 32768
    #[arg(
        long,
        value_name = "N",
        default_value_t = 4096,
        value_parser = clap::value_parser!(u32).range(1..=i64::from(WINDOW_MAX)),
        help_heading = "Probing"
    )]
    pub(crate) window: u32,
    #[command(flatten, next_help_heading = "Probing")]
    pub(crate) engine: EngineArgs,

    #[command(flatten)]
    pub(crate) language: LanguageArgs,

    #[command(flatten)]
    pub(crate) scripts: ScriptArgs,

    /// Form of the result
    #[arg(
        short = 'o',
        long,
        value_enum,
        value_name = "FORM",
        default_value_t = Form::Text,
        help_heading = "Output"
    )]
    pub(crate) output: Form,
    #[command(flatten, next_help_heading = "Output")]
    pub(crate) outputs: OutputArgs,
}

/// `--output`.
#[derive(Copy, Clone, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Form {
    /// A summary for people
    Text,
    /// A JSON object a line: run, every probe, summary
    Ndjson,
    /// A line per probe under a line of column names
    Csv,
}

impl SweepArgs {
    /// What clap's own rules cannot say.
    ///
    /// # Errors
    /// What kind of usage error it is, and in words.
    pub(crate) fn check(&self) -> Result<(), (ErrorKind, String)> {
        let conflict = |text: &str| Err((ErrorKind::ArgumentConflict, text.to_owned()));
        // clap forgives a missing `requires` that would conflict with what is there, and every input
        // conflicts with every other.
        for (is_given, flag) in self.list_flags() {
            if is_given && self.targets.is_none() {
                return conflict(&format!("{flag} has a meaning only with --targets"));
            }
        }
        self.language.check(self.use_file.is_some())?;
        self.how.check(self.check)
    }

    fn list_flags(&self) -> [(bool, &'static str); 9] {
        let [name, record_type, port, bindto, bind_port, bind_if, fwmark] = self.how.list_flags();
        let check = (self.check.is_some(), "--check");
        let skip_bad = (self.skip_bad, "--skip-bad");
        [check, record_type, name, port, bindto, bind_port, bind_if, fwmark, skip_bad]
    }

    /// Port of lines that have none.
    pub(crate) fn default_port(&self) -> Option<u16> {
        self.how.default_port(self.check)
    }

    /// How to probe the addresses of a list.
    pub(crate) fn list_specs(&self) -> ListSpecs {
        self.how.list_specs(self.check.unwrap_or(Check::Dns), self.timeout)
    }
}

#[cfg(test)]
mod tests;
