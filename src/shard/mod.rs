//! Stage 4: one pinned core. Assignments in, records out.

pub mod link;
