//! `~SEQ`, `~SEQx` and `~LST`: reading their parentheses, and counting through them.

use crate::conf::lexer::is_blank;
use crate::conf::origin::Expansion;

/// What `~SEQ(...)` or `~LST(...)` goes through, and the place it has reached.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Repeat {
    /// Numbers.
    Sequence {
        variable: Vec<u8>,
        /// `None` when all were given out.
        next: Option<i64>,
        step: i64,
        end: i64,
        hex: bool,
    },
    /// Sets of values; the next is `sets[place]`.
    List { variables: Vec<Vec<u8>>, sets: Vec<Vec<Vec<u8>>>, place: usize },
}

/// How repetitions are written, for those who have to write them.
pub(super) const FORMS: &str =
    "`~SEQ(NAME, [START, [STEP,]] END) LINE` or `~LST(NAME, VALUE, ...) LINE`";

/// The beginning of a repetition.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) struct Keyword {
    pub(super) word: &'static str,
    pub(super) expansion: Expansion,
    /// Where the inside of its parentheses begins; `None` where something else follows than a `(`, perhaps
    /// behind blanks.
    pub(super) open: Option<usize>,
}

/// The keyword of a repetition, where `line` begins with one.
pub(super) fn keyword(line: &[u8]) -> Option<Keyword> {
    let (word, expansion) =
        [("~SEQx", Expansion::Sequence), ("~SEQ", Expansion::Sequence), ("~LST", Expansion::List)]
            .into_iter()
            .find(|(word, _)| line.starts_with(word.as_bytes()))?;
    let rest = &line[word.len()..];
    let blanks = rest.iter().take_while(|byte| is_blank(**byte)).count();
    let open = (rest.get(blanks) == Some(&b'(')).then_some(word.len() + blanks + 1);
    Some(Keyword { word, expansion, open })
}

impl Repeat {
    /// Reads what stands between the parentheses, parameters replaced. The error is a sentence.
    pub(super) fn parse(word: &str, inside: &[u8]) -> Result<Repeat, String> {
        match word {
            "~LST" => list(inside),
            _ => sequence(inside, word == "~SEQx"),
        }
    }

    /// How many times.
    pub(super) fn count(&self) -> u64 {
        match self {
            Repeat::Sequence { next: None, .. } => 0,
            Repeat::Sequence { next: Some(next), step, end, .. } => {
                let distance = i128::from(*end) - i128::from(*next);
                u64::try_from(distance / i128::from(*step))
                    .map_or(u64::MAX, |n| n.saturating_add(1))
            }
            Repeat::List { sets, place, .. } => (sets.len() - place) as u64,
        }
    }

    /// Goes on by one: hands `define` each variable with its value. False at the end.
    pub(super) fn advance(&mut self, mut define: impl FnMut(&[u8], &[u8])) -> bool {
        match self {
            Repeat::Sequence { variable, next, step, end, hex } => {
                let Some(value) = *next else { return false };
                let text = if *hex { format!("{value:x}") } else { value.to_string() };
                define(variable, text.as_bytes());
                *next = value
                    .checked_add(*step)
                    .filter(|value| if *step > 0 { *value <= *end } else { *value >= *end });
                true
            }
            Repeat::List { variables, sets, place } => {
                let Some(set) = sets.get(*place) else { return false };
                for (index, variable) in variables.iter().enumerate() {
                    // A short set leaves the rest empty.
                    define(variable, set.get(index).map_or(&[], Vec::as_slice));
                }
                *place += 1;
                true
            }
        }
    }
}

fn sequence(inside: &[u8], hex: bool) -> Result<Repeat, String> {
    let mut parts = inside.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    let variable = variable(parts.next().unwrap_or_default())?;
    let numbers = parts.map(|part| number(part, hex)).collect::<Result<Vec<i64>, String>>()?;
    let (start, step, end) = match numbers[..] {
        [end] => (if end < 0 { -1 } else { 1 }, if end < 1 { -1 } else { 1 }, end),
        [start, end] => (start, if end < start { -1 } else { 1 }, end),
        [start, step, end] => (start, step, end),
        _ => return Err("a sequence has a variable and one to three numbers".to_owned()),
    };
    if step == 0 {
        return Err("a step of 0 leads nowhere".to_owned());
    }
    if (step > 0) != (end > start) && start != end {
        return Err(format!("a step of {step} does not lead from {start} to {end}"));
    }
    Ok(Repeat::Sequence { variable, next: Some(start), step, end, hex })
}

