//! What the unit says of itself: one file for each kind of answer.

pub(super) mod capacity;
pub(super) mod inquiry;
pub(super) mod luns;
pub(super) mod mode;
pub(super) mod opcodes;
pub(super) mod persistent_in;
