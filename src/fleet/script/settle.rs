//! The users of scripts, once the whole configuration is known.

use std::collections::HashSet;
use std::sync::Arc;

use super::user::{DEFAULT_USER, UserError, UserName};
use super::{Draft, Scripts, Written};
use crate::conf::{Class, Code, Diagnostic, Span};
use crate::fleet::lower::Lowering;
use crate::fleet::model::{ProbeSpec, ScriptUser};

impl Lowering<'_> {
    /// Gives every script its user, and says what is wrong with it.
    pub(in crate::fleet) fn settle_scripts(&mut self) {
        let mut scripts = std::mem::take(&mut self.scripts);
        self.scripts.accounts = std::mem::take(&mut scripts.accounts);
        if !scripts.drafts.is_empty() {
            scripts.first = self.settle_drafts(&scripts);
        }
        // Those of keepalived itself are still to be looked at.
        let accounts = std::mem::take(&mut self.scripts.accounts);
        self.scripts =
            Scripts { drafts: Vec::new(), known: Default::default(), accounts, ..scripts };
    }

    /// The same of what checkers run. Gives the first script that keepalived takes for one.
    fn settle_drafts(&mut self, scripts: &Scripts) -> Option<Span> {
        // How many checkers run each spec: those of duplicate real servers went away.
        let mut runs = vec![0_u32; self.fleet.specs.len()];
        for checker in &self.fleet.checkers {
            runs[checker.spec.index()] += 1;
        }
        let needs_default = |draft: &&Draft| draft.user.is_none() && runs[draft.spec.index()] > 0;
        let mut found: Vec<_> =
            scripts.users.iter().map(|user| self.written_user(user, scripts)).collect();
        let mut fallback = None;
        if let Some(first) = scripts.drafts.iter().find(needs_default) {
            let drafts = scripts.drafts.iter().filter(needs_default);
            let count = drafts.map(|draft| runs[draft.spec.index()]).sum();
            let default = self.default_user(scripts, first.first, count);
            let is_unnamed = scripts.default_user.is_none() && self.options.script_user.is_none();
            if default.is_none() && is_unnamed && !self.fleet.script_security {
                let root = UserName::from_words("root", None);
                fallback = self.scripts.accounts.look_up(&root, false).ok();
            }
            found.push(default);
        }
        let (users, are_different) = shared(found);
        for draft in &scripts.drafts {
            // The default user is the last.
            let place = draft.user.map_or(scripts.users.len(), |place| place as usize);
            if let ProbeSpec::Misc(spec) = &mut self.fleet.specs[draft.spec.index()]
                && let Some(Some(user)) = users.get(place)
            {
                spec.user = Arc::clone(user);
            }
        }
        let first = self.look_at_files(&scripts.drafts, &runs, fallback);
        if !are_different {
            self.unite_specs();
        }
        first
    }

    fn written_user(&mut self, written: &Written, scripts: &Scripts) -> Option<Arc<ScriptUser>> {
        let found = self.scripts.accounts.look_up(&written.name, scripts.has_groups);
        found.map_err(|error| self.nobody(written, &error)).ok()
    }

    /// Reports a user that the file names and that is not there.
    fn nobody(&mut self, written: &Written, error: &UserError) {
        let span = match (error.is_about_group(&written.name), written.group) {
            (true, Some(group)) => group,
            _ => written.user,
        };
        self.reader.report(Diagnostic::new(Code::UnknownUser, error.to_string()).at(span, ""));
    }

    /// The user of scripts whose checker names none: `count` of them, the first of them at `first`.
    fn default_user(
        &mut self,
        scripts: &Scripts,
        first: Span,
        count: u32,
    ) -> Option<Arc<ScriptUser>> {
        if let Some(written) = &scripts.default_user {
            return self.written_user(written, scripts);
        }
        let given = self.options.script_user.clone();
        let name = given.clone().unwrap_or_else(|| UserName::from_words(DEFAULT_USER, None));
        let error = match (self.scripts.accounts.look_up(&name, scripts.has_groups), given) {
            (Ok(user), _) => return Some(user),
            (Err(error), Some(_)) => {
                Diagnostic::new(Code::UnknownUser, format!("--script-user {name}: {error}"))
            }
            (Err(error @ UserError::Database { .. }), None) => {
                Diagnostic::new(Code::NoScriptUser, error.to_string())
            }
            (Err(_), None) => {
                let noun = if count == 1 { "script" } else { "scripts" };
                let message = format!("no user to run {count} {noun} as");
                let found = Diagnostic::new(Code::NoScriptUser, message);
                // keepalived runs them as root, if nothing forbids it.
                let class = if self.fleet.script_security { Class::General } else { Class::Silent };
                found.class(class).at(first, "first here").help(format!(
                    "create the user `{DEFAULT_USER}`, or write `script_user USER` in \
                     `global_defs` or `user USER` in the checker, or say --script-user USER; \
                     --no-scripts does without these checkers"
                ))
            }
        };
        self.reader.report(error);
        None
    }

    /// Makes equal specs one again: two names may turn out to be one user.
    fn unite_specs(&mut self) {
        let specs = self.take_specs();
        let moved: Vec<_> = specs.into_iter().map(|spec| self.intern_spec(spec)).collect();
        for checker in &mut self.fleet.checkers {
            checker.spec = moved[checker.spec.index()];
        }
    }
}

/// Equal users as one; and whether all were different.
fn shared(found: Vec<Option<Arc<ScriptUser>>>) -> (Vec<Option<Arc<ScriptUser>>>, bool) {
    let mut known: HashSet<Arc<ScriptUser>> = HashSet::new();
    let mut are_different = true;
    let users = found.into_iter().map(|user| {
        let user = user?;
        if let Some(user) = known.get(&user) {
            are_different = false;
            return Some(Arc::clone(user));
        }
        known.insert(Arc::clone(&user));
        Some(user)
    });
    (users.collect(), are_different)
}
