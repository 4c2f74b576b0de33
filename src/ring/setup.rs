//! Building a ring on this kernel, and saying what stands in the way where it cannot be built.

use std::io;

use io_uring::{IoUring, Probe, opcode};

use super::RingError;

/// Opcodes the engine needs, with their names for the message. What a probe of opcodes cannot tell
/// (multishot, sendto, synchronous cancel) is as old as DEFER_TASKRUN or older.
const NEEDED: [(u8, &str); 4] = [
    (opcode::Send::CODE, "SEND"),
    (opcode::RecvMsgMulti::CODE, "RECVMSG"),
    (opcode::Connect::CODE, "CONNECT"),
    (opcode::PollAdd::CODE, "POLL_ADD"),
];

/// The memory charge of a ring that just ended is freed late, so an immediate restart may be refused.
const MEMORY_TRIES: u32 = 5;
const MEMORY_PAUSE: std::time::Duration = std::time::Duration::from_millis(20);

/// Smallest submission queue that is still worth having.
const SMALLEST_QUEUE: u32 = 64;

/// Builds a ring owned by the calling thread. Halves its size, then explains, when memory is refused.
///
/// # Errors
/// [`RingError`] names what is missing and the remedy.
pub(super) fn build(mut submissions: u32, mut completions: u32) -> Result<IoUring, RingError> {
    let mut tries = 0;
    loop {
        let result = IoUring::builder()
            // Completions are made when this thread asks for them, never by an interrupt in the
            // middle of its work; the kernel wants one issuer for that.
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_taskrun_flag()
            // One refused op must not hold back the batch behind it.
            .setup_submit_all()
            .setup_cqsize(completions)
            .setup_clamp()
            .dontfork()
            .build(submissions);
        match result {
            Ok(ring) => return check_opcodes(ring),
            Err(error) if error.raw_os_error() == Some(libc::ENOMEM) => {
                tries += 1;
                if tries < MEMORY_TRIES {
                    std::thread::park_timeout(MEMORY_PAUSE);
                } else if submissions > SMALLEST_QUEUE {
                    tries = 0;
                    submissions /= 2;
                    completions /= 2;
                } else {
                    return Err(explain(error));
                }
            }
            Err(error) => return Err(explain(error)),
        }
    }
}

fn check_opcodes(ring: IoUring) -> Result<IoUring, RingError> {
    let mut probe = Probe::new();
    ring.submitter().register_probe(&mut probe).map_err(explain)?;
    let missing: Vec<&str> = NEEDED
        .iter()
        .filter(|(code, _)| !probe.is_supported(*code))
        .map(|(_, name)| *name)
        .collect();
    if missing.is_empty() {
        return Ok(ring);
    }
    Err(RingError::Unavailable {
        reason: format!("this kernel lacks {}", missing.join(", ")),
        remedy: "ringprobe needs Linux 6.1 or later".into(),
    })
}

fn explain(error: io::Error) -> RingError {
    let disabled = std::fs::read_to_string("/proc/sys/kernel/io_uring_disabled").ok();
    let disabled = disabled.as_deref().map(str::trim);
    explain_with(error, disabled)
}

/// `disabled` is what /proc/sys/kernel/io_uring_disabled says, where it exists (6.6 and later).
fn explain_with(error: io::Error, disabled: Option<&str>) -> RingError {
    let unavailable = |reason: &str, remedy: &str| RingError::Unavailable {
        reason: format!("{reason}: {error}"),
        remedy: remedy.into(),
    };
    match (error.raw_os_error(), disabled) {
        (Some(libc::EPERM), Some("2")) => unavailable(
            "kernel.io_uring_disabled=2 forbids it for everybody",
            "sysctl kernel.io_uring_disabled=0",
        ),
        (Some(libc::EPERM), Some("1")) => unavailable(
            "kernel.io_uring_disabled=1 forbids it without CAP_SYS_ADMIN",
            "run as root, join the group of kernel.io_uring_group, or set the sysctl to 0",
        ),
        (Some(libc::EPERM), _) => unavailable(
            "a seccomp filter forbids it, as the default of Docker and containerd does",
            "allow io_uring_setup, io_uring_enter and io_uring_register in the container's profile",
        ),
        (Some(libc::ENOSYS), _) => unavailable(
            "the system call is missing: an old kernel, one without CONFIG_IO_URING, or Podman's \
             seccomp filter",
            "use Linux 6.1 or later and allow the io_uring system calls",
        ),
        (Some(libc::EINVAL), _) => unavailable(
            "this kernel does not know IORING_SETUP_DEFER_TASKRUN",
            "ringprobe needs Linux 6.1 or later",
        ),
        (Some(libc::ENOMEM), _) => RingError::Limit {
            what: "io_uring_setup",
            error,
            remedy: "raise RLIMIT_MEMLOCK (ulimit -l, LimitMEMLOCK=64M), or use a smaller --window"
                .into(),
        },
        (Some(libc::EMFILE | libc::ENFILE), _) => RingError::Limit {
            what: "io_uring_setup",
            error,
            remedy: "raise RLIMIT_NOFILE (ulimit -n)".into(),
        },
        _ => unavailable("io_uring_setup was refused", "see io_uring_setup(2) for this error"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_names_its_likely_cause_and_a_remedy() {
        let text = |errno, disabled| {
            explain_with(io::Error::from_raw_os_error(errno), disabled).to_string()
        };
        assert!(text(libc::EPERM, Some("2")).contains("sysctl kernel.io_uring_disabled=0"));
        assert!(text(libc::EPERM, Some("1")).contains("CAP_SYS_ADMIN"));
        assert!(text(libc::EPERM, Some("0")).contains("seccomp"));
        assert!(text(libc::EPERM, None).contains("seccomp"));
        assert!(text(libc::ENOSYS, None).contains("CONFIG_IO_URING"));
        assert!(text(libc::EINVAL, None).contains("6.1"));
        assert!(text(libc::ENOMEM, None).contains("RLIMIT_MEMLOCK"));
        assert!(text(libc::EMFILE, None).contains("RLIMIT_NOFILE"));
    }
}
