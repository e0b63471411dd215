//! PERSISTENT RESERVE OUT: from the parameter list to the rule.

use super::LogicalUnit;
use super::behaviour::Difference;
use super::nexus::Nexus;
use super::persistent::{Effects, Preempt, Register, Relocate};
use super::refused::Refused;
use crate::reservation::ReservationType;
use crate::wire::ParameterError;
use crate::wire::cdb::PrOutAction;
use crate::wire::persistent_out::{BasicList, MoveList};

/// The CDB.
pub(super) struct Asked {
    pub(super) action: PrOutAction,
    pub(super) scope: u8,
    pub(super) kind: u8,
    pub(super) parameter_list_length: u32,
}

pub(super) fn perform(
    unit: &mut LogicalUnit,
    nexus: &Nexus,
    asked: &Asked,
    data_out: &[u8],
) -> Result<(), Refused> {
    let length = usize::try_from(asked.parameter_list_length).unwrap_or(usize::MAX);
    // Fewer bytes than the CDB speaks of: as a list that is too short.
    let list = data_out.get(..length).unwrap_or_default();
    let effects = match asked.action {
        PrOutAction::RegisterAndMove => relocate(unit, nexus, list)?,
        PrOutAction::ReplaceLostReservation => return Err(Refused::CDB_FIELD),
        PrOutAction::Register
        | PrOutAction::RegisterAndIgnoreExistingKey
        | PrOutAction::Reserve
        | PrOutAction::Release
        | PrOutAction::Clear
        | PrOutAction::Preempt
        | PrOutAction::PreemptAndAbort => basic(unit, nexus, asked, list)?,
    };
    unit.apply(effects, nexus);
    Ok(())
}

fn basic(
    unit: &mut LogicalUnit,
    nexus: &Nexus,
    asked: &Asked,
    list: &[u8],
) -> Result<Effects, Refused> {
    let list = BasicList::parse(list).map_err(|error| bad_list(unit, error))?;
    let has_options = list.aptpl || list.all_target_ports || list.initiator_ports.is_some();
    if has_options && unit.has(Difference::NoPowerLossNoPorts) {
        return Err(Refused::CDB_FIELD);
    }
    // SPC-4 5.13.7, table 69: SPEC_I_PT goes with REGISTER alone.
    if list.initiator_ports.is_some() && asked.action != PrOutAction::Register {
        return Err(Refused::LIST_FIELD);
    }
    if lies(unit) {
        return Ok(Effects::default());
    }
    let action = asked.action;
    let kind = ReservationType::from_scsi_code(asked.kind);
    let lu_scope = asked.scope == 0;
    unit.with_surroundings(|persistent, _, around| match action {
        PrOutAction::Register | PrOutAction::RegisterAndIgnoreExistingKey => {
            let register = Register {
                ignore_existing: action == PrOutAction::RegisterAndIgnoreExistingKey,
                existing: list.key,
                new: list.service_action_key,
                aptpl: list.aptpl,
                all_target_ports: list.all_target_ports,
                also: list.initiator_ports,
            };
            persistent.register(nexus, &register, around)
        }
        PrOutAction::Reserve => persistent
            .reserve(nexus, list.key, kind, lu_scope, around)
            .map(|()| Effects::default()),
        PrOutAction::Release => persistent.release(nexus, list.key, kind, lu_scope, around),
        PrOutAction::Clear => persistent.clear(nexus, list.key, around),
        PrOutAction::Preempt | PrOutAction::PreemptAndAbort => {
            let preempt = Preempt {
                key: list.key,
                victim: list.service_action_key,
                kind,
                lu_scope,
                abort: action == PrOutAction::PreemptAndAbort,
            };
            persistent.preempt(nexus, &preempt, around)
        }
        PrOutAction::RegisterAndMove | PrOutAction::ReplaceLostReservation => {
            Err(Refused::CDB_FIELD)
        }
    })
}

fn relocate(unit: &mut LogicalUnit, nexus: &Nexus, list: &[u8]) -> Result<Effects, Refused> {
    let list = MoveList::parse(list).map_err(|error| bad_list(unit, error))?;
    if lies(unit) {
        return Ok(Effects::default());
    }
    let relocate = Relocate {
        key: list.key,
        new: list.service_action_key,
        unregister: list.unregister,
        aptpl: list.aptpl,
        to: Nexus::new(list.destination, list.relative_target_port),
    };
    unit.with_surroundings(|persistent, _, around| persistent.relocate(nexus, &relocate, around))
}

/// `hostile`: GOOD, and nothing was done.
fn lies(unit: &mut LogicalUnit) -> bool {
    unit.has(Difference::LyingGood) && unit.whims.one_of(16) == 1
}

/// SPC-4 6.16: a list of the wrong length is 1A/00, one with a bad field 26/00.
fn bad_list(unit: &LogicalUnit, error: ParameterError) -> Refused {
    match error {
        _ if unit.has(Difference::BadListIsCdbField) => Refused::CDB_FIELD,
        ParameterError::Length { .. } | ParameterError::Incomplete { .. } => Refused::LIST_LENGTH,
        ParameterError::Field { .. } => Refused::LIST_FIELD,
    }
}
