//! DNS queries turned into answers in place: no message is taken apart or put together.
//!
//! A query is `header 12 B | QNAME | QTYPE 2 B | QCLASS 2 B | anything`; its answer keeps the header
//! and the question, drops what follows, and has at most one record with a pointer to the question's
//! name. At most 351 bytes, so an answer fits wherever a query of 512 bytes did.
//! Source: RFC 1035 4.1 and 3.3; RFC 8482 for ANY.

use std::net::Ipv4Addr;

/// Bytes that any query needs for its answer.
pub(super) const ROOM: usize = 512;

const HEADER: usize = 12;
const MAX_NAME: usize = 255;

/// Bits of the third and fourth byte of the header.
const QR: u8 = 0x80;
const OPCODE: u8 = 0x78;
const TC: u8 = 0x02;
const RD: u8 = 0x01;
const RA: u8 = 0x80;

const TTL: [u8; 4] = 60u32.to_be_bytes();
const CLASS_IN: [u8; 2] = [0, 1];

/// Where the one question of a query is.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) struct Question {
    /// First byte after QCLASS; at most 12 + 255 + 4.
    end: usize,
}

/// What to answer.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum Reply {
    /// RCODE 0 and one record.
    Record,
    /// This RCODE and no record.
    Rcode(u8),
    /// TC and no record.
    Truncated,
    /// One record under another transaction id.
    WrongId,
    /// One record in answer to another question.
    WrongQuestion,
    /// A response that ends inside the question.
    Malformed,
}

/// Finds the question. `None` for anything but a standard query with one question: too short, a
/// response, another opcode, no or several questions, a compressed, cut or overlong name.
pub(super) fn question(query: &[u8]) -> Option<Question> {
    let header = query.get(..HEADER)?;
    if header[2] & (QR | OPCODE) != 0 || header[4..6] != [0, 1] {
        return None;
    }
    let mut at = HEADER;
    loop {
        let label = usize::from(*query.get(at)?);
        at += 1;
        match label {
            0 => break,
            1..=63 => at += label,
            _ => return None,
        }
        if at - HEADER >= MAX_NAME {
            return None;
        }
    }
    let end = at + 4;
    (end <= query.len()).then_some(Question { end })
}

/// Turns the query at the start of `room` into the answer of the server at `own`, and returns its
/// length. `question` is that query's.
pub(super) fn write(
    room: &mut [u8; ROOM],
    question: Question,
    reply: Reply,
    own: Ipv4Addr,
) -> usize {
    let end = question.end;
    let is_cut = reply == Reply::Truncated;
    room[2] = QR | (room[2] & RD) | if is_cut { TC } else { 0 };
    room[3] = RA | if let Reply::Rcode(rcode) = reply { rcode & 0x0F } else { 0 };
    room[6..HEADER].fill(0);
    match reply {
        Reply::Rcode(_) | Reply::Truncated => return end,
        // The length of the question is at least 5, so this is inside it.
        Reply::Malformed => return HEADER + (end - HEADER) / 2,
        Reply::WrongId => {
            room[0] = !room[0];
            room[1] = !room[1];
        }
        Reply::WrongQuestion => ask_something_else(room, end),
        Reply::Record => {}
    }
    room[7] = 1;
    let (record_type, rdata) = rdata([room[end - 4], room[end - 3]], own);
    let rdata = rdata.as_slice();
    let mut at = end;
    let mut put = |bytes: &[u8]| {
        room[at..at + bytes.len()].copy_from_slice(bytes);
        at += bytes.len();
    };
    put(&[0xC0, HEADER as u8]);
    put(&record_type);
    put(&CLASS_IN);
    put(&TTL);
    put(&[0, rdata.len() as u8]);
    put(rdata);
    at
}

/// Another first letter, or, for the root, another type.
fn ask_something_else(room: &mut [u8; ROOM], end: usize) {
    if room[HEADER] == 0 {
        let is_txt = room[end - 4..end - 2] == [0, 16];
        room[end - 4..end - 2].copy_from_slice(if is_txt { &[0, 1] } else { &[0, 16] });
    } else {
        let first = &mut room[HEADER + 1];
        *first = if first.eq_ignore_ascii_case(&b'x') { b'y' } else { b'x' };
    }
}

