//! An inspection in JSON and in words: what `show` and `verify` share.

use super::{place, times};
use crate::output::{BAD, FAINT, GOOD, STRONG, WARN};
use qlog::inspect::{
    Content, CopyState, Description, Health, Inspection, Role, Segment, Shadow, SuperblockCopy,
};
use qlog::{Format, Lsn, OpenError, Owner};
use serde_json::{Value, json};
use std::io::{self, Write};

/// How a whole region is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    /// Everything is as it was written.
    Good,
    /// Something is damaged, and nothing is lost by it.
    Degraded,
    /// Something that was acknowledged is damaged.
    Corrupt,
}

impl Verdict {
    pub(super) fn of(inspection: &Inspection) -> Self {
        let parts = inspection.parts();
        if inspection.refused.is_some() || parts.iter().any(|part| part.health.is_corrupt()) {
            Self::Corrupt
        } else if parts.iter().any(|part| !part.health.is_good()) {
            Self::Degraded
        } else {
            Self::Good
        }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Degraded => "degraded",
            Self::Corrupt => "corrupt",
        }
    }

    pub(super) fn painted(self) -> String {
        match self {
            Self::Good => format!("{GOOD}good{GOOD:#}"),
            Self::Degraded => format!("{WARN}degraded{WARN:#}"),
            Self::Corrupt => format!("{BAD}corrupt{BAD:#}"),
        }
    }
}

pub(super) fn format_json(format: &Format) -> Value {
    json!({
        "region_bytes": format.region_bytes,
        "block_bytes": format.block_bytes,
        "segments": format.segments,
        "segment_bytes": format.segment_bytes,
        "catalogue_bytes": format.catalogue_bytes,
        "chunk_bytes": format.chunk_bytes,
        "chunks": format.chunks,
    })
}

pub(super) fn format_text(page: &mut dyn Write, format: &Format) -> io::Result<()> {
    let chunks = u64::from(format.chunk_bytes) * u64::from(format.chunks);
    writeln!(
        page,
        "layout      {} segments of {}; {} chunks of {} ({}) for checkpoints and objects; blocks of {}",
        format.segments,
        place::bytes(format.segment_bytes),
        format.chunks,
        place::bytes(u64::from(format.chunk_bytes)),
        place::bytes(chunks),
        place::bytes(u64::from(format.block_bytes)),
    )
}

pub(super) fn health_json(health: &Health) -> Value {
    match health {
        Health::Good => json!({ "verdict": "good" }),
        Health::Degraded { why } => json!({ "verdict": "degraded", "why": why }),
        Health::Corrupt { why, range, advice } => json!({
            "verdict": "corrupt",
            "why": why,
            "from": range.start,
            "to": range.end,
            "advice": advice,
        }),
    }
}

/// Nothing for what is good.
pub(super) fn health_words(health: &Health) -> String {
    match health {
        Health::Good => String::new(),
        Health::Degraded { why } => format!("{WARN}degraded{WARN:#}: {why}"),
        Health::Corrupt { why, range, advice } => format!(
            "{BAD}corrupt{BAD:#}: {why} (bytes {}..{}); {advice}",
            range.start, range.end
        ),
    }
}

pub(crate) fn owner_json(owner: Owner) -> Value {
    json!({ "node": owner.node, "key": format!("{:#x}", owner.key) })
}

pub(crate) fn owner_words(owner: Owner) -> String {
    format!("node {} (key {:#x})", owner.node, owner.key)
}

/// An LSN as JSON has it.
pub(super) fn lsn(lsn: Lsn) -> Value {
    json!(lsn.to_string())
}

/// The code of a refusal, for programs.
pub(super) fn refusal_json(refused: Option<&OpenError>) -> Value {
    let Some(error) = refused else {
        return Value::Null;
    };
    let kind = match error {
        OpenError::Read { .. } => "unreadable",
        OpenError::NotALog => "not-a-log",
        OpenError::NoSuperblock { .. } => "no-superblock",
        OpenError::NewerFormat { .. } => "newer-format",
        OpenError::TwoOwners { .. } => "two-owners",
        OpenError::Region(_) => "region",
        OpenError::Corrupt(_) => "corrupt",
    };
    let (first_lost, from, to) = match error {
        OpenError::Corrupt(corrupt) => (
            lsn(corrupt.first_lost),
            json!(corrupt.range.start),
            json!(corrupt.range.end),
        ),
        OpenError::Read { .. }
        | OpenError::NotALog
        | OpenError::NoSuperblock { .. }
        | OpenError::NewerFormat { .. }
        | OpenError::TwoOwners { .. }
        | OpenError::Region(_) => (Value::Null, Value::Null, Value::Null),
    };
    json!({
        "kind": kind,
        "message": error.to_string(),
        "first_lost_lsn": first_lost,
        "from": from,
        "to": to,
    })
}

