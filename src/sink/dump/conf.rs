//! The effective configuration as a keepalived.conf that means the same: no parameters, no repetition, no
//! includes, one keyword a line.
//!
//! What is inherited stays inherited: a value is written in the block where it was written, as what counts
//! of it. So the sweep still sees which `retry` somebody chose, and another reader what belongs together.
//!
//! Left out are the blocks that are no business of a health checker; comments say so.

use std::collections::HashMap;
use std::net::IpAddr;

use super::conf_checks::checker;
use super::globals;
use super::lines::{Lines, is_of};
use super::quote;
use super::record::time;
use crate::fleet::effective::{
    Effective, Family, ForwardingMethod, Globals, GroupMember, GroupMembers, Level, Notify,
    RealServer, Setting, SorryServer, Ssl, TrackFile, Verbatim, VirtualServer,
};
use crate::fleet::{Protocol, Service, is_hashing};

/// The text, one root block at a time, each with its line ends.
pub fn conf(effective: &Effective) -> impl Iterator<Item = Vec<u8>> {
    let head = [globals(&effective.globals), ssl(&effective.ssl)];
    let track_files = effective.track_files.iter().map(|(name, file)| track_file(name, file));
    let top_level = effective.top_level.iter().map(verbatim);
    let bfd = effective.bfd_instances.values().map(verbatim);
    let groups = effective.groups.iter().map(|(name, members)| group(name, members));
    let services = effective.virtual_servers.iter().map(virtual_server);
    let foreign = effective.foreign.iter().map(|(keyword, (_, count))| {
        format!("# left out, no business of health checks: {count} x {keyword}\n").into_bytes()
    });
    top_level.chain(head).chain(track_files).chain(bfd).chain(groups).chain(services).chain(foreign)
}

fn globals(of: &Globals) -> Vec<u8> {
    let mut inside = Lines::inside();
    globals::keywords(&mut inside, of);
    in_block("global_defs", inside)
}

/// The lines in their block; nothing where there are none.
fn in_block(header: &str, inside: Lines) -> Vec<u8> {
    let mut lines = Lines::default();
    if !inside.is_empty() {
        lines.block(header, |lines| lines.append(inside));
    }
    lines.finish()
}

fn ssl(ssl: &Ssl) -> Vec<u8> {
    let mut inside = Lines::inside();
    for (keyword, setting) in [
        ("password", &ssl.password),
        ("ca", &ssl.ca),
        ("certificate", &ssl.certificate),
        ("key", &ssl.key),
    ] {
        inside.own_word(Level::Global, keyword, setting);
    }
    in_block("SSL", inside)
}

/// `track_file NAME`, its name quoted where it must be.
fn header(keyword: &str, name: &str) -> String {
    let mut header = format!("{keyword} ").into_bytes();
    quote::word(&mut header, name.as_bytes());
    String::from_utf8_lossy(&header).into_owned()
}

fn track_file(name: &str, file: &TrackFile) -> Vec<u8> {
    let mut lines = Lines::default();
    lines.block(&header("track_file", name), |lines| {
        lines.word("file", file.file.value.as_bytes());
        if file.weight.origin.is_written() || file.reverse.origin.is_written() {
            lines.value("weight", weight(file.weight.value, file.reverse.value));
        }
        if let Some((value, overwrites)) = file.init_file.value {
            let overwrite = if overwrites { " overwrite" } else { "" };
            lines.value("init_file", format_args!("{value}{overwrite}"));
        }
    });
    lines.finish()
}

pub(super) fn weight(weight: i64, is_reverse: bool) -> String {
    format!("{weight}{}", if is_reverse { " reverse" } else { "" })
}

/// A keyword of the top level that no code acts on.
fn verbatim(kept: &Verbatim) -> Vec<u8> {
    let mut lines = Lines::default();
    lines.verbatim(kept);
    lines.finish()
}

fn group(name: &str, members: &GroupMembers) -> Vec<u8> {
    let mut lines = Lines::default();
    lines.block(&header("virtual_server_group", name), |lines| {
        for (member, _) in &members.members {
            match member {
                GroupMember::Addresses(range, port) => {
                    let (first, last) = (range.first(), range.last());
                    let addresses = match range.prefix_len() {
                        Some(prefix) => format!("{first}/{prefix}"),
                        None if first == last => first.to_string(),
                        None => format!("{first}-{last}"),
                    };
                    lines.value(&addresses, port_word(*port));
                }
                GroupMember::Fwmark(mark, of) => {
                    lines.value(&format!("fwmark {mark}"), of.map_or("", |of| family(of)));
                }
            }
        }
    });
    lines.finish()
}

