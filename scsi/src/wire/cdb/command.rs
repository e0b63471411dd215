//! Commands as values: what a CDB says, and the CDB that says it.
//!
//! Invariants:
//! * [`Command::cdb`] cannot fail: each variant has only fields that fit its CDB (a PR OUT scope and type
//!   are four bits each; higher bits are not sent);
//! * [`Command::parse`] never looks at reserved bits (SPC-4 3.6.6 lets a recipient ignore them), but
//!   refuses what would change the meaning: a service action, form or option that is not known, NACA;
//! * an operation code that is not known is a value, not an error, for a device server has its own answer
//!   to it (20/00).
//!
//! It never checks against a medium (LBA range) nor against reservation rules (scope and type).

use super::{Cdb, CdbError, PrInAction, PrOutAction, length_of};
use crate::wire::bytes::{be16, be32, be64, bit, byte, flag, put};

/// Operation codes (SPC-4 annex E; RESERVE and RELEASE: SPC-2 clause 7).
mod opcode {
    pub(super) const TEST_UNIT_READY: u8 = 0x00;
    pub(super) const REQUEST_SENSE: u8 = 0x03;
    pub(super) const INQUIRY: u8 = 0x12;
    pub(super) const RESERVE_6: u8 = 0x16;
    pub(super) const RELEASE_6: u8 = 0x17;
    pub(super) const MODE_SENSE_6: u8 = 0x1a;
    pub(super) const READ_CAPACITY_10: u8 = 0x25;
    pub(super) const READ_10: u8 = 0x28;
    pub(super) const WRITE_10: u8 = 0x2a;
    pub(super) const SYNCHRONIZE_CACHE_10: u8 = 0x35;
    pub(super) const RESERVE_10: u8 = 0x56;
    pub(super) const RELEASE_10: u8 = 0x57;
    pub(super) const MODE_SENSE_10: u8 = 0x5a;
    pub(super) const PERSISTENT_RESERVE_IN: u8 = 0x5e;
    pub(super) const PERSISTENT_RESERVE_OUT: u8 = 0x5f;
    pub(super) const READ_16: u8 = 0x88;
    pub(super) const COMPARE_AND_WRITE: u8 = 0x89;
    pub(super) const WRITE_16: u8 = 0x8a;
    pub(super) const SYNCHRONIZE_CACHE_16: u8 = 0x91;
    pub(super) const SERVICE_ACTION_IN_16: u8 = 0x9e;
    pub(super) const REPORT_LUNS: u8 = 0xa0;
    pub(super) const MAINTENANCE_IN: u8 = 0xa3;
}

/// SERVICE ACTION of READ CAPACITY (16) under [`opcode::SERVICE_ACTION_IN_16`] (SBC-3 5.16).
const READ_CAPACITY_16: u8 = 0x10;
/// SERVICE ACTION of REPORT SUPPORTED OPERATION CODES under [`opcode::MAINTENANCE_IN`] (SPC-4 6.35).
const REPORT_SUPPORTED_OPERATION_CODES: u8 = 0x0c;

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

/// How the blocks of a READ, WRITE or COMPARE AND WRITE are to be treated (SBC-3, RDPROTECT, WRPROTECT, DPO and FUA).
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

