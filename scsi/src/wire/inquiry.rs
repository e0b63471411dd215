//! Standard INQUIRY data (SPC-4 6.6.2).
//!
//! ```text
//!  0  PERIPHERAL QUALIFIER (7-5), DEVICE TYPE (4-0)     8  VENDOR IDENTIFICATION (8)
//!  1  RMB (7)      2  VERSION                          16  PRODUCT IDENTIFICATION (16)
//!  3  RESPONSE DATA FORMAT (3-0) = 2                   32  PRODUCT REVISION LEVEL (4)
//!  4  ADDITIONAL LENGTH: bytes behind byte 4           58  VERSION DESCRIPTORS (8 of 2)
//!  5  TPGS (5-4), 3PC (3), PROTECT (0)
//!  6  MULTIP (4)   7  CMDQUE (1)
//! ```
//!
//! Invariant: text is what arrived and can be printed; a field that did not arrive is empty.

use super::ParameterError;
use super::bytes::{be16, bit, byte, flag, padded, put, text};

/// Offsets and bits.
mod field {
    pub(super) const PERIPHERAL: usize = 0;
    pub(super) const RMB: (usize, u8) = (1, 7);
    pub(super) const VERSION: usize = 2;
    pub(super) const FORMAT: usize = 3;
    pub(super) const ADDITIONAL_LENGTH: usize = 4;
    pub(super) const TPGS: usize = 5;
    pub(super) const THIRD_PARTY_COPY: (usize, u8) = (5, 3);
    pub(super) const PROTECT: (usize, u8) = (5, 0);
    pub(super) const MULTI_PORT: (usize, u8) = (6, 4);
    pub(super) const COMMAND_QUEUE: (usize, u8) = (7, 1);
    pub(super) const VENDOR: usize = 8;
    pub(super) const PRODUCT: usize = 16;
    pub(super) const REVISION: usize = 32;
    pub(super) const LENGTH: usize = 36;
    pub(super) const VERSION_DESCRIPTORS: usize = 58;
    pub(super) const VERSION_DESCRIPTORS_MAX: usize = 8;
    /// With version descriptors, and the reserved bytes behind them.
    pub(super) const LONG_LENGTH: usize = 96;
}

/// The ALLOCATION LENGTH to ask with: the whole of what is read here.
pub const ALLOCATION_LENGTH: u16 = 96;

/// PERIPHERAL DEVICE TYPE of a direct-access block device (SPC-4 6.6.2).
pub const BLOCK_DEVICE: u8 = 0x00;
/// PERIPHERAL DEVICE TYPE "unknown or no device".
pub const NO_DEVICE: u8 = 0x1f;

/// Standard INQUIRY data.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct StandardInquiry {
    /// PERIPHERAL QUALIFIER, three bits: 0 a unit is there, 1 it could be, 3 there is none.
    pub qualifier: u8,
    /// PERIPHERAL DEVICE TYPE, five bits: [`BLOCK_DEVICE`] for a disk.
    pub device_type: u8,
    /// RMB: the medium can be removed.
    pub removable: bool,
    /// VERSION: 4 SPC-2, 5 SPC-3, 6 SPC-4.
    pub version: u8,
    /// TPGS, two bits: asymmetric access is managed by 1 the target, 2 the initiator, 3 both.
    pub target_port_groups: u8,
    /// 3PC: third-party copy.
    pub third_party_copy: bool,
    /// PROTECT: protection information.
    pub protect: bool,
    /// MULTIP: several ports.
    pub multi_port: bool,
    /// CMDQUE: command queueing.
    pub command_queue: bool,
    /// VENDOR IDENTIFICATION, at most 8 characters.
    pub vendor: String,
    /// PRODUCT IDENTIFICATION, at most 16 characters.
    pub product: String,
    /// PRODUCT REVISION LEVEL, at most 4 characters.
    pub revision: String,
    /// VERSION DESCRIPTORS, at most eight: the standards that it claims.
    pub version_descriptors: Vec<u16>,
}

