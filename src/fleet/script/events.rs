//! Scripts that keepalived runs beside its checkers: at changes, at its start and end, behind its FIFOs.
//!
//! Nothing here runs them, so there are only warnings, and only where somebody reads the configuration.
//! Their files are looked at as those of checkers are. Whether there is a script at all decides what
//! keepalived's test says of `enable_script_security`, so what it drops does not count.

use std::collections::HashMap;
use std::sync::Arc;

use super::argv::command;
use super::files::{By, Looks};
use super::user::{Accounts, DEFAULT_USER, UserError, UserName};
use crate::conf::{Class, Code, Diagnostic, Directive, Span};
use crate::fleet::effective::{Effective, Notify, Setting};
use crate::fleet::lower::Lowering;
use crate::fleet::model::{ProbeSpec, ScriptCommand, ScriptUser};

/// Keywords of `global_defs` that are scripts.
const GLOBAL_SCRIPTS: &[&str] = &[
    "startup_script",
    "shutdown_script",
    "notify_fifo_script",
    "lvs_notify_fifo_script",
    "vrrp_notify_fifo_script",
];

/// A script of `global_defs`.
#[derive(Debug)]
pub(super) struct GlobalScript {
    keyword: &'static str,
    header: Span,
    command: ScriptCommand,
    user: Option<UserName>,
    fallback: Fallback,
}

/// What a script without a user of its own has, as the lines before it decide.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
struct Fallback {
    /// `script_user` is written.
    has_default: bool,
    /// keepalived takes its own user where there is no other.
    may_be_root: bool,
}

/// A script of either kind.
struct Event<'m> {
    command: &'m ScriptCommand,
    user: Option<&'m UserName>,
    at: Span,
    fallback: Fallback,
    /// A process of keepalived takes it for one of its scripts.
    counts: bool,
}

/// Whom a script runs as.
#[derive(Clone)]
enum Runner {
    User(Arc<ScriptUser>),
    /// Somebody who is not there.
    Nobody(UserError),
    /// Nothing says who.
    Unnamed,
}

