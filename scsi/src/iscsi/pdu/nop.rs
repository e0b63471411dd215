//! NOP-Out and NOP-In: pings both ways (RFC 7143 11.18, 11.19).

use super::frame::Frame;
use super::{Counters, Lun, opcode};
use crate::iscsi::serial::Serial;

/// NOP-Out: the initiator's ping, or its answer to one.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct NopOut {
    /// Not counted by CmdSN; to be taken at once.
    pub immediate: bool,
    /// As in the ping that is answered.
    pub lun: Lun,
    /// Initiator Task Tag; [`NO_TAG`](super::NO_TAG) where no answer is wanted.
    pub task_tag: u32,
    /// The ping that is answered, or [`NO_TAG`](super::NO_TAG).
    pub transfer_tag: u32,
    /// CmdSN.
    pub cmd_sn: Serial,
    /// ExpStatSN.
    pub exp_stat_sn: Serial,
    /// To be sent back.
    pub data: Vec<u8>,
}

impl NopOut {
    pub(super) fn parse(frame: Frame) -> Self {
        Self {
            immediate: frame.is_immediate(),
            lun: frame.lun(),
            task_tag: frame.task_tag(),
            transfer_tag: frame.u32_at(20),
            cmd_sn: frame.serial_at(24),
            exp_stat_sn: frame.serial_at(28),
            data: frame.data,
        }
    }

    pub(super) fn frame(&self) -> Frame {
        let mut frame = Frame::closed(opcode::NOP_OUT, self.data.clone());
        frame.set_immediate(self.immediate);
        frame.put(8, &self.lun.0);
        frame.put_u32(16, self.task_tag);
        frame.put_u32(20, self.transfer_tag);
        frame.put_u32(24, self.cmd_sn.0);
        frame.put_u32(28, self.exp_stat_sn.0);
        frame
    }
}

/// NOP-In: the target's ping, its answer to one, or only its counters.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct NopIn {
    /// To be repeated in the answer.
    pub lun: Lun,
    /// The ping that is answered, or [`NO_TAG`](super::NO_TAG).
    pub task_tag: u32,
    /// To be repeated in the answer; [`NO_TAG`](super::NO_TAG) where none is wanted.
    pub transfer_tag: u32,
    /// The target's counters.
    pub counters: Counters,
    /// What the ping carried.
    pub data: Vec<u8>,
}

impl NopIn {
    pub(super) fn parse(frame: Frame) -> Self {
        Self {
            lun: frame.lun(),
            task_tag: frame.task_tag(),
            transfer_tag: frame.u32_at(20),
            counters: Counters::parse(&frame),
            data: frame.data,
        }
    }

    pub(super) fn frame(&self) -> Frame {
        let mut frame = Frame::closed(opcode::NOP_IN, self.data.clone());
        frame.put(8, &self.lun.0);
        frame.put_u32(16, self.task_tag);
        frame.put_u32(20, self.transfer_tag);
        self.counters.put(&mut frame);
        frame
    }
}
