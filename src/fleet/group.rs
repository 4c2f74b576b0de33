//! `virtual_server_group`: its lines are checked, its families remembered for the services that name it.
//!
//! Lines: `ADDR [PORT]`, `ADDR-N [PORT]`, `ADDR-ADDR [PORT]`, `ADDR/PREFIX [PORT]`, `fwmark N [inet|inet6]`.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use super::effective::{Family, GroupMember, GroupMembers, Level, Origin, Setting};
use super::keywords::SUGGESTIONS_MAX;
use super::lower::Lowering;
use super::model::Protocol;
use super::range::AddressRange;
use super::settle::sorry_port_not_translated;
use super::virtual_server::PERSISTENCE_TIMEOUT_DEFAULT;
use crate::conf::diagnostic::Section;
use crate::conf::{Class, Code, Diagnostic, Directive, Severity, Span};
use crate::id::VirtualServerId;

/// A group that was defined.
#[derive(Debug)]
pub(super) struct Group {
    header: Span,
    /// First member of each family.
    v4: Option<Span>,
    v6: Option<Span>,
    /// First mark without a family.
    mark: Option<Span>,
    has_addresses: bool,
    /// First address without a port.
    without_port: Option<Span>,
    /// First line of each port, 0 for none.
    ports: BTreeMap<u16, Span>,
    /// First mark, with a family or without.
    any_mark: Option<Span>,
    /// Ports with nothing between their quotes, which were reported and stand for none.
    empty_ports: u64,
    /// Its name or a member could not be read, which was reported.
    is_doubtful: bool,
    /// Every line that could be read.
    members: Vec<(GroupMember, Span)>,
}

/// A virtual server that names a group.
#[derive(Debug)]
pub(super) struct GroupUse {
    pub(super) name: Arc<str>,
    /// The name where it is used.
    pub(super) span: Span,
    /// `None` for one without real servers, which the fleet does not keep.
    pub(super) virtual_server: Option<VirtualServerId>,
    /// Its header, where it has no real server.
    pub(super) without_servers: Option<Span>,
    /// Its place in the effective configuration.
    pub(super) effective: Option<usize>,
    /// Family of its real servers and what says so; `None` where all are tunnelled.
    pub(super) family: Option<(Family, Span)>,
    pub(super) has_protocol: bool,
    /// Where `protocol` is written.
    pub(super) protocol: Option<Span>,
    /// Ports of real servers that are reached without NAT, the first two that differ.
    pub(super) untranslated: Vec<(u16, Span)>,
    /// The same of its sorry server.
    pub(super) sorry_port: Option<(u16, Span)>,
    pub(super) is_persistent: bool,
    /// What of [`Lowering::held`] is to be said of it, unless keepalived drops it for its group.
    pub(super) held: Section,
}

