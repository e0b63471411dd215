//! What was once wrong, each as a small history. The changes that mended them are in the history of this crate.

use crate::history::{History, Owner, SCALED, Verdict, told};
use crate::oracle::{Found, Oracle, Tolerance};
use crate::tape::{Act, Op, Tape};
use crate::world::claim_of;
use qlog::{ClaimError, Format, Guard, Guards, Lsn, Note, OpenError, WriteError};
use std::sync::Arc;

const ON: Guards = Guards::ALL_ON;

/// With the first 448 bytes of a block for frames: the head of a segment, the first frame and more are in one.
const LARGER_BLOCKS: Format = Format {
    block_bytes: 512,
    segment_bytes: 4096,
    chunk_bytes: 512,
    ..SCALED
};

fn append(history: &mut History, log: &Owner, record: &[u8]) -> Verdict {
    history.append(log, record).map_err(|error| told(&error))
}

/// Makes room by a checkpoint otherwise.
fn append_if_there_is_room(history: &mut History, log: &Owner, record: &[u8]) -> Verdict {
    match history.append(log, record) {
        Err(WriteError::Full { .. }) => {
            let upto = history.oracle.submitted();
            history.checkpoint(log, upto, 16).map_err(|e| told(&e))
        }
        other => other.map_err(|e| told(&e)),
    }
}

/// A record in the cache of the disk only: its owner was killed under the flush. The next owner reads it, and its
/// superblock says where it ends; then the power goes, and only the superblock was kept.
#[test]
fn a_claim_keeps_what_it_read_before_it_says_that_it_is_there() -> Verdict {
    let mut history = History::new(ON);
    let killed = history.owner(1)?;
    append(&mut history, &killed, b"acknowledged")?;
    history.disk.script(|op| match op {
        Op::Write { .. } => Act::Do,
        Op::Flush => Act::Fail,
    });
    let unknown = append(&mut history, &killed, b"in the cache");
    assert!(unknown.is_err(), "it was killed");
    let (ends, mut says) = (history.layout, false);
    history.disk.script(move |op| match op {
        Op::Write { offset, .. } => {
            says |= (*offset as u64) < ends.scratch();
            Act::Do
        }
        Op::Flush if says => Act::Fail,
        Op::Flush => Act::Do,
    });
    let (found, opened) = history.open()?;
    assert_eq!(found.records.len(), 2, "it is read");
    assert!(opened.claim(claim_of(2, 9)).is_err(), "the power goes");
    let (mut image, pending) = history.disk.at_a_cut();
    for (offset, bytes) in pending {
        if history.is_superblock(offset) {
            image[offset..][..bytes.len()].copy_from_slice(&bytes);
        }
    }
    history.disk = Tape::new(image, 256);
    history.serves()
}

/// The last frame of a block that is written home again may have begun in the block before.
#[test]
fn a_record_that_ends_in_a_torn_block_is_read_from_its_shadow() -> Verdict {
    let mut history = History::new(ON);
    let log = history.owner(1)?;
    append(&mut history, &log, &[1; 300])?; // From block 1 into block 2,
    append(&mut history, &log, &[2; 8])?; // which is now in a shadow slot,
    let torn = history.fork();
    append(&mut history, &log, &[3; 300])?; // and is written home again.
    let last = history.last_write();
    assert_eq!(last.start % 256, 0, "whole blocks");
    torn.disk.garble(last);
    torn.serves()
}

#[test]
fn a_head_in_a_torn_block_is_read_from_its_shadow() -> Verdict {
    let mut history = History::of(LARGER_BLOCKS, ON);
    let log = history.owner(1)?;
    append(&mut history, &log, &[1; 8])?; // Behind the head and the first frame, in a shadow slot.
    let torn = history.fork();
    append(&mut history, &log, &[2; 600])?;
    let (_, bytes) = history.disk.writes_since(0).pop().expect("it was written");
    assert!(bytes.starts_with(b"QSEG"), "the head is written again");
    torn.disk.garble(history.last_write());
    torn.serves()?;
    let (found, _) = torn.open()?;
    let of_the_head = |note: &Note| matches!(note, Note::SegmentHead { .. });
    assert!(!found.notes.iter().any(of_the_head), "it is there");
    Ok(())
}

