//! A frame: what one group commit writes. `FORMAT.md`, "Frames".
//!
//! ```text
//! header 64 │ length, bytes │ length, bytes │ …      at a multiple of 8 in its segment
//! ```
//!
//! The header has a sum of its own, so that the length is trusted before the body is read.

use crate::ids::{Epoch, Generation, Lsn};
use crate::segment::{sealed, verified};
use crate::sum::{Seed, Sums, flipped_bit};
use crate::words::{Le16, Le32, Le64, round_up, small};
use bytemuck::{Pod, Zeroable, bytes_of, pod_read_unaligned};

pub(crate) const HEADER_BYTES: usize = 64;
pub(crate) const ALIGN: u64 = 8;
/// The most bytes of records in a frame: one of the largest, or many small ones.
pub(crate) const MAX_BODY_BYTES: usize = (1 << 20) + (64 << 10);
const MAGIC: u32 = u32::from_le_bytes(*b"QFRM");

/// What a frame is for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Kind {
    /// Records.
    Data,
    /// The first of an epoch: its body says who, and where the epoch before was cut.
    EpochStart,
    /// Nothing: a proof behind the last record, for when nobody writes.
    Seal,
}

/// The header of a frame.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Header {
    pub(crate) kind: Kind,
    pub(crate) generation: Generation,
    pub(crate) epoch: Epoch,
    pub(crate) incarnation: u64,
    /// Counts the frames of the segment from 0.
    pub(crate) number: u32,
    /// The chain sum of the frame, or segment head, before it.
    pub(crate) previous: u32,
    pub(crate) first_lsn: Lsn,
    pub(crate) records: u16,
    pub(crate) body_bytes: u32,
    pub(crate) body: Sums,
    /// Its own chain sum.
    pub(crate) sum: u32,
}

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct HeaderBytes {
    magic: Le32,
    sum: Le32,
    body_bytes: Le32,
    records: Le16,
    kind: Le16,
    first_lsn: Le64,
    epoch: Le64,
    previous: Le32,
    number: Le32,
    body_crc32: Le32,
    body_crc32c: Le32,
    incarnation: Le64,
    generation: Le64,
}
const _: () = assert!(size_of::<HeaderBytes>() == HEADER_BYTES);

impl Header {
    /// Bytes that the frame takes in its segment.
    pub(crate) fn frame_bytes(&self) -> u64 {
        frame_bytes(self.body_bytes as usize)
    }

    /// The record after its last one.
    pub(crate) fn end_lsn(&self) -> Lsn {
        Lsn(self.first_lsn.0 + u64::from(self.records))
    }

    /// Its bytes; `sum` is worked out.
    pub(crate) fn emit(&self, seed: Seed) -> [u8; HEADER_BYTES] {
        let raw = HeaderBytes {
            magic: Le32::new(MAGIC),
            sum: Le32::default(),
            body_bytes: Le32::new(self.body_bytes),
            records: Le16::new(self.records),
            kind: Le16::new(match self.kind {
                Kind::Data => 0,
                Kind::EpochStart => 1,
                Kind::Seal => 2,
            }),
            first_lsn: Le64::new(self.first_lsn.0),
            epoch: Le64::new(self.epoch.0),
            previous: Le32::new(self.previous),
            number: Le32::new(self.number),
            body_crc32: Le32::new(self.body.crc32),
            body_crc32c: Le32::new(self.body.crc32c),
            incarnation: Le64::new(self.incarnation),
            generation: Le64::new(self.generation.0),
        };
        sealed(bytes_of(&raw), seed)
    }

