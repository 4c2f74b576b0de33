//! Whom a bench probes: from flags to targets in memory.

use std::ffi::OsStr;
use std::io::Cursor;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use nix::unistd::{User, geteuid};

use super::embedded::{Embedded, targets};
use super::flags::{BenchArgs, Check};
use crate::bench::{Subject, Targets};
use crate::cli::check_flags::{self, LIST_TIMEOUT};
use crate::cli::{Ended, Terminal, exit, input, refuse};
use crate::fleet::script::SCRIPT_PATH;
use crate::fleet::{
    self, Fleet, LoadOptions, ProbeSpec, ScriptCommand, ScriptUser, TargetList, script_file,
};
use crate::sink::{counted, grouped};
use crate::sweep::Addresses;

/// Addresses that are held in memory at most: 128 MiB of them.
const TARGETS_MAX: usize = 4 << 20;
/// Timeout of a program that no configuration gives one.
const PROGRAM_TIMEOUT: Duration = Duration::from_secs(10);

/// The subject that the flags ask for.
pub(super) fn subject(
    args: &BenchArgs,
    embedded: Option<&Embedded>,
    terminal: Terminal,
) -> Result<Subject, Ended> {
    if let Some(path) = &args.use_file {
        return of_file(args, path, terminal);
    }
    match args.check.and_then(Check::of_list) {
        Some(check) => of_list(args, check, embedded),
        None => of_program(args),
    }
}

fn of_list(
    args: &BenchArgs,
    check: check_flags::Check,
    embedded: Option<&Embedded>,
) -> Result<Subject, Ended> {
    let specs = args.how.list_specs(check, args.timeout);
    let (list, name) = match (embedded, &args.targets) {
        (Some(fleet), _) => {
            let list = targets(args, fleet.port).map_err(|error| refuse(exit::USAGE, error))?;
            let servers = counted(u64::from(args.servers()), "server");
            let faults = args.faults.as_ref();
            let faults = faults.map_or_else(String::new, |faults| format!(" with {faults}"));
            (list, format!("{servers} of the embedded fleet{faults}"))
        }
        (None, Some(path)) => {
            let list = input::targets(path, args.how.default_port(Some(check)), &specs)?;
            (all(list)?, path.display().to_string())
        }
        (None, None) => {
            let lines: Vec<&[u8]> = args.targets_given.iter().map(|text| text.as_bytes()).collect();
            let port = args.how.default_port(Some(check));
            let list = TargetList::new("argument ", Cursor::new(lines.join(&b'\n')), port)
                .with_families(specs.ipv4.is_some(), specs.ipv6.is_some());
            (all_of(list)?, arguments(&args.targets_given))
        }
    };
    for is_ipv4 in [true, false] {
        let spec = if is_ipv4 { &specs.ipv4 } else { &specs.ipv6 };
        if spec.is_none()
            && let Some(target) = list.iter().find(|target| target.is_ipv4() == is_ipv4)
        {
            let why = format_args!("target {target}: no --bindto address is of its family");
            return Err(refuse(exit::USAGE, why));
        }
    }
    let timeout = args.timeout.unwrap_or(LIST_TIMEOUT);
    Ok(Subject {
        name,
        check: match check {
            check_flags::Check::Dns => "DNS_CHECK",
            check_flags::Check::Tcp => "TCP_CHECK",
        },
        timeout: (timeout, timeout),
        targets: Targets::List(list.into(), Box::new(specs)),
    })
}

/// The words of the command line, or how many they are.
fn arguments(words: &[impl AsRef<OsStr>]) -> String {
    let shown: Vec<_> = words.iter().map(|word| word.as_ref().to_string_lossy()).collect();
    let all = shown.join(" ");
    if all.chars().count() <= 60 { all } else { format!("{} and more", shown[0]) }
}

fn too_many() -> Ended {
    let most = grouped(TARGETS_MAX as u64);
    refuse(exit::USAGE, format_args!("a bench holds its targets in memory: {most} at most"))
}

fn all_of(list: TargetList<Cursor<impl AsRef<[u8]>>>) -> Result<Vec<SocketAddr>, Ended> {
    let mut targets = Vec::new();
    for target in list {
        targets.push(target.map_err(|error| refuse(exit::USAGE, error))?);
        if targets.len() > TARGETS_MAX {
            return Err(too_many());
        }
    }
    Ok(targets)
}

