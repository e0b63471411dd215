//! Good data is not written over before what replaces it is there.

use crate::history::{History, Verdict, told};
use crate::tape::{Act, Op};
use qlog::{Guards, WriteError};

pub(super) fn a_torn_write_behind_an_acknowledged_record_leaves_it_alone(
    guards: Guards,
) -> Verdict {
    let mut history = History::new(guards);
    let log = history.owner(1)?;
    history
        .append(&log, b"acknowledged")
        .map_err(|e| told(&e))?;
    // The power goes under the next one: every sector of its write is garbage.
    let torn = history.fork();
    history.append(&log, b"torn").map_err(|e| told(&e))?;
    torn.disk.garble(history.last_write());
    torn.serves()
}

pub(super) fn a_catalogue_that_the_disk_did_not_write_is_not_named(guards: Guards) -> Verdict {
    let mut history = History::new(guards);
    let log = history.owner(1)?;
    history
        .put(&log, "disk", b"its first value")
        .map_err(|e| told(&e))?;
    let is_catalogue = {
        let layout = history.layout;
        move |offset: usize| (layout.catalogue(0)..layout.chunk(0)).contains(&(offset as u64))
    };
    history.disk.script(move |op| match op {
        Op::Write { offset, .. } if is_catalogue(*offset) => Act::Lose,
        Op::Write { .. } | Op::Flush => Act::Do,
    });
    let put = history.put(&log, "disk", b"its second value");
    history.disk.as_it_is();
    history.serves()?;
    match put {
        Err(WriteError::Poisoned(_)) => Ok(()),
        other => Err(format!("ACKNOWLEDGED: {other:?}")),
    }
}

pub(super) fn a_damaged_checkpoint_is_replaced_by_the_one_before_it(guards: Guards) -> Verdict {
    let mut history = History::new(guards);
    let log = history.owner(1)?;
    let mut chunks = Vec::new();
    for upto in [2, 4] {
        for _ in 0..2 {
            history.append(&log, b"a record").map_err(|e| told(&e))?;
        }
        let before = history.disk.now();
        history.checkpoint(&log, upto, 300).map_err(|e| told(&e))?;
        let writes = history.disk.writes_since(before).into_iter();
        chunks = writes
            .filter(|(offset, _)| history.is_chunk(*offset))
            .collect();
    }
    // The next record begins a segment, and the one before it is free when nobody needs it.
    history.append(&log, b"behind it").map_err(|e| told(&e))?;
    history
        .put(&log, "disk", b"a value")
        .map_err(|e| told(&e))?;
    for (offset, bytes) in chunks {
        history.disk.garble(offset..offset + bytes.len());
    }
    history.serves()
}

pub(super) fn a_torn_superblock_leaves_the_one_before_it(guards: Guards) -> Verdict {
    let mut history = History::new(guards);
    let log = history.owner(1)?;
    history
        .append(&log, b"acknowledged")
        .map_err(|e| told(&e))?;
    // The power goes under the superblock of a checkpoint: every sector of both copies is garbage.
    let torn = history.fork();
    let before = history.disk.now();
    history.checkpoint(&log, 1, 16).map_err(|e| told(&e))?;
    for (offset, bytes) in history.disk.writes_since(before) {
        if history.is_superblock(offset) {
            torn.disk.garble(offset..offset + bytes.len());
        }
    }
    torn.serves()
}

pub(super) fn a_full_log_has_a_segment_for_the_next_owner(guards: Guards) -> Verdict {
    let mut history = History::new(guards);
    let log = history.owner(1)?;
    loop {
        match history.append(&log, &[1; 700]) {
            Ok(()) => {}
            Err(WriteError::Full { .. }) => break,
            Err(error) => return Err(told(&error)),
        }
    }
    history.owner(2).map(|_| ())
}

/// An error once, and the next flush says that all is well: the pages are gone.
pub(super) fn a_failed_write_is_not_forgiven_by_the_next_flush(guards: Guards) -> Verdict {
    let mut history = History::new(guards);
    let log = history.owner(1)?;
    history
        .append(&log, b"acknowledged")
        .map_err(|e| told(&e))?;
    history.disk.script(|op| match op {
        Op::Write { .. } => Act::Fail,
        Op::Flush => Act::Do,
    });
    let told = history.append(&log, b"not written");
    history.disk.as_it_is();
    history.serves()?;
    match told {
        Err(WriteError::Poisoned(_)) => Ok(()),
        other => Err(format!("ACKNOWLEDGED: {other:?}")),
    }
}
