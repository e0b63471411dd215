//! What an initiator sends.

use super::frame::{Digests, Frame};
use super::{
    DataOut, LoginRequest, LogoutRequest, NopOut, PduError, ScsiCommand, TaskRequest, TextRequest,
    opcode,
};

/// A PDU from an initiator to a target.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Request {
    /// NOP-Out.
    NopOut(NopOut),
    /// SCSI Command.
    ScsiCommand(ScsiCommand),
    /// Task Management Function Request.
    Task(TaskRequest),
    /// Login Request.
    Login(LoginRequest),
    /// Text Request.
    Text(TextRequest),
    /// SCSI Data-Out.
    DataOut(DataOut),
    /// Logout Request.
    Logout(LogoutRequest),
}

impl Request {
    /// The value of this frame.
    ///
    /// # Errors
    /// [`PduError`] when it is not an initiator's, or a field of it is invalid.
    pub fn parse(frame: Frame) -> Result<Self, PduError> {
        Ok(match frame.opcode() {
            opcode::NOP_OUT => Self::NopOut(NopOut::parse(frame)),
            opcode::SCSI_COMMAND => Self::ScsiCommand(ScsiCommand::parse(frame)?),
            opcode::TASK_REQUEST => Self::Task(TaskRequest::parse(&frame)),
            opcode::LOGIN_REQUEST => Self::Login(LoginRequest::parse(frame)?),
            opcode::TEXT_REQUEST => Self::Text(TextRequest::parse(frame)?),
            opcode::DATA_OUT => Self::DataOut(DataOut::parse(frame)),
            opcode::LOGOUT_REQUEST => Self::Logout(LogoutRequest::parse(&frame)),
            other => return Err(PduError::Opcode(other)),
        })
    }

    /// Appends it as it travels.
    pub fn emit(&self, digests: Digests, out: &mut Vec<u8>) {
        let frame = match self {
            Self::NopOut(pdu) => pdu.frame(),
            Self::ScsiCommand(pdu) => pdu.frame(),
            Self::Task(pdu) => pdu.frame(),
            Self::Login(pdu) => pdu.frame(),
            Self::Text(pdu) => pdu.frame(),
            Self::DataOut(pdu) => pdu.frame(),
            Self::Logout(pdu) => pdu.frame(),
        };
        frame.emit(digests, out);
    }
}
