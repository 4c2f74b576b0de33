//! What a run may say about each server, from what the server does and which troubles the seed has.

use std::time::Duration;

use ringprobe::fleet::{DnsRequire, Handshake, ProbeSpec};
use ringprobe::outcome::{Assignment, Failure, LocalFault, Outcome, Record, Strange};
use ringprobe::ring::{SocketKind, SocketSpec};
use ringprobe::schedule::attempt::FREE_RETRIES;
use ringprobe::schedule::pace::Pace;
use ringprobe::sim::{DnsReply, Peer, Quote};

use crate::drive::Run;
use crate::scenario::Scenario;

/// What a turn in calm weather may take beyond a deadline: one tick of the wheel, the work of one
/// turn with a full window, and the submit.
const SLACK: Duration = Duration::from_millis(4);

const TIMEOUT: Outcome = Outcome::Fail(Failure::Timeout);

/// Checks records and counters of a run.
///
/// # Errors
/// The first that is not what the servers and the troubles allow.
pub(crate) fn check(scenario: &Scenario, run: &Run) -> Result<(), String> {
    let mut seen = vec![false; scenario.assignments.len()];
    for record in &run.records {
        let index = record.seq as usize;
        let Some(assignment) = scenario.assignments.get(index) else {
            return Err(format!("nobody asked for {record:?}"));
        };
        if std::mem::replace(&mut seen[index], true) {
            return Err(format!("a second record: {record:?}"));
        }
        check_record(scenario, run, assignment, record).map_err(|what| {
            let peer = &scenario.peers[&record.target];
            let spec = &scenario.specs[record.spec.index()];
            let retries = assignment.retries;
            format!("{what}: {record:?}, {peer:?}, {spec:?}, {retries} retries")
        })?;
    }
    if !run.was_stopped && run.records.len() != scenario.assignments.len() {
        return Err(format!("{} of {} reported", run.records.len(), scenario.assignments.len()));
    }
    check_counters(scenario, run)
}

fn check_record(
    scenario: &Scenario,
    run: &Run,
    assignment: &Assignment,
    record: &Record,
) -> Result<(), String> {
    if (record.target, record.spec) != (assignment.target, assignment.spec) {
        return Err("another target or spec".into());
    }
    check_attempts(scenario, run, assignment, record)?;
    check_socket(scenario, run, record)?;
    let peer = &scenario.peers[&record.target];
    let spec = &scenario.specs[record.spec.index()];
    // One attempt in 65,536: what was forged for another one is right for this one.
    let repeats_id = run.traces.get(&record.target).is_some_and(|trace| trace.repeats_id);
    match record.outcome {
        Outcome::Unknown(fault) if is_possible(scenario, run, fault) => (),
        Outcome::Unknown(_) => return Err("nothing was wrong here".into()),
        outcome => {
            let allowed = allowed(scenario, assignment, peer, spec);
            if !repeats_id && !allowed.contains(&outcome) {
                return Err(format!("only {allowed:?} is allowed"));
            }
        }
    }
    if repeats_id { Ok(()) } else { check_times(scenario, run, record, peer, spec) }
}

/// The verdicts a server's behaviour allows.
fn allowed(
    scenario: &Scenario,
    assignment: &Assignment,
    peer: &Peer,
    spec: &ProbeSpec,
) -> Vec<Outcome> {
    let timeout = spec.timeout();
    let (delay, ignores, is_silent) = match spec {
        ProbeSpec::Dns(_) => {
            (peer.dns.delay, peer.dns.ignores, peer.dns.reply == DnsReply::Nothing)
        }
        ProbeSpec::Tcp(_) => (peer.tcp.delay, peer.tcp.ignores, peer.tcp.reply.is_none()),
        ProbeSpec::Misc(_) => panic!("a script in a shard"),
    };
    // Without a quote an error says which server it is about, but not which attempt.
    let is_icmp =
        matches!(spec, ProbeSpec::Dns(_)) && matches!(peer.dns.reply, DnsReply::Icmp { .. });
    let is_bare = is_icmp && matches!(peer.dns.reply, DnsReply::Icmp { quote: Quote::Nothing, .. });
    let answer = answer(peer, spec);
    if peer.route_errno != 0 {
        return vec![answer];
    }
    if is_silent {
        return vec![TIMEOUT];
    }
    if delay > timeout {
        // Whoever was not running at the deadline reads the answer before it judges.
        let stalls = scenario.faults.stalls > 0 || !scenario.faults.stalls_at.is_empty();
        let stalls = stalls || !scenario.is_quick();
        return if stalls || is_bare { vec![TIMEOUT, answer] } else { vec![TIMEOUT] };
    }
    let may_be_lost = is_icmp && scenario.has_small_buffer() || is_bare;
    // Free retries see more of a server that ignores the first queries; shared targets too.
    let is_exact = scenario.is_calm() && !scenario.shares_targets;
    match ignores {
        0 if may_be_lost => vec![answer, TIMEOUT],
        0 => vec![answer],
        _ if !is_exact => vec![answer, TIMEOUT],
        _ if ignores <= u32::from(assignment.retries) => vec![answer],
        _ => vec![TIMEOUT],
    }
}

