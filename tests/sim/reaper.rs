//! The real supervisor of scripts over made-up processes.

mod canary;
mod coverage;
mod directed;
mod drive;
mod oracle;
mod scenario;
mod seeds;
