//! Seeded programs that try to break the reader of configurations: it may not panic, not hang, and not
//! take memory without end, whatever it is given.
//!
//! `scripts/fuzz` runs this at length. RINGPROBE_FUZZ_CASES sets how many cases (default 3,000),
//! RINGPROBE_SEED where they begin. The canaries are readers with a fault, which must be found.

#[path = "../conf/corrupt.rs"]
mod corrupt;
#[path = "../conf/generate/mod.rs"]
mod generate;
#[path = "../conf/mutate.rs"]
mod mutate;

use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use corrupt::damage;
use generate::{Dialect, Random, configuration};
use mutate::edit;
use nix::sys::resource::{UsageWho, getrusage};
use ringprobe::conf::{Problems, Severity};
use ringprobe::fleet::{LoadOptions, analyse_text};
use ringprobe::lint;
use ringprobe::sink::dump;

/// Processor time that one case may take.
const CASE_MAX: Duration = Duration::from_secs(1);
/// Memory that all cases together may need beyond what is there before them.
const MEMORY_MAX: u64 = 64 << 20;

/// What a case did.
#[derive(PartialEq, Eq, Debug)]
enum Verdict {
    Fine,
    Panicked,
    Hung,
}

/// Reads a configuration with everything a user would ask for.
fn read(text: &[u8]) {
    let options = LoadOptions { config_id: Some("id".into()), ..LoadOptions::default() };
    let Ok(analysis) = analyse_text("fuzz.conf", text.to_vec(), &options) else { return };
    let mut analysis = analysis;
    lint::check(&analysis.effective, &mut analysis.diagnostics);
    lint::detection(&analysis.effective);
    lint::rate(&analysis.effective);
    let records = dump::json(&analysis.effective, &analysis.sources).count();
    let flat: Vec<u8> = dump::conf(&analysis.effective).flatten().collect();
    if let Ok(again) = analyse_text("flat.conf", flat, &options) {
        // What is written may be refused (a name that cannot be spelled), and is no worse than that.
        assert!(dump::json(&again.effective, &again.sources).count() <= 2 * records);
    }
    let problems = Problems::new(analysis.diagnostics, &analysis.sources);
    let errors = problems.count(Severity::Error);
    let rendered = problems.render(false);
    assert_eq!(errors > 0, rendered.contains("error[E"), "errors are shown");
}

/// Runs one case on a thread of its own, so that one that hangs can be left behind.
fn run(reader: fn(&[u8]), text: Vec<u8>) -> Verdict {
    let (tell, hear) = channel();
    let before = cpu();
    let work = thread::Builder::new().stack_size(2 << 20).spawn(move || {
        let result = catch_unwind(AssertUnwindSafe(|| reader(&text)));
        let _ = tell.send(result.is_ok());
    });
    let work = work.expect("a thread");
    let mut waits = 0;
    loop {
        match hear.recv_timeout(Duration::from_millis(100)) {
            Ok(is_fine) => {
                let _ = work.join();
                let is_slow = cpu() - before > CASE_MAX;
                return match (is_fine, is_slow) {
                    (false, _) => Verdict::Panicked,
                    (true, true) => Verdict::Hung,
                    (true, false) => Verdict::Fine,
                };
            }
            Err(RecvTimeoutError::Disconnected) => return Verdict::Panicked,
            Err(RecvTimeoutError::Timeout) => {
                waits += 1;
                // Time of the clock alone says nothing: the machine may have stood still.
                if cpu() - before > CASE_MAX || waits > 300 {
                    return Verdict::Hung;
                }
            }
        }
    }
}

/// Processor time of this process; one case runs at a time.
fn cpu() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("one's own usage can be read");
    let time = |time: nix::sys::time::TimeVal| {
        Duration::new(time.tv_sec() as u64, time.tv_usec() as u32 * 1000)
    };
    time(usage.user_time()) + time(usage.system_time())
}

/// The most memory this process ever had, in bytes.
fn memory_peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("proc is mounted");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("a known field");
    let kilobytes = line.split_ascii_whitespace().nth(1).expect("a number");
    kilobytes.parse::<u64>().expect("a number") * 1024
}

