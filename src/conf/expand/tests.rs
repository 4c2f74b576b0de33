use super::*;
use crate::conf::options::Environment;
use crate::conf::source::Source;

/// Every line behind its number, and the codes of the diagnostics.
fn expand_with(text: &str, options: &LanguageOptions) -> (Vec<String>, Vec<&'static str>) {
    let sources = Sources::default();
    let root = sources.add(Source::new("x", text.into()).expect("small")).expect("the first");
    read(&sources, &[root], options)
}

/// The same of files that are there already.
fn read(
    sources: &Sources,
    roots: &[FileId],
    options: &LanguageOptions,
) -> (Vec<String>, Vec<&'static str>) {
    let mut diagnostics = Diagnostics::default();
    let mut expander = Expander::new(sources, roots, options);
    let mut lines = Vec::new();
    while let Some(line) = expander.next(&mut diagnostics) {
        let span = Span::new(line.file, line.start as usize, line.end as usize);
        assert_eq!(sources.line(span), line.number, "{}", sources.text(span));
        lines.push(format!("{} {}", line.number, sources.text(span)));
    }
    (lines, diagnostics.iter().map(|found| found.code.as_str()).collect())
}

fn options() -> LanguageOptions {
    LanguageOptions {
        config_id: Some("me".to_owned()),
        random_seed: Some(1),
        environment: Environment::Given([("A".to_owned(), "b c".to_owned())].into()),
        ..LanguageOptions::default()
    }
}

/// The same, the lines joined by ` | `.
fn expand(text: &str) -> (String, Vec<&'static str>) {
    let (lines, codes) = expand_with(text, &options());
    (lines.join(" | "), codes)
}

/// The same of bytes that need not be UTF-8.
fn expand_bytes(text: &[u8]) -> (String, Vec<&'static str>) {
    let sources = Sources::default();
    let root = sources.add(Source::new("x", text.to_vec()).expect("small")).expect("the first");
    let (lines, codes) = read(&sources, &[root], &options());
    (lines.join(" | "), codes)
}

#[test]
fn lines_that_need_nothing_are_not_copied() {
    let sources = Sources::default();
    let text = " a b # c\r\n\n# d\n\te \"#\" {\n$A=1\n@me f\n@^me g\n@^you h $B\n";
    let root = sources.add(Source::new("x", text.into()).expect("small")).expect("the first");
    let options = options();
    let (lines, codes) = read(&sources, &[root], &options);
    assert_eq!(lines, ["1 a b", "4 e \"#\" {", "6 f", "8 h $B"]);
    assert!(codes.is_empty());
    assert_eq!(sources.iter().count(), 1, "nothing was made");
}

#[test]
fn parameters() {
    for (text, lines) in [
        ("$A=1\nx $A ${A}y", "2 x 1 1y"),
        ("  $A = 1", ""),
        ("x $A\n$A=1\nx $A\n$A=2 # c\nx $A", "1 x $A | 3 x 1 | 5 x 2"),
        ("$A=\nx $A\n$A", "2 x"),
        ("$A=  b   c  \nx${A}x", "2 xb   cx"),
        // A value is looked at where it is used.
        ("$A=${B}\n$B=1\nx $A\n$B=2\nx $A", "3 x 1 | 5 x 2"),
        ("$A=b { c }\n$A", "2 b { c }"),
        ("x \"${A}\"", "1 x \"${A}\""),
        ("x ${_ENV A} ${_ENV B}", "1 x b c"),
        ("x ${_INSTANCE}", "1 x me"),
        ("x \"${_HASH}\"", "1 x \"#\""),
        // 2.2 damages the line, where bounds are given and something follows.
        ("x ${_RANDOM 1 1}y \"${_RANDOM 2 2}\"", "1 x 1y \"2\""),
        ("$_PWD=/y\nx ${_PWD}", "2 x /y"),
    ] {
        let codes = if text.contains("$A = ") { vec!["E045"] } else { vec![] };
        assert_eq!(expand(text), (lines.to_owned(), codes), "{text:?}");
    }
}

