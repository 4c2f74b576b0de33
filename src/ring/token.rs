//! `user_data` of every SQE: kind (8 bits) | generation (24 bits) | index (32 bits). Rule R2.

use super::Token;

/// What a completion is about.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(super) enum Kind {
    /// The multishot receive of a UDP socket; index is the socket.
    Receive = 1,
    /// The multishot receive of its error queue; index is the socket.
    ReceiveErrors = 2,
    /// A datagram; index is the slot.
    Send = 3,
    /// A connect; index is the slot.
    Connect = 4,
    /// A poll that stands in for a connect that some 6.x kernels leave with EINPROGRESS.
    ConnectPoll = 5,
    /// CONNECT(AF_UNSPEC); index is the slot.
    Disconnect = 6,
}

/// Generations wrap here.
pub(super) const GENERATIONS: u32 = 1 << 24;

pub(super) fn pack(kind: Kind, generation: u32, index: u32) -> u64 {
    (kind as u64) << 56 | u64::from(generation & (GENERATIONS - 1)) << 32 | u64::from(index)
}

pub(super) fn pack_token(kind: Kind, token: Token) -> u64 {
    pack(kind, token.generation, token.slot)
}

/// Kind, generation, index; `None` for a kind this ring never used.
pub(super) fn unpack(user_data: u64) -> Option<(Kind, u32, u32)> {
    let kind = match user_data >> 56 {
        1 => Kind::Receive,
        2 => Kind::ReceiveErrors,
        3 => Kind::Send,
        4 => Kind::Connect,
        5 => Kind::ConnectPoll,
        6 => Kind::Disconnect,
        _ => return None,
    };
    Some((kind, (user_data >> 32) as u32 & (GENERATIONS - 1), user_data as u32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_survives_the_round_trip() {
        for kind in [
            Kind::Receive,
            Kind::ReceiveErrors,
            Kind::Send,
            Kind::Connect,
            Kind::ConnectPoll,
            Kind::Disconnect,
        ] {
            for (generation, index) in [(0, 0), (GENERATIONS - 1, u32::MAX), (12_345, 678)] {
                assert_eq!(unpack(pack(kind, generation, index)), Some((kind, generation, index)));
            }
        }
        assert_eq!(unpack(0), None);
        assert_eq!(unpack(u64::MAX), None);
    }

    #[test]
    fn a_generation_wraps_without_touching_the_kind() {
        assert_eq!(unpack(pack(Kind::Send, GENERATIONS, 7)), Some((Kind::Send, 0, 7)));
    }
}