/// The frames of a segment prove that it was begun, when its head is lost.
#[test]
fn a_segment_whose_head_is_lost_is_missed() -> Verdict {
    let mut history = History::new(ON);
    let log = history.owner(1)?;
    let mut begun = 0;
    for number in 1..=4 {
        append(&mut history, &log, &[number; 700])?;
        let (offset, bytes) = history.disk.writes_since(0).pop().expect("a record");
        if bytes.starts_with(b"QSEG") {
            begun = offset;
        }
    }
    history.disk.garble(begun..begun + 128);
    history.serves()?; // The head is worked out again.
    history.disk.garble(begun + 128..begun + 192);
    history.refuses() // The first frame is damaged too, but not the second.
}

/// Whatever the older owner had under way may arrive at any time of the next epoch.
#[test]
fn a_late_write_hits_nothing_of_the_next_epoch_at_any_time() -> Verdict {
    let mut late = Vec::new();
    for refused in 0..11 {
        let mut history = History::new(ON);
        let older = history.owner(1)?;
        let mut count = 0;
        history.disk.script(move |op| {
            count += u32::from(matches!(op, Op::Write { .. }));
            if count > refused { Act::Fail } else { Act::Do }
        });
        let mut work = || -> Result<(), WriteError> {
            for number in 1..=3 {
                history.append(&older, &[number; 700])?;
            }
            history.put(&older, "disk", b"a value")?;
            history.checkpoint(&older, 3, 16)
        };
        let ended = work().is_err();
        history.disk.as_it_is();
        assert!(ended, "the disk refuses write {refused}");
        let (offset, bytes) = history
            .disk
            .writes_since(0)
            .pop()
            .expect("what was refused");
        late.push(history.is_frame(offset));
        let newer = history.owner(2)?;
        for number in 0..30_u8 {
            append_if_there_is_room(&mut history, &newer, &[number; 700])?;
            if number % 10 == 5 {
                history
                    .put(&newer, "name", &[number; 100])
                    .map_err(|e| told(&e))?;
            }
            let hit = history.fork();
            hit.disk.put(offset, &bytes);
            hit.serves()
                .map_err(|why| format!("write {refused}, after {number}: {why}"))?;
        }
    }
    assert!(
        late.contains(&true) && late.contains(&false),
        "of each kind"
    );
    Ok(())
}

/// Five segments: one with a record that is kept, two that the owner before may still be writing to, the first one of
/// the present owner, which holds no record yet, and another. When the first one was left as it was, the ring came round
/// to it while the superblock still named it.
#[test]
fn a_first_segment_without_records_is_not_left() -> Verdict {
    let five = Format {
        segments: 5,
        ..SCALED
    };
    let mut history = History::of(five, ON);
    let log = history.owner(1)?;
    append(&mut history, &log, b"covered")?;
    append(&mut history, &log, b"kept")?;
    let _idle = history.owner(2)?;
    let log = history.owner(3)?;
    history.checkpoint(&log, 1, 16).map_err(|e| told(&e))?; // The next record begins a segment, if it may.
    loop {
        match history.append(&log, &[1; 700]) {
            Err(WriteError::Full { .. }) => return Ok(()),
            other => other.map_err(|e| told(&e))?,
        }
        history.serves()?;
    }
}

/// At the next write of a superblock the owner appends this record first, as another thread would.
fn append_beside_the_next_superblock(history: &mut History, log: &Arc<Owner>, record: &[u8]) {
    let (layout, beside) = (history.layout, Arc::downgrade(log));
    let (mut due, copy) = (true, record.to_vec());
    history.disk.script(move |op| {
        let of_a_superblock =
            matches!(op, Op::Write { offset, .. } if (*offset as u64) < layout.scratch());
        if of_a_superblock && std::mem::take(&mut due) {
            let log = beside.upgrade().expect("it writes");
            log.append_durable(&copy).expect("it has room");
        }
        Act::Do
    });
    history.oracle.submit(log.position().next, record);
}