#[test]
fn definitions_of_several_lines() {
    for (text, lines) in [
        ("$A=b \\\n c\n$A", "3 b | 3 c"),
        // One line is no block, so it may stand anywhere.
        ("$A= \\\n b\nx $A y", "3 x b y"),
        // Definitions inside are made when it is used.
        ("$B= \\\n $C=${N} \\\n x $C \\\n y\n$N=1\n$B\n$N=2\n$B", "6 x 1 | 6 y | 8 x 2 | 8 y"),
        ("$I= \\\n i1 \\\n i2\n$O= \\\n o1 \\\n $I \\\n o2\n$O", "8 o1 | 8 i1 | 8 i2 | 8 o2"),
        ("$I= \\\n i1 \\\n i2\n$O= \\\n o1 $I \\\n ${I}\n$O", "7 o1 i1 | 7 i2 | 7 i1 | 7 i2"),
        ("$A= \\\n @me b \\\n @you c \\\n ~SEQ(N, 2) d $N\n$A", "5 b | 5 d 1 | 5 d 2"),
        ("$A=x\\#y \\\n z\nb $A", "3 b x"),
    ] {
        let codes = if text.contains('#') && text.contains("\\#") { vec!["W041"] } else { vec![] };
        let (found, reported) = expand(text);
        let expected = if codes.is_empty() { lines.to_owned() } else { format!("{lines} | 3 z") };
        assert_eq!((found, reported), (expected, codes), "{text:?}");
    }
}

/// keepalived goes on with the new value, whatever defines it.
#[test]
fn a_line_of_a_parameter_may_define_it_anew() {
    for (text, lines) in [
        ("$A= \\\n $A=b \\\n c \\\n $A d\n$A\n$A", "5 c | 5 b d | 6 b"),
        ("$A= \\\n x \\\n $A=y \\\n $A\n$A", "5 x | 5 y"),
        ("$A= \\\n x \\\n ~SEQ(A, 2) y $A\n$A", "4 x | 4 y 1 | 4 y 2"),
    ] {
        assert_eq!(expand(text), (lines.to_owned(), vec![]), "{text:?}");
    }
    // By a detour it is itself again.
    let (_, codes) = expand("$B= \\\n $A=$B \\\n x $A \\\n y\n$B");
    assert_eq!(codes, ["E037"]);
}

#[test]
fn conditions() {
    for (text, lines) in [
        ("@me a\n@you b\n@^me c\n@^you d", "1 a | 4 d"),
        ("@me\n@^you\n@me # c\n@mex a", ""),
        ("@me $A=1\n@you $A=2\nx $A", "3 x 1"),
        ("@me ~SEQ(N, 2) a $N\n@you ~SEQ(N, 2) b", "1 a 1 | 1 a 2"),
        ("@me {\n@me }", "1 { | 2 }"),
        // The manual's way to choose lines by a parameter.
        ("$IF=@me\n$IF a\n$IF=@you\n$IF b", "2 a"),
        ("$IF=@^you\n$IF a b", "2 a b"),
    ] {
        assert_eq!(expand(text), (lines.to_owned(), vec![]), "{text:?}");
    }
}

#[test]
fn conditions_on_one_line_have_no_bound_of_their_own() {
    let text = format!("{}a $A", "@^you @me ".repeat(90));
    let text = format!("$A=1\n{text}");
    assert_eq!(expand(&text), ("2 a 1".to_owned(), vec![]));
}

#[test]
fn repetitions() {
    for (text, lines) in [
        ("~SEQ(N, 3) a $N", "1 a 1 | 1 a 2 | 1 a 3"),
        ("~SEQx(N, 9, 11) a ${N}b", "1 a 9b | 1 a ab | 1 a bb"),
        ("~LST(N, a, b) x $N", "1 x a | 1 x b"),
        ("~LST({N, W}, {1, 2}, {3}) x ${N}-${W}", "1 x 1-2 | 1 x 3-"),
        ("~SEQ(A, 2) ~SEQ(B, 2) x ${A}${B}", "1 x 11 | 1 x 12 | 1 x 21 | 1 x 22"),
        ("~SEQ(A, 2) ~LST(B, x, y) $B $A", "1 x 1 | 1 y 1 | 1 x 2 | 1 y 2"),
        ("$L=2\n$H=3\n~SEQ(A, $L, ${H}) x $A", "3 x 2 | 3 x 3"),
        ("$B= \\\n s $N { \\\n }\n~SEQ(N, 2) $B", "4 s 1 { | 4 } | 4 s 2 { | 4 }"),
        ("$B= \\\n s $N { \\\n }\n~SEQ(N, 2) x $B", "4 x s 1 { | 4 } | 4 x s 2 { | 4 }"),
        // What comes out of a parameter repeats as well.
        ("$R=~SEQ(N, 2)\n$R x $N", "2 x 1 | 2 x 2"),
        ("$R=~SEQ(N, 2) x $N\n$R", "2 x 1 | 2 x 2"),
        ("~SEQ(N, 2) $V=$N\nx $V $N", "2 x 2 2"),
        ("~SEQ(N, 2)\nx", "2 x"),
        ("~SEQ(N, 2) # c\n~else x", "2 ~else x"),
        // Blanks before the parenthesis, as keepalived has it.
        ("~SEQ (N, 2) a $N", "1 a 1 | 1 a 2"),
        ("~SEQx\t (N, 10, 11) a $N", "1 a a | 1 a b"),
        ("x { ~LST  (N, b) a $N", "1 x { | 1 a b"),
        ("$R=~SEQ (N, 2)\n$R a $N", "2 a 1 | 2 a 2"),
    ] {
        assert_eq!(expand(text), (lines.to_owned(), vec![]), "{text:?}");
    }
}

