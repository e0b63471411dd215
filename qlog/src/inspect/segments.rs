//! What each segment of the ring holds, frame by frame.

use super::contents::Contents;
use super::health::SALVAGE;
use super::{Health, Part};
use crate::buffer::Aligned;
use crate::claim::Owner;
use crate::frame::{EpochStart, Kind};
use crate::ids::{Epoch, Generation, Lsn};
use crate::recover::chain::read_heads;
use crate::recover::reader::{Expected, SegmentReader, Verified, reach_of_first};
use crate::recover::{Frame, Memory};
use crate::segment::{HEAD_BYTES, Head, SHADOW_HEAD_BYTES, ShadowHead};
use crate::storage::Storage;
use crate::superblock::{Extent, Superblock};
use std::ops::Range;

/// Damaged places of a segment that are stepped over; beyond that it is simply bad.
pub(super) const RESUMES_MAX: u32 = 64;

/// How often the ring is gone round between two superblocks, at most: once, and what was passed over then.
const LAPS: u64 = 2;

/// What a segment is for today.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// Never written.
    Fresh,
    /// What it holds is needed no more; the next epoch or the next roll may use it.
    Free,
    /// Records of an earlier epoch, whose end the claim after it has written down.
    Sealed,
    /// Records of the last epoch.
    Last,
}

/// The first frame of an epoch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EpochStarted {
    /// The epoch that began.
    pub epoch: Epoch,
    /// Whose it is.
    pub owner: Owner,
    /// Frames of older epochs from this record on are void.
    pub cut: Lsn,
}

/// A shadow slot: the newest image of a block that is not full.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shadow {
    /// Never written.
    Empty,
    /// It cannot be read, or does not verify: a write that was cut short, or damage.
    Damaged,
    /// An image of this segment's present generation.
    Image {
        /// Which block, from the segment's start.
        block: u32,
        /// Bytes of it.
        bytes: u32,
    },
    /// An image of an earlier generation.
    Old {
        /// Which.
        generation: Generation,
    },
}

/// A segment of the ring.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Segment {
    /// Its place in the ring.
    pub index: u32,
    /// From the start of the region.
    pub offset: u64,
    /// Its size.
    pub bytes: u64,
    /// What it is for.
    pub role: Role,
    /// Which use of the segment this is; none when nothing tells.
    pub generation: Option<Generation>,
    /// The epoch that wrote it.
    pub epoch: Option<Epoch>,
    /// The first record in it.
    pub first_lsn: Option<Lsn>,
    /// The record after its last.
    pub end_lsn: Option<Lsn>,
    /// Frames that verify.
    pub frames: u64,
    /// Records in them.
    pub records: u64,
    /// Bytes from its start to the end of its last frame.
    pub used_bytes: u64,
    /// It begins an epoch.
    pub epoch_start: Option<EpochStarted>,
    /// Its last write was cut short, and had not been acknowledged.
    pub torn: bool,
    /// Its two shadow slots.
    pub shadows: [Shadow; 2],
    /// How it is.
    pub health: Health,
}

impl Segment {
    pub(super) fn part(&self) -> Part {
        Part {
            name: format!("segment {}", self.index),
            range: self.range(),
            health: self.health.clone(),
        }
    }

    fn range(&self) -> Range<u64> {
        self.offset..self.offset + self.bytes
    }

    pub(super) fn has(&self, offset: u64) -> bool {
        // Its end too: what is missed there would have been in the next one.
        (self.offset..=self.offset + self.bytes).contains(&offset)
    }
}

/// A segment that belongs to the history, and what its first frame must say.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chapter {
    pub(super) generation: Generation,
    pub(super) first: Expected,
    /// Where it ends, when a claim has written that down.
    pub(super) sealed: Option<Extent>,
}

/// The segments of the history in order: those that claims have sealed, then those of the last epoch.
pub(super) fn chapters(superblock: &Superblock, heads: &[Option<Head>]) -> Vec<Chapter> {
    let chapter = |generation, epoch, incarnation, lsn, sealed| Chapter {
        generation,
        first: Expected {
            epoch,
            incarnation,
            number: 0,
            lsn,
            previous: None,
        },
        sealed,
    };
    let mut chapters: Vec<Chapter> = superblock
        .sealed
        .iter()
        .map(|extent| {
            chapter(
                extent.generation,
                extent.epoch,
                extent.incarnation,
                extent.first_lsn,
                Some(*extent),
            )
        })
        .collect();
    if superblock.epoch == Epoch(0) {
        return chapters;
    }
    let (epoch, incarnation) = (superblock.epoch, superblock.incarnation);
    chapters.push(chapter(
        superblock.start,
        epoch,
        incarnation,
        superblock.start_lsn,
        None,
    ));
    let own = |head: &&Head| {
        head.epoch == epoch && head.incarnation == incarnation && head.generation > superblock.start
    };
    let mut later: Vec<&Head> = heads.iter().flatten().filter(own).collect();
    later.sort_by_key(|head| head.generation);
    chapters.extend(
        later
            .iter()
            .map(|head| chapter(head.generation, epoch, incarnation, head.first_lsn, None)),
    );
    chapters
}