/// The superblock that is written still names the segment that the owner leaves meanwhile. It was taken for free, and
/// begun again; and when its block was then torn, what was in its shadow slots was not looked for.
#[test]
fn a_segment_that_a_superblock_names_is_not_begun_again() -> Verdict {
    let five = Format {
        segments: 5,
        ..LARGER_BLOCKS
    };
    let mut history = History::of(five, ON);
    let before = history.owner(1)?;
    append(&mut history, &before, b"covered")?;
    drop(before);
    let log = Arc::new(history.owner(2)?);
    append(&mut history, &log, b"in shadow 0")?;
    append(&mut history, &log, b"in shadow 1")?;
    history.checkpoint(&log, 3, 16).map_err(|e| told(&e))?;
    append_beside_the_next_superblock(&mut history, &log, &[0; 300]);
    history.checkpoint(&log, 3, 16).map_err(|e| told(&e))?;
    history.oracle.acknowledge(Lsn(4));
    let mut begun = 0;
    for size in [100, 8].into_iter().cycle() {
        let torn = history.fork();
        match history.append(&log, &vec![7; size]) {
            Err(WriteError::Full { .. }) => break,
            other => other.map_err(|e| told(&e))?,
        }
        let (_, bytes) = history.disk.writes_since(0).pop().expect("a record");
        begun += u32::from(bytes.starts_with(b"QSEG"));
        let (found, _) = history.open()?;
        history.oracle.judge(&found, Tolerance::Nothing)?;
        assert_eq!(found.notes, [], "nothing is missed");
        let last = history.last_write();
        torn.disk
            .put(last.start, &history.disk.image()[last.clone()]);
        torn.disk.garble(last);
        torn.serves()?;
    }
    assert!(begun > 0, "the ring is gone through");
    Ok(())
}

/// A segment that is begun while a superblock is written is chosen among those that were free before it; whoever reads
/// that superblock may take others for free. The write arrives late: the next epoch has to have left its place alone.
#[test]
fn a_segment_that_was_begun_beside_a_superblock_is_left_alone_by_the_next_epoch() -> Verdict {
    let mut begun = 0;
    for (segments, past) in (5..=7).flat_map(|segments| (0..64).map(move |past| (segments, past))) {
        let mut history = History::of(Format { segments, ..SCALED }, ON);
        let older = Arc::new(owner_with_a_past(&mut history, past)?);
        let upto = history.oracle.submitted();
        let before = (history.disk.image(), history.disk.now());
        append_beside_the_next_superblock(&mut history, &older, &[9; 700]);
        history.checkpoint(&older, upto, 16).map_err(|e| told(&e))?;
        history.disk.as_it_is();
        let writes = history.disk.writes_since(before.1).into_iter();
        let mut frames = writes.filter(|(_, bytes)| bytes.starts_with(b"QSEG"));
        let Some((offset, bytes)) = frames.next() else {
            continue; // There was no segment to spare.
        };
        begun += 1;
        drop(older);
        history.disk.put(offset, &before.0[offset..][..bytes.len()]);
        let newer = history.owner(9)?;
        for number in 0..12 {
            append_if_there_is_room(&mut history, &newer, &[number; 700])?;
            let hit = history.fork();
            hit.disk.put(offset, &bytes);
            hit.serves()
                .map_err(|why| format!("past {past} of {segments}, after {number}: {why}"))?;
        }
    }
    assert!(begun > 50, "{begun}");
    Ok(())
}

/// Three owners, each of which leaves a record that is kept or none, and a checkpoint or none.
fn owner_with_a_past(history: &mut History, past: u32) -> Result<Owner, String> {
    let mut log = history.owner(1)?;
    for node in 0..3 {
        if past & (1 << node) != 0 {
            append_if_there_is_room(history, &log, &[1; 40])?;
        }
        if past & (8 << node) != 0 {
            let upto = history.oracle.submitted();
            history.checkpoint(&log, upto, 16).map_err(|e| told(&e))?;
        }
        log = history.owner(node + 2)?;
    }
    append_if_there_is_room(history, &log, &[2; 40])?;
    let upto = history.oracle.submitted();
    history.checkpoint(&log, upto, 16).map_err(|e| told(&e))?;
    Ok(log)
}

