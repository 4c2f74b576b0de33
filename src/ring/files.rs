//! The sockets of a ring and their places in its fixed-file table: `SocketId` is the index in both.

use std::os::fd::{AsRawFd, RawFd};

use io_uring::Submitter;
use socket2::Socket;

use super::{RingError, SocketSpec, socket, token};
use crate::outcome::LocalFault;

/// A socket and how to open another like it.
#[derive(Debug)]
pub(super) struct OpenSocket {
    pub(super) socket: Socket,
    pub(super) spec: SocketSpec,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Files {
    sockets: Vec<Option<OpenSocket>>,
    /// Survives the socket, so that a completion of a closed one is not taken for its successor's.
    generations: Vec<u32>,
    free: Vec<u32>,
    most: u32,
}

impl Files {
    /// Registers a table of as many entries as wanted, or as RLIMIT_NOFILE lets us have.
    ///
    /// # Errors
    /// The kernel's refusal, with the remedy.
    pub(super) fn register(submitter: &Submitter<'_>, wanted: u32) -> Result<Files, RingError> {
        let (soft, _) = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE)
            .unwrap_or((1024, 1024));
        let most = wanted.min(u32::try_from(soft).unwrap_or(u32::MAX)).max(1);
        submitter.register_files_sparse(most).map_err(|error| RingError::Limit {
            what: "registering the file table",
            error,
            remedy: "raise RLIMIT_NOFILE (ulimit -n)".into(),
        })?;
        Ok(Files { sockets: Vec::new(), generations: Vec::new(), free: Vec::new(), most })
    }

    pub(super) fn get(&self, index: u32) -> Option<&OpenSocket> {
        self.sockets.get(index as usize)?.as_ref()
    }

    pub(super) fn generation(&self, index: u32) -> u32 {
        self.generations.get(index as usize).copied().unwrap_or(0)
    }

    /// Whether a completion of this generation is about the socket that is open now.
    pub(super) fn is_current(&self, index: u32, generation: u32) -> bool {
        self.get(index).is_some() && self.generation(index) == generation
    }

    /// Opens a socket and registers it; its index.
    ///
    /// # Errors
    /// The local fault.
    pub(super) fn open(
        &mut self,
        submitter: &Submitter<'_>,
        spec: &SocketSpec,
    ) -> Result<u32, LocalFault> {
        let socket = socket::open(spec)?;
        let index = match self.free.pop() {
            Some(index) => index,
            None if self.sockets.len() as u32 >= self.most => {
                return Err(LocalFault::Socket(libc::EMFILE));
            }
            None => {
                self.sockets.push(None);
                self.generations.push(0);
                self.sockets.len() as u32 - 1
            }
        };
        if !update(submitter, index, socket.as_raw_fd()) {
            self.free.push(index);
            return Err(LocalFault::Socket(libc::EMFILE));
        }
        self.sockets[index as usize] = Some(OpenSocket { socket, spec: spec.clone() });
        Ok(index)
    }

    /// Takes a socket, or what a failed `replace` left of it, out of the table and closes it.
    pub(super) fn close(&mut self, submitter: &Submitter<'_>, index: u32) {
        let Some(generation) = self.generations.get_mut(index as usize) else {
            return;
        };
        update(submitter, index, -1);
        self.sockets[index as usize] = None;
        *generation = (*generation + 1) % token::GENERATIONS;
        self.free.push(index);
    }

    /// Closes a connected socket, so that the kernel ends the connection with FIN, and opens another
    /// in its place; whether that worked.
    pub(super) fn replace(&mut self, submitter: &Submitter<'_>, index: u32) -> bool {
        let Some(open) = self.sockets.get_mut(index as usize).and_then(Option::take) else {
            return false;
        };
        update(submitter, index, -1);
        drop(open.socket);
        let Ok(socket) = socket::open(&open.spec) else {
            return false;
        };
        let is_registered = update(submitter, index, socket.as_raw_fd());
        self.sockets[index as usize] = Some(OpenSocket { socket, spec: open.spec });
        is_registered
    }
}

/// Puts a descriptor, or -1 for none, into the table.
fn update(submitter: &Submitter<'_>, index: u32, fd: RawFd) -> bool {
    matches!(submitter.register_files_update(index, &[fd]), Ok(1))
}
