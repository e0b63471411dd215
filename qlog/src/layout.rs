//! Where everything is in a region. `FORMAT.md`, "Layout".
//!
//! ```text
//! superblock copies 0 │ scratch │ ring: (shadow 0, shadow 1, segment) × n │ catalogues 0 to 3 │ chunks │ spare │ superblock copies 1
//! ```
//!
//! Pure arithmetic: a [`Layout`] exists only for a [`Format`] that was found consistent, so that no later step
//! checks again.

use crate::ids::{Epoch, Generation};
use crate::words::round_up;
use std::ops::BitOr;

/// The largest record.
pub const MAX_RECORD_BYTES: u32 = 1 << 20;
/// The largest checkpoint or named object.
pub const MAX_OBJECT_BYTES: u32 = 4 << 20;
/// How many named objects there may be.
pub const MAX_OBJECTS: usize = 64;

/// Superblock slots: an epoch's is *epoch mod 4*.
pub(crate) const SLOTS: u64 = 4;
/// Each slot has two banks, written in turn.
pub(crate) const BANKS: u64 = 2;
/// Each bank has two copies, at the two ends of the region.
pub(crate) const COPIES: u64 = 2;
/// Catalogues: even epochs write 0 and 1 in turn, odd ones 2 and 3.
pub(crate) const CATALOGUES: u64 = 4;
/// Bytes of a superblock.
pub(crate) const SUPERBLOCK_BYTES: usize = 4096;

/// One to write, one to go on in, and the two that an owner leaves alone.
pub(crate) const MIN_SEGMENTS: u32 = 4;
pub(crate) const MAX_SEGMENTS: u32 = 16;
const MAX_CHUNKS: u32 = 1 << 16;
const MAX_SEGMENT_BYTES: u64 = 1 << 30;
const MAX_BLOCK_BYTES: u32 = 1 << 16;
const MIN_BLOCK_BYTES: u32 = 256;

/// The sizes that a log is created with, and keeps.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Format {
    /// Unit of writes: at least what the device tears or loses as a whole. A power of two from 256 (which only
    /// tests use) to 65536.
    pub block_bytes: u32,
    /// Segments of the ring, 4 to 16.
    pub segments: u32,
    /// Bytes of a segment.
    pub segment_bytes: u64,
    /// Bytes of each of the four catalogues.
    pub catalogue_bytes: u32,
    /// Bytes of a chunk, the unit that objects are stored in.
    pub chunk_bytes: u32,
    /// Chunks for checkpoints and objects: the newest, the one before it and the one being written.
    pub chunks: u32,
    /// Bytes from the first place to the end of the last: the storage's length, in whole superblock places.
    pub region_bytes: u64,
}

/// Segments of a ring: a bit for each.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(crate) struct RingSet(pub(crate) u16);

impl RingSet {
    pub(crate) const fn contains(self, index: u32) -> bool {
        self.0 & (1 << index) != 0
    }

    pub(crate) const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    pub(crate) const fn len(self) -> u32 {
        self.0.count_ones()
    }
}

impl BitOr for RingSet {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// Why these sizes do not go together.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct FormatError(pub(crate) String);

impl Format {
    /// Sizes that use a region of `region_bytes` well: a quarter of it for the log, the rest for checkpoints.
    ///
    /// # Errors
    /// When the region is below 512 KiB.
    pub fn for_region(region_bytes: u64, block_bytes: u32) -> Result<Self, FormatError> {
        let block_bytes = block_bytes.max(4096);
        let segments = 4;
        let segment_bytes = (region_bytes / 16).clamp(16 << 10, 4 << 20) / u64::from(block_bytes)
            * u64::from(block_bytes);
        let chunk_bytes = if region_bytes < 8 << 20 {
            block_bytes.max(16 << 10)
        } else {
            64 << 10
        };
        let mut format = Self {
            block_bytes,
            segments,
            segment_bytes,
            // 12 bytes for each chunk that there can be, and 64 names.
            catalogue_bytes: if region_bytes < 8 << 20 {
                (16 << 10).max(block_bytes)
            } else {
                64 << 10
            },
            chunk_bytes,
            chunks: 1,
            region_bytes: 0,
        };
        let place = format.superblock_place();
        format.region_bytes = region_bytes / place * place;
        let left = format.region_bytes.saturating_sub(format.used_bytes()) / u64::from(chunk_bytes);
        format.chunks = u32::try_from(left.min(4095)).unwrap_or(4095) + 1;
        if format.used_bytes() > format.region_bytes {
            return Err(FormatError(format!(
                "a region of {region_bytes} bytes is too small for a log: {} are the least",
                512 << 10
            )));
        }
        Ok(format)
    }

