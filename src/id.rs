//! Indexes that more than one stage uses. Each is its own type, so that one cannot stand for another.

use std::fmt;

macro_rules! index {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub struct $name(pub u32);

        impl $name {
            /// Position in the table this index belongs to.
            pub fn index(self) -> usize {
                self.0 as usize
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }
    };
}

index!(
    /// Position in `Fleet::specs`: how to probe. Many checkers share one.
    SpecId
);
index!(
    /// Position in `Fleet::virtual_servers`.
    VirtualServerId
);
index!(
    /// Position in `Fleet::real_servers`.
    RealServerId
);
index!(
    /// A shard: 0 to shards - 1.
    ShardId
);
