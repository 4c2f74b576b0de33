//! Addresses in bulk: one, `A-B`, `A-N` or a network, as first and last address.
//!
//! IPv4-mapped addresses (`::ffff:192.0.2.1`, RFC 4291 2.5.5.2) are IPv4 addresses in another spelling, and
//! become them: the sockets for IPv6 send no IPv4.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;

use ipnet::IpNet;
use thiserror::Error;

/// All addresses from `first` to `last`, both included; `first <= last`, of one family.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct AddressRange {
    first: IpAddr,
    last: IpAddr,
    /// The network was written with bits behind its prefix.
    has_host_bits: bool,
    prefix_len: Option<u8>,
}

/// Why a text is no range of addresses.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Error)]
pub enum RangeError {
    /// Neither IPv4 nor IPv6.
    #[error("not an address")]
    Address,
    /// After the `/`.
    #[error("not a prefix length")]
    Prefix,
    /// After the `-`.
    #[error("not an end of a range")]
    End,
    /// IPv4 to IPv6 or the other way.
    #[error("the ends of a range must be of one family")]
    Families,
    /// The end is before the start.
    #[error("the range ends before it begins")]
    Reversed,
    /// It has addresses inside and outside of `::ffff:0:0/96`.
    #[error("only a part of it is IPv4-mapped (::ffff:0:0/96); write IPv4 and IPv6 apart")]
    PartlyMapped,
}

/// `::ffff:0:0/96`.
const MAPPED: RangeInclusive<u128> = 0xffff_0000_0000..=0xffff_ffff_ffff;
/// Bits of an IPv4-mapped prefix that only say that it is mapped.
const MAPPED_BITS: u8 = 96;

impl AddressRange {
    /// Reads `A`, `A-B`, `A-N` or `A/PREFIX`. N replaces the last octet (decimal) of an IPv4 address or
    /// the last group (hexadecimal) of an IPv6 address.
    pub fn parse(text: &str) -> Result<AddressRange, RangeError> {
        if let Some((address, prefix)) = text.split_once('/') {
            let address: IpAddr = address.parse().map_err(|_| RangeError::Address)?;
            let prefix = digits::<u8>(prefix).ok_or(RangeError::Prefix)?;
            let net = IpNet::new(address, prefix).map_err(|_| RangeError::Prefix)?;
            let has_host_bits = net.network() != address;
            let (first, last) = canonical(net.network(), net.broadcast())?;
            let is_mapped = first.is_ipv4() && address.is_ipv6();
            let prefix_len = Some(if is_mapped { prefix - MAPPED_BITS } else { prefix });
            return Ok(AddressRange { first, last, has_host_bits, prefix_len });
        }
        if let Some((first, last)) = text.split_once('-') {
            let is_dotted = first.contains('.');
            let first: IpAddr = first.parse().map_err(|_| RangeError::Address)?;
            // The last part is what is seen as such: of ::ffff:192.0.2.1 it is the octet.
            let first = if is_dotted { first.to_canonical() } else { first };
            let last = match last.parse::<IpAddr>() {
                Ok(last) => last,
                Err(_) => with_last_part(first, last).ok_or(RangeError::End)?,
            };
            let (first, last) = canonical(first, last)?;
            if last < first {
                return Err(RangeError::Reversed);
            }
            return Ok(AddressRange { first, last, has_host_bits: false, prefix_len: None });
        }
        let address: IpAddr = text.parse().map_err(|_| RangeError::Address)?;
        Ok(AddressRange::of(address.to_canonical()))
    }

    /// One address, which is not an IPv4-mapped one.
    pub(super) fn of(address: IpAddr) -> AddressRange {
        AddressRange { first: address, last: address, has_host_bits: false, prefix_len: None }
    }

    /// The lowest address.
    pub fn first(&self) -> IpAddr {
        self.first
    }

    /// The highest address.
    pub fn last(&self) -> IpAddr {
        self.last
    }

    /// Whether a network was written with bits behind its prefix: `10.0.0.1/24`.
    pub fn has_host_bits(&self) -> bool {
        self.has_host_bits
    }

    /// The length of the prefix where it was written as a network.
    pub fn prefix_len(&self) -> Option<u8> {
        self.prefix_len
    }
}

/// Both ends as IPv4 where all between them is IPv4-mapped, as they are where nothing is.
fn canonical(first: IpAddr, last: IpAddr) -> Result<(IpAddr, IpAddr), RangeError> {
    match (first, last) {
        (IpAddr::V4(_), IpAddr::V4(_)) => Ok((first, last)),
        (IpAddr::V6(low), IpAddr::V6(high)) => {
            let (low, high) = (low.to_bits(), high.to_bits());
            if MAPPED.contains(&low) && MAPPED.contains(&high) {
                Ok((first.to_canonical(), last.to_canonical()))
            } else if low <= *MAPPED.end() && *MAPPED.start() <= high {
                Err(RangeError::PartlyMapped)
            } else {
                Ok((first, last))
            }
        }
        _ if first.to_canonical().is_ipv4() && last.to_canonical().is_ipv4() => {
            Ok((first.to_canonical(), last.to_canonical()))
        }
        _ => Err(RangeError::Families),
    }
}

