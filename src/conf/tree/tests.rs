use super::*;
use crate::conf::Source;

/// Every root directive as text, a block in braces; and the codes of the diagnostics.
fn parse(text: &str) -> (String, Vec<&'static str>) {
    let (sources, options) = (Sources::default(), LanguageOptions::default());
    let file = sources.add(Source::new("x", text.into()).expect("small")).expect("the first");
    let mut parser = Parser::new(&sources, &[file], &options);
    let (mut tree, mut diagnostics) = (Tree::default(), Diagnostics::default());
    let mut shown = Vec::new();
    while parser.next(&mut tree, &mut diagnostics) {
        shown.push(show(tree.root().expect("just parsed"), &sources));
    }
    (shown.join("; "), diagnostics.iter().map(|found| found.code.as_str()).collect())
}

fn show(directive: Directive<'_>, sources: &Sources) -> String {
    let words: Vec<_> = directive.words().iter().map(|word| sources.text(*word)).collect();
    let words = words.join(" ");
    match directive.block() {
        None => words,
        Some(block) => {
            let children: Vec<_> = block.map(|child| show(child, sources)).collect();
            format!("{words} {{{}}}", children.join("; "))
        }
    }
}

#[test]
fn blocks_nest_wherever_the_braces_stand() {
    for (text, tree) in [
        ("instance a\nuse_pid_dir", "instance a; use_pid_dir"),
        ("virtual_server 1.1.1.1 { }", "virtual_server 1.1.1.1 {}"),
        (
            "virtual_server a 1\n{\n  alpha\n real_server b 2 { TCP_CHECK { retry 5 } }\n}\ninstance x",
            "virtual_server a 1 {alpha; real_server b 2 {TCP_CHECK {retry 5}}}; instance x",
        ),
        (
            "virtual_server_group g { 1.1.1.1 80\n 2.2.2.2 }",
            "virtual_server_group g {1.1.1.1 80; 2.2.2.2}",
        ),
        ("vrrp_instance a { track_script { b } c }", "vrrp_instance a {track_script {b}; c}"),
        ("what x { y { z } }", "what x {y {z}}"),
        (
            "global_defs { notification_email { a@b\n c@d } }",
            "global_defs {notification_email {a@b; c@d}}",
        ),
    ] {
        assert_eq!(parse(text), (tree.to_owned(), vec![]), "{text:?}");
    }
}

#[test]
fn lost_and_extra_braces_are_one_error_each() {
    for (text, tree, codes) in [
        (
            "virtual_server a {\n real_server b\n weight 1\n }\n}",
            "virtual_server a {real_server b {weight 1}}",
            vec!["E004"],
        ),
        (
            "virtual_server a {\n real_server b {\n real_server c { }\n}\nvirtual_server d { }",
            "virtual_server a {real_server b {}; real_server c {}}; virtual_server d {}",
            vec!["E007"],
        ),
        (
            "virtual_server a {\n real_server b {\n TCP_CHECK {\n}\n}\nvirtual_server d { }",
            "virtual_server a {real_server b {TCP_CHECK {}}}; virtual_server d {}",
            vec!["E007"],
        ),
        (
            "virtual_server a {\n real_server b { HTTP_GET { url { path x }\n }\n real_server c { } }",
            "virtual_server a {real_server b {HTTP_GET {url {path x}}}; real_server c {}}",
            vec!["E007"],
        ),
        ("virtual_server a { }\n}\ninstance x", "virtual_server a {}; instance x", vec!["E006"]),
        ("virtual_server a {", "virtual_server a {}", vec!["E007"]),
        ("{ instance a }\ninstance b", "instance a; instance b", vec!["E005"]),
        ("virtual_server a { { alpha } omega }", "virtual_server a {alpha; omega}", vec!["E005"]),
        ("virtual_server", "virtual_server {}", vec!["E004", "E007"]),
    ] {
        assert_eq!(parse(text), (tree.to_owned(), codes), "{text:?}");
    }
}

#[test]
fn nesting_has_a_limit() {
    let deep = format!("what {}", "{ x ".repeat(DEPTH_MAX + 1));
    assert_eq!(parse(&deep).1.last(), Some(&"E008"));
    let braces = "{".repeat(1000).replace("{{{{{{{{", "{{{{{{{{\n");
    assert_eq!(parse(&braces).1.iter().filter(|code| **code == "E008").count(), 1);
    let fits = format!("what {}{}", "{ x ".repeat(DEPTH_MAX), "}".repeat(DEPTH_MAX));
    assert_eq!(parse(&fits).1, Vec::<&str>::new());
}

#[test]
fn a_directive_is_small() {
    assert_eq!(size_of::<Node>(), 16);
}
