//! What an operator would want to know of a configuration that is spelled correctly.
//!
//! ```text
//! effective configuration ─┬▶ rules ─▶ diagnostics (W075 and up, N065 and up)
//!                          ├▶ detection: how long a dead server stays undetected, by checker
//!                          └▶ rate: how many probes a second the file asks for
//! ```
//!
//! A rule says nothing about a real server of which something could not be read: that was reported.
//! What one line does to many checkers, or a whole virtual server has in common, is reported once, with
//! a count.

mod detection;
mod duplicates;
mod quorum;
mod rate;
mod servers;
mod services;
mod tally;
mod targets;
mod timeouts;

pub use detection::{Detection, detection};
pub use rate::{Rate, rate};

use crate::conf::{Diagnostics, Sources, Span};
use crate::fleet::effective::{Checker, Effective, RealServer, VirtualServer};

/// Runs every rule.
pub fn check(effective: &Effective, diagnostics: &mut Diagnostics) {
    servers::check(effective, diagnostics);
    services::check(effective, diagnostics);
    timeouts::check(effective, diagnostics);
    quorum::check(effective, diagnostics);
    duplicates::check(effective, diagnostics);
    targets::check(effective, diagnostics);
}

/// Every checker that can be judged, with what it belongs to, in file order.
fn checkers(
    effective: &Effective,
) -> impl Iterator<Item = (&VirtualServer, &RealServer, &Checker)> {
    effective.virtual_servers.iter().flat_map(|service| {
        let servers = service.real_servers.iter().filter(|server| !server.is_doubtful);
        servers.flat_map(move |server| {
            server.checkers.iter().map(move |checker| (service, server, checker))
        })
    })
}

/// File and line where a reader finds a place.
pub(crate) fn file_and_line(sources: &Sources, place: Span) -> (&str, u32) {
    let place = sources.place(place);
    (place.file, place.line)
}

/// `3 s`, `0.25 s`.
pub(crate) fn seconds(time: std::time::Duration) -> String {
    let text = format!("{}.{:06}", time.as_secs(), time.subsec_micros());
    format!("{} s", text.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
pub(crate) mod testing;

#[cfg(test)]
mod tests;
