use std::fs;
use std::io::Read;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill, pthread_sigmask};
use nix::unistd::Pid;
use tempfile::TempDir;

use super::*;

mod files;
mod lifetime;
mod users;

/// The variable that makes a part of a test run.
const PART: &str = "RINGPROBE_TEST_PART";

/// Tests of this file run one at a time: a child that another test is starting would hold the script
/// that this one is writing open for writing.
struct Scene {
    folder: TempDir,
    _alone: MutexGuard<'static, ()>,
}

impl Scene {
    fn new() -> Scene {
        static ALONE: Mutex<()> = Mutex::new(());
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = tempfile::Builder::new().prefix("launch").tempdir().expect("a folder");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("chmod");
        Scene { folder, _alone: alone }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn script(&self, name: &str, text: &[u8]) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("chmod");
        path
    }

    /// A shell script as a command of this user.
    fn sh(&self, text: &str) -> Command {
        let path = self.script("script", format!("#!/bin/sh\n{text}\n").as_bytes());
        command(&[path.as_os_str().as_bytes()])
    }
}

fn me() -> ScriptUser {
    // SAFETY: no arguments, cannot fail.
    let (uid, gid) = unsafe { (libc::geteuid(), libc::getegid()) };
    ScriptUser { name: "me".into(), home: (*b"/").into(), uid, gid, groups: Box::new([]) }
}

fn command(argv: &[&[u8]]) -> Command {
    Command {
        command: ScriptCommand::Argv(argv.iter().collect()),
        user: me(),
        environment: vec![(b"PATH".to_vec(), environment::PATH.into())],
        nofile: None,
        cores: None,
        security: false,
        cgroup_procs: None,
    }
}

/// CLD_EXITED and the status, or CLD_KILLED and the signal.
fn wait(pidfd: &OwnedFd) -> (i32, i32) {
    // SAFETY: all zeros are a siginfo_t, which outlives the call; it is that of a child that ended.
    unsafe {
        let mut info: libc::siginfo_t = std::mem::zeroed();
        let id = pidfd.as_raw_fd().cast_unsigned();
        assert_eq!(libc::waitid(libc::P_PIDFD, id, &mut info, libc::WEXITED), 0);
        (info.si_code, info.si_status())
    }
}

fn read_all(fd: OwnedFd) -> String {
    fcntl(&fd, FcntlArg::F_SETFL(OFlag::empty())).expect("a pipe");
    let mut text = String::new();
    fs::File::from(fd).read_to_string(&mut text).expect("UTF-8");
    text
}

/// A file that was just written may still be open in a child that another test is starting, for a moment.
fn launch(command: &Command) -> Result<Launched, Refused> {
    let is_open = |text: &str| text.ends_with("is open for writing");
    let mut tries = 0;
    loop {
        let result = super::launch(command);
        let is_busy = result.as_ref().err().and_then(|refused| refused.explanation.as_deref());
        tries += 1;
        if tries == 100 || !is_busy.is_some_and(is_open) {
            return result;
        }
        std::thread::yield_now();
    }
}

struct Ran {
    pid: i32,
    status: (i32, i32),
    stdout: String,
    stderr: String,
}

fn finish(launched: Launched) -> Ran {
    let stdout = read_all(launched.stdout);
    let stderr = read_all(launched.stderr);
    Ran { pid: launched.pid, status: wait(&launched.pidfd), stdout, stderr }
}

fn run(command: &Command) -> Ran {
    finish(launch(command).expect("it runs"))
}

fn refused(command: &Command) -> Refused {
    match launch(command) {
        Err(refused) => refused,
        Ok(launched) => panic!("it ran: {:?}", finish(launched).stdout),
    }
}

/// Runs a test of this file by itself, as another program, which may be another user's.
fn part(name: &str, uid: Option<u32>) -> std::process::Command {
    let program = std::env::current_exe().expect("this program");
    let mut part = match uid {
        // With groups of his own, which he may not give up.
        Some(uid) => {
            let mut part = std::process::Command::new("setpriv");
            part.args([format!("--reuid={uid}"), format!("--regid={uid}"), "--groups=7,8".into()]);
            part.arg(program);
            part
        }
        None => std::process::Command::new(program),
    };
    part.args(["--exact", &format!("reaper::launch::tests::{name}")])
        .args(["--ignored", "--nocapture", "--test-threads=1"])
        .env(PART, name);
    part
}

