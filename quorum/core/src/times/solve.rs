//! From a takeover target and what was measured to a set of times, or the reason why there is none.
//!
//! The one free choice is the defend interval d; everything else follows from it:
//!
//! ```text
//!   c = d - j - (1 + m)·l, and a little less        bounded-round
//!   s > (2d + j)(1 + rho) + (2 + m)·l               owner-survives-a-lost-round
//!   w > what live-owner-defends and retake-comes-first ask for
//!   g > what deposed-stops-first asks for
//!   takeover = 2w + turn + (4 + m)·l + R + g        grows with d
//! ```
//!
//! The longest d whose takeover is within the target is the answer: it loads the disk least and leaves the
//! longest bound on a command. The shortest sensible d has a bound of `TRIPS_MIN` round trips; when even its
//! takeover is too long the target is refused, and the one figure is named that would have to be better.
//!
//! Every strict inequality is given room: a hundredth of what it must exceed, and at least a millisecond.
//!
//! What never happens here: nothing is measured, and nothing depends on the node. The times are part of every
//! key of a cluster, so all its nodes must come to the same ones: they solve from the same allowances, and a
//! node whose own disk or host is worse than those is refused by [`admit`].

use super::{Inequality, Times};
use crate::arbitration::Mode;
use std::time::Duration;

/// The bound on a command is at least so many of the round trips that are allowed for.
const TRIPS_MIN: u32 = 4;
/// A cluster has at most so many nodes: their numbers have eight bits, and 0 is none.
const NODES_MAX: u32 = 255;
/// After so many nodes the order in which losers contend again starts over.
const TURNS: u32 = 16;
/// Clocks that are further apart are broken, and not slow.
const DRIFT_PPM_MAX: u32 = 100_000;
/// Longer than anybody waits for a takeover; it bounds every sum below.
const TAKEOVER_MAX: Duration = Duration::from_secs(24 * 3600);
const MILLISECOND: Duration = Duration::from_millis(1);

/// What is wanted of a set of times, and what they must allow for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Demand {
    /// The protocol.
    pub mode: Mode,
    /// A dead owner's disk has its next `Owner` within this.
    pub takeover: Duration,
    /// l: the worst round trip in good times that is allowed for.
    pub round_trip: Duration,
    /// j: the worst lateness of a host's timers that is allowed for.
    pub lateness: Duration,
    /// R: how long a reset disturbs the target.
    pub reset_recovery: Duration,
    /// q: how long a deposed node takes to stop what the disk cannot fence.
    pub stop_time: Duration,
    /// rho, in parts per million.
    pub drift_ppm: u32,
    /// How many nodes contend; each other one has a key that a round may have to remove.
    pub nodes: u32,
}

/// What was measured of one node's way to the disk, and of its host.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Measured {
    /// The slowest answer of the reading that a defence round makes.
    pub round_trip: Duration,
    /// The latest that one of the host's timers came.
    pub lateness: Duration,
}

/// Why there are no such times, or why this disk or host cannot live by them.
#[derive(Clone, PartialEq, Eq, Hash, Debug, thiserror::Error)]
pub enum Unsolvable {
    /// The demand contradicts itself.
    #[error("{0}")]
    Contradiction(&'static str),
    /// The disk answers too slowly: with everything else as it is, this is the slowest round trip that would do.
    #[error(
        "the disk is too slow: its round trip is {} and may be {} at most", words(*.round_trip), words(*.at_most)
    )]
    DiskTooSlow {
        /// As it is.
        round_trip: Duration,
        /// The slowest that would do, in whole microseconds.
        at_most: Duration,
    },
    /// The host's timers come too late: this is the latest that would do.
    #[error(
        "the host is too late: its timers come up to {} late, and may {} at most", words(*.lateness), words(*.at_most)
    )]
    HostTooLate {
        /// As it is.
        lateness: Duration,
        /// The latest that would do, in whole microseconds.
        at_most: Duration,
    },
    /// Stopping takes too long: this is the longest that would do.
    #[error("stopping takes {}, and may take {} at most", words(*.stop_time), words(*.at_most))]
    StopTooSlow {
        /// As it is.
        stop_time: Duration,
        /// The longest that would do, in whole microseconds.
        at_most: Duration,
    },
    /// No single figure explains it: together they allow this at best.
    #[error("the shortest takeover that these figures allow is {}", words(*.least))]
    TooFast {
        /// The shortest takeover that is possible.
        least: Duration,
    },
    /// An inequality does not hold even with a disk and a host that take no time.
    #[error("{} does not hold: {}", .0.name, .0.formula)]
    Broken(Inequality),
}

