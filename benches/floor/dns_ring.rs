//! Floor: DNS round trips by a bare io_uring loop.
//!
//! One unconnected socket, SEND with a destination for every probe, one multishot RECVMSG on a ring
//! of provided buffers, one `io_uring_enter` per turn. A send completes inside the enter that submits
//! it, so the query and the address of a slot need to live no longer than that call.

use std::alloc::{self, Layout};
use std::io;
use std::mem;
use std::os::fd::AsRawFd;
use std::process::ExitCode;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::types::{BufRingEntry, Fixed, RecvMsgOut, SubmitArgs, Timespec};
use io_uring::{IoUring, cqueue, opcode, squeue};

use common::{MAX_TIMEOUTS, Plan, Tally};
use dns::{QUERY, QUERY_BYTES, REPLY_BYTES, Window};

mod common;
mod dns;
mod group;

const RECEIVE: u64 = u64::MAX;
const GROUP: u16 = 0;
/// As few of both as will do, for each that is touched is far away by the time it is touched again: of
/// entries, a full queue is submitted; of buffers, the socket's own buffer holds what finds none.
const ENTRIES: u32 = 256;
const BUFFERS: u16 = 256;
/// io_uring_recvmsg_out, the source address, the payload.
const BUFFER_BYTES: usize = 16 + mem::size_of::<libc::sockaddr_in>() + REPLY_BYTES;

fn main() -> ExitCode {
    common::main("dns_ring", dns::peer, floor)
}

fn floor(plan: &Plan) -> io::Result<Tally> {
    let window_size = usize::from(plan.window);
    let socket = dns::socket()?;
    let mut ring: IoUring = IoUring::builder()
        .setup_single_issuer()
        .setup_defer_taskrun()
        .setup_taskrun_flag()
        .setup_submit_all()
        .setup_cqsize(plan.window.next_power_of_two().max(256) as u32 * 4)
        .build(ENTRIES)?;
    ring.submitter().register_files(&[socket.as_raw_fd()])?;
    let mut buffers = Buffers::register(&ring, BUFFERS)?;

    // SAFETY: all-zero is a valid msghdr: integers and null pointers.
    let mut receive: libc::msghdr = unsafe { mem::zeroed() };
    receive.msg_namelen = mem::size_of::<libc::sockaddr_in>() as libc::socklen_t;
    let mut queries = vec![QUERY; window_size];
    let mut targets = vec![plan.sockaddr(0); window_size];
    let quiet = match plan.send_completions {
        true => squeue::Flags::empty(),
        false => squeue::Flags::SKIP_SUCCESS,
    };
    let timeout = Timespec::from(plan.timeout());
    let patience = Timespec::from(group::PATIENCE);

    let mut window = Window::new(plan);
    let (mut armed, mut is_silent, mut timeouts) = (false, false, 0);
    while !window.is_done() && timeouts < MAX_TIMEOUTS {
        let (submitter, mut submissions, mut completions) = ring.split();
        if !armed {
            let entry = opcode::RecvMsgMulti::new(Fixed(0), &receive, GROUP).build();
            // SAFETY: the kernel copies `receive` when it takes the entry, in this turn.
            unsafe { submissions.push(&entry.user_data(RECEIVE)) }.map_err(io::Error::other)?;
            armed = true;
        }
        while let Some((slot, probe, id)) = window.begin() {
            queries[slot][..2].copy_from_slice(&id.to_be_bytes());
            targets[slot] = plan.sockaddr(probe);
            let entry = opcode::Send::new(Fixed(0), queries[slot].as_ptr(), QUERY_BYTES as u32)
                .flags(libc::MSG_DONTWAIT)
                .dest_addr(ptr::from_ref(&targets[slot]).cast())
                .dest_addr_len(mem::size_of::<libc::sockaddr_in>() as libc::socklen_t)
                .build()
                .flags(quiet)
                .user_data(slot as u64);
            // SAFETY: the slot's query and address change only after the enter that sends them:
            // the slot is busy until its answer, its refusal or a whole timeout.
            while unsafe { submissions.push(&entry) }.is_err() {
                submissions.sync();
                submitter.submit()?;
                submissions.sync();
            }
        }
        submissions.sync();

        // A group is awaited by its time limit: DEFER_TASKRUN wakes the waiter for a batch only when that
        // many poll events came, and one event of the socket can stand for any number of datagrams.
        let want = if is_silent { 1 } else { group::want(plan, window.in_flight()) };
        let wait = SubmitArgs::new().timespec(if want > 1 { &patience } else { &timeout });
        match submitter.submit_with_args(want, &wait) {
            Err(error) if error.raw_os_error() != Some(libc::ETIME) => return Err(error),
            _ => {}
        }

        completions.sync();
        // The enter reports ETIME only when it submitted nothing.
        is_silent = completions.is_empty();
        for completion in &mut completions {
            if completion.user_data() != RECEIVE {
                if completion.result() < 0 {
                    window.refuse(completion.user_data() as usize);
                }
                continue;
            }
            armed = cqueue::more(completion.flags());
            if let Some(buffer) = cqueue::buffer_select(completion.flags()) {
                if let Ok(message) = RecvMsgOut::parse(buffers.bytes(buffer), &receive) {
                    window.answer(message.payload_data());
                }
                buffers.give_back(buffer);
            } else if completion.result() != -libc::ENOBUFS {
                return Err(io::Error::from_raw_os_error(-completion.result()));
            }
        }
        buffers.publish();
        if is_silent && want == 1 {
            // What was in flight before this wait is older than the timeout.
            timeouts += 1;
            window.lose_all();
        }
    }
    Ok(window.tally())
}

