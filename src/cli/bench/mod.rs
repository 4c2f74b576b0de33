//! `ringprobe bench`.

mod embedded;
mod execute;
mod flags;
mod subject;

pub(crate) use self::execute::bench;
pub(crate) use self::flags::BenchArgs;
