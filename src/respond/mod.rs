//! The embedded fleet: up to millions of servers on 127.0.0.0/8, each good or faulty by its seed.
//!
//! For demos, benches and tests: it answers DNS queries and TCP connects as a real fleet would, and
//! says on paper what a checker must find. Scripts are on paper only: whoever checks runs them. A
//! handful of sockets serve all addresses, and nothing is stored per server but one bit (see
//! [`Fleet`]). All sockets are bound to the loopback interface.
//!
//! ```text
//! Options ─▶ Fleet ┬▶ keepalived.conf, truth        (listing)
//!                  └▶ start ─▶ DNS loops             (udp, answer, delay)
//!                         └──▶ acceptor, black hole  (tcp)
//! ```

mod answer;
mod delay;
mod faults;
mod fleet;
mod listing;
mod scripts;
mod tcp;
mod udp;

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use ipnet::Ipv4Net;
use socket2::Socket;

use self::delay::OnceEach;
pub use self::faults::{DelayEvery, Fault, Faults, FaultsError, Share};
pub use self::fleet::{Fleet, Kind, Server, VirtualServer};
pub use self::scripts::Script;
use self::tcp::{Acceptor, BlackHole};
use self::udp::DnsLoop;
use crate::ring::mmsg::{Sent, UdpServer};
use crate::tick::{Tick, monotonic_now};

/// What fleet to be.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the servers stand; inside 127.0.0.0/8.
    pub net: Ipv4Net,
    /// How many, from the first host address on.
    pub servers: u32,
    /// Decides which server is what.
    pub seed: u64,
    /// The share of servers with each fault.
    pub faults: Faults,
    /// The port that answers; the two above it are used too. Best below the ephemeral ports: a
    /// client's own socket on `port + 1` would make that port look open.
    pub port: u16,
    /// The share of servers checked by MISC_CHECK. Where `faults` has any, the first of them do
    /// what scripts must not, each in its own way.
    pub script_share: Share,
    /// `script_user` in the configuration: whom the scripts run as; `None` for whoever runs this.
    pub script_user: Option<String>,
    /// The share of all other servers checked by TCP_CHECK; the rest by DNS_CHECK.
    pub tcp_share: Share,
    /// Late answers that a retry recovers.
    pub delay_every: Option<DelayEvery>,
    /// Threads that answer DNS, 1 to 64.
    pub threads: usize,
    /// Real servers per virtual server.
    pub virtual_server_size: u32,
    /// `connect_timeout` in the configuration.
    pub connect_timeout: Duration,
    /// Where to write the configuration.
    pub conf: Option<PathBuf>,
    /// Where to write the truth.
    pub truth: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            net: Ipv4Net::new_assert(Ipv4Addr::new(127, 64, 0, 0), 16),
            servers: 10_000,
            seed: 1,
            faults: Faults::default(),
            port: 5300,
            script_share: Share::percent(2),
            script_user: None,
            tcp_share: Share::percent(25),
            delay_every: None,
            threads: 1,
            virtual_server_size: 100,
            connect_timeout: Duration::from_secs(1),
            conf: None,
            truth: None,
        }
    }
}

/// Why the fleet cannot be.
#[derive(Debug, thiserror::Error)]
pub enum RespondError {
    /// The network is somebody's.
    #[error("{0} is not inside 127.0.0.0/8, the only network the fleet may stand on")]
    NotLoopback(Ipv4Net),
    /// Too many or none.
    #[error("{servers} servers do not fit {net}, which has room for 1 to {room}")]
    Servers {
        /// How many were asked for.
        servers: u32,
        /// Where.
        net: Ipv4Net,
        /// How many fit.
        room: u32,
    },
    /// No group size, or more groups than addresses for them.
    #[error("{0} servers need larger virtual servers: there are addresses for 8,000,000 of those")]
    VirtualServerSize(u32),
    /// No port, or not two above it.
    #[error("port {0} does not leave the two ports above it; use 1 to 65533")]
    PortRange(u16),
    /// Not a number of threads.
    #[error("{0} threads: use 1 to 64")]
    Threads(usize),
    /// Something else has one of the three ports.
    #[error("port {port} is in use; choose another --port: it and the two above it must be free")]
    PortTaken {
        /// Which one.
        port: u16,
    },
    /// The kernel refused a socket.
    #[error("no {what} on port {port}: {error}")]
    Socket {
        /// Which one.
        what: &'static str,
        /// On which port.
        port: u16,
        /// What the kernel said.
        error: io::Error,
    },
    /// The kernel refused a thread.
    #[error("no thread for the {0}: {1}")]
    Thread(&'static str, io::Error),
    /// The configuration or the truth could not be written.
    #[error("{}: {error}", path.display())]
    Write {
        /// Which file.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
}

/// What the fleet did.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub struct Counters {
    /// DNS queries for servers of the fleet.
    pub queries: u64,
    /// Datagrams sent in answer.
    pub answers: u64,
    /// Answers held back for a time, among them those of slow servers.
    pub delayed: u64,
    /// Datagrams dropped: not a DNS query, or to an address outside the fleet.
    pub junk: u64,
    /// TCP connections accepted.
    pub accepted: u64,
    /// Answers the kernel did not take, or that were too many to hold back.
    pub send_errors: u64,
    /// Failed receives and accepts.
    pub receive_errors: u64,
    /// Queries to servers with each fault, in the order of [`Fault::ALL`].
    pub by_fault: [u64; Fault::ALL.len()],
}

impl Counters {
    fn add(&mut self, other: &Counters) {
        self.queries += other.queries;
        self.answers += other.answers;
        self.delayed += other.delayed;
        self.junk += other.junk;
        self.accepted += other.accepted;
        self.send_errors += other.send_errors;
        self.receive_errors += other.receive_errors;
        for (mine, others) in self.by_fault.iter_mut().zip(other.by_fault) {
            *mine += others;
        }
    }

