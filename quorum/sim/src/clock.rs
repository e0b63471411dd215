//! The clock of one node: it runs a little too fast or too slow, began at its own point, and may stand still
//! while the world goes on (a hypervisor that stops the guest and its clock).

use quorum_core::Instant;
use std::time::Duration;

/// A node's clock, told by the world's.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Clock {
    /// How much too fast it runs, in parts per million.
    rate_ppm: i32,
    /// What it showed when the world began.
    offset: Duration,
    /// How long it has stood still so far.
    stood: Duration,
    /// It stands since then.
    stands_since: Option<Instant>,
}

impl Clock {
    /// A clock that runs this much too fast (negative: too slow) and showed `offset` when the world began.
    #[must_use]
    pub const fn new(rate_ppm: i32, offset: Duration) -> Self {
        Self {
            rate_ppm,
            offset,
            stood: Duration::ZERO,
            stands_since: None,
        }
    }

    /// What it shows.
    #[must_use]
    pub fn shows(&self, world: Instant) -> Instant {
        let until = self.stands_since.unwrap_or(world).min(world);
        let ran = until.elapsed_since_zero().saturating_sub(self.stood);
        Instant::since_zero(self.offset + self.by_clock(ran))
    }

    /// The first point of the world at which it shows this, if it does not stand again before.
    #[must_use]
    pub fn when(&self, shown: Instant) -> Instant {
        let ran = shown.elapsed_since_zero().saturating_sub(self.offset);
        if self.rate_ppm == 0 {
            return Instant::since_zero(ran + self.stood);
        }
        let parts = 1_000_000 + i128::from(self.rate_ppm);
        let nanos = (ran.as_nanos().cast_signed() * 1_000_000).div_euclid(parts);
        let mut world = Duration::from_nanos(u64::try_from(nanos).unwrap_or(0));
        while self.by_clock(world) < ran {
            world += Duration::from_nanos(1);
        }
        Instant::since_zero(world + self.stood)
    }

    /// Stands still from now on.
    pub fn stop(&mut self, world: Instant) {
        self.stands_since.get_or_insert(world);
    }

    /// Runs again.
    pub fn go_on(&mut self, world: Instant) {
        if let Some(since) = self.stands_since.take() {
            self.stood += world.saturating_since(since);
        }
    }

    /// Does it run?
    #[must_use]
    pub const fn runs(&self) -> bool {
        self.stands_since.is_none()
    }

    fn by_clock(&self, span: Duration) -> Duration {
        if self.rate_ppm == 0 {
            return span;
        }
        let nanos = span.as_nanos().cast_signed();
        let nanos = nanos + nanos * i128::from(self.rate_ppm) / 1_000_000;
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(millis: u64) -> Instant {
        Instant::since_zero(Duration::from_millis(millis))
    }

    #[test]
    fn a_fast_clock_shows_more_and_a_deadline_comes_no_earlier_than_it_shows_it() {
        for rate in [-10_000, -1, 0, 3, 5_000] {
            let clock = Clock::new(rate, Duration::from_secs(5));
            for millis in [0, 1, 999, 123_457] {
                let deadline =
                    Instant::since_zero(Duration::from_secs(5) + Duration::from_millis(millis));
                let when = clock.when(deadline);
                assert!(clock.shows(when) >= deadline);
                let before = when - Duration::from_nanos(2);
                assert!(millis == 0 || clock.shows(before) < deadline);
            }
        }
        let fast = Clock::new(10_000, Duration::ZERO);
        assert_eq!(fast.shows(at(1000)), at(1010));
    }

    #[test]
    fn a_clock_that_stands_shows_the_same_and_goes_on_from_there() {
        let mut clock = Clock::new(0, Duration::ZERO);
        clock.stop(at(100));
        assert_eq!(clock.shows(at(700)), at(100));
        clock.go_on(at(700));
        assert_eq!(clock.shows(at(750)), at(150));
        assert_eq!(clock.when(at(150)), at(750));
    }
}
