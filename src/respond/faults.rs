//! What can be wrong with a server of the fleet, and how often.
//!
//! Spelled `refuse=1%,silent=0.5%,slow=2%:80ms`: shares of all servers, at most 100 % together. The
//! order of the words does not change which server draws which fault.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// Parts of a million: the unit of every share.
pub(super) const MILLION: u32 = 1_000_000;

/// How long a slow server takes where its share says nothing else.
const SLOW: Duration = Duration::from_millis(80);

/// A share of the fleet, 0 to 100 %, in parts of a million. Spelled `25%` or `0.05%`.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Share(u32);

impl Share {
    /// A share of `percent` whole percent, at most 100.
    pub const fn percent(percent: u32) -> Share {
        Share(if percent > 100 { MILLION } else { percent * (MILLION / 100) })
    }

    /// Parts of a million.
    pub const fn millionths(self) -> u32 {
        self.0
    }
}

impl FromStr for Share {
    type Err = FaultsError;

    fn from_str(text: &str) -> Result<Share, FaultsError> {
        let bad = || FaultsError::Share(text.to_owned());
        let number = text.strip_suffix('%').ok_or_else(bad)?.trim_end();
        let (whole, decimals) = number.split_once('.').unwrap_or((number, "0"));
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole) || !digits(decimals) || whole.len() > 3 || decimals.len() > 4 {
            return Err(bad());
        }
        let whole: u32 = whole.parse().map_err(|_| bad())?;
        let decimals: u32 = format!("{decimals:0<4}").parse().map_err(|_| bad())?;
        let millionths = whole * (MILLION / 100) + decimals;
        if millionths > MILLION { Err(bad()) } else { Ok(Share(millionths)) }
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0 / 10_000)?;
        let decimals = format!("{:04}", self.0 % 10_000);
        let decimals = decimals.trim_end_matches('0');
        if !decimals.is_empty() {
            write!(f, ".{decimals}")?;
        }
        f.write_str("%")
    }
}

/// Something a server does that a healthy one does not.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum Fault {
    /// Its port is closed: TCP reset, ICMP port unreachable.
    Refuse,
    /// It never answers; a TCP server drops every SYN.
    Silent,
    /// Answers RCODE 2.
    Servfail,
    /// Answers RCODE 3.
    Nxdomain,
    /// Answers RCODE 5.
    RefusedRcode,
    /// Answers RCODE 0 without a record.
    Empty,
    /// Answers with TC set and without a record.
    Truncated,
    /// Answers well, late.
    Slow,
    /// Answers under another transaction id.
    WrongId,
    /// Answers another question.
    WrongQuestion,
    /// Answers from another port.
    ForeignPort,
    /// Answers from another address.
    ForeignAddress,
    /// Answers with a message that ends inside the question.
    Malformed,
    /// Answers well, twice.
    Duplicate,
}

impl Fault {
    /// All, in the order of their counters.
    pub const ALL: [Fault; 14] = [
        Fault::Refuse,
        Fault::Silent,
        Fault::Servfail,
        Fault::Nxdomain,
        Fault::RefusedRcode,
        Fault::Empty,
        Fault::Truncated,
        Fault::Slow,
        Fault::WrongId,
        Fault::WrongQuestion,
        Fault::ForeignPort,
        Fault::ForeignAddress,
        Fault::Malformed,
        Fault::Duplicate,
    ];

    /// As the command line spells it.
    pub fn name(self) -> &'static str {
        match self {
            Fault::Refuse => "refuse",
            Fault::Silent => "silent",
            Fault::Servfail => "servfail",
            Fault::Nxdomain => "nxdomain",
            Fault::RefusedRcode => "refused_rcode",
            Fault::Empty => "empty",
            Fault::Truncated => "truncated",
            Fault::Slow => "slow",
            Fault::WrongId => "wrong_id",
            Fault::WrongQuestion => "wrong_question",
            Fault::ForeignPort => "foreign_port",
            Fault::ForeignAddress => "foreign_address",
            Fault::Malformed => "malformed",
            Fault::Duplicate => "duplicate",
        }
    }

    /// Whether a TCP server can have it; the others need something to say.
    pub fn is_for_tcp(self) -> bool {
        matches!(self, Fault::Refuse | Fault::Silent)
    }
}

