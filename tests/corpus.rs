//! Configurations of which it is recorded what keepalived 2.2.7 makes of them: the same servers, checkers
//! and values here, but for the differences that are listed.
//!
//! `tests/conf/corpus/NAME.conf` with `NAME.recorded.txt`: what `keepalived -t` says, and how its checker
//! process describes its configuration when it runs.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ringprobe::conf::Problems;
use ringprobe::fleet::effective::{
    Check, Checker, Effective, Family, ForwardingMethod, HttpProtocol, Level, Origin, RealServer,
    VirtualServer,
};
use ringprobe::fleet::{Analysis, LoadOptions, Protocol, ScriptCommand, Service, analyse};

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conf/corpus")
}

fn analysis(name: &str) -> Analysis {
    let path = corpus().join(format!("{name}.conf"));
    let options = LoadOptions { config_id: Some("corpus".into()), ..LoadOptions::default() };
    analyse(&path, &options).expect("it can be read")
}

/// Lines of the recorded configuration, without their indentation.
fn recorded(name: &str) -> BTreeSet<String> {
    let path = corpus().join(format!("{name}.recorded.txt"));
    let text = fs::read_to_string(path).expect("a file of this repository");
    let dump = text.split("## Recorded: effective configuration").nth(1).expect("it has a dump");
    dump.lines()
        .map(str::trim)
        .filter(|line| ["VS ", "RS ", "CHK ", "GROUP "].iter().any(|kind| line.starts_with(kind)))
        // A dot at the end of a domain name makes no difference.
        .map(|line| match line.split_once("; Name =") {
            Some(_) => line.trim_end_matches(['.', ' ']).to_owned(),
            None => line.to_owned(),
        })
        .collect()
}

/// What was found here and not recorded, and the other way round.
fn differences(name: &str) -> (Vec<String>, Vec<String>) {
    let found = described(&analysis(name).effective);
    let recorded = recorded(name);
    let only = |one: &BTreeSet<String>, other: &BTreeSet<String>| -> Vec<String> {
        one.difference(other).cloned().collect()
    };
    (only(&found, &recorded), only(&recorded, &found))
}

fn is_the_same(name: &str) {
    let (found, recorded) = differences(name);
    assert!(
        found.is_empty() && recorded.is_empty(),
        "{name}: only here {found:#?}, only recorded {recorded:#?}"
    );
}

/// One line differs, by one part.
fn differs_in(name: &str, parts: &[(&str, &str)]) {
    let (mut found, mut recorded) = differences(name);
    for (here, there) in parts {
        let at = found.iter().position(|line| line.contains(here));
        let line = found.remove(at.unwrap_or_else(|| panic!("{name}: no {here} in {found:#?}")));
        let expected = line.replacen(here, there, 1);
        let at = recorded.iter().position(|line| *line == expected);
        recorded.remove(at.unwrap_or_else(|| panic!("{expected}\nnot in {recorded:#?}")));
    }
    assert!(
        found.is_empty() && recorded.is_empty(),
        "{name}: only here {found:#?}, only recorded {recorded:#?}"
    );
}

#[test]
fn what_is_recorded_is_what_is_found() {
    for name in [
        "v02-inherited-timers",
        "v03-per-type-defaults",
        "v05-http-get",
        "v07-ssl-get",
        "v08-smtp",
        "v09-dns",
        "v11-udp-ping",
        "v15-grammar",
    ] {
        is_the_same(name);
    }
}

/// keepalived copies the real server's port before the virtual server's is filled in, and probes port 0.
#[test]
fn a_server_without_a_port_is_probed_on_the_port_of_its_service() {
    differs_in("v01-minimal-tcp", &[("Dest=[127.0.10.12]:80", "Dest=[127.0.10.12]:0")]);
    differs_in("v14-groups-fwmark-ipv6", &[("Dest=[2001:db8::145]:80", "Dest=[2001:db8::145]:0")]);
}

/// The dump as keepalived writes it, of all servers and checkers.
fn described(effective: &Effective) -> BTreeSet<String> {
    let mut lines = BTreeSet::new();
    for service in &effective.virtual_servers {
        lines.insert(virtual_server(service));
        for server in &service.real_servers {
            lines.insert(real_server(server));
            for checker in &server.checkers {
                lines.insert(self::checker(service, server, checker));
            }
        }
    }
    for (name, group) in &effective.groups {
        lines.insert(self::group(name, group));
    }
    lines
}

fn seconds(duration: Duration) -> String {
    format!("{:.6}", duration.as_secs_f64())
}

/// Without the decimals that say nothing.
fn short_seconds(duration: Duration) -> String {
    let text = seconds(duration);
    format!("{}s", text.trim_end_matches('0').trim_end_matches('.'))
}

