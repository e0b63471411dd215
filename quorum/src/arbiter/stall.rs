//! What made this host stand still, told apart from a peer that died: by three clocks and the timers' lateness.
//!
//! | seen | cause |
//! |---|---|
//! | CLOCK_BOOTTIME went on and CLOCK_MONOTONIC did not | the host was suspended |
//! | a wake-up long after its time, or a thread that did not run between two of them | it was too busy, or stopped |
//! | CLOCK_REALTIME moved against the other two | the clock was set: after a pause of a virtual machine in which its clocks stood still, this may be the only trace |
//!
//! Whatever it was, what was proved before it is proved again before the next write ([`super::Ownership::check_before_write`]).
//!
//! It never decides about ownership: the times do, with CLOCK_BOOTTIME.

use super::clock::now;
use nix::time::ClockId;
use quorum_core::Instant;
use std::time::Duration;

/// Clocks are read one after the other; a suspend takes longer.
const SUSPEND_MIN: Duration = Duration::from_millis(5);

/// A clock that is slewed moves by half a thousandth: in the longest time between two looks not by so much.
const SET_MIN: Duration = Duration::from_millis(100);

/// This host stood still, or its clock was set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stall {
    /// The host was suspended.
    Suspended {
        /// For so long.
        span: Duration,
    },
    /// A timer came late, or the thread did not get to run.
    Late {
        /// By so much.
        by: Duration,
    },
    /// The wall clock was set.
    ClockSet {
        /// By so much.
        by: Duration,
        /// To a later time.
        forward: bool,
    },
}

/// The clocks, read at one moment.
#[derive(Clone, Copy, Debug)]
struct Clocks {
    boot: Instant,
    monotonic: Duration,
    wall: Duration,
}

impl Clocks {
    fn read() -> Self {
        let read = |clock: ClockId| clock.now().map(Duration::from).unwrap_or_default();
        Self {
            boot: now(),
            monotonic: read(ClockId::CLOCK_MONOTONIC),
            wall: read(ClockId::CLOCK_REALTIME),
        }
    }
}

/// Looks at the clocks each time that its thread goes round.
#[derive(Debug)]
pub(super) struct StallWatch {
    /// A timer may be so late.
    lateness: Duration,
    seen: Clocks,
}

impl StallWatch {
    pub(super) fn new(lateness: Duration) -> Self {
        Self {
            lateness,
            seen: Clocks::read(),
        }
    }

    /// What happened since the last look. `due`: the point up to which the thread meant to sleep; none when it did not
    /// mean to.
    pub(super) fn look(&mut self, due: Option<Instant>) -> impl Iterator<Item = Stall> + use<> {
        let at = Clocks::read();
        let before = std::mem::replace(&mut self.seen, at);
        between(before, at, due, self.lateness)
            .into_iter()
            .flatten()
    }
}

fn between(
    before: Clocks,
    at: Clocks,
    due: Option<Instant>,
    lateness: Duration,
) -> [Option<Stall>; 3] {
    let span = at.boot.saturating_since(before.boot);
    let ran = at.monotonic.saturating_sub(before.monotonic);
    let slept = span.saturating_sub(ran);
    let suspended = (slept >= SUSPEND_MIN).then_some(Stall::Suspended { span: slept });
    // The time in suspend is told already.
    let late = at
        .boot
        .saturating_since(due.unwrap_or(before.boot).max(before.boot))
        .saturating_sub(slept);
    let late = (late > lateness).then_some(Stall::Late { by: late });
    let expected = before.wall + span;
    let (by, forward) = if at.wall >= expected {
        (at.wall - expected, true)
    } else {
        (expected - at.wall, false)
    };
    let set = (by >= SET_MIN).then_some(Stall::ClockSet { by, forward });
    [suspended, late, set]
}

#[cfg(test)]
mod tests {
    use super::{Clocks, Stall, StallWatch, between};
    use quorum_core::Instant;
    use std::time::Duration;

    const LATENESS: Duration = Duration::from_millis(50);

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn clocks(boot: u64, monotonic: u64, wall: u64) -> Clocks {
        Clocks {
            boot: Instant::since_zero(ms(boot)),
            monotonic: ms(monotonic),
            wall: ms(wall),
        }
    }

    fn told(at: Clocks, due: Option<u64>) -> Vec<Stall> {
        let due = due.map(|due| Instant::since_zero(ms(due)));
        let found = between(clocks(1000, 900, 5000), at, due, LATENESS);
        found.into_iter().flatten().collect()
    }

    #[test]
    fn a_wake_up_in_time_is_no_stall() {
        assert_eq!(told(clocks(1300, 1200, 5300), Some(1290)), []);
        // Woken early, by an answer.
        assert_eq!(told(clocks(1100, 1000, 5100), Some(1290)), []);
        assert_eq!(told(clocks(1001, 901, 5001), None), []);
    }

    #[test]
    fn a_late_timer_a_suspend_and_a_clock_that_was_set_are_told_apart() {
        let late = Stall::Late { by: ms(210) };
        assert_eq!(told(clocks(1500, 1400, 5500), Some(1290)), [late]);
        assert_eq!(
            told(clocks(4300, 1200, 8300), Some(1290)),
            [Stall::Suspended { span: ms(3000) }]
        );
        for (wall, forward) in [(6300, true), (4300, false)] {
            let set = Stall::ClockSet {
                by: ms(1000),
                forward,
            };
            assert_eq!(told(clocks(1300, 1200, wall), Some(1290)), [set]);
        }
    }

    #[test]
    fn a_thread_that_did_not_run_though_it_did_not_sleep_stood_still() {
        let late = Stall::Late { by: ms(300) };
        assert_eq!(told(clocks(1300, 1200, 5300), None), [late]);
        // What was due before the last look was late then.
        assert_eq!(told(clocks(1010, 910, 5010), Some(400)), []);
    }

    #[test]
    fn a_watch_that_has_just_begun_has_nothing_to_tell() {
        let mut watch = StallWatch::new(Duration::from_secs(3600));
        let told: Vec<Stall> = watch.look(None).collect();
        assert!(!told.iter().any(|stall| matches!(stall, Stall::Late { .. })));
    }
}
