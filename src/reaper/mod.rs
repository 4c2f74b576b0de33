//! Stage 6: script children, in process groups that can always be cleaned up.
//!
//! ```text
//! assignments ─▶ thread (queue, link) ═socket═▶ process: supervise ─▶ launch thread ─▶ script
//! ReaperReport ◀───┘                               ▲  │ TERM, grace, KILL    (own session, own user)
//!                                     exits, strays └──────────────▶ groups, strays, control groups
//! ```
//!
//! All scripts are children of one small process, the *reaper process*: this program executed again.
//! It is a subreaper, so whatever a script leaves behind becomes its child; it has no other children,
//! so it may wait for all of them; its memory is small and its own, so that starting a script costs
//! the same whatever the engine has loaded; and it outlives the engine by the moment it takes to kill
//! every script, when the engine dies without a word. When it is killed itself, the parent-death signal
//! kills the leaders, and the engine what it adopts and what carries their mark. The *reaper thread* of the engine queues,
//! counts and reports.
//!
//! | file | subject |
//! |---|---|
//! | `link`, `report` | what the engine gives the thread; what is known of a run |
//! | `thread` | the engine's side: queue, retries, reports |
//! | `spawn` | the engine starts the process |
//! | `protocol`, `conversation` | what both say to each other; the engine's end of the socket |
//! | `process` | the loop of the reaper process |
//! | `supervise`, `escalate` | who may start; the state machine of one script |
//! | `launchers` | the threads that start scripts: another one where one hangs in a file system |
//! | `launch/` | from an order to a running program: user, limits, descriptors, exec; all `unsafe` |
//! | `reap` | the kernel's processes as the supervisor sees them |
//! | `reap/group`, `reap/adopt` | a leader and its group; strays, whose they are and when they die |
//! | `strays` | processes found in /proc by their mark |
//! | `cgroup`, `capture` | control groups; the last of what scripts write |
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
