//! `USER [[:]GROUP]` -> whom a script runs as.
//!
//! A user or group may be named or numbered; a name that is all digits is looked for first, as chown(1)
//! does. Supplementary groups are given only where the configuration asks: `:` before the group, or `:`
//! alone, or `set_supplementary_groups`.

use std::collections::HashMap;
use std::ffi::CString;
use std::fmt::{self, Display};
use std::os::unix::ffi::OsStrExt;
use std::str::FromStr;
use std::sync::Arc;

use nix::unistd::{Gid, Group, Uid, User, getgrouplist};
use thiserror::Error;

use crate::fleet::model::ScriptUser;

/// The user that runs scripts where nothing says who does.
pub(crate) const DEFAULT_USER: &str = "keepalived_script";

/// A user as a configuration or a command line names one.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct UserName {
    user: Box<str>,
    /// `None` for the user's own.
    group: Option<Box<str>>,
    wants_groups: bool,
}

/// Why a name is nobody.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum UserError {
    /// No such user.
    #[error("there is no user `{0}`")]
    NoUser(Box<str>),
    /// No such group.
    #[error("there is no group `{0}`")]
    NoGroup(Box<str>),
    /// A user id that belongs to nobody: its group is not known.
    #[error("user id {0} is nobody's, so its group must be written")]
    NoGroupOfUser(Box<str>),
    /// The user database did not answer.
    #[error("cannot look up `{word}`: {error}")]
    Database {
        /// What was looked for.
        word: Box<str>,
        /// What the system said.
        error: nix::errno::Errno,
    },
}

impl UserError {
    /// Whether the trouble is with the group.
    pub(crate) fn is_about_group(&self, name: &UserName) -> bool {
        match self {
            UserError::NoGroup(_) => true,
            UserError::NoUser(_) | UserError::NoGroupOfUser(_) => false,
            UserError::Database { word, .. } => name.group.as_ref() == Some(word),
        }
    }
}

impl UserName {
    /// The words of `user` and `script_user`: USER, and GROUP, `:GROUP` or `:`.
    pub fn from_words(user: &str, group: Option<&str>) -> UserName {
        let wants_groups = group.is_some_and(|group| group.starts_with(':'));
        let group = group.map(|group| group.strip_prefix(':').unwrap_or(group));
        UserName {
            user: user.into(),
            group: group.filter(|group| !group.is_empty()).map(Box::from),
            wants_groups,
        }
    }

    /// The words that [`from_words`](Self::from_words) makes this name of.
    pub fn words(&self) -> (&str, Option<String>) {
        let group = match (&self.group, self.wants_groups) {
            (Some(group), true) => Some(format!(":{group}")),
            (Some(group), false) => Some(group.to_string()),
            (None, true) => Some(":".to_owned()),
            (None, false) => None,
        };
        (&self.user, group)
    }

    /// The user and group of this name, as this machine knows them; with `set_groups` its supplementary
    /// groups too, whatever the name says.
    ///
    /// # Errors
    /// Names the word that is nobody.
    pub fn look_up(&self, set_groups: bool) -> Result<ScriptUser, UserError> {
        let (entry, uid) = self.user()?;
        let gid = match (&self.group, &entry) {
            (Some(group), _) => group_id(group)?,
            (None, Some(entry)) => entry.gid,
            (None, None) => return Err(UserError::NoGroupOfUser(self.user.clone())),
        };
        let groups = match &entry {
            Some(entry) if set_groups || self.wants_groups => groups_of(entry, gid)?,
            _ => Vec::new(),
        };
        let home = entry.as_ref().map_or(&b"/"[..], |entry| entry.dir.as_os_str().as_bytes());
        Ok(ScriptUser {
            home: home.into(),
            name: entry
                .as_ref()
                .map_or_else(|| self.user.clone(), |entry| entry.name.as_str().into()),
            uid: uid.as_raw(),
            gid: gid.as_raw(),
            groups: groups.into(),
        })
    }

    /// The user's entry, if there is one, and id.
    fn user(&self) -> Result<(Option<User>, Uid), UserError> {
        let failed = |error| UserError::Database { word: self.user.clone(), error };
        if let Some(entry) = User::from_name(&self.user).map_err(failed)? {
            let uid = entry.uid;
            return Ok((Some(entry), uid));
        }
        let uid = number(&self.user).ok_or_else(|| UserError::NoUser(self.user.clone()))?;
        let uid = Uid::from_raw(uid);
        Ok((User::from_uid(uid).map_err(failed)?, uid))
    }
}

/// Names that were looked up: each one once in a reading, as an answer takes longer than all else that is
/// done with a line.
#[derive(Debug, Default)]
pub(in crate::fleet) struct Accounts {
    /// Without supplementary groups that the name does not ask for.
    plain: HashMap<UserName, Result<Arc<ScriptUser>, UserError>>,
    /// With them.
    with_groups: HashMap<UserName, Result<Arc<ScriptUser>, UserError>>,
}

impl Accounts {
    /// The same as [`UserName::look_up`].
    ///
    /// # Errors
    /// As there.
    pub(in crate::fleet) fn look_up(
        &mut self,
        name: &UserName,
        set_groups: bool,
    ) -> Result<Arc<ScriptUser>, UserError> {
        let known = if set_groups { &mut self.with_groups } else { &mut self.plain };
        if let Some(found) = known.get(name) {
            return found.clone();
        }
        let found = name.look_up(set_groups).map(Arc::new);
        known.insert(name.clone(), found.clone());
        found
    }
}

impl Display for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.user)?;
        match &self.group {
            Some(group) => write!(f, ":{group}"),
            None => Ok(()),
        }
    }
}

