//! Every superblock place.

use super::{Health, Part};
use crate::claim::Owner;
use crate::error::OpenError;
use crate::guards::Guards;
use crate::ids::{Epoch, LogId};
use crate::layout::{BANKS, COPIES, SLOTS, SUPERBLOCK_BYTES};
use crate::recover::roots::{self, Newest, Place};
use crate::storage::Storage;
use crate::superblock::{Found, Superblock};

/// What one superblock place holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CopyState {
    /// Never written.
    Absent,
    /// The mark of a superblock with wrong sums, or it cannot be read.
    Damaged,
    /// A whole one of a later format.
    Newer {
        /// Its version.
        major: u32,
        /// Its feature bits that this program does not know.
        features: u64,
    },
    /// A whole one.
    Whole {
        /// Its number: the superblocks of a log are counted.
        number: u64,
        /// Whose term it is.
        epoch: Epoch,
        /// The owner that wrote it.
        owner: Owner,
        /// It is the one that counts.
        counts: bool,
    },
}

/// One superblock place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SuperblockCopy {
    /// The slot: epoch mod 4.
    pub slot: u64,
    /// The bank: written in turn.
    pub bank: u64,
    /// The copy: 0 at the start of the region, 1 at its end.
    pub copy: u64,
    /// From the start of the region.
    pub offset: u64,
    /// What is there.
    pub state: CopyState,
    /// How it is.
    pub health: Health,
}

impl SuperblockCopy {
    pub(super) fn part(&self) -> Part {
        Part {
            name: format!(
                "superblock slot {} bank {} copy {}",
                self.slot, self.bank, self.copy
            ),
            range: self.offset..self.offset + SUPERBLOCK_BYTES as u64,
            health: self.health.clone(),
        }
    }
}

pub(super) struct Superblocks {
    pub(super) copies: Vec<SuperblockCopy>,
    /// The one that counts; when two owners contend, the first of theirs.
    pub(super) newest: Option<Superblock>,
}

pub(super) fn look<S: Storage>(storage: &S) -> Superblocks {
    let (places, newest, is_disputed) = find(storage);
    let mut copies: Vec<SuperblockCopy> = places
        .iter()
        .zip(numbered())
        .map(|(place, (slot, bank, copy))| SuperblockCopy {
            slot,
            bank,
            copy,
            offset: place.offset,
            state: state(&place.found, newest.as_ref()),
            health: Health::Good,
        })
        .collect();
    let counting = copies.iter().filter(|copy| counts(copy)).count();
    for (copy, place) in copies.iter_mut().zip(&places) {
        if copy.state == CopyState::Damaged {
            copy.health
                .degrade("it is damaged; another copy serves".to_owned());
        } else if newest
            .as_ref()
            .is_some_and(|it| is_of_another_log(place, it.id))
        {
            copy.health.degrade(
                "it is another log's, written late or to the wrong disk; it counts for nothing"
                    .to_owned(),
            );
        } else if counts(copy) && counting == 1 {
            copy.health.degrade(
                "its other copy is not like it: a crash came between the two writes, or it is damaged; the next \
                 superblock is written twice again"
                    .to_owned(),
            );
        }
    }
    if newest.is_none() {
        for copy in &mut copies {
            if copy.state == CopyState::Damaged {
                let end = copy.offset + SUPERBLOCK_BYTES as u64;
                copy.health = Health::Corrupt {
                    why: "it is damaged, and no other copy serves".to_owned(),
                    range: copy.offset..end,
                    advice: super::health::RESTORE,
                };
            }
        }
    }
    rivals(&mut copies, &places, newest.as_ref(), is_disputed);
    Superblocks { copies, newest }
}

fn is_of_another_log(place: &Place, id: LogId) -> bool {
    matches!(&place.found, Found::Whole(superblock) if superblock.id != id)
}

/// Two different ones of one epoch and number: claims that did not see each other. One of them counts, unless both
/// owners wrote.
fn rivals(
    copies: &mut [SuperblockCopy],
    places: &[Place],
    newest: Option<&Superblock>,
    is_disputed: bool,
) {
    let Some(newest) = newest else { return };
    if !places
        .iter()
        .filter_map(|place| beside(newest, place))
        .any(|one| one != newest)
    {
        return;
    }
    for (copy, place) in copies.iter_mut().zip(places) {
        match beside(newest, place) {
            Some(_) if is_disputed => {
                copy.health = Health::Corrupt {
                    why:
                        "another superblock of this epoch and number differs: two owners wrote at once"
                            .to_owned(),
                    range: copy.offset..copy.offset + SUPERBLOCK_BYTES as u64,
                    advice: "find out which owner the disk belonged to, and why nothing fenced the other one",
                };
            }
            Some(one) if one != newest => copy.health.degrade(
                "a claim that came to nothing; another one of this epoch counts".to_owned(),
            ),
            Some(_) | None => {}
        }
    }
}

