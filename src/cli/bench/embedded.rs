//! `--embedded`: the fleet in a process of its own, on cores of its own.

use std::io::{self, Read};
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, poll};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;

use super::flags::{BenchArgs, Check};
use crate::bench::BenchError;
use crate::cli::{Ended, exit, refuse};
use crate::respond::{Fleet, Options, RespondError, Share};
use crate::sweep::{available_cpus, cpus_of};

/// Base ports that are tried, one after the other: a port of the first may be somebody's.
const PORTS: std::ops::Range<u16> = 5400..6400;
/// From one base port to the next; a fleet needs three.
const PORT_STEP: usize = 10;
/// Between two looks whether to stop, while it starts.
const LOOK_EVERY_MS: u16 = 50;

/// The fleet, serving until dropped. It also ends when this process does, however that ends: its standard
/// input is a pipe that this process holds.
pub(super) struct Embedded {
    process: Child,
    /// That answers.
    pub(super) port: u16,
    /// The cores it may run on, as the kernel says; the prober has the others, where there are two at least and
    /// nobody refused to pin them.
    pub(super) cpus: Vec<usize>,
}

impl Embedded {
    /// Starts it. This thread, and those it starts later, keep to the other cores.
    pub(super) fn start(args: &BenchArgs, stop: &AtomicBool) -> Result<Embedded, Ended> {
        let all = available_cpus();
        let cpus = all[all.len().div_ceil(2).min(all.len())..].to_vec();
        let others: Vec<usize> = all.iter().copied().filter(|cpu| !cpus.contains(cpu)).collect();
        // A child has the cores of who starts it. What is refused here is only less apart, and the report says so.
        pin(&cpus);
        let started = Embedded::serve(args, stop);
        pin(&others);
        started
    }

    fn serve(args: &BenchArgs, stop: &AtomicBool) -> Result<Embedded, Ended> {
        let cannot = |why: &dyn std::fmt::Display| {
            refuse(exit::ENGINE, format_args!("the embedded fleet cannot start: {why}"))
        };
        let mut said = String::new();
        for port in PORTS.step_by(PORT_STEP) {
            let process = command(args, port).spawn().map_err(|error| cannot(&error))?;
            // From here on an early return ends it.
            let mut embedded = Embedded { process, port, cpus: Vec::new() };
            said = match &mut embedded.process.stderr {
                Some(errors) => first_line(errors, stop).map_err(|error| cannot(&error))?,
                None => String::new(),
            };
            if stop.load(Ordering::Relaxed) {
                return Err(Ended::Said(exit::INTERRUPTED));
            }
            if said.starts_with("serving ") {
                embedded.cpus = cpus_of(embedded.process.id());
                return Ok(embedded);
            }
            if !said.contains("in use") {
                break;
            }
        }
        Err(cannot(&said.trim()))
    }

    /// Nobody ends it but this process: a fleet that has ended was killed, or broke.
    ///
    /// # Errors
    /// How it ended.
    pub(super) fn still_serves(&mut self) -> Result<(), BenchError> {
        let how = match self.process.try_wait() {
            Ok(None) => return Ok(()),
            Ok(Some(status)) => match (status.signal(), status.code()) {
                (Some(signal), _) => format!("signal {signal}"),
                (None, code) => format!("exit code {}", code.unwrap_or_default()),
            },
            Err(error) => error.to_string(),
        };
        Err(BenchError::Responder(format!("the embedded fleet ended ({how})")))
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        // It keeps nothing that a signal it can catch would save, and a stopped process catches none.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What a starting fleet says: that it serves, or why it does not, and then nothing until its end. Less than a
/// line where it ended, or `stop` was set.
fn first_line(errors: &mut ChildStderr, stop: &AtomicBool) -> io::Result<String> {
    let mut line = Vec::new();
    while !stop.load(Ordering::Relaxed) && !line.ends_with(b"\n") {
        let mut polled = [PollFd::new(errors.as_fd(), PollFlags::POLLIN)];
        match poll(&mut polled, LOOK_EVERY_MS) {
            Ok(0) | Err(Errno::EINTR) => continue,
            Ok(_) => {}
            Err(errno) => return Err(errno.into()),
        }
        let mut byte = [0];
        match errors.read(&mut byte) {
            Ok(0) => break,
            Ok(_) => line.push(byte[0]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(String::from_utf8_lossy(&line).into_owned())
}

/// The fleet that is started: all of its servers are of the kind that is checked, or they would not have the
/// faults that were asked for.
fn options(args: &BenchArgs, port: u16) -> Options {
    let default = Options::default();
    Options {
        servers: args.servers(),
        seed: args.engine.seed.unwrap_or(default.seed),
        faults: args.faults.unwrap_or_default(),
        port,
        script_share: Share::percent(0),
        tcp_share: Share::percent(if args.check == Some(Check::Tcp) { 100 } else { 0 }),
        ..default
    }
}

fn command(args: &BenchArgs, port: u16) -> Command {
    let program = std::env::current_exe().unwrap_or_else(|_| "ringprobe".into());
    let mut command = Command::new(program);
    let options = options(args, port);
    command.args(["respond", "--until-eof", "--net", &options.net.to_string()]);
    command.args(["--servers", &options.servers.to_string(), "--port", &port.to_string()]);
    command.args(["--seed", &options.seed.to_string(), "--script-share", "0%"]);
    let is_tcp = options.tcp_share == Share::percent(100);
    command.args(["--tcp-share", if is_tcp { "100%" } else { "0%" }]);
    if let Some(faults) = &args.faults {
        command.args(["--faults", &faults.to_string()]);
    }
    // A group of its own: Ctrl-C is for the bench, whose last probes the fleet still answers.
    command.process_group(0);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
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

/// Where the fleet's servers are to be found: not all of those with a fault on the port that answers.
///
/// # Errors
/// There is no such fleet.
pub(super) fn targets(args: &BenchArgs, port: u16) -> Result<Vec<SocketAddr>, RespondError> {
    let fleet = Fleet::new(&options(args, port))?;
    Ok(fleet.servers().map(|server| server.socket_address().into()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cores_of_a_child_are_what_the_kernel_says() {
        let own = available_cpus();
        let mut command = Command::new("/bin/sleep");
        let process = command.arg("3600").stderr(Stdio::piped()).spawn().expect("it is there");
        let fleet = Embedded { process, port: 0, cpus: Vec::new() };
        assert_eq!(cpus_of(fleet.process.id()), own, "a child has those of who starts it");
        assert!(!own.is_empty() && cpus_of(u32::MAX >> 1).is_empty(), "nobody has that number");
    }

    #[test]
    fn a_fleet_that_says_nothing_is_not_waited_for_once_it_shall_stop() {
        let mut command = Command::new("/bin/sleep");
        let process = command.arg("3600").stderr(Stdio::piped()).spawn().expect("it is there");
        let pid = process.id();
        let mut silent = Embedded { process, port: 0, cpus: Vec::new() };
        let stop = AtomicBool::new(false);
        let line = std::thread::scope(|scope| {
            scope.spawn(|| stop.store(true, Ordering::Relaxed));
            first_line(silent.process.stderr.as_mut().expect("piped"), &stop)
        });
        assert_eq!(line.expect("a pipe"), "");
        drop(silent);
        assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists(), "it is gone");
    }
}