#[test]
fn what_is_wrong_is_reported_once() {
    let long = format!("$A={}\n$B={}\nx ${{A}}$B", "a".repeat(600), "b".repeat(600));
    let deep: String = (0..80).map(|n| format!("$B{n}= \\\n b \\\n $B{}\n", n + 1)).collect();
    let deep = format!("{deep}$B80=x\n$B0\ny");
    for (text, lines, codes) in [
        ("$A=${A}\nx $A {", "2 x $A {", vec!["E037"]),
        ("$A=$B\n$B=$A\nx $A", "3 x $A", vec!["E037"]),
        ("$A= \\\n b \\\n $A\n$A", "4 b | 4 $A", vec!["E037"]),
        ("$A= \\\n b \\\n ~SEQ(N, 2) $A\n$A", "4 b | 4 $A | 4 $A", vec!["E037", "E037"]),
        ("$A= \\\n b \\\n c\nx $A y", "4 x $A y", vec!["E039"]),
        ("~SEQ(N, 1, 0, 2) x", "", vec!["E040"]),
        ("~SEQ(N, 2 x", "", vec!["E040"]),
        ("~LST(N, {a, b}) x", "", vec!["E040"]),
        ("~SEQ x (N, 2) y\nz", "2 z", vec!["E040"]),
        ("~SEQy(N, 2) y", "", vec!["E040"]),
        ("~LST", "", vec!["E040"]),
        ("include\nx", "2 x", vec!["E075"]),
        ("x {\n includea # c\n}", "1 x { | 3 }", vec!["E075"]),
        ("x { include", "1 x {", vec!["E075"]),
        ("$F=\ninclude $F", "", vec!["E075"]),
        ("~SEQ(N, 99999999999) x\ny", "2 y", vec!["E041"]),
        ("$A= \\\n b \\", "", vec!["E042"]),
        ("$A=b \\", "", vec!["E042"]),
        ("@you $A= \\\n b\nx", "2 b | 3 x", vec!["E047"]),
        ("x ${_RANDOM 1 a}", "1 x ${_RANDOM 1 a}", vec!["E043"]),
        ("x ${_RANDOM 2 1}", "1 x 2", vec!["W055"]),
        ("$A=1\nx $A.2", "2 x $A.2", vec!["W058"]),
        ("x ${A}", "1 x ${A}", vec!["E044"]),
        ("$B=y\nx ${A} $B", "2 x ${A} y", vec!["E044"]),
        ("x ${_HASH} y", "1 x", vec!["W041"]),
        ("x \\# y", "1 x", vec!["W041"]),
        ("\\# y", "", vec!["W041"]),
        ("$A=x \"\n$A y", "2 x \" y", vec!["E003", "E003"]),
        (&long, "3 x ${A}$B", vec!["E038"]),
        ("$A= \\\n a\"b \\\n c\n$A", "4 a\"b | 4 c", vec!["E003"]),
    ] {
        let (found, reported) = expand(text);
        // What is left in doubt is handed out as it stands, so that its braces count.
        assert_eq!(reported, codes, "{text:?}");
        if !text.starts_with("$A=aaa") {
            assert_eq!(found, lines, "{text:?}");
        }
    }
    let (_, codes) = expand(&deep);
    assert_eq!(codes, ["E046"]);
}

