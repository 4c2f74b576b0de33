//! How a line looks when its parameters are replaced.
//!
//! Replacing is textual: what a value brings in is looked through again from its first byte, as if it had
//! been in the line from the beginning. A parameter that comes up inside its own value would go on for ever;
//! it is found by the end of each value that is still being looked through.

use std::borrow::Cow;
use std::ops::Range;
use std::path::Path;
use std::rc::Rc;

use super::built_in::built_in;
use super::parameter::{Block, Parameter, Parameters, Value, identifier};
use crate::conf::code::Code;
use crate::conf::options::Environment;
use crate::conf::source::Span;

/// Bytes of a line when its parameters are replaced.
pub(super) const EXPANDED_BYTES_MAX: usize = 1023;

/// Parameters in one line, those in values counted too. Only what is made to be slow has more.
const REPLACED_MAX: u32 = 1_000;

/// What a replacement counts beside its bytes: many of nothing cost time as well.
const REPLACEMENT_BYTES: u64 = 64;

/// What built-in parameters tell.
#[derive(Copy, Clone, Debug)]
pub(super) struct Surroundings<'a> {
    /// Of the file that is being read; empty for the current one.
    pub(super) directory: &'a Path,
    pub(super) config_id: &'a [u8],
    pub(super) environment: &'a Environment,
    /// The parameters of several lines whose lines are being read.
    pub(super) open: &'a [Block],
}

/// Why a line cannot be had, or what is odd about it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Fault {
    pub(super) code: Code,
    pub(super) message: String,
    /// The parameter in the text as it was given.
    pub(super) place: Range<usize>,
    pub(super) label: String,
    /// Definitions that have a part in it.
    pub(super) definitions: Vec<Span>,
}

/// A line with its parameters replaced.
#[derive(Clone, Debug, Default)]
pub(super) struct Replaced {
    pub(super) text: Vec<u8>,
    /// The first parameter that was replaced, in the text as it was given.
    pub(super) first: Range<usize>,
    /// Where that is defined.
    pub(super) definition: Option<Span>,
    /// The parameter of several lines at the end: its first line is in `text` already.
    pub(super) block: Option<Block>,
    /// Odd, but not in the way.
    pub(super) odd: Vec<Fault>,
}

/// What became of a line.
#[derive(Debug)]
pub(super) enum Substitution {
    /// Nothing in it is a parameter.
    Unchanged,
    Replaced(Replaced),
    Failed(Fault),
}

/// A parameter in a text.
struct Use {
    name: Range<usize>,
    /// Behind the name, of `${NAME ...}`.
    arguments: Range<usize>,
    end: usize,
}

