//! What script checks of the fleet do: everything a script can do to the program that runs it.
//!
//! Each is one line for `misc_path`, without a file of its own: a demo leaves none behind. Every
//! one but the healthy ends badly somewhere, and must still have exactly one outcome and leave no
//! process.

use std::time::Duration;

use crate::outcome::{Failure, LocalFault, Outcome, ScriptFault};

/// What the script check of a server does.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum Script {
    /// Exits 0 at once.
    Healthy,
    /// Exits 1.
    ExitsOne,
    /// Exits 3 without `misc_dynamic`.
    ExitsThree,
    /// Exits 22 with `misc_dynamic`.
    Dynamic,
    /// Kills itself.
    DiesOfSignal,
    /// There is no such program.
    Missing,
    /// Sleeps past its timeout.
    Sleeps,
    /// Sleeps past its timeout, and so does its child.
    SleepsTwice,
    /// Ignores SIGTERM, and so do its children.
    IgnoresTerm,
    /// Exits 0, but only when told to end.
    ExitsOnTerm,
    /// Stops itself.
    Stops,
    /// Leaves a child behind in a session of its own.
    Escapes,
    /// Leaves a grandchild behind in a session of its own.
    EscapesTwice,
    /// Leaves 50 children behind.
    Forks,
    /// Writes 10 MiB to its standard error.
    Floods,
    /// Closes all its descriptors.
    Closes,
}

impl Script {
    /// All that do not simply pass, in the order in which script servers take them.
    pub const MISBEHAVIOURS: [Script; 15] = [
        Script::ExitsOne,
        Script::Sleeps,
        Script::SleepsTwice,
        Script::IgnoresTerm,
        Script::ExitsOnTerm,
        Script::Stops,
        Script::Escapes,
        Script::EscapesTwice,
        Script::Forks,
        Script::Floods,
        Script::Closes,
        Script::DiesOfSignal,
        Script::Missing,
        Script::Dynamic,
        Script::ExitsThree,
    ];

    /// The script of the `nth` script server from 0, where scripts misbehave: each misbehaviour has
    /// its turn once. Of the rest one in ten exits 1, which costs no time, and all others pass.
    pub(super) fn nth(nth: u32) -> Script {
        match Script::MISBEHAVIOURS.get(nth as usize) {
            Some(&script) => script,
            None if nth.is_multiple_of(10) => Script::ExitsOne,
            None => Script::Healthy,
        }
    }

    /// The value of `misc_path`, its double quotes included.
    ///
    /// Read twice: inside the double quotes, single quotes hold words together, `\"` is a double
    /// quote and nothing begins a comment.
    pub fn misc_path(self) -> &'static str {
        match self {
            Script::Healthy => r#""/bin/sh -c :""#,
            Script::ExitsOne => r#""/bin/sh -c 'exit 1'""#,
            Script::ExitsThree => r#""/bin/sh -c 'exit 3'""#,
            Script::Dynamic => r#""/bin/sh -c 'exit 22'""#,
            Script::DiesOfSignal => r#""/bin/sh -c 'kill -9 $$'""#,
            Script::Missing => r#""/nonexistent/check""#,
            Script::Sleeps => r#""/bin/sleep 3600""#,
            Script::SleepsTwice => r#""/bin/sh -c 'sleep 3600 & sleep 3600'""#,
            Script::IgnoresTerm => r#""/bin/sh -c 'trap \"\" TERM; while :; do sleep 3600; done'""#,
            Script::ExitsOnTerm => {
                r#""/bin/sh -c 'trap \"exit 0\" TERM; while :; do sleep 3600; done'""#
            }
            Script::Stops => r#""/bin/sh -c 'kill -STOP $$; sleep 3600'""#,
            // The short sleep lets it get away.
            Script::Escapes => r#""/bin/sh -c 'setsid sleep 3600 & sleep 0.1; exit 0'""#,
            Script::EscapesTwice => {
                r#""/bin/sh -c '(setsid sh -c \"sleep 3600 & sleep 3600\" &); sleep 0.1; exit 0'""#
            }
            Script::Forks => {
                r#""/bin/sh -c 'for i in 1 2 3 4 5 6 7 8 9 10; do for j in 1 2 3 4 5; do sleep 3600 & done; done; exit 0'""#
            }
            Script::Floods => r#""/bin/sh -c 'head -c 10485760 /dev/zero >&2; exit 0'""#,
            Script::Closes => r#""/bin/sh -c 'exec 0<&- 1>&- 2>&-; exit 0'""#,
        }
    }

    /// `misc_dynamic`.
    pub fn is_dynamic(self) -> bool {
        self == Script::Dynamic
    }

    /// `misc_timeout`, whole seconds: one for those that it must end, which is as little as there is;
    /// for the others enough for a machine that is busy with something else.
    pub fn timeout(self) -> Duration {
        Duration::from_secs(if self.expected() == TIMEOUT { 1 } else { 10 })
    }

    /// What the check must find.
    pub fn expected(self) -> Outcome {
        match self {
            Script::Healthy
            | Script::Dynamic
            | Script::Escapes
            | Script::EscapesTwice
            | Script::Forks
            | Script::Floods
            | Script::Closes => Outcome::Pass,
            Script::ExitsOne => Outcome::Fail(Failure::ExitStatus(1)),
            Script::ExitsThree => Outcome::Fail(Failure::ExitStatus(3)),
            Script::DiesOfSignal => Outcome::Fail(Failure::Signal(libc::SIGKILL as u8)),
            Script::Sleeps
            | Script::SleepsTwice
            | Script::IgnoresTerm
            | Script::ExitsOnTerm
            | Script::Stops => TIMEOUT,
            Script::Missing => {
                Outcome::Unknown(LocalFault::Script(ScriptFault::NotFound(libc::ENOENT)))
            }
        }
    }
}

