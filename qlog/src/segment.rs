//! The head of a segment and the head of a shadow slot, as bytes. `FORMAT.md`, "Segments", "Shadow slots".

use crate::frame::Header;
use crate::ids::{Epoch, Generation, Lsn};
use crate::sum::{Seed, crc32, flipped_bit_of_short};
use crate::words::{Le32, Le64};
use bytemuck::{Pod, Zeroable, bytes_of, pod_read_unaligned};

pub(crate) const HEAD_BYTES: usize = 128;
pub(crate) const SHADOW_HEAD_BYTES: usize = 64;
const HEAD_MAGIC: u32 = u32::from_le_bytes(*b"QSEG");
const SHADOW_MAGIC: u32 = u32::from_le_bytes(*b"QSHD");
/// Magic and sum stand before what the sum covers.
const SUMMED_FROM: usize = 8;

/// Why a segment was begun and where: at its first byte, written in one write with its first frame.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Head {
    pub(crate) generation: Generation,
    pub(crate) epoch: Epoch,
    pub(crate) incarnation: u64,
    /// The first record that goes into it.
    pub(crate) first_lsn: Lsn,
    /// The segment that it goes on from; of an epoch's first segment, 0.
    pub(crate) previous: Generation,
    /// Where that one ends, from its start.
    pub(crate) previous_end: u32,
    /// The chain sum of its last frame.
    pub(crate) previous_sum: u32,
    /// Its own chain sum.
    pub(crate) sum: u32,
}

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct HeadBytes {
    magic: Le32,
    sum: Le32,
    generation: Le64,
    epoch: Le64,
    incarnation: Le64,
    first_lsn: Le64,
    previous: Le64,
    previous_end: Le32,
    previous_sum: Le32,
    reserved: [u8; 72],
}
const _: () = assert!(size_of::<HeadBytes>() == HEAD_BYTES);

impl Head {
    /// What a frame still says of a head that is lost: not where the segment goes on from.
    pub(crate) const fn of_a_lost_one(frame: &Header) -> Self {
        Self {
            generation: frame.generation,
            epoch: frame.epoch,
            incarnation: frame.incarnation,
            first_lsn: frame.first_lsn,
            previous: Generation(0),
            previous_end: 0,
            previous_sum: 0,
            sum: frame.previous,
        }
    }

    /// Its bytes; `sum` is worked out.
    pub(crate) fn emit(&self, seed: Seed) -> [u8; HEAD_BYTES] {
        let raw = HeadBytes {
            magic: Le32::new(HEAD_MAGIC),
            sum: Le32::default(),
            generation: Le64::new(self.generation.0),
            epoch: Le64::new(self.epoch.0),
            incarnation: Le64::new(self.incarnation),
            first_lsn: Le64::new(self.first_lsn.0),
            previous: Le64::new(self.previous.0),
            previous_end: Le32::new(self.previous_end),
            previous_sum: Le32::new(self.previous_sum),
            reserved: [0; 72],
        };
        sealed(bytes_of(&raw), seed)
    }

    /// The head in these bytes. `mend`: one flipped bit is mended.
    pub(crate) fn parse(bytes: &[u8], seed: Seed, mend: bool) -> Option<Self> {
        let bytes: [u8; HEAD_BYTES] = verified(bytes, seed, HEAD_MAGIC, mend)?;
        let raw: HeadBytes = pod_read_unaligned(&bytes);
        let head = Self {
            generation: Generation(raw.generation.get()),
            epoch: Epoch(raw.epoch.get()),
            incarnation: raw.incarnation.get(),
            first_lsn: Lsn(raw.first_lsn.get()),
            previous: Generation(raw.previous.get()),
            previous_end: raw.previous_end.get(),
            previous_sum: raw.previous_sum.get(),
            sum: raw.sum.get(),
        };
        let possible = head.generation.is_possible()
            && head.epoch.is_possible()
            && head.first_lsn.is_possible()
            && head.first_lsn > Lsn(0);
        possible.then_some(head)
    }

    /// The generation that the bytes claim, before anything is verified: it is part of the seed.
    pub(crate) fn claimed_generation(bytes: &[u8]) -> Option<Generation> {
        let bytes: [u8; HEAD_BYTES] = bytes.get(..HEAD_BYTES)?.try_into().ok()?;
        let raw: HeadBytes = pod_read_unaligned(&bytes);
        Some(Generation(raw.generation.get()))
    }
}

/// What a shadow slot holds: the newest image of a block of the segment that is not full yet.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct ShadowHead {
    pub(crate) generation: Generation,
    /// Which block, from the segment's start.
    pub(crate) block: u32,
    /// Bytes of the image that follow.
    pub(crate) bytes: u32,
}

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct ShadowBytes {
    magic: Le32,
    sum: Le32,
    generation: Le64,
    block: Le32,
    bytes: Le32,
    reserved: [u8; 40],
}
const _: () = assert!(size_of::<ShadowBytes>() == SHADOW_HEAD_BYTES);

