//! Track files and what follows them, as both programs judge them.

use super::{keepalived, lint};

fn file(body: &str) -> String {
    format!("track_file t {{\n {body}\n}}\n")
}

fn check(body: &str) -> String {
    format!(
        "virtual_server 10.0.0.1 80 {{\n protocol TCP\n lvs_sched rr\n lvs_method NAT\n \
         real_server 10.0.0.2 80 {{\n FILE_CHECK {{\n {body}\n }}\n }}\n}}\n"
    )
}

#[test]
fn track_files_end_with_the_exit_codes_of_keepalived() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join("number"), "5\n").expect("a temporary file");
    std::fs::write(folder.path().join("text"), "up\n").expect("a temporary file");
    std::fs::create_dir(folder.path().join("folder")).expect("a directory");
    let at = |name: &str| format!("file {}/{name}", folder.path().display());
    let number = at("number");
    let mut texts = Vec::new();
    // What the file system says is not judged.
    for body in [
        at("gone"),
        at("gone/more"),
        at("folder"),
        at("text"),
        number.clone(),
        "file number".to_owned(),
        format!("{}\n init_file 5", at("gone/more")),
        format!("{number}\n file /dev/null"),
        String::new(),
        "file".to_owned(),
    ] {
        texts.push(file(&body));
        texts.push(file(&body) + &check("track_file t"));
    }
    for value in [
        "",
        "5",
        "-5",
        "+5",
        "254",
        "255",
        "-254",
        "-255",
        "2147483647",
        "2147483648",
        "0x5",
        "5x",
        "abc",
        "5 overwrite",
        "overwrite 5",
        "overwrite overwrite",
        "5 6",
        "5 300",
        "5 x",
        "-",
    ] {
        texts.push(file(&format!("{number}\n init_file {value}")));
    }
    for value in [
        "",
        "5",
        "+5",
        "254",
        "255",
        "-254",
        "-255",
        "2147483648",
        "abc",
        "0",
        "5 reverse",
        "5 noreverse",
        "5 x",
        "5 reverse x",
    ] {
        texts.push(file(&format!("{number}\n weight {value}")));
        texts.push(file(&number) + &check(&format!("track_file t\n weight {value}")));
    }
    for (first, second) in [("1", "3"), ("3", "2"), ("3", "3"), ("0", "3"), ("1 reverse", "3")] {
        texts.push(file(&format!("{number}\n weight {first}\n weight {second}")));
    }
    texts.push(file(&number) + &file(&number));
    for body in [
        "track_file t\n track_file t",
        "track_file nowhere",
        "track_file nowhere\n track_file t",
        "track_file t\n track_file nowhere",
        "track_file t x",
        "weight 5\n weight 6\n track_file t",
        "weight 5",
        "track_file t\n alpha",
    ] {
        texts.push(file(&number) + &check(body));
    }
    texts.push(check("track_file t") + &file(&number));
    let mut wrong = Vec::new();
    for text in texts {
        std::fs::write(folder.path().join("track.conf"), &text).expect("a temporary file");
        let theirs = keepalived(folder.path(), "track.conf");
        let ours = lint(folder.path(), "track.conf");
        if theirs.code != ours.code {
            wrong.push(format!("{theirs:#?} {ours:#?}\n{text}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
