//! Files of scripts, as both programs judge them: every state of a file, for every keyword that runs one.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;

use nix::sys::stat::Mode;
use nix::unistd::{User, geteuid, mkfifo};

use super::{keepalived, lint, says_nothing};

const KEYWORDS: &[&str] = &[
    "misc_path",
    "notify_up",
    "notify_down",
    "quorum_up",
    "quorum_down",
    "startup_script",
    "shutdown_script",
    "notify_fifo_script",
    "lvs_notify_fifo_script",
    "vrrp_notify_fifo_script",
];

/// Lays down a script in every state, and gives the commands that run them.
fn scripts(folder: &Path) -> Vec<String> {
    let at = |name: &str| folder.join(name);
    let file = |name: &str, text: &str, mode: u32| {
        fs::write(at(name), text).expect("a temporary file");
        fs::set_permissions(at(name), Permissions::from_mode(mode)).expect("one's own");
    };
    let text = "#!/bin/sh\nexit 0\n";
    for (name, mode) in
        [("open", 0o777), ("shut", 0o600), ("private", 0o700), ("good", 0o755), ("set-id", 0o6755)]
    {
        file(name, text, mode);
    }
    file("plain", "exit 0\n", 0o755);
    file("empty", "", 0o755);
    file("bad-interpreter", "#!/nonexistent/sh\n", 0o755);
    fs::create_dir(at("folder")).expect("a directory");
    file("folder/good", text, 0o755);
    fs::set_permissions(at("folder"), Permissions::from_mode(0o777)).expect("one's own");
    symlink("good", at("link")).expect("a link");
    symlink("gone", at("dangling")).expect("a link");
    symlink("ring", at("ring")).expect("a link");
    mkfifo(&at("pipe"), Mode::S_IRWXU).expect("a FIFO");
    let mut names = vec![
        "open",
        "shut",
        "private",
        "good",
        "set-id",
        "plain",
        "empty",
        "bad-interpreter",
        "folder",
        "folder/",
        "folder/good",
        "folder/../good",
        "link",
        "dangling",
        "ring",
        "pipe",
        "gone",
        "good/more",
    ];
    if geteuid().is_root() {
        for (name, user, group) in [("owned", 1, 0), ("of-group", 0, 1)] {
            file(name, text, 0o775);
            chown(at(name), Some(user), Some(group)).expect("root may");
            names.push(name);
        }
    }
    let mut commands: Vec<_> =
        names.iter().map(|name| folder.join(name).display().to_string()).collect();
    commands.push(format!("{} and 'its arguments'", commands[3]));
    commands.extend(
        ["true", "no-such-program", "good", "./good", "folder/good", "/dev/null", "< /dev/null"]
            .map(str::to_owned),
    );
    commands
}

/// A configuration that runs `command` by `keyword`.
fn text(keyword: &str, command: &str, user: Option<&str>, global_defs: &str) -> String {
    let user = user.unwrap_or("");
    let (mut global, mut service, mut server) =
        (global_defs.to_owned(), String::new(), String::new());
    let line = format!(" {keyword} \"{command}\" {user}\n");
    match keyword {
        "misc_path" => {
            let user = if user.is_empty() { String::new() } else { format!(" user {user}\n") };
            server = format!(" MISC_CHECK {{\n misc_path \"{command}\"\n{user} }}\n");
        }
        "notify_up" | "notify_down" => server = line,
        "quorum_up" | "quorum_down" => service = line,
        _ => global.push_str(&line),
    }
    format!(
        "global_defs {{\n{global}}}\nvirtual_server 10.0.0.1 80 {{\n protocol TCP\n lvs_sched rr\n \
         lvs_method NAT\n{service} real_server 10.0.0.2 80 {{\n{server} TCP_CHECK {{\n }}\n }}\n}}\n"
    )
}

