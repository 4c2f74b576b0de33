//! Stage 6: script children, in process groups that can always be cleaned up.
//!
//! ```text
//! assignments ─▶ reaper thread (queue, link) ═socket═▶ reaper process: supervisor ─▶ launch thread ─▶ script
//! ReaperReport ◀──────┘                                    ▲  │ TERM, grace, KILL        (own group, own user)
//!                                                 exits, strays └──────────────▶ groups, strays, cgroups
//! ```
//!
//! All scripts are children of one small process, the *reaper process*: this program executed again.
//! It is a subreaper, so whatever a script leaves behind becomes its child; it has no other children,
//! so it may wait for all of them; its memory is small and its own, so that starting a script costs
//! the same whatever the engine has loaded; and it outlives the engine by the moment it takes to kill
//! every script, when the engine dies without a word. The *reaper thread* of the engine queues,
//! counts and reports.

pub mod escalate;
pub mod exit;
pub mod launch;
pub mod link;
pub mod report;
pub mod supervise;

pub use report::{ScriptRun, ScriptStatus, Tail};
