//! Who may do what under another's reservation: the access tables.
//!
//! Every command is in one class; two small tables say what each class meets. Admission is decided when a
//! command is accepted (SPC-4 5.13.1: when its processing begins). One that was admitted and waits may still run
//! after its nexus lost its rights: that is why PREEMPT AND ABORT exists.

use super::behaviour::Difference;
use super::nexus::Nexus;
use super::persistent::{Persistent, Surroundings};
use crate::reservation::ReservationType;
use crate::wire::cdb::{Command, PrOutAction};

/// What a command is to the tables (SPC-4 tables 65 and 66, SBC-3 and SPC-2, Reservations).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Class {
    /// INQUIRY: passes everywhere.
    Inquiry,
    /// REQUEST SENSE, REPORT LUNS: tells of the unit, not of the medium.
    Tells,
    /// READ CAPACITY: the same, but LIO takes it for a read.
    TellsCapacity,
    /// TEST UNIT READY: conflicts under SPC-2 only, and so finds out an SPC-2 holder.
    Ready,
    /// MODE SENSE: as a read for those who hold no rights.
    ModeSense,
    /// REPORT SUPPORTED OPERATION CODES: the same.
    OperationCodes,
    /// READ.
    Reads,
    /// WRITE, COMPARE AND WRITE.
    Writes,
    /// SYNCHRONIZE CACHE: as a write, but no data goes out.
    Flushes,
    /// RESERVE and RELEASE of SPC-2: their own rules decide.
    Spc2,
    /// PERSISTENT RESERVE IN.
    PrIn,
    /// PERSISTENT RESERVE OUT: REGISTER and its like, which strangers may do.
    PrOutRegisters,
    /// PERSISTENT RESERVE OUT: what a registrant may do to another's reservation (CLEAR, PREEMPT, RELEASE).
    PrOutOfRegistrants,
    /// PERSISTENT RESERVE OUT: RESERVE and REGISTER AND MOVE.
    PrOutOfHolder,
    /// Not there: 05/20/00, whoever asks.
    Unknown,
}

impl Class {
    const fn is_persistent_out(self) -> bool {
        matches!(
            self,
            Self::PrOutRegisters | Self::PrOutOfRegistrants | Self::PrOutOfHolder
        )
    }
}

const fn class(command: &Command) -> Class {
    match command {
        Command::Inquiry { .. } => Class::Inquiry,
        Command::RequestSense { .. } | Command::ReportLuns { .. } => Class::Tells,
        Command::ReadCapacity10 | Command::ReadCapacity16 { .. } => Class::TellsCapacity,
        Command::TestUnitReady => Class::Ready,
        Command::ModeSense6 { .. } | Command::ModeSense10 { .. } => Class::ModeSense,
        Command::ReportSupportedOperationCodes { .. } => Class::OperationCodes,
        Command::Read { .. } => Class::Reads,
        Command::Write { .. } | Command::CompareAndWrite { .. } => Class::Writes,
        Command::SynchronizeCache { .. } => Class::Flushes,
        Command::Reserve6 | Command::Release6 | Command::Reserve10 | Command::Release10 => {
            Class::Spc2
        }
        Command::PersistentReserveIn { .. } => Class::PrIn,
        Command::PersistentReserveOut { action, .. } => match action {
            PrOutAction::Register | PrOutAction::RegisterAndIgnoreExistingKey => {
                Class::PrOutRegisters
            }
            PrOutAction::Release
            | PrOutAction::Clear
            | PrOutAction::Preempt
            | PrOutAction::PreemptAndAbort => Class::PrOutOfRegistrants,
            PrOutAction::Reserve
            | PrOutAction::RegisterAndMove
            | PrOutAction::ReplaceLostReservation => Class::PrOutOfHolder,
        },
        Command::Unknown { .. } => Class::Unknown,
    }
}

