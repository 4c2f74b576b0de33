//! The free text beside a reason: which RCODE, what trouble was ours and what ends it, what kind of
//! reply was ignored.

use std::fmt;

use nix::errno::Errno;
use nix::sys::signal::Signal;

use crate::fleet::Connection;
use crate::outcome::{Failure, LocalFault, Outcome, Record, ScriptFault, Strange};

/// What a record has to say beyond its reason. Never holds characters that JSON or CSV must escape.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Detail<'a> {
    /// A DNS response code.
    Rcode(u8),
    /// The kernel's refusal.
    Errno(i32),
    /// The kernel's refusal of a socket with these options.
    Refused(i32, &'a Connection),
    /// No local port for a socket with these options.
    NoPort(&'a Connection),
    /// The last reply that came and did not count.
    Ignored(Strange),
    /// A script's exit status.
    ExitStatus(u8),
    /// The signal a script died of.
    Signal(u8),
    /// Why a script has no exit status.
    Script(ScriptFault),
}

impl<'a> Detail<'a> {
    /// The detail of a record, if it has one.
    pub fn of(record: &Record) -> Option<Detail<'a>> {
        match record.outcome {
            Outcome::Fail(Failure::Rcode(code)) => Some(Detail::Rcode(code)),
            Outcome::Unknown(LocalFault::Socket(errno) | LocalFault::Memory(errno)) => {
                Some(Detail::Errno(errno))
            }
            Outcome::Fail(Failure::ExitStatus(code)) => Some(Detail::ExitStatus(code)),
            Outcome::Fail(Failure::Signal(signal)) => Some(Detail::Signal(signal)),
            Outcome::Fail(Failure::Timeout)
            | Outcome::Unknown(LocalFault::Late | LocalFault::Drop) => {
                record.strange.map(Detail::Ignored)
            }
            Outcome::Pass | Outcome::Fail(_) | Outcome::Unknown(LocalFault::Port) => None,
            Outcome::Unknown(LocalFault::Script(fault)) => Some(Detail::Script(fault)),
        }
    }

    /// The same, with the option that is to blame for local trouble where there is one.
    pub fn with_options(record: &Record, connection: Option<&'a Connection>) -> Option<Detail<'a>> {
        match (record.outcome, connection) {
            (Outcome::Unknown(LocalFault::Socket(errno)), Some(connection)) => {
                Some(Detail::Refused(errno, connection))
            }
            (Outcome::Unknown(LocalFault::Port), Some(connection)) => {
                Some(Detail::NoPort(connection))
            }
            _ => Detail::of(record),
        }
    }
}

impl fmt::Display for Detail<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Detail::Rcode(code) => match rcode_name(code) {
                Some(name) => f.write_str(name),
                None => write!(f, "RCODE{code}"),
            },
            Detail::Errno(errno) => match Errno::from_raw(errno) {
                Errno::UnknownErrno => write!(f, "errno {errno}"),
                known => write!(f, "{known:?}: {}", known.desc()),
            },
            Detail::Refused(errno, connection) => write_refusal(f, errno, connection),
            Detail::NoPort(Connection { bindto: Some(source), bind_port: Some(port), .. }) => {
                write!(f, "port {port} of bindto {source} is taken")
            }
            Detail::NoPort(_) => {
                f.write_str("no free local port: see net.ipv4.ip_local_port_range")
            }
            Detail::Ignored(kind) => write!(f, "last ignored reply: {}", kind.name()),
            Detail::ExitStatus(code) => write!(f, "exit status {code}"),
            Detail::Signal(signal) => write_signal(f, signal),
            Detail::Script(fault) => write_script_fault(f, fault),
        }
    }
}

/// Names the option that the kernel refused, or the limit that was hit, and what to do about it.
fn write_refusal(f: &mut fmt::Formatter<'_>, errno: i32, connection: &Connection) -> fmt::Result {
    match (Errno::from_raw(errno), connection) {
        (Errno::EMFILE, _) => f.write_str("out of file descriptors: raise ulimit -n (EMFILE)"),
        (Errno::ENFILE, _) => f.write_str("out of file descriptors: raise fs.file-max (ENFILE)"),
        // The kernel says the same where a firewall of this host refuses a packet.
        (Errno::EPERM, Connection { fwmark: mark @ 1.., .. }) => {
            write!(f, "fwmark {mark} needs CAP_NET_ADMIN; or a firewall here refused (EPERM)")
        }
        (Errno::EADDRNOTAVAIL, Connection { bindto: Some(source), .. }) => {
            write!(f, "bindto {source} is not an address of this machine (EADDRNOTAVAIL)")
        }
        (Errno::ENODEV, Connection { bind_if: Some(name), .. }) => {
            f.write_str("no interface ")?;
            // The kernel allows any character but a slash and a blank.
            for character in name.chars() {
                let is_plain = character.is_ascii_alphanumeric() || "-_.:@+#".contains(character);
                write!(f, "{}", if is_plain { character } else { '?' })?;
            }
            f.write_str(" (ENODEV)")
        }
        _ => write!(f, "{}", Detail::Errno(errno)),
    }
}

