//! The runs: each a sweep that measures, then all together.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::sys::utsname::uname;

use super::asked::Asked;
use super::idle::Idle;
use super::knee::Knee;
use super::limit::{Cores, Evidence, limited_by};
use super::measure::{Counted, Measure, Measured};
use super::meter::{CpuTime, Meter, Snmp, memory_peak_bytes};
use super::plan::{Load, Plan, Targets};
use super::result::{
    BenchResult, Cpu, CpuByRole, Interval, KernelCounters, LatencyUs, LoadInfo, Machine,
    ProbeCounts, RunResult, SpreadOfRuns, Trouble,
};
use crate::aggregate::{Summary, latency_us_at, tenths_of_us};
use crate::fleet::ProbeSpec;
use crate::schedule::pace::{Pace, Span};
use crate::sink::rfc3339;
use crate::sweep::{self, Input, Progress, SweepError, SweepRequest, Windows, available_cpus};
use crate::tick::{Tick, WallClock, monotonic_now};

/// Checkers of this keyword send nothing.
const SCRIPT_KEYWORD: &str = "MISC_CHECK";
/// Intervals are a second long, unless that would be more than this many, or fewer than ten.
const INTERVALS_MAX: u32 = 120;
const INTERVALS_MIN: u32 = 10;
/// Points of a percentile plot between each halving of what is above it.
const TICKS_PER_HALF: u32 = 10;

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// A run could not be made; where there is nothing to probe, that too.
    #[error(transparent)]
    Sweep(#[from] SweepError),
    /// Every shard or the reaper ended early.
    #[error("the engine could not run: {0}")]
    Engine(String),
    /// Some shards would have nothing to do, and the load of the others would be a part of it: where a port is
    /// asked for, in words.
    #[error(
        "{0} gives one shard all its probes, which gets a part of the load only; give --shards 1"
    )]
    FixedPort(String),
    /// What was to answer has ended: why, in words.
    #[error("{0}")]
    Responder(String),
}

/// Who follows a measurement.
pub trait Watcher {
    /// A run is about to begin: its number, of how many, the rate of an open loop. Gives somebody to tell
    /// about it.
    fn run_begins(&mut self, number: usize, of: usize, rate: Option<f64>) -> Box<dyn Progress>;

    /// A run is over. Does it count?
    ///
    /// # Errors
    /// Why it does not, and there can be no other: those who answer have ended.
    fn run_ended(&mut self) -> Result<(), BenchError>;
}

/// Measures.
///
/// # Errors
/// [`BenchError`] where no run was whole. Else it is in the result, beside the runs before it. What was measured
/// until it was stopped is no error.
pub fn bench(
    plan: &Plan,
    responder_cpus: Vec<usize>,
    stop: &Arc<AtomicBool>,
    watcher: &mut dyn Watcher,
) -> Result<BenchResult, BenchError> {
    if plan.shards > 1
        && let Some(place) = plan.subject.targets.fixed_port()
    {
        return Err(BenchError::FixedPort(place));
    }
    let start = monotonic_now();
    let started_at = rfc3339(WallClock::read().unix_ns(start));
    let rates: Vec<Option<f64>> = match plan.load {
        Load::Closed => vec![None; plan.repetitions as usize],
        Load::Open(rate) => vec![Some(rate); plan.repetitions as usize],
        Load::Ramp(ramp) => ramp.rates().into_iter().map(Some).collect(),
    };
    let mut result = BenchResult {
        kind: "bench",
        version: env!("CARGO_PKG_VERSION"),
        started_at,
        interrupted: false,
        error: None,
        machine: machine(responder_cpus),
        memory_peak_bytes: None,
        load: load_info(plan, rates.len()),
        idle_us: None,
        runs: Vec::new(),
        spread: None,
        knee: None,
    };
    let idle = Idle::measure(plan, stop)?;
    result.idle_us = idle.map(|idle| idle.median_us);
    let (runs, error) = runs(rates.len(), |number| {
        let rate = rates[number - 1];
        let mut progress = watcher.run_begins(number, rates.len(), rate);
        let run = run(plan, number, rate, idle, stop, progress.as_mut())?;
        watcher.run_ended()?;
        Ok(run.map(|(run, from)| RunResult {
            measured_from_s: from.since(start).as_secs_f64(),
            ..run
        }))
    })?;
    (result.runs, result.error) = (runs, error.map(|error| error.to_string()));
    result.interrupted = stop.load(Ordering::Relaxed);
    result.memory_peak_bytes = memory_peak_bytes();
    match plan.load {
        Load::Ramp(_) => {
            let duration_s = plan.duration.as_secs_f64();
            result.knee = Knee::of(&result.runs, duration_s, idle.map(|idle| idle.probes));
        }
        Load::Closed | Load::Open(_) => result.spread = SpreadOfRuns::of(&result.runs),
    }
    Ok(result)
}

