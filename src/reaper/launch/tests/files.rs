//! What is started and what is refused, by the file that a command leads to.

use super::*;

#[test]
fn what_cannot_run_says_why() {
    let scene = Scene::new();
    scene.script("no-interpreter", b"#!/no/such/interpreter -x\n");
    scene.script("crlf", b"#!/bin/sh\r\nexit 0\r\n");
    scene.script("garbage", b"\x7fELF\x02\x01 and then nothing of the kind");
    scene.script("binary", b"\x01\x02\0\x03\n");
    scene.script("empty", b"");
    scene.script("plain", b"#!/bin/sh\n");
    fs::set_permissions(scene.path("plain"), fs::Permissions::from_mode(0o644)).expect("chmod");
    fs::create_dir(scene.path("folder")).expect("a folder");
    nix::unistd::mkfifo(&scene.path("pipe"), nix::sys::stat::Mode::S_IRWXU).expect("a FIFO");
    let denied = ScriptFault::NotExecutable(libc::EACCES);
    for (name, fault, explanation) in [
        ("gone", ScriptFault::NotFound(libc::ENOENT), "gone` does not exist"),
        ("plain/x", ScriptFault::NotFound(libc::ENOTDIR), "plain` is not a directory"),
        (
            "no-interpreter",
            ScriptFault::Interpreter,
            "no-interpreter` needs `/no/such/interpreter`: `/no` does not exist",
        ),
        ("crlf", ScriptFault::Interpreter, "needs `/bin/sh\\r`"),
        ("garbage", ScriptFault::Format, "garbage`: Exec format error"),
        ("binary", ScriptFault::Format, "binary`: Exec format error"),
        ("empty", ScriptFault::Format, "empty`: Exec format error"),
        ("plain", denied, "plain`: me may not execute it"),
        ("folder", denied, "folder` is a directory"),
        ("pipe", denied, "pipe` is a FIFO"),
    ] {
        let refused = refused(&command(&[scene.path(name).as_os_str().as_bytes()]));
        let text = refused.explanation.unwrap_or_default();
        assert_eq!(refused.fault, fault, "{name}: {text}");
        assert!(text.contains(explanation), "{name}: {text}");
    }
    let refused = refused(&command(&[b"no-such-program"]));
    assert_eq!(refused.fault, ScriptFault::NotFound(libc::ENOENT));
    assert!(refused.explanation.is_some_and(|text| text.contains("no `no-such-program` that me")));
}

#[test]
fn a_binary_whose_loader_is_missing_says_which() {
    let scene = Scene::new();
    let file = script_file::open(b"/bin/true", &me()).expect("there");
    let Some(loader) = explain::loader(&file.handle) else { return };
    let mut bytes = fs::read("/bin/true").expect("readable");
    let at = bytes.windows(loader.len()).position(|window| window == loader).expect("named");
    bytes[at + 1] = b'X';
    let path = scene.script("broken", &bytes);
    let refused = refused(&command(&[path.as_os_str().as_bytes()]));
    assert_eq!(refused.fault, ScriptFault::Interpreter);
    let text = refused.explanation.unwrap_or_default();
    assert!(text.contains("broken` needs `/X") && text.ends_with("does not exist"), "{text}");
}

#[test]
fn text_without_an_interpreter_line_is_read_by_the_shell() {
    let scene = Scene::new();
    let path = scene.script("text", b"echo \"$0 $1\"; exit 3\n");
    let ran = run(&command(&[path.as_os_str().as_bytes(), b"word"]));
    assert_eq!(ran.stdout, format!("{} word\n", path.display()));
    assert_eq!(ran.status, (libc::CLD_EXITED, 3));
}

#[test]
fn names_are_looked_up_and_texts_go_to_the_shell() {
    let _scene = Scene::new();
    assert_eq!(run(&command(&[b"echo", b"found"])).stdout, "found\n");
    let mut shell = command(&[b"x"]);
    shell.command = ScriptCommand::Shell((*b"echo $0; </dev/null cat; kill -9 $$").into());
    let ran = run(&shell);
    assert_eq!(ran.stdout, "sh\n");
    assert_eq!(ran.status, (libc::CLD_KILLED, 9));
}

fn check_then(command: &Command, change: impl FnOnce()) -> Result<Ran, Refused> {
    let checked = Checked::new(command)?;
    change();
    checked.start().map(finish)
}

#[test]
fn a_script_that_was_changed_after_the_check_does_not_run() {
    let scene = Scene::new();
    let evil = b"#!/bin/sh\necho evil\n";
    let fault = |change: &dyn Fn()| {
        let command = scene.sh("echo good");
        check_then(&command, change).map(|ran| ran.stdout).map_err(|refused| refused.fault)
    };
    let path = scene.path("script");
    assert_eq!(fault(&|| {}), Ok("good\n".to_owned()));
    let swap = || {
        let other = scene.script("other", evil);
        fs::rename(other, &path).expect("renamed");
    };
    assert_eq!(fault(&swap), Err(ScriptFault::Changed));
    let rewrite = || fs::write(&path, evil).expect("written");
    assert_eq!(fault(&rewrite), Err(ScriptFault::Changed));
    let mode = || fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).expect("chmod");
    assert_eq!(fault(&mode), Err(ScriptFault::Changed));
    let link = || {
        let other = scene.script("other", evil);
        fs::remove_file(&path).expect("removed");
        std::os::unix::fs::symlink(other, &path).expect("linked");
    };
    assert_eq!(fault(&link), Err(ScriptFault::Changed));
    fs::remove_file(&path).expect("removed");
    let remove = || fs::remove_file(&path).expect("removed");
    assert_eq!(fault(&remove), Err(ScriptFault::NotFound(libc::ENOENT)));
}

#[test]
fn the_binary_that_was_checked_runs_whatever_took_its_place() {
    let scene = Scene::new();
    let path = scene.path("program");
    let command = command(&[path.as_os_str().as_bytes(), b"good"]);
    let place = || {
        let _ = fs::remove_file(&path);
        fs::copy("/bin/echo", &path).expect("copied");
    };
    place();
    let swap = || {
        let other = scene.script("other", b"#!/bin/sh\necho evil\n");
        fs::rename(other, &path).expect("renamed");
    };
    let ran = check_then(&command, swap).expect("it runs");
    assert_eq!(ran.stdout, "good\n");
    place();
    let ran = check_then(&command, || fs::remove_file(&path).expect("removed")).expect("it runs");
    assert_eq!(ran.stdout, "good\n");
    place();
    let rewrite = || {
        let _ = fs::File::options().append(true).open(&path).map(|mut file| {
            std::io::Write::write_all(&mut file, b"more").expect("written");
        });
    };
    let refused = check_then(&command, rewrite).map(|ran| ran.stdout).expect_err("rewritten");
    assert_eq!(refused.fault, ScriptFault::Changed);
}

#[test]
fn a_file_that_is_open_for_writing_has_changed() {
    let scene = Scene::new();
    let path = scene.path("program");
    fs::copy("/bin/true", &path).expect("copied");
    let writer = fs::File::options().append(true).open(&path).expect("open");
    let refused = refused(&command(&[path.as_os_str().as_bytes()]));
    drop(writer);
    assert_eq!(refused.fault, ScriptFault::Changed);
    assert!(refused.explanation.is_some_and(|text| text.ends_with("is open for writing")));
}
