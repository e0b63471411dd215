//! Sense data (SPC-4 4.5), fixed and descriptor form.
//!
//! ```text
//! fixed (70h, 71h deferred)            descriptor (72h, 73h deferred)
//!  0  VALID | response code             0  response code
//!  2  SENSE KEY                         1  SENSE KEY
//!  3  INFORMATION (4)                   2  ASC
//!  7  ADDITIONAL SENSE LENGTH           3  ASCQ
//! 12  ASC   13  ASCQ                    7  ADDITIONAL SENSE LENGTH
//! 15  SENSE KEY SPECIFIC (3)            8  descriptors: type, length, ...
//! ```
//!
//! Invariants: what did not arrive is not reported (a code that was cut off reads as 00h, as the
//! standards' "no additional information"); the length field is believed only as far as bytes arrived.

mod codes;

pub use codes::key;

use super::bytes::{be16, be32, be64, bit, byte, flag, put};
use crate::reservation::Attention;
use std::fmt;

/// Offsets of the fixed form (SPC-4 4.5.3).
mod fixed {
    pub(super) const SENSE_KEY: usize = 2;
    pub(super) const INFORMATION: usize = 3;
    pub(super) const ADDITIONAL_SENSE_LENGTH: usize = 7;
    pub(super) const ASC: usize = 12;
    pub(super) const ASCQ: usize = 13;
    pub(super) const SENSE_KEY_SPECIFIC: usize = 15;
    pub(super) const LENGTH: usize = 18;
}

/// Offsets of the descriptor form (SPC-4 4.5.2).
mod descriptor {
    pub(super) const SENSE_KEY: usize = 1;
    pub(super) const ASC: usize = 2;
    pub(super) const ASCQ: usize = 3;
    pub(super) const ADDITIONAL_SENSE_LENGTH: usize = 7;
    pub(super) const HEADER_LENGTH: usize = 8;
    /// DESCRIPTOR TYPE of the information descriptor (4.5.2.2): VALID at 2, INFORMATION at 4.
    pub(super) const INFORMATION: u8 = 0x00;
    pub(super) const INFORMATION_LENGTH: u8 = 0x0a;
    /// DESCRIPTOR TYPE of the sense key specific descriptor (4.5.2.4): three bytes at 4.
    pub(super) const SENSE_KEY_SPECIFIC: u8 = 0x02;
    pub(super) const SENSE_KEY_SPECIFIC_LENGTH: u8 = 0x06;
}

/// What sense data says: the key, the additional codes, and the fields that are valid.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Sense {
    /// SENSE KEY, four bits.
    pub key: u8,
    /// ADDITIONAL SENSE CODE.
    pub asc: u8,
    /// ADDITIONAL SENSE CODE QUALIFIER.
    pub ascq: u8,
    /// Not about this command but an earlier one (response codes 71h, 73h).
    pub deferred: bool,
    /// INFORMATION, where VALID. The fixed form has room for 32 bits only.
    pub information: Option<u64>,
    /// Which field was in error, where ILLEGAL REQUEST says it.
    pub field: Option<FieldPointer>,
}

/// The field that an ILLEGAL REQUEST is about (SPC-4 4.5.2.4.2).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct FieldPointer {
    /// C/D: in the CDB; else in the parameter list.
    pub in_cdb: bool,
    /// FIELD POINTER: the field's first byte.
    pub byte: u16,
    /// BIT POINTER: the field's most significant bit, 0 to 7.
    pub bit: Option<u8>,
}

impl FieldPointer {
    /// A field of the CDB.
    #[must_use]
    pub const fn in_cdb(byte: u16, bit: Option<u8>) -> Self {
        Self {
            in_cdb: true,
            byte,
            bit,
        }
    }

    /// A field of the parameter list.
    #[must_use]
    pub const fn in_list(byte: u16, bit: Option<u8>) -> Self {
        Self {
            in_cdb: false,
            byte,
            bit,
        }
    }

