//! Command descriptor blocks (SPC-4 4.2.5): the bytes, and the commands that they say.

mod action;
mod command;
mod emit;
pub mod opcode;
mod parse;

pub use action::{PrInAction, PrOutAction};
pub use command::{Access, BlockRange, Command, ModePages, OpcodeQuery};

use super::sense::{FieldPointer, Sense};

/// A command descriptor block: 6, 10, 12, 16 or up to 32 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cdb {
    bytes: [u8; Self::LENGTH_MAX],
    length: u8,
}

impl Cdb {
    /// The longest CDB that a host passes through.
    pub const LENGTH_MAX: usize = 32;

    /// A CDB of these bytes; `None` when there are fewer than 6 or more than [`Self::LENGTH_MAX`].
    #[must_use]
    pub fn new(cdb: &[u8]) -> Option<Self> {
        let mut bytes = [0; Self::LENGTH_MAX];
        let length = u8::try_from(cdb.len()).ok().filter(|&n| n >= 6)?;
        bytes.get_mut(..cdb.len())?.copy_from_slice(cdb);
        Some(Self { bytes, length })
    }

    /// The CDB at the start of a field that is padded to a fixed size, as iSCSI (16 bytes) and the
    /// qemu pr-helper carry it: cut to the length that the operation code asks for.
    #[must_use]
    pub fn from_padded(field: &[u8]) -> Option<Self> {
        let length = length_of(*field.first()?).unwrap_or(field.len());
        Self::new(field.get(..length)?)
    }

    /// The bytes as they travel.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
}

impl std::fmt::Debug for Cdb {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut separator = "";
        self.as_bytes().iter().try_for_each(|byte| {
            let done = write!(f, "{separator}{byte:02x}");
            separator = " ";
            done
        })
    }
}

/// The length that the GROUP CODE of an operation code asks for (SPC-4 4.2.5.1); `None` for the
/// variable-length, reserved and vendor-specific groups.
#[must_use]
pub const fn length_of(opcode: u8) -> Option<usize> {
    match opcode >> 5 {
        0 => Some(6),
        1 | 2 => Some(10),
        4 => Some(16),
        5 => Some(12),
        _ => None,
    }
}

/// Why a CDB is not a command that is known here.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, thiserror::Error)]
pub enum CdbError {
    /// No bytes at all, or not as many as the operation code asks for.
    #[error("a CDB of {actual} bytes where {expected} are expected")]
    Length {
        /// What the operation code asks for.
        expected: usize,
        /// What came.
        actual: usize,
    },
    /// A service action that is not known, under an operation code that is.
    #[error("operation code {opcode:02x}h has no service action {service_action:02x}h")]
    ServiceAction {
        /// The operation code.
        opcode: u8,
        /// The service action, five bits.
        service_action: u8,
    },
    /// A field holds what this command does not allow.
    #[error("byte {byte} bit {bit} of the CDB: {name} is not allowed")]
    Field {
        /// The byte of the field.
        byte: u8,
        /// The field's most significant bit.
        bit: u8,
        /// The field, as the standards spell it.
        name: &'static str,
    },
}

impl CdbError {
    /// The answer of a device server that follows SPC-4: INVALID FIELD IN CDB with a field pointer.
    ///
    /// A CDB of the wrong length is refused without a pointer; only a broken transport makes one.
    #[must_use]
    pub fn sense(self) -> Sense {
        let pointer = match self {
            Self::Length { .. } => None,
            Self::ServiceAction { .. } => Some(FieldPointer::in_cdb(1, Some(4))),
            Self::Field { byte, bit, .. } => Some(FieldPointer::in_cdb(byte.into(), Some(bit))),
        };
        Sense {
            field: pointer,
            ..Sense::INVALID_FIELD_IN_CDB
        }
    }
}

#[cfg(test)]
mod tests;