fn yes(is_on: bool) -> &'static str {
    if is_on { "yes" } else { "no" }
}

fn method(method: ForwardingMethod) -> &'static str {
    match method {
        ForwardingMethod::Nat => "NAT",
        ForwardingMethod::Dr => "DR",
        ForwardingMethod::Tun(_) => "TUN",
    }
}

fn protocol(protocol: Option<Protocol>) -> &'static str {
    match protocol {
        Some(Protocol::Tcp) => "TCP",
        Some(Protocol::Udp) => "UDP",
        Some(Protocol::Sctp) => "SCTP",
        None => "none",
    }
}

fn virtual_server(service: &VirtualServer) -> String {
    let mut line = match &service.service {
        Service::Address(address) => {
            format!("VS VS VIP = {}, VPORT = {}", address.ip(), address.port())
        }
        Service::Fwmark(mark) => format!("VS VS FWMARK = {mark}"),
        Service::Group(name) => format!("VS VS GROUP = [{name}]:0"),
    };
    let family = match service.family {
        Some(Family::Inet6) => "inet6",
        _ => "inet",
    };
    let name = protocol(service.protocol.value);
    write!(line, " | Address family={family}, protocol={name}").expect("a string");
    let scheduler = &service.scheduler.value;
    let timeout = seconds(service.connect_timeout.value);
    let delay_loop = seconds(service.delay_loop.value);
    write!(line, ", lvs_sched={scheduler}, connection timeout={timeout}, delay_loop={delay_loop}")
        .expect("a string");
    if let Some(retry) = service.retry.value {
        write!(line, ", Retry count={retry}").expect("a string");
    }
    if let Some(delay) = service.delay_before_retry.value {
        write!(line, ", Retry delay={}", seconds(delay)).expect("a string");
    }
    if let Some(warmup) = service.warmup.value {
        write!(line, ", Warmup={}", seconds(warmup)).expect("a string");
    }
    let (quorum, hysteresis) = (service.quorum.value, service.hysteresis.value);
    write!(line, ", quorum={quorum}, hysteresis = {hysteresis}").expect("a string");
    if let Some(name) = &service.virtualhost.value {
        write!(line, ", VirtualHost={name}").expect("a string");
    }
    if let Some(timeout) = service.persistence_timeout.value {
        write!(line, ", persistence timeout={timeout}").expect("a string");
    }
    if let Some(granularity) = &service.persistence_granularity.value {
        write!(line, ", persistence granularity={granularity}").expect("a string");
    }
    let forwarding = method(service.method.value);
    write!(line, ", default forwarding method={forwarding}").expect("a string");
    if service.ops.value {
        line.push_str(", One packet scheduling=enabled");
    }
    write!(line, ", Using smtp notification={}", yes(service.smtp_alert.value)).expect("a string");
    for (is_on, text) in [
        (service.alpha.value, ", alpha is ON"),
        (service.omega.value, ", omega is ON"),
        (service.inhibit_on_failure.value, ", Inhibit on failure is ON"),
    ] {
        line.push_str(if is_on { text } else { "" });
    }
    line
}

fn real_server(server: &RealServer) -> String {
    let on = |is_on: bool| if is_on { "ON" } else { "OFF" };
    let weight = server.weight.value;
    let mut line = format!(
        "RS RIP = {}, RPORT = {}, WEIGHT = {weight} EFF WEIGHT = {weight} | forwarding method = {}, \
         connection timeout={}, Delay loop={}",
        server.address.ip(),
        server.address.port(),
        method(server.method.value),
        seconds(server.connect_timeout.value),
        seconds(server.delay_loop.value),
    );
    if let Some(retry) = server.retry.value {
        write!(line, ", Retry count={retry}").expect("a string");
    }
    if let Some(delay) = server.delay_before_retry.value {
        write!(line, ", Retry delay={}", seconds(delay)).expect("a string");
    }
    if let Some(warmup) = server.warmup.value {
        write!(line, ", Warmup={}", seconds(warmup)).expect("a string");
    }
    let (upper, lower) = (server.thresholds.upper.value, server.thresholds.lower.value);
    write!(line, ", connection limit range={lower} -> {upper}").expect("a string");
    if let Some(name) = &server.virtualhost.value {
        write!(line, ", VirtualHost='{name}'").expect("a string");
    }
    write!(
        line,
        ", Using smtp notification={}, Alpha is {}, Inhibit on failure is {}",
        yes(server.smtp_alert.value),
        on(server.alpha.value),
        on(server.inhibit_on_failure.value)
    )
    .expect("a string");
    line
}

fn endpoint(ip: IpAddr, port: u16) -> String {
    format!("[{ip}]:{port}")
}

