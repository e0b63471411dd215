//! iSCSI PDUs (RFC 7143 section 11) as values.
//!
//! ```text
//!   byte 0      1       2-3      4        5-7          8-15            16-19            20-47
//!   ┌─────────┬───────┬────────┬────────┬────────────┬───────────────┬────────────────┬─────────────────┐
//!   │I, opcode│F,flags│ of the │AHS len │data segment│LUN, or of the │initiator task  │ of the opcode   │
//!   │         │       │ opcode │(words) │length      │opcode         │tag             │                 │
//!   └─────────┴───────┴────────┴────────┴────────────┴───────────────┴────────────────┴─────────────────┘
//!   [additional header segments] [header digest] [data segment, padded to 4] [data digest]
//! ```
//!
//! A [`Decoder`] cuts frames out of the bytes of a connection; [`Request::parse`] and [`Response::parse`]
//! make values of frames; `emit` appends a value to what will be sent.
//!
//! Invariants:
//! * no input panics, and nothing is allocated beyond the bound that the decoder was given;
//! * whatever a value can hold is emitted so that parsing it gives the value back (unassigned bits of
//!   a header are not kept);
//! * an opcode or a code that is not known is an error or a kept number, never a guess.
//!
//! Not here: SNACK and TASK REASSIGN (they belong to error recovery above level 0); bidirectional commands.

mod asynchronous;
mod data;
mod frame;
mod login;
mod logout;
mod nop;
mod reject;
mod request;
mod response;
mod scsi;
mod task;
#[cfg(test)]
mod tests;
mod text;

pub use asynchronous::{Async, AsyncEvent};
pub use data::{DataIn, DataInStatus, DataOut, R2t};
pub use frame::{Decoder, Digests, Frame, FrameError, HEADER_BYTES};
pub use login::{Isid, LoginRequest, LoginResponse, LoginStatus, Stage};
pub use logout::{LogoutReason, LogoutRequest, LogoutResponse};
pub use nop::{NopIn, NopOut};
pub use reject::{Reject, RejectReason};
pub use request::Request;
pub use response::Response;
pub use scsi::{Residual, ScsiCommand, ScsiResponse, TaskAttribute};
pub use task::{TaskAnswer, TaskFunction, TaskRequest, TaskResponse};
pub use text::{TextRequest, TextResponse};

use super::serial::Serial;
use std::fmt;

/// A tag that stands for no task: in an Initiator Task Tag, a Target Transfer Tag or a Referenced Task Tag.
pub const NO_TAG: u32 = 0xffff_ffff;

/// A logical unit number, as its eight bytes (SAM-5 4.7).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Lun(pub [u8; 8]);

impl Lun {
    /// The LUN with this number: peripheral addressing below 256, flat addressing up to 16383.
    #[must_use]
    pub const fn from_number(number: u16) -> Option<Self> {
        let [high, low] = number.to_be_bytes();
        match number {
            0..=0xff => Some(Self([0, low, 0, 0, 0, 0, 0, 0])),
            0x100..=0x3fff => Some(Self([0x40 | high, low, 0, 0, 0, 0, 0, 0])),
            _ => None,
        }
    }

    /// Its number, where it has a single level of peripheral (bus 0) or flat addressing.
    #[must_use]
    pub const fn number(self) -> Option<u16> {
        match self.0 {
            [0, low, 0, 0, 0, 0, 0, 0] => Some(low as u16),
            [first @ 0x40..=0x7f, low, 0, 0, 0, 0, 0, 0] => {
                Some(u16::from_be_bytes([first & 0x3f, low]))
            }
            _ => None,
        }
    }
}

impl fmt::Debug for Lun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.number() {
            Some(number) => write!(f, "{number}"),
            None => {
                f.write_str("0x")?;
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }
    }
}

/// The counters that every PDU of a target carries: its own number, and the window for commands.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Counters {
    /// StatSN: the number of this status, or the next one where the PDU carries none.
    pub stat_sn: Serial,
    /// ExpCmdSN: the next command that the target expects.
    pub exp_cmd_sn: Serial,
    /// MaxCmdSN: the last command that the target has room for.
    pub max_cmd_sn: Serial,
}

/// Why a frame is not a PDU that is known here.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, thiserror::Error)]
pub enum PduError {
    /// An opcode that this end does not take.
    #[error("opcode {0:#04x} is not expected here")]
    Opcode(u8),
    /// A field has a value that the protocol forbids. The offset counts from the header's start.
    #[error("the field at byte {offset} of the header of opcode {opcode:#04x} is invalid")]
    Field {
        /// Opcode of the PDU.
        opcode: u8,
        /// Where.
        offset: u8,
    },
    /// A data segment that is shorter than what it says it holds.
    #[error("the data segment of opcode {opcode:#04x} is cut short")]
    Data {
        /// Opcode of the PDU.
        opcode: u8,
    },
}

/// Opcodes (RFC 7143 11.2.1.2).
mod opcode {
    pub(super) const NOP_OUT: u8 = 0x00;
    pub(super) const SCSI_COMMAND: u8 = 0x01;
    pub(super) const TASK_REQUEST: u8 = 0x02;
    pub(super) const LOGIN_REQUEST: u8 = 0x03;
    pub(super) const TEXT_REQUEST: u8 = 0x04;
    pub(super) const DATA_OUT: u8 = 0x05;
    pub(super) const LOGOUT_REQUEST: u8 = 0x06;
    pub(super) const NOP_IN: u8 = 0x20;
    pub(super) const SCSI_RESPONSE: u8 = 0x21;
    pub(super) const TASK_RESPONSE: u8 = 0x22;
    pub(super) const LOGIN_RESPONSE: u8 = 0x23;
    pub(super) const TEXT_RESPONSE: u8 = 0x24;
    pub(super) const DATA_IN: u8 = 0x25;
    pub(super) const LOGOUT_RESPONSE: u8 = 0x26;
    pub(super) const R2T: u8 = 0x31;
    pub(super) const ASYNC: u8 = 0x32;
    pub(super) const REJECT: u8 = 0x3f;
}
