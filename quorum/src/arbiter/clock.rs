//! The clock of arbitration: CLOCK_BOOTTIME.
//!
//! It goes on while the machine is suspended, so that an owner that slept wakes up old. It is not set
//! by anybody. A hypervisor that stops the guest's clock together with the guest is outside of it: there
//! only the disk fences (design 6, "Times").

use nix::time::ClockId;
use quorum_core::Instant;
use std::time::Duration;

/// The point in time on CLOCK_BOOTTIME that [`super::Ownership`] and every notice are dated with.
///
/// # Panics
/// When the kernel has no CLOCK_BOOTTIME (Linux before 2.6.39).
#[must_use]
pub fn now() -> Instant {
    #[expect(
        clippy::expect_used,
        reason = "a kernel without this clock cannot arbitrate"
    )]
    let spec = ClockId::CLOCK_BOOTTIME
        .now()
        .expect("CLOCK_BOOTTIME is there since Linux 2.6.39");
    Instant::since_zero(Duration::from(spec))
}

#[cfg(test)]
mod tests {
    use super::now;

    #[test]
    fn never_goes_back() {
        let first = now();
        assert!(now() >= first);
    }
}
