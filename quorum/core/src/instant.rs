//! Points in time, as the driver's clock tells them.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

/// A point on the driver's clock (CLOCK_BOOTTIME in life, the virtual clock in simulation).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Instant(Duration);

impl Instant {
    /// The clock's zero.
    pub const ZERO: Self = Self(Duration::ZERO);

    /// The point this long after the clock's zero.
    #[must_use]
    pub const fn since_zero(elapsed: Duration) -> Self {
        Self(elapsed)
    }

    /// How long after the clock's zero it is.
    #[must_use]
    pub const fn elapsed_since_zero(self) -> Duration {
        self.0
    }

    /// How long after `earlier` it is; zero when it is before.
    #[must_use]
    pub const fn saturating_since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Instant {
    type Output = Self;
    fn add(self, span: Duration) -> Self {
        Self(self.0 + span)
    }
}

impl Sub<Duration> for Instant {
    type Output = Self;
    /// Clamped at the clock's zero.
    fn sub(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(span))
    }
}

impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}s", self.0.as_secs_f64())
    }
}

impl fmt::Debug for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
