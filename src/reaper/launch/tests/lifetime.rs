//! How long a script lives, and what a start leaves open.

use super::*;

#[test]
fn a_script_dies_with_the_process_that_launched_it() {
    let _scene = Scene::new();
    let mut parent = part("lifetime::parent_death_part", None)
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
    if !is_part("lifetime::parent_death_part") {
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
    part_passes("lifetime::leak_part", None);
}

#[test]
#[ignore = "a part of another test"]
fn leak_part() {
    if !is_part("lifetime::leak_part") {
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
    part_passes("lifetime::closed_streams_part", None);
}

#[test]
#[ignore = "a part of another test"]
fn closed_streams_part() {
    if !is_part("lifetime::closed_streams_part") {
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
