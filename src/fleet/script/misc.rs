//! The block of a `MISC_CHECK`.

use std::time::Duration;

use super::Key;
use super::argv::command;
use crate::conf::blocks::BlockKind;
use crate::conf::{Code, Diagnostic, Directive, Span};
use crate::fleet::checker::Common;
use crate::fleet::effective::{Level, MiscCheck, Setting};
use crate::fleet::lower::Lowering;
use crate::fleet::model::ScriptCommand;
use crate::fleet::real_server::Server;

/// Seconds: what 32 bits of microseconds hold.
const MISC_TIMEOUT_MAX: u64 = 4294;

/// A script checker while its block is read.
#[derive(Debug, Default)]
struct Block {
    command: Option<(ScriptCommand, Span, Span)>,
    /// Seconds; 0 for not set.
    timeout: Setting<u64>,
    dynamic: Setting<bool>,
    user: Option<(u32, Span)>,
}

const LEVEL: Level = Level::Checker;

impl Lowering<'_> {
    /// Takes a `MISC_CHECK`: all that is known of it, and what its spec will be made of.
    pub(in crate::fleet) fn misc_check(
        &mut self,
        directive: Directive<'_>,
        common: &mut Common,
        server: &Server,
    ) -> Option<(MiscCheck, Box<(Key, Span)>)> {
        self.begin_checker(directive);
        let mut block = Block::default();
        for child in directive.children() {
            common.is_doubtful |= child.is_doubtful();
            if !self.value(child, BlockKind::MiscCheck) {
                self.script_option(child, &mut block, common);
            }
        }
        if common.is_doubtful {
            return None;
        }
        let Some((command, first, header)) = block.command else {
            self.reader.report(
                Diagnostic::new(Code::NoCommand, "`MISC_CHECK` without `misc_path`")
                    .at(directive.keyword(), "nothing to run"),
            );
            return None;
        };
        let timeout = match block.timeout.value {
            0 => server.service_delay_loop,
            seconds => block.timeout.map(|_| Duration::from_secs(seconds)),
        };
        let user = match block.user {
            Some((place, span)) => {
                let written = &self.scripts.users[place as usize];
                Setting::written(Some(written.name.clone()), LEVEL, span)
            }
            None => Setting::default(),
        };
        let check = MiscCheck {
            command: Setting::written(command.clone(), LEVEL, header),
            timeout,
            dynamic: block.dynamic,
            user,
        };
        let key = Key {
            command,
            timeout: timeout.value,
            dynamic: block.dynamic.value,
            user: block.user.map(|(place, _)| place),
        };
        Some((check, Box::new((key, first))))
    }

    fn script_option(&mut self, child: Directive<'_>, block: &mut Block, common: &mut Common) {
        let header = child.header();
        match self.reader.bytes(child.keyword()) {
            b"misc_path" => {
                let command = self.command(child);
                common.is_doubtful |= command.is_none() && !child.arguments().is_empty();
                if let Some((command, span)) = command {
                    block.command = Some((command, span, header));
                }
            }
            b"misc_timeout" => {
                if let Some(seconds) = self.reader.number(child, 0..=MISC_TIMEOUT_MAX) {
                    block.timeout = Setting::written(seconds, LEVEL, header);
                }
            }
            b"misc_dynamic" => {
                self.reader.ignored_after(child, 0);
                block.dynamic = Setting::written(true, LEVEL, header);
            }
            b"user" => {
                let user = self.user_words(child).map(|written| self.intern_user(written));
                common.is_doubtful |= user.is_none();
                if let Some(user) = user {
                    block.user = Some((user, header));
                }
            }
            _ => self.common_option(child, common),
        }
    }

    fn command(&mut self, child: Directive<'_>) -> Option<(ScriptCommand, Span)> {
        let span = self.reader.argument(child, "a command")?;
        if let [_, first, .., last] | [_, first @ last] = child.arguments() {
            self.reader.report(
                Diagnostic::new(Code::IgnoredWords, "ignored after `misc_path`")
                    .at(first.to(*last), "")
                    .help("quote a command together with its arguments; a user has its own `user`"),
            );
        }
        match command(self.reader.bytes(span)) {
            Ok(command) => Some((command, span)),
            Err(error) => {
                self.reader.report(
                    Diagnostic::new(Code::BadCommand, "this cannot be run")
                        .at(span, error.to_string()),
                );
                None
            }
        }
    }
}
