//! Floor: scripts by posix_spawn(3) and waitpid(2), one after the other, and nothing else: no group, no
//! user, no pipe.
//!
//! With `--rss-mib` that much memory is touched first, to see whether it is paid for. With `--launch`
//! every other run is one of the engine's own launcher, whose output is read to its end: the two take
//! turns in the same process, so that their ratio means something.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::process::ExitCode;
use std::ptr;

use clap::Parser;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use nix::unistd::Pid;
use ringprobe::fleet::{ScriptCommand, ScriptUser};
use ringprobe::reaper::launch::{self, Command};
use ringprobe::tick::monotonic_now;
use serde::Serialize;

const SMOKE_RUNS: usize = 50;

/// One run of the floor.
#[derive(Parser, Clone, Debug)]
struct Plan {
    /// How many scripts; without this a small self-test runs instead.
    #[arg(long)]
    runs: usize,
    /// MiB of memory to touch first.
    #[arg(long, default_value_t = 1)]
    rss_mib: usize,
    /// What is run, without arguments.
    #[arg(long, default_value = "/bin/true")]
    program: String,
    /// Also run it by the engine's launcher, in turns.
    #[arg(long)]
    launch: bool,
    /// Core to run on.
    #[arg(long)]
    core: Option<usize>,
    /// One line of JSON instead of a sentence.
    #[arg(long)]
    json: bool,
}

/// The line that is printed for each of the two ways. CPU is of this process and its children.
#[derive(Serialize)]
struct Report {
    floor: &'static str,
    runs: usize,
    rss_mib: usize,
    wall_us_p50: f64,
    wall_us_p90: f64,
    wall_us_mean: f64,
    cpu_us_per_run: f64,
}