/// What is found where a script does not end by itself.
const TIMEOUT: Outcome = Outcome::Fail(Failure::Timeout);

/// The user that this process runs as, as `script_user` spells it: by name, or by number where the
/// user has no name.
pub(super) fn running_user() -> String {
    let uid = nix::unistd::geteuid();
    match nix::unistd::User::from_uid(uid) {
        Ok(Some(user)) => user.name,
        Ok(None) | Err(_) => uid.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn every_misbehaviour_has_its_turn_once_and_first() {
        let first: Vec<Script> = (0..15).map(Script::nth).collect();
        assert_eq!(first, Script::MISBEHAVIOURS);
        let all: std::collections::HashSet<Script> = first.into_iter().collect();
        assert_eq!(all.len(), 15);
        assert!(!all.contains(&Script::Healthy));
    }

    #[test]
    fn the_rest_costs_no_time_and_is_mostly_healthy() {
        let rest: Vec<Script> = (15..200).map(Script::nth).collect();
        let healthy = rest.iter().filter(|&&script| script == Script::Healthy).count();
        let exits = rest.iter().filter(|&&script| script == Script::ExitsOne).count();
        assert_eq!(healthy + exits, rest.len());
        assert_eq!(exits, 18);
    }

    #[test]
    fn the_commands_are_quoted_and_begin_no_comment() {
        for script in Script::MISBEHAVIOURS.into_iter().chain([Script::Healthy]) {
            let path = script.misc_path();
            let inside = path.strip_prefix('"').and_then(|path| path.strip_suffix('"')).unwrap();
            // Every double quote inside is escaped, and every one opened is closed.
            let quotes = inside.matches('"').count();
            assert_eq!(inside.matches("\\\"").count(), quotes, "{path}");
            assert!(quotes.is_multiple_of(2), "{path}");
            assert!(inside.matches('\'').count() == 2 || !inside.contains('\''), "{path}");
            assert!(inside.starts_with('/'), "{path}");
            // The longest line of a keepalived.conf.
            assert!(path.len() < 1_000, "{path}");
        }
    }

    /// Those that end by themselves and leave nothing behind, by the judgement of the shell.
    #[test]
    fn what_ends_by_itself_ends_as_is_said() {
        for script in [
            Script::Healthy,
            Script::ExitsOne,
            Script::ExitsThree,
            Script::Dynamic,
            Script::DiesOfSignal,
            Script::Floods,
            Script::Closes,
        ] {
            let inside = script.misc_path().trim_matches('"');
            let text = inside.strip_prefix("/bin/sh -c ").unwrap().trim_matches('\'');
            let output = Command::new("/bin/sh").args(["-c", text]).output().unwrap();
            let code = match script.expected() {
                Outcome::Pass if script.is_dynamic() => Some(22),
                Outcome::Pass => Some(0),
                Outcome::Fail(Failure::ExitStatus(status)) => Some(i32::from(status)),
                Outcome::Fail(Failure::Signal(9)) => None,
                other => panic!("{script:?}: {other:?}"),
            };
            assert_eq!(output.status.code(), code, "{script:?}");
            let flood = if script == Script::Floods { 10 << 20 } else { 0 };
            assert_eq!(output.stderr.len(), flood, "{script:?}");
        }
    }

    #[test]
    fn whoever_runs_this_has_a_name_or_a_number() {
        let user = running_user();
        let output = Command::new("id").arg("-u").output().unwrap();
        let id = String::from_utf8(output.stdout).unwrap();
        let by_name = nix::unistd::User::from_name(&user).unwrap().map(|user| user.uid.to_string());
        assert_eq!(by_name.unwrap_or(user), id.trim());
    }
}
