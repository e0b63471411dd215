//! SCSI Command and SCSI Response (RFC 7143 11.3, 11.4).

use super::frame::Frame;
use super::{Counters, Lun, PduError, opcode};
use crate::iscsi::serial::Serial;
use crate::wire::status::Status;

const READ: u8 = 0x40;
const WRITE: u8 = 0x20;
const OVERFLOW: u8 = 0x04;
const UNDERFLOW: u8 = 0x02;
/// AHSType of an extended CDB.
const EXTENDED_CDB: u8 = 1;
/// The part of a CDB that the header itself has room for.
const HEADER_CDB_BYTES: usize = 16;
/// The longest CDB there is (SPC-4 4.3.3).
const CDB_BYTES_MAX: usize = 260;

/// The task attribute (SAM-5 8.9).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum TaskAttribute {
    /// Not said: as SIMPLE.
    #[default]
    Untagged,
    /// SIMPLE.
    Simple,
    /// ORDERED.
    Ordered,
    /// HEAD OF QUEUE.
    HeadOfQueue,
    /// ACA.
    Aca,
}

/// SCSI Command.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct ScsiCommand {
    /// Not counted by CmdSN; to be taken at once.
    pub immediate: bool,
    /// No unsolicited Data-Out follows.
    pub is_final: bool,
    /// Data will go to the initiator.
    pub read: bool,
    /// Data will go to the target.
    pub write: bool,
    /// The task attribute.
    pub attribute: TaskAttribute,
    /// The logical unit.
    pub lun: Lun,
    /// Initiator Task Tag.
    pub task_tag: u32,
    /// How many bytes the initiator expects to move, both ways together at most.
    pub expected_bytes: u32,
    /// CmdSN.
    pub cmd_sn: Serial,
    /// ExpStatSN.
    pub exp_stat_sn: Serial,
    /// The CDB: 16 bytes, shorter ones padded with zeros, longer ones in an additional header.
    pub cdb: Vec<u8>,
    /// Immediate data.
    pub data: Vec<u8>,
}

impl ScsiCommand {
    pub(super) fn parse(frame: Frame) -> Result<Self, PduError> {
        let field = |offset| PduError::Field {
            opcode: opcode::SCSI_COMMAND,
            offset,
        };
        let attribute = match frame.header[1] & 0x07 {
            0 => TaskAttribute::Untagged,
            1 => TaskAttribute::Simple,
            2 => TaskAttribute::Ordered,
            3 => TaskAttribute::HeadOfQueue,
            4 => TaskAttribute::Aca,
            _ => return Err(field(1)),
        };
        let (read, write) = (frame.has_flag(READ), frame.has_flag(WRITE));
        if read && write {
            return Err(field(1));
        }
        let mut cdb = frame.header[32..48].to_vec();
        cdb.extend_from_slice(extended_cdb(&frame.additional).ok_or(field(4))?);
        Ok(Self {
            immediate: frame.is_immediate(),
            is_final: frame.is_final(),
            read,
            write,
            attribute,
            lun: frame.lun(),
            task_tag: frame.task_tag(),
            expected_bytes: frame.u32_at(20),
            cmd_sn: frame.serial_at(24),
            exp_stat_sn: frame.serial_at(28),
            cdb,
            data: frame.data,
        })
    }

    pub(super) fn frame(&self) -> Frame {
        assert!(self.cdb.len() <= CDB_BYTES_MAX, "no CDB is longer");
        let mut frame = Frame::new(opcode::SCSI_COMMAND, self.data.clone());
        frame.set_immediate(self.immediate);
        frame.set_final(self.is_final);
        frame.set_flag(READ, self.read);
        frame.set_flag(WRITE, self.write);
        frame.header[1] |= match self.attribute {
            TaskAttribute::Untagged => 0,
            TaskAttribute::Simple => 1,
            TaskAttribute::Ordered => 2,
            TaskAttribute::HeadOfQueue => 3,
            TaskAttribute::Aca => 4,
        };
        frame.put(8, &self.lun.0);
        frame.put_u32(16, self.task_tag);
        frame.put_u32(20, self.expected_bytes);
        frame.put_u32(24, self.cmd_sn.0);
        frame.put_u32(28, self.exp_stat_sn.0);
        let (here, beyond) = self.cdb.split_at(self.cdb.len().min(HEADER_CDB_BYTES));
        frame.put(32, here);
        if !beyond.is_empty() {
            // AHSLength counts from AHSSpecific on: one reserved byte and the rest of the CDB.
            let length = u16::try_from(beyond.len() + 1).expect("bounded above");
            frame.additional.extend_from_slice(&length.to_be_bytes());
            frame.additional.extend_from_slice(&[EXTENDED_CDB, 0]);
            frame.additional.extend_from_slice(beyond);
            let padded = frame.additional.len().next_multiple_of(4);
            frame.additional.resize(padded, 0);
        }
        frame
    }
}

