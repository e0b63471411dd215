//! The unit, its store, and the faults that are scheduled.

use crate::device::schedule::{Action, Schedule, Subject};
use crate::logical_unit::{LogicalUnit, Media, MediaError, Nexus, Outcome, Tag};
use crate::wire::cdb::Cdb;
use crate::wire::sense::Sense;
use crate::wire::status::Status;

/// Where the blocks are, and the state that survives a power loss.
pub trait Store: Media {
    /// Keeps the state of the unit: when this returns it will be there after a crash of the machine.
    ///
    /// # Errors
    /// When it cannot; then the state before it is still there.
    fn keep(&mut self, image: &[u8]) -> Result<(), MediaError>;
}

/// PERSISTENT RESERVE OUT.
const PERSISTENT_RESERVE_OUT: u8 = 0x5f;

/// INTERNAL TARGET FAILURE (SPC-4 4.5.6): the state could not be kept.
const INTERNAL_FAILURE: Sense = Sense::new(0x04, 0x44, 0x00);

/// A unit that serves commands.
#[derive(Debug)]
pub struct Backend<S> {
    pub(super) unit: LogicalUnit,
    store: S,
    schedule: Schedule,
    hung: bool,
}

impl<S: Store> Backend<S> {
    /// A unit that has just come up: its power was off.
    pub fn new(mut unit: LogicalUnit, store: S, schedule: Schedule) -> Self {
        unit.power_cycle();
        Self {
            unit,
            store,
            schedule,
            hung: false,
        }
    }

    /// What is behind it.
    pub const fn store(&self) -> &S {
        &self.store
    }

    /// Brings everything that was written onto the medium.
    pub(super) fn sync(&mut self) -> Result<(), MediaError> {
        self.store.sync()
    }

    /// What was scheduled for this command or function. After a hang everything hangs.
    pub(super) fn fault(&mut self, subject: &Subject) -> Option<Action> {
        if self.schedule.rules().is_empty() {
            return None;
        }
        let action = self.schedule.next(subject);
        self.hung |= action == Some(Action::Hang);
        if self.hung {
            Some(Action::Hang)
        } else {
            action
        }
    }

    /// Does nothing answer any more?
    pub(super) const fn is_hung(&self) -> bool {
        self.hung
    }

    /// Performs a command whose data are there.
    pub(super) fn execute(&mut self, nexus: &Nexus, cdb: &Cdb, data_out: &[u8]) -> Outcome {
        self.kept(cdb, |unit, store| unit.execute(nexus, cdb, data_out, store))
    }

    /// Performs a command that waited, now that its data are there. None: it was aborted.
    pub(super) fn run(&mut self, tag: Tag, cdb: &Cdb, data_out: Vec<u8>) -> Option<Outcome> {
        let mut outcome = None;
        let kept = self.kept(cdb, |unit, store| {
            unit.supply(tag, data_out);
            outcome = unit.run(tag, store);
            outcome.clone().unwrap_or(GOOD)
        });
        outcome.map(|_| kept)
    }

    /// Performs, and keeps what it changed before it is answered. What cannot be kept is undone.
    fn kept(
        &mut self,
        cdb: &Cdb,
        perform: impl FnOnce(&mut LogicalUnit, &mut S) -> Outcome,
    ) -> Outcome {
        if cdb.as_bytes().first() != Some(&PERSISTENT_RESERVE_OUT) {
            return perform(&mut self.unit, &mut self.store);
        }
        let before = self.unit.clone();
        let outcome = perform(&mut self.unit, &mut self.store);
        let kept = before.aptpl() || self.unit.aptpl();
        let changed = before.aptpl() != self.unit.aptpl()
            || before.persistent_state() != self.unit.persistent_state();
        if kept && changed && self.store.keep(&self.unit.to_image()).is_err() {
            self.unit = before;
            return Outcome {
                status: Status::CHECK_CONDITION,
                sense: Some(INTERNAL_FAILURE),
                data_in: Vec::new(),
            };
        }
        outcome
    }
}

const GOOD: Outcome = Outcome {
    status: Status::GOOD,
    sense: None,
    data_in: Vec::new(),
};
