//! Where a line becomes another: its parameters are replaced, or it is repeated.

use std::borrow::Cow;

use memchr::memchr;

use super::comment::scan;
use super::line::{cut_at, has_open_quote};
use super::parameter::Block;
use super::repeat::{self, Keyword, Repeat};
use super::substitute::{Fault, Substitution, Surroundings};
use super::work::Work;
use super::{EXPANSIONS_MAX, Expander, Frame, Made, RAISE};
use crate::conf::code::Code;
use crate::conf::diagnostic::{Diagnostic, Diagnostics};
use crate::conf::origin::{Expansion, Origin};

impl<'s> Expander<'s> {
    /// Lays a repetition on the stack.
    pub(super) fn repeat(
        &mut self,
        work: Work<'s>,
        keyword: Keyword,
        diagnostics: &mut Diagnostics,
    ) {
        let Keyword { word, expansion, open } = keyword;
        let Some(open) = open else {
            let found = Diagnostic::new(Code::BadRepetition, format!("`{word}` without its `(`"));
            let found = found.at(work.place(0, word.len()), "");
            diagnostics.push(found.help(repeat::FORMS));
            return;
        };
        let Some(close) = memchr(b')', &work.text) else {
            let found = Diagnostic::new(Code::BadRepetition, format!("`{word}(` without its `)`"));
            let found = found.at(work.place(0, work.text.len()), "");
            diagnostics.push(found.help(repeat::FORMS));
            return;
        };
        let head = work.place(0, close + 1);
        let inside = work.text[open..close].to_vec();
        let inside = match self.substitute(&inside) {
            Substitution::Unchanged => inside,
            Substitution::Replaced(found) if found.block.is_none() => {
                self.report_odd(&work, open, &found.odd, diagnostics);
                found.text
            }
            Substitution::Replaced(_) => {
                let message = format!("a parameter of several lines inside `{word}()`");
                diagnostics.push(Diagnostic::new(Code::MultiLineUse, message).at(head, ""));
                return;
            }
            Substitution::Failed(fault) => {
                diagnostics.push(self.fault(&work, open, fault));
                return;
            }
        };
        let repeat = match Repeat::parse(word, &inside) {
            Ok(repeat) => repeat,
            Err(message) => {
                let found = Diagnostic::new(Code::BadRepetition, message).at(head, "");
                diagnostics.push(found);
                return;
            }
        };
        let is_inner = self.stack.iter().any(|frame| matches!(frame, Frame::Repeat { .. }));
        if !is_inner {
            self.turns_made = 0;
        }
        let (most, of_one) = (self.lines_max(), self.lines_of_one_max());
        let count = repeat.count();
        let limit = if count > of_one.saturating_sub(self.turns_made) {
            Some(format!("one line makes {of_one} lines at most"))
        } else if count > most.saturating_sub(self.lines_made) {
            Some(format!("parameters and repetitions make {most} lines at most"))
        } else {
            None
        };
        if let Some(limit) = limit {
            let message = format!("`{word}` of {count} turns: {limit}");
            let found = Diagnostic::new(Code::TooManyLines, message).at(head, "");
            let found = found.help(RAISE);
            // Inside another repetition it would be said at every turn.
            match is_inner {
                true => self.cut_off(found, diagnostics),
                false => diagnostics.push(found),
            }
            return;
        }
        let made = work.made.unwrap_or(Made {
            origin: Origin { at: head, expansion, definition: None },
            number: work.number,
        });
        let rest = work.text[close + 1..].into();
        self.lay(Frame::Repeat { repeat, rest, made }, made, diagnostics);
    }

    /// Lays an expansion on the stack, if it is not too high already.
    fn lay(&mut self, frame: Frame<'s>, made: Made, diagnostics: &mut Diagnostics) {
        let depth = self
            .stack
            .iter()
            .rev()
            .take_while(|frame| !matches!(frame, Frame::File(_) | Frame::Files { .. }))
            .count();
        if depth >= EXPANSIONS_MAX {
            let message = format!(
                "parameters and repetitions in one another more than {EXPANSIONS_MAX} deep"
            );
            let found = Diagnostic::new(Code::ExpansionTooDeep, message).at(made.origin.at, "");
            return self.cut_off(found, diagnostics);
        }
        self.stack.push(frame);
    }

    fn substitute(&mut self, text: &[u8]) -> Substitution {
        let open: Vec<Block> = self
            .stack
            .iter()
            .filter_map(|frame| match frame {
                Frame::Lines { block, .. } => Some(block.clone()),
                _ => None,
            })
            .collect();
        let directory = self.file().map_or(std::path::Path::new(""), |reader| reader.directory);
        let around = Surroundings {
            directory,
            config_id: &self.config_id,
            environment: &self.options.environment,
            open: &open,
        };
        self.parameters.substitute(text, around)
    }

    /// Replaces the parameters of a line; false where nothing was replaced and the line is as it will be.
    pub(super) fn replace(&mut self, work: &mut Work<'s>, diagnostics: &mut Diagnostics) -> bool {
        let found = match self.substitute(&work.text) {
            Substitution::Unchanged => return false,
            Substitution::Replaced(found) => found,
            Substitution::Failed(fault) => {
                diagnostics.push(self.fault(work, 0, fault));
                work.is_doubtful = true;
                return false;
            }
        };
        self.report_odd(work, 0, &found.odd, diagnostics);
        let made = work.made.unwrap_or_else(|| Made {
            origin: Origin {
                at: work.place(found.first.start, found.first.end),
                expansion: Expansion::Parameter,
                definition: found.definition,
            },
            number: work.number,
        });
        work.made = Some(made);
        let mut text = found.text;
        let mut scan = scan(&text);
        if let Some(escape) = scan.escape {
            cut_at(&text, escape, &mut scan);
        }
        text.truncate(scan.end);
        work.comment = scan.has_comment.then_some(scan.end).or(work.comment);
        let first = found.block.as_ref().and_then(|block| block.lines.first());
        work.is_quote_known |=
            has_open_quote(&work.text) || first.is_some_and(|first| has_open_quote(&first.text));
        work.quote = scan.quote;
        work.text = Cow::Owned(text);
        if let Some(block) = found.block {
            if let Some(made) = &mut work.made {
                made.origin.definition = block.lines.first().map(|line| line.at);
            }
            if !self.stack.iter().any(|frame| matches!(frame, Frame::Lines { .. })) {
                self.lines_since = 0;
            }
            self.lay(Frame::Lines { block, next: 1, made }, made, diagnostics);
            if self.is_cut_off {
                work.text = Cow::Owned(Vec::new());
            }
        }
        true
    }

    /// A fault of a text that begins `offset` bytes into the line.
    fn fault(&self, work: &Work<'s>, offset: usize, fault: Fault) -> Diagnostic {
        let place = work.place(offset + fault.place.start, offset + fault.place.end);
        let found = Diagnostic::new(fault.code, fault.message).at(place, fault.label);
        fault.definitions.into_iter().fold(found, |found, at| found.also(at, "defined here"))
    }

    fn report_odd(
        &self,
        work: &Work<'s>,
        offset: usize,
        odd: &[Fault],
        diagnostics: &mut Diagnostics,
    ) {
        for fault in odd {
            diagnostics.push(self.fault(work, offset, fault.clone()));
        }
    }
}
