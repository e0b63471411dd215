//! TransportIDs (SPC-4 7.6.4): initiator ports of every protocol, as they stand in READ FULL STATUS,
//! REGISTER AND MOVE and SPEC_I_PT lists.
//!
//! ```text
//! byte 0: FORMAT CODE (bits 7-6) | PROTOCOL IDENTIFIER (bits 3-0); 24 bytes in all, but for iSCSI
//!   0 FCP   N_Port name at 8         4 SRP   port identifier (16) at 8
//!   1 SPI   address 2, port 6        5 iSCSI ADDITIONAL LENGTH 2, name from 4, NUL, pad to 4
//!   3 1394  EUI-64 at 8              6 SAS   address at 4
//!                                    A SOP   routing id at 2
//! ```
//!
//! Invariants: a list is walked by each identifier's own length and never past what arrived; what is
//! not known is kept as it stands ([`TransportId::Other`]); what [`std::fmt::Display`] prints for a
//! parsed identifier, [`std::str::FromStr`] reads back.

mod text;

pub use text::ParseTransportIdError;

use super::ParameterError;
use super::bytes::{array, be16, byte, put};

/// Offsets and codes (SPC-4 7.6.4.2 to 7.6.4.9).
mod field {
    pub(super) const LENGTH: usize = 24;
    pub(super) const FCP: u8 = 0x0;
    pub(super) const FCP_NAME: usize = 8;
    pub(super) const SPI: u8 = 0x1;
    pub(super) const SPI_ADDRESS: usize = 2;
    pub(super) const SPI_RELATIVE_PORT: usize = 6;
    pub(super) const SBP: u8 = 0x3;
    pub(super) const SBP_NAME: usize = 8;
    pub(super) const SRP: u8 = 0x4;
    pub(super) const SRP_PORT: usize = 8;
    pub(super) const ISCSI: u8 = 0x5;
    pub(super) const ISCSI_PORT_FORMAT: u8 = 0x40;
    pub(super) const ISCSI_ADDITIONAL_LENGTH: usize = 2;
    pub(super) const ISCSI_NAME: usize = 4;
    pub(super) const SAS: u8 = 0x6;
    pub(super) const SAS_ADDRESS: usize = 4;
    pub(super) const SOP: u8 = 0xa;
    pub(super) const SOP_ROUTING_ID: usize = 2;
}

/// The longest iSCSI name (RFC 7143 4.2.7.1), in bytes.
pub const ISCSI_NAME_LENGTH_MAX: usize = 223;

/// Between name and ISID in the port format (SPC-4 7.6.4.6).
const ISID_SEPARATOR: &str = ",i,0x";

/// An initiator port.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum TransportId {
    /// Fibre Channel: the port's name.
    FibreChannel([u8; 8]),
    /// Parallel SCSI.
    ParallelScsi {
        /// SCSI address of the initiator.
        address: u16,
        /// RELATIVE TARGET PORT IDENTIFIER.
        relative_port: u16,
    },
    /// IEEE 1394: EUI-64.
    Ieee1394([u8; 8]),
    /// SRP over RDMA: initiator port identifier.
    Rdma([u8; 16]),
    /// iSCSI: initiator name, and the ISID when the identifier names a port and not only a device.
    Iscsi {
        /// The initiator's name (`iqn.…`): at most [`ISCSI_NAME_LENGTH_MAX`] bytes, without comma,
        /// white space or control characters.
        name: String,
        /// The session identifier, six bytes.
        isid: Option<[u8; 6]>,
    },
    /// SAS: the port's address.
    Sas([u8; 8]),
    /// SCSI over PCIe: routing identifier.
    Sop(u16),
    /// A protocol or format that is not known here: all its bytes, kept.
    Other(Vec<u8>),
}