impl Demand {
    /// The allowances that go with a target when nothing else is said, in the proportions of the profile
    /// `default`: every node that names the same target comes to the same times.
    #[must_use]
    pub fn for_takeover(mode: Mode, takeover: Duration) -> Self {
        let share = |part: u32, least: u64, most: u64| {
            let span = up_to_a_millisecond(takeover / part);
            span.clamp(Duration::from_millis(least), Duration::from_millis(most))
        };
        Self {
            mode,
            takeover,
            round_trip: share(125, 1, 50),
            lateness: share(60, 2, 200),
            reset_recovery: share(25, 2, 300),
            stop_time: share(9, 10, 3000),
            drift_ppm: 200,
            nodes: 5,
        }
    }

    /// The times with the longest defend interval whose takeover is within the target.
    ///
    /// # Errors
    /// When there are none: what is wrong with the demand, or which figure stands in the way.
    pub fn solve(&self) -> Result<Times, Unsolvable> {
        self.contradiction()
            .map_or(Ok(()), |what| Err(Unsolvable::Contradiction(what)))?;
        let shortest = self.shortest();
        if self.takeover_of(&shortest) > self.takeover {
            return Err(self.what_stands_in_the_way());
        }
        // Whole milliseconds above the shortest interval: `low` is possible, `high` is not.
        let interval = |steps: u128| {
            let nanos = (MILLISECOND.as_nanos() * steps).min(u128::from(u64::MAX));
            shortest.defend_interval
                + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
        };
        let (mut low, mut high) = (0, self.takeover.as_millis() + 1);
        while high - low > 1 {
            let middle = low.midpoint(high);
            if self.takeover_of(&self.times(interval(middle))) <= self.takeover {
                low = middle;
            } else {
                high = middle;
            }
        }
        let times = self.times(interval(low));
        let broken = times.check(self.mode).into_iter().find(|one| !one.holds());
        broken.map_or(Ok(times), |broken| Err(Unsolvable::Broken(broken)))
    }

    /// When the last of these nodes owns a dead owner's disk, at the latest.
    fn takeover_of(&self, times: &Times) -> Duration {
        times.takeover_at_most((self.nodes - 1).min(TURNS - 1))
    }

    fn contradiction(&self) -> Option<&'static str> {
        if self.nodes == 0 || self.nodes > NODES_MAX {
            Some("a cluster has 1 to 255 nodes")
        } else if self.takeover.is_zero() {
            Some("no takeover is instant")
        } else if self.takeover > TAKEOVER_MAX {
            Some("a takeover that may take longer than a day is none")
        } else if self.round_trip.is_zero() {
            Some("no disk answers in no time")
        } else if self.round_trip > TAKEOVER_MAX
            || self.lateness > TAKEOVER_MAX
            || self.reset_recovery > TAKEOVER_MAX
            || self.stop_time > TAKEOVER_MAX
        {
            Some("a figure is longer than a day")
        } else if self.drift_ppm > DRIFT_PPM_MAX {
            Some(
                "clocks that differ by more than a tenth are broken, and no time is safe with them",
            )
        } else {
            None
        }
    }

    /// The times with the shortest sensible defend interval.
    fn shortest(&self) -> Times {
        let m = self.removable_keys();
        let round = self.lateness + self.round_trip * (1 + m);
        let least = round + self.round_trip * TRIPS_MIN + room(round + self.round_trip * TRIPS_MIN);
        self.times(up_to_a_millisecond(least))
    }

    fn removable_keys(&self) -> u32 {
        (self.nodes - 1).max(1)
    }

    /// Everything that follows from a defend interval.
    fn times(&self, defend_interval: Duration) -> Times {
        let m = self.removable_keys();
        let mut times = Times {
            defend_interval,
            lateness: self.lateness,
            round_trip: self.round_trip,
            command_bound: defend_interval
                .saturating_sub(self.lateness + self.round_trip * (1 + m))
                .saturating_sub(room(defend_interval)),
            removable_keys: m,
            drift_ppm: self.drift_ppm,
            challenge_wait: Duration::ZERO,
            self_stop: Duration::ZERO,
            stop_time: self.stop_time,
            settle: Duration::ZERO,
            reset_recovery: self.reset_recovery,
            rechallenge_interval: up_to_a_millisecond(self.round_trip * 5 / 2),
        };
        times.self_stop = above(times.two_rounds() + self.round_trip * (2 + m));
        let defended = times.live_owner_defends(self.mode).left;
        let stopped = times.stretched(times.self_stop);
        match self.mode {
            Mode::Persistent => {
                times.challenge_wait = times.by_a_fast_clock(above(defended.max(stopped)));
                let both = times.by_a_fast_clock(above(stopped + self.stop_time));
                times.settle = both.saturating_sub(times.challenge_wait);
            }
            Mode::Spc2 => {
                times.challenge_wait = times.by_a_fast_clock(above(defended));
                times.settle = times.by_a_fast_clock(stopped + self.stop_time);
            }
        }
        times
    }

    /// Which one figure, if it were better, would make the target possible; and how good it would have to be.
    fn what_stands_in_the_way(&self) -> Unsolvable {
        let possible = |demand: &Self| demand.takeover_of(&demand.shortest()) <= demand.takeover;
        let best = |change: &dyn Fn(Duration) -> Self, now: Duration, least: Duration| {
            largest(least, now, |span| possible(&change(span)))
        };
        let disk = |round_trip| Self {
            round_trip,
            ..*self
        };
        let host = |lateness| Self { lateness, ..*self };
        let stop = |stop_time| Self { stop_time, ..*self };
        if let Some(at_most) = best(&disk, self.round_trip, Duration::from_micros(1)) {
            let round_trip = self.round_trip;
            return Unsolvable::DiskTooSlow {
                round_trip,
                at_most,
            };
        }
        if let Some(at_most) = best(&host, self.lateness, Duration::ZERO) {
            let lateness = self.lateness;
            return Unsolvable::HostTooLate { lateness, at_most };
        }
        if let Some(at_most) = best(&stop, self.stop_time, Duration::ZERO) {
            let stop_time = self.stop_time;
            return Unsolvable::StopTooSlow { stop_time, at_most };
        }
        Unsolvable::TooFast {
            least: self.takeover_of(&self.shortest()),
        }
    }
}

