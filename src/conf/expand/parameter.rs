//! Parameters: the table of their definitions.

use std::collections::HashMap;
use std::ops::Range;
use std::rc::Rc;

use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::conf::source::Span;

/// A line of a definition.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct DefinedLine {
    /// Without its comment and its backslash.
    pub(super) text: Vec<u8>,
    /// Where it is written.
    pub(super) at: Span,
}

/// What a name stands for.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// Text of one line.
    Text(Vec<u8>),
    /// Two lines or more.
    Lines(Rc<[DefinedLine]>),
}

#[derive(Debug)]
pub(super) struct Parameter {
    pub(super) value: Value,
    /// Where it is defined; `None` for the variable of a repetition.
    pub(super) at: Option<Span>,
}

/// A parameter of several lines.
#[derive(Clone, Debug)]
pub(super) struct Block {
    pub(super) name: Rc<[u8]>,
    pub(super) lines: Rc<[DefinedLine]>,
}

/// All definitions so far.
#[derive(Debug)]
pub(super) struct Parameters {
    pub(super) table: HashMap<Vec<u8>, Parameter, foldhash::fast::FixedState>,
    pub(super) random: StdRng,
    /// Bytes that values have brought in.
    pub(super) bytes: u64,
}

impl Parameters {
    pub(super) fn new(seed: Option<u64>) -> Parameters {
        let random = seed.map_or_else(rand::make_rng, StdRng::seed_from_u64);
        Parameters { table: HashMap::default(), random, bytes: 0 }
    }

    /// Random numbers begin anew.
    pub(super) fn seed(&mut self, seed: u64) {
        self.random = StdRng::seed_from_u64(seed);
    }

    /// Defines, or defines anew.
    pub(super) fn define(&mut self, name: &[u8], value: Value, at: Span) {
        self.table.insert(name.to_vec(), Parameter { value, at: Some(at) });
    }

    /// The variable of a repetition.
    pub(super) fn define_variable(&mut self, name: &[u8], value: &[u8]) {
        if let Some(Parameter { value: Value::Text(text), at }) = self.table.get_mut(name) {
            text.clear();
            text.extend_from_slice(value);
            *at = None;
        } else {
            let value = Value::Text(value.to_vec());
            self.table.insert(name.to_vec(), Parameter { value, at: None });
        }
    }

    /// The first `$NAME` of a text whose name is known and that is no parameter all the same, because of
    /// what follows it.
    pub(super) fn not_replaced(&self, text: &[u8]) -> Option<Range<usize>> {
        memchr::memchr_iter(b'$', text).find_map(|start| {
            let name = identifier(&text[start + 1..]);
            (!name.is_empty() && self.table.contains_key(name))
                .then(|| start..start + 1 + name.len())
        })
    }

    /// Whether a name stands for the lines that are being read. One of them may have defined it anew.
    pub(super) fn is_still(&self, open: &Block) -> bool {
        let value = self.table.get(&*open.name).map(|parameter| &parameter.value);
        matches!(value, Some(Value::Lines(lines)) if Rc::ptr_eq(lines, &open.lines))
    }
}

/// The first `${NAME}` outside quotes: its braces are braces, if nothing is known by that name.
pub(super) fn in_bare_braces(text: &[u8]) -> Option<Range<usize>> {
    let mut quoted = false;
    let mut pos = 0;
    while let Some(byte) = text.get(pos) {
        match byte {
            b'\\' if text.get(pos + 1) == Some(&b'"') => pos += 1,
            b'"' => quoted = !quoted,
            b'$' if !quoted && text.get(pos + 1) == Some(&b'{') => {
                let name = identifier(&text[pos + 2..]).len();
                if name > 0 && text.get(pos + 2 + name) == Some(&b'}') {
                    return Some(pos..pos + 3 + name);
                }
            }
            _ => {}
        }
        pos += 1;
    }
    None
}

/// The identifier at the beginning of `text`; empty where there is none.
pub(super) fn identifier(text: &[u8]) -> &[u8] {
    if !text.first().is_some_and(|byte| byte.is_ascii_alphabetic() || *byte == b'_') {
        return &[];
    }
    let end = text.iter().position(|byte| !byte.is_ascii_alphanumeric() && *byte != b'_');
    &text[..end.unwrap_or(text.len())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bare_braces_of_unknown_names_are_found() {
        for (text, found) in [
            ("a ${B} c", Some(2..6)),
            ("a \"${B}\" c", None),
            ("a \\\"${B}", Some(4..8)),
            ("a ${} ${1} $B", None),
        ] {
            assert_eq!(in_bare_braces(text.as_bytes()), found, "{text:?}");
        }
    }
}