#[test]
fn no_segment_is_begun_for_a_seal() -> Verdict {
    for size in (0..700).step_by(24) {
        let mut history = History::new(ON);
        let log = history.owner(1)?;
        for number in 0..20_u8 {
            match history.append(&log, &vec![number; size]) {
                Err(WriteError::Full { .. }) => break,
                other => other.map_err(|e| told(&e))?,
            }
            log.seal().map_err(|e| told(&e))?;
        }
        history.serves()?;
        let begun = history.disk.writes_since(0);
        let mut begun = begun.iter().filter(|(_, bytes)| bytes.starts_with(b"QSEG"));
        // The kind of a segment's first frame, which is behind 128 bytes of head: 2 is a seal.
        assert!(begun.all(|(_, bytes)| bytes[128 + 14] != 2));
    }
    Ok(())
}

/// A claim was cut short; the next owner did not see it, and claims the same epoch with the same number.
#[test]
fn of_two_superblocks_of_one_epoch_the_one_that_was_used_counts() -> Verdict {
    let mut history = History::new(ON);
    let log = history.owner(1)?;
    append(&mut history, &log, b"acknowledged")?;
    let short = history.fork();
    let (_, opened) = short.open()?;
    let _unused = opened.claim(claim_of(2, 22)).map_err(|e| e.to_string())?;
    let of_the_claim = short.disk.writes_since(0);
    let mut late = of_the_claim.iter();
    let (offset, bytes) = late
        .find(|(offset, _)| short.is_superblock(*offset))
        .expect("its first copy");
    let before = history.fork();
    let log = history.owner(3)?;
    append(&mut history, &log, b"of the one that counts")?;
    history.disk.put(*offset, bytes);
    history.serves()?;
    // When nobody began a segment, it does not matter which.
    let second = history.disk.writes_since(0);
    let mut copies = second
        .iter()
        .filter(|(offset, _)| history.is_superblock(*offset));
    let (other, second) = copies.next_back().expect("its second copy");
    before.disk.put(*offset, bytes);
    before.disk.put(*other, second);
    before.serves()?;
    // When both did, two owners wrote at once.
    let (head, first_frame) = of_the_claim.last().expect("its first segment");
    history.disk.put(*head, first_frame);
    match Found::open(Arc::clone(&history.disk), ON) {
        Err(_) => Ok(()),
        Ok(_) => Err("SERVED: two owners wrote at once".into()),
    }
}

/// For an older checkpoint the log makes good, for an older object nothing does.
#[test]
fn an_older_catalogue_serves_only_when_no_object_was_changed_since() -> Verdict {
    let mut history = History::new(ON);
    let log = history.owner(1)?;
    history.put(&log, "disk", b"first").map_err(|e| told(&e))?;
    append(&mut history, &log, b"a record")?;
    let newest = |history: &History, before: usize| {
        let mut writes = history.disk.writes_since(before).into_iter();
        let (offset, bytes) = writes
            .rfind(|(offset, _)| history.is_catalogue(*offset))
            .expect("one was written");
        offset..offset + bytes.len()
    };
    history.checkpoint(&log, 1, 16).map_err(|e| told(&e))?;
    let damaged = history.fork();
    damaged.disk.garble(newest(&history, 0));
    damaged.serves()?;
    history.put(&log, "disk", b"second").map_err(|e| told(&e))?;
    history.disk.garble(newest(&history, 0));
    history.refuses()
}

#[test]
fn a_flipped_bit_of_a_catalogue_or_a_chunk_is_mended() -> Verdict {
    let mut history = History::new(ON);
    let log = history.owner(1)?;
    append(&mut history, &log, b"a record")?;
    history.put(&log, "disk", &[7; 300]).map_err(|e| told(&e))?;
    history.checkpoint(&log, 1, 300).map_err(|e| told(&e))?;
    let mut flipped = 0;
    for (offset, _) in history.disk.writes_since(0) {
        if history.is_chunk(offset) || history.is_catalogue(offset) {
            let damaged = history.fork();
            damaged.disk.flip(offset + 5, 6);
            damaged.serves()?;
            flipped += 1;
        }
    }
    assert!(flipped > 4);
    Ok(())
}

