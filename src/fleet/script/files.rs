//! What the file system says about scripts when a configuration is read.
//!
//! Only warnings: the file system is not the configuration, and it may be another when the script's
//! turn comes. Each file is looked at once for each user that runs it, however many checkers do.

use std::borrow::Cow;

use super::{Draft, FastMap, SCRIPT_DIRECTORY, SCRIPT_PATH};
use crate::conf::{Code, Diagnostic, Span};
use crate::fleet::lower::Lowering;
use crate::fleet::model::{ProbeSpec, ScriptCommand, ScriptUser};
use crate::fleet::script_file::{self, PathProblem, ScriptFile, Weakness, shown};

/// What runs a command that is for the shell.
const SHELL: &[u8] = b"/bin/sh";

const UNKNOWN: &str = "what cannot be run is `unknown`: neither up nor down";

/// A program that one user runs.
struct Run<'f> {
    program: &'f [u8],
    user: &'f ScriptUser,
    /// The first command that says so.
    first: Span,
    /// Checkers that do.
    checkers: u32,
}

impl Lowering<'_> {
    /// Looks at the file of every script that has its user. `runs` says how many checkers have a spec.
    pub(super) fn look_at_files(&mut self, drafts: &[Draft], runs: &[u32]) {
        let mut found: Vec<Run<'_>> = Vec::new();
        let mut places: FastMap<(&[u8], &ScriptUser), usize> = FastMap::default();
        for draft in drafts {
            let ProbeSpec::Misc(spec) = &self.fleet.specs[draft.spec.index()] else { continue };
            let checkers = runs[draft.spec.index()];
            if checkers == 0 || spec.user.uid == u32::MAX {
                continue;
            }
            let (program, user) = (program(&spec.command), &*spec.user);
            let place = *places.entry((program, user)).or_insert_with(|| {
                found.push(Run { program, user, first: draft.first, checkers: 0 });
                found.len() - 1
            });
            found[place].checkers += checkers;
        }
        for run in &found {
            for diagnostic in run.look(self.fleet.script_security) {
                self.reader.report(diagnostic);
            }
        }
    }
}

fn program(command: &ScriptCommand) -> &[u8] {
    match command {
        ScriptCommand::Argv(arguments) => arguments.first().unwrap_or(&[]),
        ScriptCommand::Shell(_) => SHELL,
    }
}

impl Run<'_> {
    fn look(&self, has_security: bool) -> Vec<Diagnostic> {
        let mut said = Vec::new();
        let name = shown(self.program);
        let path = if self.program.first() == Some(&b'/') {
            Cow::Borrowed(self.program)
        } else if self.program.contains(&b'/') {
            let path = [SCRIPT_DIRECTORY.as_bytes(), self.program].concat();
            let taken = format!("taken as `{}`", shown(&path));
            said.push(self.warning(
                Code::ScriptPath,
                format!("script `{name}` has a relative path"),
                taken,
            ));
            Cow::Owned(path)
        } else {
            match script_file::find(self.program, SCRIPT_PATH.as_bytes(), self.user) {
                Some(path) => {
                    let taken = format!("found as `{}`", shown(&path));
                    said.push(self.warning(
                        Code::ScriptPath,
                        format!("script `{name}` has no full path"),
                        taken,
                    ));
                    Cow::Owned(path)
                }
                None => {
                    let message = format!(
                        "no script `{name}` that {} may execute, in {}",
                        self.user.name, SCRIPT_PATH
                    );
                    return vec![
                        self.warning(Code::ScriptNotFound, message, self.who()).help(UNKNOWN),
                    ];
                }
            }
        };
        match script_file::open(&path, self.user) {
            Ok(file) => {
                let interpreters = file.interpreters(self.user, SCRIPT_PATH.as_bytes());
                if let Err(problem) = &interpreters {
                    let message =
                        format!("the interpreter of script `{name}` cannot be run: {problem}");
                    said.push(self.warning(code(problem), message, self.who()).help(UNKNOWN));
                }
                let interpreters = interpreters.unwrap_or_default();
                let weakness = [&file].into_iter().chain(&interpreters);
                let weakness = weakness.filter_map(|file| file.weakness.as_ref()).next();
                said.extend(self.security(&name, &file, weakness, has_security));
            }
            Err(problem) => {
                let message = format!("script `{name}` cannot be run: {problem}");
                said.push(self.warning(code(&problem), message, self.who()).help(UNKNOWN));
            }
        }
        said
    }

    /// What there is to say of a script with the rights of root.
    fn security(
        &self,
        name: &str,
        file: &ScriptFile,
        weakness: Option<&Weakness>,
        has_security: bool,
    ) -> Option<Diagnostic> {
        let rights = match (self.user.uid, self.user.gid) {
            _ if !file.runs_as_root(self.user) => return None,
            (0, _) => "is run as root",
            (_, 0) => "is run with the group of root",
            _ => "takes on the rights of root",
        };
        match (weakness, has_security) {
            (Some(weakness), _) => {
                let message = format!("script `{name}` {rights} and is not secure: {weakness}");
                let consequence = match has_security {
                    true => "with `enable_script_security` it will not be run: `unknown`",
                    false => "without `enable_script_security` it is run all the same",
                };
                let remedy = weakness.remedy();
                Some(
                    self.warning(Code::ScriptInsecure, message, self.who())
                        .help(format!("{consequence}; let root alone change it: {remedy}")),
                )
            }
            (None, false) => {
                let message = format!("script `{name}` {rights} without `enable_script_security`");
                let found = self.warning(Code::ScriptAsRoot, message, self.who());
                Some(found.help(
                    "give it a user of its own, or write `enable_script_security` in `global_defs`",
                ))
            }
            (None, true) => None,
        }
    }

    fn warning(&self, code: Code, message: String, label: String) -> Diagnostic {
        Diagnostic::new(code, message).at(self.first, label)
    }

    fn who(&self) -> String {
        match self.checkers {
            1 => String::new(),
            checkers => format!("the first of {checkers} checkers that run it"),
        }
    }
}

fn code(problem: &PathProblem) -> Code {
    match problem {
        PathProblem::NotFound { .. } => Code::ScriptNotFound,
        _ => Code::ScriptNotExecutable,
    }
}