/// Makes runs, numbered from 1, until one was stopped or failed: those that were whole, and why there are no more.
///
/// # Errors
/// That of the first run: nothing was measured.
fn runs(
    count: usize,
    mut run: impl FnMut(usize) -> Result<Option<RunResult>, BenchError>,
) -> Result<(Vec<RunResult>, Option<BenchError>), BenchError> {
    let mut runs = Vec::with_capacity(count);
    for number in 1..=count {
        match run(number) {
            Ok(Some(run)) => runs.push(run),
            Ok(None) => break,
            Err(error) if runs.is_empty() => return Err(error),
            Err(error) => return Ok((runs, Some(error))),
        }
    }
    Ok((runs, None))
}

fn load_info(plan: &Plan, runs: usize) -> LoadInfo {
    LoadInfo {
        check: plan.subject.check,
        targets: plan.subject.name.clone(),
        target_count: plan.subject.targets.len(),
        asked: Asked::of(&plan.subject.targets),
        mode: match plan.load {
            Load::Closed => "closed",
            Load::Open(_) => "open",
            Load::Ramp(_) => "ramp",
        },
        rate: match plan.load {
            Load::Open(rate) => Some(rate),
            Load::Closed | Load::Ramp(_) => None,
        },
        window: plan.window,
        shards: if are_scripts(plan) { 0 } else { plan.shards },
        timeout_min_s: plan.subject.timeout.0.as_secs_f64(),
        timeout_s: plan.subject.timeout.1.as_secs_f64(),
        warm_up_s: plan.warm_up.as_secs_f64(),
        duration_s: plan.duration.as_secs_f64(),
        runs,
        sockets_per_lane: plan.sockets_per_lane,
        receive_buffer: plan.receive_buffer,
        seed: plan.seed,
    }
}

fn machine(responder_cpus: Vec<usize>) -> Machine {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name"));
    let model = model.and_then(|rest| rest.split_once(':')).map(|(_, name)| name.trim());
    let cpus = available_cpus();
    let shared_cpus = cpus.iter().copied().filter(|cpu| responder_cpus.contains(cpu)).collect();
    Machine {
        kernel: uname()
            .map_or_else(|_| String::new(), |name| name.release().to_string_lossy().into_owned()),
        cpu: model.unwrap_or(std::env::consts::ARCH).to_owned(),
        cpus,
        responder_cpus,
        shared_cpus,
    }
}

fn are_scripts(plan: &Plan) -> bool {
    match &plan.subject.targets {
        Targets::List(..) => false,
        Targets::Fleet(fleet, _) => {
            fleet.specs.iter().all(|spec| matches!(spec, ProbeSpec::Misc(_)))
        }
    }
}

/// A sweep of `input` that lasts as long as `span`.
pub(super) fn request(
    plan: &Plan,
    input: Input,
    span: &Span,
    (window, shards): (u32, usize),
    rate: Option<f64>,
) -> SweepRequest {
    let mut request = SweepRequest::new(input);
    let pace = rate.map_or(Pace::Free, |per_second| Pace::Due { per_second, phase: 0.0 });
    request.retries = Some(0);
    request.shards = shards;
    request.window = Windows::Together(window);
    request.pace = pace;
    request.span = Some(span.clone());
    request.sockets_per_lane = plan.sockets_per_lane;
    request.receive_buffer = plan.receive_buffer;
    request.seed = plan.seed;
    request.scripts = plan.scripts.clone();
    request.scripts.jobs = window as usize;
    request.scripts.pace = pace;
    request.scripts.span = Some(span.clone());
    request
}

