//! The ring of one shard on io_uring: UDP with multishot receives, recycled TCP sockets.
//!
//! Sends complete inside `io_uring_enter` (MSG_DONTWAIT) and post a CQE only when they fail. Every UDP
//! socket has two multishot receives on buffer groups of the ring: data, and the error queue. They
//! end at will (error, no buffers, an empty datagram) and are armed again before the next wait.

mod close;
mod connect;
mod receive;

use std::collections::VecDeque;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::time::Duration;

use io_uring::types::{CancelBuilder, Fixed, SubmitArgs, Timespec};
use io_uring::{EnterFlags, IoUring, cqueue, opcode, squeue};

use super::address::{NAME_BYTES, RawAddress};
use super::buffers::BufferGroup;
use super::files::Files;
use super::message;
use super::token::{self, Kind};
use super::{
    DATAGRAM_BYTES, Event, GROUP_WAIT, Op, RECEIVED_BYTES, Ring, RingError, RingFull, SocketId,
    SocketKind, SocketSpec, Token, setup, socket,
};
use crate::outcome::LocalFault;
use crate::tick::{Tick, monotonic_now};

/// More than 512 bytes of payload, the most a DNS server may answer without EDNS.
const DATA_BUFFER_BYTES: u32 = (message::FRAME_BYTES + NAME_BYTES + RECEIVED_BYTES) as u32;
/// Header, name, one IP_RECVERR control message with the offender, and the quoted payload.
const ERROR_BUFFER_BYTES: u32 = 512;
/// Room for sock_extended_err and the offender's address.
const ERROR_CONTROL_BYTES: usize = 128;
const DATA_GROUP: u16 = 0;
const ERROR_GROUP: u16 = 1;
/// As many ICMP errors as a turn can cause; what finds no buffer fails the next send of its socket.
const ERROR_BUFFERS: u16 = 1024;
/// Both receives of as many sockets as a lane has at most.
const REARMED_AT_ONCE: usize = 128;
/// Passes that one `turn` makes to empty the sockets before a deadline is judged.
const DRAIN_PASSES: u32 = 64;
/// How long a closing ring waits for its last completions before it leaks its memory instead.
const DRAIN_PATIENCE: Duration = Duration::from_secs(2);

/// Sizes of a ring.
#[derive(Copy, Clone, Debug)]
pub struct RingConfig {
    /// Slots, so attempts in flight at most.
    pub slots: u32,
}

/// The destination and outgoing bytes of one slot: side by side, and on as few cache lines as can be,
/// for between two probes of a slot the kernel has filled the caches with packets.
#[derive(Clone, Debug)]
#[repr(C, align(64))]
struct Outgoing {
    to: RawAddress,
    bytes: [u8; DATAGRAM_BYTES],
}

/// The last connect of one slot.
#[derive(Copy, Clone, Debug, Default)]
struct LastConnect {
    socket: u32,
    /// It did not succeed, so its socket's error queue may hold an ICMP error.
    has_failed: bool,
}

/// See the module.
#[derive(Debug)]
pub struct UringRing {
    ring: IoUringHolder,
    now: Tick,
    outgoing: Box<[Outgoing]>,
    connects: Box<[LastConnect]>,
    files: Files,
    data: ManuallyDrop<BufferGroup>,
    errors: ManuallyDrop<BufferGroup>,
    data_header: Box<libc::msghdr>,
    error_header: Box<libc::msghdr>,
    unspecified: Box<RawAddress>,
    batch: Vec<cqueue::Entry>,
    batch_next: usize,
    /// The buffer lent out by the last `next`, to be given back by the following one.
    lent: Option<(Kind, u16)>,
    /// Who sent what is in it.
    lent_from: SocketAddr,
    /// Results known at once, without a completion.
    immediate: VecDeque<(Token, i32)>,
    /// Receives to arm before the next wait.
    rearm: Vec<(Kind, u32)>,
    /// Ops whose last completion is still to come; sends never count, they end in the submit.
    in_flight: u32,
    drained: bool,
    /// A wait for several may end with fewer after a time, and go on where there is none: since 6.12.
    can_wait_at_least: bool,
    /// R4: a ring never leaves its thread.
    not_send: PhantomData<*const ()>,
}

