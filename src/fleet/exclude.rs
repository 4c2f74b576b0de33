//! Addresses that are never probed.

use std::io::{BufRead, BufReader};
use std::net::IpAddr;
use std::path::Path;

use super::targets::{Lines, TargetError, TargetProblem, open};

/// Addresses that are never probed, as sorted ranges that do not touch.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ExcludeList {
    v4: Vec<(u32, u32)>,
    v6: Vec<(u128, u128)>,
}

impl ExcludeList {
    /// Reads a file of the syntax of target lists. The first bad line ends it: an address that was meant
    /// to be left alone must not be probed because of a typing error. Ports say nothing here, so a line
    /// with one is bad.
    pub fn open(path: &Path) -> Result<ExcludeList, TargetError> {
        ExcludeList::read(&path.display().to_string(), BufReader::new(open(path)?))
    }

    /// Reads from `reader`, which errors call `name`.
    pub fn read(name: &str, reader: impl BufRead) -> Result<ExcludeList, TargetError> {
        let mut list = ExcludeList::default();
        let mut lines = Lines::new(name, reader);
        while let Some(entry) = lines.next() {
            let entry = entry?;
            if let Some(port) = entry.port {
                let text = format!(":{port}");
                return Err(lines.error(text.as_bytes(), TargetProblem::PortInExclude));
            }
            match (entry.range.first(), entry.range.last()) {
                (IpAddr::V4(first), IpAddr::V4(last)) => {
                    list.v4.push((first.to_bits(), last.to_bits()));
                }
                (IpAddr::V6(first), IpAddr::V6(last)) => {
                    list.v6.push((first.to_bits(), last.to_bits()));
                }
                // A range is of one family.
                _ => {}
            }
        }
        merge(&mut list.v4, |last| last.checked_add(1));
        merge(&mut list.v6, |last| last.checked_add(1));
        Ok(list)
    }

    /// Whether `address` is never probed.
    pub fn contains(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(address) => holds(&self.v4, address.to_bits()),
            IpAddr::V6(address) => holds(&self.v6, address.to_bits()),
        }
    }

    /// Whether nothing is excluded.
    pub fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }
}

/// Sorts, and joins ranges that overlap or touch. `after` gives the next address, `None` after the last.
fn merge<T: Ord + Copy>(ranges: &mut Vec<(T, T)>, after: impl Fn(T) -> Option<T>) {
    ranges.sort_unstable();
    ranges.dedup_by(|next, kept| {
        let joins = after(kept.1).is_none_or(|after| next.0 <= after);
        if joins {
            kept.1 = kept.1.max(next.1);
        }
        joins
    });
}

fn holds<T: Ord + Copy>(ranges: &[(T, T)], address: T) -> bool {
    let behind = ranges.partition_point(|(first, _)| *first <= address);
    behind > 0 && address <= ranges[behind - 1].1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<ExcludeList, TargetError> {
        ExcludeList::read("exclude.txt", text.as_bytes())
    }

    #[test]
    fn ranges_are_joined_and_found() {
        let list = read(
            "10.0.0.0/25\n10.0.0.128/25 # touches\n10.0.1.5\n10.0.1.3-9\n255.255.255.255\n\
             2001:db8::/64\nffff::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff\n",
        )
        .expect("valid");
        assert_eq!(list.v4.len(), 3);
        assert_eq!(list.v6.len(), 2);
        for (address, is_in) in [
            ("9.255.255.255", false),
            ("10.0.0.0", true),
            ("10.0.0.255", true),
            ("10.0.1.2", false),
            ("10.0.1.3", true),
            ("10.0.1.9", true),
            ("10.0.1.10", false),
            ("255.255.255.254", false),
            ("255.255.255.255", true),
            ("2001:db8::ffff:ffff:ffff:ffff", true),
            ("2001:db8:0:1::", false),
            ("::", false),
            ("ffff::1", true),
        ] {
            assert_eq!(list.contains(address.parse().expect(address)), is_in, "{address}");
        }
        assert!(!list.is_empty());
        let list = read("::ffff:10.0.0.0/104\n").expect("valid");
        assert!(list.contains("10.9.9.9".parse().expect("an address")));
        assert!(read("\n# nothing\n").expect("valid").is_empty());
    }

    #[test]
    fn the_first_bad_line_is_an_error() {
        assert!(read("::/0\n").is_err(), "whether IPv4 was meant too, nobody can tell");
        assert_eq!(
            read("10.0.0.1\nx\n").expect_err("bad").to_string(),
            "exclude.txt:2: \"x\": not an address"
        );
        assert_eq!(
            read("10.0.0.1:53\n").expect_err("bad").to_string(),
            "exclude.txt:1: \":53\": a port cannot be excluded, only an address"
        );
    }
}
