//! The file of a script: found by walking its path, judged on the way, held open until it is executed.
//!
//! Shape    an absolute path, as written -> a descriptor of the file it leads to, and what was seen
//! Walk     one component at a time, links read and followed here (at most 40), each directory held
//!          open until the end: what is judged is what was walked through
//! Judged   every directory, link and file on the way, of the path as written and of where its links
//!          lead: only root may be able to change it. Where the group bits are an access control
//!          list's mask, the list is taken to let somebody write
//! Never    is anything but a regular file opened for reading, or a component opened so that it blocks
//! Source   path_resolution(7), open(2) O_PATH; fs/namei.c for the 40 links, fs/binfmt_script.c for `#!`

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::OpenOptionsExt;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, openat, readlinkat};
use nix::sys::stat::{FileStat, Mode, fstat};

mod interpreters;
mod judge;
mod problem;

pub use judge::{Weakness, Why};
pub use problem::PathProblem;
pub(crate) use problem::shown;

use super::ScriptUser;

/// Links that one path may lead through: the kernel's own bound.
const LINKS_MAX: u32 = 40;

/// Bytes of a file that the kernel looks at to find out what it is (BINPRM_BUF_SIZE).
const HEAD_BYTES: usize = 256;

/// A script's file, as it was when it was opened.
#[derive(Debug)]
pub struct ScriptFile {
    /// O_PATH descriptor of the file itself, close-on-exec.
    pub handle: OwnedFd,
    /// The path with all links followed: no link, `.` or `..` is in it.
    pub resolved: Vec<u8>,
    /// What tells this file, in this state, from every other.
    pub identity: Identity,
    /// How the kernel would start it.
    pub kind: Kind,
    /// The first component on the way that somebody other than root may change.
    pub weakness: Option<Weakness>,
}

impl ScriptFile {
    /// Whether it would run with root's rights: as root, in root's group, or set-id to either. Then
    /// nobody but root may be able to change it.
    pub fn runs_as_root(&self, user: &ScriptUser) -> bool {
        user.uid == 0 || user.gid == 0 || self.identity.is_set_id_root()
    }
}

/// A file in one state: other content, owner or mode, or another file, is another identity.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Identity {
    /// Device it is on.
    pub dev: u64,
    /// Inode on that device.
    pub ino: u64,
    /// Bytes.
    pub size: i64,
    /// When its content changed last, nanoseconds since 1970.
    pub mtime_ns: i64,
    /// When anything of it changed last.
    pub ctime_ns: i64,
    /// Type and permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

impl Identity {
    /// The identity in the kernel's own words.
    pub fn of(stat: &FileStat) -> Identity {
        let ns = |seconds: i64, ns: i64| seconds.wrapping_mul(1_000_000_000).wrapping_add(ns);
        Identity {
            dev: stat.st_dev,
            ino: stat.st_ino,
            size: stat.st_size,
            mtime_ns: ns(stat.st_mtime, stat.st_mtime_nsec),
            ctime_ns: ns(stat.st_ctime, stat.st_ctime_nsec),
            mode: stat.st_mode,
            uid: stat.st_uid,
            gid: stat.st_gid,
        }
    }

    /// Whether it takes on the rights of root whoever starts it.
    pub fn is_set_id_root(&self) -> bool {
        let has = |bit| self.mode & bit != 0;
        (has(libc::S_ISUID) && self.uid == 0)
            || (has(libc::S_ISGID) && has(libc::S_IXGRP) && self.gid == 0)
    }
}

/// How the kernel starts a file, by its first bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A binary.
    Elf,
    /// We may not read it; a binary, its user may execute all the same.
    Unreadable,
    /// `#!`: the interpreter opens the file again, by its path.
    Interpreted {
        /// The program after `#!`, as written.
        interpreter: Vec<u8>,
        /// What follows it, which the kernel passes on as one argument.
        argument: Vec<u8>,
    },
    /// Neither: a format the kernel was taught, or text without `#!`.
    Other {
        /// Not empty, and no NUL byte in its first line: a shell may make sense of it.
        is_text: bool,
    },
}

impl Kind {
    /// What stands behind `#!`: the interpreter, with its argument where that is env(1).
    pub fn line(&self) -> Option<Vec<u8>> {
        match self {
            Kind::Interpreted { interpreter, argument } if interpreter.ends_with(b"/env") => {
                Some([interpreter, &b" "[..], argument].concat())
            }
            Kind::Interpreted { interpreter, .. } => Some(interpreter.clone()),
            _ => None,
        }
    }
}

