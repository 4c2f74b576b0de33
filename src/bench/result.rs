//! What came out, as plain data. Its serde form is the JSON output, and what the HTML page draws.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::asked::Asked;
use super::knee::Knee;
use super::limit::LimitedBy;
use crate::aggregate::{latency_us_at, tenths_of_us};

/// A whole measurement.
#[derive(Clone, Debug, Serialize)]
pub struct BenchResult {
    /// `bench`, so that a reader knows what it has.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Version of this program.
    pub version: &'static str,
    /// RFC 3339, microseconds, UTC.
    pub started_at: String,
    /// Whether Ctrl-C or SIGTERM ended it early; only whole runs are in it.
    pub interrupted: bool,
    /// What ended it early; the runs before it are in it.
    pub error: Option<String>,
    /// Where it was measured.
    pub machine: Machine,
    /// The most memory this process ever had, in bytes; `None` where the kernel does not tell.
    pub memory_peak_bytes: Option<u64>,
    /// Whom and how hard.
    pub load: LoadInfo,
    /// Median latency with one probe at a time, in microseconds; `None` where too few were answered to speak for
    /// all targets.
    pub idle_us: Option<f64>,
    /// In the order they ran.
    pub runs: Vec<RunResult>,
    /// Over the runs; `None` for a ramp, whose runs differ, and where no run was whole.
    pub spread: Option<SpreadOfRuns>,
    /// Of a ramp.
    pub knee: Option<Knee>,
}

/// Where this process did not run for more than this share of a run, latencies are its own.
const STALLED_NOTED: f64 = 0.01;
/// From this share on, so are too many of them.
const STALLED_DOUBTFUL: f64 = 0.1;

/// What to think of a measurement; in JSON `measured`, `interrupted` and so on.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// As it should be.
    Measured,
    /// Somebody ended it early; the runs before that are whole.
    Interrupted,
    /// It was measured how servers refuse.
    NothingPassed,
    /// The figures are not what they seem: see [`BenchResult::is_doubtful`].
    Doubtful,
    /// No run was whole, or no probe was due.
    NothingMeasured,
    /// An error ended it; the runs before that are whole.
    Incomplete,
}

impl BenchResult {
    /// What to think of it.
    pub fn verdict(&self) -> Verdict {
        if self.runs.is_empty() {
            Verdict::NothingMeasured
        } else if self.error.is_some() {
            Verdict::Incomplete
        } else if self.is_of_no_probe() {
            Verdict::NothingMeasured
        } else if self.is_doubtful() {
            Verdict::Doubtful
        } else if self.runs.iter().all(|run| run.probes.passed == 0) {
            Verdict::NothingPassed
        } else if self.interrupted {
            Verdict::Interrupted
        } else {
            Verdict::Measured
        }
    }

    /// Whether the figures are not what they seem: there are none, our own trouble kept something from being known
    /// of some probes, this process did not run for much of a run, or the kernel did not send all that we counted,
    /// or all that ended. The verdict says so, and so does the exit code.
    pub fn is_doubtful(&self) -> bool {
        let is_stalled = |run| self.noted_stall(run).is_some_and(|share| share >= STALLED_DOUBTFUL);
        let mut runs = self.runs.iter();
        self.is_of_no_probe()
            || runs.any(|run| {
                run.probes.unknown > 0 || run.has_disagreed().is_some() || is_stalled(run)
            })
    }

    /// Whether no probe was due in any run.
    pub fn is_of_no_probe(&self) -> bool {
        self.runs.iter().all(|run| run.probes.due == 0)
    }

    /// The share of a run in which this process did not run; `None` where that is no
    /// more than what happens. Steps of a ramp are the knee's to judge.
    pub fn noted_stall(&self, run: &RunResult) -> Option<f64> {
        let share = run.stalled_share(self.load.duration_s);
        (self.knee.is_none() && share > STALLED_NOTED).then_some(share)
    }
}

/// A machine.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// Release of the kernel.
    pub kernel: String,
    /// As the kernel calls it.
    pub cpu: String,
    /// Cores this process may run on.
    pub cpus: Vec<usize>,
    /// Cores the embedded fleet may run on; empty without one.
    pub responder_cpus: Vec<usize>,
    /// Cores that prober and embedded fleet may both run on, and so measure each other; mostly none.
    pub shared_cpus: Vec<usize>,
}

