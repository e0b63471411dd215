//! Torn or corrupt: what tells that a log does not end where its frames do.

use crate::history::{History, SCALED, Verdict, told};
use crate::world::claim_of;
use qlog::{Format, Guards};

pub(super) fn a_damaged_frame_before_a_whole_one_is_no_end(guards: Guards) -> Verdict {
    let mut history = History::new(guards);
    let log = history.owner(1)?;
    let mut writes = Vec::new();
    for number in 1..=3 {
        history.append(&log, &[number; 300]).map_err(|e| told(&e))?;
        writes.push(history.last_write());
    }
    history.disk.garble(writes[1].clone());
    history.refuses()
}

pub(super) fn a_damaged_last_frame_of_a_segment_that_another_goes_on_from_is_no_end(
    guards: Guards,
) -> Verdict {
    let mut history = History::new(guards);
    let log = history.owner(1)?;
    let mut writes = Vec::new();
    for number in 1..=3 {
        // Two of these fill a segment.
        history.append(&log, &[number; 700]).map_err(|e| told(&e))?;
        writes.push(history.last_write());
    }
    assert!(writes[2].start > writes[1].end + 256, "in the next segment");
    history.disk.garble(writes[1].clone());
    history.refuses()
}

/// The owner before was set back, as in the history of the chain, and writes its last record again after the claim.
pub(super) fn a_sealed_segment_whose_last_frame_is_not_the_one_that_was_claimed_is_refused(
    guards: Guards,
) -> Verdict {
    let mut history = History::new(guards);
    let mut again = history.fork();
    let log = history.owner_by(claim_of(1, 7))?;
    history
        .append(&log, b"as it was read")
        .map_err(|e| told(&e))?;
    let _next = history.owner(2)?;
    let log = again.owner_by(claim_of(1, 7))?;
    again
        .append(&log, b"as it was sent")
        .map_err(|e| told(&e))?;
    let (offset, bytes) = again.disk.writes_since(0).pop().expect("the record");
    history.disk.put(offset, &bytes);
    history.refuses()
}

/// The disk has lost the last frame without a trace, but a superblock was written after it.
pub(super) fn a_tail_that_was_durable_before_an_object_was_stored_is_no_torn_write(
    guards: Guards,
) -> Verdict {
    let mut history = History::new(guards);
    let log = history.owner(1)?;
    history.append(&log, b"the last").map_err(|e| told(&e))?;
    let last = history.last_write();
    history.put(&log, "name", b"alpha").map_err(|e| told(&e))?;
    history.disk.put(last.start, &vec![0; last.len()]);
    history.refuses()
}

pub(super) fn a_log_whose_newest_superblock_is_lost_is_refused(guards: Guards) -> Verdict {
    let mut history = History::new(guards);
    let log = history.owner(1)?;
    history
        .append(&log, b"of the first")
        .map_err(|e| told(&e))?;
    let before = history.disk.now();
    let log = history.owner(2)?;
    let claim = history.disk.writes_since(before);
    history
        .append(&log, b"of the second")
        .map_err(|e| told(&e))?;
    for (offset, bytes) in claim {
        if history.is_superblock(offset) {
            history.disk.garble(offset..offset + bytes.len());
        }
    }
    history.refuses()
}

/// A zone of the disk fails: from an acknowledged frame on nothing can be read, so nothing there proves anything.
pub(super) fn blocks_that_cannot_be_read_far_behind_the_end_are_damage(guards: Guards) -> Verdict {
    let format = Format {
        block_bytes: 4096,
        segment_bytes: 3 << 20,
        catalogue_bytes: 4096,
        chunk_bytes: 4096,
        ..SCALED
    };
    let mut history = History::of(format, guards);
    let log = history.owner(1)?;
    history.append(&log, &[1; 5000]).map_err(|e| told(&e))?;
    let readable = history.last_write().end;
    for number in 2..=4 {
        history
            .append(&log, &[number; 600_000])
            .map_err(|e| told(&e))?;
    }
    let end = usize::try_from(history.layout.catalogue(0)).expect("small");
    history.disk.spoil(readable..end);
    history.refuses()
}

pub(super) fn a_flipped_bit_of_the_last_frame_is_no_torn_write(guards: Guards) -> Verdict {
    let mut history = History::new(guards);
    let log = history.owner(1)?;
    history.append(&log, &[7; 100]).map_err(|e| told(&e))?;
    let last = history.last_write();
    history.disk.flip(last.start + 100, 3);
    history.serves()
}
