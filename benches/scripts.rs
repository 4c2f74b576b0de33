//! What one script costs through the reaper: /bin/true, one after the other.
//!
//! The time of a script is from the report of the one before it to its own: launch, run, the reaping of the
//! process and of its group, and the way of the report to who collects it. The counterpart is the floor
//! `posix_spawn`. `--rss-mib` makes the engine as large as a fleet would, because the cost must not depend on it. Started without `--runs`, as `cargo test` and `cargo bench` do,
//! it runs 200 scripts and fails unless all pass.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;

use clap::Parser;
use crossbeam_channel::unbounded;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use ringprobe::fleet::{LoadOptions, load_text};
use ringprobe::outcome::{Assignment, Outcome};
use ringprobe::reaper::link::{ReaperConfig, ReaperLinks, ReaperReport};
use ringprobe::reaper::{self, serve_if_asked};
use ringprobe::tick::monotonic_now;

/// One run of the bench.
#[derive(Parser, Clone, Debug)]
struct Plan {
    /// How many scripts; without this a small self-test runs instead.
    #[arg(long)]
    runs: u64,
    /// Memory this process touches before it starts, in MiB.
    #[arg(long, default_value_t = 1)]
    rss_mib: usize,
    /// One line of JSON instead of a sentence.
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    serve_if_asked();
    let asks_for_runs = std::env::args().any(|argument| argument.starts_with("--runs"));
    let plan =
        if asks_for_runs { Plan::parse() } else { Plan { runs: 200, rss_mib: 1, json: true } };
    let mut ballast = vec![0_u8; plan.rss_mib << 20];
    // Every page is written to, or it would not be there.
    ballast.iter_mut().step_by(4096).for_each(|byte| *byte = 1);
    let (passed, line) = measure(&plan);
    println!("{line}");
    drop(std::hint::black_box(ballast));
    if passed == plan.runs { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs the scripts; how many passed, and what to print.
fn measure(plan: &Plan) -> (u64, String) {
    let own = nix::unistd::User::from_uid(nix::unistd::geteuid());
    let own = own.ok().flatten().map_or_else(|| "root".to_owned(), |user| user.name);
    let conf = format!(
        "global_defs {{\n script_user {own}\n}}\nvirtual_server 127.0.0.1 80 {{\n protocol TCP\n \
         lvs_sched rr\n lvs_method NAT\n real_server 127.0.0.2 80 {{\n MISC_CHECK {{\n \
         misc_path /bin/true\n misc_timeout 60\n }}\n }}\n}}\n"
    );
    let fleet = load_text("bench.conf", conf.into_bytes(), &LoadOptions::default())
        .expect("the configuration is right")
        .fleet;
    let fleet = Arc::new(fleet);
    let checker = &fleet.checkers[0];
    let assignment = Assignment { seq: 0, target: checker.target, spec: checker.spec, retries: 0 };
    let (assignments_in, assignments) = unbounded();
    let (reports_in, reports) = unbounded();
    assignments_in.send(vec![assignment; plan.runs as usize]).expect("the other end is ours");
    drop(assignments_in);
    let config = ReaperConfig { jobs: 1, ..ReaperConfig::default() };
    let links = ReaperLinks {
        assignments,
        reports: reports_in,
        ready: None,
        stop: Arc::new(AtomicBool::new(false)),
    };
    let (cpu_before, start) = (cpu_us(), monotonic_now());
    let reaper = thread::spawn(move || reaper::run(fleet, config, links));
    let mut times_us: Vec<f64> = Vec::with_capacity(plan.runs as usize);
    let (mut passed, mut before) = (0, None);
    for report in reports {
        match report {
            ReaperReport::Run(ended) => {
                passed += u64::from(ended.0.outcome == Outcome::Pass);
                let now = monotonic_now();
                // The first one waited for the reaper itself to start.
                if let Some(before) = before.replace(now) {
                    times_us.push(now.since(before).as_nanos() as f64 / 1e3);
                }
            }
            ReaperReport::Unowned(count) => panic!("{count} strays of /bin/true"),
            ReaperReport::Ended(result) => result.expect("the reaper runs"),
        }
    }
    reaper.join().expect("the reaper does not panic");
    let (wall_s, cpu) = (monotonic_now().since(start).as_secs_f64(), cpu_us() - cpu_before);
    times_us.sort_by(f64::total_cmp);
    let at = |share: f64| {
        let place = (times_us.len().saturating_sub(1)) as f64 * share;
        times_us.get(place as usize).copied().unwrap_or(0.0)
    };
    let (p50, p90) = (at(0.5), at(0.9));
    let mean = times_us.iter().sum::<f64>() / times_us.len().max(1) as f64;
    let each = cpu as f64 / plan.runs.max(1) as f64;
    let line = if plan.json {
        format!(
            "{{\"bench\":\"scripts\",\"runs\":{},\"passed\":{passed},\"rss_mib\":{},\
             \"wall_us_p50\":{p50:.1},\"wall_us_p90\":{p90:.1},\"wall_us_mean\":{mean:.1},\
             \"cpu_us_per_run\":{each:.1},\"wall_s\":{wall_s:.3}}}",
            plan.runs, plan.rss_mib
        )
    } else {
        format!(
            "scripts: {} runs, {passed} passed, {} MiB: p50 {p50:.1} us, p90 {p90:.1} us, \
             mean {mean:.1} us from one report to the next; {each:.1} us CPU each, {wall_s:.2} s",
            plan.runs, plan.rss_mib
        )
    };
    (passed, line)
}

/// CPU of this process and of everything it has waited for, in microseconds.
fn cpu_us() -> i64 {
    [UsageWho::RUSAGE_SELF, UsageWho::RUSAGE_CHILDREN]
        .into_iter()
        .filter_map(|who| getrusage(who).ok())
        .map(|usage| usage.user_time().num_microseconds() + usage.system_time().num_microseconds())
        .sum()
}
