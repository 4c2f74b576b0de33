//! Whether the files a command writes are files that it reads, or each other: to open an output empties it.

use std::ffi::OsString;
use std::fs::{self, File, Metadata};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A file, however its path is spelt.
#[derive(PartialEq, Eq)]
enum Identity {
    /// Device and inode.
    Existing(u64, u64),
    /// Device and inode of its directory, and the name that it will get.
    New(u64, u64, OsString),
}

impl Identity {
    /// `None` for what cannot be emptied, as a device or a pipe, and for what cannot be opened anyway.
    fn of(path: &Path) -> Option<Identity> {
        match fs::metadata(path) {
            Ok(metadata) => Identity::of_existing(&metadata),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
                let parent = fs::metadata(parent.unwrap_or(Path::new("."))).ok()?;
                Some(Identity::New(parent.dev(), parent.ino(), path.file_name()?.to_owned()))
            }
            Err(_) => None,
        }
    }

    fn of_existing(metadata: &Metadata) -> Option<Identity> {
        metadata.is_file().then(|| Identity::Existing(metadata.dev(), metadata.ino()))
    }

    fn of_stream(stream: impl AsFd) -> Option<Identity> {
        let file = File::from(stream.as_fd().try_clone_to_owned().ok()?);
        Identity::of_existing(&file.metadata().ok()?)
    }
}

/// Whether both paths lead to one file whose content would be lost.
pub(crate) fn is_same(one: &Path, other: &Path) -> bool {
    Identity::of(one).is_some_and(|one| Identity::of(other) == Some(one))
}

/// The first output that is also something else, in words. Inputs and outputs are flags and their paths; an input
/// `-` is standard input.
pub(crate) fn clash(
    inputs: impl Iterator<Item = (&'static str, PathBuf)>,
    outputs: impl Iterator<Item = (&'static str, PathBuf)>,
) -> Option<String> {
    let mut known: Vec<(&str, Identity)> = Vec::new();
    for (flag, path) in inputs {
        let (flag, identity) = if path.as_os_str() == "-" {
            ("standard input", Identity::of_stream(io::stdin()))
        } else {
            (flag, Identity::of(&path))
        };
        known.extend(identity.map(|identity| (flag, identity)));
    }
    let identity = Identity::of_stream(io::stdout());
    known.extend(identity.map(|identity| ("standard output", identity)));
    for (flag, path) in outputs {
        let Some(identity) = Identity::of(&path) else { continue };
        if let Some((other, _)) = known.iter().find(|(_, known)| *known == identity) {
            return Some(format!("{flag} {} is the file of {other}", path.display()));
        }
        known.push((flag, identity));
    }
    None
}
