//! Made-up results: three runs with a stall in one of them, and a ramp with a knee.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use ringprobe::bench::{
    Asked, BenchResult, Cpu, CpuByRole, Interval, KernelCounters, Knee, LatencyUs, LimitedBy,
    LoadInfo, Machine, ProbeCounts, RunResult, SpreadOfRuns, Trouble,
};

/// Intervals of a run, a second each.
const INTERVALS: u32 = 10;
/// Probes due in an interval.
const DUE: u64 = 10_000;

/// What a second of a run was like.
#[derive(Copy, Clone, Default)]
struct Second {
    /// Half the probes took about this long.
    base_us: f64,
    /// Nothing was answered for so long; probes that were due had to wait for the rest of it.
    stall_ms: f64,
    timeouts: u64,
    unknown: u64,
    unsent: u64,
}

/// Three open runs; the second stalls for 400 ms in its seventh second.
pub(crate) fn runs() -> BenchResult {
    let runs: Vec<RunResult> = (1..=3)
        .map(|number| {
            let seconds = (0..INTERVALS).map(|at| {
                let base_us = 40.0 + 1.5 * number as f64 + f64::from(at % 3);
                let quiet = Second { base_us, ..Second::default() };
                match (number, at) {
                    (2, 6) => Second { stall_ms: 400.0, timeouts: 37, ..quiet },
                    (2, 9) => Second { unsent: 12, ..quiet },
                    (3, 4) => Second { timeouts: 3, ..quiet },
                    _ => quiet,
                }
            });
            run(number, Some(DUE as f64), DUE, seconds.collect())
        })
        .collect();
    let spread = SpreadOfRuns::of(&runs);
    BenchResult { runs, spread, ..result("open", Some(DUE as f64), 3) }
}

/// From 2,000 to 16,000 probes a second; 12,000 is the last that is kept.
pub(crate) fn ramp() -> BenchResult {
    ramp_of(8, 2_000)
}

/// More steps than there are colours.
pub(crate) fn long_ramp() -> BenchResult {
    ramp_of(30, 100)
}

/// Of so many steps, each `by` above the one before; a quarter of them is too much.
fn ramp_of(steps: usize, by: u64) -> BenchResult {
    let most = 0.781_25 * (steps as u64 * by) as f64;
    let runs: Vec<RunResult> = (1..=steps)
        .map(|step| {
            let due = by * step as u64;
            let over = (due as f64 / most - 1.0).max(0.0);
            let second = Second {
                base_us: 40.0 / (1.05 - (due as f64 / most).min(1.0)),
                stall_ms: 900.0 * over,
                unsent: (due as f64 * over * 0.8) as u64,
                ..Second::default()
            };
            run(step, Some(due as f64), due, vec![second; INTERVALS as usize])
        })
        .collect();
    let kept = (most as u64 / by * by) as f64;
    let knee = Knee {
        per_second: Some(kept),
        broken_per_second: Some(kept + by as f64),
        why: Some("90.4 % of the probes were never begun".to_owned()),
        not_kept_per_second: Vec::new(),
        stalled: Vec::new(),
        too_few: Vec::new(),
    };
    BenchResult { runs, knee: Some(knee), ..result("ramp", None, steps) }
}

/// Ended before a run was whole.
pub(crate) fn nothing() -> BenchResult {
    BenchResult { interrupted: true, idle_us: None, ..result("closed", None, 3) }
}

fn result(mode: &'static str, rate: Option<f64>, runs: usize) -> BenchResult {
    BenchResult {
        kind: "bench",
        version: "0.1.0",
        started_at: "2026-01-02T03:04:05.678901Z".to_owned(),
        interrupted: false,
        error: None,
        machine: Machine {
            kernel: "6.1.0-30-amd64".to_owned(),
            cpu: "Made-up CPU @ 2.50GHz".to_owned(),
            cpus: vec![0, 1, 2],
            responder_cpus: vec![3],
            shared_cpus: Vec::new(),
        },
        memory_peak_bytes: Some(40 << 20),
        load: LoadInfo {
            check: "DNS_CHECK",
            targets: "the embedded fleet".to_owned(),
            target_count: 1000,
            asked: Asked {
                dns_question: Some("A www.example.test.".to_owned()),
                dns_require: Some("answer"),
                ..Asked::default()
            },
            mode,
            rate,
            window: 4096,
            shards: 2,
            timeout_s: 1.0,
            timeout_min_s: 1.0,
            warm_up_s: 1.0,
            duration_s: f64::from(INTERVALS),
            runs,
            sockets_per_lane: 8,
            receive_buffer: None,
            seed: Some(7),
        },
        idle_us: Some(31.2),
        runs: Vec::new(),
        spread: None,
        knee: None,
    }
}