impl Lowering<'_> {
    /// Takes the scripts of a `global_defs` block. Unlike those of checkers they have the default user
    /// of the lines before them.
    pub(in crate::fleet) fn global_scripts(&mut self, directive: Directive<'_>) {
        if self.effective.is_none() || self.options.no_scripts {
            return;
        }
        let mut fallback = self.fallback();
        for child in directive.children().filter(|child| !child.is_doubtful()) {
            match self.reader.bytes(child.keyword()) {
                b"enable_script_security" => fallback.may_be_root = false,
                b"script_user" => fallback.has_default = true,
                keyword => {
                    let known = GLOBAL_SCRIPTS.iter().find(|known| known.as_bytes() == keyword);
                    if let Some(keyword) = known {
                        self.global_script(child, keyword, fallback);
                    }
                }
            }
        }
    }

    fn fallback(&self) -> Fallback {
        Fallback {
            has_default: self.scripts.default_user.is_some(),
            may_be_root: !self.fleet.script_security,
        }
    }

    /// `CMD [USER [GROUP]]`. The first that is not dropped counts.
    fn global_script(&mut self, child: Directive<'_>, keyword: &'static str, fallback: Fallback) {
        let [word, rest @ ..] = child.arguments() else { return };
        let header = child.header();
        let known = self.scripts.globals.iter().find(|known| known.keyword == keyword);
        if let Some(known) = known {
            let found = Diagnostic::new(Code::Repeated, format!("second `{keyword}`"))
                .at(header, "this one is ignored")
                .also(known.header, "the one that counts");
            return self.reader.report(found);
        }
        // The process that begins and ends with them says what is wrong.
        let class = match keyword {
            "startup_script" | "shutdown_script" => Class::General,
            _ => Class::Silent,
        };
        // What is no command is said where `global_defs` is read.
        let Ok(command) = command(self.reader.bytes(*word)) else { return };
        let mut words = Vec::with_capacity(2);
        for word in rest.iter().take(2) {
            let Some(word) = self.reader.utf8(*word) else { return };
            words.push(word);
        }
        let user = words.first().map(|user| UserName::from_words(user, words.get(1).copied()));
        let accounts = &mut self.scripts.accounts;
        if let Some(Err(error)) = user.as_ref().map(|user| accounts.look_up(user, false)) {
            return self.reader.report(nobody(&error, header).class(class));
        }
        self.scripts.globals.push(GlobalScript { keyword, header, command, user, fallback });
    }

    /// Says what is wrong with the files and users of these scripts, and gives the first that keepalived
    /// takes for one.
    pub(in crate::fleet) fn look_at_events(&mut self) -> Option<Span> {
        let mut accounts = std::mem::take(&mut self.scripts.accounts);
        let effective = self.effective.as_ref()?;
        let events = self.events(effective);
        let mut users: HashMap<Option<&UserName>, Runner> = HashMap::new();
        let mut said = Vec::new();
        let mut unnamed: Vec<Span> = Vec::new();
        let mut looks = Looks::default();
        let root = accounts.look_up(&UserName::from_words("root", None), false).ok();
        for event in &events {
            let name = match (event.user, &self.scripts.default_user) {
                (None, Some(default)) if event.fallback.has_default => Some(&default.name),
                (user, _) => user,
            };
            let runner =
                users.entry(name).or_insert_with(|| self.runner(name, &mut accounts)).clone();
            let user = match runner {
                Runner::User(user) => user,
                Runner::Nobody(error) => {
                    // That `script_user` is nobody is said once, of its own line.
                    if event.user.is_some() {
                        said.push(nobody(&error, event.at));
                    }
                    continue;
                }
                Runner::Unnamed => match &root {
                    Some(root) if event.fallback.may_be_root => Arc::clone(root),
                    _ => {
                        unnamed.push(event.at);
                        continue;
                    }
                },
            };
            looks.add(event.command, &user, event.at, By::Keepalived { counts: event.counts }, 1);
        }
        if let Some(first) = unnamed.first()
            && !self.reader.diagnostics.has(Code::NoScriptUser)
        {
            let noun = if unnamed.len() == 1 { "script" } else { "scripts" };
            let message = format!("no user to run {} {noun} as", unnamed.len());
            let found = Diagnostic::new(Code::ScriptDropped, message).class(Class::General);
            said.push(found.at(*first, "first here").help(format!(
                "create the user `{DEFAULT_USER}`, or write `script_user USER` in `global_defs`, \
                 before its own scripts"
            )));
        }
        let specs =
            self.fleet.checkers.iter().map(|checker| &self.fleet.specs[checker.spec.index()]);
        looks.are_said(specs.filter_map(|spec| match spec {
            ProbeSpec::Misc(spec) => Some(spec),
            _ => None,
        }));
        let first = looks.run(self.fleet.script_security, &mut said);
        self.scripts.accounts = accounts;
        for diagnostic in said {
            self.reader.report(diagnostic);
        }
        first
    }

    /// Whether one of them has no user but that of `script_user`.
    pub(in crate::fleet) fn events_need_default(&self) -> bool {
        let events = self.effective.as_ref().map(|effective| self.events(effective));
        let mut events = events.into_iter().flatten();
        events.any(|event| event.user.is_none() && event.fallback.has_default)
    }

    fn events<'m>(&'m self, effective: &'m Effective) -> Vec<Event<'m>> {
        let has_services = !effective.virtual_servers.is_empty();
        let has_vrrp = effective.foreign.contains_key("vrrp_instance");
        let mut events: Vec<Event<'m>> = Vec::new();
        for script in &self.scripts.globals {
            let counts = match script.keyword {
                "notify_fifo_script" => has_services || has_vrrp,
                "lvs_notify_fifo_script" => has_services,
                "vrrp_notify_fifo_script" => has_vrrp,
                _ => true,
            };
            let GlobalScript { header, command, user, fallback, .. } = script;
            let (at, fallback, user) = (*header, *fallback, user.as_ref());
            events.push(Event { command, user, at, fallback, counts });
        }
        let fallback = self.fallback();
        let mut take = |notify: &'m Setting<Option<Notify>>| {
            if let (Some(Notify { command, user }), Some(at)) =
                (&notify.value, notify.origin.span())
            {
                let user = user.value.as_ref();
                events.push(Event { command, user, at, fallback, counts: true });
            }
        };
        for service in &effective.virtual_servers {
            take(&service.quorum_up);
            take(&service.quorum_down);
            for server in &service.real_servers {
                take(&server.notify_up);
                take(&server.notify_down);
            }
        }
        events
    }

    /// The user of this name; without one that of the command line or the usual one, if there is any.
    fn runner(&self, name: Option<&UserName>, accounts: &mut Accounts) -> Runner {
        let has_groups = self.globals.set_supplementary_groups.value;
        let (name, is_given) = match (name, &self.options.script_user) {
            (Some(name), _) => (name.clone(), true),
            (None, Some(given)) => (given.clone(), true),
            (None, None) => (UserName::from_words(DEFAULT_USER, None), false),
        };
        match accounts.look_up(&name, has_groups) {
            Ok(user) => Runner::User(user),
            Err(error) if is_given => Runner::Nobody(error),
            Err(_) => Runner::Unnamed,
        }
    }
}

/// A script whose user is nobody: keepalived does without it, and says nothing in its test.
pub(in crate::fleet) fn nobody(error: &UserError, at: Span) -> Diagnostic {
    Diagnostic::new(Code::ScriptDropped, format!("a script that nobody can run: {error}"))
        .class(Class::Silent)
        .at(at, "keepalived drops it")
}
