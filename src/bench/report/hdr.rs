//! `--hdr`: the latencies of all runs as an HdrHistogram interval log.

use std::io;
use std::time::{Duration, SystemTime};

use hdrhistogram::serialization::interval_log::Tag;

use crate::bench::BenchResult;
use crate::sink::{IntervalLog, Output, SinkError};

/// Writes the log to `output`. Several runs have a tag each, by which readers keep them apart.
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
    // Runs follow each other: readers that cut a piece out of a log expect times that never go back.
    let warm_up = seconds(result.load.warm_up_s);
    let mut begin = warm_up;
    for run in &result.runs {
        let name = format!("run-{}", run.number);
        let tag = if result.runs.len() > 1 { Tag::new(&name) } else { None };
        let mut end = begin;
        for (start, length, latency) in &run.histograms {
            end = begin + *start + *length;
            log.interval(tag, (begin + *start, *length), latency, out)?;
        }
        begin = end + warm_up;
    }
    Ok(())
}

fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}
