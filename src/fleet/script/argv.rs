//! The word after `misc_path` -> program and arguments.
//!
//! A command is split twice. The first time the line is split into words (the lexer did that): quotes
//! that group are taken off, backslashes stay with what they hide. The second time the command is split
//! into arguments: quotes of both kinds group again, and the escapes are resolved, inside quotes too.
//!
//! Escapes: `\a \b \E \f \n \r \t \v`, `\nnn` (1 to 3 octal digits), `\xHH` (1 or 2 hex digits), `\cX`
//! (X and 0x1f); a backslash before anything else gives that character.
//!
//! The word after `regex` is split once only: its quotes go and its escapes are resolved at the same time.
//!
//! Source: keepalived's HEAD; 2.2 resolves escapes in both rounds and takes any number of hex digits.

use thiserror::Error;

use crate::conf::lexer::is_blank;
use crate::fleet::model::ScriptCommand;

/// Why a word is no command.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Error)]
pub enum CommandError {
    /// Nothing in it, or an empty program.
    #[error("no program in it")]
    Empty,
    /// A quote without its partner, when the command is split.
    #[error("a quote inside the command has no partner")]
    Unclosed,
    /// A backslash with nothing behind it.
    #[error("a backslash at the end of the command, with nothing behind it")]
    LoneBackslash,
    /// An escape that stands for a NUL byte, which no argument can have.
    #[error("an escape in it stands for a NUL byte")]
    Nul,
}

/// Reads the word as it stands in the file, quotes and backslashes included.
///
/// # Errors
/// Where keepalived would not know what to run either.
pub fn command(word: &[u8]) -> Result<ScriptCommand, CommandError> {
    let command = unquoted(word)?;
    let arguments = split(&command)?;
    if is_for_the_shell(&command) {
        return Ok(ScriptCommand::Shell(command.into()));
    }
    match arguments.first() {
        Some(program) if !program.is_empty() => Ok(ScriptCommand::Argv(arguments.iter().collect())),
        _ => Err(CommandError::Empty),
    }
}

/// `</dev/tcp/...` and `< /dev/tcp/...`: what only a shell understands.
fn is_for_the_shell(command: &[u8]) -> bool {
    let mut rest = command.iter().skip_while(|byte| is_blank(**byte));
    rest.next() == Some(&b'<') && rest.find(|byte| !is_blank(**byte)) == Some(&b'/')
}

/// One word without the quotes that made it one.
fn unquoted(word: &[u8]) -> Result<Vec<u8>, CommandError> {
    let mut plain = Vec::with_capacity(word.len());
    let mut quote = None;
    let mut bytes = word.iter().copied();
    while let Some(byte) = bytes.next() {
        match (byte, quote) {
            (b'\\', _) => {
                plain.push(byte);
                plain.push(bytes.next().ok_or(CommandError::LoneBackslash)?);
            }
            (_, Some(open)) if byte == open => quote = None,
            (b'"' | b'\'', None) => quote = Some(byte),
            _ => plain.push(byte),
        }
    }
    if quote.is_some() { Err(CommandError::Unclosed) } else { Ok(plain) }
}

/// The arguments of a command.
fn split(command: &[u8]) -> Result<Vec<Box<[u8]>>, CommandError> {
    let mut arguments = Vec::new();
    // `None` between two arguments; an empty one was quoted.
    let mut argument: Option<Vec<u8>> = None;
    pieces(command, |piece| match piece {
        Piece::Byte(byte, _) => argument.get_or_insert_default().push(byte),
        Piece::Quote => drop(argument.get_or_insert_default()),
        Piece::Blank => arguments.extend(argument.take().map(Vec::into_boxed_slice)),
    })?;
    arguments.extend(argument.map(Vec::into_boxed_slice));
    Ok(arguments)
}

