//! Virtual servers that work on one service of IPVS: two blocks for one address, or a group that brings in
//! what another block has.
//!
//! A service is protocol, address and port, or a mark of a family. The members of a group are ranges, so
//! what two blocks have in common is found by sorting, not by writing every address down.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, HashSet};
use std::net::IpAddr;

use crate::conf::{Code, Diagnostic, Diagnostics, Span};
use crate::fleet::effective::{Effective, Family, GroupMember, VirtualServer};
use crate::fleet::{Protocol, Service};

/// Where two things can be the same.
#[derive(PartialEq, Eq, Hash)]
enum Space<'e> {
    /// The group itself, whatever is in it.
    Group(&'e str, Option<Protocol>),
    Marks(Option<Family>),
    Addresses {
        is_v4: bool,
        port: u16,
        protocol: Option<Protocol>,
    },
}

/// What a virtual server serves of a space: numbers from `first` to `last`.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Part {
    /// Its place in the effective configuration.
    service: usize,
    /// The header, or the member of its group.
    span: Span,
    first: u128,
    last: u128,
}

/// By the place of the later virtual server: its part, and the one of the first it collides with. Of several
/// such parts those that are written first.
type Collisions = BTreeMap<usize, (Part, Part)>;

pub(super) fn check(effective: &Effective, diagnostics: &mut Diagnostics) {
    let services = &effective.virtual_servers;
    let mut found = Collisions::new();
    for parts in parts(effective).into_values() {
        collide(parts, &mut found);
    }
    for (later, earlier) in found.into_values() {
        diagnostics.push(collision(
            (&services[later.service], later.span),
            (&services[earlier.service], earlier.span),
        ));
    }
}

fn parts(effective: &Effective) -> HashMap<Space<'_>, Vec<Part>> {
    let mut parts: HashMap<Space<'_>, Vec<Part>> = HashMap::new();
    let mut expanded = HashSet::new();
    for (place, service) in effective.virtual_servers.iter().enumerate() {
        let protocol = service.protocol.value;
        let mut add = |space, first, last, span| {
            parts.entry(space).or_default().push(Part { first, last, service: place, span });
        };
        match &service.service {
            Service::Address(address) => {
                let point = number(address.ip());
                add(space(address.ip(), address.port(), protocol), point, point, service.header);
            }
            Service::Fwmark(mark) => {
                let point = u128::from(*mark);
                add(Space::Marks(service.family), point, point, service.header);
            }
            Service::Group(name) => {
                add(Space::Group(name, protocol), 0, 0, service.header);
                // A second use is the same service, whatever it consists of.
                if !expanded.insert((name, protocol)) {
                    continue;
                }
                let members = effective.groups.get(name).map(|group| &group.members);
                for (member, span) in members.into_iter().flatten() {
                    match member {
                        GroupMember::Addresses(range, port) => {
                            let (first, last) = (number(range.first()), number(range.last()));
                            add(space(range.first(), *port, protocol), first, last, *span);
                        }
                        GroupMember::Fwmark(mark, family) => {
                            let point = u128::from(*mark);
                            add(Space::Marks(family.or(service.family)), point, point, *span);
                        }
                    }
                }
            }
        }
    }
    parts
}