/// What was asked for.
#[derive(Clone, Debug, Serialize)]
pub struct LoadInfo {
    /// Keyword of the checker.
    pub check: &'static str,
    /// The targets in words.
    pub targets: String,
    /// How many.
    pub target_count: usize,
    /// What each of them was asked.
    pub asked: Asked,
    /// `closed`, `open` or `ramp`.
    pub mode: &'static str,
    /// Probes a second of an open loop.
    pub rate: Option<f64>,
    /// Most probes in flight.
    pub window: u32,
    /// Shards that probe; 0 where all checkers are scripts, which need none.
    pub shards: usize,
    /// Timeout of a probe, in seconds; the longest where a configuration has several.
    pub timeout_s: f64,
    /// The shortest of them.
    pub timeout_min_s: f64,
    /// Before each run is measured, in seconds.
    pub warm_up_s: f64,
    /// How long each run is measured, in seconds.
    pub duration_s: f64,
    /// Runs asked for.
    pub runs: usize,
    /// UDP sockets per lane.
    pub sockets_per_lane: u32,
    /// SO_RCVBUF of UDP sockets that was asked for, in bytes.
    pub receive_buffer: Option<usize>,
    /// Seed of transaction ids; `None` where none was given.
    pub seed: Option<u64>,
}

/// One run, behind its warm-up.
#[derive(Clone, Debug, Serialize)]
pub struct RunResult {
    /// From 1.
    pub number: usize,
    /// Seconds from the beginning of the bench to that of the measured part of this run.
    pub measured_from_s: f64,
    /// Probes a second of an open loop.
    pub asked_per_second: Option<f64>,
    /// Probes a second that ended with a word of the server or a timeout.
    pub per_second: f64,
    /// Probes that were due.
    pub probes: ProbeCounts,
    /// From due to end; `None` where nothing ended.
    pub latency_us: Option<LatencyUs>,
    /// Share of probes and the microseconds within which they ended, for a plot.
    pub percentiles: Vec<(f64, f64)>,
    /// One after the other.
    pub intervals: Vec<Interval>,
    /// Of this process.
    pub cpu: Cpu,
    /// What would have to change for more.
    pub limited_by: LimitedBy,
    /// Milliseconds of all shards together by what kept them from beginning more, warm-up included.
    pub limited_ms: BTreeMap<&'static str, u64>,
    /// Whether what we say was sent has left, and whether what ended was sent.
    pub kernel: Option<KernelCounters>,
    /// Our own.
    pub trouble: Trouble,
    /// Latencies in nanoseconds by the interval in which probes were due: its start, its length.
    #[serde(skip)]
    pub histograms: Vec<(Duration, Duration, Histogram<u64>)>,
}

impl RunResult {
    /// The counters of a kernel that did not send all that we counted, or all that ended.
    pub fn has_disagreed(&self) -> Option<KernelCounters> {
        self.kernel.filter(|kernel| !kernel.agrees)
    }

    /// The share in which this process did not run, of the `duration_s` seconds of a run.
    pub(super) fn stalled_share(&self, duration_s: f64) -> f64 {
        (self.trouble.stalled_ms / 1e3 / duration_s.max(f64::EPSILON)).min(1.0)
    }

    /// One that nothing but its counts is known of.
    #[cfg(test)]
    pub(super) fn made(number: usize, asked: Option<f64>, probes: ProbeCounts) -> RunResult {
        RunResult {
            number,
            measured_from_s: 0.0,
            asked_per_second: asked,
            per_second: asked.unwrap_or(0.0),
            probes,
            latency_us: None,
            percentiles: Vec::new(),
            intervals: Vec::new(),
            cpu: Cpu::default(),
            limited_by: LimitedBy { what: "rate", why: String::new() },
            limited_ms: BTreeMap::new(),
            kernel: None,
            trouble: Trouble::default(),
            histograms: Vec::new(),
        }
    }
}

/// What became of probes. The parts add up to `due`.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ProbeCounts {
    /// All.
    pub due: u64,
    /// Passed.
    pub passed: u64,
    /// Failed by a word of the server or the network.
    pub failed: u64,
    /// Failed by silence.
    pub timeouts: u64,
    /// The trouble was ours.
    pub unknown: u64,
    /// Due, and not begun when the run ended.
    pub unsent: u64,
}

impl ProbeCounts {
    /// So many of them as a share of those due.
    pub(super) fn share(&self, count: u64) -> f64 {
        count as f64 / self.due.max(1) as f64
    }

    /// Share of those due that passed.
    pub(super) fn passed_share(&self) -> f64 {
        self.share(self.passed)
    }

    /// Share of those due that the server or the network refused.
    pub fn failed_share(&self) -> f64 {
        self.share(self.failed)
    }

    /// Share of those due that got no word of the server: timeouts, unsent, unknown.
    pub fn lost_share(&self) -> f64 {
        self.share(self.timeouts + self.unsent + self.unknown)
    }
}

