//! Stage 9: results leave for the world.
//!
//! The aggregator's thread hands every batch of records to one [`Sink`]. A sink that fails ends the
//! sweep: a report with holes in it would be worse than none.

mod csv;
mod detail;
pub mod dump;
mod hdr;
mod interval_log;
mod labels;
mod ndjson;
mod output;
pub mod problems;
mod script;
#[cfg(test)]
mod testing;
mod text;
mod timestamp;

use std::io;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

pub use self::csv::CsvSink;
pub use self::detail::Detail;
pub use self::hdr::HdrSink;
pub(crate) use self::interval_log::IntervalLog;
pub use self::ndjson::NdjsonSink;
pub use self::output::Output;
pub use self::text::{Rest, TextSink};
pub(crate) use self::text::{
    Trouble, align_right, counted, grouped, painted, plain_table, seconds, short_text,
};
pub use self::timestamp::rfc3339;

use crate::aggregate::{Catalog, Summary};
use crate::outcome::Record;
use crate::reaper::ScriptRun;
use crate::tick::WallClock;

/// Somewhere results go. Called from one thread, in this order: `begin`, any number of `records`,
/// `script`, `interval` and `flush`, `finish`. After an error nothing more is called.
pub trait Sink {
    /// The sweep is about to start.
    ///
    /// # Errors
    /// The output did not take it.
    fn begin(&mut self, run: &RunInfo) -> Result<(), SinkError>;

    /// A batch of probes ended.
    ///
    /// # Errors
    /// The output did not take it.
    fn records(&mut self, batch: &[Record], context: &Context<'_>) -> Result<(), SinkError>;

    /// A script ended: its record, which is in no batch, and how it ran.
    ///
    /// # Errors
    /// The output did not take it.
    fn script(
        &mut self,
        record: &Record,
        _run: &ScriptRun,
        context: &Context<'_>,
    ) -> Result<(), SinkError> {
        self.records(std::slice::from_ref(record), context)
    }

    /// The latencies (nanoseconds) recorded in the interval that began `start` after the sweep did.
    /// Only called where [`Sink::wants_intervals`] says so.
    ///
    /// # Errors
    /// The output did not take it.
    fn interval(
        &mut self,
        _start: Duration,
        _length: Duration,
        _latency: &Histogram<u64>,
    ) -> Result<(), SinkError> {
        Ok(())
    }

    /// Whether every probe has to be among the `records`. Else those may be left out that passed at their
    /// first attempt: the summary has their number, and not to write them down makes probing cheaper.
    fn wants_passes(&self) -> bool {
        true
    }

    /// Whether `interval` shall be called about once a second.
    fn wants_intervals(&self) -> bool {
        false
    }

    /// About once a second: what was written so far becomes visible to a reader.
    ///
    /// # Errors
    /// The output did not take it.
    fn flush(&mut self) -> Result<(), SinkError> {
        Ok(())
    }

    /// The sweep ended; nothing comes after this.
    ///
    /// # Errors
    /// The output did not take it.
    fn finish(&mut self, summary: &Summary, context: &Context<'_>) -> Result<(), SinkError>;
}

/// What a sink needs to turn a [`Record`] into words.
#[derive(Copy, Clone, Debug)]
pub struct Context<'a> {
    /// Keywords and servers.
    pub catalog: &'a Catalog,
    /// Wall time of ticks.
    pub wall: &'a WallClock,
}

/// What is known before the first probe. Its serde form is the `run` record of the NDJSON output.
#[derive(Clone, Debug, Serialize)]
pub struct RunInfo {
    /// Version of this program.
    pub version: &'static str,
    /// Path of the configuration; `None` for a target list.
    pub config: Option<String>,
    /// `Fleet::digest`; `None` for a target list.
    pub config_digest: Option<String>,
    /// `--seed`.
    pub seed: Option<u64>,
    /// Shards that will run.
    pub shards: usize,
    /// How the shards reach the network.
    pub backend: &'static str,
    /// RFC 3339, microseconds, UTC.
    pub started_at: String,
}

/// An output refused what was written to it.
#[derive(Debug, thiserror::Error)]
#[error("cannot write to {name}: {error}{}", in_words(*records))]
pub struct SinkError {
    /// Path of the file, or `standard output`.
    pub name: String,
    /// Whole probe records that reached it.
    pub records: u64,
    /// The kernel's refusal.
    #[source]
    pub error: io::Error,
}

/// What is not lost, where there is anything.
fn in_words(records: u64) -> String {
    if records > 0 { format!(" ({records} records were written)") } else { String::new() }
}

impl SinkError {
    /// Whether the reader of a pipe went away, which is no error of ours.
    pub fn is_closed_pipe(&self) -> bool {
        self.error.kind() == io::ErrorKind::BrokenPipe
    }
}

/// Several sinks as one; the first error is the error.
#[derive(Default)]
pub struct Tee(Vec<Box<dyn Sink>>);

impl std::fmt::Debug for Tee {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Tee").field(&self.0.len()).finish()
    }
}

