//! A part of one segment in memory: read in pieces, one behind the other, with what is left of the piece before in
//! front. Decides what is read, and when; never what it means.
//!
//! ```text
//!   memory   │ front: the end of the piece before │ piece          │
//!   segment  ────────────────────────────────────────────────────►
//!                       └ what was asked for ┘ crosses into the next piece
//! ```
//!
//! Invariant: bytes that were handed out stay as they are (a mended bit stays mended) until bytes beyond the window are
//! asked for.

use super::ahead::Ahead;
use crate::buffer::Aligned;
use crate::frame;
use crate::storage::Storage;
use crate::words::round_up;
use std::collections::BTreeSet;
use std::io;
use std::ops::Range;

/// Read at once; more when a frame is larger.
pub(super) const PIECE_BYTES: u64 = 1 << 20;

/// What a window is read into, and who reads ahead: it outlives the segment, since new memory for each would cost more
/// than the reading of small ones.
#[derive(Default)]
pub(crate) struct Memory {
    bytes: Aligned,
    ahead: Option<Ahead>,
}

impl Memory {
    pub(super) fn with_ahead(ahead: Ahead) -> Self {
        Self {
            bytes: Aligned::default(),
            ahead: Some(ahead),
        }
    }
}

/// Where a segment is in the region, and its unit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) offset: u64,
    pub(super) len: u64,
    pub(super) block: u64,
}

impl Place {
    /// Room in front of a piece for what is left of the one before: a frame, and the block that it begins in. A segment
    /// of one piece needs none.
    fn front(self) -> usize {
        if self.len <= PIECE_BYTES {
            return 0;
        }
        let most = frame::frame_bytes(frame::MAX_BODY_BYTES) + self.block;
        in_memory(round_up(most, self.block.max(4096)))
    }
}

pub(super) struct Window {
    memory: Memory,
    place: Place,
    /// As much as whoever reads expects to need.
    reach: u64,
    /// What of the segment is in memory.
    held: Range<u64>,
    /// Where in memory that begins.
    from: usize,
    /// Blocks that could not be read; they look like zeros.
    pub(super) unreadable: BTreeSet<u64>,
}

impl Window {
    pub(super) const fn new(place: Place, memory: Memory) -> Self {
        Self {
            memory,
            place,
            reach: place.len,
            held: 0..0,
            from: 0,
            unreadable: BTreeSet::new(),
        }
    }

    pub(super) fn into_memory(self) -> Memory {
        self.memory
    }

    /// More than this is read only when it is asked for.
    pub(super) fn expect(&mut self, reach: u64) {
        self.reach = round_up(reach, self.place.block).min(self.place.len);
    }

    /// These bytes of the segment; `None` beyond its end.
    pub(super) fn bytes<S: Storage>(
        &mut self,
        storage: &S,
        at: u64,
        count: u64,
    ) -> Option<&mut [u8]> {
        let end = at.checked_add(count)?;
        if end > self.place.len {
            return None;
        }
        if at < self.held.start || end > self.held.end {
            self.load(storage, at, end);
        }
        let from = self.from + in_memory(at - self.held.start);
        Some(&mut self.memory.bytes[from..][..in_memory(count)])
    }

    /// What is in memory from here on.
    pub(super) fn held(&self, at: u64) -> &[u8] {
        if !self.held.contains(&at) {
            return &[];
        }
        let from = self.from + in_memory(at - self.held.start);
        &self.memory.bytes[from..][..in_memory(self.held.end - at)]
    }

    /// Reads a piece with what was asked for in it, behind what of that is in memory already.
    fn load<S: Storage>(&mut self, storage: &S, at: u64, end: u64) {
        let Place { len, block, .. } = self.place;
        let front = self.place.front();
        let first = at / block * block;
        let left = self.held.end.saturating_sub(first);
        let kept = if self.held.contains(&first) && in_memory(left) <= front {
            in_memory(left)
        } else {
            0
        };
        let piece = first + kept as u64;
        let expected = if piece < self.reach {
            self.reach - piece
        } else {
            PIECE_BYTES
        };
        let length = expected
            .min(PIECE_BYTES)
            .max(round_up(end - piece, block))
            .min(len - piece);
        let kept_from = self.from + in_memory(first.saturating_sub(self.held.start));
        let read = self.read(storage, piece, length, kept_from..kept_from + kept);
        self.held = first..piece + length;
        self.from = front - kept;
        if read.is_err() {
            self.read_blocks(storage, piece, length);
        }
    }

    /// Reads a piece behind what is kept of the one before.
    fn read<S: Storage>(
        &mut self,
        storage: &S,
        piece: u64,
        length: u64,
        kept: Range<usize>,
    ) -> io::Result<()> {
        let offset = self.place.offset + piece;
        let (front, length) = (self.place.front(), in_memory(length));
        let before_piece = front - kept.len();
        let Memory { bytes, ahead } = &mut self.memory;
        let taken = ahead.as_mut().and_then(|ahead| ahead.take(offset, length));
        let read = if let Some((mut fresh, read)) = taken {
            fresh[before_piece..front].copy_from_slice(&bytes[kept]);
            let old = std::mem::replace(bytes, fresh);
            if let Some(ahead) = ahead {
                ahead.give_back(old);
            }
            read
        } else {
            if bytes.len() < front + length {
                bytes.resize(front + length);
            }
            bytes.copy_within(kept, before_piece);
            storage.read_at(offset, &mut bytes[front..][..length])
        };
        if let Some(ahead) = ahead {
            ahead.go_on_behind(offset, front);
        }
        read
    }

    /// A piece that cannot be read as a whole, block by block.
    fn read_blocks<S: Storage>(&mut self, storage: &S, piece: u64, length: u64) {
        let Place { offset, block, .. } = self.place;
        let front = self.place.front();
        for at in (0..length).step_by(in_memory(block)) {
            let bytes = &mut self.memory.bytes[front + in_memory(at)..][..in_memory(block)];
            if storage.read_at(offset + piece + at, bytes).is_err() {
                bytes.fill(0);
                self.unreadable.insert((piece + at) / block);
            }
        }
    }
}

/// A length or a place inside a window.
fn in_memory(bytes: u64) -> usize {
    usize::try_from(bytes).expect("a segment has at most 1 GiB")
}
