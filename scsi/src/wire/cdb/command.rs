//! Commands as values.
//!
//! Invariants:
//! * each variant has only fields that fit its CDB, so that [`Command::cdb`] cannot fail (a PR OUT scope
//!   and type are four bits each; higher bits are not sent);
//! * an operation code that is not known is a value, not an error, for a device server has its own answer
//!   to it (20/00).

use super::{PrInAction, PrOutAction, opcode};

/// Blocks of the medium, in the form of the CDB that carries them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum BlockRange {
    /// The 10-byte form.
    Ten {
        /// LOGICAL BLOCK ADDRESS of the first block.
        lba: u32,
        /// TRANSFER LENGTH (or NUMBER OF LOGICAL BLOCKS), in blocks.
        blocks: u16,
    },
    /// The 16-byte form.
    Sixteen {
        /// LOGICAL BLOCK ADDRESS of the first block.
        lba: u64,
        /// TRANSFER LENGTH (or NUMBER OF LOGICAL BLOCKS), in blocks.
        blocks: u32,
    },
}

impl BlockRange {
    /// The range in the 10-byte form where it fits, for every disk has that one; else in the 16-byte form.
    #[must_use]
    pub fn new(lba: u64, blocks: u32) -> Self {
        match (u32::try_from(lba), u16::try_from(blocks)) {
            (Ok(lba), Ok(blocks)) => Self::Ten { lba, blocks },
            _ => Self::Sixteen { lba, blocks },
        }
    }

    /// The first block.
    #[must_use]
    pub const fn lba(self) -> u64 {
        match self {
            Self::Ten { lba, .. } => lba as u64,
            Self::Sixteen { lba, .. } => lba,
        }
    }

    /// How many blocks. For SYNCHRONIZE CACHE zero means "to the end of the medium".
    #[must_use]
    pub const fn blocks(self) -> u32 {
        match self {
            Self::Ten { blocks, .. } => blocks as u32,
            Self::Sixteen { blocks, .. } => blocks,
        }
    }
}

/// How the blocks of a READ, WRITE or COMPARE AND WRITE are to be treated (SBC-3 5.11, 5.33, 5.2).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Access {
    /// RDPROTECT or WRPROTECT, three bits.
    pub protect: u8,
    /// DPO: unlikely to be read again soon.
    pub dpo: bool,
    /// FUA: from, or onto, the medium itself, not a volatile cache.
    pub fua: bool,
}

impl Access {
    /// FUA and nothing else.
    pub const FUA: Self = Self {
        protect: 0,
        dpo: false,
        fua: true,
    };
}

/// Which mode pages MODE SENSE is to send (SPC-4 6.13, 6.14).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct ModePages {
    /// DBD: no block descriptors.
    pub disable_block_descriptors: bool,
    /// PC, two bits: 0 current, 1 changeable, 2 default, 3 saved values.
    pub control: u8,
    /// PAGE CODE, six bits; 3Fh is all.
    pub page: u8,
    /// SUBPAGE CODE; FFh is all.
    pub subpage: u8,
}

/// What REPORT SUPPORTED OPERATION CODES is asked about (SPC-4 6.35, REPORTING OPTIONS).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum OpcodeQuery {
    /// 000b: every command.
    All,
    /// 001b: one operation code, which must have no service actions.
    Opcode(u8),
    /// 010b: one operation code with a service action.
    ServiceAction {
        /// REQUESTED OPERATION CODE.
        opcode: u8,
        /// REQUESTED SERVICE ACTION.
        service_action: u16,
    },
    /// 011b: one command, with the service action where the operation code has any.
    Either {
        /// REQUESTED OPERATION CODE.
        opcode: u8,
        /// REQUESTED SERVICE ACTION.
        service_action: u16,
    },
}

