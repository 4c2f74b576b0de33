//! The files that a configuration's name stands for: it may have wildcards, like the name of an include.

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::wildcard::{has_wildcard, matches};

/// The root files of a configuration, in the order in which they are read.
pub type Roots = Vec<PathBuf>;

/// Looks for the files of `name`. A file of exactly that name is that file, whatever characters are in it;
/// a name without wildcards is given back as it is.
pub fn find_roots(name: &Path) -> io::Result<Roots> {
    let bytes = name.as_os_str().as_bytes();
    if !has_wildcard(bytes) || name.symlink_metadata().is_ok() {
        return Ok(vec![name.to_path_buf()]);
    }
    let mut files = Vec::new();
    matches(bytes, Path::new(""), &mut files)
        .map_err(|message| io::Error::new(io::ErrorKind::InvalidInput, message))?;
    if files.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "no file matches"));
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_wildcards_is_several_files() {
        let place = tempfile::tempdir().expect("a directory for temporary files");
        let file = |name: &str| place.path().join(name);
        for name in ["b.conf", "a.conf", "[c].conf"] {
            std::fs::write(file(name), "").expect("written");
        }
        let found = |name: &str| find_roots(&file(name)).ok();
        assert_eq!(found("[ab].conf"), Some(vec![file("a.conf"), file("b.conf")]));
        assert_eq!(found("[c].conf"), Some(vec![file("[c].conf")]));
        assert_eq!(found("x.conf"), Some(vec![file("x.conf")]));
        assert_eq!(found("x*.conf"), None);
    }
}
