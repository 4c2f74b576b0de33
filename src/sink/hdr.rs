//! `--hdr`: latencies as an HdrHistogram interval log, one line a second.

use std::time::{Duration, UNIX_EPOCH};

use hdrhistogram::Histogram;

use super::interval_log::IntervalLog;
use super::{Context, Output, RunInfo, Sink, SinkError};
use crate::aggregate::Summary;
use crate::outcome::Record;
use crate::tick::WallClock;

/// Writes the interval log to an [`Output`].
pub struct HdrSink {
    output: Output,
    log: IntervalLog,
}

impl std::fmt::Debug for HdrSink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HdrSink").field("output", &self.output.name()).finish_non_exhaustive()
    }
}

impl HdrSink {
    /// Will write to `output`.
    pub fn new(output: Output) -> HdrSink {
        HdrSink { output, log: IntervalLog::new() }
    }

    fn refused(&self, error: std::io::Error) -> SinkError {
        SinkError { name: self.output.name().to_owned(), records: 0, error }
    }
}

impl Sink for HdrSink {
    fn begin(&mut self, _run: &RunInfo) -> Result<(), SinkError> {
        let wall = WallClock::read();
        let unix_ns = wall.unix_ns(crate::tick::monotonic_now());
        let start = UNIX_EPOCH + Duration::from_nanos(u64::try_from(unix_ns).unwrap_or(0));
        let head = self.log.head(start, self.output.lines());
        head.map_err(|error| self.refused(error))?;
        self.output.appended(0)
    }

    fn records(&mut self, _batch: &[Record], _context: &Context<'_>) -> Result<(), SinkError> {
        Ok(())
    }

    fn wants_passes(&self) -> bool {
        false
    }

    fn wants_intervals(&self) -> bool {
        true
    }

    fn interval(
        &mut self,
        start: Duration,
        length: Duration,
        latency: &Histogram<u64>,
    ) -> Result<(), SinkError> {
        let line = self.log.interval(None, (start, length), latency, self.output.lines());
        line.map_err(|error| self.refused(error))?;
        self.output.appended(0)
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        self.output.flush()
    }

    fn finish(&mut self, _summary: &Summary, _context: &Context<'_>) -> Result<(), SinkError> {
        self.output.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use hdrhistogram::serialization::Deserializer;
    use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

    use super::*;
    use crate::sink::testing::run_info;

    #[test]
    fn the_log_reads_back_as_the_histograms_that_were_written() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("out.hlog");
        let mut sink = HdrSink::new(Output::file(&path).expect("a file"));
        sink.begin(&run_info()).expect("room");
        let mut latency = Histogram::<u64>::new(3).expect("3 digits are allowed");
        latency.record_n(2_000_000, 10).expect("auto-resizing");
        for second in 0..2 {
            sink.interval(Duration::from_secs(second), Duration::from_secs(1), &latency)
                .expect("room");
        }
        sink.flush().expect("room");

        let log = fs::read_to_string(&path).expect("readable");
        assert!(log.starts_with("#[Histogram log format version 1.3]\n#[StartTime: "), "{log}");
        assert_eq!(log.matches("MaxValueDivisor").count(), 1, "{log}");
        // The legend is for the Java tools; the Rust reader does not know it.
        let bare: String = log.lines().filter(|line| !line.starts_with('"')).fold(
            String::new(),
            |mut all, line| {
                all.push_str(line);
                all.push('\n');
                all
            },
        );
        let mut intervals = 0;
        for entry in IntervalLogIterator::new(bare.as_bytes()) {
            if let LogEntry::Interval(interval) = entry.expect("well-formed") {
                assert_eq!(interval.start_timestamp(), Duration::from_secs(intervals));
                assert!((interval.max() - 2.0).abs() < 0.01);
                let bytes = base64_decode(interval.encoded_histogram());
                let read: Histogram<u64> =
                    Deserializer::new().deserialize(&mut bytes.as_slice()).expect("a histogram");
                assert_eq!(read, latency);
                intervals += 1;
            }
        }
        assert_eq!(intervals, 2);
    }

    /// RFC 4648 section 4, enough for the test to read what the library wrote.
    fn base64_decode(text: &str) -> Vec<u8> {
        const ALPHABET: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut bits = 0_u32;
        let mut count = 0;
        let mut bytes = Vec::new();
        for character in text.bytes().filter(|byte| *byte != b'=') {
            let value = ALPHABET.iter().position(|known| *known == character).expect("base64");
            bits = bits << 6 | value as u32;
            count += 6;
            if count >= 8 {
                count -= 8;
                bytes.push((bits >> count) as u8);
            }
        }
        bytes
    }
}
