//! The body over images of `qlog`: what a disk may hold where a log is looked for.
//!
//! ```text
//! input ─picture─► image ─right_sums─► image whose sums are right, as far as the input asks for that ─► everything that reads
//! ```
//!
//! An image is mostly zeros, and almost every change of it is stopped by the first sum. So an input is a short
//! [`picture`] of an image, and says which sums are made right again after it was drawn: what is behind a sum is reached.

mod picture;
mod right_sums;
mod storage;

pub use picture::{Picture, Rights};

use qlog::inspect::{self, Item, Which};
use qlog::storage::MemoryStorage;
use qlog::{Claim, Entry, Fencing, Format, Lsn, Owner, Replay, SalvageError, WriteError};
use std::sync::Arc;
use storage::Image;

/// What an open was told, and held to it: numbers without a gap, behind the checkpoint.
#[derive(Default, PartialEq, Eq, Debug)]
struct Told {
    checkpoint: Option<(Lsn, Vec<u8>)>,
    records: Vec<Vec<u8>>,
    next: Option<Lsn>,
}

impl Replay for Told {
    fn checkpoint(&mut self, upto: Lsn, state: &[u8]) {
        assert!(
            self.checkpoint.is_none() && self.next.is_none(),
            "it comes first, and once"
        );
        self.checkpoint = Some((upto, state.to_vec()));
        self.next = Some(Lsn(upto.0 + 1));
    }

    fn record(&mut self, entry: Entry<'_>) {
        let next = self.next.unwrap_or(entry.lsn);
        assert_eq!(entry.lsn, next, "a gap in what is told");
        self.next = Some(Lsn(next.0 + 1));
        self.records.push(entry.bytes.to_vec());
    }
}

/// Any image opens to a log or an error, in bounded time and memory; so do the looks of an operator, and a rescue. What
/// opens can be claimed and written, and is found again with what was written; or the claim is refused.
pub fn log_image(data: &[u8]) -> bool {
    let Some(picture) = Picture::parse(data) else {
        return false;
    };
    let image = Arc::new(Image::of(&picture));
    let mut told = Told::default();
    let opened = qlog::open(Arc::clone(&image), &mut told);
    image.was_read_within_bounds("an open");
    let opens = match &opened {
        Ok(found) => {
            assert!(
                found
                    .notes()
                    .iter()
                    .all(|note| !note.to_string().is_empty())
            );
            for name in found.object_names() {
                let _damaged_or_not = found.object(name);
            }
            if let Some(next) = told.next {
                assert_eq!(
                    found.next_lsn(),
                    next,
                    "the next record is the one behind the last"
                );
            }
            true
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            false
        }
    };
    drop(opened);
    looked_at(&image, opens);
    rescued(&image, &told, opens);
    if opens && !image.has_unreadable() {
        goes_on(&image, &told, picture.rights != Rights(0));
    }
    opens
}

/// Show, verify and dump.
fn looked_at(image: &Image, opens: bool) {
    let inspection = inspect::inspect(image, &mut |done, all| assert!(done <= all));
    assert_eq!(
        inspection.refused.is_none(),
        opens,
        "the judge is asked as it stands"
    );
    assert!(
        !inspection.is_good() || opens,
        "what does not open is not good"
    );
    assert!(inspection.parts().iter().all(|part| !part.name.is_empty()));
    image.was_read_within_bounds("an inspection");
    for which in [Which::Checkpoint, Which::Previous, Which::Object("object")] {
        let _damaged_or_not = inspect::extract(image, which);
        image.was_read_within_bounds("taking an object out");
    }
    if let Ok(items) = inspect::dump(image, Lsn(0)..Lsn(u64::MAX)) {
        let mut left = image.len();
        for item in items {
            // Every item takes bytes of the image.
            let takes = match item {
                Item::Record { bytes, .. } => 1 + bytes.len(),
                Item::EpochStart { .. } | Item::Seal { .. } | Item::Damage { .. } => 1,
            };
            left = left
                .checked_sub(takes)
                .expect("no more than the image holds");
        }
    }
    image.was_read_within_bounds("a dump");
}

/// A rescue into memory. What does open is rescued whole.
fn rescued(image: &Image, told: &Told, opens: bool) {
    let new = Arc::new(MemoryStorage::new(RESCUE_BYTES, 256));
    let salvaged = qlog::salvage(image, Arc::clone(&new), RESCUE, &mut |_| {});
    image.was_read_within_bounds("a rescue");
    match salvaged {
        Ok(salvaged) => {
            let mut again = Told::default();
            let found = qlog::open(new, &mut again).expect("what was rescued is good");
            assert_eq!(again.records.len() as u64, salvaged.records);
            assert_eq!(found.next_lsn(), Lsn(salvaged.last.0 + 1));
            assert_eq!(salvaged.damage.is_none(), opens);
            if opens {
                assert_eq!(again.records, told.records);
                let state = |told: &Told| told.checkpoint.clone().map(|(_, state)| state);
                assert_eq!(state(&again), state(told));
            }
        }
        Err(SalvageError::Source(error)) => {
            assert!(!opens, "it opens, and not for a rescue: {error}");
        }
        // The new log is smaller than what the image may hold.
        Err(SalvageError::Write(
            WriteError::Full { .. } | WriteError::NoChunks { .. } | WriteError::TooLarge { .. },
        )) => {}
        Err(SalvageError::Write(WriteError::Object(why))) => {
            panic!("what a catalogue names cannot be named again: {why}")
        }
        Err(error) => panic!("a rescue into memory fails: {error}"),
    }
}

/// Where rescues go.
const RESCUE: Format = Format {
    block_bytes: 256,
    segments: 4,
    segment_bytes: 16 << 10,
    catalogue_bytes: 4 << 10,
    chunk_bytes: 1 << 10,
    chunks: 96,
    region_bytes: RESCUE_BYTES as u64,
};
const RESCUE_BYTES: usize = 264 << 10;

/// The next epoch on it: what was there and what is added are found by the next open. Where sums were forged, superblocks
/// may say what no owner says, and the claim or the next open may refuse.
fn goes_on(image: &Image, told: &Told, is_forged: bool) {
    let storage = Arc::new(MemoryStorage::from_image(image.bytes().to_vec(), 256));
    let found = qlog::open(Arc::clone(&storage), &mut ()).expect("it has just opened");
    let first = found.next_lsn();
    let claim = Claim {
        owner: Owner::default(),
        fencing: Fencing::Unfenced,
        incarnation: 7,
    };
    let log = match found.claim(claim) {
        Ok(log) => log,
        Err(error) => {
            assert!(is_forged, "no claim of what opens: {error}");
            return;
        }
    };
    let appended = match log.append_durable(b"appended") {
        Ok(lsn) => {
            assert_eq!(lsn, first);
            true
        }
        Err(error) => {
            let no_room = matches!(error, WriteError::Full { .. } | WriteError::TooLarge { .. });
            assert!(no_room || is_forged, "no append to what opens: {error}");
            false
        }
    };
    let closed = log.close();
    assert!(closed.is_ok() || is_forged, "it does not close: {closed:?}");
    let mut again = Told::default();
    match qlog::open(storage, &mut again) {
        Ok(_) => {
            if appended {
                assert_eq!(again.records.pop().as_deref(), Some(&b"appended"[..]));
            }
            assert_eq!(again.records, told.records);
            assert_eq!(again.checkpoint, told.checkpoint);
        }
        Err(error) => assert!(is_forged, "it does not open again: {error}"),
    }
}
