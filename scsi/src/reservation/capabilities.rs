//! What a disk, and the way to it, can do.

use super::ReservationType;

/// Known, known not, or not known yet.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Support {
    /// The disk says so, or did it.
    Yes,
    /// The disk says no.
    No,
    /// It does not tell, and nothing was tried.
    #[default]
    Unknown,
}

impl Support {
    /// This, or the other where this is unknown.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        match self {
            Self::Yes | Self::No => self,
            Self::Unknown => other,
        }
    }
}

/// A set of reservation types.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct TypeMask(u8);

impl TypeMask {
    /// With this type added.
    #[must_use]
    pub const fn with(self, kind: ReservationType) -> Self {
        Self(self.0 | 1 << kind.nvme_code())
    }

    /// Is this type in it?
    #[must_use]
    pub const fn contains(self, kind: ReservationType) -> bool {
        self.0 & 1 << kind.nvme_code() != 0
    }
}

/// Which resets can be sent along this way.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct ResetSupport {
    /// LUN reset.
    pub lun: Support,
    /// Target reset.
    pub target: Support,
    /// Bus reset.
    pub bus: Support,
    /// Host reset.
    pub host: Support,
}

/// What a disk, and the way to it, can do. What is missing is said here, so that nothing is guessed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Capabilities {
    /// SPC-2 RESERVE and RELEASE.
    pub spc2: Support,
    /// Persistent reservations (SPC-3, NVMe).
    pub persistent: Support,
    /// The types it names; `None` when it does not tell (TMV=0).
    pub types: Option<TypeMask>,
    /// PTPL_C: can persist through power loss.
    pub aptpl_capable: Support,
    /// PTPL_A: persists now.
    pub aptpl_active: Support,
    /// ATP_C: understands ALL_TG_PT.
    pub all_target_ports: Support,
    /// SIP_C: understands SPEC_I_PT.
    pub specify_initiator_ports: Support,
    /// CRH: compatible reservation handling (SPC-4 5.13.3).
    pub compatible_handling: Support,
    /// RLR_C: REPLACE LOST RESERVATION.
    pub replace_lost: Support,
    /// READ FULL STATUS, or NVMe report: the state names nexuses.
    pub full_status: Support,
    /// One registration stands for every path of a host (NVMe); else each nexus registers for itself (SCSI).
    pub host_registration: bool,
    /// One REGISTER may register several nexuses (`IOC_PR_*` on a map: all of its paths).
    pub registers_several: bool,
    /// PREEMPT AND ABORT.
    pub preempt_and_abort: Support,
    /// CLEAR TASK SET can be sent.
    pub clear_task_set: Support,
    /// Unit Attentions are raised (not on NVMe, not over `IOC_PR_*`).
    pub attentions: Support,
    /// Resets.
    pub resets: ResetSupport,
}

impl Capabilities {
    /// These, and the others' where these do not tell.
    #[must_use]
    pub fn or(&self, other: &Self) -> Self {
        Self {
            spc2: self.spc2.or(other.spc2),
            persistent: self.persistent.or(other.persistent),
            types: self.types.or(other.types),
            aptpl_capable: self.aptpl_capable.or(other.aptpl_capable),
            aptpl_active: self.aptpl_active.or(other.aptpl_active),
            all_target_ports: self.all_target_ports.or(other.all_target_ports),
            specify_initiator_ports: self
                .specify_initiator_ports
                .or(other.specify_initiator_ports),
            compatible_handling: self.compatible_handling.or(other.compatible_handling),
            replace_lost: self.replace_lost.or(other.replace_lost),
            full_status: self.full_status.or(other.full_status),
            host_registration: self.host_registration || other.host_registration,
            registers_several: self.registers_several || other.registers_several,
            preempt_and_abort: self.preempt_and_abort.or(other.preempt_and_abort),
            clear_task_set: self.clear_task_set.or(other.clear_task_set),
            attentions: self.attentions.or(other.attentions),
            resets: ResetSupport {
                lun: self.resets.lun.or(other.resets.lun),
                target: self.resets.target.or(other.resets.target),
                bus: self.resets.bus.or(other.resets.bus),
                host: self.resets.host.or(other.resets.host),
            },
        }
    }
}
