//! Flags of `ringprobe sweep` that are about scripts.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap::builder::{OsStringValueParser, TypedValueParser};

use crate::cli::value;
use crate::fleet::UserName;
use crate::reaper::link::{CgroupMode, ReaperConfig};

/// How the scripts of a configuration are run. A list has none.
#[derive(Debug, Default, Args)]
pub(crate) struct ScriptArgs {
    /// Leave MISC_CHECK out, counted as not probed
    #[arg(long, conflicts_with = "targets", help_heading = "Scripts")]
    pub(crate) no_scripts: bool,
    /// Most scripts at once, up to 4096 and to what the limit of descriptors allows; the others wait
    /// [default: 4 per available core]
    #[arg(
        long,
        value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..=4096),
        conflicts_with = "targets",
        help_heading = "Scripts"
    )]
    pub(crate) script_jobs: Option<u32>,
    /// Time from SIGTERM to SIGKILL for a script whose time is over, as in 500ms; with 0s SIGKILL
    /// follows at once [default: 2s]
    #[arg(
        long,
        value_name = "TIME",
        value_parser = value::grace,
        conflicts_with = "targets",
        help_heading = "Scripts"
    )]
    pub(crate) script_grace: Option<Duration>,
    /// Whom scripts run as where neither their checker nor script_user says so; no supplementary
    /// groups unless set_supplementary_groups [default: keepalived_script]
    #[arg(long, value_name = "USER[:GROUP]", conflicts_with = "targets", help_heading = "Scripts")]
    pub(crate) script_user: Option<UserName>,
    /// A variable of the environment of every script; without a value, ours, if we have it. Replaces
    /// one that scripts have anyway. May be given again
    #[arg(
        long,
        value_name = "NAME[=VALUE]",
        value_parser = OsStringValueParser::new().try_map(|text| value::variable(&text)),
        conflicts_with = "targets",
        help_heading = "Scripts"
    )]
    pub(crate) script_env: Vec<Variable>,
    /// Where each script gets a control group of its own (cgroup v2): below our own where that is
    /// delegated to us (auto), nowhere (off), or below a directory, else it is an error [default: auto]
    #[arg(
        long,
        value_name = "auto|off|DIR",
        value_parser = OsStringValueParser::new().try_map(|text| value::cgroup(&text)),
        conflicts_with = "targets",
        help_heading = "Scripts"
    )]
    pub(crate) script_cgroup: Option<CgroupMode>,
}

/// `--script-env`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Variable {
    /// A name as shells allow it.
    pub(crate) name: String,
    /// `None` for the value it has in our own environment.
    pub(crate) value: Option<OsString>,
}

impl ScriptArgs {
    /// The reaper these flags ask for. `nofile` is the limit of descriptors this process began with.
    pub(crate) fn config(&self, nofile: Option<(u64, u64)>) -> ReaperConfig {
        let default = ReaperConfig::default();
        ReaperConfig {
            jobs: self.script_jobs.map_or(default.jobs, |jobs| jobs as usize),
            grace: self.script_grace.unwrap_or(default.grace),
            nofile,
            environment: self.environment(|name| std::env::var_os(name)),
            cgroup: self.script_cgroup.clone().unwrap_or(default.cgroup),
            // This program starts nothing else.
            adopts: true,
            ..default
        }
    }

    /// Each variable once, with its last value; a variable that we do not have either is left out.
    fn environment(&self, ours: impl Fn(&str) -> Option<OsString>) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut environment: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
        for Variable { name, value } in &self.script_env {
            environment.retain(|(known, _)| known != name.as_bytes());
            if let Some(value) = value.clone().or_else(|| ours(name)) {
                environment.push((name.clone().into_bytes(), value.into_vec()));
            }
        }
        environment
    }
}

/// The directory of `--script-cgroup`, or one of its words.
pub(crate) fn cgroup_mode(text: &OsStr) -> Option<CgroupMode> {
    match text.as_bytes() {
        b"auto" => Some(CgroupMode::Auto),
        b"off" => Some(CgroupMode::Off),
        [b'/', ..] => Some(CgroupMode::Below(PathBuf::from(text))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::sweep::SweepArgs;

    #[derive(Debug, Parser)]
    struct Probe {
        #[command(flatten)]
        sweep: SweepArgs,
    }

    fn parse(words: &[&str]) -> Result<ScriptArgs, clap::Error> {
        let words = ["x", "-f", "x.conf"].iter().chain(words);
        Probe::try_parse_from(words).map(|probe| probe.sweep.scripts)
    }

    #[test]
    fn the_defaults_are_those_of_the_reaper() {
        let config = parse(&[]).expect("good").config(Some((1024, 4096)));
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        assert_eq!((config.jobs, config.grace), (4 * cores, Duration::from_secs(2)));
        assert_eq!(config.nofile, Some((1024, 4096)));
        assert!(config.program.is_none() && config.environment.is_empty());
        assert_eq!(config.cgroup, CgroupMode::Auto);
    }

    #[test]
    fn every_flag_reaches_the_reaper() {
        let config = parse(&[
            "--script-jobs=7",
            "--script-grace=0s",
            "--script-cgroup=/sys/fs/cgroup/ringprobe",
            "--script-env=A=1",
            "--script-env=_b2==x=",
            "--script-env=A=",
        ])
        .expect("good")
        .config(None);
        assert_eq!((config.jobs, config.grace), (7, Duration::ZERO));
        assert_eq!(config.cgroup, CgroupMode::Below("/sys/fs/cgroup/ringprobe".into()));
        let pair = |name: &str, value: &str| (name.as_bytes().to_vec(), value.as_bytes().to_vec());
        assert_eq!(config.environment, [pair("_b2", "=x="), pair("A", "")]);
        assert_eq!(config.nofile, None);
    }

    #[test]
    fn a_name_alone_passes_our_own_value_on_as_it_is() {
        let args = parse(&["--script-env", "HERE", "--script-env", "NOT_HERE"]).expect("good");
        let ours = |name: &str| (name == "HERE").then(|| OsString::from_vec(b"\xff=".to_vec()));
        assert_eq!(args.environment(ours), [(b"HERE".to_vec(), b"\xff=".to_vec())]);
    }

    #[test]
    fn wrong_values_are_refused() {
        for bad in [
            "--script-jobs=0",
            "--script-jobs=4097",
            "--script-grace=2",
            "--script-grace=2h",
            "--script-grace=-1s",
            "--script-env=",
            "--script-env==x",
            "--script-env=1A=x",
            "--script-env=A-B=x",
            "--script-env=Ä=x",
            "--script-env=RINGPROBE_SCRIPT=x",
            "--script-env=RINGPROBE_",
            "--script-cgroup=on",
            "--script-user=",
            "--script-user=a:",
            "--script-user=:b",
            "--script-user=a:b:c",
            "--script-cgroup=relative/dir",
            "--script-cgroup=",
        ] {
            let error = parse(&[bad]).expect_err(bad);
            assert_eq!(error.exit_code(), 2, "{bad}: {error}");
        }
        parse(&["--script-env=RINGPROBE=x"]).expect("it is no name of ours");
    }
}
