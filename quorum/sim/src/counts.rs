//! What happened in a world, counted: so that a claim is about things that happened, and not about seconds
//! in which nothing did.

use crate::faults::FaultKind;
use quorum_core::arbitration::{Guard, Mode, Stage};
use std::collections::BTreeMap;
use std::time::Duration;

const STAGES: usize = Stage::ALL.len();

/// Counted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Counts {
    /// How much time passed in the worlds.
    pub simulated: Duration,
    /// Events of the worlds: inputs to machines, effects at disks, steps of writes.
    pub events: u64,
    /// Inputs to machines.
    pub inputs: u64,
    /// Terms: `Held`.
    pub terms: u64,
    /// `Owner`.
    pub owners: u64,
    /// `Owner`, and the one before was another node.
    pub changes: u64,
    /// Data writes that reached the medium.
    pub writes: u64,
    /// Data writes that were acknowledged.
    pub acknowledged: u64,
    /// Writes of a deposed node that reached the medium because the disk was open.
    pub exposed: u64,
    /// The same, in persistent mode with APTPL and without an operator's CLEAR: never.
    pub exposed_with_aptpl: u64,
    /// Of the acknowledged, those that are records of the shipped log.
    pub acknowledged_in_logs: u64,
    /// Writes of the shipped log that reached the medium after their host had given them up.
    pub late_log_writes: u64,
    /// Shipped logs of which nothing was claimed any more, because an owner of before had written.
    pub logs_exposed: u64,
    /// Writes of a deposed node that a late REGISTER of its own let in, over one of several paths.
    pub let_in: u64,
    /// SCSI-2: owners that reserved the disk again after their term was over, because a reset had opened it.
    pub revived: u64,
    /// Acknowledged records that were written through an open disk after the next owner had read the log.
    pub acknowledged_exposed: u64,
    /// The longest time that a disk was open under a live owner in good times.
    pub open_longest: Duration,
    /// From healing to `Owner`, the longest.
    pub healed_longest: Duration,
    /// The smallest part of the solver's bound that was left, in per mille.
    pub healed_room_per_mille: u64,
    /// How often an owner was told that its host had stood still.
    pub stalls: u64,
    /// Worlds that healed.
    pub healed: u64,
    /// How often a live owner was challenged and kept the disk: rounds that removed somebody.
    pub defences: u64,
    faults: [u64; FaultKind::ALL.len()],
    transitions: [[u64; STAGES]; STAGES],
    transitions_spc2: [[u64; STAGES]; STAGES],
    guards: [u64; Guard::ALL.len()],
    /// Inputs for which it was tried what each guard changes.
    pub guard_trials: u64,
}

impl Default for Counts {
    fn default() -> Self {
        Self {
            simulated: Duration::ZERO,
            events: 0,
            inputs: 0,
            terms: 0,
            owners: 0,
            changes: 0,
            writes: 0,
            acknowledged: 0,
            exposed: 0,
            exposed_with_aptpl: 0,
            acknowledged_in_logs: 0,
            late_log_writes: 0,
            logs_exposed: 0,
            let_in: 0,
            revived: 0,
            acknowledged_exposed: 0,
            open_longest: Duration::ZERO,
            healed_longest: Duration::ZERO,
            healed_room_per_mille: 1000,
            stalls: 0,
            healed: 0,
            defences: 0,
            faults: [0; FaultKind::ALL.len()],
            transitions: [[0; STAGES]; STAGES],
            transitions_spc2: [[0; STAGES]; STAGES],
            guards: [0; Guard::ALL.len()],
            guard_trials: 0,
        }
    }
}

impl Counts {
    /// One more fault of this kind.
    pub(crate) fn fault(&mut self, kind: FaultKind) {
        self.faults[kind as usize] += 1;
    }

    /// A machine went from one stage to another.
    pub(crate) fn transition(&mut self, mode: Mode, from: Stage, to: Stage) {
        let table = match mode {
            Mode::Persistent => &mut self.transitions,
            Mode::Spc2 => &mut self.transitions_spc2,
        };
        table[from as usize][to as usize] += 1;
    }

    /// Without this guard the machine would have done something else.
    pub(crate) fn guard(&mut self, guard: Guard) {
        self.guards[guard as usize] += 1;
    }

    /// How many faults there were.
    #[must_use]
    pub fn all_faults(&self) -> u64 {
        self.faults.iter().sum()
    }

    /// How many of each kind.
    #[must_use]
    pub fn faults(&self) -> BTreeMap<FaultKind, u64> {
        let count = |kind: &FaultKind| (*kind, self.faults[*kind as usize]);
        FaultKind::ALL.iter().map(count).collect()
    }

    /// How often each guard changed what a machine did, among the trials.
    #[must_use]
    pub fn guards(&self) -> BTreeMap<Guard, u64> {
        let count = |guard: &Guard| (*guard, self.guards[*guard as usize]);
        Guard::ALL.iter().map(count).collect()
    }

    /// The transitions that were taken.
    #[must_use]
    pub fn transitions(&self, mode: Mode) -> BTreeMap<(Stage, Stage), u64> {
        let table = match mode {
            Mode::Persistent => &self.transitions,
            Mode::Spc2 => &self.transitions_spc2,
        };
        let mut taken = BTreeMap::new();
        for from in Stage::ALL {
            for to in Stage::ALL {
                let count = table[*from as usize][*to as usize];
                if count > 0 {
                    taken.insert((*from, *to), count);
                }
            }
        }
        taken
    }

    /// Adds what was counted elsewhere.
    pub fn add(&mut self, other: &Self) {
        self.simulated += other.simulated;
        self.events += other.events;
        self.inputs += other.inputs;
        self.terms += other.terms;
        self.owners += other.owners;
        self.changes += other.changes;
        self.writes += other.writes;
        self.acknowledged += other.acknowledged;
        self.exposed += other.exposed;
        self.exposed_with_aptpl += other.exposed_with_aptpl;
        self.acknowledged_exposed += other.acknowledged_exposed;
        self.acknowledged_in_logs += other.acknowledged_in_logs;
        self.late_log_writes += other.late_log_writes;
        self.logs_exposed += other.logs_exposed;
        self.let_in += other.let_in;
        self.revived += other.revived;
        self.open_longest = self.open_longest.max(other.open_longest);
        self.healed_longest = self.healed_longest.max(other.healed_longest);
        self.healed_room_per_mille = self.healed_room_per_mille.min(other.healed_room_per_mille);
        self.stalls += other.stalls;
        self.healed += other.healed;
        self.defences += other.defences;
        self.guard_trials += other.guard_trials;
        let sums = |into: &mut [u64], from: &[u64]| {
            for (sum, more) in into.iter_mut().zip(from) {
                *sum += more;
            }
        };
        sums(&mut self.faults, &other.faults);
        sums(&mut self.guards, &other.guards);
        for (into, from) in self.transitions.iter_mut().zip(&other.transitions) {
            sums(into, from);
        }
        for (into, from) in self
            .transitions_spc2
            .iter_mut()
            .zip(&other.transitions_spc2)
        {
            sums(into, from);
        }
    }
}