/// Which mode pages MODE SENSE is to send (SPC-4 6.13).
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
    /// RESERVE (6) of the whole logical unit for this nexus (SPC-2 7.21).
    Reserve6,
    /// RELEASE (6) of the whole logical unit by this nexus (SPC-2 7.18).
    Release6,
    /// RESERVE (10) of the whole logical unit for this nexus (SPC-2 7.20).
    Reserve10,
    /// RELEASE (10) of the whole logical unit by this nexus (SPC-2 7.17).
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
    /// READ (10) or (16) (SBC-3 clause 5).
    Read {
        /// Which blocks.
        range: BlockRange,
        /// How.
        access: Access,
    },
    /// WRITE (10) or (16) (SBC-3 clause 5).
    Write {
        /// Which blocks.
        range: BlockRange,
        /// How.
        access: Access,
    },
    /// SYNCHRONIZE CACHE (10) or (16) (SBC-3 clause 5).
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
    /// The command that a CDB says.
    ///
    /// # Errors
    /// [`CdbError`], naming the field that is not understood.
    pub fn parse(cdb: &[u8]) -> Result<Self, CdbError> {
        let Some(&operation) = cdb.first() else {
            return Err(CdbError::Length {
                expected: 6,
                actual: 0,
            });
        };
        match operation {
            opcode::TEST_UNIT_READY => checked(cdb, |_| Ok(Self::TestUnitReady)),
            opcode::REQUEST_SENSE => checked(cdb, |cdb| {
                Ok(Self::RequestSense {
                    descriptor: bit(cdb, 1, 0),
                    allocation_length: byte(cdb, 4),
                })
            }),
            opcode::INQUIRY => checked(cdb, parse_inquiry),
            opcode::RESERVE_6 => checked(cdb, |cdb| {
                whole_unit_6(cdb)?;
                refuse(be16(cdb, 3) != 0, 3, 7, "PARAMETER LIST LENGTH")?;
                Ok(Self::Reserve6)
            }),
            opcode::RELEASE_6 => checked(cdb, |cdb| whole_unit_6(cdb).map(|()| Self::Release6)),
            opcode::RESERVE_10 => checked(cdb, |cdb| whole_unit_10(cdb).map(|()| Self::Reserve10)),
            opcode::RELEASE_10 => checked(cdb, |cdb| whole_unit_10(cdb).map(|()| Self::Release10)),
            opcode::PERSISTENT_RESERVE_IN => checked(cdb, parse_persistent_reserve_in),
            opcode::PERSISTENT_RESERVE_OUT => checked(cdb, parse_persistent_reserve_out),
            opcode::READ_10 | opcode::READ_16 => checked(cdb, |cdb| {
                let (range, access) = (block_range(cdb), access(cdb));
                Ok(Self::Read { range, access })
            }),
            opcode::WRITE_10 | opcode::WRITE_16 => checked(cdb, |cdb| {
                let (range, access) = (block_range(cdb), access(cdb));
                Ok(Self::Write { range, access })
            }),
            opcode::SYNCHRONIZE_CACHE_10 | opcode::SYNCHRONIZE_CACHE_16 => checked(cdb, |cdb| {
                let (range, immediate) = (block_range(cdb), bit(cdb, 1, 1));
                Ok(Self::SynchronizeCache { range, immediate })
            }),
            opcode::COMPARE_AND_WRITE => checked(cdb, |cdb| {
                Ok(Self::CompareAndWrite {
                    lba: be64(cdb, 2),
                    blocks: byte(cdb, 13),
                    access: access(cdb),
                })
            }),
            opcode::READ_CAPACITY_10 => checked(cdb, |_| Ok(Self::ReadCapacity10)),
            opcode::SERVICE_ACTION_IN_16 => checked(cdb, parse_read_capacity_16),
            opcode::REPORT_LUNS => checked(cdb, |cdb| {
                Ok(Self::ReportLuns {
                    select_report: byte(cdb, 2),
                    allocation_length: be32(cdb, 6),
                })
            }),
            opcode::MAINTENANCE_IN => checked(cdb, parse_report_supported_operation_codes),
            opcode::MODE_SENSE_6 => checked(cdb, |cdb| {
                Ok(Self::ModeSense6 {
                    pages: mode_pages(cdb),
                    allocation_length: byte(cdb, 4),
                })
            }),
            opcode::MODE_SENSE_10 => checked(cdb, |cdb| {
                Ok(Self::ModeSense10 {
                    pages: mode_pages(cdb),
                    long_lba_accepted: bit(cdb, 1, 4),
                    allocation_length: be16(cdb, 7),
                })
            }),
            opcode => Ok(Self::Unknown { opcode }),
        }
    }

    /// The CDB that says this command.
    #[must_use]
    pub fn cdb(&self) -> Cdb {
        let mut cdb = Cdb {
            bytes: [0; Cdb::LENGTH_MAX],
            length: 0,
        };
        let opcode = self.opcode();
        // A vendor-specific or variable-length command is not known here; 16 bytes hold its code.
        let length = length_of(opcode).unwrap_or(16);
        cdb.bytes[0] = opcode;
        cdb.length = u8::try_from(length).unwrap_or(16);
        self.emit_fields(&mut cdb.bytes[..length]);
        cdb
    }

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

    /// Everything but the operation code, into a zeroed CDB of the right length.
    fn emit_fields(&self, cdb: &mut [u8]) {
        match *self {
            Self::TestUnitReady
            | Self::Reserve6
            | Self::Release6
            | Self::Reserve10
            | Self::Release10
            | Self::ReadCapacity10
            | Self::Unknown { .. } => {}
            Self::RequestSense {
                descriptor,
                allocation_length,
            } => {
                cdb[1] = flag(descriptor, 0);
                cdb[4] = allocation_length;
            }
            Self::Inquiry {
                vpd,
                allocation_length,
            } => {
                cdb[1] = flag(vpd.is_some(), 0);
                cdb[2] = vpd.unwrap_or(0);
                put(cdb, 3, &allocation_length.to_be_bytes());
            }
            Self::PersistentReserveIn {
                action,
                allocation_length,
            } => {
                cdb[1] = action.code();
                put(cdb, 7, &allocation_length.to_be_bytes());
            }
            Self::PersistentReserveOut {
                action,
                scope,
                kind,
                parameter_list_length,
            } => {
                cdb[1] = action.code();
                cdb[2] = scope << 4 | kind & 0x0f;
                put(cdb, 5, &parameter_list_length.to_be_bytes());
            }
            Self::Read { range, access } | Self::Write { range, access } => {
                cdb[1] = emit_access(access);
                emit_block_range(cdb, range);
            }
            Self::SynchronizeCache { range, immediate } => {
                cdb[1] = flag(immediate, 1);
                emit_block_range(cdb, range);
            }
            Self::CompareAndWrite {
                lba,
                blocks,
                access,
            } => {
                cdb[1] = emit_access(access);
                put(cdb, 2, &lba.to_be_bytes());
                cdb[13] = blocks;
            }
            Self::ReadCapacity16 { allocation_length } => {
                cdb[1] = READ_CAPACITY_16;
                put(cdb, 10, &allocation_length.to_be_bytes());
            }
            Self::ReportLuns {
                select_report,
                allocation_length,
            } => {
                cdb[2] = select_report;
                put(cdb, 6, &allocation_length.to_be_bytes());
            }
            Self::ReportSupportedOperationCodes {
                query,
                timeouts,
                allocation_length,
            } => {
                let (options, opcode, service_action) = match query {
                    OpcodeQuery::All => (0, 0, 0),
                    OpcodeQuery::Opcode(opcode) => (1, opcode, 0),
                    OpcodeQuery::ServiceAction {
                        opcode,
                        service_action,
                    } => (2, opcode, service_action),
                    OpcodeQuery::Either {
                        opcode,
                        service_action,
                    } => (3, opcode, service_action),
                };
                cdb[1] = REPORT_SUPPORTED_OPERATION_CODES;
                cdb[2] = flag(timeouts, 7) | options;
                cdb[3] = opcode;
                put(cdb, 4, &service_action.to_be_bytes());
                put(cdb, 6, &allocation_length.to_be_bytes());
            }
            Self::ModeSense6 {
                pages,
                allocation_length,
            } => {
                emit_mode_pages(cdb, pages);
                cdb[4] = allocation_length;
            }
            Self::ModeSense10 {
                pages,
                long_lba_accepted,
                allocation_length,
            } => {
                emit_mode_pages(cdb, pages);
                cdb[1] |= flag(long_lba_accepted, 4);
                put(cdb, 7, &allocation_length.to_be_bytes());
            }
        }
    }
}

