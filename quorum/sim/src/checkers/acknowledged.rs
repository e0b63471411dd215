//! Nothing that was acknowledged is lost from the log across owners.
//!
//! An owner acknowledges a record when its write has landed while its ownership was proved. The next owner reads the
//! log at `Held`, after the barrier, and continues from what it read: whatever lands later with an older epoch is void.
//! So each record that was acknowledged before must be in what it reads, and none may be acknowledged afterwards.
//!
//! The exception is that of [`super::deposed_writes`]: through a disk that a reset or a power loss opened in the new term, an
//! old owner whose proof has not run out may write and acknowledge. It is counted, and never happens in persistent mode with
//! APTPL.

use std::collections::{BTreeMap, BTreeSet};

/// The checker.
#[derive(Default, Debug)]
pub struct Acknowledged {
    /// How often the log has been read by a next owner.
    cuts: u64,
    /// Records on the medium that were not acknowledged yet, and after which cut they came there.
    landed: BTreeMap<u64, u64>,
    /// Records on the medium since the last cut: what the next owner will read.
    log: BTreeSet<u64>,
    /// Acknowledged since the last cut, of the present term.
    acknowledged: Vec<u64>,
    /// How many were acknowledged in all.
    pub count: u64,
    /// How many of those came through an open disk after the next owner's cut.
    pub exposed: u64,
}

impl Acknowledged {
    /// The record of this write is on the medium.
    pub fn landed(&mut self, token: u64) {
        self.landed.insert(token, self.cuts);
        self.log.insert(token);
    }

    /// Nobody will acknowledge it any more.
    pub fn forgotten(&mut self, token: u64) {
        self.landed.remove(&token);
    }

    /// The owner of this term acknowledges the record. `exposed`: it landed through an open disk.
    ///
    /// # Errors
    /// When it is lost already: a later owner has read the log without it.
    pub fn acknowledged(&mut self, token: u64, term: u64, exposed: bool) -> Result<(), String> {
        self.count += 1;
        let Some(cut) = self.landed.remove(&token) else {
            return Err(format!("record {token} was acknowledged, and never landed"));
        };
        if cut == term {
            if term == self.cuts {
                self.acknowledged.push(token);
            }
            return Ok(());
        }
        if exposed {
            self.exposed += 1;
            return Ok(());
        }
        Err(format!(
            "record {token} of term {term} was acknowledged, and landed only after the owner of term {cut} had \
             read the log"
        ))
    }

    /// The next owner reads the log, and continues from it.
    ///
    /// # Errors
    /// When a record is missing that was acknowledged.
    pub fn read_by_next_owner(&mut self) -> Result<(), String> {
        let found = |token: &&u64| self.log.contains(token);
        let lost = self
            .acknowledged
            .iter()
            .find(|token| !found(token))
            .copied();
        self.cuts += 1;
        self.log.clear();
        self.acknowledged.clear();
        match lost {
            None => Ok(()),
            Some(token) => Err(format!(
                "record {token} was acknowledged, and the next owner does not find it"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_acknowledged_must_have_landed_before_the_next_owner_read() {
        let mut checker = Acknowledged::default();
        assert!(checker.read_by_next_owner().is_ok());
        checker.landed(1);
        checker.landed(2);
        assert!(checker.acknowledged(1, 1, false).is_ok());
        assert!(checker.read_by_next_owner().is_ok());
        assert!(
            checker.acknowledged(2, 1, false).is_ok(),
            "late, but it was read"
        );
        checker.landed(3);
        assert!(checker.acknowledged(3, 1, false).is_err(), "behind the cut");
        checker.landed(4);
        assert!(checker.acknowledged(4, 1, true).is_ok());
        assert!(checker.acknowledged(5, 2, false).is_err(), "never landed");
        assert_eq!(checker.exposed, 1);
    }
}
