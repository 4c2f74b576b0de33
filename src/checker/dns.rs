//! DNS_CHECK: ask one question over UDP and judge the answer.
//!
//! Spec     `fleet::DnsSpec`. Retrying is schedule's job, matching address, port and id is the shard's.
//! Bytes    query and reply as in `wire::dns`
//! States   asked -> done; a datagram that is not ours leaves us asked
//! Passes   question matches, QR set, RCODE 0, 1+ answers (or RCODE 0 alone where the spec says so)
//! Fails    `Rcode`, `NoAnswer`, `Truncated`, unreachable, and `Timeout` by the shard
//! Source   RFC 1035 4.1, RFC 5452 9.1; keepalived looks at the id, QR and RCODE only

use crate::fleet::{DnsRequire, DnsSpec};
use crate::outcome::{Failure, Outcome, Strange};
use crate::wire::dns::{NotOurs, Query, QueryError, Reply};

/// The prepared query of a spec, and what passes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DnsChecker {
    query: Query,
    require: DnsRequire,
}

impl DnsChecker {
    /// Encodes the spec's question.
    ///
    /// # Errors
    /// The question cannot be encoded.
    pub fn new(spec: &DnsSpec) -> Result<DnsChecker, QueryError> {
        Ok(DnsChecker { query: Query::new(&spec.name, spec.record_type)?, require: spec.require })
    }

    /// Writes this attempt's query; its length.
    pub fn write_query(&self, id: u16, out: &mut [u8]) -> usize {
        self.query.write(id, out)
    }

    /// A datagram from the server's address and port with this attempt's id.
    ///
    /// # Errors
    /// The kind of a datagram that decides nothing.
    pub fn on_datagram(&self, bytes: &[u8], is_cut: bool) -> Result<Outcome, Strange> {
        match self.query.read_reply(bytes, is_cut) {
            Ok(reply) => Ok(judge(reply, self.require)),
            Err(NotOurs::Malformed) => Err(Strange::Malformed),
            Err(NotOurs::WrongQuestion) => Err(Strange::WrongQuestion),
        }
    }
}

/// DESIGN D9: an answer is what makes a server good, so that operators can steer it by its records.
fn judge(reply: Reply, require: DnsRequire) -> Outcome {
    match (reply.rcode, require) {
        (0, DnsRequire::Rcode) => Outcome::Pass,
        (0, DnsRequire::Answer) if reply.has_answer => Outcome::Pass,
        (0, DnsRequire::Answer) if reply.is_truncated => Outcome::Fail(Failure::Truncated),
        (0, DnsRequire::Answer) => Outcome::Fail(Failure::NoAnswer),
        (rcode, _) => Outcome::Fail(Failure::Rcode(rcode)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verdict_follows_rcode_then_answer_then_truncation() {
        let reply = |rcode, is_truncated, has_answer| Reply { rcode, is_truncated, has_answer };
        let table = [
            (reply(0, false, true), Outcome::Pass, Outcome::Pass),
            (reply(0, true, true), Outcome::Pass, Outcome::Pass),
            (reply(0, false, false), Outcome::Fail(Failure::NoAnswer), Outcome::Pass),
            (reply(0, true, false), Outcome::Fail(Failure::Truncated), Outcome::Pass),
            (
                reply(2, false, true),
                Outcome::Fail(Failure::Rcode(2)),
                Outcome::Fail(Failure::Rcode(2)),
            ),
            (
                reply(3, true, false),
                Outcome::Fail(Failure::Rcode(3)),
                Outcome::Fail(Failure::Rcode(3)),
            ),
        ];
        for (reply, with_answer, with_rcode) in table {
            assert_eq!(judge(reply, DnsRequire::Answer), with_answer, "{reply:?}");
            assert_eq!(judge(reply, DnsRequire::Rcode), with_rcode, "{reply:?}");
        }
    }
}