#[test]
fn a_long_expansion_is_handed_out_in_pieces() {
    let sources = Sources::default();
    let text = "a\n~SEQ(N, 40000) real_server 10.0.0.1 $N\nb\n";
    let root = sources.add(Source::new("x", text.into()).expect("small")).expect("the first");
    let options = options();
    let (lines, codes) = read(&sources, &[root], &options);
    assert!(codes.is_empty());
    assert_eq!(lines.len(), 40_002);
    assert_eq!((lines[0].as_str(), lines[40_001].as_str()), ("1 a", "3 b"));
    assert_eq!(lines[40_000], "2 real_server 10.0.0.1 40000");
    assert!(sources.iter().count() > 3, "{}", sources.iter().count());
}

#[test]
fn lines_that_are_made_have_a_limit_that_can_be_raised() {
    let made = |text: &str, most| {
        let options = LanguageOptions { lines_max: most, ..options() };
        let (lines, codes) = expand_with(text, &options);
        (lines.len(), codes)
    };
    let fine = vec![];
    assert_eq!(made("~SEQ(N, 10) x", Some(10)), (10, fine.clone()));
    assert_eq!(made("~SEQ(N, 11) x\ny", Some(10)), (1, vec!["E041"]));
    // A turn of the outer one counts as a line too.
    assert_eq!(made("~SEQ(N, 3) ~SEQ(M, 3) x", Some(12)), (9, fine.clone()));
    assert_eq!(made("~SEQ(N, 3) ~SEQ(M, 3) x", Some(11)), (6, vec!["E041"]));
    // What stands in the file is not made.
    assert_eq!(made(&"x\n".repeat(20), Some(10)), (20, fine));
    assert_eq!(made("~SEQ(N, 100000) x", None), (100_000, vec![]));
    assert_eq!(made("~SEQ(N, 100001) x", None), (0, vec!["E041"]));
    assert_eq!(made("~SEQ(N, 100001) x", Some(100_001)), (100_001, vec![]));
    // Of all lines together, however few each one makes.
    let many = "~SEQ(N, 100000) x\n".repeat(13);
    assert_eq!(made(&many, None), (1_200_000, vec!["E041"]));
}

/// One line may not make more out of itself than the others have together.
#[test]
fn one_line_makes_so_many_and_no_more() {
    let made = |text: &str| {
        let (lines, codes) = expand_with(text, &options());
        (lines.len(), codes)
    };
    assert_eq!(made("~SEQ(N, 300) ~SEQ(M, 300) x\n~SEQ(N, 300) ~SEQ(M, 300) x"), (180_000, vec![]));
    assert_eq!(made("~SEQ(N, 400) ~SEQ(M, 400) x").1, ["E041"]);
    let doubled = |levels: usize| {
        let block = |n: usize| format!("$A{n}= \\\n $A{} \\\n $A{}\n", n - 1, n - 1);
        (1..=levels).map(block).fold("$A0=x\n".to_owned(), |text, block| text + &block)
    };
    assert_eq!(made(&format!("{}$A15\n$A15", doubled(15))), (65_536, vec![]));
    assert_eq!(made(&format!("{}$A29\ny", doubled(29))).1, ["E041"]);
    // Each turn has its own.
    let block = "$S= \\\n a \\\n b \\\n c\n$ALL= \\\n ~SEQ(N, 50000) $S \\\n z\n";
    assert_eq!(made(&format!("{block}~SEQ(N, 50000) $S")), (150_000, vec![]));
    assert_eq!(made(&format!("{block}$ALL")), (150_001, vec![]));
}

#[test]
fn the_limit_that_was_met_is_the_one_that_is_said() {
    let said = |text: &str, lines_max| {
        let sources = Sources::default();
        let root = sources.add(Source::new("x", text.into()).expect("small")).expect("the first");
        let options = LanguageOptions { lines_max, ..options() };
        let mut diagnostics = Diagnostics::default();
        let mut expander = Expander::new(&sources, &[root], &options);
        while expander.next(&mut diagnostics).is_some() {}
        diagnostics.iter().map(|found| found.message.clone()).collect::<Vec<_>>()
    };
    let block = "$S= \\\n a \\\n b \\\n c\n";
    for (text, lines_max, message) in [
        (format!("{block}$S"), Some(1), "this line makes more than 1 lines: the rest is not read"),
        (
            format!("{block}$S\n$S"),
            Some(3),
            "parameters and repetitions make more than 3 lines: the rest is not read",
        ),
        ("~SEQ(N, 5) x".to_owned(), Some(4), "`~SEQ` of 5 turns: one line makes 4 lines at most"),
        (
            "~SEQ(N, 100001) x".to_owned(),
            None,
            "`~SEQ` of 100001 turns: one line makes 100000 lines at most",
        ),
    ] {
        assert_eq!(said(&text, lines_max), [message], "{text}");
    }
}

