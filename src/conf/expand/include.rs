//! Which files an include means, and what counts as a failure.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::braces::alternatives;
use super::wildcard::{has_wildcard, matches, unescaped};
use crate::conf::lexer::is_blank;
use crate::conf::options::IncludeChecks;

/// The keywords, each with the checks of its own.
const KEYWORDS: [(&[u8], IncludeChecks); 6] = [
    (b"include", IncludeChecks::NONE),
    (b"includer", IncludeChecks { read: true, ..IncludeChecks::NONE }),
    (b"includem", IncludeChecks { read: true, missing: true, ..IncludeChecks::NONE }),
    (b"includew", IncludeChecks { read: true, missing: true, wildcard: true, brace: false }),
    (b"includeb", IncludeChecks { read: true, brace: true, ..IncludeChecks::NONE }),
    (b"includea", IncludeChecks::ALL),
];

/// The checks and the pattern of a line that is an include.
pub(super) fn parse(line: &[u8]) -> Option<(IncludeChecks, &[u8])> {
    if line.first() != Some(&b'i') {
        return None;
    }
    let word = line.iter().position(|byte| is_blank(*byte))?;
    let (_, checks) = KEYWORDS.iter().find(|(keyword, _)| *keyword == &line[..word])?;
    Some((*checks, line[word..].trim_ascii()))
}

/// Whether a line is the keyword of an include and nothing else.
pub(super) fn is_bare(line: &[u8]) -> bool {
    line.first() == Some(&b'i') && KEYWORDS.iter().any(|(keyword, _)| *keyword == line)
}

/// What a pattern finds.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Found {
    /// In the order in which they are read.
    pub(super) files: Vec<PathBuf>,
    /// Alternatives, or the whole name, that match nothing, each with how bad that is.
    pub(super) missing: Vec<(String, Absence)>,
}

/// What it is that matches nothing.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum Absence {
    /// A name without wildcards.
    Name,
    /// A name with wildcards.
    Wildcard,
    /// One of several alternatives.
    Alternative,
}

impl Absence {
    /// Whether `checks` make it an error.
    pub(super) fn is_error(self, checks: IncludeChecks) -> bool {
        match self {
            Absence::Name => checks.missing,
            Absence::Wildcard => checks.wildcard,
            Absence::Alternative => checks.brace,
        }
    }
}

/// The pattern stands for more names than are tried, or is no pattern. A sentence.
pub(super) type BadPattern = String;

/// Looks for the files of a pattern; relative ones start at `directory`.
pub(super) fn find(pattern: &[u8], directory: &Path) -> Result<Found, BadPattern> {
    let mut names = Vec::new();
    alternatives(pattern, &mut names)?;
    let has_braces = names.len() > 1;
    let mut found = Found::default();
    for name in names {
        let before = found.files.len();
        if has_wildcard(&name) {
            matches(&name, directory, &mut found.files)?;
        } else {
            let path = directory.join(OsStr::from_bytes(&unescaped(&name)));
            // A link that leads nowhere is there; it fails when it is read.
            if fs::symlink_metadata(&path).is_ok() {
                found.files.push(path);
            }
        }
        if found.files.len() == before {
            let absence = match (has_braces, has_wildcard(&name)) {
                (true, _) => Absence::Alternative,
                (false, true) => Absence::Wildcard,
                (false, false) => Absence::Name,
            };
            found.missing.push((String::from_utf8_lossy(&name).into_owned(), absence));
        }
    }
    Ok(found)
}

/// Which file it is, whatever it is called: device and inode.
pub(super) type Identity = (u64, u64);

/// Why a file is not read. A sentence.
pub(super) type Unreadable = String;