/// RDATA: fixed bytes, or some that name the server.
enum Rdata {
    Fixed(&'static [u8]),
    Own4([u8; 4]),
    Own6([u8; 16]),
}

impl Rdata {
    fn as_slice(&self) -> &[u8] {
        match self {
            Rdata::Fixed(bytes) => bytes,
            Rdata::Own4(bytes) => bytes,
            Rdata::Own6(bytes) => bytes,
        }
    }
}

/// Type and data of the record that answers a question of type `asked`: well-formed for the types
/// operators check by, four opaque bytes for the others.
fn rdata(asked: [u8; 2], own: Ipv4Addr) -> ([u8; 2], Rdata) {
    let data = match u16::from_be_bytes(asked) {
        // ANY is not a type that a record can have.
        1 | 255 => return ([0, 1], Rdata::Own4(own.octets())),
        28 => {
            let mut bytes = *b"\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\0";
            bytes[12..].copy_from_slice(&own.octets());
            return (asked, Rdata::Own6(bytes));
        }
        2 => Rdata::Fixed(b"\x02ns\x05fleet\x04test\0"),
        5 | 12 | 39 => Rdata::Fixed(b"\x04host\x05fleet\x04test\0"),
        // MNAME, RNAME, SERIAL, REFRESH, RETRY, EXPIRE, MINIMUM.
        6 => Rdata::Fixed(
            b"\x02ns\x05fleet\x04test\0\x04root\x05fleet\x04test\0\
              \0\0\0\x01\0\0\x0e\x10\0\0\x02\x58\0\x09\x3a\x80\0\0\0\x3c",
        ),
        13 => Rdata::Fixed(b"\x09ringprobe\x07respond"),
        15 => Rdata::Fixed(b"\0\x0a\x04mail\x05fleet\x04test\0"),
        16 => Rdata::Fixed(b"\x11ringprobe respond"),
        33 => Rdata::Fixed(b"\0\0\0\0\0\x35\x04host\x05fleet\x04test\0"),
        257 => Rdata::Fixed(b"\0\x05issueca.fleet.test"),
        _ => Rdata::Fixed(b"\xde\xad\xbe\xef"),
    };
    (asked, data)
}

#[cfg(test)]
mod tests {
    use std::str::FromStr;

    use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
    use hickory_proto::rr::{Name, RData, RecordType};

    use super::*;

    const OWN: Ipv4Addr = Ipv4Addr::new(127, 64, 1, 2);

    fn query(name: &str, record_type: RecordType) -> Vec<u8> {
        let mut message = Message::new(0xABCD, MessageType::Query, OpCode::Query);
        message.metadata.recursion_desired = true;
        message.add_query(Query::query(Name::from_str(name).unwrap(), record_type));
        message.to_vec().unwrap()
    }

    fn reply(query: &[u8], reply: Reply) -> Vec<u8> {
        let mut room = [0xEE; ROOM];
        room[..query.len()].copy_from_slice(query);
        let question = question(query).unwrap();
        let len = write(&mut room, question, reply, OWN);
        room[..len].to_vec()
    }

    fn decoded(bytes: &[u8]) -> Message {
        Message::from_vec(bytes).unwrap()
    }

    #[test]
    fn every_type_is_answered_by_a_record_hickory_reads() {
        use RecordType::*;
        for record_type in [A, AAAA, NS, CNAME, SOA, MX, TXT, PTR, SRV, HINFO, CAA, Unknown(65280)]
        {
            for name in [".", "www.example.test."] {
                let asked = query(name, record_type);
                let message = decoded(&reply(&asked, Reply::Record));
                assert_eq!(message.metadata.id, 0xABCD);
                assert_eq!(message.metadata.message_type, MessageType::Response);
                assert_eq!(message.metadata.response_code, ResponseCode::NoError);
                assert!(message.metadata.recursion_desired);
                assert!(message.metadata.recursion_available);
                assert!(!message.metadata.truncation);
                assert_eq!(message.queries, decoded(&asked).queries);
                assert_eq!(message.answers.len(), 1, "{record_type}");
                let record = &message.answers[0];
                assert_eq!(record.record_type(), record_type);
                assert_eq!(record.name, Name::from_str(name).unwrap());
                assert_eq!(record.ttl, 60);
            }
        }
    }

