//! A deposed node's write never reaches the medium outside an open window (S2).
//!
//! Every write belongs to a term. Once a node was told `Held`, no write of an earlier term may land, with one
//! exception: the write was accepted, in the present term, while the disk was *open*: reserved by nobody, after a
//! reset or a nexus loss under SCSI-2, a power loss without APTPL, or an operator's CLEAR. Such a write is counted
//! as *exposed*; in persistent mode with APTPL only a CLEAR opens the disk.
//!
//! Under SCSI-2 the present term counts from the RESERVE that its win rests on: a reset may open the disk again before the node has heard
//! of its answer.
//!
//! Under SCSI-2 an owner that is deposed and does not know it yet may even reserve the disk again after such a reset:
//! it is *revived*, and what it writes is exposed.
//!
//! Where a term began without any barrier (nothing could be sent, and that was said) the settle time stands in
//! for it, which is best effort: writes of earlier terms are then counted as exposed too.

use quorum_core::Instant;
use std::collections::{BTreeMap, BTreeSet};

/// The checker.
#[derive(Default, Debug)]
pub struct DeposedWrites {
    /// Terms begun so far.
    terms: u64,
    /// The present term began without a barrier.
    no_barrier: bool,
    /// Terms whose owner has come back through an open disk (SCSI-2).
    revived: BTreeSet<u64>,
    /// Writes that are under way.
    writes: BTreeMap<u64, Write>,
    /// How many old writes were exposed.
    pub exposed: u64,
}

#[derive(Clone, Copy, Debug)]
struct Write {
    term: u64,
    /// Accepted on an open disk, in this term.
    open_in: Option<u64>,
    accepted_at: Instant,
    /// A late RESERVE, or a registration after a power loss without APTPL, let it through.
    excused: bool,
    /// A late REGISTER of its nexus let it through.
    let_in: bool,
}

/// A write that has reached the medium.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Landed {
    /// Of the present term.
    Present,
    /// Of an earlier term, through an open disk.
    Exposed,
    /// Of an earlier term, through the want of any barrier.
    Unbarred,
    /// Of an earlier term, through a late REGISTER.
    LetIn,
}

impl DeposedWrites {
    /// The present term.
    #[must_use]
    pub const fn term(&self) -> u64 {
        self.terms
    }

    /// A node was told `Held`. Without a `barrier` only the settle time stands between it and older writes.
    ///
    /// `reserved_at`: SCSI-2, when its last RESERVE took effect, or its barrier, where others have eaten an attention of its
    /// since: what was accepted after that, through a disk that was opened again, counts in this term.
    pub fn held(&mut self, barrier: bool, reserved_at: Option<Instant>) {
        self.terms += 1;
        self.no_barrier = !barrier;
        let since = |at: Instant| reserved_at.is_some_and(|reserved_at| at > reserved_at);
        for write in self.writes.values_mut() {
            if write.open_in.is_some() && since(write.accepted_at) {
                write.open_in = Some(self.terms);
            }
        }
    }

    /// The owner of this term decides on a write; it may not know yet that its term is over.
    pub fn decided(&mut self, token: u64, term: u64) {
        let write = Write {
            term,
            open_in: None,
            accepted_at: Instant::ZERO,
            excused: false,
            let_in: false,
        };
        self.writes.insert(token, write);
    }

    /// It was accepted; `open`: while nobody held the disk.
    pub fn accepted(&mut self, token: u64, open: bool, now: Instant) {
        let terms = self.terms;
        if let Some(write) = self.writes.get_mut(&token) {
            write.open_in = open.then_some(terms);
            write.accepted_at = now;
        }
    }

    /// SCSI-2: the owner of this term, which is over, has reserved the disk again after a reset had opened it.
    /// What it writes is exposed. Says whether that is new.
    pub fn revived(&mut self, term: u64) -> bool {
        self.revived.insert(term)
    }

    /// It may be let in: by a RESERVE of its nexus of which nobody knew any more (SCSI-2), or by a registration after a
    /// power loss without APTPL. It is exposed.
    pub fn excuse(&mut self, token: u64) {
        if let Some(write) = self.writes.get_mut(&token) {
            write.excused = true;
        }
    }

    /// Persistent mode, several paths: a REGISTER of its nexus of which nobody knew any more has made it a registrant.
    pub fn let_in(&mut self, token: u64) {
        if let Some(write) = self.writes.get_mut(&token) {
            write.let_in = true;
        }
    }

    /// It will never land.
    pub fn gone(&mut self, token: u64) {
        self.writes.remove(&token);
    }

    /// It has landed.
    ///
    /// # Errors
    /// When it should not have.
    pub fn landed(&mut self, token: u64) -> Result<Landed, String> {
        let Some(write) = self.writes.remove(&token) else {
            return Err(format!("write {token} landed, and nobody decided on it"));
        };
        if write.term == self.terms {
            return Ok(Landed::Present);
        }
        let open = write.open_in == Some(self.terms);
        if open || write.excused || self.revived.contains(&write.term) {
            self.exposed += 1;
            return Ok(Landed::Exposed);
        }
        if write.let_in {
            return Ok(Landed::LetIn);
        }
        if self.no_barrier {
            self.exposed += 1;
            return Ok(Landed::Unbarred);
        }
        Err(format!(
            "a write of term {} landed in term {}",
            write.term, self.terms
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_write_lands_only_through_an_open_disk() {
        let mut checker = DeposedWrites::default();
        checker.held(true, None);
        for token in 1..=3 {
            checker.decided(token, 1);
        }
        checker.accepted(1, false, Instant::ZERO);
        assert_eq!(checker.landed(1), Ok(Landed::Present));
        checker.accepted(2, true, Instant::ZERO);
        checker.held(true, None);
        assert!(checker.landed(2).is_err(), "accepted before the barrier");
        checker.accepted(3, true, Instant::ZERO);
        assert_eq!(checker.landed(3), Ok(Landed::Exposed));
    }
}
