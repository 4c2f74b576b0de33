//! What a probe found, and the record that carries it from a shard to the aggregator.
//!
//! All of it is `Copy` and small: text is made in `sink/`.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::id::SpecId;
use crate::tick::Tick;

/// What one checker's probe found, after all its attempts.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Outcome {
    /// The server did what the checker asks for.
    Pass,
    /// The server did not, and it was the server.
    Fail(Failure),
    /// Nothing can be said about the server: the trouble was ours.
    Unknown(LocalFault),
}

/// Why a server failed. Never a local fault.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Failure {
    /// Nothing that counts arrived by the deadline.
    Timeout,
    /// TCP reset in answer to our SYN, or ICMP port unreachable.
    ConnectionRefused,
    /// ICMP host unreachable, or no neighbour answered.
    HostUnreachable,
    /// ICMP network unreachable, or no route.
    NetUnreachable,
    /// The connection was reset after it was set up.
    ConnectionReset,
    /// DNS: the response code, never 0.
    Rcode(u8),
    /// DNS: RCODE 0 with an empty ANSWER section.
    NoAnswer,
    /// DNS: TC set with an empty ANSWER section.
    Truncated,
    /// Script: ended with this exit status, never 0.
    ExitStatus(u8),
    /// Script: died of this signal, and not by our hand.
    Signal(u8),
}

/// Why nothing can be said about a server.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum LocalFault {
    /// This process was not running for more than a quarter of the attempt's timeout.
    Late,
    /// Our receive buffer dropped datagrams while the answer was due.
    Drop,
    /// A socket could not be made, bound, marked or used; the errno says why.
    Socket(i32),
    /// No local port was free.
    Port,
    /// The kernel had no memory or buffer for us; the errno says which (ENOMEM, ENOBUFS).
    Memory(i32),
    /// A script could not be run, or not be watched to its end.
    Script(ScriptFault),
}

/// Why a script has no exit status that says anything about its server.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum ScriptFault {
    /// No such file; the errno says how (ENOENT, ENOTDIR, ELOOP).
    NotFound(i32),
    /// The file is there and its user may not execute it (EACCES), or it is no regular file.
    NotExecutable(i32),
    /// The interpreter that `#!` or the ELF header names is missing.
    Interpreter,
    /// A program for another machine, or a broken one (ENOEXEC).
    Format,
    /// It would run with root's rights, somebody else may change it, and `enable_script_security` is set.
    Insecure,
    /// Another file stood in its place between the check and the start; or it is a text, and was changed,
    /// renamed or removed while it ran.
    Changed,
    /// User, group or supplementary groups could not be set; the errno says why.
    User(i32),
    /// The kernel gave no process, pipe or memory; the errno says why (EAGAIN, ENOMEM, EMFILE).
    Spawn(i32),
    /// Another step between the new process and the program failed; the errno says why.
    Setup(SetupStep, i32),
    /// It was not started in the time it has to run: its file system may hang.
    Unstarted,
    /// It ended where nobody saw how.
    Lost,
    /// It was never started: earlier scripts that cannot be killed hold all places.
    Stuck,
    /// The reaper process itself ended.
    Reaper,
}

/// What the new process does before it becomes the program.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum SetupStep {
    /// Its own process group.
    Group,
    /// Its control group.
    Cgroup,
    /// Standard input, output and error.
    Streams,
    /// Working directory.
    Directory,
    /// Resource limits.
    Limits,
    /// The signal it gets when the reaper dies.
    ParentDeath,
    /// Descriptors that are not its own.
    Descriptors,
    /// Signal dispositions and mask.
    Signals,
    /// The system call that starts the program, for a reason that has no name of its own.
    Exec,
}

impl Outcome {
    /// `pass`, `fail` or `unknown`.
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Pass => "pass",
            Outcome::Fail(_) => "fail",
            Outcome::Unknown(_) => "unknown",
        }
    }

    /// The reason, one word of a closed set.
    pub fn reason(self) -> &'static str {
        match self {
            Outcome::Pass => "ok",
            Outcome::Fail(failure) => failure.reason(),
            Outcome::Unknown(fault) => fault.reason(),
        }
    }
}

impl Failure {
    /// One word of the closed set of reasons.
    pub fn reason(self) -> &'static str {
        match self {
            Failure::Timeout => "timeout",
            Failure::ConnectionRefused => "connection_refused",
            Failure::HostUnreachable => "host_unreachable",
            Failure::NetUnreachable => "net_unreachable",
            Failure::ConnectionReset => "connection_reset",
            Failure::Rcode(_) => "rcode",
            Failure::NoAnswer => "no_answer",
            Failure::Truncated => "truncated",
            Failure::ExitStatus(_) => "exit_status",
            Failure::Signal(_) => "signal",
        }
    }
}

