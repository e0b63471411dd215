//! Sense keys and additional sense codes: their words, and those that a device server answers.

use super::Sense;

/// SENSE KEY values (SPC-4, Sense key and additional sense code definitions).
pub mod key {
    /// NO SENSE.
    pub const NO_SENSE: u8 = 0x0;
    /// RECOVERED ERROR.
    pub const RECOVERED_ERROR: u8 = 0x1;
    /// NOT READY.
    pub const NOT_READY: u8 = 0x2;
    /// MEDIUM ERROR.
    pub const MEDIUM_ERROR: u8 = 0x3;
    /// HARDWARE ERROR.
    pub const HARDWARE_ERROR: u8 = 0x4;
    /// ILLEGAL REQUEST.
    pub const ILLEGAL_REQUEST: u8 = 0x5;
    /// UNIT ATTENTION.
    pub const UNIT_ATTENTION: u8 = 0x6;
    /// DATA PROTECT.
    pub const DATA_PROTECT: u8 = 0x7;
    /// ABORTED COMMAND.
    pub const ABORTED_COMMAND: u8 = 0xb;
    /// MISCOMPARE.
    pub const MISCOMPARE: u8 = 0xe;
}

/// What a device server answers (SPC-4 E.2).
impl Sense {
    /// NO SENSE: the answer to REQUEST SENSE when nothing is pending.
    pub const NO_SENSE: Self = Self::new(key::NO_SENSE, 0x00, 0x00);

    /// LOGICAL UNIT COMMUNICATION FAILURE: also LIO's answer to an unregistered PR OUT when nothing is
    /// held.
    pub const COMMUNICATION_FAILURE: Self = Self::new(key::NOT_READY, 0x08, 0x00);
    /// WRITE ERROR of the medium.
    pub const WRITE_ERROR: Self = Self::new(key::MEDIUM_ERROR, 0x0c, 0x00);
    /// UNRECOVERED READ ERROR of the medium.
    pub const UNRECOVERED_READ_ERROR: Self = Self::new(key::MEDIUM_ERROR, 0x11, 0x00);
    /// INTERNAL TARGET FAILURE.
    pub const INTERNAL_TARGET_FAILURE: Self = Self::new(key::HARDWARE_ERROR, 0x44, 0x00);

    /// PARAMETER LIST LENGTH ERROR.
    pub const PARAMETER_LIST_LENGTH_ERROR: Self = Self::new(key::ILLEGAL_REQUEST, 0x1a, 0x00);
    /// INVALID COMMAND OPERATION CODE.
    pub const INVALID_OPCODE: Self = Self::new(key::ILLEGAL_REQUEST, 0x20, 0x00);
    /// LOGICAL BLOCK ADDRESS OUT OF RANGE.
    pub const LBA_OUT_OF_RANGE: Self = Self::new(key::ILLEGAL_REQUEST, 0x21, 0x00);
    /// INVALID FIELD IN CDB.
    pub const INVALID_FIELD_IN_CDB: Self = Self::new(key::ILLEGAL_REQUEST, 0x24, 0x00);
    /// LOGICAL UNIT NOT SUPPORTED.
    pub const LOGICAL_UNIT_NOT_SUPPORTED: Self = Self::new(key::ILLEGAL_REQUEST, 0x25, 0x00);
    /// INVALID FIELD IN PARAMETER LIST.
    pub const INVALID_FIELD_IN_LIST: Self = Self::new(key::ILLEGAL_REQUEST, 0x26, 0x00);
    /// INVALID RELEASE OF PERSISTENT RESERVATION: another scope or type than is held.
    pub const INVALID_RELEASE: Self = Self::new(key::ILLEGAL_REQUEST, 0x26, 0x04);
    /// INSUFFICIENT RESOURCES.
    pub const INSUFFICIENT_RESOURCES: Self = Self::new(key::ILLEGAL_REQUEST, 0x55, 0x03);
    /// INSUFFICIENT REGISTRATION RESOURCES.
    pub const INSUFFICIENT_REGISTRATION_RESOURCES: Self =
        Self::new(key::ILLEGAL_REQUEST, 0x55, 0x04);

