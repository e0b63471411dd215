//! The segments in order: those that claims have sealed, then those of the last epoch.
//!
//! A sealed segment must reach its end to the byte. The last epoch's go on from each other by their heads, and the
//! last of them ends where `tail` finds that nothing later can have been acknowledged.

use super::ahead::{self, Ahead};
use super::reader::{Expected, SegmentReader, Verified, reach_of_first};
use super::tail::{self, End};
use super::window::Memory;
use super::{Entry, Frame, Note, Replay};
use crate::buffer::Aligned;
use crate::error::{Corrupt, OpenError};
use crate::frame::{Header, Kind, Records};
use crate::guards::Guard;
use crate::ids::{Epoch, Generation, Lsn};
use crate::segment::{HEAD_BYTES, Head};
use crate::storage::Storage;
use crate::superblock::{Extent, Superblock};
use crate::words::{round_up, small};
use std::ops::Range;

/// What the segments hold.
pub(crate) struct Chain {
    /// Every segment with records, sealed ones first.
    pub(crate) extents: Vec<Extent>,
    pub(crate) last: Generation,
    pub(crate) highest: Generation,
    pub(crate) next: Lsn,
}

/// Walks all segments that a reader from `covered` on needs, and hands out their records.
pub(crate) fn walk<S: Storage>(
    storage: &S,
    shared: &Frame,
    superblock: &Superblock,
    covered: Lsn,
    replay: &mut dyn Replay,
    notes: &mut Vec<Note>,
) -> Result<Chain, OpenError> {
    let heads = read_heads(storage, shared);
    std::thread::scope(|scope| {
        let plan = plan(shared, superblock, covered, &heads);
        let ahead = Ahead::start(scope, storage, plan);
        Walk {
            storage,
            shared,
            superblock,
            covered,
            replay,
            notes,
            ahead: epoch_ahead(shared, superblock, &heads),
            heads,
            next: None,
            memory: ahead.map_or_else(Memory::default, Memory::with_ahead),
            memory_of_unused: Memory::default(),
            whole: Vec::new(),
        }
        .all()
    })
}

/// What will be read, when the heads say the truth: each segment up to its end, in order.
fn plan(
    shared: &Frame,
    superblock: &Superblock,
    covered: Lsn,
    heads: &[Option<Head>],
) -> Vec<Range<u64>> {
    let layout = &shared.layout;
    let (len, block) = (layout.format().segment_bytes, layout.block());
    let pieces = |generation: Generation, end: u64| {
        let end = round_up(end, block).min(len);
        ahead::pieces(layout.segment(layout.ring_index(generation)), end)
    };
    let sealed = superblock.sealed.iter();
    let needed = sealed.filter(|extent| extent.end_lsn > covered.next());
    let mut plan: Vec<_> = needed
        .flat_map(|extent| pieces(extent.generation, u64::from(extent.end)))
        .collect();
    let mut generation = superblock.start;
    for _ in 0..layout.format().segments {
        let next = successor(superblock, heads, generation);
        plan.extend(pieces(
            generation,
            next.map_or(len, |head| u64::from(head.previous_end)),
        ));
        let Some(next) = next else { break };
        generation = next.generation;
    }
    plan
}

/// The head of the last epoch that says to go on from this segment.
fn successor(
    superblock: &Superblock,
    heads: &[Option<Head>],
    generation: Generation,
) -> Option<Head> {
    let mut heads = heads.iter().copied().flatten();
    heads.find(|head| {
        head.epoch == superblock.epoch
            && head.incarnation == superblock.incarnation
            && head.previous == generation
            && head.generation > generation
    })
}

/// The heads of all segments of the ring, as whoever wrote them last left them.
pub(crate) fn read_heads<S: Storage>(storage: &S, shared: &Frame) -> Vec<Option<Head>> {
    let layout = &shared.layout;
    let mut buffer = Aligned::zeroed(usize::try_from(layout.block()).expect("at most 64 KiB"));
    let heads = (0..layout.format().segments).map(|index| {
        let offset = layout.segment(index);
        // One that cannot be read is missed where it is needed.
        storage.read_at(offset, &mut buffer).ok()?;
        let generation = Head::claimed_generation(&buffer)?;
        let head = Head::parse(&buffer, shared.seed(generation, offset), false)?;
        (layout.ring_index(generation) == index).then_some(head)
    });
    heads.collect()
}

