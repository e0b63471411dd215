//! Logout Request and Logout Response (RFC 7143 11.14, 11.15).

use super::frame::Frame;
use super::{Counters, opcode};
use crate::iscsi::serial::Serial;

/// Why somebody logs out.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum LogoutReason {
    /// The session ends.
    CloseSession,
    /// The connection ends; with one connection a session, the session too.
    CloseConnection,
    /// A code that is not known here (removal for recovery too, which belongs to higher error recovery
    /// levels).
    Other(u8),
}

/// Logout Request.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct LogoutRequest {
    /// Not counted by CmdSN; to be taken at once.
    pub immediate: bool,
    /// Why.
    pub reason: LogoutReason,
    /// Initiator Task Tag.
    pub task_tag: u32,
    /// The connection that is meant.
    pub connection: u16,
    /// CmdSN.
    pub cmd_sn: Serial,
    /// ExpStatSN.
    pub exp_stat_sn: Serial,
}

impl LogoutRequest {
    pub(super) const fn parse(frame: &Frame) -> Self {
        Self {
            immediate: frame.is_immediate(),
            reason: match frame.header[1] & 0x7f {
                0 => LogoutReason::CloseSession,
                1 => LogoutReason::CloseConnection,
                other => LogoutReason::Other(other),
            },
            task_tag: frame.task_tag(),
            connection: frame.u16_at(20),
            cmd_sn: frame.serial_at(24),
            exp_stat_sn: frame.serial_at(28),
        }
    }

    pub(super) fn frame(&self) -> Frame {
        let mut frame = Frame::closed(opcode::LOGOUT_REQUEST, Vec::new());
        frame.set_immediate(self.immediate);
        frame.header[1] |= match self.reason {
            LogoutReason::CloseSession => 0,
            LogoutReason::CloseConnection => 1,
            LogoutReason::Other(code) => code,
        };
        frame.put_u32(16, self.task_tag);
        frame.put_u16(20, self.connection);
        frame.put_u32(24, self.cmd_sn.0);
        frame.put_u32(28, self.exp_stat_sn.0);
        frame
    }
}

/// Logout Response.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct LogoutResponse {
    /// 0 when the session or connection was closed.
    pub response: u8,
    /// Initiator Task Tag.
    pub task_tag: u32,
    /// The target's counters.
    pub counters: Counters,
}

impl LogoutResponse {
    /// Closed.
    pub const CLOSED: u8 = 0;
    /// There is no such connection.
    pub const NO_CONNECTION: u8 = 1;
    /// Connections cannot be recovered.
    pub const NO_RECOVERY: u8 = 2;

    pub(super) const fn parse(frame: &Frame) -> Self {
        Self {
            response: frame.header[2],
            task_tag: frame.task_tag(),
            counters: Counters::parse(frame),
        }
    }

    pub(super) fn frame(&self) -> Frame {
        let mut frame = Frame::closed(opcode::LOGOUT_RESPONSE, Vec::new());
        frame.header[2] = self.response;
        frame.put_u32(16, self.task_tag);
        self.counters.put(&mut frame);
        frame
    }
}
