//! The end of the way of a line: it is handed out.

use super::line::has_open_quote;
use super::parameter::in_bare_braces;
use super::work::Work;
use super::{Expander, Line};
use crate::conf::class::of_open_quote;
use crate::conf::code::Code;
use crate::conf::diagnostic::{Diagnostic, Diagnostics};
use crate::conf::origin::OPEN_CHUNK;
use crate::conf::source::Span;

impl<'s> Expander<'s> {
    /// Hands a line out, as a place in its file or as a line of the chunk.
    pub(super) fn hand_out(&mut self, mut work: Work<'s>, diagnostics: &mut Diagnostics) {
        let length = work.text.len();
        let unknown = in_bare_braces(&work.text).filter(|_| !work.is_doubtful);
        work.is_doubtful |= unknown.is_some();
        self.hear(&work.text, work.is_doubtful);
        let (file, start) = match work.made {
            None => (work.file, work.start),
            Some(made) => (OPEN_CHUNK, self.chunk.push(&work.text, made.origin)),
        };
        if let Some(unknown) = unknown {
            let name = String::from_utf8_lossy(&work.text[unknown.start + 2..unknown.end - 1]);
            let found = Diagnostic::new(
                Code::UndefinedParameter,
                format!("no parameter `{name}` is defined"),
            )
            .at(Span::new(file, start + unknown.start, start + unknown.end), "");
            let found = found.help("a text of these characters must stand in double quotes");
            self.report(found, diagnostics);
        }
        let bare = self.parameters.not_replaced(&work.text).filter(|_| !work.is_doubtful);
        if let Some(bare) = bare {
            let name = String::from_utf8_lossy(&work.text[bare.clone()]).into_owned();
            let help = format!("write `${{{}}}` to have it replaced", &name[1..]);
            let found = Diagnostic::new(
                Code::NotReplaced,
                format!(
                    "`{name}` is text here: without braces a parameter ends at a blank, `,` or `)`"
                ),
            );
            let place = Span::new(file, start + bare.start, start + bare.end);
            self.report(found.at(place, "not replaced").help(help), diagnostics);
        }
        if work.made.is_some() {
            if let Some(quote) = work.quote.filter(|_| !work.is_quote_known) {
                let open = Span::new(file, start + quote.min(length), start + length);
                let found = Diagnostic::new(Code::UnterminatedQuote, "unterminated quote")
                    .class(of_open_quote(&work.text, quote));
                self.report(found.at(open, "opened here, closed nowhere"), diagnostics);
            }
            if let Some(comment) = work.comment {
                let at = start + comment.min(length);
                let found = Diagnostic::new(
                    Code::EscapedComment,
                    "a comment begins here once the parameters are replaced",
                );
                let found = found.at(Span::new(file, at, at), "");
                self.report(found.help("put the word in double quotes"), diagnostics);
            }
        }
        self.ahead.push_back(Line {
            file,
            start: start as u32,
            end: (start + length) as u32,
            number: work.number,
            quote_open: work.quote.is_some() || (work.made.is_some() && has_open_quote(&work.text)),
            is_doubtful: work.is_doubtful,
        });
    }

    /// Reports something of a line that is handed out; of the open chunk later, when it has a file.
    fn report(&mut self, found: Diagnostic, diagnostics: &mut Diagnostics) {
        let is_open = found.primary.as_ref().is_some_and(|label| label.span.file == OPEN_CHUNK);
        if is_open {
            self.unplaced.push(found);
        } else {
            diagnostics.push(found);
        }
    }
}
