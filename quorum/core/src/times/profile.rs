//! The named sets of times.

use super::Times;
use crate::arbitration::Mode;
use std::time::Duration;

/// A named set of times.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Profile {
    /// The original's: 3 s between defences, 7 s challenge, 10 s before anything starts.
    Classic,
    /// A dead owner's disk is taken within 2.5 s.
    Default,
    /// A dead owner's disk is taken within 0.8 s; for fast disks and quiet hosts.
    Fast,
}

impl Profile {
    /// All of them, from slow to fast.
    pub const ALL: [Self; 3] = [Self::Classic, Self::Default, Self::Fast];

    /// The name that users type.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Classic => "classic",
            Self::Default => "default",
            Self::Fast => "fast",
        }
    }

    /// The profile with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|profile| profile.name() == name)
    }

    /// The times of this profile. SCSI-2 settles longer: its reservation can vanish silently, so that
    /// only `settle` keeps what the disk cannot fence apart.
    #[must_use]
    pub const fn times(self, mode: Mode) -> Times {
        let times = match self {
            Self::Classic => CLASSIC,
            Self::Default => DEFAULT,
            Self::Fast => FAST,
        };
        match (self, mode) {
            (_, Mode::Persistent) | (Self::Classic, Mode::Spc2) => times,
            (Self::Default, Mode::Spc2) => Times {
                challenge_wait: ms(900),
                settle: ms(1100),
                ..times
            },
            (Self::Fast, Mode::Spc2) => Times {
                challenge_wait: ms(280),
                settle: ms(300),
                ..times
            },
        }
    }
}

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

const CLASSIC: Times = Times {
    defend_interval: ms(3000),
    lateness: ms(200),
    round_trip: ms(50),
    command_bound: ms(2400),
    removable_keys: 4,
    drift_ppm: 200,
    challenge_wait: ms(7000),
    self_stop: ms(6800),
    stop_time: ms(3000),
    settle: ms(10_000),
    reset_recovery: ms(300),
    rechallenge_interval: ms(500),
};

const DEFAULT: Times = Times {
    defend_interval: ms(300),
    lateness: ms(40),
    round_trip: ms(20),
    command_bound: ms(155),
    removable_keys: 4,
    drift_ppm: 200,
    challenge_wait: ms(800),
    self_stop: ms(780),
    stop_time: ms(300),
    settle: ms(300),
    reset_recovery: ms(100),
    rechallenge_interval: ms(50),
};

const FAST: Times = Times {
    defend_interval: ms(100),
    lateness: ms(10),
    round_trip: ms(5),
    command_bound: ms(60),
    removable_keys: 4,
    drift_ppm: 200,
    challenge_wait: ms(250),
    self_stop: ms(245),
    stop_time: ms(50),
    settle: ms(50),
    reset_recovery: ms(30),
    rechallenge_interval: ms(10),
};
