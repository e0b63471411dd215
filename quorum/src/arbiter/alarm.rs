//! One thread's wait: until a point on CLOCK_BOOTTIME, or until another thread rings.
//!
//! A channel's `recv_timeout` counts on CLOCK_MONOTONIC, which stands still in suspend: a deadline would
//! come late by the length of the sleep. A timerfd on CLOCK_BOOTTIME with an absolute time does not.
//!
//! Invariants:
//! * a ring is never lost: it counts up an eventfd that the next wait sees;
//! * ringing never blocks.

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use quorum_core::Instant;
use std::os::fd::AsFd;
use std::time::Duration;

/// See the module.
#[derive(Debug)]
pub(crate) struct Alarm {
    timer: TimerFd,
    bell: EventFd,
}

impl Alarm {
    /// An alarm that nobody has rung.
    ///
    /// # Errors
    /// When the process or the system is out of descriptors.
    pub(crate) fn new() -> std::io::Result<Self> {
        let timer = TimerFd::new(
            ClockId::CLOCK_BOOTTIME,
            TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK,
        )?;
        let bell =
            EventFd::from_value_and_flags(0, EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        Ok(Self { timer, bell })
    }

    /// Wakes the thread that waits, or that will wait next.
    pub(crate) fn ring(&self) {
        // EAGAIN means that the counter is full: then it has been rung already.
        let _already_rung = self.bell.write(1);
    }

    /// Returns at `until` (with none: never by itself), at a ring, or early; the caller looks at the clock.
    pub(crate) fn wait(&self, until: Option<Instant>) {
        match until {
            // A timerfd set to zero is disarmed, so the first nanosecond stands for the clock's zero.
            Some(until) => self.set(until.elapsed_since_zero().max(Duration::from_nanos(1))),
            None => self.unset(),
        }
        let mut waited_for = [
            PollFd::new(self.timer.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.bell.as_fd(), PollFlags::POLLIN),
        ];
        // EINTR: a signal woke us, which the contract allows ("or early").
        let _woken = poll(&mut waited_for, PollTimeout::NONE);
        let _rings = self.bell.read();
    }

    fn set(&self, at: Duration) {
        let set = self.timer.set(
            Expiration::OneShot(TimeSpec::from_duration(at)),
            TimerSetTimeFlags::TFD_TIMER_ABSTIME,
        );
        assert_eq!(set, Ok(()), "a valid absolute time is always accepted");
    }

    fn unset(&self) {
        let unset: Result<(), Errno> = self.timer.unset();
        assert_eq!(unset, Ok(()), "a timer can always be disarmed");
    }
}

#[cfg(test)]
mod tests {
    use super::Alarm;
    use crate::arbiter::now;
    use std::time::Duration;

    #[test]
    fn a_ring_before_the_wait_is_not_lost() {
        let alarm = Alarm::new().unwrap();
        alarm.ring();
        alarm.wait(None);
    }

    #[test]
    fn a_point_in_the_past_returns_at_once_and_a_near_one_is_reached() {
        let alarm = Alarm::new().unwrap();
        alarm.wait(Some(quorum_core::Instant::ZERO));
        let until = now() + Duration::from_millis(5);
        while now() < until {
            alarm.wait(Some(until));
        }
    }
}
