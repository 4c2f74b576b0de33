//! One line per checker, with a header line, quoted as RFC 4180 says; no summary.
//!
//! Columns are the fields of an NDJSON probe record without `type`; null is an empty field. What NDJSON says of a script in
//! `script` is here the last line of its output, in `detail`.

use std::io::Write;

use csv::WriterBuilder;

use super::labels::{write_address, write_server, write_tenths_of_us};
use super::script::detail_text;
use super::timestamp::TimestampWriter;
use super::{Context, Detail, Output, RunInfo, Sink, SinkError};
use crate::aggregate::Summary;
use crate::outcome::Record;
use crate::reaper::ScriptRun;

/// Column names.
const HEADER: [&str; 10] = [
    "checker",
    "virtual_server",
    "real_server",
    "target",
    "outcome",
    "reason",
    "detail",
    "attempts",
    "latency_us",
    "at",
];

/// Writes CSV to an [`Output`].
#[derive(Debug)]
pub struct CsvSink {
    output: Output,
    timestamps: TimestampWriter,
}

impl CsvSink {
    /// Will write to `output`.
    pub fn new(output: Output) -> CsvSink {
        CsvSink { output, timestamps: TimestampWriter::new() }
    }

    /// With a `run`, the batch is the record of that script.
    fn write_rows(
        &mut self,
        batch: &[Record],
        run: Option<&ScriptRun>,
        context: &Context<'_>,
    ) -> csv::Result<()> {
        let mut rows = WriterBuilder::new().from_writer(self.output.lines());
        let mut field = Vec::with_capacity(64);
        for record in batch {
            rows.write_field(context.catalog.keyword(record.spec))?;
            field.clear();
            match context.catalog.real_server(record.seq) {
                Some((real_server, virtual_server)) => {
                    rows.write_field(context.catalog.virtual_server_label(virtual_server))?;
                    write_server(real_server, &mut field);
                    rows.write_field(&field)?;
                }
                None => {
                    rows.write_field("")?;
                    rows.write_field("")?;
                }
            }
            let connection = context.catalog.connection(record.spec);
            field.clear();
            if connection.is_some() {
                write_address(record.target, &mut field);
            }
            rows.write_field(&field)?;
            rows.write_field(record.outcome.name())?;
            rows.write_field(record.outcome.reason())?;
            field.clear();
            if let Some(run) = run {
                field.extend(detail_text(record, run).unwrap_or_default().bytes());
            } else if let Some(detail) = Detail::with_options(record, connection) {
                write!(field, "{detail}")?;
            }
            rows.write_field(&field)?;
            rows.write_field(itoa::Buffer::new().format(record.attempts))?;
            field.clear();
            if let Some(ns) = record.latency_ns {
                write_tenths_of_us(ns, &mut field);
            }
            rows.write_field(&field)?;
            field.clear();
            self.timestamps.write(context.wall.unix_ns(record.at), &mut field);
            rows.write_field(&field)?;
            rows.write_record(None::<&[u8]>)?;
        }
        rows.flush()?;
        Ok(())
    }

    fn append(
        &mut self,
        batch: &[Record],
        run: Option<&ScriptRun>,
        context: &Context<'_>,
    ) -> Result<(), SinkError> {
        self.write_rows(batch, run, context).map_err(|error| SinkError {
            name: self.output.name().to_owned(),
            records: 0,
            error: error.into(),
        })?;
        self.output.appended(batch.len() as u64)
    }
}

impl Sink for CsvSink {
    fn begin(&mut self, _run: &RunInfo) -> Result<(), SinkError> {
        let lines = self.output.lines();
        lines.extend_from_slice(HEADER.join(",").as_bytes());
        lines.push(b'\n');
        self.output.appended(0)
    }

    fn records(&mut self, batch: &[Record], context: &Context<'_>) -> Result<(), SinkError> {
        self.append(batch, None, context)
    }