impl Lowering<'_> {
    /// Takes a `virtual_server_group` block.
    pub(super) fn group(&mut self, directive: Directive<'_>) {
        let mut group = Group {
            header: directive.header(),
            v4: None,
            v6: None,
            mark: None,
            has_addresses: false,
            without_port: None,
            ports: BTreeMap::new(),
            any_mark: None,
            empty_ports: 0,
            is_doubtful: false,
            members: Vec::new(),
        };
        let errors = self.reader.diagnostics.count(Severity::Error);
        for member in directive.children() {
            group.is_doubtful |= member.is_doubtful();
            if !member.is_doubtful() {
                self.member(member, &mut group);
            }
        }
        let errors = errors + group.empty_ports;
        group.is_doubtful |= errors < self.reader.diagnostics.count(Severity::Error);
        if directive.is_doubtful() {
            return;
        }
        let Some(span) = self.reader.argument(directive, "a name") else { return };
        if let Some(second) = directive.arguments().get(1) {
            let message = "more than the name behind `virtual_server_group`";
            self.reader.report(
                Diagnostic::new(Code::SecondWord, message)
                    .class(Class::Parameter)
                    .at(*second, "keepalived ends here: it finds no name"),
            );
        }
        let Some(name) = self.reader.utf8(span) else { return };
        if !group.is_doubtful && group.is_empty() {
            self.reader.report(
                Diagnostic::new(Code::OddGroup, format!("group `{name}` is empty")).at(span, ""),
            );
        }
        if let (Some(v4), Some(v6), Some(mark)) = (group.v4, group.v6, group.mark) {
            self.reader.report(
                Diagnostic::new(
                    Code::FamilyMismatch,
                    format!("group `{name}` has both families, so its mark needs one"),
                )
                .at(mark, "add `inet` or `inet6`")
                .also(v4.max(v6), "the second family comes in here"),
            );
        }
        if let Some(first) = self.groups.get(name) {
            let message = format!("group `{name}` is defined twice");
            self.reader.report(
                Diagnostic::new(Code::OddGroup, message)
                    .class(Class::Silent)
                    .at(span, "this one is ignored")
                    .also(first.header, "first defined here"),
            );
        } else {
            let name: Arc<str> = name.into();
            if let Some(effective) = &mut self.effective
                && !group.is_empty()
            {
                let members = std::mem::take(&mut group.members);
                let members = GroupMembers { header: group.header, members };
                effective.groups.insert(Arc::clone(&name), members);
            }
            self.groups.insert(name, group);
        }
    }

    fn member(&mut self, member: Directive<'_>, group: &mut Group) {
        self.reader.no_block(member);
        let span = member.header();
        let words = member.words();
        if self.reader.bytes(words[0]) == b"fwmark" {
            let Some(mark) = self.reader.argument(member, "a mark") else { return };
            let number = self.reader.number_at(mark, 0..=u64::from(u32::MAX));
            group.any_mark = group.any_mark.or(Some(span));
            let mut family = None;
            match words.get(2).map(|family| self.reader.choice(*family, &["inet", "inet6"])) {
                None => group.mark = group.mark.or(Some(span)),
                Some(Some("inet")) => {
                    group.v4 = group.v4.or(Some(span));
                    family = Some(Family::Inet);
                }
                Some(Some(_)) => {
                    group.v6 = group.v6.or(Some(span));
                    family = Some(Family::Inet6);
                }
                Some(None) => {}
            }
            self.reader.ignored_after(member, 2);
            if let Some(number) = number {
                group.members.push((GroupMember::Fwmark(number as u32, family), span));
            }
            return;
        }
        let range = match AddressRange::parse(&self.reader.text(words[0])) {
            Ok(range) => range,
            Err(error) => {
                let text = self.reader.text(words[0]);
                let message = format!("`{text}`: {error}");
                let found = Diagnostic::new(Code::BadGroupMember, message).at(words[0], "");
                // What follows a whole range is nothing to keepalived.
                let ranges = text.rmatch_indices('-').map(|(end, _)| &text[..end]);
                let is_cut = ranges.into_iter().any(|range| {
                    range.contains('-') && range.split('-').all(|end| end.parse::<IpAddr>().is_ok())
                });
                let class = if is_cut { Class::Silent } else { Class::General };
                self.reader.report(found.class(class));
                return;
            }
        };
        let is_short =
            self.reader.text(words[0]).split_once('-').is_some_and(|(_, last)| {
                !last.contains([':', '.']) && range.first() == range.last()
            });
        if is_short {
            let message = format!("`{}` ends where it begins", self.reader.text(words[0]));
            self.reader.report(
                Diagnostic::new(Code::BadGroupMember, message)
                    .at(words[0], "keepalived wants an end behind the beginning")
                    .help(format!("write `{}`", range.first())),
            );
            return;
        }
        if range.has_host_bits() || range.prefix_len() == Some(0) {
            let message = match range.prefix_len() {
                Some(0) => "a network needs a prefix of at least 1".to_owned(),
                prefix => {
                    format!("`{}` has bits behind its prefix", self.reader.text(words[0]))
                        + &prefix.map_or(String::new(), |len| format!(" of {len}"))
                }
            };
            self.reader.report(
                Diagnostic::new(Code::BadGroupMember, message).at(words[0], "").help(format!(
                    "its network is {}/{}",
                    range.first(),
                    range.prefix_len().unwrap_or(0)
                )),
            );
        }
        let mut port = self.reader.optional_port(words.get(1), Class::Silent);
        if words.get(1).is_some_and(|port| self.reader.bytes(*port).is_empty()) {
            group.empty_ports += 1;
            port = Some(0);
        }
        self.reader.ignored_after(member, 1);
        if let Some(port) = port {
            group.ports.entry(port).or_insert(span);
        }
        if port == Some(0) {
            group.without_port = group.without_port.or(Some(span));
        }
        if let (Some(port), false) = (port, range.has_host_bits()) {
            group.members.push((GroupMember::Addresses(range, port), span));
        }
        group.has_addresses = true;
        let family = if range.first().is_ipv4() { &mut group.v4 } else { &mut group.v6 };
        *family = family.or(Some(span));
    }

    /// Checks every use of a group, now that all are known.
    pub(super) fn settle_groups(&mut self) {
        // Those whose group keepalived does not find or take.
        let mut dropped = BTreeSet::new();
        let mut suggestions = 0;
        let held = std::mem::take(&mut self.held);
        for used in std::mem::take(&mut self.group_uses) {
            if let Some(header) = used.without_servers {
                let is_known = self.groups.get(&used.name).is_some_and(|group| !group.is_empty());
                // Of one whose group is unknown it says only that, and not in its test.
                self.no_real_server(header, if is_known { Class::General } else { Class::Silent });
            }
            let Some(group) = self.groups.get(&used.name) else {
                let message = format!("no group `{}` is defined", used.name);
                let mut found = Diagnostic::new(Code::UnknownGroup, message).at(used.span, "");
                suggestions += 1;
                let names = self.groups.keys().map(|name| &**name);
                if suggestions <= SUGGESTIONS_MAX
                    && let Some(nearest) = super::keywords::nearest(&used.name, names)
                {
                    found = found.help(format!("did you mean `{nearest}`?"));
                }
                self.reader.report(found);
                dropped.extend(used.effective);
                continue;
            };
            if group.is_doubtful {
                // Nobody knows whether it is dropped; what is wrong with the group comes first.
                self.reader.diagnostics.push_section(&held, used.held);
                continue;
            }
            if group.is_empty() {
                self.reader.report(
                    Diagnostic::new(Code::UnknownGroup, format!("group `{}` is empty", used.name))
                        .at(used.span, "")
                        .also(group.header, "defined here"),
                );
                dropped.extend(used.effective);
                continue;
            }
            let other = match used.family {
                Some((Family::Inet, _)) => group.v6,
                Some((Family::Inet6, _)) => group.v4,
                None => None,
            };
            if let (Some((family, says)), Some(other)) = (used.family, other) {
                let message = format!("group `{}` is not {family} alone", used.name);
                self.reader.report(
                    Diagnostic::new(Code::FamilyMismatch, message)
                        // It logs that, and does without the virtual server.
                        .class(Class::Silent)
                        .at(says, format!("this is {family}"))
                        .also(other, "this is not"),
                );
                dropped.extend(used.effective);
                continue;
            }
            self.reader.diagnostics.push_section(&held, used.held);
            if let (Some(member), false) = (group.without_port, used.is_persistent) {
                self.reader.report(
                    Diagnostic::new(
                        Code::NotPersistent,
                        "virtual server without a port or persistence",
                    )
                    .at(used.span, "keepalived sets `persistence_timeout 360`")
                    .also(member, "no port here"),
                );
                if let (Some(effective), Some(place)) = (&mut self.effective, used.effective) {
                    effective.virtual_servers[place].persistence_timeout = Setting {
                        value: Some(PERSISTENCE_TIMEOUT_DEFAULT),
                        origin: Origin::Adjusted(Level::VirtualServer, used.span),
                    };
                }
            }
            // Of a service that it drops keepalived says none of this.
            let sorry_port = used.sorry_port.filter(|sorry| group.other_port(*sorry).is_some());
            let sorry_port = sorry_port.map(|(port, span)| sorry_port_not_translated(port, span));
            let found = port_not_translated(group, &used).into_iter().chain(sorry_port);
            let found: Vec<_> = found.collect();
            if let (Some(span), false) = (used.protocol, group.has_addresses) {
                self.reader.report(
                    Diagnostic::new(Code::NoEffect, "a group of marks has no protocol")
                        .class(Class::General)
                        .at(span, "keepalived ignores it"),
                );
                if let Some(id) = used.virtual_server {
                    self.fleet.virtual_servers[id.index()].protocol = None;
                }
                if let (Some(effective), Some(place)) = (&mut self.effective, used.effective) {
                    effective.virtual_servers[place].protocol = Setting::default_of(None);
                }
            }
            found.into_iter().for_each(|found| self.reader.report(found));
            let group = &self.groups[&used.name];
            if group.has_addresses
                && !used.has_protocol
                && let Some(id) = used.virtual_server
            {
                self.no_protocol(used.span);
                self.fleet.virtual_servers[id.index()].protocol = Some(Protocol::Udp);
                if let (Some(effective), Some(place)) = (&mut self.effective, used.effective) {
                    effective.virtual_servers[place].protocol =
                        Setting::default_of(Some(Protocol::Udp));
                }
            }
        }
        if let Some(effective) = &mut self.effective {
            let mut places = 0..;
            effective
                .virtual_servers
                .retain(|_| places.next().is_none_or(|place| !dropped.contains(&place)));
        }
    }
}

