//! Root directives -> the fleet: what to do with each block, and the tables where equal things are one.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::Hash;
use std::sync::Arc;

use memchr::memmem;

use super::effective::{Effective, Globals};
use super::group::{Group, GroupUse};
use super::keywords::{Shape, homes, known, of_others, place, shape};
use super::load::LoadOptions;
use super::misspelled::Nearest;
use super::model::{Fleet, ProbeSpec, Timing};
use super::named::Named;
use super::script::Scripts;
use super::value::Reader;
use crate::conf::blocks::{BlockKind, ROOT_OPAQUE};
use crate::conf::{Class, Code, Diagnostic, Diagnostics, Directive, Severity, Sources, Span};
use crate::id::SpecId;

type FastMap<K, V> = HashMap<K, V, foldhash::fast::FixedState>;

/// The fleet while it is made.
#[derive(Debug)]
pub(super) struct Lowering<'s> {
    pub(super) reader: Reader<'s>,
    pub(super) options: LoadOptions,
    pub(super) fleet: Fleet,
    pub(super) groups: BTreeMap<Arc<str>, Group>,
    /// Virtual servers that name a group; the group may be defined after them.
    pub(super) group_uses: Vec<GroupUse>,
    /// What is to be said of their services, unless keepalived drops them for their groups.
    pub(super) held: Diagnostics,
    pub(super) scripts: Scripts,
    pub(super) globals: Globals,
    /// All that is known, where somebody asks for it.
    pub(super) effective: Option<Effective>,
    pub(super) named: Named,
    specs: FastMap<ProbeSpec, SpecId>,
    timings: FastMap<Timing, u32>,
    interfaces: BTreeSet<Arc<str>>,
    /// What keepalived 2.2 does not know, by its code and what it is called: first place and number.
    unknown_there: BTreeMap<(Code, String), (Span, u32)>,
    /// First place and number of each keyword that is recognised and skipped.
    skipped: BTreeMap<&'s [u8], (Span, u32)>,
    /// What the last unknown keyword was probably meant to be.
    pub(super) nearest: Nearest,
    /// Reads blocks whose keyword is misspelled.
    pub(super) aside: Option<Box<Lowering<'s>>>,
}

