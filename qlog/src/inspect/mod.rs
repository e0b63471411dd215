//! The health of every part of a region, for people: which copies are good, what each segment holds.
//!
//! ```text
//! superblock copies ─► the one that counts ─► segments, shadow slots │ catalogues ─► checkpoints, objects
//!                                                    └───────────┬─────────────┘
//!                            open (the judge) ─► notes, damage ──┴─► a health for each part
//! ```
//!
//! Each part is looked at for itself, also the parts that a reader would not need today; then [`crate::open`] is asked
//! as it stands, since there is one decision table and not two: what it finds damaged is damaged here, and only a
//! region that it opens is called usable.
//!
//! Invariants:
//! * nothing is written;
//! * any image has a description: what cannot be read or believed is a health, never an error or a panic;
//! * memory is bounded by one window of a segment and one object, whatever the image says.
//!
//! What it never does: decide what is acknowledged. That is `recover`.

mod contents;
mod dump;
mod health;
mod segments;
mod superblocks;
mod watched;

pub use contents::{Catalogue, Chunks, Content, Which, extract};
pub(crate) use contents::{Stored, stored};
pub use dump::{Dump, Item, dump};
pub use health::{Health, Part};
pub use segments::{EpochStarted, Role, Segment, Shadow};
pub use superblocks::{CopyState, SuperblockCopy};

use crate::claim::Owner;
use crate::error::OpenError;
use crate::guards::Guards;
use crate::ids::{Epoch, LogId, Lsn};
use crate::layout::Format;
use crate::recover::{Frame, Note, open};
use crate::storage::Storage;
use crate::superblock::{Cluster, Parked};
use watched::Watched;

/// Told how many bytes were read, and how many there are to read: the second is a good guess.
pub type Progress<'a> = &'a mut (dyn FnMut(u64, u64) + Send);

/// Everything that is known of a region.
#[derive(Debug)]
pub struct Inspection {
    /// Bytes of the storage that was looked at.
    pub storage_bytes: u64,
    /// Every superblock place.
    pub superblocks: Vec<SuperblockCopy>,
    /// What the superblock that counts leads to; none when none counts.
    pub log: Option<Description>,
    /// Why the region does not open; none when it does.
    pub refused: Option<OpenError>,
    /// What was found at opening and did no harm.
    pub notes: Vec<Note>,
}

/// A log.
#[derive(Debug)]
pub struct Description {
    /// The log's own id.
    pub id: LogId,
    /// Its sizes.
    pub format: Format,
    /// What the cluster wrote at creation.
    pub cluster: Cluster,
    /// The number of the superblock that counts.
    pub superblock: u64,
    /// The last epoch that was claimed; 0 when none was.
    pub epoch: Epoch,
    /// Who claimed it.
    pub owner: Owner,
    /// Where the epochs before were cut: the first record of the present one.
    pub cut: Lsn,
    /// The last owner closed or parked it.
    pub clean: bool,
    /// The mark of a hand-over.
    pub parked: Option<Parked>,
    /// The record that the next append becomes; none when the region does not open.
    pub next: Option<Lsn>,
    /// The last record that the checkpoint which serves covers; 0 without one.
    pub checkpoint: Option<Lsn>,
    /// The first record that is kept for the checkpoint before.
    pub kept_from: Option<Lsn>,
    /// The segments of the ring; none when the region was cut off.
    pub segments: Vec<Segment>,
    /// The four catalogues.
    pub catalogues: Vec<Catalogue>,
    /// The newest checkpoint, the one before it, then the named objects.
    pub contents: Vec<Content>,
    /// Room for checkpoints and objects.
    pub chunks: Chunks,
}

/// Looks at a region.
pub fn inspect<S: Storage>(storage: &S, progress: Progress<'_>) -> Inspection {
    let watched = Watched::new(storage, progress);
    let storage = &watched;
    let found = superblocks::look(&storage);
    let mut inspection = Inspection {
        storage_bytes: storage.region_bytes(),
        superblocks: found.copies,
        log: None,
        refused: None,
        notes: Vec::new(),
    };
    if let Some(superblock) = &found.newest {
        let shared = Frame::of(superblock, Guards::ALL_ON);
        let format = superblock.format;
        storage.expect(
            2 * u64::from(format.segments) * format.segment_bytes
                + u64::from(format.chunk_bytes) * u64::from(format.chunks) / 4,
        );
        let contents = contents::look(&storage, &shared, superblock);
        // A region that was cut off has no segments to look at: what it says of its size is nothing to go by.
        let segments = if storage.region_bytes() < format.region_bytes {
            Vec::new()
        } else {
            segments::look(&storage, &shared, superblock, &contents)
        };
        inspection.log = Some(Description {
            id: superblock.id,
            format,
            cluster: superblock.cluster.clone(),
            superblock: superblock.number,
            epoch: superblock.epoch,
            owner: superblock.owner,
            cut: superblock.start_lsn,
            clean: superblock.clean.is_some(),
            parked: superblock.parked(),
            next: None,
            checkpoint: None,
            kept_from: contents.kept_from,
            segments,
            catalogues: contents.catalogues,
            contents: contents.contents,
            chunks: contents.chunks,
        });
    }
    match open(storage, &mut ()) {
        Ok(recovered) => {
            if let Some(log) = &mut inspection.log {
                log.next = Some(recovered.next);
                log.checkpoint = Some(recovered.checkpoint);
            }
            inspection.notes = recovered.notes;
        }
        Err(error) => inspection.refused = Some(error),
    }
    inspection.judge();
    storage.done();
    inspection
}

impl Inspection {
    /// Does it open, with nothing to be said?
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.refused.is_none() && self.parts().iter().all(|part| part.health.is_good())
    }

    /// Every part with its place and health, in the order of the region.
    #[must_use]
    pub fn parts(&self) -> Vec<Part> {
        let mut parts: Vec<Part> = self.superblocks.iter().map(SuperblockCopy::part).collect();
        if let Some(log) = &self.log {
            for segment in &log.segments {
                parts.push(segment.part());
            }
            parts.extend(log.catalogues.iter().map(Catalogue::part));
            parts.extend(log.contents.iter().map(Content::part));
        }
        parts
    }

    /// Hands what the opening found to the parts that it is about.
    fn judge(&mut self) {
        let Some(log) = &mut self.log else { return };
        for note in &self.notes {
            let offset = match note {
                Note::SuperblockCopy { .. } | Note::OlderCheckpoint { .. } => continue,
                Note::SegmentHead { offset }
                | Note::FlippedBit { offset }
                | Note::CoveredDamage { offset, .. }
                | Note::TornTail { offset, .. }
                | Note::UnreadableTail { offset } => *offset,
            };
            // A last write that was cut short is what a crash leaves, and no damage.
            let harmless = matches!(note, Note::TornTail { .. });
            if let Some(segment) = log.segments.iter_mut().find(|part| part.has(offset)) {
                if harmless {
                    segment.torn = true;
                } else {
                    segment.health.degrade(note.to_string());
                }
            }
        }
        if let Some(OpenError::Corrupt(corrupt)) = &self.refused {
            let start = corrupt.range.start;
            if let Some(segment) = log.segments.iter_mut().find(|part| part.has(start)) {
                segment.health.corrupt(corrupt);
            }
        }
    }
}
