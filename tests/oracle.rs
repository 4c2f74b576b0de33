//! `lint --keepalived-exit-codes` against `keepalived -t`: the same exit code, for every file of the
//! corpus and for generated ones, good and damaged, but for the differences that are listed.
//!
//! RINGPROBE_ORACLE_CASES sets how many are generated (default 300), RINGPROBE_SEED where they begin.

#[path = "conf/disguise.rs"]
mod disguise;
#[path = "conf/generate/mod.rs"]
mod generate;
#[path = "oracle/judge.rs"]
mod judge;
#[path = "conf/mutate.rs"]
mod mutate;
#[path = "oracle/scripts.rs"]
mod scripts;
#[path = "oracle/track_files.rs"]
mod track_files;

use ringprobe::tick::monotonic_now;
use std::path::Path;

use generate::{Dialect, Random, configuration};
use judge::Judgement;
use mutate::edit;

fn keepalived(folder: &Path, name: &str) -> Judgement {
    judge::keepalived(folder, name, disguise::CONFIG_ID)
}

/// Whether keepalived says nothing of the file: it did not end, crashed, or ended itself by a signal.
fn says_nothing(theirs: &Judgement) -> bool {
    matches!(theirs.code, None | Some(139 | 143))
}

fn lint(folder: &Path, name: &str) -> Judgement {
    let program = env!("CARGO_BIN_EXE_ringprobe");
    let arguments = ["lint", "--keepalived-exit-codes", "--config-id", disguise::CONFIG_ID, name];
    judge::judge(folder, program, &arguments)
}

/// Why the two may differ; `None` where nothing explains it. What is excused is a complaint about one line;
/// where keepalived alone complains, all of its complaints must be.
fn explanation(text: &str, theirs: &Judgement, ours: &Judgement) -> Option<&'static str> {
    let says = |code: &&str| ours.text.contains(&format!("[{code}]"));
    match (theirs.code, ours.code) {
        (one, other) if one == other => Some("the same"),
        _ if says_nothing(theirs) => Some("keepalived does not end, crashes, or ends itself"),
        // keepalived goes on in another block, so it does or does not come to what is worse.
        (Some(2 | 5 | 6), Some(2 | 5 | 6)) if STRUCTURE.iter().any(says) => {
            Some("blocks out of step")
        }
        (Some(5), Some(0)) => {
            let excuses = complaints(&theirs.text).map(|complaint| excuse(text, complaint));
            excuses.collect::<Option<Vec<_>>>()?.into_iter().next()
        }
        (Some(5), Some(_)) => {
            complaints(&theirs.text).find_map(|complaint| excuse(text, complaint))
        }
        (Some(0), Some(5)) if errors(&ours.text).all(|error| is_taken(text, error)) => {
            Some("a value that keepalived takes for something that nobody meant")
        }
        _ => None,
    }
}

/// Line and message of what keepalived says.
fn complaints(said: &str) -> impl Iterator<Item = (Option<usize>, &str)> {
    said.lines().filter(|line| !line.trim().is_empty()).map(|line| {
        let number = line.split("Line ").nth(1).and_then(|rest| rest.split(')').next());
        (number.and_then(|number| number.parse().ok()), line)
    })
}

/// Message and line of each error of ours: `error[E013]: MESSAGE`, then `--> FILE:LINE:COLUMN`.
fn errors(said: &str) -> impl Iterator<Item = (&str, Option<usize>)> {
    let lines: Vec<&str> = said.lines().collect();
    let at = |line: &str| line.rsplit(':').nth(1)?.parse().ok();
    let found: Vec<_> = lines
        .iter()
        .enumerate()
        .filter(|(_, line)| line.starts_with("error["))
        .map(|(place, line)| {
            let next = lines.get(place + 1).filter(|next| next.trim_start().starts_with("-->"));
            (*line, next.and_then(|next| at(next)))
        })
        .collect();
    found.into_iter()
}

/// The first word of a line that something is said about.
fn keyword(text: &str, line: Option<usize>) -> Option<&str> {
    let line = text.lines().nth(line?.checked_sub(1)?)?;
    line.split(|c: char| c.is_ascii_whitespace() || "{}".contains(c)).find(|word| !word.is_empty())
}

