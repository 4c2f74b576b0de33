//! What a sweep is asked for, what it tells on the way, and how it can fail.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::backend::available_cpus;
use super::feeder::Part;
use crate::aggregate::{Counts, ShardFailure, Summary};
use crate::fleet::{Fleet, ProbeSpec};
use crate::id::SpecId;
use crate::reaper::link::ReaperConfig;
use crate::schedule::pace::{Pace, Span};
use crate::sink::SinkError;
use crate::wire::dns::QueryError;

/// UDP sockets per lane where nobody says another number: each more costs every probe, for all are looked after
/// in every turn. More of them make answers harder to forge for who was asked from one of them.
pub const SOCKETS_PER_LANE_DEFAULT: u32 = 1;

/// What to sweep, and how.
#[derive(Debug)]
pub struct SweepRequest {
    /// Whom to probe.
    pub input: Input,
    /// Which part of the input.
    pub part: Part,
    /// Addresses to leave out.
    pub exclude: Option<Exclude>,
    /// Whether a bad line is counted instead of ending the sweep.
    pub skip_bad: bool,
    /// Attempts after the first; `None` for what the configuration says, else
    /// [`RETRIES_DEFAULT`](crate::fleet::RETRIES_DEFAULT).
    pub retries: Option<u16>,
    /// Shards, at least 1.
    pub shards: usize,
    /// Most attempts in flight.
    pub window: Windows,
    /// How fast probes of all shards together start.
    pub pace: Pace,
    /// When they do; `None` for as long as there is input. A configuration is gone through again and again in it.
    pub span: Option<Span>,
    /// UDP sockets per lane.
    pub sockets_per_lane: u32,
    /// SO_RCVBUF of UDP sockets in bytes.
    pub receive_buffer: Option<usize>,
    /// Seed of transaction ids; `None` takes it from the operating system.
    pub seed: Option<u64>,
    /// How the scripts of a configuration are run.
    pub scripts: ReaperConfig,
}

/// How many attempts may be in flight.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Windows {
    /// In each shard.
    Each(u32),
    /// In all shards together, at least 1. There are no more shards than that.
    Together(u32),
}

impl Windows {
    /// The window of each shard, where `shards` are asked for.
    pub(super) fn of_shards(self, shards: usize) -> Vec<u32> {
        let shards = shards.max(1);
        match self {
            Windows::Each(window) => vec![window; shards],
            Windows::Together(window) => {
                let window = window.max(1);
                let shards = shards.min(window as usize) as u32;
                let one_more = window % shards;
                (0..shards).map(|shard| window / shards + u32::from(shard < one_more)).collect()
            }
        }
    }
}

impl SweepRequest {
    /// A sweep of `input` with every setting at its default.
    pub fn new(input: Input) -> SweepRequest {
        SweepRequest {
            input,
            part: Part::WHOLE,
            exclude: None,
            skip_bad: false,
            retries: None,
            shards: available_cpus().len().max(1),
            window: Windows::Each(4096),
            pace: Pace::Free,
            span: None,
            sockets_per_lane: SOCKETS_PER_LANE_DEFAULT,
            receive_buffer: None,
            seed: None,
            scripts: ReaperConfig::default(),
        }
    }
}

/// Whom to probe.
pub enum Input {
    /// Every checker of a configuration.
    Fleet {
        /// The configuration.
        fleet: Arc<Fleet>,
        /// Where it was read from, for the report.
        path: PathBuf,
    },
    /// A list of addresses, read while the sweep runs.
    Targets {
        /// The addresses.
        addresses: Addresses,
        /// How to probe them.
        specs: Box<ListSpecs>,
    },
}

/// How to probe the addresses of a list, by family; `None` where no source address fits them.
#[derive(Clone, Debug)]
pub struct ListSpecs {
    /// IPv4 addresses.
    pub ipv4: Option<ProbeSpec>,
    /// IPv6 addresses.
    pub ipv6: Option<ProbeSpec>,
}

impl ListSpecs {
    /// In the order of the [`SpecId`]s of [`ListSpecs::id`]; one where both families have the same.
    pub(super) fn table(&self) -> Vec<ProbeSpec> {
        match (&self.ipv4, &self.ipv6) {
            (Some(ipv4), Some(ipv6)) if ipv4 == ipv6 => vec![ipv4.clone()],
            _ => self.ipv4.iter().chain(&self.ipv6).cloned().collect(),
        }
    }

    /// The spec of a family's addresses.
    pub(super) fn id(&self, is_ipv4: bool) -> Option<SpecId> {
        let spec = if is_ipv4 { self.ipv4.as_ref() } else { self.ipv6.as_ref() }?;
        let position = self.table().iter().position(|known| known == spec)?;
        Some(SpecId(position as u32))
    }
}

