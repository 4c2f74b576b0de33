//! `ringprobe bench`: from flags to a plan, the measurement, its reports and the exit code.

use std::path::PathBuf;
use std::sync::atomic::Ordering;

use super::embedded::Embedded;
use super::flags::{BenchArgs, Form};
use super::subject::subject;
use crate::bench::{self, BenchError, BenchResult, Plan, Watcher, report};
use crate::cli::{Ended, Terminal, exit, files, process, progress, refuse, say};
use crate::reaper::link::ReaperConfig;
use crate::sink::{Output, SinkError, grouped};
use crate::sweep::{Progress, SweepError, available_cpus};

/// Measures, reports, and returns the exit code. `nofile` is the limit of descriptors this process began
/// with.
pub(crate) fn bench(args: &BenchArgs, nofile: Option<(u64, u64)>, terminal: Terminal) -> u8 {
    match try_bench(args, nofile, terminal) {
        Ok(code) | Err(Ended::Said(code)) => code,
        Err(Ended::Sink(error)) if error.is_closed_pipe() => exit::CLOSED_PIPE,
        Err(Ended::Sink(error)) => {
            say(format_args!("ringprobe: {error}"));
            exit::ENGINE
        }
    }
}

fn try_bench(
    args: &BenchArgs,
    nofile: Option<(u64, u64)>,
    terminal: Terminal,
) -> Result<u8, Ended> {
    if let Some(clash) = clash(args) {
        return Err(refuse(exit::USAGE, format_args!("{clash}; it would be lost")));
    }
    let stop = process::stop_flag()
        .map_err(|error| refuse(exit::ENGINE, format_args!("no signal handler: {error}")))?;
    let embedded = args.embedded.then(|| Embedded::start(args, &stop)).transpose()?;
    let cores = available_cpus().len().max(1);
    let window = args.window(cores);
    let subject = subject(args, embedded.as_ref(), terminal)?;
    let shards_default = if subject.targets.fixed_port().is_some() { 1 } else { cores };
    let shards = args.engine.shards.map_or(shards_default, |shards| shards as usize);
    let plan = Plan {
        subject,
        load: args.load(),
        window,
        warm_up: args.warm_up,
        duration: args.duration(),
        repetitions: args.repetitions.unwrap_or(3),
        // A shard without a place in the window would do nothing.
        shards: shards.min(window as usize),
        sockets_per_lane: args.engine.sockets_per_lane,
        receive_buffer: args.engine.receive_buffer(),
        seed: args.engine.seed,
        scripts: ReaperConfig { nofile, adopts: embedded.is_none(), ..ReaperConfig::default() },
    };
    if plan.subject.targets.is_empty() {
        return Err(refuse(exit::USAGE, format_args!("nothing to probe in {}", plan.subject.name)));
    }
    // Before the measurement: a page that cannot be written is known at once.
    let outputs = Outputs::open(args)?;
    let responder_cpus = embedded.as_ref().map_or_else(Vec::new, |fleet| fleet.cpus.clone());
    let when = if args.outputs.quiet { progress::When::Never } else { args.outputs.progress };
    let mut guide = Guide { when, embedded };
    let result = bench::bench(&plan, responder_cpus, &stop, &mut guide);
    drop(guide);
    let result = result.map_err(|error| refuse(code_of(&error), &error))?;
    outputs.write(args, &result, terminal)?;
    let is_stopped = stop.load(Ordering::Relaxed);
    Ok(if is_stopped { exit::INTERRUPTED } else { exit_code(&result) })
}

/// Shows the runs, and looks after the fleet.
struct Guide {
    when: progress::When,
    embedded: Option<Embedded>,
}

impl Watcher for Guide {
    fn run_begins(&mut self, number: usize, of: usize, rate: Option<f64>) -> Box<dyn Progress> {
        let progress = progress::choose(self.when, false);
        if self.when == progress::When::Always {
            let rate = rate.map_or(String::new(), |rate| {
                format!(", {} probes/s", grouped(rate.round() as u64))
            });
            say(format_args!("run {number} of {of}{rate}"));
        }
        progress
    }

