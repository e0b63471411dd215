//! A claim: the next epoch, in a superblock slot and a segment that no earlier owner addresses. `FORMAT.md`,
//! "Claim".
//!
//! Order: superblock with the epoch and where the log was cut; read back; then the first segment with its
//! epoch-start frame. Before the superblock is durable nothing has changed; after it frames of earlier epochs beyond
//! the cut are void.

use super::batch::Sleepers;
use super::crowd::Crowd;
use super::place::{RESERVE, Tail, next_generation};
use super::{Log, Roots, State, Writer, superblocks};
use crate::claim::Claim;
use crate::error::ClaimError;
use crate::frame::EpochStart;
use crate::guards::Guard;
use crate::ids::{Epoch, Generation};
use crate::layout::RingSet;
use crate::recover::Recovered;
use crate::storage::Storage;
use crate::superblock::{Extent, Superblock};
use std::sync::Mutex;

impl<S: Storage> Recovered<S> {
    /// Begins an epoch: from here on this handle writes, and no earlier owner's late write counts.
    ///
    /// # Errors
    /// [`ClaimError`].
    pub fn claim(self, claim: Claim) -> Result<Log<S>, ClaimError> {
        claim.fencing.check().map_err(ClaimError::Fenced)?;
        let scratch = self.shared.layout.scratch();
        self.storage
            .tune(scratch)
            .map_err(|source| ClaimError::Io {
                what: "write",
                offset: scratch,
                source,
            })?;
        let superblock = self.next_superblock(&claim)?;
        self.keep_what_was_read()?;
        self.write_claim(&superblock)?;
        let mut catalogue = self.catalogue;
        if self.checkpoint
            < catalogue
                .state
                .as_ref()
                .map_or(self.checkpoint, |state| state.lsn)
        {
            // The newest checkpoint is damaged: it serves no more, nor is its room kept.
            catalogue.state = catalogue.previous.take();
        }
        let state = State {
            body: Vec::new(),
            records: 0,
            next: self.next,
            durable: self.next,
            tail: Tail::of_new(superblock.start),
            extents: superblock.sealed.clone(),
            roll: false,
            seal: false,
            unsealed: false,
            writer: Some(Box::new(Writer {
                sum: 0,
                image: Vec::new(),
                out: crate::buffer::Aligned::default(),
                spare_body: Vec::new(),
            })),
            crowd: Crowd::default(),
            sleepers: Sleepers::default(),
            closed: false,
            poisoned: None,
        };
        let start = EpochStart {
            epoch: superblock.epoch,
            node: claim.owner.node,
            key: claim.owner.key,
            cut: superblock.start_lsn,
        };
        let offset = self
            .shared
            .layout
            .segment(self.shared.layout.ring_index(superblock.start));
        let log = Log {
            storage: self.storage,
            shared: self.shared,
            fencing: claim.fencing,
            epoch: superblock.epoch,
            owner: claim.owner,
            incarnation: claim.incarnation,
            first: superblock.start,
            avoid: superblock.avoid,
            state: Mutex::new(state),
            roots: Mutex::new(Roots {
                superblock,
                catalogue,
            }),
        };
        log.begin_epoch(start).map_err(|(why, fenced)| {
            if fenced {
                return ClaimError::Fenced(why);
            }
            let source = std::io::Error::other(why);
            ClaimError::Io {
                what: "begin the epoch",
                offset,
                source,
            }
        })?;
        Ok(log)
    }

    fn next_superblock(&self, claim: &Claim) -> Result<Superblock, ClaimError> {
        let mut catalogues = self.superblock.catalogues;
        if !self.newest_served {
            catalogues = [catalogues[1], None];
        }
        let epoch = self.superblock.epoch.next();
        let kept = self.kept();
        let avoid = self.segments_of_the_last_owner();
        let start = self
            .fresh_segment(&kept, avoid)
            .filter(|_| kept.len() <= self.shared.layout.format().segments as usize)
            .ok_or(ClaimError::NoSegment { epoch })?;
        Ok(Superblock {
            number: self.superblock.number + 1,
            epoch,
            owner: claim.owner,
            incarnation: claim.incarnation,
            start,
            avoid,
            freed: RingSet::default(),
            start_lsn: self.next,
            durable: self.next,
            sealed: kept,
            catalogues,
            clean: None,
            parked: false,
            ..self.superblock.clone()
        })
    }

    /// The segment that the owner before wrote last, and each that it may have been about to begin: what it had under
    /// way may still land there.
    fn segments_of_the_last_owner(&self) -> RingSet {
        if self.superblock.epoch == Epoch(0) || !self.shared.guards.on(Guard::FreshSegment) {
            return RingSet::default();
        }
        let layout = &self.shared.layout;
        let with_records = self.extents.iter().map(|extent| extent.generation);
        let in_use = layout.ring_set(with_records.chain([self.last]));
        let begun = |in_use: RingSet| {
            let had_one_to_spare = in_use.len() + RESERVE < layout.format().segments;
            let next = next_generation(layout, self.last, in_use | self.superblock.avoid);
            next.filter(|_| had_one_to_spare)
        };
        // As the newest superblock left the ring, or as the ring was while that was under way.
        let next = [in_use, in_use | self.superblock.freed].map(begun);
        layout.ring_set(next.into_iter().flatten().chain([self.last]))
    }

    /// The segments that hold something which is kept.
    fn kept(&self) -> Vec<Extent> {
        let kept_from = self.catalogue.kept_from;
        let kept = self.extents.iter();
        kept.filter(|extent| extent.end_lsn > kept_from)
            .copied()
            .collect()
    }

    /// A segment that holds nothing which is kept, and that the owner before could not have been writing to.
    /// Appends leave one.
    fn fresh_segment(&self, kept: &[Extent], of_the_last: RingSet) -> Option<Generation> {
        let layout = &self.shared.layout;
        let kept = layout.ring_set(kept.iter().map(|extent| extent.generation));
        let above = if self.shared.guards.on(Guard::FreshSegment) {
            Generation(self.highest.0 + 1)
        } else {
            self.last
        };
        next_generation(layout, above, kept | of_the_last)
    }

    /// What was read may still be in the disk's cache, when the last owner was killed under its write. The superblock
    /// will say that it is there, so it has to be on the medium before.
    fn keep_what_was_read(&self) -> Result<(), ClaimError> {
        self.storage.flush().map_err(|source| ClaimError::Io {
            what: "flush",
            offset: 0,
            source,
        })
    }

    fn write_claim(&self, superblock: &Superblock) -> Result<(), ClaimError> {
        let (storage, layout) = (&self.storage, &self.shared.layout);
        superblocks::write(storage, layout, superblock, self.shared.guards).map_err(
            |(offset, source)| ClaimError::Io {
                what: "write the claim",
                offset,
                source,
            },
        )?;
        if !self.shared.guards.on(Guard::ClaimReadBack) {
            return Ok(());
        }
        let found = superblocks::on_medium(storage, layout, self.shared.guards).map_err(|why| {
            ClaimError::Io {
                what: "read the claim back",
                offset: 0,
                source: std::io::Error::other(why),
            }
        })?;
        if found == *superblock {
            return Ok(());
        }
        Err(ClaimError::Lost {
            epoch: found.epoch,
            node: found.owner.node,
        })
    }
}
