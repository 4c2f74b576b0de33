//! What the file system says about scripts when a configuration is read.
//!
//! Only warnings: the file system is not the configuration, and it may be another when the script's
//! turn comes. Each file is looked at once for each user that runs it, however many checkers do.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;

use super::{Draft, FastMap, SCRIPT_DIRECTORY, SCRIPT_PATH};
use crate::conf::{Class, Code, Diagnostic, Span};
use crate::fleet::lower::Lowering;
use crate::fleet::model::{MiscSpec, ProbeSpec, ScriptCommand, ScriptUser};
use crate::fleet::script_file::{self, PathProblem, ScriptFile, Weakness, shown};

/// What runs a command that is for the shell.
const SHELL: &[u8] = b"/bin/sh";

const UNKNOWN: &str = "what cannot be run is `unknown`: neither up nor down";

const DROPPED: &str = "keepalived logs that and does without it";

/// Who runs a program.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub(super) enum By {
    /// Checkers.
    Checkers,
    /// keepalived, and nobody else.
    Keepalived {
        /// A process that is there takes it for one of its scripts.
        counts: bool,
    },
}

/// A program that one user runs.
#[derive(Debug)]
struct Run<'f> {
    program: &'f [u8],
    /// It stands for a command that only a shell understands, and keepalived looks for a file.
    is_shell: bool,
    user: Arc<ScriptUser>,
    by: By,
    /// The first command that says so.
    first: Span,
    /// Checkers or settings that do.
    runs: u32,
    /// Checkers run it as well, of which everything was said.
    is_said: bool,
}

/// What tells one [`Run`] from another.
type RunKey<'f> = (&'f [u8], bool, Arc<ScriptUser>, By);

/// Programs to be looked at, each once for each user.
#[derive(Debug, Default)]
pub(super) struct Looks<'f> {
    found: Vec<Run<'f>>,
    places: FastMap<RunKey<'f>, usize>,
}

impl<'f> Looks<'f> {
    /// Adds what `runs` checkers or settings run; the first is at `first`.
    pub(super) fn add(
        &mut self,
        command: &'f ScriptCommand,
        user: &Arc<ScriptUser>,
        first: Span,
        by: By,
        runs: u32,
    ) {
        let (program, is_shell) = program(command);
        let key = (program, is_shell, Arc::clone(user), by);
        let place = *self.places.entry(key).or_insert_with(|| {
            let user = Arc::clone(user);
            self.found.push(Run { program, is_shell, user, by, first, runs: 0, is_said: false });
            self.found.len() - 1
        });
        self.found[place].runs += runs;
    }

    /// Remembers what checkers run: of that everything was said when they were looked at.
    pub(super) fn are_said<'s>(&mut self, specs: impl Iterator<Item = &'s MiscSpec>) {
        let of = |command, user| (program(command), user);
        let said: HashSet<_> = specs.map(|spec| of(&spec.command, &spec.user)).collect();
        for run in &mut self.found {
            run.is_said = said.contains(&((run.program, run.is_shell), &run.user));
        }
    }

    /// Looks, says what there is to say, and gives the first script that keepalived takes for one.
    pub(super) fn run(self, has_security: bool, said: &mut Vec<Diagnostic>) -> Option<Span> {
        let there = self.found.iter().filter(|run| match run.is_said {
            true => run.is_there(),
            false => run.look(has_security, said),
        });
        there.map(|run| run.first).min()
    }
}

impl Lowering<'_> {
    /// Looks at the file of every script that has its user, and gives the first script that keepalived
    /// takes for one. `runs` says how many checkers have a spec. Those without a user are `fallback`'s for
    /// keepalived, where there is one; they are not run here, so that of their files only the absence is said.
    pub(super) fn look_at_files(
        &mut self,
        drafts: &[Draft],
        runs: &[u32],
        fallback: Option<Arc<ScriptUser>>,
    ) -> Option<Span> {
        let (mut looks, mut silent) = (Looks::default(), Looks::default());
        for draft in drafts {
            let ProbeSpec::Misc(spec) = &self.fleet.specs[draft.spec.index()] else { continue };
            let checkers = runs[draft.spec.index()];
            if checkers == 0 {
                continue;
            }
            let (command, first) = (&spec.command, draft.first);
            if spec.user.uid != u32::MAX {
                looks.add(command, &spec.user, first, By::Checkers, checkers);
            } else if let (None, Some(user)) = (draft.user, &fallback) {
                silent.add(command, user, first, By::Checkers, checkers);
            }
        }
        let mut said = Vec::new();
        let first = looks.run(self.fleet.script_security, &mut said);
        let mut of_nobody = Vec::new();
        let silent = silent.run(self.fleet.script_security, &mut of_nobody);
        // Whoever will run it, it must be there.
        of_nobody.retain(|found| found.code == Code::ScriptNotFound);
        for diagnostic in said.into_iter().chain(of_nobody) {
            self.reader.report(diagnostic);
        }
        [first, silent].into_iter().flatten().min()
    }
}

