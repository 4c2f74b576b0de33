//! A program that is started, watched, and never left behind.

use std::io::{Read, Write};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::wait_for;

/// A running program. Killed by its process id when dropped.
#[derive(Debug)]
pub(crate) struct Child {
    child: std::process::Child,
    stdout: Option<JoinHandle<String>>,
    stderr: Option<JoinHandle<String>>,
    /// Standard error so far, for messages about a program that does not do what it should.
    said: Arc<Mutex<String>>,
}

/// Writes what a program reads on its standard input.
pub(crate) type Input = Box<dyn FnOnce(&mut dyn Write) + Send>;

/// How a program ended.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Finished {
    /// The exit code; a death by signal as a shell says it.
    pub(crate) fn code(&self) -> i32 {
        use std::os::unix::process::ExitStatusExt;
        self.status.code().or(self.status.signal().map(|signal| 128 + signal)).expect("one of both")
    }
}

impl Child {
    /// Starts a program; `input` goes to its standard input.
    pub(crate) fn start(command: &mut Command, input: Option<Input>) -> Child {
        let mut child = command
            .stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        if let (Some(input), Some(mut pipe)) = (input, child.stdin.take()) {
            std::thread::spawn(move || input(&mut pipe));
        }
        let said = Arc::new(Mutex::new(String::new()));
        let stdout = child.stdout.take().map(|pipe| collect(pipe, Arc::default()));
        let stderr = child.stderr.take().map(|pipe| collect(pipe, Arc::clone(&said)));
        Child { child, stdout, stderr, said }
    }

    /// The same with a text on its standard input.
    pub(crate) fn start_with(command: &mut Command, text: String) -> Child {
        // A program that ends early closes the pipe; what it says then is looked at, not this.
        Child::start(command, Some(Box::new(move |pipe| drop(pipe.write_all(text.as_bytes())))))
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let id = Pid::from_raw(self.child.id() as i32);
        kill(id, signal).unwrap_or_else(|error| panic!("{signal} to {id}: {error}"));
    }

    /// Standard error so far.
    pub(crate) fn said(&self) -> String {
        self.said.lock().expect("never poisoned").clone()
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("our own child").is_some()
    }

    /// Waits for its end.
    pub(crate) fn finish(mut self) -> Finished {
        let status = wait_for("the end of a program", || self.child.try_wait().expect("our child"));
        let text = |thread: Option<JoinHandle<String>>| {
            thread.map(|thread| thread.join().expect("reads to the end")).unwrap_or_default()
        };
        let (stdout, stderr) = (text(self.stdout.take()), text(self.stderr.take()));
        Finished { status, stdout, stderr }
    }

    /// SIGINT, and its end.
    pub(crate) fn interrupt(self) -> Finished {
        self.signal(Signal::SIGINT);
        self.finish()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            // It may be stopped or deaf; nothing it would still do is wanted.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

fn collect(mut pipe: impl Read + Send + 'static, so_far: Arc<Mutex<String>>) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut all = Vec::new();
        let mut chunk = [0; 16 * 1024];
        while let Ok(len @ 1..) = pipe.read(&mut chunk) {
            all.extend_from_slice(&chunk[..len]);
            let mut text = so_far.lock().expect("never poisoned");
            text.push_str(&String::from_utf8_lossy(&chunk[..len]));
        }
        String::from_utf8_lossy(&all).into_owned()
    })
}
