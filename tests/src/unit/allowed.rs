//! Differences between the judging unit and ours that are allowed, each by a predicate.
//!
//! An allowance that never fires fails the run: either the judge changed, or our unit learned it, and then the
//! allowance would hide the next difference.

use crate::both::Answer;
use crate::operation::{Action, Operation};
use scsi::logical_unit::Behaviour;
use scsi::reservation::ReservationType;

/// An operation that the two answered differently.
pub(crate) struct Apart<'a> {
    pub(crate) operation: &'a Operation,
    pub(crate) judge: &'a Answer,
    pub(crate) ours: &'a Answer,
}

/// An allowed difference.
pub(crate) struct Allowed {
    pub(crate) name: &'static str,
    /// Why it is right to allow it.
    pub(crate) reason: &'static str,
    /// The shortest way to see it.
    pub(crate) script: &'static str,
    pub(crate) applies: fn(&Apart<'_>) -> bool,
}

/// Those of a unit that behaves so.
pub(crate) const fn of(behaviour: Behaviour) -> &'static [Allowed] {
    match behaviour {
        Behaviour::Lio => &LIO,
        Behaviour::Tgt => &TGT,
        Behaviour::Standard | Behaviour::Hostile => &[],
    }
}

const LIO: [Allowed; 1] = [Allowed {
    name: "compare-and-write-loses-the-attention",
    reason: "LIO ends COMPARE AND WRITE with 02/08/00 where an attention waits: its sense is lost on the way back \
             from the compare. A unit that did so too would hide from its tests what every other unit says.",
    script: "a: LUN RESET; b: COMPARE AND WRITE -> 02/08/00, where any other command of b meets 06/29/03",
    applies: |apart| {
        apart.operation.action == Action::CompareAndWrite
            && apart.judge.sense == Some((2, 8, 0))
            && apart.ours.is_attention()
    },
}];

const TGT: [Allowed; 1] = [Allowed {
    name: "preempt-reserves-with-no-type",
    reason: "tgt does not look at the scope and the type of a PREEMPT that takes a reservation over, and has then one of \
             a type that is none. Ours refuses it (05/24/00): it has no such value to hold.",
    script: "a: REGISTER 1, RESERVE 3; b: REGISTER 2, PREEMPT of 1 with type 2 -> GOOD",
    applies: |apart| {
        let is_none = |scope_type: u8| {
            scope_type >> 4 != 0 || ReservationType::from_scsi_code(scope_type & 0xF).is_none()
        };
        apart.operation.action == Action::Preempt
            && is_none(apart.operation.cdb[2])
            && apart.judge.is_good()
            && apart.ours.sense == Some((5, 0x24, 0))
    },
}];