/// One run; `None` where it was stopped.
fn run(
    plan: &Plan,
    number: usize,
    rate: Option<f64>,
    idle: Option<Idle>,
    stop: &Arc<AtomicBool>,
    shown: &mut dyn Progress,
) -> Result<Option<(RunResult, Tick)>, BenchError> {
    if stop.load(Ordering::Relaxed) {
        return Ok(None);
    }
    let are_scripts = are_scripts(plan);
    let span = Span::with_warm_up(plan.warm_up, plan.duration);
    let mut measure = Measure::new(span.clone(), interval_of(plan.duration));
    let mut meter = Meter::new(shown);
    let (snmp, children) = (Snmp::read(), CpuTime::of_children());
    let whole = CpuTime::of_process();
    let input = plan.subject.targets.input(&span);
    let request = request(plan, input, &span, (plan.window, plan.shards), rate);
    let summary = sweep::run(request, Arc::clone(stop), &mut meter, &mut measure)?;
    meter.sample();
    if summary.interrupted {
        return Ok(None);
    }
    if let Some(failure) = summary.shard_failures.first() {
        return Err(BenchError::Engine(failure.error.clone()));
    }
    if let Some(error) = &summary.reaper_failure {
        return Err(BenchError::Engine(error.clone()));
    }
    let is_local = plan.subject.targets.are_local();
    let kernel = snmp
        .zip(Snmp::read())
        .map(|(before, after)| kernel(&summary, after.since(before), is_local));
    let (probed, last_end) = (measure.probed, measure.last_end);
    // Scripts have one timetable.
    let of_scripts = [rate.map_or(0, |rate| measure.next_moment(rate))];
    let taken = if are_scripts { &of_scripts[..] } else { &summary.moments_taken };
    let Measured { intervals: counted, service } = measure.conclude(rate, taken);
    let mut total = counted[0].clone();
    counted[1..].iter().for_each(|interval| total.add(interval));

    let begin = span.measured_from().unwrap_or_default();
    let end = span.end().unwrap_or_default();
    let shares = meter.shares(begin, end);
    let (cpu_time, scripts, seconds, ended) = if are_scripts {
        // What scripts took is only known when the reaper process has ended, and is that of all of them: it was
        // used until the last had ended, which may be long after the span.
        let all = CpuTime::of_process().since(whole);
        let scripts = CpuTime::of_children().since(children);
        let time = last_end.max(end).since(span.start().unwrap_or_default());
        (all, scripts, time.as_secs_f64(), probed)
    } else {
        let used = meter.at(end).since(meter.at(begin));
        (used, CpuTime::default(), plan.duration.as_secs_f64(), total.ended)
    };
    let by_role_us = shares.map(|shares| {
        let ours = shares.map(|share| share * cpu_time.total_us());
        CpuByRole { scripts: ours.scripts + scripts.total_us(), ..ours }
    });
    let cpu_time = cpu_time.plus(scripts);
    let each = |us: f64| us / ended as f64;
    let has_ended = ended > 0;
    let cpu = Cpu {
        user_us_per_probe: has_ended.then(|| each(cpu_time.user_us)),
        system_us_per_probe: has_ended.then(|| each(cpu_time.system_us)),
        cores: cpu_time.total_us() / 1e6 / seconds,
        by_role_us_per_probe: by_role_us.filter(|_| has_ended).map(|role| role.map(each)),
    };
    let latency = LatencyUs::of(&total.latency);
    let per_second = total.ended as f64 / plan.duration.as_secs_f64();
    let trouble = Trouble {
        receive_drops: summary.receive_drops,
        stalled_ms: summary.stalled_in_span_ms,
        window_min: summary.window_min,
    };
    let (shortest, longest) = plan.subject.timeout;
    let limited_by = limited_by(&Evidence {
        summary: &summary,
        probes: counts(&total),
        trouble,
        rate,
        duration_s: plan.duration.as_secs_f64(),
        timeout_s: (shortest == longest).then_some(longest.as_secs_f64()),
        cores: Cores {
            process: cpu.cores,
            by_role: by_role_us.map(|role| role.map(|us| us / 1e6 / seconds)),
            of_shards: if are_scripts { 0 } else { plan.shards },
            available: available_cpus().len().max(1),
        },
        service_us: (!service.is_empty()).then(|| latency_us_at(&service, 0.5)),
        service_p90_us: (!service.is_empty()).then(|| latency_us_at(&service, 0.9)),
        service_mean_us: (!service.is_empty()).then(|| service.mean() / 1e3),
        from_due_us: latency.map(|latency| latency.p50),
        idle,
        window: plan.window,
        bind_port: plan.subject.targets.bind_port(),
        are_scripts,
    });
    let result = RunResult {
        number,
        measured_from_s: 0.0,
        asked_per_second: rate,
        per_second,
        probes: counts(&total),
        latency_us: latency,
        percentiles: percentiles(&total),
        intervals: counted.iter().map(interval_result).collect(),
        cpu,
        limited_by,
        limited_ms: summary.limited_ms,
        kernel,
        trouble,
        histograms: counted
            .into_iter()
            .map(|counted| (counted.start, counted.length, counted.latency))
            .collect(),
    };
    Ok(Some((result, begin)))
}

