//! Baseline: TCP checks on the tokio-uring runtime: connect, close, next target.
//!
//! The runtime opens a socket for every connection and cannot dissolve one, so nothing is recycled
//! as in `tcp_ring`: the handshake is a whole one, and FIN ends it. A task per probe in flight.

use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::rc::Rc;

use tokio_uring::net::TcpStream;

use common::{MAX_TIMEOUTS, Plan, Tally};

#[allow(dead_code, reason = "the runtime takes addresses in their safe form")]
mod common;
#[allow(dead_code, reason = "nothing is recycled; only the peer is needed")]
mod tcp;

fn main() -> ExitCode {
    common::main("tokio_uring_tcp", tcp::peer, floor)
}

#[derive(Default)]
struct Shared {
    begun: Cell<u64>,
    tally: Cell<Tally>,
    timeouts: Cell<u32>,
}

fn floor(plan: &Plan) -> io::Result<Tally> {
    tokio_uring::builder().entries(u32::from(plan.window).next_power_of_two().max(64)).start(
        async {
            let shared = Rc::new(Shared::default());
            let probing: Vec<_> = (0..plan.window)
                .map(|_| tokio_uring::spawn(probe(shared.clone(), plan.clone())))
                .collect();
            for task in probing {
                task.await?;
            }
            Ok(shared.tally.get())
        },
    )
}

/// Connects to one target after another until none is left or too many did not answer.
async fn probe(shared: Rc<Shared>, plan: Plan) {
    let most = MAX_TIMEOUTS * u32::from(plan.window);
    while shared.begun.get() < plan.probes && shared.timeouts.get() < most {
        let target = SocketAddr::from(plan.target(shared.begun.get()));
        shared.begun.set(shared.begun.get() + 1);
        let connected = tokio::time::timeout(plan.timeout(), TcpStream::connect(target)).await;
        let mut tally = shared.tally.get();
        match connected {
            // The drop of a stream submits its close.
            Ok(Ok(_stream)) => tally.answered += 1,
            Ok(Err(_)) => tally.refused += 1,
            Err(_) => shared.timeouts.set(shared.timeouts.get() + 1),
        }
        shared.tally.set(tally);
    }
}
