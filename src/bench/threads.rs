//! Whose processor time it is: that of this process's threads, by what they do.

use std::collections::HashMap;
use std::{fs, io};

use nix::unistd::gettid;

use super::result::CpuByRole;

/// What a thread does.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum Role {
    Shard,
    Feeder,
    Aggregator,
    Scripts,
}

impl Role {
    /// By the name of a thread. One that has no name of ours was begun for the caller of a sweep: its
    /// progress, its sink.
    fn of(name: &str) -> Role {
        match name {
            "feeder" => Role::Feeder,
            "reaper" | "launch" => Role::Scripts,
            // The kernel's workers are a ring's, and so a shard's.
            _ if name.starts_with("shard-") || name.starts_with("iou-") => Role::Shard,
            _ => Role::Aggregator,
        }
    }
}

/// What a thread has used so far.
#[derive(Copy, Clone, Debug)]
struct Thread {
    role: Role,
    cpu_ns: u64,
}

/// What the threads of this process have used, of those that have ended too.
pub(super) struct Threads {
    /// By thread id.
    known: HashMap<u32, Thread>,
    ended: CpuByRole,
    aggregator: u32,
}

/// What was read of all threads.
#[derive(Copy, Clone, PartialEq, Debug)]
pub(super) struct Reading {
    /// Microseconds so far.
    pub(super) used_us: CpuByRole,
    /// Whether a shard or the reaper has ended since the reading before: what it used in between is not known.
    pub(super) has_gap: bool,
}

impl Threads {
    /// Of this process. The thread that calls this is the aggregator.
    pub(super) fn new() -> Threads {
        Threads {
            known: HashMap::new(),
            ended: CpuByRole::default(),
            aggregator: gettid().as_raw().unsigned_abs(),
        }
    }

    /// Reads them all; `None` where the kernel does not tell of each.
    pub(super) fn read(&mut self) -> Option<Reading> {
        let tasks = fs::read_dir("/proc/self/task").ok()?;
        let ids = tasks.flatten().filter_map(|task| task.file_name().to_str()?.parse().ok());
        let mut now = HashMap::with_capacity(self.known.len());
        for id in ids {
            // A thread may end between the two: then it has, and is not among them. One that cannot be looked
            // at, as where descriptors have run out, would seem to have used nothing.
            if let Some(thread) = self.look(id).ok()? {
                now.insert(id, thread);
            }
        }
        // Not even of ourselves.
        now.contains_key(&self.aggregator).then(|| self.take(now))
    }

    /// `None` of a thread that has ended.
    fn look(&self, id: u32) -> io::Result<Option<Thread>> {
        let Some(cpu_ns) = cpu_ns(id)? else { return Ok(None) };
        let role = match self.known.get(&id) {
            Some(thread) => thread.role,
            None if id == self.aggregator => Role::Aggregator,
            None => {
                let Some(name) = of_task(id, "comm")? else { return Ok(None) };
                Role::of(name.trim_end())
            }
        };
        Ok(Some(Thread { role, cpu_ns }))
    }

    fn take(&mut self, now: HashMap<u32, Thread>) -> Reading {
        let mut has_gap = false;
        for (id, before) in &self.known {
            // A number that went down is another thread's, which has the id of one that ended.
            if now.get(id).is_none_or(|after| after.cpu_ns < before.cpu_ns) {
                add(&mut self.ended, *before);
                has_gap |= matches!(before.role, Role::Shard | Role::Scripts);
            }
        }
        self.known = now;
        let mut used_us = self.ended;
        self.known.values().for_each(|thread| add(&mut used_us, *thread));
        Reading { used_us, has_gap }
    }
}

fn add(sum_us: &mut CpuByRole, thread: Thread) {
    let us = thread.cpu_ns as f64 / 1e3;
    match thread.role {
        Role::Shard => sum_us.shards += us,
        Role::Feeder => sum_us.feeder += us,
        Role::Aggregator => sum_us.aggregator += us,
        Role::Scripts => sum_us.scripts += us,
    }
}

/// Nanoseconds on a core: the first number of its schedstat; `None` of a thread that has ended.
fn cpu_ns(id: u32) -> io::Result<Option<u64>> {
    let Some(text) = of_task(id, "schedstat")? else { return Ok(None) };
    let number = text.split_whitespace().next().and_then(|word| word.parse().ok());
    number.map(Some).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// A file of a thread; `None` of one that has ended.
fn of_task(id: u32, file: &str) -> io::Result<Option<String>> {
    match fs::read_to_string(format!("/proc/self/task/{id}/{file}")) {
        Ok(text) => Ok(Some(text)),
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ESRCH)) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::thread::Builder;

    use super::*;

    #[test]
    fn a_name_says_what_a_thread_does() {
        let roles =
            ["shard-0", "shard-17", "iou-wrk-812", "feeder", "reaper", "launch", "ringprobe"]
                .map(Role::of);
        let [first, second, worker, feeder, reaper, launch, main] = roles;
        assert_eq!([first, second, worker], [Role::Shard; 3]);
        assert_eq!([reaper, launch], [Role::Scripts; 2]);
        assert_eq!((feeder, main), (Role::Feeder, Role::Aggregator));
    }

    #[test]
    fn what_an_ended_thread_used_stays_and_a_reused_id_begins_anew() {
        let mut threads =
            Threads { known: HashMap::new(), ended: CpuByRole::default(), aggregator: 1 };
        let thread = |role, us: u64| Thread { role, cpu_ns: us * 1000 };
        let first = HashMap::from([(1, thread(Role::Aggregator, 5)), (2, thread(Role::Shard, 70))]);
        assert!(!threads.take(first).has_gap);
        let second =
            HashMap::from([(1, thread(Role::Aggregator, 6)), (2, thread(Role::Feeder, 3))]);
        let reading = threads.take(second);
        assert!(reading.has_gap, "a shard is missing");
        let used_us = CpuByRole { shards: 70.0, feeder: 3.0, aggregator: 6.0, scripts: 0.0 };
        assert_eq!(reading.used_us, used_us);
        let third = threads.take(HashMap::from([(1, thread(Role::Aggregator, 7))]));
        assert!(!third.has_gap, "the feeder may end before the others");
        assert_eq!(third.used_us, CpuByRole { aggregator: 7.0, ..used_us });
    }

    #[test]
    fn this_process_is_read() {
        let (begun, has_begun) = channel();
        let (end, has_ended) = channel::<()>();
        let shard = Builder::new().name("shard-0".to_owned()).spawn(move || {
            let mut sum = 0_u64;
            // Long enough for the kernel to count it, whatever its ticks.
            let used = || cpu_ns(gettid().as_raw().unsigned_abs()).expect("Linux");
            while used().is_some_and(|ns| ns < 20_000_000) {
                sum = (0..100_000).fold(sum, |sum: u64, number| sum.wrapping_mul(31) ^ number);
            }
            begun.send(sum).expect("somebody waits");
            let _ = has_ended.recv();
        });
        has_begun.recv().expect("it works");
        let mut threads = Threads::new();
        let reading = threads.read().expect("Linux tells");
        assert!(reading.used_us.shards >= 20_000.0, "{reading:?}");
        drop(end);
        shard.expect("a thread").join().expect("it ends");
        let after = threads.read().expect("Linux tells");
        assert!(after.used_us.shards >= 20_000.0, "{after:?}");
    }
}