fn checker(service: &VirtualServer, server: &RealServer, checker: &Checker) -> String {
    let transport = protocol(service.protocol.value).to_lowercase();
    let owner = match &service.service {
        Service::Address(SocketAddr::V4(address)) => {
            format!("[{}]:{transport}:{}", address.ip(), address.port())
        }
        Service::Address(address) => format!("[{}]:{transport}:{}", address.ip(), address.port()),
        Service::Fwmark(mark) => format!("FWM {mark}"),
        Service::Group(name) => format!("[{name}]:0"),
    };
    let (ip, port) = (server.address.ip(), server.address.port());
    let mut line =
        format!("CHK {owner} -> [{ip}]:{transport}:{port} | {}", checker.check.keyword());
    if let Check::Http(check) = &checker.check {
        let version = match check.http_protocol.value {
            HttpProtocol::Http10 => "1.0",
            HttpProtocol::Http10Close => "1.0C",
            HttpProtocol::Http11 => "1.1",
        };
        write!(line, ", http protocol {version}").expect("a string");
    }
    let timers = checker.timers.as_ref().expect("the types compared here have timers");
    write!(
        line,
        " | alpha={}, delay_loop={}, warmup={}, retry={}",
        yes(checker.alpha.value),
        short_seconds(timers.delay_loop.value),
        short_seconds(timers.warmup.value),
        timers.retry.value
    )
    .expect("a string");
    if timers.retry.value > 0 {
        let delay = short_seconds(timers.delay_before_retry.value);
        write!(line, ", delay_before_retry={delay}").expect("a string");
    }
    write!(line, ", log_all_failures={}", yes(checker.log_all_failures.value)).expect("a string");
    if let Some(network) = &checker.network {
        let target = endpoint(network.target.ip(), network.target.port());
        write!(line, ", Dest={target}").expect("a string");
        if let Some(bindto) = network.bindto.value {
            let source = endpoint(bindto, network.bind_port.value.unwrap_or(0));
            write!(line, ", Bind to={source}").expect("a string");
        }
        write!(line, ", Timeout={}", seconds(network.connect_timeout.value)).expect("a string");
    }
    let details = details(&checker.check);
    if !details.is_empty() {
        write!(line, " | {}", details.join(" ; ")).expect("a string");
    }
    line
}

fn details(check: &Check) -> Vec<String> {
    let set = |is_on: bool| if is_on { "set" } else { "unset" };
    match check {
        Check::Http(check) => {
            let mut parts = Vec::new();
            if let Some(name) = &check.virtualhost.value {
                parts.push(format!("Virtualhost = {name}"));
            }
            parts.push(format!("Enable SNI {}", set(check.enable_sni.value)));
            parts.push(format!("Fast recovery {}", set(check.fast_recovery.value)));
            for url in &check.urls {
                parts.push(format!("Checked url = {}", String::from_utf8_lossy(&url.path.value)));
                if let Some(digest) = url.digest.value {
                    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
                    parts.push(format!("digest = {hex}"));
                }
                parts.push("HTTP Status Code(s)".to_owned());
                parts.extend(url.status_codes.value.0.iter().map(|(low, high)| {
                    if low == high { low.to_string() } else { format!("{low}-{high}") }
                }));
                let is_own = matches!(url.virtualhost.origin, Origin::Written(Level::Checker, _))
                    && url.virtualhost.origin != check.virtualhost.origin;
                if let (Some(name), true) = (&url.virtualhost.value, is_own) {
                    parts.push(format!("Virtual host = {name}"));
                }
            }
            parts
        }
        Check::Smtp(check) => vec![format!("helo = {}", check.helo_name.value)],
        Check::Dns(check) => {
            let name = check.name.value.to_string();
            let name = format!("Name = {}", name.trim_end_matches('.'));
            vec![format!("Type = {}", check.record_type.value), name.trim_end().to_owned()]
        }
        Check::Misc(check) => {
            let ScriptCommand::Argv(argv) = &check.command.value else { panic!("a shell command") };
            let words: Vec<_> =
                argv.iter().map(|word| format!("'{}'", String::from_utf8_lossy(word))).collect();
            // As it is written: where it is not, keepalived shows 0 and takes the delay_loop.
            let timeout = match check.timeout.origin {
                Origin::Written(Level::Checker, _) => check.timeout.value.as_secs(),
                _ => 0,
            };
            let dynamic = if check.dynamic.value { "YES" } else { "NO" };
            vec![
                format!("script = {}", words.join(" ")),
                format!("timeout = {timeout}"),
                format!("dynamic = {dynamic}"),
                "uid:gid = 0:0".to_owned(),
            ]
        }
        Check::Udp(check) => {
            let mut parts = vec![match check.payload.origin {
                Origin::Default => "Payload specified = no".to_owned(),
                _ => format!("Payload len = {}", check.payload.value.len()),
            }];
            parts.push(format!("Require reply = {}", yes(check.require_reply.value)));
            if check.require_reply.value {
                let pattern = check.pattern.as_deref().unwrap_or(&[]);
                parts.push(format!("Min reply length = {}", check.min_reply_length.value));
                parts.push(format!("Max reply length = {}", check.max_reply_length.value));
                parts.push(format!("Reply data len = {}", pattern.len()));
                if pattern.iter().any(|(_, mask)| *mask != 0xff) {
                    parts.push("Reply data mask = yes".to_owned());
                }
            }
            parts
        }
        _ => Vec::new(),
    }
}

