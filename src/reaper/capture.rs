//! The end of what a script writes, kept while all of it is read: a script never waits for room in its
//! pipe.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::report::{TAIL_BYTES, Tail};

/// Reads of one turn: a script that writes without end must not keep the others waiting.
const READS_MAX: usize = 16;
const READ_BYTES: usize = 64 << 10;

/// One stream of one script.
#[derive(Debug, Default)]
pub(super) struct Capture {
    /// `None` once it is at its end.
    pipe: Option<File>,
    /// At most twice what is kept.
    bytes: Vec<u8>,
    total: u64,
}

impl Capture {
    /// Reads from this end of a pipe, which must not block.
    pub(super) fn of(pipe: OwnedFd) -> Capture {
        Capture { pipe: Some(pipe.into()), ..Capture::default() }
    }

    /// The pipe, while it is open.
    pub(super) fn pipe(&self) -> Option<BorrowedFd<'_>> {
        self.pipe.as_ref().map(File::as_fd)
    }

    /// Reads what is there. False when nothing more can come.
    pub(super) fn read(&mut self, buffer: &mut ReadBuffer) -> bool {
        for _ in 0..READS_MAX {
            let Some(pipe) = &mut self.pipe else { return false };
            match pipe.read(&mut buffer.0) {
                Ok(0) => self.pipe = None,
                Ok(count) => self.keep(&buffer.0[..count]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return true,
                Err(_) => self.pipe = None,
            }
        }
        self.pipe.is_some()
    }

    fn keep(&mut self, bytes: &[u8]) {
        self.total += bytes.len() as u64;
        let bytes = &bytes[bytes.len().saturating_sub(TAIL_BYTES)..];
        if self.bytes.len() + bytes.len() > 2 * TAIL_BYTES {
            let kept = TAIL_BYTES.saturating_sub(bytes.len()).min(self.bytes.len());
            self.bytes.drain(..self.bytes.len() - kept);
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// What is kept; the pipe is closed.
    pub(super) fn into_tail(mut self) -> Tail {
        let beyond = self.bytes.len().saturating_sub(TAIL_BYTES);
        self.bytes.drain(..beyond);
        Tail { bytes: self.bytes, total: self.total }
    }
}

/// Where all streams are read into, one after the other.
pub(super) struct ReadBuffer(Box<[u8]>);

impl Default for ReadBuffer {
    fn default() -> ReadBuffer {
        ReadBuffer(vec![0; READ_BYTES].into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_kept_however_it_comes() {
        let all: Vec<u8> = (0..30_000_u32).map(|number| (number % 251) as u8).collect();
        for length in [0, 1, TAIL_BYTES - 1, TAIL_BYTES, TAIL_BYTES + 1, 2 * TAIL_BYTES, 30_000] {
            for piece in [1, 7, 1000, TAIL_BYTES, TAIL_BYTES + 1, 30_000] {
                let mut capture = Capture::default();
                for part in all[..length].chunks(piece) {
                    capture.keep(part);
                    assert!(capture.bytes.len() <= 2 * TAIL_BYTES);
                }
                let tail = capture.into_tail();
                assert_eq!(tail.total, length as u64);
                assert_eq!(tail.bytes, all[length.saturating_sub(TAIL_BYTES)..length]);
            }
        }
    }

    #[test]
    fn a_pipe_is_read_to_its_end() {
        use std::io::Write;
        let (reader, mut writer) = std::io::pipe().expect("a pipe");
        let mut capture = Capture::of(reader.into());
        let mut buffer = ReadBuffer::default();
        writer.write_all(b"hello").expect("room");
        drop(writer);
        assert!(!capture.read(&mut buffer), "it is at its end");
        assert!(capture.pipe.is_none());
        assert_eq!(capture.into_tail(), Tail { bytes: b"hello".to_vec(), total: 5 });
    }
}
