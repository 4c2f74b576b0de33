use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use nix::sys::stat::Mode as FileMode;
use nix::unistd::mkfifo;
use tempfile::TempDir;

use super::*;
use crate::outcome::ScriptFault;

/// Root's eye: whatever the test runs as, permissions of the walk are judged for this user.
fn user(uid: u32, gid: u32) -> ScriptUser {
    ScriptUser { name: "probe".into(), home: (*b"/").into(), uid, gid, groups: Box::new([]) }
}

fn root() -> ScriptUser {
    user(0, 0)
}

struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Place {
        let folder = tempfile::Builder::new().prefix("walk").tempdir().expect("a folder");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("chmod");
        Place { folder }
    }

    fn path(&self, name: &str) -> Vec<u8> {
        let root = fs::canonicalize(self.folder.path()).expect("it is there");
        match name {
            "" => root.into_os_string().into_vec(),
            _ => root.join(name).into_os_string().into_vec(),
        }
    }

    fn at(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn file(&self, name: &str, text: &[u8], mode: u32) {
        fs::write(self.at(name), text).expect("written");
        fs::set_permissions(self.at(name), fs::Permissions::from_mode(mode)).expect("chmod");
    }

    fn dir(&self, name: &str, mode: u32) {
        fs::create_dir(self.at(name)).expect("a folder");
        fs::set_permissions(self.at(name), fs::Permissions::from_mode(mode)).expect("chmod");
    }
}

#[test]
fn a_file_is_held_with_its_identity_and_kind() {
    let place = Place::new();
    place.file("check", b"#! /bin/bash -e\nexit 0\n", 0o755);
    let file = open(&place.path("check"), &root()).expect("it is there");
    let meta = fs::metadata(place.at("check")).expect("it is there");
    assert_eq!(file.resolved, place.path("check"));
    assert_eq!((file.identity.dev, file.identity.ino), (meta.dev(), meta.ino()));
    assert_eq!((file.identity.size, file.identity.mode), (23, 0o100_755));
    assert_eq!(
        file.kind,
        Kind::Interpreted { interpreter: b"/bin/bash".to_vec(), argument: b"-e".to_vec() }
    );
    let stat = fstat(&file.handle).expect("the handle is open");
    assert_eq!(Identity::of(&stat), file.identity);

    place.file("check", b"#! /bin/bash -e\nexit 1\n", 0o755);
    let changed = open(&place.path("check"), &root()).expect("it is there");
    assert_ne!(changed.identity, file.identity, "another content, another identity");
}

#[test]
fn the_first_bytes_say_what_a_file_is() {
    let with = |name: &[u8], argument: &[u8]| Kind::Interpreted {
        interpreter: name.to_vec(),
        argument: argument.to_vec(),
    };
    let interpreted = |name: &[u8]| with(name, b"");
    let long = [b"#!/".as_slice(), &[b'x'; 300]].concat();
    let long_argument = [b"#!/bin/x ".as_slice(), &[b'x'; 300]].concat();
    let text = Kind::Other { is_text: true };
    let rubbish = Kind::Other { is_text: false };
    let cases: [(&[u8], Kind); 14] = [
        (b"\x7fELF\x02\x01", Kind::Elf),
        (b"#!/bin/sh", interpreted(b"/bin/sh")),
        (b"#!/bin/sh\n", interpreted(b"/bin/sh")),
        (b"#!/bin/sh\r\n", interpreted(b"/bin/sh\r")),
        (b"#! \t/usr/bin/env python3\nx", with(b"/usr/bin/env", b"python3")),
        (b"#!/bin/sh\0x", interpreted(b"/bin/sh")),
        (b"#!\n/bin/sh\n", text.clone()),
        (b"#!", text.clone()),
        (b"echo hello\n", text.clone()),
        (b"echo\n\0", text.clone()),
        (b"MZ\x90\0\n", rubbish.clone()),
        (b"", rubbish),
        (&long[..HEAD_BYTES], text),
        (&long_argument[..HEAD_BYTES], with(b"/bin/x", &[b'x'; HEAD_BYTES - 9])),
    ];
    for (head, kind) in cases {
        assert_eq!(kind_by_head(head), kind, "{}", head.escape_ascii());
    }
}

