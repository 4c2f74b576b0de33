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

/// Why the two may differ, with some of the excuses; `None` where nothing explains it. What is excused is a
/// complaint about one line; where keepalived alone complains, all of its complaints must be.
fn explanation(
    text: &str,
    theirs: &Judgement,
    ours: &Judgement,
    excuses: &[&Excuse],
) -> Option<&'static str> {
    let says = |code: &&str| ours.text.contains(&format!("[{code}]"));
    let excuse = |whose, (line, said)| {
        excuses
            .iter()
            .find(|one| one.whose == whose && one.is_of(text, line, said))
            .map(|one| one.why)
    };
    let their_excuses =
        || complaints(&theirs.text).map(|complaint| excuse(Whose::Theirs, complaint));
    match (theirs.code, ours.code) {
        (one, other) if one == other => Some("the same"),
        _ if says_nothing(theirs) => Some("keepalived does not end, crashes, or ends itself"),
        // keepalived goes on in another block, so it does or does not come to what is worse.
        (Some(2 | 5 | 6), Some(2 | 5 | 6)) if STRUCTURE.iter().any(says) => {
            Some("blocks out of step")
        }
        (Some(5), Some(0)) => their_excuses().collect::<Option<Vec<_>>>()?.into_iter().next(),
        (Some(5), Some(_)) => their_excuses().flatten().next(),
        (Some(0), Some(5)) => {
            let excuses = errors(&ours.text).map(|error| excuse(Whose::Ours, error));
            excuses.collect::<Option<Vec<_>>>()?.into_iter().next()
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

/// Line and message of each error of ours: `error[E013]: MESSAGE`, then `--> FILE:LINE:COLUMN`.
fn errors(said: &str) -> impl Iterator<Item = (Option<usize>, &str)> {
    let lines: Vec<&str> = said.lines().collect();
    let at = |line: &str| line.rsplit(':').nth(1)?.parse().ok();
    let found: Vec<_> = lines
        .iter()
        .enumerate()
        .filter(|(_, line)| line.starts_with("error["))
        .map(|(place, line)| {
            let next = lines.get(place + 1).filter(|next| next.trim_start().starts_with("-->"));
            (next.and_then(|next| at(next)), *line)
        })
        .collect();
    found.into_iter()
}

/// The first word of a line that something is said about.
fn keyword(text: &str, line: Option<usize>) -> Option<&str> {
    let line = text.lines().nth(line?.checked_sub(1)?)?;
    line.split(|c: char| c.is_ascii_whitespace() || "{}".contains(c)).find(|word| !word.is_empty())
}

/// Who complains alone.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum Whose {
    Theirs,
    Ours,
}

/// Why one of the two may complain of a line and the other not.
struct Excuse {
    whose: Whose,
    /// In what it says.
    words: &'static str,
    /// Of the line it says it of; empty for any.
    keyword: &'static str,
    why: &'static str,
    /// A file that needs this excuse, in which `SERVER` stands for a virtual server around what follows
    /// it, to the end.
    sample: &'static str,
}

impl Excuse {
    fn is_of(&self, text: &str, line: Option<usize>, said: &str) -> bool {
        said.contains(self.words)
            && match keyword(text, line) {
                _ if self.keyword.is_empty() => true,
                Some(word) => word == self.keyword,
                // What is said at the end has no line, so that its keyword must be somewhere.
                None => line.is_none() && text.contains(self.keyword),
            }
    }

    /// The whole of the sample.
    fn sample(&self) -> String {
        let (before, inside) = self.sample.split_once("SERVER").expect("a virtual server");
        format!(
            "{before}virtual_server 10.0.0.1 80 {{\n protocol TCP\n lvs_sched rr\n lvs_method NAT\n \
             real_server 10.0.0.2 80 {{\n{inside}\n }}\n}}\n"
        )
    }
}

/// Codes of problems after which the two are in different blocks.
const STRUCTURE: &[&str] = &["E003", "E004", "E005", "E006", "E007", "E010", "E011", "E044"];

const REPLACED: &str = "a value that a later line replaces: here only what counts is judged";
const NUMBER: &str =
    "a user as 2.2 does not take one: later versions know numbers, or groups with a colon";
const MEANT: &str = "a value that keepalived takes for something that nobody meant";

const EXCUSES: &[Excuse] = &[
    Excuse {
        whose: Whose::Theirs,
        words: "does not match address family of",
        keyword: "bindto",
        why: REPLACED,
        sample: "SERVER TCP_CHECK {\n bindto ::1\n bindto 127.0.0.1\n }",
    },
    Excuse {
        whose: Whose::Theirs,
        words: "does not match address family of",
        keyword: "connect_ip",
        why: REPLACED,
        sample: "SERVER TCP_CHECK {\n bindto 127.0.0.1\n connect_ip ::1\n connect_ip 10.0.0.9\n }",
    },
    Excuse {
        whose: Whose::Theirs,
        words: "Failed to set uid/gid for misc checker script",
        keyword: "user",
        why: NUMBER,
        sample: "global_defs {\n enable_script_security\n}\n\
                 SERVER MISC_CHECK {\n misc_path /bin/true\n user 0\n }",
    },
    Excuse {
        whose: Whose::Theirs,
        words: "Error setting global script uid/gid",
        keyword: "script_user",
        why: NUMBER,
        sample: "global_defs {\n script_user 0\n}\nSERVER",
    },
    Excuse {
        whose: Whose::Theirs,
        words: "Unable to set default user for misc script",
        keyword: "",
        why: NUMBER,
        sample: "global_defs {\n enable_script_security\n script_user root :root\n}\n\
                 SERVER MISC_CHECK {\n misc_path /bin/true\n }",
    },
    Excuse {
        whose: Whose::Ours,
        words: "`.` is not a time",
        keyword: "",
        why: MEANT,
        sample: "SERVER TCP_CHECK {\n warmup .\n }",
    },
    Excuse {
        whose: Whose::Ours,
        words: "to 9223372036.854775 seconds",
        keyword: "",
        why: MEANT,
        sample: "SERVER delay_loop 9223372036855",
    },
    Excuse {
        whose: Whose::Ours,
        words: "is no MD5 digest",
        keyword: "digest",
        why: MEANT,
        sample: "SERVER HTTP_GET {\n url {\n path /\n digest +1111111111111111111111111111111\n }\n }",
    },
    Excuse {
        whose: Whose::Ours,
        words: "`track_file` needs a name",
        keyword: "track_file",
        why: MEANT,
        sample: "track_file \"\" {\n file /dev/null\n}\nSERVER",
    },
];

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
    let excuses: Vec<_> = EXCUSES.iter().collect();
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
        match explanation(&text, &theirs, &ours, &excuses) {
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

/// Each one explains a difference that nothing else explains.
#[test]
fn every_excuse_is_needed() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut wrong = Vec::new();
    for excuse in EXCUSES {
        let text = excuse.sample();
        std::fs::write(folder.path().join("sample.conf"), &text).expect("a temporary file");
        let theirs = keepalived(folder.path(), "sample.conf");
        let ours = lint(folder.path(), "sample.conf");
        let all: Vec<_> = EXCUSES.iter().collect();
        let others: Vec<_> = EXCUSES.iter().filter(|other| !std::ptr::eq(*other, excuse)).collect();
        let whole = explanation(&text, &theirs, &ours, &all);
        let without = explanation(&text, &theirs, &ours, &others);
        if (whole, without) != (Some(excuse.why), None) {
            wrong.push(format!("{whole:?}, without it {without:?}: {theirs:#?} {ours:#?}\n{text}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
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