impl StandardInquiry {
    /// Parses what arrived. Many devices send less than the 36 bytes that the standard asks for, so only
    /// the fixed part in front of ADDITIONAL LENGTH is demanded.
    ///
    /// # Errors
    /// [`ParameterError::Length`] when not even that arrived.
    pub fn parse(arrived: &[u8]) -> Result<Self, ParameterError> {
        ParameterError::at_least(field::ADDITIONAL_LENGTH + 1, arrived)?;
        let told = usize::from(byte(arrived, field::ADDITIONAL_LENGTH)) + 5;
        let data = &arrived[..arrived.len().min(told)];
        let flagged = |(at, position): (usize, u8)| bit(data, at, position);
        let part = |from: usize, to: usize| text(&data[from.min(data.len())..to.min(data.len())]);
        let descriptors = (0..field::VERSION_DESCRIPTORS_MAX)
            .map(|index| be16(data, field::VERSION_DESCRIPTORS + 2 * index))
            .filter(|&descriptor| descriptor != 0);
        Ok(Self {
            qualifier: byte(data, field::PERIPHERAL) >> 5,
            device_type: byte(data, field::PERIPHERAL) & 0x1f,
            removable: flagged(field::RMB),
            version: byte(data, field::VERSION),
            target_port_groups: byte(data, field::TPGS) >> 4 & 0x03,
            third_party_copy: flagged(field::THIRD_PARTY_COPY),
            protect: flagged(field::PROTECT),
            multi_port: flagged(field::MULTI_PORT),
            command_queue: flagged(field::COMMAND_QUEUE),
            vendor: part(field::VENDOR, field::PRODUCT),
            product: part(field::PRODUCT, field::REVISION),
            revision: part(field::REVISION, field::LENGTH),
            version_descriptors: descriptors.collect(),
        })
    }

    /// The whole answer: 36 bytes, or 96 with version descriptors.
    #[must_use]
    pub fn emit(&self) -> Vec<u8> {
        let length = if self.version_descriptors.is_empty() {
            field::LENGTH
        } else {
            field::LONG_LENGTH
        };
        let mut data = vec![0; length];
        let mut set = |(at, position): (usize, u8), value| data[at] |= flag(value, position);
        set(field::RMB, self.removable);
        set(field::THIRD_PARTY_COPY, self.third_party_copy);
        set(field::PROTECT, self.protect);
        set(field::MULTI_PORT, self.multi_port);
        set(field::COMMAND_QUEUE, self.command_queue);
        data[field::PERIPHERAL] = self.qualifier << 5 | self.device_type & 0x1f;
        data[field::VERSION] = self.version;
        data[field::FORMAT] = 2;
        data[field::ADDITIONAL_LENGTH] = u8::try_from(length - 5).unwrap_or(u8::MAX);
        data[field::TPGS] |= (self.target_port_groups & 0x03) << 4;
        put(&mut data, field::VENDOR, &padded::<8>(&self.vendor));
        put(&mut data, field::PRODUCT, &padded::<16>(&self.product));
        put(&mut data, field::REVISION, &padded::<4>(&self.revision));
        let descriptors = self.version_descriptors.iter();
        for (index, descriptor) in descriptors.take(field::VERSION_DESCRIPTORS_MAX).enumerate() {
            let at = field::VERSION_DESCRIPTORS + 2 * index;
            put(&mut data, at, &descriptor.to_be_bytes());
        }
        data
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lio_disk_as_it_answers() {
        let mut answer = vec![0, 0, 0x05, 0x02, 31, 0x10, 0, 0x02];
        answer.extend(b"LIO-ORG quorum          4.0 ");
        let value = StandardInquiry {
            version: 5,
            target_port_groups: 1,
            command_queue: true,
            vendor: "LIO-ORG".to_owned(),
            product: "quorum".to_owned(),
            revision: "4.0".to_owned(),
            ..StandardInquiry::default()
        };
        assert_eq!(StandardInquiry::parse(&answer), Ok(value.clone()));
        assert_eq!(value.emit(), answer);
    }

    #[test]
    fn version_descriptors_make_the_long_form() {
        let value = StandardInquiry {
            version: 6,
            vendor: "V".to_owned(),
            version_descriptors: vec![0x0460, 0x04c0],
            ..StandardInquiry::default()
        };
        let answer = value.emit();
        assert_eq!((answer.len(), answer[4]), (96, 91));
        assert_eq!(answer[58..62], [0x04, 0x60, 0x04, 0xc0]);
        assert_eq!(StandardInquiry::parse(&answer), Ok(value));
    }

    #[test]
    fn what_did_not_arrive_is_empty() {
        let answer = StandardInquiry {
            vendor: "VENDOR".to_owned(),
            product: "PRODUCT".to_owned(),
            ..StandardInquiry::default()
        }
        .emit();
        let value = StandardInquiry::parse(&answer[..19]).unwrap();
        assert_eq!(
            (&value.vendor[..], &value.product[..], &value.revision[..]),
            ("VENDOR", "PRO", "")
        );
        assert!(StandardInquiry::parse(&answer[..4]).is_err());
    }

    #[test]
    fn nothing_there_reads_as_such() {
        let value = StandardInquiry::parse(&[0x7f, 0, 5, 2, 31]).unwrap();
        assert_eq!((value.qualifier, value.device_type), (3, NO_DEVICE));
    }

    mod properties {
        use super::*;
        use proptest::prelude::*;

        proptest! {
            #[test]
            fn what_parses_is_emitted_to_the_same_value(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
                if let Ok(value) = StandardInquiry::parse(&bytes) {
                    prop_assert_eq!(StandardInquiry::parse(&value.emit()), Ok(value));
                }
            }
        }
    }
}