#[test]
fn links_dots_and_double_slashes_lead_where_the_kernel_goes() {
    let place = Place::new();
    place.dir("a", 0o755);
    place.dir("a/b", 0o755);
    place.file("a/b/check", b"x", 0o755);
    symlink("a/b", place.at("near")).expect("a link");
    symlink(place.at("near"), place.at("a/far")).expect("a link");
    symlink("../a/./far/check", place.at("a/chain")).expect("a link");
    for written in ["a/b/check", "a//b/./check", "a/b/../b/check", "near/check", "near/../b/check"]
    {
        let file = open(&place.path(written), &root()).expect(written);
        assert_eq!(file.resolved, place.path("a/b/check"), "{written}");
    }
    for written in ["a/far/check", "a/chain", "a/far/../b/check"] {
        let file = open(&place.path(written), &root()).expect(written);
        let kernel = fs::canonicalize(place.at(written)).expect(written);
        assert_eq!(file.resolved, kernel.into_os_string().into_vec(), "{written}");
    }
    let up = [b"/../../..".as_slice(), &place.path("near/check")].concat();
    assert_eq!(open(&up, &root()).expect("above / is /").resolved, place.path("a/b/check"));
}

#[test]
fn forty_links_are_followed_and_no_more() {
    let place = Place::new();
    place.file("0", b"x", 0o755);
    for link in 1..=41 {
        symlink(format!("{}", link - 1), place.at(&link.to_string())).expect("a link");
    }
    assert!(open(&place.path("40"), &root()).is_ok());
    let problem = open(&place.path("41"), &root()).expect_err("one too many");
    assert_eq!(problem.fault(), ScriptFault::NotFound(libc::ELOOP));
    symlink("ring", place.at("ring")).expect("a link");
    let problem = open(&place.path("ring"), &root()).expect_err("never ends");
    assert_eq!(
        problem.to_string(),
        format!("`{}`: more than 40 links", place.at("ring").display())
    );
}

#[test]
fn what_is_missing_or_no_file_is_named() {
    let place = Place::new();
    place.dir("folder", 0o755);
    place.file("plain", b"x", 0o755);
    symlink("folder/gone", place.at("dangling")).expect("a link");
    mkfifo(&place.at("pipe"), FileMode::S_IRWXU).expect("a FIFO");
    let _socket = std::os::unix::net::UnixListener::bind(place.at("socket")).expect("a socket");
    let base = place.at("").display().to_string();
    let not_found = ScriptFault::NotFound;
    let long = format!("folder/{}", "n".repeat(256));
    for (written, fault, text) in [
        ("gone", not_found(libc::ENOENT), "`{}gone` does not exist".to_owned()),
        ("gone/more", not_found(libc::ENOENT), "`{}gone` does not exist".to_owned()),
        ("dangling", not_found(libc::ENOENT), "`{}folder/gone` does not exist".to_owned()),
        ("plain/x", not_found(libc::ENOTDIR), "`{}plain` is not a directory".to_owned()),
        ("plain/", not_found(libc::ENOTDIR), "`{}plain` is not a directory".to_owned()),
        ("plain/..", not_found(libc::ENOTDIR), "`{}plain` is not a directory".to_owned()),
        (&long, not_found(libc::ENAMETOOLONG), format!("`{{}}{long}`: File name too long")),
        (
            "folder",
            ScriptFault::NotExecutable(libc::EACCES),
            "`{}folder` is a directory (mode drwxr-xr-x)".to_owned(),
        ),
        (
            "pipe",
            ScriptFault::NotExecutable(libc::EACCES),
            "`{}pipe` is a FIFO (mode prwx------)".to_owned(),
        ),
    ] {
        let problem = open(&place.path(written), &root()).expect_err(written);
        assert_eq!(problem.fault(), fault, "{written}");
        assert_eq!(problem.to_string(), text.replace("{}", &base), "{written}");
    }
    let problem = open(&place.path("socket"), &root()).expect_err("a socket");
    assert!(problem.to_string().contains("is a socket"), "{problem}");
    let problem = open(b"/dev/null", &root()).expect_err("a device");
    assert!(problem.to_string().contains("`/dev/null` is a device"), "{problem}");
    assert_eq!(open(b"", &root()).expect_err("nothing").fault(), not_found(libc::ENOENT));
}