/// Configurations to begin with: those of the tests, and generated ones.
fn samples() -> Vec<String> {
    let mut samples = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conf")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder of this repository") {
            let path = entry.expect("readable").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "conf") {
                let text = std::fs::read(&path).expect("a file of this repository");
                samples.push(String::from_utf8_lossy(&text).into_owned());
            }
        }
    }
    samples.sort();
    samples
}

/// The text of case `seed`.
fn case(samples: &[String], seed: u64) -> Vec<u8> {
    let mut random = Random(seed);
    let mut text = match random.below(3) {
        0 => {
            let dialect =
                *random.pick(&[Dialect::Ringprobe, Dialect::Keepalived22, Dialect::Replaced]);
            configuration(random.next(), 2, dialect)
        }
        _ => samples[random.below(samples.len())].clone(),
    };
    for _ in 0..random.below(4) {
        edit(&mut text, &mut random);
    }
    let mut text = text.into_bytes();
    for _ in 0..random.below(5) {
        damage(&mut text, &mut random);
    }
    text
}

/// The first case that goes wrong, of so many.
fn first_fault(reader: fn(&[u8]), cases: u64, start: u64) -> Option<(u64, Verdict)> {
    let samples = samples();
    (start..start + cases).find_map(|seed| match run(reader, case(&samples, seed)) {
        Verdict::Fine => None,
        verdict => Some((seed, verdict)),
    })
}

fn number(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(number) => number.parse().unwrap_or_else(|_| panic!("{name} is a number")),
        Err(_) => default,
    }
}

/// One test, as the memory of this process is counted.
#[test]
fn nothing_breaks_the_reader_and_every_canary_is_found() {
    let cases = number("RINGPROBE_FUZZ_CASES", 3_000);
    let start = number("RINGPROBE_SEED", 1);
    let before = memory_peak();
    if let Some((seed, verdict)) = first_fault(read, cases, start) {
        let text = case(&samples(), seed);
        let mut shown = String::new();
        let _ = write!(shown, "{}", String::from_utf8_lossy(&text));
        panic!("RINGPROBE_SEED={seed} RINGPROBE_FUZZ_CASES=1: {verdict:?}\n{shown}");
    }
    let grown = memory_peak() - before;
    assert!(grown <= MEMORY_MAX, "{grown} bytes more than before");
    println!("{cases} cases from {start}: fine, {} KiB of memory", grown >> 10);

    let quiet = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let panics = first_fault(canary::panics, 2_000, start);
    std::panic::set_hook(quiet);
    assert!(matches!(panics, Some((_, Verdict::Panicked))), "{panics:?}");
    let before = memory_peak();
    assert_eq!(first_fault(canary::hoards, 50, start), None);
    assert!(memory_peak() - before > MEMORY_MAX, "a hoard of memory is seen");
    // Last, as its thread goes on for a while.
    let hangs = first_fault(canary::hangs, 2_000, start);
    assert!(matches!(hangs, Some((_, Verdict::Hung))), "{hangs:?}");
}

/// Readers with a fault each.
mod canary {
    use std::hint::black_box;
    use std::time::Duration;

    use ringprobe::tick::monotonic_now;

    /// Takes a NUL byte behind an opening brace for its end.
    pub(super) fn panics(text: &[u8]) {
        let open = text.iter().position(|byte| *byte == b'{');
        let nul = text.iter().position(|byte| *byte == 0);
        if let (Some(open), Some(nul)) = (open, nul) {
            assert!(nul < open, "a fault that must be found");
        }
    }

    /// Follows a parameter that names itself, though not for ever.
    pub(super) fn hangs(text: &[u8]) {
        if text.windows(6).any(|part| part == b"$A=${A") {
            let end = monotonic_now() + Duration::from_secs(3);
            while monotonic_now() < end {
                black_box(text);
            }
        }
    }

    /// Keeps more than it is given.
    pub(super) fn hoards(text: &[u8]) {
        let mut hoard = Vec::new();
        while hoard.len() < 80 << 20 {
            hoard.extend_from_slice(text);
            hoard.push(0);
        }
        black_box(hoard);
    }
}
