//! Scripts that keepalived runs beside its checkers: at changes, at its start and end, behind its FIFOs.
//!
//! Nothing here runs them, so there are only warnings, and only where somebody reads the configuration.
//! Their files are looked at as those of checkers are. Whether there is a script at all decides what
//! keepalived's test says of `enable_script_security`, so what it drops does not count.

use std::collections::HashMap;
use std::sync::Arc;

use super::files::{By, Looks};
use super::user::{Accounts, DEFAULT_USER, UserError, UserName};
use crate::conf::{Class, Code, Diagnostic, Span};
use crate::fleet::effective::{Effective, GlobalValue, Notify, Setting};
use crate::fleet::lower::Lowering;
use crate::fleet::model::{ProbeSpec, ScriptCommand, ScriptUser};

/// What is known of a script of `global_defs` beside its value.
#[derive(Debug)]
pub(super) struct GlobalScript {
    keyword: &'static str,
    fallback: Fallback,
    /// Its user is nobody.
    is_dropped: bool,
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
    /// Takes a script of `global_defs`, in place of one before it. Unlike those of checkers it has the default
    /// user of the lines before it.
    pub(in crate::fleet) fn global_script(
        &mut self,
        keyword: &'static str,
        user: Option<&UserName>,
        header: Span,
    ) {
        if self.effective.is_none() || self.options.no_scripts {
            return;
        }
        let error = user.and_then(|user| self.scripts.accounts.look_up(user, false).err());
        if let Some(error) = &error {
            // The process that begins and ends with them says what is wrong.
            let class = match keyword {
                "startup_script" | "shutdown_script" => Class::General,
                _ => Class::Silent,
            };
            self.reader.report(nobody(error, header).class(class));
        }
        let script =
            GlobalScript { keyword, fallback: self.fallback(), is_dropped: error.is_some() };
        self.scripts.globals.retain(|known| known.keyword != keyword);
        self.scripts.globals.push(script);
    }

    /// Whether the script of this keyword so far is one that keepalived drops, so that another one counts.
    pub(in crate::fleet) fn is_dropped_script(&self, keyword: &str) -> bool {
        self.scripts.globals.iter().any(|known| known.keyword == keyword && known.is_dropped)
    }

    fn fallback(&self) -> Fallback {
        Fallback {
            has_default: self.scripts.default_user.is_some(),
            may_be_root: !self.fleet.script_security,
        }
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
        for script in self.scripts.globals.iter().filter(|script| !script.is_dropped) {
            let counts = match script.keyword {
                "notify_fifo_script" => has_services || has_vrrp,
                "lvs_notify_fifo_script" => has_services,
                "vrrp_notify_fifo_script" => has_vrrp,
                _ => true,
            };
            let setting = effective.globals.values.get(script.keyword);
            if let Some(Setting { value: GlobalValue::Script { command, user }, origin }) = setting
                && let Some(at) = origin.span()
            {
                let (user, fallback) = (user.as_ref(), script.fallback);
                events.push(Event { command, user, at, fallback, counts });
            }
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