/// Nothing for 0.
fn port_word(port: u16) -> String {
    if port == 0 { String::new() } else { port.to_string() }
}

fn family(family: Family) -> &'static str {
    match family {
        Family::Inet => "inet",
        Family::Inet6 => "inet6",
    }
}

fn virtual_server(service: &VirtualServer) -> Vec<u8> {
    let name = match &service.service {
        Service::Address(address) => {
            format!("virtual_server {} {}", address.ip(), port_word(address.port()))
        }
        Service::Fwmark(mark) => format!("virtual_server fwmark {mark}"),
        Service::Group(name) => header("virtual_server group", name),
    };
    let mut lines = Lines::default();
    lines.block(name.trim_end(), |lines| {
        service_keywords(lines, service);
        for (server, port) in service.real_servers.iter().zip(ports(service)) {
            real_server(lines, server, port);
        }
    });
    lines.finish()
}

fn service_keywords(lines: &mut Lines, service: &VirtualServer) {
    const LEVEL: Level = Level::VirtualServer;
    if !matches!(service.service, Service::Address(_))
        && let Some(of) = service.family
    {
        lines.value("ip_family", family(of));
    }
    lines.own_if(LEVEL, &service.protocol, |lines, protocol| {
        lines.value(
            "protocol",
            match protocol {
                Protocol::Tcp => "TCP",
                Protocol::Udp => "UDP",
                Protocol::Sctp => "SCTP",
            },
        );
    });
    scheduler(lines, service);
    lines.own(LEVEL, &service.method, |lines, of| lines.value("lvs_method", method(of)));
    lines.own(LEVEL, &service.delay_loop, |lines, of| lines.value("delay_loop", time(of)));
    lines.own_if(LEVEL, &service.delay_before_retry, |lines, of| {
        lines.value("delay_before_retry", time(of));
    });
    lines.own_if(LEVEL, &service.retry, |lines, of| lines.value("retry", of));
    lines.own_if(LEVEL, &service.warmup, |lines, of| lines.value("warmup", time(of)));
    lines.own(LEVEL, &service.connect_timeout, |lines, of| {
        lines.value("connect_timeout", time(of));
    });
    for (keyword, setting) in [
        ("alpha", &service.alpha),
        ("omega", &service.omega),
        ("inhibit_on_failure", &service.inhibit_on_failure),
        ("ha_suspend", &service.ha_suspend),
        ("ops", &service.ops),
    ] {
        lines.own_flag(LEVEL, keyword, setting);
    }
    lines.own_boolean(LEVEL, "smtp_alert", &service.smtp_alert);
    lines.own_number(LEVEL, "weight", &service.weight);
    lines.own_number(LEVEL, "quorum", &service.quorum);
    lines.own_number(LEVEL, "hysteresis", &service.hysteresis);
    notify(lines, LEVEL, "quorum_up", &service.quorum_up);
    notify(lines, LEVEL, "quorum_down", &service.quorum_down);
    if let Some(server) = &service.sorry_server.value {
        sorry_server(lines, server, &service.method.value);
    }
    // The granularity makes it persistent, and the timeout follows from that.
    lines.own_if(LEVEL, &service.persistence_timeout, |lines, of| {
        lines.value("persistence_timeout", of);
    });
    lines.own_word(LEVEL, "persistence_granularity", &service.persistence_granularity);
    lines.own_word(LEVEL, "persistence_engine", &service.persistence_engine);
    lines.own_word(LEVEL, "virtualhost", &service.virtualhost);
    lines.own_word(LEVEL, "snmp_name", &service.snmp_name);
}

/// A flag of a scheduler stays when another scheduler is written behind it, but it stands only behind its own.
fn scheduler(lines: &mut Lines, service: &VirtualServer) {
    let name = &*service.scheduler.value;
    let first =
        |scheduler: &str| service.scheduler_flags.iter().any(|of| of.starts_with(scheduler));
    let before = match is_hashing(name) {
        true => None,
        false if first("mh-") => Some("mh"),
        false if first("sh-") || first("hashed") => Some("sh"),
        false => None,
    };
    if let Some(before) = before {
        lines.value("lvs_sched", before);
        service.scheduler_flags.iter().for_each(|flag| lines.flag(flag));
    }
    lines.own(Level::VirtualServer, &service.scheduler, |lines, name| {
        lines.word("lvs_sched", name.as_bytes());
    });
    if before.is_none() {
        service.scheduler_flags.iter().for_each(|flag| lines.flag(flag));
    }
}