impl TransportId {
    /// The identifier at the start of a list, and how many bytes it takes.
    ///
    /// # Errors
    /// [`ParameterError`] when it is cut short, or an iSCSI name is not one.
    pub fn parse(list: &[u8]) -> Result<(Self, usize), ParameterError> {
        ParameterError::at_least(field::LENGTH, list)?;
        if byte(list, 0) & 0x0f != field::ISCSI {
            let id = &list[..field::LENGTH];
            return Ok((Self::parse_fixed(id), field::LENGTH));
        }
        let told = be16(list, field::ISCSI_ADDITIONAL_LENGTH);
        // SPC-4 7.6.4.6: at least 20, and a multiple of four.
        if told < 20 || !told.is_multiple_of(4) {
            return Err(ParameterError::Field {
                at: field::ISCSI_ADDITIONAL_LENGTH,
                what: "the iSCSI ADDITIONAL LENGTH is below 20 or not a multiple of four",
            });
        }
        let length = field::ISCSI_NAME + usize::from(told);
        ParameterError::at_least(length, list)?;
        let id = Self::parse_iscsi(&list[..length]).ok_or(ParameterError::Field {
            at: field::ISCSI_NAME,
            what: "not an iSCSI name, or not a session identifier",
        })?;
        Ok((id, length))
    }

    /// The identifier in an area that holds just one (READ FULL STATUS). What is not understood is
    /// kept, so that one odd registrant does not hide the others.
    #[must_use]
    pub fn parse_area(area: &[u8]) -> Self {
        if let Ok((id, _)) = Self::parse(area) {
            return id;
        }
        if byte(area, 0) & 0x0f == field::ISCSI {
            // A NUL before the separator, or a session identifier cut in half (LIO before Linux 5.9
            // sends both): the name is all that can be believed. Names too short to be padded to 20
            // bytes come this way, too.
            let told = field::ISCSI_NAME + usize::from(be16(area, field::ISCSI_ADDITIONAL_LENGTH));
            let id = &area[..told.min(area.len())];
            let name = id.get(field::ISCSI_NAME..).and_then(terminated);
            let name = name.map(|name| {
                name.split_once(ISID_SEPARATOR)
                    .map_or(name, |(name, _)| name)
            });
            if let Some(name) = name.filter(|name| text::is_iscsi_name(name)) {
                return Self::parse_iscsi(id).unwrap_or_else(|| Self::Iscsi {
                    name: name.to_owned(),
                    isid: None,
                });
            }
        }
        Self::Other(area.to_vec())
    }

    /// All identifiers of a list that has nothing else in it.
    ///
    /// # Errors
    /// [`ParameterError`] with the place in the list.
    pub fn parse_list(list: &[u8]) -> Result<Vec<Self>, ParameterError> {
        let mut ids = Vec::new();
        let mut at = 0;
        while at < list.len() {
            let (id, length) = Self::parse(&list[at..]).map_err(|error| moved(error, at))?;
            ids.push(id);
            at += length;
        }
        Ok(ids)
    }

    /// The bytes as they travel: a multiple of four, at least 24, but for what was kept as it came.
    ///
    /// # Panics
    /// When an iSCSI name is longer than [`ISCSI_NAME_LENGTH_MAX`].
    #[must_use]
    pub fn emit(&self) -> Vec<u8> {
        let mut bytes = vec![0; field::LENGTH];
        match self {
            Self::FibreChannel(name) => {
                bytes[0] = field::FCP;
                put(&mut bytes, field::FCP_NAME, name);
            }
            Self::ParallelScsi {
                address,
                relative_port,
            } => {
                bytes[0] = field::SPI;
                put(&mut bytes, field::SPI_ADDRESS, &address.to_be_bytes());
                let port = relative_port.to_be_bytes();
                put(&mut bytes, field::SPI_RELATIVE_PORT, &port);
            }
            Self::Ieee1394(name) => {
                bytes[0] = field::SBP;
                put(&mut bytes, field::SBP_NAME, name);
            }
            Self::Rdma(port) => {
                bytes[0] = field::SRP;
                put(&mut bytes, field::SRP_PORT, port);
            }
            Self::Iscsi { name, isid } => return emit_iscsi(name, *isid),
            Self::Sas(address) => {
                bytes[0] = field::SAS;
                put(&mut bytes, field::SAS_ADDRESS, address);
            }
            Self::Sop(id) => {
                bytes[0] = field::SOP;
                put(&mut bytes, field::SOP_ROUTING_ID, &id.to_be_bytes());
            }
            Self::Other(kept) => return kept.clone(),
        }
        bytes
    }