    fn run_ended(&mut self) -> Result<(), BenchError> {
        self.embedded.as_mut().map_or(Ok(()), Embedded::still_serves)
    }
}

fn code_of(error: &BenchError) -> u8 {
    match error {
        BenchError::Sweep(
            SweepError::NothingToProbe { .. }
            | SweepError::ScriptsAmongOthers
            | SweepError::Question(_),
        )
        | BenchError::FixedPort(_) => exit::USAGE,
        BenchError::Sweep(_) | BenchError::Engine(_) | BenchError::Responder(_) => exit::ENGINE,
    }
}

/// A measurement that is not what it seems says so.
fn exit_code(result: &BenchResult) -> u8 {
    if let Some(error) = &result.error {
        say(format_args!("ringprobe: {error}; the runs before it are reported"));
        return exit::ENGINE;
    }
    if result.is_doubtful() { exit::UNKNOWN } else { exit::OK }
}

/// The first output that is also something else, in words.
fn clash(args: &BenchArgs) -> Option<String> {
    let given = |flag, path: &Option<PathBuf>| path.clone().map(|path| (flag, path));
    let inputs = [given("--use-file", &args.use_file), given("--targets", &args.targets)];
    let outputs = [
        given("--out", &args.outputs.out),
        given("--html", &args.html),
        given("--hdr", &args.outputs.hdr),
    ];
    files::clash(inputs.into_iter().flatten(), outputs.into_iter().flatten())
}

/// Where the reports go. What stands in their files stays where there is no result.
struct Outputs {
    result: Output,
    html: Option<Output>,
    hdr: Option<Output>,
}

impl Outputs {
    fn open(args: &BenchArgs) -> Result<Outputs, SinkError> {
        let file = |path: &Option<PathBuf>| path.as_deref().map(Output::existing).transpose();
        Ok(Outputs {
            result: file(&args.outputs.out)?.map_or_else(Output::stdout, Ok)?,
            html: file(&args.html)?,
            hdr: file(&args.outputs.hdr)?,
        })
    }

    /// Writes all of them, the result first: one that cannot be written keeps none of the others from it.
    ///
    /// # Errors
    /// The first output that did not take it; the others are named on standard error.
    fn write(
        self,
        args: &BenchArgs,
        result: &BenchResult,
        terminal: Terminal,
    ) -> Result<(), SinkError> {
        // Standard output may be a file that others write to as well.
        let is_ours = args.outputs.out.is_some();
        if result.runs.is_empty() && result.interrupted {
            // What stands in the files is worth more than that nothing was measured.
            let text = report::text(result, false);
            if is_ours {
                say(text.trim_end());
                return Ok(());
            }
            return write_all(
                self.result,
                &match args.output {
                    Form::Text => text,
                    Form::Json => report::json(result),
                },
            );
        }
        let text = match args.output {
            Form::Text => report::text(result, !is_ours && terminal.colours_stdout()),
            Form::Json => report::json(result),
        };
        let output = if is_ours { self.result.emptied() } else { Ok(self.result) };
        let written = [
            output.and_then(|output| write_all(output, &text)),
            self.html.map_or(Ok(()), |html| write_all(html.emptied()?, &report::html(result))),
            self.hdr.map_or(Ok(()), |hdr| report::write_hdr(result, hdr.emptied()?)),
        ];
        let mut errors = written.into_iter().filter_map(Result::err);
        let first = errors.next();
        errors.for_each(|error| say(format_args!("ringprobe: {error}")));
        first.map_or(Ok(()), Err)
    }
}

fn write_all(mut output: Output, text: &str) -> Result<(), SinkError> {
    output.append(text.as_bytes())?;
    output.end()
}