#[test]
fn the_directory_or_file_its_user_may_not_execute_is_named() {
    let place = Place::new();
    place.dir("shut", 0o700);
    place.file("shut/check", b"x", 0o755);
    place.file("plain", b"x", 0o644);
    let owner = fs::metadata(place.at("shut")).expect("there").uid();
    let stranger = user(owner ^ 77_777, 77_777);
    let shut = open(&place.path("shut/check"), &stranger).expect_err("may not search");
    assert_eq!(
        shut.to_string(),
        format!("`{}`: probe may not search it", place.at("shut").display())
    );
    assert_eq!(shut.fault(), ScriptFault::NotExecutable(libc::EACCES));
    for who in [&stranger, &root()] {
        let plain = open(&place.path("plain"), who).expect_err("no x bit");
        assert_eq!(plain.fault(), ScriptFault::NotExecutable(libc::EACCES));
        assert!(plain.to_string().contains("plain`: probe may not"), "{plain}");
    }
    assert!(open(&place.path("shut/check"), &root()).is_ok());
}

#[test]
fn the_weakness_nearest_to_the_root_is_named() {
    let place = Place::new();
    place.dir("open", 0o777);
    place.file("open/check", b"x", 0o777);
    symlink("open/check", place.at("link")).expect("a link");
    let owner = fs::metadata(place.at("open")).expect("there").uid();
    let weakness = open(&place.path("link"), &root()).expect("there").weakness.expect("weak");
    if owner == 0 {
        assert_eq!(
            weakness.to_string(),
            format!(
                "`{}` (owner 0:0, mode drwxrwxrwx): everybody may change it",
                place.at("open").display()
            )
        );
        assert_eq!(weakness.why, Why::World);
    } else {
        assert_eq!(weakness.why, Why::Owner);
        assert!(place.path("").starts_with(&weakness.component), "{weakness}");
    }
    let shell = open(b"/bin/sh", &root()).expect("there is a shell");
    assert_eq!(shell.weakness, None, "nobody but root changes the shell");
}

#[test]
#[ignore = "needs root: files of another owner"]
fn a_link_of_another_owner_is_a_weakness() {
    let place = Place::new();
    place.dir("safe", 0o755);
    place.file("safe/check", b"x", 0o755);
    symlink("safe/check", place.at("link")).expect("a link");
    assert_eq!(open(&place.path("link"), &root()).expect("there").weakness, None);
    std::os::unix::fs::lchown(place.at("link"), Some(1000), Some(1000)).expect("root may");
    let weakness = open(&place.path("link"), &root()).expect("there").weakness.expect("weak");
    assert_eq!(
        weakness.to_string(),
        format!(
            "`{}` (owner 1000:1000, mode lrwxrwxrwx): its owner may change it",
            place.at("link").display()
        )
    );
    assert_eq!(open(&place.path("safe/check"), &root()).expect("there").weakness, None);
}

#[test]
fn a_name_is_looked_up_for_its_user_and_never_in_the_working_directory() {
    let place = Place::new();
    place.dir("first", 0o755);
    place.dir("second", 0o755);
    place.file("first/check", b"x", 0o644);
    place.file("second/check", b"x", 0o755);
    let mut path = b":.:relative:".to_vec();
    path.extend_from_slice(&place.path("first"));
    path.push(b':');
    path.extend_from_slice(&place.path("second"));
    assert_eq!(find(b"check", &path, &root()), Some(place.path("second/check")));
    assert_eq!(find(b"Cargo.toml", b":.:", &root()), None);
    assert_eq!(find(b"no-such-name", &path, &root()), None);
}

#[test]
fn walking_leaves_no_descriptor_open() {
    let place = Place::new();
    place.file("check", b"x", 0o755);
    let before = open(&place.path("check"), &root()).expect("there").handle.as_raw_fd();
    for _ in 0..2_000 {
        open(&place.path("check"), &root()).expect("there");
        open(&place.path("gone/check"), &root()).expect_err("not there");
    }
    let after = open(&place.path("check"), &root()).expect("there").handle.as_raw_fd();
    // Other tests of this process open files too, but never thousands.
    assert!(after < before + 1_000, "{before} {after}");
}
