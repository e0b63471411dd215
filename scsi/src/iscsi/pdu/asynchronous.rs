//! Asynchronous Message: something happened at the target (RFC 7143 11.9).

use super::frame::Frame;
use super::scsi::{sense_of, sense_segment};
use super::{Counters, Lun, NO_TAG, PduError, opcode};

/// What happened.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum AsyncEvent {
    /// A SCSI asynchronous event, with its sense data.
    Scsi(Vec<u8>),
    /// The target asks to be logged out of, within so many seconds.
    LogoutRequest {
        /// Parameter 3.
        within_seconds: u16,
    },
    /// The target will drop, or has dropped, a connection.
    ConnectionDropped {
        /// Parameter 1.
        connection: u16,
    },
    /// The target will drop all connections of the session.
    SessionDropped,
    /// The target asks to negotiate anew.
    Negotiate,
    /// A code that is not known here.
    Other(u8),
}

/// Asynchronous Message.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Async {
    /// The logical unit, where one is meant.
    pub lun: Lun,
    /// The target's counters.
    pub counters: Counters,
    /// What happened.
    pub event: AsyncEvent,
}

impl Async {
    pub(super) fn parse(frame: &Frame) -> Result<Self, PduError> {
        let event = match frame.header[36] {
            0 => AsyncEvent::Scsi(sense_of(&frame.data, opcode::ASYNC)?),
            1 => AsyncEvent::LogoutRequest {
                within_seconds: frame.u16_at(42),
            },
            2 => AsyncEvent::ConnectionDropped {
                connection: frame.u16_at(38),
            },
            3 => AsyncEvent::SessionDropped,
            4 => AsyncEvent::Negotiate,
            other => AsyncEvent::Other(other),
        };
        Ok(Self {
            lun: frame.lun(),
            counters: Counters::parse(frame),
            event,
        })
    }

    pub(super) fn frame(&self) -> Frame {
        let data = match &self.event {
            AsyncEvent::Scsi(sense) => sense_segment(sense),
            AsyncEvent::LogoutRequest { .. }
            | AsyncEvent::ConnectionDropped { .. }
            | AsyncEvent::SessionDropped
            | AsyncEvent::Negotiate
            | AsyncEvent::Other(_) => Vec::new(),
        };
        let mut frame = Frame::closed(opcode::ASYNC, data);
        frame.put(8, &self.lun.0);
        frame.put_u32(16, NO_TAG);
        self.counters.put(&mut frame);
        match self.event {
            AsyncEvent::Scsi(_) => {}
            AsyncEvent::LogoutRequest { within_seconds } => {
                frame.header[36] = 1;
                frame.put_u16(42, within_seconds);
            }
            AsyncEvent::ConnectionDropped { connection } => {
                frame.header[36] = 2;
                frame.put_u16(38, connection);
            }
            AsyncEvent::SessionDropped => frame.header[36] = 3,
            AsyncEvent::Negotiate => frame.header[36] = 4,
            AsyncEvent::Other(code) => frame.header[36] = code,
        }
        frame
    }
}