/// `IoUring` has no Debug.
struct IoUringHolder(ManuallyDrop<IoUring>);

impl std::fmt::Debug for IoUringHolder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("IoUring")
    }
}

impl UringRing {
    /// Builds the ring of the calling thread.
    ///
    /// # Errors
    /// [`RingError`] names what is missing on this machine and the remedy.
    pub fn new(config: &RingConfig) -> Result<UringRing, RingError> {
        let slots = config.slots.clamp(1, 1 << 16);
        let submissions = slots.next_power_of_two().clamp(64, 256);
        let data_buffers = (slots.next_power_of_two() / 4).clamp(64, 4096) as u16;
        // R5: a TCP attempt has at most its connect, its poll and its disconnect in flight.
        let completions =
            (3 * slots + u32::from(data_buffers) + u32::from(ERROR_BUFFERS)).next_power_of_two();
        let ring = setup::build(submissions, completions.clamp(1024, 65_536))?;
        let submitter = ring.submitter();
        let files = Files::register(&submitter, 2 * slots + 64)?;
        let limit = |error| RingError::Limit {
            what: "registering receive buffers",
            error,
            remedy: "raise RLIMIT_MEMLOCK (ulimit -l), or use a smaller --window".into(),
        };
        let data = BufferGroup::register(&submitter, DATA_GROUP, data_buffers, DATA_BUFFER_BYTES)
            .map_err(limit)?;
        let errors =
            BufferGroup::register(&submitter, ERROR_GROUP, ERROR_BUFFERS, ERROR_BUFFER_BYTES)
                .map_err(limit)?;
        let can_wait_at_least = ring.params().is_feature_min_timeout();
        let unused = Outgoing { to: RawAddress::unused(), bytes: [0; DATAGRAM_BYTES] };
        Ok(UringRing {
            ring: IoUringHolder(ManuallyDrop::new(ring)),
            now: monotonic_now(),
            outgoing: vec![unused; slots as usize].into(),
            connects: vec![LastConnect::default(); slots as usize].into(),
            files,
            data: ManuallyDrop::new(data),
            errors: ManuallyDrop::new(errors),
            data_header: Box::new(message::header(0)),
            error_header: Box::new(message::header(ERROR_CONTROL_BYTES)),
            unspecified: Box::new(RawAddress::unspecified_family()),
            batch: Vec::with_capacity(completions.min(65_536) as usize),
            batch_next: 0,
            lent: None,
            lent_from: SocketAddr::from(([0, 0, 0, 0], 0)),
            immediate: VecDeque::with_capacity(slots as usize),
            rearm: Vec::with_capacity(REARMED_AT_ONCE),
            in_flight: 0,
            drained: true,
            can_wait_at_least,
            not_send: PhantomData,
        })
    }

    /// Inlined, so that an entry is made where it goes.
    #[inline(always)]
    fn push_entry(&mut self, entry: &squeue::Entry) -> bool {
        for _ in 0..2 {
            // SAFETY: R1: every pointer in an entry made by this file goes into `outgoing`,
            // `unspecified`, the headers or the buffer groups, which live until the ring drained
            // (R6) and are not moved: they are boxed or allocated apart.
            if unsafe { self.ring.0.submission().push(entry) }.is_ok() {
                return true;
            }
            // Full: start what is there without waiting, then there is room.
            if self.ring.0.submit().is_err() {
                return false;
            }
        }
        false
    }

