//! What loading a keepalived.conf takes: from its text to the typed model, and nothing else.
//!
//! The processor time is that of all threads. Started without `--file`, as
//! `cargo test` and `cargo bench` do, it loads 2,000 real servers that it writes itself and fails unless all
//! of them are there.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use ringprobe::conf::Severity;
use ringprobe::fleet::{LoadOptions, load};

const SMOKE_SERVERS: u32 = 2_000;

/// One run of the bench.
#[derive(Parser, Clone, Debug)]
struct Plan {
    /// The configuration; without this a small self-test runs instead.
    #[arg(long)]
    file: PathBuf,
    /// One line of JSON instead of a sentence.
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    if std::env::args().any(|argument| argument.starts_with("--file") || argument == "--help") {
        let plan = Plan::parse();
        return match measure(&plan.file, plan.json) {
            Some(_) => ExitCode::SUCCESS,
            None => ExitCode::from(2),
        };
    }
    let folder = tempfile::tempdir().expect("a directory for temporary files");
    let path = folder.path().join("keepalived.conf");
    std::fs::write(&path, configuration(SMOKE_SERVERS)).expect("room for it");
    if measure(&path, true) == Some(SMOKE_SERVERS as usize) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Loads the file once and says what that took; how many real servers it has.
fn measure(path: &Path, json: bool) -> Option<usize> {
    let before = cpu_us();
    let loaded = match load(path, &LoadOptions::default()) {
        Ok(loaded) => loaded,
        Err(error) => {
            eprintln!("load: {}: {error}", path.display());
            return None;
        }
    };
    let cpu_s = (cpu_us() - before) as f64 / 1e6;
    let (servers, problems) =
        (loaded.fleet.real_servers.len(), loaded.problems.count(Severity::Warning));
    if json {
        println!(
            "{{\"bench\":\"load\",\"real_servers\":{servers},\"problems\":{problems},\"cpu_s\":{cpu_s:.4}}}"
        );
    } else {
        println!("load: {servers} real servers, {problems} problems, {cpu_s:.3} s CPU");
    }
    Some(servers)
}

fn cpu_us() -> i64 {
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("one's own usage can be read");
    usage.user_time().num_microseconds() + usage.system_time().num_microseconds()
}

fn configuration(servers: u32) -> String {
    let mut text = String::from(
        "virtual_server 192.0.2.1 53 {\n protocol UDP\n lvs_sched rr\n lvs_method NAT\n",
    );
    for server in 0..servers {
        let [_, b, c, d] = server.to_be_bytes();
        let checker = "DNS_CHECK {\n type A\n name www.example.test\n }";
        writeln!(text, " real_server 10.{b}.{c}.{d} 53 {{\n {checker}\n }}").expect("a string");
    }
    text + "}\n"
}