    /// The header in these bytes.
    pub(crate) fn parse(bytes: &[u8], seed: Seed, mend: bool) -> Option<Self> {
        if !mend && !looks_like_one(bytes) {
            return None;
        }
        let bytes: [u8; HEADER_BYTES] = verified(bytes, seed, MAGIC, mend)?;
        let raw: HeaderBytes = pod_read_unaligned(&bytes);
        let header = Self {
            kind: match raw.kind.get() {
                0 => Kind::Data,
                1 => Kind::EpochStart,
                2 => Kind::Seal,
                _ => return None,
            },
            generation: Generation(raw.generation.get()),
            epoch: Epoch(raw.epoch.get()),
            incarnation: raw.incarnation.get(),
            number: raw.number.get(),
            previous: raw.previous.get(),
            first_lsn: Lsn(raw.first_lsn.get()),
            records: raw.records.get(),
            body_bytes: raw.body_bytes.get(),
            body: Sums {
                crc32: raw.body_crc32.get(),
                crc32c: raw.body_crc32c.get(),
            },
            sum: raw.sum.get(),
        };
        let sane = header.body_bytes as usize <= MAX_BODY_BYTES
            && (header.records == 0 || header.kind == Kind::Data)
            && header.first_lsn.is_possible()
            && header.first_lsn > Lsn(0)
            && header.number < u32::MAX;
        sane.then_some(header)
    }

    /// Is this its body? Mends one flipped bit, where that is allowed; `None` when it is not its body.
    pub(crate) fn check_body(&self, body: &mut [u8], seed: Seed, mend: bool) -> Option<Body> {
        if Sums::of(seed, body) == self.body {
            return Some(Body::AsWritten);
        }
        if !mend {
            return None;
        }
        let (index, mask) = flipped_bit(seed, body, self.body)?;
        body[index] ^= mask;
        Some(Body::Mended)
    }
}

/// What [`Header::check_body`] found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Body {
    AsWritten,
    Mended,
}

/// Could these bytes begin with a frame? Cheap, for searching.
pub(crate) fn looks_like_one(bytes: &[u8]) -> bool {
    bytes.starts_with(&MAGIC.to_le_bytes())
}

/// How far to the next place in these bytes that could begin with a frame, but not the first one; behind all places
/// when there is none. Frames begin at multiples of [`ALIGN`].
pub(crate) fn next_like_one(bytes: &[u8]) -> u64 {
    const STEP: usize = 8;
    const _: () = assert!(STEP as u64 == ALIGN);
    let places = bytes.get(STEP..).unwrap_or_default().chunks_exact(STEP);
    let behind_all = 1 + places.len();
    let found = places.into_iter().position(looks_like_one);
    (found.map_or(behind_all, |index| 1 + index) * STEP) as u64
}

/// Bytes of a frame with a body of this size.
pub(crate) fn frame_bytes(body_bytes: usize) -> u64 {
    round_up((HEADER_BYTES + body_bytes) as u64, ALIGN)
}

/// Bytes that a record takes in a body.
pub(crate) fn record_bytes(bytes: usize) -> usize {
    length_bytes(bytes) + bytes
}

fn length_bytes(length: usize) -> usize {
    match length {
        0..0x80 => 1,
        0x80..0x4000 => 2,
        0x4000..0x20_0000 => 3,
        _ => 4,
    }
}

/// Appends a record to a body.
pub(crate) fn push_record(body: &mut Vec<u8>, record: &[u8]) {
    let mut length = small(record.len());
    while length >= 0x80 {
        body.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    body.push((length & 0x7f) as u8);
    body.extend_from_slice(record);
}

/// The records of a verified body, one after the other; `None` ends them early when the body is malformed.
pub(crate) struct Records<'a> {
    body: &'a [u8],
}

impl<'a> Records<'a> {
    pub(crate) fn new(body: &'a [u8]) -> Self {
        Self { body }
    }

    /// Bytes of the body that were not taken yet.
    pub(crate) const fn left(&self) -> usize {
        self.body.len()
    }

    /// Nothing but whole records, and this many?
    pub(crate) fn are_well_formed(body: &[u8], count: u16) -> bool {
        let mut records = Records::new(body);
        (0..count).all(|_| records.next().is_some()) && records.body.is_empty()
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (mut length, mut at) = (0_usize, 0);
        loop {
            let byte = *self.body.get(at)?;
            length |= usize::from(byte & 0x7f) << (7 * at);
            at += 1;
            if byte & 0x80 == 0 {
                break;
            }
            if at == 4 {
                return None;
            }
        }
        let record = self.body.get(at..at + length)?;
        self.body = &self.body[at + length..];
        Some(record)
    }
}

