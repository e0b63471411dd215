//! Text Request and Text Response (RFC 7143 11.10, 11.11).

use super::frame::Frame;
use super::{Counters, Lun, PduError, opcode};
use crate::iscsi::serial::Serial;

const CONTINUE: u8 = 0x40;

/// The text goes on in the next PDU; such a PDU is not the final one.
fn continues(frame: &Frame) -> Result<bool, PduError> {
    match frame.has_flag(CONTINUE) {
        true if frame.is_final() => Err(PduError::Field {
            opcode: frame.opcode(),
            offset: 1,
        }),
        more => Ok(more),
    }
}

/// Text Request.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct TextRequest {
    /// Not counted by CmdSN; to be taken at once.
    pub immediate: bool,
    /// The initiator is ready to end the exchange.
    pub is_final: bool,
    /// The text goes on in the next request.
    pub more: bool,
    /// As in the response that is answered.
    pub lun: Lun,
    /// Initiator Task Tag.
    pub task_tag: u32,
    /// [`NO_TAG`](super::NO_TAG) at the start, else as in the last response.
    pub transfer_tag: u32,
    /// CmdSN.
    pub cmd_sn: Serial,
    /// ExpStatSN.
    pub exp_stat_sn: Serial,
    /// `key=value` pairs.
    pub text: Vec<u8>,
}

impl TextRequest {
    pub(super) fn parse(frame: Frame) -> Result<Self, PduError> {
        Ok(Self {
            immediate: frame.is_immediate(),
            is_final: frame.is_final(),
            more: continues(&frame)?,
            lun: frame.lun(),
            task_tag: frame.task_tag(),
            transfer_tag: frame.u32_at(20),
            cmd_sn: frame.serial_at(24),
            exp_stat_sn: frame.serial_at(28),
            text: frame.data,
        })
    }

    pub(super) fn frame(&self) -> Frame {
        let mut frame = Frame::new(opcode::TEXT_REQUEST, self.text.clone());
        frame.set_immediate(self.immediate);
        frame.set_final(self.is_final);
        frame.set_flag(CONTINUE, self.more);
        frame.put(8, &self.lun.0);
        frame.put_u32(16, self.task_tag);
        frame.put_u32(20, self.transfer_tag);
        frame.put_u32(24, self.cmd_sn.0);
        frame.put_u32(28, self.exp_stat_sn.0);
        frame
    }
}

/// Text Response.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct TextResponse {
    /// The exchange ends here.
    pub is_final: bool,
    /// The text goes on in the next response.
    pub more: bool,
    /// To be repeated in the next request.
    pub lun: Lun,
    /// Initiator Task Tag.
    pub task_tag: u32,
    /// To be repeated in the next request; [`NO_TAG`](super::NO_TAG) at the end.
    pub transfer_tag: u32,
    /// The target's counters.
    pub counters: Counters,
    /// `key=value` pairs.
    pub text: Vec<u8>,
}

impl TextResponse {
    pub(super) fn parse(frame: Frame) -> Result<Self, PduError> {
        Ok(Self {
            is_final: frame.is_final(),
            more: continues(&frame)?,
            lun: frame.lun(),
            task_tag: frame.task_tag(),
            transfer_tag: frame.u32_at(20),
            counters: Counters::parse(&frame),
            text: frame.data,
        })
    }

    pub(super) fn frame(&self) -> Frame {
        let mut frame = Frame::new(opcode::TEXT_RESPONSE, self.text.clone());
        frame.set_final(self.is_final);
        frame.set_flag(CONTINUE, self.more);
        frame.put(8, &self.lun.0);
        frame.put_u32(16, self.task_tag);
        frame.put_u32(20, self.transfer_tag);
        self.counters.put(&mut frame);
        frame
    }
}
