//! READ CAPACITY data (SBC-3 5.15.2, 5.16.2).
//!
//! ```text
//! (10)  0  LAST LBA (4), FFFFFFFFh: ask with (16)     (16)  0  LAST LBA (8)
//!       4  BLOCK LENGTH (4)                                 8  BLOCK LENGTH (4)
//!                                                          12  PROT_EN (0)
//!                                                          13  LBPPBE (3-0)
//!                                                          14  LBPME (7), LBPRZ (6)
//! ```
//!
//! Invariants: the block length is not zero, and the number of blocks fits 64 bits, or it is an error.

use super::ParameterError;
use super::bytes::{be32, be64, bit, byte, flag, put};

/// Offsets and bits.
mod field {
    pub(super) const LAST_10: usize = 0;
    pub(super) const BLOCK_BYTES_10: usize = 4;
    pub(super) const LENGTH_10: usize = 8;
    pub(super) const LAST_16: usize = 0;
    pub(super) const BLOCK_BYTES_16: usize = 8;
    pub(super) const PROT_EN: (usize, u8) = (12, 0);
    pub(super) const EXPONENT: usize = 13;
    pub(super) const LBPME: (usize, u8) = (14, 7);
    pub(super) const LBPRZ: (usize, u8) = (14, 6);
    /// What has been there since SBC-2; the rest is read where it arrived.
    pub(super) const LENGTH_16_MIN: usize = 12;
    pub(super) const LENGTH_16: usize = 32;
}

/// The ALLOCATION LENGTH of READ CAPACITY (16).
pub const ALLOCATION_LENGTH_16: u32 = 32;

/// READ CAPACITY (10) data.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Capacity10 {
    /// How many blocks; `None`: more than this form can say, ask with READ CAPACITY (16).
    pub blocks: Option<u64>,
    /// Bytes of a block.
    pub block_bytes: u32,
}

impl Capacity10 {
    /// Bytes of the answer.
    pub const LENGTH: usize = field::LENGTH_10;

    /// Parses what arrived.
    ///
    /// # Errors
    /// [`ParameterError`] when it is too short, or a block has no bytes.
    pub fn parse(arrived: &[u8]) -> Result<Self, ParameterError> {
        ParameterError::at_least(field::LENGTH_10, arrived)?;
        let last = be32(arrived, field::LAST_10);
        Ok(Self {
            blocks: (last != u32::MAX).then(|| u64::from(last) + 1),
            block_bytes: block_bytes(arrived, field::BLOCK_BYTES_10)?,
        })
    }

    /// The answer; a count that does not fit is said to be so.
    #[must_use]
    pub fn emit(&self) -> [u8; field::LENGTH_10] {
        let mut data = [0; field::LENGTH_10];
        let last = self.blocks.map(|blocks| blocks.saturating_sub(1));
        let last = last
            .and_then(|last| u32::try_from(last).ok())
            .unwrap_or(u32::MAX);
        put(&mut data, field::LAST_10, &last.to_be_bytes());
        put(
            &mut data,
            field::BLOCK_BYTES_10,
            &self.block_bytes.to_be_bytes(),
        );
        data
    }
}

/// READ CAPACITY (16) data.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Capacity16 {
    /// How many blocks; at least one.
    pub blocks: u64,
    /// Bytes of a logical block.
    pub block_bytes: u32,
    /// LOGICAL BLOCKS PER PHYSICAL BLOCK EXPONENT, four bits.
    pub physical_block_exponent: u8,
    /// PROT_EN: formatted with protection information.
    pub protection: bool,
    /// LBPME: blocks can be unmapped (thin provisioning).
    pub thin: bool,
    /// LBPRZ: unmapped blocks read as zeros.
    pub unmapped_reads_zeros: bool,
}

