//! `keepalived -t` as the judge: what it makes of a file.

use std::path::Path;
use std::process::{Command, Stdio};

const KEEPALIVED: &str = "/usr/sbin/keepalived";

/// What a program made of a file.
#[derive(Debug)]
pub(crate) struct Judgement {
    /// `None` where it did not end by itself.
    pub(crate) code: Option<i32>,
    pub(crate) text: String,
}

/// Runs a program in a folder, for ten seconds at most.
pub(crate) fn judge(folder: &Path, program: &str, arguments: &[&str]) -> Judgement {
    let output = Command::new("timeout")
        .args(["--signal=KILL", "10", program])
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .expect("timeout(1) is there");
    let text = [output.stdout, output.stderr].concat();
    let code = output.status.code().filter(|code| *code != 137 && *code != 124);
    Judgement { code, text: String::from_utf8_lossy(&text).into_owned() }
}

/// What keepalived makes of the file `name` of `folder`, on a node of this config-id.
pub(crate) fn keepalived(folder: &Path, name: &str, config_id: &str) -> Judgement {
    assert!(Path::new(KEEPALIVED).exists(), "scripts/install-needs keepalived");
    judge(folder, KEEPALIVED, &["-t", "-i", config_id, "-f", name])
}