/// The name of a signal: SIGKILL, SIGRTMIN+2, or its number where it has no name.
fn write_signal(f: &mut fmt::Formatter<'_>, signal: u8) -> fmt::Result {
    match (Signal::try_from(i32::from(signal)), signal) {
        (Ok(known), _) => f.write_str(known.as_str()),
        // signal(7): the C library keeps 32 and 33 to itself.
        (Err(_), 34) => f.write_str("SIGRTMIN"),
        (Err(_), 35..=64) => write!(f, "SIGRTMIN+{}", signal - 34),
        (Err(_), _) => write!(f, "signal {signal}"),
    }
}

/// What the reason of a script's fault leaves open.
fn write_script_fault(f: &mut fmt::Formatter<'_>, fault: ScriptFault) -> fmt::Result {
    match fault {
        ScriptFault::User(libc::EPERM) => {
            f.write_str("another user needs CAP_SETUID and CAP_SETGID (EPERM)")
        }
        ScriptFault::User(libc::EAGAIN) => {
            f.write_str("the user has as many processes as it may: see its ulimit -u (EAGAIN)")
        }
        ScriptFault::Spawn(libc::EAGAIN) => {
            f.write_str("no process to be had: see ulimit -u and pids.max of the cgroup (EAGAIN)")
        }
        ScriptFault::Spawn(errno @ (libc::EMFILE | libc::ENFILE)) => {
            write_refusal(f, errno, &Connection::default())
        }
        ScriptFault::NotFound(errno)
        | ScriptFault::NotExecutable(errno)
        | ScriptFault::User(errno)
        | ScriptFault::Spawn(errno) => write!(f, "{}", Detail::Errno(errno)),
        ScriptFault::Setup(step, errno) => {
            write!(f, "{}: {}", step.name(), Detail::Errno(errno))
        }
        ScriptFault::Interpreter => f.write_str("the interpreter it names does not exist"),
        ScriptFault::Format => f.write_str("neither a program for this machine nor begun with #!"),
        ScriptFault::Insecure => f.write_str("others may write to it or to its path"),
        ScriptFault::Changed => f.write_str("another file took its place between check and start"),
        ScriptFault::Unstarted => f.write_str("not started in time: does its file system hang?"),
        ScriptFault::Lost => f.write_str("it ended and nobody saw how"),
        ScriptFault::Stuck => f.write_str("scripts that cannot be killed hold every --script-jobs"),
        ScriptFault::Reaper => f.write_str("the process that runs scripts ended"),
    }
}

