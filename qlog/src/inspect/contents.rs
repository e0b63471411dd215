//! Catalogues, checkpoints, objects and the chunks that they are stored in.

use super::health::{RESTORE, STORE_AGAIN};
use super::{Health, Part};
use crate::catalogue::{Catalogue as List, Object};
use crate::error::OpenError;
use crate::guards::Guards;
use crate::ids::Lsn;
use crate::layout::CATALOGUES;
use crate::recover::state::{read_catalogue, read_object};
use crate::recover::{Frame, chain, roots};
use crate::storage::Storage;
use crate::superblock::{CatalogueRef, Superblock};
use std::collections::BTreeSet;
use std::ops::Range;

/// One of the four catalogue places.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Catalogue {
    /// 0 to 3: even epochs write the first two in turn, odd ones the others.
    pub place: u64,
    /// From the start of the region.
    pub offset: u64,
    /// Its number, when the superblock names it: catalogues are counted.
    pub number: Option<u64>,
    /// It is the newest that the superblock names.
    pub newest: bool,
    /// How it is.
    pub health: Health,
}

impl Catalogue {
    pub(super) fn part(&self) -> Part {
        Part {
            name: format!("catalogue {}", self.place),
            range: self.offset..self.offset + 1,
            health: self.health.clone(),
        }
    }
}

/// A checkpoint or an object.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Content {
    /// `checkpoint`, `previous checkpoint`, or an object's name.
    pub name: String,
    /// It is a named object.
    pub is_object: bool,
    /// Of a checkpoint: the last record it covers. Of an object: the last one when it was written.
    pub lsn: Lsn,
    /// Its size.
    pub bytes: u32,
    /// Chunks that it takes.
    pub chunks: usize,
    /// From the start of the region: its first chunk.
    pub offset: u64,
    /// How it is.
    pub health: Health,
}

impl Content {
    pub(super) fn part(&self) -> Part {
        let kind = if self.is_object { "object " } else { "" };
        Part {
            name: format!("{kind}{}", self.name),
            range: self.offset..self.offset + u64::from(self.bytes),
            health: self.health.clone(),
        }
    }
}

/// Room for checkpoints and objects.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Chunks {
    /// All.
    pub all: u32,
    /// Those that a catalogue which serves refers to.
    pub used: u32,
}

impl Chunks {
    /// Those that the next checkpoint may use.
    #[must_use]
    pub const fn free(self) -> u32 {
        self.all.saturating_sub(self.used)
    }
}

/// A list of what is stored, and what may have changed since it was written.
pub(crate) struct Stored {
    shared: Frame,
    list: List,
    /// Why the newest list does not serve, where this is another.
    lost: Option<OpenError>,
    objects_changed: bool,
    checkpoint_changed: bool,
}

impl Stored {
    pub(crate) fn objects(&self) -> impl Iterator<Item = (&String, &Object)> {
        self.list.objects.iter()
    }

    /// An object may be older than its owner knows.
    pub(crate) const fn are_older(&self) -> bool {
        self.objects_changed
    }
}

/// Behind what is wrong.
const OLDER: &str = "; what is still listed may be older than what was stored last";

/// The newest list that can be read.
pub(crate) fn stored<S: Storage>(storage: &S) -> Result<Stored, OpenError> {
    let superblock = roots::newest(storage, Guards::ALL_ON, &mut Vec::new())?;
    let shared = Frame::of(&superblock, Guards::ALL_ON);
    let whole = |list| Stored {
        shared,
        list,
        lost: None,
        objects_changed: false,
        checkpoint_changed: false,
    };
    let heads = chain::read_heads(storage, &shared);
    let mut stored = match superblock.catalogues {
        [None, _] => whole(List::default()),
        [Some(newest), previous] => match (read_catalogue(storage, &shared, newest), previous) {
            (Ok(list), _) => whole(list),
            (Err(error), None) => return Err(error),
            (Err(error), Some(previous)) => Stored {
                lost: Some(error),
                // A catalogue is written for a checkpoint or for an object.
                objects_changed: previous.number < superblock.objects,
                checkpoint_changed: newest.number != superblock.objects,
                ..whole(read_catalogue(storage, &shared, previous)?)
            },
        },
    };
    if let Some(ahead) = chain::epoch_ahead(&shared, &superblock, &heads) {
        (stored.objects_changed, stored.checkpoint_changed) = (true, true);
        stored.lost.get_or_insert(ahead.into());
    }
    Ok(stored)
}

/// Which bytes beside the log are wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Which<'a> {
    /// The newest checkpoint.
    Checkpoint,
    /// The one before it.
    Previous,
    /// The object of this name.
    Object(&'a str),
}

/// Reads a checkpoint or an object as it is, with its LSN; `None` when there is none. Unlike opening, it puts no other
/// one in the place of a damaged one, and does not care about the records.
///
/// # Errors
/// When there is no superblock that counts, or what is wanted is damaged, cannot be read, or may have been replaced by a
/// newer one that is lost.
pub fn extract<S: Storage>(
    storage: &S,
    which: Which<'_>,
) -> Result<Option<(Lsn, Vec<u8>)>, OpenError> {
    let stored = stored(storage)?;
    let (object, changed) = match which {
        Which::Checkpoint => (stored.list.state.as_ref(), stored.checkpoint_changed),
        Which::Previous => (stored.list.previous.as_ref(), stored.checkpoint_changed),
        Which::Object(name) => (stored.list.objects.get(name), stored.objects_changed),
    };
    if let (true, Some(mut lost)) = (changed, stored.lost) {
        if let OpenError::Corrupt(corrupt) = &mut lost {
            corrupt.what.push_str(OLDER);
        }
        return Err(lost);
    }
    let Some(object) = object else {
        return Ok(None);
    };
    let bytes = read_object(storage, &stored.shared, object, "what is wanted")?;
    Ok(Some((object.lsn, bytes)))
}

