//! A query is written, its reply is read, and judged.

use std::hint::black_box;
use std::str::FromStr;

use hickory_proto::rr::{Name, RecordType};
use ringprobe::checker::dns::DnsChecker;
use ringprobe::fleet::{Connection, DnsRequire, DnsSpec};
use ringprobe::outcome::Outcome;
use ringprobe::wire::dns::{QUERY_BYTES_MAX, Query};

use super::Part;

/// A one-address answer to the query: name pointer, type A, class IN, TTL 60, four bytes.
const ANSWER: [u8; 16] = [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1];

pub(super) fn spec() -> DnsSpec {
    DnsSpec {
        connection: Connection::default(),
        name: Name::from_str("www.example.test.").expect("a literal"),
        record_type: RecordType::A,
        require: DnsRequire::Answer,
    }
}

fn query() -> Query {
    let spec = spec();
    Query::new(&spec.name, spec.record_type).expect("encodes")
}

/// Makes a reply of the query in `bytes` and returns its length.
pub(super) fn answer(bytes: &mut [u8], query_len: usize) -> usize {
    // QR, and one record in the ANSWER section.
    bytes[2] |= 0x80;
    bytes[7] = 1;
    let len = query_len + ANSWER.len();
    bytes[query_len..len].copy_from_slice(&ANSWER);
    len
}

fn reply() -> Vec<u8> {
    let mut bytes = vec![0; QUERY_BYTES_MAX + ANSWER.len()];
    let len = query().write(0x1234, &mut bytes);
    let len = answer(&mut bytes, len);
    bytes.truncate(len);
    bytes
}

pub(super) fn write_query() -> Part {
    let query = query();
    let mut out = [0; QUERY_BYTES_MAX];
    Part::new("wire/dns/write_query", 1, move || {
        black_box(query.write(black_box(0x1234), black_box(&mut out)));
    })
}

pub(super) fn read_reply() -> Part {
    let (query, reply) = (query(), reply());
    Part::new("wire/dns/read_reply", 1, move || {
        let read = query.read_reply(black_box(&reply), false);
        assert!(read.is_ok_and(|reply| reply.has_answer));
    })
}

/// What a checker does for one probe: ask, and judge the answer.
pub(super) fn judge() -> Part {
    let (checker, reply) = (DnsChecker::new(&spec()).expect("encodes"), reply());
    let mut out = [0; QUERY_BYTES_MAX];
    Part::new("checker/dns/probe", 1, move || {
        black_box(checker.write_query(black_box(0x1234), black_box(&mut out)));
        assert!(checker.on_datagram(black_box(&reply), false) == Ok(Outcome::Pass));
    })
}
