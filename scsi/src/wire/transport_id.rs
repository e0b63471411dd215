//! TransportIDs (SPC-4 7.6.4): initiator ports of every protocol, as they stand in READ FULL STATUS,
//! REGISTER AND MOVE and SPEC_I_PT lists.

use std::fmt;

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
        /// The initiator's name (`iqn.…`).
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

impl fmt::Display for TransportId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn hex(f: &mut fmt::Formatter<'_>, protocol: &str, bytes: &[u8]) -> fmt::Result {
            write!(f, "{protocol}:")?;
            bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
        }
        match self {
            Self::FibreChannel(name) => hex(f, "fc", name),
            Self::ParallelScsi {
                address,
                relative_port,
            } => {
                write!(f, "spi:{address}.{relative_port}")
            }
            Self::Ieee1394(eui) => hex(f, "1394", eui),
            Self::Rdma(id) => hex(f, "srp", id),
            Self::Iscsi { name, isid: None } => f.write_str(name),
            Self::Iscsi {
                name,
                isid: Some(isid),
            } => {
                write!(f, "{name},i,")?;
                write!(f, "0x")?;
                isid.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
            Self::Sas(address) => hex(f, "sas", address),
            Self::Sop(id) => write!(f, "sop:{id:04x}"),
            Self::Other(bytes) => hex(f, "other", bytes),
        }
    }
}
