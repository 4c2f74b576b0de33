//! Flags of `ringprobe bench`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Args, ValueEnum};

use crate::bench::{Load, Ramp};
use crate::cli::check_flags::{self, CheckArgs};
use crate::cli::engine_flags::EngineArgs;
use crate::cli::language::LanguageArgs;
use crate::cli::output_flags::OutputArgs;
use crate::cli::value;
use crate::fleet::UserName;
use crate::respond::{Fault, Faults};
use crate::shard::WINDOW_MAX;

/// Probes in flight where nobody says.
const WINDOW_DNS: u32 = 1024;
const WINDOW_TCP: u32 = 256;

const EXAMPLES: &str = "\
Examples:
  ringprobe bench --embedded --check dns --type A --name www.example.test
  ringprobe bench --check dns --name example.com --rate 20000 --duration 30s 192.0.2.53
  ringprobe bench --check tcp --ramp 1000:20000:1000 --html ramp.html 192.0.2.10:443 192.0.2.11:443
  ringprobe bench -f keepalived.conf --window 64 --hdr latency.hlog
  ringprobe bench --check script --window 4 -- /usr/lib/check-backend --fast

In a closed loop (no --rate, no --ramp) the next probe begins when one ends: it says what can be
had. In an open loop probes are due at moments of their own, whatever becomes of the earlier ones:
it says what users of a rate get. Latency always counts from when a probe was due. A timeout counts
with the time it took, at least --timeout; what was due and never sent, with the time it had
waited. No probe is tried again. All probes from one source port share a socket, so where a port is
asked for there is one shard.

Exit codes:
  0  measured, whatever the servers said, even where nothing passed
  2  bad usage, configuration or target list, or nothing to probe
  3  no probe was due; or measured, but not all that was counted was sent, of some probes nothing
     can be said, or this process did not run for 10 % of a run
  4  the engine could not run, the embedded fleet ended, or an output could not be written; the runs
     before it are reported
  130  interrupted; the runs that were whole are reported
  141  the reader of standard output went away";

/// Measures how many checks a second a target, a path or this machine can do, and how long they take.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES, after_help = "See --help for examples and exit codes.")]
pub(crate) struct BenchArgs {
    /// Addresses as in a target list, probed in turn; with --check script, the program and its arguments
    #[arg(value_name = "TARGET", help_heading = "Input")]
    pub(crate) targets_given: Vec<OsString>,
    /// The addresses of a list; - for standard input. It is held in memory
    #[arg(long, value_name = "FILE|-", conflicts_with = "targets_given", help_heading = "Input")]
    pub(crate) targets: Option<PathBuf>,
    /// Every checker of a keepalived.conf that goes over the network; with --check script, its MISC_CHECKs
    #[arg(
        short = 'f',
        long,
        value_name = "FILE|-",
        conflicts_with_all = ["targets_given", "targets"],
        help_heading = "Input"
    )]
    pub(crate) use_file: Option<PathBuf>,
    /// Start an embedded fleet in a process of its own, on cores of its own, and probe that
    #[arg(
        long,
        conflicts_with_all = ["targets_given", "targets", "use_file", "port"],
        help_heading = "Input"
    )]
    pub(crate) embedded: bool,
    /// Servers of the embedded fleet, up to 65534 [default: 1000]
    #[arg(
        long,
        value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..=65534),
        help_heading = "Input"
    )]
    pub(crate) servers: Option<u32>,
    /// Faults of the embedded fleet, as for `respond` [default: none]
    #[arg(long, value_name = "LIST", help_heading = "Input")]
    pub(crate) faults: Option<Faults>,

    /// What to do with each target
    #[arg(long, value_enum, help_heading = "Checks")]
    pub(crate) check: Option<Check>,
    #[command(flatten, next_help_heading = "Checks")]
    pub(crate) how: CheckArgs,
    /// Time one probe may take, as in 500ms or 2s [default: connect_timeout and misc_timeout of the
    /// configuration; 2s for a list, 10s for a program]
    #[arg(long, value_name = "TIME", value_parser = value::timeout, help_heading = "Checks")]
    pub(crate) timeout: Option<Duration>,
    /// Whom scripts run as where the configuration does not say [default: keepalived_script; who runs
    /// this, for a program given here]
    #[arg(long, value_name = "USER[:GROUP]", help_heading = "Checks")]
    pub(crate) script_user: Option<UserName>,
    #[command(flatten)]
    pub(crate) language: LanguageArgs,

    /// Most probes in flight, of all shards together; scripts at once [default: 1024, with --check tcp
    /// 256, for scripts 1 per core]
    #[arg(
        long,
        value_name = "W",
        value_parser = clap::value_parser!(u32).range(1..=i64::from(WINDOW_MAX)),
        help_heading = "Load"
    )]
    pub(crate) window: Option<u32>,
    /// Open loop: so many probes a second
    #[arg(long, value_name = "R", value_parser = value::rate, help_heading = "Load")]
    pub(crate) rate: Option<f64>,
    /// Open loop at one rate after the other, from FROM to TO in steps of STEP, to find where it bends
    #[arg(
        long,
        value_name = "FROM:TO:STEP",
        value_parser = value::ramp,
        conflicts_with_all = ["rate", "repetitions"],
        help_heading = "Load"
    )]
    pub(crate) ramp: Option<Ramp>,
    /// Before each run is measured; may be 0s
    #[arg(
        long,
        value_name = "TIME",
        default_value = "1s",
        value_parser = value::grace,
        help_heading = "Load"
    )]
    pub(crate) warm_up: Duration,
    /// How long each run, or each step of a ramp, is measured [default: 10s, a step 3s]
    #[arg(long, value_name = "TIME", value_parser = value::timeout, help_heading = "Load")]
    pub(crate) duration: Option<Duration>,
    /// How often the load is measured [default: 3]
    #[arg(
        long,
        value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..=1000),
        help_heading = "Load"
    )]
    pub(crate) repetitions: Option<u32>,
    #[command(flatten, next_help_heading = "Load")]
    pub(crate) engine: EngineArgs,

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
    /// Write a page with plots, which needs nothing but a browser
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub(crate) html: Option<PathBuf>,
    #[command(flatten, next_help_heading = "Output")]
    pub(crate) outputs: OutputArgs,
}