impl<'s> Lowering<'s> {
    /// `keep_effective`: all that is known is kept, for a reader, and not only what is probed.
    pub(super) fn new(
        sources: &'s Sources,
        options: LoadOptions,
        keep_effective: bool,
    ) -> Lowering<'s> {
        let mut made = Lowering::without_room(sources, options);
        made.effective = keep_effective.then(Effective::default);
        let fleet = &mut made.fleet;
        // As with the tree: room for what the text can hold, so that no step leaves a hole behind.
        let count = |word: &[u8]| -> usize {
            sources.iter().map(|source| memmem::find_iter(source.text(), word).count()).sum()
        };
        let _ = fleet.real_servers.try_reserve_exact(count(b"real_server"));
        let _ = fleet.checkers.try_reserve_exact(count(b"_CHECK"));
        // Most scripts have arguments of their own.
        let commands = count(b"misc_path");
        let _ = fleet.specs.try_reserve_exact(commands);
        made.scripts.reserve(commands);
        made
    }

    /// One that has no room made yet for what the text can hold.
    pub(super) fn without_room(sources: &'s Sources, options: LoadOptions) -> Lowering<'s> {
        Lowering {
            reader: Reader::new(sources),
            options,
            fleet: Fleet::default(),
            groups: BTreeMap::new(),
            group_uses: Vec::new(),
            held: Diagnostics::default(),
            scripts: Scripts::default(),
            globals: Globals::default(),
            effective: None,
            named: Named::default(),
            specs: FastMap::default(),
            timings: FastMap::default(),
            interfaces: BTreeSet::new(),
            unknown_there: BTreeMap::new(),
            skipped: BTreeMap::new(),
            nearest: Nearest::default(),
            aside: None,
        }
    }

    /// Takes one root directive.
    pub(super) fn root(&mut self, directive: Directive<'_>) {
        let keyword = self.reader.bytes(directive.keyword());
        match keyword {
            b"virtual_server" => self.virtual_server(directive),
            b"virtual_server_group" => self.group(directive),
            b"SSL" => self.ssl(directive),
            b"track_file" | b"vrrp_track_file" => self.track_file(directive),
            b"bfd_instance" => self.bfd_instance(directive),
            b"global_defs" => self.global_defs(directive),
            _ if ROOT_OPAQUE.iter().any(|known| known.as_bytes() == keyword) => {
                self.foreign(keyword, directive.keyword());
                self.skip(directive);
            }
            _ => {
                let is_known = known(BlockKind::Root).any(|known| known.as_bytes() == keyword);
                self.value(directive, BlockKind::Root);
                self.look_inside(directive, BlockKind::Root);
                if is_known && !directive.is_doubtful() {
                    let kept = self.effective.is_some().then(|| self.verbatim(directive));
                    if let (Some(effective), Some(kept)) = (&mut self.effective, kept) {
                        effective.top_level.push(kept);
                    }
                }
            }
        }
    }

    /// Settles what needs the whole configuration, and gives the fleet and all that is to be said.
    pub(super) fn finish(mut self) -> (Fleet, Option<Effective>, Diagnostics) {
        self.settle_groups();
        self.settle_scripts();
        self.settle_names();
        self.settle_effective();
        self.settle_script_globals();
        // Behind that, which tells who has a user of their own.
        self.settle_notify_users();
        for (keyword, (first, count)) in std::mem::take(&mut self.skipped) {
            let keyword = String::from_utf8_lossy(keyword).into_owned();
            let is_checker = keyword.ends_with("_CHECK") || keyword.ends_with("_GET");
            let noun = match (is_checker, count) {
                (true, 1) => "checker",
                (true, _) => "checkers",
                (false, 1) => "block",
                (false, _) => "blocks",
            };
            // The one kind that is skipped only on demand.
            let why = if keyword == "MISC_CHECK" { "with --no-scripts" } else { "yet" };
            self.reader.report(
                Diagnostic::new(
                    Code::NotProbed,
                    format!("{keyword} is not probed {why}: {count} {noun}"),
                )
                .at(first, "first here"),
            );
            self.fleet.not_probed.insert(keyword, count);
        }
        for ((code, what), (first, count)) in std::mem::take(&mut self.unknown_there) {
            let whose = match code {
                Code::LaterKeyword => "of a keepalived after 2.2",
                _ => "not of keepalived",
            };
            self.reader.report(
                Diagnostic::new(code, format!("{what} is {whose}: {count} of it"))
                    .class(Class::General)
                    .at(first, "first here"),
            );
        }
        let errors = self.reader.diagnostics.count(Severity::Error);
        // Who reads everything is told what is not probed, and that is all there is to say of it.
        let has_checkers = self.effective.as_ref().is_some_and(Effective::has_checkers);
        if self.fleet.checkers.is_empty() && errors == 0 && !has_checkers {
            self.reader.report(Diagnostic::new(
                Code::NothingToProbe,
                "the configuration has no checker that can be probed",
            ));
        }
        (self.fleet, self.effective, self.reader.diagnostics)
    }

    /// Checks a directive that only has values and that no code here acts on; false where the block's
    /// own code must look at it.
    pub(super) fn value(&mut self, directive: Directive<'_>, block: BlockKind) -> bool {
        let keyword = directive.keyword();
        if directive.is_doubtful() {
            return true;
        }
        match shape(block, self.reader.bytes(keyword)) {
            Some(Shape::Own) => {
                self.reader.no_block(directive);
                return false;
            }
            Some(shape) => {
                self.reader.no_block(directive);
                self.reader.check(directive, shape);
            }
            None => self.unknown(directive, block),
        }
        true
    }

    /// The keyword of a directive, or the one of `block` that it was probably meant to be.
    pub(super) fn meant(&mut self, directive: Directive<'_>, block: BlockKind) -> &'s [u8] {
        let keyword = self.reader.bytes(directive.keyword());
        if shape(block, keyword).is_some() || self.reader.diagnostics.is_full() {
            return keyword;
        }
        self.nearest_keyword(directive.keyword(), block).map_or(keyword, str::as_bytes)
    }

    /// Reports a keyword that `block` does not know.
    pub(super) fn unknown(&mut self, directive: Directive<'_>, block: BlockKind) {
        let keyword = directive.keyword();
        let word = self.reader.text(keyword).into_owned();
        if self.reader.diagnostics.is_full() {
            return self.reader.report(Diagnostic::new(Code::UnknownKeyword, word));
        }
        let homes = homes(&word);
        let diagnostic = if homes.is_empty() {
            let found = Diagnostic::new(Code::UnknownKeyword, format!("unknown keyword `{word}`"))
                .at(keyword, format!("not known {}", place(block)));
            match of_others(&word, block).or_else(|| self.nearest_keyword(keyword, block)) {
                Some(nearest) => found.help(format!("did you mean `{nearest}`?")),
                None => found,
            }
        } else {
            Diagnostic::new(
                Code::MisplacedKeyword,
                format!("`{word}` cannot stand {}", place(block)),
            )
            .at(keyword, "")
            .help(format!("it belongs {}", homes.join(" or ")))
        };
        self.reader.report(diagnostic);
    }

    /// Counts something that keepalived 2.2 does not know.
    pub(super) fn unknown_there(&mut self, code: Code, what: String, place: Span) {
        self.unknown_there.entry((code, what)).or_insert((place, 0)).1 += 1;
    }

    /// Notes a keyword that 2.2 does not know.
    pub(super) fn later(&mut self, child: Directive<'_>) {
        let what = format!("`{}`", self.reader.text(child.keyword()));
        self.unknown_there(Code::LaterKeyword, what, child.keyword());
    }

    /// Counts a checker or block that is recognised but not probed.
    pub(super) fn skip(&mut self, directive: Directive<'_>) {
        let keyword = directive.keyword();
        let bytes = self.reader.bytes(keyword);
        self.skipped.entry(bytes).or_insert((keyword, 0)).1 += 1;
    }

    /// The one spec equal to `spec`.
    pub(super) fn intern_spec(&mut self, spec: ProbeSpec) -> SpecId {
        SpecId(intern(&mut self.fleet.specs, &mut self.specs, spec, SpecId, |id| id.0))
    }

    /// All specs, to be interned again.
    pub(super) fn take_specs(&mut self) -> Vec<ProbeSpec> {
        self.specs.clear();
        std::mem::take(&mut self.fleet.specs)
    }

    /// The one set of timers equal to `timing`.
    pub(super) fn intern_timing(&mut self, timing: Timing) -> u32 {
        intern(&mut self.fleet.timings, &mut self.timings, timing, |index| index, |index| index)
    }

    /// The one copy of an interface's name.
    pub(super) fn intern_interface(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.interfaces.get(name) {
            return Arc::clone(known);
        }
        let name: Arc<str> = name.into();
        self.interfaces.insert(Arc::clone(&name));
        name
    }
}

fn intern<T: Clone + Eq + Hash, I: Copy>(
    list: &mut Vec<T>,
    places: &mut FastMap<T, I>,
    value: T,
    to_id: impl Fn(u32) -> I,
    to_index: impl Fn(I) -> u32,
) -> u32 {
    // Neighbours are mostly equal, so the last one is worth a look before the hash.
    if let Some(last) = list.last()
        && *last == value
    {
        return list.len() as u32 - 1;
    }
    if let Some(id) = places.get(&value) {
        return to_index(*id);
    }
    let index = list.len() as u32;
    list.push(value.clone());
    places.insert(value, to_id(index));
    index
}
