//! The waiting times of arbitration, and the inequalities that make them safe.

use std::time::Duration;

/// The times in force on every node of a cluster. They are part of every key, so nodes with other times
/// look foreign to each other.
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
    /// m: foreign keys that one round may have to remove.
    pub removable_keys: u32,
    /// rho, in parts per million: the largest error of a clock's rate.
    pub drift_ppm: u32,
    /// w: from a challenger's GOOD of REGISTER (SCSI-2: its reset) to its look.
    pub challenge_wait: Duration,
    /// s: the age of the last clean round at which an owner stops itself.
    pub self_stop: Duration,
    /// q: the time that stopping takes.
    pub stop_time: Duration,
    /// g: from `Held` to `Owner`.
    pub settle: Duration,
    /// SCSI-2: how long a reset disturbs the target.
    pub reset_recovery: Duration,
    /// Between a lost race and the next challenge, multiplied by the node's order.
    pub rechallenge_interval: Duration,
}