/// The segments of an epoch that no superblock knows.
pub(crate) fn epoch_ahead(
    shared: &Frame,
    superblock: &Superblock,
    heads: &[Option<Head>],
) -> Option<Corrupt> {
    if !shared.guards.on(Guard::EpochAhead) {
        return None;
    }
    let last = (superblock.epoch, superblock.incarnation);
    let is_ahead =
        |head: &&Head| head.epoch > last.0 || (head.epoch == last.0 && head.incarnation != last.1);
    let heads = heads.iter().flatten();
    let first = heads.filter(is_ahead).min_by_key(|head| head.first_lsn)?;
    let index = shared.layout.ring_index(first.generation);
    let at = shared.layout.segment(index);
    Some(Corrupt {
        what: format!(
            "a segment belongs to epoch {}, but the newest superblock is of epoch {}: \
             superblocks were lost",
            first.epoch, last.0
        ),
        range: at..at + HEAD_BYTES as u64,
        first_lost: first.first_lsn,
        later: Some(first.first_lsn),
    })
}

struct Walk<'a, S> {
    storage: &'a S,
    shared: &'a Frame,
    superblock: &'a Superblock,
    /// The checkpoint covers everything up to here.
    covered: Lsn,
    replay: &'a mut dyn Replay,
    notes: &'a mut Vec<Note>,
    /// Nothing from its first record on is handed out: what is there of the epochs before was cut off.
    ahead: Option<Corrupt>,
    heads: Vec<Option<Head>>,
    /// The record after the last one that was walked over; none before the first segment.
    next: Option<Lsn>,
    /// What one segment was read into, and the next will be.
    memory: Memory,
    memory_of_unused: Memory,
    /// The segments of the last epoch that were read whole: nobody can have begun them again.
    whole: Vec<u32>,
}

/// A place in a segment, and what must come there.
#[derive(Clone, Copy)]
pub(crate) struct Cursor {
    pub(crate) at: u64,
    pub(crate) expected: Expected,
}

impl Cursor {
    /// Is this where the segment of this head goes on from?
    pub(crate) fn is_where(&self, generation: Generation, head: &Head) -> bool {
        let sum = self.expected.previous;
        head.previous == generation
            && u64::from(head.previous_end) == self.at
            && head.first_lsn == self.expected.lsn
            && sum.is_none_or(|sum| sum == head.previous_sum)
    }
}

impl<'a, S: Storage> Walk<'a, S> {
    /// An epoch that no superblock knows refuses the log; what is good before it is handed out all the same, for a
    /// rescue.
    fn all(mut self) -> Result<Chain, OpenError> {
        let chain = self.segments();
        match (self.ahead, chain) {
            (None, chain) => chain,
            (Some(ahead), Err(OpenError::Corrupt(damage)))
                if damage.first_lost < ahead.first_lost =>
            {
                Err(Corrupt {
                    first_lost: damage.first_lost,
                    ..ahead
                }
                .into())
            }
            (Some(ahead), _) => Err(ahead.into()),
        }
    }

    fn segments(&mut self) -> Result<Chain, OpenError> {
        let superblock = self.superblock;
        let mut extents = superblock.sealed.clone();
        for extent in &superblock.sealed {
            if extent.end_lsn.0 > self.covered.0 + 1 {
                self.sealed(extent)?;
            }
        }
        let (own, last) = self.last_epoch()?;
        extents.extend(
            own.into_iter()
                .filter(|extent| extent.first_lsn < extent.end_lsn),
        );
        let highest = self
            .heads
            .iter()
            .flatten()
            .map(|head| head.generation)
            .max();
        let sealed = superblock
            .sealed
            .iter()
            .map(|extent| extent.generation)
            .max();
        Ok(Chain {
            extents,
            last,
            highest: highest
                .max(sealed)
                .max(Some(last))
                .expect("at least the last"),
            next: self.next.unwrap_or(superblock.start_lsn),
        })
    }