/// `--check`.
#[derive(Copy, Clone, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Check {
    /// Ask one question over UDP
    Dns,
    /// Connect
    Tcp,
    /// Run a program
    Script,
}

impl Check {
    /// What is done with addresses; `None` for scripts.
    pub(crate) fn of_list(self) -> Option<check_flags::Check> {
        match self {
            Check::Dns => Some(check_flags::Check::Dns),
            Check::Tcp => Some(check_flags::Check::Tcp),
            Check::Script => None,
        }
    }
}

/// `--output`.
#[derive(Copy, Clone, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Form {
    /// For people
    Text,
    /// One JSON document
    Json,
}

impl BenchArgs {
    /// What clap's own rules cannot say.
    ///
    /// # Errors
    /// What kind of usage error it is, and in words.
    pub(crate) fn check(&self) -> Result<(), (ErrorKind, String)> {
        let conflict = |text: &str| Err((ErrorKind::ArgumentConflict, text.to_owned()));
        let missing = |text: &str| Err((ErrorKind::MissingRequiredArgument, text.to_owned()));
        let has_addresses = self.embedded || self.targets.is_some();
        let is_given = has_addresses || self.use_file.is_some() || !self.targets_given.is_empty();
        match (is_given, self.check) {
            (false, Some(Check::Script)) => {
                return missing("give a program behind --, or -f with the file of a configuration");
            }
            (false, _) => {
                return missing("give targets, --targets, -f or --embedded: whom to probe");
            }
            (true, None) if self.use_file.is_none() => {
                return missing("give --check: what to do with each target");
            }
            (true, Some(Check::Dns | Check::Tcp)) if self.use_file.is_some() => {
                return conflict("with -f, the configuration says how each target is checked");
            }
            (true, Some(Check::Script)) if has_addresses => {
                return conflict("--check script has a program behind --, or -f, and no addresses");
            }
            (true, _) => {}
        }
        // clap forgives a missing `requires` that would conflict with what is there.
        if !self.embedded && (self.servers.is_some() || self.faults.is_some()) {
            return conflict("--servers and --faults have a meaning only with --embedded");
        }
        if self.check == Some(Check::Tcp)
            && let Some(faults) = &self.faults
            && let Some(fault) = (Fault::ALL.into_iter())
                .find(|fault| !fault.is_for_tcp() && faults.share(*fault).millionths() > 0)
        {
            return conflict(&format!(
                "--faults {}: a TCP server has nothing to say; it can have refuse and silent",
                fault.name()
            ));
        }
        let is_list = !matches!(self.check, None | Some(Check::Script));
        for (is_given, flag) in self.how.list_flags() {
            if is_given && !is_list {
                return conflict(&format!("{flag} has a meaning only with --check dns and tcp"));
            }
        }
        self.language.check(self.use_file.is_some())?;
        if self.script_user.is_some() && self.check != Some(Check::Script) {
            return conflict("--script-user has a meaning only with --check script");
        }
        if self.duration.is_some_and(|duration| duration < value::RUN_MIN) {
            return Err((ErrorKind::ValueValidation, "--duration must be 100ms at least".into()));
        }
        self.how.check(self.check.and_then(Check::of_list))
    }