    /// The same region with another ring; what the ring leaves is for checkpoints.
    ///
    /// # Errors
    /// When the ring leaves nothing.
    pub fn with_ring(self, segments: u32, segment_bytes: u64) -> Result<Self, FormatError> {
        let mut format = Self {
            segments,
            segment_bytes,
            chunks: 0,
            ..self
        };
        let left = format.region_bytes.saturating_sub(format.used_bytes());
        let chunks = left / u64::from(format.chunk_bytes);
        format.chunks = u32::try_from(chunks.min(4096)).unwrap_or(4096);
        format.layout().map(|layout| layout.format())
    }

    /// Bytes that all places of this format take.
    #[must_use]
    pub fn used_bytes(&self) -> u64 {
        let place = self.superblock_place();
        place * SLOTS * BANKS * COPIES
            + place
            + u64::from(self.segments) * (2 * u64::from(self.block_bytes) + self.segment_bytes)
            + CATALOGUES * u64::from(self.catalogue_bytes)
            + u64::from(self.chunk_bytes) * u64::from(self.chunks)
    }

    /// Bytes from one superblock place to the next.
    pub(crate) fn superblock_place(&self) -> u64 {
        round_up(SUPERBLOCK_BYTES as u64, u64::from(self.block_bytes))
    }

    /// These sizes as places.
    ///
    /// # Errors
    /// When they do not go together.
    pub fn layout(self) -> Result<Layout, FormatError> {
        let refuse = |what: String| Err(FormatError(what));
        let block = u64::from(self.block_bytes);
        if !self.block_bytes.is_power_of_two()
            || !(MIN_BLOCK_BYTES..=MAX_BLOCK_BYTES).contains(&self.block_bytes)
        {
            return refuse(format!(
                "blocks of {block} bytes: not a power of two from 256 to 65536"
            ));
        }
        if !(MIN_SEGMENTS..=MAX_SEGMENTS).contains(&self.segments) {
            return refuse(format!(
                "{} segments: not {MIN_SEGMENTS} to {MAX_SEGMENTS}",
                self.segments
            ));
        }
        let whole = |bytes: u64| bytes > 0 && bytes.is_multiple_of(block);
        if !whole(self.segment_bytes)
            || !(4 * block..=MAX_SEGMENT_BYTES).contains(&self.segment_bytes)
        {
            return refuse(format!(
                "segments of {} bytes: not whole blocks, from 4",
                self.segment_bytes
            ));
        }
        if !whole(u64::from(self.catalogue_bytes)) || self.catalogue_bytes > 1 << 20 {
            return refuse(format!(
                "catalogues of {} bytes: not whole blocks",
                self.catalogue_bytes
            ));
        }
        if !whole(u64::from(self.chunk_bytes)) || self.chunk_bytes > 1 << 20 {
            return refuse(format!(
                "chunks of {} bytes: not whole blocks",
                self.chunk_bytes
            ));
        }
        if !(1..=MAX_CHUNKS).contains(&self.chunks) {
            return refuse(format!("{} chunks: not 1 to {MAX_CHUNKS}", self.chunks));
        }
        if self.region_bytes < self.used_bytes()
            || !self.region_bytes.is_multiple_of(self.superblock_place())
        {
            return refuse(format!(
                "a region of {} bytes: {} are needed, in whole superblock places",
                self.region_bytes,
                self.used_bytes()
            ));
        }
        Ok(Layout { format: self })
    }
}

/// Where a superblock is in a region whose format nobody knows yet.
pub(crate) const fn superblock_offset(place: u64, region: u64, index: u64, copy: u64) -> u64 {
    match copy {
        0 => index * place,
        _ => region - (SLOTS * BANKS - index) * place,
    }
}

/// Every place of a region.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Layout {
    format: Format,
}

impl Layout {
    /// The sizes it was made from.
    #[must_use]
    pub const fn format(&self) -> Format {
        self.format
    }

    /// Bytes from the first place to the end of the last.
    #[must_use]
    pub const fn region_bytes(&self) -> u64 {
        self.format.region_bytes
    }

    /// The unit of writes.
    #[must_use]
    pub fn block(&self) -> u64 {
        u64::from(self.format.block_bytes)
    }

    /// Where a copy of a superblock is.
    #[must_use]
    pub fn superblock(&self, slot: u64, bank: u64, copy: u64) -> u64 {
        superblock_offset(
            self.format.superblock_place(),
            self.region_bytes(),
            slot * BANKS + bank,
            copy,
        )
    }

    /// The slot of an epoch.
    #[must_use]
    pub fn slot_of(epoch: Epoch) -> u64 {
        epoch.0 % SLOTS
    }

    /// A block that holds nothing: for measuring writes.
    #[must_use]
    pub fn scratch(&self) -> u64 {
        SLOTS * BANKS * self.format.superblock_place()
    }

