//! The thread the feeder runs in, and how its end is learnt.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvError, RecvTimeoutError, Sender, bounded};

use super::feeder::{Feeder, Tally};
use super::request::{BadTarget, SweepRequest};
use crate::fleet::ProbeSpec;
use crate::outcome::Assignment;

/// How long a stopped feeder may take before it is left to end by itself.
const GRACE: Duration = Duration::from_millis(250);

/// A feeder at work.
pub(super) struct FeederThread {
    thread: JoinHandle<()>,
    tally: Arc<Tally>,
    /// Why it ended; empty until then.
    ended: Receiver<Option<BadTarget>>,
}

impl FeederThread {
    /// Starts to deal what `request` asks for, scripts to `scripts`.
    ///
    /// # Errors
    /// The kernel gave no thread.
    pub(super) fn start(
        request: SweepRequest,
        specs: &Arc<[ProbeSpec]>,
        (assignments, spent): (Vec<Sender<Vec<Assignment>>>, Receiver<Vec<Assignment>>),
        scripts: Option<Sender<Vec<Assignment>>>,
        halt: &Arc<AtomicBool>,
    ) -> io::Result<FeederThread> {
        let tally = Arc::new(Tally::default());
        let (ended_in, ended) = bounded(1);
        let mut feeder = Feeder::new(specs, assignments, Arc::clone(halt), Arc::clone(&tally));
        feeder.spent = spent;
        feeder.scripts = scripts;
        feeder.part = request.part;
        feeder.exclude = request.exclude;
        feeder.skip_bad = request.skip_bad;
        feeder.retries = request.retries;
        feeder.span = request.span;
        let input = request.input;
        let halt = Arc::clone(halt);
        let thread = Builder::new().name("feeder".to_owned()).spawn(move || {
            let result = feeder.feed(input);
            if result.is_err() {
                halt.store(true, Ordering::Relaxed);
            }
            // There is room for one, and this is the only one.
            let _ = ended_in.send(result.err());
        })?;
        Ok(FeederThread { thread, tally, ended })
    }

    /// Waits for the feeder and says why it ended. Call it when the shards have.
    ///
    /// Shards that nobody stopped have ended because the feeder had, so its last word is on its way
    /// however long that takes. A feeder whose sweep was stopped may hang in a read of its input, which
    /// nothing can interrupt: it is left behind after a grace.
    pub(super) fn end(self, was_stopped: bool) -> (Arc<Tally>, Option<BadTarget>) {
        let word = if was_stopped {
            match self.ended.recv_timeout(GRACE) {
                Ok(word) => Ok(word),
                Err(RecvTimeoutError::Disconnected) => Err(RecvError),
                Err(RecvTimeoutError::Timeout) => return (self.tally, None),
            }
        } else {
            self.ended.recv()
        };
        // It has nothing left to do but return.
        let _ = self.thread.join();
        let error =
            word.unwrap_or_else(|RecvError| Some(BadTarget::Read("the feeder panicked".into())));
        (self.tally, error)
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    /// A feeder that says why it ended only after twice the grace, as one may that gets no core.
    fn late() -> FeederThread {
        let (ended_in, ended) = bounded(1);
        let thread = thread::spawn(move || {
            // Nobody sends, so this waits for the whole time.
            let (_nobody, never) = bounded::<()>(0);
            let _ = never.recv_timeout(2 * GRACE);
            let _ = ended_in.send(Some(BadTarget::Line("list:4: not a target".into())));
        });
        FeederThread { thread, tally: Arc::default(), ended }
    }

    #[test]
    fn a_late_word_counts_unless_the_sweep_was_stopped() {
        let (_, error) = late().end(false);
        assert_eq!(error.expect("a bad line").to_string(), "list:4: not a target");
        let (_, error) = late().end(true);
        assert!(error.is_none(), "a stopped sweep does not wait");
    }

    #[test]
    fn a_feeder_that_panicked_is_an_error_either_way() {
        for was_stopped in [false, true] {
            let (ended_in, ended) = bounded(1);
            let thread = thread::spawn(move || drop(ended_in));
            let feeder = FeederThread { thread, tally: Arc::default(), ended };
            assert!(feeder.end(was_stopped).1.is_some());
        }
    }
}
