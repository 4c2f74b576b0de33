//! How long scripts waited, started and ran, and what they left behind.

use std::fmt;

use super::listing::real_server;
use super::words::{counted, microseconds};
use super::{Page, align_right, plain_table};
use crate::aggregate::{Catalog, Percentiles, Summary};
use crate::outcome::Record;
use crate::sink::script::{command_text, without_control};

impl Page {
    /// A row per part of a script's time that any script had.
    pub(super) fn scripts(&mut self, summary: &Summary) -> fmt::Result {
        let Some(scripts) = &summary.scripts else { return Ok(()) };
        let mut table = plain_table();
        table.set_header(vec!["scripts", "p50", "p90", "p99", "max"]);
        let row = |name: &str, times: &Percentiles| {
            let mut row = vec![name.to_owned()];
            row.extend([times.p50, times.p90, times.p99, times.max].map(microseconds));
            row
        };
        for (name, times) in [
            ("queued", &scripts.queued_us),
            ("start-up", &scripts.startup_us),
            ("run", &scripts.run_us),
        ] {
            if let Some(times) = times {
                table.add_row(row(name, times));
            }
        }
        align_right(&mut table, 1..5);
        self.table(&table)
    }

    /// Said once for all scripts of a kind, with the first of them.
    pub(super) fn script_warnings(&mut self, summary: &Summary, catalog: &Catalog) -> fmt::Result {
        let Some(scripts) = &summary.scripts else { return Ok(()) };
        if scripts.left_processes > 0 {
            let which = counted(scripts.left_processes, "script");
            let first = in_words(scripts.first_left.as_ref(), catalog);
            let text = format!("{which} left processes behind, which were killed{first}");
            self.fact("warning", &text)?;
        }
        if scripts.unowned_killed > 0 {
            let which = counted(scripts.unowned_killed, "stray");
            let text = format!("{which} of scripts killed: which scripts left them is not known");
            self.fact("warning", &text)?;
        }
        if scripts.unkilled > 0 {
            let which = counted(scripts.unkilled, "script");
            let verb = if scripts.unkilled == 1 { "has" } else { "have" };
            let first = in_words(scripts.first_unkilled.as_ref(), catalog);
            self.fact(
                "warning",
                &format!("{which} {verb} processes that cannot be killed{first}"),
            )?;
        }
        Ok(())
    }
}

/// `: 10.0.0.1:53 /opt/check`; nothing where the names are not to be had.
fn in_words(first: Option<&Record>, catalog: &Catalog) -> String {
    let Some(record) = first else { return String::new() };
    let Some(script) = catalog.script(record.spec) else { return String::new() };
    let command = without_control(&command_text(&script.command));
    format!(": {} {command}", real_server(record, catalog))
}
