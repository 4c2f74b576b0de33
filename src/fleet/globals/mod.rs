//! `global_defs`: what changes what checkers do, here, and the rest by its [`table`]: `read` and `compound`
//! make values of the words, and nothing acts on them.

use super::effective::{Check, GlobalValue, Level, Setting, Verbatim};
use super::lower::Lowering;
use super::value::Reader;
use crate::conf::blocks::BlockKind;
use crate::conf::{Class, Code, Diagnostic, Directive, Span};

mod compound;
mod read;
pub(super) mod table;

use table::Shape;

const LEVEL: Level = Level::Global;

/// Every keyword that `global_defs` knows.
pub fn global_keywords() -> impl Iterator<Item = &'static str> {
    table::keywords()
}

impl Lowering<'_> {
    /// Takes the `global_defs` block.
    pub(super) fn global_defs(&mut self, directive: Directive<'_>) {
        self.reader.ignored_after(directive, 0);
        for child in directive.children() {
            if child.is_doubtful() {
                continue;
            }
            let Some((keyword, shape)) = table::row(self.reader.bytes(child.keyword())) else {
                self.unknown(child, BlockKind::GlobalDefs);
                continue;
            };
            if shape != Shape::Mail {
                self.reader.no_block(child);
            }
            if table::is_later(keyword) {
                self.later(child);
            }
            match shape {
                Shape::Own => self.global_option(child),
                _ => self.global_value(child, keyword, shape),
            }
        }
    }

    /// Keeps a keyword that no code here acts on.
    fn global_value(&mut self, child: Directive<'_>, keyword: &'static str, shape: Shape) {
        if let Some(successor) = table::successor(keyword) {
            self.reader.report(
                Diagnostic::new(Code::Deprecated, format!("`{keyword}` is of the past"))
                    .at(child.keyword(), format!("now `{successor}`")),
            );
        }
        let read = |reader: &mut Reader<'_>| reader.foreign(|reader| reader.global(child, shape));
        let value = match table::is_later(keyword) {
            // It does not look at the values of a keyword that it does not know.
            true => self.reader.only_logged(read),
            false => read(&mut self.reader),
        };
        let header = child.header();
        let is_missing = value.is_none() && child.arguments().is_empty();
        let known = self.globals.values.get(keyword).and_then(|known| known.origin.span());
        if !is_missing
            && !self.is_dropped_script(keyword)
            && self.is_repeated(keyword, known, header)
        {
            return;
        }
        let Some(value) = value else { return };
        if let GlobalValue::Script { user, .. } = &value {
            self.global_script(keyword, user.as_ref(), header);
        }
        match (self.globals.values.get_mut(keyword), value) {
            (Some(Setting { value: GlobalValue::Mail(all), .. }), GlobalValue::Mail(more)) => {
                all.extend(more)
            }
            (_, value) => {
                self.globals.values.insert(keyword, Setting::written(value, LEVEL, header));
            }
        }
    }

    /// Whether a line at `header` does not count, as one of the same keyword did before, at `known`; then that
    /// is reported. Of most keywords the last line counts, without a word.
    fn is_repeated(&mut self, keyword: &str, known: Option<Span>, header: Span) -> bool {
        let Some(first) = known.filter(|_| table::first_counts(keyword)) else { return false };
        self.reader.report(
            Diagnostic::new(Code::Repeated, format!("second `{keyword}`"))
                .at(header, "this one is ignored")
                .also(first, "the one that counts"),
        );
        true
    }

    /// A directive with all that is in it, as it is written.
    pub(super) fn verbatim(&self, directive: Directive<'_>) -> Verbatim {
        let words = directive.words().iter().map(|word| self.reader.bytes(*word).into());
        let block =
            directive.block().map(|block| block.map(|child| self.verbatim(child)).collect());
        Verbatim { words: words.collect(), block }
    }

    fn global_option(&mut self, child: Directive<'_>) {
        let header = child.header();
        match self.reader.bytes(child.keyword()) {
            b"script_user" | b"enable_script_security" | b"set_supplementary_groups" => {
                self.script_global(child);
            }
            b"lvs_flush" => {
                self.reader.ignored_after(child, 0);
                self.globals.lvs_flush = Setting::written(true, LEVEL, header);
            }
            b"lvs_flush_on_stop" | b"lvs_flush_onstop" => self.flush_on_stop(child),
            b"lvs_notify_fifo" => self.fifo(child),
            keyword => {
                let Some(is_on) = self.reader.boolean(child) else { return };
                let optional = Setting::written(Some(is_on), LEVEL, header);
                let setting = Setting::written(is_on, LEVEL, header);
                match keyword {
                    b"checker_log_all_failures" => self.globals.checker_log_all_failures = setting,
                    b"no_checker_emails" => self.globals.no_checker_emails = setting,
                    b"rs_init_notifies" => self.globals.rs_init_notifies = setting,
                    b"smtp_alert" => self.globals.smtp_alert = optional,
                    b"smtp_alert_checker" => self.globals.smtp_alert_checker = optional,
                    _ => {}
                }
            }
        }
    }

    /// `lvs_flush_on_stop [VS]`
    fn flush_on_stop(&mut self, child: Directive<'_>) {
        self.reader.ignored_after(child, 1);
        let each = match child.arguments().first() {
            Some(word) => self.reader.choice(*word, &["VS"]).is_some(),
            None => false,
        };
        self.globals.lvs_flush_on_stop = Setting::written(Some(each), LEVEL, child.header());
    }

    /// `lvs_notify_fifo PATH [USER [GROUP]]`
    fn fifo(&mut self, child: Directive<'_>) {
        if self.reader.argument(child, "a path").is_none() {
            return;
        }
        self.reader.ignored_after(child, 3);
        let known = self.globals.lvs_notify_fifo.origin.span();
        if self.is_repeated("lvs_notify_fifo", known, child.header()) {
            return;
        }
        let texts = child.arguments().iter().take(3).map(|word| self.reader.utf8(*word));
        let Some(texts) = texts.collect::<Option<Vec<_>>>() else { return };
        let words = texts.into_iter().map(Into::into).collect();
        self.globals.lvs_notify_fifo = Setting::written(Some(words), LEVEL, child.header());
    }

    /// Warns of what keepalived says of scripts as a whole.
    pub(super) fn settle_script_globals(&mut self) {
        if self.effective.is_none() || self.options.no_scripts {
            return;
        }
        self.look_at_fifos();
        let label = match self.events_need_default() {
            true => "keepalived drops the scripts that need it",
            false => "no script needs it",
        };
        if let (Some(name), Some(span)) =
            (&self.globals.script_user.value, self.globals.script_user.origin.span())
            && !self.reader.diagnostics.has(Code::UnknownUser)
            && let Err(error) =
                self.scripts.accounts.look_up(name, self.globals.set_supplementary_groups.value)
        {
            self.reader.report(
                Diagnostic::new(Code::UnknownScriptUser, error.to_string()).at(span, label),
            );
        }
        let first = self.first_script();
        let is_said =
            self.reader.diagnostics.iter().any(|found| {
                found.code == Code::ScriptAsRoot && found.keepalived == Class::Security
            });
        if self.fleet.script_security || is_said {
            return;
        }
        if let Some(first) = first {
            self.reader.report(
                Diagnostic::new(
                    Code::NoScriptSecurity,
                    "scripts are run without `enable_script_security`",
                )
                .at(first, "first here")
                .help("write `enable_script_security` into `global_defs`"),
            );
        }
    }

    /// Owners of FIFOs that there are not. keepalived does without the FIFO, with a line in its log.
    fn look_at_fifos(&mut self) {
        let has_groups = self.globals.set_supplementary_groups.value;
        for setting in self.globals.values.values() {
            if let GlobalValue::Fifo { owner: Some(owner), .. } = &setting.value
                && let Some(span) = setting.origin.span()
                && let Err(error) = self.scripts.accounts.look_up(owner, has_groups)
            {
                let message = format!("a FIFO that nobody can own: {error}");
                let found = Diagnostic::new(Code::ScriptDropped, message).class(Class::Silent);
                self.reader.report(found.at(span, "keepalived does without it"));
            }
        }
    }

    /// Gives every setting whose default is another setting's, now that all are known.
    pub(super) fn settle_effective(&mut self) {
        let Some(effective) = &mut self.effective else { return };
        effective.globals = self.globals.clone();
        effective.ssl = self.named.ssl.take().map(|(_, ssl)| ssl).unwrap_or_default();
        effective.track_files = std::mem::take(&mut self.named.track_files);
        effective.bfd_instances = std::mem::take(&mut self.named.bfd_blocks);
        let globals = &effective.globals;
        let alert = match (globals.smtp_alert_checker.value, globals.smtp_alert.value) {
            (Some(is_on), _) => Some(globals.smtp_alert_checker.map(|_| is_on)),
            (None, Some(is_on)) => Some(globals.smtp_alert.map(|_| is_on)),
            (None, None) => None,
        };
        let default_user = globals.script_user.clone();
        for service in &mut effective.virtual_servers {
            if !service.smtp_alert.origin.is_written() {
                service.smtp_alert = alert.unwrap_or(Setting::default_of(false));
            }
            for server in &mut service.real_servers {
                if !server.smtp_alert.origin.is_written() {
                    server.smtp_alert = alert.unwrap_or(Setting::default_of(true));
                }
                for checker in &mut server.checkers {
                    if let Check::Misc(check) = &mut checker.check
                        && check.user.value.is_none()
                    {
                        check.user = default_user.clone();
                    }
                }
            }
        }
    }

    /// Notes a block that is no business of a health checker.
    pub(super) fn foreign(&mut self, keyword: &[u8], span: Span) {
        if let Some(effective) = &mut self.effective {
            let keyword = String::from_utf8_lossy(keyword).into_owned();
            effective.foreign.entry(keyword).or_insert((span, 0)).1 += 1;
        }
    }
}
