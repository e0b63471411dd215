//! Logical unit numbers (SAM-5 4.7), and the REPORT LUNS list of them (SPC-4 6.33).
//!
//! ```text
//!  0  LUN LIST LENGTH (4): bytes that exist      a LUN: ADDRESS METHOD (7-6 of byte 0), then by method
//!  4  reserved                                     00 peripheral: bus, number (8 bit)
//!  8  LUNs (8 each)                                01 flat: number (14 bit)
//! ```

use super::ParameterError;
use super::bytes::{array, be32, length};
use std::fmt;

/// Offsets in the list.
mod field {
    pub(super) const LIST_LENGTH: usize = 0;
    pub(super) const LUNS: usize = 8;
    pub(super) const LUN_LENGTH: usize = 8;
}

/// The most LUNs that a list is read for: what a target with a flat address space can have. Bounds what
/// a length field can make a caller ask for.
pub const LUNS_MAX: usize = 1 << 14;

/// A logical unit number, eight bytes with a structure of their own.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lun(pub [u8; 8]);

impl Lun {
    /// The LUN with this number: peripheral addressing below 256, flat addressing (SAM-5 4.7) below
    /// 16384; `None` beyond.
    #[must_use]
    pub const fn from_number(number: u16) -> Option<Self> {
        let [high, low] = number.to_be_bytes();
        match high {
            0 => Some(Self([0, low, 0, 0, 0, 0, 0, 0])),
            0x01..=0x3f => Some(Self([0x40 | high, low, 0, 0, 0, 0, 0, 0])),
            _ => None,
        }
    }

    /// The number of a single-level LUN; `None` for others (well-known units, several levels, another
    /// bus).
    #[must_use]
    pub const fn number(self) -> Option<u16> {
        match self.0 {
            [0, low, 0, 0, 0, 0, 0, 0] => Some(u16::from_be_bytes([0, low])),
            [high @ 0x40..=0x7f, low, 0, 0, 0, 0, 0, 0] => {
                Some(u16::from_be_bytes([high & 0x3f, low]))
            }
            _ => None,
        }
    }

    /// The number that Linux prints: the four 16-bit levels, the first one lowest.
    #[must_use]
    pub fn linux(self) -> u64 {
        let levels = self.0.chunks_exact(2).rev();
        levels.fold(0, |number, level| {
            number << 16 | u64::from(u16::from_be_bytes([level[0], level[1]]))
        })
    }
}

/// The number, or all eight bytes where there is none.
impl fmt::Display for Lun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.number() {
            Some(number) => write!(f, "{number}"),
            None => write!(f, "{:#018x}", u64::from_be_bytes(self.0)),
        }
    }
}

impl fmt::Debug for Lun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The LUNs of a target.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct ReportedLuns {
    /// In the target's order; at most [`LUNS_MAX`].
    pub luns: Vec<Lun>,
}

impl ReportedLuns {
    /// Parses what arrived.
    ///
    /// # Errors
    /// [`ParameterError::Incomplete`]: there are more, ask again; else the answer is broken.
    pub fn parse(arrived: &[u8]) -> Result<Self, ParameterError> {
        ParameterError::at_least(field::LUNS, arrived)?;
        let told = length(be32(arrived, field::LIST_LENGTH));
        if !told.is_multiple_of(field::LUN_LENGTH) || told > LUNS_MAX * field::LUN_LENGTH {
            return Err(ParameterError::Field {
                at: field::LIST_LENGTH,
                what: "not a multiple of eight bytes, or more LUNs than a target can have",
            });
        }
        let needed = field::LUNS + told;
        let list = arrived
            .get(field::LUNS..needed)
            .ok_or(ParameterError::Incomplete { needed })?;
        let luns = list
            .chunks_exact(field::LUN_LENGTH)
            .map(|lun| Lun(array(lun, 0)));
        Ok(Self {
            luns: luns.collect(),
        })
    }

    /// The whole answer.
    #[must_use]
    pub fn emit(&self) -> Vec<u8> {
        let told = u32::try_from(self.luns.len() * field::LUN_LENGTH).unwrap_or(u32::MAX);
        let mut list = told.to_be_bytes().to_vec();
        list.resize(field::LUNS, 0);
        list.extend(self.luns.iter().flat_map(|lun| lun.0));
        list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_both_addressing_methods() {
        for (number, bytes) in [
            (0, [0, 0, 0, 0, 0, 0, 0, 0]),
            (255, [0, 255, 0, 0, 0, 0, 0, 0]),
            (256, [0x41, 0, 0, 0, 0, 0, 0, 0]),
            (0x3fff, [0x7f, 0xff, 0, 0, 0, 0, 0, 0]),
        ] {
            let lun = Lun::from_number(number).unwrap();
            assert_eq!(lun, Lun(bytes));
            assert_eq!(lun.number(), Some(number));
            assert_eq!(lun.to_string(), number.to_string());
        }
        assert_eq!(Lun::from_number(0x4000), None);
        // Flat addressing may be used below 256, too.
        assert_eq!(Lun([0x40, 7, 0, 0, 0, 0, 0, 0]).number(), Some(7));
        assert_eq!(Lun([0x40, 7, 0, 0, 0, 0, 0, 0]).linux(), 0x4007);
    }

    #[test]
    fn what_has_no_number_is_printed_whole() {
        let well_known = Lun([0xc1, 1, 0, 0, 0, 0, 0, 0]);
        assert_eq!(well_known.number(), None);
        assert_eq!(well_known.linux(), 0xc101);
        assert_eq!(well_known.to_string(), "0xc101000000000000");
        assert_eq!(Lun([0, 1, 0, 2, 0, 0, 0, 0]).linux(), 0x0002_0001);
    }

    #[test]
    fn a_list_of_two() {
        let answer = [
            0, 0, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0,
        ];
        let value = ReportedLuns {
            luns: [0, 1].map(|n| Lun::from_number(n).unwrap()).to_vec(),
        };
        assert_eq!(ReportedLuns::parse(&answer), Ok(value.clone()));
        assert_eq!(value.emit(), answer);
        assert_eq!(
            ReportedLuns::parse(&answer[..16]),
            Err(ParameterError::Incomplete { needed: 24 })
        );
        assert!(ReportedLuns::parse(&answer[..7]).is_err());
    }

    #[test]
    fn a_length_that_cannot_be_is_not_asked_for_again() {
        for told in [[0, 0, 0, 7], [0xff, 0xff, 0xff, 0xf8]] {
            let answer = [&told[..], &[0; 4]].concat();
            let error = ReportedLuns::parse(&answer);
            assert!(matches!(error, Err(ParameterError::Field { at: 0, .. })));
        }
    }

    mod properties {
        use super::*;
        use proptest::prelude::*;

        proptest! {
            #[test]
            fn luns_come_back(luns in proptest::collection::vec(any::<[u8; 8]>(), 0..50)) {
                let value = ReportedLuns { luns: luns.into_iter().map(Lun).collect() };
                prop_assert_eq!(ReportedLuns::parse(&value.emit()), Ok(value));
            }

            #[test]
            fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64), told: u8) {
                let mut bytes = bytes;
                if bytes.len() >= 8 { bytes[..4].copy_from_slice(&[0, 0, 0, told & 0x38]); }
                if let Ok(value) = ReportedLuns::parse(&bytes) {
                    prop_assert_eq!(ReportedLuns::parse(&value.emit()), Ok(value));
                }
            }
        }
    }
}
