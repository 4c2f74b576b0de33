//! `ringprobe sweep`, as an operator would type it.

use std::io::Write;
use std::process::Command;

use super::{Child, Finished, Input, Namespace, Report};

/// The built program, in a network namespace if one is given.
pub(crate) fn program(namespace: Option<&Namespace>) -> Command {
    let path = env!("CARGO_BIN_EXE_ringprobe");
    let mut command = match namespace {
        Some(namespace) => namespace.command(path),
        None => Command::new(path),
    };
    command.env("NO_COLOR", "1").env_remove("RUST_BACKTRACE");
    command
}

/// A sweep to be.
pub(crate) struct Sweep {
    command: Command,
    input: Option<Input>,
}

impl Sweep {
    /// A sweep with the given flags, split at blanks.
    pub(crate) fn new(flags: &str) -> Sweep {
        Sweep::with(program(None), flags)
    }

    /// The same inside a namespace.
    pub(crate) fn inside(namespace: &Namespace, flags: &str) -> Sweep {
        Sweep::with(program(Some(namespace)), flags)
    }

    /// By a program that starts ours, as `prlimit` does.
    pub(crate) fn by(mut command: Command, flags: &str) -> Sweep {
        command.arg(env!("CARGO_BIN_EXE_ringprobe")).env("NO_COLOR", "1");
        Sweep::with(command, flags)
    }

    fn with(mut command: Command, flags: &str) -> Sweep {
        command.arg("sweep").args(flags.split_whitespace());
        Sweep { command, input: None }
    }

    /// What comes in on standard input.
    pub(crate) fn input(self, text: impl Into<String>) -> Sweep {
        let text = text.into();
        // A sweep that ends early closes the pipe; what it says then is looked at, not this.
        self.written_by(move |pipe| drop(pipe.write_all(text.as_bytes())))
    }

    /// Who writes to its standard input while it runs.
    pub(crate) fn written_by(
        mut self,
        write: impl FnOnce(&mut dyn Write) + Send + 'static,
    ) -> Sweep {
        self.input = Some(Box::new(write));
        self
    }

    pub(crate) fn start(mut self) -> Child {
        Child::start(&mut self.command, self.input.take())
    }

    /// To its end.
    pub(crate) fn run(self) -> Finished {
        self.start().finish()
    }

    /// To its end, with NDJSON on standard output and nothing else.
    pub(crate) fn report(mut self) -> (Report, i32) {
        self.command.args(["-o", "ndjson", "-q"]);
        let finished = self.run();
        assert_eq!(finished.stderr, "", "a quiet sweep has something to say: {}", finished.code());
        (Report::parse(&finished.stdout), finished.code())
    }
}