/// How long an interval is.
fn interval_of(duration: Duration) -> Duration {
    let second = Duration::from_secs(1);
    second.max(duration / INTERVALS_MAX).min(duration / INTERVALS_MIN).max(Duration::from_millis(1))
}

pub(super) fn counts(counted: &Counted) -> ProbeCounts {
    ProbeCounts {
        due: counted.due(),
        passed: counted.passed,
        failed: counted.failed,
        timeouts: counted.timeouts,
        unknown: counted.unknown,
        unsent: counted.unsent,
    }
}

fn interval_result(counted: &Counted) -> Interval {
    Interval {
        start_s: counted.start.as_secs_f64(),
        length_s: counted.length.as_secs_f64(),
        probes: counts(counted),
        ended: counted.ended,
        latency_us: LatencyUs::of(&counted.latency),
    }
}

/// Quantiles that lie closer together the nearer they are to 1, and the latency at each.
fn percentiles(counted: &Counted) -> Vec<(f64, f64)> {
    let latency = &counted.latency;
    let mut points: Vec<(f64, f64)> = latency
        .iter_quantiles(TICKS_PER_HALF)
        .map(|step| {
            let us = tenths_of_us(step.value_iterated_to().min(latency.max()));
            (step.quantile_iterated_to(), us)
        })
        .collect();
    // Where values are few, several steps end at the same one.
    points.dedup_by(|next, before| next.1 == before.1 && next.0 < 1.0);
    points
}

