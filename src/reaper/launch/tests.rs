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
        command: ScriptCommand::Argv(argv.iter().map(|word| (*word).into()).collect()),
        user: me(),
        environment: vec![(b"PATH".to_vec(), environment::PATH.into())],
        nofile: None,
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
    command.command = ScriptCommand::Argv(words.iter().map(|word| (*word).into()).collect());
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

#[test]
fn what_cannot_run_says_why() {
    let scene = Scene::new();
    scene.script("no-interpreter", b"#!/no/such/interpreter -x\n");
    scene.script("crlf", b"#!/bin/sh\r\nexit 0\r\n");
    scene.script("garbage", b"\x7fELF\x02\x01 and then nothing of the kind");
    scene.script("binary", b"\x01\x02\0\x03\n");
    scene.script("empty", b"");
    scene.script("plain", b"#!/bin/sh\n");
    fs::set_permissions(scene.path("plain"), fs::Permissions::from_mode(0o644)).expect("chmod");
    fs::create_dir(scene.path("folder")).expect("a folder");
    nix::unistd::mkfifo(&scene.path("pipe"), nix::sys::stat::Mode::S_IRWXU).expect("a FIFO");
    let denied = ScriptFault::NotExecutable(libc::EACCES);
    for (name, fault, explanation) in [
        ("gone", ScriptFault::NotFound(libc::ENOENT), "gone` does not exist"),
        ("plain/x", ScriptFault::NotFound(libc::ENOTDIR), "plain` is not a directory"),
        (
            "no-interpreter",
            ScriptFault::Interpreter,
            "no-interpreter` needs `/no/such/interpreter`: `/no` does not exist",
        ),
        ("crlf", ScriptFault::Interpreter, "needs `/bin/sh\\r`"),
        ("garbage", ScriptFault::Format, "garbage`: Exec format error"),
        ("binary", ScriptFault::Format, "binary`: Exec format error"),
        ("empty", ScriptFault::Format, "empty`: Exec format error"),
        ("plain", denied, "plain`: me may not execute it"),
        ("folder", denied, "folder` is a directory"),
        ("pipe", denied, "pipe` is a FIFO"),
    ] {
        let refused = refused(&command(&[scene.path(name).as_os_str().as_bytes()]));
        let text = refused.explanation.unwrap_or_default();
        assert_eq!(refused.fault, fault, "{name}: {text}");
        assert!(text.contains(explanation), "{name}: {text}");
    }
    let refused = refused(&command(&[b"no-such-program"]));
    assert_eq!(refused.fault, ScriptFault::NotFound(libc::ENOENT));
    assert!(refused.explanation.is_some_and(|text| text.contains("no `no-such-program` that me")));
}

#[test]
fn a_binary_whose_loader_is_missing_says_which() {
    let scene = Scene::new();
    let file = script_file::open(b"/bin/true", &me()).expect("there");
    let Some(loader) = explain::loader(&file.handle) else { return };
    let mut bytes = fs::read("/bin/true").expect("readable");
    let at = bytes.windows(loader.len()).position(|window| window == loader).expect("named");
    bytes[at + 1] = b'X';
    let path = scene.script("broken", &bytes);
    let refused = refused(&command(&[path.as_os_str().as_bytes()]));
    assert_eq!(refused.fault, ScriptFault::Interpreter);
    let text = refused.explanation.unwrap_or_default();
    assert!(text.contains("broken` needs `/X") && text.ends_with("does not exist"), "{text}");
}

#[test]
fn text_without_an_interpreter_line_is_read_by_the_shell() {
    let scene = Scene::new();
    let path = scene.script("text", b"echo \"$0 $1\"; exit 3\n");
    let ran = run(&command(&[path.as_os_str().as_bytes(), b"word"]));
    assert_eq!(ran.stdout, format!("{} word\n", path.display()));
    assert_eq!(ran.status, (libc::CLD_EXITED, 3));
}

#[test]
fn names_are_looked_up_and_texts_go_to_the_shell() {
    let _scene = Scene::new();
    assert_eq!(run(&command(&[b"echo", b"found"])).stdout, "found\n");
    let mut shell = command(&[b"x"]);
    shell.command = ScriptCommand::Shell((*b"echo $0; </dev/null cat; kill -9 $$").into());
    let ran = run(&shell);
    assert_eq!(ran.stdout, "sh\n");
    assert_eq!(ran.status, (libc::CLD_KILLED, 9));
}

fn check_then(command: &Command, change: impl FnOnce()) -> Result<Ran, Refused> {
    let checked = Checked::new(command)?;
    change();
    checked.start().map(finish)
}

