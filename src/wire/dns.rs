//! One DNS question out, the part of the reply that judges it back.
//!
//! The query is built once per spec by hickory-proto: header 12 B (RD set, QDCOUNT 1), QNAME up to 255 B,
//! QTYPE 2 B, QCLASS 2 B, no EDNS; each attempt only patches the id. The reply is read in place: header,
//! question and the frame of the first answer record. Source: RFC 1035 section 4.1, RFC 5452 section 9.1.

use hickory_proto::op::{Message, MessageType, OpCode, Query as HickoryQuery};
use hickory_proto::rr::{Name, RecordType};

const HEADER_BYTES: usize = 12;
/// Header, the longest name, QTYPE and QCLASS.
pub const QUERY_BYTES_MAX: usize = HEADER_BYTES + 255 + 4;
/// TYPE, CLASS, TTL, RDLENGTH after a record's name.
const RECORD_FIXED_BYTES: usize = 10;
const FLAG_RESPONSE: u8 = 0x80;
const FLAG_TRUNCATED: u8 = 0x02;
const OPCODE_MASK: u8 = 0x78;
const RCODE_MASK: u8 = 0x0f;

/// A query with id 0, ready to be copied and patched.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Query {
    bytes: Box<[u8]>,
}

/// A question that cannot be put on the wire.
#[derive(Debug, thiserror::Error)]
#[error("the question for {name} cannot be encoded: {reason}")]
pub struct QueryError {
    /// The name asked for.
    pub name: Name,
    /// hickory-proto's reason.
    pub reason: String,
}

/// What a reply to our question says.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Reply {
    /// Response code, the 4 bits of the header.
    pub rcode: u8,
    /// TC.
    pub is_truncated: bool,
    /// Whether the ANSWER section has at least one whole record.
    pub has_answer: bool,
}

/// Why bytes are not a reply to our question.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum NotOurs {
    /// Too short, QR clear, another opcode, or cut inside question or first record.
    Malformed,
    /// A well-formed reply to something else.
    WrongQuestion,
}

impl Query {
    /// Encodes the question.
    ///
    /// # Errors
    /// [`QueryError`] when hickory-proto refuses; lowering has checked the name, so it should not.
    pub fn new(name: &Name, record_type: RecordType) -> Result<Query, QueryError> {
        let mut message = Message::new(0, MessageType::Query, OpCode::Query);
        message.metadata.recursion_desired = true;
        message.add_query(HickoryQuery::query(name.clone(), record_type));
        match message.to_vec() {
            Ok(bytes) if bytes.len() <= QUERY_BYTES_MAX => Ok(Query { bytes: bytes.into() }),
            Ok(bytes) => Err(QueryError {
                name: name.clone(),
                reason: format!("{} bytes are too many", bytes.len()),
            }),
            Err(error) => Err(QueryError { name: name.clone(), reason: error.to_string() }),
        }
    }

    /// Writes the query with this id; the number of bytes, 0 where `out` is too small.
    pub fn write(&self, id: u16, out: &mut [u8]) -> usize {
        let Some(room) = out.get_mut(..self.bytes.len()) else {
            return 0;
        };
        room.copy_from_slice(&self.bytes);
        room[..2].copy_from_slice(&id.to_be_bytes());
        self.bytes.len()
    }

    /// QNAME, QTYPE and QCLASS as they stand on the wire.
    fn question(&self) -> &[u8] {
        &self.bytes[HEADER_BYTES..]
    }