/// Only superblocks that are older than the log lead here, or, as here, an owner that left nothing free.
#[test]
fn a_claim_that_finds_no_segment_says_so() -> Verdict {
    let mut history = History::new(Guards::without(Guard::Reserve));
    let log = history.owner(1)?;
    while history.append(&log, &[1; 700]).is_ok() {}
    history.guards = ON;
    let (_, opened) = history.open()?;
    match opened.claim(claim_of(2, 9)) {
        Err(ClaimError::NoSegment { .. }) => Ok(()),
        other => Err(format!("{other:?}")),
    }
}

/// A superblock of the log that was in the region before arrives when a new log is there: it has the higher epoch.
#[test]
fn a_late_superblock_of_the_log_that_was_here_before_counts_for_nothing() -> Verdict {
    let mut before = History::new(ON);
    for node in 1..=5 {
        let _log = before.owner(node)?;
    }
    let claims = before.disk.writes_since(0);
    for (offset, bytes) in claims {
        if !bytes.starts_with(b"QLOG-SB\0") {
            continue;
        }
        let mut history = before.fork();
        history.create();
        history.oracle = Oracle::default();
        let log = history.owner(1)?;
        append(&mut history, &log, b"acknowledged")?;
        history.disk.put(offset, &bytes);
        history.serves()?;
        let (found, _) = history.open()?;
        let offset = offset as u64;
        assert_eq!(found.notes, [Note::SuperblockCopy { offset }]);
        let seen = qlog::inspect::inspect(&history.disk, &mut |_, _| {});
        let described = seen.superblocks.iter().find(|copy| copy.offset == offset);
        let health = format!("{:?}", described.map(|copy| &copy.health));
        assert!(health.contains("another log's"), "{health}");
    }
    Ok(())
}

#[test]
fn superblocks_of_two_logs_as_many_of_each_are_refused() -> Verdict {
    let mut before = History::new(ON);
    let _log = before.owner(1)?;
    let history = before.fork();
    history.create();
    let mut claims = before.disk.writes_since(0).into_iter();
    let copies = claims.rfind(|(offset, _)| *offset < 8 * 4096);
    let (offset, bytes) = copies.expect("the first copy of the claim");
    let two = history.fork();
    two.disk.put(offset, &bytes);
    two.serves()?; // Two copies of the new log, one of the old.
    let second = offset + usize::try_from(two.layout.region_bytes()).expect("small") - 8 * 4096;
    two.disk.put(second, &before.disk.image()[second..][..4096]);
    match Found::open(Arc::clone(&two.disk), ON) {
        Err(OpenError::Region(_)) => Ok(()),
        other => Err(format!("{:?}", other.map(|(found, _)| found))),
    }
}

/// A log is made over another, and the power goes: what was there is there as it was, or not at all.
#[test]
fn a_creation_that_was_cut_short_leaves_no_log_without_its_records() -> Verdict {
    let mut before = History::new(ON);
    for node in 1..=3 {
        let log = before.owner(node)?;
        if node < 3 {
            append(&mut before, &log, &[7; 300])?;
        }
        before.put(&log, "disk", &[1; 20]).map_err(|e| told(&e))?;
        before.put(&log, "disk", &[2; 20]).map_err(|e| told(&e))?;
    }
    let (_, opened) = before.open()?;
    let id = opened.id();
    let again = before.fork();
    again.create();
    let writes = again.disk.writes_since(0);
    let (mut gone, mut kept) = (0, 0);
    let judge = |image: &[u8]| {
        let cut = History {
            disk: Tape::new(image.to_vec(), 256),
            ..before.fork()
        };
        match Found::open(Arc::clone(&cut.disk), ON) {
            Ok((found, opened)) if opened.id() == id => {
                before.oracle.judge(&found, Tolerance::Nothing)?;
                Oracle::objects_are_whole(&found).map(|()| true)
            }
            Ok(_) | Err(_) => Ok::<_, String>(false),
        }
    };
    let mut image = before.disk.image();
    for (offset, bytes) in writes {
        for torn in (0..bytes.len()).step_by(4096) {
            for part in [0..torn, torn..bytes.len()] {
                let mut cut = image.clone();
                cut[offset..][part.clone()].copy_from_slice(&bytes[part]);
                let served = judge(&cut)?;
                kept += u32::from(served);
                gone += u32::from(!served);
            }
        }
        image[offset..][..bytes.len()].copy_from_slice(&bytes);
    }
    assert!(kept > 8 && gone > 8, "{kept} {gone}");
    Ok(())
}

