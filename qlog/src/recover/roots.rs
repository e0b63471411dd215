//! Which of the superblock copies counts.
//!
//! Sixteen places: four slots (epoch mod 4), two banks (written in turn), two copies (both ends of the region).
//! The highest epoch counts, within it the highest number. Of two different ones of one epoch and number that counts
//! which was used; if both were, two owners wrote at once, and no log is opened on a guess.

use super::reader::{SegmentReader, reach_of_first};
use super::window::Memory;
use super::{Frame, Note};
use crate::buffer::Aligned;
use crate::error::OpenError;
use crate::guards::Guards;
use crate::ids::LogId;
use crate::layout::{BANKS, COPIES, SLOTS, SUPERBLOCK_BYTES, superblock_offset};
use crate::storage::Storage;
use crate::superblock::{Found, Superblock};
use std::collections::{BTreeMap, BTreeSet};

/// What one place holds.
pub(crate) struct Place {
    pub(crate) offset: u64,
    pub(crate) found: Found,
}

/// The superblock that counts.
pub(crate) fn newest<S: Storage>(
    storage: &S,
    guards: Guards,
    notes: &mut Vec<Note>,
) -> Result<Superblock, OpenError> {
    let mut remains = 0;
    let mut place = 4096_u64.max(u64::from(storage.block_bytes()));
    while place <= 1 << 16 {
        let places = read_places(storage, place, guards);
        if let Some(newest) = choose(&places)?
            && newest.superblock.format.superblock_place() == place
        {
            return check_region(storage, newest, places, guards, notes);
        }
        remains = remains.max(
            places
                .iter()
                .filter(|place| place.found == Found::Remains)
                .count(),
        );
        place *= 2;
    }
    if remains == 0 {
        return Err(OpenError::NotALog);
    }
    Err(OpenError::NoSuperblock { remains })
}

/// The region must be as long as it was; a longer one has its second copies elsewhere than was guessed.
fn check_region<S: Storage>(
    storage: &S,
    newest: Newest,
    mut places: Vec<Place>,
    guards: Guards,
    notes: &mut Vec<Note>,
) -> Result<Superblock, OpenError> {
    let format = newest.superblock.format;
    if storage.region_bytes() < format.region_bytes {
        return Err(OpenError::Region(format!(
            "the region has {} bytes, the log was made for {}: it was cut off; restore its size first",
            storage.region_bytes(),
            format.region_bytes
        )));
    }
    if storage.block_bytes() > format.block_bytes {
        return Err(OpenError::Region(format!(
            "the device now writes blocks of {} bytes, the log was made for {}: copy it to a new log \
             (`qctl log salvage`)",
            storage.block_bytes(),
            format.block_bytes
        )));
    }
    let mut chosen = newest;
    let place = format.superblock_place();
    if storage.region_bytes() / place * place != format.region_bytes {
        places = read_of(storage, place, format.region_bytes, guards);
        chosen = choose(&places)?.unwrap_or(chosen);
    }
    // A copy is missed when the other one of its pair is the newest, or when it holds remains or another log's.
    for place in &places {
        let foreign = matches!(&place.found, Found::Whole(it) if it.id != chosen.superblock.id);
        if foreign || place.found == Found::Remains {
            notes.push(Note::SuperblockCopy {
                offset: place.offset,
            });
        }
    }
    chosen.decide(storage, guards)
}

/// All places of the region, by its length.
pub(crate) fn read_places<S: Storage>(storage: &S, place: u64, guards: Guards) -> Vec<Place> {
    read_of(
        storage,
        place,
        storage.region_bytes() / place * place,
        guards,
    )
}

/// All places of a region of this length.
pub(crate) fn read_of<S: Storage>(
    storage: &S,
    place: u64,
    region: u64,
    guards: Guards,
) -> Vec<Place> {
    let mut places = Vec::new();
    if region < place * SLOTS * BANKS * COPIES {
        return places;
    }
    let mut buffer = Aligned::default();
    for copy in 0..COPIES {
        let first = superblock_offset(place, region, 0, copy);
        buffer.resize(usize::try_from(place * SLOTS * BANKS).expect("at most 512 KiB"));
        let whole = storage.read_at(first, &mut buffer).is_ok();
        for index in 0..SLOTS * BANKS {
            let offset = superblock_offset(place, region, index, copy);
            let at = usize::try_from(index * place).expect("at most 512 KiB");
            let bytes = &mut buffer[at..][..usize::try_from(place).expect("at most 64 KiB")];
            let readable = whole || storage.read_at(offset, bytes).is_ok();
            let found = if readable {
                Superblock::parse(&bytes[..SUPERBLOCK_BYTES], offset, guards)
            } else {
                Found::Remains
            };
            places.push(Place { offset, found });
        }
    }
    places
}

