//! Starts the reaper process: this program again, in a mode that no command line names.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::conversation::Conversation;
use super::link::{ReaperConfig, ReaperError};
use super::protocol::{self, Configuration, Reply, Request};

/// The one argument that makes a program the reaper process.
pub(super) const ARGUMENT: &str = "--become-script-reaper";

/// Its name in process lists. It differs from the engine's, so that `pkill ringprobe` leaves it the
/// moment it needs to kill the scripts.
pub(super) const NAME: &str = "script-reaper";

/// How long a stop may go unnoticed by the reaper thread, or a script that could run wait for being
/// looked at.
pub(super) const POLL: Duration = Duration::from_millis(20);

/// How long the new process may take to say that it is ready.
const READY_WITHIN: Duration = Duration::from_secs(10);

/// Whether this program would become the reaper process when it is started as one.
static WOULD_SERVE: AtomicBool = AtomicBool::new(false);

/// Becomes the reaper process if this process was started to be it, and then never returns. A program that
/// uses this library for scripts calls it first of all in `main`, or names the `ringprobe` program in
/// [`ReaperConfig::program`].
pub fn serve_if_asked() {
    WOULD_SERVE.store(true, Ordering::Relaxed);
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_some_and(|first| first == ARGUMENT) && arguments.next().is_none() {
        std::process::exit(super::process::serve());
    }
}

/// Starts the process and tells it what is the same for all scripts.
///
/// # Errors
/// There is no such program, or it is no reaper; or it cannot do what is asked.
pub(super) fn start(
    config: &ReaperConfig,
    configuration: Configuration,
) -> Result<(Child, Conversation), ReaperError> {
    if config.program.is_none() && !WOULD_SERVE.load(Ordering::Relaxed) {
        // Started again, it would do whatever else it does.
        return Err(ReaperError::Setup(
            "this program did not call ringprobe::reaper::serve_if_asked() first of all in main; do \
             that, or name the ringprobe program in ReaperConfig::program"
                .to_owned(),
        ));
    }
    let running = Path::new("/proc/self/exe");
    let program = config.program.as_deref().unwrap_or(running);
    let name = match std::fs::read_link(program) {
        Ok(target) if config.program.is_none() => target.display().to_string(),
        _ => program.display().to_string(),
    };
    let failed = |error| ReaperError::Start { program: name.clone(), error };
    let (ours, theirs) = UnixStream::pair().map_err(failed)?;
    // Nothing here needs more than posix_spawn does, so the engine's memory is not copied.
    let mut child = Command::new(program)
        .arg0(NAME)
        .arg(ARGUMENT)
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        // Held open, they would keep whoever reads ours from seeing the end.
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(failed)?;
    match introduce(ours, configuration) {
        Ok(conversation) => Ok((child, conversation)),
        Err(answer) => {
            // It has lost its socket, or will in a moment, and ends by that; unless it is a program that
            // knows nothing of sockets.
            let _ = child.kill();
            let _ = child.wait();
            Err(match answer {
                Answer::Unable(text) => ReaperError::Setup(text),
                Answer::Strange(answer) => ReaperError::Strange { program: name, answer },
            })
        }
    }
}

enum Answer {
    Unable(String),
    Strange(String),
}

impl From<io::Error> for Answer {
    fn from(error: io::Error) -> Answer {
        Answer::Strange(error.to_string())
    }
}

fn introduce(mut stream: UnixStream, configuration: Configuration) -> Result<Conversation, Answer> {
    let version = configuration.version.clone();
    protocol::write(&mut stream, &Request::Configure(configuration))?;
    stream.set_read_timeout(Some(READY_WITHIN))?;
    match protocol::read(&mut stream)? {
        Some(Reply::Ready { version: theirs }) if theirs == version => {}
        Some(Reply::Ready { version: theirs }) => {
            return Err(Answer::Strange(format!("it is of version {theirs}")));
        }
        Some(Reply::Unable(text)) => return Err(Answer::Unable(text)),
        Some(Reply::Ended(..) | Reply::Unowned(_)) => {
            return Err(Answer::Strange("it speaks out of turn".into()));
        }
        None => return Err(Answer::Strange("it ended without a word".into())),
    }
    Ok(Conversation::new(stream)?)
}
