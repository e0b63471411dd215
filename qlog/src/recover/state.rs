//! Which checkpoint: the newest whose catalogue and chunks are whole.
//!
//! The catalogue that the superblock names first, else the one before it; in it the newest checkpoint, else the one
//! before that, whose records are kept for this. Last, when nothing was ever cut off the log, no checkpoint at all.

use super::{Frame, Note};
use crate::buffer::Aligned;
use crate::catalogue::{Catalogue, Object};
use crate::error::{Corrupt, OpenError};
use crate::guards::Guard;
use crate::ids::Lsn;
use crate::storage::Storage;
use crate::sum::{Seed, Sums, flipped_bit};
use crate::superblock::{CatalogueRef, Superblock};
use crate::words::round_up;

/// A checkpoint: the last record it covers, and its bytes.
pub(crate) type State = (Lsn, Vec<u8>);

pub(crate) struct Found {
    pub(crate) catalogue: Catalogue,
    /// It is the one that the superblock names first.
    pub(crate) newest: bool,
    /// The checkpoint that served.
    pub(crate) state: Option<State>,
}

pub(crate) fn load<S: Storage>(
    storage: &S,
    shared: &Frame,
    superblock: &Superblock,
    notes: &mut Vec<Note>,
) -> Result<Found, OpenError> {
    let [newest, previous] = superblock.catalogues;
    let Some(newest) = newest else {
        let catalogue = Catalogue {
            kept_from: Lsn(1),
            ..Catalogue::default()
        };
        return Ok(Found {
            catalogue,
            newest: true,
            state: None,
        });
    };
    let mut first_error = None;
    for (reference, is_newest) in [(Some(newest), true), (previous, false)] {
        let Some(reference) = reference else { continue };
        if !is_newest && reference.number < superblock.objects {
            continue; // The log makes good for an older checkpoint, nothing for an older object.
        }
        match from_catalogue(storage, shared, reference, notes) {
            Ok((catalogue, state)) => {
                if !is_newest {
                    notes.push(Note::OlderCheckpoint {
                        what: "the newest catalogue",
                    });
                }
                return Ok(Found {
                    catalogue,
                    newest: is_newest,
                    state,
                });
            }
            Err(error) => first_error = first_error.or(Some(error)),
        }
    }
    Err(first_error.expect("the newest was tried"))
}

fn from_catalogue<S: Storage>(
    storage: &S,
    shared: &Frame,
    reference: CatalogueRef,
    notes: &mut Vec<Note>,
) -> Result<(Catalogue, Option<State>), OpenError> {
    let catalogue = read_catalogue(storage, shared, reference)?;
    let Some(state) = &catalogue.state else {
        return Ok((catalogue, None));
    };
    let error = match read_object(storage, shared, state, "the newest checkpoint") {
        Ok(bytes) => {
            let state = (state.lsn, bytes);
            return Ok((catalogue, Some(state)));
        }
        Err(error) => error,
    };
    if let Some(previous) = &catalogue.previous {
        let bytes = read_object(storage, shared, previous, "both checkpoints")?;
        notes.push(Note::OlderCheckpoint {
            what: "the newest checkpoint",
        });
        let state = (previous.lsn, bytes);
        return Ok((catalogue, Some(state)));
    }
    if catalogue.kept_from == Lsn(1) {
        notes.push(Note::OlderCheckpoint {
            what: "the only checkpoint",
        });
        return Ok((catalogue, None));
    }
    Err(error)
}

/// For a rescue: the newest checkpoint that is whole, in whichever of the two catalogues, whatever became of the objects.
/// The records that the log keeps go on from any of them.
pub(crate) fn newest_whole<S: Storage>(
    storage: &S,
    shared: &Frame,
    superblock: &Superblock,
) -> Option<State> {
    let references = superblock.catalogues.iter().flatten();
    let catalogues = references.filter_map(|it| read_catalogue(storage, shared, *it).ok());
    let mut checkpoints: Vec<Object> = catalogues
        .flat_map(|catalogue| catalogue.state.into_iter().chain(catalogue.previous))
        .collect();
    checkpoints.sort_by_key(|checkpoint| std::cmp::Reverse(checkpoint.lsn));
    checkpoints.iter().find_map(|checkpoint| {
        let bytes = read_object(storage, shared, checkpoint, "a checkpoint").ok()?;
        Some((checkpoint.lsn, bytes))
    })
}

/// A catalogue, if its sums are those of the reference.
pub(crate) fn read_catalogue<S: Storage>(
    storage: &S,
    shared: &Frame,
    reference: CatalogueRef,
) -> Result<Catalogue, OpenError> {
    let layout = &shared.layout;
    let offset = layout.catalogue(u64::from(reference.slot));
    let bytes = reference.bytes.min(layout.format().catalogue_bytes);
    let mut buffer = read_blocks(storage, shared, offset, bytes, "a catalogue")?;
    let content = &mut buffer[..bytes as usize];
    let seed = shared.seed_beside_the_log(offset);
    let whole = bytes == reference.bytes && is_or_mended(shared, seed, content, reference.sums);
    let parsed = whole.then(|| Catalogue::parse(content, layout)).flatten();
    parsed.ok_or_else(|| damaged("the catalogue of checkpoints", offset, u64::from(bytes)))
}

/// The bytes of an object, if every chunk is whole.
pub(crate) fn read_object<S: Storage>(
    storage: &S,
    shared: &Frame,
    object: &Object,
    what: &'static str,
) -> Result<Vec<u8>, OpenError> {
    let chunk_bytes = shared.layout.format().chunk_bytes;
    let mut all = Vec::with_capacity(object.bytes as usize);
    let mut left = object.bytes;
    for chunk in &object.chunks {
        let used = left.min(chunk_bytes);
        left -= used;
        let offset = shared.layout.chunk(chunk.index);
        let mut buffer = read_blocks(storage, shared, offset, used, what)?;
        let content = &mut buffer[..used as usize];
        let seed = shared.seed_beside_the_log(offset);
        if !is_or_mended(shared, seed, content, chunk.sums) {
            return Err(damaged(what, offset, u64::from(used)));
        }
        all.extend_from_slice(content);
    }
    Ok(all)
}

/// Does it have these sums, or all but for one flipped bit, which is mended?
fn is_or_mended(shared: &Frame, seed: Seed, content: &mut [u8], right: Sums) -> bool {
    if Sums::of(seed, content) == right {
        return true;
    }
    let flipped = shared
        .guards
        .on(Guard::FlippedBit)
        .then(|| flipped_bit(seed, content, right));
    let Some((index, mask)) = flipped.flatten() else {
        return false;
    };
    content[index] ^= mask;
    true
}

fn read_blocks<S: Storage>(
    storage: &S,
    shared: &Frame,
    offset: u64,
    bytes: u32,
    what: &'static str,
) -> Result<Aligned, OpenError> {
    let length = round_up(u64::from(bytes), shared.layout.block());
    let mut buffer = Aligned::zeroed(usize::try_from(length).expect("at most 1 MiB"));
    storage
        .read_at(offset, &mut buffer)
        .map_err(|source| OpenError::Read {
            what,
            offset,
            source,
        })?;
    Ok(buffer)
}

fn damaged(what: &str, offset: u64, bytes: u64) -> OpenError {
    OpenError::Corrupt(Corrupt {
        what: format!("{what} is damaged"),
        range: offset..offset + bytes,
        first_lost: Lsn(1),
        later: None,
    })
}