/// What 2.2 makes of a definition; later versions go on behind such a line.
#[test]
fn a_line_without_anything_ends_a_definition() {
    for (text, lines, codes) in [
        ("$A=\\\n a\\\n\n b\n$A", "4 b | 5 a", &["W115"][..]),
        ("$A=\\\n a\\\n \t \r\n b\n$A", "4 b | 5 a", &["W115"]),
        ("$A=\\\n a\\\n # c\n b\n$A", "4 b | 5 a", &["W115"]),
        ("$A=\\\n\n b\nx $A", "3 b | 4 x", &["W115"]),
        ("$A=\\\n a\\\n\nb\nx $A", "4 b | 5 x a", &["W115"]),
        ("$A=\\\n a\\\n # c\\\n b\n$A", "5 a | 5 b", &[]),
        ("$A=\\\n a\\ # c\n \\\n b\n$A", "5 a | 5 b", &[]),
        ("$A=a\n\nx $A", "3 x a", &[]),
        ("$A= \\\n b \\\n\n # c\n c { \\\n }\nx $A\ny", "5 c { \\ | 6 } | 7 x b | 8 y", &["W115"]),
        ("$A= \\\n\n \\\n\nx\ny $A", "3 \\ | 5 x | 6 y", &["W115"]),
    ] {
        let (found, reported) = expand(text);
        assert_eq!((found.as_str(), &reported[..]), (lines, codes), "{text:?}");
    }
}

#[test]
fn what_a_file_is_encoded_in_is_said_once() {
    let (lines, codes) = expand_bytes(b"\xff\xfeg\0l\0\n\0}\0\n\0");
    assert_eq!((lines.as_str(), codes), ("", vec!["E002"]));
    assert_eq!(expand_bytes(b"\xef\xbb\xbfx y\n"), ("1 x y".to_owned(), vec!["W116"]));
    assert_eq!(expand_bytes(b"x y\0z\nw\n"), ("1 x y | 2 w".to_owned(), vec!["E002"]));
}

#[test]
fn a_run_with_a_seed_is_repeatable() {
    let text = "~SEQ(N, 20) x ${_RANDOM}";
    assert_eq!(expand(text), expand(text));
    let seeded = format!("global_defs {{ random_seed 7 }}\n{text}");
    let unseeded = LanguageOptions { random_seed: None, ..options() };
    assert_eq!(expand_with(&seeded, &unseeded), expand_with(&seeded, &unseeded));
    assert_ne!(expand_with(text, &options()).0, expand_with(text, &unseeded).0);
}

/// A directory with the files of `files`, and what is read of `main`.
fn include(files: &[(&str, &str)], options: &LanguageOptions) -> (String, Vec<&'static str>) {
    let place = tempfile::tempdir().expect("a directory for temporary files");
    for (name, text) in files {
        let path = place.path().join(name);
        std::fs::create_dir_all(path.parent().expect("inside")).expect("made");
        std::fs::write(path, text).expect("written");
    }
    let path = place.path().join("main");
    let text = std::fs::read(&path).expect("just written");
    let sources = Sources::default();
    let root = Source::of_file(&path, text).expect("small");
    let root = sources.add(root).expect("the first");
    let (lines, codes) = read(&sources, &[root], options);
    (lines.join(" | "), codes)
}

