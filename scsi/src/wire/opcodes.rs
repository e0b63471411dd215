//! REPORT SUPPORTED OPERATION CODES data (SPC-4 6.35).
//!
//! ```text
//! all commands                                one command
//!  0  COMMAND DATA LENGTH (4)                  1  CTDP (7), SUPPORT (2-0)
//!  4  descriptors of 8 bytes:                  2  CDB SIZE (2)
//!     0 OPERATION CODE, 2 SERVICE ACTION (2)   4  CDB USAGE DATA
//!     5 CTDP (1) SERVACTV (0), 6 CDB LENGTH       then, with CTDP, a timeouts descriptor
//!     then, with CTDP, a timeouts descriptor
//! ```
//!
//! Timeouts are skipped: none of our bounds comes from a disk.
//!
//! Invariant: SUPPORT codes that are not known are "not told", never yes or no.

use super::ParameterError;
use super::bytes::{be16, be32, bit, byte, flag, length, put};

/// Offsets and bits.
mod field {
    pub(super) const DATA_LENGTH: usize = 0;
    pub(super) const DESCRIPTORS: usize = 4;
    pub(super) const OPCODE: usize = 0;
    pub(super) const SERVICE_ACTION: usize = 2;
    pub(super) const FLAGS: usize = 5;
    pub(super) const CTDP: u8 = 1;
    pub(super) const SERVACTV: u8 = 0;
    pub(super) const CDB_LENGTH: usize = 6;
    pub(super) const DESCRIPTOR_LENGTH: usize = 8;
    /// DESCRIPTOR LENGTH field of a timeouts descriptor, which counts what follows it.
    pub(super) const TIMEOUTS_HEADER_LENGTH: usize = 2;
    pub(super) const SUPPORT: usize = 1;
    pub(super) const CDB_SIZE: usize = 2;
    pub(super) const CDB_USAGE: usize = 4;
}

/// The most bytes of a list that are asked for: 256 operation codes with 32 service actions each would
/// fit, with timeouts.
pub const ALLOCATION_LENGTH_MAX: u32 = 256 * 1024;

/// The ALLOCATION LENGTH for one command: any CDB's usage data and a timeouts descriptor.
pub const ALLOCATION_LENGTH_ONE: u32 = 512;

/// One command that the device server has.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SupportedCommand {
    /// OPERATION CODE.
    pub opcode: u8,
    /// SERVICE ACTION, where the operation code has any.
    pub service_action: Option<u16>,
    /// CDB LENGTH, in bytes.
    pub cdb_length: u16,
}

/// Every command that the device server has.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct SupportedCommands {
    /// In the disk's order.
    pub commands: Vec<SupportedCommand>,
}

impl SupportedCommands {
    /// Parses what arrived.
    ///
    /// # Errors
    /// [`ParameterError::Incomplete`]: ask again; else the answer is broken.
    pub fn parse(arrived: &[u8]) -> Result<Self, ParameterError> {
        ParameterError::at_least(field::DESCRIPTORS, arrived)?;
        let told = length(be32(arrived, field::DATA_LENGTH));
        let needed = told.saturating_add(field::DESCRIPTORS);
        if needed > length(ALLOCATION_LENGTH_MAX) {
            return Err(ParameterError::Field {
                at: field::DATA_LENGTH,
                what: "a longer list than there can be commands",
            });
        }
        let list = arrived
            .get(field::DESCRIPTORS..needed)
            .ok_or(ParameterError::Incomplete { needed })?;
        let mut commands = Vec::new();
        let mut at = 0;
        while at < list.len() {
            let rest = &list[at..];
            let cut = ParameterError::Field {
                at: field::DESCRIPTORS + at,
                what: "a command descriptor goes beyond its list",
            };
            let mut end = field::DESCRIPTOR_LENGTH;
            if bit(rest, field::FLAGS, field::CTDP) {
                end += field::TIMEOUTS_HEADER_LENGTH + usize::from(be16(rest, end));
            }
            if rest.len() < end {
                return Err(cut);
            }
            let has_action = bit(rest, field::FLAGS, field::SERVACTV);
            commands.push(SupportedCommand {
                opcode: byte(rest, field::OPCODE),
                service_action: has_action.then(|| be16(rest, field::SERVICE_ACTION)),
                cdb_length: be16(rest, field::CDB_LENGTH),
            });
            at += end;
        }
        Ok(Self { commands })
    }

    /// The whole answer, without timeouts.
    #[must_use]
    pub fn emit(&self) -> Vec<u8> {
        let told = self.commands.len() * field::DESCRIPTOR_LENGTH;
        let mut list = u32::try_from(told)
            .unwrap_or(u32::MAX)
            .to_be_bytes()
            .to_vec();
        for command in &self.commands {
            let mut descriptor = [0; field::DESCRIPTOR_LENGTH];
            descriptor[field::OPCODE] = command.opcode;
            let action = command.service_action.unwrap_or(0).to_be_bytes();
            put(&mut descriptor, field::SERVICE_ACTION, &action);
            descriptor[field::FLAGS] = flag(command.service_action.is_some(), field::SERVACTV);
            let cdb_length = command.cdb_length.to_be_bytes();
            put(&mut descriptor, field::CDB_LENGTH, &cdb_length);
            list.extend(descriptor);
        }
        list
    }
}