#[test]
fn a_script_that_was_changed_after_the_check_does_not_run() {
    let scene = Scene::new();
    let evil = b"#!/bin/sh\necho evil\n";
    let fault = |change: &dyn Fn()| {
        let command = scene.sh("echo good");
        check_then(&command, change).map(|ran| ran.stdout).map_err(|refused| refused.fault)
    };
    let path = scene.path("script");
    assert_eq!(fault(&|| {}), Ok("good\n".to_owned()));
    let swap = || {
        let other = scene.script("other", evil);
        fs::rename(other, &path).expect("renamed");
    };
    assert_eq!(fault(&swap), Err(ScriptFault::Changed));
    let rewrite = || fs::write(&path, evil).expect("written");
    assert_eq!(fault(&rewrite), Err(ScriptFault::Changed));
    let mode = || fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).expect("chmod");
    assert_eq!(fault(&mode), Err(ScriptFault::Changed));
    let link = || {
        let other = scene.script("other", evil);
        fs::remove_file(&path).expect("removed");
        std::os::unix::fs::symlink(other, &path).expect("linked");
    };
    assert_eq!(fault(&link), Err(ScriptFault::Changed));
    fs::remove_file(&path).expect("removed");
    let remove = || fs::remove_file(&path).expect("removed");
    assert_eq!(fault(&remove), Err(ScriptFault::NotFound(libc::ENOENT)));
}

#[test]
fn the_binary_that_was_checked_runs_whatever_took_its_place() {
    let scene = Scene::new();
    let path = scene.path("program");
    let command = command(&[path.as_os_str().as_bytes(), b"good"]);
    let place = || {
        let _ = fs::remove_file(&path);
        fs::copy("/bin/echo", &path).expect("copied");
    };
    place();
    let swap = || {
        let other = scene.script("other", b"#!/bin/sh\necho evil\n");
        fs::rename(other, &path).expect("renamed");
    };
    let ran = check_then(&command, swap).expect("it runs");
    assert_eq!(ran.stdout, "good\n");
    place();
    let ran = check_then(&command, || fs::remove_file(&path).expect("removed")).expect("it runs");
    assert_eq!(ran.stdout, "good\n");
    place();
    let rewrite = || {
        let _ = fs::File::options().append(true).open(&path).map(|mut file| {
            std::io::Write::write_all(&mut file, b"more").expect("written");
        });
    };
    let refused = check_then(&command, rewrite).map(|ran| ran.stdout).expect_err("rewritten");
    assert_eq!(refused.fault, ScriptFault::Changed);
}

#[test]
fn a_file_that_is_open_for_writing_has_changed() {
    let scene = Scene::new();
    let path = scene.path("program");
    fs::copy("/bin/true", &path).expect("copied");
    let writer = fs::File::options().append(true).open(&path).expect("open");
    let refused = refused(&command(&[path.as_os_str().as_bytes()]));
    drop(writer);
    assert_eq!(refused.fault, ScriptFault::Changed);
    assert!(refused.explanation.is_some_and(|text| text.ends_with("is open for writing")));
}

#[test]
#[ignore = "needs root: other users"]
fn a_script_has_the_user_group_and_groups_it_was_given() {
    let scene = Scene::new();
    let mut command =
        scene.sh("id -u; id -g; id -G; grep -E '^(Uid|Gid|Cap(Prm|Eff|Amb))' /proc/$$/status");
    command.user = ScriptUser { uid: 4242, gid: 4343, groups: [50, 40].into(), ..me() };
    let stdout = run(&command).stdout.replace('\t', " ");
    assert_eq!(
        stdout,
        "4242\n4343\n4343 40 50\nUid: 4242 4242 4242 4242\nGid: 4343 4343 4343 4343\n\
         CapPrm: 0000000000000000\nCapEff: 0000000000000000\nCapAmb: 0000000000000000\n"
    );
    command.user.groups = Box::new([]);
    assert!(run(&command).stdout.starts_with("4242\n4343\n4343\nUid"));
    assert_eq!(me().uid, 0, "this process is who it was");
    // The kernel would start it, and the shell would fail to read it.
    let path = scene.path("script");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o711)).expect("chmod");
    let unreadable = refused(&command);
    assert_eq!(unreadable.fault, ScriptFault::NotExecutable(libc::EACCES));
    assert!(
        unreadable.explanation.is_some_and(|text| text.contains("script`: me may not read it"))
    );
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("chmod");
    // What that user may not look at is refused by the kernel too, in the new process.
    let checked = Checked::new(&command).expect("open to all");
    fs::set_permissions(scene.folder.path(), fs::Permissions::from_mode(0o700)).expect("chmod");
    let refused = checked.start().map(|_| ()).expect_err("closed");
    assert_eq!(refused.fault, ScriptFault::NotExecutable(libc::EACCES));
}

