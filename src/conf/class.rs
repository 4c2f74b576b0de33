//! How `keepalived -t` 2.2 takes the same finding: what decides its exit code.

use super::code::{Code, Severity};

/// The class of a finding in keepalived's configuration test.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Class {
    /// It says nothing, or only logs: exit code 0.
    Silent,
    /// A file is not there, or the like: exit code 4.
    Fatal,
    /// Any other error of a configuration: exit code 5.
    General,
    /// Scripts without `enable_script_security`: exit code 6.
    Security,
    /// A file to include: exit code 6, whatever else there is.
    Include,
    /// A keyword without its parameter: it ends at once with exit code 2.
    Parameter,
}

impl Code {
    /// The class where nothing says otherwise.
    pub fn class(self) -> Class {
        match self {
            Code::MissingArgument => Class::Parameter,
            Code::ScriptAsRoot => Class::Security,
            Code::NoChecker
            | Code::TimeoutNotBelowInterval
            | Code::QuorumUnreachable
            | Code::DuplicateChecker
            | Code::DuplicateVirtualServer
            | Code::RootZone
            | Code::OtherAddress
            | Code::NothingToProbe
            | Code::ScriptNotFound
            | Code::ScriptNotExecutable
            | Code::ScriptInsecure
            | Code::EscapedComment
            | Code::IgnoredWords
            | Code::AddressCut
            | Code::MeansUnset => Class::Silent,
            _ if self.severity() == Severity::Note => Class::Silent,
            _ => Class::General,
        }
    }
}
