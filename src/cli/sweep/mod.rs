//! `ringprobe sweep`.

mod demo;
mod execute;
mod flags;
mod scripts;

pub(crate) use self::execute::sweep;
pub(crate) use self::flags::SweepArgs;
pub(crate) use self::scripts::{Variable, cgroup_mode};
