//! Commands to CDB bytes.

use super::{Access, BlockRange, Cdb, Command, ModePages, OpcodeQuery, length_of, opcode};
use crate::wire::bytes::{flag, put};

impl Command {
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
                cdb[1] = opcode::READ_CAPACITY_16_ACTION;
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
                cdb[1] = opcode::REPORT_SUPPORTED_OPERATION_CODES_ACTION;
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

const fn emit_access(access: Access) -> u8 {
    access.protect << 5 | flag(access.dpo, 4) | flag(access.fua, 3)
}

fn emit_mode_pages(cdb: &mut [u8], pages: ModePages) {
    cdb[1] = flag(pages.disable_block_descriptors, 3);
    cdb[2] = pages.control << 6 | pages.page & 0x3f;
    cdb[3] = pages.subpage;
}
