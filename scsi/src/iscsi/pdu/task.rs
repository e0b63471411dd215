//! Task Management Function Request and Response (RFC 7143 11.5, 11.6).

use super::frame::Frame;
use super::{Counters, Lun, opcode};
use crate::iscsi::serial::Serial;

/// A task management function.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum TaskFunction {
    /// One task of one's own.
    AbortTask,
    /// All tasks of one's own on the logical unit.
    AbortTaskSet,
    /// Ends an auto contingent allegiance.
    ClearAca,
    /// All tasks of everybody on the logical unit.
    ClearTaskSet,
    /// Resets the logical unit.
    LogicalUnitReset,
    /// Resets all logical units.
    TargetWarmReset,
    /// As a power cycle: all sessions end.
    TargetColdReset,
    /// A code that is not known here (TASK REASSIGN too, which belongs to higher error recovery levels).
    Other(u8),
}

impl TaskFunction {
    const fn from_code(code: u8) -> Self {
        match code {
            1 => Self::AbortTask,
            2 => Self::AbortTaskSet,
            3 => Self::ClearAca,
            4 => Self::ClearTaskSet,
            5 => Self::LogicalUnitReset,
            6 => Self::TargetWarmReset,
            7 => Self::TargetColdReset,
            other => Self::Other(other),
        }
    }

    const fn code(self) -> u8 {
        match self {
            Self::AbortTask => 1,
            Self::AbortTaskSet => 2,
            Self::ClearAca => 3,
            Self::ClearTaskSet => 4,
            Self::LogicalUnitReset => 5,
            Self::TargetWarmReset => 6,
            Self::TargetColdReset => 7,
            Self::Other(code) => code,
        }
    }
}

/// Task Management Function Request.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct TaskRequest {
    /// Not counted by CmdSN; to be taken at once.
    pub immediate: bool,
    /// What to do.
    pub function: TaskFunction,
    /// The logical unit; not meaningful for the target resets.
    pub lun: Lun,
    /// Initiator Task Tag of the request itself.
    pub task_tag: u32,
    /// The task that is meant (ABORT TASK), else [`NO_TAG`](super::NO_TAG).
    pub referenced_task_tag: u32,
    /// CmdSN.
    pub cmd_sn: Serial,
    /// ExpStatSN.
    pub exp_stat_sn: Serial,
    /// CmdSN of the task that is meant (ABORT TASK).
    pub ref_cmd_sn: Serial,
}

impl TaskRequest {
    pub(super) fn parse(frame: &Frame) -> Self {
        Self {
            immediate: frame.is_immediate(),
            function: TaskFunction::from_code(frame.header[1] & 0x7f),
            lun: frame.lun(),
            task_tag: frame.task_tag(),
            referenced_task_tag: frame.u32_at(20),
            cmd_sn: frame.serial_at(24),
            exp_stat_sn: frame.serial_at(28),
            ref_cmd_sn: frame.serial_at(32),
        }
    }

    pub(super) fn frame(&self) -> Frame {
        let mut frame = Frame::closed(opcode::TASK_REQUEST, Vec::new());
        frame.set_immediate(self.immediate);
        frame.header[1] |= self.function.code();
        frame.put(8, &self.lun.0);
        frame.put_u32(16, self.task_tag);
        frame.put_u32(20, self.referenced_task_tag);
        frame.put_u32(24, self.cmd_sn.0);
        frame.put_u32(28, self.exp_stat_sn.0);
        frame.put_u32(32, self.ref_cmd_sn.0);
        frame
    }
}

/// The target's answer to a task management request. Unknown codes are kept.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TaskAnswer(pub u8);

impl TaskAnswer {
    /// Done.
    pub const COMPLETE: Self = Self(0);
    /// No such task.
    pub const NO_TASK: Self = Self(1);
    /// No such logical unit.
    pub const NO_LUN: Self = Self(2);
    /// The function is not there.
    pub const NOT_SUPPORTED: Self = Self(5);
    /// Not allowed.
    pub const NOT_AUTHORISED: Self = Self(6);
    /// Refused.
    pub const REJECTED: Self = Self(255);
}

/// As an operator reads it.
impl std::fmt::Display for TaskAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match *self {
            Self::COMPLETE => "function complete",
            Self::NO_TASK => "task does not exist",
            Self::NO_LUN => "LUN does not exist",
            Self::NOT_SUPPORTED => "function not supported",
            Self::NOT_AUTHORISED => "function authorization failed",
            Self::REJECTED => "function rejected",
            Self(code) => return write!(f, "response {code}"),
        })
    }
}

impl std::fmt::Debug for TaskAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

/// Task Management Function Response.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct TaskResponse {
    /// The answer.
    pub answer: TaskAnswer,
    /// Initiator Task Tag of the request.
    pub task_tag: u32,
    /// The target's counters.
    pub counters: Counters,
}

impl TaskResponse {
    pub(super) const fn parse(frame: &Frame) -> Self {
        Self {
            answer: TaskAnswer(frame.header[2]),
            task_tag: frame.task_tag(),
            counters: Counters::parse(frame),
        }
    }

    pub(super) fn frame(&self) -> Frame {
        let mut frame = Frame::closed(opcode::TASK_RESPONSE, Vec::new());
        frame.header[2] = self.answer.0;
        frame.put_u32(16, self.task_tag);
        self.counters.put(&mut frame);
        frame
    }
}
