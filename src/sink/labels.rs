//! Text of virtual servers and addresses, made without allocating for every record.

use std::io::Write;
use std::net::{IpAddr, SocketAddr};

use crate::aggregate::Catalog;
use crate::id::VirtualServerId;

/// Labels kept; a power of two. Checkers of one virtual server are neighbours in the input and end
/// at about the same time, so few places serve a fleet of any size.
const PLACES: usize = 1024;

/// Labels of virtual servers in the form an output wants them, made once per virtual server as long
/// as its place is not taken by another: memory does not grow with the fleet.
pub(crate) struct LabelCache {
    places: Vec<(Option<VirtualServerId>, Vec<u8>)>,
    /// Appends a label in the output's form: escaped, quoted.
    encode: fn(&str, &mut Vec<u8>),
}

impl LabelCache {
    pub(crate) fn new(encode: fn(&str, &mut Vec<u8>)) -> LabelCache {
        LabelCache { places: vec![(None, Vec::new()); PLACES], encode }
    }

    /// The encoded label of a virtual server.
    pub(crate) fn get(&mut self, id: VirtualServerId, catalog: &Catalog) -> &[u8] {
        let place = &mut self.places[id.index() % PLACES];
        if place.0 != Some(id) {
            place.0 = Some(id);
            place.1.clear();
            (self.encode)(&catalog.virtual_server_label(id), &mut place.1);
        }
        &place.1
    }
}

/// Appends `ADDR:PORT` or `[ADDR6]:PORT`, as `Display` of std does.
pub(crate) fn write_address(address: SocketAddr, to: &mut Vec<u8>) {
    match address.ip() {
        IpAddr::V4(ip) => {
            for (position, octet) in ip.octets().into_iter().enumerate() {
                if position > 0 {
                    to.push(b'.');
                }
                to.extend_from_slice(itoa::Buffer::new().format(octet).as_bytes());
            }
            to.push(b':');
            to.extend_from_slice(itoa::Buffer::new().format(address.port()).as_bytes());
        }
        // Writing to a vector cannot fail.
        IpAddr::V6(_) => drop(write!(to, "{address}")),
    }
}

/// Appends a real server as `Fleet::real_server_label` writes it: no port where it has none.
pub(crate) fn write_server(address: SocketAddr, to: &mut Vec<u8>) {
    match address.ip() {
        // Writing to a vector cannot fail.
        IpAddr::V4(ip) if address.port() == 0 => drop(write!(to, "{ip}")),
        IpAddr::V6(ip) if address.port() == 0 => drop(write!(to, "[{ip}]")),
        _ => write_address(address, to),
    }
}

/// Appends a latency as microseconds with one decimal, rounded: `12.3`.
pub(crate) fn write_tenths_of_us(ns: u64, to: &mut Vec<u8>) {
    let tenths = ns.saturating_add(50) / 100;
    to.extend_from_slice(itoa::Buffer::new().format(tenths / 10).as_bytes());
    to.extend_from_slice(&[b'.', b'0' + (tenths % 10) as u8]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_written_as_std_writes_them() {
        for text in [
            "0.0.0.0:0",
            "127.64.255.9:53",
            "255.255.255.255:65535",
            "[::1]:53",
            "[2001:db8::ff]:8053",
            "[fe80::1%3]:53",
        ] {
            let address: SocketAddr = text.parse().expect("an address");
            let mut bytes = Vec::new();
            write_address(address, &mut bytes);
            assert_eq!(String::from_utf8(bytes).expect("ascii"), address.to_string());
        }
    }

    #[test]
    fn a_server_without_a_port_is_written_without_one() {
        for (address, text) in [
            ("10.0.0.2:0", "10.0.0.2"),
            ("[2001:db8::2]:0", "[2001:db8::2]"),
            ("10.0.0.2:53", "10.0.0.2:53"),
        ] {
            let mut bytes = Vec::new();
            write_server(address.parse().expect("an address"), &mut bytes);
            assert_eq!(String::from_utf8(bytes).expect("ascii"), text);
        }
    }

    #[test]
    fn latencies_are_rounded_to_tenths() {
        for (ns, text) in [
            (0, "0.0"),
            (49, "0.0"),
            (50, "0.1"),
            (1_949, "1.9"),
            (1_950, "2.0"),
            (12_345_678, "12345.7"),
        ] {
            let mut bytes = Vec::new();
            write_tenths_of_us(ns, &mut bytes);
            assert_eq!(String::from_utf8(bytes).expect("ascii"), text);
        }
    }
}