pub(super) struct Contents {
    pub(super) catalogues: Vec<Catalogue>,
    pub(super) contents: Vec<Content>,
    pub(super) chunks: Chunks,
    pub(super) kept_from: Option<Lsn>,
    /// The last record that a good checkpoint covers.
    pub(super) covered: Lsn,
}

pub(super) fn look<S: Storage>(storage: &S, shared: &Frame, superblock: &Superblock) -> Contents {
    let [newest, previous] = superblock.catalogues;
    let read = |reference: Option<CatalogueRef>| {
        reference.map(|reference| read_catalogue(storage, shared, reference))
    };
    let (first, second) = (read(newest), read(previous));
    let objects_changed = previous.is_some_and(|previous| previous.number < superblock.objects);
    let older_serves = matches!(&second, Some(Ok(_))) && !objects_changed;
    let heads = chain::read_heads(storage, shared);
    let lost = match (&first, chain::epoch_ahead(shared, superblock, &heads)) {
        (_, Some(ahead)) => Some(ahead.what),
        (Some(Err(_)), None) if objects_changed => {
            Some("the newest catalogue is damaged".to_owned())
        }
        _ => None,
    };
    let mut catalogues: Vec<Catalogue> = (0..CATALOGUES)
        .map(|place| Catalogue {
            place,
            offset: shared.layout.catalogue(place),
            number: None,
            newest: false,
            health: Health::Good,
        })
        .collect();
    for (reference, found, is_newest) in [(newest, &first, true), (previous, &second, false)] {
        let (Some(reference), Some(found)) = (reference, found) else {
            continue;
        };
        let catalogue = &mut catalogues[usize::from(reference.slot)];
        catalogue.number = Some(reference.number);
        catalogue.newest = is_newest;
        if let Err(error) = found {
            let range = catalogue.offset..catalogue.offset + u64::from(reference.bytes);
            catalogue.health = damage(error, range, older_serves || !is_newest, RESTORE);
        }
    }
    let list = match (first, second) {
        (Some(Ok(list)), _) | (_, Some(Ok(list))) => Some(list),
        (None, _) => Some(List {
            kept_from: Lsn(1),
            ..List::default()
        }),
        (Some(Err(_)), _) => None,
    };
    let Some(list) = list else {
        return Contents {
            catalogues,
            contents: Vec::new(),
            chunks: Chunks::default(),
            kept_from: None,
            covered: Lsn(0),
        };
    };
    let used: BTreeSet<u32> = list.chunks().collect();
    let mut contents = Vec::new();
    let mut covered = Lsn(0);
    let previous_is_whole = list
        .previous
        .as_ref()
        .is_some_and(|object| read_object(storage, shared, object, "the checkpoint").is_ok());
    for (object, is_newest) in [(&list.state, true), (&list.previous, false)] {
        let Some(object) = object else { continue };
        let serves_without = if is_newest {
            previous_is_whole || list.kept_from == Lsn(1)
        } else {
            true
        };
        let name = if is_newest {
            "checkpoint"
        } else {
            "previous checkpoint"
        };
        let content = content(storage, shared, object, name, serves_without, RESTORE);
        if content.health.is_good() {
            covered = covered.max(object.lsn);
        }
        contents.push(content);
    }
    for (name, object) in &list.objects {
        let mut content = content(storage, shared, object, name, false, STORE_AGAIN);
        content.is_object = true;
        if let Some(lost) = &lost {
            content.health.degrade(format!("{lost}{OLDER}"));
        }
        contents.push(content);
    }
    Contents {
        catalogues,
        contents,
        chunks: Chunks {
            all: shared.layout.format().chunks,
            used: crate::words::small(used.len()),
        },
        kept_from: Some(list.kept_from),
        covered,
    }
}

fn content<S: Storage>(
    storage: &S,
    shared: &Frame,
    object: &Object,
    name: &str,
    serves_without: bool,
    advice: &'static str,
) -> Content {
    let first = object.chunks.first().map_or(0, |chunk| chunk.index);
    let offset = shared.layout.chunk(first);
    let health = match read_object(storage, shared, object, "it") {
        Ok(_) => Health::Good,
        Err(error) => damage(
            &error,
            offset..offset + u64::from(object.bytes),
            serves_without,
            advice,
        ),
    };
    Content {
        name: name.to_owned(),
        is_object: false,
        lsn: object.lsn,
        bytes: object.bytes,
        chunks: object.chunks.len(),
        offset,
        health,
    }
}

fn damage(
    error: &OpenError,
    otherwise: Range<u64>,
    something_else_serves: bool,
    advice: &'static str,
) -> Health {
    let (why, range) = match error {
        OpenError::Corrupt(corrupt) => (corrupt.what.clone(), corrupt.range.clone()),
        OpenError::Read { .. }
        | OpenError::NotALog
        | OpenError::NoSuperblock { .. }
        | OpenError::NewerFormat { .. }
        | OpenError::TwoOwners { .. }
        | OpenError::Region(_) => (error.to_string(), otherwise),
    };
    if something_else_serves {
        return Health::Degraded {
            why: format!("{why}; nothing is lost by it"),
        };
    }
    Health::lost(why, range, advice)
}
