//! What a target sends.

use super::frame::{Digests, Frame};
use super::{
    Async, Counters, DataIn, LoginResponse, LogoutResponse, NopIn, PduError, R2t, Reject,
    ScsiResponse, TaskResponse, TextResponse, opcode,
};

/// A PDU from a target to an initiator.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Response {
    /// NOP-In.
    NopIn(NopIn),
    /// SCSI Response.
    Scsi(ScsiResponse),
    /// Task Management Function Response.
    Task(TaskResponse),
    /// Login Response.
    Login(LoginResponse),
    /// Text Response.
    Text(TextResponse),
    /// SCSI Data-In.
    DataIn(DataIn),
    /// Logout Response.
    Logout(LogoutResponse),
    /// Ready To Transfer.
    R2t(R2t),
    /// Asynchronous Message.
    Async(Async),
    /// Reject.
    Reject(Reject),
}

impl Response {
    /// The value of this frame.
    ///
    /// # Errors
    /// [`PduError`] when it is not a target's, or a field of it is invalid.
    pub fn parse(frame: Frame) -> Result<Self, PduError> {
        Ok(match frame.opcode() {
            opcode::NOP_IN => Self::NopIn(NopIn::parse(frame)),
            opcode::SCSI_RESPONSE => Self::Scsi(ScsiResponse::parse(&frame)?),
            opcode::TASK_RESPONSE => Self::Task(TaskResponse::parse(&frame)),
            opcode::LOGIN_RESPONSE => Self::Login(LoginResponse::parse(frame)?),
            opcode::TEXT_RESPONSE => Self::Text(TextResponse::parse(frame)?),
            opcode::DATA_IN => Self::DataIn(DataIn::parse(frame)?),
            opcode::LOGOUT_RESPONSE => Self::Logout(LogoutResponse::parse(&frame)),
            opcode::R2T => Self::R2t(R2t::parse(&frame, frame.lun())?),
            opcode::ASYNC => Self::Async(Async::parse(&frame)?),
            opcode::REJECT => Self::Reject(Reject::parse(&frame)?),
            other => return Err(PduError::Opcode(other)),
        })
    }

    /// Appends it as it travels.
    pub fn emit(&self, digests: Digests, out: &mut Vec<u8>) {
        let frame = match self {
            Self::NopIn(pdu) => pdu.frame(),
            Self::Scsi(pdu) => pdu.frame(),
            Self::Task(pdu) => pdu.frame(),
            Self::Login(pdu) => pdu.frame(),
            Self::Text(pdu) => pdu.frame(),
            Self::DataIn(pdu) => pdu.frame(),
            Self::Logout(pdu) => pdu.frame(),
            Self::R2t(pdu) => pdu.frame(),
            Self::Async(pdu) => pdu.frame(),
            Self::Reject(pdu) => pdu.frame(),
        };
        frame.emit(digests, out);
    }

    /// The target's counters, and whether its StatSN counts (it carries a status of its own).
    #[must_use]
    pub const fn counters(&self) -> (Counters, bool) {
        match self {
            Self::NopIn(pdu) => (pdu.counters, pdu.task_tag != super::NO_TAG),
            Self::Scsi(pdu) => (pdu.counters, true),
            Self::Task(pdu) => (pdu.counters, true),
            Self::Login(pdu) => (pdu.counters, true),
            Self::Text(pdu) => (pdu.counters, true),
            Self::DataIn(pdu) => (pdu.counters, pdu.status.is_some()),
            Self::Logout(pdu) => (pdu.counters, true),
            Self::R2t(pdu) => (pdu.counters, false),
            Self::Async(pdu) => (pdu.counters, true),
            Self::Reject(pdu) => (pdu.counters, true),
        }
    }
}
