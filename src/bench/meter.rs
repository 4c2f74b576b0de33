//! What a run costs this process, and what the kernel counted meanwhile.

use std::fs;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

use super::result::CpuByRole;
use super::threads::{Reading, Threads};
use crate::sweep::{Progress, Standing};
use crate::tick::{Tick, monotonic_now};

/// Processor time so far, in microseconds.
#[derive(Copy, Clone, PartialEq, Debug, Default)]
pub(super) struct CpuTime {
    pub(super) user_us: f64,
    pub(super) system_us: f64,
}

impl CpuTime {
    /// Of every thread of this process.
    pub(super) fn of_process() -> CpuTime {
        CpuTime::of(UsageWho::RUSAGE_SELF)
    }

    /// Of the children that have been waited for, and theirs.
    pub(super) fn of_children() -> CpuTime {
        CpuTime::of(UsageWho::RUSAGE_CHILDREN)
    }

    fn of(who: UsageWho) -> CpuTime {
        getrusage(who).map_or_else(
            |_| CpuTime::default(),
            |usage| CpuTime {
                user_us: usage.user_time().num_microseconds() as f64,
                system_us: usage.system_time().num_microseconds() as f64,
            },
        )
    }

    /// What was added since `earlier`.
    pub(super) fn since(self, earlier: CpuTime) -> CpuTime {
        CpuTime {
            user_us: (self.user_us - earlier.user_us).max(0.0),
            system_us: (self.system_us - earlier.system_us).max(0.0),
        }
    }

    pub(super) fn plus(self, other: CpuTime) -> CpuTime {
        CpuTime {
            user_us: self.user_us + other.user_us,
            system_us: self.system_us + other.system_us,
        }
    }

    pub(super) fn total_us(self) -> f64 {
        self.user_us + self.system_us
    }
}

/// Reads this process's processor time about ten times a second.
pub(super) struct Meter<'p> {
    samples: Vec<(Tick, CpuTime)>,
    threads: Threads,
    /// Microseconds so far, until the first shard has ended; empty where a thread could not be looked at.
    roles: Vec<(Tick, CpuByRole)>,
    has_gap: bool,
    shown: &'p mut dyn Progress,
}

impl<'p> Meter<'p> {
    /// `shown` is told of the same progress. The thread that calls this is the aggregator.
    pub(super) fn new(shown: &'p mut dyn Progress) -> Meter<'p> {
        let threads = Threads::new();
        let mut meter =
            Meter { samples: Vec::new(), threads, roles: Vec::new(), has_gap: false, shown };
        meter.sample();
        meter
    }

    pub(super) fn sample(&mut self) {
        let now = monotonic_now();
        self.samples.push((now, CpuTime::of_process()));
        if !self.has_gap {
            let reading = self.threads.read();
            self.take(now, reading);
        }
    }

    fn take(&mut self, now: Tick, reading: Option<Reading>) {
        match reading {
            Some(Reading { used_us, has_gap: false }) => self.roles.push((now, used_us)),
            Some(_) => self.has_gap = true,
            // What threads used that were not seen would be nobody's, and the shares those of the others.
            None => {
                self.roles.clear();
                self.has_gap = true;
            }
        }
    }

    /// Processor time at a moment, on a line between the samples around it.
    pub(super) fn at(&self, moment: Tick) -> CpuTime {
        at(&self.samples, moment, |low, high, share| CpuTime {
            user_us: low.user_us + (high.user_us - low.user_us) * share,
            system_us: low.system_us + (high.system_us - low.system_us) * share,
        })
    }

    /// Which share of the processor time between two moments was whose; together 1. Threads that end take
    /// what they used last with them, so it is that of the time in which all were seen. `None` where nobody
    /// was seen at work.
    pub(super) fn shares(&self, from: Tick, to: Tick) -> Option<CpuByRole> {
        let (last, _) = *self.roles.last()?;
        let used = |from, to| self.role_us(to).zip_with(self.role_us(from), |to, from| to - from);
        let mut used_us = used(from, to.min(last));
        if used_us.sum() <= 0.0 {
            // Too short for a sample of its own: as in the whole run.
            used_us = used(self.roles[0].0, last);
        }
        let sum = used_us.sum();
        (sum > 0.0).then(|| used_us.map(|us| us / sum))
    }

    fn role_us(&self, moment: Tick) -> CpuByRole {
        at(&self.roles, moment, |low, high, share| {
            low.zip_with(high, |low, high| low + (high - low) * share)
        })
    }
}

/// A value at a moment, `between` the samples around it by the share of the way from the first to the second;
/// beyond either end, that of the end.
fn at<T: Copy + Default>(
    samples: &[(Tick, T)],
    moment: Tick,
    between: impl Fn(T, T, f64) -> T,
) -> T {
    let after = samples.partition_point(|(at, _)| *at < moment);
    let Some(&(later, high)) = samples.get(after) else {
        return samples.last().map(|(_, value)| *value).unwrap_or_default();
    };
    let Some(&(earlier, low)) = after.checked_sub(1).and_then(|at| samples.get(at)) else {
        return high;
    };
    let share = moment.since(earlier).as_secs_f64() / later.since(earlier).as_secs_f64().max(1e-9);
    between(low, high, share)
}

/// The most memory this process ever had, in bytes: VmHWM. `None` where the kernel does not tell.
pub(super) fn memory_peak_bytes() -> Option<u64> {
    peak_of(&fs::read_to_string("/proc/self/status").ok()?)
}

fn peak_of(status: &str) -> Option<u64> {
    let rest = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = rest.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    kib.checked_mul(1024)
}

impl Progress for Meter<'_> {
    fn update(&mut self, now: &Standing) {
        self.sample();
        self.shown.update(now);
    }

