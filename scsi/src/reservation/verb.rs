//! What may be asked of a disk that arbitrates.

use super::{Key, ReservationType};
use crate::wire::transport_id::TransportId;

/// How far a reset reaches.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ResetScope {
    /// The logical unit.
    Lun,
    /// The target: all its logical units.
    Target,
    /// The bus.
    Bus,
    /// The host adapter.
    Host,
}

/// The bits that go with a registration.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct RegisterOptions {
    /// APTPL: registrations and reservation survive a power loss of the target.
    pub aptpl: bool,
    /// ALL_TG_PT: register through every target port at once.
    pub all_target_ports: bool,
    /// SPEC_I_PT: register these initiator ports too.
    pub also: Vec<TransportId>,
}

/// One request. Each is one command, but for the reads, which are as many as their answer needs.
///
/// On NVMe the persistent verbs become Reservation Register, Acquire, Release and Report.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Verb {
    /// TEST UNIT READY: has no side effect but to consume one attention.
    TestUnitReady,
    /// Who is registered, who holds what.
    ReadState,
    /// What the disk says it can do (REPORT CAPABILITIES and what was learned at open).
    ReadCapabilities,

    /// SPC-2 RESERVE: the whole logical unit for this nexus.
    Spc2Reserve,
    /// SPC-2 RELEASE. GOOD from a nexus that holds nothing, too.
    Spc2Release,

    /// REGISTER. `existing` must be what this nexus has registered (none: nothing); `new` none removes.
    Register {
        /// The key that this nexus has now.
        existing: Option<Key>,
        /// The key that it shall have.
        new: Option<Key>,
        /// APTPL, ALL_TG_PT, SPEC_I_PT.
        options: RegisterOptions,
    },
    /// REGISTER AND IGNORE EXISTING KEY: an operator's verb, never an arbiter's.
    RegisterIgnoringExisting {
        /// The key that this nexus shall have; none removes.
        new: Option<Key>,
        /// APTPL, ALL_TG_PT.
        options: RegisterOptions,
    },
    /// RESERVE.
    Reserve {
        /// The key of this nexus.
        key: Key,
        /// The type to hold.
        kind: ReservationType,
    },
    /// RELEASE.
    Release {
        /// The key of this nexus.
        key: Key,
        /// The type that is held.
        kind: ReservationType,
    },
    /// CLEAR: removes the reservation and every registration.
    Clear {
        /// The key of this nexus.
        key: Key,
    },
    /// PREEMPT, and PREEMPT AND ABORT. GOOD does not mean "I hold it": read the state afterwards.
    Preempt {
        /// The key of this nexus.
        key: Key,
        /// Whose registrations go; none (all but one's own) only under an All Registrants type.
        victim: Option<Key>,
        /// The type to hold if the victim was the holder.
        kind: ReservationType,
        /// Abort the victim's queued commands.
        abort: bool,
    },
    /// REGISTER AND MOVE: hand the reservation to another nexus.
    Move {
        /// The key of this nexus, the holder.
        key: Key,
        /// The key that the destination shall have.
        new: Key,
        /// Unregister this nexus afterwards.
        unregister: bool,
        /// APTPL.
        aptpl: bool,
        /// The destination's initiator port.
        to: TransportId,
        /// The destination's target port.
        relative_target_port: u16,
    },
    /// REPLACE LOST RESERVATION (SPC-4 5.13.11.3). It names no key that is registered: its RESERVATION KEY is zero.
    ReplaceLost {
        /// The key that this nexus shall have.
        new: Key,
        /// The type to hold.
        kind: ReservationType,
    },

    /// CLEAR TASK SET: abort every queued command of every nexus; reservations stay.
    ClearTaskSet,
    /// A reset, without escalation unless asked.
    Reset {
        /// How far it reaches.
        scope: ResetScope,
        /// Let the host go on to a wider scope when this one fails.
        escalate: bool,
    },
}

impl Verb {
    /// Does performing it change nothing on the disk (but consume attentions)?
    #[must_use]
    pub const fn is_read(&self) -> bool {
        matches!(
            self,
            Self::TestUnitReady | Self::ReadState | Self::ReadCapabilities
        )
    }

    /// The name of the verb, as the standards spell it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::TestUnitReady => "TEST UNIT READY",
            Self::ReadState => "READ STATE",
            Self::ReadCapabilities => "REPORT CAPABILITIES",
            Self::Spc2Reserve => "RESERVE",
            Self::Spc2Release => "RELEASE",
            Self::Register { .. } => "PR REGISTER",
            Self::RegisterIgnoringExisting { .. } => "PR REGISTER AND IGNORE EXISTING KEY",
            Self::Reserve { .. } => "PR RESERVE",
            Self::Release { .. } => "PR RELEASE",
            Self::Clear { .. } => "PR CLEAR",
            Self::Preempt { abort: false, .. } => "PR PREEMPT",
            Self::Preempt { abort: true, .. } => "PR PREEMPT AND ABORT",
            Self::Move { .. } => "PR REGISTER AND MOVE",
            Self::ReplaceLost { .. } => "PR REPLACE LOST RESERVATION",
            Self::ClearTaskSet => "CLEAR TASK SET",
            Self::Reset {
                scope: ResetScope::Lun,
                ..
            } => "LUN RESET",
            Self::Reset {
                scope: ResetScope::Target,
                ..
            } => "TARGET RESET",
            Self::Reset {
                scope: ResetScope::Bus,
                ..
            } => "BUS RESET",
            Self::Reset {
                scope: ResetScope::Host,
                ..
            } => "HOST RESET",
        }
    }
}
