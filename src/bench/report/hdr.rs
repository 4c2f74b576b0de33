//! `--hdr`: the latencies of all runs as an HdrHistogram interval log.

use std::io;
use std::time::{Duration, SystemTime};

use hdrhistogram::serialization::interval_log::Tag;

use crate::bench::BenchResult;
use crate::sink::{IntervalLog, Output, SinkError};

/// Writes the log to `output`. Where there were to be several runs, each has a tag, by which readers keep them
/// apart. Times are those of the clock, from the beginning of the bench.
///
/// # Errors
/// The output did not take it.
pub fn write_hdr(result: &BenchResult, mut output: Output) -> Result<(), SinkError> {
    let written = log(result, output.lines());
    if let Err(error) = written {
        return Err(SinkError { name: output.name().to_owned(), records: 0, error });
    }
    output.appended(0)?;
    output.flush()
}

fn log(result: &BenchResult, out: &mut Vec<u8>) -> io::Result<()> {
    let started = humantime::parse_rfc3339(&result.started_at);
    let mut log = IntervalLog::new();
    log.head(started.unwrap_or(SystemTime::UNIX_EPOCH), out)?;
    for run in &result.runs {
        let name = format!("run-{}", run.number);
        let tag = if result.load.runs > 1 { Tag::new(&name) } else { None };
        let begin = seconds(run.measured_from_s);
        for (start, length, latency) in &run.histograms {
            log.interval(tag, (begin + *start, *length), latency, out)?;
        }
    }
    Ok(())
}

fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}
