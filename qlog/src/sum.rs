//! Checksums that hold at one place of one log only, and the search for one flipped bit.
//!
//! A *seed* is log id, generation and offset. It goes into every sum before the content, so that a stale lap,
//! a foreign log and a block that was written to the wrong place cannot verify.

use crate::ids::{Generation, LogId};

/// Where content belongs.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Seed {
    pub(crate) log: LogId,
    pub(crate) generation: Generation,
    /// From the start of the region.
    pub(crate) offset: u64,
}

impl Seed {
    fn bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        bytes[..16].copy_from_slice(&self.log.0);
        bytes[16..24].copy_from_slice(&self.generation.0.to_le_bytes());
        bytes[24..].copy_from_slice(&self.offset.to_le_bytes());
        bytes
    }
}

/// CRC-32 (IEEE) of seed and content.
pub(crate) fn crc32(seed: Seed, content: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&seed.bytes());
    hasher.update(content);
    hasher.finalize()
}

/// Two sums of unrelated polynomials: CRC-32 (IEEE) and CRC-32C of seed and content. Together they tell a
/// torn body from one that is a single bit away from what was written, with 64 bits against chance.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(crate) struct Sums {
    pub(crate) crc32: u32,
    pub(crate) crc32c: u32,
}

impl Sums {
    pub(crate) fn of(seed: Seed, content: &[u8]) -> Self {
        Self {
            crc32: crc32(seed, content),
            crc32c: crc32c::crc32c_append(crc32c::crc32c(&seed.bytes()), content),
        }
    }
}

const IEEE: u32 = 0xEDB8_8320;
const CASTAGNOLI: u32 = 0x82F6_3B78;

/// The bit of `content` whose flip makes both sums right: byte index and mask. CRCs are linear, so the
/// difference of the sums is the sum of the one bit, and a walk from the last bit to the first finds it.
pub(crate) fn flipped_bit(seed: Seed, content: &[u8], right: Sums) -> Option<(usize, u8)> {
    let found = Sums::of(seed, content);
    let wanted = (found.crc32 ^ right.crc32, found.crc32c ^ right.crc32c);
    let mut ieee = Walk::new(IEEE);
    let mut castagnoli = Walk::new(CASTAGNOLI);
    for index in (0..content.len()).rev() {
        for bit in (0..8).rev() {
            if (ieee.next(), castagnoli.next()) == wanted {
                return Some((index, 1 << bit));
            }
        }
    }
    None
}

/// As [`flipped_bit`] under CRC-32 alone: only for a few bytes that something else confirms afterwards.
pub(crate) fn flipped_bit_of_short(seed: Seed, content: &[u8], right: u32) -> Option<(usize, u8)> {
    let wanted = crc32(seed, content) ^ right;
    let mut walk = Walk::new(IEEE);
    for index in (0..content.len()).rev() {
        for bit in (0..8).rev() {
            if walk.next() == wanted {
                return Some((index, 1 << bit));
            }
        }
    }
    None
}

/// What one flipped bit does to a reflected CRC: from the last bit of the content backwards.
struct Walk {
    polynomial: u32,
    effect: u32,
}

impl Walk {
    const fn new(polynomial: u32) -> Self {
        // The last bit that goes in (the top bit of the last byte) is shifted once.
        Self {
            polynomial,
            effect: polynomial,
        }
    }

    fn next(&mut self) -> u32 {
        let now = self.effect;
        self.effect = (now >> 1) ^ if now & 1 == 1 { self.polynomial } else { 0 };
        now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seed(offset: u64) -> Seed {
        Seed {
            log: LogId([3; 16]),
            generation: Generation(5),
            offset,
        }
    }

    #[test]
    fn the_place_the_lap_and_the_log_are_part_of_the_sum() {
        let here = Sums::of(seed(4096), b"content");
        assert_ne!(here, Sums::of(seed(8192), b"content"));
        let lap = Seed {
            generation: Generation(6),
            ..seed(4096)
        };
        assert_ne!(here, Sums::of(lap, b"content"));
        let foreign = Seed {
            log: LogId([4; 16]),
            ..seed(4096)
        };
        assert_ne!(here, Sums::of(foreign, b"content"));
    }

    #[test]
    fn every_flipped_bit_is_found() {
        let content = b"every bit of this".to_vec();
        let right = Sums::of(seed(0), &content);
        for index in 0..content.len() {
            for bit in 0..8 {
                let mut damaged = content.clone();
                damaged[index] ^= 1 << bit;
                assert_eq!(
                    flipped_bit(seed(0), &damaged, right),
                    Some((index, 1 << bit))
                );
                assert_eq!(
                    flipped_bit_of_short(seed(0), &damaged, right.crc32),
                    Some((index, 1 << bit))
                );
            }
        }
    }

    #[test]
    fn more_than_one_bit_is_not_taken_for_one() {
        let content = vec![0x5a; 4096];
        let right = Sums::of(seed(0), &content);
        for other in 1..4096 {
            let mut damaged = content.clone();
            damaged[0] ^= 1;
            damaged[other] ^= 0x80;
            assert_eq!(flipped_bit(seed(0), &damaged, right), None);
        }
    }
}
