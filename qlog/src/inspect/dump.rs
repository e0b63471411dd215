//! Every frame that a log still holds, as items in order: for an operator who looks into it.
//!
//! It goes on behind damage, which is an item too, and shows records that a checkpoint covers. What an owner
//! that had been deposed wrote behind the cut is not shown: it is void.

use super::segments::{self, Chapter, EpochStarted, Walk};
use crate::claim::Owner;
use crate::error::OpenError;
use crate::frame::{EpochStart, Kind, Records};
use crate::guards::Guards;
use crate::ids::{Epoch, Generation, Lsn};
use crate::recover::{Frame, Memory, reader::SegmentReader, roots, state};
use crate::storage::Storage;
use std::collections::VecDeque;
use std::ops::Range;

/// Something that a log holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Item {
    /// A record.
    Record {
        /// Its number.
        lsn: Lsn,
        /// The epoch that wrote it.
        epoch: Epoch,
        /// The use of the segment that it is in.
        generation: Generation,
        /// Where its frame begins, from the start of the region.
        offset: u64,
        /// What was appended.
        bytes: Vec<u8>,
    },
    /// An epoch begins.
    EpochStart {
        /// The next record.
        lsn: Lsn,
        /// The use of the segment that it is in.
        generation: Generation,
        /// Where its frame begins, from the start of the region.
        offset: u64,
        /// Whose, and where the epochs before were cut.
        started: EpochStarted,
    },
    /// A proof behind the last record, for when nobody writes.
    Seal {
        /// The next record.
        lsn: Lsn,
        /// The epoch that wrote it.
        epoch: Epoch,
        /// The use of the segment that it is in.
        generation: Generation,
        /// Where its frame begins, from the start of the region.
        offset: u64,
    },
    /// Frames are damaged here.
    Damage {
        /// The first record that is lost.
        lsn: Lsn,
        /// The use of the segment that it is in.
        generation: Generation,
        /// Where, in bytes from the start of the region.
        range: Range<u64>,
        /// The record that is read next.
        resumed_at: Option<Lsn>,
    },
}

/// The items of a log. See [`dump`].
pub struct Dump<'a, S> {
    storage: &'a S,
    shared: Frame,
    chapters: VecDeque<Chapter>,
    present: Option<Present<'a, S>>,
    wanted: Range<Lsn>,
    /// All records before it are missed where they are not: they were durable, and no checkpoint covers them.
    durable: Lsn,
}

struct Present<'a, S> {
    chapter: Chapter,
    reader: SegmentReader<'a, S>,
    walk: Walk,
    /// Records of a frame that were not handed out yet.
    pending: Option<Pending>,
    /// Of the last segment: the records before it are missed.
    durable: Lsn,
}

struct Pending {
    lsn: Lsn,
    offset: u64,
    body: Vec<u8>,
    at: usize,
}

/// The items of a log from the record `wanted.start` on and before `wanted.end`, in order. Memory is bounded by a
/// segment's window and one frame.
///
/// # Errors
/// When there is no superblock that counts.
pub fn dump<S: Storage>(storage: &S, wanted: Range<Lsn>) -> Result<Dump<'_, S>, OpenError> {
    let superblock = roots::newest(storage, Guards::ALL_ON, &mut Vec::new())?;
    let shared = Frame::of(&superblock, Guards::ALL_ON);
    let heads = segments::heads(storage, &shared, &superblock);
    let checkpoint = state::load(storage, &shared, &superblock, &mut Vec::new()).ok();
    let covered = checkpoint.and_then(|it| it.state).map_or(Lsn(0), |it| it.0);
    Ok(Dump {
        storage,
        shared,
        chapters: segments::chapters(&superblock, &heads).into(),
        present: None,
        wanted,
        durable: if superblock.durable > covered.next() {
            superblock.durable
        } else {
            Lsn(0)
        },
    })
}

