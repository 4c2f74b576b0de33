//! A pattern of `regex` and its options -> whether PCRE2, which keepalived uses too, takes it.
//!
//! The crate has no switch for every option. What it has none for is said inside the pattern where PCRE2
//! has words for it, and refused by hand where it forbids something. Options that decide only what
//! matches, not what is valid, are left out.

use pcre2::bytes::RegexBuilder;

/// Options that make patterns valid which are not valid without them, and that cannot be set here.
const OPTIONS_THAT_ALLOW: &[&str] = &["allow_empty_class", "alt_bsux", "alt_verbnames"];

/// Whether PCRE2 takes the pattern: if not, the offset in it and the reason.
pub(super) fn compile(bytes: &[(u8, usize)], options: &[&str]) -> Result<(), (usize, String)> {
    let has = |option: &str| options.contains(&option);
    let plain: Vec<u8> = bytes.iter().map(|(byte, _)| *byte).collect();
    let (verbs, names) = leading_verbs(&plain);
    for (forbids, option, verb) in [("never_utf", "utf", "UTF"), ("never_ucp", "ucp", "UCP")] {
        if has(forbids) && (has(option) || names.contains(&verb.as_bytes())) {
            return Err((0, format!("`{forbids}` forbids what else is asked for")));
        }
    }
    if has("never_backslash_c")
        && let Some(place) = backslash_c(&plain)
    {
        return Err((place, "`never_backslash_c` forbids `\\C`".to_owned()));
    }
    // What the crate has no switch for is said inside the pattern, behind the verbs that must come first.
    let mut inline = String::new();
    for (option, letter) in [("dupnames", 'J'), ("no_auto_capture", 'n')] {
        if has(option) {
            inline.extend(["(?", letter.encode_utf8(&mut [0; 4]), ")"]);
        }
    }
    // Each byte of the text that is compiled, by its place in the pattern.
    let mut text = String::new();
    let mut places = Vec::new();
    let mut push = |part: &str, place: usize| {
        text.push_str(part);
        places.resize(text.len(), place);
    };
    let is_text = std::str::from_utf8(&plain);
    if let (Err(error), true) = (is_text, has("utf")) {
        return Err((error.valid_up_to(), "not UTF-8, which `utf` asks for".to_owned()));
    }
    for chunk in [0..verbs, verbs..plain.len()] {
        let start = chunk.start;
        match (std::str::from_utf8(&plain[chunk.clone()]), is_text) {
            (Ok(part), Ok(_)) => {
                for (at, character) in part.char_indices() {
                    push(character.encode_utf8(&mut [0; 4]), start + at);
                }
            }
            // The crate wants text. A byte by its number means the same, but in a comment or a name.
            _ => {
                for (at, byte) in plain[chunk].iter().enumerate() {
                    match byte {
                        0x80.. => push(&format!("\\x{byte:02x}"), start + at),
                        _ => push(char::from(*byte).encode_utf8(&mut [0; 4]), start + at),
                    }
                }
            }
        }
        if start == 0 {
            push(&inline, verbs);
        }
    }
    let built = RegexBuilder::new()
        .caseless(has("caseless"))
        .dotall(has("dotall"))
        .extended(has("extended"))
        .multi_line(has("multiline"))
        .utf(has("utf"))
        .build(&text);
    let Err(error) = built else { return Ok(()) };
    if OPTIONS_THAT_ALLOW.iter().any(|option| has(option)) {
        return Ok(());
    }
    let offset = error.offset().unwrap_or(0);
    let message = error.to_string();
    let reason =
        message.rsplit_once(&format!("offset {offset}: ")).map_or(&*message, |(_, why)| why);
    Err((places.get(offset).copied().unwrap_or(plain.len()), reason.to_owned()))
}

/// How long the verbs are that a pattern begins with, `(*UTF)` and the like, and their names.
fn leading_verbs(pattern: &[u8]) -> (usize, Vec<&[u8]>) {
    let mut names = Vec::new();
    let mut length = 0;
    while let Some(rest) = pattern[length..].strip_prefix(b"(*") {
        let Some(close) = memchr::memchr(b')', rest) else { break };
        let is_verb = |byte: &u8| matches!(byte, b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'=');
        if !rest[..close].iter().all(is_verb) {
            break;
        }
        names.push(&rest[..close]);
        length += close + 3;
    }
    (length, names)
}

/// Where `\C` stands.
fn backslash_c(pattern: &[u8]) -> Option<usize> {
    let mut place = 0;
    while place + 1 < pattern.len() {
        match (pattern[place], pattern[place + 1]) {
            (b'\\', b'C') => return Some(place),
            (b'\\', _) => place += 2,
            _ => place += 1,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_compiled_says_where() {
        let wrong = |text: &str, options: &[&str]| {
            let bytes: Vec<_> = text.bytes().enumerate().map(|(at, byte)| (byte, at)).collect();
            compile(&bytes, options).err().map(|(offset, _)| offset)
        };
        for (text, options, offset) in [
            ("(", &[][..], Some(1)),
            ("a)b", &[], Some(1)),
            ("[a", &[], Some(2)),
            ("a++", &[], None),
            ("a**", &[], Some(2)),
            ("(?<n>a)(?<n>b)", &[], Some(12)),
            ("(?<n>a)(?<n>b)", &["dupnames"], None),
            ("(a)\\1", &[], None),
            ("(a)\\1", &["no_auto_capture"], Some(4)),
            ("(*UTF)(*UCP)(?<n>a)(?<n>b)", &["dupnames"], None),
            ("(*UTF)a", &["never_utf"], Some(0)),
            ("a", &["utf", "never_utf"], Some(0)),
            ("a\\\\C\\C", &["never_backslash_c"], Some(4)),
            ("[]", &[], Some(2)),
            ("[]", &["allow_empty_class"], None),
            ("\u{e9}(", &[], Some(3)),
            ("", &[], None),
        ] {
            assert_eq!(wrong(text, options), offset, "{text} {options:?}");
        }
        let bytes: Vec<_> = b"\xe9\xe9(".iter().map(|byte| (*byte, 0)).collect();
        assert_eq!(compile(&bytes, &[]).expect_err("no group").0, 3);
        assert_eq!(compile(&bytes, &["utf"]).expect_err("no text").0, 0);
        assert_eq!(compile(&bytes[..2], &[]), Ok(()));
    }
}