#[test]
fn who_may_not_change_users_runs_scripts_as_himself_and_as_nobody_else() {
    part_passes("other_user_part", is_root().then_some(65_534));
}

#[test]
#[ignore = "a part of another test"]
fn other_user_part() {
    if !is_part("other_user_part") {
        return;
    }
    let scene = Scene::new();
    assert!(!is_root());
    let mut command = scene.sh("id -u");
    assert_eq!(run(&command).stdout, format!("{}\n", me().uid));
    command.user.groups = [7].into();
    if fs::read_to_string("/proc/self/status").expect("there").contains("Groups:\t7 8") {
        assert_eq!(run(&command).stdout, format!("{}\n", me().uid));
    }
    command.user = me();
    command.user.uid += 1;
    let refused_user = refused(&command);
    assert_eq!(refused_user.fault, ScriptFault::User(libc::EPERM));
    assert!(refused_user.explanation.is_some_and(|text| text.starts_with("cannot become me (")));
    command.user = ScriptUser { groups: [12_345].into(), ..me() };
    assert_eq!(refused(&command).fault, ScriptFault::User(libc::EPERM));
    command.user = me();
    fs::set_permissions(scene.path("script"), fs::Permissions::from_mode(0o111)).expect("chmod");
    assert_eq!(refused(&command).fault, ScriptFault::NotExecutable(libc::EACCES));
    let program = scene.path("program");
    fs::copy("/bin/echo", &program).expect("copied");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o111)).expect("chmod");
    let words: [&[u8]; 2] = [program.as_os_str().as_bytes(), b"ran"];
    assert_eq!(run(&self::command(&words)).stdout, "ran\n");
    command.nofile = Some((1 << 29, 1 << 30));
    assert_eq!(refused(&command).fault, ScriptFault::Setup(SetupStep::Limits, libc::EPERM));
}

#[test]
fn what_others_may_change_does_not_run_as_root_where_security_is_asked_for() {
    let scene = Scene::new();
    let mut command = scene.sh("echo ran");
    let folder = fs::canonicalize(scene.folder.path()).expect("there");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).expect("chmod");
    command.security = true;
    if !is_root() {
        assert_eq!(run(&command).stdout, "ran\n", "it does not run as root");
        return;
    }
    let insecure = refused(&command);
    let mode = "(owner 0:0, mode drwxrwxrwx): everybody may change it";
    assert_eq!(
        insecure,
        Refused::new(ScriptFault::Insecure, format!("`{}` {mode}", folder.display()))
    );
    command.security = false;
    let launched = launch(&command).expect("it runs");
    assert_eq!(finish(launched).stdout, "ran\n");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).expect("chmod");
    command.security = true;
    let launched = launch(&command).expect("it runs");
    assert_eq!(finish(launched).stdout, "ran\n");
    // What interprets a script could do anything too.
    fs::copy("/bin/sh", scene.path("sh")).expect("copied");
    fs::set_permissions(scene.path("sh"), fs::Permissions::from_mode(0o777)).expect("chmod");
    let text = format!("#!{}\necho ran\n", folder.join("sh").display());
    scene.script("script", text.as_bytes());
    let insecure = refused(&command);
    assert_eq!(insecure.fault, ScriptFault::Insecure);
    assert!(
        insecure.explanation.is_some_and(|text| text.contains("/sh` (owner 0:0, mode -rwxrwxrwx)"))
    );
}

#[test]
fn a_script_dies_with_the_process_that_launched_it() {
    let _scene = Scene::new();
    let mut parent = part("parent_death_part", None)
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut stdout = parent.stdout.take().expect("piped");
    let mut text = String::new();
    let pid = loop {
        let mut byte = [0];
        assert_eq!(stdout.read(&mut byte).expect("readable"), 1, "it said only {text}");
        text.push(char::from(byte[0]));
        if let Some(pid) = text.split("pid ").nth(1).and_then(|rest| rest.strip_suffix('\n')) {
            break pid.parse::<i32>().expect("a number");
        }
    };
    // SAFETY: no memory is passed; the descriptor is new and ours.
    let script = unsafe {
        let fd = libc::syscall(libc::SYS_pidfd_open, pid, 0);
        assert!(fd >= 0, "the script is alive");
        OwnedFd::from_raw_fd(i32::try_from(fd).expect("a descriptor"))
    };
    assert!(!ends_within(&script, Duration::ZERO));
    parent.kill().expect("alive");
    assert!(ends_within(&script, Duration::from_secs(10)), "it outlives its parent");
    parent.wait().expect("it was a child");
}

