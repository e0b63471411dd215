//! What codes of the standards mean, in words for an operator.

use scsi::reservation::{Attention, AttentionKind};
use scsi::wire::sense::Sense;

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

/// Sense data: the key by name, and the additional codes.
pub(crate) fn sense(sense: &Sense) -> String {
    let key = match sense.key {
        0x0 => "NO SENSE",
        0x1 => "RECOVERED ERROR",
        0x2 => "NOT READY",
        0x3 => "MEDIUM ERROR",
        0x4 => "HARDWARE ERROR",
        0x5 => "ILLEGAL REQUEST",
        0x6 => "UNIT ATTENTION",
        0x7 => "DATA PROTECT",
        0x8 => "BLANK CHECK",
        0xa => "COPY ABORTED",
        0xb => "ABORTED COMMAND",
        0xd => "VOLUME OVERFLOW",
        0xe => "MISCOMPARE",
        _ => "a reserved sense key",
    };
    format!(
        "{key} ({:X}/{:02X}/{:02X})",
        sense.key, sense.asc, sense.ascq
    )
}
