//! What a run costs this process, and what the kernel counted meanwhile.

use std::fs;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

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
    shown: &'p mut dyn Progress,
}

impl<'p> Meter<'p> {
    /// `shown` is told of the same progress.
    pub(super) fn new(shown: &'p mut dyn Progress) -> Meter<'p> {
        let mut meter = Meter { samples: Vec::new(), shown };
        meter.sample();
        meter
    }

    pub(super) fn sample(&mut self) {
        self.samples.push((monotonic_now(), CpuTime::of_process()));
    }

    /// Processor time at a moment, on a line between the samples around it.
    pub(super) fn at(&self, moment: Tick) -> CpuTime {
        let after = self.samples.partition_point(|(at, _)| *at < moment);
        let Some(&(later, high)) = self.samples.get(after) else {
            return self.samples.last().map(|(_, cpu)| *cpu).unwrap_or_default();
        };
        let Some(&(earlier, low)) = after.checked_sub(1).and_then(|at| self.samples.get(at)) else {
            return high;
        };
        let share =
            moment.since(earlier).as_secs_f64() / later.since(earlier).as_secs_f64().max(1e-9);
        CpuTime {
            user_us: low.user_us + (high.user_us - low.user_us) * share,
            system_us: low.system_us + (high.system_us - low.system_us) * share,
        }
    }
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
}
