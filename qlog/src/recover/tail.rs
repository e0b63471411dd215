//! Torn or corrupt: what it means that no frame verifies where the next one should be. `FORMAT.md`, "The end".
//!
//! One write is in flight at a time, and the next is issued only after the flush of the one before. So whatever was
//! written *later* than the missing frame proves that the missing frame had been flushed, and acknowledged.
//!
//! | evidence | verdict |
//! |---|---|
//! | a frame with a higher number, in the segment or a shadow slot | corrupt |
//! | a later segment of the epoch that does not go on from exactly here | corrupt |
//! | one that does | the segment ends here |
//! | the superblock's watermark is farther on, and no checkpoint covers the difference | corrupt |
//! | a block that cannot be read, farther away than one write reaches | corrupt |
//! | none of these | torn: it was never acknowledged |
//!
//! What a checkpoint covers was acknowledged and is not missed.

use super::chain::Cursor;
use super::reader::SegmentReader;
use super::{Frame, Note};
use crate::error::{Corrupt, OpenError};
use crate::frame::Header;
use crate::guards::Guard;
use crate::ids::Lsn;
use crate::segment::Head;
use crate::storage::Storage;
use crate::superblock::Extent;

/// What there is besides the missing frame.
pub(crate) struct Evidence {
    pub(crate) later: Option<(u64, Header)>,
    pub(crate) next_segment: Option<Head>,
    /// Where the owner closed the log.
    pub(crate) clean: Option<Extent>,
    /// The superblock's watermark.
    pub(crate) durable: Lsn,
    /// What the checkpoint covers.
    pub(crate) covered: Lsn,
}

/// Where the frames of a segment end.
pub(crate) enum End {
    /// Here the log ends.
    Here,
    /// The next segment goes on.
    GoesOn(Head),
}

pub(crate) fn judge<S: Storage>(
    shared: &Frame,
    reader: &SegmentReader<'_, S>,
    cursor: Cursor,
    evidence: &Evidence,
    notes: &mut Vec<Note>,
) -> Result<End, OpenError> {
    let lost = cursor.expected.lsn;
    let corrupt = |what: String, to: u64, later: Option<Lsn>| {
        OpenError::Corrupt(Corrupt {
            what,
            range: reader.offset(cursor.at)..reader.offset(to.max(cursor.at)),
            first_lost: lost,
            later,
        })
    };
    if let Some((at, header)) = evidence.later
        && shared.guards.on(Guard::LookAhead)
    {
        let what = "a frame is damaged, and a later one is whole".to_owned();
        return Err(corrupt(what, at, Some(header.first_lsn)));
    }
    if let Some(head) = evidence.next_segment {
        let goes_on = cursor.is_where(reader.generation, &head);
        let covered = head.first_lsn.0 <= evidence.covered.0 + 1;
        if covered && !goes_on {
            notes.push(Note::CoveredDamage {
                offset: reader.offset(cursor.at),
                resumed_at: head.first_lsn,
            });
        }
        if goes_on || covered {
            return Ok(End::GoesOn(head));
        }
        if shared.guards.on(Guard::LaterSegment) {
            let what = format!(
                "segment {} does not go on to segment {}",
                reader.generation, head.generation
            );
            return Err(corrupt(
                what,
                u64::from(head.previous_end),
                Some(head.first_lsn),
            ));
        }
    }
    if evidence.durable > lost.max(evidence.covered.next()) && shared.guards.on(Guard::Watermark) {
        let what = format!(
            "records up to LSN {} were durable when the superblock was written, and the log ends before",
            evidence.durable.0 - 1
        );
        return Err(corrupt(what, reader.len(), None));
    }
    let as_closed = evidence.clean.is_some_and(|clean| {
        clean.generation == reader.generation
            && u64::from(clean.end) == cursor.at
            && clean.end_lsn == lost
    });
    if as_closed {
        return Ok(End::Here);
    }
    if let Some(place) = reader.unreadable_beyond(cursor.at)
        && shared.guards.on(Guard::UnreadableIsDamage)
    {
        let what = "blocks cannot be read where no write can have been under way".to_owned();
        return Err(corrupt(what, place + shared.layout.block(), None));
    }
    if let Some(place) = reader.unreadable_from(cursor.at) {
        notes.push(Note::UnreadableTail {
            offset: reader.offset(place),
        });
    } else if reader.looks_torn() {
        notes.push(Note::TornTail {
            offset: reader.offset(cursor.at),
            lsn: lost,
        });
    }
    Ok(End::Here)
}
