//! What the new process does before it is the script: system calls, in a fixed order, and nothing else.
//!
//! It runs in our memory, on a stack of its own, while the thread that made it waits in clone(2).

use std::ffi::{CStr, CString, c_char, c_int, c_long, c_void};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::ptr;
use std::sync::atomic::{AtomicI32, Ordering};

use nix::sched::CpuSet;

use super::spawn::Streams;
use crate::fleet::ScriptUser;
use crate::fleet::script_file::Identity;
use crate::outcome::SetupStep;

/// What was refused.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum Step {
    /// Anything that has its name in reports.
    Setup(SetupStep),
    /// Groups, group and user.
    User,
    /// Looking at the file once more, as the user; errno 0 says that it is another.
    Verify,
    /// Reading the file, which its interpreter must, as the user.
    Read,
    /// Starting the file.
    Exec,
    /// Starting the shell that reads the file.
    ExecShell,
}

/// Where the child puts the file that is executed.
const HANDLE: RawFd = 3;

/// Where the child puts the shell.
const SHELL_HANDLE: RawFd = 4;

/// From linux/keyctl.h and linux/capability.h, which libc leaves out.
const KEYCTL_JOIN_SESSION_KEYRING: c_long = 1;
const CAPABILITY_VERSION_3: u32 = 0x2008_0522;

/// In the order of their codes, from 1.
const STEPS: [Step; 13] = [
    Step::Setup(SetupStep::Group),
    Step::Setup(SetupStep::Cgroup),
    Step::Setup(SetupStep::Streams),
    Step::Setup(SetupStep::Directory),
    Step::Setup(SetupStep::Limits),
    Step::User,
    Step::Setup(SetupStep::ParentDeath),
    Step::Setup(SetupStep::Descriptors),
    Step::Setup(SetupStep::Signals),
    Step::Verify,
    Step::Read,
    Step::Exec,
    Step::ExecShell,
];

/// Where the child writes what was refused.
#[derive(Default)]
pub(super) struct Note {
    /// Place in [`STEPS`] and one; 0 where nothing was refused.
    code: AtomicI32,
    errno: AtomicI32,
}

impl Note {
    fn write(&self, step: Step, errno: i32) {
        for (code, known) in (1..).zip(STEPS) {
            if known == step {
                self.errno.store(errno, Ordering::Relaxed);
                self.code.store(code, Ordering::Release);
            }
        }
    }

    /// What the child wrote, once it is gone.
    pub(super) fn read(&self) -> Option<(Step, i32)> {
        let code = self.code.load(Ordering::Acquire);
        let step = *STEPS.get(usize::try_from(code).ok()?.checked_sub(1)?)?;
        Some((step, self.errno.load(Ordering::Relaxed)))
    }
}

/// Whom the child becomes, and what of that it need not ask for.
pub(super) struct Identities {
    uid: u32,
    gid: u32,
    groups: Vec<u32>,
    must_set_uid: bool,
    must_set_gid: bool,
    must_set_groups: bool,
    /// Whoever may not set groups goes on with those he has: the user is the same, and all the groups
    /// he should have are among them.
    may_keep_groups: bool,
}

impl Identities {
    pub(super) fn wanted(user: &ScriptUser) -> Result<Identities, i32> {
        let (mut uids, mut gids) = ([0_u32; 3], [0_u32; 3]);
        {
            let [real, effective, saved] = &mut uids;
            // SAFETY: three integers that outlive the call.
            unsafe { libc::getresuid(real, effective, saved) };
            let [real, effective, saved] = &mut gids;
            // SAFETY: as above.
            unsafe { libc::getresgid(real, effective, saved) };
        }
        let has = groups_of_this_process()?;
        let mut groups = user.groups.to_vec();
        groups.sort_unstable();
        groups.dedup();
        let must_set_uid = uids != [user.uid; 3];
        let must_set_gid = gids != [user.gid; 3];
        Ok(Identities {
            uid: user.uid,
            gid: user.gid,
            must_set_uid,
            must_set_gid,
            must_set_groups: has != groups,
            may_keep_groups: !must_set_uid
                && !must_set_gid
                && groups.iter().all(|group| has.binary_search(group).is_ok()),
            groups,
        })
    }
}

