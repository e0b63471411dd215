//! What codes of the standards mean, in words for an operator.

use quorum_core::arbitration::KeyParts;
use scsi::reservation::{Attention, AttentionKind, Key, RegisterOptions, Verb};

/// What an attention says happened.
pub(crate) const fn attention(attention: Attention) -> &'static str {
    match attention.kind() {
        AttentionKind::PowerOn => "power on or reset: everything volatile is gone",
        AttentionKind::Reset => "reset: an SPC-2 reservation is gone",
        AttentionKind::NexusLoss => "this path was lost and is back",
        AttentionKind::ReservationsPreempted => {
            "somebody cleared all reservations and registrations"
        }
        AttentionKind::ReservationsReleased => "the holder released its reservation",
        AttentionKind::RegistrationsPreempted => "this path's registration was removed by another",
        AttentionKind::CommandsCleared => "another initiator aborted this path's commands",
        AttentionKind::Other => "something changed",
    }
}

/// The short name of an attention's kind, as JSON spells it.
pub(crate) const fn attention_name(attention: Attention) -> &'static str {
    match attention.kind() {
        AttentionKind::PowerOn => "power-on",
        AttentionKind::Reset => "reset",
        AttentionKind::NexusLoss => "nexus-loss",
        AttentionKind::ReservationsPreempted => "reservations-preempted",
        AttentionKind::ReservationsReleased => "reservations-released",
        AttentionKind::RegistrationsPreempted => "registrations-preempted",
        AttentionKind::CommandsCleared => "commands-cleared",
        AttentionKind::Other => "other",
    }
}

/// Whose a key is, where it is of the kind that this cluster's arbiters register.
pub(crate) fn key_owner(key: Key) -> Option<String> {
    KeyParts::decode(key).map(|parts| {
        format!(
            "node {} of cluster {}, serial {}",
            parts.node.0, parts.cluster, parts.serial
        )
    })
}

/// A command with everything that it carries: what a plan and a report print.
pub(crate) fn verb(verb: &Verb) -> String {
    let key = |key: &Option<Key>| key.map_or_else(|| "0".to_owned(), |key| key.to_string());
    let carried = match verb {
        Verb::TestUnitReady
        | Verb::ReadState
        | Verb::ReadCapabilities
        | Verb::Spc2Reserve
        | Verb::Spc2Release
        | Verb::ClearTaskSet => String::new(),
        Verb::Register {
            existing,
            new,
            options,
        } => format!(" key {} new {}{}", key(existing), key(new), bits(options)),
        Verb::RegisterIgnoringExisting { new, options } => {
            format!(" new {}{}", key(new), bits(options))
        }
        Verb::Reserve { key, kind } | Verb::Release { key, kind } => {
            format!(" key {key} type {kind}")
        }
        Verb::Clear { key } => format!(" key {key}"),
        Verb::Preempt {
            key: own,
            victim,
            kind,
            abort: _,
        } => format!(" key {own} victim {} type {kind}", key(victim)),
        Verb::Move {
            key,
            new,
            unregister,
            aptpl,
            to,
            relative_target_port,
        } => {
            let unregister = if *unregister { " UNREG" } else { "" };
            let aptpl = if *aptpl { " APTPL" } else { "" };
            format!(" key {key} new {new} to {to}>{relative_target_port}{unregister}{aptpl}")
        }
        Verb::ReplaceLost { new, kind } => format!(" new {new} type {kind}"),
        Verb::Reset { escalate, .. } => {
            if *escalate {
                " (the host may escalate)".to_owned()
            } else {
                " (no escalation)".to_owned()
            }
        }
    };
    format!("{}{carried}", verb.name())
}

fn bits(options: &RegisterOptions) -> String {
    let mut text = String::new();
    if options.aptpl {
        text.push_str(" APTPL");
    }
    if options.all_target_ports {
        text.push_str(" ALL_TG_PT");
    }
    for initiator in &options.also {
        text.push_str(&format!(" SPEC_I_PT {initiator}"));
    }
    text
}
