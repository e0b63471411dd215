//! Differences between LIO and the unit that are allowed, each by a predicate.
//!
//! An allowance that never fires fails the run: either LIO changed, or the unit learned it, and then the allowance
//! would hide the next difference.

use crate::both::Answer;
use crate::operation::{Action, Operation};

/// An operation that the two answered differently.
pub(crate) struct Apart<'a> {
    pub(crate) operation: &'a Operation,
    pub(crate) lio: &'a Answer,
    pub(crate) unit: &'a Answer,
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

/// All of them.
pub(crate) const ALLOWED: [Allowed; 1] = [Allowed {
    name: "compare-and-write-loses-the-attention",
    reason: "LIO ends COMPARE AND WRITE with 02/08/00 where an attention waits: its sense is lost on the way back \
             from the compare. A unit that did so too would hide from its tests what every other unit says.",
    script: "a: LUN RESET; b: COMPARE AND WRITE -> 02/08/00, where any other command of b meets 06/29/03",
    applies: |apart| {
        apart.operation.action == Action::CompareAndWrite
            && apart.lio.sense == Some((2, 8, 0))
            && apart.unit.is_attention()
    },
}];