/// The superblock at this place, if it is as high as the newest.
fn beside<'a>(newest: &Superblock, place: &'a Place) -> Option<&'a Superblock> {
    match &place.found {
        Found::Whole(one) => (one.id == newest.id && age(one) == age(newest)).then_some(&**one),
        Found::Nothing | Found::Remains | Found::Newer { .. } => None,
    }
}

fn age(superblock: &Superblock) -> (Epoch, u64) {
    (superblock.epoch, superblock.number)
}

const fn counts(copy: &SuperblockCopy) -> bool {
    matches!(copy.state, CopyState::Whole { counts: true, .. })
}

fn state(found: &Found, newest: Option<&Superblock>) -> CopyState {
    match found {
        Found::Nothing => CopyState::Absent,
        Found::Remains => CopyState::Damaged,
        Found::Newer { major, features } => CopyState::Newer {
            major: *major,
            features: *features,
        },
        Found::Whole(superblock) => CopyState::Whole {
            number: superblock.number,
            epoch: superblock.epoch,
            owner: superblock.owner,
            counts: newest == Some(&**superblock),
        },
    }
}

/// Slot, bank and copy in the order in which `roots` reads them.
fn numbered() -> impl Iterator<Item = (u64, u64, u64)> {
    (0..COPIES).flat_map(|copy| {
        (0..SLOTS).flat_map(move |slot| (0..BANKS).map(move |bank| (slot, bank, copy)))
    })
}

/// The places of the first distance at which there is anything of ours, the newest superblock there, and whether two
/// owners contend for that.
fn find<S: Storage>(storage: &S) -> (Vec<Place>, Option<Superblock>, bool) {
    let mut remains = Vec::new();
    for shift in 12..=16 {
        let place = 1_u64 << shift;
        let places = roots::read_places(storage, place, Guards::ALL_ON);
        let Some((newest, is_disputed)) = newest_of(storage, &places) else {
            let any = places.iter().any(|place| place.found != Found::Nothing);
            if any && remains.is_empty() {
                remains = places;
            }
            continue;
        };
        let format = newest.format;
        if format.superblock_place() != place {
            continue;
        }
        // A region that was cut off or made longer has its second copies elsewhere than its length says.
        let places = roots::read_of(storage, place, format.region_bytes, Guards::ALL_ON);
        let (newest, is_disputed) = newest_of(storage, &places).unwrap_or((newest, is_disputed));
        return (places, Some(newest), is_disputed);
    }
    if remains.is_empty() {
        remains = roots::read_places(storage, 4096, Guards::ALL_ON);
    }
    (remains, None, false)
}

/// The newest as opening has it; where that refuses, the newest of those that can be read, whatever else there is, of the
/// log that is here, if that can be told. And whether two owners contend for it.
fn newest_of<S: Storage>(storage: &S, places: &[Place]) -> Option<(Superblock, bool)> {
    // In a region that was cut off nothing can be looked up.
    let decided = |newest: Newest| {
        if storage.region_bytes() < newest.superblock.format.region_bytes {
            return Ok(newest.superblock);
        }
        newest.decide(storage, Guards::ALL_ON)
    };
    let chosen = roots::choose(places).and_then(|newest| newest.map(decided).transpose());
    let is_disputed = match chosen {
        Ok(newest) => return newest.map(|it| (it, false)),
        Err(error) => matches!(error, OpenError::TwoOwners { .. }),
    };
    let here = roots::whose(places).ok().flatten();
    let whole = places.iter().filter_map(|place| match &place.found {
        Found::Whole(superblock) => Some(&**superblock),
        Found::Nothing | Found::Remains | Found::Newer { .. } => None,
    });
    let here = whole.filter(|superblock| here.is_none_or(|id| superblock.id == id));
    let newest = here.max_by_key(|superblock| age(superblock))?;
    Some((newest.clone(), is_disputed))
}