/// `GROUP web, IPv4 = yes, IPv6 = no : VIP Range = A-B, VPORT = 80; VIP = C, VPORT = 443`
fn group(name: &str, group: &ringprobe::fleet::effective::GroupMembers) -> String {
    use ringprobe::fleet::effective::GroupMember;
    let mut families = [false, false];
    let mut parts = Vec::new();
    for (member, _) in &group.members {
        match member {
            GroupMember::Addresses(range, port) => {
                families[usize::from(range.first().is_ipv6())] = true;
                if range.first() == range.last() {
                    parts.push(format!("VIP = {}, VPORT = {port}", range.first()));
                } else {
                    let (first, last) = (range.first(), range.last());
                    parts.push(format!("VIP Range = {first}-{last}, VPORT = {port}"));
                }
            }
            GroupMember::Fwmark(mark, family) => {
                let family = match family {
                    Some(Family::Inet) => {
                        families[0] = true;
                        " IPv4"
                    }
                    Some(Family::Inet6) => {
                        families[1] = true;
                        " IPv6"
                    }
                    None => "",
                };
                parts.push(format!("FWMARK = {mark}{family}"));
            }
        }
    }
    let [v4, v6] = families.map(yes);
    format!("GROUP {name}, IPv4 = {v4}, IPv6 = {v6} : {}", parts.join("; "))
}

/// Lines that keepalived complains about, and that are not complained about here.
fn lines_missed(name: &str) -> Vec<u32> {
    let path = corpus().join(format!("{name}.recorded.txt"));
    let text = fs::read_to_string(path).expect("a file of this repository");
    let said = text.split("## Recorded: ").nth(1).expect("it has what is said");
    let lines = said.split("Line ").skip(1).filter_map(|rest| rest.split(')').next()?.parse().ok());
    let analysis = analysis(name);
    let problems = Problems::new(analysis.diagnostics, &analysis.sources);
    let found: BTreeSet<u32> = problems
        .iter()
        .flat_map(|problem| problem.primary.iter().chain(problem.further()))
        .map(|excerpt| excerpt.line)
        .collect();
    lines.collect::<BTreeSet<u32>>().difference(&found).copied().collect()
}

#[test]
fn what_is_wrong_is_said_where_keepalived_says_it() {
    // Lines where it complains of nothing but that it is in another block than was meant, and closing braces
    // where here the header is named.
    let consequences: [(&str, &[u32]); 8] = [
        ("i01-unknown-keyword", &[17, 19, 20]),
        ("i02-missing-open-brace", &[11, 14, 15, 16, 17]),
        ("i03-missing-close-brace", &[]),
        ("i04-bad-address", &[27, 31]),
        ("i05-bad-port", &[]),
        ("i07-unterminated-quote", &[]),
        ("i10-misplaced-checker", &[3, 4, 6, 7, 15, 16, 19, 20, 21, 22, 23, 24, 25, 26]),
        ("i11-include-missing", &[]),
    ];
    for (name, lines) in consequences {
        assert_eq!(lines_missed(name), lines, "{name}");
    }
}

#[test]
fn a_file_with_errors_is_understood_as_far_as_keepalived_understands_it() {
    is_the_same("i02-missing-open-brace");
    // Without a port, the port of the service, as in files without errors.
    differs_in("i05-bad-port", &[("Dest=[127.0.20.54]:80", "Dest=[127.0.20.54]:0")]);
    // The server whose brace is missing before it is not lost.
    let (found, recorded) = differences("i03-missing-close-brace");
    assert_eq!(recorded, [] as [&str; 0]);
    assert!(found.iter().all(|line| line.contains("127.0.20.32")), "{found:#?}");
}

/// keepalived keeps it, without an address: it never runs, and its server stays up for ever.
#[test]
fn a_checker_with_a_bad_connect_ip_is_no_checker() {
    let (found, recorded) = differences("i04-bad-address");
    assert_eq!(found, [] as [&str; 0]);
    // The other one is a checker of a real server that was refused, printed from freed memory.
    assert_eq!(recorded.len(), 2, "{recorded:#?}");
    assert!(recorded.iter().any(|line| line.contains("Bind to=[::1]:0")), "{recorded:#?}");
}
