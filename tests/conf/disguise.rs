//! The same configuration with parameters, repetitions and conditions in it: what it means must not change.

use std::fmt::Write;

use crate::generate::Random;

/// Whose conditional lines are read.
pub(crate) const CONFIG_ID: &str = "id";

/// Rewrites lines of a text in ways that leave its meaning as it is, for a reader with [`CONFIG_ID`].
pub(crate) fn disguise(text: &str, random: &mut Random) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let mut out = String::new();
    let mut number = 0;
    let mut at = 0;
    while at < lines.len() {
        number += 1;
        let line = lines[at];
        let run = lines[at..].iter().take(4).take_while(|line| is_plain(line)).count();
        match random.below(9) {
            0 if run >= 2 => {
                // A definition of several lines, used at once.
                let length = 2 + random.below(run - 1);
                write!(out, "$BLOCK{number}=").expect("a string");
                for (index, line) in lines[at..at + length].iter().enumerate() {
                    let end = if index + 1 < length { " \\" } else { "" };
                    writeln!(out, "{}{end}", line.trim()).expect("a string");
                }
                writeln!(out, "$BLOCK{number}").expect("a string");
                at += length;
                continue;
            }
            1 | 2 if is_plain(line) && value(line).is_some() => {
                let (before, value) = value(line).expect("just seen");
                let name = format!("VALUE{number}");
                let used =
                    if random.one_in(2) { format!("${name}") } else { format!("${{{name}}}") };
                writeln!(out, "${name}={value}\n{before}{used}").expect("a string");
            }
            3 if is_plain(line) && value(line).is_some() => {
                // In two pieces, one of them inside the other.
                let (before, value) = value(line).expect("just seen");
                let (one, other) = value.split_at(value.len() / 2);
                writeln!(
                    out,
                    "$TAIL{number}={other}\n$WHOLE{number}={one}${{TAIL{number}}}\n{before}${{WHOLE{number}}}"
                )
                .expect("a string");
            }
            4 if is_plain(line) && value(line).is_some_and(|(_, value)| is_word(value)) => {
                let (before, value) = value(line).expect("just seen");
                writeln!(out, "~LST(EACH{number}, {value}) {before}${{EACH{number}}}")
                    .expect("a string");
            }
            5 if is_plain(line) => {
                writeln!(out, "@{CONFIG_ID} {}", line.trim()).expect("a string");
            }
            6 if is_plain(line) => {
                writeln!(out, "@^{CONFIG_ID} no_such_keyword {{\n@other weight x\n{line}")
                    .expect("a string");
            }
            _ => writeln!(out, "{line}").expect("a string"),
        }
        at += 1;
    }
    out
}

/// Whether a line has nothing in it that a piece of the language could be mistaken for.
fn is_plain(line: &str) -> bool {
    let line = line.trim();
    let has_letter = line.starts_with(|letter: char| letter.is_ascii_alphanumeric());
    has_letter && !line.contains(['"', '\'', '#', '!', '\\', '$', '{', '}', '~', '@'])
}

/// A line without its last word, and that word.
fn value(line: &str) -> Option<(&str, &str)> {
    let line = line.trim_end();
    let start = line.rfind([' ', '\t'])? + 1;
    let (before, value) = line.split_at(start);
    (!before.trim().is_empty()).then_some((before, value))
}

/// Whether a value may stand in a list.
fn is_word(value: &str) -> bool {
    !value.contains([',', ')', '(', ' '])
}