/// May this nexus do this, as far as reservations go?
pub(super) fn is_admitted(
    command: &Command,
    nexus: &Nexus,
    spc2_holder: Option<&Nexus>,
    persistent: &Persistent,
    around: &Surroundings<'_>,
) -> bool {
    let class = class(command);
    if let Some(holder) = spc2_holder {
        let passes = passes_spc2(class, holder == nexus, around);
        if !passes || !around.has(Difference::Spc2AdmitsPersistent) {
            return passes;
        }
    }
    if class.is_persistent_out() && around.has(Difference::ListBeforeConflict) {
        return true;
    }
    match persistent.kind() {
        None => true,
        Some(_) if persistent.is_holder(nexus) => true,
        Some(kind) if persistent.is_registered(nexus) => registrant_passes(class, kind, around),
        Some(kind) => stranger_passes(class, kind, around),
    }
}

/// Under an SPC-2 reservation (SPC-2 5.5.1). Persistent reservation commands conflict for everybody,
/// the holder too (SPC-2 5.5.1).
fn passes_spc2(class: Class, is_holder: bool, around: &Surroundings<'_>) -> bool {
    match class {
        Class::Inquiry | Class::Unknown | Class::Spc2 => true,
        Class::PrIn | Class::PrOutRegisters | Class::PrOutOfRegistrants | Class::PrOutOfHolder => {
            around.has(Difference::Spc2AdmitsPersistent)
        }
        Class::Tells | Class::TellsCapacity => {
            is_holder || !around.has(Difference::Spc2AdmitsOnlyInquiry)
        }
        Class::ModeSense | Class::OperationCodes => {
            is_holder || around.has(Difference::Spc2AdmitsModeSense)
        }
        Class::Ready | Class::Reads | Class::Writes | Class::Flushes => is_holder,
    }
}

/// A registrant that does not hold.
fn registrant_passes(class: Class, kind: ReservationType, around: &Surroundings<'_>) -> bool {
    // The registrants only types give it the holder's access.
    if kind.admits_registrants() {
        return true;
    }
    match class {
        Class::Inquiry
        | Class::Unknown
        | Class::Tells
        | Class::Ready
        | Class::Spc2
        | Class::PrIn
        | Class::PrOutRegisters
        | Class::PrOutOfRegistrants => true,
        Class::TellsCapacity => {
            kind.admits_strange_reads() || !around.has(Difference::ReadCapacityConflicts)
        }
        Class::ModeSense | Class::OperationCodes
            if around.has(Difference::RegistrantsMayModeSense) =>
        {
            true
        }
        Class::ModeSense => admits_mode_sense(kind, around),
        Class::OperationCodes | Class::Reads => kind.admits_strange_reads(),
        Class::Writes | Class::Flushes | Class::PrOutOfHolder => false,
    }
}

/// A nexus that is not registered.
fn stranger_passes(class: Class, kind: ReservationType, around: &Surroundings<'_>) -> bool {
    match class {
        Class::Inquiry
        | Class::Unknown
        | Class::Tells
        | Class::Ready
        | Class::Spc2
        | Class::PrIn
        | Class::PrOutRegisters => true,
        Class::TellsCapacity => {
            kind.admits_strange_reads() || !around.has(Difference::ReadCapacityConflicts)
        }
        Class::ModeSense => admits_mode_sense(kind, around),
        Class::OperationCodes | Class::Reads => kind.admits_strange_reads(),
        Class::Flushes => {
            kind.admits_strange_reads() && around.has(Difference::NoDataPassesWriteExclusive)
        }
        Class::Writes | Class::PrOutOfRegistrants | Class::PrOutOfHolder => false,
    }
}

/// MODE SENSE of a nexus that has no rights.
fn admits_mode_sense(kind: ReservationType, around: &Surroundings<'_>) -> bool {
    kind.admits_strange_reads() && !around.has(Difference::ModeSenseConflictsAsWrites)
}
