//! The waiting times of arbitration, and the inequalities that make them safe.
//!
//! A set of [`Times`] is in force on every node of a cluster and part of every key, so nodes with other
//! times look foreign to each other. [`Times::check`] gives every inequality as a value with its slack;
//! a driver refuses a set that breaks one. Nothing here measures: the figures of a disk and of a host
//! come in from outside.
//!
//! Letters, as in the design: d defend interval, j worst lateness, l round trip, c bound on a command,
//! m keys that a round may have to remove (SCSI-2: attentions to drain), rho clock drift, w challenge
//! wait, s self-stop age, q time to stop, g settle, R reset recovery.
//!
//! What m covers: every other node of the cluster has one key when it challenges, so that m = 4 is for five
//! nodes that challenge with one path each and all at once; a challenger with several paths shares one key
//! among them. In a larger cluster, or with leftovers of dead lives beside, a round may take longer than the
//! inequalities say; the owner tells when it meets more keys than m. They are removed all the same.
//!
//! | question | file |
//! |---|---|
//! | which inequalities there are, and what each protects | here |
//! | the named sets | `profile` |
//! | from a takeover target, or a profile, and what was measured, to times; or why not | `solve` |
//!
//! Outside of it: a clock must run while its node can act. A hypervisor pause that stops the clock too
//! is not covered by any time; there only the disk fences.

mod profile;
mod solve;

pub use profile::Profile;
pub use solve::{Demand, Measured, Unsolvable, admit};

use crate::arbitration::Mode;
use std::time::Duration;

/// The times in force on every node of a cluster.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Times {
    /// d: between the sends of two defence rounds.
    pub defend_interval: Duration,
    /// j: the worst lateness of the defender.
    pub lateness: Duration,
    /// l: the worst round trip in good times.
    pub round_trip: Duration,
    /// c: the caller's bound on one command.
    pub command_bound: Duration,
    /// m: keys that one round may have to remove (SCSI-2: attentions that it may have to drain).
    pub removable_keys: u32,
    /// rho, in parts per million: the largest error of a clock's rate.
    pub drift_ppm: u32,
    /// w: from a challenger's GOOD of REGISTER (SCSI-2: the last reset that it saw) to its look.
    pub challenge_wait: Duration,
    /// s: the age of the last clean round at which an owner stops itself.
    pub self_stop: Duration,
    /// q: the time that stopping takes.
    pub stop_time: Duration,
    /// g: from the first clean round to `Owner`.
    pub settle: Duration,
    /// R: SCSI-2, how long a reset disturbs the target.
    pub reset_recovery: Duration,
    /// After one wait, times the node's place in the order: when a loser contends again.
    pub rechallenge_interval: Duration,
}

/// One inequality between times: `left` must be below `right`.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Inequality {
    /// A short name.
    pub name: &'static str,
    /// In the design's letters.
    pub formula: &'static str,
    /// What goes wrong when it does not hold.
    pub protects: &'static str,
    /// The left side's value.
    pub left: Duration,
    /// The right side's value.
    pub right: Duration,
    /// Equal is not enough.
    pub strict: bool,
}

impl Inequality {
    /// Does it hold?
    #[must_use]
    pub fn holds(&self) -> bool {
        if self.strict {
            self.left < self.right
        } else {
            self.left <= self.right
        }
    }

    /// How much room is left, in microseconds; negative when it does not hold.
    #[must_use]
    pub fn slack_us(&self) -> i64 {
        let micros = |span: Duration| i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
        micros(self.right) - micros(self.left)
    }
}

