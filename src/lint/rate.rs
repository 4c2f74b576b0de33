//! How many probes a second the configuration asks for.
//!
//! Probes count as instantaneous, so each figure is the most that can be asked for:
//!
//! - healthy: the sum of `1 / delay_loop`;
//! - failing: while everything is tried again after it was refused at once, an attempt every
//!   `delay_before_retry`; without such a pause all `retry + 1` attempts in one second;
//! - down: as healthy, but SMTP_CHECK tries `retry + 1` times in every interval also then, and HTTP_GET and
//!   SSL_GET ask for the failing url no more often than every `delay_before_retry`.
//!
//! HTTP_GET and SSL_GET ask for one url at each probe. FILE_CHECK and BFD_CHECK do not probe.

use std::collections::BTreeMap;

use super::checkers;
use crate::fleet::effective::{Check, Effective};

/// Probes a second.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Rate {
    /// While every server answers.
    pub healthy: f64,
    /// While all begin to fail and are tried again.
    pub failing: f64,
    /// Once all are down.
    pub down: f64,
    /// `healthy` and the number of checkers, by keyword.
    pub by_checker: BTreeMap<&'static str, (f64, u64)>,
}

/// What all checkers together ask for.
pub fn rate(effective: &Effective) -> Rate {
    let mut rate = Rate::default();
    for (_, _, checker) in checkers(effective) {
        let by = rate.by_checker.entry(checker.check.keyword()).or_default();
        by.1 += 1;
        let Some(timers) = &checker.timers else { continue };
        let interval = timers.delay_loop.value.as_secs_f64();
        if interval <= 0.0 {
            continue;
        }
        let pause = timers.delay_before_retry.value.as_secs_f64();
        let retry = f64::from(timers.retry.value);
        let average = (retry + 1.0) / (interval + retry * pause);
        let again = if pause > 0.0 { 1.0 / pause } else { retry + 1.0 };
        let failing = if retry > 0.0 { again.max(1.0 / interval) } else { 1.0 / interval };
        by.0 += 1.0 / interval;
        rate.healthy += 1.0 / interval;
        rate.failing += failing;
        rate.down += match checker.check {
            Check::Smtp(_) => average,
            Check::Http(_) => 1.0 / interval.max(pause),
            _ => 1.0 / interval,
        };
    }
    rate
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::fleet::effective::{Setting, SmtpCheck};
    use crate::lint::testing::{Build, server, service};

    #[test]
    fn intervals_add_up() {
        let mut build = Build::default();
        let mut server = server(&mut build, 10);
        server.delay_loop = Setting::default_of(Duration::from_secs(9));
        let smtp = Check::Smtp(SmtpCheck { helo_name: Setting::default_of("x".into()) });
        let (tcp, smtp) = (build.tcp(&server), build.checker(&server, smtp));
        server.checkers.extend([tcp.clone(), tcp, smtp]);
        let service = service(&mut build, vec![server]);
        let rate = rate(&build.with(vec![service]));
        let is = |found: f64, expected: f64| (found - expected).abs() < 1e-12;
        assert!(is(rate.healthy, 3.0 / 9.0), "{rate:?}");
        assert!(is(rate.failing, 3.0 / 1.0), "{rate:?}");
        assert!(is(rate.down, 2.0 / 9.0 + 2.0 / 10.0), "{rate:?}");
        assert_eq!(rate.by_checker["TCP_CHECK"].1, 2);
    }
}
