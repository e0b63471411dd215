//! The keys that a check registers: told from every other key by their first half, so that a killed run
//! can be cleaned up, and a mark be found again after a power cycle.

use crate::clock;
use crate::disk::own::Own;
use crate::disk::session::Session;
use crate::exit::Failure;
use scsi::reservation::{Key, PersistentState, RegisterOptions, ReservationType, Verb};

/// "QCHE": a check that runs.
const RUNNING: u32 = 0x5143_4845;
/// "QCMK": a mark that was left to be found after a power cycle.
const MARK: u32 = 0x5143_4d4b;

/// A key of a running check that is not registered.
pub(super) fn fresh(state: &PersistentState) -> Key {
    make(RUNNING, state)
}

/// A mark that is not registered.
pub(super) fn fresh_mark(state: &PersistentState) -> Key {
    make(MARK, state)
}

/// Is it a check's, running or a mark?
pub(super) fn is_ours(key: Key) -> bool {
    is_mark(key) || key.get() >> 32 == u64::from(RUNNING)
}

/// Is it a mark?
pub(super) fn is_mark(key: Key) -> bool {
    key.get() >> 32 == u64::from(MARK)
}

fn make(kind: u32, state: &PersistentState) -> Key {
    // Different in every run that matters: the microsecond of the boot clock, then counted on.
    let seed = u32::try_from(clock::since_boot().as_micros() & 0xffff_ffff).unwrap_or_default();
    let mut serial = seed.max(1);
    loop {
        let value = u64::from(kind) << 32 | u64::from(serial);
        match Key::new(value) {
            Some(key) if !state.has_key(key) => return key,
            Some(_) | None => serial = serial.wrapping_add(1),
        }
    }
}

/// Removes every key of a check: this host's by unregistering them, those of other nexuses by preempting
/// them. The keys that are left.
pub(super) fn clean_up(session: &mut Session) -> Result<Vec<Key>, Failure> {
    unregister_own(session)?;
    let state = session.read()?.state;
    let mut others: Vec<Key> = ours(&state);
    if others.is_empty() {
        return Ok(others);
    }
    let key = fresh(&state);
    send(session, 0, register(None, Some(key), false))?;
    others.sort_unstable();
    others.dedup();
    for victim in others {
        let kind = state
            .reservation
            .map_or(ReservationType::WriteExclusive, |held| held.kind);
        let preempt = Verb::Preempt {
            key,
            victim: Some(victim),
            kind,
            abort: false,
        };
        // One that is gone by itself meanwhile conflicts; what is left is read below.
        session.perform(0, &preempt);
    }
    send(session, 0, register(Some(key), None, false))?;
    Ok(ours(&session.read()?.state))
}

/// Unregisters every path of this host that has a check's key.
pub(super) fn unregister_own(session: &mut Session) -> Result<(), Failure> {
    let reading = session.read()?;
    let mut mine = Vec::new();
    let mut perhaps = Vec::new();
    for (entry, own) in reading.entries().filter(|(entry, _)| is_ours(entry.key)) {
        match own {
            Own::Path(path) => mine.push((path, entry.key)),
            Own::Unknown => perhaps.push(entry.key),
            Own::Other => {}
        }
    }
    for (path, key) in mine {
        send(session, path, register(Some(key), None, false))?;
    }
    // Whose they are is not told: the disk refuses those of others with a conflict.
    for key in perhaps {
        session.perform(0, &register(Some(key), None, false));
    }
    Ok(())
}

/// The keys of checks that are registered.
pub(super) fn ours(state: &PersistentState) -> Vec<Key> {
    state
        .registrations
        .iter()
        .map(|entry| entry.key)
        .filter(|key| is_ours(*key))
        .collect()
}

/// REGISTER, and nothing but APTPL with it.
pub(super) fn register(existing: Option<Key>, new: Option<Key>, aptpl: bool) -> Verb {
    Verb::Register {
        existing,
        new,
        options: RegisterOptions {
            aptpl,
            ..RegisterOptions::default()
        },
    }
}

/// Sends one verb; a refusal is a failure.
pub(super) fn send(session: &mut Session, path: usize, verb: Verb) -> Result<(), Failure> {
    let answer = session.perform(path, &verb).answer;
    match Failure::of_answer(&verb, &answer, session.name()) {
        None => Ok(()),
        Some(failure) => Err(failure),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_s_keys_are_told_from_every_other() {
        let state = PersistentState::default();
        let (running, mark) = (fresh(&state), fresh_mark(&state));
        assert!(is_ours(running) && !is_mark(running));
        assert!(is_ours(mark) && is_mark(mark));
        assert!(!is_ours(Key::new(0x5143_4845).unwrap()));
        assert!(!is_ours(Key::new(0xa700_0000_0100_0001).unwrap()));
    }
}