    fn enter(&mut self, want: u32, timeout: Duration) -> Result<(), RingError> {
        let is_group = want > 1 && timeout > GROUP_WAIT;
        let (timeout, at_least) = match (is_group, self.can_wait_at_least) {
            (false, _) => (timeout, Duration::ZERO),
            (true, true) => (timeout, GROUP_WAIT),
            (true, false) => (GROUP_WAIT, Duration::ZERO),
        };
        let timespec = Timespec::from(timeout);
        let args = SubmitArgs::new().timespec(&timespec).min_wait_usec(at_least.as_micros() as u32);
        let flags = EnterFlags::GETEVENTS | EnterFlags::EXT_ARG;
        let submissions = self.ring.0.submission().len() as u32;
        // SAFETY: `args` and the timespec it points to live across the call; GETEVENTS is always
        // set because deferred task work runs only then. R1 holds for what is submitted.
        let result =
            unsafe { self.ring.0.submitter().enter(submissions, want, flags.bits(), Some(&args)) };
        match result {
            Ok(_) => Ok(()),
            // ETIME: the time was up; EINTR: a signal; EBUSY and EAGAIN: completions to reap first.
            Err(error) => match error.raw_os_error() {
                Some(libc::ETIME | libc::EINTR | libc::EBUSY | libc::EAGAIN) => Ok(()),
                _ => Err(RingError::Enter(error)),
            },
        }
    }

    /// Copies what completed into the batch; the number of new entries.
    fn reap(&mut self) -> usize {
        let before = self.batch.len();
        self.batch.extend(self.ring.0.completion());
        self.batch.len() - before
    }
}

impl Ring for UringRing {
    fn now(&self) -> Tick {
        self.now
    }

    fn open(&mut self, spec: &SocketSpec) -> Result<SocketId, LocalFault> {
        let index = self.files.open(&self.ring.0.submitter(), spec)?;
        if spec.kind == SocketKind::Udp {
            self.rearm.push((Kind::Receive, index));
            self.rearm.push((Kind::ReceiveErrors, index));
        }
        Ok(SocketId(index))
    }

    fn close(&mut self, socket: SocketId) {
        // Closing alone would leave the receives armed: they hold the file.
        let patience = Timespec::from(DRAIN_PATIENCE);
        let armed = CancelBuilder::fd(Fixed(socket.0)).all();
        let submitter = self.ring.0.submitter();
        let _ = submitter.register_sync_cancel(Some(patience), armed);
        self.files.close(&submitter, socket.0);
        self.rearm.retain(|(_, armed)| *armed != socket.0);
    }

    fn outgoing(&mut self, slot: u32) -> &mut [u8] {
        &mut self.outgoing[slot as usize].bytes
    }

    fn push(&mut self, op: Op) -> Result<(), RingFull> {
        // `op` is copied only where it goes back: as a block it cannot be read before every store in front of
        // it has reached the cache.
        match op {
            Op::Send { token, socket, to, len } => {
                let outgoing = &mut self.outgoing[token.slot as usize];
                outgoing.to = RawAddress::from(to);
                let len = usize::from(len).min(DATAGRAM_BYTES) as u32;
                // MSG_DONTWAIT: it ends inside the submit, so the slot's bytes are ours again (R1).
                let entry = opcode::Send::new(Fixed(socket.0), outgoing.bytes.as_ptr(), len)
                    .dest_addr(outgoing.to.as_ptr())
                    .dest_addr_len(outgoing.to.len())
                    .flags(libc::MSG_DONTWAIT)
                    .build()
                    .flags(squeue::Flags::SKIP_SUCCESS)
                    .user_data(token::pack_token(Kind::Send, token));
                if self.push_entry(&entry) { Ok(()) } else { Err(RingFull(op)) }
            }
            Op::Connect { token, socket, to } => {
                let outgoing = &mut self.outgoing[token.slot as usize];
                outgoing.to = RawAddress::from(to);
                // Until it is known to have succeeded; an abort leaves it so.
                self.connects[token.slot as usize] =
                    LastConnect { socket: socket.0, has_failed: true };
                let address = (outgoing.to.as_ptr(), outgoing.to.len());
                let entry = opcode::Connect::new(Fixed(socket.0), address.0, address.1)
                    .build()
                    .user_data(token::pack_token(Kind::Connect, token));
                if !self.push_entry(&entry) {
                    return Err(RingFull(op));
                }
                self.in_flight += 1;
                Ok(())
            }
            Op::Disconnect { token, socket } => {
                let address = (self.unspecified.as_ptr(), self.unspecified.len());
                let entry = opcode::Connect::new(Fixed(socket.0), address.0, address.1)
                    .build()
                    .user_data(token::pack_token(Kind::Disconnect, token));
                if !self.push_entry(&entry) {
                    return Err(RingFull(op));
                }
                self.in_flight += 1;
                Ok(())
            }
            Op::Replace { token, socket } => {
                let is_replaced = self.files.replace(&self.ring.0.submitter(), socket.0);
                let errno = if is_replaced { 0 } else { libc::EIO };
                self.immediate.push_back((token, errno));
                Ok(())
            }
        }
    }