/// Sorted, each once.
fn groups_of_this_process() -> Result<Vec<u32>, i32> {
    // SAFETY: with room for none, the number of groups is all that is asked for.
    let count = unsafe { libc::getgroups(0, ptr::null_mut()) };
    let mut groups = vec![0_u32; usize::try_from(count).unwrap_or(0)];
    // SAFETY: the vector has room for `count` groups and outlives the call.
    let count = unsafe { libc::getgroups(count.max(0), groups.as_mut_ptr()) };
    groups.truncate(usize::try_from(count).map_err(|_| errno())?);
    groups.sort_unstable();
    groups.dedup();
    Ok(groups)
}

/// How the file is started.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum Form {
    /// By its descriptor: that was the file that was checked, whatever its path leads to now.
    Binary,
    /// By its path, which the interpreter opens again.
    Text,
    /// By its path, for a kernel that was taught its format.
    Foreign,
    /// As a binary; if it is none after all, as text.
    Unknown,
}

/// What a [`Plan`] is made of.
pub(super) struct Parts<'a> {
    /// This process.
    pub(super) parent: i32,
    pub(super) cgroup_procs: Option<&'a OwnedFd>,
    pub(super) streams: &'a Streams,
    pub(super) nofile: Option<(u64, u64)>,
    /// The cores that the script may run on.
    pub(super) cores: Option<CpuSet>,
    /// No signal is ignored in this process.
    pub(super) signals_are_default: bool,
    pub(super) user: Identities,
    /// The file, by a descriptor above 2.
    pub(super) handle: RawFd,
    /// The shell, likewise.
    pub(super) shell_handle: Option<RawFd>,
    /// The file, by its path.
    pub(super) resolved: &'a CStr,
    pub(super) identity: Identity,
    pub(super) form: Form,
    pub(super) arguments: &'a [CString],
    pub(super) shell_arguments: &'a [CString],
    pub(super) environment: &'a [CString],
}

/// All that the child needs, in the form that system calls take.
pub(super) struct Plan<'a> {
    parts: Parts<'a>,
    /// With a null at the end, like the next two.
    argv: Vec<*const c_char>,
    shell_argv: Vec<*const c_char>,
    envp: Vec<*const c_char>,
    pub(super) note: Note,
}