    /// MODE PARAMETERS CHANGED.
    pub const MODE_PARAMETERS_CHANGED: Self = Self::new(key::UNIT_ATTENTION, 0x2a, 0x01);
    /// RESERVATIONS PREEMPTED: CLEAR.
    pub const RESERVATIONS_PREEMPTED: Self = Self::new(key::UNIT_ATTENTION, 0x2a, 0x03);
    /// RESERVATIONS RELEASED.
    pub const RESERVATIONS_RELEASED: Self = Self::new(key::UNIT_ATTENTION, 0x2a, 0x04);
    /// REGISTRATIONS PREEMPTED.
    pub const REGISTRATIONS_PREEMPTED: Self = Self::new(key::UNIT_ATTENTION, 0x2a, 0x05);
    /// CAPACITY DATA HAS CHANGED.
    pub const CAPACITY_CHANGED: Self = Self::new(key::UNIT_ATTENTION, 0x2a, 0x09);
    /// POWER ON, RESET, OR BUS DEVICE RESET OCCURRED.
    pub const RESET_OCCURRED: Self = Self::new(key::UNIT_ATTENTION, 0x29, 0x00);
    /// POWER ON OCCURRED.
    pub const POWER_ON_OCCURRED: Self = Self::new(key::UNIT_ATTENTION, 0x29, 0x01);
    /// SCSI BUS RESET OCCURRED.
    pub const BUS_RESET_OCCURRED: Self = Self::new(key::UNIT_ATTENTION, 0x29, 0x02);
    /// BUS DEVICE RESET FUNCTION OCCURRED: a LUN or target reset.
    pub const DEVICE_RESET_OCCURRED: Self = Self::new(key::UNIT_ATTENTION, 0x29, 0x03);
    /// I_T NEXUS LOSS OCCURRED.
    pub const NEXUS_LOSS_OCCURRED: Self = Self::new(key::UNIT_ATTENTION, 0x29, 0x07);
    /// COMMANDS CLEARED BY ANOTHER INITIATOR.
    pub const COMMANDS_CLEARED: Self = Self::new(key::UNIT_ATTENTION, 0x2f, 0x00);

    /// WRITE PROTECTED.
    pub const WRITE_PROTECTED: Self = Self::new(key::DATA_PROTECT, 0x27, 0x00);
    /// MISCOMPARE DURING VERIFY OPERATION: COMPARE AND WRITE found other data; INFORMATION has the
    /// offset of the first difference.
    pub const MISCOMPARE: Self = Self::new(key::MISCOMPARE, 0x1d, 0x00);
}

/// The name of a sense key.
pub(super) const fn key_words(key: u8) -> &'static str {
    match key {
        key::NO_SENSE => "NO SENSE",
        key::RECOVERED_ERROR => "RECOVERED ERROR",
        key::NOT_READY => "NOT READY",
        key::MEDIUM_ERROR => "MEDIUM ERROR",
        key::HARDWARE_ERROR => "HARDWARE ERROR",
        key::ILLEGAL_REQUEST => "ILLEGAL REQUEST",
        key::UNIT_ATTENTION => "UNIT ATTENTION",
        key::DATA_PROTECT => "DATA PROTECT",
        0x8 => "BLANK CHECK",
        0x9 => "VENDOR SPECIFIC",
        0xa => "COPY ABORTED",
        key::ABORTED_COMMAND => "ABORTED COMMAND",
        0xd => "VOLUME OVERFLOW",
        key::MISCOMPARE => "MISCOMPARE",
        0xf => "COMPLETED",
        _ => "reserved sense key",
    }
}