    #[test]
    fn addresses_in_answers_are_the_servers_own() {
        let data = |record_type| {
            let message = decoded(&reply(&query("a.test.", record_type), Reply::Record));
            message.answers[0].data.clone()
        };
        assert_eq!(data(RecordType::A), RData::A(OWN.into()));
        assert_eq!(data(RecordType::ANY), RData::A(OWN.into()));
        let own6: std::net::Ipv6Addr = "2001:db8::7f40:102".parse().unwrap();
        assert_eq!(data(RecordType::AAAA), RData::AAAA(own6.into()));
    }

    #[test]
    fn replies_without_a_record() {
        for (what, code, truncation) in [
            (Reply::Rcode(0), ResponseCode::NoError, false),
            (Reply::Rcode(2), ResponseCode::ServFail, false),
            (Reply::Rcode(3), ResponseCode::NXDomain, false),
            (Reply::Rcode(5), ResponseCode::Refused, false),
            (Reply::Truncated, ResponseCode::NoError, true),
        ] {
            let asked = query("www.example.test.", RecordType::A);
            let message = decoded(&reply(&asked, what));
            assert_eq!(message.metadata.response_code, code);
            assert_eq!(message.metadata.truncation, truncation);
            assert_eq!(message.queries, decoded(&asked).queries);
            assert!(message.answers.is_empty());
        }
    }

    #[test]
    fn replies_that_are_not_to_this_query() {
        for name in [".", "www.example.test.", "x.test.", "X."] {
            for record_type in [RecordType::A, RecordType::TXT] {
                let asked = query(name, record_type);
                let message = decoded(&reply(&asked, Reply::WrongId));
                assert_ne!(message.metadata.id, 0xABCD);
                assert_eq!(message.queries, decoded(&asked).queries);
                let message = decoded(&reply(&asked, Reply::WrongQuestion));
                assert_eq!(message.metadata.id, 0xABCD);
                assert_ne!(message.queries, decoded(&asked).queries);
                let bytes = reply(&asked, Reply::Malformed);
                assert_eq!(bytes[..2], asked[..2]);
                assert!(bytes.len() > HEADER && bytes.len() < asked.len());
                assert!(Message::from_vec(&bytes).is_err());
            }
        }
    }

    #[test]
    fn what_follows_the_question_is_dropped() {
        let mut asked = query("a.test.", RecordType::A);
        let plain = reply(&asked, Reply::Record);
        // An OPT record: root, type 41, payload 1232.
        asked[11] = 1;
        asked.extend_from_slice(b"\0\0\x29\x04\xd0\0\0\0\0\0\0");
        assert_eq!(reply(&asked, Reply::Record), plain);
    }

    #[test]
    fn the_longest_name_fits() {
        let label = "a".repeat(63);
        let name = format!("{label}.{label}.{label}.{}.", "a".repeat(61));
        let asked = query(&name, RecordType::SOA);
        assert_eq!(asked.len(), HEADER + MAX_NAME + 4);
        let bytes = reply(&asked, Reply::Record);
        assert!(bytes.len() <= 351);
        assert_eq!(decoded(&bytes).answers.len(), 1);
        // One byte more in the last label.
        let mut longer = asked.clone();
        longer[HEADER + 3 * 64] = 62;
        longer.insert(HEADER + 3 * 64 + 1, b'a');
        assert_eq!(question(&longer), None);
    }

    #[test]
    fn junk_has_no_question() {
        let good = query("www.example.test.", RecordType::A);
        assert!(question(&good).is_some());
        for len in 0..good.len() {
            assert_eq!(question(&good[..len]), None, "cut at {len}");
        }
        let with = |at: usize, byte: u8| {
            let mut bytes = good.clone();
            bytes[at] = byte;
            question(&bytes)
        };
        assert_eq!(with(2, 0x81), None, "a response");
        assert_eq!(with(2, 0x28), None, "an update");
        assert_eq!(with(5, 0), None, "no question");
        assert_eq!(with(5, 2), None, "two questions");
        assert_eq!(with(12, 0xC0), None, "a pointer");
        assert_eq!(with(12, 64), None, "a label of 64");
    }
}