impl Parameters {
    /// Replaces every parameter of `given`.
    pub(super) fn substitute(&mut self, given: &[u8], around: Surroundings<'_>) -> Substitution {
        let mut text: Cow<'_, [u8]> = Cow::Borrowed(given);
        let mut found = Replaced::default();
        // Values that are being looked through: the name, and how many bytes follow the value.
        let mut active: Vec<(Vec<u8>, usize)> = Vec::new();
        let mut outer = 0..0;
        let (mut pos, mut count) = (0, 0_u32);
        while let Some(step) = memchr::memchr(b'$', &text[pos..]) {
            pos += step;
            active.retain(|(_, behind)| pos < text.len() - behind);
            let Some(used) = usage(&text, pos) else {
                pos += 1;
                continue;
            };
            let behind = text.len() - used.end;
            if active.is_empty() {
                outer = given.len() - (text.len() - pos)..given.len() - behind;
            }
            let name = text[used.name.clone()].to_vec();
            let fault = |code, message: String, label: &str, definitions| {
                Substitution::Failed(Fault {
                    code,
                    message,
                    place: outer.clone(),
                    label: label.to_owned(),
                    definitions,
                })
            };
            let is_cycle = active.iter().any(|(known, _)| *known == name)
                || around.open.iter().any(|open| *open.name == *name && self.is_still(open));
            let (value, at): (Cow<'_, [u8]>, Option<Span>) = match self.table.get(&name) {
                _ if used.arguments.is_empty() && is_cycle => {
                    let chain = around.open.iter().map(|open| open.name.to_vec());
                    let chain = chain.chain(active.drain(..).map(|(name, _)| name));
                    let mut chain: Vec<_> = chain.skip_while(|known| *known != name).collect();
                    let mut definitions: Vec<_> =
                        chain.iter().filter_map(|name| self.table.get(name)?.at).collect();
                    definitions.dedup();
                    definitions.truncate(3);
                    let shown = String::from_utf8_lossy(&name).into_owned();
                    chain.push(name);
                    let chain: Vec<_> = chain
                        .iter()
                        .map(|name| format!("`${}`", String::from_utf8_lossy(name)))
                        .collect();
                    let message = match chain.len() {
                        2 => format!("the parameter `{shown}` contains itself"),
                        _ => format!(
                            "the parameter `{shown}` contains itself: {}",
                            chain.join(", then ")
                        ),
                    };
                    return fault(Code::ParameterCycle, message, "used here", definitions);
                }
                Some(Parameter { value: Value::Text(value), at }) if used.arguments.is_empty() => {
                    (Cow::Borrowed(value), *at)
                }
                Some(Parameter { value: Value::Lines(lines), at }) if used.arguments.is_empty() => {
                    if behind > 0 {
                        let name = String::from_utf8_lossy(&name);
                        let message = format!(
                            "the parameter `{name}` has {} lines and is not the last thing on its line",
                            lines.len()
                        );
                        let definitions = at.iter().copied().collect();
                        return fault(
                            Code::MultiLineUse,
                            message,
                            "something follows",
                            definitions,
                        );
                    }
                    let Some(first) = lines.first() else {
                        pos = used.end;
                        continue;
                    };
                    found.block =
                        Some(Block { name: name.as_slice().into(), lines: Rc::clone(lines) });
                    (Cow::Borrowed(&first.text), Some(first.at))
                }
                _ => match built_in(&name, &text[used.arguments.clone()], around, &mut self.random)
                {
                    Ok(Some((value, None))) => (Cow::Owned(value), None),
                    Ok(Some((value, Some(message)))) => {
                        found.odd.push(Fault {
                            code: Code::ReversedRandom,
                            message,
                            place: outer.clone(),
                            label: String::new(),
                            definitions: Vec::new(),
                        });
                        (Cow::Owned(value), None)
                    }
                    Ok(None) => {
                        pos += 1;
                        continue;
                    }
                    Err(message) => return fault(Code::BadRandom, message, "", Vec::new()),
                },
            };
            count += 1;
            self.bytes += value.len() as u64 + REPLACEMENT_BYTES;
            if active.len() >= super::EXPANSIONS_MAX {
                let most = super::EXPANSIONS_MAX;
                let message = format!("parameters in parameters more than {most} deep");
                return fault(Code::ExpansionTooDeep, message, "", at.into_iter().collect());
            }
            let length = text.len() - (used.end - pos) + value.len();
            if length > EXPANDED_BYTES_MAX {
                let message = format!(
                    "line of {length} bytes with its parameters replaced: {EXPANDED_BYTES_MAX} are the limit"
                );
                return fault(Code::ExpansionTooLong, message, "", at.into_iter().collect());
            }
            if count > REPLACED_MAX {
                let message = format!("more than {REPLACED_MAX} parameters in one line");
                return fault(Code::ExpansionTooLong, message, "", Vec::new());
            }
            if count == 1 {
                found.first = outer.clone();
                found.definition = at;
            }
            text.to_mut().splice(pos..used.end, value.iter().copied());
            if found.block.is_some() {
                // What its first line brings in is for the next look at the line.
                break;
            }
            active.push((name, behind));
        }
        if count == 0 {
            return Substitution::Unchanged;
        }
        found.text = text.into_owned();
        Substitution::Replaced(found)
    }
}