    /// An identifier of 24 bytes.
    fn parse_fixed(id: &[u8]) -> Self {
        // Bits 5 and 4 are reserved; a FORMAT CODE other than 00b is not defined for these protocols.
        match (byte(id, 0) >> 6, byte(id, 0) & 0x0f) {
            (0, field::FCP) => Self::FibreChannel(array(id, field::FCP_NAME)),
            (0, field::SPI) => Self::ParallelScsi {
                address: be16(id, field::SPI_ADDRESS),
                relative_port: be16(id, field::SPI_RELATIVE_PORT),
            },
            (0, field::SBP) => Self::Ieee1394(array(id, field::SBP_NAME)),
            (0, field::SRP) => Self::Rdma(array(id, field::SRP_PORT)),
            (0, field::SAS) => Self::Sas(array(id, field::SAS_ADDRESS)),
            (0, field::SOP) => Self::Sop(be16(id, field::SOP_ROUTING_ID)),
            _ => Self::Other(id.to_vec()),
        }
    }

    /// An iSCSI identifier in all of its bytes; `None` when the name or the ISID is not one.
    fn parse_iscsi(id: &[u8]) -> Option<Self> {
        let name = terminated(id.get(field::ISCSI_NAME..)?)?;
        match byte(id, 0) >> 6 {
            0 => text::is_iscsi_name(name).then(|| Self::Iscsi {
                name: name.to_owned(),
                isid: None,
            }),
            1 => text::parse_iscsi_port(name),
            _ => Some(Self::Other(id.to_vec())),
        }
    }
}

/// The text up to the first NUL ("without regard for the ADDITIONAL LENGTH", SPC-4 7.6.4.6).
fn terminated(field: &[u8]) -> Option<&str> {
    let end = field.iter().position(|&byte| byte == 0)?;
    std::str::from_utf8(&field[..end]).ok()
}

/// The same error of a list that starts `by` bytes earlier.
pub(super) const fn moved(error: ParameterError, by: usize) -> ParameterError {
    match error {
        ParameterError::Incomplete { needed } => ParameterError::Incomplete {
            needed: needed + by,
        },
        ParameterError::Length { expected, arrived } => ParameterError::Length {
            expected: expected + by,
            arrived: arrived + by,
        },
        ParameterError::Field { at, what } => ParameterError::Field { at: at + by, what },
    }
}

fn emit_iscsi(name: &str, isid: Option<[u8; 6]>) -> Vec<u8> {
    assert!(
        name.len() <= ISCSI_NAME_LENGTH_MAX,
        "an iSCSI name of {} bytes passed the constructors",
        name.len()
    );
    let mut bytes = vec![field::ISCSI, 0, 0, 0];
    bytes.extend(name.as_bytes());
    if let Some(isid) = isid {
        bytes[0] |= field::ISCSI_PORT_FORMAT;
        bytes.extend(ISID_SEPARATOR.as_bytes());
        bytes.extend(text::hex(&isid).as_bytes());
    }
    bytes.push(0);
    let length = bytes.len().next_multiple_of(4).max(field::LENGTH);
    bytes.resize(length, 0);
    let told = u16::try_from(length - field::ISCSI_NAME).unwrap_or(u16::MAX);
    put(
        &mut bytes,
        field::ISCSI_ADDITIONAL_LENGTH,
        &told.to_be_bytes(),
    );
    bytes
}

#[cfg(test)]
mod tests;