    /// Reads a datagram whose id was already found to be ours.
    ///
    /// `is_cut` says that the datagram filled the receive buffer, so its end may be missing.
    ///
    /// # Errors
    /// [`NotOurs`] for what decides nothing.
    pub fn read_reply(&self, bytes: &[u8], is_cut: bool) -> Result<Reply, NotOurs> {
        let header = bytes.first_chunk::<HEADER_BYTES>().ok_or(NotOurs::Malformed)?;
        let (flags_high, flags_low) = (header[2], header[3]);
        if flags_high & FLAG_RESPONSE == 0 || flags_high & OPCODE_MASK != 0 {
            return Err(NotOurs::Malformed);
        }
        let question_count = u16::from_be_bytes([header[4], header[5]]);
        let answer_count = u16::from_be_bytes([header[6], header[7]]);
        let ours = self.question();
        let rest = &bytes[HEADER_BYTES..];
        let rcode = flags_low & RCODE_MASK;
        let is_truncated = flags_high & FLAG_TRUNCATED != 0;
        if question_count == 0 && rcode != 0 {
            // A server that could not read the question, or would not, need not repeat it.
            return Ok(Reply { rcode, is_truncated, has_answer: false });
        }
        if question_count != 1 {
            return Err(NotOurs::WrongQuestion);
        }
        let Some(theirs) = rest.get(..ours.len()) else {
            return Err(question_that_ends_early(rest));
        };
        // Nearly every server repeats the question as it was asked.
        if theirs != ours && !is_same_but_for_case(theirs, ours) {
            return Err(NotOurs::WrongQuestion);
        }
        if answer_count > 0 && !starts_with_record(&rest[ours.len()..]) && !is_cut {
            return Err(NotOurs::Malformed);
        }
        Ok(Reply { rcode, is_truncated, has_answer: answer_count > 0 })
    }
}

/// The id of any datagram that has one.
pub fn id(bytes: &[u8]) -> Option<u16> {
    bytes.first_chunk::<2>().map(|id| u16::from_be_bytes(*id))
}

/// RFC 1035 2.3.3: case does not matter in names. Length bytes are below 64, type and class are compared
/// exactly. Both have the same length, of at least 4.
fn is_same_but_for_case(theirs: &[u8], ours: &[u8]) -> bool {
    let (our_name, our_type) = ours.split_at(ours.len() - 4);
    let (their_name, their_type) = theirs.split_at(theirs.len() - 4);
    their_name.eq_ignore_ascii_case(our_name) && their_type == our_type
}

/// A question shorter than ours is another question if it is whole, else the datagram is cut.
fn question_that_ends_early(rest: &[u8]) -> NotOurs {
    match skip_name(rest) {
        Some(name) if rest.len() >= name + 4 => NotOurs::WrongQuestion,
        _ => NotOurs::Malformed,
    }
}

fn starts_with_record(bytes: &[u8]) -> bool {
    let Some(name) = skip_name(bytes) else {
        return false;
    };
    let Some(fixed) = bytes.get(name..name + RECORD_FIXED_BYTES) else {
        return false;
    };
    let data = usize::from(u16::from_be_bytes([fixed[8], fixed[9]]));
    bytes.len() >= name + RECORD_FIXED_BYTES + data
}

