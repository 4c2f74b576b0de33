//! An attempt that may last as long as the interval between probes.

use super::tally::Tally;
use super::{checkers, seconds};
use crate::conf::{Code, Diagnostic, Diagnostics, Span};
use crate::fleet::effective::{Check, Effective};

/// Keyword, timeout, interval, and where the two are written.
type Cause = (&'static str, std::time::Duration, std::time::Duration, Option<Span>, Option<Span>);

pub(super) fn check(effective: &Effective, diagnostics: &mut Diagnostics) {
    let mut tally: Tally<Cause> = Tally::new();
    for (_, _, checker) in checkers(effective) {
        let Some(timers) = &checker.timers else { continue };
        let (keyword, timeout) = match (&checker.network, &checker.check) {
            (Some(network), _) => ("connect_timeout", network.connect_timeout),
            (None, Check::Misc(misc)) => ("misc_timeout", misc.timeout),
            (None, _) => continue,
        };
        let interval = timers.delay_loop;
        // A misc_timeout that is not written is the delay_loop of the virtual server, which is no mistake.
        let is_theirs = keyword == "misc_timeout" && !timeout.origin.is_written();
        if timeout.value < interval.value || (is_theirs && timeout.value == interval.value) {
            continue;
        }
        let places = (timeout.origin.span(), interval.origin.span());
        tally.add((keyword, timeout.value, interval.value, places.0, places.1), checker.header);
    }
    for found in tally.found() {
        let (keyword, timeout, interval, timeout_at, interval_at) = found.cause;
        let message = format!(
            "{keyword} of {} is not below delay_loop of {}{}",
            seconds(timeout),
            seconds(interval),
            found.others("checker"),
        );
        let here = |what: &str, time| format!("{what} is {}", seconds(time));
        let diagnostic = Diagnostic::new(Code::TimeoutNotBelowInterval, message);
        diagnostics.push(match (timeout_at, interval_at) {
            (Some(timeout_at), Some(interval_at)) => diagnostic
                .at(timeout_at, "an attempt may take this long")
                .also(interval_at, "the interval between probes"),
            (Some(timeout_at), None) => diagnostic
                .at(timeout_at, "an attempt may take this long")
                .also(found.first, here("delay_loop", interval)),
            (None, Some(interval_at)) => diagnostic
                .at(interval_at, "the interval between probes")
                .also(found.first, format!("{} by default", here(keyword, timeout))),
            (None, None) => diagnostic.at(found.first, here(keyword, timeout)),
        });
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::fleet::effective::{Level, Setting};
    use crate::lint::testing::{Build, messages, server, service};

    #[test]
    fn one_inherited_line_is_reported_once() {
        let mut build = Build::default();
        let delay_loop = build.written(Level::VirtualServer, Duration::from_millis(2500));
        let servers = (10..13).map(|last| {
            let mut server = server(&mut build, last);
            server.delay_loop = delay_loop;
            let checker = build.tcp(&server);
            server.checkers.push(checker);
            server
        });
        let servers = servers.collect();
        let service = service(&mut build, servers);
        let effective = build.with(vec![service]);
        assert_eq!(
            messages(|diagnostics| check(&effective, diagnostics)),
            [
                "W076 connect_timeout of 5 s is not below delay_loop of 2.5 s; 2 more checkers like it"
            ]
        );
    }

    #[test]
    fn equal_is_too_much_and_less_is_fine() {
        for (timeout_ms, said) in [(59_999, 0), (60_000, 1), (60_001, 1)] {
            let mut build = Build::default();
            let mut server = server(&mut build, 10);
            server.connect_timeout = Setting::default_of(Duration::from_millis(timeout_ms));
            let checker = build.tcp(&server);
            server.checkers.push(checker);
            let service = service(&mut build, vec![server]);
            let effective = build.with(vec![service]);
            assert_eq!(messages(|diagnostics| check(&effective, diagnostics)).len(), said);
        }
    }
}
