//! What a run was limited by: what would have to change for more checks a second.

use serde::Serialize;

use super::idle::Idle;
use super::knee::{LOST_SHARE, Lost, STALL_SPOILS};
use super::result::{CpuByRole, ProbeCounts, Trouble};
use crate::aggregate::Summary;
use crate::sink::{counted, grouped, seconds};
use crate::sweep::group_wait_max;

/// Cores that are this busy are full.
const BUSY: f64 = 0.92;
/// Answers that take this many times as long as one at a time have waited in a queue.
const QUEUED: f64 = 2.0;
/// Where a tenth takes so many times as long as half do one at a time, something stood still for that part.
const STOOD_STILL: f64 = 10.0;
/// A rate is kept when at most this share of it is missing; and where of more than this share nothing can be
/// said, nothing can be said of what limited the rest.
const MISSED_SHARE: f64 = 0.01;
/// Timeouts that held more of the window than this limit, however few they are.
const MOST: f64 = 0.5;
/// The reason of a probe whose answer our own receive buffer may have dropped.
const DROP: &str = "local_drop";
const US_PER_SECOND: f64 = 1e6;
/// What helps a process that does not run when it should.
const OF_ITS_OWN: &str = "give it cores of its own";
/// Where nobody knows how long one takes alone.
const UNLESS_THEY_WAIT: &str =
    ", unless they wait in the target: how long one takes alone is not known";

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LimitedBy {
    /// `own_trouble`, `cpu`, `rate`, `window`, `socket_buffer`, `target`, `sockets`, `input` or `jobs`.
    pub what: &'static str,
    /// How that is known, and what to do about it.
    pub why: String,
}

/// What is known of a run when it is judged.
pub(super) struct Evidence<'a> {
    pub(super) summary: &'a Summary,
    pub(super) probes: ProbeCounts,
    pub(super) trouble: Trouble,
    /// Probes a second of an open loop.
    pub(super) rate: Option<f64>,
    /// How long the probes of `probes` were due, in seconds.
    pub(super) duration_s: f64,
    /// Timeout of a probe, in seconds; `None` where there are several.
    pub(super) timeout_s: Option<f64>,
    pub(super) cores: Cores,
    /// Half the answered probes of `probes` took at most this long, from their beginning; ours to wait before it is
    /// not in it.
    pub(super) service_us: Option<f64>,
    /// The same for nine of ten.
    pub(super) service_p90_us: Option<f64>,
    /// And on average.
    pub(super) service_mean_us: Option<f64>,
    /// Half of them took at most this long from when they were due.
    pub(super) from_due_us: Option<f64>,
    /// One probe at a time; `None` where that is not known.
    pub(super) idle: Option<Idle>,
    pub(super) window: u32,
    /// `--bind-port`.
    pub(super) bind_port: Option<u16>,
    pub(super) are_scripts: bool,
}

/// Who kept how many cores busy, and how many each could have used.
#[derive(Copy, Clone, Debug)]
pub(super) struct Cores {
    /// Of the whole process, and of the scripts it ran.
    pub(super) process: f64,
    /// Of its threads by what they do; `None` where that is not known.
    pub(super) by_role: Option<CpuByRole>,
    /// Shards there were; a shard is one thread.
    pub(super) of_shards: usize,
    /// That this process may run on, at least 1.
    pub(super) available: usize,
}

impl Cores {
    /// Who was as busy as can be, and what to do about it. Shards are held against what shards can use, as
    /// what other threads use cannot make a shard full; the whole process against all it may run on, where
    /// its threads take each other's cores.
    fn full(&self) -> Option<String> {
        let Cores { process, by_role, of_shards, available } = *self;
        if process >= BUSY * available as f64 {
            return Some(format!(
                "{process:.2} of the {} this process may use were busy; give it more",
                counted(available as u64, "core"),
            ));
        }
        let role = by_role?;
        if of_shards > 0 && role.shards >= BUSY * of_shards as f64 {
            return Some(format!(
                "the {} kept {:.2} cores busy, which is all they can; raise --shards",
                counted(of_shards as u64, "shard"),
                role.shards,
            ));
        }
        let alone = [
            ("feeder", "hands out targets", role.feeder),
            ("aggregator", "counts what ended", role.aggregator),
        ];
        alone.into_iter().find(|(.., busy)| *busy >= BUSY).map(|(name, does, busy)| {
            format!(
                "the thread that {does} ({name}) was {:.0} % busy, and there is one",
                100.0 * busy
            )
        })
    }
}