    fn end(&mut self) {
        self.shown.end();
    }
}

/// /proc/net/snmp: what left this network namespace, whoever sent it.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) struct Snmp {
    /// `Udp: OutDatagrams` and `Udp6OutDatagrams`.
    pub(super) udp_out: u64,
    /// `Tcp: ActiveOpens`: of both families.
    pub(super) active_opens: u64,
}

impl Snmp {
    /// What was added since `earlier`.
    pub(super) fn since(self, earlier: Snmp) -> Snmp {
        Snmp {
            udp_out: self.udp_out.saturating_sub(earlier.udp_out),
            active_opens: self.active_opens.saturating_sub(earlier.active_opens),
        }
    }

    /// As it is now; `None` where the kernel does not tell.
    pub(super) fn read() -> Option<Snmp> {
        let ipv4 = fs::read_to_string("/proc/net/snmp").ok()?;
        // Absent where IPv6 is.
        let ipv6 = fs::read_to_string("/proc/net/snmp6").unwrap_or_default();
        Some(Snmp {
            udp_out: field(&ipv4, "Udp:", "OutDatagrams")? + field6(&ipv6, "Udp6OutDatagrams"),
            active_opens: field(&ipv4, "Tcp:", "ActiveOpens")?,
        })
    }
}

/// The number below `name` in the two lines that begin with `protocol`.
fn field(text: &str, protocol: &str, name: &str) -> Option<u64> {
    let mut lines = text.lines().filter(|line| line.starts_with(protocol));
    let (names, numbers) = (lines.next()?, lines.next()?);
    let place = names.split_whitespace().position(|word| word == name)?;
    numbers.split_whitespace().nth(place)?.parse().ok()
}

fn field6(text: &str, name: &str) -> u64 {
    let numbers = text.lines().filter_map(|line| line.split_once(char::is_whitespace));
    let mut found = numbers.filter(|(word, _)| *word == name);
    found.next().and_then(|(_, number)| number.trim().parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_own_tables_can_be_read() {
        let text =
            "Tcp: RtoMin ActiveOpens\nTcp: 200 17\nUdp: InDatagrams OutDatagrams\nUdp: 1 23\n";
        assert_eq!(field(text, "Udp:", "OutDatagrams"), Some(23));
        assert_eq!(field(text, "Tcp:", "ActiveOpens"), Some(17));
        assert_eq!(field(text, "Icmp:", "OutMsgs"), None);
        assert_eq!(field6("Ip6InReceives   3\nUdp6OutDatagrams   \t42\n", "Udp6OutDatagrams"), 42);
        assert!(Snmp::read().is_some(), "Linux");
    }

    #[test]
    fn processor_time_is_read_between_two_samples() {
        let at = |ms: u64| Tick::from_ns(ms * 1_000_000);
        let cpu = |us: f64| CpuTime { user_us: us, system_us: 2.0 * us };
        let mut nobody = ();
        let mut meter = Meter::new(&mut nobody);
        meter.samples = vec![(at(100), cpu(10.0)), (at(200), cpu(30.0))];
        assert_eq!(meter.at(at(150)), cpu(20.0));
        assert_eq!(meter.at(at(50)), cpu(10.0), "before the first");
        assert_eq!(meter.at(at(900)), cpu(30.0), "after the last");
        assert_eq!(cpu(30.0).since(cpu(10.0)).total_us(), 60.0);
    }

    #[test]
    fn shares_are_of_the_time_in_which_all_threads_were_seen() {
        let at = |ms: u64| Tick::from_ns(ms * 1_000_000);
        let used = |shards, aggregator| CpuByRole { shards, aggregator, ..CpuByRole::default() };
        let mut nobody = ();
        let mut meter = Meter::new(&mut nobody);
        meter.roles = vec![(at(100), used(0.0, 50.0)), (at(200), used(90.0, 60.0))];
        assert_eq!(meter.shares(at(150), at(900)), Some(used(0.9, 0.1)), "begun before the end");
        assert_eq!(meter.shares(at(300), at(900)), Some(used(0.9, 0.1)), "of the whole, for want");
        meter.roles.truncate(1);
        assert_eq!(meter.shares(at(100), at(900)), None, "nobody at work");
        meter.roles.clear();
        assert_eq!(meter.shares(at(100), at(900)), None, "nobody seen");
    }

    #[test]
    fn threads_that_could_not_be_looked_at_make_nobody_the_one_who_used_it_all() {
        let at = |ms: u64| Tick::from_ns(ms * 1_000_000);
        let reading = |shards, aggregator| {
            let used_us = CpuByRole { shards, aggregator, ..CpuByRole::default() };
            Some(Reading { used_us, has_gap: false })
        };
        let mut nobody = ();
        let mut meter = Meter::new(&mut nobody);
        meter.roles.clear();
        meter.take(at(100), reading(0.0, 50.0));
        meter.take(at(200), reading(30.0, 80.0));
        assert!(meter.shares(at(100), at(200)).is_some());
        meter.take(at(300), None);
        assert_eq!(meter.shares(at(100), at(300)), None);
        assert!(meter.has_gap, "and it stays so: what follows lacks what they used before");
    }

    #[test]
    fn the_peak_of_memory_is_what_the_kernel_calls_high_water() {
        assert_eq!(peak_of("VmPeak:\t9 kB\nVmHWM:\t   12 kB\nVmRSS:\t 7 kB\n"), Some(12 << 10));
        assert_eq!(peak_of("VmRSS:\t 7 kB\n"), None);
        assert!(memory_peak_bytes().is_some_and(|bytes| bytes > 1 << 16), "Linux");
    }
}
