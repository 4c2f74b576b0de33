//! What every floor shares: arguments, targets, CPU time and the kernel's own packet counters.
//!
//! A floor probes a responder that runs elsewhere and prints one line. Started without `--probes`,
//! as `cargo test` and `cargo bench` do, it brings its own peer, runs 2,000 probes and fails unless
//! every one was answered, so that no floor can rot.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use nix::unistd::Pid;
use ringprobe::tick::monotonic_now;
use serde::Serialize;

/// How many waits may end without their answers before a floor gives up: with a peer that is gone
/// it stops after this many times `--timeout`, however many probes are left.
pub(crate) const MAX_TIMEOUTS: u32 = 8;

const SMOKE_PROBES: u64 = 2_000;

/// One run of a floor.
#[derive(Parser, Clone, Debug)]
pub(crate) struct Plan {
    /// How many probes; without this a small self-test runs instead.
    #[arg(long)]
    pub(crate) probes: u64,
    /// Over how many addresses, one after another and again from the first.
    #[arg(long, default_value_t = 60_000)]
    pub(crate) addresses: u32,
    /// Network the addresses are counted from; the first is the one after it.
    #[arg(long, default_value = "127.64.0.0")]
    pub(crate) net: Ipv4Addr,
    /// Port of the responder.
    #[arg(long, default_value_t = 5300)]
    pub(crate) port: u16,
    /// Probes in flight.
    #[arg(long, default_value_t = 1024, value_parser = clap::value_parser!(u16).range(1..=4096))]
    pub(crate) window: u16,
    /// Milliseconds after which a missing answer is lost.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) timeout: u64,
    /// Core to run on.
    #[arg(long)]
    pub(crate) core: Option<usize>,
    /// Let every send of `dns_ring` post a completion, to see what leaving them out saves.
    #[arg(long)]
    pub(crate) send_completions: bool,
    /// Completions that the ring floors wait for together while at least eight times as many probes are in
    /// flight; 1 takes each as it comes.
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) group: u16,
    /// One line of JSON instead of a sentence.
    #[arg(long)]
    pub(crate) json: bool,
}

impl Plan {
    /// Whom the `probe`th probe asks.
    pub(crate) fn target(&self, probe: u64) -> SocketAddrV4 {
        let host = (probe % u64::from(self.addresses.max(1))) as u32;
        let address = u32::from(self.net).wrapping_add(1).wrapping_add(host);
        SocketAddrV4::new(Ipv4Addr::from(address), self.port)
    }

    /// The same in the kernel's form.
    pub(crate) fn sockaddr(&self, probe: u64) -> libc::sockaddr_in {
        let target = self.target(probe);
        libc::sockaddr_in {
            sin_family: libc::AF_INET as libc::sa_family_t,
            sin_port: target.port().to_be(),
            sin_addr: libc::in_addr { s_addr: u32::from(*target.ip()).to_be() },
            sin_zero: [0; 8],
        }
    }

    /// `--timeout`.
    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout)
    }

    fn smoke(peer: SocketAddr) -> Plan {
        Plan {
            probes: SMOKE_PROBES,
            addresses: 500,
            net: Ipv4Addr::new(127, 64, 0, 0),
            port: peer.port(),
            window: 64,
            timeout: 1000,
            core: None,
            send_completions: false,
            group: 8,
            json: true,
        }
    }
}

/// What a floor counted. A probe that is in neither sum was lost.
#[derive(Default, Clone, Copy, Debug)]
pub(crate) struct Tally {
    /// Probes that got their answer.
    pub(crate) answered: u64,
    /// Probes that were refused, by the target or by our own kernel.
    pub(crate) refused: u64,
}

/// The line a floor prints. Counters are differences over the run, of the whole network namespace.
#[derive(Serialize)]
struct Report {
    floor: &'static str,
    probes: u64,
    answered: u64,
    refused: u64,
    lost: u64,
    window: u16,
    user_us: i64,
    sys_us: i64,
    cpu_us_per_probe: f64,
    wall_s: f64,
    out_datagrams: i64,
    in_datagrams: i64,
    receive_buffer_errors: i64,
    active_opens: i64,
    passive_opens: i64,
}

/// A peer for the self-test: it serves all of 127.0.0.0/8 from threads that end with the process.
pub(crate) type Peer = fn() -> io::Result<SocketAddr>;

