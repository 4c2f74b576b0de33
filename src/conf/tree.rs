//! Segments and braces -> one root directive at a time, with everything in it.
//!
//! The tree is flat: nodes in the order of the file, each with the index behind its last descendant,
//! and one list of all words. 16 bytes a directive and 8 a word, so that a virtual server with a
//! million real servers can be held; the parser empties and re-uses it for every root directive.
//!
//! Braces out of balance are reported where they show. Where a keyword can only belong to an outer
//! block, the blocks in between are taken as closed, so that one lost brace is one error.

use memchr::memchr3_iter;

use super::blocks::{BlockKind, block_of};
use super::code::Code;
use super::diagnostic::{Diagnostic, Diagnostics};
use super::lexer::{Item, Lexer};
use super::options::LanguageOptions;
use super::source::{FileId, Sources, Span};

/// Blocks in blocks. keepalived's own need five.
const DEPTH_MAX: usize = 64;

/// One root directive and all that is in its block.
#[derive(Debug, Default)]
pub struct Tree {
    nodes: Vec<Node>,
    words: Vec<Span>,
}

#[derive(Copy, Clone, Debug)]
struct Node {
    first_word: u32,
    line: u32,
    /// Index behind the last descendant.
    end: u32,
    words: u16,
    has_block: bool,
    doubtful: bool,
}

impl Tree {
    /// Empty, with address space for any one of `sources` being one root directive. Growing by steps would
    /// leave holes in the heap as large as the tree; pages that are never touched cost nothing.
    pub fn for_sources(sources: &Sources) -> Tree {
        let ends = |text: &[u8]| memchr3_iter(b'\n', b'{', b'}', text).count();
        let ends = sources.iter().map(|source| ends(source.text())).max().unwrap_or(0);
        let mut tree = Tree::default();
        // Without the space it grows by steps after all.
        let _ = tree.nodes.try_reserve_exact(ends + 1);
        let _ = tree.words.try_reserve_exact(2 * ends + 1);
        tree
    }

    /// The root directive; `None` before the first was parsed.
    pub fn root(&self) -> Option<Directive<'_>> {
        (!self.nodes.is_empty()).then_some(Directive { tree: self, index: 0 })
    }
}

/// A keyword, its values and perhaps a block. In a block of values the keyword is just the first word.
#[derive(Copy, Clone, Debug)]
pub struct Directive<'t> {
    tree: &'t Tree,
    index: u32,
}

impl<'t> Directive<'t> {
    fn node(self) -> &'t Node {
        &self.tree.nodes[self.index as usize]
    }

    /// All words, the keyword first; at least one.
    pub fn words(self) -> &'t [Span] {
        let node = self.node();
        let first = node.first_word as usize;
        &self.tree.words[first..first + usize::from(node.words)]
    }

    /// The keyword.
    pub fn keyword(self) -> Span {
        self.words()[0]
    }

    /// The words after the keyword.
    pub fn arguments(self) -> &'t [Span] {
        &self.words()[1..]
    }

    /// The keyword and all its values.
    pub fn header(self) -> Span {
        let words = self.words();
        words[0].to(words[words.len() - 1])
    }

    /// Line of the keyword, from 1.
    pub fn line(self) -> u32 {
        self.node().line
    }

    /// Its words cannot be trusted, which was reported already; those of its block can.
    pub fn is_doubtful(self) -> bool {
        self.node().doubtful
    }

    /// The directives of its block; `None` where it has none.
    pub fn block(self) -> Option<Block<'t>> {
        let node = self.node();
        node.has_block.then_some(Block { tree: self.tree, next: self.index + 1, end: node.end })
    }

    /// The directives of its block; none where it has no block.
    pub fn children(self) -> Block<'t> {
        self.block().unwrap_or(Block { tree: self.tree, next: 0, end: 0 })
    }
}

