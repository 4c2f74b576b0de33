//! `ringprobe sweep`: from flags to input, sinks, the sweep itself and the exit code.

use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::demo::{Demo, Verdicts};
use super::flags::{Form, SweepArgs};
use crate::aggregate::{ShardFailure, Summary};
use crate::cli::progress::When;
use crate::cli::{Ended, Terminal, exit, files, input, process, progress, refuse, say};
use crate::fleet::{Fleet, LoadOptions};
use crate::schedule::pace::Pace;
use crate::sink::{CsvSink, HdrSink, NdjsonSink, Output, Rest, SinkError, Tee, TextSink};
use crate::sweep::{self, Exclude, Input, SweepError, SweepRequest, Windows};

/// Sweeps, reports, and returns the exit code. `nofile` is the limit of descriptors this process began
/// with.
pub(crate) fn sweep(args: &SweepArgs, nofile: Option<(u64, u64)>, terminal: Terminal) -> u8 {
    match try_sweep(args, nofile, terminal) {
        Ok(code) => code,
        Err(Ended::Said(code)) => code,
        Err(Ended::Sink(error)) => output_failed(&error),
    }
}

fn try_sweep(
    args: &SweepArgs,
    nofile: Option<(u64, u64)>,
    terminal: Terminal,
) -> Result<u8, Ended> {
    if let Some(clash) = clash(args) {
        return Err(refuse(exit::USAGE, format_args!("{clash}; it would be lost")));
    }
    let exclude = args.exclude.as_deref().map(input::exclude).transpose()?;
    let (input, demo) = open_input(args, terminal)?;
    // Not before: a configuration that is waited for has nothing to report when it is interrupted.
    let stop = process::stop_flag()
        .map_err(|error| refuse(exit::ENGINE, format_args!("no signal handler: {error}")))?;
    let (mut tee, verdicts) = open_sinks(args, terminal, demo.as_ref())?;
    let mut request = request(args, input, exclude);
    request.scripts = args.scripts.config(nofile);
    let mut progress = progress::choose(
        // A demo is for looking at.
        if args.outputs.quiet {
            When::Never
        } else if args.demo && args.outputs.progress == When::Auto && !io::stderr().is_terminal() {
            When::Always
        } else {
            args.outputs.progress
        },
        args.output != Form::Text && args.outputs.out.is_none() && io::stdout().is_terminal(),
    );
    let result = sweep::run(request, stop, progress.as_mut(), &mut tee);
    let code = match &result {
        Ok(summary) => {
            say_failures(summary, args);
            exit_code(summary)
        }
        Err(error) => failed(error, args, terminal),
    };
    let Some(verdicts) = verdicts else { return Ok(code) };
    drop(demo);
    // Only a sweep that ended by itself says anything about all servers.
    if code > exit::UNKNOWN {
        return Ok(code);
    }
    let (text, all_as_expected) = verdicts.judge();
    let is_on_stdout = args.output == Form::Text && args.outputs.out.is_none();
    if is_on_stdout {
        Output::stdout()?.write_line(&text)?;
    } else {
        say(&text);
    }
    // A verdict that differs from the truth is no server's failure but the engine's.
    Ok(if all_as_expected { code } else { exit::ENGINE })
}

/// The exit code of a sweep that gave a summary.
fn exit_code(summary: &Summary) -> u8 {
    if summary.interrupted {
        exit::INTERRUPTED
    } else if summary.is_incomplete() {
        exit::ENGINE
    } else if summary.counts.failed > 0 {
        exit::FAILED
    } else if summary.counts.unknown > 0 {
        exit::UNKNOWN
    } else {
        exit::OK
    }
}

/// Says what went wrong, and with what summary where there is one nobody has seen.
fn failed(error: &SweepError, args: &SweepArgs, terminal: Terminal) -> u8 {
    match error {
        SweepError::Output { error, .. } if error.is_closed_pipe() => return exit::CLOSED_PIPE,
        SweepError::Output { summary, .. } if !args.outputs.quiet && summary.counts.probed > 0 => {
            say(crate::sink::short_text(summary, terminal.colours_stderr()).trim_end());
        }
        SweepError::Target { summary, .. } => say_failures(summary, args),
        _ => {}
    }
    say(format_args!("ringprobe: {error}"));
    match error {
        SweepError::NothingToProbe { .. }
        | SweepError::Target { .. }
        | SweepError::ScriptsAmongOthers
        | SweepError::Question(_) => exit::USAGE,
        SweepError::Engine { .. } | SweepError::Output { .. } | SweepError::Thread(_) => {
            exit::ENGINE
        }
    }
}

/// Says which shards failed while others went on, and why no script could run, unless the summary on standard error did.
fn say_failures(summary: &Summary, args: &SweepArgs) {
    if has_summary(args) && args.outputs.out.is_none() {
        return;
    }
    for failure in &summary.shard_failures {
        say(failure_in_words(failure));
    }
    if let Some(error) = &summary.reaper_failure {
        say(format_args!("ringprobe: scripts failed: {error}"));
    }
}

fn failure_in_words(failure: &ShardFailure) -> String {
    format!("ringprobe: shard {} failed: {}", failure.shard, failure.error)
}

/// Whether people get a summary beside the records.
fn has_summary(args: &SweepArgs) -> bool {
    args.output != Form::Text && !args.outputs.quiet
}

/// A reader that went away is the reader's business; anything else is an error.
fn output_failed(error: &SinkError) -> u8 {
    if error.is_closed_pipe() {
        return exit::CLOSED_PIPE;
    }
    say(format_args!("ringprobe: {error}"));
    exit::ENGINE
}

