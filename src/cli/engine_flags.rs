//! Flags of every subcommand that probes: the shards, and what each of them uses.

use clap::Args;

use super::value;
use crate::sweep::SOCKETS_PER_LANE_DEFAULT;

/// What probes. Its heading in the help is that of the subcommand's own flags about probing.
#[derive(Clone, Debug, Args)]
pub(crate) struct EngineArgs {
    /// Threads that probe, each with a ring of its own, up to 256 [default: one per available core]
    #[arg(long, value_name = "N", value_parser = value::shards)]
    pub(crate) shards: Option<u32>,
    /// UDP sockets of each shard that share source address, port, interface and mark; who is asked from one of
    /// several cannot know the ports of all
    #[arg(
        long,
        value_name = "N",
        default_value_t = SOCKETS_PER_LANE_DEFAULT,
        value_parser = clap::value_parser!(u32).range(1..=64)
    )]
    pub(crate) sockets_per_lane: u32,
    /// Receive buffer of each UDP socket [default: as much as the kernel gives, up to 8 MiB]
    #[arg(
        long,
        value_name = "BYTES",
        value_parser = clap::value_parser!(u32).range(1..=0x3fff_ffff)
    )]
    pub(crate) receive_buffer: Option<u32>,
    /// Seed of transaction ids; repeats a run, but lets a peer guess them [default: from the
    /// operating system]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) seed: Option<u64>,
}

impl EngineArgs {
    /// SO_RCVBUF in bytes; `None` for as much as the kernel gives.
    pub(crate) fn receive_buffer(&self) -> Option<usize> {
        self.receive_buffer.map(|bytes| bytes as usize)
    }
}