/// What is to be said of ports of real servers that no packet is sent to, as without NAT it keeps the port of
/// the group.
fn port_not_translated(group: &Group, used: &GroupUse) -> Option<Diagnostic> {
    // A member with another port says more than a mark, which has none.
    let differs =
        used.untranslated.iter().find(|used| group.member_of_other_port(used.0).is_some());
    let used = *differs.or(used.untranslated.first())?;
    let (member, label) = group.other_port(used)?;
    let message = format!("without NAT port {} cannot be reached", used.0);
    let found = Diagnostic::new(Code::PortNotTranslated, message);
    Some(found.at(used.1, "keepalived takes the port of the group").also(member, label))
}

impl Group {
    /// A member that has not this port, and why not.
    fn other_port(&self, (port, _): (u16, Span)) -> Option<(Span, &'static str)> {
        let member = self.member_of_other_port(port).map(|member| (member, "another port"));
        member.or_else(|| Some((self.any_mark?, "a mark has no port")))
    }

    fn member_of_other_port(&self, port: u16) -> Option<Span> {
        self.ports.iter().find(|(of, _)| **of != port).map(|(_, member)| *member)
    }

    fn is_empty(&self) -> bool {
        self.v4.is_none() && self.v6.is_none() && self.mark.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conf::{Diagnostics, LanguageOptions, Parser, Source, Sources, Tree};
    use crate::fleet::LoadOptions;

    #[test]
    fn what_is_held_of_all_services_together_is_bounded() {
        let twice = "real_server 10.0.0.2 80 {\n}\n".repeat(5_001);
        let text = format!("virtual_server group g {{\n{twice}}}\n").repeat(3);
        let sources = Sources::default();
        let roots: Vec<_> =
            sources.add(Source::new("a.conf", text.into()).expect("small")).into_iter().collect();
        let language = LanguageOptions::default();
        let mut lowering = Lowering::without_room(&sources, LoadOptions::default());
        let mut parser = Parser::new(&sources, &roots, &language);
        let mut tree = Tree::for_sources(&sources);
        while parser.next(&mut tree, &mut lowering.reader.diagnostics) {
            lowering.root(tree.root().expect("a block"));
        }
        assert_eq!(lowering.group_uses.len(), 3);
        assert_eq!(lowering.held.iter().count() as u64, Diagnostics::KEPT_MAX);
        // Each has its duplicates, and no scheduler and no method as well.
        assert_eq!(lowering.held.count(Severity::Warning), 3 * 5_002);
    }
}