/// A distribution in microseconds.
#[derive(Copy, Clone, Debug, PartialEq, Serialize)]
pub struct LatencyUs {
    /// Probes in it.
    pub count: u64,
    /// The quickest.
    pub min: f64,
    /// The mean.
    pub mean: f64,
    /// Half of them were at most this.
    pub p50: f64,
    /// 90 of 100.
    pub p90: f64,
    /// 99 of 100.
    pub p99: f64,
    /// 999 of 1,000.
    pub p99_9: f64,
    /// 9,999 of 10,000.
    pub p99_99: f64,
    /// The slowest.
    pub max: f64,
}

impl LatencyUs {
    /// Reads a histogram of nanoseconds; `None` when it is empty.
    pub fn of(latency: &Histogram<u64>) -> Option<LatencyUs> {
        if latency.is_empty() {
            return None;
        }
        let at = |quantile| latency_us_at(latency, quantile);
        Some(LatencyUs {
            count: latency.len(),
            min: tenths_of_us(latency.min()),
            mean: tenths_of_us(latency.mean() as u64),
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p99_9: at(0.999),
            p99_99: at(0.9999),
            max: tenths_of_us(latency.max()),
        })
    }
}

/// The probes due in a part of a run.
#[derive(Clone, Debug, Serialize)]
pub struct Interval {
    /// Seconds since the measurement began.
    pub start_s: f64,
    /// Seconds.
    pub length_s: f64,
    /// What became of them.
    #[serde(flatten)]
    pub probes: ProbeCounts,
    /// Probes that ended in it, whenever they were due.
    pub ended: u64,
    /// From due to end.
    pub latency_us: Option<LatencyUs>,
}

/// Processor time.
#[derive(Copy, Clone, Debug, Default, PartialEq, Serialize)]
pub struct Cpu {
    /// Microseconds in user space per probe that ended, as the kernel splits it, by clock ticks: of a run that
    /// used few ticks, the sum of both is known and the split is not. `None` where none ended.
    pub user_us_per_probe: Option<f64>,
    /// Microseconds in the kernel per probe that ended, as the kernel splits it, by clock ticks. `None` where none
    /// ended.
    pub system_us_per_probe: Option<f64>,
    /// Cores that were busy, of every thread; of scripts and the reaper too, until the last of them had ended.
    pub cores: f64,
    /// The same microseconds per probe by who used them; `None` where none ended, or the kernel does not tell.
    pub by_role_us_per_probe: Option<CpuByRole>,
}

/// A figure of each kind of thread.
#[derive(Copy, Clone, Debug, Default, PartialEq, Serialize)]
pub struct CpuByRole {
    /// All that probe.
    pub shards: f64,
    /// The one that hands out targets.
    pub feeder: f64,
    /// The one that takes what ended and counts it; whatever has no name of its own too.
    pub aggregator: f64,
    /// The reaper, its process and the scripts.
    pub scripts: f64,
}

impl CpuByRole {
    /// Of all together.
    pub fn sum(&self) -> f64 {
        self.shards + self.feeder + self.aggregator + self.scripts
    }

    pub(super) fn map(self, change: impl Fn(f64) -> f64) -> CpuByRole {
        self.zip_with(self, |figure, _| change(figure))
    }

    pub(super) fn zip_with(self, other: CpuByRole, join: impl Fn(f64, f64) -> f64) -> CpuByRole {
        CpuByRole {
            shards: join(self.shards, other.shards),
            feeder: join(self.feeder, other.feeder),
            aggregator: join(self.aggregator, other.aggregator),
            scripts: join(self.scripts, other.scripts),
        }
    }
}

impl Cpu {
    /// Both together; `None` where no probe ended.
    pub fn us_per_probe(&self) -> Option<f64> {
        Some(self.user_us_per_probe? + self.system_us_per_probe?)
    }
}

/// What we say was sent, and what the kernel counted in this network namespace: ours and everybody's.
/// Of the whole run, warm-up and end included.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KernelCounters {
    /// Datagrams we sent.
    pub datagrams_sent: u64,
    /// `Udp: OutDatagrams`
    pub udp_out_datagrams: u64,
    /// Datagrams that we received, or that our buffers dropped, where all targets are addresses of this machine: if it
    /// is this namespace that answers, they are among those the kernel counted. 0 where targets are elsewhere.
    pub local_answers: u64,
    /// Whether the kernel counted enough for the local answers too. If not, they came from elsewhere, as those of
    /// IPVS or of a published port do, or some of ours never left.
    pub has_counted_answers: bool,
    /// Connects we began.
    pub connects: u64,
    /// `Tcp: ActiveOpens`
    pub tcp_active_opens: u64,
    /// Network probes that passed, failed or timed out.
    pub ended: u64,
    /// Those of them for which no datagram and no connect left: so many at least, as what was sent for an
    /// attempt that our own trouble spoiled counts for them.
    pub never_left: u64,
    /// The most frequent reason of failures, where some never left.
    pub never_left_reason: Option<&'static str>,
    /// Whether the kernel counted at least what we did, and at most one in a thousand of `ended` never left.
    pub agrees: bool,
}