/// The rest of a CDB out of the additional headers; empty where there is none. None when the list of
/// headers breaks its own lengths, or asks for what is not supported (a bidirectional transfer).
fn extended_cdb(mut additional: &[u8]) -> Option<&[u8]> {
    let mut beyond: &[u8] = &[];
    while let Some((head, rest)) = additional.split_first_chunk::<4>() {
        let length = usize::from(u16::from_be_bytes([head[0], head[1]]));
        // The fourth byte is the first of the AHSLength bytes.
        let content = length.checked_sub(1)?;
        if head[2] != EXTENDED_CDB
            || !beyond.is_empty()
            || content > CDB_BYTES_MAX - HEADER_CDB_BYTES
        {
            return None;
        }
        beyond = rest.get(..content)?;
        additional = rest.get(content.next_multiple_of(4)..)?;
    }
    Some(beyond)
}

/// The difference between what was expected to move and what the command would move (RFC 7143 11.4.5).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Residual {
    /// None.
    #[default]
    None,
    /// So many bytes were not moved.
    Underflow(u32),
    /// So many bytes more would have been moved.
    Overflow(u32),
}

impl Residual {
    pub(super) fn parse(frame: &Frame) -> Result<Self, PduError> {
        match (frame.has_flag(OVERFLOW), frame.has_flag(UNDERFLOW)) {
            (false, false) => Ok(Self::None),
            (false, true) => Ok(Self::Underflow(frame.u32_at(44))),
            (true, false) => Ok(Self::Overflow(frame.u32_at(44))),
            (true, true) => Err(PduError::Field {
                opcode: frame.opcode(),
                offset: 1,
            }),
        }
    }

    pub(super) fn put(self, frame: &mut Frame) {
        match self {
            Self::None => {}
            Self::Underflow(count) => {
                frame.set_flag(UNDERFLOW, true);
                frame.put_u32(44, count);
            }
            Self::Overflow(count) => {
                frame.set_flag(OVERFLOW, true);
                frame.put_u32(44, count);
            }
        }
    }
}

/// SCSI Response.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct ScsiResponse {
    /// Initiator Task Tag.
    pub task_tag: u32,
    /// The iSCSI service response: 0 when the command was completed at the target; otherwise the
    /// target failed and `status` means nothing.
    pub response: u8,
    /// The SAM status.
    pub status: u8,
    /// Sense data; empty when there is none.
    pub sense: Vec<u8>,
    /// What was not, or would have been, moved.
    pub residual: Residual,
    /// How many Data-In or R2T PDUs were sent for the command.
    pub exp_data_sn: u32,
    /// The target's counters.
    pub counters: Counters,
}

impl ScsiResponse {
    /// Completed at the target.
    pub const COMPLETED: u8 = 0;

    /// The status, if the command was completed.
    #[must_use]
    pub const fn completed(&self) -> Option<Status> {
        match self.response {
            Self::COMPLETED => Some(Status(self.status)),
            _ => None,
        }
    }

    pub(super) fn parse(frame: &Frame) -> Result<Self, PduError> {
        Ok(Self {
            task_tag: frame.task_tag(),
            response: frame.header[2],
            status: frame.header[3],
            sense: sense_of(&frame.data, frame.opcode())?,
            residual: Residual::parse(frame)?,
            exp_data_sn: frame.u32_at(36),
            counters: Counters::parse(frame),
        })
    }

    pub(super) fn frame(&self) -> Frame {
        let mut frame = Frame::closed(opcode::SCSI_RESPONSE, sense_segment(&self.sense));
        frame.header[2] = self.response;
        frame.header[3] = self.status;
        frame.put_u32(16, self.task_tag);
        self.counters.put(&mut frame);
        frame.put_u32(36, self.exp_data_sn);
        self.residual.put(&mut frame);
        frame
    }
}

/// Sense data out of a data segment: its length in two bytes, the sense, then response data that is not
/// used.
pub(super) fn sense_of(data: &[u8], opcode: u8) -> Result<Vec<u8>, PduError> {
    if data.is_empty() {
        return Ok(Vec::new());
    }
    let (length, rest) = data
        .split_first_chunk::<2>()
        .ok_or(PduError::Data { opcode })?;
    let sense = rest
        .get(..usize::from(u16::from_be_bytes(*length)))
        .ok_or(PduError::Data { opcode })?;
    Ok(sense.to_vec())
}

/// The data segment for this sense data.
pub(super) fn sense_segment(sense: &[u8]) -> Vec<u8> {
    if sense.is_empty() {
        return Vec::new();
    }
    let length = u16::try_from(sense.len()).expect("sense data has at most 252 bytes");
    let mut data = length.to_be_bytes().to_vec();
    data.extend_from_slice(sense);
    data
}

impl Counters {
    pub(super) const fn parse(frame: &Frame) -> Self {
        Self {
            stat_sn: frame.serial_at(24),
            exp_cmd_sn: frame.serial_at(28),
            max_cmd_sn: frame.serial_at(32),
        }
    }

    pub(super) fn put(&self, frame: &mut Frame) {
        frame.put_u32(24, self.stat_sn.0);
        frame.put_u32(28, self.exp_cmd_sn.0);
        frame.put_u32(32, self.max_cmd_sn.0);
    }
}