fn space(address: IpAddr, port: u16, protocol: Option<Protocol>) -> Space<'static> {
    Space::Addresses { is_v4: address.is_ipv4(), port, protocol }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_bits().into(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// Adds what is served twice among `parts`, which are of one space.
///
/// What two parts have in common begins where one of them begins. So one sweep finds the part of the first virtual
/// server at every beginning, and a second one, backwards, the least of those that are inside of each part.
fn collide(mut parts: Vec<Part>, found: &mut Collisions) {
    parts.sort_by_key(|part| part.first);
    let mut beginnings = firsts(&parts).into_iter().rev().peekable();
    // Beginnings behind the one where the sweep is, the nearest last: only those that are less than all between
    // here and them. So the farthest that is inside of a part is the least one inside of it.
    let mut least: Vec<(u128, Part)> = Vec::new();
    for part in parts.into_iter().rev() {
        while let Some(beginning) = beginnings.next_if(|(at, _)| *at >= part.first) {
            while least.pop_if(|(_, farther)| *farther >= beginning.1).is_some() {}
            least.push(beginning);
        }
        let place = least.partition_point(|(at, _)| *at > part.last);
        let Some((_, earlier)) = least.get(place) else { continue };
        if earlier.service == part.service {
            continue;
        }
        let known = found.entry(part.service).or_insert((part, *earlier));
        if (earlier.service, part, *earlier) < (known.1.service, known.0, known.1) {
            *known = (part, *earlier);
        }
    }
}

/// The part of the first virtual server at each place where a part begins. The places rise, as `parts` do.
fn firsts(parts: &[Part]) -> Vec<(u128, Part)> {
    // Those that have begun and not ended.
    let mut open: BTreeSet<(Part, usize)> = BTreeSet::new();
    let mut ends: BinaryHeap<Reverse<(u128, usize)>> = BinaryHeap::new();
    let mut firsts: Vec<(u128, Part)> = Vec::with_capacity(parts.len());
    for (place, part) in parts.iter().enumerate() {
        while let Some(&Reverse((last, ended))) = ends.peek()
            && last < part.first
        {
            ends.pop();
            open.remove(&(parts[ended], ended));
        }
        open.insert((*part, place));
        ends.push(Reverse((part.last, place)));
        if let Some((first, _)) = open.first() {
            match firsts.last_mut() {
                Some((at, known)) if *at == part.first => *known = *first,
                _ => firsts.push((part.first, *first)),
            }
        }
    }
    firsts
}

fn collision(later: (&VirtualServer, Span), earlier: (&VirtualServer, Span)) -> Diagnostic {
    let ((later, later_part), (earlier, earlier_part)) = (later, earlier);
    let is_same = later.service == earlier.service
        && (later.protocol.value == earlier.protocol.value
            || matches!(later.service, Service::Fwmark(_)));
    if is_same {
        let message = format!("virtual server {} is defined twice", later.label());
        return Diagnostic::new(Code::DuplicateVirtualServer, message)
            .at(later.header, "both work on one IPVS service")
            .also(earlier.header, "first defined here")
            .help("put all real servers into one block");
    }
    let message = format!(
        "virtual servers {} and {} have a service in common",
        earlier.label(),
        later.label()
    );
    let mut found = Diagnostic::new(Code::DuplicateVirtualServer, message)
        .at(later.header, "both work on one IPVS service")
        .also(earlier_part, "here it is in the first one");
    if later_part != later.header && later_part != earlier_part {
        found = found.also(later_part, "here in this one");
    }
    found.help("let each address with its port, and each mark, be in one virtual server alone")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{LoadOptions, analyse_text};
    use crate::lint::testing::messages;

    /// What is said of a file of groups and virtual servers, `HEADER|PROTOCOL` each.
    fn said(groups: &[(&str, &str)], services: &[&str]) -> Vec<String> {
        let mut text = String::new();
        for (name, members) in groups {
            text += &format!("virtual_server_group {name} {{\n {members}\n}}\n");
        }
        for service in services {
            let (header, lines) = service.split_once('|').expect("header and lines");
            text += &format!(
                "virtual_server {header} {{\n lvs_sched rr\n lvs_method TUN\n {lines}\n \
                 real_server 10.1.0.2 80 {{\n TCP_CHECK {{\n }}\n }}\n}}\n"
            );
        }
        let options = LoadOptions::default();
        let analysis = analyse_text("a.conf", text.clone().into(), &options).expect("read");
        assert_eq!(analysis.effective.virtual_servers.len(), services.len(), "{text}");
        messages(|diagnostics| check(&analysis.effective, diagnostics))
    }

    #[test]
    fn one_service_in_two_blocks() {
        let twice = ["W079 virtual server 10.0.0.1:80/tcp is defined twice"];
        assert_eq!(said(&[], &["10.0.0.1 80|protocol TCP", "10.0.0.1 80|protocol TCP"]), twice);
        for other in ["10.0.0.1 80|protocol UDP", "10.0.0.1 81|protocol TCP", "fwmark 80|"] {
            assert_eq!(said(&[], &["10.0.0.1 80|protocol TCP", other]), [""; 0], "{other}");
        }
        assert_eq!(
            said(&[], &["fwmark 5|", "fwmark 5|"]),
            ["W079 virtual server fwmark 5 is defined twice"]
        );
        assert_eq!(said(&[], &["fwmark 5|ip_family inet", "fwmark 5|ip_family inet6"]), [""; 0]);
    }

    #[test]
    fn a_group_is_what_its_members_are() {
        let group = |members: &str, services: &[&str]| said(&[("g", members)], services).join("\n");
        let common = |one: &str, other: &str| {
            format!("W079 virtual servers {one} and {other} have a service in common")
        };
        let tcp = ["group g|protocol TCP", "10.0.0.7 80|protocol TCP"];
        for members in ["10.0.0.7 80", "10.0.0.1-9 80", "10.0.0.0/24 80", "::1 80\n 10.0.0.7 80"] {
            assert_eq!(group(members, &tcp), common("group g/tcp", "10.0.0.7:80/tcp"), "{members}");
        }
        let reversed: Vec<_> = tcp.iter().rev().copied().collect();
        assert_eq!(group("10.0.0.1-9 80", &reversed), common("10.0.0.7:80/tcp", "group g/tcp"));
        for members in ["10.0.0.7 81", "10.0.0.8-9 80", "10.0.1.0/24 80", "::a00:7 80", "fwmark 7"]
        {
            assert_eq!(group(members, &tcp), "", "{members}");
        }
        // A mark has no protocol, so that it is shared where addresses are not.
        let both = ["group g|protocol TCP", "group g|protocol UDP"];
        assert_eq!(group("10.0.0.7 80", &both), "");
        assert_eq!(group("10.0.0.7 80\n fwmark 3", &both), common("group g/tcp", "group g/udp"));
        assert_eq!(
            group("10.0.0.7 80", &[both[0], both[0]]),
            "W079 virtual server group g/tcp is defined twice"
        );
    }

    /// What `collide` is to find, by looking at all pairs.
    fn collisions_of_pairs(parts: &[Part]) -> Collisions {
        let mut found = Collisions::new();
        for later in parts {
            let is_earlier = |other: &&Part| {
                other.service < later.service
                    && other.first <= later.last
                    && later.first <= other.last
            };
            for earlier in parts.iter().filter(is_earlier) {
                let known = found.entry(later.service).or_insert((*later, *earlier));
                if (earlier.service, later, earlier) < (known.1.service, &known.0, &known.1) {
                    *known = (*later, *earlier);
                }
            }
        }
        found
    }

    fn assert_as_of_pairs(parts: &[Part]) {
        let mut found = Collisions::new();
        collide(parts.to_vec(), &mut found);
        assert_eq!(found, collisions_of_pairs(parts), "{parts:?}");
    }

    fn part(place: usize, service: usize, first: u128, last: u128) -> Part {
        Part { service, span: Span::new(crate::conf::FileId(0), place, place + 1), first, last }
    }

    #[test]
    fn every_order_of_four_parts_has_the_collisions_of_its_pairs() {
        let ranges = [(0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)];
        let kinds = ranges.len() * 3;
        for mut case in 0..kinds.pow(4) {
            let parts: [Part; 4] = std::array::from_fn(|place| {
                let (first, last) = ranges[case % ranges.len()];
                let service = case / ranges.len() % 3;
                case /= kinds;
                part(place, service, first, last)
            });
            assert_as_of_pairs(&parts);
        }
    }

    #[test]
    fn many_parts_have_the_collisions_of_their_pairs() {
        let mut state = 1_u32;
        let mut below = |limit: u32| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 16) % limit
        };
        for _ in 0..2_000 {
            let parts: Vec<Part> = (0..12)
                .map(|place| {
                    let (service, first) = (below(6) as usize, u128::from(below(40)));
                    part(place, service, first, first + u128::from(below(12)))
                })
                .collect();
            assert_as_of_pairs(&parts);
        }
    }

    #[test]
    fn a_wide_range_hides_no_other_one() {
        let groups = [("wide", "10.0.0.0/16 80\n 10.0.0.3 80"), ("narrow", "10.0.0.0-9 80")];
        let services = ["group wide|protocol TCP", "group narrow|protocol TCP"];
        let common = "W079 virtual servers group wide/tcp and";
        assert_eq!(
            said(&groups, &services),
            [format!("{common} group narrow/tcp have a service in common")]
        );
        let third = [services[0], services[1], "10.0.0.5 80|protocol TCP"];
        assert_eq!(
            said(&groups, &third)[1..],
            [format!("{common} 10.0.0.5:80/tcp have a service in common")]
        );
    }
}
