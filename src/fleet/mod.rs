//! Stage 2: a tree of directives, or a list of targets, becomes the typed model.

pub mod model;

pub use model::{
    Checker, Connection, DnsRequire, DnsSpec, Fleet, Handshake, ProbeSpec, Protocol, RealServer,
    Service, TcpSpec, Timing, VirtualServer,
};
