//! Whether the files a sweep writes are files that it reads, or each other: to open an output empties it.

use std::ffi::OsString;
use std::fs::{self, File, Metadata};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::flags::SweepArgs;

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

/// The first output that is also something else, in words.
pub(crate) fn clash(args: &SweepArgs) -> Option<String> {
    let is_dash = |path: &&Path| path.as_os_str() == "-";
    let inputs = [("--use-file", args.use_file.as_deref()), ("--targets", args.targets.as_deref())];
    let is_stdin = inputs.iter().any(|(_, path)| path.as_ref().is_some_and(is_dash));
    let mut known: Vec<(&str, Identity)> = Vec::new();
    for (flag, path) in inputs.into_iter().chain([("--exclude", args.exclude.as_deref())]) {
        let path = path.filter(|path| flag == "--exclude" || !is_dash(path));
        known.extend(path.and_then(Identity::of).map(|identity| (flag, identity)));
    }
    if is_stdin {
        let identity = Identity::of_stream(io::stdin());
        known.extend(identity.map(|identity| ("standard input", identity)));
    }
    let identity = Identity::of_stream(io::stdout());
    known.extend(identity.map(|identity| ("standard output", identity)));
    for (flag, path) in [("--out", args.out.as_deref()), ("--hdr", args.hdr.as_deref())] {
        let Some((path, identity)) = path.and_then(|path| Some((path, Identity::of(path)?))) else {
            continue;
        };
        if let Some((other, _)) = known.iter().find(|(_, known)| *known == identity) {
            return Some(format!("{flag} {} is the file of {other}", path.display()));
        }
        known.push((flag, identity));
    }
    None
}