    fn reader(&mut self, generation: Generation) -> SegmentReader<'a, S> {
        let memory = std::mem::take(&mut self.memory);
        SegmentReader::new(self.storage, *self.shared, generation, memory)
    }

    /// The records before this one must be there, or covered; and no other ones.
    fn begin_segment(&mut self, first: Lsn, offset: u64) -> Result<(), OpenError> {
        let next = self.next.unwrap_or(self.covered.next());
        let wanted = self.covered.next();
        let what = if first > next && first > wanted {
            format!(
                "records {next} to {} are missing between two segments",
                first.0 - 1
            )
        } else if first < next && next > wanted {
            format!("records {first} to {} are in two segments", next.0 - 1)
        } else {
            return Ok(());
        };
        Err(Corrupt {
            what,
            range: offset..offset,
            first_lost: next.min(first),
            later: Some(first),
        }
        .into())
    }

    /// A segment of an earlier epoch, whose end a claim has written down.
    fn sealed(&mut self, extent: &Extent) -> Result<(), OpenError> {
        let mut reader = self.reader(extent.generation).up_to(u64::from(extent.end));
        self.begin_segment(extent.first_lsn, reader.offset(0))?;
        let first = Expected {
            epoch: extent.epoch,
            incarnation: extent.incarnation,
            number: 0,
            lsn: extent.first_lsn,
            previous: None,
        };
        let mut cursor = self.first_cursor(&mut reader, first);
        loop {
            cursor = self.run(&mut reader, cursor, extent.end);
            let whole = cursor.at == u64::from(extent.end)
                && cursor.expected.lsn == extent.end_lsn
                && cursor.expected.previous.is_none_or(|sum| sum == extent.sum);
            if whole || !self.shared.guards.on(Guard::SealedEnd) {
                self.next = Some(cursor.expected.lsn);
                self.memory = reader.into_memory();
                return Ok(());
            }
            if extent.end_lsn.0 <= self.covered.0 + 1 {
                self.note_covered(&reader, cursor, extent.end_lsn);
                self.next = Some(extent.end_lsn);
                self.memory = reader.into_memory();
                return Ok(());
            }
            let later = reader.later_frame(cursor.at, cursor.expected);
            let Some(resumed) = self.resume(&reader, cursor, later) else {
                return Err(Corrupt {
                    what: format!(
                        "segment {} of epoch {} was sealed up to LSN {} and is damaged",
                        extent.generation,
                        extent.epoch,
                        extent.end_lsn.0 - 1
                    ),
                    range: reader.offset(cursor.at)..reader.offset(u64::from(extent.end)),
                    first_lost: cursor.expected.lsn,
                    later: later.map(|(_, header)| header.first_lsn),
                }
                .into());
            };
            cursor = resumed;
        }
    }

    /// Where the first frame of a segment is, and the chain sum before it when the head is whole.
    fn first_cursor(&mut self, reader: &mut SegmentReader<'_, S>, mut first: Expected) -> Cursor {
        first.previous = reader.head().map(|head| head.sum);
        if first.previous.is_none() {
            let offset = reader.offset(0);
            self.notes.push(Note::SegmentHead { offset });
        }
        Cursor {
            at: HEAD_BYTES as u64,
            expected: first,
        }
    }

    /// Frames as long as they verify, but none beyond `end`.
    fn run(&mut self, reader: &mut SegmentReader<'_, S>, mut cursor: Cursor, end: u32) -> Cursor {
        while cursor.at < u64::from(end) {
            let Some(frame) = reader.next_frame(cursor.at, cursor.expected) else {
                break;
            };
            self.hand_out(reader, &frame);
            cursor = after(&frame, cursor.expected);
        }
        cursor
    }

    fn hand_out(&mut self, reader: &mut SegmentReader<'_, S>, frame: &Verified) {
        if frame.mended {
            self.notes.push(Note::FlippedBit {
                offset: reader.offset(frame.at),
            });
        }
        let header = frame.header;
        if header.kind != Kind::Data {
            return;
        }
        let mut lsn = header.first_lsn;
        let covered = self.covered;
        let cut = self
            .ahead
            .as_ref()
            .map_or(Lsn(u64::MAX), |ahead| ahead.first_lost);
        for bytes in Records::new(reader.body(frame)) {
            if lsn > covered && lsn < cut {
                self.replay.record(Entry {
                    lsn,
                    epoch: header.epoch,
                    bytes,
                });
            }
            lsn = lsn.next();
        }
    }

    /// Damage whose records the checkpoint covers is stepped over.
    fn resume(
        &mut self,
        reader: &SegmentReader<'_, S>,
        cursor: Cursor,
        later: Option<(u64, Header)>,
    ) -> Option<Cursor> {
        let (at, header) = later?;
        let is_covered = header.first_lsn <= self.covered.next();
        if !is_covered || header.first_lsn < cursor.expected.lsn || at <= cursor.at {
            return None;
        }
        self.note_covered(reader, cursor, header.first_lsn);
        let expected = Expected {
            number: header.number,
            lsn: header.first_lsn,
            previous: None,
            ..cursor.expected
        };
        Some(Cursor { at, expected })
    }

    fn note_covered(&mut self, reader: &SegmentReader<'_, S>, cursor: Cursor, resumed_at: Lsn) {
        self.notes.push(Note::CoveredDamage {
            offset: reader.offset(cursor.at),
            resumed_at,
        });
    }

    /// The segments that the last epoch wrote, and the generation of the last of them.
    fn last_epoch(&mut self) -> Result<(Vec<Extent>, Generation), OpenError> {
        let superblock = self.superblock;
        let mut extents = Vec::new();
        let mut generation = superblock.start;
        if superblock.epoch == Epoch(0) {
            return Ok((extents, generation));
        }
        let mut first_lsn = superblock.start_lsn;
        loop {
            let planned = successor(superblock, &self.heads, generation);
            let mut reader = self.reader(generation);
            if let Some(next) = planned {
                reader = reader.up_to(u64::from(next.previous_end));
            }
            let first = Expected {
                epoch: superblock.epoch,
                incarnation: superblock.incarnation,
                number: 0,
                lsn: first_lsn,
                previous: None,
            };
            self.begin_segment(first_lsn, reader.offset(0))?;
            let head = reader.head();
            let mut cursor = Cursor {
                at: HEAD_BYTES as u64,
                expected: Expected {
                    previous: head.map(|head| head.sum),
                    ..first
                },
            };
            let end = loop {
                cursor = self.run(&mut reader, cursor, u32::MAX);
                // Nothing of this segment was written after the one that goes on from here.
                let ends_here = planned.is_some_and(|next| cursor.is_where(generation, &next));
                let later = (!ends_here)
                    .then(|| reader.later_frame(cursor.at, cursor.expected))
                    .flatten();
                if let Some(resumed) = self.resume(&reader, cursor, later) {
                    cursor = resumed;
                    continue;
                }
                let evidence = tail::Evidence {
                    later,
                    next_segment: self.next_segment(generation, cursor),
                    clean: superblock.clean,
                    durable: superblock.durable,
                    covered: self.covered,
                };
                break tail::judge(self.shared, &reader, cursor, &evidence, self.notes)?;
            };
            if head.is_none() && cursor.expected.number > 0 {
                let offset = reader.offset(0);
                self.notes.push(Note::SegmentHead { offset });
            }
            self.next = Some(cursor.expected.lsn);
            extents.push(Extent {
                generation,
                epoch: superblock.epoch,
                incarnation: superblock.incarnation,
                first_lsn,
                end_lsn: cursor.expected.lsn,
                end: small(usize::try_from(cursor.at).expect("inside a segment")),
                sum: cursor.expected.previous.unwrap_or_default(),
            });
            self.memory = reader.into_memory();
            match end {
                End::Here => return Ok((extents, generation)),
                End::GoesOn(_) if extents.len() == self.heads.len() => {
                    return Err(self.ring_without_end(generation));
                }
                End::GoesOn(next) => {
                    // Where its own head is at home nobody began another lap.
                    let index = self.shared.layout.ring_index(generation);
                    let at_home = self.heads[index as usize]
                        .is_some_and(|head| head.generation == generation);
                    if at_home && cursor.is_where(generation, &next) {
                        self.whole.push(index);
                    }
                    (generation, first_lsn) = (next.generation, next.first_lsn);
                }
            }
        }
    }

    /// A ring cannot hold more segments than it has: each of them would have been begun again while it was needed.
    fn ring_without_end(&self, generation: Generation) -> OpenError {
        let layout = &self.shared.layout;
        let offset = layout.segment(layout.ring_index(generation));
        let first_lost = self.next.unwrap_or(self.superblock.start_lsn);
        OpenError::Corrupt(Corrupt {
            what: "more segments go on from each other than the ring has".to_owned(),
            range: offset..offset,
            first_lost,
            later: None,
        })
    }

    /// The head of the segment that goes on from this one, or any later one of the epoch.
    fn next_segment(&mut self, generation: Generation, cursor: Cursor) -> Option<Head> {
        let layout = self.shared.layout;
        let ring = u64::from(layout.format().segments);
        let sealed = self.superblock.sealed.iter();
        let sealed: Vec<u32> = sealed.map(|it| layout.ring_index(it.generation)).collect();
        let candidates = (generation.0 + 1..generation.0 + ring).map(Generation);
        candidates
            .filter(|next| !sealed.contains(&layout.ring_index(*next)))
            .find_map(|next| self.begun(next, generation, cursor))
    }

    /// The head of this generation, if the epoch began it.
    fn begun(&mut self, next: Generation, generation: Generation, cursor: Cursor) -> Option<Head> {
        let (epoch, incarnation) = (self.superblock.epoch, self.superblock.incarnation);
        let index = self.shared.layout.ring_index(next);
        let own = |head: &Head| head.epoch == epoch && head.incarnation == incarnation;
        if let Some(head) = self.heads[index as usize].filter(|head| head.generation == next) {
            return own(&head).then_some(head);
        }
        if self.whole.contains(&index) {
            return None;
        }
        let memory = std::mem::take(&mut self.memory_of_unused);
        let mut reader = SegmentReader::new(self.storage, *self.shared, next, memory)
            .up_to(reach_of_first(self.shared.layout.block()));
        let head = reader.head().filter(own);
        // Its head may be damaged, or was never written although that was told; frames behind it are as good a proof.
        let begun = head.or_else(|| {
            let header = reader.any_frame(epoch, incarnation)?;
            Some(self.lost_head(&header, generation, cursor))
        });
        self.memory_of_unused = reader.into_memory();
        begun
    }

    /// What a head must have said, if the frame behind it goes on from here: the frame has its sum. If it does not,
    /// nobody knows what it said.
    fn lost_head(&self, first: &Header, generation: Generation, cursor: Cursor) -> Head {
        let head = Head {
            previous: generation,
            previous_end: small(usize::try_from(cursor.at).expect("inside a segment")),
            previous_sum: cursor.expected.previous.unwrap_or_default(),
            ..Head::of_a_lost_one(first)
        };
        let index = self.shared.layout.ring_index(first.generation);
        let seed = self
            .shared
            .seed(first.generation, self.shared.layout.segment(index));
        let sum = u32::from_le_bytes(head.emit(seed)[4..8].try_into().expect("4 bytes"));
        if first.number == 0 && sum == first.previous {
            return head;
        }
        Head {
            previous: Generation(0),
            ..head
        }
    }
}

fn after(frame: &Verified, expected: Expected) -> Cursor {
    Cursor {
        at: frame.at + frame.header.frame_bytes(),
        expected: Expected {
            number: expected.number + 1,
            lsn: frame.header.end_lsn(),
            previous: Some(frame.header.sum),
            ..expected
        },
    }
}