/// A checkpoint of everything makes room, on a ring of any size and whatever the owners before left.
#[test]
fn after_a_checkpoint_of_everything_a_full_log_takes_records_again() -> Verdict {
    for (segments, past) in (4..=7).flat_map(|segments| (0..64).map(move |past| (segments, past))) {
        let mut history = History::of(Format { segments, ..SCALED }, ON);
        let log = owner_with_a_past(&mut history, past)?;
        goes_on_when_it_is_full(&mut history, &log)
            .map_err(|why| format!("past {past} of {segments}: {why}"))?;
    }
    Ok(())
}

/// Of five segments three are left alone for what the owner before may have under way: with the present one and one for
/// the records behind the checkpoint before, none is left.
#[test]
fn the_segments_that_are_left_alone_count_when_a_checkpoint_makes_room() -> Verdict {
    let five = Format {
        segments: 5,
        ..SCALED
    };
    let mut history = History::of(five, ON);
    let log = history.owner(1)?;
    append(&mut history, &log, b"a record")?;
    let _idle = history.owner(2)?;
    let log = history.owner(3)?;
    append(&mut history, &log, b"another")?;
    for _twice in 0..2 {
        history.checkpoint(&log, 2, 16).map_err(|e| told(&e))?;
    }
    let log = history.owner(4)?;
    goes_on_when_it_is_full(&mut history, &log)
}

fn goes_on_when_it_is_full(history: &mut History, log: &Owner) -> Verdict {
    let mut full = 0;
    for number in 0..40 {
        match history.append(log, &[number; 700]) {
            Err(WriteError::Full { .. }) => full += 1,
            other => {
                other.map_err(|e| told(&e))?;
                continue;
            }
        }
        let upto = history.oracle.submitted();
        history.checkpoint(log, upto, 16).map_err(|e| told(&e))?;
        history
            .append(log, &[number; 700])
            .map_err(|e| format!("record {number}: {}", told(&e)))?;
    }
    assert!(full > 0, "it was full");
    Ok(())
}

/// The owner parks while a checkpoint is under way, which ends the handle: nothing is written any more, and no mark of a
/// hand-over.
#[test]
fn a_log_that_ended_while_it_was_parked_is_not_parked() -> Verdict {
    let mut history = History::new(ON);
    let log = Arc::new(history.owner(1)?);
    append(&mut history, &log, b"a record")?;
    let (layout, beside) = (history.layout, Arc::downgrade(&log));
    let (told_by_park, parked) = std::sync::mpsc::channel();
    history.disk.script(move |op| {
        let is_chunk = |offset: &usize| *offset as u64 >= layout.chunk(0);
        if !matches!(op, Op::Write { offset, .. } if is_chunk(offset)) {
            return Act::Do;
        }
        let (log, told) = (beside.upgrade().expect("it writes"), told_by_park.clone());
        let parks = Arc::clone(&log);
        std::thread::spawn(move || told.send(parks.park()));
        while log.seal() != Err(WriteError::Closed) {
            std::thread::yield_now();
        }
        Act::Fail
    });
    let ended = log.checkpoint(Lsn(1), b"state").expect_err("it failed");
    let before = history.disk.now();
    let parked = parked.recv().expect("it ends");
    assert_eq!(parked, Err(ended));
    assert_eq!(history.disk.writes_since(before).len(), 0);
    assert_eq!(history.open()?.1.parked(), None);
    Ok(())
}
