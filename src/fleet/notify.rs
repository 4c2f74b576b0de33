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
        let user = word().map(|user| UserName::from_words(user, word()));
        *place = Setting::written(Some(Notify { command, user }), level, child.header());
    }

    /// Whether this one, at `span`, does not count as its user is nobody; then that is said.
    fn is_dropped(&mut self, notify: Option<&Notify>, span: Span) -> bool {
        let Some(Notify { user: Some(user), .. }) = notify else { return false };
        if self.options.no_scripts {
            return false;
        }
        match user.look_up(false) {
            Ok(_) => false,
            Err(error) => {
                self.reader.report(nobody(&error, span));
                true
            }
        }
    }
}
