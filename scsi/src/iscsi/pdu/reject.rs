//! Reject: the target could not take a PDU (RFC 7143 11.17).

use super::frame::{Frame, HEADER_BYTES};
use super::{Counters, NO_TAG, PduError, opcode};

/// Why a PDU was refused. Unknown codes are kept.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RejectReason(pub u8);

impl RejectReason {
    /// Data digest error.
    pub const DATA_DIGEST: Self = Self(0x02);
    /// SNACK reject.
    pub const SNACK: Self = Self(0x03);
    /// A violation of the protocol.
    pub const PROTOCOL_ERROR: Self = Self(0x04);
    /// A kind of PDU that is not supported.
    pub const NOT_SUPPORTED: Self = Self(0x05);
    /// Too many immediate commands.
    pub const IMMEDIATE_COMMAND: Self = Self(0x06);
    /// The task is still under way.
    pub const TASK_IN_PROGRESS: Self = Self(0x07);
    /// A field is invalid.
    pub const INVALID_FIELD: Self = Self(0x09);
}

/// As an operator reads it.
impl std::fmt::Display for RejectReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match *self {
            Self::DATA_DIGEST => "data digest error",
            Self::SNACK => "SNACK reject",
            Self::PROTOCOL_ERROR => "protocol error",
            Self::NOT_SUPPORTED => "command not supported",
            Self::IMMEDIATE_COMMAND => "too many immediate commands",
            Self::TASK_IN_PROGRESS => "task in progress",
            Self::INVALID_FIELD => "invalid PDU field",
            Self(code) => return write!(f, "reason {code:#04x}"),
        })
    }
}

impl std::fmt::Debug for RejectReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

/// Reject.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Reject {
    /// Why.
    pub reason: RejectReason,
    /// The target's counters.
    pub counters: Counters,
    /// The header of the PDU that was refused.
    pub refused: [u8; HEADER_BYTES],
}

impl Reject {
    /// The task that the refused PDU belonged to.
    #[must_use]
    pub fn task_tag(&self) -> u32 {
        let [.., a, b, c, d] = *self.refused.first_chunk::<20>().expect("48 bytes");
        u32::from_be_bytes([a, b, c, d])
    }

    pub(super) fn parse(frame: &Frame) -> Result<Self, PduError> {
        Ok(Self {
            reason: RejectReason(frame.header[2]),
            counters: Counters::parse(frame),
            refused: *frame.data.first_chunk().ok_or(PduError::Data {
                opcode: opcode::REJECT,
            })?,
        })
    }

    pub(super) fn frame(&self) -> Frame {
        let mut frame = Frame::closed(opcode::REJECT, self.refused.to_vec());
        frame.header[2] = self.reason.0;
        frame.put_u32(16, NO_TAG);
        self.counters.put(&mut frame);
        frame
    }
}