/// The share of every fault, and how slow a slow server is.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub struct Faults {
    shares: [Share; Fault::ALL.len()],
    /// How long a server with [`Fault::Slow`] takes to answer.
    pub slow: Duration,
}

impl Default for Faults {
    fn default() -> Faults {
        Faults { shares: [Share(0); Fault::ALL.len()], slow: SLOW }
    }
}

impl Faults {
    /// The share of servers that draw `fault`.
    pub fn share(&self, fault: Fault) -> Share {
        self.shares[fault as usize]
    }

    /// Whether no server has a fault.
    pub(crate) fn is_none(&self) -> bool {
        self.shares.iter().all(|share| share.0 == 0)
    }

    /// The fault drawn by a number below a million, if it draws one.
    pub(crate) fn drawn(&self, draw: u32) -> Option<Fault> {
        let mut below = 0;
        Fault::ALL.into_iter().find(|&fault| {
            below += self.share(fault).0;
            draw < below
        })
    }
}

impl FromStr for Faults {
    type Err = FaultsError;

    fn from_str(text: &str) -> Result<Faults, FaultsError> {
        let mut faults = Faults::default();
        let mut seen = [false; Fault::ALL.len()];
        if matches!(text.trim(), "" | "none") {
            return Ok(faults);
        }
        for item in text.split(',').map(str::trim) {
            let (name, value) =
                item.split_once('=').ok_or_else(|| FaultsError::Item(item.to_owned()))?;
            let fault = Fault::ALL
                .into_iter()
                .find(|fault| fault.name() == name)
                .ok_or_else(|| FaultsError::Name(name.to_owned()))?;
            if std::mem::replace(&mut seen[fault as usize], true) {
                return Err(FaultsError::Twice(fault.name()));
            }
            let share = match value.split_once(':') {
                None => value,
                Some((share, delay)) if fault == Fault::Slow => {
                    faults.slow = delay_from(delay)?;
                    share
                }
                Some(_) => return Err(FaultsError::Delay(fault.name())),
            };
            faults.shares[fault as usize] = share.parse()?;
        }
        let sum: u32 = faults.shares.iter().map(|share| share.0).sum();
        if sum > MILLION {
            return Err(FaultsError::Sum);
        }
        Ok(faults)
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut comma = "";
        for fault in Fault::ALL.into_iter().filter(|&fault| self.share(fault).0 > 0) {
            write!(f, "{comma}{}={}", fault.name(), self.share(fault))?;
            if fault == Fault::Slow {
                write!(f, ":{}", humantime::format_duration(self.slow))?;
            }
            comma = ",";
        }
        if comma.is_empty() { f.write_str("none") } else { Ok(()) }
    }
}

/// Every n-th answer comes late, but no address's more than once. Spelled `50:800ms`.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub struct DelayEvery {
    /// Which answers: every n-th, n at least 1.
    pub nth: u32,
    /// How late.
    pub delay: Duration,
}

impl FromStr for DelayEvery {
    type Err = FaultsError;

    fn from_str(text: &str) -> Result<DelayEvery, FaultsError> {
        let bad = || FaultsError::Every(text.to_owned());
        let (nth, delay) = text.split_once(':').ok_or_else(bad)?;
        let nth = nth.trim().parse().ok().filter(|&nth| nth > 0).ok_or_else(bad)?;
        Ok(DelayEvery { nth, delay: delay_from(delay)? })
    }
}

fn delay_from(text: &str) -> Result<Duration, FaultsError> {
    humantime::parse_duration(text)
        .ok()
        .filter(|&delay| delay <= MAX_DELAY)
        .ok_or_else(|| FaultsError::Duration(text.to_owned()))
}

