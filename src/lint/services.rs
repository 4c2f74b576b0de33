//! Virtual servers that work on one service of IPVS: two blocks for one address, or a group that brings in
//! what another block has.
//!
//! A service is protocol, address and port, or a mark of a family. The members of a group are ranges, so
//! what two blocks have in common is found by sorting, not by writing every address down.

use std::collections::{BTreeMap, HashMap, HashSet};
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
#[derive(Copy, Clone)]
struct Part {
    first: u128,
    last: u128,
    /// Its place in the effective configuration.
    service: usize,
    /// The header, or the member of its group.
    span: Span,
}

/// By the place of the later virtual server: its part, and the one of the first it collides with.
type Collisions = BTreeMap<usize, (Part, Part)>;

pub(super) fn check(effective: &Effective, diagnostics: &mut Diagnostics) {
    let services = &effective.virtual_servers;
    let mut found = Collisions::new();
    for parts in parts(effective).values_mut() {
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
fn collide(parts: &mut [Part], found: &mut Collisions) {
    parts.sort_by_key(|part| (part.first, part.service));
    // Those before it that reach farthest, of two virtual servers.
    let (mut farthest, mut next): (Option<Part>, Option<Part>) = (None, None);
    for part in parts.iter().copied() {
        let other = farthest.filter(|other| other.service != part.service).or(next);
        if let Some(other) = other
            && other.last >= part.first
        {
            let (earlier, later) =
                if other.service < part.service { (other, part) } else { (part, other) };
            let known = found.entry(later.service).or_insert((later, earlier));
            if earlier.service < known.1.service {
                *known = (later, earlier);
            }
        }
        match farthest {
            Some(known) if known.last >= part.last => {
                if known.service != part.service && next.is_none_or(|next| next.last < part.last) {
                    next = Some(part);
                }
            }
            known => {
                next = known.filter(|known| known.service != part.service).or(next);
                farthest = Some(part);
            }
        }
    }
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