impl Capacity16 {
    /// Parses what arrived.
    ///
    /// # Errors
    /// [`ParameterError`] when it is too short, a block has no bytes, or the count does not fit.
    pub fn parse(arrived: &[u8]) -> Result<Self, ParameterError> {
        ParameterError::at_least(field::LENGTH_16_MIN, arrived)?;
        let last = be64(arrived, field::LAST_16);
        let blocks = last.checked_add(1).ok_or(ParameterError::Field {
            at: field::LAST_16,
            what: "the number of blocks does not fit 64 bits",
        })?;
        let flagged = |(at, position): (usize, u8)| bit(arrived, at, position);
        Ok(Self {
            blocks,
            block_bytes: block_bytes(arrived, field::BLOCK_BYTES_16)?,
            physical_block_exponent: byte(arrived, field::EXPONENT) & 0x0f,
            protection: flagged(field::PROT_EN),
            thin: flagged(field::LBPME),
            unmapped_reads_zeros: flagged(field::LBPRZ),
        })
    }

    /// The answer.
    #[must_use]
    pub fn emit(&self) -> [u8; field::LENGTH_16] {
        let mut data = [0; field::LENGTH_16];
        let last = self.blocks.saturating_sub(1);
        put(&mut data, field::LAST_16, &last.to_be_bytes());
        put(
            &mut data,
            field::BLOCK_BYTES_16,
            &self.block_bytes.to_be_bytes(),
        );
        data[field::EXPONENT] = self.physical_block_exponent & 0x0f;
        let mut set = |(at, position): (usize, u8), value| data[at] |= flag(value, position);
        set(field::PROT_EN, self.protection);
        set(field::LBPME, self.thin);
        set(field::LBPRZ, self.unmapped_reads_zeros);
        data
    }
}

fn block_bytes(arrived: &[u8], at: usize) -> Result<u32, ParameterError> {
    match be32(arrived, at) {
        0 => Err(ParameterError::Field {
            at,
            what: "a block has no bytes",
        }),
        bytes => Ok(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_short_form_and_its_limit() {
        let answer = [0, 1, 0xff, 0xff, 0, 0, 2, 0];
        let value = Capacity10 {
            blocks: Some(0x2_0000),
            block_bytes: 512,
        };
        assert_eq!(Capacity10::parse(&answer), Ok(value));
        assert_eq!(value.emit(), answer);
        let beyond = [0xff, 0xff, 0xff, 0xff, 0, 0, 0x10, 0];
        let value = Capacity10::parse(&beyond).unwrap();
        assert_eq!(value.blocks, None);
        assert_eq!(value.emit(), beyond);
        let large = Capacity10 {
            blocks: Some(1 << 40),
            block_bytes: 4096,
        };
        assert_eq!(large.emit(), beyond);
    }

    #[test]
    fn the_long_form() {
        let mut answer = [0; 32];
        answer[2] = 1; // 2^40 blocks … plus one
        answer[10] = 2;
        answer[13] = 3;
        answer[14] = 0xc0;
        let value = Capacity16 {
            blocks: (1 << 40) + 1,
            block_bytes: 512,
            physical_block_exponent: 3,
            protection: false,
            thin: true,
            unmapped_reads_zeros: true,
        };
        assert_eq!(Capacity16::parse(&answer), Ok(value));
        assert_eq!(value.emit(), answer);
        let short = Capacity16::parse(&answer[..12]).unwrap();
        assert_eq!((short.blocks, short.thin), (value.blocks, false));
    }

    #[test]
    fn impossible_sizes_are_refused() {
        assert!(Capacity10::parse(&[0; 8]).is_err());
        assert!(Capacity10::parse(&[1; 7]).is_err());
        assert!(Capacity16::parse(&[0; 32]).is_err());
        assert!(Capacity16::parse(&[0xff; 32]).is_err());
        assert!(Capacity16::parse(&[1; 11]).is_err());
    }

    mod properties {
        use super::*;
        use proptest::prelude::*;

        proptest! {
            #[test]
            fn what_parses_is_emitted_to_the_same_value(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
                if let Ok(value) = Capacity10::parse(&bytes) {
                    prop_assert_eq!(Capacity10::parse(&value.emit()), Ok(value));
                }
                if let Ok(value) = Capacity16::parse(&bytes) {
                    prop_assert_eq!(Capacity16::parse(&value.emit()), Ok(value));
                }
            }
        }
    }
}
