//! `sweep --demo`: an embedded fleet with every fault in it, and whether the verdicts were right.

use std::cell::RefCell;
use std::fmt::Write;
use std::io;
use std::rc::Rc;

use serde::Deserialize;

use crate::aggregate::Summary;
use crate::cli::{Ended, exit, refuse, respond};
use crate::outcome::Record;
use crate::respond::{Faults, Options, RespondError, Running, start};
use crate::sink::{Context, RunInfo, Sink, SinkError, counted, grouped};

/// A little of everything; the rest is healthy.
const FAULTS: &str = "refuse=1%,silent=1%,servfail=1%,empty=1%,slow=1%:80ms,wrong_id=1%,\
                      wrong_question=1%,foreign_port=1%,truncated=1%";
/// Base ports that are tried, one after the other: a port of the first may be somebody's.
const PORTS: std::ops::Range<u16> = 5300..6300;
/// From one base port to the next; a fleet needs three.
const PORT_STEP: usize = 10;
/// Differences named in full.
const SHOWN: usize = 20;

/// The fleet, serving until dropped.
pub(crate) struct Demo {
    running: Running,
}

impl Demo {
    pub(crate) fn start() -> Result<Demo, Ended> {
        let faults: Faults = FAULTS.parse().map_err(|error| refuse(exit::ENGINE, error))?;
        for port in PORTS.step_by(PORT_STEP) {
            match start(&Options { faults, port, ..Options::default() }) {
                Ok(running) => return Ok(Demo { running }),
                Err(RespondError::PortTaken { .. }) => {}
                Err(error) => {
                    let code = respond::exit_code(&error);
                    let why = format_args!("the embedded fleet cannot start: {error}");
                    return Err(refuse(code, why));
                }
            }
        }
        let (first, last) = (PORTS.start, PORTS.end - 1);
        let why = format_args!("the embedded fleet cannot start: ports {first}-{last} are in use");
        Err(refuse(exit::ENGINE, why))
    }

    /// The fleet's keepalived.conf. It stays in memory: a demo leaves no files.
    pub(crate) fn conf(&self) -> Result<Vec<u8>, Ended> {
        self.paper(|to| self.running.fleet().write_conf(to))
    }

    /// The truth about the fleet, to be held against the records.
    /// `is_whole` says that all of the fleet is probed.
    pub(crate) fn verdicts(&self, is_whole: bool) -> Result<Verdicts, Ended> {
        let paper = self.paper(|to| self.running.fleet().write_truth(to))?;
        let truth = paper
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(serde_json::from_slice)
            .collect::<Result<Vec<Truth>, _>>()
            .map_err(|error| refuse(exit::ENGINE, error))?;
        Ok(Verdicts(Rc::new(RefCell::new(Comparison::with(truth, is_whole)))))
    }

    fn paper(&self, write: impl FnOnce(&mut Vec<u8>) -> io::Result<()>) -> Result<Vec<u8>, Ended> {
        let mut paper = Vec::new();
        write(&mut paper).map_err(|error| refuse(exit::ENGINE, error))?;
        Ok(paper)
    }
}

/// What a checker must find. Line `n` of the truth is about checker `n` of the configuration.
#[derive(Debug, Deserialize)]
struct Truth {
    target: String,
    outcome: String,
    reason: String,
}

#[derive(Default)]
struct Comparison {
    truth: Vec<Truth>,
    /// Whether a line of the truth has had its record.
    is_found: Vec<bool>,
    /// Whether every line must get one.
    is_whole: bool,
    compared: u64,
    /// Records that say something else than the truth, or say it again, and lines without a record.
    wrong: u64,
    /// The first of them in words.
    shown: Vec<String>,
}

impl Comparison {
    fn with(truth: Vec<Truth>, is_whole: bool) -> Comparison {
        let is_found = vec![false; truth.len()];
        Comparison { truth, is_found, is_whole, ..Comparison::default() }
    }

    fn compare(&mut self, record: &Record) {
        self.compared += 1;
        let seq = usize::try_from(record.seq).unwrap_or(usize::MAX);
        let was_found =
            self.is_found.get_mut(seq).map(|is_found| std::mem::replace(is_found, true));
        let (outcome, reason) = (record.outcome.name(), record.outcome.reason());
        let (target, expected) = match self.truth.get(seq) {
            Some(truth) if was_found == Some(true) => (truth.target.as_str(), "once".to_owned()),
            Some(truth) if (outcome, reason) == (&*truth.outcome, &*truth.reason) => return,
            Some(truth) => (truth.target.as_str(), format!("{} {}", truth.outcome, truth.reason)),
            None => ("?", "nothing".to_owned()),
        };
        let difference =
            format!("{}: found {outcome} {reason}, built as {target} {expected}", record.target);
        self.differs(difference);
    }

