//! Two owners at once, and what of the older one arrives late. Nothing fences here: the disk does as each of them says.

use crate::history::{History, Verdict, told};
use crate::oracle::{Found, Tolerance};
use crate::tape::{Act, Op};
use crate::world::claim_of;
use qlog::{Claim, Fencing, Guards, Proof, WriteError};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;

/// The older owner is paused between its look at the superblock and its write of the next; in between another claims
/// and commits.
pub(super) fn a_late_superblock_hits_none_of_the_next_owner(guards: Guards) -> Verdict {
    let mut history = History::new(guards);
    let older = history.owner(1)?;
    history
        .append(&older, b"of the older")
        .map_err(|e| told(&e))?;
    let (send, newer) = channel();
    let (disk, ends) = (Arc::clone(&history.disk), history.layout);
    history.disk.script(move |op| {
        let Op::Write { offset, .. } = op else {
            return Act::Do;
        };
        if (*offset as u64) < ends.scratch() {
            let (_, opened) = Found::open(Arc::clone(&disk), guards).expect("it opens");
            let log = opened.claim(claim_of(2, 9)).expect("it is claimed");
            let committed = log.append_durable(b"of the newer");
            send.send((log, committed)).expect("it is received");
        }
        Act::Do
    });
    let mut late = history.fork();
    let _void = older.checkpoint(qlog::Lsn(1), &late.oracle.state(1, 16));
    history.disk.as_it_is();
    let (_newer, committed) = newer.try_recv().map_err(|e| e.to_string())?;
    let lsn = committed.map_err(|e| told(&e))?;
    late.oracle.submit(lsn, b"of the newer");
    late.oracle.acknowledge(lsn);
    history.oracle = late.oracle;
    history.serves()
}

/// Before the first claim is written, another has claimed the same epoch, and the next owner the one after it: the
/// first lands where the second was, and reads back well.
pub(super) fn a_claim_that_others_have_overtaken_ends(guards: Guards) -> Verdict {
    let mut history = History::new(guards);
    let (_, first) = history.open()?;
    let (_, second) = history.open()?;
    let (send, newer) = channel();
    let (disk, mut second) = (Arc::clone(&history.disk), Some(second));
    history.disk.script(move |op| {
        if let Op::Flush = op
            && let Some(second) = second.take()
        {
            let log = second.claim(claim_of(2, 22)).expect("it is claimed");
            log.append_durable(b"of the second").expect("it is written");
            let (_, opened) = Found::open(Arc::clone(&disk), guards).expect("it opens");
            let log = opened.claim(claim_of(3, 33)).expect("it is claimed");
            let committed = log.append_durable(b"of the third");
            send.send((log, committed)).expect("it is received");
        }
        Act::Do
    });
    let first = first.claim(claim_of(1, 11));
    history.disk.as_it_is();
    let (_third, committed) = newer.try_recv().map_err(|e| e.to_string())?;
    let lsn = committed.map_err(|e| told(&e))?;
    for record in [&b"of the second"[..], b"of the third"] {
        history
            .oracle
            .submit(qlog::Lsn(history.oracle.submitted() + 1), record);
    }
    history.oracle.acknowledge(lsn);
    history.serves()?;
    match first {
        Err(_) => Ok(()),
        Ok(_) => Err("CLAIMED: both own the log".into()),
    }
}

/// The older owner has the first write of a segment under way when it is deposed.
pub(super) fn a_late_first_write_of_a_segment_hits_none_of_the_next_owner(
    guards: Guards,
) -> Verdict {
    let mut history = History::new(guards);
    let older = history.owner(1)?;
    for number in 1..=2 {
        history
            .append(&older, &[number; 700])
            .map_err(|e| told(&e))?;
    }
    history.disk.script(|_| Act::Fail);
    let refused = history.append(&older, &[3; 700]);
    history.disk.as_it_is();
    assert!(refused.is_err(), "the disk refuses it");
    let (offset, late) = history.disk.writes_since(0).pop().expect("the third");
    assert!(late.starts_with(b"QSEG"), "it begins a segment");
    let newer = history.owner(2)?;
    history
        .append(&newer, b"of the newer")
        .map_err(|e| told(&e))?;
    history.disk.put(offset, &late);
    history.serves()
}

pub(super) fn an_owner_that_was_deposed_stores_nothing(guards: Guards) -> Verdict {
    let mut history = History::new(guards);
    let older = history.owner(1)?;
    let _newer = history.owner(2)?;
    match history.put(&older, "disk", b"a value") {
        Err(WriteError::Poisoned(poisoned)) if poisoned.fenced => {}
        Err(error) => return Err(told(&error)),
        Ok(()) => {}
    }
    history.serves()
}

#[derive(Debug)]
struct Reservation(AtomicBool);

impl Proof for Reservation {
    fn check(&self) -> Result<(), String> {
        match self.0.load(Ordering::SeqCst) {
            true => Ok(()),
            false => Err("the reservation is gone".into()),
        }
    }
}

/// The write is under way while the next owner reads, and lands after its claim; the disk says that it is done.
pub(super) fn what_was_written_while_ownership_ended_is_not_acknowledged(
    guards: Guards,
) -> Verdict {
    let mut history = History::new(guards);
    let reservation = Arc::new(Reservation(AtomicBool::new(true)));
    let older = history.owner_by(Claim {
        fencing: Fencing::Proved(Arc::clone(&reservation) as Arc<dyn Proof>),
        ..claim_of(1, 8)
    })?;
    let disk = Arc::clone(&history.disk);
    history.disk.script(move |op| {
        if matches!(op, Op::Write { .. }) && reservation.0.swap(false, Ordering::SeqCst) {
            let (_, opened) = Found::open(Arc::clone(&disk), guards).expect("it opens");
            let _newer = opened.claim(claim_of(2, 9)).expect("it is claimed");
        }
        Act::Do
    });
    let _told = history.append(&older, b"of the older");
    history.disk.as_it_is();
    let (found, _) = history.open()?;
    history.oracle.judge(&found, Tolerance::Nothing).map(|_| ())
}
