//! The effective configuration as JSON records, one a line: `globals`, `ssl`, `track_file`,
//! `bfd_instance`, `virtual_server_group`, then each `virtual_server`, its `real_server`s, and behind each
//! of those its `checker`s, in file order; at last what is no business of a health checker (`foreign`).
//!
//! A value is under its keyword: times in seconds, addresses as text, null for what is not set. `from` has an
//! entry for each value that is not a default: the level of the block, file and line, and `adjusted` where
//! keepalived makes something else of what is written.

use super::checks::checker;
use super::globals;
use super::record::{Record, bytes, list, optional, plain, shown, text, time};
use crate::conf::Sources;
use crate::fleet::effective::{
    Effective, Family, ForwardingMethod, GroupMember, GroupMembers, Level, Notify, RealServer,
    Setting, SorryServer, Ssl, TrackFile, Verbatim, VirtualServer,
};
use crate::fleet::{Protocol, ScriptCommand, Service, UserName};

/// The records, one at a time, each without its line end.
pub fn json<'e>(effective: &'e Effective, sources: &'e Sources) -> impl Iterator<Item = String> {
    let head = [globals::record(&effective.globals, sources), ssl(&effective.ssl, sources)];
    let track_files =
        effective.track_files.iter().map(|(name, file)| track_file(name, file, sources));
    let top_level = effective.top_level.iter().map(move |kept| {
        let mut record = Record::of(sources, "top_level");
        record.put("words", verbatim(kept));
        record.finish_plain()
    });
    let bfd = effective.bfd_instances.iter().map(move |(name, kept)| {
        let mut record = Record::of(sources, "bfd_instance");
        record.put("name", text(name));
        record.put("words", verbatim(kept));
        record.finish_plain()
    });
    let groups = effective.groups.iter().map(|(name, members)| group(name, members, sources));
    let services = effective.virtual_servers.iter().flat_map(move |service| {
        std::iter::once(virtual_server(service, sources)).chain(
            service.real_servers.iter().flat_map(move |server| {
                let checkers = server.checkers.iter();
                let checkers =
                    checkers.map(move |one| checker(service, server, one, sources).finish());
                std::iter::once(real_server(service, server, sources)).chain(checkers)
            }),
        )
    });
    let foreign = effective.foreign.iter().map(|(keyword, (_, count))| {
        let mut record = Record::of(sources, "foreign");
        record.put("keyword", text(keyword));
        record.put("count", plain(count));
        record.finish_plain()
    });
    top_level.chain(head).chain(track_files).chain(bfd).chain(groups).chain(services).chain(foreign)
}

/// The words of a keyword, and behind them a list for its block: `["keyword","value",[["in","it"]]]`.
fn verbatim(kept: &Verbatim) -> String {
    let words = kept.words.iter().map(|word| bytes(word));
    let block = kept.block.iter().map(|block| list(block.iter().map(verbatim)));
    list(words.chain(block))
}

pub(super) fn string(value: &std::sync::Arc<str>) -> String {
    text(value)
}

fn ssl(ssl: &Ssl, sources: &Sources) -> String {
    let mut record = Record::of(sources, "ssl");
    for (name, setting) in [
        ("password", &ssl.password),
        ("ca", &ssl.ca),
        ("certificate", &ssl.certificate),
        ("key", &ssl.key),
    ] {
        record.setting(name, setting, |value| optional(value, string));
    }
    record.finish()
}

fn track_file(name: &str, file: &TrackFile, sources: &Sources) -> String {
    let mut record = Record::of(sources, "track_file");
    record.put("name", text(name));
    record.setting("file", &file.file, string);
    record.setting("weight", &file.weight, plain);
    record.setting("reverse", &file.reverse, plain);
    record.setting("init_file", &file.init_file, |init| {
        optional(init, |(value, overwrites)| list([plain(value), plain(overwrites)]))
    });
    record.finish()
}

fn group(name: &str, members: &GroupMembers, sources: &Sources) -> String {
    let mut record = Record::of(sources, "virtual_server_group");
    record.put("name", text(name));
    let members = members.members.iter().map(|(member, _)| {
        let mut one = record.inner();
        match member {
            GroupMember::Addresses(range, port) => {
                one.put("first", shown(&range.first()));
                one.put("last", shown(&range.last()));
                one.put("prefix", optional(&range.prefix_len(), plain));
                one.put("port", plain(port));
            }
            GroupMember::Fwmark(mark, of) => {
                one.put("fwmark", plain(mark));
                one.put("family", optional(of, family));
            }
        }
        one.finish_plain()
    });
    let members = list(members);
    record.put("members", members);
    record.finish_plain()
}