impl Times {
    /// Every inequality of the mode, held or not.
    #[must_use]
    pub fn check(&self, mode: Mode) -> Vec<Inequality> {
        let mut list = vec![
            Inequality {
                name: "bounded-round",
                formula: "j + c + (1 + m)·l < d",
                protects: "a lost command costs one round and not two, even the last one of a late round",
                left: self.lateness
                    + self.command_bound
                    + self.round_trip * (1 + self.removable_keys),
                right: self.defend_interval,
                strict: true,
            },
            self.live_owner_defends(mode),
            Inequality {
                name: "owner-survives-a-lost-round",
                formula: "(2d + j)(1 + rho) + (2 + m)·l < s",
                protects: "an owner that lost one command does not stop itself",
                left: self.two_rounds() + self.round_trip * (2 + self.removable_keys),
                right: self.self_stop,
                strict: true,
            },
        ];
        list.push(match mode {
            Mode::Persistent => Inequality {
                name: "deposed-stops-first",
                formula: "s(1 + rho) + q < (w + g)(1 - rho)",
                protects: "what the disk cannot fence is stopped before the next owner starts it",
                left: self.stretched(self.self_stop) + self.stop_time,
                right: self.shrunk(self.challenge_wait + self.settle),
                strict: true,
            },
            Mode::Spc2 => Inequality {
                name: "deposed-stops-first",
                formula: "s(1 + rho) + q <= g(1 - rho)",
                protects: "a reservation can vanish silently: only settle keeps two owners apart",
                left: self.stretched(self.self_stop) + self.stop_time,
                right: self.shrunk(self.settle),
                strict: false,
            },
        });
        if mode == Mode::Persistent {
            list.push(Inequality {
                name: "retake-comes-first",
                formula: "s(1 + rho) < w(1 - rho)",
                protects: "without a log, nobody can have owned the disk before an owner that takes it \
                           again after a power loss",
                left: self.stretched(self.self_stop),
                right: self.shrunk(self.challenge_wait),
                strict: true,
            });
        }
        list
    }

    /// Do all inequalities of the mode hold?
    #[must_use]
    pub fn is_sound(&self, mode: Mode) -> bool {
        self.check(mode).iter().all(Inequality::holds)
    }

    /// When the dead owner's disk is taken, at the latest, by a waiting contender: it may have lost one
    /// challenge just before, waits its turn as the `order`-th node, and then a whole wait.
    #[must_use]
    pub fn takeover_at_most(&self, order: u32) -> Duration {
        self.challenge_wait * 2
            + self.rechallenge_interval * order
            + self.round_trip * (4 + self.removable_keys)
            + self.reset_recovery
            + self.settle
    }

    fn live_owner_defends(&self, mode: Mode) -> Inequality {
        let rounds = self.two_rounds() + self.round_trip * (1 + self.removable_keys);
        let (formula, left) = match mode {
            Mode::Persistent => ("(2d + j)(1 + rho) + (1 + m)·l < w(1 - rho)", rounds),
            Mode::Spc2 => (
                "R + (2d + j)(1 + rho) + (1 + u)·l < w(1 - rho)",
                rounds + self.reset_recovery,
            ),
        };
        Inequality {
            name: "live-owner-defends",
            formula,
            protects: "a challenger looks only after a live owner had time to remove it",
            left,
            right: self.shrunk(self.challenge_wait),
            strict: true,
        }
    }

    /// (2d + j)(1 + rho): two rounds by the slowest clock, the second one late.
    fn two_rounds(&self) -> Duration {
        self.stretched(self.defend_interval * 2 + self.lateness)
    }

    /// t(1 + rho), rounded up.
    fn stretched(&self, span: Duration) -> Duration {
        span + drift(span, self.drift_ppm)
    }

    /// t(1 - rho), rounded down.
    fn shrunk(&self, span: Duration) -> Duration {
        span.saturating_sub(drift(span, self.drift_ppm))
    }

    /// Every field, in a fixed order and byte order: what the cluster tag sums up, and a quorum log keeps.
    #[must_use]
    pub fn to_bytes(self) -> Vec<u8> {
        let spans = [
            self.defend_interval,
            self.lateness,
            self.round_trip,
            self.command_bound,
            self.challenge_wait,
            self.self_stop,
            self.stop_time,
            self.settle,
            self.reset_recovery,
            self.rechallenge_interval,
        ];
        let mut bytes: Vec<u8> = spans
            .iter()
            .flat_map(|span| span.as_nanos().to_be_bytes())
            .collect();
        bytes.extend(self.removable_keys.to_be_bytes());
        bytes.extend(self.drift_ppm.to_be_bytes());
        bytes
    }