fn part_passes(name: &str, uid: Option<u32>) {
    let output = part(name, uid).output().expect("it starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}\n{error}");
}

fn is_part(name: &str) -> bool {
    std::env::var_os(PART).is_some_and(|part| part == name)
}

fn is_root() -> bool {
    me().uid == 0
}

#[test]
fn the_environment_and_the_arguments_are_as_given_and_nothing_more() {
    let scene = Scene::new();
    let mut command = command(&[b"/usr/bin/env"]);
    command.environment = vec![(b"A".to_vec(), b"1 2".to_vec()), (b"B".to_vec(), b"".to_vec())];
    assert_eq!(run(&command).stdout, "A=1 2\nB=\n");

    let mut command = scene.sh("printf '<%s>' \"$0\" \"$@\"");
    let path = scene.path("script");
    let words: [&[u8]; 4] = [path.as_os_str().as_bytes(), b"a b", b"", b"$x"];
    command.command = ScriptCommand::Argv(words.iter().collect());
    assert_eq!(run(&command).stdout, format!("<{}><a b><><$x>", path.display()));
}

#[test]
fn a_script_leads_its_group_in_the_root_directory_with_nothing_open_but_its_streams() {
    let scene = Scene::new();
    let ran = run(&scene.sh(
        "echo $$ $(cut -d' ' -f5 /proc/$$/stat); pwd; ls /proc/$$/fd; readlink /proc/$$/fd/0; echo no >&2; exit 7",
    ));
    // The shell holds its script open as descriptor 10; it has no other of its own.
    let pid = ran.pid;
    let expected = format!("{pid} {pid}\n/\n0\n1\n10\n2\n/dev/null\n");
    assert_eq!(ran.stdout, expected);
    assert_eq!(ran.stderr, "no\n");
    assert_eq!(ran.status, (libc::CLD_EXITED, 7));

    let inheritable = fs::File::open("/dev/null").expect("open");
    fcntl(&inheritable, FcntlArg::F_SETFD(nix::fcntl::FdFlag::empty())).expect("set");
    let listing = run(&command(&[b"/bin/ls", b"/proc/self/fd"])).stdout;
    assert_eq!(listing, "0\n1\n2\n3\n", "3 is the folder it reads");
}

#[test]
fn signals_and_limits_are_not_inherited_from_a_parent_that_changed_its_own() {
    part_passes("signals_part", None);
}

#[test]
#[ignore = "a part of another test"]
fn signals_part() {
    if !is_part("signals_part") {
        return;
    }
    let scene = Scene::new();
    for signal in [Signal::SIGTERM, Signal::SIGPIPE, Signal::SIGHUP, Signal::SIGCHLD] {
        // SAFETY: to ignore a signal runs no code of ours.
        unsafe { libc::signal(signal as i32, libc::SIG_IGN) };
    }
    // SAFETY: as above.
    unsafe { libc::signal(libc::SIGRTMIN() + 3, libc::SIG_IGN) };
    let mut mask = SigSet::empty();
    pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), Some(&mut mask)).expect("set");
    let command = command(&[b"/bin/cat", b"/proc/self/status"]);
    // With SIGCHLD ignored nobody is left to be waited for, so the output has to say all.
    let status = read_all(launch(&command).expect("it runs").stdout);
    let line = |name: &str| {
        let found = status.lines().find_map(|line| line.strip_prefix(name));
        found.expect("a line of status").trim().to_owned()
    };
    for name in ["SigBlk:", "SigIgn:", "SigCgt:", "SigPnd:"] {
        assert_eq!(line(name), "0000000000000000", "{name}");
    }
    let mut limits = scene.sh("ulimit -Sn; ulimit -Hn");
    limits.nofile = Some((100, 200));
    let text = read_all(launch(&limits).expect("it runs").stdout);
    assert_eq!(text, "100\n200\n");
    let mut now = SigSet::empty();
    pthread_sigmask(SigmaskHow::SIG_BLOCK, None, Some(&mut now)).expect("asked");
    for signal in Signal::iterator() {
        let is_blocked =
            now.contains(signal) || [Signal::SIGKILL, Signal::SIGSTOP].contains(&signal);
        assert!(is_blocked, "the launching thread has its own mask again: {signal}");
    }
}
