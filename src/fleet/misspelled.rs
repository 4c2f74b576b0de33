//! Keywords that are misspelled, and their blocks.
//!
//! keepalived skips such a block, and so the fleet has nothing of it. What is wrong inside would only come to
//! light in the next run, when the keyword is corrected: so it is read once for its problems alone, by a
//! lowering of its own that is thrown away.

use std::net::{Ipv4Addr, SocketAddr};

use super::effective::{self, Setting};
use super::keywords::{known, nearest, of_others};
use super::load::LoadOptions;
use super::lower::Lowering;
use super::model::Service;
use super::real_server::Server;
use super::settings::Settings;
use super::virtual_server::Draft;
use crate::conf::blocks::{BlockKind, block_of};
use crate::conf::{Class, Directive, Span};
use crate::id::{RealServerId, VirtualServerId};

/// The keyword that the last unknown word is near to: several steps ask for it, and every one would compare the
/// word with all keywords of its block.
#[derive(Debug, Default)]
pub(super) struct Nearest {
    last: Option<(Span, BlockKind, Option<&'static str>)>,
}

impl Nearest {
    /// What `compare` finds for the word at `word` in `block`; it is asked once, however often this is.
    fn find(
        &mut self,
        word: Span,
        block: BlockKind,
        compare: impl FnOnce() -> Option<&'static str>,
    ) -> Option<&'static str> {
        match self.last {
            Some((last, of, found)) if (last, of) == (word, block) => found,
            _ => {
                let found = compare();
                self.last = Some((word, block, found));
                found
            }
        }
    }
}

impl<'s> Lowering<'s> {
    /// The keyword of `block` that the word at `keyword` was probably meant to be.
    pub(super) fn nearest_keyword(
        &mut self,
        keyword: Span,
        block: BlockKind,
    ) -> Option<&'static str> {
        let word = self.reader.text(keyword);
        self.nearest.find(keyword, block, || nearest(&word, known(block)))
    }

    /// The keyword that a block of an unknown keyword was meant to have; `None` where nothing is near that
    /// opens a block of directives.
    pub(super) fn block_meant(
        &mut self,
        directive: Directive<'_>,
        place: BlockKind,
    ) -> Option<&'static str> {
        directive.block()?;
        if self.reader.diagnostics.is_full() {
            return None;
        }
        let keyword = self.reader.bytes(directive.keyword());
        if known(place).any(|known| known.as_bytes() == keyword) {
            return None;
        }
        let word = self.reader.text(directive.keyword());
        let meant =
            of_others(&word, place).or_else(|| self.nearest_keyword(directive.keyword(), place))?;
        match block_of(place, meant.as_bytes()) {
            None | Some(BlockKind::Opaque | BlockKind::Values) => None,
            Some(_) => Some(meant),
        }
    }

    /// Says what is wrong inside such a block. That its keyword is unknown is said elsewhere.
    pub(super) fn look_inside(&mut self, directive: Directive<'_>, place: BlockKind) {
        let Some(meant) = self.block_meant(directive, place) else { return };
        let mut reader = match self.aside.take() {
            Some(aside) => aside,
            None => {
                // What it runs is looked at when it is known to be run.
                let options = LoadOptions { no_scripts: true, ..self.options.clone() };
                Box::new(Lowering::without_room(self.reader.sources(), options))
            }
        };
        match (place, meant) {
            (BlockKind::Root, "virtual_server") => reader.virtual_server(directive),
            (BlockKind::Root, "SSL") => reader.ssl(directive),
            (BlockKind::Root, "track_file" | "vrrp_track_file") => reader.track_file(directive),
            (BlockKind::Root, "global_defs") => reader.global_defs(directive),
            (BlockKind::VirtualServer, "real_server") => {
                let header = directive.header();
                let mut draft = Draft::new(VirtualServerId(0), None, None, header);
                reader.real_server(directive, &mut draft);
            }
            (BlockKind::RealServer, checker) => {
                reader.checker_called(checker.as_bytes(), directive, &mut somebody(directive));
            }
            _ => {}
        }
        for found in std::mem::take(&mut reader.reader.diagnostics).into_list() {
            // keepalived does not look.
            self.reader.report(found.class(Class::Silent));
        }
        self.aside = Some(reader);
    }
}

/// A real server of which nothing is known but that it has an address.
fn somebody(directive: Directive<'_>) -> Server {
    let header = directive.header();
    let service = effective::VirtualServer::new(header, Service::Fwmark(0));
    Server {
        id: RealServerId(0),
        address: Some(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 1)),
        header,
        group: None,
        settings: Settings::default(),
        service_delay_loop: Setting::default(),
        virtualhost: service.virtualhost,
        checkers: Some(Vec::new()),
        is_doubtful: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conf::FileId;

    #[test]
    fn a_word_is_compared_once_for_all_who_ask() {
        let mut nearest = Nearest::default();
        let mut compared = Vec::new();
        let [one, other] = [3, 9].map(|start| Span::new(FileId(0), start, start + 5));
        for (word, block, found) in [
            (one, BlockKind::RealServer, Some("weight")),
            (one, BlockKind::RealServer, Some("weight")),
            (one, BlockKind::VirtualServer, None),
            (one, BlockKind::VirtualServer, None),
            (other, BlockKind::VirtualServer, Some("quorum")),
            (other, BlockKind::VirtualServer, Some("quorum")),
        ] {
            let compare = || {
                compared.push((word, block));
                found
            };
            assert_eq!(nearest.find(word, block, compare), found);
        }
        let each = [
            (one, BlockKind::RealServer),
            (one, BlockKind::VirtualServer),
            (other, BlockKind::VirtualServer),
        ];
        assert_eq!(compared, each);
    }
}
