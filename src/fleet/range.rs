//! Addresses in bulk: one, `A-B`, `A-N` or a network, as first and last address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

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
}

impl AddressRange {
    /// Reads `A`, `A-B`, `A-N` or `A/PREFIX`. N replaces the last octet (decimal) of an IPv4 address or
    /// the last group (hexadecimal) of an IPv6 address.
    pub fn parse(text: &str) -> Result<AddressRange, RangeError> {
        if let Some((address, prefix)) = text.split_once('/') {
            let address: IpAddr = address.parse().map_err(|_| RangeError::Address)?;
            let prefix = digits::<u8>(prefix).ok_or(RangeError::Prefix)?;
            let net = IpNet::new(address, prefix).map_err(|_| RangeError::Prefix)?;
            let has_host_bits = net.network() != address;
            let (first, last) = (net.network(), net.broadcast());
            return Ok(AddressRange { first, last, has_host_bits, prefix_len: Some(prefix) });
        }
        if let Some((first, last)) = text.split_once('-') {
            let first: IpAddr = first.parse().map_err(|_| RangeError::Address)?;
            let last = match last.parse::<IpAddr>() {
                Ok(last) => last,
                Err(_) => with_last_part(first, last).ok_or(RangeError::End)?,
            };
            if first.is_ipv4() != last.is_ipv4() {
                return Err(RangeError::Families);
            }
            if last < first {
                return Err(RangeError::Reversed);
            }
            return Ok(AddressRange { first, last, has_host_bits: false, prefix_len: None });
        }
        let address: IpAddr = text.parse().map_err(|_| RangeError::Address)?;
        Ok(AddressRange { first: address, last: address, has_host_bits: false, prefix_len: None })
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
        ] {
            assert_eq!(AddressRange::parse(text), Err(error), "{text}");
        }
    }
}
