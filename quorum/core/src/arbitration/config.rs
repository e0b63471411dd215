//! What an arbitration machine is told once, at its start.

use super::guards::Guards;
use super::keys::{ClusterTag, NodeNumber};
use crate::times::Times;
use scsi::reservation::Key;
use std::time::Duration;

/// Which protocol arbitrates.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Mode {
    /// SCSI-3 persistent reservations (and NVMe reservations).
    Persistent,
    /// SCSI-2 RESERVE and LUN reset.
    Spc2,
}

/// The mark of a clean hand-over in the superblock of the quorum log.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ParkedMark {
    /// The epoch that was parked.
    pub epoch: u64,
    /// The key of the owner that parked and still holds the disk.
    pub holder: Key,
}

/// What the operator allows.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Policy {
    /// Keep contending after a lost race, instead of ending with it.
    pub wait: bool,
    /// Never preempt: take only what nobody holds.
    pub no_preempt: bool,
    /// PREEMPT instead of PREEMPT AND ABORT (the barrier becomes a LUN reset).
    pub no_abort: bool,
    /// Go on when the target does not persist reservations through power loss.
    pub accept_no_aptpl: bool,
    /// Take a disk although keys of another cluster are registered on it, and remove them.
    pub evict_foreign: bool,
    /// The operator's word that all other nodes are down: no challenge wait.
    pub others_are_down: bool,
    /// There is a quorum log: ask for its parked mark, and for the epoch after a power loss.
    pub has_log: bool,
}

/// What an arbitration machine is told once, at its start.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Config {
    /// The protocol.
    pub mode: Mode,
    /// The cluster, and its times.
    pub cluster: ClusterTag,
    /// This node.
    pub node: NodeNumber,
    /// How many paths (nexuses) this node has to the disk; at least one.
    pub paths: u16,
    /// The times in force.
    pub times: Times,
    /// What the operator allows.
    pub policy: Policy,
    /// All on, but in the test that each is noticed.
    pub guards: Guards,
}

impl Config {
    /// One path, the operator's word for nothing, all guards on.
    #[must_use]
    pub fn new(mode: Mode, cluster_name: &str, node: NodeNumber, times: Times) -> Self {
        Self {
            mode,
            cluster: ClusterTag::new(cluster_name, &times),
            node,
            paths: 1,
            times,
            policy: Policy::default(),
            guards: Guards::ALL_ON,
        }
    }

    /// How long this node waits for its turn after a lost race: by its number, so that two losers do not
    /// meet again; the order starts over after sixteen nodes, so that a high number is not slow.
    pub(super) fn own_turn(&self) -> Duration {
        let order = u32::from(self.node.0.saturating_sub(1) % 16);
        self.times.rechallenge_interval * order
    }
}
