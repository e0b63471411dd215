//! Serial-number arithmetic on 32 bits (RFC 1982, as RFC 7143 4.2.2.1 asks for CmdSN, StatSN, DataSN).
//!
//! Numbers wrap around; of two that are less than 2^31 apart, one is the later. `Serial` has no `Ord`, for
//! this order is not transitive; ask [`Serial::is_before`].

use std::fmt;

/// A number that counts commands, statuses or data PDUs, and wraps around.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Serial(pub u32);

impl Serial {
    /// The next one.
    #[must_use]
    pub const fn next(self) -> Self {
        self.plus(1)
    }

    /// So many later.
    #[must_use]
    pub const fn plus(self, count: u32) -> Self {
        Self(self.0.wrapping_add(count))
    }

    /// How many steps lie from `earlier` to this one, if this one is not before it.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Option<u32> {
        let distance = self.0.wrapping_sub(earlier.0);
        if distance < 1 << 31 {
            Some(distance)
        } else {
            None
        }
    }

    /// Is it earlier than the other? Two that are exactly 2^31 apart are before each other in neither way.
    #[must_use]
    pub const fn is_before(self, other: Self) -> bool {
        matches!(other.since(self), Some(1..))
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

impl fmt::Debug for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_goes_around() {
        let last = Serial(u32::MAX);
        assert_eq!(last.next(), Serial(0));
        assert!(last.is_before(Serial(0)));
        assert!(!Serial(0).is_before(last));
        assert!(!Serial(7).is_before(Serial(7)));
        assert_eq!(Serial(2).since(last), Some(3));
        assert_eq!(last.since(Serial(2)), None);
    }

    #[test]
    fn half_way_around_is_neither_before_nor_after() {
        let (a, b) = (Serial(0), Serial(1 << 31));
        assert!(!a.is_before(b));
        assert!(!b.is_before(a));
        assert!(a.is_before(Serial((1 << 31) - 1)));
    }
}
