//! The summary for people.
//!
//! A headline, tables of reasons and latencies, what limited the run, what was strange, and the
//! first servers that failed, grouped by virtual server. Nothing is written before the end.

use std::fmt::{self, Write};

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};

use super::{Context, Detail, Output, RunInfo, Sink, SinkError};
use crate::aggregate::{Catalog, Listing, Summary};
use crate::outcome::Record;

/// Where a reader finds the servers that the summary has no room for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Rest {
    /// In the file of records that this run writes.
    File(String),
    /// Nowhere yet: the run has to be repeated with records.
    Rerun,
    /// In the records on standard output, so the summary lists no servers at all.
    Stdout,
}

/// Writes the text summary to an [`Output`].
#[derive(Debug)]
pub struct TextSink {
    output: Output,
    rest: Rest,
    is_coloured: bool,
}

impl TextSink {
    /// Will write to `output`.
    pub fn new(output: Output, rest: Rest, is_coloured: bool) -> TextSink {
        TextSink { output, rest, is_coloured }
    }
}

impl Sink for TextSink {
    fn begin(&mut self, _run: &RunInfo) -> Result<(), SinkError> {
        Ok(())
    }

    fn records(&mut self, _batch: &[Record], _context: &Context<'_>) -> Result<(), SinkError> {
        Ok(())
    }

    fn finish(&mut self, summary: &Summary, context: &Context<'_>) -> Result<(), SinkError> {
        let text = render(summary, context.catalog, &self.rest, self.is_coloured);
        self.output.lines().extend_from_slice(text.as_bytes());
        self.output.appended(0)?;
        self.output.flush()
    }
}

/// The summary without its lists of servers.
pub(crate) fn short_text(summary: &Summary, is_coloured: bool) -> String {
    let nobody = Catalog::of_list(Vec::new());
    render(summary, &nobody, &Rest::Stdout, is_coloured)
}

/// The whole text, ending with a newline.
fn render(summary: &Summary, catalog: &Catalog, rest: &Rest, is_coloured: bool) -> String {
    let mut page = Page { text: String::new(), is_coloured };
    // Writing to a string cannot fail.
    let _ = page.write(summary, catalog, rest);
    page.text
}

const BOLD: &str = "1";
const RED: &str = "1;31";
const GREEN: &str = "1;32";
const YELLOW: &str = "1;33";

struct Page {
    text: String,
    is_coloured: bool,
}

impl Page {
    fn write(&mut self, summary: &Summary, catalog: &Catalog, rest: &Rest) -> fmt::Result {
        self.headline(summary)?;
        self.reasons(summary)?;
        self.latency(summary)?;
        self.facts(summary)?;
        if *rest != Rest::Stdout {
            self.listing("failed", RED, &summary.failing, catalog, rest)?;
            self.listing("unknown", YELLOW, &summary.unclear, catalog, rest)?;
        }
        Ok(())
    }

