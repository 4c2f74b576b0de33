//! The first servers of an outcome, grouped by virtual server.

use std::fmt::{self, Write};

use super::words::{counted, grouped};
use super::{BOLD, Page, Rest, plain_table};
use crate::aggregate::{Catalog, Listing};
use crate::outcome::Record;
use crate::sink::Detail;
use crate::sink::labels::write_server;
use crate::sink::script::detail_text;

impl Page {
    pub(super) fn listing(
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
            let detail = match listing.runs.get(&record.seq) {
                Some(run) => detail_text(record, run),
                None => Detail::with_options(record, catalog.connection(record.spec))
                    .map(|detail| detail.to_string()),
            };
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

/// Real server, and the address contacted where it is another. A script contacts what it likes.
pub(super) fn real_server(record: &Record, catalog: &Catalog) -> String {
    match catalog.real_server(record.seq) {
        Some((address, _)) if catalog.script(record.spec).is_some() => {
            let mut label = Vec::new();
            write_server(address, &mut label);
            String::from_utf8_lossy(&label).into_owned()
        }
        Some((address, _)) if address != record.target => format!("{address} at {}", record.target),
        _ => record.target.to_string(),
    }
}
