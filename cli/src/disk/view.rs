//! A disk and its reservation state as JSON and as text: the same words in every verb.

use super::own::Own;
use super::session::{About, Met, Reading};
use crate::output::{FAINT, STRONG, WARN};
use crate::words;
use scsi::disk::{Identity, Usage, UsageKind};
use scsi::reservation::{NexusId, Registration, Reservation};
use serde_json::{Value, json};
use std::io::{self, Write};

/// Which disk a document is about.
pub(crate) fn about_json(about: &About) -> Value {
    let identity = &about.identity;
    json!({
        "name": about.name,
        "vendor": identity.vendor,
        "model": identity.model,
        "revision": identity.revision,
        "serial": identity.serial,
        "wwid": identity.wwid,
        "transport": identity.transport,
        "address": identity.address.map(|address| address.to_string()),
        "block_count": identity.block_count,
        "block_bytes": identity.block_bytes,
        "size_bytes": identity.size_bytes(),
    })
}

/// Which disk, on a page.
pub(crate) fn about_text(page: &mut dyn Write, about: &About) -> io::Result<()> {
    writeln!(
        page,
        "{STRONG}{}{STRONG:#}  {}",
        about.name,
        identity_line(&about.identity)
    )
}

/// One line that tells this disk from its neighbour.
pub(crate) fn identity_line(identity: &Identity) -> String {
    let text = |part: &Option<String>| part.clone().unwrap_or_else(|| "?".to_owned());
    format!(
        "{} {}  serial {}  wwid {}",
        text(&identity.vendor),
        text(&identity.model),
        text(&identity.serial),
        text(&identity.wwid)
    )
}

/// Sizes as disks are sold and as they are counted.
pub(crate) fn size_words(identity: &Identity) -> String {
    let (Some(bytes), Some(count), Some(block)) = (
        identity.size_bytes(),
        identity.block_count,
        identity.block_bytes,
    ) else {
        return "unknown".to_owned();
    };
    format!("{} ({count} blocks of {block} bytes)", bytes_words(bytes))
}

/// A number of bytes with a binary unit, one decimal.
pub(crate) fn bytes_words(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} bytes");
    }
    let mut unit = 0;
    let mut scale = 1024_u64;
    while unit + 1 < UNITS.len() && bytes / scale >= 1024 {
        scale *= 1024;
        unit += 1;
    }
    let tenths = u128::from(bytes) * 10 / u128::from(scale);
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

/// The state, in full.
pub(crate) fn state_json(reading: &Reading) -> Value {
    let registrations: Vec<Value> = reading
        .state
        .registrations
        .iter()
        .zip(&reading.own)
        .map(|(entry, own)| registration_json(reading, entry, *own))
        .collect();
    json!({
        "generation": reading.state.generation,
        "reservation": reading.state.reservation.as_ref().map(reservation_json),
        "registrations": registrations,
    })
}

/// A reservation; the key is null where every registrant holds.
pub(crate) fn reservation_json(reservation: &Reservation) -> Value {
    json!({
        "key": reservation.key.map(|key| key.to_string()),
        "type": reservation.kind.name(),
    })
}

fn registration_json(reading: &Reading, entry: &Registration, own: Own) -> Value {
    let mut value = entry_json(entry);
    value["own"] = match own {
        Own::Path(_) => json!(true),
        Own::Other => json!(false),
        Own::Unknown => Value::Null,
    };
    value["path"] = match own {
        Own::Path(index) => json!(reading.paths[index]),
        Own::Other | Own::Unknown => Value::Null,
    };
    value
}

/// A registration, without whose it is.
pub(crate) fn entry_json(entry: &Registration) -> Value {
    json!({
        "key": entry.key.to_string(),
        "nexus": entry.nexus.as_ref().map(NexusId::to_string),
        "owner": words::key_owner(entry.key),
        "holder": entry.holder,
        "all_target_ports": entry.all_target_ports,
    })
}

