//! How long it takes, at worst, until a checker is down after its server died.
//!
//! The server dies just after it passed, so first comes a whole interval. Then `retry + 1` attempts fail,
//! each as late as it may, with `delay_before_retry` between them:
//!
//! ```text
//! worst = delay_loop + (retry + 1) x attempt + retry x delay_before_retry
//! ```
//!
//! | checker | the longest attempt |
//! |---|---|
//! | TCP_CHECK DNS_CHECK PING_CHECK TLS_CHECK, UDP_CHECK with `require_reply` | connect_timeout |
//! | HTTP_GET SSL_GET | 3 x connect_timeout: connection (and handshake), first byte, the rest |
//! | SMTP_CHECK | 4 x connect_timeout: connection, greeting, reply to HELO, reply to QUIT |
//! | FTP_CHECK | 3 x connect_timeout: connection, greeting, reply to QUIT; 2 more with a login |
//! | MISC_CHECK | misc_timeout, and 2 s from SIGTERM to SIGKILL |
//!
//! HTTP_GET and SSL_GET ask for one url at each probe, and a dead server fails whichever it is. (A single page
//! that breaks waits for its turn. keepalived's HTTP_GET waits anew at every read, so a server that sends a
//! byte now and then is never found there.)
//! Runs of a script are `delay_before_retry` apart from start to start, or follow each other at once where a
//! run takes longer.
//!
//! There is no figure for FILE_CHECK and BFD_CHECK, which wait for events, and none for a UDP_CHECK without
//! `require_reply`, which silence passes.

use std::cmp::Reverse;
use std::time::Duration;

use super::{checkers, seconds};
use crate::conf::Span;
use crate::fleet::effective::{Check, Checker, Effective, Timers};

/// From SIGTERM to SIGKILL, here and in keepalived.
const GRACE: Duration = Duration::from_secs(2);

/// The figure of one checker.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Detection {
    /// The checker's keyword.
    pub checker: &'static str,
    /// Where it stands.
    pub place: Span,
    /// Whose server, as reports of probes write it.
    pub virtual_server: String,
    /// Which server.
    pub real_server: String,
    /// The worst case; `None` where there is none.
    pub worst: Option<Duration>,
    /// The sum that makes the figure, or why there is none.
    pub why: String,
}

/// Every checker, the worst first; those without a figure last, each in file order.
pub fn detection(effective: &Effective) -> Vec<Detection> {
    let mut all: Vec<Detection> = checkers(effective)
        .map(|(service, server, checker)| {
            let (worst, why) = worst(checker);
            Detection {
                checker: checker.check.keyword(),
                place: checker.header,
                virtual_server: service.label().to_string(),
                real_server: server.label().to_string(),
                worst,
                why,
            }
        })
        .collect();
    all.sort_by_key(|one| Reverse(one.worst));
    all
}

fn worst(checker: &Checker) -> (Option<Duration>, String) {
    let Some(timers) = &checker.timers else {
        return (None, "it waits for events".to_owned());
    };
    let connect_timeout =
        checker.network.as_ref().map_or(Duration::ZERO, |network| network.connect_timeout.value);
    let waits = match &checker.check {
        Check::Udp(udp) if !udp.require_reply.value => {
            return (None, "silence passes without require_reply".to_owned());
        }
        Check::Misc(misc) => return worst_of_script(timers, misc.timeout.value),
        Check::Http(_) => 3,
        Check::Smtp(_) => 4,
        Check::Ftp(ftp) if ftp.user.value.is_some() => 5,
        Check::Ftp(_) => 3,
        _ => 1,
    };
    let attempt = times(connect_timeout, waits);
    let (failing, how) = failing(timers, attempt);
    let interval = timers.delay_loop.value;
    (Some(interval.saturating_add(failing)), format!("{} + {how}", seconds(interval)))
}

/// All attempts that fail, and the pauses between them.
fn failing(timers: &Timers, attempt: Duration) -> (Duration, String) {
    let retry = timers.retry.value;
    let attempts = times(attempt, retry.saturating_add(1));
    if retry == 0 {
        return (attempts, seconds(attempt));
    }
    let pause = timers.delay_before_retry.value;
    let how =
        format!("{} x {} + {retry} x {}", u64::from(retry) + 1, seconds(attempt), seconds(pause));
    (attempts.saturating_add(times(pause, retry)), how)
}

fn worst_of_script(timers: &Timers, timeout: Duration) -> (Option<Duration>, String) {
    let run = timeout.saturating_add(GRACE);
    let retry = timers.retry.value;
    let step = run.max(timers.delay_before_retry.value);
    let interval = timers.delay_loop.value;
    let worst = interval.saturating_add(times(step, retry)).saturating_add(run);
    let why = match retry {
        0 => format!("{} + {}", seconds(interval), seconds(run)),
        _ => format!("{} + {retry} x {} + {}", seconds(interval), seconds(step), seconds(run)),
    };
    (Some(worst), why)
}

