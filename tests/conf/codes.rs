//! Every code is one that something is reported with.

use std::collections::BTreeSet;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use nix::unistd::User;
use ringprobe::conf::Code;
use ringprobe::fleet::{Analysis, LoadOptions, analyse, analyse_text};
use ringprobe::lint;

const NODE: &str = "lvs_sched rr\n lvs_method NAT\n protocol TCP\n";

/// Codes that no configuration has, and why. On some machines that is one more.
fn exceptions() -> Vec<(Code, &'static str)> {
    let mut exceptions = vec![(Code::Unreadable, "is of a file of the command line")];
    if matches!(User::from_name("keepalived_script"), Ok(Some(_))) {
        exceptions.push((Code::NoScriptUser, "there is the user that scripts have by default"));
    }
    exceptions
}

/// What only a text of its own has. `folder` is empty, and anybody may change what is laid down there.
fn texts(folder: &Path) -> Vec<Vec<u8>> {
    let insecure = folder.join("insecure");
    std::fs::write(&insecure, "#!/bin/sh\n").expect("a temporary file");
    std::fs::set_permissions(&insecure, Permissions::from_mode(0o777)).expect("one's own");
    let insecure = insecure.display();
    let global = |lines: &str| format!("global_defs {{\n {lines}\n}}\n");
    let service = |lines: &str| format!("virtual_server 10.0.0.1 80 {{\n {NODE} {lines}\n}}\n");
    let server = |lines: &str| service(&format!("real_server 10.0.0.2 80 {{\n {lines}\n }}"));
    let servers = |lines: [&str; 3]| {
        let server = |(at, lines): (usize, &&str)| {
            format!(" real_server 10.0.0.{} 80 {{\n {lines}\n }}\n", at + 2)
        };
        service(&lines.iter().enumerate().map(server).collect::<String>())
    };
    let script = |path: &str| server(&format!("MISC_CHECK {{\n user root\n misc_path {path}\n }}"));
    let mut texts: Vec<Vec<u8>> = [
        global(&format!("router_id {}", "x".repeat(1100))),
        global("router_id a\0b"),
        global("script_user nosuchuser"),
        format!("{}{}", "a {\n".repeat(100), "}\n".repeat(100)),
        (0..80).map(|n| format!("$B{n}= \\\n b \\\n $B{}\n", n + 1)).collect::<String>()
            + "$B80=x\n$B0\n",
        "include\n".to_owned(),
        "~LST(N, nofile) include $N\n".to_owned(),
        "$A=\\\n a\\\n\n b\n".to_owned(),
        "\u{feff}SSL {\n}\n".to_owned(),
        "bfd_instance b {\n}\n".to_owned(),
        "virtual_server_group a b {\n 10.0.0.1 80\n}\n".to_owned(),
        "track_file t {\n file /dev/null\n init_file 100000\n}\n".to_owned(),
        server("MISC_CHECK {\n misc_path /bin/true\n }"),
        script("/etc/passwd"),
        script("/bin/true"),
        script(&insecure.to_string()),
        global("enable_script_security") + &script(&insecure.to_string()),
        server("TLS_CHECK {\n tls_verify on\n }"),
        server("UDP_CHECK {\n payload 00ff\n }"),
        servers(["weight 2147483647"; 3]),
        service("lvs_method DR\n real_server 10.0.0.2 80 {\n }\n real_server 10.0.0.2 81 {\n }"),
    ]
    .map(String::into_bytes)
    .into();
    texts.push(b"virtual_server_group \xff {\n 10.0.0.1 80\n}\n".into());
    texts
}

#[test]
fn every_code_is_reported_of_something() {
    let options = LoadOptions::default();
    let mut reported = BTreeSet::new();
    let mut take = |mut analysis: Analysis| {
        lint::check(&analysis.effective, &mut analysis.diagnostics);
        reported.extend(analysis.diagnostics.iter().map(|found| found.code.as_str()));
    };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conf");
    for inside in ["", "corpus", "language"] {
        for entry in std::fs::read_dir(folder.join(inside)).expect("a folder of this repository") {
            let path = entry.expect("readable").path();
            if path.extension().is_some_and(|extension| extension == "conf") {
                take(analyse(&path, &options).expect("a file of this repository"));
            }
        }
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::set_permissions(folder.path(), Permissions::from_mode(0o777)).expect("one's own");
    for text in texts(folder.path()) {
        take(analyse_text("codes.conf", text, &options).expect("small enough"));
    }
    // What is about files and not about what they say: several of them, and one that is executable.
    let file = |name: &str, mode: u32| {
        let path = folder.path().join(name);
        std::fs::write(&path, "").expect("a temporary file");
        std::fs::set_permissions(&path, Permissions::from_mode(mode)).expect("one's own");
        path
    };
    take(analyse(&file("one.conf", 0o755), &options).expect("a temporary file"));
    file("two.conf", 0o644);
    file("three.conf", 0o644);
    take(analyse(&folder.path().join("*.conf"), &options).expect("temporary files"));

    let exceptions: BTreeSet<_> = exceptions().iter().map(|(code, _)| code.as_str()).collect();
    let codes: BTreeSet<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
    let missing: BTreeSet<_> = codes.difference(&reported).copied().collect();
    assert_eq!(missing, exceptions, "codes that nothing has, and those of which that is known");
}