    /// The three bytes of SENSE KEY SPECIFIC; `None` without SKSV.
    fn parse(specific: &[u8]) -> Option<Self> {
        bit(specific, 0, 7).then(|| Self {
            in_cdb: bit(specific, 0, 6),
            byte: be16(specific, 1),
            bit: bit(specific, 0, 3).then_some(byte(specific, 0) & 0x07),
        })
    }

    fn emit(self) -> [u8; 3] {
        let [high, low] = self.byte.to_be_bytes();
        let first = flag(true, 7)
            | flag(self.in_cdb, 6)
            | flag(self.bit.is_some(), 3)
            | self.bit.unwrap_or(0) & 0x07;
        [first, high, low]
    }
}

impl Sense {
    /// Sense data about this command, with nothing but its codes.
    #[must_use]
    pub const fn new(key: u8, asc: u8, ascq: u8) -> Self {
        Self {
            key,
            asc,
            ascq,
            deferred: false,
            information: None,
            field: None,
        }
    }

    /// The sense data that raises this attention.
    #[must_use]
    pub const fn unit_attention(attention: Attention) -> Self {
        Self::new(key::UNIT_ATTENTION, attention.asc, attention.ascq)
    }

    /// The attention that this sense data raises, if it is a Unit Attention.
    #[must_use]
    pub fn attention(&self) -> Option<Attention> {
        let raised = self.key == key::UNIT_ATTENTION && !self.deferred;
        raised.then_some(Attention::new(self.asc, self.ascq))
    }

    /// ILLEGAL REQUEST, INVALID FIELD IN CDB: the command asks for what this device does not have.
    #[must_use]
    pub const fn is_invalid_field(&self) -> bool {
        self.is(Self::INVALID_FIELD_IN_CDB)
    }

    /// Do the codes equal those of `other`, whatever the fields say?
    #[must_use]
    pub const fn is(&self, other: Self) -> bool {
        self.key == other.key && self.asc == other.asc && self.ascq == other.ascq
    }

    /// The sense data in the bytes that arrived; `None` when they are too few to hold a key, or in a
    /// form that is not known.
    #[must_use]
    pub fn parse(sense_data: &[u8]) -> Option<Self> {
        match byte(sense_data, 0) & 0x7f {
            code @ (0x70 | 0x71) if sense_data.len() > fixed::SENSE_KEY => {
                Some(Self::parse_fixed(sense_data, code == 0x71))
            }
            code @ (0x72 | 0x73) if sense_data.len() > descriptor::SENSE_KEY => {
                Some(Self::parse_descriptors(sense_data, code == 0x73))
            }
            _ => None,
        }
    }

    fn parse_fixed(sense_data: &[u8], deferred: bool) -> Self {
        let told = if sense_data.len() > fixed::ADDITIONAL_SENSE_LENGTH {
            8 + usize::from(byte(sense_data, fixed::ADDITIONAL_SENSE_LENGTH))
        } else {
            sense_data.len()
        };
        let data = &sense_data[..told.min(sense_data.len())];
        let key = byte(data, fixed::SENSE_KEY) & 0x0f;
        let informs = bit(data, 0, 7) && data.len() >= fixed::INFORMATION + 4;
        let specific = data.get(fixed::SENSE_KEY_SPECIFIC..fixed::LENGTH);
        Self {
            key,
            asc: byte(data, fixed::ASC),
            ascq: byte(data, fixed::ASCQ),
            deferred,
            information: informs.then(|| be32(data, fixed::INFORMATION).into()),
            field: specific.and_then(|specific| field_of(key, specific)),
        }
    }