fn run(number: usize, asked: Option<f64>, due: u64, seconds: Vec<Second>) -> RunResult {
    let mut all = Histogram::<u64>::new(3).expect("3 digits are allowed");
    let mut histograms = Vec::new();
    let mut intervals = Vec::new();
    let mut probes = ProbeCounts::default();
    for (at, second) in seconds.into_iter().enumerate() {
        let start = Duration::from_secs(at as u64);
        let latency = histogram(second, due);
        let counts = counts(second, due);
        intervals.push(Interval {
            start_s: start.as_secs_f64(),
            length_s: 1.0,
            probes: counts,
            ended: due - counts.unknown - counts.unsent,
            latency_us: LatencyUs::of(&latency),
        });
        probes.due += counts.due;
        probes.passed += counts.passed;
        probes.failed += counts.failed;
        probes.timeouts += counts.timeouts;
        probes.unknown += counts.unknown;
        probes.unsent += counts.unsent;
        all.add(&latency).expect("it grows");
        histograms.push((start, Duration::from_secs(1), latency));
    }
    let ended = probes.due - probes.unknown - probes.unsent;
    let per_second = ended as f64 / f64::from(INTERVALS);
    let is_short = asked.is_some_and(|asked| per_second < 0.99 * asked);
    let limited_by = if is_short {
        LimitedBy {
            what: "target",
            why:
                "with up to 4096 probes in flight half of them took 90210 µs, one at a time 31 µs: \
                  they wait in the target or on the way"
                    .to_owned(),
        }
    } else {
        LimitedBy {
            what: "rate",
            why: "all that were due were begun; ask for more with --rate".to_owned(),
        }
    };
    RunResult {
        number,
        measured_from_s: 1.0 + 11.0 * (number as f64 - 1.0),
        asked_per_second: asked,
        per_second,
        probes,
        latency_us: LatencyUs::of(&all),
        percentiles: percentiles(&all),
        intervals,
        cpu: Cpu {
            user_us_per_probe: Some(0.9),
            system_us_per_probe: Some(2.6),
            cores: 3.5e-6 * per_second,
            by_role_us_per_probe: Some(CpuByRole {
                shards: 2.8,
                feeder: 0.3,
                aggregator: 0.4,
                scripts: 0.0,
            }),
        },
        limited_by,
        limited_ms: BTreeMap::from([("rate", 9_000), ("window", 120)]),
        kernel: Some(KernelCounters {
            datagrams_sent: probes.due + due,
            udp_out_datagrams: 2 * (probes.due + due),
            local_answers: probes.due,
            has_counted_answers: true,
            connects: 0,
            tcp_active_opens: 3,
            ended: probes.due + due - probes.unknown - probes.unsent,
            never_left: 0,
            never_left_reason: None,
            agrees: true,
        }),
        trouble: Trouble::default(),
        histograms,
    }
}

fn counts(second: Second, due: u64) -> ProbeCounts {
    let Second { timeouts, unknown, unsent, .. } = second;
    let failed = due / 1000;
    let passed = due - failed - timeouts - unknown - unsent;
    ProbeCounts { due, passed, failed, timeouts, unknown, unsent }
}

/// The inverse of a distribution at evenly spaced places, so that it is the same each time.
fn histogram(second: Second, due: u64) -> Histogram<u64> {
    let mut latency = Histogram::new(3).expect("3 digits are allowed");
    let counts = counts(second, due);
    let ordinary = due - counts.timeouts - counts.unknown;
    for number in 0..ordinary {
        let share = (number as f64 + 0.5) / ordinary as f64;
        let tail = (1.0 / (1.0 - share)).ln();
        let mut us = second.base_us * (0.8 + 0.28 * tail + 0.012 * tail.powi(3));
        let waits_ms = second.stall_ms - 1000.0 * share;
        us += 1e3 * waits_ms.max(0.0);
        latency.record((us * 1e3) as u64).expect("it grows");
    }
    if counts.timeouts > 0 {
        latency.record_n(1_000_400_000, counts.timeouts).expect("it grows");
    }
    latency
}

fn percentiles(latency: &Histogram<u64>) -> Vec<(f64, f64)> {
    let us = |ns: u64| (ns as f64 / 100.0).round() / 10.0;
    let mut points: Vec<(f64, f64)> = latency
        .iter_quantiles(10)
        .map(|step| (step.quantile_iterated_to(), us(step.value_iterated_to().min(latency.max()))))
        .collect();
    points.dedup_by(|next, before| next.1 == before.1 && next.0 < 1.0);
    points
}