impl<S: Storage> Iterator for Dump<'_, S> {
    type Item = Item;

    fn next(&mut self) -> Option<Item> {
        loop {
            let item = self.any_next()?;
            let lsn = match &item {
                Item::Record { lsn, .. }
                | Item::EpochStart { lsn, .. }
                | Item::Seal { lsn, .. }
                | Item::Damage { lsn, .. } => *lsn,
            };
            if lsn >= self.wanted.end {
                return None;
            }
            let reaches = match &item {
                Item::Damage {
                    resumed_at: Some(resumed),
                    ..
                } => *resumed > self.wanted.start,
                Item::Damage {
                    resumed_at: None, ..
                } => true,
                Item::Record { .. } | Item::EpochStart { .. } | Item::Seal { .. } => {
                    lsn >= self.wanted.start
                }
            };
            if reaches {
                return Some(item);
            }
        }
    }
}

impl<S: Storage> Dump<'_, S> {
    fn any_next(&mut self) -> Option<Item> {
        loop {
            if self.present.is_none() {
                let chapter = self.chapters.pop_front()?;
                let mut reader = SegmentReader::new(
                    self.storage,
                    self.shared,
                    chapter.generation,
                    Memory::default(),
                );
                let walk = Walk::new(&mut reader, &chapter);
                self.present = Some(Present {
                    chapter,
                    reader,
                    walk,
                    pending: None,
                    durable: if self.chapters.is_empty() {
                        self.durable
                    } else {
                        Lsn(0)
                    },
                });
            }
            let present = self.present.as_mut().expect("it was just made");
            match present.next() {
                Some(item) => return Some(item),
                None => self.present = None,
            }
        }
    }
}

impl<S: Storage> Present<'_, S> {
    fn next(&mut self) -> Option<Item> {
        if let Some(item) = self.pending_record() {
            return Some(item);
        }
        let (generation, epoch) = (self.chapter.generation, self.chapter.first.epoch);
        let end = self
            .chapter
            .sealed
            .map_or(u64::MAX, |extent| u64::from(extent.end));
        while self.walk.at < end {
            let Some(frame) = self.walk.step(&mut self.reader) else {
                return self.damage(end);
            };
            let (lsn, offset) = (frame.header.first_lsn, self.reader.offset(frame.at));
            match frame.header.kind {
                Kind::Data => {
                    self.pending = Some(Pending {
                        lsn,
                        offset,
                        body: self.reader.body(&frame).to_vec(),
                        at: 0,
                    });
                    if let Some(item) = self.pending_record() {
                        return Some(item);
                    }
                }
                Kind::Seal => {
                    return Some(Item::Seal {
                        lsn,
                        epoch,
                        generation,
                        offset,
                    });
                }
                Kind::EpochStart => {
                    if let Some(start) = EpochStart::parse(self.reader.body(&frame)) {
                        let started = EpochStarted {
                            epoch: start.epoch,
                            owner: Owner {
                                node: start.node,
                                key: start.key,
                            },
                            cut: start.cut,
                        };
                        return Some(Item::EpochStart {
                            lsn,
                            generation,
                            offset,
                            started,
                        });
                    }
                }
            }
        }
        None
    }

    fn pending_record(&mut self) -> Option<Item> {
        let pending = self.pending.as_mut()?;
        let mut records = Records::new(&pending.body[pending.at..]);
        let Some(bytes) = records.next() else {
            self.pending = None;
            return None;
        };
        let item = Item::Record {
            lsn: pending.lsn,
            epoch: self.chapter.first.epoch,
            generation: self.chapter.generation,
            offset: pending.offset,
            bytes: bytes.to_vec(),
        };
        pending.at = pending.body.len() - records.left();
        pending.lsn = pending.lsn.next();
        Some(item)
    }

    /// What stands where no frame verifies; nothing where a segment simply ends.
    fn damage(&mut self, end: u64) -> Option<Item> {
        let (from, lsn) = (self.walk.at, self.walk.expected.lsn);
        let resumed = self.walk.resume(&mut self.reader).filter(|at| *at < end);
        if resumed.is_none() {
            // The segment's walk is over.
            self.walk.at = end;
            if self.chapter.sealed.is_none() && lsn >= self.durable {
                return None;
            }
        }
        let end = end.min(self.reader.len());
        Some(Item::Damage {
            lsn,
            generation: self.chapter.generation,
            range: self.reader.offset(from)..self.reader.offset(resumed.unwrap_or(end)),
            resumed_at: resumed.map(|_| self.walk.expected.lsn),
        })
    }
}
