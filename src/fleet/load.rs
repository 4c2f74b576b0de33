//! A configuration file -> the fleet and what is to be said about it, or why nothing can be probed.

use std::fs::File;
use std::hash::Hasher;
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;

use thiserror::Error;

use super::effective::Effective;
use super::lower::Lowering;
use super::model::{DnsRequire, Fleet, Handshake};
use super::script::user::UserName;
use crate::conf::{
    Code, Diagnostic, Diagnostics, FileId, IncludeChecks, LanguageOptions, Parser, Problems,
    Severity, Source, SourceTooLarge, Sources, Tree, find_roots,
};

/// Bytes of a file that a configuration begins with: as many as an included one may have.
const ROOT_BYTES_MAX: u64 = 1 << 30;

/// The same of a device: a person types less, and others never end.
const DEVICE_BYTES_MAX: u64 = 1 << 20;

/// NUL bytes at the start that say that there is nothing to read: a hole, or a device that never ends.
const NUL_BYTES: usize = 4096;

/// What the command line says about every checker.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct LoadOptions {
    /// What passes a DNS_CHECK.
    pub dns_require: DnsRequire,
    /// What the peer sees of a TCP_CHECK.
    pub handshake: Handshake,
    /// Whom scripts run as where neither their checker nor `script_user` says so; `None` for
    /// `keepalived_script`.
    pub script_user: Option<UserName>,
    /// MISC_CHECK is not probed: its users are not looked up, its files not looked at.
    pub no_scripts: bool,
    /// Whose `@id` lines are read; `None` for those of this host's name up to its first dot.
    pub config_id: Option<String>,
    /// An include that finds nothing, or what cannot be read, is always an error.
    pub all_config: bool,
    /// Seed of `${_RANDOM}`; `None` for other numbers at every reading.
    pub random_seed: Option<u64>,
    /// Lines that parameters and repetitions may make; `None` for 1,200,000, and 100,000 of one line.
    pub max_lines: Option<u64>,
}

impl LoadOptions {
    fn language(&self) -> LanguageOptions {
        LanguageOptions {
            config_id: self.config_id.clone(),
            include_checks: if self.all_config { IncludeChecks::ALL } else { IncludeChecks::NONE },
            random_seed: self.random_seed,
            lines_max: self.max_lines,
            ..LanguageOptions::default()
        }
    }
}

/// A configuration that can be probed.
#[derive(Debug)]
pub struct Loaded {
    /// Everything it asks for.
    pub fleet: Fleet,
    /// Warnings and notes; no errors.
    pub problems: Problems,
}

/// A configuration of which nothing is probed.
#[derive(Debug, Error)]
pub enum Rejected {
    /// The file could not be read.
    #[error("cannot read {name}: {error}")]
    Read {
        /// The file.
        name: String,
        /// What the system said.
        error: io::Error,
    },
    /// The file is beyond what offsets of 32 bits reach.
    #[error(transparent)]
    TooLarge(#[from] SourceTooLarge),
    /// There are errors in it; `problems` has all of them, and the warnings.
    #[error("{name}: {count} {noun} in the configuration, nothing is probed",
        count = problems.count(Severity::Error),
        noun = if problems.count(Severity::Error) == 1 { "error" } else { "errors" })]
    Invalid {
        /// The file.
        name: String,
        /// Errors, warnings and notes.
        problems: Problems,
    },
}

/// A configuration with everything that is known of it, good or bad.
#[derive(Debug)]
pub struct Analysis {
    /// How diagnostics call it.
    pub name: String,
    /// Its files.
    pub sources: Sources,
    /// What would be probed, were there no errors.
    pub fleet: Fleet,
    /// Every setting and its origin. Where there are errors it is what keepalived would make of the
    /// configuration, as far as that can be said.
    pub effective: Effective,
    /// Errors, warnings and notes, in the order they were found.
    pub diagnostics: Diagnostics,
}

/// Reads a configuration file. `path` may be a pattern, as keepalived takes it for one.
///
/// # Errors
/// Where it cannot be read, or has errors: nothing of it is probed then.
pub fn load(path: &Path, options: &LoadOptions) -> Result<Loaded, Rejected> {
    Files::find(path)?.read(options, false).accepted()
}