/// A command.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Command {
    /// TEST UNIT READY (SPC-4 6.47).
    TestUnitReady,
    /// REQUEST SENSE (SPC-4 6.39).
    RequestSense {
        /// DESC: the sense data in descriptor form.
        descriptor: bool,
        /// ALLOCATION LENGTH, in bytes.
        allocation_length: u8,
    },
    /// INQUIRY (SPC-4 6.6).
    Inquiry {
        /// The vital product data page (EVPD); `None` for the standard data.
        vpd: Option<u8>,
        /// ALLOCATION LENGTH, in bytes.
        allocation_length: u16,
    },
    /// RESERVE (6) of the whole logical unit for this nexus (SPC-2, RESERVE(6) command).
    Reserve6,
    /// RELEASE (6) of the whole logical unit by this nexus (SPC-2, RELEASE(6) command).
    Release6,
    /// RESERVE (10) of the whole logical unit for this nexus (SPC-2, RESERVE(10) command).
    Reserve10,
    /// RELEASE (10) of the whole logical unit by this nexus (SPC-2, RELEASE(10) command).
    Release10,
    /// PERSISTENT RESERVE IN (SPC-4 6.15).
    PersistentReserveIn {
        /// What to read.
        action: PrInAction,
        /// ALLOCATION LENGTH, in bytes.
        allocation_length: u16,
    },
    /// PERSISTENT RESERVE OUT (SPC-4 6.16).
    PersistentReserveOut {
        /// What to do.
        action: PrOutAction,
        /// SCOPE, four bits; 0 is the logical unit, the only one that is not obsolete.
        scope: u8,
        /// TYPE, four bits, as it stands: bad ones are the device server's to refuse.
        kind: u8,
        /// PARAMETER LIST LENGTH, in bytes.
        parameter_list_length: u32,
    },
    /// READ (10) or (16) (SBC-3 5.11, 5.13).
    Read {
        /// Which blocks.
        range: BlockRange,
        /// How.
        access: Access,
    },
    /// WRITE (10) or (16) (SBC-3 5.33, 5.35).
    Write {
        /// Which blocks.
        range: BlockRange,
        /// How.
        access: Access,
    },
    /// SYNCHRONIZE CACHE (10) or (16) (SBC-3 5.26, 5.27).
    SynchronizeCache {
        /// Which blocks; a count of zero is "to the end".
        range: BlockRange,
        /// IMMED: answer before it is done.
        immediate: bool,
    },
    /// COMPARE AND WRITE (SBC-3 5.2): the data-out holds the blocks to compare, then those to write.
    CompareAndWrite {
        /// LOGICAL BLOCK ADDRESS.
        lba: u64,
        /// NUMBER OF LOGICAL BLOCKS.
        blocks: u8,
        /// How.
        access: Access,
    },
    /// READ CAPACITY (10) (SBC-3 5.15).
    ReadCapacity10,
    /// READ CAPACITY (16) (SBC-3 5.16).
    ReadCapacity16 {
        /// ALLOCATION LENGTH, in bytes.
        allocation_length: u32,
    },
    /// REPORT LUNS (SPC-4 6.33).
    ReportLuns {
        /// SELECT REPORT.
        select_report: u8,
        /// ALLOCATION LENGTH, in bytes.
        allocation_length: u32,
    },
    /// REPORT SUPPORTED OPERATION CODES (SPC-4 6.35).
    ReportSupportedOperationCodes {
        /// What is asked about.
        query: OpcodeQuery,
        /// RCTD: with command timeouts.
        timeouts: bool,
        /// ALLOCATION LENGTH, in bytes.
        allocation_length: u32,
    },
    /// MODE SENSE (6) (SPC-4 6.13).
    ModeSense6 {
        /// Which pages.
        pages: ModePages,
        /// ALLOCATION LENGTH, in bytes.
        allocation_length: u8,
    },
    /// MODE SENSE (10) (SPC-4 6.14).
    ModeSense10 {
        /// Which pages.
        pages: ModePages,
        /// LLBAA: long block descriptors are understood.
        long_lba_accepted: bool,
        /// ALLOCATION LENGTH, in bytes.
        allocation_length: u16,
    },
    /// A command that is not known here.
    Unknown {
        /// Its operation code.
        opcode: u8,
    },
}

impl Command {
    /// Its OPERATION CODE.
    #[must_use]
    pub const fn opcode(&self) -> u8 {
        match self {
            Self::TestUnitReady => opcode::TEST_UNIT_READY,
            Self::RequestSense { .. } => opcode::REQUEST_SENSE,
            Self::Inquiry { .. } => opcode::INQUIRY,
            Self::Reserve6 => opcode::RESERVE_6,
            Self::Release6 => opcode::RELEASE_6,
            Self::Reserve10 => opcode::RESERVE_10,
            Self::Release10 => opcode::RELEASE_10,
            Self::PersistentReserveIn { .. } => opcode::PERSISTENT_RESERVE_IN,
            Self::PersistentReserveOut { .. } => opcode::PERSISTENT_RESERVE_OUT,
            Self::Read { range, .. } => by_form(*range, opcode::READ_10, opcode::READ_16),
            Self::Write { range, .. } => by_form(*range, opcode::WRITE_10, opcode::WRITE_16),
            Self::SynchronizeCache { range, .. } => by_form(
                *range,
                opcode::SYNCHRONIZE_CACHE_10,
                opcode::SYNCHRONIZE_CACHE_16,
            ),
            Self::CompareAndWrite { .. } => opcode::COMPARE_AND_WRITE,
            Self::ReadCapacity10 => opcode::READ_CAPACITY_10,
            Self::ReadCapacity16 { .. } => opcode::SERVICE_ACTION_IN_16,
            Self::ReportLuns { .. } => opcode::REPORT_LUNS,
            Self::ReportSupportedOperationCodes { .. } => opcode::MAINTENANCE_IN,
            Self::ModeSense6 { .. } => opcode::MODE_SENSE_6,
            Self::ModeSense10 { .. } => opcode::MODE_SENSE_10,
            Self::Unknown { opcode } => *opcode,
        }
    }

    /// The name as the standards spell it; for persistent reservations that of the service action.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::TestUnitReady => "TEST UNIT READY",
            Self::RequestSense { .. } => "REQUEST SENSE",
            Self::Inquiry { .. } => "INQUIRY",
            Self::Reserve6 => "RESERVE(6)",
            Self::Release6 => "RELEASE(6)",
            Self::Reserve10 => "RESERVE(10)",
            Self::Release10 => "RELEASE(10)",
            Self::PersistentReserveIn { action, .. } => action.name(),
            Self::PersistentReserveOut { action, .. } => action.name(),
            Self::Read { .. } => "READ",
            Self::Write { .. } => "WRITE",
            Self::SynchronizeCache { .. } => "SYNCHRONIZE CACHE",
            Self::CompareAndWrite { .. } => "COMPARE AND WRITE",
            Self::ReadCapacity10 => "READ CAPACITY(10)",
            Self::ReadCapacity16 { .. } => "READ CAPACITY(16)",
            Self::ReportLuns { .. } => "REPORT LUNS",
            Self::ReportSupportedOperationCodes { .. } => "REPORT SUPPORTED OPERATION CODES",
            Self::ModeSense6 { .. } => "MODE SENSE(6)",
            Self::ModeSense10 { .. } => "MODE SENSE(10)",
            Self::Unknown { .. } => "unknown command",
        }
    }
}

const fn by_form(range: BlockRange, ten: u8, sixteen: u8) -> u8 {
    match range {
        BlockRange::Ten { .. } => ten,
        BlockRange::Sixteen { .. } => sixteen,
    }
}