/// What the head of each segment says. Of the last epoch's also those that only a shadow slot still has, because their
/// block was torn when it was written again; and what the frames say of one that is lost.
pub(super) fn heads<S: Storage>(
    storage: &S,
    shared: &Frame,
    superblock: &Superblock,
) -> Vec<Option<Head>> {
    let mut heads = read_heads(storage, shared);
    let (epoch, incarnation) = (superblock.epoch, superblock.incarnation);
    let is_own = |head: &Head| head.epoch == epoch && head.incarnation == incarnation;
    let start = superblock.start.0;
    for generation in (start..start + LAPS * heads.len() as u64).map(Generation) {
        let head = &mut heads[shared.layout.ring_index(generation) as usize];
        if !head.is_some_and(|head| is_own(&head)) {
            let mut reader = SegmentReader::new(storage, *shared, generation, Memory::default())
                .up_to(reach_of_first(shared.layout.block()));
            let found = reader.head().filter(is_own).or_else(|| {
                let frame = reader.any_frame(epoch, incarnation)?;
                Some(Head::of_a_lost_one(&frame))
            });
            *head = found.or(*head);
        }
    }
    heads
}

/// Is there anything at its start?
fn is_written<S: Storage>(storage: &S, shared: &Frame, index: u32) -> bool {
    let layout = &shared.layout;
    let mut buffer = Aligned::zeroed(usize::try_from(layout.block()).expect("at most 64 KiB"));
    let read = storage.read_at(layout.segment(index), &mut buffer);
    read.is_err() || buffer.iter().any(|byte| *byte != 0)
}

pub(super) fn look<S: Storage>(
    storage: &S,
    shared: &Frame,
    superblock: &Superblock,
    contents: &Contents,
) -> Vec<Segment> {
    let heads = heads(storage, shared, superblock);
    let chapters = chapters(superblock, &heads);
    let mut segments = Vec::new();
    for (index, head) in (0..).zip(&heads) {
        let layout = &shared.layout;
        let mut segment = Segment {
            index,
            offset: layout.segment(index),
            bytes: layout.format().segment_bytes,
            role: if is_written(storage, shared, index) {
                Role::Free
            } else {
                Role::Fresh
            },
            generation: None,
            epoch: None,
            first_lsn: None,
            end_lsn: None,
            frames: 0,
            records: 0,
            used_bytes: 0,
            epoch_start: None,
            torn: false,
            shadows: [Shadow::Empty; 2],
            health: Health::Good,
        };
        let chapter = chapters
            .iter()
            .rev()
            .find(|chapter| layout.ring_index(chapter.generation) == index);
        if let Some(chapter) = chapter {
            segment.role = match chapter.sealed {
                Some(_) => Role::Sealed,
                None => Role::Last,
            };
            fill(storage, shared, chapter, contents, &mut segment);
            let needed = contents
                .kept_from
                .is_none_or(|from| segment.end_lsn.is_none_or(|end| end > from));
            if chapter.sealed.is_some() && !needed {
                segment.role = Role::Free;
                segment.health = Health::Good;
            }
        } else if let Some(head) = head {
            let old = Chapter {
                generation: head.generation,
                first: Expected {
                    epoch: head.epoch,
                    incarnation: head.incarnation,
                    number: 0,
                    lsn: head.first_lsn,
                    previous: None,
                },
                sealed: None,
            };
            fill(storage, shared, &old, contents, &mut segment);
            segment.health = Health::Good;
        }
        segment.shadows =
            [0, 1].map(|slot| shadow(storage, shared, index, slot, segment.generation));
        segments.push(segment);
    }
    segments
}

