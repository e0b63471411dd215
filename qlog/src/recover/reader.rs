//! The frames of one segment, from home or from a shadow slot.

use super::Frame;
use super::window::{Memory, Place, Window};
use crate::buffer::Aligned;
use crate::frame::{self, Body, HEADER_BYTES, Header, Kind, Records};
use crate::guards::Guard;
use crate::ids::{Epoch, Generation, Lsn};
use crate::segment::{HEAD_BYTES, Head, SHADOW_HEAD_BYTES, ShadowHead};
use crate::storage::Storage;
use crate::words::round_up;

/// What the next frame of a segment must say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Expected {
    pub(crate) epoch: Epoch,
    pub(crate) incarnation: u64,
    pub(crate) number: u32,
    pub(crate) lsn: Lsn,
    /// The chain sum before it; nothing behind damage that the checkpoint covers.
    pub(crate) previous: Option<u32>,
}

/// A frame that verified.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Verified {
    pub(crate) header: Header,
    /// Where it begins in the segment.
    pub(crate) at: u64,
    pub(crate) mended: bool,
    source: Source,
}

#[derive(Clone, Copy, Debug)]
enum Source {
    Home,
    Shadow(usize),
}

const SOURCES: [Source; 3] = [Source::Home, Source::Shadow(0), Source::Shadow(1)];

/// One segment of the ring, as one generation wrote it.
pub(crate) struct SegmentReader<'a, S> {
    storage: &'a S,
    shared: Frame,
    pub(crate) generation: Generation,
    index: u32,
    window: Window,
    shadows: [Option<(ShadowHead, Aligned)>; 2],
    /// Bytes from home and a shadow slot, and which.
    composed: (Option<(u64, u64, usize)>, Vec<u8>),
    /// The last look for a later frame began at something of a frame.
    torn: bool,
}

impl<'a, S: Storage> SegmentReader<'a, S> {
    /// `memory` is what the segment is read into.
    pub(crate) fn new(
        storage: &'a S,
        shared: Frame,
        generation: Generation,
        memory: Memory,
    ) -> Self {
        let layout = &shared.layout;
        let index = layout.ring_index(generation);
        let place = Place {
            offset: layout.segment(index),
            len: layout.format().segment_bytes,
            block: layout.block(),
        };
        let mut reader = Self {
            storage,
            shared,
            generation,
            index,
            window: Window::new(place, memory),
            shadows: [None, None],
            composed: (None, Vec::new()),
            torn: false,
        };
        reader.shadows = reader.read_shadows();
        reader
    }

    /// Its records end here: more is read only when it is asked for.
    pub(crate) fn up_to(mut self, end: u64) -> Self {
        self.window.expect(end);
        self
    }

    /// The memory, for the next reader.
    pub(crate) fn into_memory(self) -> Memory {
        self.window.into_memory()
    }