fn variable(name: &[u8]) -> Result<Vec<u8>, String> {
    if !name.is_empty() && super::parameter::identifier(name).len() == name.len() {
        return Ok(name.to_vec());
    }
    let name = String::from_utf8_lossy(name);
    Err(match name.strip_prefix('$') {
        Some(name) => format!("the variable is written without `$`: `{name}`"),
        None => format!("`{name}` is not the name of a variable"),
    })
}

/// Decimal, `0x` hexadecimal or `0` octal, perhaps negative; at most 64 bytes.
fn number(text: &[u8], hex: bool) -> Result<i64, String> {
    let shown = || String::from_utf8_lossy(&text[..text.len().min(64)]).into_owned();
    let bad = || format!("`{}` is not a number", shown());
    if text.len() > 64 {
        return Err(format!("`{}...` is longer than 64 bytes", shown()));
    }
    let word = std::str::from_utf8(text).map_err(|_| bad())?;
    let (is_negative, digits) = match word.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, word),
    };
    let lower = digits.to_ascii_lowercase();
    let (digits, radix) = match lower.strip_prefix("0x") {
        Some(digits) => (digits, 16),
        None if lower.len() > 1 && lower.starts_with('0') => (&lower[1..], 8),
        None => (lower.as_str(), 10),
    };
    if !digits.chars().all(|digit| digit.is_digit(radix)) {
        return Err(bad());
    }
    let value = i64::from_str_radix(digits, radix).map_err(|_| bad())?;
    if is_negative && hex {
        return Err(format!("`{word}`: ~SEQx has no negative numbers"));
    }
    Ok(if is_negative { -value } else { value })
}

fn list(inside: &[u8]) -> Result<Repeat, String> {
    let mut sets = groups(inside)?.into_iter();
    let variables = sets.next().unwrap_or_default();
    let variables =
        variables.iter().map(|name| variable(name)).collect::<Result<Vec<Vec<u8>>, String>>()?;
    let sets: Vec<Vec<Vec<u8>>> = sets.collect();
    if sets.is_empty() {
        return Err("a list has at least one value".to_owned());
    }
    for set in &sets {
        if set.len() > variables.len() {
            let set = set.iter().map(|value| String::from_utf8_lossy(value)).collect::<Vec<_>>();
            let noun = if variables.len() == 1 { "variable" } else { "variables" };
            return Err(format!(
                "`{{{}}}` has {} values for {} {noun}",
                set.join(", "),
                set.len(),
                variables.len()
            ));
        }
        if set.iter().flatten().any(u8::is_ascii_whitespace) {
            return Err("a value of a list has no blanks".to_owned());
        }
    }
    Ok(Repeat::List { variables, sets, place: 0 })
}

/// What commas separate; several values in braces are one.
fn groups(inside: &[u8]) -> Result<Vec<Vec<Vec<u8>>>, String> {
    let mut groups = Vec::new();
    let mut rest = inside.trim_ascii();
    while !rest.is_empty() || groups.is_empty() {
        let behind;
        if let Some(braced) = rest.strip_prefix(b"{") {
            let close = memchr::memchr(b'}', braced).ok_or("a `{` without its `}`")?;
            groups.push(values(&braced[..close]));
            behind = braced[close + 1..].trim_ascii_start();
            if !behind.is_empty() && behind[0] != b',' {
                return Err("a comma must follow `}`".to_owned());
            }
        } else {
            let comma = memchr::memchr(b',', rest).unwrap_or(rest.len());
            groups.push(vec![rest[..comma].trim_ascii().to_vec()]);
            behind = &rest[comma..];
        }
        rest = match behind.split_first() {
            Some((_, rest)) => {
                let rest = rest.trim_ascii_start();
                if rest.is_empty() {
                    // A comma at the end has an empty value behind it.
                    groups.push(vec![Vec::new()]);
                }
                rest
            }
            None => break,
        };
    }
    Ok(groups)
}

