//! What goes into the reaper thread and what comes out.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};
use serde::{Deserialize, Serialize};

use super::report::ScriptRun;
use crate::outcome::{Assignment, Record};
use crate::schedule::pace::{Pace, Span};

/// Settings of the reaper.
#[derive(Clone, Debug)]
pub struct ReaperConfig {
    /// The `ringprobe` program, or one that calls [`serve_if_asked`](super::serve_if_asked) first of
    /// all; `None` for the running program.
    pub program: Option<PathBuf>,
    /// Most scripts at once, at least 1.
    pub jobs: usize,
    /// How fast scripts start.
    pub pace: Pace,
    /// When they do; `None` for as long as there is input. What has not begun when it ends is dropped, the feeder
    /// is taken from only as scripts begin, and no script is tried again.
    pub span: Option<Span>,
    /// From SIGTERM to SIGKILL.
    pub grace: Duration,
    /// Soft and hard RLIMIT_NOFILE of scripts: what the engine was started with, before it raised its
    /// own; `None` for the engine's own of now.
    pub nofile: Option<(u64, u64)>,
    /// Variables that scripts get beside the documented ones: name and value.
    pub environment: Vec<(Vec<u8>, Vec<u8>)>,
    /// Whether and where scripts get control groups.
    pub cgroup: CgroupMode,
    /// Whether this process has no children but the reaper's, now and while it runs: then it becomes a
    /// subreaper, and should the reaper process die, it kills everything that becomes its child.
    pub adopts: bool,
}

/// Where the control groups of scripts are made.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum CgroupMode {
    /// Below this process's own cgroup v2 where that was delegated to it; nowhere else.
    #[default]
    Auto,
    /// Nowhere.
    Off,
    /// Below this directory, or not at all: an error where that does not work.
    Below(PathBuf),
}

impl Default for ReaperConfig {
    fn default() -> ReaperConfig {
        ReaperConfig {
            program: None,
            jobs: 4 * std::thread::available_parallelism().map_or(1, usize::from),
            pace: Pace::Free,
            span: None,
            grace: Duration::from_secs(2),
            nofile: None,
            environment: Vec::new(),
            cgroup: CgroupMode::Auto,
            adopts: false,
        }
    }
}

/// The reaper thread's ends of its channels.
#[derive(Debug)]
pub struct ReaperLinks {
    /// Scripts to run, from the feeder; disconnected when the input is at its end. In a span, no more
    /// are taken than can be started soon; otherwise all, so that slow scripts never keep the feeder from the
    /// shards.
    pub assignments: Receiver<Vec<Assignment>>,
    /// To the aggregator.
    pub reports: Sender<ReaperReport>,
    /// Dropped when a script could be started, or there will be none, for whoever waits for that.
    pub ready: Option<Sender<()>>,
    /// Set by Ctrl-C or a broken sink: start nothing more, end what runs, report nothing of it.
    pub stop: Arc<AtomicBool>,
}

/// What the reaper tells the aggregator.
#[derive(Debug)]
pub enum ReaperReport {
    /// Processes that were killed and that no script could be said to have left: at the end, if any.
    Unowned(u64),
    /// One probe ended.
    Run(Box<(Record, ScriptRun)>),
    /// The reaper ended; nothing more comes. What was assigned and not reported stays unfinished.
    Ended(Result<(), ReaperError>),
}

/// Why there is no reaper.
#[derive(Debug, thiserror::Error)]
pub enum ReaperError {
    /// The reaper process could not be started.
    #[error("cannot start the process that runs scripts ({program}): {error}")]
    Start {
        /// The program that was to become it.
        program: String,
        /// The kernel's refusal.
        #[source]
        error: std::io::Error,
    },
    /// The program that was started is no reaper of this version.
    #[error("{program} is no reaper of ringprobe {version}: {answer}", version = env!("CARGO_PKG_VERSION"))]
    Strange {
        /// The program.
        program: String,
        /// What it said, or that it said nothing.
        answer: String,
    },
    /// The reaper process could not be set up; the text says what it could not do.
    #[error("the process that runs scripts: {0}")]
    Setup(String),
    /// The reaper process ended while it was needed.
    #[error(
        "the process that runs scripts ended ({status}); what was found of its scripts was killed"
    )]
    Died {
        /// How it ended.
        status: String,
    },
}
