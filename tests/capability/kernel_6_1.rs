//! The oldest supported kernel gives the same verdicts, and leaves as little behind.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::{ALL_FAULTS, Child, Report};

/// One line per record, sorted.
fn verdicts_of(report: &Report) -> Vec<String> {
    let mut lines: Vec<String> = report
        .probes
        .iter()
        .map(|probe| {
            let server = probe.real_server.as_deref().unwrap_or_default();
            format!("{server} {} {}", probe.outcome, probe.reason)
        })
        .collect();
    lines.sort();
    lines
}

#[test]
#[ignore = "needs user-mode-linux"]
fn linux_6_1_finds_the_same_as_this_kernel() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name).display().to_string();
    let (conf, truth, out) = (path("conf"), path("truth"), path("out"));
    let (kernel, left) = (path("kernel"), path("left"));
    let program = env!("CARGO_BIN_EXE_ringprobe");
    let script = format!(
        "uname -r > {kernel}
         {program} respond --servers 2000 --faults {ALL_FAULTS} --conf {conf} --truth {truth} \
             --for 100s &
         fleet=$!
         for second in $(seq 60); do
             [ \"$(wc -l < {truth})\" = 2000 ] && break
             sleep 1
         done
         {program} sweep -f {conf} -o ndjson --out {out} -q
         status=$?
         grep -lzs ^RINGPROBE_SCRIPT= /proc/[0-9]*/environ > {left}
         kill -INT $fleet
         wait $fleet
         exit $status"
    );
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut guest = Command::new(root.join("scripts/uml-run"));
    guest.args(["-t", "140", "--", "bash", "-c", &script]);
    let finished = Child::start(&mut guest, None).finish();
    assert_eq!(finished.code(), 1, "there are faults: {finished:?}");
    let release = fs::read_to_string(kernel).expect("the guest wrote it");
    assert!(release.starts_with("6.1."), "{release}");

    let report = Report::parse(&fs::read_to_string(out).expect("the guest wrote it"));
    let mut expected: Vec<String> = fs::read_to_string(truth)
        .expect("the guest wrote it")
        .lines()
        .map(|line| {
            let truth: Value = serde_json::from_str(line).expect("JSON");
            let text = |field: &str| truth[field].as_str().expect("a text").to_owned();
            format!("{} {} {}", text("real_server"), text("outcome"), text("reason"))
        })
        .collect();
    expected.sort();
    assert_eq!(expected.len(), 2_000);
    assert_eq!(verdicts_of(&report), expected);
    assert_eq!(report.run["backend"], "io_uring");
    // No `pidfd_send_signal` to groups there; scripts end all the same.
    assert_eq!(report.summary["checkers"]["MISC_CHECK"]["probed"], 40);
    assert_eq!(fs::read_to_string(left).expect("the guest wrote it"), "", "scripts were left");
}
