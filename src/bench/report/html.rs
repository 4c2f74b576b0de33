//! `--html`: a page of its own with plots, which needs no network.
//!
//! The tables are written here, so that they are there without JavaScript. What is drawn is the JSON of
//! the result, by page.js with uPlot. Nothing on the page may run or be fetched but what carries the
//! nonce, whatever a target's name has in it.

use std::fmt::Write;

use rand::RngExt;
use rand::rngs::StdRng;

use super::figures::{COLUMNS, first_column, rows};
use super::json::Document;
use super::words::{Fact, Tone, facts, headline, load, verdict};
use crate::bench::BenchResult;

const PAGE: &str = include_str!("html/page.html");
const STYLE: &str = include_str!("html/page.css");
const SCRIPT: &str = include_str!("html/page.js");
const UPLOT_STYLE: &str = include_str!("vendor/uPlot.min.css");
const UPLOT_SCRIPT: &str = include_str!("vendor/uPlot.iife.min.js");

/// The page.
pub fn html(result: &BenchResult) -> String {
    let (tone, verdict) = verdict(result);
    let headline = escaped(&headline(result));
    let (callouts, details): (Vec<Fact>, Vec<Fact>) =
        facts(result).into_iter().filter(|fact| fact.word != "load").partition(is_callout);
    fill(
        PAGE,
        &[
            ("nonce", &nonce()),
            ("title", &format!("{headline} - ringprobe bench")),
            ("vendor_css", UPLOT_STYLE),
            ("css", STYLE),
            ("tone", class_of(tone)),
            ("verdict", verdict),
            ("headline", &headline),
            ("load", &escaped(&load(&result.load))),
            ("table", &table(result)),
            ("callouts", &callouts.iter().map(callout).collect::<String>()),
            ("picker", if result.load.mode == "ramp" { "Step" } else { "Run" }),
            ("details", &details_list(&details)),
            ("json", &json_in_script(result)),
            ("vendor_js", UPLOT_SCRIPT),
            ("js", SCRIPT),
        ],
    )
}

/// Replaces each `{{name}}` of the template once; what was put in is not looked at again.
fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let mut page = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        page.push_str(before);
        // Cannot fail: the template is ours, and a test fills it.
        let (name, behind) = after.split_once("}}").expect("a name ends");
        let value = values.iter().find(|(known, _)| *known == name).expect("a name with a value");
        page.push_str(value.1);
        rest = behind;
    }
    page.push_str(rest);
    page
}

/// What nobody who names a target can know beforehand.
fn nonce() -> String {
    format!("{:032x}", rand::make_rng::<StdRng>().random::<u128>())
}

/// As the text of a script element: no `<`, so that nothing in it ends the element.
fn json_in_script(result: &BenchResult) -> String {
    serde_json::to_string(&Document::of(result)).unwrap_or_default().replace('<', "\\u003c")
}

/// As text or in a quoted attribute.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            _ => escaped.push(character),
        }
    }
    escaped
}

fn class_of(tone: Tone) -> &'static str {
    match tone {
        Tone::Good => "good",
        Tone::Plain => "plain",
        Tone::Caution => "caution",
        Tone::Warning => "warning",
    }
}

fn is_callout(fact: &Fact) -> bool {
    fact.tone != Tone::Plain || ["knee", "limited by"].contains(&fact.word)
}

fn callout(fact: &Fact) -> String {
    let Fact { word, text, tone } = fact;
    format!("<p class=\"callout {}\"><b>{word}</b> {}</p>\n", class_of(*tone), escaped(text))
}

fn details_list(facts: &[Fact]) -> String {
    let mut list = "<dl class=\"facts\">\n".to_owned();
    for Fact { word, text, .. } in facts {
        // Writing to a string cannot fail.
        let _ = writeln!(list, "<dt>{word}</dt><dd>{}</dd>", escaped(text));
    }
    list + "</dl>"
}

fn table(result: &BenchResult) -> String {
    if result.runs.is_empty() {
        return String::new();
    }
    let mut table = format!(
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Table of runs\"><table>\n\
         <thead><tr><th scope=\"col\">{}</th>",
        first_column(result)
    );
    for column in COLUMNS {
        let _ = write!(table, "<th scope=\"col\">{column}</th>");
    }
    table.push_str("</tr></thead>\n<tbody id=\"runs\">\n");
    let mut was_over_all = false;
    for (at, row) in rows(result).iter().enumerate() {
        if row.is_over_all && !was_over_all {
            table.push_str("</tbody>\n<tbody class=\"over-all\">\n");
        }
        was_over_all = row.is_over_all;
        // Where every rate was kept nothing bends.
        let bends = result.knee.as_ref().filter(|knee| knee.broken_per_second.is_some());
        let knee = bends.and_then(|knee| knee.per_second);
        let asked = result.runs.get(at).and_then(|run| run.asked_per_second);
        let is_knee = knee.is_some() && knee == asked;
        table.push_str(if is_knee { "<tr class=\"knee\">" } else { "<tr>" });
        let _ = write!(table, "<th scope=\"row\">{}</th>", row.name);
        for cell in &row.cells {
            let _ = write!(table, "<td>{}</td>", escaped(cell));
        }
        table.push_str("</tr>\n");
    }
    table + "</tbody></table></div>"
}