/// Judges a run.
pub(super) fn limited_by(evidence: &Evidence<'_>) -> LimitedBy {
    let Evidence { summary, probes, .. } = evidence;
    let by = |what, why: String| LimitedBy { what, why };
    let share = |count: u64| count as f64 / probes.due.max(1) as f64;
    if share(probes.unknown) > MISSED_SHARE {
        return own_trouble(evidence);
    }
    if let Some(rate) = evidence.rate
        && share(probes.unsent + probes.unknown) <= MISSED_SHARE
    {
        return at_a_kept_rate(evidence, rate);
    }
    let ms = |name: &str| summary.limited_ms.get(name).copied().unwrap_or(0);
    let waited = |names: &[&str]| names.iter().map(|name| ms(name)).sum::<u64>();
    let all =
        waited(&["input", "window", "cpu", "sockets", "receive_buffer", "send_queue", "output"]);
    // What held for less time than the missing probes were due in is not why they are missing.
    let missing_ms =
        share(probes.unsent) * 1e3 * evidence.duration_s * evidence.cores.of_shards as f64;
    let explains_missing = all as f64 >= missing_ms;
    let is_most = |names: &[&str]| explains_missing && 2 * waited(names) > all;
    if is_most(&["receive_buffer", "send_queue"]) {
        return by(
            "socket_buffer",
            format!(
                "the window was cut because buffers of this machine overflowed ({} datagrams dropped); \
                 raise --receive-buffer or net.core.rmem_max",
                evidence.trouble.receive_drops
            ),
        );
    }
    if let Some(why) = evidence.cores.full() {
        return by("cpu", why);
    }
    if is_most(&["cpu", "output"]) {
        let Cores { process, available, .. } = evidence.cores;
        return by(
            "cpu",
            format!(
                "there was always more to do, and this process got {process:.2} of {}: something else \
                 uses them",
                counted(available as u64, "core"),
            ),
        );
    }
    if is_most(&["input"]) {
        return by(
            "input",
            "the shards waited for targets, and the feeder was not busy: something kept it from running"
                .to_owned(),
        );
    }
    if is_most(&["sockets"]) {
        return by("sockets", "no more descriptors or ports; raise `ulimit -n`".to_owned());
    }
    if !explains_missing && let Some(why) = stood_still(evidence) {
        return by("own_trouble", why);
    }
    let held = held_by_timeouts(evidence);
    if share(probes.timeouts) > MISSED_SHARE || held.is_some_and(|held| held > MOST) {
        return by("target", timeouts_in_the_window(evidence, held));
    }
    let halves = halves(evidence).map_or_else(String::new, |halves| format!("{halves}; "));
    let unless = if evidence.idle.is_none() { UNLESS_THEY_WAIT } else { "" };
    match (evidence.service_us, evidence.idle) {
        (Some(service), Some(idle))
            if service > QUEUED * idle.median_us + group_wait_us(evidence) =>
        {
            by(
                "target",
                format!(
                    "{halves}with up to {} in flight they wait in the target or on the way",
                    evidence.window
                ),
            )
        }
        _ if evidence.are_scripts => by(
            "jobs",
            format!(
                "{halves}{:.2} of {} were busy: more than {} in flight may give more{unless}",
                evidence.cores.process,
                counted(evidence.cores.available as u64, "core"),
                evidence.window
            ),
        ),
        _ => by(
            "window",
            format!("{halves}more than {} in flight may give more{unless}", evidence.window),
        ),
    }
}

