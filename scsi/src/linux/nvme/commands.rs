//! The table: which NVMe command each verb is.
//!
//! | verb | command | action | CRKEY | second key |
//! |---|---|---|---|---|
//! | REGISTER, none before | Register | register | | the new key |
//! | REGISTER, a new key | Register | replace | the old key | the new key |
//! | REGISTER, no new key | Register | unregister | the old key | |
//! | REGISTER AND IGNORE | Register, IEKEY | replace, or unregister | | the new key |
//! | RESERVE | Acquire | acquire | own | |
//! | PREEMPT | Acquire | preempt, or preempt and abort | own | the victim's |
//! | RELEASE | Release | release | own | |
//! | CLEAR | Release | clear | own | |
//!
//! Unregistering ends the persistence of nothing: APTPL is passed on with a new key only.

use crate::reservation::{Key, RegisterOptions, Verb};
use crate::wire::nvme::{
    AcquireAction, PowerLossPersistence, RegisterAction, ReleaseAction, ReservationCommand,
};

/// The command that this verb is; `None` where NVMe has no such thing.
pub(super) fn command_of(verb: &Verb) -> Option<ReservationCommand> {
    Some(match verb {
        Verb::Register {
            existing,
            new,
            options,
        } => {
            let action = match (existing, new) {
                (None, Some(_)) => RegisterAction::Register,
                (Some(_), None) => RegisterAction::Unregister,
                (Some(_), Some(_)) => RegisterAction::Replace,
                // SCSI has a use for it, NVMe has none.
                (None, None) => return None,
            };
            register(action, false, *existing, *new, options)?
        }
        Verb::RegisterIgnoringExisting { new, options } => {
            // Replace with IEKEY registers a host that is not registered, too.
            let action = match new {
                Some(_) => RegisterAction::Replace,
                None => RegisterAction::Unregister,
            };
            register(action, true, None, *new, options)?
        }
        Verb::Reserve { key, kind } => ReservationCommand::Acquire {
            action: AcquireAction::Acquire,
            kind: *kind,
            current: Some(*key),
            victim: None,
        },
        Verb::Preempt {
            key,
            victim,
            kind,
            abort,
        } => ReservationCommand::Acquire {
            action: if *abort {
                AcquireAction::PreemptAndAbort
            } else {
                AcquireAction::Preempt
            },
            kind: *kind,
            current: Some(*key),
            victim: *victim,
        },
        Verb::Release { key, kind } => ReservationCommand::Release {
            action: ReleaseAction::Release(*kind),
            current: Some(*key),
        },
        Verb::Clear { key } => ReservationCommand::Release {
            action: ReleaseAction::Clear,
            current: Some(*key),
        },
        Verb::TestUnitReady
        | Verb::ReadState
        | Verb::ReadCapabilities
        | Verb::Spc2Reserve
        | Verb::Spc2Release
        | Verb::Move { .. }
        | Verb::ReplaceLost { .. }
        | Verb::ClearTaskSet
        | Verb::Reset { .. } => return None,
    })
}

fn register(
    action: RegisterAction,
    ignore_existing: bool,
    current: Option<Key>,
    new: Option<Key>,
    options: &RegisterOptions,
) -> Option<ReservationCommand> {
    // Ports are none of NVMe's business: a registration is the host's, through every controller.
    if options.all_target_ports || !options.also.is_empty() {
        return None;
    }
    Some(ReservationCommand::Register {
        action,
        ignore_existing,
        persistence: if options.aptpl && new.is_some() {
            PowerLossPersistence::Set
        } else {
            PowerLossPersistence::Keep
        },
        current,
        new,
    })
}
