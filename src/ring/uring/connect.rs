//! Whether a recycled TCP socket is connected, and what it must forget before the next target.

use io_uring::opcode;
use io_uring::types::Fixed;

use super::super::token::{self, Kind};
use super::super::{Token, socket};
use super::UringRing;

impl UringRing {
    /// The errno of a connect, or `None` while it is still in progress.
    ///
    /// A result of 0 is not believed: an ICMP error of this or an earlier target waits in the socket's
    /// error queue, io_uring sees EPOLLERR, asks for the pending error, finds none and says 0. Only a
    /// socket that has a peer is connected. (Some kernels around 6.1 say EINPROGRESS and leave it there.)
    pub(super) fn connect_ended(&mut self, token: Token, result: i32) -> Option<i32> {
        let errno = if result == 0 { self.check_connected(token) } else { -result };
        self.connects[token.slot as usize].has_failed = errno != 0;
        if errno != libc::EINPROGRESS {
            return Some(errno);
        }
        let socket = self.connects[token.slot as usize].socket;
        let entry = opcode::PollAdd::new(Fixed(socket), libc::POLLOUT as u32)
            .build()
            .user_data(token::pack_token(Kind::ConnectPoll, token));
        if self.push_entry(&entry) {
            self.in_flight += 1;
            None
        } else {
            Some(libc::ENOBUFS)
        }
    }

    /// The same for the poll that stood in for the connect.
    pub(super) fn connect_poll_ended(&mut self, token: Token, result: i32) -> Option<i32> {
        let hung_up = result >= 0 && result & i32::from(libc::POLLHUP) != 0;
        match (result, self.check_connected(token)) {
            (..0, _) => Some(-result),
            // Closed, and whatever closed it left no word.
            (_, libc::EINPROGRESS) if hung_up => Some(libc::EIO),
            (_, errno) => self.connect_ended(token, -errno),
        }
    }

    /// Errors survive a disconnect: without this the next target would inherit them.
    pub(super) fn forget_errors(&mut self, token: Token) {
        let connect = &mut self.connects[token.slot as usize];
        if std::mem::take(&mut connect.has_failed)
            && let Some(open) = self.files.get(connect.socket)
        {
            socket::drain_errors(&open.socket);
        }
    }

    /// 0 when the socket of the slot has a peer, EINPROGRESS when it may still get one, else why not.
    pub(super) fn check_connected(&self, token: Token) -> i32 {
        let socket = self.connects[token.slot as usize].socket;
        match self.files.get(socket) {
            Some(open) => socket::connect_result(&open.socket),
            None => libc::EBADF,
        }
    }
}
