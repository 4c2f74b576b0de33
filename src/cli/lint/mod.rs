//! `ringprobe lint`.

mod execute;
mod exit_code;
mod flags;

pub(crate) use self::execute::lint;
pub(crate) use self::flags::LintArgs;