/// One word of the file without its quotes and with its escapes resolved, each byte with its place in
/// the word: for `regex`, which is split once.
///
/// # Errors
/// As for a command.
pub(in crate::fleet) fn resolved(word: &[u8]) -> Result<Vec<(u8, usize)>, CommandError> {
    let mut bytes = Vec::with_capacity(word.len());
    pieces(word, |piece| {
        if let Piece::Byte(byte, place) = piece {
            bytes.push((byte, place));
        }
    })?;
    Ok(bytes)
}

/// What a text is made of.
enum Piece {
    /// A byte that is meant, and where it is written.
    Byte(u8, usize),
    /// A quote that opens.
    Quote,
    /// A blank that separates.
    Blank,
}

/// Takes a text apart: quotes group, escapes are resolved.
fn pieces(text: &[u8], mut each: impl FnMut(Piece)) -> Result<(), CommandError> {
    let mut quote = None;
    let mut rest = text;
    while let [byte, after @ ..] = rest {
        let place = text.len() - rest.len();
        rest = after;
        match (*byte, quote) {
            (b'\\', _) => {
                let (byte, length) = escape(rest)?;
                rest = &rest[length..];
                each(Piece::Byte(byte, place));
            }
            (byte, Some(open)) if byte == open => quote = None,
            (byte @ (b'"' | b'\''), None) => {
                quote = Some(byte);
                each(Piece::Quote);
            }
            (byte, None) if is_blank(byte) => each(Piece::Blank),
            (byte, _) => each(Piece::Byte(byte, place)),
        }
    }
    if quote.is_some() { Err(CommandError::Unclosed) } else { Ok(()) }
}

