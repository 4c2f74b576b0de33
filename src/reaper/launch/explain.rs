//! What the child's note means: a fault, and a sentence for a person.

use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::FileExt;

use nix::errno::Errno;
use nix::sys::statvfs::{FsFlags, fstatvfs};

use super::child::Step;
use super::{Refused, SHELL};
use crate::fleet::ScriptUser;
use crate::fleet::script_file::{self, Kind, PathProblem, ScriptFile};
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
        Step::User if errno == libc::EAGAIN => shortage(errno, user),
        Step::User => {
            let who = format!("{} ({}:{})", user.name, user.uid, user.gid);
            let remedy = match errno {
                libc::EPERM => "; run ringprobe as root, or name the user that runs it",
                libc::EINVAL => "; this user namespace has no such user or group",
                _ => "",
            };
            Refused::new(ScriptFault::User(errno), format!("cannot become {who}: {said}{remedy}"))
        }
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
                true => Some(format!(
                    "`{path}`: its file system is mounted noexec; put the script on another one"
                )),
                false => about_interpreter.or_else(|| Some(format!("`{path}`: {said}"))),
            },
        },
        libc::ETXTBSY => {
            Refused::new(ScriptFault::Changed, format!("`{path}` is open for writing"))
        }
        // Of links, the path that is executed has none left.
        libc::ELOOP if matches!(file.kind, Kind::Interpreted { .. }) => {
            exec(errno, PathProblem::too_many_interpreters(&file.resolved).to_string())
        }
        libc::EAGAIN | libc::ENOMEM | libc::ENFILE | libc::EMFILE => shortage(errno, user),
        _ => exec(errno, format!("`{path}`: {said}")),
    }
}

/// What is missing, and where there may be more of it.
fn shortage(errno: i32, user: &ScriptUser) -> Refused {
    let explanation = match errno {
        // Of the new process the kernel says this only where it is about the user.
        libc::EAGAIN => {
            Some(format!("{} has as many processes as it may: see its ulimit -u", user.name))
        }
        libc::ENOMEM => Some("no memory to start it; fewer --script-jobs need less".to_owned()),
        // The fault says it all.
        _ => None,
    };
    Refused { fault: ScriptFault::Spawn(errno), explanation }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_what_to_do() {
        let user = ScriptUser {
            name: "someone".into(),
            home: (*b"/").into(),
            uid: 7,
            gid: 8,
            groups: Box::default(),
        };
        let file = script_file::open(b"/bin/sh", &user).expect("every machine has a shell");
        let said = |step, errno| refusal(step, errno, &file, &user);
        for (step, errno, fault, text) in [
            (Step::User, libc::EPERM, ScriptFault::User(libc::EPERM), "run ringprobe as root"),
            (Step::User, libc::EINVAL, ScriptFault::User(libc::EINVAL), "user namespace"),
            (Step::User, libc::EAGAIN, ScriptFault::Spawn(libc::EAGAIN), "ulimit -u"),
            (Step::Exec, libc::EAGAIN, ScriptFault::Spawn(libc::EAGAIN), "ulimit -u"),
            (Step::Exec, libc::ENOMEM, ScriptFault::Spawn(libc::ENOMEM), "--script-jobs"),
        ] {
            let refused = said(step, errno);
            assert_eq!(refused.fault, fault);
            assert!(refused.explanation.is_some_and(|said| said.contains(text)), "{text}");
        }
        // Reports have the words for this one.
        let refused = said(Step::Exec, libc::EMFILE);
        assert_eq!((refused.fault, refused.explanation), (ScriptFault::Spawn(libc::EMFILE), None));
    }

    #[test]
    fn too_many_interpreters_are_not_called_links() {
        let user = ScriptUser {
            name: "root".into(),
            home: (*b"/").into(),
            uid: 0,
            gid: 0,
            groups: Box::default(),
        };
        let mut file = script_file::open(b"/bin/sh", &user).expect("every machine has a shell");
        file.kind = Kind::Interpreted { interpreter: b"/opt/a".to_vec(), argument: Vec::new() };
        let said = refusal(Step::Exec, libc::ELOOP, &file, &user).explanation.unwrap_or_default();
        assert!(said.contains("interpreter") && !said.contains("link"), "{said}");
    }
}