/// Holds what we say against what the kernel counted. Where all targets are addresses of this machine, their answers
/// mostly left it too: then those that reached us, or our buffers, are among what was counted. What ended is held
/// against what was sent, too: a missing route is a verdict that no packet was needed for.
fn kernel(summary: &Summary, counted: Snmp, are_targets_local: bool) -> KernelCounters {
    let answers = summary.datagrams_received + summary.receive_drops;
    let local_answers = if are_targets_local { answers } else { 0 };
    let network = summary.checkers.iter().filter(|(keyword, _)| **keyword != SCRIPT_KEYWORD);
    let ended: u64 = network.map(|(_, counts)| counts.passed + counts.failed).sum();
    let never_left = ended.saturating_sub(summary.datagrams_sent + summary.connects);
    let failures = summary.reasons.iter().filter(|reason| reason.outcome == "fail");
    let most_frequent = failures.max_by_key(|reason| reason.count).map(|reason| reason.reason);
    let counters = KernelCounters {
        datagrams_sent: summary.datagrams_sent,
        udp_out_datagrams: counted.udp_out,
        local_answers,
        has_counted_answers: counted.udp_out >= summary.datagrams_sent + local_answers,
        connects: summary.connects,
        tcp_active_opens: counted.active_opens,
        ended,
        never_left,
        never_left_reason: most_frequent.filter(|_| never_left > 0),
        agrees: true,
    };
    let agrees = !counters.has_counted_less() && !counters.has_measured_nobody();
    KernelCounters { agrees, ..counters }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::aggregate::{Counts, ReasonCount};

    #[test]
    fn cores_that_prober_and_fleet_share_are_told() {
        let own = available_cpus();
        assert_eq!(machine(own.clone()).shared_cpus, own);
        assert!(machine(vec![usize::MAX]).shared_cpus.is_empty());
    }

    #[test]
    fn runs_before_an_error_are_not_lost() {
        let of = |fails_at: usize| {
            runs(3, |number| match number {
                _ if number == fails_at => Err(BenchError::Engine("no ring".to_owned())),
                _ => Ok(Some(RunResult::made(number, None, ProbeCounts::default()))),
            })
        };
        let (whole, error) = of(3).expect("two runs were whole");
        assert_eq!(whole.iter().map(|run| run.number).collect::<Vec<_>>(), [1, 2]);
        assert!(matches!(error, Some(BenchError::Engine(_))));
        assert!(of(1).is_err(), "nothing was measured");
        let (whole, error) = of(4).expect("all of them");
        assert!(whole.len() == 3 && error.is_none());
    }

    #[test]
    fn the_kernel_agrees_where_it_counted_at_least_what_we_did() {
        let summary = Summary {
            datagrams_sent: 100,
            datagrams_received: 90,
            receive_drops: 5,
            connects: 10,
            ..Summary::default()
        };
        for (udp_out, active_opens, are_targets_local, agrees, has_counted_answers) in [
            (100, 10, false, true, true),
            (99, 10, false, false, false),
            (100, 9, false, false, true),
            (250, 25, false, true, true), // others of this namespace
            (195, 10, true, true, true),
            // 95 of them may be answers, and 99 ours; or the answers came from elsewhere.
            (194, 10, true, true, false),
            (100, 10, true, true, false),
            (99, 10, true, false, false),
            (195, 9, true, false, true),
        ] {
            let counted = Snmp { udp_out, active_opens };
            let kernel = kernel(&summary, counted, are_targets_local);
            assert_eq!(kernel.agrees, agrees, "{kernel:?}");
            assert_eq!(kernel.has_counted_answers, has_counted_answers, "{kernel:?}");
        }
    }

    #[test]
    fn what_ended_was_sent_or_it_is_said_that_it_was_not() {
        let counts = |passed, failed| Counts { passed, failed, ..Counts::default() };
        for (sent, connects, never_left, agrees) in [
            (2000, 0, 0, true),
            (1000, 1000, 0, true),
            (2100, 0, 0, true), // of some nothing is known
            (1998, 0, 2, true),
            (1997, 0, 3, false),
            (0, 0, 2000, false),
        ] {
            let reasons = [("pass", "answered", 1400), ("fail", "timeout", 99)];
            let unreachable = ("fail", "net_unreachable", 501);
            let reasons = reasons.into_iter().chain([unreachable]);
            let reasons =
                reasons.map(|(outcome, reason, count)| ReasonCount { outcome, reason, count });
            let summary = Summary {
                datagrams_sent: sent,
                connects,
                checkers: BTreeMap::from([
                    ("DNS_CHECK", counts(1000, 0)),
                    ("TCP_CHECK", counts(400, 600)),
                    ("MISC_CHECK", counts(700, 700)),
                ]),
                reasons: reasons.collect(),
                ..Summary::default()
            };
            let counted = Snmp { udp_out: 9999, active_opens: 9999 };
            let kernel = kernel(&summary, counted, false);
            assert_eq!((kernel.ended, kernel.never_left), (2000, never_left));
            assert_eq!(kernel.agrees, agrees, "{kernel:?}");
            let reason = (never_left > 0).then_some("net_unreachable");
            assert_eq!(kernel.never_left_reason, reason, "{kernel:?}");
        }
    }
}
