//! The block of a `MISC_CHECK`.

use std::time::Duration;

use super::Key;
use super::argv::command;
use crate::conf::blocks::BlockKind;
use crate::conf::{Code, Diagnostic, Directive, Span};
use crate::fleet::lower::Lowering;
use crate::fleet::model::{Checker, ScriptCommand};
use crate::fleet::real_server::Server;
use crate::fleet::settings::{Defaults, Settings, keep};

const DEFAULTS: Defaults = Defaults { retry: 0, delay_before_retry: Some(1_000_000) };

/// Seconds: what 32 bits of microseconds hold.
const MISC_TIMEOUT_MAX: u64 = 4294;

/// A script checker while its block is read.
#[derive(Debug, Default)]
struct Block {
    settings: Settings,
    command: Option<(ScriptCommand, Span)>,
    /// Seconds; 0 for not set.
    timeout: Option<u64>,
    dynamic: bool,
    user: Option<u32>,
    /// Something could not be read, so nothing more is said about it.
    is_doubtful: bool,
}

impl Lowering<'_> {
    /// Takes a `MISC_CHECK`.
    pub(in crate::fleet) fn script(&mut self, directive: Directive<'_>, server: &Server) {
        if !directive.is_doubtful() {
            self.reader.ignored_after(directive, 0);
        }
        let mut block = Block::default();
        for child in directive.children() {
            block.is_doubtful |= child.is_doubtful();
            if !self.value(child, BlockKind::MiscCheck) {
                self.script_option(child, &mut block);
            }
        }
        let (Some(target), false) = (server.address, block.is_doubtful) else { return };
        let Some((command, first)) = block.command else {
            self.reader.report(
                Diagnostic::new(Code::NoCommand, "`MISC_CHECK` without `misc_path`")
                    .at(directive.keyword(), "nothing to run"),
            );
            return;
        };
        let timeout = match block.timeout.unwrap_or(0) {
            0 => server.service_delay_loop,
            seconds => Duration::from_secs(seconds),
        };
        let key = Key { command, timeout, dynamic: block.dynamic, user: block.user };
        let spec = self.intern_script(key, first);
        let timing = self.intern_timing(block.settings.over(&server.settings).timing(DEFAULTS));
        let line = directive.line();
        self.fleet.checkers.push(Checker { real_server: server.id, target, spec, timing, line });
    }

    fn script_option(&mut self, child: Directive<'_>, block: &mut Block) {
        match self.reader.bytes(child.keyword()) {
            b"misc_path" => {
                let command = self.command(child);
                block.is_doubtful |= command.is_none();
                keep(&mut block.command, command);
            }
            b"misc_timeout" => {
                keep(&mut block.timeout, self.reader.number(child, 0..=MISC_TIMEOUT_MAX));
            }
            b"misc_dynamic" => {
                self.reader.ignored_after(child, 0);
                block.dynamic = true;
            }
            b"user" => {
                let user = self.user_words(child).map(|written| self.intern_user(written));
                block.is_doubtful |= user.is_none();
                keep(&mut block.user, user);
            }
            _ => drop(block.settings.read(&mut self.reader, child, 0)),
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
