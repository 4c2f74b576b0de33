//! `--embedded`: the fleet in a process of its own, on cores of its own.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::flags::BenchArgs;
use crate::cli::{Ended, exit, refuse};
use crate::sweep::available_cpus;

/// Where the fleet stands.
const NET: &str = "127.64.0.0/16";
/// Base ports that are tried, one after the other: a port of the first may be somebody's.
const PORTS: std::ops::Range<u16> = 5400..6400;
/// From one base port to the next; a fleet needs three.
const PORT_STEP: usize = 10;
/// Beyond what the runs take, before the fleet ends by itself.
const SLACK: Duration = Duration::from_secs(120);

/// The fleet, serving until dropped.
pub(super) struct Embedded {
    process: Child,
    /// That answers.
    pub(super) port: u16,
    /// Its cores; the prober has the others, where there are two at least.
    pub(super) cpus: Vec<usize>,
}

impl Embedded {
    /// Starts it for at least `time`. This thread, and those it starts later, keep to the other cores.
    pub(super) fn start(args: &BenchArgs, time: Duration) -> Result<Embedded, Ended> {
        let all = available_cpus();
        let cpus = all[all.len().div_ceil(2).min(all.len())..].to_vec();
        let others: Vec<usize> = all.iter().copied().filter(|cpu| !cpus.contains(cpu)).collect();
        // A child has the cores of who starts it. What is refused here is only less apart.
        pin(&cpus);
        let started = Embedded::serve(args, time, cpus);
        pin(&others);
        started
    }

    fn serve(args: &BenchArgs, time: Duration, cpus: Vec<usize>) -> Result<Embedded, Ended> {
        let mut said = String::new();
        for port in PORTS.step_by(PORT_STEP) {
            let mut process = command(args, port, time + SLACK).spawn().map_err(|error| {
                refuse(exit::ENGINE, format_args!("no embedded fleet: {error}"))
            })?;
            let Some(errors) = process.stderr.take() else { continue };
            said.clear();
            // It says that it serves, or why it does not, and then nothing until its end.
            let _ = BufReader::new(errors).read_line(&mut said);
            let embedded = Embedded { process, port, cpus: cpus.clone() };
            if said.starts_with("serving ") {
                return Ok(embedded);
            }
            if !said.contains("in use") {
                break;
            }
        }
        let why = format_args!("the embedded fleet cannot start: {}", said.trim());
        Err(refuse(exit::ENGINE, why))
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        // It has not been waited for, so the number is still its own.
        let _ = kill(Pid::from_raw(self.process.id() as i32), Signal::SIGTERM);
        let _ = self.process.wait();
    }
}

fn command(args: &BenchArgs, port: u16, time: Duration) -> Command {
    let program = std::env::current_exe().unwrap_or_else(|_| "ringprobe".into());
    let mut command = Command::new(program);
    command.args(["respond", "--net", NET, "--script-share", "0%"]);
    command.args(["--servers", &args.servers().to_string(), "--port", &port.to_string()]);
    command.args(["--for", &format!("{}s", time.as_secs().max(1))]);
    if let Some(seed) = args.seed {
        command.args(["--seed", &seed.to_string()]);
    }
    if let Some(faults) = &args.faults {
        command.args(["--faults", &faults.to_string()]);
    }
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

/// Pinning is for speed only, so a refusal is no reason to stop.
fn pin(cpus: &[usize]) {
    let mut set = CpuSet::new();
    let is_set = cpus.iter().filter(|cpu| set.set(**cpu).is_ok()).count() > 0;
    if is_set {
        let _ = sched_setaffinity(Pid::from_raw(0), &set);
    }
}

/// The addresses of the fleet's servers, as a target list writes them.
pub(super) fn addresses(servers: u32) -> String {
    let first = u32::from(std::net::Ipv4Addr::new(127, 64, 0, 1));
    let last = std::net::Ipv4Addr::from(first + servers - 1);
    format!("127.64.0.1-{last}")
}
