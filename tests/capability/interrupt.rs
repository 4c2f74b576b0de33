//! Ctrl-C, a full disk and a reader that goes away: what was known is kept, and every line is whole.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::support::{Child, Fleet, Report, Sweep, pause, program, wait_for};

/// Enough targets at this rate for minutes, so that there is a middle whatever the machine does.
const SLOWLY: &str = "--rate 2000 --progress never";

fn fleet(port: u16) -> Fleet {
    Fleet::start(None, port, 60_000, "--net 127.66.0.0/16")
}

/// Waits until a report in a file has probe records.
fn wait_for_records(path: &Path) {
    wait_for("the first records", || {
        let text = fs::read_to_string(path).unwrap_or_default();
        (text.lines().count() > 100).then_some(())
    });
}

fn assert_cut_short(report: &Report) {
    assert_eq!(report.summary["interrupted"], true);
    let probed = report.count("probed");
    assert!(probed > 0 && probed < 60_000, "{}", report.summary);
    assert_eq!((report.count("passed"), report.count("total")), (probed, 60_000));
}

#[test]
fn ctrl_c_tells_what_is_known_and_leaves_a_whole_file() {
    let fleet = fleet(20_300);
    let directory = tempfile::tempdir().expect("a directory");
    let out = directory.path().join("out.ndjson");
    let flags = fleet.sweep(&format!("-o ndjson --out {} {SLOWLY}", out.display()));
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let _ = fs::remove_file(&out);
        let sweep = Sweep::new(&flags).start();
        wait_for_records(&out);
        sweep.signal(signal);
        let finished = sweep.finish();
        assert_eq!(finished.code(), 130, "{}", finished.stderr);
        assert!(finished.stdout.starts_with("INTERRUPTED: "), "{}", finished.stdout);
        assert!(finished.stdout.contains(" of 60,000 probed"), "{}", finished.stdout);
        assert_cut_short(&Report::parse(&fs::read_to_string(&out).expect("readable")));
    }
}

#[test]
fn ctrl_c_ends_records_on_standard_output_as_well() {
    let fleet = fleet(20_310);
    let mut command = program(None);
    let flags = fleet.sweep(&format!("-o ndjson -q {SLOWLY}"));
    command.arg("sweep").args(flags.split_whitespace());
    let sweep = Child::start(&mut command, None);
    // Its output comes in blocks; by the time it is interrupted it has probed for two seconds or
    // more, or the machine stood still, in which case nothing but the signal is late.
    pause(Duration::from_secs(2));
    let finished = sweep.interrupt();
    assert_eq!((finished.code(), finished.stderr.as_str()), (130, ""));
    assert_cut_short(&Report::parse(&finished.stdout));
}

#[test]
fn ctrl_c_in_the_text_form_gives_the_summary() {
    let fleet = fleet(20_320);
    let sweep = Sweep::new(&fleet.sweep(SLOWLY)).start();
    pause(Duration::from_secs(2));
    let finished = sweep.interrupt();
    assert_eq!(finished.code(), 130);
    assert!(finished.stdout.starts_with("INTERRUPTED: "), "{}", finished.stdout);
    assert!(finished.stdout.contains("limited by --rate"), "{}", finished.stdout);
}

#[test]
fn a_second_ctrl_c_ends_at_once() {
    // A reader that reads nothing blocks the report, so the first Ctrl-C cannot finish its work.
    let fleet = fleet(20_330);
    let mut command = program(None);
    command.arg("sweep").args(fleet.sweep("-o ndjson -q").split_whitespace());
    let mut sweep = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("starts");
    let id = nix::unistd::Pid::from_raw(sweep.id() as i32);
    // Well after the pipe of 64 KiB is full.
    pause(Duration::from_secs(2));
    nix::sys::signal::kill(id, Signal::SIGINT).expect("it runs");
    pause(Duration::from_millis(500));
    let still_runs = sweep.try_wait().expect("our child").is_none();
    let ended = match nix::sys::signal::kill(id, Signal::SIGINT) {
        Ok(()) => wait_for("the end", || sweep.try_wait().expect("our child")),
        Err(error) => {
            let _ = sweep.kill();
            panic!("{error}");
        }
    };
    assert!(still_runs, "the first one did not have to wait: the test tests nothing");
    use std::os::unix::process::ExitStatusExt;
    assert!(ended.code() == Some(130) || ended.signal() == Some(2), "{ended:?}");
}

#[test]
fn a_full_device_is_an_error_that_names_it() {
    let fleet = Fleet::start(None, 20_340, 5_000, "--net 127.67.0.0/16");
    for form in ["ndjson", "csv", "text"] {
        let finished = Sweep::new(&fleet.sweep(&format!("-o {form} --out /dev/full"))).run();
        assert_eq!(finished.code(), 4, "{form}: {}", finished.stderr);
        let error = "ringprobe: cannot write to /dev/full: No space left on device";
        assert!(finished.stderr.contains(error), "{form}: {}", finished.stderr);
    }
}

#[test]
#[ignore = "needs root: a file system of its own to fill"]
fn a_disk_that_fills_up_keeps_whole_lines_only() {
    let fleet = fleet(20_350);
    let directory = tempfile::tempdir().expect("a directory");
    for form in ["ndjson", "csv"] {
        // The mount is seen by this shell and its children only, and goes with them.
        let script = format!(
            "mount -t tmpfs -o size=1m none {dir} || exit 99
             {program} sweep {flags} -o {form} -q --out {dir}/out
             status=$?
             cat {dir}/out
             exit $status",
            dir = directory.path().display(),
            program = env!("CARGO_BIN_EXE_ringprobe"),
            flags = fleet.sweep(""),
        );
        let mut shell = Command::new("unshare");
        shell.args(["--mount", "bash", "-c", &script]).env("NO_COLOR", "1");
        let finished = Child::start(&mut shell, None).finish();
        assert_eq!(finished.code(), 4, "{form}: {}", finished.stderr);
        let error = "No space left on device (os error 28) (";
        assert!(finished.stderr.contains(error), "{form}: {}", finished.stderr);
        assert!(finished.stdout.len() > 900_000, "the disk was full: {}", finished.stdout.len());
        assert!(finished.stdout.ends_with('\n'), "{:?}", finished.stdout.lines().last());
        let records = finished.stdout.lines().count() - 1;
        assert!(
            finished.stderr.contains(&format!("({records} records were written)")),
            "{records}"
        );
        for line in finished.stdout.lines().skip(1) {
            match form {
                "ndjson" => drop(Report::probe(line)),
                _ => assert_eq!(line.split(',').count(), 10, "{line}"),
            }
        }
    }
}

#[test]
fn a_reader_that_goes_away_ends_it_quietly() {
    let fleet = fleet(20_360);
    for form in ["ndjson", "csv"] {
        let mut command = program(None);
        let flags = fleet.sweep(&format!("-o {form} -q"));
        command.arg("sweep").args(flags.split_whitespace());
        let mut sweep = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("starts");
        let mut first = String::new();
        // The reader is dropped with this line: `| head -n 1`.
        BufReader::new(sweep.stdout.take().expect("piped")).read_line(&mut first).expect("a line");
        assert!(first.starts_with("{\"type\":\"run\"") || first.starts_with("checker,"), "{first}");
        let stderr = std::io::read_to_string(sweep.stderr.take().expect("piped")).expect("text");
        let status = sweep.wait().expect("our child");
        assert_eq!((status.code(), stderr.as_str()), (Some(141), ""));
    }
}
