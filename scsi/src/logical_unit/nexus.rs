//! The I_T nexus as the unit sees it.

use crate::reservation::NexusId;
use crate::wire::transport_id::TransportId;
use std::fmt;

/// An I_T nexus (SAM-5): an initiator port seen through one target port of the unit.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Nexus {
    /// The initiator port.
    pub initiator: TransportId,
    /// RELATIVE TARGET PORT IDENTIFIER, counted from 1.
    pub target_port: u16,
}

impl Nexus {
    /// The nexus of this initiator port through this target port.
    #[must_use]
    pub const fn new(initiator: TransportId, target_port: u16) -> Self {
        Self {
            initiator,
            target_port,
        }
    }

    /// How READ FULL STATUS names it, when it is registered for this target port alone.
    #[must_use]
    pub fn id(&self) -> NexusId {
        NexusId::Scsi {
            initiator: self.initiator.clone(),
            relative_target_port: Some(self.target_port),
        }
    }
}

impl fmt::Display for Nexus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}>{}", self.initiator, self.target_port)
    }
}
