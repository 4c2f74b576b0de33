//! What the sinks say about a script beside its record: the command, how it ended, the end of its output.
//!
//! A script's output, its command and its path are somebody else's bytes. Here they become text: lossily
//! as UTF-8 for NDJSON, whose serializer escapes the rest; for the eyes of people without the characters
//! that a terminal would obey.

use serde::Serialize;
use serde::Serializer;

use super::Detail;
use crate::fleet::{MiscSpec, ScriptCommand};
use crate::outcome::{Failure, Outcome, Record};
use crate::reaper::{ScriptRun, ScriptStatus, Tail};

/// Most characters of an output line that a report repeats.
const LINE_CHARS: usize = 120;

/// The field `script` of an NDJSON record.
#[derive(Debug, Serialize)]
pub(super) struct ScriptFields<'a> {
    command: Option<String>,
    user: Option<&'a str>,
    #[serde(serialize_with = "as_us")]
    queued_us: u64,
    #[serde(serialize_with = "as_optional_us")]
    startup_us: Option<u64>,
    #[serde(serialize_with = "as_optional_us")]
    run_us: Option<u64>,
    exit_status: Option<u8>,
    signal: Option<String>,
    weight: Option<u8>,
    left_processes: bool,
    is_unkilled: bool,
    stdout: std::borrow::Cow<'a, str>,
    stdout_bytes: u64,
    stderr: std::borrow::Cow<'a, str>,
    stderr_bytes: u64,
    explanation: Option<&'a str>,
}

impl<'a> ScriptFields<'a> {
    /// `script` is `None` only for a spec that is no script's.
    pub(super) fn of(run: &'a ScriptRun, script: Option<&'a MiscSpec>) -> ScriptFields<'a> {
        let (exit_status, signal) = match run.status {
            Some(ScriptStatus::Exited(status)) => (Some(status), None),
            Some(ScriptStatus::Signaled(signal)) => (None, Some(Detail::Signal(signal))),
            None => (None, None),
        };
        ScriptFields {
            command: script.map(|script| command_text(&script.command)),
            user: script.map(|script| &*script.user.name),
            queued_us: run.queued_ns,
            startup_us: run.startup_ns,
            run_us: run.run_ns,
            exit_status,
            signal: signal.map(|signal| signal.to_string()),
            weight: run.weight,
            left_processes: run.left_processes,
            is_unkilled: run.is_unkilled,
            stdout: String::from_utf8_lossy(&run.stdout.bytes),
            stdout_bytes: run.stdout.total,
            stderr: String::from_utf8_lossy(&run.stderr.bytes),
            stderr_bytes: run.stderr.total,
            explanation: run.explanation.as_deref(),
        }
    }
}

/// Nanoseconds as microseconds with one decimal, as every other time of a record.
fn as_us<S: Serializer>(ns: &u64, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_f64((ns.saturating_add(50) / 100) as f64 / 10.0)
}

fn as_optional_us<S: Serializer>(ns: &Option<u64>, to: S) -> Result<S::Ok, S::Error> {
    match ns {
        Some(ns) => as_us(ns, to),
        None => to.serialize_none(),
    }
}

/// A command as a shell would take it: arguments that a shell would change stand in single quotes.
pub(super) fn command_text(command: &ScriptCommand) -> String {
    match command {
        ScriptCommand::Shell(text) => String::from_utf8_lossy(text).into_owned(),
        ScriptCommand::Argv(words) => {
            let words: Vec<String> = words.iter().map(quoted).collect();
            words.join(" ")
        }
    }
}