fn virtual_server(service: &VirtualServer, sources: &Sources) -> String {
    let mut record = Record::of(sources, "virtual_server");
    record.put("virtual_server", shown(&service.label()));
    let (kind, value) = match &service.service {
        Service::Address(address) => ("address", shown(address)),
        Service::Fwmark(mark) => ("fwmark", plain(mark)),
        Service::Group(name) => ("group", text(name)),
    };
    record.put(kind, value);
    record.put("ip_family", optional(&service.family, family));
    record.setting("protocol", &service.protocol, |protocol| optional(protocol, protocol_name));
    record.setting("lvs_sched", &service.scheduler, string);
    record.put("flags", list(service.scheduler_flags.iter().map(|flag| text(flag))));
    record.setting("lvs_method", &service.method, method);
    record.setting("delay_loop", &service.delay_loop, time);
    inherited(
        &mut record,
        [&service.delay_before_retry, &service.warmup],
        &service.retry,
        &service.connect_timeout,
    );
    for (name, setting) in [
        ("alpha", &service.alpha),
        ("omega", &service.omega),
        ("inhibit_on_failure", &service.inhibit_on_failure),
        ("ha_suspend", &service.ha_suspend),
        ("ops", &service.ops),
        ("smtp_alert", &service.smtp_alert),
    ] {
        record.setting(name, setting, plain);
    }
    for (name, setting) in [
        ("weight", &service.weight),
        ("quorum", &service.quorum),
        ("hysteresis", &service.hysteresis),
    ] {
        record.setting(name, setting, plain);
    }
    record.setting("quorum_up", &service.quorum_up, |value| notify(value, sources));
    record.setting("quorum_down", &service.quorum_down, |value| notify(value, sources));
    record.setting("sorry_server", &service.sorry_server, |value| {
        optional(value, |server| sorry_server(server, sources))
    });
    record.setting("persistence_timeout", &service.persistence_timeout, |value| {
        optional(value, plain)
    });
    for (name, setting) in [
        ("persistence_granularity", &service.persistence_granularity),
        ("persistence_engine", &service.persistence_engine),
        ("virtualhost", &service.virtualhost),
        ("snmp_name", &service.snmp_name),
    ] {
        record.setting(name, setting, |value| optional(value, string));
    }
    record.finish()
}

fn real_server(service: &VirtualServer, server: &RealServer, sources: &Sources) -> String {
    let mut record = Record::of(sources, "real_server");
    record.put("virtual_server", shown(&service.label()));
    record.put("address", shown(&server.address.ip()));
    record.put("port", plain(&server.address.port()));
    let (level, place) = match server.written_port {
        0 => (Level::VirtualServer, service.header),
        _ => (Level::RealServer, server.header),
    };
    let is_adjusted = ![0, server.address.port()].contains(&server.written_port);
    record.comes_from("port", level, place, is_adjusted);
    record.setting("weight", &server.weight, plain);
    record.setting("lvs_method", &server.method, method);
    record.setting("uthreshold", &server.thresholds.upper, plain);
    record.setting("lthreshold", &server.thresholds.lower, plain);
    record.setting("delay_loop", &server.delay_loop, time);
    inherited(
        &mut record,
        [&server.delay_before_retry, &server.warmup],
        &server.retry,
        &server.connect_timeout,
    );
    record.setting("alpha", &server.alpha, plain);
    record.setting("inhibit_on_failure", &server.inhibit_on_failure, plain);
    record.setting("smtp_alert", &server.smtp_alert, plain);
    record.setting("notify_up", &server.notify_up, |value| notify(value, sources));
    record.setting("notify_down", &server.notify_down, |value| notify(value, sources));
    record.setting("virtualhost", &server.virtualhost, |value| optional(value, string));
    record.setting("snmp_name", &server.snmp_name, |value| optional(value, string));
    record.finish()
}

type OptionalTime = Setting<Option<std::time::Duration>>;

/// What virtual servers hand to real servers, and those to checkers.
fn inherited(
    record: &mut Record<'_>,
    [delay_before_retry, warmup]: [&OptionalTime; 2],
    retry: &Setting<Option<u32>>,
    connect_timeout: &Setting<std::time::Duration>,
) {
    record.setting("delay_before_retry", delay_before_retry, |value| optional(value, time));
    record.setting("retry", retry, |value| optional(value, plain));
    record.setting("warmup", warmup, |value| optional(value, time));
    record.setting("connect_timeout", connect_timeout, time);
}

fn protocol_name(protocol: &Protocol) -> String {
    text(match protocol {
        Protocol::Tcp => "TCP",
        Protocol::Udp => "UDP",
        Protocol::Sctp => "SCTP",
    })
}

fn family(family: &Family) -> String {
    text(match family {
        Family::Inet => "inet",
        Family::Inet6 => "inet6",
    })
}

fn method(method: &ForwardingMethod) -> String {
    text(&super::conf::method(method))
}

pub(super) fn user_name(user: &UserName) -> String {
    let (user, group) = user.words();
    list([text(user)].into_iter().chain(group.map(|group| text(&group))))
}

/// The arguments; for a shell one text.
pub(super) fn command(command: &ScriptCommand) -> String {
    match command {
        ScriptCommand::Argv(words) => list(words.iter().map(bytes)),
        ScriptCommand::Shell(command) => bytes(command),
    }
}

fn notify(notify: &Option<Notify>, sources: &Sources) -> String {
    optional(notify, |notify| {
        let mut record = Record::new(sources);
        record.put("command", command(&notify.command));
        record.setting("user", &notify.user, |user| optional(user, user_name));
        record.finish()
    })
}

fn sorry_server(server: &SorryServer, sources: &Sources) -> String {
    let mut record = Record::new(sources);
    record.put("address", shown(&server.address.ip()));
    record.put("port", plain(&server.address.port()));
    record.put("inhibit", plain(&server.inhibit));
    record.put("lvs_method", method(&server.method));
    record.finish_plain()
}
