//! What may come back.

use super::{Attention, Capabilities, PersistentState, Reservation};
use crate::wire::sense::Sense;

/// What a verb that was performed brought back.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Reply {
    /// GOOD, nothing to say.
    Good,
    /// The answer to `ReadState`.
    State(PersistentState),
    /// The answer to `ReadCapabilities`.
    Capabilities(Capabilities),
}

/// Why the disk did not do it, when that is neither a conflict nor an attention.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Refusal {
    /// CHECK CONDITION: the sense says why.
    Sense(Sense),
    /// A status without sense, by its SAM code (BUSY, TASK SET FULL, ACA ACTIVE, …).
    Status(u8),
    /// An NVMe status (SCT and SC in bits 10 to 0).
    Nvme(u16),
    /// The target's task management refuses to reset, or to clear the task set; its words.
    Function(String),
    /// The reply broke a rule of its own format: the disk lies or is cut short.
    Malformed(String),
}

/// Why it is not known whether the verb took effect.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Uncertainty {
    /// The caller's bound ran out; the command may still take effect later.
    TimedOut,
    /// The transport failed after the command had left.
    Transport(String),
}

/// Why the verb certainly did not reach the disk.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Unsent {
    /// The process lacks a privilege; the text names it (`CAP_SYS_RAWIO`).
    NotPermitted(String),
    /// The path is gone, or there is no connection.
    NoPath(String),
    /// The path is still busy with an earlier command that outlived its bound.
    Busy,
}

/// The answer to one verb.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Answer {
    /// Performed.
    Done(Reply),
    /// RESERVATION CONFLICT: refused for another's reservation or for a key that does not match.
    Conflict {
        /// The holder, where the disk tells.
        holder: Option<Reservation>,
    },
    /// Not performed: a Unit Attention was pending. Only verbs that change something end so; a read
    /// drains attentions (a bounded number) and reports them in [`Exchange::attentions`].
    Attention(Attention),
    /// Refused by the disk.
    Refused(Refusal),
    /// The disk, or this way to it, does not have the verb.
    Unsupported,
    /// The change may or may not have happened, or may happen later: read the state.
    OutcomeUnknown(Uncertainty),
    /// Certainly not performed.
    NotSent(Unsent),
}

/// One verb's answer, and the attentions that were met and drained on the way to it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Exchange {
    /// The answer.
    pub answer: Answer,
    /// Attentions that were drained by a read, oldest first.
    pub attentions: Vec<Attention>,
}

impl From<Answer> for Exchange {
    fn from(answer: Answer) -> Self {
        Self {
            answer,
            attentions: Vec::new(),
        }
    }
}

/// As an operator reads it.
impl std::fmt::Display for Unsent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotPermitted(what) => write!(f, "not permitted: {what}"),
            Self::NoPath(why) => write!(f, "no path: {why}"),
            Self::Busy => {
                f.write_str("the path is still busy with a command that outlived its bound")
            }
        }
    }
}
