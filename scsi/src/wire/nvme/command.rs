//! The four reservation commands (NVMe Base 2.0, by their names): operation code, the two command dwords
//! that are theirs, and the data that goes with them.
//!
//! ```text
//! Register 0Dh   CDW10  2-0 RREGA, 3 IEKEY, 31-30 CPTPL          data out 16: CRKEY, NRKEY
//! Report   0Eh   CDW10  NUMD (dwords, zero-based)  CDW11 0 EDS   data in
//! Acquire  11h   CDW10  2-0 RACQA, 3 IEKEY, 15-8 RTYPE           data out 16: CRKEY, PRKEY
//! Release  15h   CDW10  2-0 RRELA, 3 IEKEY, 15-8 RTYPE           data out  8: CRKEY
//! ```
//!
//! Invariants: a command cannot be built with a type or action that does not exist; IEKEY is an
//! operator's bit, never a default.

use super::le64;
use super::report::ReportForm;
use crate::reservation::{Key, ReservationType};

/// Operation codes of the I/O queue (NVMe Base 2.0).
mod opcode {
    pub(super) const REGISTER: u8 = 0x0d;
    pub(super) const REPORT: u8 = 0x0e;
    pub(super) const ACQUIRE: u8 = 0x11;
    pub(super) const RELEASE: u8 = 0x15;
}

/// Positions in CDW10.
mod cdw10 {
    pub(super) const IEKEY: u32 = 3;
    pub(super) const RTYPE: u32 = 8;
    pub(super) const CPTPL: u32 = 30;
}

/// RREGA (7.3).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum RegisterAction {
    /// 0: register a key.
    Register,
    /// 1: remove the registration.
    Unregister,
    /// 2: replace the key.
    Replace,
}

/// CPTPL: what to do with Persist Through Power Loss, which holds for the namespace.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum PowerLossPersistence {
    /// 0: leave it.
    Keep,
    /// 2: reservations and registrations end with the power.
    Clear,
    /// 3: they survive.
    Set,
}

/// RACQA (7.2).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum AcquireAction {
    /// 0: acquire.
    Acquire,
    /// 1: preempt.
    Preempt,
    /// 2: preempt and abort.
    PreemptAndAbort,
}

/// RRELA (7.4).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ReleaseAction {
    /// 0: release; the type must be the one that is held.
    Release(ReservationType),
    /// 1: clear: the reservation and all registrations.
    Clear,
}

/// A reservation command.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ReservationCommand {
    /// Reservation Register.
    Register {
        /// What to do.
        action: RegisterAction,
        /// IEKEY: whatever key this host has now.
        ignore_existing: bool,
        /// CPTPL.
        persistence: PowerLossPersistence,
        /// CRKEY: the key that this host has now.
        current: Option<Key>,
        /// NRKEY: the key that it shall have.
        new: Option<Key>,
    },
    /// Reservation Report.
    Report {
        /// Which form of host identifiers.
        form: ReportForm,
        /// How many bytes to ask for; rounded down to whole dwords, at least one.
        bytes: u32,
    },
    /// Reservation Acquire.
    Acquire {
        /// What to do.
        action: AcquireAction,
        /// RTYPE.
        kind: ReservationType,
        /// CRKEY: the key of this host.
        current: Option<Key>,
        /// PRKEY: the victim's key; none for a plain acquire, and for all under an All Registrants type.
        victim: Option<Key>,
    },
    /// Reservation Release.
    Release {
        /// What to do.
        action: ReleaseAction,
        /// CRKEY: the key of this host.
        current: Option<Key>,
    },
}

impl ReservationCommand {
    /// The operation code.
    #[must_use]
    pub const fn opcode(&self) -> u8 {
        match self {
            Self::Register { .. } => opcode::REGISTER,
            Self::Report { .. } => opcode::REPORT,
            Self::Acquire { .. } => opcode::ACQUIRE,
            Self::Release { .. } => opcode::RELEASE,
        }
    }

