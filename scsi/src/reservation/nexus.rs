//! Who is registered: an I_T nexus, not a key.

use crate::wire::transport_id::TransportId;
use std::fmt;

/// The 128-bit host identifier of NVMe (shorter ones are extended with zeros).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostId(pub [u8; 16]);

impl fmt::Display for HostId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for HostId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The registrant: an initiator port seen through a target port (SCSI), or a host (NVMe).
///
/// Two registrations with the same key are told apart by this, and one's own registration is
/// recognised by this, never by the key alone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum NexusId {
    /// SCSI: initiator port and the relative identifier of the target port (absent under ALL_TG_PT).
    Scsi {
        /// The initiator port.
        initiator: TransportId,
        /// RELATIVE TARGET PORT IDENTIFIER of READ FULL STATUS.
        relative_target_port: Option<u16>,
    },
    /// NVMe: the host; all its controllers share one registration.
    Nvme {
        /// The host identifier.
        host: HostId,
    },
}

impl fmt::Display for NexusId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scsi {
                initiator,
                relative_target_port: Some(port),
            } => {
                write!(f, "{initiator}>{port}")
            }
            Self::Scsi {
                initiator,
                relative_target_port: None,
            } => write!(f, "{initiator}"),
            Self::Nvme { host } => write!(f, "host:{host}"),
        }
    }
}