/// SUPPORT: does the device server have the command (SPC-4 6.35.3)?
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum CommandSupport {
    /// 000b and reserved values: it does not tell now.
    NotTold,
    /// 001b: no.
    No,
    /// 011b: as a standard says.
    Standard,
    /// 101b: in the vendor's way.
    Vendor,
}

/// What the device server says about one command.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct OneCommand {
    /// Is it there?
    pub support: CommandSupport,
    /// CDB USAGE DATA: the operation code, then a mask of the bits that are looked at.
    pub usage: Vec<u8>,
}

impl OneCommand {
    /// Parses what arrived.
    ///
    /// # Errors
    /// [`ParameterError`] when it is shorter than it says.
    pub fn parse(arrived: &[u8]) -> Result<Self, ParameterError> {
        ParameterError::at_least(field::CDB_USAGE, arrived)?;
        let support = match byte(arrived, field::SUPPORT) & 0x07 {
            1 => CommandSupport::No,
            3 => CommandSupport::Standard,
            5 => CommandSupport::Vendor,
            _ => CommandSupport::NotTold,
        };
        let needed = field::CDB_USAGE + usize::from(be16(arrived, field::CDB_SIZE));
        // With "no" and "not told" the rest of the answer is undefined (SPC-4 6.35.3).
        let usage = match support {
            CommandSupport::NotTold | CommandSupport::No => &[][..],
            CommandSupport::Standard | CommandSupport::Vendor => arrived
                .get(field::CDB_USAGE..needed)
                .ok_or(ParameterError::Incomplete { needed })?,
        };
        Ok(Self {
            support,
            usage: usage.to_vec(),
        })
    }

    /// The whole answer, without timeouts.
    #[must_use]
    pub fn emit(&self) -> Vec<u8> {
        let support = match self.support {
            CommandSupport::NotTold => 0,
            CommandSupport::No => 1,
            CommandSupport::Standard => 3,
            CommandSupport::Vendor => 5,
        };
        let [high, low] = u16::try_from(self.usage.len())
            .unwrap_or(u16::MAX)
            .to_be_bytes();
        let mut answer = vec![0, support, high, low];
        answer.extend(&self.usage);
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_commands_with_and_without_timeouts() {
        let value = SupportedCommands {
            commands: vec![
                SupportedCommand {
                    opcode: 0x16,
                    service_action: None,
                    cdb_length: 6,
                },
                SupportedCommand {
                    opcode: 0x5f,
                    service_action: Some(8),
                    cdb_length: 10,
                },
            ],
        };
        let plain = [
            0, 0, 0, 16, 0x16, 0, 0, 0, 0, 0, 0, 6, 0x5f, 0, 0, 8, 0, 1, 0, 10,
        ];
        assert_eq!(SupportedCommands::parse(&plain), Ok(value.clone()));
        assert_eq!(value.emit(), plain);
        let mut timed = vec![0, 0, 0, 28, 0x16, 0, 0, 0, 0, 2, 0, 6];
        timed.extend([0, 10, 0, 0, 0, 0, 0, 1, 0, 0, 0, 30]);
        timed.extend(&plain[12..]);
        assert_eq!(SupportedCommands::parse(&timed), Ok(value));
    }

    #[test]
    fn a_list_that_is_cut_or_cannot_be() {
        let list = [0, 0, 0, 8, 0x16, 0, 0, 0, 0, 2, 0, 6];
        assert!(matches!(
            SupportedCommands::parse(&list),
            Err(ParameterError::Field { at: 4, .. })
        ));
        assert_eq!(
            SupportedCommands::parse(&list[..8]),
            Err(ParameterError::Incomplete { needed: 12 })
        );
        assert!(matches!(
            SupportedCommands::parse(&[0xff; 4]),
            Err(ParameterError::Field { at: 0, .. })
        ));
        assert!(SupportedCommands::parse(&[0; 3]).is_err());
    }

    #[test]
    fn one_command_there_or_not() {
        let answer = [
            0, 3, 0, 10, 0x5f, 0x1f, 0xff, 0, 0, 0xff, 0xff, 0xff, 0xff, 0,
        ];
        let value = OneCommand {
            support: CommandSupport::Standard,
            usage: answer[4..].to_vec(),
        };
        assert_eq!(OneCommand::parse(&answer), Ok(value.clone()));
        assert_eq!(value.emit(), answer);
        for (code, support) in [
            (0, CommandSupport::NotTold),
            (1, CommandSupport::No),
            (2, CommandSupport::NotTold),
            (7, CommandSupport::NotTold),
        ] {
            let value = OneCommand::parse(&[0, code, 0xff, 0xff]).unwrap();
            assert_eq!(value.support, support);
        }
        assert!(OneCommand::parse(&answer[..8]).is_err());
    }

    mod properties {
        use super::*;
        use proptest::prelude::*;

        proptest! {
            #[test]
            fn what_parses_is_emitted_to_the_same_value(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
                let mut bytes = bytes;
                if let Ok(value) = OneCommand::parse(&bytes) {
                    prop_assert_eq!(OneCommand::parse(&value.emit()), Ok(value));
                }
                if bytes.len() >= 4 {
                    let told = u8::try_from(bytes.len() - 4).unwrap();
                    bytes[..4].copy_from_slice(&[0, 0, 0, told]);
                }
                if let Ok(value) = SupportedCommands::parse(&bytes) {
                    prop_assert_eq!(SupportedCommands::parse(&value.emit()), Ok(value));
                }
            }
        }
    }
}
