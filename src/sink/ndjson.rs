//! One JSON object a line: `run`, then a `probe` per checker, last `summary`.
//!
//! Fields of a probe record: `type checker virtual_server real_server target outcome reason detail
//! attempts latency_us at`, and for a script `script`, which tells how it ran; its `target` is
//! null, because nothing was contacted from here. All but `script` is written by hand into one reused
//! buffer, because a general serializer would cost more than the probe itself; a test holds it against
//! serde_json.

use std::io::Write;

use serde::Serialize;

use super::labels::{LabelCache, write_address, write_server, write_tenths_of_us};
use super::script::ScriptFields;
use super::timestamp::TimestampWriter;
use super::{Context, Detail, Output, RunInfo, Sink, SinkError};
use crate::aggregate::Summary;
use crate::outcome::Record;
use crate::reaper::ScriptRun;

/// Writes NDJSON to an [`Output`].
pub struct NdjsonSink {
    output: Output,
    labels: LabelCache,
    timestamps: TimestampWriter,
}

impl std::fmt::Debug for NdjsonSink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NdjsonSink").field("output", &self.output.name()).finish_non_exhaustive()
    }
}

impl NdjsonSink {
    /// Will write to `output`.
    pub fn new(output: Output) -> NdjsonSink {
        NdjsonSink {
            output,
            labels: LabelCache::new(encode_string),
            timestamps: TimestampWriter::new(),
        }
    }

