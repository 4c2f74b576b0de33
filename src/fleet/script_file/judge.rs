//! Who may execute a file, and who may change it: by owner, group and mode bits, and whether there is more.

use std::fmt;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::sys::stat::FileStat;

use super::problem::shown;
use crate::fleet::ScriptUser;

/// A component of a path that somebody other than root may change.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Weakness {
    /// Its path; every component before the last is a directory and no link.
    pub component: Vec<u8>,
    /// Its owner.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// Type and permission bits.
    pub mode: u32,
    /// Who may change it.
    pub why: Why,
}

/// Who, other than root, may change a component.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Why {
    /// Its owner is not root.
    Owner,
    /// Everybody may write to it.
    World,
    /// A group other than root's may write to it.
    Group,
    /// It has an access control list, and the mode says that the list lets somebody write.
    List,
}

impl fmt::Display for Weakness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Weakness { component, uid, gid, mode, why } = self;
        let who = match why {
            Why::Owner => "its owner",
            Why::World => "everybody",
            Why::Group => "its group",
            Why::List => "whoever its access control list (ACL) names",
        };
        let (path, mode) = (shown(component), mode_text(*mode));
        write!(f, "`{path}` (owner {uid}:{gid}, mode {mode}): {who} may change it")
    }
}

impl Weakness {
    /// The command by which nobody but root may change it. Another weakness may stand behind this one.
    pub fn remedy(&self) -> String {
        let command = match self.why {
            Why::Owner if self.mode & libc::S_IFMT == libc::S_IFLNK => "chown -h root",
            Why::Owner => "chown root",
            Why::World => "chmod o-w",
            Why::Group => "chmod g-w",
            Why::List => "setfacl -b",
        };
        format!("`{command} {}`", shown(&self.component))
    }
}

/// Who may change this component, if anybody but root may. A directory with the sticky bit may be
/// open to all: nobody but root takes root's files out of it. The mode of a link means nothing.
///
/// With an access control list the group's bits are the list's mask: without the bit to write nobody it
/// names may write, and with it somebody may, who is not looked for. `has_list` says whether there is one.
pub(super) fn weakness(
    path: &[u8],
    stat: &FileStat,
    has_list: impl FnOnce() -> bool,
) -> Option<Weakness> {
    let kind = stat.st_mode & libc::S_IFMT;
    let is_sticky = kind == libc::S_IFDIR && stat.st_mode & libc::S_ISVTX != 0;
    let has = |bit| kind != libc::S_IFLNK && !is_sticky && stat.st_mode & bit != 0;
    let why = if stat.st_uid != 0 {
        Why::Owner
    } else if has(libc::S_IWOTH) {
        Why::World
    } else if has(libc::S_IWGRP) && stat.st_gid != 0 {
        Why::Group
    } else if has(libc::S_IWGRP) && has_list() {
        Why::List
    } else {
        return None;
    };
    Some(Weakness {
        component: path.to_vec(),
        uid: stat.st_uid,
        gid: stat.st_gid,
        mode: stat.st_mode,
        why,
    })
}

/// Whether a component has an access control list of POSIX, beyond the mode bits.
pub(super) fn has_list(handle: &OwnedFd) -> bool {
    let path = format!("/proc/self/fd/{}", handle.as_raw_fd());
    xattr::get_deref(path, "system.posix_acl_access").is_ok_and(|list| list.is_some())
}

/// Whether `user` may execute this file or search this directory. Root searches every directory, and
/// executes what anybody may execute.
pub(super) fn may_execute(stat: &FileStat, user: &ScriptUser) -> bool {
    let any = libc::S_IXUSR | libc::S_IXGRP | libc::S_IXOTH;
    let bits = if user.uid == 0 {
        if stat.st_mode & libc::S_IFMT == libc::S_IFDIR {
            return true;
        }
        any
    } else if stat.st_uid == user.uid {
        libc::S_IXUSR
    } else if stat.st_gid == user.gid || user.groups.contains(&stat.st_gid) {
        libc::S_IXGRP
    } else {
        libc::S_IXOTH
    };
    stat.st_mode & bits != 0
}