impl LocalFault {
    /// What the kernel's refusal to open, bind, send or connect says about us. Not for an errno that
    /// speaks of the network.
    pub fn from_errno(errno: i32) -> LocalFault {
        match errno {
            libc::ENOMEM | libc::ENOBUFS => LocalFault::Memory(errno),
            libc::EADDRINUSE => LocalFault::Port,
            _ => LocalFault::Socket(errno),
        }
    }

    /// One word of the closed set of reasons.
    pub fn reason(self) -> &'static str {
        match self {
            LocalFault::Late => "late",
            LocalFault::Drop => "local_drop",
            LocalFault::Socket(_) => "local_socket",
            LocalFault::Port => "local_port",
            LocalFault::Memory(_) => "local_memory",
            LocalFault::Script(fault) => fault.reason(),
        }
    }
}

impl ScriptFault {
    /// One word of the closed set of reasons.
    pub fn reason(self) -> &'static str {
        match self {
            ScriptFault::NotFound(_) => "script_not_found",
            ScriptFault::NotExecutable(_) => "script_not_executable",
            ScriptFault::Interpreter => "script_interpreter",
            ScriptFault::Format => "script_format",
            ScriptFault::Insecure => "script_insecure",
            ScriptFault::Changed => "script_changed",
            ScriptFault::User(_) => "script_user",
            ScriptFault::Spawn(_) => "script_spawn",
            ScriptFault::Setup(..) => "script_setup",
            ScriptFault::Unstarted => "script_unstarted",
            ScriptFault::Lost => "script_lost",
            ScriptFault::Stuck => "script_stuck",
            ScriptFault::Reaper => "script_reaper",
        }
    }

    /// Whether another attempt right away could end differently.
    pub fn is_passing(self) -> bool {
        matches!(
            self,
            ScriptFault::Changed
                | ScriptFault::Spawn(_)
                | ScriptFault::Unstarted
                | ScriptFault::Lost
        )
    }
}

impl SetupStep {
    /// How reports say it.
    pub fn name(self) -> &'static str {
        match self {
            SetupStep::Group => "process group",
            SetupStep::Cgroup => "control group",
            SetupStep::Streams => "standard streams",
            SetupStep::Directory => "working directory",
            SetupStep::Limits => "resource limits",
            SetupStep::ParentDeath => "parent-death signal",
            SetupStep::Descriptors => "descriptors",
            SetupStep::Signals => "signals",
            SetupStep::Exec => "exec",
        }
    }
}

/// Kinds of packets that decide nothing and are only counted.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum Strange {
    /// An answer to an attempt that had already ended (late, or a duplicate).
    Late,
    /// From an address that no attempt in flight asked.
    Foreign,
    /// From the right address and another port.
    WrongPort,
    /// From a server we asked, with an id we did not use.
    WrongId,
    /// Right server and id, another question.
    WrongQuestion,
    /// Not a DNS response at all: too short, QR clear, or cut inside the question.
    Malformed,
    /// An ICMP error that belongs to no attempt in flight.
    StaleIcmp,
}

impl Strange {
    /// All kinds, in the order of their counters.
    pub const ALL: [Strange; 7] = [
        Strange::Late,
        Strange::Foreign,
        Strange::WrongPort,
        Strange::WrongId,
        Strange::WrongQuestion,
        Strange::Malformed,
        Strange::StaleIcmp,
    ];

    /// snake_case name, as reports spell it.
    pub fn name(self) -> &'static str {
        match self {
            Strange::Late => "late",
            Strange::Foreign => "foreign",
            Strange::WrongPort => "wrong_port",
            Strange::WrongId => "wrong_id",
            Strange::WrongQuestion => "wrong_question",
            Strange::Malformed => "malformed",
            Strange::StaleIcmp => "stale_icmp",
        }
    }
}

/// One probe to run: the feeder makes it, a shard takes it.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Assignment {
    /// Position in the input: index into `Fleet::checkers`, or number of the address in a list.
    pub seq: u64,
    /// Where the probe goes; for a script, the server it is about.
    pub target: SocketAddr,
    /// How to probe it.
    pub spec: SpecId,
    /// Attempts after the first that a timeout or an `Unknown` may cost.
    pub retries: u16,
}

/// The end of one probe: a shard makes it, the aggregator takes it.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Record {
    /// As in the [`Assignment`].
    pub seq: u64,
    /// As in the [`Assignment`].
    pub target: SocketAddr,
    /// As in the [`Assignment`].
    pub spec: SpecId,
    /// What was found.
    pub outcome: Outcome,
    /// Attempts made, those that cost no retry included; at least 1.
    pub attempts: u16,
    /// From the send of the deciding attempt to its answer, for a script from its start to its end by
    /// itself; `None` where nothing answered.
    pub latency_ns: Option<u64>,
    /// Since when the probe could have begun.
    pub due: Tick,
    /// When it was decided.
    pub at: Tick,
    /// The last kind of packet from this server that did not count, if any came.
    pub strange: Option<Strange>,
}