fn values(set: &[u8]) -> Vec<Vec<u8>> {
    set.split(|byte| *byte == b',').map(|value| value.trim_ascii().to_vec()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of each turn joined by `/`, turns by blanks; or the error.
    fn turns(keyword: &str, inside: &str) -> Result<String, String> {
        let mut repeat = Repeat::parse(keyword, inside.as_bytes())?;
        let (mut found, count) = (Vec::new(), repeat.count());
        loop {
            let mut turn = Vec::new();
            let is_one =
                repeat.advance(|_, value| turn.push(String::from_utf8_lossy(value).into_owned()));
            if !is_one {
                break;
            }
            found.push(turn.join("/"));
        }
        assert_eq!(count, found.len() as u64, "{inside}");
        Ok(found.join(" "))
    }

    #[test]
    fn sequences_count_both_ways() {
        for (inside, expected) in [
            ("X,3", "1 2 3"),
            ("X, 1", "1"),
            ("X,0", "1 0"),
            ("X,-3", "-1 -2 -3"),
            ("X, 2, 4", "2 3 4"),
            ("X, 4, 2", "4 3 2"),
            ("X, 5, 5", "5"),
            ("X, 0, 5, 12", "0 5 10"),
            ("X, 60, -5, 50", "60 55 50"),
            ("X, 0x0f, 020", "15 16"),
            ("X, -1, 1", "-1 0 1"),
            (
                "X, 9223372036854775806, 9223372036854775807",
                "9223372036854775806 9223372036854775807",
            ),
        ] {
            assert_eq!(turns("~SEQ", inside), Ok(expected.to_owned()), "{inside}");
        }
        assert_eq!(turns("~SEQx", "X, 8, 17"), Ok("8 9 a b c d e f 10 11".to_owned()));
    }

    #[test]
    fn sequences_that_are_none() {
        for (inside, error) in [
            ("X", "a sequence has a variable and one to three numbers"),
            ("X,1,2,3,4", "a sequence has a variable and one to three numbers"),
            ("X,1,0,3", "a step of 0 leads nowhere"),
            ("X,1,-1,3", "a step of -1 does not lead from 1 to 3"),
            ("X,3,1,1", "a step of 1 does not lead from 3 to 1"),
            ("X,a", "`a` is not a number"),
            ("X,", "`` is not a number"),
            ("X,+1", "`+1` is not a number"),
            ("X,09", "`09` is not a number"),
            ("X,0x", "`0x` is not a number"),
            ("$X,1", "the variable is written without `$`: `X`"),
            ("1,1", "`1` is not the name of a variable"),
            ("", "`` is not the name of a variable"),
        ] {
            assert_eq!(turns("~SEQ", inside), Err(error.to_owned()), "{inside}");
        }
        assert!(turns("~SEQx", "X,-1").is_err());
        let huge = Repeat::parse("~SEQ", b"X,-9223372036854775807,9223372036854775807");
        assert_eq!(huge.map(|huge| huge.count()), Ok(u64::MAX));
    }

    #[test]
    fn lists_of_values_and_of_sets() {
        for (inside, expected) in [
            ("X, a, b,c", Ok("a b c")),
            ("X,a", Ok("a")),
            ("{X}, {a}, b", Ok("a b")),
            ("{X, Y}, {a, b}, {c,d}", Ok("a/b c/d")),
            ("{X,Y}, {a}, b", Ok("a/ b/")),
            ("X, a,", Ok("a ")),
            ("{X,Y},{a,b,c}", Err("`{a, b, c}` has 3 values for 2 variables")),
            ("X,{a,b}", Err("`{a, b}` has 2 values for 1 variable")),
            ("X", Err("a list has at least one value")),
            ("X,a b", Err("a value of a list has no blanks")),
            ("{X,Y", Err("a `{` without its `}`")),
            ("{X} a", Err("a comma must follow `}`")),
            ("", Err("`` is not the name of a variable")),
        ] {
            let expected = expected.map(str::to_owned).map_err(str::to_owned);
            assert_eq!(turns("~LST", inside), expected, "{inside}");
        }
    }
}