impl<'a> Plan<'a> {
    pub(super) fn new(parts: Parts<'a>) -> Plan<'a> {
        Plan {
            argv: pointers(parts.arguments),
            shell_argv: pointers(parts.shell_arguments),
            envp: pointers(parts.environment),
            parts,
            note: Note::default(),
        }
    }
}

fn pointers(strings: &[CString]) -> Vec<*const c_char> {
    strings.iter().map(|string| string.as_ptr()).chain([ptr::null()]).collect()
}

/// Where the new process begins. It returns only what was refused, and ends.
pub(super) extern "C" fn main(plan: *mut c_void) -> c_int {
    // SAFETY: L1; `spawn` passes a plan.
    let plan = unsafe { &*plan.cast_const().cast::<Plan<'_>>() };
    if let Err((step, errno)) = become_the_script(plan) {
        plan.note.write(step, errno);
    }
    // SAFETY: L2; nothing of ours is run at this exit, and no other thread of ours ends by it.
    unsafe { libc::_exit(127) }
}

type Refusal = (Step, i32);

fn become_the_script(plan: &Plan<'_>) -> Result<(), Refusal> {
    let parts = &plan.parts;
    let setup = |step| move |errno| (Step::Setup(step), errno);
    // A session of its own is a group of its own, and a leader cannot leave it.
    call(libc::SYS_setsid, [0; 5]).map_err(setup(SetupStep::Group))?;
    if let Some(procs) = parts.cgroup_procs {
        let args = [fd(procs.as_raw_fd()), address(b"0".as_ptr()), 1, 0, 0];
        call(libc::SYS_write, args).map_err(setup(SetupStep::Cgroup))?;
    }
    for (end, number) in parts.streams.ends().into_iter().zip(0..) {
        let args = [fd(end), number, 0, 0, 0];
        call(libc::SYS_dup3, args).map_err(setup(SetupStep::Streams))?;
    }
    call(libc::SYS_chdir, [address(c"/".as_ptr()), 0, 0, 0, 0])
        .map_err(setup(SetupStep::Directory))?;
    if let Some((soft, hard)) = parts.nofile {
        let limit = libc::rlimit64 { rlim_cur: soft, rlim_max: hard };
        let args = [0, c_long::from(libc::RLIMIT_NOFILE), address(&limit), 0, 0];
        call(libc::SYS_prlimit64, args).map_err(setup(SetupStep::Limits))?;
    }
    become_the_user(&parts.user).map_err(|errno| (Step::User, errno))?;
    // The change of user cleared this, so it comes after.
    prctl(libc::PR_SET_PDEATHSIG, c_long::from(libc::SIGKILL))
        .map_err(setup(SetupStep::ParentDeath))?;
    // If the parent died before, the signal never comes.
    if call(libc::SYS_getppid, [0; 5]) != Ok(c_long::from(parts.parent)) {
        return Err((Step::Setup(SetupStep::ParentDeath), libc::ESRCH));
    }
    if let Some(cores) = &parts.cores {
        let size = size_of_val(cores) as c_long;
        call(libc::SYS_sched_setaffinity, [0, size, address(cores), 0, 0])
            .map_err(setup(SetupStep::Limits))?;
    }
    keep_files_only(parts).map_err(setup(SetupStep::Descriptors))?;
    default_signals(parts.signals_are_default).map_err(setup(SetupStep::Signals))?;
    execute(plan)
}

/// Closes everything but the standard streams and what is executed: at once and not by exec, because exec
/// may hang in its file system, and whoever waits for the end of one of our pipes or sockets would hang too.
fn keep_files_only(parts: &Parts<'_>) -> Result<(), i32> {
    let close_on_exec = c_long::from(libc::O_CLOEXEC);
    call(libc::SYS_dup3, [fd(parts.handle), fd(HANDLE), close_on_exec, 0, 0])?;
    let mut first_other = HANDLE + 1;
    if let Some(shell) = parts.shell_handle {
        call(libc::SYS_dup3, [fd(shell), fd(SHELL_HANDLE), close_on_exec, 0, 0])?;
        first_other = SHELL_HANDLE + 1;
    }
    call(libc::SYS_close_range, [fd(first_other), c_long::from(u32::MAX), 0, 0, 0]).map(|_| ())
}

/// The raw calls change this process alone; those of libc would change every thread of the parent.
fn become_the_user(user: &Identities) -> Result<(), i32> {
    if user.must_set_groups {
        let count = c_long::try_from(user.groups.len()).unwrap_or(c_long::MAX);
        match call(libc::SYS_setgroups, [count, address(user.groups.as_ptr()), 0, 0, 0]) {
            Err(libc::EPERM) if user.may_keep_groups => {}
            done => done.map(|_| ())?,
        }
    }
    let three = |id: u32| [c_long::from(id), c_long::from(id), c_long::from(id), 0, 0];
    if user.must_set_gid {
        call(libc::SYS_setresgid, three(user.gid))?;
    }
    if user.must_set_uid {
        // Before: this ring counts against the quota of root, which is larger.
        leave_session_keyring()?;
        call(libc::SYS_setresuid, three(user.uid))?;
        if user.uid != 0 {
            drop_capabilities()?;
        }
    }
    // Capabilities that were lent to the engine are not lent on. Root's do not depend on these.
    match prctl(libc::PR_CAP_AMBIENT, c_long::from(libc::PR_CAP_AMBIENT_CLEAR_ALL)) {
        Err(libc::EINVAL) | Ok(()) => Ok(()),
        refused => refused,
    }
}

/// A change of user keeps the keys of the session that the engine was started in. An empty ring replaces
/// them.
fn leave_session_keyring() -> Result<(), i32> {
    match call(libc::SYS_keyctl, [KEYCTL_JOIN_SESSION_KEYRING, 0, 0, 0, 0]) {
        // A kernel without keys, or a filter of system calls that scripts cannot pass either.
        Err(libc::ENOSYS | libc::EPERM) | Ok(_) => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// A change of user from root keeps the inheritable capabilities, and one from another user keeps all.
fn drop_capabilities() -> Result<(), i32> {
    let (header, none) = ([CAPABILITY_VERSION_3, 0], [0_u32; 6]);
    call(libc::SYS_capset, [address(&header), address(&none), 0, 0, 0]).map(|_| ())
}

/// No signal ignored, none handled, none blocked.
fn default_signals(are_default: bool) -> Result<(), i32> {
    // The kernel's struct sigaction is smaller on every machine; all zeros are SIG_DFL without flags.
    let default = [0_u64; 8];
    let size = 8;
    let signals = if are_default { 1..1 } else { 1..65 };
    for signal in signals {
        if signal != libc::SIGKILL && signal != libc::SIGSTOP {
            let args = [c_long::from(signal), address(default.as_ptr()), 0, size, 0];
            call(libc::SYS_rt_sigaction, args)?;
        }
    }
    let none = 0_u64;
    let args = [c_long::from(libc::SIG_SETMASK), address(&none), 0, size, 0];
    call(libc::SYS_rt_sigprocmask, args).map(|_| ())
}

/// Returns what was refused.
fn execute(plan: &Plan<'_>) -> Result<(), Refusal> {
    let parts = &plan.parts;
    if matches!(parts.form, Form::Binary | Form::Unknown) {
        verify_handle(parts)?;
        let errno = exec_handle(HANDLE, &plan.argv, &plan.envp);
        // For a text this is ENOENT: the kernel cannot tell an interpreter where a descriptor is that
        // closes now.
        if parts.form == Form::Binary || errno != libc::ENOENT {
            return Err((Step::Exec, errno));
        }
    }
    verify_path(parts)?;
    if parts.form != Form::Foreign {
        // Otherwise the interpreter would find out, and its exit status would pass for the script's.
        let path = address(parts.resolved.as_ptr());
        let args = [fd(libc::AT_FDCWD), path, c_long::from(libc::R_OK), 0, 0];
        call(libc::SYS_faccessat, args).map_err(|errno| (Step::Read, errno))?;
    }
    let args = [
        address(parts.resolved.as_ptr()),
        address(plan.argv.as_ptr()),
        address(plan.envp.as_ptr()),
    ];
    let errno = refused(call(libc::SYS_execve, [args[0], args[1], args[2], 0, 0]));
    match parts.shell_handle {
        Some(_) if errno == libc::ENOEXEC => {
            Err((Step::ExecShell, exec_handle(SHELL_HANDLE, &plan.shell_argv, &plan.envp)))
        }
        _ => Err((Step::Exec, errno)),
    }
}

fn exec_handle(handle: RawFd, argv: &[*const c_char], envp: &[*const c_char]) -> i32 {
    let args = [
        fd(handle),
        address(c"".as_ptr()),
        address(argv.as_ptr()),
        address(envp.as_ptr()),
        c_long::from(libc::AT_EMPTY_PATH),
    ];
    refused(call(libc::SYS_execveat, args))
}

/// The path still leads to the file that was checked, in the state in which it was checked.
fn verify_path(parts: &Parts<'_>) -> Result<(), Refusal> {
    let now = stat(libc::AT_FDCWD, parts.resolved, libc::AT_SYMLINK_NOFOLLOW)
        .map_err(|errno| (Step::Verify, errno))?;
    if now == parts.identity { Ok(()) } else { Err((Step::Verify, 0)) }
}

/// The file that was checked was not written to since. That its name was taken away, which changes
/// its ctime, is nothing against it.
fn verify_handle(parts: &Parts<'_>) -> Result<(), Refusal> {
    let mut now = stat(HANDLE, c"", libc::AT_EMPTY_PATH).map_err(|errno| (Step::Verify, errno))?;
    now.ctime_ns = parts.identity.ctime_ns;
    if now == parts.identity { Ok(()) } else { Err((Step::Verify, 0)) }
}

fn stat(folder: RawFd, path: &CStr, flags: c_int) -> Result<Identity, i32> {
    // SAFETY: all zeros are a stat.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: L2, this is the system call and nothing more; path and stat outlive it.
    match unsafe { libc::fstatat(folder, path.as_ptr(), &mut stat, flags) } {
        0 => Ok(Identity::of(&stat)),
        _ => Err(errno()),
    }
}

fn prctl(option: c_int, value: c_long) -> Result<(), i32> {
    call(libc::SYS_prctl, [c_long::from(option), value, 0, 0, 0]).map(|_| ())
}

/// The system call itself, without what libc does around it.
fn call(number: c_long, args: [c_long; 5]) -> Result<c_long, i32> {
    let [a, b, c, d, e] = args;
    // SAFETY: L2. Addresses among the arguments are of what outlives the call: parts of the plan (L1),
    // constants, or locals of the caller. errno is the waiting parent thread's, which reads it later.
    match unsafe { libc::syscall(number, a, b, c, d, e) } {
        -1 => Err(errno()),
        result => Ok(result),
    }
}

/// Of a system call that returns only when it is refused.
fn refused(result: Result<c_long, i32>) -> i32 {
    match result {
        Ok(_) => 0,
        Err(errno) => errno,
    }
}

fn errno() -> i32 {
    // SAFETY: the address of errno is valid in every thread, and in a child that borrows one.
    unsafe { *libc::__errno_location() }
}

fn fd(fd: RawFd) -> c_long {
    c_long::from(fd)
}

fn address<T>(at: *const T) -> c_long {
    at.addr().cast_signed() as c_long
}