fn quoted(word: &[u8]) -> String {
    let text = String::from_utf8_lossy(word);
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"%+,-./:=@_^".contains(byte);
    if !word.is_empty() && word.iter().all(is_plain) {
        text.into_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// What there is to say about a script in one field that people read: the explanation, or how it ended;
/// where it failed, with the last line it wrote.
pub(super) fn detail_text(record: &Record, run: &ScriptRun) -> Option<String> {
    let head = match (&run.explanation, run.weight) {
        (Some(explanation), _) => Some(without_control(explanation)),
        (None, Some(weight)) if record.outcome == Outcome::Pass => Some(format!("weight {weight}")),
        (None, _) => Detail::of(record).map(|detail| detail.to_string()),
    };
    let last = match record.outcome {
        Outcome::Fail(_) => last_line(&run.stderr).or_else(|| last_line(&run.stdout)),
        Outcome::Pass | Outcome::Unknown(_) => None,
    };
    match (head, last) {
        (Some(head), Some(last)) => Some(format!("{head}: {last}")),
        (None, Some(last)) if record.outcome == Outcome::Fail(Failure::Timeout) => {
            Some(format!("last output: {last}"))
        }
        (head, last) => head.or(last),
    }
}

/// The last line that has something on it, at most [`LINE_CHARS`] characters of it.
fn last_line(tail: &Tail) -> Option<String> {
    // A carriage return begins a new line too: progress is written that way.
    let mut lines = tail.bytes.rsplit(|byte| matches!(byte, b'\n' | b'\r'));
    lines.find_map(|line| {
        let clean = without_control(&String::from_utf8_lossy(line));
        let clean = clean.trim();
        let mut characters = clean.char_indices();
        match characters.nth(LINE_CHARS - 1) {
            _ if clean.is_empty() => None,
            Some((place, _)) if characters.next().is_some() => {
                Some(format!("{}…", &clean[..place]))
            }
            _ => Some(clean.to_owned()),
        }
    })
}

/// Without characters that steer a terminal or hide what stands beside them: control characters and
/// escape sequences they begin, marks of writing direction, characters without width.
pub(super) fn without_control(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            // ECMA-48 5.4: CSI, parameters and intermediates 02/00 to 03/15, a final 04/00 to 07/14.
            '\u{1b}' if characters.peek() == Some(&'[') => {
                characters.next();
                while characters.next_if(|next| (' '..='?').contains(next)).is_some() {}
                characters.next_if(|next| ('@'..='~').contains(next));
            }
            '\t' | '\n' | '\r' => clean.push(' '),
            '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}' => {}
            _ if character.is_control() => {}
            _ => clean.push(character),
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::{LocalFault, ScriptFault};
    use crate::sink::testing::{misc, record};

    fn tail(bytes: &[u8]) -> Tail {
        Tail { bytes: bytes.to_vec(), total: bytes.len() as u64 }
    }

    #[test]
    fn commands_read_back_as_a_shell_would_read_them() {
        let argv = |words: &[&[u8]]| ScriptCommand::Argv(words.iter().collect());
        for (command, text) in [
            (argv(&[b"/bin/sleep", b"3600"]), "/bin/sleep 3600"),
            (argv(&[b"sh", b"-c", b"sleep 1 & sleep 2"]), "sh -c 'sleep 1 & sleep 2'"),
            (argv(&[b"x", b"", b"it's", b"\xff"]), r"x '' 'it'\''s' '�'"),
            (argv(&[b"x", b"a\nb"]), "x 'a\nb'"),
            (
                ScriptCommand::Shell(b"</dev/tcp/127.0.0.1/22".as_slice().into()),
                "</dev/tcp/127.0.0.1/22",
            ),
        ] {
            assert_eq!(command_text(&command), text);
        }
    }

    #[test]
    fn the_last_line_is_clean_and_short() {
        let long = "é".repeat(121);
        let cut = format!("{}…", "é".repeat(119));
        let fits = "é".repeat(120);
        for (bytes, line) in [
            (b"".as_slice(), None),
            (b"\n\r\n \t\n", None),
            (b"one\ntwo\n\n", Some("two")),
            (b"10%\r20%\r", Some("20%")),
            (b"a\tb", Some("a b")),
            (b"\x1b[1;31mred\x1b[0m \x07\0\x7f\x1b]0;title", Some("red ]0;title")),
            ("\u{202e}evil\u{200b}\u{9b}31m".as_bytes(), Some("evil31m")),
            (b"bad \xff\xfe bytes", Some("bad �� bytes")),
            (long.as_bytes(), Some(cut.as_str())),
            (fits.as_bytes(), Some(fits.as_str())),
        ] {
            assert_eq!(last_line(&tail(bytes)).as_deref(), line, "{bytes:?}");
        }
    }

    #[test]
    fn the_detail_says_how_it_ended_and_the_last_words() {
        let said = |outcome, change: &dyn Fn(&mut ScriptRun)| {
            let mut run = ScriptRun { stdout: tail(b"out\n"), ..ScriptRun::default() };
            change(&mut run);
            detail_text(&record(0, outcome), &run)
        };
        let stderr = |run: &mut ScriptRun| run.stderr = tail(b"first\nno such, \"host\"\n");
        let silent = |run: &mut ScriptRun| run.stdout = Tail::default();
        let explained = |run: &mut ScriptRun| run.explanation = Some("/opt\x1b[2J/x".into());
        let exit = Outcome::Fail(Failure::ExitStatus(2));
        let timeout = Outcome::Fail(Failure::Timeout);
        let insecure = Outcome::Unknown(LocalFault::Script(ScriptFault::Insecure));
        for (found, text) in [
            (said(Outcome::Pass, &stderr), None),
            (said(Outcome::Pass, &|run| run.weight = Some(7)), Some("weight 7")),
            (said(exit, &stderr), Some("exit status 2: no such, \"host\"")),
            (said(exit, &|_| ()), Some("exit status 2: out")),
            (said(exit, &silent), Some("exit status 2")),
            (said(Outcome::Fail(Failure::Signal(11)), &silent), Some("SIGSEGV")),
            (said(timeout, &silent), None),
            (said(timeout, &stderr), Some("last output: no such, \"host\"")),
            (said(timeout, &explained), Some("/opt/x: out")),
            (said(insecure, &explained), Some("/opt/x")),
            (said(insecure, &stderr), Some("others may write to it or to its path")),
        ] {
            assert_eq!(found.as_deref(), text);
        }
    }

    #[test]
    fn the_fields_name_status_or_signal() {
        let mut run = ScriptRun { status: Some(ScriptStatus::Signaled(9)), ..ScriptRun::default() };
        run.queued_ns = 1_949;
        run.run_ns = Some(1_950);
        let script = misc();
        let json = |run: &ScriptRun| {
            serde_json::to_value(ScriptFields::of(run, Some(&script))).expect("plain data")
        };
        let fields = json(&run);
        assert_eq!(fields["signal"], "SIGKILL");
        assert_eq!(fields["exit_status"], serde_json::Value::Null);
        assert_eq!((&fields["queued_us"], &fields["run_us"]), (&1.9.into(), &2.0.into()));
        assert_eq!(fields["startup_us"], serde_json::Value::Null);
        assert_eq!(fields["user"], "nobody");
        run.status = Some(ScriptStatus::Exited(3));
        let fields = json(&run);
        assert_eq!((&fields["exit_status"], &fields["signal"]), (&3.into(), &().into()));
    }
}