    /// Command dword 10.
    #[must_use]
    pub fn cdw10(&self) -> u32 {
        let type_field = |kind: ReservationType| u32::from(kind.nvme_code()) << cdw10::RTYPE;
        match *self {
            Self::Register {
                action,
                ignore_existing,
                persistence,
                ..
            } => {
                let action = match action {
                    RegisterAction::Register => 0,
                    RegisterAction::Unregister => 1,
                    RegisterAction::Replace => 2,
                };
                let persistence = match persistence {
                    PowerLossPersistence::Keep => 0,
                    PowerLossPersistence::Clear => 2,
                    PowerLossPersistence::Set => 3,
                };
                action | u32::from(ignore_existing) << cdw10::IEKEY | persistence << cdw10::CPTPL
            }
            // NUMD is zero-based.
            Self::Report { bytes, .. } => (bytes / 4).saturating_sub(1),
            Self::Acquire { action, kind, .. } => {
                let action = match action {
                    AcquireAction::Acquire => 0,
                    AcquireAction::Preempt => 1,
                    AcquireAction::PreemptAndAbort => 2,
                };
                action | type_field(kind)
            }
            Self::Release { action, .. } => match action {
                ReleaseAction::Release(kind) => type_field(kind),
                ReleaseAction::Clear => 1,
            },
        }
    }

    /// Command dword 11.
    #[must_use]
    pub fn cdw11(&self) -> u32 {
        match self {
            Self::Report { form, .. } => u32::from(*form == ReportForm::Extended),
            Self::Register { .. } | Self::Acquire { .. } | Self::Release { .. } => 0,
        }
    }

    /// The data that goes out; `None` for Report, whose data come in.
    #[must_use]
    pub fn data_out(&self) -> Option<Vec<u8>> {
        let keys = |keys: &[Option<Key>]| {
            let words = keys.iter().map(|&key| Key::to_wire(key));
            words.flat_map(u64::to_le_bytes).collect()
        };
        match *self {
            Self::Register { current, new, .. } => Some(keys(&[current, new])),
            Self::Acquire {
                current, victim, ..
            } => Some(keys(&[current, victim])),
            Self::Release { current, .. } => Some(keys(&[current])),
            Self::Report { .. } => None,
        }
    }

    /// The command that these dwords and data say (for traces and for an emulated controller); `None`
    /// for what is reserved, and for an Acquire or Release with IEKEY, which no host of ours sends.
    #[must_use]
    pub fn parse(opcode: u8, cdw10: u32, cdw11: u32, data_out: &[u8]) -> Option<Self> {
        let key = |at| Key::new(le64(data_out, at));
        let ignore_existing = cdw10 >> cdw10::IEKEY & 1 == 1;
        let action = cdw10 & 0x07;
        let [_, type_code, _, _] = cdw10.to_le_bytes();
        let kind = ReservationType::from_nvme_code(type_code);
        let enough = data_out.len() >= if opcode == opcode::RELEASE { 8 } else { 16 };
        match opcode {
            opcode::REGISTER if enough => Some(Self::Register {
                action: match action {
                    0 => RegisterAction::Register,
                    1 => RegisterAction::Unregister,
                    2 => RegisterAction::Replace,
                    _ => return None,
                },
                ignore_existing,
                persistence: match cdw10 >> cdw10::CPTPL {
                    0 => PowerLossPersistence::Keep,
                    2 => PowerLossPersistence::Clear,
                    3 => PowerLossPersistence::Set,
                    _ => return None,
                },
                current: key(0),
                new: key(8),
            }),
            opcode::REPORT => Some(Self::Report {
                form: if cdw11 & 1 == 1 {
                    ReportForm::Extended
                } else {
                    ReportForm::Short
                },
                bytes: cdw10.checked_add(1)?.checked_mul(4)?,
            }),
            opcode::ACQUIRE if enough && !ignore_existing => Some(Self::Acquire {
                action: match action {
                    0 => AcquireAction::Acquire,
                    1 => AcquireAction::Preempt,
                    2 => AcquireAction::PreemptAndAbort,
                    _ => return None,
                },
                kind: kind?,
                current: key(0),
                victim: key(8),
            }),
            opcode::RELEASE if enough && !ignore_existing => Some(Self::Release {
                action: match action {
                    0 => ReleaseAction::Release(kind?),
                    1 => ReleaseAction::Clear,
                    _ => return None,
                },
                current: key(0),
            }),
            _ => None,
        }
    }
}
