//! Processes as /proc shows them.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::{Child, wait_for};

/// The processes that come of one test's scripts. What is still alive when this is dropped is killed.
#[derive(Debug)]
pub(crate) struct Kin {
    /// In the environment of all of them, where they did not clear it.
    mark: String,
    /// An argument of all that sleep, or part of one.
    pub(crate) nap: String,
}

impl Kin {
    pub(super) fn new(number: u32) -> Kin {
        let id = std::process::id();
        Kin { mark: format!("rp-test-{id}-{number}"), nap: format!("{}{id:07}{number:03}", 9) }
    }

    /// The variable that carries the mark, as `--script-env` takes it.
    pub(super) fn variable(&self) -> String {
        format!("RP_TEST_MARK={}", self.mark)
    }

    /// All that are alive, in words. A zombie is not.
    pub(crate) fn alive(&self) -> Vec<String> {
        self.ids().into_iter().map(|id| format!("{id} {}", command_line(id).join(" "))).collect()
    }

    /// How many of them are `sleep` itself.
    pub(crate) fn sleeping(&self) -> usize {
        let is_sleep = |id: &i32| {
            let words = command_line(*id);
            let is_nap = words.get(1).is_some_and(|word| *word == self.nap);
            is_nap && words[0].ends_with("sleep")
        };
        self.ids().iter().filter(|id| is_sleep(id)).count()
    }

    /// Their ids.
    pub(crate) fn ids(&self) -> Vec<i32> {
        let has = |id: i32, file: &str, text: &str| {
            let bytes = fs::read(format!("/proc/{id}/{file}")).unwrap_or_default();
            String::from_utf8_lossy(&bytes).contains(text)
        };
        all()
            .filter(|&id| has(id, "environ", &self.mark) || has(id, "cmdline", &self.nap))
            .collect()
    }

    /// Waits until so many of them sleep.
    pub(crate) fn wait_for_sleeping(&self, count: usize, engine: &mut Child) {
        wait_for("scripts that sleep", || {
            assert!(!engine.has_ended(), "the engine ended: {}", engine.said());
            (self.sleeping() >= count).then_some(())
        });
    }

    /// Waits until none of them is alive.
    pub(crate) fn wait_for_end(&self) {
        wait_for("the end of all scripts", || self.ids().is_empty().then_some(()));
    }
}

impl Drop for Kin {
    fn drop(&mut self) {
        for id in self.ids() {
            let _ = kill(Pid::from_raw(id), Signal::SIGKILL);
        }
    }
}

fn all() -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc").expect("procfs").flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

pub(super) fn command_line(id: i32) -> Vec<String> {
    let bytes = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
    let words = bytes.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into());
    words.collect()
}

/// State and parent; `None` where the process is gone.
fn state(id: i32) -> Option<(char, i32)> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // Its name may have anything in it, but stands in the last parentheses.
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ');
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

/// The process that runs the scripts of an engine, once there is one.
pub(super) fn reaper_of(engine: &mut Child) -> i32 {
    wait_for("the process that runs scripts", || {
        assert!(!engine.has_ended(), "the engine ended: {}", engine.said());
        let of_engine =
            |id: &i32| state(*id).is_some_and(|(_, parent)| parent == engine.id() as i32);
        all().find(|id| of_engine(id) && is_reaper(*id))
    })
}

fn is_reaper(id: i32) -> bool {
    fs::read_to_string(format!("/proc/{id}/comm")).is_ok_and(|name| name.trim() == "script-reaper")
}

/// Whether a reaper process has ended. Its parent may not have noticed yet, where that is no engine.
pub(super) fn is_reaper_gone(id: i32) -> bool {
    !is_reaper(id) || state(id).is_none_or(|(state, _)| state == 'Z')
}

/// Children of a process that have ended and were not waited for.
pub(super) fn zombies_of(parent: i32) -> usize {
    all().filter(|&id| state(id) == Some(('Z', parent))).count()
}

/// Children of a process.
pub(super) fn children_of(parent: i32) -> Vec<i32> {
    all().filter(|&id| state(id).is_some_and(|(_, of)| of == parent)).collect()
}

/// Time that a process has spent on a processor.
pub(super) fn cpu_time(id: i32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).expect("it is there");
    let (_, rest) = stat.rsplit_once(") ").expect("a name");
    // Its own and the kernel's for it, in hundredths of a second.
    let ticks =
        rest.split(' ').skip(11).take(2).map(|ticks| ticks.parse::<u64>().expect("a number"));
    Duration::from_millis(10 * ticks.sum::<u64>())
}

/// Open descriptors of a process; `None` where it is gone.
pub(super) fn descriptors(id: i32) -> Option<usize> {
    fs::read_dir(format!("/proc/{id}/fd")).ok().map(Iterator::count)
}

/// All zombies of the machine.
pub(super) fn zombies() -> BTreeSet<i32> {
    all().filter(|&id| state(id).is_some_and(|(state, _)| state == 'Z')).collect()
}

/// Fails where a zombie that was not there `before` stays. Others' come and go.
pub(super) fn no_new_zombie(before: &BTreeSet<i32>) {
    let new: Vec<i32> = zombies().difference(before).copied().collect();
    wait_for("the end of zombies", || new.iter().all(|id| !zombies().contains(id)).then_some(()));
}
