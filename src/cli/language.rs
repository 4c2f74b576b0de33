//! Flags of every subcommand that reads a keepalived.conf: what its language depends on beside its text.

use clap::Args;
use clap::error::ErrorKind;

use crate::fleet::LoadOptions;

/// How a configuration is read.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct LanguageArgs {
    /// Whose conditional lines (@ID) of the configuration are read [default: the host name up to its
    /// first dot]
    #[arg(long, value_name = "ID", help_heading = "Configuration")]
    pub(crate) config_id: Option<String>,
    /// An include that finds nothing, or what cannot be read, is always an error, as with
    /// keepalived --all-config
    #[arg(long, help_heading = "Configuration")]
    pub(crate) all_config: bool,
    /// Seed of ${_RANDOM}, so that two readings take the same numbers [default: the configuration's
    /// random_seed, else other numbers each time]
    #[arg(long, value_name = "N", help_heading = "Configuration")]
    pub(crate) random_seed: Option<u64>,
    /// Lines that parameters and repetitions (~SEQ, ~LST) may make of a configuration; a slip in a bound asks
    /// for many [default: 1200000, and 100000 of one line]
    #[arg(long, value_name = "N", help_heading = "Configuration")]
    pub(crate) max_lines: Option<u64>,
}

impl LanguageArgs {
    /// The same options with what these flags say.
    pub(crate) fn apply(&self, options: LoadOptions) -> LoadOptions {
        LoadOptions {
            config_id: self.config_id.clone(),
            all_config: self.all_config,
            random_seed: self.random_seed,
            max_lines: self.max_lines,
            ..options
        }
    }

    /// Whether what is given has a meaning: `has_file` says that a configuration is read.
    ///
    /// # Errors
    /// What kind of usage error it is, and in words.
    pub(crate) fn check(&self, has_file: bool) -> Result<(), (ErrorKind, String)> {
        let flags = [
            (self.config_id.is_some(), "--config-id"),
            (self.all_config, "--all-config"),
            (self.random_seed.is_some(), "--random-seed"),
            (self.max_lines.is_some(), "--max-lines"),
        ];
        match flags.into_iter().find(|(is_given, _)| *is_given) {
            Some((_, flag)) if !has_file => {
                Err((ErrorKind::ArgumentConflict, format!("{flag} has a meaning only with -f")))
            }
            _ => Ok(()),
        }
    }
}