/// A word that is no `USER[:GROUP]`.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("write USER or USER:GROUP")]
pub struct BadUserName;

impl FromStr for UserName {
    type Err = BadUserName;

    /// `USER` or `USER:GROUP`, as a command line has it: the colon separates and asks for nothing.
    fn from_str(text: &str) -> Result<UserName, BadUserName> {
        let (user, group) = match text.split_once(':') {
            Some((user, group)) => (user, Some(group)),
            None => (text, None),
        };
        if user.is_empty() || group.is_some_and(|group| group.is_empty() || group.contains(':')) {
            return Err(BadUserName);
        }
        Ok(UserName { user: user.into(), group: group.map(Box::from), wants_groups: false })
    }
}

fn group_id(word: &str) -> Result<Gid, UserError> {
    let failed = |error| UserError::Database { word: word.into(), error };
    match Group::from_name(word).map_err(failed)? {
        Some(group) => Ok(group.gid),
        None => number(word).map(Gid::from_raw).ok_or_else(|| UserError::NoGroup(word.into())),
    }
}

/// The groups that initgroups(3) would set.
fn groups_of(entry: &User, gid: Gid) -> Result<Vec<u32>, UserError> {
    let failed = |error| UserError::Database { word: entry.name.as_str().into(), error };
    let name = CString::new(entry.name.as_str()).map_err(|_| failed(nix::errno::Errno::EINVAL))?;
    let groups = getgrouplist(&name, gid).map_err(failed)?;
    let mut groups: Vec<u32> = groups.into_iter().map(Gid::as_raw).collect();
    groups.sort_unstable();
    groups.dedup();
    Ok(groups)
}

/// An id. The highest one means "unchanged" to the kernel and is nobody's.
fn number(word: &str) -> Option<u32> {
    if !word.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    word.parse().ok().filter(|id| *id != u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look_up(user: &str, group: Option<&str>) -> Result<ScriptUser, UserError> {
        UserName::from_words(user, group).look_up(false)
    }

    #[test]
    fn names_and_numbers_are_the_same_user() {
        let root = look_up("root", None).expect("every machine has root");
        assert_eq!((root.uid, root.gid, &*root.name), (0, 0, "root"));
        assert!(root.groups.is_empty(), "nobody asked for more groups");
        assert_eq!(look_up("0", None), Ok(root.clone()));
        assert_eq!(look_up("0", Some("0")), Ok(root));
    }

    #[test]
    fn a_number_that_is_nobodys_needs_a_group() {
        let nobody = "4242424";
        assert_eq!(look_up(nobody, None), Err(UserError::NoGroupOfUser(nobody.into())));
        let user = look_up(nobody, Some("4242425")).expect("numbers need no entry");
        assert_eq!((user.uid, user.gid), (4_242_424, 4_242_425));
        assert_eq!((&*user.name, &*user.home), (nobody, &b"/"[..]));
        assert_eq!(look_up(nobody, Some(":")), Err(UserError::NoGroupOfUser(nobody.into())));
    }

    #[test]
    fn an_unknown_word_is_named() {
        for (user, group, text) in [
            ("no such user", None, "there is no user `no such user`"),
            ("4294967295", None, "there is no user `4294967295`"),
            ("4294967296", Some("0"), "there is no user `4294967296`"),
            ("+0", None, "there is no user `+0`"),
            ("", None, "there is no user ``"),
            ("root", Some("no such group"), "there is no group `no such group`"),
            ("root", Some(":no such group"), "there is no group `no such group`"),
        ] {
            let name = UserName::from_words(user, group);
            let error = name.look_up(false).expect_err("nobody");
            assert_eq!(error.to_string(), text);
            assert_eq!(error.is_about_group(&name), text.contains("group"), "{text}");
        }
    }

    #[test]
    fn more_groups_only_where_asked_for() {
        // Root is in its own group on every machine; which others, is the machine's business.
        for (group, set_groups, has_groups) in [
            (None, false, false),
            (Some("0"), false, false),
            (Some(":"), false, true),
            (Some(":0"), false, true),
            (None, true, true),
            (Some("0"), true, true),
        ] {
            let user = UserName::from_words("root", group).look_up(set_groups).expect("root");
            assert_eq!(user.groups.contains(&0), has_groups, "{group:?} {set_groups}");
            assert_eq!(user.gid, 0);
        }
    }

    #[test]
    fn a_name_is_looked_up_once() {
        let mut accounts = Accounts::default();
        let (root, same) = (UserName::from_words("root", None), UserName::from_words("root", None));
        let first = accounts.look_up(&root, false).expect("root");
        let second = accounts.look_up(&same, false).expect("root");
        assert!(Arc::ptr_eq(&first, &second), "an answer of its own would be another one");
        // Another question has another answer.
        assert!(accounts.look_up(&root, true).expect("root").groups.contains(&0));
        let nobody = UserName::from_words("no such user", None);
        for _ in 0..2 {
            let error = accounts.look_up(&nobody, false).expect_err("nobody");
            assert_eq!(error, UserError::NoUser("no such user".into()));
        }
        assert_eq!((accounts.plain.len(), accounts.with_groups.len()), (2, 1));
    }

    #[test]
    fn the_group_of_a_command_line_asks_for_no_others() {
        let name: UserName = "root:0".parse().expect("USER:GROUP");
        assert!(name.look_up(false).expect("root").groups.is_empty());
        assert_eq!(name.to_string(), "root:0");
        assert_eq!("root".parse::<UserName>().expect("USER").to_string(), "root");
        for bad in ["", ":", "root:", ":0", "root::0", "root:0:"] {
            assert_eq!(bad.parse::<UserName>(), Err(BadUserName), "{bad}");
        }
    }
}
