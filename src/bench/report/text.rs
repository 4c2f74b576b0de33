//! `-o text`: the result for people.

use std::fmt::Write;

use comfy_table::{ContentArrangement, Table};

use super::figures::{COLUMNS, first_column, rows};
use super::words::{Tone, facts, headline, verdict};
use crate::bench::BenchResult;
use crate::sink::{align_right, painted, plain_table};

/// No line of the facts is longer.
const COLUMNS_MAX: u16 = 100;

/// The text, ending with a newline.
pub fn text(result: &BenchResult, is_coloured: bool) -> String {
    let (tone, verdict) = verdict(result);
    let mut text = format!("{}: {}\n", toned(is_coloured, tone, verdict), headline(result));
    if !result.runs.is_empty() {
        let mut table = plain_table();
        table.set_header([first_column(result)].into_iter().chain(COLUMNS));
        let mut was_over_all = false;
        for row in rows(result) {
            if row.is_over_all && !was_over_all {
                table.add_row([""]);
            }
            was_over_all = row.is_over_all;
            table.add_row([row.name].into_iter().chain(row.cells));
        }
        align_right(&mut table, 0..COLUMNS.len() + 1);
        text.push('\n');
        append(&mut text, &table);
    }
    text.push('\n');
    for fact in facts(result) {
        let mut table = plain_table();
        table.set_content_arrangement(ContentArrangement::Dynamic);
        // The column beside the word, with the space on either side of it.
        table.set_width(COLUMNS_MAX - WORD_WIDTH);
        table.add_row([fact.text]);
        let mut word = fact.word;
        for line in table.lines() {
            let padded = toned(is_coloured, fact.tone, &format!("{word:<15}"));
            // Writing to a string cannot fail.
            let _ = writeln!(text, " {}", format!("{padded}{line}").trim_end());
            word = "";
        }
    }
    text
}

/// A space, and the words of facts.
const WORD_WIDTH: u16 = 16;

fn append(text: &mut String, table: &Table) {
    for line in table.lines() {
        text.push_str(line.trim_end());
        text.push('\n');
    }
}

fn toned(is_coloured: bool, tone: Tone, text: &str) -> String {
    match tone {
        Tone::Good => painted(is_coloured, "1;32", text),
        Tone::Plain => text.to_owned(),
        Tone::Caution => painted(is_coloured, "1;33", text),
        Tone::Warning => painted(is_coloured, "1;31", text),
    }
}
