//! Control groups of scripts, where this process may make some: `cgroup.kill` ends everything in one,
//! wherever it went and whatever it did to its environment.
//!
//! One directory `ringprobe-PID` with a group for each place, made once and used again: making a group
//! costs more than starting a script.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nix::unistd::geteuid;

use super::link::CgroupMode;
use super::strays;
use crate::tick::pause;

/// Tries to remove a group whose processes were just killed, and the time between two.
const REMOVAL_TRIES: u32 = 100;
const REMOVAL_PAUSE: Duration = Duration::from_millis(2);

/// The groups of this process.
#[derive(Debug)]
pub(super) struct Cgroups {
    directory: PathBuf,
    free: Vec<Cgroup>,
    made: u32,
}

/// The group of one script.
#[derive(Debug)]
pub(super) struct Cgroup {
    directory: PathBuf,
    /// `cgroup.procs`: a process that writes 0 to it is in.
    pub(super) procs: Arc<OwnedFd>,
    kill: File,
    events: File,
}

impl Cgroups {
    /// Makes the directory; `None` where none is to be made.
    ///
    /// # Errors
    /// It was asked for and cannot be made; the text says what to do.
    pub(super) fn open(mode: &CgroupMode) -> Result<Option<Cgroups>, String> {
        match mode {
            CgroupMode::Off => Ok(None),
            // What is only an extra is done without where it does not work.
            CgroupMode::Auto => Ok(delegated().and_then(|parent| Cgroups::below(&parent).ok())),
            CgroupMode::Below(parent) => {
                let made = Cgroups::below(parent).map_err(|error| {
                    format!(
                        "no control groups below {}: {error}; it must be a directory of cgroup v2 \
                         that this user may write to, of kernel 5.14 or later",
                        parent.display()
                    )
                });
                made.map(Some)
            }
        }
    }

    fn below(parent: &Path) -> io::Result<Cgroups> {
        remove_left_behind(parent);
        let directory = parent.join(format!("ringprobe-{}", std::process::id()));
        fs::create_dir(&directory)?;
        let mut cgroups = Cgroups { directory, free: Vec::new(), made: 0 };
        // The first shows whether all works.
        let first = cgroups.make()?;
        cgroups.free.push(first);
        Ok(cgroups)
    }

    /// A group with nobody in it.
    ///
    /// # Errors
    /// The kernel's, when another one has to be made.
    pub(super) fn take(&mut self) -> io::Result<Cgroup> {
        match self.free.pop() {
            Some(cgroup) => Ok(cgroup),
            None => self.make(),
        }
    }

    /// Takes a group back that nobody is in any more.
    pub(super) fn give_back(&mut self, cgroup: Cgroup) {
        self.free.push(cgroup);
    }

    fn make(&mut self) -> io::Result<Cgroup> {
        let directory = self.directory.join(format!("script-{}", self.made));
        fs::create_dir(&directory)?;
        self.made += 1;
        let write = |name: &str| OpenOptions::new().write(true).open(directory.join(name));
        Ok(Cgroup {
            procs: Arc::new(write("cgroup.procs")?.into()),
            kill: write("cgroup.kill")?,
            events: File::open(directory.join("cgroup.events"))?,
            directory,
        })
    }
}

impl Drop for Cgroups {
    fn drop(&mut self) {
        for number in 0..self.made {
            let _ = fs::remove_dir(self.directory.join(format!("script-{number}")));
        }
        // One with something in it that cannot be killed stays, and the next run removes it.
        let _ = fs::remove_dir(&self.directory);
    }
}

impl Cgroup {
    /// Sends SIGKILL to everything in it and in groups made below it.
    ///
    /// # Errors
    /// The kernel's.
    pub(super) fn kill(&self) -> io::Result<()> {
        (&self.kill).write_all(b"1")
    }

    /// Whether anything lives in it. A zombie does not.
    ///
    /// # Errors
    /// The kernel's.
    pub(super) fn is_populated(&self) -> io::Result<bool> {
        let mut text = [0; 128];
        let length = self.events.read_at(&mut text, 0)?;
        Ok(memchr::memmem::find(&text[..length], b"populated 1").is_some())
    }