pub(super) fn notes_json(inspection: &Inspection) -> Value {
    inspection.notes.iter().map(ToString::to_string).collect()
}

pub(super) fn copy_json(copy: &SuperblockCopy) -> Value {
    let mut document = json!({
        "slot": copy.slot,
        "bank": copy.bank,
        "copy": copy.copy,
        "offset": copy.offset,
        "state": match copy.state {
            CopyState::Absent => "absent",
            CopyState::Damaged => "damaged",
            CopyState::Newer { .. } => "newer-format",
            CopyState::Whole { .. } => "whole",
        },
        "health": health_json(&copy.health),
    });
    if let CopyState::Whole {
        number,
        epoch,
        owner,
        counts,
    } = copy.state
    {
        document["number"] = json!(number.to_string());
        document["epoch"] = json!(epoch.to_string());
        document["owner"] = owner_json(owner);
        document["counts"] = json!(counts);
    }
    document
}

pub(super) fn log_json(log: &Description) -> Value {
    json!({
        "id": log.id.to_string(),
        "cluster": log.cluster.name,
        "times_bytes": log.cluster.times.len(),
        "times": times::json(&log.cluster),
        "format": format_json(&log.format),
        "superblock": log.superblock.to_string(),
        "epoch": log.epoch.to_string(),
        "owner": if log.epoch.0 == 0 { Value::Null } else { owner_json(log.owner) },
        "cut_lsn": lsn(log.cut),
        "closed": log.clean,
        "parked": log.parked.map(|parked| json!({
            "epoch": parked.epoch.to_string(),
            "owner": owner_json(parked.owner),
        })),
        "next_lsn": log.next.map(lsn),
        "checkpoint_lsn": log.checkpoint.map(lsn),
        "kept_from_lsn": log.kept_from.map(lsn),
        "segments": log.segments.iter().map(segment_json).collect::<Vec<_>>(),
        "catalogues": log.catalogues.iter().map(|catalogue| json!({
            "place": catalogue.place,
            "offset": catalogue.offset,
            "number": catalogue.number.map(|number| number.to_string()),
            "newest": catalogue.newest,
            "health": health_json(&catalogue.health),
        })).collect::<Vec<_>>(),
        "contents": log.contents.iter().map(content_json).collect::<Vec<_>>(),
        "chunks": {
            "all": log.chunks.all,
            "used": log.chunks.used,
            "free": log.chunks.free(),
        },
    })
}

pub(super) fn content_json(content: &Content) -> Value {
    json!({
        "name": content.name,
        "object": content.is_object,
        "lsn": lsn(content.lsn),
        "bytes": content.bytes,
        "chunks": content.chunks,
        "health": health_json(&content.health),
    })
}

const fn role_name(role: Role) -> &'static str {
    match role {
        Role::Fresh => "fresh",
        Role::Free => "free",
        Role::Sealed => "sealed",
        Role::Last => "last-epoch",
    }
}

fn segment_json(segment: &Segment) -> Value {
    json!({
        "index": segment.index,
        "offset": segment.offset,
        "bytes": segment.bytes,
        "role": role_name(segment.role),
        "generation": segment.generation.map(|generation| generation.to_string()),
        "epoch": segment.epoch.map(|epoch| epoch.to_string()),
        "first_lsn": segment.first_lsn.map(lsn),
        "end_lsn": segment.end_lsn.map(lsn),
        "frames": segment.frames,
        "records": segment.records,
        "used_bytes": segment.used_bytes,
        "epoch_start": segment.epoch_start.map(|started| json!({
            "epoch": started.epoch.to_string(),
            "owner": owner_json(started.owner),
            "cut_lsn": lsn(started.cut),
        })),
        "torn_tail": segment.torn,
        "shadows": segment.shadows.map(|shadow| match shadow {
            Shadow::Empty => json!({ "state": "empty" }),
            Shadow::Damaged => json!({ "state": "damaged" }),
            Shadow::Image { block, bytes } => json!({ "state": "image", "block": block, "bytes": bytes }),
            Shadow::Old { generation } => json!({ "state": "old", "generation": generation.to_string() }),
        }),
        "health": health_json(&segment.health),
    })
}