/// What is wrong with the spelling of shares, faults or delays.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum FaultsError {
    /// No `=` in it.
    #[error("{0:?} is not FAULT=SHARE, as in refuse=1%")]
    Item(String),
    /// No such fault.
    #[error("there is no fault {0:?}; there are {names}", names = names())]
    Name(String),
    /// One fault, two shares.
    #[error("{0} is given twice")]
    Twice(&'static str),
    /// Not a share.
    #[error("{0:?} is not a share: 0% to 100%, with at most 4 decimals")]
    Share(String),
    /// More than there is.
    #[error("the shares add up to more than 100%")]
    Sum,
    /// A delay where none belongs.
    #[error("{0} takes no delay; only slow does, as in slow=1%:80ms")]
    Delay(&'static str),
    /// Not a delay.
    #[error("{0:?} is not a delay of at most a minute, as in 80ms")]
    Duration(String),
    /// Not `N:DELAY`.
    #[error("{0:?} is not N:DELAY with N at least 1, as in 50:800ms")]
    Every(String),
}

fn names() -> String {
    Fault::ALL.map(Fault::name).join(", ")
}

/// The longest delay of an answer: it is held in memory meanwhile.
const MAX_DELAY: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_issues_spelling_is_read_and_written_back() {
        let text = "refuse=1%,silent=1%,servfail=1%,empty=1%,slow=1%:80ms,wrong_id=1%,\
                    wrong_question=1%,foreign_port=1%,truncated=1%";
        let faults: Faults = text.parse().unwrap();
        assert_eq!(faults.share(Fault::Truncated), Share::percent(1));
        assert_eq!(faults.share(Fault::Duplicate), Share::default());
        assert_eq!(faults.slow, Duration::from_millis(80));
        assert_eq!(faults.to_string().parse(), Ok(faults));
        let backwards = text.split(',').rev().collect::<Vec<_>>().join(",");
        assert_eq!(backwards.parse(), Ok(faults));
    }

    #[test]
    fn nothing_wrong_is_spelled_none() {
        assert_eq!("".parse(), Ok(Faults::default()));
        assert_eq!("none".parse(), Ok(Faults::default()));
        assert_eq!(Faults::default().to_string(), "none");
    }

    #[test]
    fn shares_have_four_decimals() {
        for (text, millionths) in
            [("0%", 0), ("1%", 10_000), ("0.5%", 5_000), ("12.3456%", 123_456), ("100%", MILLION)]
        {
            let share: Share = text.parse().unwrap();
            assert_eq!(share.millionths(), millionths, "{text}");
            assert_eq!(share.to_string(), text);
        }
        for text in ["1", "", "%", "-1%", "1.%", ".5%", "101%", "100.0001%", "0.00001%", "1e2%"] {
            assert_eq!(text.parse::<Share>(), Err(FaultsError::Share(text.to_owned())));
        }
    }

    #[test]
    fn mistakes_are_named() {
        for (text, error) in [
            ("refuse", FaultsError::Item("refuse".into())),
            ("refuse=1%,", FaultsError::Item(String::new())),
            ("sloth=1%", FaultsError::Name("sloth".into())),
            ("empty=1%,empty=2%", FaultsError::Twice("empty")),
            ("empty=1%:80ms", FaultsError::Delay("empty")),
            ("slow=1%:soon", FaultsError::Duration("soon".into())),
            ("slow=1%:2h", FaultsError::Duration("2h".into())),
            ("empty=60%,refuse=40.0001%", FaultsError::Sum),
        ] {
            assert_eq!(text.parse::<Faults>(), Err(error), "{text}");
        }
        let said = FaultsError::Name("sloth".into()).to_string();
        assert!(said.contains("refuse, silent, servfail"), "{said}");
    }

    #[test]
    fn draws_fall_to_faults_by_their_shares() {
        let faults: Faults = "refuse=1%,duplicate=0.0001%".parse().unwrap();
        assert_eq!(faults.drawn(0), Some(Fault::Refuse));
        assert_eq!(faults.drawn(9_999), Some(Fault::Refuse));
        assert_eq!(faults.drawn(10_000), Some(Fault::Duplicate));
        assert_eq!(faults.drawn(10_001), None);
    }

    #[test]
    fn delay_every_is_a_count_and_a_delay() {
        let delay = Duration::from_millis(800);
        assert_eq!("50:800ms".parse(), Ok(DelayEvery { nth: 50, delay }));
        for text in ["50", "0:1s", "x:1s", ""] {
            assert_eq!(text.parse::<DelayEvery>(), Err(FaultsError::Every(text.to_owned())));
        }
    }
}