impl KernelCounters {
    /// Whether the kernel counted less than we say was sent.
    pub fn has_counted_less(&self) -> bool {
        self.udp_out_datagrams < self.datagrams_sent || self.tcp_active_opens < self.connects
    }

    /// Whether more ended without anything sent than can be overlooked.
    pub fn has_measured_nobody(&self) -> bool {
        self.never_left as f64 > NEVER_LEFT_SHARE * self.ended as f64
    }
}

/// Of the probes that ended, at most this share may have ended without anything sent.
const NEVER_LEFT_SHARE: f64 = 0.001;

/// What was wrong with us.
#[derive(Copy, Clone, Debug, Default, PartialEq, Serialize)]
pub struct Trouble {
    /// Datagrams our own receive buffers dropped.
    pub receive_drops: u64,
    /// Milliseconds that the shard which lost most of them was found not running, behind the warm-up.
    pub stalled_ms: f64,
    /// Smallest window of a shard, and what it had been given.
    pub window_min: Option<u32>,
}

/// The figures of several runs.
#[derive(Copy, Clone, Debug, PartialEq, Serialize)]
pub struct SpreadOfRuns {
    /// Probes a second.
    pub per_second: Spread,
    /// Share of those due that the server or the network refused.
    pub failed_share: Spread,
    /// Share of those due that got no word of the server.
    pub lost_share: Spread,
    /// Microseconds of processor time per probe, of the runs in which some ended; `None` where there is none.
    pub cpu_us_per_probe: Option<Spread>,
    /// Latency, microseconds.
    pub p50_us: Spread,
    /// Latency, microseconds.
    pub p90_us: Spread,
    /// Latency, microseconds.
    pub p99_us: Spread,
    /// Latency, microseconds.
    pub p99_9_us: Spread,
    /// Latency, microseconds.
    pub p99_99_us: Spread,
    /// The slowest, microseconds.
    pub max_us: Spread,
    /// Cores that were busy.
    pub cores: Spread,
}

/// Of one figure.
#[derive(Copy, Clone, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// The one in the middle; of an even number, the mean of the two.
    pub median: f64,
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
}

impl Spread {
    /// The one in the middle; `None` of nothing.
    pub fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
        Spread::of(values).map(|spread| spread.median)
    }

    /// `None` of nothing.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Spread> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let (low, high) = (values[(values.len() - 1) / 2], values[values.len() / 2]);
        Some(Spread { median: low.midpoint(high), min, max })
    }
}

impl SpreadOfRuns {
    /// `None` where no run had a latency.
    pub fn of(runs: &[RunResult]) -> Option<SpreadOfRuns> {
        let latency = |figure: fn(&LatencyUs) -> f64| {
            Spread::of(runs.iter().filter_map(|run| run.latency_us.as_ref().map(figure)))
        };
        Some(SpreadOfRuns {
            per_second: Spread::of(runs.iter().map(|run| run.per_second))?,
            failed_share: Spread::of(runs.iter().map(|run| run.probes.failed_share()))?,
            lost_share: Spread::of(runs.iter().map(|run| run.probes.lost_share()))?,
            cpu_us_per_probe: Spread::of(runs.iter().filter_map(|run| run.cpu.us_per_probe())),
            p50_us: latency(|latency| latency.p50)?,
            p90_us: latency(|latency| latency.p90)?,
            p99_us: latency(|latency| latency.p99)?,
            p99_9_us: latency(|latency| latency.p99_9)?,
            p99_99_us: latency(|latency| latency.p99_99)?,
            max_us: latency(|latency| latency.max)?,
            cores: Spread::of(runs.iter().map(|run| run.cpu.cores))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_has_the_middle_of_an_even_number_too() {
        assert_eq!(Spread::of([]), None);
        assert_eq!(Spread::of([3.0, 1.0, 2.0]), Some(Spread { median: 2.0, min: 1.0, max: 3.0 }));
        assert_eq!(Spread::of([4.0, 1.0]), Some(Spread { median: 2.5, min: 1.0, max: 4.0 }));
    }
}
