//! How a part is.

use crate::error::Corrupt;
use std::ops::Range;

/// How a part of a region is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Health {
    /// As it was written; or it holds nothing that anybody needs.
    Good,
    /// Damaged, and nothing is lost by it: something else serves.
    Degraded {
        /// What is wrong, and what serves.
        why: String,
    },
    /// Something that was acknowledged is damaged.
    Corrupt {
        /// What is wrong.
        why: String,
        /// Where, in bytes from the start of the region.
        range: Range<u64>,
        /// What to do.
        advice: &'static str,
    },
}

/// For records.
pub(super) const SALVAGE: &str = "`qctl log salvage` copies what is good before it to a new log";
/// For a checkpoint that nothing serves for, and what it needs.
pub(super) const RESTORE: &str = "restore the region from a copy";
/// For an object.
pub(super) const STORE_AGAIN: &str = "its owner has to store it again";

impl Health {
    /// Is there nothing to be said?
    #[must_use]
    pub const fn is_good(&self) -> bool {
        matches!(self, Self::Good)
    }

    /// Is something lost?
    #[must_use]
    pub const fn is_corrupt(&self) -> bool {
        matches!(self, Self::Corrupt { .. })
    }

    /// Degraded, unless it is worse already.
    pub(super) fn degrade(&mut self, why: String) {
        if self.is_good() {
            *self = Self::Degraded { why };
        }
    }

    /// What opening refused it for.
    pub(super) fn corrupt(&mut self, found: &Corrupt) {
        *self = Self::lost(found.what.clone(), found.range.clone(), SALVAGE);
    }

    pub(super) const fn lost(why: String, range: Range<u64>, advice: &'static str) -> Self {
        Self::Corrupt { why, range, advice }
    }
}

/// A part: what, where, and how it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Part {
    /// Its name for people: `superblock slot 1 bank 0 copy 1`, `segment 2`.
    pub name: String,
    /// Bytes from the start of the region; of an object, its first chunk.
    pub range: Range<u64>,
    /// How it is.
    pub health: Health,
}
