//! `ringprobe respond` as a child, with its configuration and its truth.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use nix::sys::signal::Signal;
use serde_json::Value;
use tempfile::TempDir;

use super::{Child, Namespace, program, wait_for};

/// An embedded fleet that serves.
#[derive(Debug)]
pub(crate) struct Fleet {
    child: Child,
    directory: TempDir,
}

/// What the fleet said when it ended.
#[derive(Debug)]
pub(crate) struct Served {
    pub(crate) queries: u64,
    pub(crate) answers: u64,
    pub(crate) delayed: u64,
    pub(crate) accepted: u64,
}

impl Fleet {
    /// Starts a fleet of so many servers and waits until it serves. No scripts, where the flags name
    /// no share of them: most promises are about packets.
    pub(crate) fn start(
        namespace: Option<&Namespace>,
        port: u16,
        servers: usize,
        flags: &str,
    ) -> Fleet {
        let directory = tempfile::tempdir().expect("a directory");
        let mut command = program(namespace);
        command.args(["respond", "--for", "170s", "--port", &port.to_string()]);
        command.args(["--servers", &servers.to_string()]).args(flags.split_whitespace());
        if !flags.contains("--script-share") {
            command.args(["--script-share", "0%"]);
        }
        for flag in ["conf", "truth"] {
            command.arg(format!("--{flag}")).arg(directory.path().join(flag));
        }
        let mut child = Child::start(&mut command, None);
        // The sockets are open before the papers are written, so the last line of the truth means
        // that whoever is asked now will answer.
        let truth = directory.path().join("truth");
        wait_for("the fleet's truth", || {
            assert!(!child.has_ended(), "the fleet ended: {}", child.said());
            let text = fs::read_to_string(&truth).unwrap_or_default();
            (text.lines().count() == servers && text.ends_with('\n')).then_some(())
        });
        Fleet { child, directory }
    }

    pub(crate) fn conf(&self) -> PathBuf {
        self.directory.path().join("conf")
    }

    /// Flags of a sweep of the fleet's configuration.
    pub(crate) fn sweep(&self, more: &str) -> String {
        format!("-f {} {more}", self.conf().display())
    }

    /// What every checker must find, in the order of the configuration.
    pub(crate) fn truth(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.directory.path().join("truth")).expect("written");
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    /// The targets of one kind of checker.
    pub(crate) fn targets(&self, checker: &str) -> Vec<String> {
        let truth = self.truth();
        let of_kind = truth.iter().filter(|truth| truth["checker"] == checker);
        of_kind.map(|truth| truth["target"].as_str().expect("a target").to_owned()).collect()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        self.child.signal(signal);
    }

    /// Ends it, and tells what it did.
    pub(crate) fn stop(self) -> Served {
        let finished = self.child.interrupt();
        assert_eq!(finished.code(), 0, "{}", finished.stderr);
        let counts: BTreeMap<&str, u64> = finished
            .stderr
            .lines()
            .last()
            .unwrap_or_default()
            .split(", ")
            .filter_map(|part| {
                let (count, of) = part.split_once(' ')?;
                Some((of, count.parse().expect("a count")))
            })
            .collect();
        assert_eq!(counts["errors"], 0, "{}", finished.stderr);
        Served {
            queries: counts["queries"],
            answers: counts["answers"],
            delayed: counts["delayed"],
            accepted: counts["connections accepted"],
        }
    }
}
