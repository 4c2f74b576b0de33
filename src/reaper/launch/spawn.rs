//! What the launching thread does for a new process: its stack, its pipes, the clone itself.

use std::cell::RefCell;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;
use std::sync::OnceLock;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::unistd::{Gid, Uid, fchown, geteuid, pipe2};

use super::child::{self, Plan};
use crate::fleet::ScriptUser;
use crate::fleet::script_file::Identity;

/// Room for the child: it calls a handful of small functions.
const STACK_BYTES: usize = 64 * 1024;

/// Unmapped below it: whoever runs over dies instead of writing elsewhere.
const GUARD_BYTES: usize = 64 * 1024;

/// All signals, those included that libc keeps to itself.
const ALL_SIGNALS: u64 = u64::MAX;

thread_local! {
    /// The stack that this thread's children share, one after the other.
    static STACK: RefCell<Option<Stack>> = const { RefCell::new(None) };
}

/// Starts a process that does as `plan` says. When this returns, that process is its program, or it is
/// gone and `plan.note` says why.
pub(super) fn spawn(plan: &Plan<'_>) -> Result<(i32, OwnedFd), i32> {
    STACK.with_borrow_mut(|stack| {
        if stack.is_none() {
            *stack = Some(Stack::map()?);
        }
        match stack {
            Some(stack) => clone(stack, plan),
            None => Err(libc::ENOMEM),
        }
    })
}

fn clone(stack: &mut Stack, plan: &Plan<'_>) -> Result<(i32, OwnedFd), i32> {
    let mut pidfd: RawFd = -1;
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD | libc::SIGCHLD;
    let before = set_mask(ALL_SIGNALS)?;
    // SAFETY: L1 and L3. The stack is ours alone: one child at a time has it, and it is through with it
    // when this call returns. `pidfd` is written by the kernel before that.
    let pid = unsafe {
        libc::clone(
            child::main,
            stack.top(),
            flags,
            ptr::from_ref(plan).cast_mut().cast(),
            ptr::from_mut(&mut pidfd),
        )
    };
    let errno = io::Error::last_os_error().raw_os_error().unwrap_or(libc::EAGAIN);
    let restored = set_mask(before);
    debug_assert!(restored.is_ok(), "a mask that was set can be set again");
    if pid < 0 {
        return Err(errno);
    }
    // SAFETY: the kernel made this descriptor for us, and nobody else knows of it.
    Ok((pid, unsafe { OwnedFd::from_raw_fd(pidfd) }))
}

/// Sets the calling thread's signal mask; returns the one before. Libc's own call leaves two out.
fn set_mask(mask: u64) -> Result<u64, i32> {
    let mut before = 0_u64;
    // SAFETY: both masks outlive the call, and their size is given.
    let done = unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            ptr::from_ref(&mask),
            ptr::from_mut(&mut before),
            size_of::<u64>(),
        )
    };
    if done == 0 { Ok(before) } else { Err(last_errno()) }
}

/// Takes the zombie of a child away that wrote its note and is ending.
pub(super) fn reap(pidfd: &OwnedFd) {
    loop {
        // SAFETY: all zeros are a siginfo_t, which outlives the call.
        let done = unsafe {
            let mut info: libc::siginfo_t = std::mem::zeroed();
            let id = pidfd.as_raw_fd().cast_unsigned();
            libc::waitid(libc::P_PIDFD, id, &mut info, libc::WEXITED)
        };
        if done == 0 || last_errno() != libc::EINTR {
            return;
        }
    }
}

/// What is known of an open file here and now; a server that would know better is not asked.
pub(super) fn cached_identity(handle: &OwnedFd) -> Option<Identity> {
    // SAFETY: all zeros are a statx.
    let mut statx: libc::statx = unsafe { std::mem::zeroed() };
    let flags = libc::AT_EMPTY_PATH | libc::AT_STATX_DONT_SYNC;
    // SAFETY: the path is empty and constant, the buffer outlives the call.
    let done = unsafe {
        let mask = libc::STATX_BASIC_STATS;
        libc::statx(handle.as_raw_fd(), c"".as_ptr(), flags, mask, &mut statx)
    };
    let ns = |at: libc::statx_timestamp| {
        at.tv_sec.wrapping_mul(1_000_000_000).wrapping_add(i64::from(at.tv_nsec))
    };
    (done == 0).then(|| Identity {
        dev: libc::makedev(statx.stx_dev_major, statx.stx_dev_minor),
        ino: statx.stx_ino,
        size: statx.stx_size as i64,
        mtime_ns: ns(statx.stx_mtime),
        ctime_ns: ns(statx.stx_ctime),
        mode: u32::from(statx.stx_mode),
        uid: statx.stx_uid,
        gid: statx.stx_gid,
    })
}

fn last_errno() -> i32 {
    io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO)
}

/// Pages for the child's stack.
struct Stack {
    base: *mut libc::c_void,
}