/// Judges an open loop of `rate` probes a second in which all but a few were begun. Only where the target kept
/// up too is the rate all there is to say.
fn at_a_kept_rate(evidence: &Evidence<'_>, rate: f64) -> LimitedBy {
    let by = |what, why: String| LimitedBy { what, why };
    let probes = evidence.probes;
    if probes.due == 0 {
        return by("rate", "no probe was due; raise --rate or --duration".to_owned());
    }
    // The knee does not call such a rate kept.
    if probes.share(probes.unknown) > LOST_SHARE && unknown_reason(evidence.summary) == DROP {
        return own_trouble(evidence);
    }
    let begun = begun(evidence);
    if let Some(lost) = lost(evidence) {
        return by("target", format!("{begun}; {lost}"));
    }
    // Probes that are hardly ever two in flight cannot wait for each other: what they take longer than one right
    // after the other is the way out of sleep, of this machine or of theirs.
    if let (Some(service), Some(idle)) = (evidence.service_us, evidence.idle)
        && rate * service / US_PER_SECOND > 1.0
        && service > QUEUED * idle.median_us
    {
        return match evidence.cores.full() {
            Some(why) => by("cpu", why),
            None => by(
                "target",
                format!(
                    "{begun}, one at a time {:.0} µs: they wait in the target or on the way",
                    idle.median_us
                ),
            ),
        };
    }
    if let (Some(tenth), Some(mean), Some(idle)) =
        (evidence.service_p90_us, evidence.service_mean_us, evidence.idle)
        && rate * mean / US_PER_SECOND > 1.0
        && tenth > STOOD_STILL * idle.median_us
        && evidence.trouble.stalled_ms <= MISSED_SHARE * 1e3 * evidence.duration_s
        && evidence.cores.full().is_none()
    {
        let one = idle.median_us;
        return by(
            "target",
            format!(
                "{begun}; a tenth took {tenth:.0} µs and more, one at a time half took {one:.0} µs: \
                 they waited in the target or on the way for a part of the time"
            ),
        );
    }
    by("rate", begun + "; ask for more with --rate")
}

/// What more of the probes came to than one at a time; where that is not known, whether many timed out.
fn lost(evidence: &Evidence<'_>) -> Option<String> {
    let probes = evidence.probes;
    let Some(Idle { probes: alone, .. }) = evidence.idle else {
        let share = probes.share(probes.timeouts);
        return (share > MISSED_SHARE)
            .then(|| format!("{:.2} % timed out, in the target or on the way", 100.0 * share));
    };
    let Lost { how, share, least_share } = Lost::more_than(alone, probes)?;
    Some(format!("{:.2} % {how}, one at a time {:.2} %", 100.0 * share, 100.0 * least_share))
}

/// The share of the window that probes held which were not answered; `None` where their timeouts differ.
fn held_by_timeouts(evidence: &Evidence<'_>) -> Option<f64> {
    let Evidence { probes, window, timeout_s, duration_s, .. } = *evidence;
    // What one held behind the end of the measurement, others before it held at its beginning.
    let held_s = probes.timeouts as f64 * timeout_s?;
    Some((held_s / (f64::from(window) * duration_s).max(f64::EPSILON)).min(1.0))
}

fn timeouts_in_the_window(evidence: &Evidence<'_>, held: Option<f64>) -> String {
    let timeouts = counted(evidence.probes.timeouts, "probe");
    let part = held.map_or_else(|| "a part".to_owned(), |held| format!("{:.0} %", 100.0 * held));
    let mut text = format!("timeouts of {timeouts} held {part} of the window");
    if let Some(halves) = halves(evidence) {
        text += &format!("; of the others {halves}");
    }
    text
}

/// What half the probes took, and with one at a time; `None` where either is not known.
fn halves(evidence: &Evidence<'_>) -> Option<String> {
    let (service, idle) = evidence.service_us.zip(evidence.idle)?;
    // One at a time cannot be slower: it had to be woken for each, and that says nothing of the target.
    if service < idle.median_us {
        return None;
    }
    Some(format!("half took {service:.0} µs, one at a time {:.0} µs", idle.median_us))
}

/// What shards that take answers in groups may have added to each of them, in microseconds.
fn group_wait_us(evidence: &Evidence<'_>) -> f64 {
    match u32::try_from(evidence.cores.of_shards) {
        Ok(shards @ 1..) if evidence.rate.is_none() => {
            group_wait_max(evidence.window / shards).as_secs_f64() * US_PER_SECOND
        }
        _ => 0.0,
    }
}

