//! Text for scripts and timelines: keys as `node.serial`, events, verbs and answers in a few words.

use quorum_core::arbitration::{ClusterTag, Event, KeyParts, NodeNumber, Output, Refused, Stopped};
use scsi::reservation::{
    Answer, Attention, Key, Registration, Reply, Reservation, ReservationType, Verb,
};
use std::fmt::Write as _;
use std::time::Duration;

/// The cluster of every script.
pub const CLUSTER: ClusterTag = ClusterTag::from_bits(0x00c1_0c10);

/// `1.7` is node 1's key with serial 7; `x2a` is a foreign key.
///
/// # Errors
/// When it is no key.
pub fn key(word: &str) -> Result<Key, String> {
    let bad = || format!("not a key: {word}");
    if let Some(hex) = word.strip_prefix('x') {
        let value = u64::from_str_radix(hex, 16).map_err(|_| bad())?;
        return Key::new(value).ok_or_else(bad);
    }
    let (node, serial) = word.split_once('.').ok_or_else(bad)?;
    Ok(KeyParts {
        cluster: CLUSTER,
        node: NodeNumber(node.parse().map_err(|_| bad())?),
        serial: serial.parse().map_err(|_| bad())?,
    }
    .encode())
}

/// A key as [`key`] reads it.
pub fn key_word(key: Key) -> String {
    match KeyParts::decode(key) {
        Some(parts) if parts.cluster == CLUSTER => format!("{}.{}", parts.node.0, parts.serial),
        Some(_) | None => format!("x{:x}", key.get()),
    }
}

fn optional(key: Option<Key>) -> String {
    key.map_or_else(|| "none".into(), key_word)
}

/// A type by its name.
///
/// # Errors
/// When there is none.
pub fn kind(word: &str) -> Result<ReservationType, String> {
    ReservationType::from_name(word).ok_or_else(|| format!("not a type: {word}"))
}

/// `29/03`.
///
/// # Errors
/// When it is no attention.
pub fn attention(word: &str) -> Result<Attention, String> {
    let bad = || format!("not an attention: {word}");
    let (asc, ascq) = word.split_once('/').ok_or_else(bad)?;
    let byte = |hex: &str| u8::from_str_radix(hex, 16).map_err(|_| bad());
    Ok(Attention::new(byte(asc)?, byte(ascq)?))
}

/// `20ms`, `2s`.
///
/// # Errors
/// When it is no duration.
pub fn duration(word: &str) -> Result<Duration, String> {
    let bad = || format!("not a duration: {word}");
    if let Some(number) = word.strip_suffix("ms") {
        return Ok(Duration::from_millis(number.parse().map_err(|_| bad())?));
    }
    let number = word.strip_suffix('s').ok_or_else(bad)?;
    Ok(Duration::from_secs(number.parse().map_err(|_| bad())?))
}

/// Whole milliseconds.
pub fn ms(span: Duration) -> String {
    format!("{}ms", span.as_millis())
}

/// Who holds.
pub fn holder_word(held: Option<Reservation>) -> String {
    match held {
        None => "nobody".into(),
        Some(held) => format!("{} ({})", optional(held.key), held.kind),
    }
}

/// Who is registered.
pub fn registrations_word(registrations: &[Registration]) -> String {
    let mut words: Vec<_> = registrations.iter().map(|one| key_word(one.key)).collect();
    words.sort();
    if words.is_empty() {
        "none".into()
    } else {
        words.join(" ")
    }
}

/// A verb with its keys.
pub fn verb_word(verb: &Verb) -> String {
    let mut word = verb.name().to_string();
    match verb {
        Verb::Register {
            existing,
            new,
            options,
        } => {
            let _ = write!(word, " {} -> {}", optional(*existing), optional(*new));
            if options.aptpl {
                word.push_str(" aptpl");
            }
        }
        Verb::RegisterIgnoringExisting { new, .. } => {
            let _ = write!(word, " {}", optional(*new));
        }
        Verb::Reserve { key, kind } | Verb::Release { key, kind } => {
            let _ = write!(word, " {} {kind}", key_word(*key));
        }
        Verb::Preempt {
            key, victim, kind, ..
        } => {
            let _ = write!(word, " {} by {} {kind}", optional(*victim), key_word(*key));
        }
        Verb::TestUnitReady
        | Verb::ReadState
        | Verb::ReadCapabilities
        | Verb::Spc2Reserve
        | Verb::Spc2Release
        | Verb::Clear { .. }
        | Verb::Move { .. }
        | Verb::ReplaceLost { .. }
        | Verb::ClearTaskSet
        | Verb::Reset { .. } => {}
    }
    word
}