/// What excuses one complaint of keepalived.
fn excuse(text: &str, (line, said): (Option<usize>, &str)) -> Option<&'static str> {
    if line.is_some_and(|line| is_foreign(text, line)) {
        return Some("inside of a block that is no business of checkers");
    }
    let known = |of: &[(&str, &[&str])]| {
        of.iter().any(|(words, keywords)| {
            said.contains(words)
                && match line {
                    Some(_) => keyword(text, line).is_some_and(|word| keywords.contains(&word)),
                    // What is said at the end has no line, so that its keyword must be somewhere.
                    None => keywords.iter().any(|word| text.contains(word)),
                }
        })
    };
    if known(REPLACED) {
        Some("a value that a later line replaces")
    } else if known(USERS) {
        Some("a user as 2.2 does not take one")
    } else if known(WEIGHED) {
        Some("a value of a file that nothing can weigh")
    } else {
        None
    }
}

/// Codes of problems after which the two are in different blocks.
const STRUCTURE: &[&str] = &["E003", "E004", "E005", "E006", "E007", "E010", "E011", "E044"];

/// What keepalived says of a value although another one follows, and of which keywords; here only what counts
/// is judged.
const REPLACED: &[(&str, &[&str])] = &[
    ("does not match address family of", &["bindto", "connect_ip", "sorry_server", "real_server"]),
    ("not found", &["track_file", "name", "bind_if"]),
    ("Failed to set uid/gid for misc checker script", &["user"]),
];

/// Users by their number, and groups with a colon: later versions know the one, none the other.
const USERS: &[(&str, &[&str])] = &[
    ("Error setting global script uid/gid", &["script_user"]),
    ("Unable to set default user", &["script_user"]),
];

/// A file may say anything.
const WEIGHED: &[(&str, &[&str])] = &[("outside sensible range", &["weight", "init_file"])];

/// What is refused here and silently taken there: nothing between quotes, times of thousands of years,
/// a lone point, a digest with a sign in it; and of which keywords, where not of any.
const TAKEN: &[(&str, &[&str])] = &[
    ("`` is not", &[]),
    ("`.` is not a time", &[]),
    ("to 9223372036.854775 seconds", &[]),
    ("`file` needs a file", &["file"]),
    ("is no MD5 digest", &["digest"]),
    ("`regex` takes one word", &["regex"]),
    ("`track_file` needs a name", &["track_file"]),
];

fn is_taken(text: &str, (said, line): (&str, Option<usize>)) -> bool {
    TAKEN.iter().any(|(words, keywords)| {
        let is_of = |word| keywords.is_empty() || keywords.contains(&word);
        said.contains(words) && keyword(text, line).is_none_or(is_of)
    })
}

/// Whether a line is inside of a `bfd_instance`, which is not read here.
fn is_foreign(text: &str, number: usize) -> bool {
    let mut inside = false;
    for line in text.lines().take(number) {
        inside |= line.starts_with("bfd_instance");
        if inside && line.trim_end() == "}" {
            inside = false;
        }
    }
    inside
}

fn cases() -> u64 {
    match std::env::var("RINGPROBE_ORACLE_CASES") {
        Ok(cases) => cases.parse().expect("RINGPROBE_ORACLE_CASES is a number"),
        Err(_) => 300,
    }
}

fn start() -> u64 {
    match std::env::var("RINGPROBE_SEED") {
        Ok(seed) => seed.parse().expect("RINGPROBE_SEED is a number"),
        Err(_) => 1,
    }
}