/// What stands behind a backslash: the byte it means, and how many bytes say so.
fn escape(text: &[u8]) -> Result<(u8, usize), CommandError> {
    let digits = |from: usize, base: u32, most: usize| -> usize {
        text.iter()
            .skip(from)
            .take(most)
            .take_while(|byte| char::from(**byte).is_digit(base))
            .count()
    };
    // Three octal digits go past a byte; keepalived keeps the low bits.
    let value = |digits: &[u8], base: u32| -> u8 {
        digits
            .iter()
            .filter_map(|digit| char::from(*digit).to_digit(base))
            .fold(0, |value, digit| value.wrapping_mul(base as u8).wrapping_add(digit as u8))
    };
    let (byte, length) = match *text {
        [] => return Err(CommandError::LoneBackslash),
        [b'0'..=b'7', ..] => {
            let length = digits(0, 8, 3);
            (value(&text[..length], 8), length)
        }
        [b'x', ..] if digits(1, 16, 2) > 0 => {
            let length = digits(1, 16, 2);
            (value(&text[1..=length], 16), 1 + length)
        }
        [b'c', control, ..] => (control & 0x1f, 2),
        [letter, ..] => {
            let byte = match letter {
                b'a' => 0x07,
                b'b' => 0x08,
                b'E' => 0x1b,
                b'f' => 0x0c,
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                b'v' => 0x0b,
                other => other,
            };
            (byte, 1)
        }
    };
    if byte == 0 { Err(CommandError::Nul) } else { Ok((byte, length)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The arguments, or the error.
    fn argv(word: &str) -> Result<Vec<String>, CommandError> {
        match command(word.as_bytes())? {
            ScriptCommand::Argv(arguments) => {
                // Latin-1, so that every byte is one character.
                let text =
                    |argument: &[u8]| argument.iter().map(|byte| char::from(*byte)).collect();
                Ok(arguments.iter().map(text).collect())
            }
            ScriptCommand::Shell(text) => panic!("for the shell: {text:?}"),
        }
    }

    #[test]
    fn commands_are_split_twice_and_escapes_resolved_once() {
        for (word, arguments) in [
            ("/bin/true", &["/bin/true"][..]),
            ("\"/bin/x a  b\"", &["/bin/x", "a", "b"]),
            ("'/bin/x a'", &["/bin/x", "a"]),
            ("/bin/x\" a b\"c", &["/bin/x", "a", "bc"]),
            ("\"/bin/x\"' 'a", &["/bin/x", "a"]),
            ("\" /bin/x \"", &["/bin/x"]),
            ("\"/bin/x\u{b}a\u{c}b\tc\"", &["/bin/x", "a", "b", "c"]),
            // Touching parts are one argument, empty quotes an empty one.
            ("\"/bin/x 'a b'\"", &["/bin/x", "a b"]),
            ("'/bin/x \"a b\"'", &["/bin/x", "a b"]),
            ("\"/bin/x a'b c'd\"", &["/bin/x", "ab cd"]),
            ("\"/bin/x '' a''\"", &["/bin/x", "", "a"]),
            // An escaped blank does not separate, an escaped quote does not group.
            ("\"/bin/echo a\\ b\"", &["/bin/echo", "a b"]),
            ("/bin/echo\\ b", &["/bin/echo b"]),
            ("\"/bin/echo \\\"a b\\\"\"", &["/bin/echo", "\"a", "b\""]),
            ("\"/bin/echo \\'a b\\'\"", &["/bin/echo", "'a", "b'"]),
            ("\"/bin/echo 'a\\'b'\"", &["/bin/echo", "a'b"]),
            ("\"/bin/echo a\\\\ b\"", &["/bin/echo", "a\\", "b"]),
            // Letters, inside quotes of both kinds too.
            ("\"/x \\a\\b\\E\\f\\n\\r\\t\\v\"", &["/x", "\x07\x08\x1b\x0c\n\r\t\x0b"]),
            ("\"/x '\\n' \\e\\q\\$\"", &["/x", "\n", "eq$"]),
            // Numbers.
            ("\"/x \\1\\12\\1234\\89\"", &["/x", "\x01\nS489"]),
            ("\"/x \\401\\777\"", &["/x", "\x01\u{ff}"]),
            ("\"/x \\x41\\x4\\x4g\\x414\\xFf\"", &["/x", "A\x04\x04gA4\u{ff}"]),
            ("\"/x \\xg\\x\"", &["/x", "xgx"]),
            ("\"/x \\cA\\ca\\c[\\c\"", &["/x", "\x01\x01\x1bc"]),
            ("\"/x <a\"", &["/x", "<a"]),
            ("\"<x /a\"", &["<x", "/a"]),
        ] {
            let expected = arguments.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
            assert_eq!(argv(word), Ok(expected), "{word}");
        }
    }

    #[test]
    fn what_is_no_command_says_why() {
        for (word, error) in [
            ("", CommandError::Empty),
            ("\"\"", CommandError::Empty),
            ("\"  \"", CommandError::Empty),
            ("\"'' a\"", CommandError::Empty),
            ("\"/x 'a\"", CommandError::Unclosed),
            ("'/x \"a'", CommandError::Unclosed),
            ("'/x", CommandError::Unclosed),
            ("/x\\", CommandError::LoneBackslash),
            ("\"/x \\0\"", CommandError::Nul),
            ("\"/x '\\000'\"", CommandError::Nul),
            ("\"/x \\400\"", CommandError::Nul),
            ("\"/x \\x0\"", CommandError::Nul),
            ("\"/x \\c@\"", CommandError::Nul),
            ("\"</dev/tcp/127.0.0.1/22 'a\"", CommandError::Unclosed),
        ] {
            assert_eq!(command(word.as_bytes()), Err(error), "{word}");
        }
    }

    #[test]
    fn redirections_are_for_the_shell_and_stay_as_they_are() {
        for (word, text) in [
            ("\"</dev/tcp/127.0.0.1/22\"", "</dev/tcp/127.0.0.1/22"),
            ("</dev/tcp/127.0.0.1/22", "</dev/tcp/127.0.0.1/22"),
            ("\"< /dev/tcp/h/1 && echo 'a\\ b' \\n\"", "< /dev/tcp/h/1 && echo 'a\\ b' \\n"),
        ] {
            let expected = ScriptCommand::Shell(text.as_bytes().into());
            assert_eq!(command(word.as_bytes()), Ok(expected), "{word}");
        }
    }
}