impl Times {
    /// These times on a disk and a host with these figures: the inequalities that count are those of the
    /// times as they are, with what was measured in place of what they allow for.
    #[must_use]
    pub fn on(&self, measured: &Measured) -> Self {
        Self {
            round_trip: measured.round_trip,
            lateness: measured.lateness,
            ..*self
        }
    }

    /// The shortest span that is surely this long by a clock that runs too fast, in whole milliseconds.
    fn by_a_fast_clock(&self, span: Duration) -> Duration {
        let ppm = u128::from(self.drift_ppm);
        let nanos = (span.as_nanos() * 1_000_000).div_ceil(1_000_000 - ppm) + 1;
        up_to_a_millisecond(Duration::from_nanos(
            u64::try_from(nanos).unwrap_or(u64::MAX),
        ))
    }
}

/// May a node with this disk and this host live by these times? Both may be worse than the times allow for
/// while every inequality holds; a command that takes longer than its bound never counts as answered.
///
/// # Errors
/// What is too slow, and how slow it may be.
pub fn admit(times: &Times, mode: Mode, measured: &Measured) -> Result<(), Unsolvable> {
    let sound = |round_trip, lateness| {
        let measured = Measured {
            round_trip,
            lateness,
        };
        round_trip <= times.command_bound && times.on(&measured).is_sound(mode)
    };
    let Measured {
        round_trip,
        lateness,
    } = *measured;
    if sound(round_trip, lateness) {
        return Ok(());
    }
    let zero = Duration::ZERO;
    if let Some(at_most) = largest(zero, round_trip, |span| sound(span, lateness)) {
        return Err(Unsolvable::DiskTooSlow {
            round_trip,
            at_most,
        });
    }
    if let Some(at_most) = largest(zero, lateness, |span| sound(zero, span)) {
        return Err(Unsolvable::HostTooLate { lateness, at_most });
    }
    let nothing = Measured {
        round_trip: zero,
        lateness: zero,
    };
    let checked = times.on(&nothing).check(mode);
    let broken = checked.into_iter().find(|one| !one.holds());
    broken.map_or(Ok(()), |broken| Err(Unsolvable::Broken(broken)))
}

/// The largest span from `least` to below `most`, in whole microseconds, for which it holds. It holds for all
/// shorter ones.
fn largest(least: Duration, most: Duration, holds: impl Fn(Duration) -> bool) -> Option<Duration> {
    if !holds(least) {
        return None;
    }
    let at = |micros: u64| least + Duration::from_micros(micros);
    let span = most.saturating_sub(least).as_micros();
    let (mut low, mut high) = (0, u64::try_from(span).unwrap_or(u64::MAX));
    while high - low > 1 {
        let middle = low.midpoint(high);
        if holds(at(middle)) {
            low = middle;
        } else {
            high = middle;
        }
    }
    Some(at(low))
}

/// Surely above, with the room that every strict inequality is given.
fn above(span: Duration) -> Duration {
    up_to_a_millisecond(span + room(span))
}

fn room(span: Duration) -> Duration {
    (span / 100).max(MILLISECOND)
}

fn up_to_a_millisecond(span: Duration) -> Duration {
    let millis = span.as_nanos().div_ceil(MILLISECOND.as_nanos());
    Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))
}

/// A span as a person reads it.
fn words(span: Duration) -> String {
    let micros = span.as_micros();
    if micros < 10_000 && !micros.is_multiple_of(1000) {
        format!("{micros} us")
    } else {
        format!("{} ms", micros / 1000)
    }
}
