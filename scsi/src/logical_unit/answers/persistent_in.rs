//! PERSISTENT RESERVE IN (SPC-4 6.15): from the state to the bytes.

use crate::logical_unit::behaviour::{Behaviour, Difference};
use crate::logical_unit::persistent::Persistent;
use crate::logical_unit::refused::Refused;
use crate::reservation::{ReservationType, TypeMask};
use crate::wire::cdb::PrInAction;
use crate::wire::persistent_in::{
    FullStatus, FullStatusEntry, HeldReservation, RegisteredKeys, ReportedCapabilities,
};

/// The answer, cut to the allocation length.
pub(in crate::logical_unit) fn data(
    persistent: &Persistent,
    behaviour: Behaviour,
    action: PrInAction,
    allocation_length: usize,
) -> Result<Vec<u8>, Refused> {
    let least = match action {
        PrInAction::ReportCapabilities if behaviour == Behaviour::Lio => 6,
        PrInAction::ReadKeys
        | PrInAction::ReadReservation
        | PrInAction::ReportCapabilities
        | PrInAction::ReadFullStatus => 8,
    };
    if allocation_length < least && behaviour.has(Difference::ShortAllocationRefused) {
        return Err(Refused::CDB_FIELD);
    }
    let mut data = match action {
        PrInAction::ReadKeys => keys(persistent),
        PrInAction::ReadReservation => HeldReservation {
            generation: persistent.generation,
            reservation: persistent.state().reservation,
        }
        .emit(),
        PrInAction::ReportCapabilities => capabilities(persistent, behaviour).emit().to_vec(),
        PrInAction::ReadFullStatus => {
            let mut status = full_status(persistent);
            if behaviour.has(Difference::FullStatusCountsWhatFits) {
                keep_what_fits(&mut status, allocation_length);
            }
            status.emit()
        }
    };
    let needs_room = action == PrInAction::ReadReservation
        && behaviour.has(Difference::ReservationNeedsRoom)
        && allocation_length < RESERVATION_ROOM;
    data.truncate(if needs_room {
        HEADER
    } else {
        allocation_length
    });
    Ok(data)
}

/// PRGENERATION and ADDITIONAL LENGTH (SPC-4 6.15.3).
const HEADER: usize = 8;
/// What LIO wants before it tells of the reservation.
const RESERVATION_ROOM: usize = 22;

/// LIO adds the length of a descriptor's TransportID, and not of the descriptor, to those before it, and leaves
/// the header out: so the last that it tells may be cut.
fn keep_what_fits(status: &mut FullStatus, allocation_length: usize) {
    /// A descriptor without its TransportID (SPC-4 6.15.5).
    const FIXED: usize = 24;
    let mut told = 0;
    let fits = status.entries.iter().take_while(|entry| {
        let id = entry.initiator.emit().len();
        let does_fit = told + id <= allocation_length;
        told += FIXED + id;
        does_fit
    });
    let count = fits.count();
    status.entries.truncate(count);
}

fn keys(persistent: &Persistent) -> Vec<u8> {
    RegisteredKeys {
        generation: persistent.generation,
        keys: persistent.registrants.iter().map(|one| one.key).collect(),
    }
    .emit()
}

fn full_status(persistent: &Persistent) -> FullStatus {
    FullStatus {
        generation: persistent.generation,
        entries: persistent
            .registrants
            .iter()
            .map(|one| FullStatusEntry {
                key: one.key,
                holds: persistent
                    .is_holding(one)
                    .then(|| persistent.kind())
                    .flatten(),
                relative_target_port: (!one.all_target_ports).then_some(one.nexus.target_port),
                initiator: one.nexus.initiator.clone(),
            })
            .collect(),
    }
}

/// ALLOW COMMANDS 001b: TEST UNIT READY passes, MODE SENSE and its like pass write exclusive types
/// (SPC-4 6.15.4).
fn capabilities(persistent: &Persistent, behaviour: Behaviour) -> ReportedCapabilities {
    let options = !behaviour.has(Difference::NoPowerLossNoPorts);
    let handling = !behaviour.has(Difference::NoCompatibleHandling);
    ReportedCapabilities {
        replace_lost: false,
        compatible_handling: handling,
        specify_initiator_ports: options,
        all_target_ports: options,
        aptpl_capable: options,
        aptpl_active: persistent.aptpl,
        allow_commands: u8::from(handling),
        types: Some(
            ReservationType::ALL
                .into_iter()
                .fold(TypeMask::default(), TypeMask::with),
        ),
    }
}
