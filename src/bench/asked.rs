//! What each target was asked, and over what connection.

use std::net::IpAddr;

use serde::Serialize;

use super::plan::Targets;
use crate::fleet::{Connection, DnsRequire, Handshake, ProbeSpec};

/// What the command line asked of each target; of a configuration, which says it of each of its own, what is the same
/// for all that it says it of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Asked {
    /// Record type and name of the question of a DNS check, as in `A www.example.test.`.
    pub dns_question: Option<String>,
    /// What passes a DNS check: `answer` or `rcode`.
    pub dns_require: Option<&'static str>,
    /// What the peer of a TCP check sees: `half`, `full` or `orderly`.
    pub tcp_handshake: Option<&'static str>,
    /// Source addresses, one per address family.
    pub bindto: Vec<IpAddr>,
    /// Source port.
    pub bind_port: Option<u16>,
    /// Interface.
    pub bind_if: Option<String>,
    /// SO_MARK; `None` for no mark.
    pub fwmark: Option<u32>,
}

impl Asked {
    /// Of these targets.
    pub(super) fn of(targets: &Targets) -> Asked {
        match targets {
            Targets::Fleet(fleet, _) => Asked::the_same_of(&fleet.specs),
            Targets::List(_, specs) => {
                let specs: Vec<ProbeSpec> =
                    [&specs.ipv4, &specs.ipv6].into_iter().flatten().cloned().collect();
                Asked {
                    bindto: connections(&specs)
                        .filter_map(|connection| connection.bindto)
                        .collect(),
                    ..Asked::the_same_of(&specs)
                }
            }
        }
    }

    /// Without the source addresses.
    fn the_same_of(specs: &[ProbeSpec]) -> Asked {
        let dns = || {
            specs.iter().filter_map(|spec| match spec {
                ProbeSpec::Dns(spec) => Some(spec),
                _ => None,
            })
        };
        let handshakes = specs.iter().filter_map(|spec| match spec {
            ProbeSpec::Tcp(spec) => Some(word_of_handshake(spec.handshake)),
            _ => None,
        });
        let of_all =
            |of: fn(&Connection) -> Option<String>| one(connections(specs).map(of)).flatten();
        Asked {
            dns_question: one(dns().map(|spec| format!("{} {}", spec.record_type, spec.name))),
            dns_require: one(dns().map(|spec| word_of_require(spec.require))),
            tcp_handshake: one(handshakes),
            bindto: Vec::new(),
            bind_port: one(connections(specs).map(|connection| connection.bind_port)).flatten(),
            bind_if: of_all(|connection| connection.bind_if.as_deref().map(str::to_owned)),
            fwmark: one(connections(specs).map(|connection| connection.fwmark))
                .filter(|mark| *mark > 0),
        }
    }
}

fn connections(specs: &[ProbeSpec]) -> impl Iterator<Item = &Connection> {
    specs.iter().filter_map(ProbeSpec::connection)
}

/// The value that all of them are; `None` of none, and of several.
fn one<T: PartialEq>(mut values: impl Iterator<Item = T>) -> Option<T> {
    let first = values.next()?;
    values.all(|value| value == first).then_some(first)
}

fn word_of_require(require: DnsRequire) -> &'static str {
    match require {
        DnsRequire::Answer => "answer",
        DnsRequire::Rcode => "rcode",
    }
}

fn word_of_handshake(handshake: Handshake) -> &'static str {
    match handshake {
        Handshake::Half => "half",
        Handshake::Full => "full",
        Handshake::Orderly => "orderly",
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use hickory_proto::rr::{Name, RecordType};

    use super::*;
    use crate::fleet::{DnsSpec, Fleet, TcpSpec};
    use crate::sweep::ListSpecs;

    fn dns(record_type: RecordType) -> ProbeSpec {
        let name = Name::from_ascii("www.example.test.").expect("a name");
        let connection = Connection::default();
        ProbeSpec::Dns(DnsSpec { connection, name, record_type, require: DnsRequire::Rcode })
    }

    fn tcp(bindto: &str) -> ProbeSpec {
        let connection = Connection {
            bindto: Some(bindto.parse().expect("an address")),
            bind_port: Some(4000),
            bind_if: Some("eth0".into()),
            fwmark: 7,
            ..Connection::default()
        };
        ProbeSpec::Tcp(TcpSpec { connection, handshake: Handshake::Full })
    }

    #[test]
    fn what_the_command_line_asks_of_a_list_is_told() {
        let specs = ListSpecs { ipv4: Some(tcp("192.0.2.1")), ipv6: Some(tcp("2001:db8::1")) };
        let asked = Asked::of(&Targets::List(Arc::new([]), Box::new(specs)));
        let wanted = Asked {
            tcp_handshake: Some("full"),
            bindto: ["192.0.2.1", "2001:db8::1"].map(|text| text.parse().expect("good")).into(),
            bind_port: Some(4000),
            bind_if: Some("eth0".to_owned()),
            fwmark: Some(7),
            ..Asked::default()
        };
        assert_eq!(asked, wanted);
    }

    #[test]
    fn what_a_configuration_says_differently_is_left_to_it() {
        let asked = |specs: Vec<ProbeSpec>| {
            let fleet = Fleet { specs, ..Fleet::default() };
            Asked::of(&Targets::Fleet(Arc::new(fleet), "x".into()))
        };
        let one = asked(vec![dns(RecordType::A)]);
        assert_eq!(one.dns_question.as_deref(), Some("A www.example.test."));
        assert_eq!((one.dns_require, one.tcp_handshake), (Some("rcode"), None));
        let several = asked(vec![dns(RecordType::A), dns(RecordType::AAAA), tcp("192.0.2.1")]);
        assert_eq!(several.dns_question, None);
        assert_eq!((several.dns_require, several.tcp_handshake), (Some("rcode"), Some("full")));
        assert_eq!((several.bind_port, several.fwmark, several.bindto), (None, None, Vec::new()));
    }
}
