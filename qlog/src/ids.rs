//! The numbers of a log, each its own type.

use std::fmt;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
        pub struct $name(pub u64);

        impl $name {
            /// The one after it.
            ///
            /// # Panics
            /// At 2^64 - 1, which no log reaches.
            #[must_use]
            pub const fn next(self) -> Self {
                assert!(self.0 < u64::MAX, "a number of a log ran out");
                Self(self.0 + 1)
            }

            /// Far below the end of the numbers, so that whoever counts on from it does not get there. What is read from
            /// a disk is asked.
            pub(crate) const fn is_possible(self) -> bool {
                self.0 <= u64::MAX / 4
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number! {
    /// Log sequence number: counts the records of a log from 1, over all its epochs. 0 is before the first.
    Lsn
}
number! {
    /// One owner's term of writing. 0 is a log that nobody has claimed.
    Epoch
}
number! {
    /// One use of a segment. Segment *generation mod ring size* holds it; numbers only grow.
    Generation
}

/// What tells this log from every other: 128 random bits from its creation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct LogId(pub [u8; 16]);

impl fmt::Display for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