    fn turn(&mut self, until: Tick, want: u32, deadline: Tick) -> Result<Tick, RingError> {
        self.give_back_lent();
        self.data.publish();
        self.errors.publish();
        self.rearm_all();
        self.batch.clear();
        self.batch_next = 0;
        self.drained = self.rearm.is_empty();
        let patience =
            if self.immediate.is_empty() { until.since(self.now) } else { Duration::ZERO };
        let want = if patience.is_zero() { 0 } else { want.max(1) };
        self.enter(want, patience)?;
        self.reap();
        self.now = monotonic_now();
        if self.now >= deadline {
            // Whatever already arrived has to be read before it is judged.
            let mut passes = 0;
            loop {
                self.enter(0, Duration::ZERO)?;
                if self.reap() == 0 {
                    break;
                }
                passes += 1;
                if passes == DRAIN_PASSES {
                    self.drained = false;
                    break;
                }
            }
        } else {
            self.drained = false;
        }
        // What the kernel had no memory to start is not to be judged by its deadline.
        if !self.ring.0.submission().is_empty() {
            self.drained = false;
        }
        // A receive that ended in this batch left unread what came after it.
        if self.drained && self.batch.iter().any(receive::ends_a_receive) {
            self.drained = false;
        }
        Ok(self.now)
    }

    fn drained(&self) -> bool {
        self.drained
    }

    fn next(&mut self) -> Option<Event<'_>> {
        self.give_back_lent();
        if let Some((token, errno)) = self.immediate.pop_front() {
            return Some(Event::Disconnected { token, errno });
        }
        while let Some(entry) = self.batch.get(self.batch_next).cloned() {
            self.batch_next += 1;
            let Some((kind, generation, index)) = token::unpack(entry.user_data()) else {
                continue;
            };
            let token = Token { slot: index, generation };
            match kind {
                Kind::Receive | Kind::ReceiveErrors => {
                    if self.received(kind, generation, index, &entry)
                        && let Some(at) = self.parse_lent(&entry)
                    {
                        self.lent_from = at.name.address();
                        return Some(self.message(kind, index, at));
                    }
                }
                Kind::Send => return Some(Event::SendFailed { token, errno: -entry.result() }),
                Kind::Connect => {
                    self.in_flight -= 1;
                    if let Some(errno) = self.connect_ended(token, entry.result()) {
                        return Some(Event::Connected { token, errno });
                    }
                }
                Kind::ConnectPoll => {
                    self.in_flight -= 1;
                    if let Some(errno) = self.connect_poll_ended(token, entry.result()) {
                        return Some(Event::Connected { token, errno });
                    }
                }
                Kind::Disconnect => {
                    self.in_flight -= 1;
                    self.forget_errors(token);
                    return Some(Event::Disconnected { token, errno: -entry.result() });
                }
            }
        }
        None
    }

    fn peek(&self) -> Option<[u8; 2]> {
        let entry = self.batch.get(self.batch_next + 1)?;
        let (Kind::Receive, ..) = token::unpack(entry.user_data())? else { return None };
        let buffer = cqueue::buffer_select(entry.flags())?;
        let payload = message::FRAME_BYTES + NAME_BYTES;
        let bytes = self.data.bytes(buffer, payload + 2)?;
        Some([bytes[payload], bytes[payload + 1]])
    }

    fn drops(&mut self, socket: SocketId) -> u32 {
        match self.files.get(socket.0) {
            Some(open) => socket::drops(open.socket.as_raw_fd()),
            None => 0,
        }
    }

    fn route(&mut self, socket: SocketId, to: SocketAddr) -> Result<(), i32> {
        match self.files.get(socket.0) {
            Some(open) => socket::route(&open.spec, to),
            None => Err(libc::EBADF),
        }
    }
}
