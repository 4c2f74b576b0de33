//! What the reaper thread and the reaper process say to each other: messages of postcard behind their
//! length, over a stream socket.

use std::io::{self, Read, Write};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::link::CgroupMode;
use super::report::ScriptRun;
use super::supervise::RunId;
use crate::fleet::{ScriptCommand, ScriptUser};
use crate::outcome::Outcome;

/// Bytes of a message: a command line is bounded by the kernel's 2 MiB for arguments.
const MESSAGE_BYTES_MAX: usize = 4 << 20;

/// Thread -> process.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Request {
    /// First of all, once.
    Configure(Configuration),
    /// Start a script now.
    Run(Box<Order>),
    /// End everything that runs, then the process.
    Stop,
}

/// What is the same for all scripts.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Configuration {
    /// Of the program that asks; the process refuses another.
    pub(super) version: String,
    /// Most scripts at once.
    pub(super) jobs: usize,
    /// From SIGTERM to SIGKILL.
    pub(super) grace: Duration,
    /// Soft and hard RLIMIT_NOFILE of scripts.
    pub(super) nofile: Option<(u64, u64)>,
    /// Whether an unsafe path is refused.
    pub(super) security: bool,
    /// Where control groups are made.
    pub(super) cgroup: CgroupMode,
    /// Value of the mark in every script's environment, up to the number of the run.
    pub(super) mark: String,
}

/// One script to run.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Order {
    /// Which run this is.
    pub(super) run: RunId,
    /// What is run.
    pub(super) command: ScriptCommand,
    /// Whom it runs as.
    pub(super) user: ScriptUser,
    /// How long it may run.
    pub(super) timeout: Duration,
    /// `misc_dynamic`.
    pub(super) dynamic: bool,
    /// All of its environment.
    pub(super) environment: Vec<(Vec<u8>, Vec<u8>)>,
}

/// Process -> thread.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Reply {
    /// The answer to the configuration: scripts may come.
    Ready {
        /// Of the process.
        version: String,
    },
    /// The answer to a configuration that cannot be followed.
    Unable(String),
    /// Processes killed so far that no script could be said to have left.
    Unowned(u64),
    /// One script ended. `queued_ns` of the run is the thread's to fill in.
    Ended(RunId, Outcome, Box<ScriptRun>),
}

/// Writes one message.
///
/// # Errors
/// The writer's; or the message is too long, and nothing was written.
pub(super) fn write(to: &mut impl Write, message: &impl Serialize) -> io::Result<()> {
    let mut bytes = postcard::to_extend(message, vec![0_u8; 4]).map_err(io::Error::other)?;
    let length = bytes.len() - 4;
    if length > MESSAGE_BYTES_MAX {
        return Err(io::Error::other(format!("a message of {length} bytes")));
    }
    bytes[..4].copy_from_slice(&(length as u32).to_le_bytes());
    to.write_all(&bytes)
}

/// Reads one message; `None` at a clean end.
///
/// # Errors
/// The reader's; an end in the middle of a message; bytes that are no message.
pub(super) fn read<T: DeserializeOwned>(from: &mut impl Read) -> io::Result<Option<T>> {
    let mut length = [0; 4];
    match from.read(&mut length)? {
        0 => return Ok(None),
        some => from.read_exact(&mut length[some..])?,
    }
    let length = u32::from_le_bytes(length) as usize;
    if length > MESSAGE_BYTES_MAX {
        return Err(io::Error::other(format!("a message of {length} bytes")));
    }
    let mut bytes = vec![0; length];
    from.read_exact(&mut bytes)?;
    postcard::from_bytes(&bytes).map(Some).map_err(io::Error::other)
}

/// Takes messages out of bytes as they arrive.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    bytes: Vec<u8>,
    /// Bytes of messages that were taken.
    taken: usize,
}

impl Inbox {
    /// Adds what arrived.
    pub(super) fn add(&mut self, bytes: &[u8]) {
        // Once for all messages that were taken since: thousands of orders may come together.
        self.bytes.drain(..self.taken);
        self.taken = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole message, if it is there.
    ///
    /// # Errors
    /// Bytes that are no message.
    pub(super) fn next<T: DeserializeOwned>(&mut self) -> io::Result<Option<T>> {
        let Some((length, rest)) = self.bytes[self.taken..].split_first_chunk::<4>() else {
            return Ok(None);
        };
        let length = u32::from_le_bytes(*length) as usize;
        if length > MESSAGE_BYTES_MAX {
            return Err(io::Error::other(format!("a message of {length} bytes")));
        }
        let Some(message) = rest.get(..length) else { return Ok(None) };
        let message = postcard::from_bytes(message).map_err(io::Error::other)?;
        self.taken += 4 + length;
        Ok(Some(message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::{LocalFault, ScriptFault, SetupStep};

    fn messages() -> Vec<Reply> {
        let outcome = Outcome::Unknown(LocalFault::Script(ScriptFault::Setup(SetupStep::Exec, 7)));
        vec![
            Reply::Ready { version: "1".into() },
            Reply::Ended(RunId(u64::MAX), outcome, Box::default()),
            Reply::Unable("because".into()),
        ]
    }

    #[test]
    fn messages_arrive_whole_however_they_are_cut() {
        let mut bytes = Vec::new();
        for message in messages() {
            write(&mut bytes, &message).expect("room");
        }
        let mut inbox = Inbox::default();
        let mut taken = Vec::new();
        for byte in &bytes {
            inbox.add(std::slice::from_ref(byte));
            while let Some(message) = inbox.next::<Reply>().expect("a message") {
                taken.push(format!("{message:?}"));
            }
        }
        let sent: Vec<String> = messages().iter().map(|message| format!("{message:?}")).collect();
        assert_eq!(taken, sent);

        let mut from = bytes.as_slice();
        let mut read_back = Vec::new();
        while let Some(message) = read::<Reply>(&mut from).expect("a message") {
            read_back.push(format!("{message:?}"));
        }
        assert_eq!(read_back, sent);
    }

    #[test]
    fn what_is_no_message_is_an_error_and_no_panic() {
        for bytes in [&[255_u8; 9][..], &[2, 0, 0, 0, 99, 99], &[1, 0]] {
            let mut from = bytes;
            read::<Reply>(&mut from).expect_err("no message");
        }
        let mut inbox = Inbox::default();
        inbox.add(&[2, 0, 0, 0, 99, 99]);
        inbox.next::<Reply>().expect_err("no message");
    }
}