/// An event.
pub fn event_word(event: &Event) -> String {
    match event {
        Event::Found {
            reservation,
            registrations,
        } => format!(
            "found: held by {}, registered {}",
            holder_word(*reservation),
            registrations_word(registrations)
        ),
        Event::Reborn { old, was_holder } => format!(
            "reborn over {}{}",
            key_word(*old),
            if *was_holder { ", the holder" } else { "" }
        ),
        Event::Registered { path, key } => {
            format!("registered {} on path {}", key_word(*key), path.0)
        }
        Event::ResetSent => "reset sent".into(),
        Event::Waiting { holder, until } => format!(
            "waiting until {}, held by {}",
            ms(until.elapsed_since_zero()),
            holder_word(*holder)
        ),
        Event::WaitRestarted { attention } => format!(
            "wait restarted by {:02x}/{:02x}",
            attention.asc, attention.ascq
        ),
        Event::Lost { holder, again_at } => format!(
            "lost to {}{}",
            holder_word(*holder),
            again_at.map_or_else(String::new, |at| format!(
                ", again at {}",
                ms(at.elapsed_since_zero())
            ))
        ),
        Event::Taking { victim, .. } => {
            format!("taking from {}", victim.map_or("nobody".into(), key_word))
        }
        Event::Taken => "taken".into(),
        Event::Barrier(kind) => format!("barrier: {kind:?}"),
        Event::Held { key, proved_at } => format!(
            "HELD{}, proved at {}",
            key.map_or_else(String::new, |key| format!(" by {}", key_word(key))),
            ms(proved_at.elapsed_since_zero())
        ),
        Event::Owner { key } => format!(
            "OWNER{}",
            key.map_or_else(String::new, |key| format!(" by {}", key_word(key)))
        ),
        Event::Defended { proved_at } => {
            format!("defended, proved at {}", ms(proved_at.elapsed_since_zero()))
        }
        Event::Removed {
            registration,
            foreign,
        } => format!(
            "removed {}{}",
            key_word(registration.key),
            if *foreign { ", foreign" } else { "" }
        ),
        Event::Contested { registration } => format!("contested by {}", key_word(registration.key)),
        Event::Crowded { keys, covered } => format!("crowded: {keys} keys, {covered} are covered"),
        Event::KeyShared { key, nexuses, sent } => format!(
            "{} is shared: {nexuses} nexuses have it, sent {sent} times",
            key_word(*key)
        ),
        Event::Aptpl { active } => format!("aptpl {}", if *active { "on" } else { "off" }),
        Event::RoundFailed { why, age } => format!("round failed at age {}: {why}", ms(*age)),
        Event::Late { by } => format!("late by {}", ms(*by)),
        Event::Trouble { path, verb, why } => format!("trouble on path {}: {verb}: {why}", path.0),
        Event::Attention { path, attention } => format!(
            "attention {:02x}/{:02x} on path {}",
            attention.asc, attention.ascq, path.0
        ),
        Event::Exposed { at_most } => format!("exposed for at most {}", ms(*at_most)),
        Event::Retaken { key } => format!("retaken with {}", key_word(*key)),
        Event::Path { path, usable } => format!(
            "path {} {}",
            path.0,
            if *usable { "usable" } else { "not usable" }
        ),
        Event::Stopped(stopped) => format!("STOPPED: {}", stopped_word(stopped)),
    }
}

/// Why a machine stands still.
pub fn stopped_word(stopped: &Stopped) -> String {
    match stopped {
        Stopped::NotTaken { holder } => format!("not taken, held by {}", holder_word(*holder)),
        Stopped::Refused(refused) => format!("refused: {}", refused_word(refused)),
        Stopped::Deposed { holder } => format!("deposed, held by {}", holder_word(*holder)),
        Stopped::SelfStop { age } => format!("self-stop at age {}", ms(*age)),
        Stopped::Parked => "parked".into(),
        Stopped::Released { confirmed: true } => "released".into(),
        Stopped::Released { confirmed: false } => "released, nobody knows whether".into(),
        Stopped::Withdrawn => "withdrawn".into(),
    }
}

fn refused_word(refused: &Refused) -> String {
    match refused {
        Refused::Foreign { registrations } => {
            format!(
                "foreign registrations {}",
                registrations_word(registrations)
            )
        }
        Refused::NoAptpl => "power loss would open the disk".into(),
        Refused::Unsupported(what) => format!("the disk does not have: {what}"),
        Refused::OtherProtocol => "the other protocol is in use".into(),
        Refused::NoPath(why) => format!("no path: {why}"),
        Refused::CannotRegister(why) => format!("cannot register: {why}"),
        Refused::DuplicateNode { key } => format!("duplicate node, {} defends", key_word(*key)),
    }
}

/// An output of a machine.
pub fn output_word(output: &Output) -> String {
    match output {
        Output::Perform { id, path, verb, .. } => {
            format!("#{} path {}: {}", id.0, path.0, verb_word(verb))
        }
        Output::ReadMark { id } => format!("#{} read the parked mark", id.0),
        Output::ReadEpoch { id } => format!("#{} read the epoch", id.0),
        Output::NeedSerials => "needs serials".into(),
        Output::ProvedUntil(until) => format!("proved until {}", ms(until.elapsed_since_zero())),
        Output::Event(event) => format!("* {}", event_word(event)),
    }
}

/// What came back.
pub fn answer_word(answer: &Answer) -> String {
    match answer {
        Answer::Done(Reply::Good) => "good".into(),
        Answer::Done(Reply::State(state)) => format!(
            "held by {}, registered {}",
            holder_word(state.reservation),
            registrations_word(&state.registrations)
        ),
        Answer::Done(Reply::Capabilities(_)) => "capabilities".into(),
        Answer::Conflict { .. } => "CONFLICT".into(),
        Answer::Attention(attention) => {
            format!("attention {:02x}/{:02x}", attention.asc, attention.ascq)
        }
        Answer::Refused(_) => "refused".into(),
        Answer::Unsupported => "unsupported".into(),
        Answer::OutcomeUnknown(_) => "unknown".into(),
        Answer::NotSent(_) => "not sent".into(),
    }
}