/// A ring of provided buffers: entries the kernel reads, and the bytes they name. Both are leaked,
/// because the kernel may write to them for a moment after the ring was closed.
struct Buffers {
    entries: NonNull<BufRingEntry>,
    bytes: &'static mut [[u8; BUFFER_BYTES]],
    tail: u16,
}

impl Buffers {
    /// `count` is a power of two.
    fn register(ring: &IoUring, count: u16) -> io::Result<Buffers> {
        let size = mem::size_of::<BufRingEntry>() * usize::from(count);
        let layout = Layout::from_size_align(size, 4096).map_err(io::Error::other)?;
        // SAFETY: the layout is not empty.
        let entries = NonNull::new(unsafe { alloc::alloc_zeroed(layout) }.cast())
            .ok_or(io::ErrorKind::OutOfMemory)?;
        let bytes = vec![[0; BUFFER_BYTES]; usize::from(count)].leak();
        let mut buffers = Buffers { entries, bytes, tail: 0 };
        for buffer in 0..count {
            buffers.give_back(buffer);
        }
        buffers.publish();
        // SAFETY: the entries are page-aligned and, like the bytes, never freed.
        unsafe {
            ring.submitter().register_buf_ring_with_flags(entries.as_ptr() as u64, count, GROUP, 0)
        }?;
        Ok(buffers)
    }

    fn bytes(&self, buffer: u16) -> &[u8] {
        &self.bytes[usize::from(buffer)]
    }

    fn give_back(&mut self, buffer: u16) {
        let place = usize::from(self.tail) % self.bytes.len();
        // SAFETY: `place` is below the number of entries, and the kernel does not read this one
        // before the tail moves past it.
        let entry = unsafe { self.entries.add(place).as_mut() };
        entry.set_addr(self.bytes[usize::from(buffer)].as_mut_ptr() as u64);
        entry.set_len(BUFFER_BYTES as u32);
        entry.set_bid(buffer);
        self.tail = self.tail.wrapping_add(1);
    }

    /// Lets the kernel see what was given back.
    fn publish(&mut self) {
        // SAFETY: the tail lies inside the first entry and is aligned; only this side writes it.
        let tail =
            unsafe { AtomicU16::from_ptr(BufRingEntry::tail(self.entries.as_ptr()).cast_mut()) };
        tail.store(self.tail, Ordering::Release);
    }
}