impl Run<'_> {
    /// Says what there is to say, and whether keepalived takes it for one of its scripts.
    fn look(&self, has_security: bool, said: &mut Vec<Diagnostic>) -> bool {
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
            match script_file::find(self.program, SCRIPT_PATH.as_bytes(), &self.user) {
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
                    said.push(
                        self.warning(Code::ScriptNotFound, message, self.who())
                            .help(self.outcome()),
                    );
                    return self.is_there();
                }
            }
        };
        let found = script_file::open(&path, &self.user);
        let is_there = match &*path == self.program && !self.is_shell {
            true => self.counts() && is_seen(&found),
            false => self.is_there(),
        };
        match found {
            Ok(file) => {
                let interpreters = file.interpreters(&self.user, SCRIPT_PATH.as_bytes());
                if let Err(problem) = &interpreters {
                    let message =
                        format!("the interpreter of script `{name}` cannot be run: {problem}");
                    said.push(
                        self.warning(code(problem), message, self.who()).help(self.outcome()),
                    );
                }
                let interpreters = interpreters.unwrap_or_default();
                let weakness = [&file].into_iter().chain(&interpreters);
                let weakness = weakness.filter_map(|file| file.weakness.as_ref()).next();
                let found = self.security(&name, &file, weakness, has_security);
                // What keepalived drops or does not find is no violation.
                let is_violation = is_there && !has_security;
                let class = if is_violation { Class::Security } else { Class::Silent };
                said.extend(found.map(|found| found.class(class)));
            }
            Err(problem) => {
                let message = format!("script `{name}` cannot be run: {problem}");
                said.push(self.warning(code(&problem), message, self.who()).help(self.outcome()));
            }
        }
        is_there
    }

    fn counts(&self) -> bool {
        self.by != By::Keepalived { counts: false }
    }

    /// Whether keepalived's test finds a file: it starts where it is started, and does not ask for the
    /// right to execute it.
    fn is_there(&self) -> bool {
        let is_at = |path: &[u8]| is_seen(&script_file::open(path, &self.user));
        let is_found = || match self.program.contains(&b'/') {
            true => is_at(self.program),
            false => {
                let mut folders = SCRIPT_PATH.split(':').map(str::as_bytes);
                folders.any(|folder| is_at(&[folder, self.program].join(&b'/')))
            }
        };
        self.counts() && !self.is_shell && is_found()
    }

    /// What becomes of a script that cannot be run.
    fn outcome(&self) -> &'static str {
        match self.by {
            By::Checkers => UNKNOWN,
            By::Keepalived { .. } => DROPPED,
        }
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
            _ if !file.runs_as_root(&self.user) => return None,
            (0, _) => "is run as root",
            (_, 0) => "is run with the group of root",
            _ => "takes on the rights of root",
        };
        match (weakness, has_security) {
            (Some(weakness), _) => {
                let message = format!("script `{name}` {rights} and is not secure: {weakness}");
                let consequence = match has_security {
                    true if self.by == By::Checkers => {
                        "with `enable_script_security` it will not be run: `unknown`"
                    }
                    true => "with `enable_script_security` keepalived does not run it",
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
        match (self.runs, self.by) {
            (1, _) => String::new(),
            (checkers, By::Checkers) => {
                format!("the first of {checkers} checkers that run it")
            }
            (settings, _) => format!("the first of {settings} that name it"),
        }
    }
}

/// The program of a command, and whether it is the shell.
fn program(command: &ScriptCommand) -> (&[u8], bool) {
    match command {
        ScriptCommand::Argv(arguments) => (arguments.first().unwrap_or(&[]), false),
        ScriptCommand::Shell(_) => (SHELL, true),
    }
}

/// Whether keepalived's test takes what a path leads to for a script: it only has to be within reach.
fn is_seen(found: &Result<ScriptFile, PathProblem>) -> bool {
    match found {
        Ok(_) | Err(PathProblem::NotRegular { .. }) => true,
        Err(PathProblem::NotExecutable { is_directory, .. }) => !is_directory,
        Err(_) => false,
    }
}

fn code(problem: &PathProblem) -> Code {
    match problem {
        PathProblem::NotFound { .. } => Code::ScriptNotFound,
        _ => Code::ScriptNotExecutable,
    }
}