/// How many of `texts` the two end with the same code; those of one that ends itself say nothing.
fn compare(folder: &Path, texts: &[String]) -> usize {
    let mut wrong = Vec::new();
    let mut same = 0;
    for text in texts {
        fs::write(folder.join("script.conf"), text).expect("a temporary file");
        let theirs = keepalived(folder, "script.conf");
        if says_nothing(&theirs) {
            continue;
        }
        let ours = lint(folder, "script.conf");
        if theirs.code == ours.code {
            same += 1;
        } else {
            wrong.push(format!("{theirs:#?} {ours:#?}\n{text}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {}\n{}", wrong.len(), texts.len(), wrong.join("\n"));
    same
}

/// Whoever runs the tests: keepalived's test ends itself where a script has another user.
fn oneself() -> String {
    User::from_uid(geteuid()).expect("an answer").expect("one has a name").name
}

#[test]
fn files_of_scripts_end_with_the_exit_codes_of_keepalived() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).expect("one's own");
    let user = oneself();
    let commands = scripts(folder.path());
    let mut texts = Vec::new();
    for keyword in KEYWORDS {
        for (index, command) in commands.iter().enumerate() {
            for security in ["", " enable_script_security\n"] {
                texts.push(text(keyword, command, Some(&user), security));
                // One in each kind of answer is enough of what is not about the file.
                if index % 5 == 3 {
                    let default = format!("{security} script_user {user}\n");
                    texts.push(text(keyword, command, None, &default));
                }
            }
        }
    }
    assert_eq!(compare(folder.path(), &texts), texts.len());
}

#[test]
fn users_of_scripts_end_with_the_exit_codes_of_keepalived() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (program, user) = ("/bin/true", oneself());
    let mut texts = Vec::new();
    for keyword in KEYWORDS {
        for security in ["", " enable_script_security\n"] {
            for named in ["nosuchuser", &format!("{user} nosuchgroup"), &format!("{user} {user} x")]
            {
                texts.push(text(keyword, program, Some(named), security));
            }
            texts.push(text(
                keyword,
                program,
                None,
                &format!(" script_user nosuchuser\n{security}"),
            ));
            texts.push(text(keyword, "", Some(&user), security));
            texts.push(text(keyword, "'unclosed", Some(&user), security));
            let after = text(keyword, program, None, security);
            texts.push(after.clone() + "global_defs {\n enable_script_security\n}\n");
            texts.push(after.clone() + &format!("global_defs {{\n script_user {user}\n}}\n"));
            // Without a default user keepalived takes its own, which is root here as in the end.
            if geteuid().is_root() {
                texts.push(after);
            }
            // What is dropped does not count as the first.
            let line = format!(" {keyword} {program} {user}\n");
            for first in [" nosuchuser", "", &format!(" {user}")] {
                let first = format!(" {keyword} {program}{first}\n");
                let written = text(keyword, program, Some(&user), security);
                let quoted = format!(" {keyword} \"{program}\" {user}\n");
                if written.contains(&quoted) && (!first.ends_with("true\n") || security.is_empty())
                {
                    texts.push(written.replace(&quoted, &(first + &line)));
                }
            }
        }
    }
    let same = compare(folder.path(), &texts);
    assert!(same > texts.len() / 2, "{same} of {}", texts.len());
}

/// Without a virtual server only what begins and ends with keepalived is run.
#[test]
fn scripts_without_a_service_end_with_the_exit_codes_of_keepalived() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let user = oneself();
    let global = KEYWORDS.iter().filter(|keyword| keyword.ends_with("_script"));
    let texts: Vec<_> = global
        .flat_map(|keyword| {
            let whole = text(keyword, "/bin/true", Some(&user), "");
            let alone = whole.split("virtual_server").next().expect("a first part").to_owned();
            let dropped = whole.replace("10.0.0.1 80", "group nowhere");
            [alone, dropped]
        })
        .collect();
    assert_eq!(compare(folder.path(), &texts), 10);
}
