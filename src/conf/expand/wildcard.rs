//! The files that a name with `*`, `?` and `[...]` matches.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::include::BadPattern;

/// Names that one pattern may match, in each of its parts.
const FILES_MAX: usize = 10_000;

/// Whether a name must be looked for instead of opened.
pub(super) fn has_wildcard(name: &[u8]) -> bool {
    let mut bytes = name.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => drop(bytes.next()),
            b'*' | b'?' | b'[' => return true,
            _ => {}
        }
    }
    false
}

/// Files that match a name with wildcards, in the order of their names, are added to `files`. Part by part,
/// because names of files need not be UTF-8, which is all that the glob crate walks over.
pub(super) fn matches(
    name: &[u8],
    directory: &Path,
    files: &mut Vec<PathBuf>,
) -> Result<(), BadPattern> {
    let start = if name.starts_with(b"/") { Path::new("/") } else { directory };
    let mut found = vec![start.to_path_buf()];
    let mut parts = name.split(|byte| *byte == b'/').filter(|part| !part.is_empty()).peekable();
    while let Some(part) = parts.next() {
        let is_last = parts.peek().is_none();
        let mut next = Vec::new();
        if has_wildcard(part) {
            let part = String::from_utf8_lossy(part);
            let pattern = glob::Pattern::new(&as_glob(&part)).map_err(|error| {
                let shown = String::from_utf8_lossy(name);
                format!("`{shown}` is not a pattern: {}", error.msg)
            })?;
            for place in &found {
                next.extend(entries(place, &pattern, part.starts_with('.')));
            }
        } else {
            let part = unescaped(part);
            next.extend(found.iter().map(|place| place.join(OsStr::from_bytes(&part))));
        }
        if next.len() > FILES_MAX {
            let shown = String::from_utf8_lossy(name);
            return Err(format!("`{shown}` matches more than {FILES_MAX} names"));
        }
        next.retain(|path| if is_last { path.symlink_metadata().is_ok() } else { path.is_dir() });
        found = next;
    }
    files.extend(found);
    Ok(())
}

/// What matches in a directory, sorted. `.` and what is hidden only where the pattern says so.
fn entries(directory: &Path, pattern: &glob::Pattern, with_hidden: bool) -> Vec<PathBuf> {
    let here = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    let Ok(entries) = fs::read_dir(here) else { return Vec::new() };
    let mut names: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.file_name()))
        .filter(|name| with_hidden || !name.as_bytes().starts_with(b"."))
        .filter(|name| pattern.matches(&name.to_string_lossy()))
        .collect();
    names.sort();
    names.into_iter().map(|name| directory.join(name)).collect()
}

/// The pattern as the glob crate spells it: `[!a]` for `[^a]`, `[x]` for `\x`, and no `**`, which reaches
/// into directories there.
fn as_glob(pattern: &str) -> String {
    let mut text = String::with_capacity(pattern.len());
    let mut characters = pattern.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\\' => match characters.next() {
                Some(hidden) => text.push_str(&glob::Pattern::escape(&hidden.to_string())),
                None => text.push('\\'),
            },
            '*' => {
                if !text.ends_with('*') {
                    text.push('*');
                }
            }
            '[' if characters.peek() == Some(&'^') => {
                characters.next();
                text.push_str("[!");
            }
            _ => text.push(character),
        }
    }
    text
}

/// A name without its backslashes.
pub(super) fn unescaped(name: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(name.len());
    let mut bytes = name.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => text.extend(bytes.next()),
            byte => text.push(*byte),
        }
    }
    text
}