/// What the server's answer means, if it arrives.
fn answer(peer: &Peer, spec: &ProbeSpec) -> Outcome {
    if peer.route_errno != 0 {
        return failed(peer.route_errno);
    }
    match spec {
        ProbeSpec::Dns(spec) => match (peer.dns.reply, spec.require) {
            (DnsReply::Nothing, _) => TIMEOUT,
            (DnsReply::Answer | DnsReply::AnswerAndIcmp { .. }, _) => Outcome::Pass,
            (DnsReply::Rcode(rcode), _) => Outcome::Fail(Failure::Rcode(rcode)),
            (DnsReply::Empty | DnsReply::Truncated, DnsRequire::Rcode) => Outcome::Pass,
            (DnsReply::Empty, DnsRequire::Answer) => Outcome::Fail(Failure::NoAnswer),
            (DnsReply::Truncated, DnsRequire::Answer) => Outcome::Fail(Failure::Truncated),
            (DnsReply::Icmp { errno, .. }, _) => failed(errno),
        },
        ProbeSpec::Misc(_) => panic!("a script in a shard"),
        ProbeSpec::Tcp(_) => match peer.tcp.reply {
            // A reset comes after the handshake.
            Some(0 | libc::ECONNRESET) => Outcome::Pass,
            Some(errno) => failed(errno),
            None => TIMEOUT,
        },
    }
}

fn failed(errno: i32) -> Outcome {
    Outcome::Fail(match errno {
        libc::ECONNREFUSED => Failure::ConnectionRefused,
        libc::EHOSTUNREACH | libc::EPROTO => Failure::HostUnreachable,
        libc::ENETUNREACH => Failure::NetUnreachable,
        // A datagram too big for a link says nothing about the server, so it stays unanswered.
        libc::ETIMEDOUT | libc::EMSGSIZE => Failure::Timeout,
        other => unreachable!("no peer has errno {other}"),
    })
}

/// Whether a trouble of our own came that may be called so.
fn is_possible(scenario: &Scenario, run: &Run, fault: LocalFault) -> bool {
    let tally = &run.tally;
    let (opens, sends) = (tally.opens_refused > 0, tally.hard_failures > 0);
    let is_late = !scenario.is_quick() || tally.stalls + tally.undrained > 0;
    match fault {
        LocalFault::Late => is_late,
        LocalFault::Drop => tally.drops > 0,
        LocalFault::Socket(libc::EMFILE | libc::ENODEV) => opens,
        // A send that waits to be repeated while the thread does not run keeps its errno.
        LocalFault::Socket(_) => sends || is_late && tally.soft_failures > 0,
        LocalFault::Port => opens || tally.connects_refused > 0,
        LocalFault::Memory(_) => opens || sends || tally.connects_refused > 0,
        LocalFault::Script(_) => false,
    }
}

/// Silence and our own trouble cost retries, and all of them; ours that cost none are not endless.
fn check_attempts(
    scenario: &Scenario,
    run: &Run,
    assignment: &Assignment,
    record: &Record,
) -> Result<(), String> {
    let paid = assignment.retries + 1;
    let least = match record.outcome {
        Outcome::Unknown(LocalFault::Late | LocalFault::Drop) => paid + FREE_RETRIES,
        Outcome::Unknown(_) | TIMEOUT => paid,
        Outcome::Pass | Outcome::Fail(_) => 1,
    };
    let most = paid + if scenario.is_calm() { 0 } else { FREE_RETRIES };
    if !(least..=most).contains(&record.attempts) {
        return Err(format!("attempts are not {least} to {most}"));
    }
    let is_tcp = matches!(scenario.specs[record.spec.index()], ProbeSpec::Tcp(_));
    if let Some(trace) = run.traces.get(&record.target)
        && is_tcp
        && !scenario.shares_targets
        && run.tally.opens_refused == 0
        && trace.count != u32::from(record.attempts)
    {
        return Err(format!("{} connects", trace.count));
    }
    Ok(())
}

/// The options of the socket are those of the checker.
fn check_socket(scenario: &Scenario, run: &Run, record: &Record) -> Result<(), String> {
    let Some(trace) = run.traces.get(&record.target) else {
        return Ok(());
    };
    let spec = &scenario.specs[record.spec.index()];
    let connection = spec.connection().expect("a network check");
    let kind = match spec {
        ProbeSpec::Dns(_) => SocketKind::Udp,
        ProbeSpec::Tcp(spec) if spec.handshake == Handshake::Half => SocketKind::TcpHalf,
        ProbeSpec::Tcp(_) => SocketKind::TcpFull,
        ProbeSpec::Misc(_) => panic!("a script in a shard"),
    };
    let expected = SocketSpec {
        kind,
        is_ipv6: record.target.is_ipv6(),
        source: connection.bindto,
        source_port: connection.bind_port,
        interface: connection.bind_if.clone(),
        mark: connection.fwmark,
        receive_buffer: scenario.config.receive_buffer,
    };
    if scenario.shares_targets || trace.socket == expected {
        Ok(())
    } else {
        Err(format!("asked from {:?}", trace.socket))
    }
}