    fn count_sent(&mut self, sent: Sent) {
        self.answers += sent.sent as u64;
        self.send_errors += sent.refused as u64;
    }
}

/// A fleet that serves, until it is stopped or dropped.
#[derive(Debug)]
pub struct Running {
    fleet: Arc<Fleet>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Counters>>,
    _closed: Option<Socket>,
    _black_hole: Option<BlackHole>,
}

impl Running {
    /// Who is served.
    pub fn fleet(&self) -> &Fleet {
        &self.fleet
    }

    /// Ends all threads, within 100 ms, closes all sockets, and says what was done.
    pub fn stop(mut self) -> Counters {
        self.join()
    }

    /// Serves until `stop` is set or `limit` has passed, and says what was done.
    pub fn serve(self, stop: &AtomicBool, limit: Option<Duration>) -> Counters {
        let end = limit.map_or(Tick::NEVER, |limit| monotonic_now() + limit);
        while !stop.load(Ordering::Relaxed) {
            let left = end.since(monotonic_now());
            if left.is_zero() {
                break;
            }
            std::thread::park_timeout(left.min(Duration::from_millis(50)));
        }
        self.stop()
    }

    fn join(&mut self) -> Counters {
        self.stop.store(true, Ordering::Relaxed);
        let mut counters = Counters::default();
        for thread in self.threads.drain(..) {
            // A thread that panicked has said so on stderr and has nothing to add.
            if let Ok(of_thread) = thread.join() {
                counters.add(&of_thread);
            }
        }
        counters
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.join();
    }
}

/// Opens the fleet's sockets, checks that its ports behave, writes its papers, and serves.
///
/// # Errors
/// When the options make no fleet, a port is taken, or a file cannot be written; nothing is left
/// open then.
pub fn start(options: &Options) -> Result<Running, RespondError> {
    let fleet = Arc::new(Fleet::new(options)?);
    if !(1..=64).contains(&options.threads) {
        return Err(RespondError::Threads(options.threads));
    }
    let port = options.port;
    let stop = Arc::new(AtomicBool::new(false));

    // The listener first: it shares its port with nobody, so a second fleet ends here.
    let listener = tcp::listen(port).map_err(|error| refused("listener", port, error))?;
    let dns = (0..options.threads)
        .map(|_| UdpServer::bind(port, options.threads > 1))
        .collect::<io::Result<Vec<_>>>()
        .map_err(|error| refused("DNS socket", port, error))?;
    let foreign = (0..options.threads)
        .map(|_| UdpServer::bind(0, false))
        .collect::<io::Result<Vec<_>>>()
        .map_err(|error| refused("second DNS socket", 0, error))?;
    let closed = if options.faults.share(Fault::Refuse) > Share::default() {
        let held = tcp::hold_closed(port + 1);
        Some(held.map_err(|error| refused("closed port", port + 1, error))?)
    } else {
        None
    };
    let black_hole = if fleet.has_tcp(Fault::Silent) {
        let hole = BlackHole::open(port + 2, fleet.server(0).address);
        Some(hole.map_err(|error| refused("black hole", port + 2, error))?)
    } else {
        None
    };
    write_file(options.conf.as_deref(), |out| fleet.write_conf(out))?;
    write_file(options.truth.as_deref(), |out| fleet.write_truth(out))?;

    let delay_every =
        options.delay_every.map(|every| (every, Arc::new(OnceEach::new(fleet.len()))));
    // From here on an early return drops `running`, which ends the threads already started.
    let mut running = Running {
        fleet: Arc::clone(&fleet),
        stop: Arc::clone(&stop),
        threads: Vec::new(),
        _closed: closed,
        _black_hole: black_hole,
    };
    let acceptor = Acceptor { listener, stop: Arc::clone(&stop) };
    running.spawn("acceptor", move || acceptor.run())?;
    for (socket, foreign) in dns.into_iter().zip(foreign) {
        let serve = DnsLoop {
            fleet: Arc::clone(&fleet),
            socket,
            foreign,
            delay_every: delay_every.clone(),
            stop: Arc::clone(&stop),
        };
        running.spawn("responder", move || serve.run())?;
    }
    Ok(running)
}

/// Serves until `stop` is set or `limit` has passed.
///
/// # Errors
/// As [`start`].
pub fn run(
    options: &Options,
    stop: &AtomicBool,
    limit: Option<Duration>,
) -> Result<Counters, RespondError> {
    Ok(start(options)?.serve(stop, limit))
}

impl Running {
    fn spawn(
        &mut self,
        name: &'static str,
        serve: impl FnOnce() -> Counters + Send + 'static,
    ) -> Result<(), RespondError> {
        let thread = Builder::new().name(name.to_owned()).spawn(serve);
        self.threads.push(thread.map_err(|error| RespondError::Thread(name, error))?);
        Ok(())
    }
}

fn refused(what: &'static str, port: u16, error: io::Error) -> RespondError {
    match error.kind() {
        io::ErrorKind::AddrInUse => RespondError::PortTaken { port },
        _ => RespondError::Socket { what, port, error },
    }
}

fn write_file(
    path: Option<&Path>,
    write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> Result<(), RespondError> {
    let Some(path) = path else { return Ok(()) };
    let result = File::create(path).map(BufWriter::new).and_then(|mut out| {
        write(&mut out)?;
        out.flush()
    });
    result.map_err(|error| RespondError::Write { path: path.to_owned(), error })
}
