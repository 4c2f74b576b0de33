//! The HdrHistogram interval log, format version 1.3: a head, then a line per interval.
//!
//! Values are nanoseconds; the column Interval_Max is in milliseconds, as HistogramLogAnalyzer and
//! its kin expect. Source: hdrhistogram.org, "Histogram Logs".

use std::io;
use std::time::{Duration, SystemTime};

use hdrhistogram::Histogram;
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};

/// Nanoseconds in the unit of the column Interval_Max.
const NS_PER_MS: f64 = 1e6;

/// Writes a log.
pub(crate) struct IntervalLog {
    serializer: V2DeflateSerializer,
}

impl IntervalLog {
    pub(crate) fn new() -> IntervalLog {
        IntervalLog { serializer: V2DeflateSerializer::new() }
    }

    /// Appends the head of a log whose intervals are counted from `start`.
    ///
    /// # Errors
    /// Not in practice: memory takes all there is.
    pub(crate) fn head(&mut self, start: SystemTime, out: &mut Vec<u8>) -> io::Result<()> {
        IntervalLogWriterBuilder::new()
            .add_comment("[Histogram log format version 1.3]")
            .with_start_time(start)
            .with_base_time(start)
            .with_max_value_divisor(NS_PER_MS)
            .begin_log_with(&mut *out, &mut self.serializer)?;
        out.extend_from_slice(
            b"\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\
              \"Interval_Compressed_Histogram\"\n",
        );
        Ok(())
    }

    /// Appends the line of an interval.
    ///
    /// # Errors
    /// A count is too large for the format.
    pub(crate) fn interval(
        &mut self,
        tag: Option<Tag<'_>>,
        (start, length): (Duration, Duration),
        latency: &Histogram<u64>,
        out: &mut Vec<u8>,
    ) -> io::Result<()> {
        let mut bytes = Vec::new();
        IntervalLogWriterBuilder::new()
            .with_max_value_divisor(NS_PER_MS)
            .begin_log_with(&mut bytes, &mut self.serializer)?
            .write_histogram(latency, start, length, tag)
            .map_err(|error| io::Error::other(error.to_string()))?;
        // A writer begins with comment lines; the log has them already.
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            if !line.starts_with(b"#") {
                out.extend_from_slice(line);
            }
        }
        Ok(())
    }
}