/// As ls(1) writes it: `drwxrwxr-x`.
pub(super) fn mode_text(mode: u32) -> String {
    let kind = match mode & libc::S_IFMT {
        libc::S_IFDIR => 'd',
        libc::S_IFLNK => 'l',
        libc::S_IFIFO => 'p',
        libc::S_IFSOCK => 's',
        libc::S_IFCHR => 'c',
        libc::S_IFBLK => 'b',
        _ => '-',
    };
    let mut text = String::from(kind);
    let classes = [(6, libc::S_ISUID, 's'), (3, libc::S_ISGID, 's'), (0, libc::S_ISVTX, 't')];
    for (shift, special, letter) in classes {
        let bits = mode >> shift;
        text.push(if bits & 4 != 0 { 'r' } else { '-' });
        text.push(if bits & 2 != 0 { 'w' } else { '-' });
        text.push(match (mode & special != 0, bits & 1 != 0) {
            (true, true) => letter,
            (true, false) => letter.to_ascii_uppercase(),
            (false, true) => 'x',
            (false, false) => '-',
        });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_written_as_ls_writes_them() {
        for (mode, text) in [
            (0o040_775, "drwxrwxr-x"),
            (0o041_777, "drwxrwxrwt"),
            (0o104_755, "-rwsr-xr-x"),
            (0o102_745, "-rwxr-Sr-x"),
            (0o120_777, "lrwxrwxrwx"),
            (0o010_600, "prw-------"),
        ] {
            assert_eq!(mode_text(mode), text);
        }
    }

    fn stat(mode: u32, uid: u32, gid: u32) -> FileStat {
        let mut stat = nix::sys::stat::stat("/").expect("there is a root");
        (stat.st_mode, stat.st_uid, stat.st_gid) = (mode, uid, gid);
        stat
    }

    #[test]
    fn only_root_may_be_able_to_change_a_component() {
        for (mode, uid, gid, why) in [
            (0o040_755, 0, 0, None),
            (0o040_775, 0, 0, None),
            (0o040_775, 0, 7, Some(Why::Group)),
            (0o040_777, 0, 0, Some(Why::World)),
            (0o041_777, 0, 0, None),
            (0o041_777, 5, 0, Some(Why::Owner)),
            (0o040_755, 5, 0, Some(Why::Owner)),
            (0o100_755, 0, 7, None),
            // The sticky bit of a file protects nothing.
            (0o101_777, 0, 0, Some(Why::World)),
            (0o100_775, 0, 7, Some(Why::Group)),
            (0o120_777, 0, 7, None),
            (0o120_777, 5, 0, Some(Why::Owner)),
        ] {
            let found =
                weakness(b"/x", &stat(mode, uid, gid), || false).map(|weakness| weakness.why);
            assert_eq!(found, why, "{mode:o} {uid}:{gid}");
        }
    }

    #[test]
    fn a_list_counts_where_its_mask_lets_somebody_write() {
        for (mode, why) in [(0o100_755, None), (0o100_775, Some(Why::List)), (0o041_775, None)] {
            let found = weakness(b"/x", &stat(mode, 0, 0), || true).map(|weakness| weakness.why);
            assert_eq!(found, why, "{mode:o}");
        }
    }

    #[test]
    fn a_weakness_names_the_command_that_ends_it() {
        for (mode, uid, gid, has_list, command) in [
            (0o100_757, 0, 0, false, "chmod o-w"),
            (0o100_775, 0, 7, false, "chmod g-w"),
            (0o100_775, 0, 0, true, "setfacl -b"),
            (0o040_755, 5, 0, false, "chown root"),
            (0o120_777, 5, 0, false, "chown -h root"),
        ] {
            let found = weakness(b"/x", &stat(mode, uid, gid), || has_list);
            assert_eq!(found.map(|found| found.remedy()), Some(format!("`{command} /x`")));
        }
    }

    #[test]
    fn the_first_class_that_fits_decides_who_may_execute() {
        let user = |uid, gid, groups: &[u32]| ScriptUser {
            name: "someone".into(),
            home: (*b"/").into(),
            uid,
            gid,
            groups: groups.into(),
        };
        for (mode, who, may) in [
            (0o100_700, user(5, 1, &[]), true),
            (0o100_077, user(5, 1, &[]), false),
            (0o100_010, user(6, 7, &[]), true),
            (0o100_010, user(6, 1, &[3, 7]), true),
            (0o100_701, user(6, 7, &[]), false),
            (0o100_701, user(6, 1, &[7]), false),
            (0o100_001, user(6, 1, &[3]), true),
            (0o100_770, user(6, 1, &[3]), false),
            (0o100_001, user(0, 0, &[]), true),
            (0o100_666, user(0, 0, &[]), false),
            (0o040_000, user(0, 0, &[]), true),
            (0o040_666, user(6, 1, &[]), false),
        ] {
            assert_eq!(may_execute(&stat(mode, 5, 7), &who), may, "{mode:o} {who:?}");
        }
    }
}