    /// Which segment of the ring a generation uses.
    #[must_use]
    pub fn ring_index(&self, generation: Generation) -> u32 {
        let index = generation.0 % u64::from(self.format.segments);
        u32::try_from(index).expect("below the number of segments")
    }

    /// Which segments of the ring these generations use.
    pub(crate) fn ring_set(&self, generations: impl IntoIterator<Item = Generation>) -> RingSet {
        let bit = |generation| 1 << self.ring_index(generation);
        RingSet(generations.into_iter().map(bit).fold(0, BitOr::bitor))
    }

    /// Where a segment of the ring is.
    #[must_use]
    pub fn segment(&self, index: u32) -> u64 {
        self.shadow(index, 0) + 2 * self.block()
    }

    /// Where one of the two shadow slots of a segment is.
    #[must_use]
    pub fn shadow(&self, index: u32, slot: u64) -> u64 {
        self.scratch()
            + self.format.superblock_place()
            + u64::from(index) * (2 * self.block() + self.format.segment_bytes)
            + slot * self.block()
    }

    /// Where a catalogue is.
    #[must_use]
    pub fn catalogue(&self, slot: u64) -> u64 {
        self.shadow(self.format.segments, 0) + slot * u64::from(self.format.catalogue_bytes)
    }

    /// Where a chunk is.
    #[must_use]
    pub fn chunk(&self, index: u32) -> u64 {
        self.catalogue(CATALOGUES) + u64::from(index) * u64::from(self.format.chunk_bytes)
    }

    /// The largest record that one segment can take.
    #[must_use]
    pub fn max_record_bytes(&self) -> u32 {
        let room = self.format.segment_bytes
            - self.block()
            - crate::segment::HEAD_BYTES as u64
            - crate::frame::HEADER_BYTES as u64
            - 16;
        u32::try_from(room)
            .unwrap_or(u32::MAX)
            .min(MAX_RECORD_BYTES)
    }

    /// The largest checkpoint or object.
    #[must_use]
    pub fn max_object_bytes(&self) -> u32 {
        let all = u64::from(self.format.chunk_bytes) * u64::from(self.format.chunks);
        u32::try_from(all).unwrap_or(u32::MAX).min(MAX_OBJECT_BYTES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every place with its length, in order.
    fn places(layout: &Layout) -> Vec<(u64, u64)> {
        let format = layout.format();
        let mut places = Vec::new();
        for (slot, bank, copy) in (0..SLOTS).flat_map(|slot| {
            (0..BANKS).flat_map(move |bank| (0..COPIES).map(move |copy| (slot, bank, copy)))
        }) {
            places.push((
                layout.superblock(slot, bank, copy),
                format.superblock_place(),
            ));
        }
        places.push((layout.scratch(), format.superblock_place()));
        for index in 0..format.segments {
            places.push((layout.shadow(index, 0), layout.block()));
            places.push((layout.shadow(index, 1), layout.block()));
            places.push((layout.segment(index), format.segment_bytes));
        }
        for slot in 0..CATALOGUES {
            places.push((layout.catalogue(slot), u64::from(format.catalogue_bytes)));
        }
        for chunk in 0..format.chunks {
            places.push((layout.chunk(chunk), u64::from(format.chunk_bytes)));
        }
        places.sort_unstable();
        places
    }

    #[test]
    fn places_do_not_overlap_and_leave_spare_bytes_behind_the_chunks_only() {
        for (region, block) in [
            (512 << 10, 4096),
            (4 << 20, 4096),
            (64 << 20, 4096),
            (64 << 20, 65536),
            (1 << 30, 4096),
        ] {
            let layout = Format::for_region(region, block).unwrap().layout().unwrap();
            let mut next = 0;
            for (offset, length) in places(&layout) {
                let spare = offset - next;
                assert!(
                    spare == 0 || next == layout.chunk(layout.format().chunks),
                    "{offset} {next}"
                );
                next = offset + length;
            }
            assert_eq!(next, layout.region_bytes());
            assert!(next <= region);
        }
    }

    #[test]
    fn sizes_that_do_not_go_together_are_refused() {
        let good = Format::for_region(4 << 20, 4096).unwrap();
        for bad in [
            Format {
                block_bytes: 3000,
                ..good
            },
            Format {
                block_bytes: 128,
                ..good
            },
            Format {
                segments: 3,
                ..good
            },
            Format {
                segments: 17,
                ..good
            },
            Format {
                segment_bytes: 4096 * 3,
                ..good
            },
            Format {
                segment_bytes: 100_000,
                ..good
            },
            Format {
                catalogue_bytes: 0,
                ..good
            },
            Format {
                chunk_bytes: 100,
                ..good
            },
            Format { chunks: 0, ..good },
        ] {
            assert!(bad.layout().is_err(), "{bad:?}");
        }
        assert!(Format::for_region(100 << 10, 4096).is_err());
    }
}
