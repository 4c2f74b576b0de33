//! Why a path leads to nothing that can be executed.

use std::fmt;

use nix::errno::Errno;

use super::judge::mode_text;
use crate::outcome::{ScriptFault, SetupStep};

/// Why a path leads to nothing that its user may execute. `component` is the path of the component
/// where the walk ended, with the links before it followed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PathProblem {
    /// It is not there (ENOENT), something before it is no directory (ENOTDIR), there are more than 40
    /// links (ELOOP), or its name is too long (ENAMETOOLONG).
    NotFound {
        /// What is missing, or is no directory.
        component: Vec<u8>,
        /// How.
        errno: i32,
    },
    /// It is a directory, FIFO, socket or device.
    NotRegular {
        /// The path.
        component: Vec<u8>,
        /// Type and permission bits.
        mode: u32,
    },
    /// The user may not search this directory or execute this file.
    NotExecutable {
        /// The directory or the file.
        component: Vec<u8>,
        /// EACCES, or what the kernel said to us.
        errno: i32,
        /// Whose rights it was about.
        user: Box<str>,
        /// It is a directory on the way.
        is_directory: bool,
    },
    /// Its interpreter needs an interpreter, and so on, further than the kernel goes (ELOOP).
    TooManyInterpreters {
        /// The script.
        component: Vec<u8>,
    },
    /// It could not be looked at: no descriptor, no memory, a broken file system.
    Io {
        /// The path.
        component: Vec<u8>,
        /// The refusal.
        errno: i32,
    },
}

impl PathProblem {
    pub(super) fn io(component: &[u8], errno: Errno) -> PathProblem {
        PathProblem::Io { component: component.to_vec(), errno: errno as i32 }
    }

    /// Of the script at this path.
    pub(crate) fn too_many_interpreters(path: &[u8]) -> PathProblem {
        PathProblem::TooManyInterpreters { component: path.to_vec() }
    }

    /// The same as the outcome of a probe says it.
    pub fn fault(&self) -> ScriptFault {
        match *self {
            PathProblem::NotFound { errno, .. } => ScriptFault::NotFound(errno),
            PathProblem::NotRegular { .. } => ScriptFault::NotExecutable(libc::EACCES),
            PathProblem::NotExecutable { errno, .. } => ScriptFault::NotExecutable(errno),
            PathProblem::TooManyInterpreters { .. } => {
                ScriptFault::Setup(SetupStep::Exec, libc::ELOOP)
            }
            PathProblem::Io { errno, .. } => match errno {
                libc::EMFILE | libc::ENFILE | libc::ENOMEM => ScriptFault::Spawn(errno),
                _ => ScriptFault::Setup(SetupStep::Exec, errno),
            },
        }
    }
}

impl fmt::Display for PathProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PathProblem::NotFound { component, errno: libc::ENOENT } => {
                write!(f, "`{}` does not exist", shown(component))
            }
            PathProblem::NotFound { component, errno: libc::ENOTDIR } => {
                write!(f, "`{}` is not a directory", shown(component))
            }
            PathProblem::NotFound { component, errno: libc::ELOOP } => {
                write!(f, "`{}`: more than {} links", shown(component), super::LINKS_MAX)
            }
            PathProblem::NotRegular { component, mode } => {
                let what = match mode & libc::S_IFMT {
                    libc::S_IFDIR => "a directory",
                    libc::S_IFIFO => "a FIFO",
                    libc::S_IFSOCK => "a socket",
                    libc::S_IFCHR | libc::S_IFBLK => "a device",
                    _ => "no regular file",
                };
                let (path, mode) = (shown(component), mode_text(*mode));
                write!(f, "`{path}` is {what} (mode {mode})")
            }
            PathProblem::NotExecutable { component, errno: libc::EACCES, user, is_directory } => {
                let verb = if *is_directory { "search" } else { "execute" };
                write!(f, "`{}`: {user} may not {verb} it", shown(component))
            }
            PathProblem::TooManyInterpreters { component } => write!(
                f,
                "`{}`: its interpreter needs an interpreter, which needs another, and so on: more \
                 than the kernel follows",
                shown(component)
            ),
            PathProblem::NotFound { component, errno }
            | PathProblem::NotExecutable { component, errno, .. }
            | PathProblem::Io { component, errno } => {
                write!(f, "`{}`: {}", shown(component), Errno::from_raw(*errno).desc())
            }
        }
    }
}

/// A path for a person: control characters and what is not UTF-8 stand out.
pub(crate) fn shown(path: &[u8]) -> String {
    let mut text = String::with_capacity(path.len());
    for chunk in path.utf8_chunks() {
        for letter in chunk.valid().chars() {
            match letter.is_control() {
                true => text.extend(letter.escape_default()),
                false => text.push(letter),
            }
        }
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}