/// The directives of a block, in file order.
#[derive(Clone, Debug)]
pub struct Block<'t> {
    tree: &'t Tree,
    next: u32,
    end: u32,
}

impl<'t> Iterator for Block<'t> {
    type Item = Directive<'t>;

    fn next(&mut self) -> Option<Directive<'t>> {
        if self.next >= self.end {
            return None;
        }
        let index = self.next;
        self.next = self.tree.nodes[index as usize].end;
        Some(Directive { tree: self.tree, index })
    }
}

/// A block that is open.
#[derive(Debug)]
struct Frame {
    kind: BlockKind,
    /// Its directive; `None` for a stray `{`, whose content belongs to the block around it.
    node: Option<u32>,
    /// Keyword and values of its directive, or the stray brace.
    header: Span,
    /// Whether its `{` was passed.
    opened: bool,
}

/// Reads a configuration directive by directive.
#[derive(Debug)]
pub struct Parser<'s> {
    sources: &'s Sources,
    lexer: Lexer<'s>,
    frames: Vec<Frame>,
    /// A root directive that was met inside another one, whose `}` is missing: its words and its node.
    waiting: Option<(Vec<Span>, Node)>,
    ended: bool,
}

impl<'s> Parser<'s> {
    /// At the beginning of the first of `roots`, which are in `sources`. What they include is added there.
    pub fn new(sources: &'s Sources, roots: &[FileId], options: &'s LanguageOptions) -> Parser<'s> {
        let lexer = Lexer::new(sources, roots, options);
        Parser { sources, lexer, frames: Vec::new(), waiting: None, ended: false }
    }

    /// Replaces `tree` by the next root directive; false at the end of the file.
    pub fn next(&mut self, tree: &mut Tree, diagnostics: &mut Diagnostics) -> bool {
        tree.nodes.clear();
        tree.words.clear();
        if let Some((words, node)) = self.waiting.take() {
            tree.words.extend(words);
            self.directive(Node { first_word: 0, ..node }, tree, diagnostics);
        }
        while !self.ended {
            let first_word = tree.words.len();
            match self.lexer.next(&mut tree.words, diagnostics) {
                Item::Segment { words, line, doubtful } => {
                    let node = Node {
                        first_word: first_word as u32,
                        line,
                        end: 0,
                        words,
                        has_block: false,
                        doubtful,
                    };
                    self.directive(node, tree, diagnostics);
                }
                Item::Open(brace) => self.open(brace, diagnostics),
                Item::Close(brace) => self.close(brace, tree, diagnostics),
                Item::End => self.end(tree, diagnostics),
            }
            if !self.is_inside() && !tree.nodes.is_empty() {
                return true;
            }
        }
        false
    }

    fn directive(&mut self, node: Node, tree: &mut Tree, diagnostics: &mut Diagnostics) {
        let first = node.first_word as usize;
        let keyword = self.sources.bytes(tree.words[first]);
        let header = tree.words[first].to(tree.words[first + usize::from(node.words) - 1]);
        let is_open = self.lexer.at_open(diagnostics);
        let mut kind = block_of(self.parent(), keyword);
        if kind.is_none() && is_open {
            kind = self.close_until(keyword, header, tree, diagnostics);
            if kind.is_some() && !self.is_inside() {
                let words = tree.words[first..first + usize::from(node.words)].to_vec();
                self.waiting = Some((words, node));
                return;
            }
        }
        if kind.is_some() && !is_open {
            let message = format!("missing `{{` after `{}`", self.sources.text(header));
            let found =
                Diagnostic::new(Code::MissingOpenBrace, message).at(header, "this opens a block");
            diagnostics.push(match self.lexer.next_line() {
                Some(line) => found.also(line, "this is taken for the first line in it"),
                None => found,
            });
        }
        let index = tree.nodes.len() as u32;
        let has_block = kind.is_some() || is_open;
        tree.nodes.push(Node { end: index + 1, has_block, ..node });
        if has_block {
            let kind = kind.unwrap_or(BlockKind::Opaque);
            self.push(Frame { kind, node: Some(index), header, opened: !is_open }, diagnostics);
        }
    }

    /// Whether the block of a directive is open.
    fn is_inside(&self) -> bool {
        self.frames.iter().any(|frame| frame.node.is_some())
    }

    /// What stands in the innermost open block.
    fn parent(&self) -> BlockKind {
        self.frames.last().map_or(BlockKind::Root, |frame| frame.kind)
    }

    /// Looks for an outer block in which `keyword` opens a block, and takes the blocks inside that one
    /// as closed: their `}` was forgotten.
    fn close_until(
        &mut self,
        keyword: &[u8],
        header: Span,
        tree: &mut Tree,
        diagnostics: &mut Diagnostics,
    ) -> Option<BlockKind> {
        let outer = |depth: usize| match depth {
            0 => BlockKind::Root,
            _ => self.frames[depth - 1].kind,
        };
        let depth = (0..self.frames.len())
            .rev()
            .find(|depth| block_of(outer(*depth), keyword).is_some())?;
        let kind = block_of(outer(depth), keyword);
        let unclosed = &self.frames[self.frames.len() - 1];
        diagnostics.push(
            Diagnostic::new(
                Code::MissingCloseBrace,
                format!("missing `}}` before `{}`", self.sources.text(header)),
            )
            .at(header, "cannot stand in the block that is open here")
            .also(unclosed.header, "this block is open"),
        );
        while self.frames.len() > depth {
            self.pop(tree);
        }
        kind
    }

    fn open(&mut self, brace: Span, diagnostics: &mut Diagnostics) {
        match self.frames.last_mut() {
            Some(frame) if !frame.opened => frame.opened = true,
            _ => {
                diagnostics.push(
                    Diagnostic::new(Code::UnexpectedOpenBrace, "unexpected `{`")
                        .at(brace, "no keyword before it opens a block"),
                );
                let kind = self.parent();
                self.push(Frame { kind, node: None, header: brace, opened: true }, diagnostics);
            }
        }
    }

    fn close(&mut self, brace: Span, tree: &mut Tree, diagnostics: &mut Diagnostics) {
        if self.frames.is_empty() {
            diagnostics.push(
                Diagnostic::new(Code::ExtraCloseBrace, "extra `}`").at(brace, "closes no block"),
            );
        } else {
            self.pop(tree);
        }
    }

    fn push(&mut self, frame: Frame, diagnostics: &mut Diagnostics) {
        if self.frames.len() == DEPTH_MAX {
            diagnostics.push(
                Diagnostic::new(
                    Code::NestedTooDeep,
                    format!("blocks nested more than {DEPTH_MAX} deep: the rest is not read"),
                )
                .at(frame.header, ""),
            );
            self.ended = true;
            self.frames.clear();
        } else {
            self.frames.push(frame);
        }
    }

    fn pop(&mut self, tree: &mut Tree) {
        if let Some(Frame { node: Some(node), .. }) = self.frames.pop() {
            tree.nodes[node as usize].end = tree.nodes.len() as u32;
        }
    }

    fn end(&mut self, tree: &mut Tree, diagnostics: &mut Diagnostics) {
        self.ended = true;
        // Where a limit ended it, nobody knows what would have been closed.
        if let Some(innermost) = self.frames.last().filter(|_| !self.lexer.is_cut_off()) {
            let message = match self.frames.len() {
                1 => "missing `}` at the end of the file".to_owned(),
                open => format!("{open} `}}` are missing at the end of the file"),
            };
            diagnostics.push(
                Diagnostic::new(Code::MissingCloseBrace, message)
                    .at(innermost.header, "the innermost block that is still open"),
            );
        }
        while !self.frames.is_empty() {
            self.pop(tree);
        }
    }
}

#[cfg(test)]
mod tests;
