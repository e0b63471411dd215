//! What must hold after each step: one checker for each property, each in a file of its own.
//!
//! | file | property | in the facts on arbitration |
//! |---|---|---|
//! | [`one_owner`] | one `Owner` at a time among nodes whose clock runs | S5 |
//! | [`deposed_writes`] | a deposed node's write never reaches the medium outside an open window | S2 |
//! | [`live_owner`] | a live owner that reaches the disk is never deposed by challengers | S3 |
//! | [`own_key`] | the key of a live owner is never absent | S4 |
//! | [`acknowledged`] | nothing acknowledged is lost from the log across owners | section 4 |
//! | [`self_stop`] | nobody goes on past its proof | C, D |
//! | [`takes`] | a take is never instant, never a guess, and never of what was not allowed | PR 3, 6, 7; SCSI-2 1, 2 |
//! | [`terms`] | what is told of a term is true: held, barred, fed | S1; PR 2, 8, 13 |
//! | [`progress`] | after healing somebody owns the disk within the bound of the solver | L1 |
//!
//! A checker is told what happened, in plain values and in the world's time, and answers with what is wrong. It
//! knows neither the world nor the machines, so that whoever watches real processes can ask the same ones.

pub mod acknowledged;
pub mod deposed_writes;
pub mod live_owner;
pub mod one_owner;
pub mod own_key;
pub mod progress;
pub mod self_stop;
pub mod takes;
pub mod terms;

use quorum_core::Instant;
use std::fmt;

/// A node, by its number.
pub type NodeNo = u8;

/// What must hold.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Property {
    /// One `Owner` at a time.
    OneOwner,
    /// No write of a deposed node.
    DeposedWrites,
    /// A live owner is never deposed.
    LiveOwner,
    /// Its key is never absent.
    OwnKey,
    /// Nothing acknowledged is lost.
    Acknowledged,
    /// Nobody goes on past its proof.
    SelfStop,
    /// No take is instant, or a guess.
    Takes,
    /// What is told of a term is true.
    Terms,
    /// Somebody owns the disk after healing.
    Progress,
}

impl Property {
    /// The name in reports, with the one of the facts.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::OneOwner => "S5 one owner",
            Self::DeposedWrites => "S2 deposed writes",
            Self::LiveOwner => "S3 live owner",
            Self::OwnKey => "S4 own key",
            Self::Acknowledged => "acknowledged",
            Self::SelfStop => "self-stop",
            Self::Takes => "takes",
            Self::Terms => "terms",
            Self::Progress => "L1 progress",
        }
    }
}

/// A property that did not hold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Violation {
    /// Which.
    pub property: Property,
    /// When it was seen, in the world's time.
    pub at: Instant,
    /// What was seen.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at {}: {}: {}", self.at, self.property.name(), self.what)
    }
}

/// All checkers that watch a world while it runs.
#[derive(Default, Debug)]
pub struct Checkers {
    /// What did not hold.
    pub violations: Vec<Violation>,
    /// The time of what is being told.
    pub now: Instant,
    /// See [`one_owner`].
    pub one_owner: one_owner::OneOwner,
    /// See [`deposed_writes`].
    pub deposed_writes: deposed_writes::DeposedWrites,
    /// See [`live_owner`].
    pub live_owner: live_owner::LiveOwner,
    /// See [`own_key`].
    pub own_key: own_key::OwnKey,
    /// See [`acknowledged`].
    pub acknowledged: acknowledged::Acknowledged,
    /// See [`self_stop`].
    pub self_stop: self_stop::SelfStop,
}

impl Checkers {
    /// Keeps what a checker found.
    pub fn hold(&mut self, property: Property, found: Result<(), String>) {
        if let Err(what) = found {
            let at = self.now;
            self.violations.push(Violation { property, at, what });
        }
    }
}