    /// How many servers the embedded fleet has.
    pub(crate) fn servers(&self) -> u32 {
        self.servers.unwrap_or(1000)
    }

    /// How hard.
    pub(crate) fn load(&self) -> Load {
        match (self.rate, self.ramp) {
            (_, Some(ramp)) => Load::Ramp(ramp),
            (Some(rate), None) => Load::Open(rate),
            (None, None) => Load::Closed,
        }
    }

    /// How long each run is measured.
    pub(crate) fn duration(&self) -> Duration {
        let default = if self.ramp.is_some() { 3 } else { 10 };
        self.duration.unwrap_or(Duration::from_secs(default))
    }

    /// Most probes in flight, `cores` being those that probe.
    pub(crate) fn window(&self, cores: usize) -> u32 {
        self.window.unwrap_or(match self.check {
            Some(Check::Script) => cores as u32,
            Some(Check::Tcp) => WINDOW_TCP,
            Some(Check::Dns) | None => WINDOW_DNS,
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;

    #[derive(Debug, Parser)]
    struct Probe {
        #[command(flatten)]
        bench: BenchArgs,
    }

    fn parse(line: &str) -> Result<BenchArgs, clap::Error> {
        let words = std::iter::once("x").chain(line.split_whitespace());
        let args = Probe::try_parse_from(words)?.bench;
        args.check().map_err(|(kind, text)| Probe::command().error(kind, text))?;
        Ok(args)
    }

    #[test]
    fn there_is_one_input_and_a_check_that_fits_it() {
        for good in [
            "--check dns 127.0.0.1",
            "--check tcp --port 80 --tcp-handshake full 127.0.0.0/24 127.1.0.1",
            "--check dns --targets - --type A --name a.example --rate 10",
            "--embedded --check tcp --servers 10 --faults silent=1%,refuse=2%",
            "-f x.conf",
            "-f x.conf --check script --script-user nobody",
            "--check script -- /bin/true -x --window",
            "--embedded --check dns --ramp 10:20:5 --duration 100ms --warm-up 0s",
        ] {
            parse(good).unwrap_or_else(|error| panic!("{good}: {error}"));
        }
        for bad in [
            "",
            "127.0.0.1",
            "--check dns",
            "--check script",
            "-f x.conf --check dns",
            "-f x.conf --targets y",
            "-f x.conf --type A",
            "--embedded",
            "--embedded --check script",
            "--embedded --check tcp --faults slow=1%:80ms",
            "--embedded --check dns 127.0.0.1",
            "--embedded --check dns --port 53",
            "--check dns --servers 5 127.0.0.1",
            "--check tcp --type A 127.0.0.1:80",
            "--check script --port 80 -- /bin/true",
            "--check dns --script-user root 127.0.0.1",
            "--check dns --config-id x 127.0.0.1",
            "--check dns --rate 5 --ramp 1:2:1 127.0.0.1",
            "--check dns --ramp 1:2:1 --repetitions 3 127.0.0.1",
            "--check dns --ramp 2:1:1 127.0.0.1",
            "--check dns --ramp 1:2:0 127.0.0.1",
            "--check dns --ramp 1:1000000:1 127.0.0.1",
            "--check dns --ramp 1:2 127.0.0.1",
            "--check dns --duration 0s 127.0.0.1",
            "--check dns --duration 99ms 127.0.0.1",
            "--check dns --window 0 127.0.0.1",
            "--check dns --window 32769 127.0.0.1",
            "--check dns --repetitions 0 127.0.0.1",
        ] {
            let error = parse(bad).expect_err(bad);
            assert_eq!(error.exit_code(), 2, "{bad}: {error}");
        }
    }
}
