//! The multishot receives of UDP sockets: arming them, and what they bring.

use io_uring::types::Fixed;
use io_uring::{cqueue, opcode};

use super::super::buffers::BufferGroup;
use super::super::message::{self, Message};
use super::super::token::{self, Kind};
use super::super::{Event, SocketId};
use super::{DATA_GROUP, ERROR_GROUP, UringRing};

impl UringRing {
    pub(super) fn arm(&mut self, kind: Kind, socket: u32) -> bool {
        let (header, group, flags) = match kind {
            Kind::ReceiveErrors => (&raw const *self.error_header, ERROR_GROUP, libc::MSG_ERRQUEUE),
            _ => (&raw const *self.data_header, DATA_GROUP, 0),
        };
        let entry = opcode::RecvMsgMulti::new(Fixed(socket), header, group)
            .flags(flags as u32)
            .build()
            .user_data(token::pack(kind, self.files.generation(socket), socket));
        let armed = self.push_entry(&entry);
        if armed {
            self.in_flight += 1;
        }
        armed
    }

    pub(super) fn rearm_all(&mut self) {
        // Data first, then errors: the error reader armed last wakes first and clears the pending
        // socket error before it can end the data receive.
        let mut waiting = std::mem::take(&mut self.rearm);
        waiting.sort_unstable_by_key(|(kind, _)| *kind as u8);
        waiting.retain(|&(kind, socket)| {
            let is_open = self.files.get(socket).is_some();
            is_open && !self.arm(kind, socket)
        });
        // What is left goes back in the memory it came in.
        waiting.append(&mut self.rearm);
        self.rearm = waiting;
    }

    pub(super) fn give_back_lent(&mut self) {
        if let Some((kind, buffer)) = self.lent.take() {
            self.group(kind).give_back(buffer);
        }
    }

    pub(super) fn group(&mut self, kind: Kind) -> &mut BufferGroup {
        if kind == Kind::ReceiveErrors { &mut self.errors } else { &mut self.data }
    }

    /// A completion of a multishot receive: `Some` where it carries a message for the shard.
    pub(super) fn received(
        &mut self,
        kind: Kind,
        generation: u32,
        socket: u32,
        entry: &cqueue::Entry,
    ) -> bool {
        let current = self.files.is_current(socket, generation);
        if !cqueue::more(entry.flags()) {
            self.in_flight -= 1;
            if current {
                self.rearm.push((kind, socket));
            }
        }
        let Some(buffer) = cqueue::buffer_select(entry.flags()) else {
            return false;
        };
        if !current || entry.result() < 0 {
            self.group(kind).give_back(buffer);
            return false;
        }
        self.lent = Some((kind, buffer));
        true
    }

    pub(super) fn parse_lent(&self, entry: &cqueue::Entry) -> Option<Message> {
        let (kind, buffer) = self.lent?;
        let (group, header, is_error) = match kind {
            Kind::ReceiveErrors => (&self.errors, &self.error_header, true),
            _ => (&self.data, &self.data_header, false),
        };
        message::parse(group.bytes(buffer, entry.result() as usize)?, header, is_error)
    }

    pub(super) fn message(&self, kind: Kind, socket: u32, parsed: Message) -> Event<'_> {
        let group = if kind == Kind::ReceiveErrors { &self.errors } else { &self.data };
        let bytes = self
            .lent
            .and_then(|(_, buffer)| group.bytes(buffer, parsed.payload.end))
            .map_or(&[][..], |bytes| &bytes[parsed.payload.start..]);
        let socket = SocketId(socket);
        match kind {
            Kind::ReceiveErrors => {
                Event::IcmpError { socket, to: self.lent_from, errno: parsed.errno, bytes }
            }
            _ => Event::Datagram { socket, from: &self.lent_from, bytes },
        }
    }
}

/// Whether this completion ended a receive, so that what came after it is still unread.
pub(super) fn ends_a_receive(entry: &cqueue::Entry) -> bool {
    !cqueue::more(entry.flags())
        && matches!(
            token::unpack(entry.user_data()),
            Some((Kind::Receive | Kind::ReceiveErrors, ..))
        )
}
