//! What the language depends on beside the files: who reads it, and how strictly.

use std::collections::BTreeMap;

/// Which failures of an include are errors.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub struct IncludeChecks {
    /// A file that cannot be read, or is no plain file.
    pub read: bool,
    /// A name without wildcards that is not there.
    pub missing: bool,
    /// Wildcards that match nothing.
    pub wildcard: bool,
    /// An alternative of `{a,b}` that matches nothing.
    pub brace: bool,
}

impl IncludeChecks {
    /// None: what keepalived starts with.
    pub const NONE: IncludeChecks =
        IncludeChecks { read: false, missing: false, wildcard: false, brace: false };
    /// All of them: keepalived's `--all-config`.
    pub const ALL: IncludeChecks =
        IncludeChecks { read: true, missing: true, wildcard: true, brace: true };

    /// Those of either.
    pub fn or(self, other: IncludeChecks) -> IncludeChecks {
        IncludeChecks {
            read: self.read || other.read,
            missing: self.missing || other.missing,
            wildcard: self.wildcard || other.wildcard,
            brace: self.brace || other.brace,
        }
    }

    /// What `include_check` may ask for.
    pub const WORDS: [&'static str; 4] = ["read", "match", "wildcard_match", "brace_match"];

    /// The check of one of [`WORDS`](Self::WORDS); `None` of any other word.
    fn of_word(&mut self, word: &[u8]) -> Option<&mut bool> {
        let checks = [&mut self.read, &mut self.missing, &mut self.wildcard, &mut self.brace];
        let known = Self::WORDS.iter().position(|known| known.as_bytes() == word)?;
        checks.into_iter().nth(known)
    }

    /// What `include_check` with these words makes of the checks in force. A bare first word begins anew,
    /// with `read` and itself; `+` and `-` add and take away; no word at all means all. Any other word is
    /// ignored, and reported where `global_defs` is read.
    pub(super) fn changed(self, words: &[&[u8]]) -> IncludeChecks {
        if words.is_empty() {
            return IncludeChecks::ALL;
        }
        let mut checks = self;
        for (place, word) in words.iter().enumerate() {
            let (name, value) = match word.split_first() {
                Some((b'+', name)) => (name, true),
                Some((b'-', name)) => (name, false),
                _ if place > 0 => continue,
                _ => {
                    checks = IncludeChecks::NONE;
                    checks.read = checks.of_word(word).is_some();
                    (*word, true)
                }
            };
            if let Some(check) = checks.of_word(name) {
                *check = value;
            }
        }
        checks
    }
}

/// Where `${_ENV NAME}` looks.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Environment {
    /// The environment of this process.
    #[default]
    Process,
    /// These variables and no others.
    Given(BTreeMap<String, String>),
}

impl Environment {
    /// The value of a variable; `None` where it is not set.
    pub(super) fn get(&self, name: &[u8]) -> Option<Vec<u8>> {
        use std::os::unix::ffi::{OsStrExt, OsStringExt};
        match self {
            Environment::Process => {
                std::env::var_os(std::ffi::OsStr::from_bytes(name)).map(OsStringExt::into_vec)
            }
            Environment::Given(variables) => {
                let name = std::str::from_utf8(name).ok()?;
                variables.get(name).map(|value| value.clone().into_bytes())
            }
        }
    }
}

/// What the text of a configuration means depends on these too.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct LanguageOptions {
    /// The word behind `@` that this reader answers to; `None` for the host name up to its first dot.
    pub config_id: Option<String>,
    /// The checks of every include, before `include_check` changes them.
    pub include_checks: IncludeChecks,
    /// Seed of `${_RANDOM}`; `None` for other numbers at every reading.
    pub random_seed: Option<u64>,
    /// Where `${_ENV NAME}` looks.
    pub environment: Environment,
    /// Lines that parameters and repetitions may make; `None` for [`LINES_DEFAULT`](Self::LINES_DEFAULT), and
    /// [`LINES_OF_ONE_DEFAULT`](Self::LINES_OF_ONE_DEFAULT) of one line.
    pub lines_max: Option<u64>,
}

impl LanguageOptions {
    /// Lines that parameters and repetitions make at most, where nothing is said. One line may ask for any
    /// number of them, so that a slip in a bound takes all memory; a file that is that large has its lines.
    pub const LINES_DEFAULT: u64 = 1_200_000;

    /// Lines that one line of a file makes at most by turning over, where nothing is said, and lines of
    /// parameters for each turn. A slip is in one line, and lists that are meant are of many lines.
    pub const LINES_OF_ONE_DEFAULT: u64 = 100_000;

    /// The config-id in force.
    pub(super) fn config_id(&self) -> Vec<u8> {
        if let Some(id) = &self.config_id {
            return id.clone().into_bytes();
        }
        // The kernel's name of this host. Without /proc there is none, and no line is for us.
        let name = std::fs::read("/proc/sys/kernel/hostname").unwrap_or_default();
        let end = name.iter().position(|byte| *byte == b'.' || byte.is_ascii_whitespace());
        name[..end.unwrap_or(name.len())].to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn include_check_sets_adds_and_takes_away() {
        let some =
            |read, missing, wildcard, brace| IncludeChecks { read, missing, wildcard, brace };
        let given = some(false, true, false, false);
        for (words, expected) in [
            ("", IncludeChecks::ALL),
            ("match", some(true, true, false, false)),
            ("read", some(true, false, false, false)),
            ("wildcard_match brace_match", some(true, false, true, false)),
            ("wildcard_match +brace_match", some(true, false, true, true)),
            ("readable", IncludeChecks::NONE),
            ("readable +wildcard_match", some(false, false, true, false)),
            ("+read", some(true, true, false, false)),
            ("-match +brace_match", some(false, false, false, true)),
            ("+what", given),
        ] {
            let words: Vec<&[u8]> =
                words.split_ascii_whitespace().map(|word| word.as_bytes()).collect();
            assert_eq!(given.changed(&words), expected);
        }
    }

    #[test]
    fn a_host_name_is_the_default_id() {
        let options = LanguageOptions::default();
        assert!(!options.config_id().contains(&b'.'));
        let options = LanguageOptions { config_id: Some("a.b".into()), ..options };
        assert_eq!(options.config_id(), b"a.b");
    }
}
