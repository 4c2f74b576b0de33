//! Blocks whose keyword is misspelled.
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
use crate::conf::{Class, Directive};
use crate::id::{RealServerId, VirtualServerId};

impl<'s> Lowering<'s> {
    /// The keyword that a block of an unknown keyword was meant to have; `None` where nothing is near that
    /// opens a block of directives.
    pub(super) fn block_meant(
        &self,
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
        let meant = of_others(&word, place).or_else(|| nearest(&word, known(place)))?;
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
