//! SCSI Data-Out, SCSI Data-In and Ready To Transfer (RFC 7143 11.7, 11.8).

use super::frame::Frame;
use super::{Counters, Lun, PduError, Residual, opcode};
use crate::iscsi::serial::Serial;

const STATUS: u8 = 0x01;

/// SCSI Data-Out.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct DataOut {
    /// The last of its burst.
    pub is_final: bool,
    /// The logical unit.
    pub lun: Lun,
    /// Initiator Task Tag.
    pub task_tag: u32,
    /// The R2T that is answered, or [`NO_TAG`](super::NO_TAG) for unsolicited data.
    pub transfer_tag: u32,
    /// ExpStatSN.
    pub exp_stat_sn: Serial,
    /// Counts the PDUs of a burst, from 0.
    pub data_sn: u32,
    /// Where the data belongs in the command's data.
    pub offset: u32,
    /// The data.
    pub data: Vec<u8>,
}

impl DataOut {
    pub(super) fn parse(frame: Frame) -> Self {
        Self {
            is_final: frame.is_final(),
            lun: frame.lun(),
            task_tag: frame.task_tag(),
            transfer_tag: frame.u32_at(20),
            exp_stat_sn: frame.serial_at(28),
            data_sn: frame.u32_at(36),
            offset: frame.u32_at(40),
            data: frame.data,
        }
    }

    pub(super) fn frame(&self) -> Frame {
        let mut frame = Frame::new(opcode::DATA_OUT, self.data.clone());
        frame.set_final(self.is_final);
        frame.put(8, &self.lun.0);
        frame.put_u32(16, self.task_tag);
        frame.put_u32(20, self.transfer_tag);
        frame.put_u32(28, self.exp_stat_sn.0);
        frame.put_u32(36, self.data_sn);
        frame.put_u32(40, self.offset);
        frame
    }
}

/// The status that the last Data-In of a command may carry in place of a SCSI Response.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct DataInStatus {
    /// The SAM status; never one that comes with sense data.
    pub status: u8,
    /// What was not, or would have been, moved.
    pub residual: Residual,
}

/// SCSI Data-In.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct DataIn {
    /// The last of its burst.
    pub is_final: bool,
    /// The logical unit; only meaningful with a transfer tag.
    pub lun: Lun,
    /// Initiator Task Tag.
    pub task_tag: u32,
    /// Target Transfer Tag; [`NO_TAG`](super::NO_TAG) where no acknowledgement is asked for.
    pub transfer_tag: u32,
    /// The target's counters; StatSN only counts with a status.
    pub counters: Counters,
    /// Counts the Data-In PDUs of the command, from 0.
    pub data_sn: u32,
    /// Where the data belongs in the command's data.
    pub offset: u32,
    /// The command's status, where this PDU brings it.
    pub status: Option<DataInStatus>,
    /// The data.
    pub data: Vec<u8>,
}

impl DataIn {
    pub(super) fn parse(frame: Frame) -> Result<Self, PduError> {
        let status = if frame.has_flag(STATUS) {
            Some(DataInStatus {
                status: frame.header[3],
                residual: Residual::parse(&frame)?,
            })
        } else {
            None
        };
        if status.is_some() && !frame.is_final() {
            return Err(PduError::Field {
                opcode: opcode::DATA_IN,
                offset: 1,
            });
        }
        Ok(Self {
            is_final: frame.is_final(),
            lun: frame.lun(),
            task_tag: frame.task_tag(),
            transfer_tag: frame.u32_at(20),
            counters: Counters::parse(&frame),
            data_sn: frame.u32_at(36),
            offset: frame.u32_at(40),
            status,
            data: frame.data,
        })
    }

    pub(super) fn frame(&self) -> Frame {
        let mut frame = Frame::new(opcode::DATA_IN, self.data.clone());
        frame.set_final(self.is_final);
        frame.put(8, &self.lun.0);
        frame.put_u32(16, self.task_tag);
        frame.put_u32(20, self.transfer_tag);
        self.counters.put(&mut frame);
        frame.put_u32(36, self.data_sn);
        frame.put_u32(40, self.offset);
        if let Some(DataInStatus { status, residual }) = self.status {
            frame.set_flag(STATUS, true);
            frame.header[3] = status;
            residual.put(&mut frame);
        }
        frame
    }
}

/// Ready To Transfer: the target asks for data.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct R2t {
    /// The logical unit.
    pub lun: Lun,
    /// Initiator Task Tag.
    pub task_tag: u32,
    /// To be repeated in the Data-Out that answers.
    pub transfer_tag: u32,
    /// The target's counters; StatSN is the next one and not counted.
    pub counters: Counters,
    /// Counts the R2Ts of the command, from 0.
    pub r2t_sn: u32,
    /// From where in the command's data.
    pub offset: u32,
    /// How much; never 0.
    pub desired_bytes: u32,
}

impl R2t {
    pub(super) const fn parse(frame: &Frame, lun: Lun) -> Result<Self, PduError> {
        let desired_bytes = frame.u32_at(44);
        if desired_bytes == 0 {
            return Err(PduError::Field {
                opcode: opcode::R2T,
                offset: 44,
            });
        }
        Ok(Self {
            lun,
            task_tag: frame.task_tag(),
            transfer_tag: frame.u32_at(20),
            counters: Counters::parse(frame),
            r2t_sn: frame.u32_at(36),
            offset: frame.u32_at(40),
            desired_bytes,
        })
    }

    pub(super) fn frame(&self) -> Frame {
        let mut frame = Frame::closed(opcode::R2T, Vec::new());
        frame.put(8, &self.lun.0);
        frame.put_u32(16, self.task_tag);
        frame.put_u32(20, self.transfer_tag);
        self.counters.put(&mut frame);
        frame.put_u32(36, self.r2t_sn);
        frame.put_u32(40, self.offset);
        frame.put_u32(44, self.desired_bytes);
        frame
    }
}