/// Opens the file that `program` leads to, for `user` to execute. A relative path starts in the
/// working directory.
///
/// # Errors
/// Names the component where the walk ended.
pub fn open(program: &[u8], user: &ScriptUser) -> Result<ScriptFile, PathProblem> {
    let mut walk = Walk::new(user)?;
    if program.is_empty() {
        return Err(walk.not_found(b"", Errno::ENOENT));
    }
    walk.put_ahead(program);
    if program[0] != b'/' {
        let here = std::env::current_dir().map_err(|error| {
            PathProblem::io(b".", Errno::from_raw(error.raw_os_error().unwrap_or(libc::ENOENT)))
        })?;
        walk.put_ahead(here.as_os_str().as_bytes());
    }
    walk.run()?;
    walk.finish()
}

/// The first file called `program` in the directories of `path_variable` that `user` may execute, as
/// execvp(3) looks it up; but never in the working directory, which is nobody's choice here.
pub fn find(program: &[u8], path_variable: &[u8], user: &ScriptUser) -> Option<Vec<u8>> {
    path_variable
        .split(|byte| *byte == b':')
        .filter(|folder| folder.first() == Some(&b'/'))
        .find_map(|folder| {
            let path = [folder, program].join(&b'/');
            open(&path, user).is_ok().then_some(path)
        })
}

/// One place on the way: a directory that was entered, or what the path led to.
struct Place {
    handle: OwnedFd,
    stat: FileStat,
    /// Length of its path in `Walk::path`.
    length: usize,
}

struct Walk<'user> {
    user: &'user ScriptUser,
    /// From the root to where the walk is: never empty.
    places: Vec<Place>,
    /// Path of the last place, empty for the root.
    path: Vec<u8>,
    /// Components still to be walked, the next one last.
    ahead: Vec<Vec<u8>>,
    links: u32,
    weakness: Option<Weakness>,
}