    /// What [`Self::to_bytes`] made of them; `None` of anything else.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut words = bytes.chunks_exact(16);
        let mut span = || -> Option<Duration> {
            let nanos = u128::from_be_bytes(words.next()?.try_into().ok()?);
            u64::try_from(nanos).ok().map(Duration::from_nanos)
        };
        let [
            defend_interval,
            lateness,
            round_trip,
            command_bound,
            challenge_wait,
        ] = [span()?, span()?, span()?, span()?, span()?];
        let [
            self_stop,
            stop_time,
            settle,
            reset_recovery,
            rechallenge_interval,
        ] = [span()?, span()?, span()?, span()?, span()?];
        let (keys, drift) = bytes.get(160..)?.split_first_chunk::<4>()?;
        let times = Self {
            defend_interval,
            lateness,
            round_trip,
            command_bound,
            removable_keys: u32::from_be_bytes(*keys),
            drift_ppm: u32::from_be_bytes(drift.try_into().ok()?),
            challenge_wait,
            self_stop,
            stop_time,
            settle,
            reset_recovery,
            rechallenge_interval,
        };
        Some(times)
    }
}

/// The largest error of a clock over this span, rounded up.
fn drift(span: Duration, ppm: u32) -> Duration {
    let nanos = (span.as_nanos() * u128::from(ppm)).div_ceil(1_000_000);
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    fn fast() -> Times {
        Profile::Fast.times(Mode::Persistent)
    }

    #[test]
    fn every_profile_is_sound_in_both_modes() {
        for profile in Profile::ALL {
            for mode in [Mode::Persistent, Mode::Spc2] {
                for inequality in profile.times(mode).check(mode) {
                    assert!(inequality.holds(), "{profile:?} {mode:?}: {inequality:?}");
                    assert!(inequality.slack_us() >= 0);
                }
            }
        }
    }

    #[test]
    fn a_dead_owners_disk_is_taken_as_fast_as_the_profile_promises() {
        let takeover = |profile: Profile| profile.times(Mode::Persistent).takeover_at_most(2);
        assert!(takeover(Profile::Default) <= ms(2500));
        assert!(takeover(Profile::Fast) <= ms(800));
    }

    #[test]
    fn times_come_back_from_their_bytes_and_from_no_others() {
        for profile in Profile::ALL {
            let times = profile.times(Mode::Spc2);
            let bytes = times.to_bytes();
            assert_eq!(Times::from_bytes(&bytes), Some(times));
            for length in 0..bytes.len() {
                assert_eq!(Times::from_bytes(&bytes[..length]), None);
            }
            assert_eq!(Times::from_bytes(&[bytes, vec![0]].concat()), None);
        }
        assert_eq!(Times::from_bytes(&[0xff; 168]), None);
    }

    #[test]
    fn the_original_waits_two_defences_and_a_second() {
        let times = Profile::Classic.times(Mode::Spc2);
        assert_eq!(
            times.challenge_wait,
            times.defend_interval * 2 + Duration::from_secs(1)
        );
    }

    /// The smallest figures of the model: with d = 2, l = 1, j = 0 a wait that only just covers the
    /// rounds is too short, one tick more is enough (facts: m=1 w=4 fails, 5 holds, without the lost round).
    #[test]
    fn a_wait_that_equals_the_rounds_is_refused_and_one_above_is_not() {
        let base = Times {
            defend_interval: ms(2),
            lateness: ms(0),
            round_trip: ms(1),
            removable_keys: 1,
            drift_ppm: 0,
            challenge_wait: ms(6),
            ..fast()
        };
        let verdict = |times: Times| times.live_owner_defends(Mode::Persistent).holds();
        assert!(!verdict(base));
        assert!(verdict(Times {
            challenge_wait: ms(7),
            ..base
        }));
    }

    #[test]
    fn drift_is_rounded_against_the_cluster() {
        let times = Times {
            drift_ppm: 1,
            ..fast()
        };
        let span = Duration::from_nanos(3);
        assert_eq!(times.stretched(span), Duration::from_nanos(4));
        assert_eq!(times.shrunk(span), Duration::from_nanos(2));
    }
}
