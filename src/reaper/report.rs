//! How one script ran: what stands beside its record.

use serde::{Deserialize, Serialize};

/// Bytes of each output stream that are kept: the last ones.
pub const TAIL_BYTES: usize = 4096;

/// How one script ran, or why it did not. Stands beside the record of its probe.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct ScriptRun {
    /// From when the run was due to when the reaper began to start it, in nanoseconds.
    pub queued_ns: u64,
    /// From there to when the program ran; `None` where it never did.
    pub startup_ns: Option<u64>,
    /// From there to when the leader of its group had ended; `None` where it never started.
    pub run_ns: Option<u64>,
    /// How the leader ended, also when that was after its deadline; `None` where nobody saw it.
    pub status: Option<ScriptStatus>,
    /// `misc_dynamic`: the weight that the exit status asks for, 0 to 253.
    pub weight: Option<u8>,
    /// End of its standard output.
    pub stdout: Tail,
    /// End of its standard error.
    pub stderr: Tail,
    /// Earlier attempts that we spoiled ourselves, and that cost no retry.
    pub free_retries: u16,
    /// It ended by itself and left processes behind, which were killed.
    pub left_processes: bool,
    /// Something of it was still alive when this was written; it is killed again and again.
    pub is_unkilled: bool,
    /// What there is to say beyond the outcome's reason: the path component, the interpreter.
    pub explanation: Option<String>,
}

/// How a process ended, as wait(2) tells.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum ScriptStatus {
    /// By exit, with this status.
    Exited(u8),
    /// By this signal.
    Signaled(u8),
}

/// The end of an output stream.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Tail {
    /// At most [`TAIL_BYTES`], as written; not always text.
    pub bytes: Vec<u8>,
    /// Bytes written in all.
    pub total: u64,
}