fn main() -> ExitCode {
    // A test runner passes filters and flags of its own; only `--runs` means that a person asks.
    let asked = std::env::args().any(|word| word.starts_with("--runs") || word == "--help");
    let plan = match asked {
        true => Plan::parse(),
        false => Plan {
            runs: SMOKE_RUNS,
            rss_mib: 1,
            program: "/bin/true".to_owned(),
            launch: true,
            core: None,
            json: true,
        },
    };
    match run(&plan) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("posix_spawn: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(plan: &Plan) -> io::Result<()> {
    if let Some(core) = plan.core {
        let mut cores = CpuSet::new();
        cores.set(core)?;
        sched_setaffinity(Pid::from_raw(0), &cores)?;
    }
    // Not zeros: those would be pages that the kernel has not made yet.
    let memory = vec![1_u8; plan.rss_mib << 20];
    let mut floor = Way::new("posix_spawn");
    let mut launcher = Way::new("launch");
    let spawn = Spawn::new(&plan.program)?;
    let command = command(&plan.program);
    for _ in 0..plan.runs {
        floor.time(|| spawn.run())?;
        if plan.launch {
            launcher.time(|| launched(&command))?;
        }
    }
    assert!(memory.iter().step_by(4096).all(|byte| *byte == 1), "the memory was there all along");
    floor.report(plan)?;
    if plan.launch {
        launcher.report(plan)?;
        let ratio = |of: fn(&Way) -> f64| of(&launcher) / of(&floor);
        eprintln!(
            "launch is {:.3} of posix_spawn at p50, {:.3} in CPU",
            ratio(|way| way.wall_us(0.5)),
            ratio(|way| way.cpu_us as f64)
        );
    }
    Ok(())
}

/// What one way of starting costs.
struct Way {
    name: &'static str,
    wall_ns: Vec<u64>,
    cpu_us: i64,
}

impl Way {
    fn new(name: &'static str) -> Way {
        Way { name, wall_ns: Vec::new(), cpu_us: 0 }
    }

    fn time(&mut self, run: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let (cpu, start) = (cpu_us()?, monotonic_now());
        run()?;
        self.wall_ns.push(monotonic_now().since(start).as_nanos() as u64);
        self.cpu_us += cpu_us()? - cpu;
        Ok(())
    }

    fn wall_us(&self, quantile: f64) -> f64 {
        let mut sorted = self.wall_ns.clone();
        sorted.sort_unstable();
        let at = (sorted.len() as f64 * quantile) as usize;
        sorted.get(at).copied().unwrap_or(0) as f64 / 1e3
    }

    fn report(&self, plan: &Plan) -> io::Result<()> {
        let runs = self.wall_ns.len();
        let report = Report {
            floor: self.name,
            runs,
            rss_mib: plan.rss_mib,
            wall_us_p50: self.wall_us(0.5),
            wall_us_p90: self.wall_us(0.9),
            wall_us_mean: self.wall_ns.iter().sum::<u64>() as f64 / 1e3 / runs.max(1) as f64,
            cpu_us_per_run: self.cpu_us as f64 / runs.max(1) as f64,
        };
        if plan.json {
            println!("{}", serde_json::to_string(&report)?);
        } else {
            println!(
                "{}: {} runs at {} MiB, {:.1} us wall at p50, {:.1} at p90, {:.1} mean, {:.1} us CPU a run",
                report.floor,
                report.runs,
                report.rss_mib,
                report.wall_us_p50,
                report.wall_us_p90,
                report.wall_us_mean,
                report.cpu_us_per_run
            );
        }
        Ok(())
    }
}

/// User and system time of this process and of the children that were waited for.
fn cpu_us() -> io::Result<i64> {
    let mut sum = 0;
    for who in [UsageWho::RUSAGE_SELF, UsageWho::RUSAGE_CHILDREN] {
        let usage = getrusage(who)?;
        sum += usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    }
    Ok(sum)
}

/// posix_spawn itself: behind `std::process::Command` the library chooses.
struct Spawn {
    program: CString,
}

impl Spawn {
    fn new(program: &str) -> io::Result<Spawn> {
        Ok(Spawn { program: CString::new(program)? })
    }

    fn run(&self) -> io::Result<()> {
        let program = self.program.as_ptr();
        let (argv, envp) = ([program.cast_mut(), ptr::null_mut()], [ptr::null_mut()]);
        let mut pid = 0;
        // SAFETY: the strings and both arrays, which end with a null, outlive the call.
        let refused = unsafe {
            let (argv, envp) = (argv.as_ptr(), envp.as_ptr());
            libc::posix_spawn(&mut pid, program, ptr::null(), ptr::null(), argv, envp)
        };
        if refused != 0 {
            return Err(io::Error::from_raw_os_error(refused));
        }
        let mut status = 0;
        // SAFETY: `status` outlives the call.
        match unsafe { libc::waitpid(pid, &mut status, 0) } {
            _ if status != 0 => Err(io::Error::other(format!("it ended with status {status:#x}"))),
            -1 => Err(io::Error::last_os_error()),
            _ => Ok(()),
        }
    }
}

fn command(program: &str) -> Command {
    // SAFETY: no arguments, cannot fail.
    let (uid, gid) = unsafe { (libc::geteuid(), libc::getegid()) };
    let home = (*b"/").into();
    Command {
        command: ScriptCommand::Argv([program].into_iter().collect()),
        user: ScriptUser { name: "floor".into(), home, uid, gid, groups: Box::new([]) },
        environment: Vec::new(),
        nofile: Some((1024, 1024)),
        cores: None,
        security: false,
        cgroup_procs: None,
    }
}

/// The launcher, both streams read to their ends, and the child waited for.
fn launched(command: &Command) -> io::Result<()> {
    let launched = launch::launch(command).map_err(|why| io::Error::other(format!("{why:?}")))?;
    for stream in [launched.stdout, launched.stderr] {
        read_to_end(&stream)?;
    }
    // SAFETY: all zeros are a siginfo_t, which outlives the call.
    let waited = unsafe {
        let mut info: libc::siginfo_t = std::mem::zeroed();
        let id = launched.pidfd.as_raw_fd().cast_unsigned();
        libc::waitid(libc::P_PIDFD, id, &mut info, libc::WEXITED)
    };
    if waited == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn read_to_end(stream: &OwnedFd) -> io::Result<()> {
    let mut buffer = [0; 4096];
    loop {
        match nix::unistd::read(stream, &mut buffer) {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(nix::errno::Errno::EAGAIN) => {
                let mut polled =
                    libc::pollfd { fd: stream.as_raw_fd(), events: libc::POLLIN, revents: 0 };
                // SAFETY: one pollfd that outlives the call.
                unsafe { libc::poll(&mut polled, 1, -1) };
            }
            Err(errno) => return Err(errno.into()),
        }
    }
}
