//! The same checker twice on one real server.
//!
//! Two checkers are the same where they are of one type and contact the same target in the same way for
//! the same thing. Timers do not make a difference, nor does whom a script runs as.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_proto::rr::{Name, RecordType};

use super::tally::Tally;
use crate::conf::{Code, Diagnostic, Diagnostics, Span};
use crate::fleet::ScriptCommand;
use crate::fleet::effective::{Check, Checker, Effective, Url};

/// What makes a checker this one.
#[derive(PartialEq, Eq, Hash)]
struct Key<'c> {
    keyword: &'static str,
    connection: Option<ConnectionKey<'c>>,
    what: What<'c>,
}

type ConnectionKey<'c> = (SocketAddr, Option<IpAddr>, Option<u16>, Option<&'c str>, u32, Duration);

#[derive(PartialEq, Eq, Hash)]
enum What<'c> {
    Nothing,
    Words([Option<&'c str>; 3], [u32; 2]),
    Dns(RecordType, &'c Name),
    Script(&'c ScriptCommand, bool),
    Http(Option<&'c str>, Vec<UrlKey<'c>>),
    Udp(&'c [u8], bool, Option<&'c [(u8, u8)]>, u16, u16),
    File(&'c str, i64, bool),
}

#[derive(PartialEq, Eq, Hash)]
struct UrlKey<'c> {
    path: &'c [u8],
    virtualhost: Option<&'c str>,
    digest: Option<[u8; 16]>,
    status_codes: &'c [(u16, u16)],
    regex: Option<RegexKey<'c>>,
}

/// Pattern, `regex_no_match`, options, least and greatest offset.
type RegexKey<'c> = (&'c [u8], bool, &'c [&'static str], Option<u64>, Option<u64>);

pub(super) fn check(effective: &Effective, diagnostics: &mut Diagnostics) {
    for service in &effective.virtual_servers {
        let mut tally: Tally<Span> = Tally::new();
        let mut example = None;
        for server in service.real_servers.iter().filter(|server| !server.is_doubtful) {
            let mut known: HashMap<Key<'_>, Span> = HashMap::new();
            for checker in server.checkers.iter().filter(|_| server.checkers.len() > 1) {
                if let Some(first) = known.get(&key(checker)) {
                    tally.add(service.header, checker.header);
                    example.get_or_insert((checker.check.keyword(), server.label(), *first));
                } else {
                    known.insert(key(checker), checker.header);
                }
            }
        }
        for found in tally.found() {
            let Some((keyword, server, first)) = &example else { continue };
            let message = format!(
                "the same {keyword} twice on real server {server}{}",
                found.others("checker")
            );
            diagnostics.push(
                Diagnostic::new(Code::DuplicateChecker, message)
                    .at(found.first, "finds nothing that the other one does not")
                    .also(*first, "the same as this"),
            );
        }
    }
}

fn key(checker: &Checker) -> Key<'_> {
    let connection = checker.network.as_ref().map(|network| {
        (
            network.target,
            network.bindto.value,
            network.bind_port.value,
            network.bind_if.value.as_deref(),
            network.fwmark.value,
            network.connect_timeout.value,
        )
    });
    Key { keyword: checker.check.keyword(), connection, what: what(&checker.check) }
}

fn what(check: &Check) -> What<'_> {
    match check {
        Check::Tcp(_) | Check::Ping(_) => What::Nothing,
        Check::Dns(dns) => What::Dns(dns.record_type.value, &dns.name.value),
        Check::Misc(misc) => What::Script(&misc.command.value, misc.dynamic.value),
        Check::Smtp(smtp) => What::Words([Some(&smtp.helo_name.value), None, None], [0; 2]),
        Check::Bfd(bfd) => What::Words([Some(&bfd.name.value), None, None], [0; 2]),
        Check::Ftp(ftp) => {
            What::Words([ftp.user.value.as_deref(), ftp.password.value.as_deref(), None], [0; 2])
        }
        Check::Tls(tls) => What::Words(
            [tls.name.value.as_deref(), tls.ca.value.as_deref(), None],
            [u32::from(tls.verify.value), tls.min_days.value],
        ),
        Check::Http(http) => {
            let sni = http.enable_sni.value.then_some(http.sni_name.value.as_deref());
            What::Http(sni.flatten(), http.urls.iter().map(url).collect())
        }
        Check::Udp(udp) => What::Udp(
            &udp.payload.value,
            udp.require_reply.value,
            udp.pattern.as_deref(),
            udp.min_reply_length.value,
            udp.max_reply_length.value,
        ),
        Check::File(file) => {
            What::File(&file.track_file.value, file.weight.value, file.reverse.value)
        }
    }
}

fn url(url: &Url) -> UrlKey<'_> {
    UrlKey {
        path: &url.path.value,
        virtualhost: url.virtualhost.value.as_deref(),
        digest: url.digest.value,
        status_codes: &url.status_codes.value.0,
        regex: url.regex.as_ref().map(|regex| {
            (
                &*regex.pattern.value,
                regex.no_match.value,
                &*regex.options.value,
                regex.min_offset.value,
                regex.max_offset.value,
            )
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::effective::Setting;
    use crate::lint::testing::{Build, messages, server, service};

    fn said(change: impl Fn(&mut Checker)) -> Vec<String> {
        let mut build = Build::default();
        let mut server = server(&mut build, 10);
        let (first, mut second) = (build.tcp(&server), build.tcp(&server));
        change(&mut second);
        server.checkers.extend([first, second]);
        let service = service(&mut build, vec![server]);
        let effective = build.with(vec![service]);
        messages(|diagnostics| check(&effective, diagnostics))
    }

    #[test]
    fn timers_make_no_difference_and_targets_do() {
        let twice = "W078 the same TCP_CHECK twice on real server 10.0.0.10:80";
        assert_eq!(said(|_| {}), [twice]);
        let retry = |checker: &mut Checker| {
            checker.timers.as_mut().expect("TCP").retry = Setting::default_of(9);
        };
        assert_eq!(said(retry), [twice]);
        let port = |checker: &mut Checker| {
            checker.network.as_mut().expect("TCP").target.set_port(81);
        };
        assert_eq!(said(port), [""; 0]);
    }
}