    fn painted(&self, colour: &str, text: &str) -> String {
        if self.is_coloured { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn headline(&mut self, summary: &Summary) -> fmt::Result {
        let counts = summary.counts;
        let (colour, verdict) = match (summary.interrupted, counts.failed, counts.unknown) {
            _ if !summary.shard_failures.is_empty() => (RED, "INCOMPLETE"),
            (true, ..) => (YELLOW, "INTERRUPTED"),
            _ if summary.cut_short => (RED, "CUT SHORT"),
            (false, 0, 0) => (GREEN, "OK"),
            (false, 0, _) => (YELLOW, "UNKNOWN"),
            (false, ..) => (RED, "FAILED"),
        };
        let verdict = self.painted(colour, verdict);
        let of_total = match summary.total {
            Some(total) if total != counts.probed => format!(" of {}", grouped(total)),
            _ => String::new(),
        };
        writeln!(
            self.text,
            "{verdict}: {}{of_total} probed in {}: {} passed, {} failed, {} unknown",
            grouped(counts.probed),
            seconds(summary.elapsed_s),
            grouped(counts.passed),
            grouped(counts.failed),
            grouped(counts.unknown),
        )
    }

    fn reasons(&mut self, summary: &Summary) -> fmt::Result {
        if summary.reasons.is_empty() {
            return Ok(());
        }
        let mut table = plain_table();
        table.set_header(vec!["outcome", "reason", "probes"]);
        for reason in &summary.reasons {
            table.add_row(vec![
                reason.outcome.to_owned(),
                reason.reason.to_owned(),
                grouped(reason.count),
            ]);
        }
        align_right(&mut table, 2..3);
        self.table(&table)?;
        if summary.checkers.len() > 1 {
            let mut table = plain_table();
            table.set_header(vec!["checker", "probes", "passed", "failed", "unknown"]);
            for (keyword, counts) in &summary.checkers {
                let mut row = vec![(*keyword).to_owned()];
                row.extend(
                    [counts.probed, counts.passed, counts.failed, counts.unknown].map(grouped),
                );
                table.add_row(row);
            }
            align_right(&mut table, 1..5);
            self.table(&table)?;
        }
        Ok(())
    }

    fn latency(&mut self, summary: &Summary) -> fmt::Result {
        let Some(latency) = summary.latency_us else { return Ok(()) };
        let mut table = plain_table();
        table.set_header(vec!["latency", "p50", "p90", "p99", "p99.9", "max"]);
        let mut row = vec![String::new()];
        row.extend(
            [latency.p50, latency.p90, latency.p99, latency.p99_9, latency.max].map(microseconds),
        );
        table.add_row(row);
        align_right(&mut table, 1..6);
        self.table(&table)
    }

    fn table(&mut self, table: &Table) -> fmt::Result {
        writeln!(self.text)?;
        for line in table.lines() {
            writeln!(self.text, "{}", line.trim_end())?;
        }
        Ok(())
    }

    /// One fact a line: a word and what there is to say about it.
    fn facts(&mut self, summary: &Summary) -> fmt::Result {
        writeln!(self.text)?;
        let rate = grouped(summary.probes_per_second.round() as u64);
        self.fact("rate", &format!("{rate} probes/s, {}", limit_in_words(summary.limited_by)))?;
        self.fact(
            "sent",
            &format!(
                "{}, {}, {} in all",
                counted(summary.datagrams_sent, "datagram"),
                counted(summary.connects, "connect"),
                counted(summary.attempts, "attempt"),
            ),
        )?;
        self.fact("strange packets", &strange_in_words(summary))?;
        self.fact("local trouble", &trouble_in_words(summary))?;
        if !summary.not_probed.is_empty() {
            let words: Vec<String> = (summary.not_probed.iter())
                .map(|(keyword, count)| format!("{} {keyword}", grouped(u64::from(*count))))
                .collect();
            self.fact("not probed yet", &words.join(", "))?;
        }
        if summary.feed.excluded > 0 {
            self.fact("excluded", &counted(summary.feed.excluded, "target"))?;
        }
        if summary.feed.skipped_lines > 0 {
            self.fact("skipped", &counted(summary.feed.skipped_lines, "bad line"))?;
        }
        if summary.unfinished > 0 {
            let what = counted(summary.unfinished, "target");
            self.fact("unfinished", &format!("{what} handed out and not reported"))?;
        }
        for failure in &summary.shard_failures {
            self.fact(&format!("shard {}", failure.shard), &failure.error)?;
        }
        Ok(())
    }

    fn fact(&mut self, word: &str, text: &str) -> fmt::Result {
        writeln!(self.text, " {word:<15} {text}")
    }

    fn listing(
        &mut self,
        outcome: &str,
        colour: &str,
        listing: &Listing,
        catalog: &Catalog,
        rest: &Rest,
    ) -> fmt::Result {
        if listing.total == 0 {
            return Ok(());
        }
        let mut title = match outcome {
            "failed" => format!("{} failed", grouped(listing.total)),
            _ => format!("{} unknown (the trouble was ours, not theirs)", grouped(listing.total)),
        };
        if listing.groups_total > 0 {
            let groups = counted(listing.groups_total, "virtual server");
            title = format!("{title}, in {groups}");
        }
        if listing.unlisted() > 0 {
            title = format!("{title}; the first {}", listing.records.len());
        }
        let title = self.painted(colour, &format!("{title}:"));
        writeln!(self.text, "\n{title}")?;

        let mut table = plain_table();
        for record in &listing.records {
            let detail = Detail::of(record).map(|detail| detail.to_string());
            table.add_row(vec![
                real_server(record, catalog),
                catalog.keyword(record.spec).to_owned(),
                record.outcome.reason().to_owned(),
                detail.unwrap_or_default(),
            ]);
        }
        let rows: Vec<String> = table.lines().collect();
        let mut group = None;
        for (record, row) in listing.records.iter().zip(rows) {
            let virtual_server = catalog.virtual_server(record.seq);
            if virtual_server != group
                && let Some(id) = virtual_server
            {
                let count = (listing.groups.iter().find(|known| known.virtual_server == id))
                    .map_or(0, |known| known.count);
                let label = self.painted(BOLD, &catalog.virtual_server_label(id));
                writeln!(self.text, " virtual_server {label} ({} {outcome})", grouped(count))?;
                group = virtual_server;
            }
            writeln!(self.text, "  {}", row.trim_end())?;
        }
        if listing.unlisted() > 0 {
            let more = grouped(listing.unlisted());
            match rest {
                Rest::File(name) => writeln!(self.text, " {more} more: see {name}")?,
                Rest::Rerun => {
                    writeln!(self.text, " {more} more: run again with -o ndjson --out FILE")?;
                }
                Rest::Stdout => {}
            }
        }
        Ok(())
    }
}

/// Real server, and the address contacted where it is another.
fn real_server(record: &Record, catalog: &Catalog) -> String {
    match catalog.real_server(record.seq) {
        Some((address, _)) if address != record.target => format!("{address} at {}", record.target),
        _ => record.target.to_string(),
    }
}

fn limit_in_words(limit: Option<&str>) -> &'static str {
    match limit {
        Some("input") => "limited by the input",
        Some("tail") => "limited by the last timeouts and retries",
        Some("rate") => "limited by --rate",
        Some("window") => "limited by the window: the targets' round trips (see --window)",
        Some("cpu") => "limited by the CPU",
        Some("sockets") => "limited by the sockets that could be had (ulimit -n, ports)",
        Some("send_queue") => "limited by the send queues of this machine",
        Some("receive_buffer") => "limited by drops of the receive buffer (see --receive-buffer)",
        Some("output") => "limited by the output",
        _ => "not limited",
    }
}

fn strange_in_words(summary: &Summary) -> String {
    if summary.strange.is_empty() {
        return "none".to_owned();
    }
    let words: Vec<String> = (summary.strange.iter())
        .map(|(kind, count)| format!("{} {kind}", grouped(*count)))
        .collect();
    words.join(", ")
}

/// What went wrong on this machine, without which the sweep would have been better.
fn trouble_in_words(summary: &Summary) -> String {
    let mut words = Vec::new();
    if summary.receive_drops > 0 {
        let dropped = counted(summary.receive_drops, "datagram");
        let window = summary.window_min.map_or(String::new(), |window| {
            format!(" (window down to {})", grouped(u64::from(window)))
        });
        words.push(format!("{dropped} dropped by our receive buffers{window}"));
    }
    if summary.free_retries > 0 {
        let attempts = counted(summary.free_retries, "attempt");
        words.push(format!("{attempts} repeated because of us"));
    }
    if summary.soft_send_errors > 0 {
        let sends = counted(summary.soft_send_errors, "send");
        words.push(format!("{sends} repeated after another target's ICMP error"));
    }
    // Scheduling hiccups below a millisecond are everybody's.
    if summary.stalled_ms >= 1.0 {
        words.push(format!("not running for {}", seconds(summary.stalled_ms / 1e3)));
    }
    if words.is_empty() { "none".to_owned() } else { words.join(", ") }
}

/// Columns two spaces apart, no lines; every line begins with one space.
fn plain_table() -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING);
    table
}