/// How well a rate was kept.
fn begun(evidence: &Evidence<'_>) -> String {
    let ProbeCounts { due, timeouts, unsent, unknown, .. } = evidence.probes;
    let mut text = match unsent + unknown {
        0 if due == 1 => "the one probe that was due was begun".to_owned(),
        0 => format!("all {} that were due were begun", counted(due, "probe")),
        _ => format!(
            "of {} that were due {} were never begun and {} ended unknown",
            counted(due, "probe"),
            grouped(unsent),
            grouped(unknown),
        ),
    };
    // Timeouts and the unsent are among those counted from when they were due, and have no service time: where
    // they are many, the halves are not of the same probes, and what is between them is no wait of ours.
    let unanswered = timeouts + unsent;
    if unanswered as f64 > MISSED_SHARE * due as f64 {
        text += &format!("; {} had no answer", grouped(unanswered));
        if let Some(service) = evidence.service_us {
            text += &format!(", half of the others took {service:.0} µs from when they began");
        }
    } else if let (Some(from_due), Some(service)) = (evidence.from_due_us, evidence.service_us) {
        text += &format!(
            "; half of them took {from_due:.0} µs from when they were due, {service:.0} µs from when they \
             began"
        );
    }
    text
}

/// For how long this process did not run, where that is enough for what was never begun.
fn stood_still(evidence: &Evidence<'_>) -> Option<String> {
    let Evidence { rate, trouble, probes, .. } = evidence;
    let due = (*rate)? * trouble.stalled_ms / 1e3;
    (probes.unsent as f64 <= STALL_SPOILS * due).then(|| {
        format!(
            "{} of {} were never begun, and {:.0} were due while this process did not run, for {}: {OF_ITS_OWN}",
            grouped(probes.unsent),
            counted(probes.due, "probe"),
            due,
            seconds(trouble.stalled_ms / 1e3),
        )
    })
}

/// The most frequent reason for which nothing can be said of a probe.
fn unknown_reason(summary: &Summary) -> &'static str {
    let unknown = summary.reasons.iter().filter(|reason| reason.outcome == "unknown");
    unknown.max_by_key(|reason| reason.count).map_or("unknown", |reason| reason.reason)
}

