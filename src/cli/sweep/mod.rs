//! `ringprobe sweep`.

mod demo;
mod execute;
mod files;
mod flags;
mod input;
mod progress;
mod scripts;
mod value;

pub(crate) use self::execute::sweep;
pub(crate) use self::files::is_same;
pub(crate) use self::flags::SweepArgs;
pub(crate) use self::value::timeout;