    /// Everything but the closing brace. An `explanation` stands in place of the usual detail.
    fn write_fields(&mut self, record: &Record, explanation: Option<&str>, context: &Context<'_>) {
        let connection = context.catalog.connection(record.spec);
        let lines = self.output.lines();
        lines.extend_from_slice(br#"{"type":"probe","checker":""#);
        lines.extend_from_slice(context.catalog.keyword(record.spec).as_bytes());
        lines.extend_from_slice(br#"","virtual_server":"#);
        match context.catalog.real_server(record.seq) {
            Some((real_server, virtual_server)) => {
                lines.extend_from_slice(self.labels.get(virtual_server, context.catalog));
                lines.extend_from_slice(br#","real_server":""#);
                write_server(real_server, lines);
                lines.extend_from_slice(br#"","target":"#);
            }
            None => lines.extend_from_slice(br#"null,"real_server":null,"target":"#),
        }
        if connection.is_some() {
            lines.push(b'"');
            write_address(record.target, lines);
            lines.push(b'"');
        } else {
            lines.extend_from_slice(b"null");
        }
        lines.extend_from_slice(br#","outcome":""#);
        lines.extend_from_slice(record.outcome.name().as_bytes());
        lines.extend_from_slice(br#"","reason":""#);
        lines.extend_from_slice(record.outcome.reason().as_bytes());
        match (explanation, Detail::with_options(record, connection)) {
            (Some(explanation), _) => {
                lines.extend_from_slice(br#"","detail":"#);
                encode_string(explanation, lines);
                lines.extend_from_slice(br#","attempts":"#);
            }
            // A detail never needs escaping, and writing to a vector cannot fail.
            (None, Some(detail)) => drop(write!(lines, r#"","detail":"{detail}","attempts":"#)),
            (None, None) => lines.extend_from_slice(br#"","detail":null,"attempts":"#),
        }
        lines.extend_from_slice(itoa::Buffer::new().format(record.attempts).as_bytes());
        lines.extend_from_slice(br#","latency_us":"#);
        match record.latency_ns {
            Some(ns) => write_tenths_of_us(ns, lines),
            None => lines.extend_from_slice(b"null"),
        }
        lines.extend_from_slice(br#","at":""#);
        self.timestamps.write(context.wall.unix_ns(record.at), lines);
        lines.push(b'"');
    }

    fn write_other<T: Serialize>(&mut self, kind: &'static str, body: &T) -> Result<(), SinkError> {
        #[derive(Serialize)]
        struct Tagged<'a, T> {
            r#type: &'static str,
            #[serde(flatten)]
            body: &'a T,
        }
        let lines = self.output.lines();
        let start = lines.len();
        if let Err(error) = serde_json::to_writer(&mut *lines, &Tagged { r#type: kind, body }) {
            lines.truncate(start);
            return Err(SinkError {
                name: self.output.name().to_owned(),
                records: 0,
                error: error.into(),
            });
        }
        lines.push(b'\n');
        self.output.appended(0)
    }
}

impl Sink for NdjsonSink {
    fn begin(&mut self, run: &RunInfo) -> Result<(), SinkError> {
        self.write_other("run", run)
    }

    fn records(&mut self, batch: &[Record], context: &Context<'_>) -> Result<(), SinkError> {
        for record in batch {
            self.write_fields(record, None, context);
            self.output.lines().extend_from_slice(b"}\n");
            // One at a time, so that a batch of any size finds room in the block.
            self.output.appended(1)?;
        }
        Ok(())
    }

    fn script(
        &mut self,
        record: &Record,
        run: &ScriptRun,
        context: &Context<'_>,
    ) -> Result<(), SinkError> {
        self.write_fields(record, run.explanation.as_deref(), context);
        let fields = ScriptFields::of(run, context.catalog.script(record.spec));
        let lines = self.output.lines();
        lines.extend_from_slice(br#","script":"#);
        // Text and numbers always serialize, and writing to a vector cannot fail.
        let _ = serde_json::to_writer(&mut *lines, &fields);
        lines.extend_from_slice(b"}\n");
        self.output.appended(1)
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        self.output.flush()
    }

    fn finish(&mut self, summary: &Summary, _context: &Context<'_>) -> Result<(), SinkError> {
        self.output.flush()?;
        self.write_other("summary", summary)?;
        self.output.flush()
    }
}

/// Appends a JSON string, quotes included.
fn encode_string(text: &str, to: &mut Vec<u8>) {
    // Strings always serialize, and writing to a vector cannot fail.
    let _ = serde_json::to_writer(to, text);
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::{Value, json};

    use super::*;
    use crate::outcome::{Failure, LocalFault, Outcome, ScriptFault, Strange};
    use crate::reaper::{ScriptStatus, Tail};
    use crate::sink::rfc3339;
    use crate::sink::testing::{
        fleet_catalog, list_catalog, record, run_info, script_catalog, script_record, wall,
    };

    /// What a plain serialisation of the record gives.
    fn by_serde(record: &Record, context: &Context<'_>) -> Value {
        let servers = context.catalog.real_server(record.seq);
        json!({
            "type": "probe",
            "checker": context.catalog.keyword(record.spec),
            "virtual_server": servers.map(|(_, id)| context.catalog.virtual_server_label(id)),
            "real_server": servers.map(|(address, _)| address.to_string()),
            "target": record.target.to_string(),
            "outcome": record.outcome.name(),
            "reason": record.outcome.reason(),
            "detail": Detail::with_options(record, context.catalog.connection(record.spec)).map(|detail| detail.to_string()),
            "attempts": record.attempts,
            "latency_us": record.latency_ns.map(|ns| ((ns + 50) / 100) as f64 / 10.0),
            "at": rfc3339(context.wall.unix_ns(record.at)),
        })
    }

    #[test]
    fn every_line_is_what_serde_would_write() {
        let outcomes = [
            Outcome::Pass,
            Outcome::Fail(Failure::Timeout),
            Outcome::Fail(Failure::Rcode(2)),
            Outcome::Fail(Failure::Rcode(15)),
            Outcome::Fail(Failure::NoAnswer),
            Outcome::Unknown(LocalFault::Late),
            Outcome::Unknown(LocalFault::Socket(24)),
            Outcome::Unknown(LocalFault::Memory(105)),
            Outcome::Unknown(LocalFault::Port),
        ];
        for catalog in [fleet_catalog(), list_catalog()] {
            let directory = tempfile::tempdir().expect("a directory");
            let path = directory.path().join("out");
            let mut sink = NdjsonSink::new(Output::file(&path).expect("a file"));
            let wall = wall();
            let context = Context { catalog: &catalog, wall: &wall };
            let mut records = Vec::new();
            for (step, outcome) in outcomes.into_iter().enumerate() {
                for strange in [None, Some(Strange::WrongPort)] {
                    let seq = records.len() as u64 % 6;
                    let mut made = record(seq, outcome);
                    made.strange = strange;
                    made.latency_ns = (step % 2 == 0).then_some(step as u64 * 1_234_567);
                    made.at = crate::tick::Tick::from_ns(step as u64 * 700_000_001);
                    records.push(made);
                }
            }
            sink.begin(&run_info()).expect("room");
            sink.records(&records, &context).expect("room");
            sink.finish(&Summary::default(), &context).expect("room");

            let text = fs::read_to_string(&path).expect("readable");
            let lines: Vec<&str> = text.lines().collect();
            assert_eq!(lines.len(), records.len() + 2);
            assert!(lines[0].starts_with(r#"{"type":"run","version":"#), "{}", lines[0]);
            for (line, record) in lines[1..].iter().zip(&records) {
                let parsed: Value = serde_json::from_str(line).expect("JSON");
                assert_eq!(parsed, by_serde(record, &context), "{line}");
                assert!(line.starts_with(r#"{"type":"probe","checker":""#), "{line}");
            }
            let summary: Value = serde_json::from_str(lines[lines.len() - 1]).expect("JSON");
            assert_eq!(summary["type"], "summary");
        }
    }

    #[test]
    fn the_fields_stand_in_the_documented_order() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("out");
        let mut sink = NdjsonSink::new(Output::file(&path).expect("a file"));
        let (catalog, wall) = (fleet_catalog(), wall());
        let context = Context { catalog: &catalog, wall: &wall };
        let mut made = record(0, Outcome::Fail(Failure::Rcode(2)));
        made.latency_ns = Some(81_249);
        sink.records(&[made], &context).expect("room");
        sink.flush().expect("room");
        assert_eq!(
            fs::read_to_string(&path).expect("readable"),
            concat!(
                r#"{"type":"probe","checker":"TCP_CHECK","virtual_server":"192.0.2.1:53/tcp","#,
                r#""real_server":"10.0.0.1:53","target":"10.9.0.1:53","outcome":"fail","#,
                r#""reason":"rcode","detail":"SERVFAIL","attempts":1,"latency_us":81.2,"#,
                r#""at":"2026-11-23T12:26:07.000001Z"}"#,
                "\n"
            )
        );
    }

    #[test]
    fn a_script_is_told_whole_whatever_bytes_it_wrote() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("out");
        let mut sink = NdjsonSink::new(Output::file(&path).expect("a file"));
        let (catalog, wall) = (script_catalog(), wall());
        let context = Context { catalog: &catalog, wall: &wall };
        let every_byte: Vec<u8> = (0..=u8::MAX).collect();
        let stderr = b"\0 \"quoted\" \\ \xff\xfe \x1b[31m\r\n".to_vec();
        let mut run = ScriptRun {
            queued_ns: 12_340,
            startup_ns: Some(81_249),
            run_ns: Some(1_000_000_000),
            status: Some(ScriptStatus::Exited(2)),
            stdout: Tail { bytes: every_byte.clone(), total: 10_485_760 },
            stderr: Tail { bytes: stderr, total: 22 },
            ..ScriptRun::default()
        };
        let failed = script_record(4, Outcome::Fail(Failure::ExitStatus(2)));
        sink.script(&failed, &run, &context).expect("room");
        run.explanation = Some("\"/opt\\x\"\u{1}\n is writable by others".into());
        run.status = None;
        run.startup_ns = None;
        run.weight = Some(253);
        run.left_processes = true;
        let insecure = LocalFault::Script(ScriptFault::Insecure);
        sink.script(&script_record(5, Outcome::Unknown(insecure)), &run, &context).expect("room");
        sink.records(&[script_record(5, Outcome::Pass)], &context).expect("room");
        sink.flush().expect("room");

        let text = fs::read_to_string(&path).expect("UTF-8");
        let lines: Vec<Value> =
            text.lines().map(|line| serde_json::from_str(line).expect("a whole record")).collect();
        assert_eq!(lines.len(), 3);
        assert!(!text.contains(|c: char| c < ' ' && c != '\n'), "raw control characters");
        let mut expected = by_serde(&failed, &context);
        expected["target"] = Value::Null;
        expected["script"] = json!({
            "command": "/opt/check --say '\"it'\\''s\"\u{1b}\u{fffd}'",
            "user": "nobody",
            "queued_us": 12.3,
            "startup_us": 81.2,
            "run_us": 1_000_000.0,
            "exit_status": 2,
            "signal": null,
            "weight": null,
            "left_processes": false,
            "is_unkilled": false,
            "stdout": String::from_utf8_lossy(&every_byte),
            "stdout_bytes": 10_485_760,
            "stderr": "\0 \"quoted\" \\ \u{fffd}\u{fffd} \u{1b}[31m\r\n",
            "stderr_bytes": 22,
            "explanation": null,
        });
        assert_eq!(lines[0], expected);
        assert_eq!(expected["detail"], "exit status 2");
        assert_eq!(lines[1]["detail"], "\"/opt\\x\"\u{1}\n is writable by others");
        assert_eq!(lines[1]["detail"], lines[1]["script"]["explanation"]);
        assert_eq!(lines[1]["script"]["exit_status"], Value::Null);
        assert_eq!(lines[1]["script"]["weight"], 253);
        assert_eq!(lines[2]["target"], Value::Null);
        let first = text.lines().next().expect("three lines");
        let fields =
            [r#""type":"#, r#""detail":"#, r#""at":"#, r#""script":{"command":"#, r#""user":"#];
        let places = fields.map(|field| first.find(field).expect("it is there"));
        assert!(places.is_sorted(), "{first}");
        assert!(first.ends_with(r#""explanation":null}}"#), "{first}");
    }

    /// Prints the cost of one record; run with `--nocapture` to see it.
    #[test]
    #[allow(clippy::disallowed_methods, reason = "measures itself")]
    fn a_million_records_take_less_than_their_budget() {
        let (catalog, wall) = (fleet_catalog(), wall());
        let context = Context { catalog: &catalog, wall: &wall };
        let null = fs::File::options().write(true).open("/dev/null").expect("the device");
        let mut sink = NdjsonSink::new(Output::on("null".into(), null));
        let batch: Vec<Record> = (0..256)
            .map(|step| {
                let mut made = record(step % 6, Outcome::Pass);
                made.latency_ns = Some(50_000 + step * 777);
                made
            })
            .collect();
        let rounds = 400;
        let start = std::time::Instant::now();
        for _ in 0..rounds {
            sink.records(&batch, &context).expect("the device takes everything");
        }
        let ns = start.elapsed().as_nanos() as f64 / f64::from(rounds * 256);
        println!("NDJSON: {ns:.0} ns per record");
        // The bar is 1,000 ns optimised; this build is not, and the machine may be busy.
        assert!(ns < 10_000.0, "{ns} ns per record");
    }
}
