//! What a checker asks of whom: other targets than its server, the root zone, silence.

use super::checkers;
use super::tally::Tally;
use crate::conf::{Code, Diagnostic, Diagnostics, Span};
use crate::fleet::effective::{Check, Effective};

pub(super) fn check(effective: &Effective, diagnostics: &mut Diagnostics) {
    other_targets(effective, diagnostics);
    root_zone(effective, diagnostics);
    silence(effective, diagnostics);
}

fn other_targets(effective: &Effective, diagnostics: &mut Diagnostics) {
    // By virtual server and target: one sidecar that stands for many servers is one finding.
    let mut addresses: Tally<(Span, std::net::IpAddr)> = Tally::new();
    let mut ports: Tally<(Span, u16)> = Tally::new();
    for (service, server, checker) in checkers(effective) {
        let Some(network) = &checker.network else { continue };
        let has_port = !matches!(checker.check, Check::Ping(_));
        if network.target.ip() != server.address.ip() {
            let place = network.connect_ip.origin.span().unwrap_or(checker.header);
            addresses.add((service.header, network.target.ip()), place);
        // A service by mark or group may leave its real servers without a port.
        } else if has_port
            && server.address.port() != 0
            && network.target.port() != server.address.port()
        {
            let place = network.connect_port.origin.span().unwrap_or(checker.header);
            ports.add((service.header, network.target.port()), place);
        }
    }
    for found in addresses.found() {
        let message = format!(
            "{} is contacted, which is not the address of the real server{}",
            found.cause.1,
            found.others("checker")
        );
        diagnostics.push(
            Diagnostic::new(Code::OtherAddress, message)
                .at(found.first, "what is found is about this address"),
        );
    }
    for found in ports.found() {
        let message = format!(
            "port {} is contacted, which is not the port of the real server{}",
            found.cause.1,
            found.others("checker")
        );
        diagnostics.push(Diagnostic::new(Code::OtherPort, message).at(found.first, ""));
    }
}

fn root_zone(effective: &Effective, diagnostics: &mut Diagnostics) {
    let mut tally: Tally<Span> = Tally::new();
    for (service, _, checker) in checkers(effective) {
        let Check::Dns(dns) = &checker.check else { continue };
        let is_default = !dns.name.origin.is_written() && !dns.record_type.origin.is_written();
        if is_default && dns.name.value.is_root() {
            tally.add(service.header, checker.header);
        }
    }
    for found in tally.found() {
        let message =
            format!("DNS_CHECK asks for the SOA record of the root{}", found.others("checker"));
        diagnostics.push(
            Diagnostic::new(Code::RootZone, message)
                .at(found.first, "neither `name` nor `type` is written")
                .help(
                    "an authoritative server refuses to answer that: add `name` with a zone it has; \
                     where the root is meant, `name .`",
                ),
        );
    }
}

fn silence(effective: &Effective, diagnostics: &mut Diagnostics) {
    let mut tally: Tally<Span> = Tally::new();
    for (service, _, checker) in checkers(effective) {
        if let Check::Udp(udp) = &checker.check
            && !udp.require_reply.value
        {
            tally.add(service.header, checker.header);
        }
    }
    for found in tally.found() {
        let message =
            format!("a server that does not answer passes this{}", found.others("checker"));
        diagnostics.push(
            Diagnostic::new(Code::SilencePasses, message)
                .at(found.first, "without `require_reply` only an ICMP error fails"),
        );
    }
}

#[cfg(test)]
mod tests {
    use hickory_proto::rr::{Name, RecordType};

    use super::*;
    use crate::fleet::effective::{DnsCheck, Level, Setting, UdpCheck};
    use crate::lint::testing::{Build, messages, server, service};

    fn said(change: impl FnOnce(&mut Build, &mut crate::fleet::effective::Checker)) -> Vec<String> {
        let mut build = Build::default();
        let mut server = server(&mut build, 10);
        let mut checker = build.tcp(&server);
        change(&mut build, &mut checker);
        server.checkers.push(checker);
        let service = service(&mut build, vec![server]);
        let effective = build.with(vec![service]);
        messages(|diagnostics| check(&effective, diagnostics))
    }

    #[test]
    fn another_address_is_a_warning_and_another_port_a_note() {
        assert_eq!(said(|_, _| {}), [""; 0]);
        let target = |text: &str| {
            let target = text.parse().expect("an address");
            said(|_, checker| checker.network.as_mut().expect("TCP").target = target)
        };
        assert_eq!(
            target("10.0.0.9:80"),
            ["W081 10.0.0.9 is contacted, which is not the address of the real server"]
        );
        assert_eq!(
            target("10.0.0.10:8080"),
            ["N065 port 8080 is contacted, which is not the port of the real server"]
        );
    }

    #[test]
    fn the_root_is_fine_where_it_is_written() {
        let dns = |is_written: bool| {
            said(|build, checker| {
                let mut name = Setting::default_of(Name::root());
                if is_written {
                    name = build.written(Level::Checker, Name::root());
                }
                let record_type = Setting::default_of(RecordType::SOA);
                checker.check = Check::Dns(DnsCheck { record_type, name });
            })
        };
        assert_eq!(dns(true), [""; 0]);
        assert_eq!(dns(false), ["W080 DNS_CHECK asks for the SOA record of the root"]);
    }

    #[test]
    fn silence_passes_without_require_reply() {
        let udp = |require_reply| {
            said(|_, checker| {
                checker.check = Check::Udp(Box::new(UdpCheck {
                    payload: Setting::default_of([0; 32].into()),
                    require_reply: Setting::default_of(require_reply),
                    pattern: None,
                    min_reply_length: Setting::default_of(0),
                    max_reply_length: Setting::default_of(255),
                }));
            })
        };
        assert_eq!(udp(true), [""; 0]);
        assert_eq!(udp(false), ["N066 a server that does not answer passes this"]);
    }
}
