//! `ringprobe respond`: flags, and serving until told to end.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::Builder;
use std::time::Duration;

use clap::Args;
use ipnet::Ipv4Net;

use super::files::is_same;
use super::value::timeout;
use super::{exit, process, say};
use crate::respond::{self, DelayEvery, Faults, Options, RespondError, Share};
use crate::sink::grouped;

const EXAMPLES: &str = "\
Examples:
  ringprobe respond --servers 10000 --faults refuse=1%,silent=1%,slow=1%:80ms --conf fleet.conf
  ringprobe respond --net 127.64.0.0/16 --servers 60000 --tcp-share 0% --conf fleet.conf --for 60s
  ringprobe respond --delay-every 50:800ms --connect-timeout 500ms --conf f.conf --truth f.ndjson

Says on standard error when it is ready, serves until Ctrl-C, SIGTERM, SIGHUP or --for, then says what it
did.

Exit codes: 0 served · 2 the flags make no fleet · 4 a port is taken or a file cannot be written";

/// Serves DNS (UDP) and TCP on many loopback addresses, each good or faulty by its seed, and writes
/// the keepalived.conf of that fleet and the truth about it.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES, after_help = "See --help for examples.")]
pub(crate) struct RespondArgs {
    /// Where the servers stand; inside 127.0.0.0/8
    #[arg(long, value_name = "PREFIX", default_value_t = Options::default().net)]
    net: Ipv4Net,
    /// How many servers, from the first host address on
    #[arg(long, value_name = "N", default_value_t = Options::default().servers)]
    servers: u32,
    /// Decides which server is what
    #[arg(
        long,
        value_name = "N",
        allow_negative_numbers = true,
        default_value_t = Options::default().seed
    )]
    seed: u64,
    /// Shares of servers with each fault: refuse, silent, servfail, nxdomain, refused_rcode, empty,
    /// truncated, slow, wrong_id, wrong_question, foreign_port, foreign_address, malformed,
    /// duplicate, as in refuse=1%,slow=0.5%:80ms [default: none]
    #[arg(long, value_name = "LIST")]
    faults: Option<Faults>,
    /// The port that answers; the two above it are used too
    #[arg(long, default_value_t = Options::default().port)]
    port: u16,
    /// The share of servers checked by MISC_CHECK; with --faults, the first of them misbehave, each
    /// in its own way
    #[arg(long, value_name = "SHARE", default_value_t = Options::default().script_share)]
    script_share: Share,
    /// The share of all other servers checked by TCP_CHECK; the rest by DNS_CHECK
    #[arg(long, value_name = "SHARE", default_value_t = Options::default().tcp_share)]
    tcp_share: Share,
    /// Real servers per virtual server
    #[arg(long, value_name = "N", default_value_t = Options::default().virtual_server_size)]
    virtual_server_size: u32,
    /// connect_timeout in the configuration
    #[arg(
        long,
        value_name = "TIME",
        value_parser = timeout,
        default_value = "1s"
    )]
    connect_timeout: Duration,
    /// Make every N-th answer late by TIME, no server's more than once
    #[arg(long, value_name = "N:TIME")]
    delay_every: Option<DelayEvery>,
    /// Threads that answer DNS, 1 to 64
    #[arg(long, value_name = "N", default_value_t = Options::default().threads)]
    threads: usize,
    /// Write the fleet's keepalived.conf
    #[arg(long, value_name = "FILE")]
    conf: Option<PathBuf>,
    /// Write what every checker must find, one JSON object a line
    #[arg(long, value_name = "FILE")]
    truth: Option<PathBuf>,
    /// End after this time [default: serve until a signal]
    #[arg(long = "for", value_name = "TIME", value_parser = humantime::parse_duration)]
    limit: Option<Duration>,
    /// End when standard input does, too: how a parent that is killed takes its fleet along
    #[arg(long, hide = true)]
    until_eof: bool,
}

impl RespondArgs {
    fn options(&self) -> Options {
        Options {
            net: self.net,
            servers: self.servers,
            seed: self.seed,
            faults: self.faults.unwrap_or_default(),
            port: self.port,
            script_share: self.script_share,
            tcp_share: self.tcp_share,
            delay_every: self.delay_every,
            threads: self.threads,
            virtual_server_size: self.virtual_server_size,
            connect_timeout: self.connect_timeout,
            conf: self.conf.clone(),
            truth: self.truth.clone(),
            ..Options::default()
        }
    }
}

/// Serves, and returns the exit code.
pub(crate) fn respond(args: &RespondArgs) -> u8 {
    let stop = match process::stop_flag() {
        Ok(stop) => stop,
        Err(error) => {
            say(format_args!("ringprobe: no signal handler: {error}"));
            return exit::ENGINE;
        }
    };
    if let (Some(conf), Some(truth)) = (&args.conf, &args.truth)
        && is_same(conf, truth)
    {
        let file = conf.display();
        say(format_args!("ringprobe: --conf and --truth are the same file, {file}"));
        return exit::USAGE;
    }
    if args.until_eof
        && let Err(error) = stop_at_eof(Arc::clone(&stop))
    {
        say(format_args!("ringprobe: no thread for standard input: {error}"));
        return exit::ENGINE;
    }
    match respond::start(&args.options()) {
        Ok(running) => {
            let (servers, first) = (grouped(u64::from(args.servers)), args.port);
            let (net, last) = (args.net.trunc(), args.port + 2);
            say(format_args!("serving {servers} servers on {net}, ports {first}-{last}"));
            let counters = running.serve(&stop, args.limit);
            say(format_args!(
                "{} queries, {} answers, {} delayed, {} connections accepted, {} datagrams of \
                 others, {} errors",
                counters.queries,
                counters.answers,
                counters.delayed,
                counters.accepted,
                counters.junk,
                counters.send_errors + counters.receive_errors,
            ));
            exit::OK
        }
        Err(error) => {
            say(format_args!("ringprobe: {error}"));
            exit_code(&error)
        }
    }
}

/// Sets `stop` at the end of standard input, from a thread that nobody waits for.
fn stop_at_eof(stop: Arc<AtomicBool>) -> io::Result<()> {
    let wait = move || {
        // Where it cannot be read, nobody holds its other end either.
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        stop.store(true, Ordering::Relaxed);
    };
    Builder::new().name("stdin".to_owned()).spawn(wait).map(drop)
}

/// Whether the flags or the machine are to blame.
pub(crate) fn exit_code(error: &RespondError) -> u8 {
    match error {
        RespondError::NotLoopback(_)
        | RespondError::Servers { .. }
        | RespondError::VirtualServerSize(_)
        | RespondError::PortRange(_)
        | RespondError::Threads(_) => exit::USAGE,
        RespondError::PortTaken { .. }
        | RespondError::Socket { .. }
        | RespondError::Thread(..)
        | RespondError::Write { .. } => exit::ENGINE,
    }
}