/// Reads a configuration that is in memory. `name` is what diagnostics call it. Files that it includes are
/// looked for from the current directory.
///
/// # Errors
/// Where it has errors.
pub fn load_text(name: &str, text: Vec<u8>, options: &LoadOptions) -> Result<Loaded, Rejected> {
    Files::of_text(name, text)?.read(options, false).accepted()
}

/// Reads a configuration file for a reader: errors do not reject it.
///
/// # Errors
/// Only where there is nothing to read.
pub fn analyse(path: &Path, options: &LoadOptions) -> Result<Analysis, Rejected> {
    Ok(Files::find(path)?.read(options, true))
}

/// The same of a configuration that is in memory.
///
/// # Errors
/// Where it is too large.
pub fn analyse_text(
    name: &str,
    text: Vec<u8>,
    options: &LoadOptions,
) -> Result<Analysis, Rejected> {
    Ok(Files::of_text(name, text)?.read(options, true))
}

/// The files that a configuration begins with.
struct Files {
    name: String,
    sources: Sources,
    roots: Vec<FileId>,
    /// What there is to say before any of them is read.
    known: Vec<Diagnostic>,
}

impl Files {
    fn find(path: &Path) -> Result<Files, Rejected> {
        let name = path.display().to_string();
        let unreadable = |path: &Path| {
            let name = path.display().to_string();
            move |error| Rejected::Read { name, error }
        };
        let paths = find_roots(path).map_err(unreadable(path))?;
        let sources = Sources::default();
        let mut roots = Vec::with_capacity(paths.len());
        let (mut known, mut skipped) = (Vec::new(), 0);
        for path in &paths {
            let (text, is_executable) = read_root(path).map_err(unreadable(path))?;
            roots.extend(sources.add(Source::of_file(path, text)?));
            if is_executable {
                skipped += 1;
                let message = format!("`{}` is executable: keepalived skips it", path.display());
                let found = Diagnostic::new(Code::ExecutableFile, message);
                known.push(found.help("take the permission away: `chmod a-x`"));
            }
        }
        let count = paths.len() - skipped;
        if count > 1 {
            let message =
                format!("{count} files match `{name}`: keepalived takes that for a mistake");
            known.push(Diagnostic::new(Code::SeveralFiles, message));
        }
        Ok(Files { name, sources, roots, known })
    }

    fn of_text(name: &str, text: Vec<u8>) -> Result<Files, Rejected> {
        let sources = Sources::default();
        let roots = sources.add(Source::new(name, text)?).into_iter().collect();
        Ok(Files { name: name.to_owned(), sources, roots, known: Vec::new() })
    }

    fn read(self, options: &LoadOptions, keep_effective: bool) -> Analysis {
        let Files { name, sources, roots, known } = self;
        let language = options.language();
        let mut lowering = Lowering::new(&sources, options.clone(), keep_effective);
        let mut parser = Parser::new(&sources, &roots, &language);
        let mut tree = Tree::for_sources(&sources);
        for found in known {
            lowering.reader.report(found);
        }
        while parser.next(&mut tree, &mut lowering.reader.diagnostics) {
            if let Some(root) = tree.root() {
                lowering.root(root);
            }
        }
        drop((parser, tree));
        let (mut fleet, effective, diagnostics) = lowering.finish();
        fleet.digest = digest(&sources);
        let effective = effective.unwrap_or_default();
        Analysis { name, sources, fleet, effective, diagnostics }
    }
}