/// The parameter that `$` at `pos` begins, by its looks.
fn usage(text: &[u8], pos: usize) -> Option<Use> {
    let start = pos + 1;
    if text.get(start) == Some(&b'{') {
        let start = start + 1;
        let behind = start + identifier(&text[start..]).len();
        let close = behind + memchr::memchr(b'}', &text[behind..])?;
        let has_arguments = matches!(text[behind], b' ' | b'\t');
        let is_fine = behind > start && (close == behind || has_arguments);
        is_fine.then_some(Use { name: start..behind, arguments: behind..close, end: close + 1 })
    } else {
        let end = start + identifier(&text[start..]).len();
        let ends = matches!(text.get(end), None | Some(b' ' | b'\t' | b',' | b')'));
        (end > start && ends).then_some(Use { name: start..end, arguments: end..end, end })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conf::expand::parameter::DefinedLine;
    use crate::conf::source::FileId;

    fn parameters(definitions: &[(&str, &str)]) -> Parameters {
        let mut parameters = Parameters::new(Some(1));
        let at = Span::new(FileId(0), 0, 1);
        for (name, value) in definitions {
            let lines: Vec<_> = value.split('\n').collect();
            let value = if lines.len() == 1 {
                Value::Text(value.as_bytes().to_vec())
            } else {
                let line = |text: &&str| DefinedLine { text: text.as_bytes().to_vec(), at };
                Value::Lines(lines.iter().map(line).collect())
            };
            parameters.define(name.as_bytes(), value, at);
        }
        parameters
    }

    /// The text, with `+` behind it where more lines follow; or the fault.
    fn replaced(parameters: &mut Parameters, text: &str) -> Result<String, String> {
        let environment =
            Environment::Given([("HOME".to_owned(), "/root".to_owned())].into_iter().collect());
        let around = Surroundings {
            directory: Path::new("/"),
            config_id: b"me",
            environment: &environment,
            open: &[],
        };
        match parameters.substitute(text.as_bytes(), around) {
            Substitution::Unchanged => Ok(text.to_owned()),
            Substitution::Replaced(found) => {
                let more = if found.block.is_some() { "+" } else { "" };
                Ok(format!("{}{more}", String::from_utf8_lossy(&found.text)))
            }
            Substitution::Failed(fault) => {
                Err(format!("{} {}: {}", fault.code.as_str(), &text[fault.place], fault.message))
            }
        }
    }

    #[test]
    fn both_forms_and_where_they_end() {
        let mut known = parameters(&[("A", "1"), ("B", "${A}2"), ("E", ""), ("L", "x {\ny\n}")]);
        for (text, expected) in [
            ("a $A b", "a 1 b"),
            ("$A", "1"),
            ("$A,$A)$A", "1,1)1"),
            ("$A.x ${A}.x", "$A.x 1.x"),
            ("a${A}b$A", "a1b1"),
            ("\"${A}\" \\$A", "\"1\" \\1"),
            ("$B ${B}", "12 12"),
            ("$C ${C} $ ${} ${A", "$C ${C} $ ${} ${A"),
            ("${E}$A", "1"),
            ("$E$A", "$E1"),
            ("${A x}", "${A x}"),
            ("a $L", "a x {+"),
            ("a ${L}", "a x {+"),
            ("${_INSTANCE} ${_HASH}${_BANG} ${_PWD}", "me #! /"),
            ("${_ENV HOME}|${_ENV NOSUCH}|", "/root||"),
            ("${_RANDOM 5 5}", "5"),
            ("${_RANDOM 7 5}", "7"),
        ] {
            assert_eq!(replaced(&mut known, text), Ok(expected.to_owned()), "{text:?}");
        }
    }

    #[test]
    fn values_are_looked_through_as_text() {
        let mut known = parameters(&[("A", "$B"), ("B", "2"), ("C", "${"), ("N", "1")]);
        // Inside the value the end would do; in the line it is not the end.
        assert_eq!(replaced(&mut known, "${A}x $A"), Ok("$Bx 2".to_owned()));
        assert_eq!(replaced(&mut known, "${C}B}"), Ok("2".to_owned()));
        known.define_variable(b"N", b"33");
        assert_eq!(replaced(&mut known, "$N"), Ok("33".to_owned()));
        let mut built_in = parameters(&[("_PWD", "/else")]);
        assert_eq!(replaced(&mut built_in, "${_PWD}"), Ok("/else".to_owned()));
    }

    #[test]
    fn what_cannot_be_replaced() {
        let long = "x".repeat(600);
        let mut known = parameters(&[
            ("A", "${A}"),
            ("B", "${C}"),
            ("C", "y ${B}"),
            ("L", "x\ny"),
            ("T", &long),
            ("E0", ""),
            ("E1", &"${E0}".repeat(60)),
            ("E2", &"${E1}".repeat(60)),
            ("E3", &"${E2}".repeat(60)),
        ]);
        for (text, expected) in [
            ("a ${A}", "E037 ${A}: the parameter `A` contains itself"),
            ("a $B", "E037 $B: the parameter `B` contains itself: `$B`, then `$C`, then `$B`"),
            (
                "$L x",
                "E039 $L: the parameter `L` has 2 lines and is not the last thing on its line",
            ),
            (
                "${T}$T",
                "E038 $T: line of 1200 bytes with its parameters replaced: 1023 are the limit",
            ),
            ("$E3", "E038 $E3: more than 1000 parameters in one line"),
            (
                "${_RANDOM x}",
                "E043 ${_RANDOM x}: `x` is not a bound of a random number: 0 to 4294967295",
            ),
        ] {
            assert_eq!(replaced(&mut known, text), Err(expected.to_owned()), "{text:?}");
        }
    }

    #[test]
    fn random_numbers_are_repeatable_and_inside_their_bounds() {
        let numbers = |seed| -> Vec<String> {
            let mut parameters = Parameters::new(Some(seed));
            (0..50)
                .map(|_| replaced(&mut parameters, "${_RANDOM 10 12}").expect("a number"))
                .collect()
        };
        assert_eq!(numbers(7), numbers(7));
        assert_ne!(numbers(7), numbers(8));
        assert!(numbers(7).iter().all(|number| ["10", "11", "12"].contains(&number.as_str())));
    }
}