fn sorry_server(lines: &mut Lines, server: &SorryServer, inherited: &ForwardingMethod) {
    let port = port_word(server.address.port());
    lines.value(&format!("sorry_server {}", server.address.ip()), port);
    if server.inhibit {
        lines.flag("sorry_server_inhibit");
    }
    if server.method != *inherited {
        lines.value("sorry_server_lvs_method", method(&server.method));
    }
}

/// `NAT`, `DR`, `TUN type gue port 6080 csum`.
pub(super) fn method(method: &ForwardingMethod) -> String {
    match method {
        ForwardingMethod::Nat => "NAT".to_owned(),
        ForwardingMethod::Dr => "DR".to_owned(),
        ForwardingMethod::Tun(tunnel) => {
            let kind = if tunnel.kind.is_empty() { "ipip" } else { tunnel.kind };
            let port = tunnel.port.map(|port| format!(" port {port}")).unwrap_or_default();
            let checksum = tunnel.checksum.map(|word| format!(" {word}")).unwrap_or_default();
            format!("TUN type {kind}{port}{checksum}")
        }
    }
}

fn notify(lines: &mut Lines, level: Level, keyword: &str, setting: &Setting<Option<Notify>>) {
    lines.own_if(level, setting, |lines, notify| {
        // That of `script_user` stays inherited.
        let user = notify.user.value.as_ref().filter(|_| is_of(notify.user.origin, level));
        lines.line(keyword, |out| quote::command(out, &notify.command, user));
    });
}

/// The port that each real server is written with, 0 for none: the one that counts. Where two of one address
/// come to the same, as they are written, or the later one would be a duplicate.
fn ports(service: &VirtualServer) -> Vec<u16> {
    let effective = |server: &RealServer| match server.written_port {
        0 => (server.address.ip(), 0),
        _ => (server.address.ip(), server.address.port()),
    };
    let mut counts: HashMap<(IpAddr, u16), u32> = HashMap::new();
    for server in &service.real_servers {
        *counts.entry(effective(server)).or_default() += 1;
    }
    let port = |server: &RealServer| match counts.get(&effective(server)) {
        Some(0 | 1) | None => effective(server).1,
        Some(_) => server.written_port,
    };
    service.real_servers.iter().map(port).collect()
}

fn real_server(lines: &mut Lines, server: &RealServer, port: u16) {
    const LEVEL: Level = Level::RealServer;
    let header = format!("real_server {} {}", server.address.ip(), port_word(port));
    // What a checker takes that has none of its own.
    let port = if port == 0 { server.address.port() } else { port };
    lines.block(header.trim_end(), |lines| {
        lines.own_number(LEVEL, "weight", &server.weight);
        lines.own(LEVEL, &server.method, |lines, of| lines.value("lvs_method", method(of)));
        lines.own_number(LEVEL, "uthreshold", &server.thresholds.upper);
        lines.own_number(LEVEL, "lthreshold", &server.thresholds.lower);
        lines.own(LEVEL, &server.delay_loop, |lines, of| lines.value("delay_loop", time(of)));
        lines.own_if(LEVEL, &server.delay_before_retry, |lines, of| {
            lines.value("delay_before_retry", time(of));
        });
        lines.own_if(LEVEL, &server.retry, |lines, of| lines.value("retry", of));
        lines.own_if(LEVEL, &server.warmup, |lines, of| lines.value("warmup", time(of)));
        lines.own(LEVEL, &server.connect_timeout, |lines, of| {
            lines.value("connect_timeout", time(of));
        });
        lines.own_boolean(LEVEL, "alpha", &server.alpha);
        lines.own_boolean(LEVEL, "inhibit_on_failure", &server.inhibit_on_failure);
        lines.own_boolean(LEVEL, "smtp_alert", &server.smtp_alert);
        notify(lines, LEVEL, "notify_up", &server.notify_up);
        notify(lines, LEVEL, "notify_down", &server.notify_down);
        lines.own_word(LEVEL, "virtualhost", &server.virtualhost);
        lines.own_word(LEVEL, "snmp_name", &server.snmp_name);
        for one in &server.checkers {
            checker(lines, one, port);
        }
    });
}