/// Attentions that were met.
pub(crate) fn met_json(met: &[Met]) -> Value {
    met.iter()
        .map(|met| {
            json!({
                "path": met.path,
                "asc": format!("{:#04x}", met.attention.asc),
                "ascq": format!("{:#04x}", met.attention.ascq),
                "kind": words::attention_name(met.attention),
            })
        })
        .collect()
}

/// What on this host uses the disk.
pub(crate) fn usages_json(usages: &[Usage]) -> Value {
    usages
        .iter()
        .map(|usage| {
            let kind = match &usage.kind {
                UsageKind::Mounted { .. } => "mounted",
                UsageKind::Root => "root",
                UsageKind::Swap => "swap",
                UsageKind::HeldBy { .. } => "held",
            };
            json!({ "node": usage.node, "kind": kind, "text": usage.to_string() })
        })
        .collect()
}

/// The state as a person reads it.
pub(crate) fn state_text(page: &mut dyn Write, reading: &Reading) -> io::Result<()> {
    let state = &reading.state;
    writeln!(page, "generation  {}", state.generation)?;
    writeln!(
        page,
        "reservation {}",
        reservation_words(state.reservation.as_ref())
    )?;
    if state.registrations.is_empty() {
        return writeln!(page, "registered  nobody");
    }
    writeln!(
        page,
        "registered  {}",
        count(state.registrations.len(), "nexus", "nexuses")
    )?;
    for (entry, own) in state.registrations.iter().zip(&reading.own) {
        writeln!(page, "  {}", entry_words(entry, *own, reading))?;
    }
    Ok(())
}

/// One registration on a line.
fn entry_words(entry: &Registration, own: Own, reading: &Reading) -> String {
    let nexus = nexus_words(entry);
    let whose = match own {
        Own::Path(index) => format!("  {STRONG}this host, {}{STRONG:#}", reading.paths[index]),
        Own::Other => String::new(),
        Own::Unknown => format!("  {FAINT}whose is not told{FAINT:#}"),
    };
    let holder = match entry.holder {
        Some(true) => format!("  {WARN}holder{WARN:#}"),
        Some(false) | None => String::new(),
    };
    let ports = if entry.all_target_ports {
        "  through all target ports"
    } else {
        ""
    };
    let owner = words::key_owner(entry.key).map_or_else(String::new, |owner| format!("  {owner}"));
    format!(
        "{:18}  {nexus}{ports}{holder}{whose}{owner}",
        entry.key.to_string()
    )
}

/// The nexus of a registration.
pub(crate) fn nexus_words(entry: &Registration) -> String {
    entry
        .nexus
        .as_ref()
        .map_or_else(|| "nexus not told".to_owned(), NexusId::to_string)
}

/// A reservation in words.
pub(crate) fn reservation_words(reservation: Option<&Reservation>) -> String {
    match reservation {
        None => "none".to_owned(),
        Some(Reservation { key: None, kind }) => {
            format!("{} ({kind}), held by every registrant", kind.words())
        }
        Some(Reservation {
            key: Some(key),
            kind,
        }) => format!("{} ({kind}), held by {key}", kind.words()),
    }
}

/// Attentions on a page, where there are any.
pub(crate) fn met_text(page: &mut dyn Write, met: &[Met]) -> io::Result<()> {
    for Met { path, attention } in met {
        writeln!(
            page,
            "attention   {:02X}/{:02X} on {path}: {}",
            attention.asc,
            attention.ascq,
            words::attention(*attention)
        )?;
    }
    Ok(())
}

/// `1 nexus`, `2 nexuses`.
pub(crate) fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_a_unit_and_one_decimal() {
        assert_eq!(bytes_words(512), "512 bytes");
        assert_eq!(bytes_words(1024), "1.0 KiB");
        assert_eq!(bytes_words(1536 * 1024), "1.5 MiB");
        assert_eq!(bytes_words(u64::MAX), "15.9 EiB");
    }
}
