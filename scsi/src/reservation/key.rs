//! Reservation keys.

use std::fmt;
use std::num::NonZeroU64;

/// A reservation key (SPC-4 5.13.1; NVMe, Reservations): 64 bits that are never zero.
///
/// Zero means "no key" on the wire, and is `Option::None` here, so that "register" and "unregister"
/// cannot be confused.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(NonZeroU64);

impl Key {
    /// The key with this value; `None` for zero.
    #[must_use]
    pub const fn new(value: u64) -> Option<Self> {
        match NonZeroU64::new(value) {
            Some(value) => Some(Self(value)),
            None => None,
        }
    }

    /// The 64 bits as they travel on the wire.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0.get()
    }

    /// The wire value of an optional key: zero for none.
    #[must_use]
    pub const fn to_wire(key: Option<Self>) -> u64 {
        match key {
            Some(key) => key.get(),
            None => 0,
        }
    }
}

/// `0x` and the hexadecimal digits, without leading zeros: the form that users type and read.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
