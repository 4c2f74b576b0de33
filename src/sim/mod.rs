//! A made-up network, clock and kernel for the real shard loop: [`SimRing`] is a [`crate::ring::Ring`].
//!
//! ```text
//! Shard ──push──▶ SimRing ──submit──▶ Kernel (sockets, buffers, sk_err) ──▶ Network ──▶ Peer
//!   ▲               │                    ▲                                    │
//!   └────next───────┘                    └────────── Timeline (virtual time) ◀┘
//! ```
//!
//! One seed decides everything, so a run repeats itself exactly. Time moves only inside `turn`. What goes
//! wrong and how often stands in [`Faults`]; what each server does in [`Peer`]. The ring also checks
//! the shard's side of the contract and keeps each breach for [`SimRing::violations`]. What real
//! sockets do was measured on Linux 6.18; each rule stands where it is played.
//!
//! Apart from that, [`ScriptWorld`] plays the processes of the reaper's supervisor.

mod clock;
mod contract;
mod faults;
mod kernel;
mod ledger;
mod net;
mod peer;
mod prng;
mod ring;
mod scripts;
mod socket;
mod timeline;

pub use clock::Clock;
pub use faults::{Canary, Faults};
pub use ledger::{Tally, Trace};
pub use net::Network;
pub use peer::{DnsPeer, DnsReply, Noise, Peer, Quote, TcpPeer};
pub use prng::Prng;
pub use ring::{SimConfig, SimRing};
pub use scripts::{Behaviour, Launch, OnTerm, ScriptTrace, ScriptWorld, Told};