    fn parse_descriptors(sense_data: &[u8], deferred: bool) -> Self {
        let told = descriptor::HEADER_LENGTH
            + usize::from(byte(sense_data, descriptor::ADDITIONAL_SENSE_LENGTH));
        let data = &sense_data[..told.min(sense_data.len())];
        let mut sense = Self {
            key: byte(data, descriptor::SENSE_KEY) & 0x0f,
            asc: byte(data, descriptor::ASC),
            ascq: byte(data, descriptor::ASCQ),
            deferred,
            information: None,
            field: None,
        };
        let mut rest = data.get(descriptor::HEADER_LENGTH..).unwrap_or(&[]);
        while let [kind, length, ..] = *rest {
            let end = 2 + usize::from(length);
            let Some(one) = rest.get(..end) else { break };
            match (kind, length) {
                (descriptor::INFORMATION, descriptor::INFORMATION_LENGTH) if bit(one, 2, 7) => {
                    sense.information = Some(be64(one, 4));
                }
                (descriptor::SENSE_KEY_SPECIFIC, descriptor::SENSE_KEY_SPECIFIC_LENGTH) => {
                    sense.field = field_of(sense.key, &one[4..7]);
                }
                _ => {}
            }
            rest = &rest[end..];
        }
        sense
    }

    /// The fixed form. INFORMATION that takes more than 32 bits is left out (SPC-4 4.5.3: VALID is
    /// then zero).
    #[must_use]
    pub fn fixed(&self) -> [u8; fixed::LENGTH] {
        let mut data = [0; fixed::LENGTH];
        let information = self.information.and_then(|value| u32::try_from(value).ok());
        data[0] = flag(information.is_some(), 7) | 0x70 | flag(self.deferred, 0);
        data[fixed::SENSE_KEY] = self.key & 0x0f;
        put(
            &mut data,
            fixed::INFORMATION,
            &information.unwrap_or(0).to_be_bytes(),
        );
        data[fixed::ADDITIONAL_SENSE_LENGTH] = 10;
        data[fixed::ASC] = self.asc;
        data[fixed::ASCQ] = self.ascq;
        if let Some(field) = self.field {
            put(&mut data, fixed::SENSE_KEY_SPECIFIC, &field.emit());
        }
        data
    }

    /// The descriptor form.
    #[must_use]
    pub fn descriptor(&self) -> Vec<u8> {
        let code = 0x72 | flag(self.deferred, 0);
        let mut data = vec![code, self.key & 0x0f, self.asc, self.ascq, 0, 0, 0, 0];
        if let Some(information) = self.information {
            let valid = flag(true, 7);
            data.extend([
                descriptor::INFORMATION,
                descriptor::INFORMATION_LENGTH,
                valid,
                0,
            ]);
            data.extend(information.to_be_bytes());
            data[descriptor::ADDITIONAL_SENSE_LENGTH] += 12;
        }
        if let Some(field) = self.field {
            data.extend([
                descriptor::SENSE_KEY_SPECIFIC,
                descriptor::SENSE_KEY_SPECIFIC_LENGTH,
                0,
                0,
            ]);
            data.extend(field.emit());
            data.push(0);
            data[descriptor::ADDITIONAL_SENSE_LENGTH] += 8;
        }
        data
    }

    /// What it says, as an operator reads it.
    #[must_use]
    pub fn words(&self) -> String {
        self.to_string()
    }
}

/// SENSE KEY SPECIFIC is a field pointer only under ILLEGAL REQUEST (SPC-4 4.5.2.4).
fn field_of(key: u8, specific: &[u8]) -> Option<FieldPointer> {
    (key == key::ILLEGAL_REQUEST)
        .then(|| FieldPointer::parse(specific))
        .flatten()
}

/// `ILLEGAL REQUEST: invalid field in CDB (05/24/00), CDB byte 1 bit 4`
impl fmt::Display for Sense {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.deferred {
            f.write_str("about an earlier command: ")?;
        }
        f.write_str(codes::key_words(self.key))?;
        if let Some(words) = codes::code_words(self.asc, self.ascq) {
            write!(f, ": {words}")?;
        }
        write!(f, " ({:02x}/{:02x}/{:02x})", self.key, self.asc, self.ascq)?;
        if let Some(field) = self.field {
            let place = if field.in_cdb { "CDB" } else { "list" };
            write!(f, ", {place} byte {}", field.byte)?;
            if let Some(bit) = field.bit {
                write!(f, " bit {bit}")?;
            }
        }
        if let Some(information) = self.information {
            write!(f, ", information {information:#x}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