impl std::fmt::Debug for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Input::Fleet { path, .. } => f.debug_tuple("Fleet").field(path).finish(),
            Input::Targets { .. } => f.write_str("Targets"),
        }
    }
}

/// Addresses as they come out of a target list. `None` says that the next may have to be waited for, so
/// that those before it should be probed now.
pub type Addresses = Box<dyn Iterator<Item = Result<Option<SocketAddr>, BadTarget>> + Send>;

/// Addresses to leave out.
pub struct Exclude(pub Box<dyn Fn(IpAddr) -> bool + Send>);

impl std::fmt::Debug for Exclude {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Exclude")
    }
}

/// Why an entry of a target list cannot be probed.
#[derive(Debug, thiserror::Error)]
pub enum BadTarget {
    /// The line is not a target; it can be skipped. The text names file and line.
    #[error("{0}")]
    Line(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The list cannot be read any further.
    #[error("{0}")]
    Read(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Source addresses were given, none of them of the target's family. It can be skipped.
    #[error("target {0}: no --bindto address is of its family")]
    Family(SocketAddr),
}

/// Why a sweep gave no full result. Where probes had ended, the summary of those is there.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// The input asks for nothing that can be probed.
    #[error("nothing to probe: {}", nothing_in_words(*excluded))]
    NothingToProbe {
        /// Targets there were, all of them excluded.
        excluded: u64,
    },
    /// The target list is bad.
    #[error("{error}")]
    Target {
        /// Where and why.
        #[source]
        error: BadTarget,
        /// What was found before.
        summary: Box<Summary>,
    },
    /// No shard could run.
    #[error("the engine could not run: {}", failures_in_words(failures))]
    Engine {
        /// What every shard said.
        failures: Vec<ShardFailure>,
        /// What was found before.
        summary: Box<Summary>,
    },
    /// The sink could not write.
    #[error("{error}")]
    Output {
        /// Where and why.
        #[source]
        error: SinkError,
        /// What was found, written or not.
        summary: Box<Summary>,
    },
    /// Both would wait for each other: in a span, what is probed again and again is dealt in turn.
    #[error("scripts and checks over the network cannot be measured together")]
    ScriptsAmongOthers,
    /// A question has no form on the wire.
    #[error(transparent)]
    Question(#[from] QueryError),
    /// The feeder's thread could not be started.
    #[error("no thread for the feeder: {0}")]
    Thread(#[source] std::io::Error),
}

fn nothing_in_words(excluded: u64) -> String {
    match excluded {
        0 => "no target, and no checker of a kind that can be probed".to_owned(),
        excluded => format!("every target is excluded ({excluded})"),
    }
}

/// Each different error once, with the shards that said it.
fn failures_in_words(failures: &[ShardFailure]) -> String {
    let mut texts: Vec<&str> = failures.iter().map(|failure| failure.error.as_str()).collect();
    texts.sort_unstable();
    texts.dedup();
    texts.join("; ")
}

/// Someone who is told how the sweep goes, on the aggregator's thread.
pub trait Progress {
    /// About ten times a second.
    fn update(&mut self, now: &Standing);

    /// The sweep ended; whatever is on the screen goes away.
    fn end(&mut self) {}
}

/// Nobody is told.
impl Progress for () {
    fn update(&mut self, _now: &Standing) {}
}

/// How a sweep stands.
#[derive(Copy, Clone, Debug)]
pub struct Standing {
    /// Since the shards started.
    pub elapsed: Duration,
    /// Outcomes so far.
    pub counts: Counts,
    /// Probes in all, where that is known.
    pub total: Option<u64>,
    /// The windows of all shards together; 0 until they first told.
    pub window: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_together_is_dealt_to_the_last_one() {
        for (window, shards, dealt) in [
            (1, 4, &[1][..]),
            (3, 2, &[2, 1]),
            (64, 2, &[32, 32]),
            (64, 7, &[10, 9, 9, 9, 9, 9, 9]),
            (0, 3, &[1]),
        ] {
            assert_eq!(Windows::Together(window).of_shards(shards), dealt, "{window} {shards}");
        }
        for (window, shards) in [(1, 256), (255, 256), (1000, 256), (32_768, 3)] {
            let dealt = Windows::Together(window).of_shards(shards);
            assert_eq!(dealt.iter().sum::<u32>(), window);
            assert!(dealt.iter().all(|each| *each > 0));
        }
        assert_eq!(Windows::Each(9).of_shards(3), [9, 9, 9]);
    }
}
