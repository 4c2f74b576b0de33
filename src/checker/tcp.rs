//! TCP_CHECK: connect, and that is all.
//!
//! Spec     `fleet::TcpSpec`. Bytes: none.
//! States   connecting -> done
//! Passes   the connect succeeds by the deadline
//! Fails    refused, unreachable, reset, and `Timeout` by the shard
//! Source   keepalived's TCP_CHECK: SO_ERROR 0 when writable, nothing sent or read

use crate::fleet::{Handshake, TcpSpec};
use crate::outcome::Outcome;

use super::from_errno;

/// How the handshake of a spec ends.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TcpChecker {
    handshake: Handshake,
}

impl TcpChecker {
    /// Takes what matters from the spec.
    pub fn new(spec: &TcpSpec) -> TcpChecker {
        TcpChecker { handshake: spec.handshake }
    }

    /// The connect ended with this errno, 0 for success.
    pub fn on_connected(&self, errno: i32) -> Outcome {
        if errno == 0 { Outcome::Pass } else { from_errno(errno) }
    }

    /// Whether the connection ends with FIN, which costs a new socket, instead of a reset.
    pub fn ends_with_fin(&self) -> bool {
        self.handshake == Handshake::Orderly
    }
}