/// The first output that is also something else, in words.
fn clash(args: &SweepArgs) -> Option<String> {
    let given = |flag, path: &Option<PathBuf>| path.clone().map(|path| (flag, path));
    let inputs = [
        given("--use-file", &args.use_file),
        given("--targets", &args.targets),
        given("--exclude", &args.exclude),
    ];
    let outputs = [given("--out", &args.outputs.out), given("--hdr", &args.outputs.hdr)];
    files::clash(inputs.into_iter().flatten(), outputs.into_iter().flatten())
}

fn options(args: &SweepArgs) -> LoadOptions {
    args.language.apply(LoadOptions {
        dns_require: args.how.dns_require(),
        handshake: args.how.handshake(),
        script_user: args.scripts.script_user.clone(),
        no_scripts: args.scripts.no_scripts,
        ..LoadOptions::default()
    })
}

fn open_input(args: &SweepArgs, terminal: Terminal) -> Result<(Input, Option<Demo>), Ended> {
    if let Some(path) = &args.targets {
        let specs = Box::new(args.list_specs());
        let addresses = input::targets(path, args.default_port(), &specs)?;
        return Ok((Input::Targets { addresses, specs }, None));
    }
    let (fleet, path, demo) = match &args.use_file {
        Some(path) => {
            let (fleet, path) =
                input::fleet_of_file(path, (&options(args), args.outputs.quiet), terminal)?;
            (fleet, path, None)
        }
        None => {
            let demo = Demo::start()?;
            let fleet = {
                let how = (&options(args), args.outputs.quiet);
                input::fleet_of_text("demo.conf", demo.conf()?, how, terminal)?
            };
            (fleet, "demo.conf".into(), Some(demo))
        }
    };
    Ok((Input::Fleet { fleet: Arc::new(with_flags(fleet, args)), path }, demo))
}

/// Lets the flags that override the configuration do so.
fn with_flags(mut fleet: Fleet, args: &SweepArgs) -> Fleet {
    if let Some(timeout) = args.timeout {
        for spec in &mut fleet.specs {
            spec.set_timeout(timeout);
        }
    }
    fleet
}

fn request(args: &SweepArgs, input: Input, exclude: Option<Exclude>) -> SweepRequest {
    let mut request = SweepRequest::new(input);
    if let Some(part) = args.shard {
        request.part = part;
    }
    if let Some(shards) = args.engine.shards {
        request.shards = shards as usize;
    }
    request.exclude = exclude;
    request.skip_bad = args.skip_bad;
    request.retries = args.retries;
    request.window = Windows::Each(args.window);
    request.pace = args.rate.map_or(Pace::Free, Pace::AtMost);
    request.sockets_per_lane = args.engine.sockets_per_lane;
    request.receive_buffer = args.engine.receive_buffer();
    request.seed = args.engine.seed;
    request
}

/// The sinks that the flags ask for. People get a summary even where records go to a file or a
/// program: beside the file on standard output, else on standard error.
fn open_sinks(
    args: &SweepArgs,
    terminal: Terminal,
    demo: Option<&Demo>,
) -> Result<(Tee, Option<Verdicts>), Ended> {
    let mut tee = Tee::default();
    let out = args.outputs.out.as_deref();
    let output = |path: Option<&Path>| path.map_or_else(Output::stdout, Output::file);
    match args.output {
        Form::Text => {
            let is_coloured = out.is_none() && terminal.colours_stdout();
            tee.push(TextSink::new(output(out)?, Rest::Rerun, is_coloured));
        }
        Form::Ndjson => tee.push(NdjsonSink::new(output(out)?)),
        Form::Csv => tee.push(CsvSink::new(output(out)?)),
    }
    if let Some(path) = &args.outputs.hdr {
        tee.push(HdrSink::new(Output::file(path)?));
    }
    if has_summary(args) {
        tee.push(match out {
            Some(path) => {
                let rest = Rest::File(path.display().to_string());
                TextSink::new(Output::stdout()?, rest, terminal.colours_stdout())
            }
            None => TextSink::new(stderr()?, Rest::Stdout, terminal.colours_stderr()),
        });
    }
    let is_whole = args.shard.is_none() && args.exclude.is_none();
    let verdicts = demo.map(|demo| demo.verdicts(is_whole)).transpose()?;
    if let Some(verdicts) = &verdicts {
        tee.push(verdicts.sink());
    }
    Ok((tee, verdicts))
}

fn stderr() -> Result<Output, SinkError> {
    let name = "standard error".to_owned();
    match io::stderr().as_fd().try_clone_to_owned() {
        Ok(fd) => Ok(Output::on(name, fd.into())),
        Err(error) => Err(SinkError { name, records: 0, error }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::Counts;

    #[test]
    fn the_exit_code_says_the_worst_that_can_be_said() {
        let mut summary = Summary {
            counts: Counts { probed: 3, passed: 3, failed: 0, unknown: 0 },
            ..Summary::default()
        };
        assert_eq!(exit_code(&summary), 0);
        summary.counts.unknown = 1;
        assert_eq!(exit_code(&summary), 3);
        summary.counts.failed = 1;
        assert_eq!(exit_code(&summary), 1);
        summary.shard_failures.push(ShardFailure { shard: 0, error: "no ring".into() });
        assert_eq!(exit_code(&summary), 4);
        summary.shard_failures.clear();
        assert_eq!(exit_code(&summary), 1);
        summary.reaper_failure = Some("no process".into());
        assert_eq!(exit_code(&summary), 4);
        summary.reaper_failure = None;
        summary.unfinished = 1;
        assert_eq!(exit_code(&summary), 4);
        summary.interrupted = true;
        assert_eq!(exit_code(&summary), 130);
    }
}