/// Reads a file, or a pipe, as far as a configuration may be long. True of a file that anyone may execute.
fn read_root(path: &Path) -> io::Result<(Vec<u8>, bool)> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    let is_executable = metadata.is_file() && metadata.permissions().mode() & 0o111 != 0;
    let most =
        if metadata.file_type().is_char_device() { DEVICE_BYTES_MAX } else { ROOT_BYTES_MAX };
    let mut text = Vec::new();
    let mut file = file.take(most + 1);
    file.by_ref().take(NUL_BYTES as u64).read_to_end(&mut text)?;
    if text.len() == NUL_BYTES && text.iter().all(|byte| *byte == 0) {
        let message = format!("no text: it begins with {NUL_BYTES} NUL bytes");
        return Err(io::Error::new(io::ErrorKind::InvalidData, message));
    }
    file.read_to_end(&mut text)?;
    if text.len() as u64 > most {
        let message = format!("more than {most} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    Ok((text, is_executable))
}

impl Analysis {
    /// What can be probed.
    fn accepted(self) -> Result<Loaded, Rejected> {
        let problems = Problems::new(self.diagnostics, &self.sources);
        if problems.count(Severity::Error) > 0 {
            return Err(Rejected::Invalid { name: self.name, problems });
        }
        Ok(Loaded { fleet: self.fleet, problems })
    }
}

/// FNV-1a of 64 bits over the bytes of all files, as 16 hex digits: names a configuration in records.
/// It is no defence against anyone who wants two files to have the same.
fn digest(sources: &Sources) -> String {
    let mut state = Fnv(0xcbf2_9ce4_8422_2325);
    for source in sources.iter().filter(|source| !source.is_generated()) {
        state.write(source.text());
    }
    format!("{:016x}", state.finish())
}

struct Fnv(u64);

impl Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_fnv_1a() {
        // Test vectors of the algorithm's authors.
        for (text, digest) in
            [("", "cbf29ce484222325"), ("a", "af63dc4c8601ec8c"), ("foobar", "85944171f73967e8")]
        {
            let loaded = load_text("x", text.into(), &LoadOptions::default());
            let found = match loaded {
                Ok(loaded) => loaded.fleet.digest,
                Err(_) => {
                    let mut state = Fnv(0xcbf2_9ce4_8422_2325);
                    state.write(text.as_bytes());
                    format!("{:016x}", state.finish())
                }
            };
            assert_eq!(found, digest, "{text}");
        }
    }

    /// keepalived skips such files and counts what is left.
    #[test]
    fn an_executable_file_is_read_and_warned_of() {
        let place = tempfile::tempdir().expect("a directory for temporary files");
        let codes = |pattern: &str| -> Vec<&str> {
            let analysis =
                analyse(&place.path().join(pattern), &LoadOptions::default()).expect("there");
            assert!(!analysis.effective.virtual_servers.is_empty());
            let codes = analysis.diagnostics.iter().map(|found| found.code.as_str());
            codes.filter(|code| ["W100", "W056"].contains(code)).collect()
        };
        let text = "virtual_server 10.0.0.1 80 {\n real_server 10.0.0.2 80 {\n }\n}\n";
        for (name, mode) in [("a.conf", 0o644), ("b.conf", 0o654), ("c.conf", 0o600)] {
            let path = place.path().join(name);
            std::fs::write(&path, text).expect("written");
            let mode = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(&path, mode).expect("ours");
        }
        assert_eq!(codes("a.conf"), [""; 0]);
        assert_eq!(codes("b.conf"), ["W100"]);
        assert_eq!(codes("[ab].conf"), ["W100"]);
        assert_eq!(codes("?.conf"), ["W100", "W056"]);
    }

    #[test]
    fn what_has_no_text_or_no_end_is_refused_early() {
        let place = tempfile::tempdir().expect("a directory for temporary files");
        let hole = place.path().join("hole");
        File::create(&hole).and_then(|file| file.set_len(1 << 30)).expect("a file with a hole");
        for (path, why) in [
            (Path::new("/dev/zero"), "no text: it begins with 4096 NUL bytes"),
            (&hole, "no text: it begins with 4096 NUL bytes"),
            (Path::new("/dev/urandom"), "more than 1048576 bytes"),
        ] {
            let error = read_root(path).expect_err("refused");
            assert_eq!(error.to_string(), why, "{}", path.display());
        }
        assert_eq!(read_root(Path::new("/dev/null")).expect("nothing"), (Vec::new(), false));
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let error = load(Path::new("/nonexistent/keepalived.conf"), &LoadOptions::default())
            .expect_err("there is no such file");
        assert_eq!(
            error.to_string(),
            "cannot read /nonexistent/keepalived.conf: No such file or directory (os error 2)"
        );
    }
}
