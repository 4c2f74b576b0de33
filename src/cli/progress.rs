//! How a sweep or a run of a bench goes, on standard error: a bar on a terminal, plain lines elsewhere.

use std::io::{self, IsTerminal};
use std::time::Duration;

use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::say;
use crate::sink::grouped;
use crate::sweep::{Progress, Standing};

/// Between two plain lines.
const LINE_EVERY: Duration = Duration::from_secs(1);
/// The rate shown is the mean of at least this long.
const RATE_OVER: Duration = Duration::from_millis(500);

/// `--progress`.
#[derive(Copy, Clone, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum When {
    /// On a terminal
    Auto,
    /// Never
    Never,
    /// Always
    Always,
}

/// The progress that suits standard error. `is_busy` says that records go to the same terminal.
pub(crate) fn choose(when: When, is_busy: bool) -> Box<dyn Progress> {
    let is_terminal = io::stderr().is_terminal();
    match when {
        When::Never => Box::new(()),
        When::Auto if !is_terminal || is_busy => Box::new(()),
        _ if is_terminal => Box::new(Bar::default()),
        _ => Box::new(Lines::default()),
    }
}

/// Probes per second lately.
#[derive(Default)]
struct Rate {
    since: Duration,
    probed: u64,
    per_second: f64,
}

impl Rate {
    fn update(&mut self, now: &Standing) -> f64 {
        let over = now.elapsed.saturating_sub(self.since);
        if over >= RATE_OVER {
            self.per_second = (now.counts.probed - self.probed) as f64 / over.as_secs_f64();
            self.since = now.elapsed;
            self.probed = now.counts.probed;
        }
        self.per_second
    }
}

/// What is worth knowing while it runs.
fn in_words(now: &Standing, per_second: f64) -> String {
    format!(
        "{} failed, {} unknown, {}/s, window {}",
        grouped(now.counts.failed),
        grouped(now.counts.unknown),
        grouped(per_second.round() as u64),
        grouped(now.window),
    )
}

/// A bar where the total is known, else a spinner. Made at the first update.
#[derive(Default)]
struct Bar {
    bar: Option<ProgressBar>,
    rate: Rate,
}

impl Progress for Bar {
    fn update(&mut self, now: &Standing) {
        let message = in_words(now, self.rate.update(now));
        let bar = self.bar.get_or_insert_with(|| new_bar(now.total));
        bar.set_position(now.counts.probed);
        bar.set_message(message);
        bar.tick();
    }

    fn end(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

fn new_bar(total: Option<u64>) -> ProgressBar {
    let template = match total {
        Some(_) => "{bar:30} {human_pos} of {human_len}, {msg}",
        None => "{spinner} {human_pos} probed, {msg}",
    };
    // The templates are ours; should one be wrong, indicatif's own look serves as well.
    let style =
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr_with_hz(10)).with_style(style)
}

/// A line a second.
#[derive(Default)]
struct Lines {
    next: Duration,
    rate: Rate,
}

impl Progress for Lines {
    fn update(&mut self, now: &Standing) {
        let per_second = self.rate.update(now);
        if now.elapsed < self.next {
            return;
        }
        // The first line comes after a second: a short sweep has nothing to say.
        if !self.next.is_zero() {
            say(line(now, per_second));
        }
        self.next = now.elapsed + LINE_EVERY;
    }
}

fn line(now: &Standing, per_second: f64) -> String {
    let of_total = now.total.map_or(String::new(), |total| format!(" of {}", grouped(total)));
    let probed = grouped(now.counts.probed);
    let seconds = now.elapsed.as_secs();
    format!("{seconds} s: {probed}{of_total} probed, {}", in_words(now, per_second))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::Counts;

    #[test]
    fn a_line_says_what_was_done_lately() {
        let mut rate = Rate::default();
        let at = |elapsed_ms, probed| Standing {
            elapsed: Duration::from_millis(elapsed_ms),
            counts: Counts { probed, passed: probed - 3, failed: 2, unknown: 1 },
            total: Some(1_000_000),
            window: 8192,
        };
        assert_eq!(rate.update(&at(100, 10)), 0.0, "too early to tell");
        assert_eq!(rate.update(&at(1_000, 1_000)), 1_000.0);
        let now = at(2_000, 51_000);
        let lately = rate.update(&now);
        assert_eq!(
            line(&now, lately),
            "2 s: 51,000 of 1,000,000 probed, 2 failed, 1 unknown, 50,000/s, window 8,192"
        );
        let stream = Standing { total: None, ..now };
        assert!(line(&stream, lately).starts_with("2 s: 51,000 probed, "));
    }

    #[test]
    fn a_bar_can_be_made_for_both_kinds_of_input() {
        for total in [Some(10), None] {
            let mut bar = Bar::default();
            let counts = Counts::default();
            bar.update(&Standing { elapsed: Duration::ZERO, counts, total, window: 0 });
            assert_eq!(bar.bar.as_ref().and_then(ProgressBar::length), total);
            bar.end();
            assert!(bar.bar.is_none());
        }
    }
}
