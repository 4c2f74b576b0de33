//! What the child's note means: a fault, and a sentence for a person.

use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::FileExt;

use nix::errno::Errno;
use nix::sys::statvfs::{FsFlags, fstatvfs};

use super::child::Step;
use super::{Refused, SHELL};
use crate::fleet::ScriptUser;
use crate::fleet::script_file::{self, Kind, ScriptFile};
use crate::outcome::{ScriptFault, SetupStep};

pub(super) use crate::fleet::script_file::shown;

/// Why the child did not become `file`.
pub(super) fn refusal(step: Step, errno: i32, file: &ScriptFile, user: &ScriptUser) -> Refused {
    let path = shown(&file.resolved);
    let said = Errno::from_raw(errno).desc();
    match step {
        Step::Setup(step) => {
            Refused::new(ScriptFault::Setup(step, errno), format!("{}: {said}", step.name()))
        }
        Step::User if errno == libc::EAGAIN => spawn(errno, said),
        Step::User => Refused::new(
            ScriptFault::User(errno),
            format!("cannot become {} ({}:{}): {said}", user.name, user.uid, user.gid),
        ),
        Step::Verify if errno == 0 => {
            Refused::new(ScriptFault::Changed, format!("`{path}` changed while it was started"))
        }
        Step::Verify => match errno {
            libc::ENOENT | libc::ENOTDIR | libc::ELOOP => {
                Refused::new(ScriptFault::NotFound(errno), format!("`{path}`: {said}"))
            }
            libc::EACCES | libc::EPERM => {
                Refused::new(ScriptFault::NotExecutable(errno), format!("`{path}`: {said}"))
            }
            _ => exec(errno, format!("`{path}`: {said}")),
        },
        Step::Read if errno == libc::EACCES => Refused::new(
            ScriptFault::NotExecutable(errno),
            format!("`{path}`: {} may not read it, as its interpreter must", user.name),
        ),
        Step::Read => exec(errno, format!("`{path}`: {said}")),
        Step::Exec => exec_refusal(errno, file, user),
        Step::ExecShell => exec(errno, format!("`{}`: {said}", shown(SHELL))),
    }
}

fn exec_refusal(errno: i32, file: &ScriptFile, user: &ScriptUser) -> Refused {
    let path = shown(&file.resolved);
    let said = Errno::from_raw(errno).desc();
    let interpreter = match &file.kind {
        Kind::Interpreted { interpreter, .. } => Some(interpreter.clone()),
        Kind::Elf => loader(&file.handle),
        Kind::Unreadable | Kind::Other { .. } => None,
    };
    let about_interpreter = interpreter.map(|interpreter| {
        let name = shown(&interpreter);
        match script_file::open(&interpreter, user) {
            Err(problem) => format!("`{path}` needs `{name}`: {problem}"),
            Ok(_) => format!("`{path}` needs `{name}`: {said}"),
        }
    });
    match errno {
        libc::ENOENT | libc::ENOTDIR => Refused {
            fault: ScriptFault::Interpreter,
            explanation: about_interpreter.or_else(|| Some(format!("`{path}`: {said}"))),
        },
        libc::ENOEXEC | libc::ELIBBAD => {
            Refused::new(ScriptFault::Format, format!("`{path}`: {said}"))
        }
        libc::EINVAL if file.kind == Kind::Elf => {
            Refused::new(ScriptFault::Format, format!("`{path}`: {said}"))
        }
        libc::EACCES | libc::EPERM => Refused {
            fault: ScriptFault::NotExecutable(errno),
            explanation: match is_on_noexec(&file.handle) {
                true => Some(format!("`{path}`: its file system is mounted noexec")),
                false => about_interpreter.or_else(|| Some(format!("`{path}`: {said}"))),
            },
        },
        libc::ETXTBSY => {
            Refused::new(ScriptFault::Changed, format!("`{path}` is open for writing"))
        }
        libc::EAGAIN | libc::ENOMEM | libc::ENFILE | libc::EMFILE => spawn(errno, said),
        _ => exec(errno, format!("`{path}`: {said}")),
    }
}

fn spawn(errno: i32, said: &str) -> Refused {
    Refused::new(ScriptFault::Spawn(errno), said)
}

fn exec(errno: i32, explanation: String) -> Refused {
    Refused::new(ScriptFault::Setup(SetupStep::Exec, errno), explanation)
}

fn is_on_noexec(handle: &OwnedFd) -> bool {
    fstatvfs(handle).is_ok_and(|file_system| file_system.flags().contains(FsFlags::ST_NOEXEC))
}

/// The program that an ELF file names to load it (PT_INTERP); elf(5), 64 bits, least byte first.
pub(super) fn loader(handle: &OwnedFd) -> Option<Vec<u8>> {
    const PT_INTERP: u64 = 3;
    let file = File::open(format!("/proc/self/fd/{}", handle.as_raw_fd())).ok()?;
    let mut head = [0; 64];
    file.read_exact_at(&mut head, 0).ok()?;
    if !head.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let (table, size, count) =
        (number(&head[32..40]), number(&head[54..56]), number(&head[56..58]));
    for at in 0..count {
        let mut entry = [0; 56];
        file.read_exact_at(&mut entry, table.checked_add(at * size)?).ok()?;
        if number(&entry[..4]) == PT_INTERP {
            let length = usize::try_from(number(&entry[32..40])).ok()?;
            let mut name = vec![0; length.min(4096)];
            file.read_exact_at(&mut name, number(&entry[8..16])).ok()?;
            let end = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
            name.truncate(end);
            return Some(name);
        }
    }
    None
}

/// At most 8 bytes, the least first.
fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}