pub(super) fn log_text(page: &mut dyn Write, log: &Description) -> io::Result<()> {
    writeln!(
        page,
        "log         {}{}",
        log.id,
        super::destination::cluster(&log.cluster.name)
    )?;
    format_text(page, &log.format)?;
    writeln!(page, "owner       {}", owner_line(log))?;
    if let Some(times) = times::words(&log.cluster) {
        writeln!(page, "times       {times}")?;
    }
    let end = log.next.map_or_else(
        || "where they end cannot be told".to_owned(),
        |next| format!("the next is LSN {next}"),
    );
    let behind = match log.checkpoint {
        None | Some(Lsn(0)) => String::new(),
        Some(checkpoint) => format!(", behind the checkpoint at LSN {checkpoint}"),
    };
    writeln!(page, "records     {end}{behind}")?;
    writeln!(
        page,
        "{STRONG}segments{STRONG:#}    {FAINT}#  use         gen  epoch  records          frames       used{FAINT:#}"
    )?;
    for segment in &log.segments {
        segment_text(page, segment)?;
    }
    for catalogue in &log.catalogues {
        let number = match catalogue.number {
            None => "unused".to_owned(),
            Some(number) if catalogue.newest => format!("number {number}, the newest"),
            Some(number) => format!("number {number}, the one before"),
        };
        writeln!(page, "catalogue {} {number}", catalogue.place)?;
        health_line(page, &catalogue.health)?;
    }
    for content in &log.contents {
        content_text(page, content)?;
    }
    writeln!(
        page,
        "room        {} of {} chunks are free",
        log.chunks.free(),
        log.chunks.all
    )
}

pub(super) fn content_text(page: &mut dyn Write, content: &Content) -> io::Result<()> {
    let name = if content.is_object {
        format!("object {:?}", content.name)
    } else {
        content.name.clone()
    };
    writeln!(
        page,
        "{name}  LSN {}, {} bytes in {} chunks",
        content.lsn, content.bytes, content.chunks
    )?;
    health_line(page, &content.health)
}

fn owner_line(log: &Description) -> String {
    if log.epoch.0 == 0 {
        return "nobody has claimed it yet".to_owned();
    }
    let state = match (log.parked, log.clean) {
        (Some(_), _) => "parked: handed over, and may be preempted without a wait",
        (None, true) => "closed",
        (None, false) => "not closed: open, or its owner died",
    };
    format!("epoch {} of {}; {state}", log.epoch, owner_words(log.owner))
}

fn segment_text(page: &mut dyn Write, segment: &Segment) -> io::Result<()> {
    let or_dash = |number: Option<String>| number.unwrap_or_else(|| "-".to_owned());
    let records = match (segment.first_lsn, segment.end_lsn) {
        (Some(first), Some(end)) if first < end => format!("{first}..{}", end.0 - 1),
        _ => "-".to_owned(),
    };
    let torn = if segment.torn {
        "  its last write was cut short (it had not been acknowledged)"
    } else {
        ""
    };
    writeln!(
        page,
        "            {:<2} {:<11} {:<4} {:<6} {records:<16} {:<8} {:>8}{torn}",
        segment.index,
        role_name(segment.role),
        or_dash(segment.generation.map(|generation| generation.to_string())),
        or_dash(segment.epoch.map(|epoch| epoch.to_string())),
        segment.frames,
        segment.used_bytes,
    )?;
    health_line(page, &segment.health)
}

pub(super) fn health_line(page: &mut dyn Write, health: &Health) -> io::Result<()> {
    if health.is_good() {
        return Ok(());
    }
    writeln!(page, "            {}", health_words(health))
}

/// The superblock copies in a line, and those with something to be said.
pub(super) fn copies_text(page: &mut dyn Write, copies: &[SuperblockCopy]) -> io::Result<()> {
    let counting: Vec<String> = copies
        .iter()
        .filter_map(|copy| match copy.state {
            CopyState::Whole {
                number,
                counts: true,
                ..
            } => Some(format!(
                "number {number} in slot {} bank {} copy {}",
                copy.slot, copy.bank, copy.copy
            )),
            CopyState::Whole { .. }
            | CopyState::Absent
            | CopyState::Damaged
            | CopyState::Newer { .. } => None,
        })
        .collect();
    let count =
        |wanted: fn(&CopyState) -> bool| copies.iter().filter(|copy| wanted(&copy.state)).count();
    let whole = count(|state| matches!(state, CopyState::Whole { .. }));
    let absent = count(|state| *state == CopyState::Absent);
    let damaged = count(|state| *state == CopyState::Damaged);
    writeln!(
        page,
        "superblock  {}; of {} places {whole} are whole, {damaged} damaged, {absent} never written",
        if counting.is_empty() {
            "none counts".to_owned()
        } else {
            counting.join(", and ")
        },
        copies.len(),
    )?;
    for copy in copies.iter().filter(|copy| !copy.health.is_good()) {
        writeln!(
            page,
            "            slot {} bank {} copy {} at byte {}: {}",
            copy.slot,
            copy.bank,
            copy.copy,
            copy.offset,
            health_words(&copy.health)
        )?;
    }
    Ok(())
}