#[test]
fn the_corpus_ends_with_the_exit_codes_of_keepalived() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conf/corpus");
    let mut names: Vec<String> = std::fs::read_dir(&corpus)
        .expect("a folder of this repository")
        .map(|entry| entry.expect("readable").file_name().to_string_lossy().into_owned())
        .filter(|name| name.ends_with(".conf"))
        .collect();
    names.sort();
    assert!(names.len() >= 15, "{names:?}");
    let mut wrong = Vec::new();
    for name in names {
        let theirs = keepalived(&corpus, &name);
        let ours = lint(&corpus, &name);
        if theirs.code != ours.code {
            wrong.push(format!("{name}: {theirs:#?} {ours:#?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn generated_files_end_with_the_exit_codes_of_keepalived() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut wrong = Vec::new();
    let (mut same, mut explained, mut good) = (0, 0, 0);
    let begin = monotonic_now();
    for seed in start()..start() + cases() {
        let mut random = Random(seed);
        let dialect =
            *random.pick(&[Dialect::Keepalived22, Dialect::Keepalived22, Dialect::Replaced]);
        let mut text = configuration(random.next(), 3, dialect);
        if random.one_in(2) {
            text = disguise::disguise(&text, &mut random);
        }
        // A third stays as it is.
        for _ in 0..random.below(3) {
            edit(&mut text, &mut random);
        }
        let name = format!("{seed}.conf");
        std::fs::write(folder.path().join(&name), &text).expect("a temporary file");
        let theirs = keepalived(folder.path(), &name);
        let ours = lint(folder.path(), &name);
        good += u32::from(theirs.code == Some(0));
        match explanation(&text, &theirs, &ours) {
            Some("the same") => same += 1,
            Some(_) => explained += 1,
            None => wrong.push(format!(
                "RINGPROBE_SEED={seed} RINGPROBE_ORACLE_CASES=1: keepalived {:?}, ringprobe {:?}\n{}\n{}",
                theirs.code, ours.code, theirs.text, ours.text
            )),
        }
    }
    let took = monotonic_now().since(begin);
    println!("{same} the same ({good} of them without a problem), {explained} explained, {took:?}");
    assert!(wrong.is_empty(), "{} of {} differ\n{}", wrong.len(), cases(), wrong.join("\n"));
    // What is explained may hide what is wrong, so there is little of it.
    assert!(explained <= 3 + cases() / 20, "{explained} explained");
    let is_enough = cases() < 100 || u64::from(good) > cases() / 10;
    assert!(is_enough, "a comparison of broken files alone says little: {good} good ones");
}

/// Lines that are good or bad by one word.
#[test]
fn single_lines_end_with_the_exit_codes_of_keepalived() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let service = |inside: &str| {
        format!("virtual_server 10.0.0.1 80 {{\n protocol TCP\n lvs_sched rr\n {inside}\n}}\n")
    };
    let method = |line: &str| service(&format!("{line}\n real_server 10.0.0.2 80 {{\n }}"));
    let server =
        |line: &str| service(&format!("lvs_method NAT\n real_server 10.0.0.2 80 {{\n {line}\n }}"));
    let group = |line: &str| {
        let uses = "virtual_server group g {\n protocol TCP\n lvs_sched rr\n lvs_method NAT\n";
        format!(
            "virtual_server_group g {{\n {line}\n}}\n{uses} real_server 10.0.0.2 80 {{\n }}\n}}\n"
        )
    };
    let mut texts = vec![
        service(""),
        service("sorry_server 10.0.0.9 80"),
        service("").replace("10.0.0.1 80", "group nowhere"),
        group("10.0.0.5-6 80"),
        group("10.0.0.5-5 80"),
        group("10.0.0.5-10.0.0.5 80"),
        group("10.0.0.5-4 80"),
        group("10.0.0.5 80\n}\nvirtual_server_group g {\n 10.0.0.6 80"),
        server("SMTP_CHECK {\n host {\n connect_ip 10.0.0.9\n }\n }"),
        server("TCP_CHECK {\n bindto ::1\n connect_ip 10.0.0.9\n }"),
    ];
    for words in [
        "csum",
        "remcsum",
        "nocsum",
        "type gre csum",
        "type gre remcsum",
        "csum type gre",
        "remcsum type gre",
        "type ipip port 5",
        "type gue port 5 remcsum",
        "type gue csum",
        "port 5 type gue",
    ] {
        texts.push(method(&format!("lvs_method TUN {words}")));
    }
    for checker in ["TCP_CHECK", "PING_CHECK", "UDP_CHECK", "DNS_CHECK", "SMTP_CHECK"] {
        for line in ["bindto ::1", "bindto 127.0.0.1", "connect_ip ::1", "connect_ip fe80::1"] {
            texts.push(server(&format!("{checker} {{\n {line}\n }}")));
        }
    }
    for keyword in [
        "snmp_socket",
        "notify_fifo",
        "lvs_notify_fifo",
        "startup_script",
        "checker_priority",
        "checker_rt_priority",
        "default_interface",
        "router_id",
        "lvs_timeouts",
        "lvs_sync_daemon",
        "notification_email_from",
        "smtp_helo_name",
        "reload_time_file",
    ] {
        texts.push(format!("global_defs {{\n {keyword}\n}}\n{}", server("TCP_CHECK {\n }")));
    }
    let mut wrong = Vec::new();
    for text in texts {
        std::fs::write(folder.path().join("line.conf"), &text).expect("a temporary file");
        let theirs = keepalived(folder.path(), "line.conf");
        let ours = lint(folder.path(), "line.conf");
        if theirs.code != ours.code {
            wrong.push(format!(
                "{:?} {:?}\n{text}{}{}",
                theirs.code, ours.code, theirs.text, ours.text
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