fn check_times(
    scenario: &Scenario,
    run: &Run,
    record: &Record,
    peer: &Peer,
    spec: &ProbeSpec,
) -> Result<(), String> {
    let timeout = spec.timeout();
    let is_prompt_weather = scenario.is_calm() && scenario.is_quick();
    let is_answer = matches!(record.outcome, Outcome::Pass | Outcome::Fail(_))
        && record.outcome != TIMEOUT
        && peer.route_errno == 0;
    if is_answer != record.latency_ns.is_some() && peer.route_errno == 0 {
        return Err("a latency belongs to an answer".into());
    }
    if let Some(latency) = record.latency_ns.map(Duration::from_nanos) {
        let delay = match spec {
            ProbeSpec::Dns(_) => peer.dns.delay,
            ProbeSpec::Tcp(_) => peer.tcp.delay,
            ProbeSpec::Misc(_) => panic!("a script in a shard"),
        };
        // An ICMP error without a quote may be that of another attempt at the same target.
        let is_bare = matches!(peer.dns.reply, DnsReply::Icmp { quote: Quote::Nothing, .. });
        if latency < delay && peer.route_errno == 0 && !is_bare {
            return Err("answered sooner than the server did".into());
        }
        if is_prompt_weather && latency > timeout + SLACK {
            return Err("answered after the deadline".into());
        }
    }
    if scenario.shares_targets {
        return Ok(());
    }
    let Some(trace) = run.traces.get(&record.target) else {
        let is_unknown = matches!(record.outcome, Outcome::Unknown(_));
        return if is_unknown { Ok(()) } else { Err("judged without being asked".into()) };
    };
    let tcp_timed_out =
        matches!(spec, ProbeSpec::Tcp(_)) && peer.tcp.reply == Some(libc::ETIMEDOUT);
    if record.outcome == TIMEOUT && !tcp_timed_out {
        if record.at < trace.last + timeout {
            return Err(format!("timed out early, asked at {:?}", trace.last));
        }
        let is_prompt = record.at <= trace.last + timeout + SLACK;
        if is_prompt_weather && !is_prompt {
            return Err(format!("timed out late, asked at {:?}", trace.last));
        }
    }
    // With room for all at once, a probe never waits for another.
    let has_room = scenario.config.window as usize >= scenario.assignments.len()
        && scenario.config.pace == Pace::Free;
    let most = (timeout + SLACK) * u32::from(record.attempts);
    if has_room && is_prompt_weather && record.at > trace.first + most {
        return Err(format!("took longer than its attempts, asked first at {:?}", trace.first));
    }
    Ok(())
}

fn check_counters(scenario: &Scenario, run: &Run) -> Result<(), String> {
    let stats = &run.stats;
    let equal = |what: &str, counted: u64, was: u64| {
        if counted == was { Ok(()) } else { Err(format!("{what}: {counted} counted, {was} were")) }
    };
    equal("datagrams sent", stats.datagrams_sent, run.datagrams)?;
    // What a missing route refuses looks the same as what a router refuses, and is counted like it.
    equal("connects", stats.connects, run.syns)?;
    equal("datagrams received", stats.datagrams_received, run.tally.datagrams)?;
    // A verdict by a DNS answer ends its probe, so there are as many such answers as such records.
    let is_answered = |record: &&Record| {
        matches!(scenario.specs[record.spec.index()], ProbeSpec::Dns(_))
            && matches!(
                record.outcome,
                Outcome::Pass
                    | Outcome::Fail(Failure::Rcode(_) | Failure::NoAnswer | Failure::Truncated)
            )
    };
    let answered = run.records.iter().filter(is_answered).count() as u64;
    let stale_icmp = stats.strange[Strange::StaleIcmp as usize];
    let strange = stats.strange.iter().sum::<u64>() - stale_icmp;
    equal("strange datagrams", strange, run.tally.datagrams - answered)?;
    let at_most = |what: &str, counted: u64, most: u64| {
        if counted <= most { Ok(()) } else { Err(format!("{what}: {counted} of {most}")) }
    };
    at_most("stale ICMP errors", stale_icmp, run.tally.icmp_errors)?;
    at_most("receive drops", stats.receive_drops, run.tally.drops)?;
    at_most(
        "soft send errors",
        stats.soft_send_errors,
        run.tally.soft_failures + run.tally.hard_failures,
    )?;
    // A stall that nobody had would excuse timeouts.
    if scenario.is_quick() {
        at_most("nanoseconds stalled", stats.stalled_ns, run.stalled.as_nanos() as u64)?;
    }
    if scenario.faults.undrained == 0.0 && scenario.faults.ring_full == 0.0 {
        at_most("turns for nothing", run.tally.idle_turns, 2 * run.records.len() as u64 + 50)?;
    }
    equal("in flight at the end", if run.was_stopped { 0 } else { stats.in_flight.into() }, 0)
}