/// Walks the frames of a segment.
fn fill<S: Storage>(
    storage: &S,
    shared: &Frame,
    chapter: &Chapter,
    contents: &Contents,
    segment: &mut Segment,
) {
    let mut reader = SegmentReader::new(storage, *shared, chapter.generation, Memory::default());
    segment.generation = Some(chapter.generation);
    segment.epoch = Some(chapter.first.epoch);
    segment.first_lsn = Some(chapter.first.lsn);
    let end = chapter
        .sealed
        .map_or(segment.bytes, |extent| u64::from(extent.end));
    let mut walk = Walk::new(&mut reader, chapter);
    if !walk.has_head {
        segment
            .health
            .degrade("its head is damaged; its frames verify without it".to_owned());
    }
    loop {
        while walk.at < end
            && let Some(frame) = walk.step(&mut reader)
        {
            segment.frames += 1;
            segment.records += u64::from(frame.header.records);
            segment.used_bytes = frame.at + frame.header.frame_bytes();
            if frame.mended {
                segment.health.degrade(format!(
                    "one bit of the frame at byte {} was flipped, and is mended when it is read",
                    reader.offset(frame.at)
                ));
            }
            if frame.header.kind == Kind::EpochStart
                && let Some(start) = EpochStart::parse(reader.body(&frame))
            {
                segment.epoch_start = Some(EpochStarted {
                    epoch: start.epoch,
                    owner: Owner {
                        node: start.node,
                        key: start.key,
                    },
                    cut: start.cut,
                });
            }
        }
        if walk.at >= end {
            break;
        }
        let (from, lost) = (walk.at, walk.expected.lsn);
        let to = match walk.resume(&mut reader) {
            Some(to) => to,
            None if chapter.sealed.is_some() => end,
            None => break,
        };
        let covered = walk.expected.lsn.0.max(
            chapter
                .sealed
                .filter(|_| to == end)
                .map_or(0, |extent| extent.end_lsn.0),
        ) <= contents.covered.0 + 1;
        let what = format!("frames from LSN {lost} on do not verify");
        if covered {
            segment
                .health
                .degrade(format!("{what}; the checkpoint covers them"));
        } else if !segment.health.is_corrupt() {
            let range = reader.offset(from)..reader.offset(to);
            segment.health = Health::lost(format!("{what}, and later ones do"), range, SALVAGE);
        }
        if to == end {
            break;
        }
    }
    segment.end_lsn = Some(walk.expected.lsn);
}

/// A place in a segment, and what must come there.
pub(super) struct Walk {
    pub(super) at: u64,
    pub(super) expected: Expected,
    pub(super) has_head: bool,
    resumes: u32,
}

impl Walk {
    pub(super) fn new<S: Storage>(reader: &mut SegmentReader<'_, S>, chapter: &Chapter) -> Self {
        let head = reader.head();
        Self {
            at: HEAD_BYTES as u64,
            expected: Expected {
                previous: head.map(|head| head.sum),
                ..chapter.first
            },
            has_head: head.is_some(),
            resumes: 0,
        }
    }

    /// The frame that comes next, if it verifies.
    pub(super) fn step<S: Storage>(
        &mut self,
        reader: &mut SegmentReader<'_, S>,
    ) -> Option<Verified> {
        let frame = reader.next_frame(self.at, self.expected)?;
        self.at = frame.at + frame.header.frame_bytes();
        self.expected = Expected {
            number: self.expected.number + 1,
            lsn: frame.header.end_lsn(),
            previous: Some(frame.header.sum),
            ..self.expected
        };
        Some(frame)
    }

    /// Goes on at the next whole header behind damage; where that is, if there is one.
    pub(super) fn resume<S: Storage>(&mut self, reader: &mut SegmentReader<'_, S>) -> Option<u64> {
        if self.resumes == RESUMES_MAX {
            return None;
        }
        self.resumes += 1;
        let (at, header) = reader.later_frame(self.at, self.expected)?;
        if at <= self.at {
            return None;
        }
        self.at = at;
        self.expected = Expected {
            number: header.number,
            lsn: header.first_lsn,
            previous: None,
            ..self.expected
        };
        Some(at)
    }
}

fn shadow<S: Storage>(
    storage: &S,
    shared: &Frame,
    index: u32,
    slot: u64,
    present: Option<Generation>,
) -> Shadow {
    let layout = &shared.layout;
    let offset = layout.shadow(index, slot);
    let mut image = Aligned::zeroed(usize::try_from(layout.block()).expect("at most 64 KiB"));
    if storage.read_at(offset, &mut image).is_err() {
        return Shadow::Damaged;
    }
    if image.iter().all(|byte| *byte == 0) {
        return Shadow::Empty;
    }
    let head = ShadowHead::claimed_generation(&image)
        .and_then(|generation| ShadowHead::parse(&image, shared.seed(generation, offset), true));
    match head {
        Some(head) if head.bytes as usize > image.len() - SHADOW_HEAD_BYTES => Shadow::Damaged,
        Some(head) if Some(head.generation) == present => Shadow::Image {
            block: head.block,
            bytes: head.bytes,
        },
        Some(head) => Shadow::Old {
            generation: head.generation,
        },
        None => Shadow::Damaged,
    }
}
