use super::*;
use crate::conf::source::{LINE_BYTES_MAX, Source};

/// Segments as their words in parentheses (`?` behind a doubtful one), braces as they are; and the codes
/// of the diagnostics.
fn lex(text: &[u8]) -> (String, Vec<&'static str>) {
    let (sources, options) = (Sources::default(), LanguageOptions::default());
    let source = Source::new("x", text.to_vec()).expect("small");
    let file = sources.add(source).expect("the first");
    let mut lexer = Lexer::new(&sources, &[file], &options);
    let (mut words, mut diagnostics) = (Vec::new(), Diagnostics::default());
    let mut shown = String::new();
    loop {
        let first = words.len();
        match lexer.next(&mut words, &mut diagnostics) {
            Item::Segment { doubtful, .. } => {
                let segment: Vec<_> =
                    words[first..].iter().map(|word| sources.text(*word)).collect();
                shown.push_str(&format!("({})", segment.join("|")));
                if doubtful {
                    shown.push('?');
                }
            }
            Item::Open(_) => shown.push('{'),
            Item::Close(_) => shown.push('}'),
            Item::End => break,
        }
    }
    (shown, diagnostics.iter().map(|found| found.code.as_str()).collect())
}

#[test]
fn words_quotes_comments_and_braces() {
    for (text, segments) in [
        ("", ""),
        ("\n \t\n", ""),
        ("a b\tc\x0bd\x0ce", "(a|b|c|d|e)"),
        ("a b # c\n! d\ne!f", "(a|b)(e)"),
        ("a \"b # c\" d", "(a|b # c|d)"),
        ("a\"b c\"d", "(a|b c|d)"),
        ("a \"\" b", "(a||b)"),
        ("a 'b c'", "(a|'b|c')"),
        ("a # \"unbalanced", "(a)"),
        ("a { b } c", "(a){(b)}(c)"),
        ("a{b}c", "(a){(b)}(c)"),
        ("a \"{\" }", "(a|{)}"),
        ("} }", "}}"),
        ("a\r\nb\r\r\n", "(a)(b)"),
        ("notify_up \"/bin/x 'a b' \\\" c\" root", "(notify_up|\"/bin/x 'a b' \\\" c\"|root)"),
        ("misc_path /bin/x\" a b\"c d", "(misc_path|/bin/x\" a b\"c|d)"),
        ("lvs_notify_fifo_script 'a b' c", "(lvs_notify_fifo_script|'a b'|c)"),
        ("regex \"^a$\"", "(regex|\"^a$\")"),
        ("path /a?b=$c", "(path|/a?b=$c)"),
        ("path \"/${c}\"", "(path|/${c})"),
        ("caf\u{e9} \u{1f600}", "(caf\u{e9}|\u{1f600})"),
    ] {
        assert_eq!(lex(text.as_bytes()), (segments.to_owned(), vec![]), "{text:?}");
    }
}

#[test]
fn lines_are_not_continued() {
    for (text, segments, codes) in [
        ("protocol TCP \\", "(protocol|TCP|\\)?", &["E048"][..]),
        ("protocol TCP\\\na", "(protocol|TCP\\)?(a)", &["E048"]),
        ("misc_path /x\\\\", "(misc_path|/x\\\\)", &[]),
    ] {
        assert_eq!(lex(text.as_bytes()), (segments.to_owned(), codes.to_vec()), "{text:?}");
    }
}

#[test]
fn what_cannot_be_read_is_reported_and_marked() {
    let long = format!("a {}\nb", "x".repeat(LINE_BYTES_MAX - 1));
    let just = format!("a {}", "x".repeat(LINE_BYTES_MAX - 2));
    for (text, segments, codes) in [
        ("a \"b { c\n}", "(a)?}", vec!["E003"]),
        ("\"b\nc", "(c)", vec!["E003"]),
        ("a \"b\\\"c\" d", "(a|b\\|c)?", vec!["E003"]),
        ("notify_up 'a", "(notify_up)?", vec!["E003"]),
        ("a\0b\nc", "(a)(c)", vec!["E002"]),
        ("a \\# b", "(a)", vec!["W041"]),
        (long.as_str(), "(b)", vec!["E001"]),
        ("b ${A}c {", "(b|${A}c)?{", vec!["E044"]),
        ("$A=\"\nb $A c", "(b)?", vec!["E003", "E003"]),
    ] {
        assert_eq!(lex(text.as_bytes()), (segments.to_owned(), codes), "{text:?}");
    }
    assert_eq!(lex(just.as_bytes()).1, Vec::<&str>::new(), "1022 bytes are not too many");
    assert_eq!(lex(b"a \xff").1, Vec::<&str>::new(), "the lexer has no character set");
}

#[test]
fn an_open_brace_is_seen_over_blank_lines_and_comments() {
    for (text, is_open) in [
        ("a {", true),
        ("a\n{", true),
        ("a # x {\n\n ! y\n\t{", true),
        ("a", false),
        ("a\n# {", false),
        ("a\nb {", false),
        ("a }", false),
        ("$B={\na\n$B", true),
        ("$B={ \\\n x\na\n\n$B", true),
        ("a\n@^nobody-has-this-id {", true),
        ("a\n~SEQ(A, 1) {", true),
    ] {
        let (sources, options) = (Sources::default(), LanguageOptions::default());
        let source = Source::new("x", text.into()).expect("small");
        let file = sources.add(source).expect("the first");
        let mut lexer = Lexer::new(&sources, &[file], &options);
        let diagnostics = &mut Diagnostics::default();
        lexer.next(&mut Vec::new(), diagnostics);
        assert_eq!(lexer.at_open(diagnostics), is_open, "{text:?}");
    }
}