/// Checks length and CONTROL, then parses the rest.
fn checked(
    cdb: &[u8],
    parse: impl FnOnce(&[u8]) -> Result<Command, CdbError>,
) -> Result<Command, CdbError> {
    let expected = length_of(byte(cdb, 0)).unwrap_or(16);
    if cdb.len() != expected {
        return Err(CdbError::Length {
            expected,
            actual: cdb.len(),
        });
    }
    // CONTROL is the last byte (SAM-5 5.2). NACA would change what CHECK CONDITION does to the queue.
    let control = expected - 1;
    let at = u8::try_from(control).unwrap_or(u8::MAX);
    refuse(bit(cdb, control, 2), at, 2, "NACA")?;
    parse(cdb)
}

/// An error that names the field, when it holds what is not allowed.
const fn refuse(bad: bool, byte: u8, bit: u8, name: &'static str) -> Result<(), CdbError> {
    if bad {
        return Err(CdbError::Field { byte, bit, name });
    }
    Ok(())
}

/// Only the logical-unit form of RESERVE (6) and RELEASE (6): third parties and extents are obsolete.
fn whole_unit_6(cdb: &[u8]) -> Result<(), CdbError> {
    refuse(bit(cdb, 1, 4), 1, 4, "3RDPTY")?;
    refuse(bit(cdb, 1, 0), 1, 0, "EXTENT")
}

/// Only the logical-unit form of RESERVE (10) and RELEASE (10).
fn whole_unit_10(cdb: &[u8]) -> Result<(), CdbError> {
    refuse(bit(cdb, 1, 4), 1, 4, "3RDPTY")?;
    refuse(bit(cdb, 1, 1), 1, 1, "LONGID")?;
    refuse(bit(cdb, 1, 0), 1, 0, "EXTENT")?;
    refuse(be16(cdb, 7) != 0, 7, 7, "PARAMETER LIST LENGTH")
}

fn parse_inquiry(cdb: &[u8]) -> Result<Command, CdbError> {
    let evpd = bit(cdb, 1, 0);
    let page = byte(cdb, 2);
    refuse(bit(cdb, 1, 1), 1, 1, "CMDDT")?;
    // SPC-4 6.6.1: a page without EVPD is INVALID FIELD IN CDB.
    refuse(!evpd && page != 0, 2, 7, "PAGE CODE without EVPD")?;
    Ok(Command::Inquiry {
        vpd: evpd.then_some(page),
        allocation_length: be16(cdb, 3),
    })
}