/// Reads an included file: plain, and not executable by anyone.
pub(super) fn read(path: &Path) -> Result<(Vec<u8>, Identity), Unreadable> {
    let name = path.display();
    let metadata = fs::metadata(path).map_err(|error| format!("cannot read `{name}`: {error}"))?;
    if metadata.is_dir() {
        return Err(format!("`{name}` is a directory"));
    }
    // Reading a pipe or a terminal would wait for its other end.
    if !metadata.is_file() {
        return Err(format!("`{name}` is no plain file"));
    }
    if metadata.permissions().mode() & 0o111 != 0 {
        return Err(format!("`{name}` is executable, and keepalived reads no such file"));
    }
    // A file with holes can be larger than all memory.
    if metadata.len() > super::BYTES_MAX {
        return Err(format!("`{name}` has {} bytes: 1 GiB is the limit", metadata.len()));
    }
    let text = fs::read(path).map_err(|error| format!("cannot read `{name}`: {error}"))?;
    Ok((text, (metadata.dev(), metadata.ino())))
}

/// Device and inode of a file that may not be there.
pub(super) fn identity(path: &Path) -> Option<Identity> {
    fs::metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_and_patterns() {
        assert_eq!(parse(b"include  a b"), Some((IncludeChecks::NONE, &b"a b"[..])));
        assert_eq!(parse(b"includea\tx"), Some((IncludeChecks::ALL, &b"x"[..])));
        for line in ["include", "included x", "includes", "x include y", ""] {
            assert_eq!(parse(line.as_bytes()), None, "{line}");
        }
    }

    #[test]
    fn files_are_found_in_the_order_of_their_names() {
        let place = tempfile::tempdir().expect("a directory for temporary files");
        for name in ["b.conf", "a.conf", "c.txt", ".d.conf", "e[1].conf"] {
            std::fs::write(place.path().join(name), "").expect("written");
        }
        std::fs::create_dir(place.path().join("sub")).expect("made");
        std::fs::write(place.path().join("sub/a.conf"), "").expect("written");
        for (pattern, files, missing) in [
            ("*.conf", "a.conf b.conf e[1].conf", vec![]),
            ("[^a].conf", "b.conf", vec![]),
            ("?.conf", "a.conf b.conf", vec![]),
            ("**.conf", "a.conf b.conf e[1].conf", vec![]),
            ("*/a.conf", "sub/a.conf", vec![]),
            ("e\\[1].conf", "e[1].conf", vec![]),
            ("{c.txt,[ab].conf}", "c.txt a.conf b.conf", vec![]),
            ("{b,x}.conf", "b.conf", vec![("x.conf", Absence::Alternative)]),
            ("x.conf", "", vec![("x.conf", Absence::Name)]),
            ("x*", "", vec![("x*", Absence::Wildcard)]),
        ] {
            let found = find(pattern.as_bytes(), place.path()).expect("a pattern");
            let names: Vec<_> = found
                .files
                .iter()
                .map(|path| path.strip_prefix(place.path()).expect("inside").to_string_lossy())
                .collect();
            assert_eq!(names.join(" "), files, "{pattern}");
            let missing: Vec<_> =
                missing.into_iter().map(|(name, why)| (name.to_owned(), why)).collect();
            assert_eq!(found.missing, missing, "{pattern}");
        }
        assert!(find(b"[a", place.path()).is_err());
        assert!(find(b"\xff*", place.path()).expect("a pattern").files.is_empty());
    }

    #[test]
    fn only_plain_files_are_read() {
        let place = tempfile::tempdir().expect("a directory for temporary files");
        let path = place.path().join("x");
        let why = |path: &Path| read(path).expect_err("refused");
        assert!(why(&path).starts_with("cannot read "));
        assert!(why(place.path()).ends_with("is a directory"));
        std::fs::write(&path, "a").expect("written");
        assert_eq!(read(&path).expect("plain").0, b"a");
        for mode in [0o744, 0o654, 0o645] {
            std::fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("ours");
            assert!(why(&path).contains("is executable"));
        }
        let hole = fs::File::create(place.path().join("hole")).expect("made");
        hole.set_len(2 << 30).expect("a file with a hole");
        assert!(why(&place.path().join("hole")).ends_with("1 GiB is the limit"));
        assert!(why(Path::new("/dev/null")).ends_with("is no plain file"));
    }
}