    /// Names the lines that have no record, where each should have one. Nothing is compared after it.
    fn end(&mut self) {
        if !self.is_whole {
            return;
        }
        let truth = std::mem::take(&mut self.truth);
        for (truth, is_found) in truth.iter().zip(std::mem::take(&mut self.is_found)) {
            if !is_found {
                let Truth { target, outcome, reason } = truth;
                self.differs(format!("{target}: not found, built as {outcome} {reason}"));
            }
        }
    }

    fn differs(&mut self, difference: String) {
        self.wrong += 1;
        if self.shown.len() < SHOWN {
            self.shown.push(difference);
        }
    }
}

/// Every record held against the truth.
pub(crate) struct Verdicts(Rc<RefCell<Comparison>>);

impl Verdicts {
    /// The sink that fills this.
    pub(crate) fn sink(&self) -> impl Sink + 'static {
        VerdictSink(Rc::clone(&self.0))
    }

    /// What to say at the end, and whether every verdict was right.
    pub(crate) fn judge(self) -> (String, bool) {
        let mut comparison = self.0.borrow_mut();
        comparison.end();
        let compared = grouped(comparison.compared);
        if comparison.wrong == 0 {
            return (format!("\nAll {compared} verdicts are as the fleet was built."), true);
        }
        let wrong = counted(comparison.wrong, "difference");
        let mut text = format!("\n{compared} verdicts, {wrong} from what was built:");
        for line in &comparison.shown {
            // Writing to a string cannot fail.
            let _ = write!(text, "\n   {line}");
        }
        let unshown = comparison.wrong - comparison.shown.len() as u64;
        if unshown > 0 {
            let _ = write!(text, "\n   and {} more", grouped(unshown));
        }
        (text, false)
    }
}

struct VerdictSink(Rc<RefCell<Comparison>>);

impl Sink for VerdictSink {
    fn begin(&mut self, _run: &RunInfo) -> Result<(), SinkError> {
        Ok(())
    }

    fn records(&mut self, batch: &[Record], _context: &Context<'_>) -> Result<(), SinkError> {
        let mut comparison = self.0.borrow_mut();
        for record in batch {
            comparison.compare(record);
        }
        Ok(())
    }

    fn finish(&mut self, _summary: &Summary, _context: &Context<'_>) -> Result<(), SinkError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::SpecId;
    use crate::outcome::{Failure, Outcome};
    use crate::tick::Tick;

    fn record(seq: u64, outcome: Outcome) -> Record {
        Record {
            seq,
            target: "127.64.0.1:5300".parse().expect("an address"),
            spec: SpecId(0),
            outcome,
            attempts: 1,
            latency_ns: None,
            due: Tick::default(),
            at: Tick::default(),
            strange: None,
        }
    }

    #[test]
    fn the_faults_can_be_parsed() {
        FAULTS.parse::<Faults>().expect("all of them exist");
    }

    #[test]
    fn a_demo_goes_around_ports_in_use() {
        let start = || Demo::start().unwrap_or_else(|_| panic!("there are free ports"));
        let port = |demo: &Demo| demo.running.fleet().server(0).port / 10;
        let (first, second) = (start(), start());
        assert!(port(&first) < port(&second));
    }

    #[test]
    fn a_wrong_verdict_is_named_and_a_right_one_is_not() {
        let truth = |reason: &str| Truth {
            target: "127.64.0.1:5300".into(),
            outcome: if reason == "ok" { "pass" } else { "fail" }.into(),
            reason: reason.into(),
        };
        let judged = |is_whole, records: &[Record]| {
            let comparison = Comparison::with(vec![truth("ok"), truth("timeout")], is_whole);
            let verdicts = Verdicts(Rc::new(RefCell::new(comparison)));
            records.iter().for_each(|record| verdicts.0.borrow_mut().compare(record));
            verdicts.judge()
        };
        let pass = record(0, Outcome::Pass);
        let timeout = record(1, Outcome::Fail(Failure::Timeout));
        let right = (String::from("\nAll 2 verdicts are as the fleet was built."), true);
        assert_eq!(judged(true, &[timeout, pass]), right);
        assert_eq!(judged(false, &[timeout, pass]), right);
        let part = (String::from("\nAll 1 verdicts are as the fleet was built."), true);
        assert_eq!(judged(false, &[timeout]), part, "a part or an exclusion leaves some out");

        for (records, text) in [
            (
                &[timeout, record(0, Outcome::Fail(Failure::NoAnswer)), record(2, Outcome::Pass)][..],
                "\n3 verdicts, 2 differences from what was built:\n   \
                 127.64.0.1:5300: found fail no_answer, built as 127.64.0.1:5300 pass ok\n   \
                 127.64.0.1:5300: found pass ok, built as ? nothing",
            ),
            (
                &[pass],
                "\n1 verdicts, 1 difference from what was built:\n   \
                 127.64.0.1:5300: not found, built as fail timeout",
            ),
            (
                &[pass, timeout, pass],
                "\n3 verdicts, 1 difference from what was built:\n   \
                 127.64.0.1:5300: found pass ok, built as 127.64.0.1:5300 once",
            ),
        ] {
            assert_eq!(judged(true, records), (text.to_owned(), false));
        }
    }
}