/// Words for the additional sense codes that a shared disk is seen to answer (SPC-4 E.2; the
/// wording is ours where an operator is helped by it). `None` for the rest: the numbers are printed.
pub(super) const fn code_words(asc: u8, ascq: u8) -> Option<&'static str> {
    Some(match (asc, ascq) {
        (0x02, 0x00) => "no seek complete",
        (0x03, _) => "peripheral device write fault",
        (0x04, 0x00) => "logical unit not ready, cause not reportable",
        (0x04, 0x01) => "logical unit is becoming ready",
        (0x04, 0x02) => "logical unit not ready, start command required",
        (0x04, 0x03) => "logical unit not ready, manual intervention required",
        (0x04, 0x04) => "logical unit not ready, format in progress",
        (0x04, 0x07) => "logical unit not ready, operation in progress",
        (0x04, 0x09) => "logical unit not ready, self-test in progress",
        (0x04, 0x0a) => "logical unit not accessible, asymmetric access state transition",
        (0x04, 0x0b) => "logical unit not accessible, target port in standby state",
        (0x04, 0x0c) => "logical unit not accessible, target port in unavailable state",
        (0x05, 0x00) => "logical unit does not respond to selection",
        (0x08, 0x00) => "logical unit communication failure (LIO: not registered)",
        (0x08, 0x01) => "logical unit communication time-out",
        (0x0c, 0x00) => "write error",
        (0x0c, 0x02) => "write error, auto reallocation failed",
        (0x0e, 0x03) => "invalid field in command information unit",
        (0x10, _) => "block protection information check failed",
        (0x11, 0x00) => "unrecovered read error",
        (0x14, 0x00) => "recorded entity not found",
        (0x1a, 0x00) => "parameter list length error",
        (0x1b, 0x00) => "synchronous data transfer error",
        (0x1d, 0x00) => "miscompare during verify operation",
        (0x20, 0x00) => "invalid command operation code: not supported",
        (0x20, 0x02) => "access denied, no access rights",
        (0x21, 0x00) => "logical block address out of range",
        (0x24, 0x00) => "invalid field in CDB",
        (0x25, 0x00) => "logical unit not supported",
        (0x26, 0x00) => "invalid field in parameter list",
        (0x26, 0x01) => "parameter not supported",
        (0x26, 0x02) => "parameter value invalid",
        (0x26, 0x04) => "invalid release of persistent reservation: other scope or type than held",
        (0x27, 0x00) => "write protected",
        (0x27, 0x07) => "space allocation failed, write protected",
        (0x28, 0x00) => "medium may have changed",
        (0x29, 0x00) => "power on, reset, or bus device reset occurred",
        (0x29, 0x01) => "power on occurred",
        (0x29, 0x02) => "SCSI bus reset occurred",
        (0x29, 0x03) => "LUN or target reset occurred",
        (0x29, 0x04) => "device internal reset",
        (0x29, 0x05) => "transceiver mode changed to single-ended",
        (0x29, 0x06) => "transceiver mode changed to LVD",
        (0x29, 0x07) => "I_T nexus loss occurred",
        (0x2a, 0x00) => "parameters changed",
        (0x2a, 0x01) => "mode parameters changed",
        (0x2a, 0x02) => "log parameters changed",
        (0x2a, 0x03) => "reservations preempted: somebody cleared the disk",
        (0x2a, 0x04) => "reservations released",
        (0x2a, 0x05) => "registrations preempted: our key was removed",
        (0x2a, 0x06) => "asymmetric access state changed",
        (0x2a, 0x07) => "implicit asymmetric access state transition failed",
        (0x2a, 0x09) => "capacity data has changed",
        (0x2c, 0x00) => "command sequence error",
        (0x2f, 0x00) => "commands cleared by another initiator",
        (0x2f, 0x01) => "commands cleared by power loss notification",
        (0x2f, 0x02) => "commands cleared by device server",
        (0x31, 0x00) => "medium format corrupted",
        (0x38, 0x07) => "thin provisioning soft threshold reached",
        (0x39, 0x00) => "saving parameters not supported",
        (0x3a, _) => "medium not present",
        (0x3e, 0x00) => "logical unit has not self-configured yet",
        (0x3e, 0x01) => "logical unit failure",
        (0x3f, 0x01) => "microcode has been changed",
        (0x3f, 0x03) => "INQUIRY data has changed",
        (0x3f, 0x05) => "device identifier changed",
        (0x3f, 0x0e) => "reported LUNs data has changed",
        (0x44, 0x00) => "internal target failure",
        (0x45, 0x00) => "select or reselect failure",
        (0x47, _) => "SCSI parity or CRC error",
        (0x48, 0x00) => "initiator detected error message received",
        (0x49, 0x00) => "invalid message error",
        (0x4b, 0x00) => "data phase error",
        (0x4e, 0x00) => "overlapped commands attempted",
        (0x53, 0x02) => "medium removal prevented",
        (0x55, 0x02) => "insufficient reservation resources",
        (0x55, 0x03) => "insufficient resources",
        (0x55, 0x04) => "insufficient registration resources: the registrant table is full",
        (0x5d, _) => "failure prediction threshold exceeded",
        (0x5e, _) => "low power condition",
        _ => return None,
    })
}
