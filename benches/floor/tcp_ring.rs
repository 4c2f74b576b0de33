//! Floor: half handshakes by a bare io_uring loop over a window of recycled sockets.
//!
//! A slot goes round CONNECT(target), CONNECT(AF_UNSPEC), next target; each waits for the completion
//! of the one before. Sockets are registered files, and one `io_uring_enter` carries a whole turn.

use std::io;
use std::os::fd::AsRawFd;
use std::process::ExitCode;
use std::ptr;

use io_uring::types::{Fixed, SubmitArgs, Timespec};
use io_uring::{IoUring, cqueue, opcode, squeue};

use common::{MAX_TIMEOUTS, Plan, Tally};
use tcp::{ADDRESS_BYTES, NOWHERE};

mod common;
mod group;
mod tcp;

/// Set in `user_data` beside the slot when the operation is the disconnect.
const DISCONNECT: u64 = 1 << 32;

fn main() -> ExitCode {
    common::main("tcp_ring", tcp::peer, floor)
}

fn floor(plan: &Plan) -> io::Result<Tally> {
    let sockets = (0..plan.window).map(|_| tcp::recycled(plan)).collect::<io::Result<Vec<_>>>()?;
    let mut targets = vec![NOWHERE; sockets.len()];
    let mut ring: IoUring = IoUring::builder()
        .setup_single_issuer()
        .setup_defer_taskrun()
        .setup_taskrun_flag()
        .setup_submit_all()
        .build(u32::from(plan.window).next_power_of_two())?;
    let files: Vec<_> = sockets.iter().map(AsRawFd::as_raw_fd).collect();
    ring.submitter().register_files(&files)?;

    let patience = Timespec::from(group::PATIENCE);
    let mut tally = Tally::default();
    let (mut begun, mut ended, mut timeouts) = (0, 0, 0);
    // A slot to be used next, as if its disconnect had just completed.
    let mut turn: Vec<(u64, i32)> =
        (0..plan.window).map(|slot| (DISCONNECT | u64::from(slot), 0)).collect();
    let mut in_flight = 0;
    loop {
        let mut submissions = ring.submission();
        for (user_data, result) in turn.drain(..) {
            let slot = user_data as u32;
            let entry = if user_data & DISCONNECT == 0 {
                match -result {
                    0 => tally.answered += 1,
                    libc::ETIMEDOUT => timeouts += 1,
                    _ => tally.refused += 1,
                }
                ended += 1;
                connect(slot, &NOWHERE, DISCONNECT)
            } else if result != 0 {
                return Err(io::Error::from_raw_os_error(-result));
            } else if begun < plan.probes && timeouts < MAX_TIMEOUTS * u32::from(plan.window) {
                let target = &mut targets[slot as usize];
                *target = plan.sockaddr(begun);
                begun += 1;
                connect(slot, target, 0)
            } else {
                continue;
            };
            // SAFETY: the slot's address changes only after the completion of its disconnect, which
            // follows that of its connect.
            unsafe { submissions.push(&entry) }.map_err(io::Error::other)?;
            in_flight += 1;
        }
        drop(submissions);
        if in_flight == 0 {
            debug_assert_eq!(begun, ended, "every connect completes");
            return Ok(tally);
        }
        let want = group::want(plan, in_flight);
        if want > 1 {
            let wait = SubmitArgs::new().timespec(&patience);
            match ring.submitter().submit_with_args(want, &wait) {
                Err(error) if error.raw_os_error() != Some(libc::ETIME) => return Err(error),
                _ => {}
            }
        } else {
            ring.submit_and_wait(1)?;
        }
        turn.extend(ring.completion().map(|c: cqueue::Entry| (c.user_data(), c.result())));
        in_flight -= turn.len();
    }
}

fn connect(slot: u32, to: &libc::sockaddr_in, kind: u64) -> squeue::Entry {
    opcode::Connect::new(Fixed(slot), ptr::from_ref(to).cast(), ADDRESS_BYTES)
        .build()
        .user_data(kind | u64::from(slot))
}
