//! What a run was limited by: what would have to change for more checks a second.

use serde::Serialize;

use super::result::{CpuByRole, ProbeCounts, Trouble};
use crate::aggregate::Summary;
use crate::sink::{counted, grouped};

/// Cores that are this busy are full.
const BUSY: f64 = 0.92;
/// Answers that take this many times as long as one at a time have waited in a queue.
const QUEUED: f64 = 2.0;
/// A rate is kept when at most this share of it is missing; and where of more than this share nothing can be
/// said, nothing can be said of what limited the rest.
const MISSED_SHARE: f64 = 0.01;

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
    pub(super) is_open_loop: bool,
    pub(super) cores: Cores,
    /// Half the probes took at most this long, from their beginning; ours to wait before it is not in it.
    pub(super) service_us: Option<f64>,
    /// Half of them took at most this long from when they were due.
    pub(super) from_due_us: Option<f64>,
    /// The same with one probe at a time.
    pub(super) idle_us: Option<f64>,
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
        return by("own_trouble", own_trouble(evidence));
    }
    if evidence.is_open_loop && share(probes.unsent + probes.unknown) <= MISSED_SHARE {
        return by("rate", begun(evidence));
    }
    let ms = |name: &str| summary.limited_ms.get(name).copied().unwrap_or(0);
    let waited = |names: &[&str]| names.iter().map(|name| ms(name)).sum::<u64>();
    let all =
        waited(&["input", "window", "cpu", "sockets", "receive_buffer", "send_queue", "output"]);
    let is_most = |names: &[&str]| all > 0 && 2 * waited(names) > all;
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
    let flag = if evidence.are_scripts { "jobs" } else { "window" };
    match (evidence.service_us, evidence.idle_us) {
        (Some(service), Some(idle)) if service > QUEUED * idle => by(
            "target",
            format!(
                "with up to {} probes in flight half of them took {:.0} µs, one at a time {:.0} µs: \
                 they wait in the target or on the way",
                evidence.window, service, idle
            ),
        ),
        (_, None) => {
            by("target", "one at a time, at most half were answered in their time".to_owned())
        }
        _ => by(
            flag,
            format!(
                "the target answered as fast as one at a time; more than {} in flight would be more a second",
                evidence.window
            ),
        ),
    }
}

/// How well a rate was kept.
fn begun(evidence: &Evidence<'_>) -> String {
    let ProbeCounts { due, timeouts, unsent, unknown, .. } = evidence.probes;
    let mut text = match unsent + unknown {
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
    text + "; ask for more with --rate"
}

/// What kept us from knowing, and what to do about the most frequent of it.
fn own_trouble(evidence: &Evidence<'_>) -> String {
    let Evidence { summary, probes, bind_port, .. } = evidence;
    let unknown = summary.reasons.iter().filter(|reason| reason.outcome == "unknown");
    let reason =
        unknown.max_by_key(|reason| reason.count).map_or("unknown", |reason| reason.reason);
    let remedy = match reason {
        "late" => "this process was not running in time; give it cores of its own",
        "local_drop" => "its buffers overflowed; raise --receive-buffer or net.core.rmem_max",
        "local_socket" => "no socket could be had or used; look at `ulimit -n` and --bindto",
        "local_port" if let Some(port) = bind_port => &format!(
            "port {port} of --bind-port is taken, by something else or by another probe of the same target"
        ),
        "local_port" => "no local port was free; raise net.ipv4.ip_local_port_range",
        "local_memory" => "the kernel had no buffers left; lower --window",
        _ => "`ringprobe sweep` of the same names each of them",
    };
    format!(
        "of {} of {} nothing can be said, most often {reason}: {remedy}",
        grouped(probes.unknown),
        counted(probes.due, "probe"),
    )
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
            is_open_loop: false,
            cores: Cores { process: 0.5, by_role: None, of_shards: 2, available: 4 },
            service_us: Some(60.0),
            from_due_us: Some(65.0),
            idle_us: Some(50.0),
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
        let open = |probes| Evidence { probes, is_open_loop: true, ..quiet(&summary) };
        let all = ProbeCounts { due: 1000, passed: 1000, ..ProbeCounts::default() };
        assert_limit(
            &open(all),
            "rate",
            "all 1,000 probes that were due were begun; half of them took 65",
        );
        let some = ProbeCounts { passed: 990, unsent: 8, unknown: 2, ..all };
        assert_limit(&open(some), "rate", "8 were never begun and 2 ended unknown");
        // Half of all are timeouts, and half of the answered took 60 µs: not the same half.
        let silent = ProbeCounts { passed: 500, timeouts: 500, ..all };
        let silent = Evidence { from_due_us: Some(500_000.0), ..open(silent) };
        assert_limit(
            &silent,
            "rate",
            "begun; 500 had no answer, half of the others took 60 µs from",
        );
        assert!(!limited_by(&silent).why.contains("500000"), "{}", limited_by(&silent).why);
        let missed = ProbeCounts { passed: 980, unsent: 20, ..all };
        assert_limit(&open(missed), "window", "in flight");
    }

    #[test]
    fn where_nothing_can_be_said_our_trouble_is_named_before_all_else() {
        for (reason, remedy) in [
            ("late", "cores of its own"),
            ("local_drop", "--receive-buffer"),
            ("local_socket", "ulimit -n"),
            ("local_port", "ip_local_port_range"),
            ("local_memory", "--window"),
        ] {
            let reasons = [("pass", "answered", 980), ("unknown", reason, 15), ("unknown", "x", 5)];
            let reasons =
                reasons.map(|(outcome, reason, count)| ReasonCount { outcome, reason, count });
            let summary =
                Summary { reasons: reasons.into(), limited_ms: BTreeMap::new(), ..waited(&[]) };
            let probes =
                ProbeCounts { due: 1000, passed: 980, unknown: 20, ..ProbeCounts::default() };
            let cores = Cores { process: 4.0, ..quiet(&summary).cores };
            for is_open_loop in [true, false] {
                let evidence = Evidence { probes, cores, is_open_loop, ..quiet(&summary) };
                assert_limit(&evidence, "own_trouble", remedy);
                assert_limit(&evidence, "own_trouble", "of 20 of 1,000 probes");
            }
        }
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
        assert_limit(&slow, "target", "half of them took 101 µs, one at a time 50 µs");
        let silent = Evidence { idle_us: None, ..quiet(&summary) };
        assert_limit(&silent, "target", "at most half were answered");
        let scripts = Evidence { are_scripts: true, ..quiet(&summary) };
        assert_limit(&scripts, "jobs", "in flight");
    }
}
