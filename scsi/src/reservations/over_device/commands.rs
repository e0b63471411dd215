//! The table: which command each verb is, field by field.
//!
//! | verb | command | RESERVATION KEY | SERVICE ACTION KEY | type |
//! |---|---|---|---|---|
//! | REGISTER | PR OUT 00h | the key that is registered, or 0 | the new key, or 0 | |
//! | REGISTER AND IGNORE | PR OUT 06h | | the new key, or 0 | |
//! | RESERVE | PR OUT 01h | own | | wanted |
//! | RELEASE | PR OUT 02h | own | | held |
//! | CLEAR | PR OUT 03h | own | | |
//! | PREEMPT | PR OUT 04h | own | the victim's, or 0 | wanted |
//! | PREEMPT AND ABORT | PR OUT 05h | own | the victim's, or 0 | wanted |
//! | REGISTER AND MOVE | PR OUT 07h, its own list | own | the destination's | |
//! | REPLACE LOST | PR OUT 08h | own, or 0 | the new key | wanted |
//!
//! What a row leaves empty travels as zero. (SPC-4 tables 173 and 175.)

use crate::reservation::{Key, RegisterOptions, ReservationType, Verb};
use crate::wire::cdb::{Command, PrOutAction};
use crate::wire::persistent_out::{BasicList, MoveList};

/// A PERSISTENT RESERVE OUT command and its parameter list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct PrOut {
    pub(super) command: Command,
    pub(super) list: Vec<u8>,
}

/// The command that this verb is; `None` for the verbs that are not PERSISTENT RESERVE OUT.
pub(super) fn pr_out(verb: &Verb) -> Option<PrOut> {
    Some(match verb {
        Verb::Register {
            existing,
            new,
            options,
        } => registering(PrOutAction::Register, *existing, *new, options),
        Verb::RegisterIgnoringExisting { new, options } => registering(
            PrOutAction::RegisterAndIgnoreExistingKey,
            None,
            *new,
            options,
        ),
        Verb::Reserve { key, kind } => basic(PrOutAction::Reserve, Some(*key), None, Some(*kind)),
        Verb::Release { key, kind } => basic(PrOutAction::Release, Some(*key), None, Some(*kind)),
        Verb::Clear { key } => basic(PrOutAction::Clear, Some(*key), None, None),
        Verb::Preempt {
            key,
            victim,
            kind,
            abort,
        } => {
            let action = if *abort {
                PrOutAction::PreemptAndAbort
            } else {
                PrOutAction::Preempt
            };
            basic(action, Some(*key), *victim, Some(*kind))
        }
        Verb::ReplaceLost { new, kind } => basic(
            PrOutAction::ReplaceLostReservation,
            None,
            Some(*new),
            Some(*kind),
        ),
        Verb::Move {
            key,
            new,
            unregister,
            aptpl,
            to,
            relative_target_port,
        } => {
            let list = MoveList {
                key: Some(*key),
                service_action_key: Some(*new),
                unregister: *unregister,
                aptpl: *aptpl,
                relative_target_port: *relative_target_port,
                destination: to.clone(),
            };
            with_list(PrOutAction::RegisterAndMove, None, list.emit())
        }
        Verb::TestUnitReady
        | Verb::ReadState
        | Verb::ReadCapabilities
        | Verb::Spc2Reserve
        | Verb::Spc2Release
        | Verb::ClearTaskSet
        | Verb::Reset { .. } => return None,
    })
}

fn registering(
    action: PrOutAction,
    existing: Option<Key>,
    new: Option<Key>,
    options: &RegisterOptions,
) -> PrOut {
    let list = BasicList {
        key: existing,
        service_action_key: new,
        aptpl: options.aptpl,
        all_target_ports: options.all_target_ports,
        initiator_ports: (!options.also.is_empty()).then(|| options.also.clone()),
    };
    with_list(action, None, list.emit())
}

fn basic(
    action: PrOutAction,
    key: Option<Key>,
    service_action_key: Option<Key>,
    kind: Option<ReservationType>,
) -> PrOut {
    let list = BasicList {
        key,
        service_action_key,
        ..BasicList::default()
    };
    with_list(action, kind, list.emit())
}

fn with_list(action: PrOutAction, kind: Option<ReservationType>, list: Vec<u8>) -> PrOut {
    PrOut {
        command: Command::PersistentReserveOut {
            action,
            scope: 0,
            kind: kind.map_or(0, ReservationType::scsi_code),
            parameter_list_length: u32::try_from(list.len()).unwrap_or(u32::MAX),
        },
        list,
    }
}
