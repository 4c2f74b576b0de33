//! The page in a headless browser, without a network: see tests/browser/report.py.

use std::fs;
use std::path::Path;
use std::process::Command;

use ringprobe::bench::report::html;

use crate::made;

/// Names that would break out of the page if they could.
const HOSTILE: &str =
    "</script><script>document.title='broken'</script><img src=x onerror=alert(1)>";

fn drive(names: &[(&str, String)]) {
    let directory = tempfile::tempdir().expect("a directory");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser/report.py");
    // Debian's Python, whose packages are those of the machine.
    let mut command = Command::new("timeout");
    command.args(["--kill-after=5", "120", "/usr/bin/python3"]).arg(script).arg(directory.path());
    command.env("TMPDIR", directory.path());
    for (name, page) in names {
        let path = directory.path().join(format!("{name}.html"));
        fs::write(&path, page).expect("room");
        if let Some(shots) = std::env::var_os("RINGPROBE_SHOTS") {
            fs::create_dir_all(&shots).expect("room");
            fs::copy(&path, Path::new(&shots).join(format!("{name}.html"))).expect("room");
        }
        command.arg(path);
    }
    let done = command.output().expect("coreutils");
    assert!(
        done.status.success(),
        "{}\n{}",
        String::from_utf8_lossy(&done.stdout),
        String::from_utf8_lossy(&done.stderr)
    );
}

#[test]
fn pages_are_drawn_and_answer_to_a_reader_in_light_and_dark_wide_and_narrow() {
    let mut hostile = made::runs();
    hostile.load.targets = HOSTILE.to_owned();
    hostile.runs[0].limited_by.why = HOSTILE.to_owned();
    // A closed loop, and a second of which nothing is known.
    hostile.load.mode = "closed";
    for run in &mut hostile.runs {
        run.asked_per_second = None;
        run.intervals[3].latency_us = None;
    }
    let mut silent = made::runs();
    for run in &mut silent.runs {
        run.latency_us = None;
        run.percentiles.clear();
        run.intervals.iter_mut().for_each(|interval| interval.latency_us = None);
    }
    drive(&[
        ("runs", html(&made::runs())),
        ("ramp", html(&made::ramp())),
        ("steps", html(&made::long_ramp())),
        ("hostile", html(&hostile)),
        ("silent", html(&silent)),
        ("nothing", html(&made::nothing())),
    ]);
}
