//! The summary for people.
//!
//! A headline, tables of reasons and latencies, what limited the run, what was strange, and the
//! first servers that failed, grouped by virtual server. Nothing is written before the end.

mod listing;
mod scripts;
mod words;

use std::fmt::{self, Write};

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};

pub(crate) use self::words::{Trouble, counted, grouped, seconds};
use self::words::{limit_in_words, microseconds, strange_in_words};
use super::{Context, Output, RunInfo, Sink, SinkError};
use crate::aggregate::{Catalog, Summary};
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

    fn wants_passes(&self) -> bool {
        false
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
        self.scripts(summary)?;
        self.facts(summary)?;
        self.script_warnings(summary, catalog)?;
        if *rest != Rest::Stdout {
            self.listing("failed", RED, &summary.failing, catalog, rest)?;
            self.listing("unknown", YELLOW, &summary.unclear, catalog, rest)?;
        }
        Ok(())
    }

    fn painted(&self, colour: &str, text: &str) -> String {
        painted(self.is_coloured, colour, text)
    }

    fn headline(&mut self, summary: &Summary) -> fmt::Result {
        let counts = summary.counts;
        let (colour, verdict) = match (summary.interrupted, counts.failed, counts.unknown) {
            _ if summary.is_incomplete() => (RED, "INCOMPLETE"),
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
        self.fact("local trouble", &Trouble::of(summary).in_words())?;
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
        if let Some(error) = &summary.reaper_failure {
            self.fact("scripts", error)?;
        }
        Ok(())
    }

    fn fact(&mut self, word: &str, text: &str) -> fmt::Result {
        writeln!(self.text, " {word:<15} {text}")
    }
}

/// `text` in an ANSI colour, if there may be any.
pub(crate) fn painted(is_coloured: bool, colour: &str, text: &str) -> String {
    if is_coloured { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_owned() }
}

/// Columns two spaces apart, no lines; every line begins with one space.
pub(crate) fn plain_table() -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING);
    table
}

pub(crate) fn align_right(table: &mut Table, columns: std::ops::Range<usize>) {
    for column in columns {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
}

#[cfg(test)]
mod tests;
