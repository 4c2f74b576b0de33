//! The reaper thread's end of the socket.

use std::io::{self, ErrorKind, Read};
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, ppoll};

use super::protocol::{self, Inbox, Reply, Request};
use super::spawn::POLL;
use crate::tick::{Tick, monotonic_now};

/// Bytes read from the socket at once.
const READ_BYTES: usize = 16 << 10;

/// How long the process may leave orders in a full socket. It does nothing else that takes time, so after
/// this it is stopped, or hangs.
const TAKES_WITHIN: Duration = Duration::from_secs(5);

/// What the process said.
pub(super) enum Heard {
    /// Perhaps no whole reply yet.
    Replies(Vec<Reply>),
    /// Nothing for a while.
    Nothing,
    /// It closed its socket, or made no sense.
    End,
}

/// The socket, and what was read of the next reply.
pub(super) struct Conversation {
    stream: UnixStream,
    buffer: Box<[u8]>,
    inbox: Inbox,
    /// What the process said last of [`Reply::Unowned`].
    unowned_killed: u64,
}

impl Conversation {
    /// Goes on where the introduction ended; nothing is waited for longer than [`POLL`].
    ///
    /// # Errors
    /// The kernel's.
    pub(super) fn new(stream: UnixStream) -> io::Result<Conversation> {
        stream.set_read_timeout(Some(POLL))?;
        stream.set_write_timeout(Some(TAKES_WITHIN))?;
        Ok(Conversation {
            stream,
            buffer: vec![0; READ_BYTES].into(),
            inbox: Inbox::default(),
            unowned_killed: 0,
        })
    }

    /// Says something.
    ///
    /// # Errors
    /// The process is gone, or does not listen.
    pub(super) fn say(&mut self, request: &Request) -> io::Result<()> {
        protocol::write(&mut self.stream, request)
    }

    /// What the process says until then, and at most within [`POLL`].
    pub(super) fn receive_until(&mut self, until: Tick) -> Heard {
        let wait = until.since(monotonic_now()).min(POLL);
        if wait < POLL {
            let mut polled = [PollFd::new(self.stream.as_fd(), PollFlags::POLLIN)];
            // Finer than a socket's own timeout, which is in the kernel's jiffies. What goes wrong here is
            // met again by the read.
            if let Ok(0) = ppoll(&mut polled, Some(wait.into()), None) {
                return Heard::Nothing;
            }
        }
        self.receive()
    }

    /// What the process says within [`POLL`].
    pub(super) fn receive(&mut self) -> Heard {
        match self.stream.read(&mut self.buffer) {
            Ok(0) => return Heard::End,
            Ok(count) => self.inbox.add(&self.buffer[..count]),
            Err(error) => {
                return match error.kind() {
                    ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted => {
                        Heard::Nothing
                    }
                    // It cannot be heard any more, so it has ended as far as we are concerned.
                    _ => Heard::End,
                };
            }
        }
        let mut replies = Vec::new();
        loop {
            match self.inbox.next() {
                Ok(Some(Reply::Unowned(count))) => self.unowned_killed = count,
                Ok(Some(reply)) => replies.push(reply),
                Ok(None) => return Heard::Replies(replies),
                Err(_) => return Heard::End,
            }
        }
    }

    /// Processes that the process has killed and that no script could be said to have left.
    pub(super) fn unowned_killed(&self) -> u64 {
        self.unowned_killed
    }

    /// Nothing more is said. The process sees that and ends, unless it cannot.
    pub(super) fn hang_up(&self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Waits until the process has closed its socket, at most until then. Whether it has.
    pub(super) fn wait_for_end(&mut self, most: Tick) -> bool {
        while monotonic_now() < most {
            if matches!(self.receive(), Heard::End) {
                return true;
            }
        }
        false
    }
}