fn all(addresses: Addresses) -> Result<Vec<SocketAddr>, Ended> {
    let mut targets = Vec::new();
    for target in addresses {
        targets.extend(target.map_err(|error| refuse(exit::USAGE, error))?);
        if targets.len() > TARGETS_MAX {
            return Err(too_many());
        }
    }
    Ok(targets)
}

fn of_file(args: &BenchArgs, path: &Path, terminal: Terminal) -> Result<Subject, Ended> {
    let wants_scripts = args.check == Some(Check::Script);
    let options = args.language.apply(LoadOptions {
        dns_require: args.how.dns_require(),
        handshake: args.how.handshake(),
        script_user: args.script_user.clone(),
        no_scripts: !wants_scripts,
        ..LoadOptions::default()
    });
    let (mut fleet, path) = input::fleet_of_file(path, (&options, args.outputs.quiet), terminal)?;
    fleet.keep(|spec| matches!(spec, ProbeSpec::Misc(_)) == wants_scripts);
    Ok(of_fleet(args, fleet, path.display().to_string()))
}

/// A program given on the command line, as the script of a server that there is not.
fn of_program(args: &BenchArgs) -> Result<Subject, Ended> {
    let user = match (&args.script_user, User::from_uid(geteuid())) {
        (Some(user), _) => user.clone(),
        (None, Ok(Some(user))) => user.name.parse().map_err(|error| refuse(exit::USAGE, error))?,
        (None, _) => {
            let why = "who runs this has no name; give --script-user";
            return Err(refuse(exit::USAGE, why));
        }
    };
    let conf = b"virtual_server 127.0.0.1 80 {\n lvs_sched rr\n lvs_method NAT\n protocol TCP\n \
                 real_server 127.0.0.1 80 {\n MISC_CHECK {\n misc_path /bin/true\n }\n }\n}\n";
    let options = LoadOptions { script_user: Some(user), ..LoadOptions::default() };
    let loaded = fleet::load_text("program", conf.to_vec(), &options)
        .map_err(|rejected| refuse(exit::USAGE, rejected))?;
    let mut fleet = loaded.fleet;
    for spec in &mut fleet.specs {
        if let ProbeSpec::Misc(spec) = spec {
            let program = args.targets_given.first().map_or(&b""[..], |word| word.as_bytes());
            look_at(program, &spec.user).map_err(|why| refuse(exit::USAGE, why))?;
            spec.command = ScriptCommand::Argv(
                args.targets_given.iter().map(|word| word.as_bytes()).collect(),
            );
            spec.timeout = PROGRAM_TIMEOUT;
        }
    }
    Ok(of_fleet(args, fleet, arguments(&args.targets_given)))
}

/// Whether `user` can run the program, as far as the modes of files tell.
///
/// # Errors
/// Why not, in words.
fn look_at(program: &[u8], user: &ScriptUser) -> Result<(), String> {
    let path = if program.contains(&b'/') {
        program.to_vec()
    } else {
        script_file::find(program, SCRIPT_PATH.as_bytes(), user).ok_or_else(|| {
            let name = String::from_utf8_lossy(program);
            format!("no program `{name}` that {} may execute, in {SCRIPT_PATH}", user.name)
        })?
    };
    let file = script_file::open(&path, user)
        .map_err(|problem| format!("{} cannot run this program: {problem}", user.name))?;
    file.interpreters(user, SCRIPT_PATH.as_bytes()).map(drop).map_err(|problem| {
        let path = String::from_utf8_lossy(&path);
        format!("{} cannot run the interpreter of `{path}`: {problem}", user.name)
    })
}

fn of_fleet(args: &BenchArgs, mut fleet: Fleet, name: String) -> Subject {
    if let Some(timeout) = args.timeout {
        for spec in &mut fleet.specs {
            spec.set_timeout(timeout);
        }
    }
    let first = fleet.specs.first().map_or("none", ProbeSpec::keyword);
    let timeouts = || fleet.specs.iter().map(ProbeSpec::timeout);
    let timeout = timeouts().min().zip(timeouts().max()).unwrap_or_default();
    let is_one_kind = fleet.specs.iter().all(|spec| spec.keyword() == first);
    Subject {
        check: if is_one_kind { first } else { "several" },
        timeout,
        targets: Targets::Fleet(Arc::new(fleet), name.clone().into()),
        name,
    }
}
