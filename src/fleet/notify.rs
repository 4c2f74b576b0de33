//! Scripts that are run when something changes: `notify_up`, `notify_down`, `quorum_up`, `quorum_down`.

use super::effective::{Level, Notify, Setting};
use super::lower::Lowering;
use super::script::argv::{CommandError, command};
use super::script::events::nobody;
use super::script::user::UserName;
use crate::conf::{Class, Code, Diagnostic, Directive, Span};

impl Lowering<'_> {
    /// `CMD [USER [[:]GROUP]]`. keepalived reports a second one and stays with the first, unless that has a
    /// user who is not there.
    pub(super) fn notify(
        &mut self,
        child: Directive<'_>,
        level: Level,
        place: &mut Setting<Option<Notify>>,
    ) {
        let Some(span) = self.reader.argument(child, "a command") else { return };
        self.reader.ignored_after(child, 3);
        if let Some(first) = place.origin.span()
            && !self.is_dropped(place.value.as_ref(), first)
        {
            let keyword = self.reader.text(child.keyword());
            self.reader.report(
                Diagnostic::new(Code::NoEffect, format!("second `{keyword}` in one block"))
                    .class(Class::General)
                    .at(child.header(), "this one is ignored")
                    .also(first, "the one that counts"),
            );
            return;
        }
        let command = match command(self.reader.bytes(span)) {
            Ok(command) => command,
            Err(error) => {
                let found = Diagnostic::new(Code::BadCommand, "this cannot be run");
                // keepalived does without one that is empty.
                let class = match error {
                    CommandError::Empty => Class::Silent,
                    _ => Code::BadCommand.class(),
                };
                self.reader.report(found.class(class).at(span, error.to_string()));
                return;
            }
        };
        let mut words = child.arguments()[1..].iter();
        let mut word = || -> Option<&str> {
            let span = words.next()?;
            self.reader.utf8(*span)
        };
        let user = match word().map(|user| UserName::from_words(user, word())) {
            Some(user) => Setting::written(Some(user), level, child.header()),
            None => Setting::default(),
        };
        *place = Setting::written(Some(Notify { command, user }), level, child.header());
    }

    /// Gives those without a user of their own that of `script_user`, wherever it stands.
    pub(super) fn settle_notify_users(&mut self) {
        let Some(effective) = &mut self.effective else { return };
        let default_user = &effective.globals.script_user;
        let give = |place: &mut Setting<Option<Notify>>| {
            if let Some(notify) = &mut place.value
                && notify.user.value.is_none()
            {
                notify.user = default_user.clone();
            }
        };
        for service in &mut effective.virtual_servers {
            give(&mut service.quorum_up);
            give(&mut service.quorum_down);
            for server in &mut service.real_servers {
                give(&mut server.notify_up);
                give(&mut server.notify_down);
            }
        }
    }

    /// Whether this one, at `span`, does not count as its user is nobody; then that is said.
    fn is_dropped(&mut self, notify: Option<&Notify>, span: Span) -> bool {
        let Some(user) = notify.and_then(|notify| notify.user.value.as_ref()) else {
            return false;
        };
        if self.options.no_scripts {
            return false;
        }
        match self.scripts.accounts.look_up(user, false) {
            Ok(_) => false,
            Err(error) => {
                self.reader.report(nobody(&error, span));
                true
            }
        }
    }
}