fn service_action(cdb: &[u8]) -> u8 {
    byte(cdb, 1) & 0x1f
}

fn unknown_service_action(cdb: &[u8]) -> CdbError {
    CdbError::ServiceAction {
        opcode: byte(cdb, 0),
        service_action: service_action(cdb),
    }
}

fn parse_persistent_reserve_in(cdb: &[u8]) -> Result<Command, CdbError> {
    let action = PrInAction::from_code(service_action(cdb));
    Ok(Command::PersistentReserveIn {
        action: action.ok_or_else(|| unknown_service_action(cdb))?,
        allocation_length: be16(cdb, 7),
    })
}

fn parse_persistent_reserve_out(cdb: &[u8]) -> Result<Command, CdbError> {
    let action = PrOutAction::from_code(service_action(cdb));
    Ok(Command::PersistentReserveOut {
        action: action.ok_or_else(|| unknown_service_action(cdb))?,
        scope: byte(cdb, 2) >> 4,
        kind: byte(cdb, 2) & 0x0f,
        parameter_list_length: be32(cdb, 5),
    })
}

fn parse_read_capacity_16(cdb: &[u8]) -> Result<Command, CdbError> {
    if service_action(cdb) != READ_CAPACITY_16 {
        return Err(unknown_service_action(cdb));
    }
    Ok(Command::ReadCapacity16 {
        allocation_length: be32(cdb, 10),
    })
}

fn parse_report_supported_operation_codes(cdb: &[u8]) -> Result<Command, CdbError> {
    if service_action(cdb) != REPORT_SUPPORTED_OPERATION_CODES {
        return Err(unknown_service_action(cdb));
    }
    let (opcode, service_action) = (byte(cdb, 3), be16(cdb, 4));
    let query = match byte(cdb, 2) & 0x07 {
        0 => OpcodeQuery::All,
        1 => OpcodeQuery::Opcode(opcode),
        2 => OpcodeQuery::ServiceAction {
            opcode,
            service_action,
        },
        3 => OpcodeQuery::Either {
            opcode,
            service_action,
        },
        _ => {
            return Err(CdbError::Field {
                byte: 2,
                bit: 2,
                name: "REPORTING OPTIONS",
            });
        }
    };
    Ok(Command::ReportSupportedOperationCodes {
        query,
        timeouts: bit(cdb, 2, 7),
        allocation_length: be32(cdb, 6),
    })
}

const fn by_form(range: BlockRange, ten: u8, sixteen: u8) -> u8 {
    match range {
        BlockRange::Ten { .. } => ten,
        BlockRange::Sixteen { .. } => sixteen,
    }
}

/// READ, WRITE and SYNCHRONIZE CACHE keep address and count in the same places.
fn block_range(cdb: &[u8]) -> BlockRange {
    if cdb.len() == 10 {
        BlockRange::Ten {
            lba: be32(cdb, 2),
            blocks: be16(cdb, 7),
        }
    } else {
        BlockRange::Sixteen {
            lba: be64(cdb, 2),
            blocks: be32(cdb, 10),
        }
    }
}

fn emit_block_range(cdb: &mut [u8], range: BlockRange) {
    match range {
        BlockRange::Ten { lba, blocks } => {
            put(cdb, 2, &lba.to_be_bytes());
            put(cdb, 7, &blocks.to_be_bytes());
        }
        BlockRange::Sixteen { lba, blocks } => {
            put(cdb, 2, &lba.to_be_bytes());
            put(cdb, 10, &blocks.to_be_bytes());
        }
    }
}

fn access(cdb: &[u8]) -> Access {
    Access {
        protect: byte(cdb, 1) >> 5,
        dpo: bit(cdb, 1, 4),
        fua: bit(cdb, 1, 3),
    }
}

const fn emit_access(access: Access) -> u8 {
    access.protect << 5 | flag(access.dpo, 4) | flag(access.fua, 3)
}

fn mode_pages(cdb: &[u8]) -> ModePages {
    ModePages {
        disable_block_descriptors: bit(cdb, 1, 3),
        control: byte(cdb, 2) >> 6,
        page: byte(cdb, 2) & 0x3f,
        subpage: byte(cdb, 3),
    }
}

fn emit_mode_pages(cdb: &mut [u8], pages: ModePages) {
    cdb[1] = flag(pages.disable_block_descriptors, 3);
    cdb[2] = pages.control << 6 | pages.page & 0x3f;
    cdb[3] = pages.subpage;
}