/// What kept us from knowing, and what to do about the most frequent of it.
fn own_trouble(evidence: &Evidence<'_>) -> LimitedBy {
    let Evidence { summary, probes, bind_port, .. } = evidence;
    let reason = unknown_reason(summary);
    let remedy = match reason {
        "late" => &format!("this process was not running in time; {OF_ITS_OWN}"),
        DROP => "its buffers overflowed; raise --receive-buffer or net.core.rmem_max",
        "local_socket" => "no socket could be had or used; look at `ulimit -n` and --bindto",
        "local_port" if let Some(port) = bind_port => &format!(
            "port {port} of --bind-port is taken, by something else or by another probe of the same target"
        ),
        "local_port" => "no local port was free; raise net.ipv4.ip_local_port_range",
        "local_memory" => "the kernel had no buffers left; lower --window",
        _ => "`ringprobe sweep` of the same names each of them",
    };
    LimitedBy {
        what: if reason == DROP { "socket_buffer" } else { "own_trouble" },
        why: format!(
            "of {} of {} nothing can be said, most often {reason}: {remedy}",
            grouped(probes.unknown),
            counted(probes.due, "probe"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::aggregate::ReasonCount;

    /// A closed loop of two shards on four cores that nothing keeps from more; each case changes some of it.
    fn quiet(summary: &Summary) -> Evidence<'_> {
        Evidence {
            summary,
            probes: ProbeCounts { due: 1000, passed: 1000, ..ProbeCounts::default() },
            trouble: Trouble::default(),
            rate: None,
            duration_s: 10.0,
            timeout_s: Some(2.0),
            cores: Cores { process: 0.5, by_role: None, of_shards: 2, available: 4 },
            service_us: Some(60.0),
            service_p90_us: Some(70.0),
            service_mean_us: Some(60.0),
            from_due_us: Some(65.0),
            idle: Some(Idle {
                median_us: 50.0,
                probes: ProbeCounts { due: 3000, passed: 3000, ..ProbeCounts::default() },
            }),
            window: 64,
            bind_port: None,
            are_scripts: false,
        }
    }

    fn waited(limits: &[(&'static str, u64)]) -> Summary {
        Summary { limited_ms: limits.iter().copied().collect(), ..Summary::default() }
    }

    fn assert_limit(evidence: &Evidence<'_>, what: &str, why: &str) {
        let found = limited_by(evidence);
        assert_eq!(found.what, what, "{}", found.why);
        assert!(found.why.contains(why), "{why}: {}", found.why);
    }

    #[test]
    fn what_the_shards_waited_for_limits_them() {
        for (limits, what, why) in [
            (&[("window", 900)][..], "window", "more than 64 in flight"),
            (&[("receive_buffer", 600), ("window", 300)], "socket_buffer", "7 datagrams dropped"),
            (&[("send_queue", 600), ("window", 300)], "socket_buffer", "overflowed"),
            (&[("cpu", 500), ("output", 300), ("window", 300)], "cpu", "something else uses"),
            (&[("sockets", 600), ("window", 300)], "sockets", "ulimit -n"),
            (&[("input", 600), ("window", 300)], "input", "waited for targets"),
            (&[("input", 300), ("window", 600)], "window", "more than 64 in flight"),
            (&[("rate", 900), ("tail", 900), ("sockets", 10)], "sockets", "ulimit -n"),
        ] {
            let summary = waited(limits);
            let trouble = Trouble { receive_drops: 7, ..Trouble::default() };
            assert_limit(&Evidence { trouble, ..quiet(&summary) }, what, why);
        }
    }

    #[test]
    fn a_core_that_is_full_is_one_of_those_that_could_be_used() {
        let role = |shards, feeder, aggregator| {
            Some(CpuByRole { shards, feeder, aggregator, scripts: 0.0 })
        };
        let summary = waited(&[("window", 900)]);
        for (process, by_role, of_shards, what, why) in [
            (3.7, None, 2, "cpu", "3.70 of the 4 cores"),
            (1.9, role(1.85, 0.03, 0.02), 2, "cpu", "the 2 shards kept 1.85 cores busy"),
            // As much as two full shards, and none is.
            (1.9, role(1.0, 0.5, 0.4), 2, "window", "in flight"),
            (2.0, role(0.7, 0.95, 0.35), 2, "cpu", "(feeder) was 95 % busy"),
            (2.0, role(0.7, 0.3, 0.93), 2, "cpu", "(aggregator) was 93 % busy"),
            // Scripts alone need no shard.
            (0.6, role(0.0, 0.1, 0.1), 0, "window", "in flight"),
        ] {
            let cores = Cores { process, by_role, of_shards, available: 4 };
            assert_limit(&Evidence { cores, ..quiet(&summary) }, what, why);
        }
        // All threads take turns on one core: none is full, the core is.
        let cores =
            Cores { process: 0.97, by_role: role(0.6, 0.2, 0.17), of_shards: 1, available: 1 };
        assert_limit(&Evidence { cores, ..quiet(&summary) }, "cpu", "0.97 of the 1 core");
    }

    #[test]
    fn a_rate_that_was_kept_limits_and_the_numbers_are_said() {
        let summary = waited(&[("rate", 900)]);
        let open = |probes| Evidence { probes, rate: Some(100.0), ..quiet(&summary) };
        let all = ProbeCounts { due: 1000, passed: 1000, ..ProbeCounts::default() };
        assert_limit(
            &open(all),
            "rate",
            "all 1,000 probes that were due were begun; half of them took 65",
        );
        let some = ProbeCounts { passed: 990, unsent: 8, unknown: 2, ..all };
        assert_limit(&open(some), "rate", "8 were never begun and 2 ended unknown");
        let one = ProbeCounts { due: 1, passed: 1, ..all };
        assert_limit(&open(one), "rate", "the one probe that was due was begun;");
        assert_limit(&open(ProbeCounts::default()), "rate", "no probe was due; raise --rate");
        let missed = ProbeCounts { passed: 980, unsent: 20, ..all };
        assert_limit(&open(missed), "window", "in flight");
    }

    /// A machine that stands still from 100 ms before the end of 5 s to 100 ms behind it.
    #[test]
    fn what_was_due_while_this_process_stood_still_is_missing_for_no_other_reason() {
        // Of before the span began.
        let residue = waited(&[("input", 3), ("window", 1), ("rate", 9_700)]);
        let open = |summary, unsent, stalled_ms| Evidence {
            probes: ProbeCounts {
                due: 5000,
                passed: 5000 - unsent,
                unsent,
                ..ProbeCounts::default()
            },
            rate: Some(1000.0),
            duration_s: 5.0,
            trouble: Trouble { stalled_ms, ..Trouble::default() },
            ..quiet(summary)
        };
        let why =
            "100 of 5,000 probes were never begun, and 200 were due while this process did not run";
        assert_limit(&open(&residue, 100, 200.0), "own_trouble", why);
        assert_limit(&open(&residue, 401, 200.0), "window", "in flight"); // too short for that
        // 2 % of 5 s of two shards.
        let waited_too = waited(&[("input", 200), ("rate", 9_700)]);
        assert_limit(&open(&waited_too, 100, 200.0), "input", "waited for targets");
    }

    #[test]
    fn where_nothing_can_be_said_our_trouble_is_named_before_all_else() {
        for (reason, what, remedy) in [
            ("late", "own_trouble", "cores of its own"),
            ("local_drop", "socket_buffer", "--receive-buffer"),
            ("local_socket", "own_trouble", "ulimit -n"),
            ("local_port", "own_trouble", "ip_local_port_range"),
            ("local_memory", "own_trouble", "--window"),
        ] {
            let reasons = [("pass", "answered", 980), ("unknown", reason, 15), ("unknown", "x", 5)];
            let reasons =
                reasons.map(|(outcome, reason, count)| ReasonCount { outcome, reason, count });
            let summary =
                Summary { reasons: reasons.into(), limited_ms: BTreeMap::new(), ..waited(&[]) };
            let probes =
                ProbeCounts { due: 1000, passed: 980, unknown: 20, ..ProbeCounts::default() };
            let cores = Cores { process: 4.0, ..quiet(&summary).cores };
            for rate in [Some(100.0), None] {
                let evidence = Evidence { probes, cores, rate, ..quiet(&summary) };
                assert_limit(&evidence, what, remedy);
                assert_limit(&evidence, what, "of 20 of 1,000 probes");
            }
        }
    }

    #[test]
    fn a_rate_at_which_our_buffers_drop_was_not_kept() {
        let with = |unknown, reason| {
            let reasons = vec![ReasonCount { outcome: "unknown", reason, count: unknown }];
            let summary = Summary { reasons, ..waited(&[("rate", 900)]) };
            let passed = 10_000 - unknown;
            let probes = ProbeCounts { due: 10_000, passed, unknown, ..ProbeCounts::default() };
            limited_by(&Evidence { probes, rate: Some(1000.0), ..quiet(&summary) }).what
        };
        assert_eq!(with(50, "local_drop"), "socket_buffer");
        assert_eq!(with(10, "local_drop"), "rate", "one in a thousand");
        assert_eq!(with(50, "late"), "rate");
    }

    #[test]
    fn a_port_that_was_asked_for_is_named_where_it_is_taken() {
        let reasons = vec![ReasonCount { outcome: "unknown", reason: "local_port", count: 1000 }];
        let summary = Summary { reasons, ..waited(&[]) };
        let probes = ProbeCounts { due: 1000, unknown: 1000, ..ProbeCounts::default() };
        let evidence = Evidence { probes, bind_port: Some(5353), ..quiet(&summary) };
        assert_limit(&evidence, "own_trouble", "port 5353 of --bind-port is taken");
    }

    #[test]
    fn a_target_that_answers_slower_than_alone_limits() {
        let summary = waited(&[("window", 900)]);
        let evidence = quiet(&summary);
        let slow = Evidence { service_us: Some(101.0), ..evidence };
        assert_limit(
            &slow,
            "target",
            "half took 101 µs, one at a time 50 µs; with up to 64 in flight",
        );
    }

    #[test]
    fn where_one_at_a_time_is_not_known_that_is_said_and_nobody_is_blamed() {
        let summary = waited(&[("window", 900)]);
        let probes = ProbeCounts { due: 1000, passed: 999, timeouts: 1, ..ProbeCounts::default() };
        let unknown = Evidence { idle: None, probes, ..quiet(&summary) };
        let said = "more than 64 in flight may give more, unless they wait in the target: how long one takes alone is \
                    not known";
        assert_limit(&unknown, "window", said);
        assert_limit(&Evidence { are_scripts: true, ..unknown }, "jobs", "alone is not known");
        let open = Evidence { idle: None, probes, rate: Some(20_000.0), ..quiet(&summary) };
        assert_limit(&open, "rate", "ask for more with --rate");
    }

    #[test]
    fn a_rate_that_was_begun_and_not_answered_is_not_what_limits() {
        let summary = waited(&[("rate", 900)]);
        let open = |probes| Evidence { probes, rate: Some(100.0), ..quiet(&summary) };
        let timeouts = |timeouts| ProbeCounts {
            due: 1000,
            passed: 1000 - timeouts,
            timeouts,
            ..ProbeCounts::default()
        };
        assert_limit(&open(timeouts(4)), "rate", "ask for more with --rate");
        // Half of the answered took 60 µs; with the timeouts, half of all took longer: not the same half.
        let silent = Evidence { from_due_us: Some(500_000.0), ..open(timeouts(450)) };
        assert_limit(
            &silent,
            "target",
            "begun; 450 had no answer, half of the others took 60 µs from when they began; 45.00 % \
             timed out, one at a time 0.00 %",
        );
        let why = limited_by(&silent).why;
        assert!(!why.contains("500000") && !why.contains("--rate"), "{why}");
    }

    #[test]
    fn a_target_that_stands_still_for_a_part_of_a_kept_rate_limits() {
        let summary = waited(&[("rate", 900)]);
        let open = Evidence {
            rate: Some(1000.0),
            service_p90_us: Some(1_000_000.0),
            service_mean_us: Some(280_000.0),
            ..quiet(&summary)
        };
        let said = "a tenth took 1000000 µs and more, one at a time half took 50 µs";
        assert_limit(&open, "target", said);
        let ours = Trouble { stalled_ms: 0.1 * 1e3 * open.duration_s, ..Trouble::default() };
        assert_limit(&Evidence { trouble: ours, ..open }, "rate", "ask for more");
        let spread = Evidence { service_p90_us: Some(499.0), ..open };
        assert_limit(&spread, "rate", "ask for more");
        let seldom = Evidence { rate: Some(3.0), ..open };
        assert_limit(&seldom, "rate", "ask for more");
    }

    #[test]
    fn a_kept_rate_at_which_probes_wait_for_each_other_is_not_what_limits() {
        let summary = waited(&[("rate", 900)]);
        let open = |rate, service| Evidence {
            rate: Some(rate),
            service_us: Some(service),
            ..quiet(&summary)
        };
        assert_limit(&open(20_000.0, 100.0), "rate", "ask for more");
        assert_limit(&open(20_000.0, 101.0), "target", "one at a time 50 µs: they wait in the");
        assert_limit(&open(9_000.0, 101.0), "rate", "ask for more"); // less than one in flight
        let cores = Cores { process: 3.9, ..quiet(&summary).cores };
        assert_limit(&Evidence { cores, ..open(20_000.0, 101.0) }, "cpu", "3.90 of the 4 cores");
    }

    #[test]
    fn a_kept_rate_at_which_more_fail_than_one_at_a_time_is_not_what_limits() {
        let summary = waited(&[("rate", 900)]);
        let failed = |due, failed| ProbeCounts {
            due,
            failed,
            passed: due - failed,
            ..ProbeCounts::default()
        };
        let open = |failed, idle_probes: Option<ProbeCounts>| Evidence {
            probes: failed,
            rate: Some(100.0),
            idle: idle_probes.map(|probes| Idle { median_us: 50.0, probes }),
            ..quiet(&summary)
        };
        let many = failed(1000, 200);
        assert_limit(&open(many, None), "rate", "ask for more");
        assert_limit(&open(many, Some(failed(500, 100))), "rate", "ask for more");
        assert_limit(&open(many, Some(failed(5, 0))), "rate", "ask for more"); // chance
        let alone = Some(failed(500, 5));
        assert_limit(&open(many, alone), "target", "20.00 % failed, one at a time 1.00 %");
    }

    #[test]
    fn a_kept_rate_at_which_no_more_time_out_than_one_at_a_time_is_what_limits() {
        let summary = waited(&[("rate", 900)]);
        let timeouts = |due, timeouts| ProbeCounts {
            due,
            timeouts,
            passed: due - timeouts,
            ..ProbeCounts::default()
        };
        let open = |idle_probes: Option<ProbeCounts>| Evidence {
            probes: timeouts(10_000, 200),
            rate: Some(1000.0),
            idle: idle_probes.map(|probes| Idle { median_us: 50.0, probes }),
            ..quiet(&summary)
        };
        // One dead server of fifty.
        assert_limit(&open(Some(timeouts(3_000, 60))), "rate", "ask for more");
        assert_limit(
            &open(Some(timeouts(3_000, 9))),
            "target",
            "2.00 % timed out, one at a time 0.30 %",
        );
        assert_limit(&open(None), "target", "2.00 % timed out, in the target or on the way");
    }

    #[test]
    fn timeouts_that_hold_the_window_are_the_targets() {
        let summary = waited(&[("window", 900)]);
        let timeouts = |timeouts| ProbeCounts {
            due: 1000,
            passed: 1000 - timeouts,
            timeouts,
            ..ProbeCounts::default()
        };
        let with = |timed_out| Evidence { probes: timeouts(timed_out), ..quiet(&summary) };
        // 2 s each of 64 * 10 s.
        assert_limit(
            &with(80),
            "target",
            "timeouts of 80 probes held 25 % of the window; of the others half took 60 µs",
        );
        assert_limit(&with(1000), "target", "held 100 % of the window");
        // However few of all they are: 161 are more than half of it, and 0.16 %.
        let few = ProbeCounts { due: 100_000, ..timeouts(161) };
        assert_limit(&Evidence { probes: few, ..quiet(&summary) }, "target", "held 50 %");
        let fewer = ProbeCounts { due: 100_000, ..timeouts(160) };
        assert_limit(&Evidence { probes: fewer, ..quiet(&summary) }, "window", "in flight");
        let several = Evidence { timeout_s: None, ..with(80) };
        assert_limit(&several, "target", "timeouts of 80 probes held a part of the window; of");
        assert_limit(
            &with(10),
            "window",
            "half took 60 µs, one at a time 50 µs; more than 64 in flight may give more",
        );
    }

    #[test]
    fn what_our_groups_may_add_is_not_the_targets() {
        let summary = waited(&[("window", 900)]);
        let slow =
            |window, service| Evidence { window, service_us: Some(service), ..quiet(&summary) };
        let added = group_wait_max(256).as_secs_f64() * US_PER_SECOND;
        assert!(added > 1.0);
        assert_limit(&slow(510, 101.0), "target", "they wait");
        assert_limit(&slow(512, 100.0 + added), "window", "in flight");
        assert_limit(&slow(512, 101.0 + added), "target", "they wait");
    }

    #[test]
    fn scripts_are_limited_by_their_number_until_the_cores_are_busy() {
        let summary = waited(&[]);
        let scripts = |process| Evidence {
            are_scripts: true,
            cores: Cores { process, of_shards: 0, ..quiet(&summary).cores },
            ..quiet(&summary)
        };
        assert_limit(
            &scripts(3.6),
            "jobs",
            "one at a time 50 µs; 3.60 of 4 cores were busy: more than 64 in flight may",
        );
        assert_limit(&scripts(3.7), "cpu", "3.70 of the 4 cores");
    }
}