impl Stack {
    fn map() -> Result<Stack, i32> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_STACK;
        // SAFETY: new pages, wherever there is room for them.
        let base = unsafe {
            libc::mmap(ptr::null_mut(), GUARD_BYTES + STACK_BYTES, libc::PROT_NONE, flags, -1, 0)
        };
        if base == libc::MAP_FAILED {
            return Err(last_errno());
        }
        let stack = Stack { base };
        // SAFETY: the upper part of the pages just mapped.
        let done = unsafe {
            let usable = base.byte_add(GUARD_BYTES);
            libc::mprotect(usable, STACK_BYTES, libc::PROT_READ | libc::PROT_WRITE)
        };
        if done == 0 { Ok(stack) } else { Err(last_errno()) }
    }

    /// The end: a stack grows downwards.
    fn top(&mut self) -> *mut libc::c_void {
        // SAFETY: one past the end of the mapping.
        unsafe { self.base.byte_add(GUARD_BYTES + STACK_BYTES) }
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // SAFETY: mapped by `map` with this length; no child runs on it, since `clone` returned.
        unsafe { libc::munmap(self.base, GUARD_BYTES + STACK_BYTES) };
    }
}

/// /dev/null and the pipes of one script.
pub(super) struct Streams {
    null: RawFd,
    stdout: (OwnedFd, Above<'static>),
    stderr: (OwnedFd, Above<'static>),
}

impl Streams {
    /// The pipes belong to the script's user, who may open them again as /dev/stdout and /dev/stderr.
    pub(super) fn open(user: &ScriptUser) -> Result<Streams, i32> {
        let streams = Streams { null: null()?, stdout: pipe()?, stderr: pipe()? };
        if user.uid == 0 || !geteuid().is_root() {
            // They are the script's user's already, or it cannot be set.
            return Ok(streams);
        }
        for end in [streams.stdout.1.fd(), streams.stderr.1.fd()] {
            // SAFETY: the descriptor is open for as long as `streams` is.
            let end = unsafe { BorrowedFd::borrow_raw(end) };
            let (uid, gid) = (Uid::from_raw(user.uid), Gid::from_raw(user.gid));
            fchown(end, Some(uid), Some(gid)).map_err(|errno| errno as i32)?;
        }
        Ok(streams)
    }

    /// What becomes descriptors 0, 1 and 2; none of them is one of these already.
    pub(super) fn ends(&self) -> [RawFd; 3] {
        [self.null, self.stdout.1.fd(), self.stderr.1.fd()]
    }

    /// Standard output and standard error, to read. The other ends are closed.
    pub(super) fn into_read_ends(self) -> (OwnedFd, OwnedFd) {
        (self.stdout.0, self.stderr.0)
    }
}

/// /dev/null, opened once and kept.
fn null() -> Result<RawFd, i32> {
    static NULL: OnceLock<OwnedFd> = OnceLock::new();
    if let Some(null) = NULL.get() {
        return Ok(null.as_raw_fd());
    }
    let null =
        File::open("/dev/null").map_err(|error| error.raw_os_error().unwrap_or(libc::EMFILE))?;
    match Above::owned(null.into())? {
        Above::Owned(null) => Ok(NULL.get_or_init(|| null).as_raw_fd()),
        Above::Borrowed(null) => Ok(null.as_raw_fd()),
    }
}

/// Read end, which does not block, and write end, which does.
fn pipe() -> Result<(OwnedFd, Above<'static>), i32> {
    let (read, write) = pipe2(OFlag::O_CLOEXEC).map_err(|errno| errno as i32)?;
    fcntl(&read, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).map_err(|errno| errno as i32)?;
    Ok((read, Above::owned(write)?))
}

/// The lowest descriptor that the child does not put something else at.
pub(super) const ABOVE: RawFd = 5;

/// A descriptor that is none of 0 to 4.
pub(super) enum Above<'a> {
    Borrowed(BorrowedFd<'a>),
    Owned(OwnedFd),
}

impl Above<'static> {
    fn owned(fd: OwnedFd) -> Result<Above<'static>, i32> {
        match fd.as_raw_fd() {
            ABOVE.. => Ok(Above::Owned(fd)),
            _ => copy_above(fd.as_fd()),
        }
    }
}

impl Above<'_> {
    pub(super) fn fd(&self) -> RawFd {
        match self {
            Above::Borrowed(fd) => fd.as_raw_fd(),
            Above::Owned(fd) => fd.as_raw_fd(),
        }
    }
}

/// The same descriptor, or a copy of it, that is none of 0 to 4.
pub(super) fn above_standard(fd: BorrowedFd<'_>) -> Result<Above<'_>, i32> {
    match fd.as_raw_fd() {
        ABOVE.. => Ok(Above::Borrowed(fd)),
        _ => copy_above(fd),
    }
}

fn copy_above<'a>(fd: BorrowedFd<'_>) -> Result<Above<'a>, i32> {
    let copy = fcntl(fd, FcntlArg::F_DUPFD_CLOEXEC(ABOVE)).map_err(|errno| errno as i32)?;
    // SAFETY: fcntl made this descriptor for us, and nobody else knows of it.
    Ok(Above::Owned(unsafe { OwnedFd::from_raw_fd(copy) }))
}
