//! What runs a text that begins with `#!`: its interpreter, the interpreter's interpreter, and what env(1)
//! looks up.

use std::borrow::Cow;

use nix::errno::Errno;

use super::{Kind, PathProblem, ScriptFile, find, open};
use crate::fleet::ScriptUser;

/// Interpreters of interpreters: the kernel's own bound (fs/exec.c), and one for env(1).
const CHAIN_MAX: usize = 6;

impl ScriptFile {
    /// Everything that runs this file when the kernel starts it, in order; none for a binary. A program
    /// that env(1) is to find is one of them: it would end with status 127 where there is none, which
    /// would pass for the script's own.
    ///
    /// # Errors
    /// What is missing, or cannot be executed as far as its mode says.
    pub fn interpreters(
        &self,
        user: &ScriptUser,
        path_variable: &[u8],
    ) -> Result<Vec<ScriptFile>, PathProblem> {
        let mut chain: Vec<ScriptFile> = Vec::new();
        while let Some(next) = chain.last().unwrap_or(self).next(user, path_variable)? {
            chain.push(next);
            if chain.len() == CHAIN_MAX {
                return Err(PathProblem::too_many_interpreters(&self.resolved));
            }
        }
        Ok(chain)
    }

    fn next(
        &self,
        user: &ScriptUser,
        path_variable: &[u8],
    ) -> Result<Option<ScriptFile>, PathProblem> {
        let Kind::Interpreted { interpreter, argument } = &self.kind else { return Ok(None) };
        let found = open(&absolute(interpreter), user)?;
        match sought_by_env(interpreter, argument) {
            // What env(1) itself is made of does not matter: it is a binary everywhere.
            Some(word) if found.kind == Kind::Elf => {
                let path = if word.contains(&b'/') {
                    Some(absolute(word).into_owned())
                } else {
                    find(word, path_variable, user)
                };
                match path {
                    Some(path) => open(&path, user).map(Some),
                    None => Err(PathProblem::NotFound {
                        component: word.to_vec(),
                        errno: Errno::ENOENT as i32,
                    }),
                }
            }
            _ => Ok(Some(found)),
        }
    }
}

/// Scripts run in the root directory.
fn absolute(path: &[u8]) -> Cow<'_, [u8]> {
    match path.first() {
        Some(b'/') => Cow::Borrowed(path),
        _ => Cow::Owned([b"/", path].concat()),
    }
}

/// The program in `#!/usr/bin/env PROGRAM`, also behind `-S`; `None` where it is not that simple.
fn sought_by_env<'a>(interpreter: &[u8], argument: &'a [u8]) -> Option<&'a [u8]> {
    if !interpreter.ends_with(b"/env") {
        return None;
    }
    let (rest, is_split) = match argument.strip_prefix(b"-S") {
        Some(rest) => (rest.trim_ascii_start(), true),
        None => (argument, false),
    };
    // Without -S all of it is one word.
    let end = rest.iter().position(u8::is_ascii_whitespace).filter(|_| is_split);
    let word = &rest[..end.unwrap_or(rest.len())];
    let is_plain = !word.is_empty()
        && word[0] != b'-'
        && !word.iter().any(|byte| matches!(byte, b'=' | b'"' | b'\'' | b'$' | b'\\'));
    is_plain.then_some(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn env_is_understood_where_it_is_simple() {
        let sought = |argument: &'static str| {
            sought_by_env(b"/usr/bin/env", argument.as_bytes())
                .map(|word| String::from_utf8_lossy(word).into_owned())
        };
        for (argument, word) in [
            ("python3", Some("python3")),
            ("-S python3 -u", Some("python3")),
            ("-Sperl -w", Some("perl")),
            ("python3 -u", Some("python3 -u")),
            ("-i sh", None),
            ("A=b sh", None),
            ("-S A=b sh", None),
            ("-S \"sh\"", None),
            ("", None),
        ] {
            assert_eq!(sought(argument).as_deref(), word, "{argument}");
        }
        assert_eq!(sought_by_env(b"/bin/sh", b"python3"), None);
    }
}
