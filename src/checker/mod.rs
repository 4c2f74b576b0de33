//! Stage 5: sans-IO probes. Bytes and results come in, what to do or an outcome goes out; no socket,
//! clock, allocation or log inside.
//!
//! A [`Prepared`] checker is made once per spec; what one attempt must remember (its transaction id)
//! lives in the shard's slot.

pub mod dns;
pub mod tcp;
mod unreachable;

use crate::fleet::ProbeSpec;
use crate::wire::dns::QueryError;

pub use unreachable::{outcome_of_connect, outcome_of_icmp};

/// A spec made ready for probing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Prepared {
    /// DNS_CHECK
    Dns(dns::DnsChecker),
    /// TCP_CHECK
    Tcp(tcp::TcpChecker),
    /// MISC_CHECK, which is no shard's business: the reaper runs it.
    Script,
}

impl Prepared {
    /// Builds what every attempt of this spec shares.
    ///
    /// # Errors
    /// The question cannot be encoded.
    pub fn new(spec: &ProbeSpec) -> Result<Prepared, QueryError> {
        Ok(match spec {
            ProbeSpec::Dns(spec) => Prepared::Dns(dns::DnsChecker::new(spec)?),
            ProbeSpec::Tcp(spec) => Prepared::Tcp(tcp::TcpChecker::new(spec)),
            ProbeSpec::Misc(_) => Prepared::Script,
        })
    }
}