    /// Removes groups that the script made below its own.
    pub(super) fn clear(&self) {
        remove_below(&self.directory);
    }
}

fn remove_below(directory: &Path) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_below(&entry.path());
            let _ = fs::remove_dir(entry.path());
        }
    }
}

/// Removes the groups of reaper processes that were killed, and what lives in them.
pub(super) fn remove_of_the_dead(mode: &CgroupMode) {
    match mode {
        CgroupMode::Off => {}
        CgroupMode::Auto => delegated().iter().for_each(|parent| remove_left_behind(parent)),
        CgroupMode::Below(parent) => remove_left_behind(parent),
    }
}

/// Removes what processes left that were killed before they could tidy up.
fn remove_left_behind(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|name| name.strip_prefix("ringprobe-"));
        if let Some(pid) = pid.and_then(|pid| pid.parse::<i32>().ok())
            && !strays::is_living_reaper(pid)
        {
            // A group's kill reaches the groups below it.
            let _ = fs::write(entry.path().join("cgroup.kill"), "1");
            for _ in 0..REMOVAL_TRIES {
                remove_below(&entry.path());
                if fs::remove_dir(entry.path()).is_ok() {
                    break;
                }
                // What was killed needs a moment.
                pause(REMOVAL_PAUSE);
            }
        }
    }
}

/// This process's own group where it was given to us to do in it as we like: systemd's `Delegate=yes`
/// marks it, and a user who is not root owns only what was given away.
fn delegated() -> Option<PathBuf> {
    let path = fs::read_to_string("/proc/self/cgroup").ok()?;
    let path = path.lines().find_map(|line| line.strip_prefix("0::"))?.to_owned();
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    let directory = mounts.lines().find_map(|line| place_in_mount(line, &path))?;
    let is_marked = ["trusted.delegate", "user.delegate"]
        .iter()
        .any(|name| xattr::get(&directory, name).is_ok_and(|value| value.as_deref() == Some(b"1")));
    let owner = fs::metadata(&directory).ok()?.uid();
    let is_ours = owner != 0 && owner == geteuid().as_raw();
    (is_marked || is_ours).then_some(directory)
}

/// Where a control group is found below a mount, if the line of mountinfo is one of cgroup v2.
fn place_in_mount(line: &str, path: &str) -> Option<PathBuf> {
    let (mount, kind) = line.split_once(" - ")?;
    if kind.split(' ').next() != Some("cgroup2") {
        return None;
    }
    let mut fields = mount.split(' ').skip(3);
    let (root, point) = (fields.next()?, fields.next()?);
    let below = Path::new(path).strip_prefix(root).ok()?;
    Some(Path::new(point).join(below))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_found_below_its_mount() {
        let line = "35 25 0:30 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate";
        let found = |line, path| place_in_mount(line, path).map(|p| p.display().to_string());
        assert_eq!(
            found(line, "/system.slice/x.service").as_deref(),
            Some("/sys/fs/cgroup/system.slice/x.service")
        );
        let inside = "35 25 0:30 /box /sys/fs/cgroup rw - cgroup2 cgroup2 rw";
        assert_eq!(found(inside, "/box/a").as_deref(), Some("/sys/fs/cgroup/a"));
        assert_eq!(found(inside, "/other"), None);
        assert_eq!(found("35 25 0:30 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu", "/"), None);
        assert_eq!(found("nonsense", "/"), None);
    }

    #[test]
    fn a_directory_that_is_no_control_group_is_refused_with_the_remedy() {
        let directory = tempfile::tempdir().expect("a directory");
        let mode = CgroupMode::Below(directory.path().to_owned());
        let error = Cgroups::open(&mode).expect_err("no control group");
        assert!(error.contains("cgroup v2"), "{error}");
        assert!(Cgroups::open(&CgroupMode::Off).is_ok_and(|none| none.is_none()));
    }
}