#[test]
#[ignore = "a part of another test"]
fn parent_death_part() {
    if !is_part("parent_death_part") {
        return;
    }
    // SAFETY: to ignore a signal runs no code of ours.
    unsafe { libc::signal(libc::SIGTERM, libc::SIG_IGN) };
    let mut command = command(&[b"/bin/sleep", b"3600"]);
    if is_root() {
        command.user = ScriptUser { uid: 65_534, gid: 65_534, ..me() };
    }
    let launched = launch(&command).expect("it runs");
    println!("pid {}", launched.pid);
    wait(&launched.pidfd);
}

fn ends_within(pidfd: &OwnedFd, time: Duration) -> bool {
    let mut polled = libc::pollfd { fd: pidfd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    let ms = i32::try_from(time.as_millis()).expect("short");
    // SAFETY: one pollfd that outlives the call.
    unsafe { libc::poll(&mut polled, 1, ms) == 1 }
}

#[test]
fn a_child_whose_parent_died_before_it_asked_to_be_told_does_not_become_the_script() {
    let scene = Scene::new();
    let command = scene.sh("echo ran");
    let mut checked = Checked::new(&command).expect("there");
    checked.parent += 1;
    let refused = checked.start().map(|_| ()).expect_err("another parent");
    assert_eq!(refused.fault, ScriptFault::Setup(SetupStep::ParentDeath, libc::ESRCH));
}

#[test]
fn a_control_group_is_entered_before_anything_runs() {
    let scene = Scene::new();
    let procs = fs::File::create(scene.path("cgroup.procs")).expect("created");
    let mut command = scene.sh("echo ran");
    command.cgroup_procs = Some(Arc::new(procs.into()));
    assert_eq!(run(&command).stdout, "ran\n");
    assert_eq!(fs::read(scene.path("cgroup.procs")).expect("there"), b"0");
    let read_only = fs::File::open(scene.path("cgroup.procs")).expect("there");
    command.cgroup_procs = Some(Arc::new(read_only.into()));
    assert_eq!(refused(&command).fault, ScriptFault::Setup(SetupStep::Cgroup, libc::EBADF));
}

#[test]
fn a_thousand_launches_leave_no_descriptor_and_no_zombie() {
    part_passes("leak_part", None);
}

#[test]
#[ignore = "a part of another test"]
fn leak_part() {
    if !is_part("leak_part") {
        return;
    }
    let scene = Scene::new();
    let good = command(&[b"/bin/true"]);
    let text = scene.sh("exit 0");
    let missing = scene.script("missing", b"#!/no/such/thing\n");
    let missing = command(&[missing.as_os_str().as_bytes()]);
    let gone = command(&[b"/no/such/thing"]);
    let round = || {
        for command in [&good, &text] {
            assert_eq!(run(command).status, (libc::CLD_EXITED, 0));
        }
        for command in [&missing, &gone] {
            refused(command);
        }
    };
    let open = || fs::read_dir("/proc/self/fd").expect("there").count();
    round();
    let before = open();
    for _ in 0..250 {
        round();
    }
    assert_eq!(open(), before);
    // SAFETY: all zeros are a siginfo_t, which outlives the call.
    let waited = unsafe {
        let mut info: libc::siginfo_t = std::mem::zeroed();
        libc::waitid(libc::P_ALL, 0, &mut info, libc::WEXITED | libc::WNOHANG)
    };
    assert_eq!(waited, -1, "no child is left at all");
}

#[test]
fn streams_are_right_where_standard_descriptors_were_closed() {
    part_passes("closed_streams_part", None);
}

#[test]
#[ignore = "a part of another test"]
fn closed_streams_part() {
    if !is_part("closed_streams_part") {
        return;
    }
    let scene = Scene::new();
    let command = scene.sh("readlink /proc/$$/fd/0; echo out; echo err >&2");
    let kept: Vec<OwnedFd> = (0..3)
        .map(|number| {
            // SAFETY: the three standard descriptors are open, and nobody uses them meanwhile.
            let standard = unsafe { BorrowedFd::borrow_raw(number) };
            let copy = standard.try_clone_to_owned().expect("open");
            // SAFETY: as above; they are put back below.
            unsafe { libc::close(number) };
            copy
        })
        .collect();
    let ran = launch(&command).map(finish);
    for (number, fd) in (0..3).zip(&kept) {
        // SAFETY: no memory is passed.
        unsafe { libc::dup2(fd.as_raw_fd(), number) };
    }
    let ran = ran.expect("it runs");
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("/dev/null\nout\n", "err\n"));
}

#[test]
fn the_group_can_be_killed_as_soon_as_it_was_launched() {
    let _scene = Scene::new();
    for _ in 0..50 {
        let launched = launch(&command(&[b"/bin/sleep", b"3600"])).expect("it runs");
        kill(Pid::from_raw(-launched.pid), Signal::SIGTERM).expect("there is a group");
        assert_eq!(wait(&launched.pidfd), (libc::CLD_KILLED, libc::SIGTERM));
    }
}