    /// Blocks that could not be read; they look like zeros.
    pub(crate) fn unreadable(&self) -> impl Iterator<Item = u64> + '_ {
        self.window.unreadable.iter().copied()
    }

    /// Where a place of the segment is in the region.
    pub(crate) fn offset(&self, at: u64) -> u64 {
        self.shared.layout.segment(self.index) + at
    }

    pub(crate) fn len(&self) -> u64 {
        self.shared.layout.format().segment_bytes
    }

    fn block(&self) -> u64 {
        self.shared.layout.block()
    }

    fn may_mend(&self) -> bool {
        self.shared.guards.on(Guard::FlippedBit)
    }

    /// Both slots, which stand one behind the other, in one read when that works.
    fn read_shadows(&self) -> [Option<(ShadowHead, Aligned)>; 2] {
        let block = usize::try_from(self.block()).expect("at most 64 KiB");
        let offset = |slot| self.shared.layout.shadow(self.index, slot);
        let mut both = Aligned::zeroed(2 * block);
        let whole = self.storage.read_at(offset(0), &mut both).is_ok();
        [0, 1].map(|slot| {
            let image = &mut both[usize::try_from(slot).ok()? * block..][..block];
            if !whole {
                self.storage.read_at(offset(slot), image).ok()?;
            }
            let seed = self.shared.seed(self.generation, offset(slot));
            let head = ShadowHead::parse(image, seed, self.may_mend())?;
            let fits = head.bytes as usize <= image.len() - SHADOW_HEAD_BYTES
                && u64::from(head.block) < self.len() / self.block();
            (fits && head.generation == self.generation).then(|| (head, Aligned::copy_of(image)))
        })
    }

    /// The head of the segment, as this generation wrote it; its block may have been torn when it was written again,
    /// and then a shadow slot holds it.
    pub(crate) fn head(&mut self) -> Option<Head> {
        let seed = self.shared.seed(self.generation, self.offset(0));
        let mend = self.may_mend();
        SOURCES.into_iter().find_map(|source| {
            let head = Head::parse(self.part(0, HEAD_BYTES as u64, source)?, seed, mend)?;
            (head.generation == self.generation).then_some(head)
        })
    }

    /// These bytes of the segment; `None` beyond its end.
    fn bytes(&mut self, at: u64, count: u64) -> Option<&mut [u8]> {
        self.window.bytes(self.storage, at, count)
    }

    /// The next frame: at `at`, or in a shadow slot, or at the block after it when the block was closed.
    pub(crate) fn next_frame(&mut self, at: u64, expected: Expected) -> Option<Verified> {
        self.find_frame(at, expected, false).or_else(|| {
            self.may_mend()
                .then(|| self.find_frame(at, expected, true))
                .flatten()
        })
    }

    fn find_frame(&mut self, at: u64, expected: Expected, mend: bool) -> Option<Verified> {
        let boundary = round_up(at, self.block());
        let mut found = |at| {
            let from = |source| self.verify(at, expected, source, mend);
            SOURCES.into_iter().find_map(from)
        };
        found(at).or_else(|| (boundary != at).then(|| found(boundary)).flatten())
    }

    fn verify(
        &mut self,
        at: u64,
        expected: Expected,
        source: Source,
        mend: bool,
    ) -> Option<Verified> {
        let seed = self.shared.seed(self.generation, self.offset(at));
        let header = Header::parse(self.part(at, HEADER_BYTES as u64, source)?, seed, mend)?;
        let chained = !self.shared.guards.on(Guard::Chain)
            || expected
                .previous
                .is_none_or(|previous| previous == header.previous);
        let is_next =
            header.generation == self.generation || !self.shared.guards.on(Guard::SeedOfLap);
        let is_next = is_next
            && header.epoch == expected.epoch
            && header.incarnation == expected.incarnation
            && header.number == expected.number
            && header.first_lsn == expected.lsn;
        if !is_next || !chained {
            return None;
        }
        let body = self.part(
            at + HEADER_BYTES as u64,
            u64::from(header.body_bytes),
            source,
        )?;
        let state = header.check_body(body, seed, mend)?;
        if header.kind == Kind::Data && !Records::are_well_formed(body, header.records) {
            return None;
        }
        Some(Verified {
            header,
            at,
            mended: mend || state == Body::Mended,
            source,
        })
    }

    /// The body of a frame that verified.
    pub(crate) fn body(&mut self, frame: &Verified) -> &[u8] {
        let bytes = u64::from(frame.header.body_bytes);
        self.part(frame.at + HEADER_BYTES as u64, bytes, frame.source)
            .expect("it verified")
    }

    /// These bytes as they are at home, or with the block that a shadow slot holds in place of the one at home: a
    /// frame that reaches into that block from the blocks before it has its end there.
    fn part(&mut self, at: u64, count: u64, source: Source) -> Option<&mut [u8]> {
        let Source::Shadow(slot) = source else {
            return self.bytes(at, count);
        };
        let head = self.shadows[slot].as_ref()?.0;
        let first = u64::from(head.block) * self.block();
        let end = at.checked_add(count)?;
        if end > first + u64::from(head.bytes) {
            return None;
        }
        if at < first {
            return self.compose(at, count, slot, first);
        }
        let image = &mut self.shadows[slot].as_mut()?.1;
        let from = SHADOW_HEAD_BYTES + usize::try_from(at - first).ok()?;
        image
            .get_mut(from..)?
            .get_mut(..usize::try_from(count).ok()?)
    }

    /// Bytes that begin at home, and end in a shadow slot's block if they reach it. What is composed stays until other
    /// bytes are, and so does a bit that was mended in it.
    fn compose(&mut self, at: u64, count: u64, slot: usize, first: u64) -> Option<&mut [u8]> {
        if self.composed.0 != Some((at, count, slot)) {
            let home = count.min(first - at);
            let mut bytes = self.bytes(at, home)?.to_vec();
            let image = &self.shadows[slot].as_ref()?.1;
            let rest = usize::try_from(count - home).ok()?;
            bytes.extend_from_slice(image.get(SHADOW_HEAD_BYTES..)?.get(..rest)?);
            self.composed = (Some((at, count, slot)), bytes);
        }
        Some(&mut self.composed.1)
    }

    /// The first frame header behind `at` that can only have been written after `expected` was flushed.
    pub(crate) fn later_frame(&mut self, at: u64, expected: Expected) -> Option<(u64, Header)> {
        let places = [at, round_up(at, self.block())];
        self.torn = places.into_iter().any(|place| {
            self.bytes(place, frame::ALIGN)
                .is_some_and(|bytes| frame::looks_like_one(bytes))
        });
        self.later_frame_within(at, expected, u64::MAX)
    }

    fn later_frame_within(
        &mut self,
        at: u64,
        expected: Expected,
        end: u64,
    ) -> Option<(u64, Header)> {
        let shadow = self.later_in_shadows(expected);
        let mut place = round_up(at, frame::ALIGN);
        let end = self.len().min(end);
        while place + HEADER_BYTES as u64 <= end {
            let seed = self.shared.seed(self.generation, self.offset(place));
            let bytes = self.bytes(place, HEADER_BYTES as u64)?;
            if frame::looks_like_one(bytes) {
                let header = Header::parse(bytes, seed, false);
                if let Some(header) = header.filter(|header| self.is_later(header, expected)) {
                    return Some((place, header));
                }
                place += frame::ALIGN;
            } else {
                place += frame::next_like_one(self.window.held(place));
            }
        }
        shadow
    }

    /// A frame of this owner, if it ever began this segment as this generation: the first one when that is whole, or
    /// any later one near it. For a segment whose head is lost.
    pub(crate) fn any_frame(&mut self, epoch: Epoch, incarnation: u64) -> Option<Header> {
        let at = HEAD_BYTES as u64;
        let first = Expected {
            epoch,
            incarnation,
            number: 0,
            lsn: Lsn(0),
            previous: None,
        };
        let seed = self.shared.seed(self.generation, self.offset(at));
        let mend = self.may_mend();
        let headers = SOURCES
            .map(|source| Header::parse(self.part(at, HEADER_BYTES as u64, source)?, seed, mend));
        for header in headers.into_iter().flatten() {
            let is_next = Expected {
                lsn: header.first_lsn,
                ..first
            };
            if let Some(frame) = self.next_frame(at, is_next) {
                return Some(frame.header);
            }
        }
        self.later_frame_within(at, first, reach_of_first(self.block()))
            .map(|(_, header)| header)
    }

    fn later_in_shadows(&mut self, expected: Expected) -> Option<(u64, Header)> {
        for slot in 0..2 {
            let Some((head, _)) = self.shadows[slot].as_ref() else {
                continue;
            };
            let head = *head;
            let first = u64::from(head.block) * self.block();
            let mut place = first;
            while place + HEADER_BYTES as u64 <= first + u64::from(head.bytes) {
                let seed = self.shared.seed(self.generation, self.offset(place));
                let bytes = self.part(place, HEADER_BYTES as u64, Source::Shadow(slot))?;
                if let Some(header) = Header::parse(bytes, seed, false)
                    && self.is_later(&header, expected)
                {
                    return Some((place, header));
                }
                place += frame::ALIGN;
            }
        }
        None
    }

    fn is_later(&self, header: &Header, expected: Expected) -> bool {
        header.generation == self.generation
            && header.epoch == expected.epoch
            && header.incarnation == expected.incarnation
            && header.number > expected.number
    }

    /// A block that cannot be read behind where the one write in flight can have been.
    pub(crate) fn unreadable_beyond(&self, at: u64) -> Option<u64> {
        let block = self.block();
        let reach = at + frame::frame_bytes(frame::MAX_BODY_BYTES) + 2 * block;
        self.unreadable()
            .map(|index| index * block)
            .find(|place| *place >= reach)
    }

    /// Something of a frame is left where the last look for a later one began; a stale lap's is not told from it.
    pub(crate) const fn looks_torn(&self) -> bool {
        self.torn
    }

    /// A block that cannot be read, from here on.
    pub(crate) fn unreadable_from(&self, at: u64) -> Option<u64> {
        let block = self.block();
        self.unreadable()
            .find(|index| *index >= at / block)
            .map(|index| index * block)
    }
}

/// The second frame of a segment begins before this.
pub(crate) fn reach_of_first(block: u64) -> u64 {
    HEAD_BYTES as u64 + frame::frame_bytes(frame::MAX_BODY_BYTES) + 2 * block
}