    fn script(
        &mut self,
        record: &Record,
        run: &ScriptRun,
        context: &Context<'_>,
    ) -> Result<(), SinkError> {
        self.append(std::slice::from_ref(record), Some(run), context)
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

    use super::*;
    use crate::outcome::{Failure, LocalFault, Outcome, ScriptFault, Strange};
    use crate::reaper::Tail;
    use crate::sink::testing::{
        fleet_catalog, list_catalog, record, run_info, script_catalog, script_record, wall,
    };

    #[test]
    fn the_whole_text_with_a_label_that_needs_quotes() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("out");
        let mut sink = CsvSink::new(Output::file(&path).expect("a file"));
        let wall = wall();
        sink.begin(&run_info()).expect("room");
        let catalog = fleet_catalog();
        let context = Context { catalog: &catalog, wall: &wall };
        let mut silent = record(5, Outcome::Fail(Failure::Timeout));
        silent.strange = Some(Strange::WrongId);
        silent.attempts = 3;
        let mut passed = record(0, Outcome::Pass);
        passed.latency_ns = Some(81_249);
        sink.records(&[passed, silent], &context).expect("room");
        let catalog = list_catalog();
        let context = Context { catalog: &catalog, wall: &wall };
        sink.records(&[record(0, Outcome::Pass)], &context).expect("room");
        sink.finish(&Summary::default(), &context).expect("room");
        assert_eq!(
            fs::read_to_string(&path).expect("readable"),
            "checker,virtual_server,real_server,target,outcome,reason,detail,attempts,latency_us,\
             at\n\
             TCP_CHECK,192.0.2.1:53/tcp,10.0.0.1:53,10.9.0.1:53,pass,ok,,1,81.2,\
             2026-11-23T12:26:07.000001Z\n\
             DNS_CHECK,\"group \"\"a, b\"\"/udp\",10.0.0.6:53,10.9.0.6:53,fail,timeout,\
             last ignored reply: wrong_id,3,,2026-11-23T12:26:07.000001Z\n\
             DNS_CHECK,,,10.9.0.1:53,pass,ok,,1,,2026-11-23T12:26:07.000001Z\n"
        );
    }

    #[test]
    fn a_script_reads_back_as_one_clean_row() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("out");
        let mut sink = CsvSink::new(Output::file(&path).expect("a file"));
        let (catalog, wall) = (script_catalog(), wall());
        let context = Context { catalog: &catalog, wall: &wall };
        let stderr = b"first\n=2+3, \"x\" \0\x1b[31m\xff\r\n".to_vec();
        let stderr = Tail { bytes: stderr, total: 30 };
        let mut run = ScriptRun { stderr, ..ScriptRun::default() };
        sink.begin(&run_info()).expect("room");
        let exit = Outcome::Fail(Failure::ExitStatus(2));
        sink.script(&script_record(4, exit), &run, &context).expect("room");
        run.explanation = Some("/opt/x, \"y\"\nz".into());
        let missing = LocalFault::Script(ScriptFault::NotFound(libc::ENOENT));
        sink.script(&script_record(5, Outcome::Unknown(missing)), &run, &context).expect("room");
        sink.flush().expect("room");
        let text = fs::read_to_string(&path).expect("UTF-8");
        assert_eq!(text.lines().count(), 3, "{text}");
        let rows: Vec<csv::StringRecord> = csv::Reader::from_reader(text.as_bytes())
            .into_records()
            .map(|row| row.expect("a whole row"))
            .collect();
        let fields = |row: &csv::StringRecord| -> Vec<String> {
            row.iter().skip(2).take(5).map(str::to_owned).collect()
        };
        let said = "exit status 2: =2+3, \"x\" \u{fffd}";
        assert_eq!(fields(&rows[0]), ["10.0.0.5:53", "", "fail", "exit_status", said]);
        let said = "/opt/x, \"y\" z";
        assert_eq!(fields(&rows[1]), ["10.0.0.6:53", "", "unknown", "script_not_found", said]);
    }
}
