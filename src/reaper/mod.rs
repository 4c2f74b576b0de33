//! Stage 6: script children, in process groups that can always be cleaned up.
//!
//! ```text
//! assignments ─▶ thread (queue, link) ═socket═▶ process: supervise ─▶ launch thread ─▶ script
//! ReaperReport ◀───┘                               ▲  │ TERM, grace, KILL      (own group, own user)
//!                                     exits, strays └──────────────▶ groups, strays, control groups
//! ```
//!
//! All scripts are children of one small process, the *reaper process*: this program executed again.
//! It is a subreaper, so whatever a script leaves behind becomes its child; it has no other children,
//! so it may wait for all of them; its memory is small and its own, so that starting a script costs
//! the same whatever the engine has loaded; and it outlives the engine by the moment it takes to kill
//! every script, when the engine dies without a word. The *reaper thread* of the engine queues,
//! counts and reports.
//!
//! | file | subject |
//! |---|---|
//! | `thread` | the engine's side: queue, retries, reports |
//! | `spawn`, `protocol`, `conversation` | the process is started; what both say to each other |
//! | `process` | the loop of the reaper process |
//! | `supervise`, `escalate` | who may start; the state machine of one script |
//! | `launchers` | the threads that start scripts |
//! | `launch/` | from an order to a running program: user, limits, descriptors, exec; all `unsafe` |
//! | `reap`, `strays`, `cgroup`, `capture` | processes, escaped processes, control groups, output |
//! | `exit` | exit status to outcome |

mod capture;
mod cgroup;
mod conversation;
pub mod escalate;
pub mod exit;
pub mod launch;
mod launchers;
pub mod link;
mod process;
mod protocol;
mod reap;
pub mod report;
mod spawn;
mod strays;
pub mod supervise;
mod thread;

pub use report::{ScriptRun, ScriptStatus, Tail};
pub use spawn::serve_if_asked;
pub use thread::run;