#[test]
fn what_follows_a_brace_is_read_as_a_line() {
    for (text, lines) in [
        ("x { $A=3\nweight $A", "1 x { | 2 weight 3"),
        ("} } $A=3\ny $A", "1 } } | 2 y 3"),
        ("x { @you weight 3", "1 x {"),
        ("x { @^you weight 3 }", "1 x { | 1 weight 3 }"),
        ("} ~SEQ(I, 1, 2) x $I { }", "1 } | 1 x 1 { } | 1 x 2 { }"),
        ("x { $A=a \\\nb\n$A", "1 x { | 3 a | 3 b"),
        ("x { include no*", "1 x {"),
        // Neither in quotes nor in a parameter's braces.
        ("x \"{ $A=3\"", "1 x \"{ $A=3\""),
        ("$A=1\nx ${A} @y", "2 x 1 @y"),
        // What a parameter brings in takes all of its line.
        ("$S=~SEQ(N, 2, 3) x $N\n$S { @you y }", "2 x 2 { | 2 x 3 {"),
        ("x { y $A { z }", "1 x { y $A { z }"),
    ] {
        assert_eq!(expand(text), (lines.to_owned(), vec![]), "{text:?}");
    }
}

/// The glob crate panics at such names.
#[test]
fn names_of_files_need_not_be_utf_8() {
    use std::os::unix::ffi::OsStrExt;
    let place = tempfile::tempdir().expect("a directory for temporary files");
    let folder = place.path().join(std::ffi::OsStr::from_bytes(b"caf\xe9"));
    std::fs::create_dir(&folder).expect("made");
    for (name, text) in
        [(&b"a.conf"[..], "a"), (b"b\xff.conf", "b"), (b"\xff", "c"), (b".d.conf", "d")]
    {
        std::fs::write(folder.join(std::ffi::OsStr::from_bytes(name)), text).expect("written");
    }
    std::fs::write(folder.join("main"), "include *.conf\ninclude .?.conf\n").expect("written");
    let sources = Sources::default();
    let path = folder.join("main");
    let text = std::fs::read(&path).expect("just written");
    let root = sources.add(Source::of_file(&path, text).expect("small")).expect("the first");
    let (lines, codes) = read(&sources, &[root], &options());
    assert_eq!((lines.join(" | "), codes), ("1 a | 1 b | 1 d".to_owned(), vec![]));
}

#[test]
fn included_files_are_read_in_their_place() {
    for (files, lines) in [
        (vec![("main", "a\ninclude b\nd"), ("b", "b\nc\n")], "1 a | 1 b | 2 c | 3 d"),
        (vec![("main", "include s/a\nx $A"), ("s/a", "include b"), ("s/b", "$A=1")], "2 x 1"),
        (
            vec![
                ("main", "include s/*\ninclude {b,a}"),
                ("s/2", "x2"),
                ("s/1", "x1"),
                ("a", "a"),
                ("b", "b"),
            ],
            "1 x1 | 1 x2 | 1 b | 1 a",
        ),
        (vec![("main", "a {\ninclude b\nc }"), ("b", "}\nb {")], "1 a { | 1 } | 2 b { | 3 c }"),
        (
            vec![("main", "include \"b\""), ("\"b\"", "quotes are part of a name")],
            "1 quotes are part of a name",
        ),
        (vec![("main", "include b # c"), ("b", "b")], "1 b"),
        (vec![("main", "include a\\#b"), ("a#b", "b")], "1 b"),
        (vec![("main", "include b\ninclude b"), ("b", "b")], "1 b | 1 b"),
        (vec![("main", "include no*\nx")], "2 x"),
    ] {
        assert_eq!(include(&files, &options()), (lines.to_owned(), vec![]), "{files:?}");
    }
}

#[test]
fn what_is_missing_matters_as_much_as_the_keyword_says() {
    let all = LanguageOptions { include_checks: IncludeChecks::ALL, ..options() };
    // Unreadable, a name that is not there, wildcards without a match, an alternative without one.
    let cases = ["d", "no", "no*", "{a,no}"];
    for (keyword, codes) in [
        ("include", ["W054", "W054", "", "W054"]),
        ("includer", ["E033", "W054", "", "W054"]),
        ("includem", ["E033", "E034", "", "W054"]),
        ("includew", ["E033", "E034", "E034", "W054"]),
        ("includeb", ["E033", "W054", "", "E034"]),
        ("includea", ["E033", "E034", "E034", "E034"]),
    ] {
        for (pattern, code) in cases.iter().zip(codes) {
            let main = format!("{keyword} {pattern}\nx");
            let files = [("main", main.as_str()), ("a", "a"), ("d/file", "")];
            let read = if code == "W054" && *pattern == "{a,no}" { "1 a | 2 x" } else { "2 x" };
            let codes: Vec<_> = [code].into_iter().filter(|code| !code.is_empty()).collect();
            assert_eq!(include(&files, &options()), (read.to_owned(), codes), "{main}");
            let strict: Vec<_> = include(&files, &all).1;
            assert_eq!(
                strict,
                [["E033"], ["E034"], ["E034"], ["E034"]]
                    [cases.iter().position(|case| case == pattern).unwrap_or(0)],
                "{main}"
            );
        }
    }
}

