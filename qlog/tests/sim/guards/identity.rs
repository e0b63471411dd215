//! What a frame, a head or a superblock is part of every sum: its place, its lap, its log, and what was before it.

use crate::history::{History, SCALED, Verdict, told};
use crate::oracle::{Found, Tolerance};
use crate::tape::Tape;
use crate::world::claim_of;
use qlog::{Format, Guards, WriteError};

/// The last bytes of a disk are those of its last partition, the second copies of the superblocks among them; whoever
/// names the disk in place of the partition must not find a log there, which would be an empty one.
pub(super) fn a_partition_is_not_taken_for_the_whole_disk(guards: Guards) -> Verdict {
    let mut history = History::new(guards);
    let log = history.owner(1)?;
    history
        .append(&log, b"acknowledged")
        .map_err(|e| told(&e))?;
    let mut disk = vec![0; 1 << 20];
    disk.extend(history.disk.image());
    match Found::open(Tape::new(disk, 256), guards) {
        Err(_) => Ok(()),
        Ok((found, _)) => history.oracle.judge(&found, Tolerance::Nothing).map(|_| ()),
    }
}

pub(super) fn a_second_lap_of_the_ring_is_told_from_the_first(guards: Guards) -> Verdict {
    let mut history = History::new(guards);
    let log = history.owner(1)?;
    for number in 0..30_u8 {
        match history.append(&log, &[number; 700]) {
            Err(WriteError::Full { .. }) => {
                let upto = history.oracle.submitted();
                history.checkpoint(&log, upto, 16).map_err(|e| told(&e))?;
            }
            other => other.map_err(|e| told(&e))?,
        }
        history.serves()?;
    }
    Ok(())
}

/// The region was made anew while an owner of the old log had a write under way.
pub(super) fn a_late_segment_of_the_log_that_was_here_before_is_void(guards: Guards) -> Verdict {
    let before = History::new(guards);
    let mut after = before.fork();
    after.create();
    let log = after.owner(1)?;
    after.append(&log, b"acknowledged").map_err(|e| told(&e))?;
    let in_use = |offset: usize| {
        let writes = after.disk.writes_since(0);
        writes
            .iter()
            .any(|(at, bytes)| (*at..at + bytes.len()).contains(&offset) && bytes.starts_with(b"Q"))
    };
    let mut before = before;
    for node in 1..=4 {
        let _log = before.owner(node)?;
        let (offset, bytes) = before.disk.writes_since(0).pop().expect("its first frame");
        assert!(bytes.starts_with(b"QSEG"), "it begins a segment");
        if node > 1 && !in_use(offset) {
            after.disk.put(offset, &bytes);
            after.serves()?;
        }
    }
    Ok(())
}

/// A virtual machine is set back, memory and all, to where it owned the log; the log, on a disk of its own, is not.
/// The owner writes again where it wrote before, under the same numbers.
pub(super) fn an_owner_that_was_set_back_does_not_go_on_with_what_it_wrote_before(
    guards: Guards,
) -> Verdict {
    // Small frames in one large block: the second is in shadow slot 0, the third in slot 1, which is read later.
    let format = Format {
        block_bytes: 1024,
        segment_bytes: 8192,
        catalogue_bytes: 1024,
        chunk_bytes: 1024,
        ..SCALED
    };
    let mut first = History::of(format, guards);
    let mut again = first.fork();
    let log = first.owner_by(claim_of(1, 7))?;
    for record in [b"...", b"one", b"two", b"3rd"] {
        first.append(&log, record).map_err(|e| told(&e))?;
    }
    let (offset, third) = first.disk.writes_since(0).pop().expect("the third");
    let log = again.owner_by(claim_of(1, 7))?;
    for record in [b"...", b"one", b"TWO"] {
        again.append(&log, record).map_err(|e| told(&e))?;
    }
    let (last, _) = again.disk.writes_since(0).pop().expect("the second");
    assert!(last < offset, "they are in different slots");
    again.disk.put(offset, &third);
    again.serves()
}
