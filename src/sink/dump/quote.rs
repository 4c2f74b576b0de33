//! How values must be written so that they are read as they are.
//!
//! keepalived reads most values as words, in which nothing is an escape and only double quotes keep blanks,
//! braces and comment characters together. Commands and patterns it reads as a shell would; a command even
//! twice, the line into words and the word into arguments, and 2.2 resolves escapes in both rounds where
//! later ones do in the second alone. What is written here is the same to all of them, but for a backslash
//! in an argument of a command, for which there is no spelling that is.

use crate::fleet::{ScriptCommand, UserName};

/// A word of its own.
pub(super) fn word(out: &mut Vec<u8>, value: &[u8]) {
    let is_special =
        |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b'#' | b'!' | b'{' | b'}' | 0x0b);
    // At the beginning of a line or behind a brace these begin a condition, a repetition, a definition.
    let begins_macro = matches!(value.first(), Some(b'@' | b'~' | b'$'));
    // Two backslashes before the closing quote are two; at the end of a line they look as if it went on.
    let ends_in_pairs = value.iter().rev().take_while(|byte| **byte == b'\\').count();
    let ends_in_pairs = ends_in_pairs > 0 && ends_in_pairs.is_multiple_of(2);
    let is_quoted =
        value.is_empty() || begins_macro || ends_in_pairs || value.iter().any(is_special);
    let quotes: &[u8] = if is_quoted { b"\"" } else { b"" };
    out.extend_from_slice(quotes);
    out.extend_from_slice(value);
    out.extend_from_slice(quotes);
}

/// A command, and whom it runs as where the line says so.
pub(super) fn command(out: &mut Vec<u8>, command: &ScriptCommand, user: Option<&UserName>) {
    out.push(b'"');
    match command {
        ScriptCommand::Argv(arguments) => {
            for (at, argument) in arguments.iter().enumerate() {
                if at > 0 {
                    out.push(b' ');
                }
                self::argument(out, argument);
            }
        }
        ScriptCommand::Shell(text) => shell(out, text),
    }
    out.push(b'"');
    if let Some(user) = user {
        out.push(b' ');
        self::user(out, user);
    }
}

/// `USER [[:]GROUP]`.
pub(super) fn user(out: &mut Vec<u8>, user: &UserName) {
    let (user, group) = user.words();
    word(out, user.as_bytes());
    if let Some(group) = group {
        out.push(b' ');
        word(out, group.as_bytes());
    }
}

/// One argument, inside the double quotes of its command.
fn argument(out: &mut Vec<u8>, argument: &[u8]) {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/._-+=:,@%".contains(byte);
    if !argument.is_empty() && argument.iter().all(is_plain) {
        return out.extend_from_slice(argument);
    }
    out.push(b'\'');
    for byte in argument {
        match byte {
            // Ends the single quotes; then a single quote in double quotes, which themselves have to be in
            // single quotes of the line; then single quotes again.
            b'\'' => out.extend_from_slice(b"'\"'\"'\"'\"'\"'\"'"),
            b'\\' => out.extend_from_slice(br"\\"),
            // A double quote would end the word, and a dollar could begin a parameter.
            b'"' | b'$' | 0..=0x1f | 0x7f => octal(out, *byte),
            _ => out.push(*byte),
        }
    }
    out.push(b'\'');
}

/// What a shell is given: it is taken as it stands, so nothing in it can be escaped.
fn shell(out: &mut Vec<u8>, text: &[u8]) {
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => {
                out.push(b'\\');
                out.extend(bytes.next());
            }
            b'"' => out.extend_from_slice(b"\"'\"'\""),
            _ => out.push(*byte),
        }
    }
}

/// A pattern.
pub(super) fn pattern(out: &mut Vec<u8>, pattern: &[u8]) {
    out.push(b'"');
    let mut bytes = pattern.iter().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => out.extend_from_slice(br"\\"),
            // What could be the name of a parameter; elsewhere a dollar is better left to be read.
            b'$' if bytes.peek().is_some_and(|next| !matches!(next, b')' | b'|')) => {
                octal(out, *byte);
            }
            // The line is read as plain words too, and there a backslash hides no quote.
            b'"' | 0..=0x1f | 0x7f => octal(out, *byte),
            _ => out.push(*byte),
        }
    }
    out.push(b'"');
}

fn octal(out: &mut Vec<u8>, byte: u8) {
    out.extend_from_slice(format!("\\{byte:03o}").as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{LoadOptions, ProbeSpec, load_text};

    fn argv(arguments: &[&[u8]]) -> ScriptCommand {
        ScriptCommand::Argv(arguments.iter().map(|one| Box::from(*one)).collect())
    }

    #[test]
    fn every_command_is_read_as_it_was() {
        let commands = [
            argv(&[b"/bin/true"]),
            argv(&[b"/bin/echo", b"", b"a b", b"#", b"!", b"{", b"}", b"{}"]),
            argv(&[b"/bin/echo", b"it's", b"'", b"''", b"a\"b", b"\"'\"", b"\\", b"a\\ b", b"\\n"]),
            argv(&[b"/bin/echo", b"$HOME", b"${_PWD}", b"~SEQ", b"@x", b"a\nb\tc\x01\x7f"]),
            argv(&[b"/bin/echo", b"\xff\xfe", "ä".as_bytes(), b"it's {#} \"quoted\""]),
            argv(&[b"/bin/with blank"]),
            ScriptCommand::Shell((*b"</dev/tcp/127.0.0.1/22").into()),
            ScriptCommand::Shell((*b"< /x && echo 'a b' \"c d\" \\\" | cat").into()),
        ];
        for expected in commands {
            let mut text =
                b"virtual_server 10.0.0.1 80 {\n lvs_sched rr\n lvs_method NAT\n protocol TCP\n \
                             real_server 10.0.0.2 80 {\n MISC_CHECK {\n user root\n misc_path "
                    .to_vec();
            command(&mut text, &expected, None);
            text.extend_from_slice(b"\n}\n}\n}\n");
            let shown = String::from_utf8_lossy(&text).into_owned();
            let loaded = load_text("x.conf", text, &LoadOptions::default());
            let loaded = loaded.unwrap_or_else(|error| panic!("{error}: {shown}"));
            let [ProbeSpec::Misc(spec)] = &loaded.fleet.specs[..] else { panic!("{shown}") };
            assert_eq!(spec.command, expected, "{shown}");
        }
    }

    #[test]
    fn words_are_quoted_where_they_must_be() {
        for (value, written) in [
            (&b"example.com"[..], &b"example.com"[..]),
            (b"", b"\"\""),
            (b"a b", b"\"a b\""),
            (b"a#b", b"\"a#b\""),
            (b"TCP\\", b"TCP\\"),
            (b"TCP\\\\", b"\"TCP\\\\\""),
            (b"${x}", b"\"${x}\""),
        ] {
            let mut out = Vec::new();
            word(&mut out, value);
            assert_eq!(out, written);
        }
    }

    #[test]
    fn patterns_keep_their_backslashes() {
        let mut out = Vec::new();
        pattern(&mut out, b"^\\d+ \"x\"${y}$");
        assert_eq!(out, b"\"^\\\\d+ \\042x\\042\\044{y}$\"");
    }
}
