//! What a disk can do, as JSON and as text. "Unknown" is said as such: nothing is guessed.

use scsi::reservation::{Capabilities, ReservationType, Support};
use serde_json::{Value, json};
use std::io::{self, Write};

fn support(support: Support) -> Value {
    match support {
        Support::Yes => json!(true),
        Support::No => json!(false),
        Support::Unknown => Value::Null,
    }
}

const fn word(support: Support) -> &'static str {
    match support {
        Support::Yes => "yes",
        Support::No => "no",
        Support::Unknown => "not told",
    }
}

/// As a document has it: true, false, or null where nobody tells.
pub(crate) fn json(can: &Capabilities) -> Value {
    json!({
        "spc2": support(can.spc2),
        "persistent": support(can.persistent),
        "types": can.types.map(|mask| {
            ReservationType::ALL
                .into_iter()
                .filter(|kind| mask.contains(*kind))
                .map(ReservationType::name)
                .collect::<Vec<_>>()
        }),
        "aptpl_capable": support(can.aptpl_capable),
        "aptpl_active": support(can.aptpl_active),
        "all_target_ports": support(can.all_target_ports),
        "specify_initiator_ports": support(can.specify_initiator_ports),
        "compatible_handling": support(can.compatible_handling),
        "replace_lost": support(can.replace_lost),
        "full_status": support(can.full_status),
        "preempt_and_abort": support(can.preempt_and_abort),
        "clear_task_set": support(can.clear_task_set),
        "attentions": support(can.attentions),
        "resets": {
            "lun": support(can.resets.lun),
            "target": support(can.resets.target),
            "bus": support(can.resets.bus),
            "host": support(can.resets.host),
        },
    })
}

/// As a person reads it.
pub(crate) fn text(page: &mut dyn Write, can: &Capabilities) -> io::Result<()> {
    let types = can.types.map_or_else(
        || "not told".to_owned(),
        |mask| {
            let names: Vec<&str> = ReservationType::ALL
                .into_iter()
                .filter(|kind| mask.contains(*kind))
                .map(ReservationType::name)
                .collect();
            names.join(" ")
        },
    );
    let aptpl = match (can.aptpl_capable, can.aptpl_active) {
        (Support::Yes, Support::Yes) => "yes, and active now",
        (Support::Yes, Support::No) => "yes, but not active: the last REGISTER did not ask for it",
        (Support::Yes, Support::Unknown) => "yes; whether it is active is not told",
        (Support::No, _) => "no: a power loss of the target opens the disk",
        (Support::Unknown, Support::Yes) => "active now",
        (Support::Unknown, Support::No | Support::Unknown) => "not told",
    };
    let rows: [(&str, &str); 15] = [
        ("persistent reservations", word(can.persistent)),
        ("types", &types),
        ("kept through power loss (APTPL)", aptpl),
        (
            "READ FULL STATUS (who, not only keys)",
            word(can.full_status),
        ),
        ("PREEMPT AND ABORT", word(can.preempt_and_abort)),
        ("ALL_TG_PT", word(can.all_target_ports)),
        ("SPEC_I_PT", word(can.specify_initiator_ports)),
        ("REPLACE LOST RESERVATION", word(can.replace_lost)),
        ("SPC-2 RESERVE and RELEASE", word(can.spc2)),
        ("compatible handling (CRH)", word(can.compatible_handling)),
        ("unit attentions", word(can.attentions)),
        ("CLEAR TASK SET", word(can.clear_task_set)),
        ("reset of the LUN", word(can.resets.lun)),
        ("reset of the target", word(can.resets.target)),
        (
            "reset of bus, host",
            &format!("{}, {}", word(can.resets.bus), word(can.resets.host)),
        ),
    ];
    for (name, value) in rows {
        writeln!(page, "  {name:38}  {value}")?;
    }
    Ok(())
}