impl<'user> Walk<'user> {
    fn new(user: &'user ScriptUser) -> Result<Walk<'user>, PathProblem> {
        let (handle, stat) = look(AT_FDCWD, b"/").map_err(|errno| PathProblem::io(b"/", errno))?;
        let weakness = judge::weakness(b"/", &stat, || judge::has_list(&handle));
        Ok(Walk {
            user,
            places: vec![Place { handle, stat, length: 0 }],
            path: Vec::new(),
            ahead: Vec::new(),
            links: 0,
            weakness,
        })
    }

    /// What comes before the components that are ahead already. A slash at the end asks for a
    /// directory: that is what the `.` stands for.
    fn put_ahead(&mut self, path: &[u8]) {
        if path.last() == Some(&b'/') {
            self.ahead.push(b".".to_vec());
        }
        let parts = path.split(|byte| *byte == b'/').filter(|part| !part.is_empty());
        self.ahead.extend(parts.rev().map(<[u8]>::to_vec));
    }

    fn run(&mut self) -> Result<(), PathProblem> {
        while let Some(name) = self.ahead.pop() {
            self.step(&name)?;
        }
        Ok(())
    }

    fn step(&mut self, name: &[u8]) -> Result<(), PathProblem> {
        let here = self.here();
        if here.stat.st_mode & libc::S_IFMT != libc::S_IFDIR {
            return Err(self.not_found(b"", Errno::ENOTDIR));
        }
        if !judge::may_execute(&here.stat, self.user) {
            return Err(self.not_executable(Errno::EACCES));
        }
        match name {
            b"." => return Ok(()),
            b".." => {
                if self.places.len() > 1 {
                    self.places.pop();
                    self.path.truncate(self.here().length);
                }
                return Ok(());
            }
            _ => {}
        }
        let (handle, stat) =
            look(self.here().handle.as_fd(), name).map_err(|errno| match errno {
                Errno::ENOENT | Errno::ENOTDIR | Errno::ENAMETOOLONG | Errno::ELOOP => {
                    self.not_found(name, errno)
                }
                Errno::EACCES | Errno::EPERM => self.not_executable(errno),
                _ => PathProblem::io(&self.path_of(name), errno),
            })?;
        self.judge(&self.path_of(name), &stat, &handle);
        if stat.st_mode & libc::S_IFMT == libc::S_IFLNK {
            return self.follow(name, &handle);
        }
        self.path.push(b'/');
        self.path.extend_from_slice(name);
        self.places.push(Place { handle, stat, length: self.path.len() });
        Ok(())
    }

    fn follow(&mut self, name: &[u8], link: &OwnedFd) -> Result<(), PathProblem> {
        self.links += 1;
        if self.links > LINKS_MAX {
            return Err(self.not_found(name, Errno::ELOOP));
        }
        let target = readlinkat(link, "")
            .map_err(|errno| PathProblem::io(&self.path_of(name), errno))?
            .into_vec();
        if target.first() == Some(&b'/') {
            self.places.truncate(1);
            self.path.clear();
        }
        self.put_ahead(&target);
        Ok(())
    }

    fn finish(mut self) -> Result<ScriptFile, PathProblem> {
        let here = self.here();
        if here.stat.st_mode & libc::S_IFMT != libc::S_IFREG {
            return Err(PathProblem::NotRegular {
                component: self.path_of(b""),
                mode: here.stat.st_mode,
            });
        }
        if !judge::may_execute(&here.stat, self.user) {
            return Err(self.not_executable(Errno::EACCES));
        }
        let kind = kind_of(&here.handle);
        let identity = Identity::of(&here.stat);
        let Some(Place { handle, .. }) = self.places.pop() else {
            return Err(PathProblem::io(&self.path, Errno::ENOENT));
        };
        Ok(ScriptFile { handle, resolved: self.path, identity, kind, weakness: self.weakness })
    }

    fn here(&self) -> &Place {
        &self.places[self.places.len() - 1]
    }

    /// Path of `name` where the walk is; of that place itself for an empty name.
    fn path_of(&self, name: &[u8]) -> Vec<u8> {
        let mut path = self.path.clone();
        if !name.is_empty() || path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(name);
        path
    }

    fn judge(&mut self, path: &[u8], stat: &FileStat, handle: &OwnedFd) {
        if self.weakness.is_none() {
            self.weakness = judge::weakness(path, stat, || judge::has_list(handle));
        }
    }

    fn not_found(&self, name: &[u8], errno: Errno) -> PathProblem {
        PathProblem::NotFound { component: self.path_of(name), errno: errno as i32 }
    }

    fn not_executable(&self, errno: Errno) -> PathProblem {
        PathProblem::NotExecutable {
            component: self.path_of(b""),
            errno: errno as i32,
            user: self.user.name.clone(),
            is_directory: self.here().stat.st_mode & libc::S_IFMT == libc::S_IFDIR,
        }
    }
}

/// Looks at one component without following it, opening it for reading or waiting for it.
fn look(folder: impl AsFd, name: &[u8]) -> Result<(OwnedFd, FileStat), Errno> {
    let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let handle = openat(folder, name, flags, Mode::empty())?;
    let stat = fstat(&handle)?;
    Ok((handle, stat))
}

/// `handle` is a regular file: opening it for reading waits for nothing but its file system.
fn kind_of(handle: &OwnedFd) -> Kind {
    let mut head = Vec::with_capacity(HEAD_BYTES);
    let read = File::options()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(format!("/proc/self/fd/{}", handle.as_raw_fd()))
        .and_then(|file| file.take(HEAD_BYTES as u64).read_to_end(&mut head));
    match read {
        Ok(_) => kind_by_head(&head),
        Err(_) => Kind::Unreadable,
    }
}

fn kind_by_head(head: &[u8]) -> Kind {
    if head.starts_with(b"\x7fELF") {
        return Kind::Elf;
    }
    let line_end = head.iter().position(|byte| *byte == b'\n');
    let is_text = !head.is_empty() && !head[..line_end.unwrap_or(head.len())].contains(&0);
    let Some(line) = head.strip_prefix(b"#!") else { return Kind::Other { is_text } };
    let end = line.iter().position(|byte| *byte == b'\n');
    let line = &line[..end.unwrap_or(line.len())];
    let name = line.trim_ascii_start();
    let name_end = name.iter().position(|byte| matches!(byte, b' ' | b'\t' | 0));
    let is_cut = end.is_none() && name_end.is_none() && head.len() == HEAD_BYTES;
    match &name[..name_end.unwrap_or(name.len())] {
        // The kernel takes neither for a script (ENOEXEC).
        name if name.is_empty() || is_cut => Kind::Other { is_text },
        interpreter => {
            let argument = &name[interpreter.len()..];
            let argument = argument.split(|byte| *byte == 0).next().unwrap_or(b"").trim_ascii();
            Kind::Interpreted { interpreter: interpreter.to_vec(), argument: argument.to_vec() }
        }
    }
}

#[cfg(test)]
mod tests;