/// Where there is a superblock or the remains of one, whatever the sizes of the log that it belonged to; the newest last.
pub(crate) fn any<S: Storage>(storage: &S) -> Vec<u64> {
    let mut found = BTreeSet::new();
    let mut place = (SUPERBLOCK_BYTES as u64).max(u64::from(storage.block_bytes()));
    while place <= 1 << 16 {
        for place in read_places(storage, place, Guards::ALL_ON) {
            let age = match &place.found {
                Found::Nothing => continue,
                Found::Remains | Found::Newer { .. } => None,
                Found::Whole(superblock) => Some((superblock.epoch, superblock.number)),
            };
            found.insert((age, place.offset));
        }
        place *= 2;
    }
    found.into_iter().map(|(_, offset)| offset).collect()
}

/// The highest in epoch and number, and another one that is as high.
pub(crate) struct Newest {
    pub(crate) superblock: Superblock,
    pub(crate) other: Option<Superblock>,
}

impl Newest {
    /// The one that counts. Two differ when a claim was cut short, and the next one did not see it, took the same epoch,
    /// and was cut short as well, or when a claim arrived after its owner was deposed. At most one of them was ever
    /// used; its owner has begun its segment.
    pub(crate) fn decide<S: Storage>(
        self,
        storage: &S,
        guards: Guards,
    ) -> Result<Superblock, OpenError> {
        let Some(other) = self.other else {
            return Ok(self.superblock);
        };
        let one = self.superblock;
        let epoch = one.epoch;
        if one.format != other.format {
            return Err(OpenError::TwoOwners { epoch });
        }
        match (
            was_used(storage, &one, guards),
            was_used(storage, &other, guards),
        ) {
            (true, true) => Err(OpenError::TwoOwners { epoch }),
            (false, true) => Ok(other),
            (true, false) => Ok(one),
            // Nothing came of either: any, but always the same.
            (false, false) if one.incarnation < other.incarnation => Ok(other),
            (false, false) => Ok(one),
        }
    }
}

/// Has the owner that claimed with this superblock begun its first segment?
fn was_used<S: Storage>(storage: &S, superblock: &Superblock, guards: Guards) -> bool {
    let shared = Frame::of(superblock, guards);
    let (epoch, incarnation) = (superblock.epoch, superblock.incarnation);
    let mut reader = SegmentReader::new(storage, shared, superblock.start, Memory::default())
        .up_to(reach_of_first(shared.layout.block()));
    let head = reader.head();
    head.is_some_and(|head| head.epoch == epoch && head.incarnation == incarnation)
        || reader.any_frame(epoch, incarnation).is_some()
}

/// Which log the places belong to. One of another log can only have been written by an owner of what was in the region
/// before, and late, or to the wrong disk: it counts for nothing, however high its epoch. It is one copy, or two.
pub(crate) fn whose(places: &[Place]) -> Result<Option<LogId>, OpenError> {
    let mut copies = BTreeMap::<LogId, usize>::new();
    for place in places {
        if let Found::Whole(superblock) = &place.found {
            *copies.entry(superblock.id).or_default() += 1;
        }
    }
    let most = copies.values().max().copied();
    let mut with_most = copies.iter().filter(|(_, count)| Some(**count) == most);
    match (with_most.next(), with_most.next()) {
        (Some((one, _)), Some((other, _))) => Err(OpenError::Region(format!(
            "there are superblocks of two logs, {one} and {other}, and as many of each: one of them was written to a \
             disk that was not its own any more; make the log anew, or overwrite the places of the wrong one"
        ))),
        (one, _) => Ok(one.map(|(id, _)| *id)),
    }
}

/// The one that counts, if there is any.
pub(crate) fn choose(places: &[Place]) -> Result<Option<Newest>, OpenError> {
    let id = whose(places)?;
    let mut newest: Option<Newest> = None;
    for place in places {
        match &place.found {
            Found::Nothing | Found::Remains => {}
            Found::Newer { major, features } => {
                return Err(OpenError::NewerFormat {
                    major: *major,
                    features: *features,
                });
            }
            Found::Whole(superblock) if Some(superblock.id) != id => {}
            Found::Whole(superblock) => {
                let age = |superblock: &Superblock| (superblock.epoch, superblock.number);
                match &mut newest {
                    Some(best) if age(&best.superblock) > age(superblock) => {}
                    Some(best) if age(&best.superblock) == age(superblock) => {
                        if best.superblock != **superblock {
                            best.other = Some((**superblock).clone());
                        }
                    }
                    _ => {
                        newest = Some(Newest {
                            superblock: (**superblock).clone(),
                            other: None,
                        });
                    }
                }
            }
        }
    }
    Ok(newest)
}
