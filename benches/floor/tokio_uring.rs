//! Baseline: the DNS round trips of `dns_ring` on the tokio-uring runtime.
//!
//! One shared socket, a task per probe in flight and a few that receive, as the runtime's API
//! suggests. It has no timers of its own, so tokio's wake the tasks whose answer is lost.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::rc::Rc;

use tokio::sync::Notify;
use tokio_uring::net::UdpSocket;

use common::{MAX_TIMEOUTS, Plan, Tally};
use dns::{QUERY, REPLY_BYTES, Window};

#[allow(dead_code, reason = "the runtime takes addresses in their safe form")]
mod common;
#[allow(dead_code, reason = "the tasks count for themselves what is in flight")]
mod dns;

const RECEIVERS: usize = 16;

fn main() -> ExitCode {
    common::main("tokio_uring", dns::peer, floor)
}

struct Shared {
    socket: UdpSocket,
    window: RefCell<Window>,
    /// One per slot: its answer is here.
    answered: Vec<Notify>,
    timeouts: Cell<u32>,
    plan: Plan,
}

fn floor(plan: &Plan) -> io::Result<Tally> {
    let socket = dns::socket()?;
    tokio_uring::builder().entries(u32::from(plan.window).next_power_of_two().max(64)).start(
        async {
            let shared = Rc::new(Shared {
                socket: UdpSocket::from_std(socket),
                window: RefCell::new(Window::new(plan)),
                answered: (0..plan.window).map(|_| Notify::new()).collect(),
                timeouts: Cell::new(0),
                plan: plan.clone(),
            });
            for _ in 0..RECEIVERS {
                tokio_uring::spawn(receive(shared.clone()));
            }
            let probing: Vec<_> =
                (0..plan.window).map(|_| tokio_uring::spawn(probe(shared.clone()))).collect();
            for task in probing {
                task.await??;
            }
            Ok(shared.window.borrow().tally())
        },
    )
}

/// Probes one target after another until none is left or too many were lost.
async fn probe(shared: Rc<Shared>) -> io::Result<()> {
    let mut query = QUERY.to_vec();
    while shared.timeouts.get() < MAX_TIMEOUTS * u32::from(shared.plan.window) {
        let Some((slot, probe, id)) = shared.window.borrow_mut().begin() else { break };
        query[..2].copy_from_slice(&id.to_be_bytes());
        let target = SocketAddr::from(shared.plan.target(probe));
        let (sent, bytes) = shared.socket.send_to(query, target).await;
        query = bytes;
        if sent.is_err() {
            shared.window.borrow_mut().refuse(slot);
            continue;
        }
        let answer = shared.answered[slot].notified();
        if tokio::time::timeout(shared.plan.timeout(), answer).await.is_err() {
            shared.timeouts.set(shared.timeouts.get() + 1);
            shared.window.borrow_mut().lose(slot, id);
        }
    }
    Ok(())
}

/// Takes replies for as long as the runtime runs.
async fn receive(shared: Rc<Shared>) {
    let mut buffer = vec![0; REPLY_BYTES];
    loop {
        let (got, bytes) = shared.socket.recv_from(buffer).await;
        buffer = bytes;
        let Ok((length, _)) = got else { continue };
        let slot = shared.window.borrow_mut().answer(&buffer[..length]);
        if let Some(slot) = slot {
            shared.answered[slot].notify_one();
        }
    }
}