fn times(time: Duration, count: u32) -> Duration {
    time.saturating_mul(count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::effective::{BfdCheck, FtpCheck, MiscCheck, Setting, SmtpCheck, TcpCheck};
    use crate::fleet::{LoadOptions, ScriptCommand, analyse_text};
    use crate::lint::testing::{Build, server, service};

    fn timed(check: Check, interval: u64, retry: u32, pause: u64) -> (Option<u64>, String) {
        let mut build = Build::default();
        let server = server(&mut build, 10);
        let mut checker = build.checker(&server, check);
        if let Some(timers) = &mut checker.timers {
            timers.delay_loop = Setting::default_of(Duration::from_secs(interval));
            timers.delay_before_retry = Setting::default_of(Duration::from_secs(pause));
            timers.retry = Setting::default_of(retry);
        }
        let (worst, why) = worst(&checker);
        (worst.map(|worst| worst.as_secs()), why)
    }

    fn script(timeout: u64) -> Check {
        Check::Misc(MiscCheck {
            command: Setting::default_of(ScriptCommand::Shell((*b"</x").into())),
            timeout: Setting::default_of(Duration::from_secs(timeout)),
            dynamic: Setting::default(),
            user: Setting::default(),
        })
    }

    #[test]
    fn an_interval_then_every_attempt_at_its_timeout() {
        let tcp = || Check::Tcp(TcpCheck {});
        assert_eq!(timed(tcp(), 60, 0, 1), (Some(65), "60 s + 5 s".to_owned()));
        assert_eq!(timed(tcp(), 60, 3, 2), (Some(86), "60 s + 4 x 5 s + 3 x 2 s".to_owned()));
        let smtp = Check::Smtp(SmtpCheck { helo_name: Setting::default_of("x".into()) });
        assert_eq!(timed(smtp, 60, 1, 1), (Some(101), "60 s + 2 x 20 s + 1 x 1 s".to_owned()));
        let ftp = FtpCheck { user: Setting::default(), password: Setting::default() };
        assert_eq!(timed(Check::Ftp(ftp), 60, 0, 1).0, Some(75));
    }

    #[test]
    fn a_script_runs_into_its_timeout_and_the_grace() {
        assert_eq!(timed(script(10), 60, 0, 1), (Some(72), "60 s + 12 s".to_owned()));
        assert_eq!(timed(script(10), 60, 2, 30), (Some(132), "60 s + 2 x 30 s + 12 s".to_owned()));
    }

    #[test]
    fn events_have_no_figure_and_huge_numbers_do_not_wrap() {
        let bfd = Check::Bfd(BfdCheck { name: Setting::default_of("x".into()) });
        assert_eq!(timed(bfd, 60, 1, 1).0, None);
        let (worst, _) = timed(script(4294), u64::MAX, u32::MAX, u64::MAX);
        assert_eq!(worst, Some(u64::MAX));
    }

    #[test]
    fn a_dead_server_fails_whichever_page_is_asked_for() {
        let check = |urls| {
            let text = format!(
                "virtual_server 10.0.0.1 80 {{\n real_server 10.0.0.2 80 {{\n HTTP_GET {{\n {urls} }}\n }}\n}}\n"
            );
            let analysis = analyse_text("x", text.into(), &LoadOptions::default());
            let effective = analysis.expect("small").effective;
            let found = detection(&effective);
            (found[0].worst, found[0].why.clone())
        };
        // Connection, first byte, the rest: 5 s each.
        let expected = (Some(Duration::from_secs(93)), "60 s + 2 x 15 s + 1 x 3 s".to_owned());
        assert_eq!(check("url { path / }\n"), expected);
        assert_eq!(check("url { path / }\n url { path /a }\n url { path /b }\n"), expected);
    }

    #[test]
    fn the_worst_comes_first() {
        let mut build = Build::default();
        let mut server = server(&mut build, 10);
        let (tcp, misc) = (build.tcp(&server), build.checker(&server, script(60)));
        server.checkers.extend([tcp, misc]);
        let service = service(&mut build, vec![server]);
        let effective = build.with(vec![service]);
        let found = detection(&effective);
        let order: Vec<_> = found.iter().map(|one| one.checker).collect();
        assert_eq!(order, ["MISC_CHECK", "TCP_CHECK"]);
        assert_eq!(found[0].virtual_server, "10.0.0.1:80/tcp");
    }
}