fn align_right(table: &mut Table, columns: std::ops::Range<usize>) {
    for column in columns {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
}

/// `1234567` as `1,234,567`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 target`, `2 targets`.
pub(crate) fn counted(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", grouped(number))
}

fn seconds(seconds: f64) -> String {
    if seconds < 0.1 { format!("{:.1} ms", seconds * 1e3) } else { format!("{seconds:.1} s") }
}

fn microseconds(us: f64) -> String {
    if us < 1e3 {
        format!("{us:.1} µs")
    } else if us < 1e6 {
        format!("{:.1} ms", us / 1e3)
    } else {
        format!("{:.2} s", us / 1e6)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::*;
    use crate::aggregate::{Aggregator, FeedCounts, Percentiles, ShardFailure};
    use crate::outcome::{Failure, LocalFault, Outcome, Strange};
    use crate::sink::testing::{fleet_catalog, list_catalog, record};

    fn summary_of(catalog: &Catalog, records: &[Record]) -> Summary {
        let mut aggregator = Aggregator::new(catalog.clone(), 1);
        aggregator.add_records(records);
        aggregator.summary(Duration::from_millis(2_100), FeedCounts::default())
    }

    #[test]
    fn a_fleet_with_every_kind_of_trouble() {
        let catalog = fleet_catalog();
        let mut silent = record(2, Outcome::Fail(Failure::Timeout));
        silent.strange = Some(Strange::WrongId);
        silent.attempts = 3;
        let records = [
            record(0, Outcome::Pass),
            record(4, Outcome::Fail(Failure::Rcode(2))),
            silent,
            record(1, Outcome::Unknown(LocalFault::Socket(24))),
            record(5, Outcome::Fail(Failure::ConnectionRefused)),
            record(3, Outcome::Pass),
        ];
        let mut summary = summary_of(&catalog, &records);
        summary.latency_us = Some(Percentiles {
            count: 4,
            p50: 81.2,
            p90: 999.9,
            p99: 1_500.0,
            p99_9: 80_100.0,
            max: 1_200_000.0,
        });
        summary.total = Some(6);
        summary.probes_per_second = 48_123.4;
        summary.limited_by = Some("window");
        summary.datagrams_sent = 12_345;
        summary.connects = 1;
        summary.strange = BTreeMap::from([("late", 2), ("wrong_id", 1_000)]);
        summary.receive_drops = 7;
        summary.window_min = Some(512);
        summary.free_retries = 1;
        summary.stalled_ms = 3_000.0;
        summary.feed.excluded = 2;
        summary.feed.skipped_lines = 1;
        assert_eq!(
            render(&summary, &catalog, &Rest::Rerun, false),
            "\
FAILED: 6 probed in 2.1 s: 2 passed, 3 failed, 1 unknown

 outcome  reason              probes
 pass     ok                       2
 fail     timeout                  1
 fail     connection_refused       1
 fail     rcode                    1
 unknown  local_socket             1

 checker    probes  passed  failed  unknown
 DNS_CHECK       4       1       3        0
 TCP_CHECK       2       1       0        1

 latency      p50       p90     p99    p99.9     max
          81.2 µs  999.9 µs  1.5 ms  80.1 ms  1.20 s

 rate            48,123 probes/s, limited by the window: the targets' round trips (see --window)
 sent            12,345 datagrams, 1 connect, 8 attempts in all
 strange packets 2 late, 1,000 wrong_id
 local trouble   7 datagrams dropped by our receive buffers (window down to 512), \
1 attempt repeated because of us, not running for 3.0 s
 not probed yet  3 HTTP_GET
 excluded        2 targets
 skipped         1 bad line

3 failed, in 2 virtual servers:
 virtual_server [2001:db8::1]:53/udp (1 failed)
   10.0.0.3:53 at 10.9.0.3:53  DNS_CHECK  timeout             last ignored reply: wrong_id
 virtual_server group \"a, b\"/udp (2 failed)
   10.0.0.5:53 at 10.9.0.5:53  DNS_CHECK  rcode               SERVFAIL
   10.0.0.6:53 at 10.9.0.6:53  DNS_CHECK  connection_refused

1 unknown (the trouble was ours, not theirs), in 1 virtual server:
 virtual_server 192.0.2.1:53/tcp (1 unknown)
   10.0.0.2:53 at 10.9.0.2:53  TCP_CHECK  local_socket  EMFILE: Too many open files
"
        );
    }

    #[test]
    fn a_list_shows_the_first_twenty_and_where_the_rest_is() {
        let catalog = list_catalog();
        let records: Vec<Record> = (0..25)
            .map(|seq| {
                let mut made = record(seq, Outcome::Fail(Failure::NoAnswer));
                made.spec = crate::id::SpecId(0);
                made
            })
            .collect();
        let summary = summary_of(&catalog, &records);
        let text = render(&summary, &catalog, &Rest::File("out.ndjson".into()), false);
        assert!(text.contains("\n25 failed; the first 20:\n   10.9.0.1:53   DNS_CHECK"), "{text}");
        assert!(text.ends_with("   10.9.0.20:53  DNS_CHECK  no_answer\n 5 more: see out.ndjson\n"));
        assert!(!text.contains("virtual_server"), "{text}");
        let text = render(&summary, &catalog, &Rest::Rerun, false);
        assert!(text.ends_with(" 5 more: run again with -o ndjson --out FILE\n"), "{text}");
        let text = render(&summary, &catalog, &Rest::Stdout, false);
        assert!(!text.contains("10.9.0.1:53"), "the records themselves are on stdout: {text}");
    }

    #[test]
    fn an_interrupted_run_says_so_first_and_colour_is_only_paint() {
        let catalog = list_catalog();
        let mut summary = summary_of(&catalog, &[]);
        summary.interrupted = true;
        summary.total = Some(1_000);
        summary.unfinished = 12;
        summary.shard_failures = vec![];
        let plain = render(&summary, &catalog, &Rest::Rerun, false);
        assert_eq!(
            plain,
            "\
INTERRUPTED: 0 of 1,000 probed in 2.1 s: 0 passed, 0 failed, 0 unknown

 rate            0 probes/s, not limited
 sent            0 datagrams, 0 connects, 0 attempts in all
 strange packets none
 local trouble   none
 unfinished      12 targets handed out and not reported
"
        );
        summary.interrupted = false;
        summary.cut_short = true;
        let text = render(&summary, &catalog, &Rest::Rerun, false);
        assert!(text.starts_with("CUT SHORT: 0 of 1,000 probed"), "{text}");
        summary.interrupted = true;
        let painted = render(&summary, &catalog, &Rest::Rerun, true);
        assert!(painted.starts_with("\x1b[1;33mINTERRUPTED\x1b[0m: 0 of"), "{painted}");
        summary.shard_failures = vec![ShardFailure { shard: 1, error: "no ring".into() }];
        let text = render(&summary, &catalog, &Rest::Rerun, false);
        assert!(text.starts_with("INCOMPLETE: "), "{text}");
        assert!(text.contains("\n shard 1         no ring\n"), "{text}");
    }

    #[test]
    fn numbers_are_grouped_by_thousands() {
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), text);
        }
    }
}
