//! Flags of `ringprobe lint`.

use std::path::PathBuf;
use std::str::FromStr;

use clap::error::ErrorKind;
use clap::{Args, ValueEnum};

use crate::cli::language::LanguageArgs;
use crate::conf::Code;
use crate::fleet::UserName;

const EXAMPLES: &str = "\
Examples:
  ringprobe lint /etc/keepalived/keepalived.conf
  ringprobe lint -o sarif --out lint.sarif keepalived.conf
  ringprobe lint -o junit --deny-warnings conf/*.conf
  ringprobe lint --explain W076
  ringprobe lint --dump keepalived.conf | jq 'select(.type == \"checker\") | .connect_timeout'
  ringprobe lint --flatten keepalived.conf > flat.conf

Every error, warning and note has a code, which --explain explains. The worst time until a dead
server is detected is an interval, then every attempt at its timeout, and the pauses between them.

--dump writes a JSON object a line for each virtual server, real server and checker, with every
value that counts, inherited and defaulted; `from` says which line each value comes from. --flatten
writes a keepalived.conf that means the same, without parameters, repetition and includes. Both go
on where there are errors, with what could be read; the errors are on standard error.

Exit codes:
  0  nothing to complain about, or notes only
  1  warnings
  2  errors, or warnings with --deny-warnings; bad usage; a file that cannot be read
  4  the output could not be written
  141  the reader of standard output went away

Exit codes with --keepalived-exit-codes, those of `keepalived -t` 2.2:
  0  nothing that it reports      2  a keyword without its value
  4  a file that is not there     5  any other error, its own warnings too
  6  scripts without enable_script_security, or an include that fails";

/// Says what is wrong with configurations, and what an operator would want to know.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES, after_help = "See --help for examples and exit codes.")]
pub(crate) struct LintArgs {
    /// Configurations to look at, each on its own; - for standard input
    #[arg(value_name = "FILE", required_unless_present = "explain")]
    pub(crate) files: Vec<PathBuf>,

    /// Explain a code such as E012, or list all of them
    #[arg(
        long,
        value_name = "CODE|all",
        conflicts_with_all = ["files", "dump", "flatten"]
    )]
    pub(crate) explain: Option<Explain>,

    /// Write the effective configuration as JSON, a record a line
    #[arg(long, conflicts_with = "flatten", help_heading = "Instead of problems")]
    pub(crate) dump: bool,
    /// Write the effective configuration as a keepalived.conf without parameters and includes
    #[arg(long, help_heading = "Instead of problems")]
    pub(crate) flatten: bool,

    #[command(flatten)]
    pub(crate) language: LanguageArgs,
    /// Leave scripts unlooked at: their users and files may be on another machine
    #[arg(long, help_heading = "Configuration")]
    pub(crate) no_scripts: bool,
    /// Whom scripts run as where neither their checker nor script_user says so
    /// [default: keepalived_script]
    #[arg(long, value_name = "USER[:GROUP]", help_heading = "Configuration")]
    pub(crate) script_user: Option<UserName>,

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
    /// Write the result to a file instead of standard output
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub(crate) out: Option<PathBuf>,
    /// Checkers in the table of worst cases [default: 10 in text, all in json]
    #[arg(long, value_name = "N|all", help_heading = "Output")]
    pub(crate) detection: Option<Rows>,

    /// Warnings count as errors
    #[arg(long, conflicts_with = "keepalived_exit_codes", help_heading = "Exit code")]
    pub(crate) deny_warnings: bool,
    /// The exit codes of keepalived -t
    #[arg(long, help_heading = "Exit code")]
    pub(crate) keepalived_exit_codes: bool,
}

/// `--output`.
#[derive(Copy, Clone, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Form {
    /// For people
    Text,
    /// One JSON document
    Json,
    /// SARIF 2.1.0, for code scanning
    Sarif,
    /// JUnit XML, for test reports
    Junit,
}

/// `--explain`.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Explain {
    All,
    One(Code),
}

impl FromStr for Explain {
    type Err = String;

    fn from_str(text: &str) -> Result<Explain, String> {
        if text == "all" {
            return Ok(Explain::All);
        }
        let code = Code::named(text).map(Explain::One);
        code.ok_or_else(|| "no such code; `--explain all` lists them".to_owned())
    }
}

/// `--detection`.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Rows {
    All,
    Most(usize),
}

impl FromStr for Rows {
    type Err = String;

    fn from_str(text: &str) -> Result<Rows, String> {
        match text {
            "all" => Ok(Rows::All),
            _ => text.parse().map(Rows::Most).map_err(|_| "a number or `all`".to_owned()),
        }
    }
}

/// Rows of the table in text, where nothing is said.
const ROWS_DEFAULT: usize = 10;

impl LintArgs {
    /// What clap's own rules cannot say.
    ///
    /// # Errors
    /// What kind of usage error it is, and in words.
    pub(crate) fn check(&self) -> Result<(), (ErrorKind, String)> {
        let is_dump = self.dump || self.flatten;
        let conflict = |text: &str| Err((ErrorKind::ArgumentConflict, text.to_owned()));
        if is_dump && self.output != Form::Text {
            return conflict("--output is the form of problems, not of --dump and --flatten");
        }
        if is_dump && self.detection.is_some() {
            return conflict("--detection has no meaning with --dump and --flatten");
        }
        if self.detection.is_some() && matches!(self.output, Form::Sarif | Form::Junit) {
            return conflict("--detection has a meaning only with -o text and -o json");
        }
        if self.files.iter().filter(|file| file.as_os_str() == "-").count() > 1 {
            return conflict("standard input can be read once");
        }
        Ok(())
    }

    /// Rows of the table of worst cases; `None` for all.
    pub(crate) fn rows(&self) -> Option<usize> {
        match (self.detection, self.output) {
            (Some(Rows::Most(rows)), _) => Some(rows),
            (None, Form::Text) => Some(ROWS_DEFAULT),
            (Some(Rows::All) | None, _) => None,
        }
    }
}