impl ShadowHead {
    pub(crate) fn emit(&self, seed: Seed) -> [u8; SHADOW_HEAD_BYTES] {
        let raw = ShadowBytes {
            magic: Le32::new(SHADOW_MAGIC),
            sum: Le32::default(),
            generation: Le64::new(self.generation.0),
            block: Le32::new(self.block),
            bytes: Le32::new(self.bytes),
            reserved: [0; 40],
        };
        sealed(bytes_of(&raw), seed)
    }

    /// The generation that the bytes claim, before anything is verified; `None` when this is no shadow's head.
    pub(crate) fn claimed_generation(bytes: &[u8]) -> Option<Generation> {
        let bytes: [u8; SHADOW_HEAD_BYTES] = bytes.get(..SHADOW_HEAD_BYTES)?.try_into().ok()?;
        let raw: ShadowBytes = pod_read_unaligned(&bytes);
        (raw.magic.get() == SHADOW_MAGIC).then_some(Generation(raw.generation.get()))
    }

    /// The head in these bytes. Its image verifies frame by frame, so one flipped bit in the head is mended.
    pub(crate) fn parse(bytes: &[u8], seed: Seed, mend: bool) -> Option<Self> {
        let bytes: [u8; SHADOW_HEAD_BYTES] = verified(bytes, seed, SHADOW_MAGIC, mend)?;
        let raw: ShadowBytes = pod_read_unaligned(&bytes);
        Some(Self {
            generation: Generation(raw.generation.get()),
            block: raw.block.get(),
            bytes: raw.bytes.get(),
        })
    }
}

/// The bytes with the sum of all behind it in place.
pub(crate) fn sealed<const N: usize>(raw: &[u8], seed: Seed) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.copy_from_slice(raw);
    let sum = crc32(seed, &bytes[SUMMED_FROM..]);
    bytes[4..8].copy_from_slice(&sum.to_le_bytes());
    bytes
}

/// The first N bytes, if magic and sum are right, or right but for one bit anywhere.
pub(crate) fn verified<const N: usize>(
    bytes: &[u8],
    seed: Seed,
    magic: u32,
    mend: bool,
) -> Option<[u8; N]> {
    let mut bytes: [u8; N] = bytes.get(..N)?.try_into().ok()?;
    let word = |bytes: &[u8; N], at: usize| {
        u32::from_le_bytes(bytes[at..at + 4].try_into().expect("4 bytes"))
    };
    let (found, stored) = (word(&bytes, 0), word(&bytes, 4));
    let sum = crc32(seed, &bytes[SUMMED_FROM..]);
    if found == magic && stored == sum {
        return Some(bytes);
    }
    if !mend {
        return None;
    }
    let one_bit = |difference: u32| difference.is_power_of_two();
    if (one_bit(found ^ magic) && stored == sum) || (found == magic && one_bit(stored ^ sum)) {
        bytes[..4].copy_from_slice(&magic.to_le_bytes());
        bytes[4..8].copy_from_slice(&sum.to_le_bytes());
        return Some(bytes);
    }
    if found != magic {
        return None;
    }
    let (index, mask) = flipped_bit_of_short(seed, &bytes[SUMMED_FROM..], stored)?;
    bytes[SUMMED_FROM + index] ^= mask;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::LogId;

    fn seed() -> Seed {
        Seed {
            log: LogId([9; 16]),
            generation: Generation(7),
            offset: 4096,
        }
    }

    fn head() -> Head {
        let head = Head {
            generation: Generation(7),
            epoch: Epoch(3),
            incarnation: 0xfeed,
            first_lsn: Lsn(42),
            previous: Generation(6),
            previous_end: 1234,
            previous_sum: 0xabcd,
            sum: 0,
        };
        Head::parse(&head.emit(seed()), seed(), false).unwrap()
    }

    #[test]
    fn heads_come_back_as_they_were_written() {
        assert_eq!(head().first_lsn, Lsn(42));
        assert_eq!(
            Head::parse(&head().emit(seed()), seed(), false),
            Some(head())
        );
        let shadow = ShadowHead {
            generation: Generation(7),
            block: 3,
            bytes: 99,
        };
        assert_eq!(
            ShadowHead::parse(&shadow.emit(seed()), seed(), false),
            Some(shadow)
        );
    }

    #[test]
    fn any_one_bit_is_refused_or_mended_and_two_are_not() {
        let good = head().emit(seed());
        for bit in 0..HEAD_BYTES * 8 {
            let mut bad = good;
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Head::parse(&bad, seed(), false), None);
            assert_eq!(Head::parse(&bad, seed(), true), Some(head()), "bit {bit}");
            bad[(bit / 8 + 40) % HEAD_BYTES] ^= 0x11;
            assert_eq!(Head::parse(&bad, seed(), true), None, "bit {bit}");
        }
    }

    #[test]
    fn a_head_is_good_at_its_place_only() {
        let elsewhere = Seed {
            offset: 8192,
            ..seed()
        };
        assert_eq!(Head::parse(&head().emit(seed()), elsewhere, true), None);
    }
}
