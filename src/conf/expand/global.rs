//! What `global_defs` says to the macro layer: `include_check` and `random_seed`.
//!
//! Lines are read ahead of the tree, so what is in which block is found out here, as far as it matters: the
//! inside of `global_defs`, and how deep other blocks are.

use memchr::{memchr, memchr2};

use super::Expander;
use crate::conf::blocks::{BlockKind, block_of};
use crate::conf::lexer::is_blank;

/// Which blocks are open where the next line begins.
#[derive(Clone, Debug, Default)]
pub(super) struct Place {
    /// Braces of blocks that are of no interest; while there are any, only braces are looked at.
    others: u32,
    /// Braces of `global_defs`: one, and those that stand there without a keyword.
    globals: u32,
    /// A keyword whose `{` did not come yet.
    waiting: Option<Waiting>,
}

#[derive(Copy, Clone, Debug)]
struct Waiting {
    is_globals: bool,
    /// Known to open a block: it does even without its `{`.
    is_certain: bool,
}

impl Place {
    /// Notes the words up to a brace or a line's end; true where they are words of `global_defs`.
    fn words(&mut self, keyword: &[u8]) -> bool {
        if let Some(waiting) = self.waiting.take().filter(|waiting| waiting.is_certain) {
            self.enter(waiting);
        }
        if self.others > 0 {
            return false;
        }
        let is_inside = self.globals > 0;
        let parent = if is_inside { BlockKind::GlobalDefs } else { BlockKind::Root };
        let kind = block_of(parent, keyword);
        let is_globals = kind == Some(BlockKind::GlobalDefs);
        self.waiting = Some(Waiting { is_globals, is_certain: kind.is_some() });
        is_inside
    }

    fn enter(&mut self, waiting: Waiting) {
        if waiting.is_globals {
            self.globals = 1;
        } else {
            self.others = self.others.saturating_add(1);
        }
    }

    fn open(&mut self) {
        match self.waiting.take() {
            Some(waiting) => self.enter(waiting),
            None if self.others == 0 && self.globals > 0 => {
                self.globals = self.globals.saturating_add(1);
            }
            None => self.others = self.others.saturating_add(1),
        }
    }

    fn close(&mut self) {
        if self.waiting.take().is_some_and(|waiting| waiting.is_certain) {
            // It closes the block whose `{` is missing.
        } else if self.others > 0 {
            self.others -= 1;
        } else {
            self.globals = self.globals.saturating_sub(1);
        }
    }
}

impl Expander<'_> {
    /// Hears what a line that is handed out says to the macro layer. Braces of `${NAME}` are none in a line
    /// that `is_doubtful`.
    #[inline]
    pub(super) fn hear(&mut self, text: &[u8], is_doubtful: bool) {
        let place = &self.place;
        if place.others > 0 && place.waiting.is_none() && memchr2(b'{', b'}', text).is_none() {
            return;
        }
        self.hear_all(text, is_doubtful);
    }

    fn hear_all(&mut self, text: &[u8], is_doubtful: bool) {
        let (mut start, mut pos, mut quoted) = (0, 0, false);
        while let Some(byte) = text.get(pos) {
            match byte {
                b'\\' => pos += 1,
                b'"' => quoted = !quoted,
                b'$' if is_doubtful && text.get(pos + 1) == Some(&b'{') => {
                    pos += memchr(b'}', &text[pos..]).unwrap_or(0);
                }
                b'{' | b'}' if !quoted => {
                    self.hear_words(&text[start..pos]);
                    if *byte == b'{' {
                        self.place.open();
                    } else {
                        self.place.close();
                    }
                    start = pos + 1;
                }
                _ => {}
            }
            pos += 1;
        }
        self.hear_words(&text[start.min(text.len())..]);
    }

    fn hear_words(&mut self, text: &[u8]) {
        let mut words = text.split(|byte| is_blank(*byte)).filter(|word| !word.is_empty());
        let Some(keyword) = words.next() else { return };
        if !self.place.words(keyword) {
            return;
        }
        match keyword {
            b"include_check" => self.checks = self.checks.changed(&words.collect::<Vec<_>>()),
            b"random_seed" if self.options.random_seed.is_none() => {
                let seed = words.next().and_then(|seed| std::str::from_utf8(seed).ok());
                if let Some(seed) = seed.and_then(|seed| seed.parse().ok()) {
                    self.parameters.seed(seed);
                }
            }
            _ => {}
        }
    }
}