fn digits<T: std::str::FromStr>(text: &str) -> Option<T> {
    // `parse` alone would take a sign.
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

fn with_last_part(address: IpAddr, last: &str) -> Option<IpAddr> {
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            Some(Ipv4Addr::new(a, b, c, digits(last)?).into())
        }
        IpAddr::V6(address) => {
            let is_hex = last.bytes().all(|byte| byte.is_ascii_hexdigit());
            let last = is_hex.then(|| u16::from_str_radix(last, 16).ok())??;
            let mut groups = address.segments();
            groups[7] = last;
            Some(Ipv6Addr::from(groups).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_forms() {
        for (text, first, last) in [
            ("192.0.2.9", "192.0.2.9", "192.0.2.9"),
            ("192.0.2.10-12", "192.0.2.10", "192.0.2.12"),
            ("192.0.2.250-192.0.3.5", "192.0.2.250", "192.0.3.5"),
            ("192.0.2.64/30", "192.0.2.64", "192.0.2.67"),
            ("192.0.2.65/30", "192.0.2.64", "192.0.2.67"),
            ("0.0.0.0/0", "0.0.0.0", "255.255.255.255"),
            ("2001:db8::10-1f", "2001:db8::10", "2001:db8::1f"),
            ("2001:db8:1::/126", "2001:db8:1::", "2001:db8:1::3"),
            ("::1-::1:0:0", "::1", "::1:0:0"),
            ("::ffff:192.0.2.1", "192.0.2.1", "192.0.2.1"),
            ("::ffff:c000:201", "192.0.2.1", "192.0.2.1"),
            ("::ffff:192.0.2.64/126", "192.0.2.64", "192.0.2.67"),
            ("::ffff:0:0/96", "0.0.0.0", "255.255.255.255"),
            ("::ffff:192.0.2.1-::ffff:192.0.2.9", "192.0.2.1", "192.0.2.9"),
            ("::ffff:192.0.2.1-192.0.2.9", "192.0.2.1", "192.0.2.9"),
            ("::ffff:c000:201-192.0.2.9", "192.0.2.1", "192.0.2.9"),
            ("192.0.2.1-::ffff:192.0.2.9", "192.0.2.1", "192.0.2.9"),
            ("::ffff:192.0.2.10-12", "192.0.2.10", "192.0.2.12"),
            ("::ffff:c000:201-2ff", "192.0.2.1", "192.0.2.255"),
            ("::1-::fffe:ffff:ffff", "::1", "::fffe:ffff:ffff"),
            ("::1:0:0:0-f", "::1:0:0:0", "::1:0:0:f"),
        ] {
            let range = AddressRange::parse(text).expect(text);
            assert_eq!(range.first(), first.parse::<IpAddr>().expect(first), "{text}");
            assert_eq!(range.last(), last.parse::<IpAddr>().expect(last), "{text}");
        }
    }

    #[test]
    fn what_is_none() {
        for (text, error) in [
            ("", RangeError::Address),
            ("10.0.0.300", RangeError::Address),
            ("010.0.0.1", RangeError::Address),
            ("10.0.0.1/33", RangeError::Prefix),
            ("10.0.0.1/+8", RangeError::Prefix),
            ("10.0.0.1/", RangeError::Prefix),
            ("::/129", RangeError::Prefix),
            ("10.0.0.1-", RangeError::End),
            ("10.0.0.1-256", RangeError::End),
            ("::1-g", RangeError::End),
            ("::1-+1", RangeError::End),
            ("10.0.0.1-::1", RangeError::Families),
            ("10.0.0.9-3", RangeError::Reversed),
            ("::9-::1", RangeError::Reversed),
            ("::ffff:192.0.2.9-3", RangeError::Reversed),
            ("::ffff:192.0.2.1-256", RangeError::End),
            ("::ffff:192.0.2.1-::1", RangeError::Families),
            ("::ffff:c000:201-::1:0:0:0", RangeError::PartlyMapped),
            ("::fffe:ffff:ffff-::ffff:0:1", RangeError::PartlyMapped),
            ("::fffe:ffff:ffff-::1:0:0:0", RangeError::PartlyMapped),
            ("::ffff:0:0/95", RangeError::PartlyMapped),
            ("::/0", RangeError::PartlyMapped),
        ] {
            assert_eq!(AddressRange::parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn a_mapped_network_has_the_prefix_of_the_network_it_is() {
        let range = AddressRange::parse("::ffff:192.0.2.65/126").expect("a network");
        assert_eq!(range.prefix_len(), Some(30));
        assert!(range.has_host_bits());
        let range = AddressRange::parse("::ffff:192.0.2.64/126").expect("a network");
        assert!(!range.has_host_bits());
    }
}
