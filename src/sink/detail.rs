//! The free text beside a reason: which RCODE, which errno, what kind of reply was ignored.

use std::fmt;

use nix::errno::Errno;

use crate::outcome::{Failure, LocalFault, Outcome, Record, Strange};

/// What a record has to say beyond its reason. Never holds characters that JSON or CSV must escape.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Detail {
    /// A DNS response code.
    Rcode(u8),
    /// The kernel's refusal.
    Errno(i32),
    /// The last reply that came and did not count.
    Ignored(Strange),
}

impl Detail {
    /// The detail of a record, if it has one.
    pub fn of(record: &Record) -> Option<Detail> {
        match record.outcome {
            Outcome::Fail(Failure::Rcode(code)) => Some(Detail::Rcode(code)),
            Outcome::Unknown(LocalFault::Socket(errno) | LocalFault::Memory(errno)) => {
                Some(Detail::Errno(errno))
            }
            Outcome::Fail(Failure::Timeout)
            | Outcome::Unknown(LocalFault::Late | LocalFault::Drop) => {
                record.strange.map(Detail::Ignored)
            }
            Outcome::Pass | Outcome::Fail(_) | Outcome::Unknown(LocalFault::Port) => None,
        }
    }
}

impl fmt::Display for Detail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Detail::Rcode(code) => match rcode_name(code) {
                Some(name) => f.write_str(name),
                None => write!(f, "RCODE{code}"),
            },
            Detail::Errno(errno) => match Errno::from_raw(errno) {
                Errno::UnknownErrno => write!(f, "errno {errno}"),
                known => write!(f, "{known:?}: {}", known.desc()),
            },
            Detail::Ignored(kind) => write!(f, "last ignored reply: {}", kind.name()),
        }
    }
}

/// Names of the IANA registry "DNS RCODEs" for the four bits of a header.
fn rcode_name(code: u8) -> Option<&'static str> {
    const NAMES: [&str; 12] = [
        "NOERROR",
        "FORMERR",
        "SERVFAIL",
        "NXDOMAIN",
        "NOTIMP",
        "REFUSED",
        "YXDOMAIN",
        "YXRRSET",
        "NXRRSET",
        "NOTAUTH",
        "NOTZONE",
        "DSOTYPENI",
    ];
    NAMES.get(usize::from(code)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_speak_the_words_of_their_field() {
        assert_eq!(Detail::Rcode(2).to_string(), "SERVFAIL");
        assert_eq!(Detail::Rcode(5).to_string(), "REFUSED");
        assert_eq!(Detail::Rcode(13).to_string(), "RCODE13");
        assert_eq!(Detail::Errno(24).to_string(), "EMFILE: Too many open files");
        assert_eq!(Detail::Errno(9999).to_string(), "errno 9999");
        assert_eq!(Detail::Ignored(Strange::WrongId).to_string(), "last ignored reply: wrong_id");
    }

    #[test]
    fn no_errno_text_needs_escaping() {
        for errno in 0..200 {
            let text = Detail::Errno(errno).to_string();
            assert!(!text.contains(['"', '\\', ',', '\n']), "{text}");
        }
    }
}
