//! Network namespaces: a loopback, counters and firewall of the test's own. They need root.

use std::collections::HashMap;
use std::fs::{self, File};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use nix::sched::{CloneFlags, setns};

use super::Child;

/// A network namespace with `lo` up; gone when dropped.
#[derive(Debug)]
pub(crate) struct Namespace {
    name: String,
}

impl Namespace {
    pub(crate) fn new() -> Namespace {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("ringprobe-{}-{number}", std::process::id());
        run(Command::new("ip").args(["netns", "add", &name]));
        let namespace = Namespace { name };
        namespace.ip("link set lo up");
        namespace
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// `ip` inside, words split at blanks.
    pub(crate) fn ip(&self, words: &str) {
        run(Command::new("ip").args(["-n", &self.name]).args(words.split_whitespace()));
    }

    /// `nft` inside, with a script.
    pub(crate) fn nft(&self, script: &str) -> String {
        let mut command = self.command("nft");
        let finished = Child::start_with(command.args(["-f", "-"]), script.to_owned()).finish();
        assert!(finished.status.success(), "nft: {}\n{script}", finished.stderr);
        finished.stdout
    }

    /// Packets that a named nft counter of table `inet t` has seen.
    pub(crate) fn counted(&self, counter: &str) -> u64 {
        let text = self.nft(&format!("list counter inet t {counter}\n"));
        let (_, rest) = text.split_once("packets ").expect("a counter");
        rest.split_whitespace().next().and_then(|count| count.parse().ok()).expect("a number")
    }

    /// A program inside. Its process id is the command's own: `ip netns exec` replaces itself.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name, program]);
        command
    }

    /// Runs a closure on a thread inside; sockets it makes stay inside.
    pub(crate) fn enter<T: Send>(&self, inside: impl FnOnce() -> T + Send) -> T {
        let file = File::open(format!("/run/netns/{}", self.name)).expect("the namespace");
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                setns(file, CloneFlags::CLONE_NEWNET).expect("root may enter");
                inside()
            });
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// The counters of all its traffic so far.
    pub(crate) fn snmp(&self) -> Snmp {
        let text = self.enter(|| fs::read_to_string("/proc/thread-self/net/snmp"));
        Snmp::parse(&text.expect("readable"))
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.name]).status();
    }
}

fn run(command: &mut Command) {
    let finished = Child::start(command, None).finish();
    assert!(finished.status.success(), "{command:?}: {}", finished.stderr);
}

/// /proc/net/snmp: pairs of lines, names and numbers.
#[derive(Debug)]
pub(crate) struct Snmp(HashMap<String, u64>);

impl Snmp {
    fn parse(text: &str) -> Snmp {
        let lines: Vec<&str> = text.lines().collect();
        let mut counters = HashMap::new();
        for pair in lines.chunks_exact(2) {
            let (protocol, names) = pair[0].split_once(": ").expect("names");
            let (_, numbers) = pair[1].split_once(": ").expect("numbers");
            for (name, number) in names.split(' ').zip(numbers.split(' ')) {
                // MaxConn is -1; no counter is.
                let number = number.parse().unwrap_or(0);
                counters.insert(format!("{protocol}.{name}"), number);
            }
        }
        Snmp(counters)
    }

    /// How much a counter, as in `Udp.OutDatagrams`, grew since `before`.
    pub(crate) fn since(&self, before: &Snmp, counter: &str) -> u64 {
        self.0[counter] - before.0[counter]
    }
}