/// Names of the IANA registry "DNS RCODEs" for the four bits of a header.
fn rcode_name(code: u8) -> Option<&'static str> {
    const NAMES: [&str; 12] = [
        "NOERROR",
        "FORMERR",
        "SERVFAIL",
        "NXDOMAIN",
        "NOTIMP",
        "REFUSED",
        "YXDOMAIN",
        "YXRRSET",
        "NXRRSET",
        "NOTAUTH",
        "NOTZONE",
        "DSOTYPENI",
    ];
    NAMES.get(usize::from(code)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::SetupStep;
    use crate::sink::testing::record;

    #[test]
    fn details_speak_the_words_of_their_field() {
        assert_eq!(Detail::Rcode(2).to_string(), "SERVFAIL");
        assert_eq!(Detail::Rcode(5).to_string(), "REFUSED");
        assert_eq!(Detail::Rcode(13).to_string(), "RCODE13");
        assert_eq!(Detail::Errno(24).to_string(), "EMFILE: Too many open files");
        assert_eq!(Detail::Errno(9999).to_string(), "errno 9999");
        assert_eq!(Detail::Ignored(Strange::WrongId).to_string(), "last ignored reply: wrong_id");
    }

    #[test]
    fn local_trouble_names_the_option_and_the_remedy() {
        let plain = Connection::default();
        let full = Connection {
            bindto: Some("10.99.99.99".parse().expect("an address")),
            bind_port: Some(7777),
            bind_if: Some("eth9".into()),
            fwmark: 5,
            ..Connection::default()
        };
        let socket = LocalFault::Socket;
        for (fault, connection, text) in [
            (
                socket(libc::EPERM),
                &full,
                "fwmark 5 needs CAP_NET_ADMIN; or a firewall here refused (EPERM)",
            ),
            (socket(libc::EPERM), &plain, "EPERM: Operation not permitted"),
            (
                socket(libc::EADDRNOTAVAIL),
                &full,
                "bindto 10.99.99.99 is not an address of this machine (EADDRNOTAVAIL)",
            ),
            (socket(libc::ENODEV), &full, "no interface eth9 (ENODEV)"),
            (socket(libc::ENODEV), &plain, "ENODEV: No such device"),
            (socket(libc::EMFILE), &plain, "out of file descriptors: raise ulimit -n (EMFILE)"),
            (LocalFault::Port, &plain, "no free local port: see net.ipv4.ip_local_port_range"),
            (LocalFault::Port, &full, "port 7777 of bindto 10.99.99.99 is taken"),
            (LocalFault::Memory(libc::ENOBUFS), &full, "ENOBUFS: No buffer space available"),
        ] {
            let record = record(0, Outcome::Unknown(fault));
            let detail =
                Detail::with_options(&record, Some(connection)).expect("there is something");
            assert_eq!(detail.to_string(), text);
        }
    }

    #[test]
    fn scripts_say_how_they_ended_or_what_to_do() {
        let script = |fault| Outcome::Unknown(LocalFault::Script(fault));
        for (outcome, text) in [
            (Outcome::Fail(Failure::ExitStatus(2)), "exit status 2"),
            (Outcome::Fail(Failure::Signal(9)), "SIGKILL"),
            (Outcome::Fail(Failure::Signal(33)), "signal 33"),
            (Outcome::Fail(Failure::Signal(36)), "SIGRTMIN+2"),
            (script(ScriptFault::NotFound(libc::ENOENT)), "ENOENT: No such file or directory"),
            (
                script(ScriptFault::User(libc::EPERM)),
                "another user needs CAP_SETUID and CAP_SETGID (EPERM)",
            ),
            (
                script(ScriptFault::Spawn(libc::EMFILE)),
                "out of file descriptors: raise ulimit -n (EMFILE)",
            ),
            (
                script(ScriptFault::Setup(SetupStep::Cgroup, libc::EBUSY)),
                "control group: EBUSY: Device or resource busy",
            ),
        ] {
            let detail = Detail::of(&record(0, outcome)).expect("there is something");
            assert_eq!(detail.to_string(), text);
        }
    }

    /// Every variant with that errno, status or signal in it.
    fn script_details(number: u8) -> Vec<Detail<'static>> {
        let errno = i32::from(number);
        let steps = [
            SetupStep::Group,
            SetupStep::Cgroup,
            SetupStep::Streams,
            SetupStep::Directory,
            SetupStep::Limits,
            SetupStep::ParentDeath,
            SetupStep::Descriptors,
            SetupStep::Signals,
            SetupStep::Exec,
        ];
        let faults = [
            ScriptFault::NotFound(errno),
            ScriptFault::NotExecutable(errno),
            ScriptFault::Interpreter,
            ScriptFault::Format,
            ScriptFault::Insecure,
            ScriptFault::Changed,
            ScriptFault::User(errno),
            ScriptFault::Spawn(errno),
            ScriptFault::Unstarted,
            ScriptFault::Lost,
            ScriptFault::Stuck,
            ScriptFault::Reaper,
        ];
        let faults = faults.into_iter().chain(steps.map(|step| ScriptFault::Setup(step, errno)));
        let ends = [Detail::ExitStatus(number), Detail::Signal(number)];
        ends.into_iter().chain(faults.map(Detail::Script)).collect()
    }

    #[test]
    fn no_word_about_a_script_needs_escaping() {
        for number in 0..=u8::MAX {
            for detail in script_details(number) {
                let text = detail.to_string();
                let is_plain = |c: char| c.is_ascii_graphic() && !"\"\\,".contains(c) || c == ' ';
                assert!(!text.is_empty() && text.chars().all(is_plain), "{text}");
            }
        }
    }

    #[test]
    fn no_errno_text_needs_escaping() {
        let named = Connection {
            bindto: Some("::1".parse().expect("an address")),
            bind_if: Some("\"e\\,\n\u{1}".into()),
            fwmark: u32::MAX,
            ..Connection::default()
        };
        for errno in 0..200 {
            for detail in [Detail::Errno(errno), Detail::Refused(errno, &named)] {
                let text = detail.to_string();
                assert!(!text.contains(['"', '\\', ',', '\n', '\u{1}']), "{text}");
            }
        }
    }
}
