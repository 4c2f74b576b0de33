//! Values of flags, as typed: each function says what is wrong in words that clap shows.

use std::ffi::OsStr;
use std::net::{AddrParseError, IpAddr};
use std::os::unix::ffi::OsStrExt;
use std::str::FromStr;
use std::time::Duration;

use hickory_proto::rr::{Name, RecordType};

use super::sweep::{Variable, cgroup_mode};
use crate::bench::Ramp;
use crate::reaper::link::CgroupMode;
use crate::sweep::Part;

pub(crate) fn part(text: &str) -> Result<Part, String> {
    text.split_once('/')
        .and_then(|(number, count)| Part::new(number.parse().ok()?, count.parse().ok()?))
        .ok_or_else(|| "give I/N with 1 <= I <= N, as in 2/4".to_owned())
}

/// An IPv4-mapped address is the IPv4 address it stands for.
pub(crate) fn address(text: &str) -> Result<IpAddr, AddrParseError> {
    text.parse().map(|address: IpAddr| address.to_canonical())
}

pub(crate) fn timeout(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(timeout) if timeout.is_zero() => Err("it must be longer than nothing".to_owned()),
        Ok(timeout) if timeout > Duration::from_secs(3600) => Err("at most an hour".to_owned()),
        Ok(timeout) => Ok(timeout),
        Err(error) => Err(format!("{error}; give a number with a unit, as in 500ms or 2s")),
    }
}

/// As a timeout, but it may be none at all.
pub(crate) fn grace(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(grace) if grace.is_zero() => Ok(grace),
        _ => timeout(text),
    }
}

/// `NAME` or `NAME=VALUE`, the name as shells allow it.
pub(crate) fn variable(text: &OsStr) -> Result<Variable, String> {
    let bytes = text.as_bytes();
    let end = bytes.iter().position(|byte| *byte == b'=').unwrap_or(bytes.len());
    let (name, value) = (&bytes[..end], bytes.get(end + 1..));
    let is_name = name.first().is_some_and(|first| !first.is_ascii_digit())
        && name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    if !is_name {
        return Err("a name has letters, digits and _ and begins with no digit".to_owned());
    }
    if name.starts_with(b"RINGPROBE_") {
        return Err("what begins with RINGPROBE_ is set by ringprobe itself".to_owned());
    }
    Ok(Variable {
        name: String::from_utf8_lossy(name).into_owned(),
        value: value.map(|value| OsStr::from_bytes(value).to_owned()),
    })
}

pub(crate) fn cgroup(text: &OsStr) -> Result<CgroupMode, String> {
    cgroup_mode(text)
        .ok_or_else(|| "give auto, off, or a directory that begins with a slash".to_owned())
}

/// Most shards: more than there are cores only take turns, and each costs a ring and its buffers.
const SHARDS_MAX: u32 = 256;

pub(crate) fn shards(text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(shards) if (1..=SHARDS_MAX).contains(&shards) => Ok(shards),
        _ => Err(format!("give 1 to {SHARDS_MAX} threads; there is no use for more than cores")),
    }
}

/// Most probes a second: one each nanosecond, the unit of all clocks here.
const RATE_MAX: f64 = 1e9;

pub(crate) fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if rate > 0.0 && rate <= RATE_MAX => Ok(rate),
        _ => Err("give probes per second, more than 0 and 1,000,000,000 at most".to_owned()),
    }
}

/// A run that is shorter measures nothing but noise.
pub(crate) const RUN_MIN: Duration = Duration::from_millis(100);

/// `FROM:TO:STEP`, in probes a second.
pub(crate) fn ramp(text: &str) -> Result<Ramp, String> {
    let wrong = || {
        "give FROM:TO:STEP in probes a second, each more than 0 and 1,000,000,000 at most, as in \
         1000:20000:1000"
            .to_owned()
    };
    let parts = text.split(':').map(rate).collect::<Result<Vec<f64>, _>>().map_err(|_| wrong())?;
    let [from, to, step] = parts[..] else { return Err(wrong()) };
    if from > to {
        return Err("a ramp goes up: FROM must not be above TO".to_owned());
    }
    let steps = (to - from) / step;
    if steps >= Ramp::STEPS_MAX as f64 {
        return Err(format!("that is {steps:.0} steps; at most {} are made", Ramp::STEPS_MAX));
    }
    Ok(Ramp { from, to, step })
}

pub(crate) fn record_type(text: &str) -> Result<RecordType, String> {
    let upper = text.to_ascii_uppercase();
    if upper == "IXFR" {
        // hickory prints this name but does not read it.
        return Ok(RecordType::IXFR);
    }
    RecordType::from_str(&upper)
        .map_err(|_| "no such record type; give one by name, as in A or SOA".to_owned())
}

pub(crate) fn name(text: &str) -> Result<Name, String> {
    let mut name = Name::from_ascii(text).map_err(|error| error.to_string())?;
    name.set_fqdn(true);
    Ok(name)
}

/// IFNAMSIZ is 16, its NUL included.
pub(crate) fn interface(text: &str) -> Result<String, String> {
    if (1..=15).contains(&text.len()) && !text.contains(['/', ' ', '\0']) {
        Ok(text.to_owned())
    } else {
        Err("an interface name has 1 to 15 bytes, no slash and no space".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_one_that_a_clock_can_tell() {
        assert_eq!([rate("0.5"), rate("1e9")], [Ok(0.5), Ok(1e9)]);
        for bad in ["0", "-1", "1.1e9", "1e12", "inf", "nan", "many", ""] {
            let error = rate(bad).expect_err(bad);
            assert!(error.contains("1,000,000,000 at most"), "{bad}: {error}");
        }
        assert_eq!(ramp("1:3:1"), Ok(Ramp { from: 1.0, to: 3.0, step: 1.0 }));
        for bad in ["1:1e12:1e11", "1:2", "0:2:1", "1:2:inf"] {
            let error = ramp(bad).expect_err(bad);
            assert!(error.contains("1,000,000,000 at most"), "{bad}: {error}");
        }
    }
}
