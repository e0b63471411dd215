//! What a completion means as an answer to a verb.
//!
//! | completion | answer |
//! |---|---|
//! | GOOD, CONDITION MET | `Done` |
//! | RESERVATION CONFLICT | `Conflict`, the holder not looked up |
//! | CHECK CONDITION, Unit Attention | `Attention` (a read drains it instead) |
//! | CHECK CONDITION, 05/20/00 | `Unsupported` |
//! | the same, 05/24/00 at the service action of a verb that a disk may lack | `Unsupported` |
//! | CHECK CONDITION otherwise; BUSY, TASK SET FULL, … | `Refused` |
//! | no status: not sent | `NotSent` |
//! | no status: sent | `OutcomeUnknown` |

use crate::device::{Completion, DeviceError, ResetError};
use crate::reservation::{Answer, Refusal, Reply, Uncertainty, Verb};
use crate::wire::sense::Sense;
use crate::wire::status::Status;

/// INVALID COMMAND OPERATION CODE.
pub(super) const INVALID_OPCODE: Sense = Sense::new(0x05, 0x20, 0x00);
/// INVALID FIELD IN CDB.
pub(super) const INVALID_FIELD_IN_CDB: Sense = Sense::new(0x05, 0x24, 0x00);
/// LOGICAL UNIT COMMUNICATION FAILURE.
const COMMUNICATION_FAILURE: Sense = Sense::new(0x02, 0x08, 0x00);

/// The answer to a verb that ended so.
pub(super) fn answer_of(verb: &Verb, ended: Result<Completion, DeviceError>) -> Answer {
    let completion = match ended {
        Ok(completion) => completion,
        Err(error) => return error_answer(error),
    };
    match completion.status {
        Status::GOOD | Status::CONDITION_MET => Answer::Done(Reply::Good),
        Status::RESERVATION_CONFLICT => Answer::Conflict { holder: None },
        Status::CHECK_CONDITION => match completion.sense {
            None => Answer::Refused(Refusal::Status(Status::CHECK_CONDITION.0)),
            Some(sense) => sense_answer(verb, sense),
        },
        other => Answer::Refused(Refusal::Status(other.0)),
    }
}

fn sense_answer(verb: &Verb, sense: Sense) -> Answer {
    if let Some(attention) = sense.attention() {
        return Answer::Attention(attention);
    }
    let lacks = sense.is(INVALID_OPCODE)
        || sense.is(INVALID_FIELD_IN_CDB) && may_be_lacking(verb) && is_about_the_action(&sense);
    if lacks && !sense.deferred {
        Answer::Unsupported
    } else {
        Answer::Refused(Refusal::Sense(sense))
    }
}

/// The service actions that disks with persistent reservations are known to lack.
fn may_be_lacking(verb: &Verb) -> bool {
    matches!(
        verb,
        Verb::Preempt { abort: true, .. } | Verb::Move { .. } | Verb::ReplaceLost { .. }
    )
}

/// Does the field pointer, if there is one, show the SERVICE ACTION?
fn is_about_the_action(sense: &Sense) -> bool {
    sense
        .field
        .is_none_or(|field| field.in_cdb && field.byte == 1)
}

/// The answer when no status arrived.
pub(super) fn error_answer(error: DeviceError) -> Answer {
    match error {
        DeviceError::NotSent(unsent) => Answer::NotSent(unsent),
        DeviceError::TimedOut => Answer::OutcomeUnknown(Uncertainty::TimedOut),
        DeviceError::Transport(why) => Answer::OutcomeUnknown(Uncertainty::Transport(why)),
    }
}

/// The answer to a reset, or to CLEAR TASK SET.
pub(super) fn reset_answer(ended: Result<(), ResetError>) -> Answer {
    match ended {
        Ok(()) => Answer::Done(Reply::Good),
        Err(ResetError::Unsupported) => Answer::Unsupported,
        Err(ResetError::Refused(why)) => Answer::Refused(Refusal::Function(why)),
        // Part of it may have happened.
        Err(ResetError::Failed(why)) => Answer::OutcomeUnknown(Uncertainty::Transport(why)),
        Err(ResetError::Device(error)) => error_answer(error),
    }
}

/// What an operator should know about a refusal that its own words hide.
#[must_use]
pub fn hint(verb: &Verb, refusal: &Refusal) -> Option<&'static str> {
    let Refusal::Sense(sense) = refusal else {
        return None;
    };
    let wants_registration = matches!(
        verb,
        Verb::Reserve { .. } | Verb::Release { .. } | Verb::Clear { .. } | Verb::Preempt { .. }
    );
    let registers = matches!(
        verb,
        Verb::Register { .. } | Verb::RegisterIgnoringExisting { .. }
    );
    if wants_registration && sense.is(COMMUNICATION_FAILURE) {
        Some("LIO answers so to a nexus that is not registered: register first")
    } else if registers && (sense.asc == 0x24 || sense.asc == 0x26) {
        Some("the disk may lack APTPL, ALL_TG_PT or SPEC_I_PT: see `qctl disk pr capabilities`")
    } else if registers && sense.is(Sense::new(0x05, 0x55, 0x04)) {
        Some("the disk's table of registrations is full")
    } else if matches!(verb, Verb::Release { .. }) && sense.is(Sense::new(0x05, 0x26, 0x04)) {
        Some("the type given is not the type that is held")
    } else {
        None
    }
}