/// Length of the name at the start, a compression pointer ending it; `None` where it runs out. Follows
/// nothing, so it cannot loop.
fn skip_name(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let length = *bytes.get(at)?;
        match length {
            0 => return Some(at + 1),
            1..=63 => at += 1 + usize::from(length),
            0xc0..=0xff => return (bytes.len() >= at + 2).then_some(at + 2),
            _ => return None,
        }
        if at > 255 {
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::str::FromStr;

    use hickory_proto::op::ResponseCode;
    use hickory_proto::rr::{RData, Record, rdata};

    use super::*;

    fn query() -> Query {
        let name = Name::from_str("www.example.test.").expect("a literal");
        Query::new(&name, RecordType::A).expect("encodes")
    }

    fn asked(id: u16) -> Message {
        let mut bytes = [0; 512];
        let len = query().write(id, &mut bytes);
        Message::from_vec(&bytes[..len]).expect("hickory reads its own query")
    }

    /// A reply of hickory's making to our own query.
    fn reply(change: impl FnOnce(&mut Message)) -> Vec<u8> {
        let mut message = asked(7);
        message.metadata.message_type = MessageType::Response;
        change(&mut message);
        message.to_vec().expect("encodes")
    }

    fn answer(name: &str) -> Record {
        let name = Name::from_str(name).expect("a literal");
        Record::from_rdata(name, 60, RData::A(rdata::A::new(192, 0, 2, 1)))
    }

    #[test]
    fn the_query_is_what_keepalived_would_ask() {
        let asked = asked(0xabcd);
        assert_eq!(asked.metadata.id, 0xabcd);
        assert!(asked.metadata.recursion_desired);
        assert_eq!(asked.queries.len(), 1);
        assert!(asked.edns.is_none() && asked.answers.is_empty());
        let root = Query::new(&Name::root(), RecordType::SOA).expect("encodes");
        let mut bytes = [0; 64];
        assert_eq!(root.write(1, &mut bytes), 17);
        assert_eq!(bytes[..17], [0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 6, 0, 1]);
    }

    #[test]
    fn the_longest_name_fits_and_a_small_buffer_is_refused() {
        let label = "a".repeat(63);
        let name = format!("{label}.{label}.{label}.{}.", "b".repeat(61));
        let query = Query::new(&Name::from_str(&name).expect("253 characters"), RecordType::TXT)
            .expect("fits");
        let mut out = [0; QUERY_BYTES_MAX];
        assert_eq!(query.write(1, &mut out), 12 + 255 + 4);
        assert_eq!(query.write(1, &mut out[..100]), 0);
    }

    #[test]
    fn replies_are_read_as_hickory_wrote_them() {
        let read = |bytes: &[u8]| query().read_reply(bytes, false);
        let plain = Reply { rcode: 0, is_truncated: false, has_answer: false };
        assert_eq!(read(&reply(|_| ())), Ok(plain));
        let one = reply(|message| {
            message.add_answer(answer("www.example.test."));
        });
        assert_eq!(read(&one), Ok(Reply { has_answer: true, ..plain }));
        let servfail = reply(|message| message.metadata.response_code = ResponseCode::ServFail);
        assert_eq!(read(&servfail), Ok(Reply { rcode: 2, ..plain }));
        let truncated = reply(|message| message.metadata.truncation = true);
        assert_eq!(read(&truncated), Ok(Reply { is_truncated: true, ..plain }));
    }

    #[test]
    fn case_of_the_name_does_not_matter_but_the_name_does() {
        let mut shouted = reply(|_| ());
        shouted[12..29].make_ascii_uppercase();
        assert!(query().read_reply(&shouted, false).is_ok());
        for other in ["wwx.example.test.", "w.", "a.much.longer.name.than.www.example.test."] {
            let name = Name::from_str(other).expect("a literal");
            let bytes = reply(|message| {
                message.queries.clear();
                message.add_query(HickoryQuery::query(name, RecordType::A));
            });
            assert_eq!(query().read_reply(&bytes, false), Err(NotOurs::WrongQuestion), "{other}");
        }
        let other_type = reply(|message| {
            message.queries[0].set_query_type(RecordType::AAAA);
        });
        assert_eq!(query().read_reply(&other_type, false), Err(NotOurs::WrongQuestion));
        let none = reply(|message| message.queries.clear());
        assert_eq!(query().read_reply(&none, false), Err(NotOurs::WrongQuestion));
        let bare_error = reply(|message| {
            message.queries.clear();
            message.metadata.response_code = ResponseCode::FormErr;
        });
        assert_eq!(query().read_reply(&bare_error, false).map(|reply| reply.rcode), Ok(1));
    }

    #[test]
    fn a_query_sent_back_and_every_cut_are_malformed() {
        let mut echoed = [0; 512];
        let len = query().write(7, &mut echoed);
        assert_eq!(query().read_reply(&echoed[..len], false), Err(NotOurs::Malformed));
        let whole = reply(|message| {
            message.add_answer(answer("www.example.test."));
        });
        for len in 0..whole.len() {
            assert_eq!(query().read_reply(&whole[..len], false), Err(NotOurs::Malformed), "{len}");
        }
        assert!(query().read_reply(&whole, false).is_ok());
    }

    #[test]
    fn a_count_without_a_record_is_a_lie_unless_we_cut_it_ourselves() {
        let mut lie = reply(|_| ());
        lie[7] = 1;
        assert_eq!(query().read_reply(&lie, false), Err(NotOurs::Malformed));
        assert_eq!(query().read_reply(&lie, true).map(|reply| reply.has_answer), Ok(true));
    }

    #[test]
    fn noise_never_panics() {
        let base = reply(|message| {
            message.add_answer(answer("www.example.test."));
        });
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        for _ in 0..200_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let mut bytes = base.clone();
            let at = (state >> 33) as usize % bytes.len();
            bytes[at] = (state >> 20) as u8;
            bytes.truncate((state >> 40) as usize % (base.len() + 1));
            let _ = query().read_reply(&bytes, state & 1 == 0);
            let _ = id(&bytes);
        }
    }
}
