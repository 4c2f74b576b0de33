//! Floor: half handshakes by connect(2) on one recycled socket: connect, disconnect, next target.

use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::process::ExitCode;
use std::ptr;

use common::{MAX_TIMEOUTS, Plan, Tally};
use tcp::{ADDRESS_BYTES, NOWHERE};

mod common;
mod tcp;

fn main() -> ExitCode {
    common::main("tcp_syscalls", tcp::peer, floor)
}

fn floor(plan: &Plan) -> io::Result<Tally> {
    let socket = tcp::recycled(plan)?;
    let mut tally = Tally::default();
    let mut timeouts = 0;
    for probe in 0..plan.probes {
        match connect(socket.as_raw_fd(), &plan.sockaddr(probe)) {
            Ok(()) => tally.answered += 1,
            Err(error) if error.raw_os_error() == Some(libc::ETIMEDOUT) => {
                timeouts += 1;
                if timeouts == MAX_TIMEOUTS {
                    break;
                }
            }
            Err(_) => tally.refused += 1,
        }
        connect(socket.as_raw_fd(), &NOWHERE)?;
    }
    Ok(tally)
}

fn connect(fd: RawFd, to: &libc::sockaddr_in) -> io::Result<()> {
    // SAFETY: `to` outlives the call, and its size is given.
    match unsafe { libc::connect(fd, ptr::from_ref(to).cast(), ADDRESS_BYTES) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
