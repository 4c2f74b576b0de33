//! MISC_CHECK: whatever a script does, it has one outcome, and nothing of it is left.

mod cgroups;
mod engine_ends;
mod files;
mod hanging;
mod mixed;
mod outcomes;
mod processes;
mod scarce;
mod strays;
mod surroundings;
mod timeouts;
mod trust;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use tempfile::TempDir;

use self::processes::Kin;
use crate::support::{Child, Finished, Probe, Report, ScriptFields, program};

/// Scripts to be checked, and everything on the machine that comes of them.
///
/// Each is a real server of its own. All have a mark in their environment that no other process has, and a
/// time to sleep that no other process sleeps, so that they are found even where they clear the first.
pub(crate) struct Scripts {
    directory: TempDir,
    global: String,
    servers: String,
    count: u32,
    kin: Kin,
}

impl Scripts {
    pub(crate) fn new() -> Scripts {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let user = nix::unistd::User::from_uid(nix::unistd::geteuid()).expect("a list of users");
        let user = user.expect("who runs the tests has a name").name;
        Scripts {
            directory: tempfile::tempdir().expect("a directory"),
            global: format!(" script_user {user}\n"),
            servers: String::new(),
            count: 0,
            kin: Kin::new(number),
        }
    }

    /// Adds a line to `global_defs`.
    pub(crate) fn global(&mut self, line: &str) {
        writeln!(self.global, " {line}").expect("memory");
    }

    /// Adds a check. The command is what stands inside the double quotes of `misc_path`; `NAP` in it becomes
    /// the time to sleep. Returns the server's label.
    pub(crate) fn check(&mut self, command: &str, more: &str) -> String {
        let (high, low) = (self.count / 250, self.count % 250 + 1);
        self.count += 1;
        let address = format!("127.95.{high}.{low}");
        let command = command.replace("NAP", &self.kin.nap);
        let more = more.replace("; ", "\n   ");
        writeln!(
            self.servers,
            " real_server {address} 80 {{\n  MISC_CHECK {{\n   misc_path \"{command}\"\n   {more}\n  }}\n }}"
        )
        .expect("memory");
        format!("{address}:80")
    }

    /// The same check for several servers.
    pub(crate) fn checks(&mut self, count: u32, command: &str, more: &str) {
        for _ in 0..count {
            self.check(command, more);
        }
    }

    /// A check of `/bin/sh -c`, whose text has no quotes in it but `\"`.
    pub(crate) fn shell(&mut self, text: &str, more: &str) -> String {
        self.check(&format!("/bin/sh -c '{text}'"), more)
    }

    /// Where this has files of its own.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The processes that come of it.
    pub(crate) fn kin(&self) -> &Kin {
        &self.kin
    }

    /// Flags of a sweep of it, with NDJSON on standard output.
    pub(crate) fn flags(&self, more: &str) -> String {
        let conf = self.path("keepalived.conf");
        let text = format!(
            "global_defs {{\n{}}}\nvirtual_server 10.0.0.1 80 {{\n delay_loop 6\n lvs_sched rr\n \
             lvs_method NAT\n protocol TCP\n{}}}\n",
            self.global, self.servers
        );
        fs::write(&conf, text).expect("room");
        let mark = self.kin.variable();
        format!("-f {} -o ndjson -q --script-env {mark} {more}", conf.display())
    }

    /// A sweep of it to be started.
    pub(crate) fn command(&self, more: &str) -> Command {
        let mut command = program(None);
        command.arg("sweep").args(self.flags(more).split_whitespace());
        command
    }

    /// A sweep of it to be started by another program, as `prlimit` starts programs.
    pub(crate) fn command_by(&self, starter: &str, more: &str) -> Command {
        let mut words = starter.split_whitespace();
        let mut command = Command::new(words.next().expect("a program"));
        command.args(words).arg(env!("CARGO_BIN_EXE_ringprobe")).arg("sweep");
        command.args(self.flags(more).split_whitespace()).env("NO_COLOR", "1");
        command
    }

    pub(crate) fn start(&self, more: &str) -> Child {
        Child::start(&mut self.command(more), None)
    }

    /// A sweep of it to its end; nothing may be left of it.
    pub(crate) fn report(&self, more: &str) -> Report {
        self.finished(self.start(more).finish())
    }

    /// The report of a sweep that ended by itself and must have left nothing.
    pub(crate) fn finished(&self, finished: Finished) -> Report {
        assert_eq!(self.kin.alive(), [] as [String; 0], "left behind");
        assert!([0, 1, 3].contains(&finished.code()), "{}: {}", finished.code(), finished.stderr);
        let report = Report::parse(&finished.stdout);
        let counts = ["failed", "unknown"].map(|field| report.count(field));
        let code = match counts {
            [0, 0] => 0,
            [0, _] => 3,
            _ => 1,
        };
        assert_eq!(finished.code(), code, "{}", report.summary);
        assert_eq!(report.probes.len(), self.count as usize, "{}", finished.stderr);
        by_server(&report);
        report
    }
}

/// The records by their servers; each must have one only.
pub(crate) fn by_server(report: &Report) -> BTreeMap<&str, &Probe> {
    let mut servers = BTreeMap::new();
    for probe in &report.probes {
        let server = probe.real_server.as_deref().expect("a real server");
        let before = servers.insert(server, probe);
        assert!(before.is_none(), "two records of {server}");
    }
    servers
}

/// Outcome and reason in one text.
pub(crate) fn found(probe: &Probe) -> String {
    format!("{} {}", probe.outcome, probe.reason)
}

/// What a record says about the run of its script.
pub(crate) fn script(probe: &Probe) -> &ScriptFields {
    probe.script.as_ref().unwrap_or_else(|| panic!("no script: {probe:?}"))
}

/// The only record of a report.
pub(crate) fn only(report: &Report) -> &Probe {
    assert_eq!(report.probes.len(), 1);
    &report.probes[0]
}
