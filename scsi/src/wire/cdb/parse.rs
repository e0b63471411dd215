//! CDB bytes to commands.
//!
//! Invariants: reserved bits are never looked at (SPC-4 lets a recipient ignore them), but what would
//! change the meaning is refused: a service action, form or option that is not known, NACA.
//! It never checks against a medium (LBA range) nor against reservation rules (scope and type).

use super::{
    Access, BlockRange, CdbError, Command, ModePages, OpcodeQuery, PrInAction, PrOutAction,
    length_of, opcode,
};
use crate::wire::bytes::{be16, be32, be64, bit, byte};

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
    if service_action(cdb) != opcode::READ_CAPACITY_16_ACTION {
        return Err(unknown_service_action(cdb));
    }
    Ok(Command::ReadCapacity16 {
        allocation_length: be32(cdb, 10),
    })
}

fn parse_report_supported_operation_codes(cdb: &[u8]) -> Result<Command, CdbError> {
    if service_action(cdb) != opcode::REPORT_SUPPORTED_OPERATION_CODES_ACTION {
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

fn access(cdb: &[u8]) -> Access {
    Access {
        protect: byte(cdb, 1) >> 5,
        dpo: bit(cdb, 1, 4),
        fua: bit(cdb, 1, 3),
    }
}

fn mode_pages(cdb: &[u8]) -> ModePages {
    ModePages {
        disable_block_descriptors: bit(cdb, 1, 3),
        control: byte(cdb, 2) >> 6,
        page: byte(cdb, 2) & 0x3f,
        subpage: byte(cdb, 3),
    }
}