#[test]
fn include_check_holds_until_the_file_ends() {
    let files = [
        ("main", "include b\ninclude no\nglobal_defs {\ninclude_check match\n}\ninclude no"),
        ("b", "global_defs { include_check }\ninclude no*"),
    ];
    let (_, codes) = include(&files, &options());
    assert_eq!(codes, ["E034", "W054", "E034"]);
}

/// As keepalived does; each of these was held against `keepalived -t`.
#[test]
fn include_check_and_random_seed_are_words_of_global_defs_alone() {
    for (text, code) in [
        ("global_defs {\n include_check match\n}", "E034"),
        ("global_defs\n{\n include_check match\n}", "E034"),
        ("global_defs\n{ include_check match\n}", "E034"),
        ("global_defs { router_id x } global_defs { include_check match }", "E034"),
        ("global_defs {\n notification_email {\n a@b\n }\n include_check match\n}", "E034"),
        ("global_defs {\n notification_email\n {\n a@b\n }\n include_check match\n}", "E034"),
        ("global_defs {\n router_id \"}\"\n include_check match\n}", "E034"),
        ("global_defs {\n {\n include_check match\n }\n}", "E034"),
        ("global_defs\n include_check match\n}", "E034"),
        ("$C=include_check match\nglobal_defs {\n $C\n}", "E034"),
        ("include_check match", "W054"),
        ("virtual_server 10.0.0.1 80 {\n include_check match\n}", "W054"),
        ("vrrp_instance a\n{\n include_check match\n}", "W054"),
        ("virtual_server_group g {\n include_check match\n}", "W054"),
        ("global_defs {\n notification_email {\n include_check match\n }\n}", "W054"),
        ("global_defs {\n notification_email\n include_check match\n }\n}", "W054"),
        ("global_defs {\n}\nwhat { include_check match }", "W054"),
    ] {
        let main = format!("{text}\ninclude no");
        assert_eq!(include(&[("main", &main)], &options()).1, [code], "{text}");
        // Those of the same seed are alike, and others are not.
        let main = text.replace("include_check match", "random_seed 7");
        let main = format!("{main}\n~SEQ(N, 20) x ${{_RANDOM}}");
        let unseeded = LanguageOptions { random_seed: None, ..options() };
        let read = || include(&[("main", &main)], &unseeded).0;
        assert_eq!(read() == read(), code == "E034", "{main}");
    }
}

#[test]
fn includes_have_an_end() {
    let (_, codes) = include(&[("main", "include main\nx")], &options());
    assert_eq!(codes, ["E035"]);
    let (_, codes) =
        include(&[("main", "include a"), ("a", "include ./b"), ("b", "include main")], &options());
    assert_eq!(codes, ["E035"]);
    let names: Vec<String> = (0..50).map(|n| format!("f{n}")).collect();
    let texts: Vec<String> = (0..50).map(|n| format!("include f{}", n + 1)).collect();
    let mut files = vec![("main", "include f0")];
    files.extend(names.iter().map(String::as_str).zip(texts.iter().map(String::as_str)));
    assert_eq!(include(&files, &options()).1, ["E035"]);
    // Two of the next at each level: it would be 2^30 files.
    let texts: Vec<String> =
        (0..30).map(|n| format!("include f{}\ninclude f{}", n + 1, n + 1)).collect();
    let mut files = vec![("main", "include f0")];
    files.extend(names.iter().map(String::as_str).zip(texts.iter().map(String::as_str)));
    assert_eq!(include(&files, &options()).1.last(), Some(&"E036"));
}

#[test]
fn an_include_behind_a_condition_is_read_once() {
    let files = [
        ("main", "@me include b\n@you include b\n$F=b\ninclude $F\n~LST(N, b) include $N"),
        ("b", "x"),
    ];
    let (lines, codes) = include(&files, &options());
    assert_eq!((lines.as_str(), codes), ("1 x | 1 x | 1 x", vec!["W057", "W057", "W057"]));
}
