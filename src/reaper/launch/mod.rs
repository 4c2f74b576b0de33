//! Starting one script: from a command to a process in its own group, or to the reason why not.
//!
//! ```text
//! check: walk the path, hold the file open, judge it   start: clone ─▶ child: group, cgroup, streams,
//!                                                      directory, limits, user, parent death,
//!   Refused ◀── what a step of the child refused ◀──   descriptors, signals, verify, exec ─▶ Launched
//! ```
//!
//! The new process shares our memory until it is the script (CLONE_VM and CLONE_VFORK, as posix_spawn
//! does it), so that it costs the same whatever memory we have, and so that it can write down what was
//! refused. The thread that launches must live as long as its scripts: the parent-death signal is tied
//! to it.
//!
//! Beside `ring`, this folder is the only one with `unsafe` in it. Rules that its SAFETY comments cite:
//! - **L1** What the child reads is in a `child::Plan`, made before the clone and neither moved nor
//!   dropped until the clone returned, which is when the child is the script or gone (CLONE_VFORK).
//! - **L2** The child makes system calls and nothing else: no allocation, no lock, no wrapper of libc
//!   that speaks to other threads, no panic. It writes to its own stack, its `child::Note`, and errno.
//! - **L3** All signals are blocked in the launching thread while its memory is shared, and in the child
//!   until it has no handlers of ours left.

#![allow(unsafe_code)]

mod child;
pub mod environment;
mod explain;
pub(super) mod pidfd;
pub(super) mod signals;
mod spawn;
pub(super) mod wait;

use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use nix::sched::CpuSet;

use crate::fleet::script_file::{self, Kind, PathProblem, ScriptFile, shown};
use crate::fleet::{ScriptCommand, ScriptUser};
use crate::outcome::{ScriptFault, SetupStep};
use crate::tick::{Tick, monotonic_now};

const SHELL: &[u8] = b"/bin/sh";

/// One script to start.
#[derive(Clone, Debug)]
pub struct Command {
    /// Program and arguments, or a text for the shell.
    pub command: ScriptCommand,
    /// Whom it runs as. Where that is whom this process runs as and it may not change its groups, the
    /// script keeps them, if the user's are among them.
    pub user: ScriptUser,
    /// All of its environment. Its PATH is where a program without a `/` is looked up.
    pub environment: environment::Environment,
    /// Soft and hard RLIMIT_NOFILE; `None` to keep this process's. The other limits are this process's.
    pub nofile: Option<(u64, u64)>,
    /// The cores it may run on; `None` for those of the launching thread.
    pub cores: Option<CpuSet>,
    /// `enable_script_security`: refuse what root would run and others may change.
    pub security: bool,
    /// `cgroup.procs` of its control group, open for writing.
    pub cgroup_procs: Option<Arc<OwnedFd>>,
}

/// A script that runs.
#[derive(Debug)]
pub struct Launched {
    /// Of the process and of its group.
    pub pid: i32,
    /// The process. Its end is told here, and its zombie stays until it is waited for here.
    pub pidfd: OwnedFd,
    /// What it writes to standard output. Does not block.
    pub stdout: OwnedFd,
    /// What it writes to standard error. Does not block.
    pub stderr: OwnedFd,
    /// When the process was the script.
    pub launched_at: Tick,
    /// The file, where it is a text that its interpreter opens again by its path.
    pub text: Option<Text>,
}

/// A text that was checked and is being interpreted.
#[derive(Debug)]
pub struct Text {
    handle: OwnedFd,
    identity: script_file::Identity,
}

impl Text {
    /// Whether the file is another than it was: written to, renamed, or removed. Then the interpreter may have
    /// read something else. Says so without asking a file system that may not answer.
    pub fn has_changed(&self) -> bool {
        spawn::cached_identity(&self.handle).is_some_and(|now| now != self.identity)
    }
}

/// Why a script does not run. Nothing of it is left.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refused {
    /// In one word.
    pub fault: ScriptFault,
    /// What there is to say beyond that: the component of the path, the interpreter.
    pub explanation: Option<String>,
}

impl Refused {
    fn new(fault: ScriptFault, explanation: impl Into<String>) -> Refused {
        Refused { fault, explanation: Some(explanation.into()) }
    }
}

impl From<PathProblem> for Refused {
    fn from(problem: PathProblem) -> Refused {
        let fault = problem.fault();
        // Of descriptors and memory that are short, the fault itself says where there are more.
        let explanation = (!matches!(fault, ScriptFault::Spawn(_))).then(|| problem.to_string());
        Refused { fault, explanation }
    }
}

/// Starts a script. May take as long as the file system that its program is on.
///
/// # Errors
/// Why it does not run, the refusals of the new process included.
pub fn launch(command: &Command) -> Result<Launched, Refused> {
    Checked::new(command)?.start()
}

/// A command whose file was found, judged and opened.
struct Checked<'command> {
    command: &'command Command,
    file: ScriptFile,
    /// What runs `file` where the kernel does not: text without `#!`.
    shell: Option<ScriptFile>,
    arguments: Vec<CString>,
    /// For `shell`.
    shell_arguments: Vec<CString>,
    environment: Vec<CString>,
    /// This process: whoever else is the new one's parent is not us.
    parent: i32,
}

