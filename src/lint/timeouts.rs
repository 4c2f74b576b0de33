//! An attempt that may last as long as the interval between probes.

use std::time::Duration;

use super::tally::{Found, Tally};
use super::{checkers, seconds};
use crate::conf::{Code, Diagnostic, Diagnostics, Span};
use crate::fleet::effective::{Check, Effective, Level, Origin};

/// What findings of one cause have in common.
#[derive(Copy, Clone, PartialEq, Eq, Hash)]
struct Cause {
    keyword: &'static str,
    timeout: Duration,
    interval: Duration,
    /// Where they are written for more than one checker.
    timeout_at: Option<Span>,
    interval_at: Option<Span>,
    is_default: bool,
    /// The virtual server, where nothing is written for more than one checker.
    service: Option<Span>,
}

pub(super) fn check(effective: &Effective, diagnostics: &mut Diagnostics) {
    let mut tally: Tally<Cause> = Tally::new();
    for (service, _, checker) in checkers(effective) {
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
        let (timeout_at, interval_at) = (shared(timeout.origin), shared(interval.origin));
        let is_alone = timeout_at.is_none() && interval_at.is_none();
        let own = timeout.origin.span().filter(|_| timeout_at.is_none());
        let own = own.or(interval.origin.span().filter(|_| interval_at.is_none()));
        let cause = Cause {
            keyword,
            timeout: timeout.value,
            interval: interval.value,
            timeout_at,
            interval_at,
            is_default: !timeout.origin.is_written(),
            service: is_alone.then_some(service.header),
        };
        tally.add(cause, own.unwrap_or(checker.header));
    }
    for found in tally.found() {
        diagnostics.push(report(&found));
    }
}

/// Where a value is written that more than one checker may have.
fn shared(origin: Origin) -> Option<Span> {
    match origin {
        Origin::Default
        | Origin::Written(Level::Checker, _)
        | Origin::Adjusted(Level::Checker, _) => None,
        Origin::Written(_, span) | Origin::Adjusted(_, span) => Some(span),
    }
}

fn report(found: &Found<Cause>) -> Diagnostic {
    let Cause { keyword, timeout, interval, .. } = found.cause;
    let message = format!(
        "{keyword} of {} is not below delay_loop of {}{}",
        seconds(timeout),
        seconds(interval),
        found.others("checker"),
    );
    let diagnostic = Diagnostic::new(Code::TimeoutNotBelowInterval, message);
    let by_default = if found.cause.is_default { " by default" } else { "" };
    let attempt = format!("an attempt may take {}{by_default}", seconds(timeout));
    let between = format!("probes are {} apart", seconds(interval));
    match (found.cause.timeout_at, found.cause.interval_at) {
        (Some(timeout_at), Some(interval_at)) => {
            diagnostic.at(timeout_at, attempt).also(interval_at, between)
        }
        (Some(timeout_at), None) => diagnostic.at(timeout_at, attempt).also(found.first, between),
        (None, Some(interval_at)) => diagnostic.at(interval_at, between).also(found.first, attempt),
        (None, None) => diagnostic.at(found.first, attempt),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::effective::Setting;
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