/// The body of an epoch's first frame.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct EpochStart {
    pub(crate) epoch: Epoch,
    pub(crate) node: u32,
    pub(crate) key: u64,
    /// The first record of this epoch; frames of older ones from here on are void.
    pub(crate) cut: Lsn,
}

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct EpochStartBytes {
    epoch: Le64,
    key: Le64,
    cut: Le64,
    node: Le32,
}

impl EpochStart {
    pub(crate) fn emit(&self) -> Vec<u8> {
        let raw = EpochStartBytes {
            epoch: Le64::new(self.epoch.0),
            key: Le64::new(self.key),
            cut: Le64::new(self.cut.0),
            node: Le32::new(self.node),
        };
        bytes_of(&raw).to_vec()
    }

    pub(crate) fn parse(body: &[u8]) -> Option<Self> {
        let raw: EpochStartBytes = *bytemuck::try_from_bytes(body).ok()?;
        Some(Self {
            epoch: Epoch(raw.epoch.get()),
            node: raw.node.get(),
            key: raw.key.get(),
            cut: Lsn(raw.cut.get()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::LogId;
    use proptest::prelude::*;

    fn seed() -> Seed {
        Seed {
            log: LogId([1; 16]),
            generation: Generation(2),
            offset: 128,
        }
    }

    fn header(body: &[u8], records: u16) -> Header {
        Header {
            kind: Kind::Data,
            generation: Generation(2),
            epoch: Epoch(1),
            incarnation: 77,
            number: 5,
            previous: 0x1234_5678,
            first_lsn: Lsn(10),
            records,
            body_bytes: small(body.len()),
            body: Sums::of(seed(), body),
            sum: 0,
        }
    }

    proptest! {
        #[test]
        fn records_come_back_as_they_went_in(records in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 0..20)) {
            let mut body = Vec::new();
            for record in &records {
                let before = body.len();
                push_record(&mut body, record);
                prop_assert_eq!(body.len() - before, record_bytes(record.len()));
            }
            let count = u16::try_from(records.len()).unwrap();
            prop_assert!(Records::are_well_formed(&body, count));
            let back: Vec<Vec<u8>> = Records::new(&body).map(<[u8]>::to_vec).collect();
            prop_assert_eq!(back, records);
        }

        #[test]
        fn any_bytes_are_records_or_nothing(body in proptest::collection::vec(any::<u8>(), 0..200), count in 0_u16..9) {
            let _ = Records::are_well_formed(&body, count);
            let taken: usize = Records::new(&body).map(<[u8]>::len).sum();
            prop_assert!(taken <= body.len());
        }

        #[test]
        fn any_bytes_are_a_header_or_nothing(bytes in proptest::collection::vec(any::<u8>(), 0..100), mend: bool) {
            prop_assert_eq!(Header::parse(&bytes, seed(), mend), None);
        }
    }

    #[test]
    fn only_data_has_records() {
        let with = |kind| Header {
            kind,
            ..header(&[], 3)
        };
        let found = |kind| Header::parse(&with(kind).emit(seed()), seed(), false);
        assert!(found(Kind::Data).is_some());
        assert_eq!(found(Kind::Seal), None);
        assert_eq!(found(Kind::EpochStart), None);
    }

    #[test]
    fn a_header_and_its_body_survive_any_one_bit_and_no_two() {
        let mut body = Vec::new();
        push_record(&mut body, b"a record");
        let header = header(&body, 1);
        let bytes = header.emit(seed());
        let parsed = Header::parse(&bytes, seed(), false).unwrap();
        assert_eq!(Header { sum: 0, ..parsed }, header);
        for bit in 0..HEADER_BYTES * 8 {
            let mut bad = bytes;
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Header::parse(&bad, seed(), false), None);
            assert_eq!(Header::parse(&bad, seed(), true), Some(parsed));
        }
        for bit in 0..body.len() * 8 {
            let mut bad = body.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(parsed.check_body(&mut bad, seed(), false), None);
            assert_eq!(
                parsed.check_body(&mut bad, seed(), true),
                Some(Body::Mended)
            );
            assert_eq!(bad, body);
        }
        assert_eq!(
            parsed.check_body(&mut body, seed(), false),
            Some(Body::AsWritten)
        );
    }
}