/// Runs `floor` as the command line says; `name` is printed.
pub(crate) fn main(
    name: &'static str,
    peer: Peer,
    floor: fn(&Plan) -> io::Result<Tally>,
) -> ExitCode {
    // A test runner passes filters and flags of its own; only `--probes` means that a person asks.
    let asked = std::env::args().any(|word| word.starts_with("--probes") || word == "--help");
    let done = match asked {
        true => run(name, &Plan::parse(), floor).map(|_| ()),
        false => peer().and_then(|at| run(name, &Plan::smoke(at), floor)).map(|report| {
            assert_eq!(report.answered, SMOKE_PROBES, "{name}: every probe must be answered");
        }),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{name}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(
    name: &'static str,
    plan: &Plan,
    floor: fn(&Plan) -> io::Result<Tally>,
) -> io::Result<Report> {
    if let Some(core) = plan.core {
        let mut cores = CpuSet::new();
        cores.set(core)?;
        sched_setaffinity(Pid::from_raw(0), &cores)?;
    }
    let (packets, cpu, start) = (Counters::read()?, thread_cpu_us()?, monotonic_now());
    let tally = floor(plan)?;
    let wall = monotonic_now().since(start);
    let (packets, now) = (Counters::read()?.minus(&packets), thread_cpu_us()?);
    let (user_us, sys_us) = (now.0 - cpu.0, now.1 - cpu.1);
    let report = Report {
        floor: name,
        probes: plan.probes,
        answered: tally.answered,
        refused: tally.refused,
        lost: plan.probes.saturating_sub(tally.answered + tally.refused),
        window: plan.window,
        user_us,
        sys_us,
        cpu_us_per_probe: (user_us + sys_us) as f64 / plan.probes.max(1) as f64,
        wall_s: wall.as_secs_f64(),
        out_datagrams: packets.out_datagrams,
        in_datagrams: packets.in_datagrams,
        receive_buffer_errors: packets.receive_buffer_errors,
        active_opens: packets.active_opens,
        passive_opens: packets.passive_opens,
    };
    if plan.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        println!(
            "{name}: {} of {} answered, {} refused, {} lost, {:.3} us CPU a probe, {:.2} s",
            report.answered,
            report.probes,
            report.refused,
            report.lost,
            report.cpu_us_per_probe,
            report.wall_s
        );
    }
    Ok(report)
}

/// User and system time of the calling thread; a floor works on one thread only, and so a peer
/// of the self-test is not counted.
fn thread_cpu_us() -> io::Result<(i64, i64)> {
    let usage = getrusage(UsageWho::RUSAGE_THREAD)?;
    Ok((usage.user_time().num_microseconds(), usage.system_time().num_microseconds()))
}

/// From /proc/net/snmp: what the kernel says was sent, whatever a floor believes.
struct Counters {
    out_datagrams: i64,
    in_datagrams: i64,
    receive_buffer_errors: i64,
    active_opens: i64,
    passive_opens: i64,
}

impl Counters {
    fn read() -> io::Result<Counters> {
        let text = std::fs::read_to_string("/proc/net/snmp")?;
        let read = |protocol: &str, name: &str| {
            let mut lines = text.lines().filter(|line| line.starts_with(protocol));
            let (names, values) = (lines.next()?, lines.next()?);
            let column = names.split_whitespace().position(|word| word == name)?;
            values.split_whitespace().nth(column)?.parse().ok()
        };
        let value = |protocol, name: &str| {
            read(protocol, name).ok_or_else(|| io::Error::other(format!("no {name} in snmp")))
        };
        Ok(Counters {
            out_datagrams: value("Udp:", "OutDatagrams")?,
            in_datagrams: value("Udp:", "InDatagrams")?,
            receive_buffer_errors: value("Udp:", "RcvbufErrors")?,
            active_opens: value("Tcp:", "ActiveOpens")?,
            passive_opens: value("Tcp:", "PassiveOpens")?,
        })
    }

    fn minus(&self, before: &Counters) -> Counters {
        Counters {
            out_datagrams: self.out_datagrams - before.out_datagrams,
            in_datagrams: self.in_datagrams - before.in_datagrams,
            receive_buffer_errors: self.receive_buffer_errors - before.receive_buffer_errors,
            active_opens: self.active_opens - before.active_opens,
            passive_opens: self.passive_opens - before.passive_opens,
        }
    }
}