impl Tee {
    /// Adds a sink, called after the earlier ones.
    pub fn push(&mut self, sink: impl Sink + 'static) {
        self.0.push(Box::new(sink));
    }
}

impl Sink for Tee {
    fn begin(&mut self, run: &RunInfo) -> Result<(), SinkError> {
        self.0.iter_mut().try_for_each(|sink| sink.begin(run))
    }

    fn records(&mut self, batch: &[Record], context: &Context<'_>) -> Result<(), SinkError> {
        self.0.iter_mut().try_for_each(|sink| sink.records(batch, context))
    }

    fn script(
        &mut self,
        record: &Record,
        run: &ScriptRun,
        context: &Context<'_>,
    ) -> Result<(), SinkError> {
        self.0.iter_mut().try_for_each(|sink| sink.script(record, run, context))
    }

    fn interval(
        &mut self,
        start: Duration,
        length: Duration,
        latency: &Histogram<u64>,
    ) -> Result<(), SinkError> {
        self.0.iter_mut().try_for_each(|sink| sink.interval(start, length, latency))
    }

    fn wants_passes(&self) -> bool {
        self.0.iter().any(|sink| sink.wants_passes())
    }

    fn wants_intervals(&self) -> bool {
        self.0.iter().any(|sink| sink.wants_intervals())
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        self.0.iter_mut().try_for_each(|sink| sink.flush())
    }

    fn finish(&mut self, summary: &Summary, context: &Context<'_>) -> Result<(), SinkError> {
        self.0.iter_mut().try_for_each(|sink| sink.finish(summary, context))
    }
}

#[cfg(test)]
mod tests {
    use super::testing::{script_catalog, script_record, wall};
    use super::*;
    use crate::outcome::Outcome;

    #[test]
    fn every_sink_gets_the_script_and_those_that_care_the_run() {
        let directory = tempfile::tempdir().expect("a directory");
        let paths = ["ndjson", "csv", "ndjson.2"].map(|name| directory.path().join(name));
        let output = |at: usize| Output::file(&paths[at]).expect("a file");
        let mut tee = Tee::default();
        tee.push(NdjsonSink::new(output(0)));
        tee.push(CsvSink::new(output(1)));
        tee.push(NdjsonSink::new(output(2)));
        let (catalog, wall) = (script_catalog(), wall());
        let context = Context { catalog: &catalog, wall: &wall };
        let run = ScriptRun { weight: Some(7), ..ScriptRun::default() };
        tee.script(&script_record(4, Outcome::Pass), &run, &context).expect("room");
        tee.flush().expect("room");
        let [ndjson, csv, second] = paths.map(|path| std::fs::read_to_string(path).expect("UTF-8"));
        assert!(ndjson.contains(r#""weight":7"#), "{ndjson}");
        assert!(csv.contains(",pass,ok,weight 7,1,"), "{csv}");
        assert_eq!(second, ndjson);
    }
}
