//! READ STATE: as many reads as it takes to know one whole state.
//!
//! ```text
//! READ FULL STATUS ──┬─ a holder, not All Registrants; or nobody registered ────> the state
//!                    ├─ no holder, or All Registrants ─ READ RESERVATION ─┬ same generation, agrees > the state
//!                    │                                                    └ else: from the beginning
//!                    └─ the disk does not have it ─ READ KEYS ─ READ RESERVATION ─ (the same)
//! ```
//!
//! Invariants: a list is whole (asked for again with more room until it is); the parts are of one
//! PRGENERATION, or everything is read again, at most [`READS_MAX`] times, and then it is an error.
//! RESERVE and RELEASE do not count the generation up, so the holder is as new as the last read.

use super::answer::INVALID_FIELD_IN_CDB;
use super::{OverDevice, Reading};
use crate::device::Device;
use crate::reservation::{Answer, PersistentState, Refusal, Registration, Reply, Support, Verb};
use crate::wire::ParameterError;
use crate::wire::cdb::{Command, PrInAction};
use crate::wire::persistent_in::{
    FIRST_ALLOCATION, FullStatus, HeldReservation, RegisteredKeys, next_allocation,
};

/// How often the state is read from the beginning when it changes meanwhile: registrations change when
/// nodes start and die, not in a steady stream.
pub(super) const READS_MAX: usize = 3;

/// How often one list is asked for: the room at least doubles, so this is never reached by an honest disk.
const QUESTIONS_MAX: usize = 6;

impl<D: Device> OverDevice<D> {
    pub(super) fn read_state(&mut self, reading: &mut Reading) -> Answer {
        for last in [false, false, true] {
            match self.read_once(last, reading) {
                Ok(Some(state)) => return Answer::Done(Reply::State(state)),
                Ok(None) => {}
                Err(answer) => return answer,
            }
        }
        malformed(format!(
            "the reservation state changed under each of {READS_MAX} reads"
        ))
    }

    /// One try; `None` when the parts did not belong together.
    fn read_once(
        &mut self,
        last: bool,
        reading: &mut Reading,
    ) -> Result<Option<PersistentState>, Answer> {
        let full = if self.capabilities.full_status == Support::No {
            None
        } else {
            self.read_full_status(reading)?
        };
        let state = match full {
            Some(full) => full.into_state(),
            None => self.read_keys(reading)?,
        };
        let names_nexuses = self.capabilities.full_status == Support::Yes;
        // Who holds is registered (SPC-4 5.13.1): where nobody is, nobody holds.
        if names_nexuses && state.registrations.is_empty() {
            return Ok(Some(state));
        }
        let told = state.reservation;
        if told.is_some_and(|held| !held.kind.all_registrants()) {
            return Ok(Some(state));
        }
        let held = self.read_pr_in(PrInAction::ReadReservation, reading, HeldReservation::parse)?;
        // Some disks leave the generation out of an answer that has nothing else to tell.
        let silent = held.reservation.is_none() && held.generation == 0;
        if held.generation != state.generation && !silent {
            return Ok(None);
        }
        if names_nexuses && held.reservation != told {
            // Reserved or released between the two reads; or, in the end, a disk without R_HOLDER.
            return Ok(last.then(|| without_holder_marks(state, &held)));
        }
        Ok(Some(PersistentState {
            reservation: held.reservation,
            ..state
        }))
    }

    /// `None` when the disk does not have it.
    pub(super) fn read_full_status(
        &mut self,
        reading: &mut Reading,
    ) -> Result<Option<FullStatus>, Answer> {
        match self.read_pr_in(PrInAction::ReadFullStatus, reading, FullStatus::parse) {
            Ok(full) => {
                self.capabilities.full_status = Support::Yes;
                Ok(Some(full))
            }
            Err(Answer::Refused(Refusal::Sense(sense))) if sense.is(INVALID_FIELD_IN_CDB) => {
                self.capabilities.full_status = Support::No;
                Ok(None)
            }
            Err(answer) => Err(answer),
        }
    }

    fn read_keys(&mut self, reading: &mut Reading) -> Result<PersistentState, Answer> {
        let read = self.read_pr_in(PrInAction::ReadKeys, reading, RegisteredKeys::parse)?;
        let registrations = read.keys.into_iter().map(|key| Registration {
            key,
            nexus: None,
            holder: None,
            all_target_ports: false,
        });
        Ok(PersistentState {
            generation: read.generation,
            registrations: registrations.collect(),
            reservation: None,
        })
    }

    /// One PERSISTENT RESERVE IN, asked again with more room until the answer is whole.
    pub(super) fn read_pr_in<T>(
        &mut self,
        action: PrInAction,
        reading: &mut Reading,
        parse: impl Fn(&[u8], u16) -> Result<T, ParameterError>,
    ) -> Result<T, Answer> {
        let mut allocation_length = FIRST_ALLOCATION;
        for _ in 0..QUESTIONS_MAX {
            let command = Command::PersistentReserveIn {
                action,
                allocation_length,
            };
            let mut buffer = vec![0; usize::from(allocation_length)];
            let read = self.read(&Verb::ReadState, &command, &mut buffer, reading);
            self.learn_persistent(&read);
            let completion = read?;
            let arrived = &buffer[..completion.transferred.min(buffer.len())];
            let next = match parse(arrived, allocation_length) {
                Ok(value) => return Ok(value),
                Err(ParameterError::Incomplete { needed }) => {
                    next_allocation(allocation_length, needed)
                }
                Err(error) => return Err(malformed(format!("{}: {error}", action.name()))),
            };
            match next {
                Some(next) => allocation_length = next,
                None => break,
            }
        }
        Err(malformed(format!(
            "{}: the list is longer than can be asked for",
            action.name()
        )))
    }

    fn learn_persistent<T>(&mut self, read: &Result<T, Answer>) {
        match read {
            Ok(_) => self.capabilities.persistent = Support::Yes,
            Err(Answer::Unsupported) => self.capabilities.persistent = Support::No,
            Err(_) => {}
        }
    }
}

/// The state with the reservation that READ RESERVATION tells, where the full status marks other holders.
fn without_holder_marks(mut state: PersistentState, held: &HeldReservation) -> PersistentState {
    for registration in &mut state.registrations {
        registration.holder = None;
    }
    state.reservation = held.reservation;
    state
}

pub(super) fn malformed(what: String) -> Answer {
    Answer::Refused(Refusal::Malformed(what))
}
