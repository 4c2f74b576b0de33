//! How `keepalived -t` 2.2 takes the same finding: what decides its exit code.

use super::code::{Code, Severity};

/// The class of a finding in keepalived's configuration test.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
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

impl Class {
    /// The exit code of `keepalived -t` for a configuration with nothing worse in it.
    pub fn exit_code(self) -> u8 {
        match self {
            Class::Silent => 0,
            Class::Parameter => 2,
            Class::Fatal => 4,
            Class::General => 5,
            Class::Include | Class::Security => 6,
        }
    }
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
