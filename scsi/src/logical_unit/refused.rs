//! Why a command ends with another status than GOOD.

use crate::wire::sense::Sense;
use crate::wire::status::Status;

/// What a rule answers when it does not do what was asked.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Refused {
    /// RESERVATION CONFLICT: no sense data.
    Conflict,
    /// CHECK CONDITION with this sense.
    Check(Sense),
    /// A status without sense (BUSY, TASK SET FULL).
    Status(Status),
}

impl Refused {
    /// 05/20/00 INVALID COMMAND OPERATION CODE.
    pub(super) const OPERATION_CODE: Self = Self::Check(Sense::INVALID_OPCODE);
    /// 05/21/00 LOGICAL BLOCK ADDRESS OUT OF RANGE.
    pub(super) const OUT_OF_RANGE: Self = Self::Check(Sense::LBA_OUT_OF_RANGE);
    /// 05/24/00 INVALID FIELD IN CDB.
    pub(super) const CDB_FIELD: Self = Self::Check(Sense::INVALID_FIELD_IN_CDB);
    /// 05/1A/00 PARAMETER LIST LENGTH ERROR.
    pub(super) const LIST_LENGTH: Self = Self::Check(Sense::PARAMETER_LIST_LENGTH_ERROR);
    /// 05/26/00 INVALID FIELD IN PARAMETER LIST.
    pub(super) const LIST_FIELD: Self = Self::Check(Sense::INVALID_FIELD_IN_LIST);
    /// 05/26/04 INVALID RELEASE OF PERSISTENT RESERVATION.
    pub(super) const INVALID_RELEASE: Self = Self::Check(Sense::INVALID_RELEASE);
    /// 05/55/04 INSUFFICIENT REGISTRATION RESOURCES.
    pub(super) const NO_ROOM_TO_REGISTER: Self =
        Self::Check(Sense::INSUFFICIENT_REGISTRATION_RESOURCES);
    /// 05/39/00 SAVING PARAMETERS NOT SUPPORTED.
    pub(super) const NO_SAVED_PAGES: Self = Self::Check(Sense::new(0x05, 0x39, 0));
    /// 02/08/00 LOGICAL UNIT COMMUNICATION FAILURE.
    pub(super) const COMMUNICATION: Self = Self::Check(Sense::COMMUNICATION_FAILURE);
    /// 03/11/00 UNRECOVERED READ ERROR.
    pub(super) const MEDIUM_READ: Self = Self::Check(Sense::UNRECOVERED_READ_ERROR);
    /// 03/0C/00 WRITE ERROR.
    pub(super) const MEDIUM_WRITE: Self = Self::Check(Sense::WRITE_ERROR);

    /// 0E/1D/00 MISCOMPARE DURING VERIFY OPERATION, with the offset of the first byte that differs
    /// (SBC-3 5.2).
    pub(super) const fn miscompare(offset: u64) -> Self {
        Self::Check(Sense {
            information: Some(offset),
            ..Sense::MISCOMPARE
        })
    }
}
