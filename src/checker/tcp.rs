//! TCP_CHECK: connect, and that is all.
//!
//! Spec     `fleet::TcpSpec`. Bytes: none.
//! States   connecting -> done
//! Passes   the connect succeeds by the deadline
//! Fails    refused, unreachable, reset, and `Timeout` by the shard
//! Source   keepalived's TCP_CHECK: SO_ERROR 0 when writable, nothing sent or read

use crate::fleet::{Handshake, TcpSpec};

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

    /// Whether the connection ends with FIN, which costs a new socket, instead of a reset.
    pub fn ends_with_fin(&self) -> bool {
        self.handshake == Handshake::Orderly
    }
}