impl<'command> Checked<'command> {
    fn new(command: &'command Command) -> Result<Checked<'command>, Refused> {
        let user = &command.user;
        let (written, arguments): (&[u8], Vec<&[u8]>) = match &command.command {
            ScriptCommand::Argv(all) => match all.first() {
                Some(program) => (program, all.iter().collect()),
                None => (b"", Vec::new()),
            },
            ScriptCommand::Shell(text) => (SHELL, vec![b"sh", b"-c", text]),
        };
        let program = locate(written, command)?;
        let file = script_file::open(&program, user)?;
        refuse_if_weak(&file, &file, command)?;
        match file.interpreters(user, path_variable(command)) {
            Ok(chain) => {
                for interpreter in &chain {
                    refuse_if_weak(interpreter, &file, command)?;
                }
            }
            Err(problem @ PathProblem::NotFound { .. }) => {
                let needs = file.kind.line().unwrap_or_default();
                let (path, needs) = (shown(&file.resolved), shown(&needs));
                let text = format!("`{path}` needs `{needs}`: {problem}");
                return Err(Refused::new(ScriptFault::Interpreter, text));
            }
            // What cannot be judged is not run with root's rights.
            Err(problem) if command.security && file.runs_as_root(user) => {
                return Err(problem.into());
            }
            // The kernel knows better than the mode bits, and says so itself.
            Err(_) => {}
        }
        let shell = match file.kind {
            Kind::Other { is_text: true } => Some(script_file::open(SHELL, user)?),
            _ => None,
        };
        if let Some(shell) = &shell {
            refuse_if_weak(shell, &file, command)?;
        }
        let shell_arguments = match &shell {
            Some(_) => {
                let rest = arguments.iter().skip(1).copied();
                strings([SHELL, &file.resolved].into_iter().chain(rest))?
            }
            None => Vec::new(),
        };
        Ok(Checked {
            command,
            arguments: strings(arguments.into_iter())?,
            shell_arguments,
            environment: command
                .environment
                .iter()
                .map(|(name, value)| string(&[&name[..], b"=", &value[..]].concat()))
                .collect::<Result<_, _>>()?,
            file,
            shell,
            parent: std::process::id().cast_signed(),
        })
    }

    fn start(self) -> Result<Launched, Refused> {
        let user = &self.command.user;
        let streams = spawn::Streams::open(user).map_err(spawn_refused)?;
        let identity = child::Identities::wanted(user).map_err(spawn_refused)?;
        // Descriptors 0 to 4 are overwritten before these are used.
        let handle = spawn::above_standard(self.file.handle.as_fd()).map_err(spawn_refused)?;
        let shell_handle = match &self.shell {
            Some(shell) => {
                Some(spawn::above_standard(shell.handle.as_fd()).map_err(spawn_refused)?)
            }
            None => None,
        };
        let resolved = string(&self.file.resolved)?;
        let plan = child::Plan::new(child::Parts {
            parent: self.parent,
            cgroup_procs: self.command.cgroup_procs.as_deref(),
            streams: &streams,
            nofile: self.command.nofile,
            cores: self.command.cores,
            signals_are_default: signals::are_default(),
            user: identity,
            handle: handle.fd(),
            shell_handle: shell_handle.as_ref().map(spawn::Above::fd),
            resolved: &resolved,
            identity: self.file.identity,
            form: match self.file.kind {
                Kind::Elf => child::Form::Binary,
                Kind::Unreadable => child::Form::Unknown,
                Kind::Interpreted { .. } | Kind::Other { is_text: true } => child::Form::Text,
                Kind::Other { is_text: false } => child::Form::Foreign,
            },
            arguments: &self.arguments,
            shell_arguments: &self.shell_arguments,
            environment: &self.environment,
        });
        let (pid, pidfd) = spawn::spawn(&plan).map_err(spawn_refused)?;
        if let Some((step, errno)) = plan.note.read() {
            spawn::reap(&pidfd);
            return Err(explain::refusal(step, errno, &self.file, user));
        }
        let launched_at = monotonic_now();
        let (stdout, stderr) = streams.into_read_ends();
        let text = (self.file.kind != Kind::Elf)
            .then_some(Text { handle: self.file.handle, identity: self.file.identity });
        Ok(Launched { pid, pidfd, stdout, stderr, launched_at, text })
    }
}

/// The PATH that the script will have.
fn path_variable(command: &Command) -> &[u8] {
    let path = command.environment.iter().rev().find(|(name, _)| name == b"PATH");
    path.map_or(environment::PATH.as_bytes(), |(_, value)| value)
}

/// The path of the program: as written where a `/` is in it, else the one that PATH leads to.
fn locate(written: &[u8], command: &Command) -> Result<Vec<u8>, Refused> {
    if written.is_empty() || written.contains(&b'/') {
        return Ok(written.to_vec());
    }
    let path = path_variable(command);
    script_file::find(written, path, &command.user).ok_or_else(|| {
        let (name, path) = (shown(written), shown(path));
        Refused::new(
            ScriptFault::NotFound(libc::ENOENT),
            format!("no `{name}` that {} may execute in {path}", command.user.name),
        )
    })
}

/// `part` is `file` itself, or what runs it.
fn refuse_if_weak(part: &ScriptFile, file: &ScriptFile, command: &Command) -> Result<(), Refused> {
    match &part.weakness {
        Some(weakness) if command.security && file.runs_as_root(&command.user) => {
            Err(Refused::new(ScriptFault::Insecure, weakness.to_string()))
        }
        _ => Ok(()),
    }
}

fn spawn_refused(errno: i32) -> Refused {
    Refused { fault: ScriptFault::Spawn(errno), explanation: None }
}

fn strings<'a>(words: impl Iterator<Item = &'a [u8]>) -> Result<Vec<CString>, Refused> {
    words.map(string).collect()
}

fn string(bytes: &[u8]) -> Result<CString, Refused> {
    CString::new(bytes).map_err(|_| {
        let text = format!("`{}` has a NUL byte in it", shown(bytes));
        Refused::new(ScriptFault::Setup(SetupStep::Exec, libc::EINVAL), text)
    })
}

#[cfg(test)]
mod tests;
